"""Signing in to the dashboard on the deployed stack: user pool, gateway, function, table and role together."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from local.stack import Stack
from local.staff import Person
from shared.domain.staff import Role
from tests.integration.staff import HttpBrowser, somebody

SESSION, ATTEMPT = "__Host-session", "__Host-sign-in"


def test_somebody_signs_in_reaches_the_page_they_wanted_and_signs_out(stack: Stack) -> None:
    browser = HttpBrowser(stack)
    person = somebody(stack)
    page = browser.sign_in(person, at="/cases?closed=2026-01")
    assert (page.status, urlsplit(page.url).query) == (200, "closed=2026-01")
    assert person.name in page.body

    out = browser.post("/sign-out")
    assert out.status == 303
    assert out.location.startswith(f"{stack.endpoint_url}/logout?")
    left = browser.get(out.location)
    assert left.location == f"{stack.dashboard_url}/signed-out"
    assert browser.get(left.location).status == 200
    assert browser.get("/").status == 303


def test_a_copied_session_is_worth_nothing_after_the_sign_out(stack: Stack) -> None:
    browser = HttpBrowser(stack)
    browser.sign_in(somebody(stack))
    copied = dict(browser.cookies)
    assert HttpBrowser(stack, copied).get("/").status == 200
    browser.post("/sign-out")
    assert HttpBrowser(stack, copied).get("/").status == 303


def test_a_code_works_once_and_only_in_the_browser_that_asked_for_it(stack: Stack) -> None:
    person, browser, thief = somebody(stack), HttpBrowser(stack), HttpBrowser(stack)
    returned = browser.submit_password(browser.to_sign_in_page(), person)
    attempt = dict(browser.cookies)

    assert thief.get(returned.location).status == 400
    thief.to_sign_in_page()  # an attempt of their own, whose verifier is another
    state = parse_qs(urlsplit(returned.location).query)["state"][0]
    own = thief.cookies[ATTEMPT].partition(".")[0]
    assert thief.get(returned.location.replace(state, own)).status == 400

    assert browser.get(returned.location).status == 303
    again = HttpBrowser(stack, attempt).get(returned.location)
    assert again.status == 400
    assert SESSION not in thief.cookies
    assert "not signed in" in again.body


def test_a_wrong_password_gives_no_code(stack: Stack) -> None:
    person, browser = somebody(stack), HttpBrowser(stack)
    wrong = replace(person, password="Wrong-horse-7")
    assert browser.submit_password(browser.to_sign_in_page(), wrong).status == 200


def test_somebody_without_a_role_is_told_whom_to_ask(stack: Stack) -> None:
    person, browser = somebody(stack), HttpBrowser(stack)
    stack.client("cognito-idp").admin_remove_user_from_group(
        UserPoolId=stack.outputs["StaffPoolId"], Username=person.email, GroupName=person.role.value
    )
    returned = browser.submit_password(browser.to_sign_in_page(), person)
    finished = browser.get(returned.location)
    assert finished.status == 403
    assert "ask the owner" in finished.body
    assert browser.cookies == {}


@pytest.mark.parametrize("role", Role)
def test_every_role_has_a_first_page(stack: Stack, role: Role) -> None:
    page = HttpBrowser(stack).sign_in(somebody(stack, role, "north", therapist_id="t1"))
    assert page.status == 200
    assert 'aria-current="page"' in page.body


def test_whoever_the_stack_names_may_sign_in(stack: Stack) -> None:
    [owner] = stack.staff
    person = Person(owner["name"], owner["email"], owner["password"], Role(owner["role"]))
    assert owner["name"] in HttpBrowser(stack).sign_in(person).body


def test_the_dashboard_is_an_address_of_its_own_and_says_so(stack: Stack) -> None:
    assert stack.dashboard_url == stack.outputs["DashboardUrl"]
    assert urlsplit(stack.dashboard_url).netloc != urlsplit(stack.public_url).netloc
    assert HttpBrowser(stack).get(f"{stack.public_url}/sign-in").status == 404


def test_a_session_stands_in_the_table_under_a_hash_alone(stack: Stack) -> None:
    browser = HttpBrowser(stack)
    browser.sign_in(somebody(stack))
    rows = stack.client("dynamodb").scan(TableName=stack.tables["SessionsTable"])["Items"]
    assert rows
    assert browser.cookies[SESSION] not in str(rows)


def test_a_form_from_elsewhere_is_refused_by_the_deployed_function(stack: Stack) -> None:
    browser = HttpBrowser(stack)
    browser.sign_in(somebody(stack))
    assert browser.post("/sign-out", Origin="https://elsewhere.example").status == 403
    assert browser.get("/").status == 200

"""A stack that the last release deployed and filled, updated to this one: nothing is lost and everything goes on."""

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from local.stack import Stack, down, up, update
from tests.integration.practice import ADMIN, Practice, at, eventually
from tests.integration.staff import HttpBrowser, somebody
from tests.integration.test_scores import (
    funnel_recount,
    funnel_stored,
    months_recount,
    months_stored,
    recount,
    stored,
)
from tests.upgrade import last_release
from tests.upgrade.last_release import LEFT

PARAMETERS = {"Touchpoints": "evaluation,discharge"}
HOLDS_DATA = {
    *("AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SecretsManager::Secret", "AWS::S3::Bucket"),
    *("AWS::Cognito::UserPool", "AWS::Cognito::UserPoolDomain", "AWS::SQS::Queue", "AWS::Logs::LogGroup"),
}
PAGES = [
    *("/", "/comments", "/cases", "/patients?q=Okafor", "/worth", "/share", "/settings", "/settings/sending"),
    *("/settings/practice/asking", "/settings/clinics/west", "/settings/playbook", "/settings/themes"),
    *(
        "/settings/staff",
        "/export/scores.csv",
        "/export/answers.csv",
        "/api/v1/scores?from=2026-03-01&to=2026-03-31",
        "/api/v1/cases",
    ),
]


@pytest.fixture(scope="module")
def before_and_after(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Practice]]:
    """The parts of the stack before the update, by logical id; and the practice after it."""
    state = tmp_path_factory.mktemp("upgrade")
    try:
        former = up(state, PARAMETERS, template=last_release.template())
        last_release.fill(former)
        found = parts_of(former) | {"statuses": in_between(Practice(former))}
        yield found, Practice(update(state, PARAMETERS))
    finally:
        down(state)
        shutil.rmtree(state)


@pytest.fixture(scope="module")
def practice(before_and_after: tuple[dict[str, Any], Practice]) -> Practice:
    return before_and_after[1]


@pytest.fixture(scope="module")
def owner(practice: Practice) -> HttpBrowser:
    browser = HttpBrowser(practice.stack)
    browser.sign_in(somebody(practice.stack))
    return browser


def parts_of(stack: Stack) -> dict[str, Any]:
    listed = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed if each["ResourceType"] in HOLDS_DATA
    }


def in_between(practice: Practice) -> list[int]:
    """What patients and staff get in the moments in which today's code has the variables of before.

    Roles are left out of it: a function waits for its role, so AWS updates that first.
    """
    token = LEFT["mails"]["leaving"][0]["token"]
    owner = HttpBrowser(practice.stack)
    return [
        practice.get(f"/s/{token}?score=9").status,
        practice.post(f"/s/{token}", {"score": "9", "comment": "In between"}).status,
        practice.get(f"/u/{token}").status,
        owner.sign_in(somebody(practice.stack)).status,
    ]


def survey_id(name: str) -> str:
    """The survey of the last mail that this patient got from the last release."""
    token: str = LEFT["mails"][name][-1]["token"]
    return token[:26]


def row(practice: Practice, name: str) -> dict[str, Any]:
    """That survey as it stands."""
    [found] = [each for each in practice.items("SurveysTable") if each["survey_id"] == survey_id(name)]
    return found


def test_what_holds_data_is_still_there_and_everything_in_it(before_and_after):
    parts, practice = before_and_after
    after = parts_of(practice.stack)
    assert {name: after.get(name) for name in parts if name != "statuses"} == {
        name: part for name, part in parts.items() if name != "statuses"
    }
    for name, rows in LEFT["tables"].items():
        assert len(practice.items(name)) >= len(rows)


def test_patients_and_staff_are_served_while_the_code_is_new_already_and_the_rest_is_not(before_and_after):
    found, practice = before_and_after
    assert found["statuses"] == [200] * 4
    assert row(practice, "leaving")["comment"] == "In between"


@pytest.mark.parametrize("page", PAGES)
def test_every_page_of_the_dashboard_opens_over_what_the_last_release_wrote(page, owner):
    assert owner.get(page).status == 200


def test_a_case_and_a_patient_are_shown_with_what_was_done(owner):
    case = owner.get(f"/cases/{survey_id('unhappy')}")
    assert "I waited an hour" in case.body
    assert "Robin Reyes" in case.body
    patient = owner.get(f"/patient?id={LEFT['patients']['wavering']}")
    assert "Parking was hard" in patient.body


def test_what_was_chosen_still_holds(owner):
    assert 'value="80"' in owner.get("/settings/practice/goals").body


def test_figures_that_the_last_release_counted_equal_a_recount_by_this_one(practice):
    assert funnel_stored(practice) != funnel_recount(practice), "the last release did not count what was delivered"
    practice.count_scores()
    assert stored(practice) == recount(practice)
    assert funnel_stored(practice) == funnel_recount(practice)
    assert months_stored(practice) == months_recount(practice)
    assert practice.count_scores() == {"surveys": 0, "rows": 0}


def test_a_link_of_the_last_release_takes_an_answer_that_alerts_and_counts(practice):
    token = LEFT["mails"]["silent"][0]["token"]
    assert practice.get(f"/s/{token}?score=2").chosen == [2]
    already = len(practice.mails(ADMIN))
    assert practice.post(f"/s/{token}", {"score": "2", "comment": "Nobody called back"}).status == 200
    eventually(lambda: len(practice.mails(ADMIN)) > already, "an alert")
    practice.rest()
    assert survey_id("silent") in {case["survey_id"] for case in practice.items("CasesTable")}
    assert practice.count_scores()["surveys"] == 1
    assert stored(practice) == recount(practice)
    assert months_stored(practice) == months_recount(practice)


def test_the_unsubscribe_link_of_the_last_release_works(practice):
    link = LEFT["mails"]["content"][0]["unsubscribe"]
    assert practice.post(link, {"List-Unsubscribe": "One-Click"}).status == 200
    [patient] = [each for each in practice.items("PatientsTable") if each["patient_id"] == LEFT["patients"]["content"]]
    assert patient["opted_out"]


def test_what_was_due_in_the_one_shard_of_the_last_release_leaves_once(practice):
    waiting = f"{LEFT['patients']['waiting'].lower()}@patients.example"
    assert practice.send(at("2026-03-18", "16:00"))["sent"] == 1
    assert [mail.kind for mail in practice.mails(waiting)] == ["survey"]
    assert practice.send(at("2026-03-18", "16:10"))["sent"] == 0
    page = practice.answer(practice.mails(waiting)[0], 10)
    assert page.status == 200


def test_the_digest_tells_of_answers_that_the_last_release_left_for_it(practice):
    pending = [each for each in practice.items("SurveysTable") if each.get("pending_reaction") == "digest"]
    assert {each["survey_id"] for each in pending} >= {survey_id("content"), survey_id("wavering")}
    practice.run("SendDigestFunction", at("2030-03-19", "08:30"))
    assert "pending_reaction" not in row(practice, "content")

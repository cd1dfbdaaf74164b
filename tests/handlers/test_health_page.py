"""The page on health: the same findings in an owner's words, and the page opens whatever AWS refuses."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.serve_dashboard import health_page
from shared.domain.staff import Role
from shared.storage.dynamodb import client as dynamodb
from tests.handlers.dashboard import signed_in
from tests.handlers.fake_account import ANSWERS, NOBODY_THERE, FakeAccount

pytestmark = pytest.mark.usefixtures("aws")
HEALTH = "/settings/health"


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> FakeAccount:
    fake = FakeAccount()
    monkeypatch.setattr(health_page, "client", fake.client)
    return fake


def test_an_owner_reads_what_is_wrong_what_it_means_and_what_to_do(account):
    account.answers["sesv2.get_account"] = {**ANSWERS["sesv2.get_account"], "ProductionAccessEnabled": False}
    page = signed_in().get(HEALTH)
    assert page.status == 200
    assert "1 broken" in page.text
    assert "Broken The account is in the sandbox of Amazon SES. Mail leaves: Release by Amazon SES" in page.text
    assert "Mail reaches only addresses that were verified by hand" in page.text
    assert "What to do: Ask AWS for production access" in page.text


def test_where_all_is_well_the_page_says_so_and_what_it_does_not_look_at(account):
    page = signed_in().get(HEALTH)
    assert "Everything that was looked at is well" in page.text
    assert "make doctor" in page.text
    for title in ("Schedules", "Last runs", "Alarms", "Hash key"):
        assert title in page.text.partition("What this page does not look at")[2]


def test_whatever_may_not_be_asked_the_page_opens_and_says_so(account):
    account.refused = dict.fromkeys([*ANSWERS, *NOBODY_THERE], "AccessDeniedException")
    page = signed_in().get(HEALTH)
    assert page.status == 200
    assert "Everything that was looked at is well" not in page.text
    assert "Data is safe: Backups" in page.text
    assert "not allowed to ask (GetAccount)" in page.text


def test_in_an_update_s_first_moments_the_page_opens_without_the_new_variables(account, monkeypatch):
    monkeypatch.delenv("FAILED_EVENTS_QUEUE")
    page = signed_in().get(HEALTH)
    assert page.status == 200
    assert "Not known Could not be looked at" in page.text
    assert "Careloop runs: Failed events" in page.text


def test_without_the_table_of_cases_the_page_opens_and_names_it(account):
    owner = signed_in()
    dynamodb().delete_table(TableName="Cases")
    account.answers["dynamodb.describe_table"] = lambda asked: missing_cases(asked["TableName"])
    page = owner.get(HEALTH)
    assert page.status == 200
    assert "Not there any more: Cases." in page.text
    assert "Deploy nothing. Restore first" in page.text
    assert "number not known" in page.body
    assert [owner.get(address).status for address in ("/", "/settings")] == [200, 200]


def missing_cases(table: str) -> dict[str, Any]:
    """As AWS describes the tables of a stack that has lost one."""
    if table == "Cases":
        raise ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "DescribeTable")
    described: dict[str, Any] = ANSWERS["dynamodb.describe_table"]
    return described


def test_only_owners_see_it(account):
    assert signed_in(Role.CLINIC_ADMIN, "north").get(HEALTH).status == 404
    assert signed_in(Role.THERAPIST).get(HEALTH).status == 404
    assert account.asked == set()
    assert "Health" in signed_in().get("/settings").text


def test_a_command_in_a_text_is_shown_as_one(account):
    account.answers["sqs.get_queue_attributes"] = {
        "Attributes": {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}
    }
    assert "<code>make sweep STACK=name</code>" in signed_in().get(HEALTH).body

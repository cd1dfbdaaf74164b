"""Unsubscribing: a scanner's GET changes nothing, a person's or mail program's POST is honoured for good."""

from datetime import timedelta
from typing import Any

import pytest

from functions.unsubscribe.handler import handler
from shared.domain.identity import new_token
from shared.storage import patients, surveys
from shared.storage.models import ActivityItem, SurveyItem
from tests.builders import MONDAY_NOON, a_patient, a_survey
from tests.fakes import FakeContext

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def token(aws: None) -> str:
    """The link in a mail that was sent long ago."""
    patients.put_record(a_patient(), None)
    surveys.create(a_survey())
    link, secret_hash = new_token("a" * 26)
    SurveyItem("a" * 26).update(
        [SurveyItem.token_hashes.add({secret_hash}), SurveyItem.expires_at.set(MONDAY_NOON - timedelta(days=1000))]
    )
    return link


def request(method: str, token: str, body: str | None = None) -> Any:
    event = {"httpMethod": method, "pathParameters": {"token": token}, "headers": None, "body": body}
    return handler(event, FakeContext(), now=lambda: MONDAY_NOON)


def opted_out() -> bool:
    patient = patients.get("p1")
    assert patient
    return patient.opted_out


def test_get_asks_and_writes_nothing(token):
    assert request("GET", token)["statusCode"] == 200
    assert not opted_out()
    assert list(ActivityItem.query("p1")) == []


@pytest.mark.parametrize("body", ["List-Unsubscribe=One-Click", "confirm=yes", "", None])
def test_post_opts_out_once_and_for_good(token, body):
    assert request("POST", token, body)["statusCode"] == 200
    assert request("POST", token, body)["statusCode"] == 200
    assert opted_out()
    assert [note.kind for note in ActivityItem.query("p1")] == ["opted_out"]


def test_someone_who_unsubscribed_reads_so_and_leaves_one_trace(token):
    asked = request("GET", token)["body"]
    done = request("POST", token)["body"]
    request("POST", token)
    assert request("GET", token)["body"] == done != asked
    assert len(list(ActivityItem.query("p1"))) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_forged_link_opts_nobody_out(token, method):
    assert request(method, token[:26] + "b" * 26)["statusCode"] == 404
    assert request(method, "x")["statusCode"] == 404
    assert not opted_out()

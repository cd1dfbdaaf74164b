"""What each step of a survey asks of DynamoDB, in calls and units: counts are exact, so they are held exactly here."""

from collections.abc import Iterator

import pytest

from bench import in_process, journey
from bench.journey import Step
from bench.units import Meter
from shared.storage.dynamodb import client


@pytest.fixture
def meter(aws: None) -> Iterator[Meter]:
    with in_process.metered() as meter:
        yield meter


_walked: dict[str, Step] = {}


@pytest.fixture
def taken(meter: Meter) -> dict[str, Step]:
    """A survey's way; walked once, since the tests only look at what it took."""
    if not _walked:
        _walked.update({step.name: step for step in journey.steps(meter)})
    return _walked


def test_no_step_of_a_survey_costs_more_than_it_did(taken: dict[str, Step]) -> None:
    answer, page, sending = taken["an answer"], taken["a page is opened"], taken["a survey is sent"]
    assert (answer.calls, answer.wru, answer.rru) == (1, 2, 0)
    assert (page.calls, page.wru, page.rru) == (1, 0, 1)
    assert journey.intake_to_sent(taken) == pytest.approx(18)
    assert sending.written["TransactWriteItems Addresses Messages Patients Surveys"] == pytest.approx(8)
    assert taken["an alert"].wru <= 7
    assert taken["a review request is made"].wru <= 5
    assert taken["a survey is counted"].wru < 8
    assert taken["a Send event"].wru < 0.1
    assert taken["a Delivery event of a survey"].wru <= 2
    assert taken["a reminder is settled"].wru < 2.2
    assert taken["a patient"].wru == pytest.approx(2)
    assert taken["a visit"].wru == pytest.approx(1)


def test_every_mail_is_one_call_of_the_provider(taken: dict[str, Step]) -> None:
    assert taken["a survey is sent"].mails == 1
    assert taken["a review request is sent"].mails == 1
    assert taken["an alert"].mails == 1
    assert taken["a reminder is sent"].mails == 1
    assert taken["a reminder is settled"].mails == 0


def test_runs_without_work_stay_cheap(taken: dict[str, Step]) -> None:
    run, night = taken["a sending run without work"], taken["a night without work"]
    assert run.wru <= 2
    assert run.rru <= 24, "sixteen shards, the settings and the last days' deliveries"
    assert (night.wru, night.rru) == (1, 1.5)


def test_a_due_run_and_a_night_read_no_more_when_more_is_settled(meter: Meter) -> None:
    def read_by_both() -> float:
        meter.clear()
        journey.send(journey.SENT)
        journey.count_night()
        return meter.rru

    read_by_both()  # the first run reads once what a warm function keeps
    nothing_settled = read_by_both()
    for number in range(400):  # settled messages and counted surveys: without the keys of the sparse indexes
        key, rest = {"S": f"past-{number}"}, {"due_at": {"S": "2026-01-01T00:00:00Z"}, "x": {"S": "." * 800}}
        client().put_item(TableName="Messages", Item={"message_id": key, **rest})
        client().put_item(TableName="Surveys", Item={"survey_id": key, "patient_id": key, **rest})
    assert read_by_both() == nothing_settled

"""Faults 10 to 14, 16 and 17: what may happen to what follows an answer."""

from typing import Any

import pytest

from shared.storage import surveys as stored_surveys
from shared.storage.models import SurveyItem
from tests.faults.invariants import hold, i3, told
from tests.faults.practice import Practice, Request, aws_error, failing, refusing
from tests.stream_driver import StreamDriver

ALERTS, REVIEWS = ("alert", "alert review"), ("review", "review digest")


def stream_of(practice: Practice, handler: Any = None, pending: tuple[str, ...] = ALERTS) -> StreamDriver:
    return StreamDriver(handler or practice.alert, pending)


def answered(practice: Practice, number: int, score: int, comment: str = "") -> str:
    survey = practice.asked(number)
    practice.send()
    practice.later(minutes=10)
    practice.answer(practice.mail(survey), score, comment)
    return survey


def alerts(practice: Practice) -> list[str]:
    return [mail.survey_id for mail in practice.mails if mail.kind == "staff" and mail.survey_id]


def test_fault_10_a_whole_batch_again_alerts_once_a_version(practice: Practice) -> None:
    batches: list[Any] = []

    def keep_and_handle(batch: Any) -> Any:
        batches.append(batch)
        return practice.alert(batch)

    stream = stream_of(practice, keep_and_handle)
    surveys = [answered(practice, number, 3) for number in range(3)]
    for survey in surveys:
        stream.capture(survey)
    stream.deliver()
    for batch in [*batches, *reversed(batches)]:
        assert practice.alert(batch) == {"batchItemFailures": []}
    assert sorted(alerts(practice)) == sorted(surveys)
    practice.rest()
    hold(practice.evidence())
    i3(practice.evidence(), once=True)


@pytest.mark.parametrize("refusal", ["report", "exception"])
def test_fault_11_a_poison_record_ends_in_the_queue_and_keeps_nobody_waiting(practice: Practice, refusal: str) -> None:
    stream = stream_of(practice)
    surveys = [answered(practice, number, 2) for number in range(5)]
    for survey in surveys:
        stream.capture(survey)
    SurveyItem(surveys[2]).update([SurveyItem.language.set("??")])
    if refusal == "exception":
        stream.handler = lambda event: _raising_for(surveys[2], event, practice.alert)
    stream.deliver()
    assert len(stream.on_failure) == 1
    practice.told += str(stream.on_failure)
    assert sorted(alerts(practice)) == sorted(each for each in surveys if each != surveys[2])
    with failing(practice):
        practice.alert()
    SurveyItem(surveys[2]).update([SurveyItem.language.set("en")])
    practice.rest()
    hold(practice.evidence())
    i3(practice.evidence(), once=True)


def _raising_for(survey: str, event: Any, handler: Any) -> Any:
    if survey in str(event):
        raise RuntimeError
    return handler(event)


@pytest.mark.parametrize(
    ("error", "metric"),
    [(aws_error("SendingPausedException"), "AlertsNotSent"), (RuntimeError("Quagga"), "")],
    ids=["paused", "bug"],
)
def test_fault_12_when_every_record_fails_the_staff_hear_after_the_recovery(
    practice: Practice, error: Exception, metric: str
) -> None:
    stream = stream_of(practice)
    surveys = [answered(practice, number, number, "Quagga") for number in range(4)]
    for survey in surveys:
        stream.capture(survey)
    with practice.gate.hooked(before=refusing(error, "SendEmail")):
        stream.deliver()
    assert alerts(practice) == []
    assert stream.on_failure
    if metric:
        told(practice.evidence(), metric)
    practice.told += str(stream.on_failure)
    practice.later(minutes=15)
    assert practice.alert() == {"surveys": 4}
    practice.rest()
    hold(practice.evidence())
    i3(practice.evidence(), once=True)


def test_fault_13_what_the_stream_has_forgotten_is_swept(practice: Practice) -> None:
    """More than a day later nothing is left on the stream: neither alerts nor review requests."""
    unhappy, happy = answered(practice, 0, 0), answered(practice, 1, 10)
    practice.later(hours=26)
    assert practice.alert() == {"surveys": 1}
    assert practice.request_reviews() == {"surveys": 1}
    assert alerts(practice) == [unhappy]
    practice.rest()
    assert practice.mail(happy, "review")
    hold(practice.evidence())
    i3(practice.evidence(), once=True)


def test_fault_14_records_out_of_order_count_and_alert_as_if_in_order(practice: Practice) -> None:
    stream, reviews = stream_of(practice), stream_of(practice, practice.request_reviews, REVIEWS)
    surveys = [answered(practice, number, score) for number, score in enumerate((3, 10, 0, 8, 9, 6))]
    for survey in surveys[:3]:
        practice.answer(practice.mail(survey), 5, "Quagga")
    for survey in reversed(surveys):
        stream.capture(survey)
        reviews.capture(survey)
    reviews.deliver()
    stream.deliver()
    practice.count()
    hold(practice.evidence(), at_rest=False)
    practice.rest()
    hold(practice.evidence())


@pytest.mark.parametrize("when", ["before it is sent", "while it is claimed"])
def test_fault_16_nine_then_three_withdraws_the_review_and_alerts(practice: Practice, when: str) -> None:
    survey = answered(practice, 0, 9)
    practice.request_reviews()
    assert practice.state(survey, "review") == "due"
    changed: list[int] = []

    def change(operation: str = "TransactWriteItems", request: Request | None = None) -> None:
        if operation == "TransactWriteItems" and not changed:
            changed.append(practice.answer(practice.mail(survey), 3, "Quagga"))

    if when == "before it is sent":
        change()
    practice.later(hours=25)
    with practice.gate.hooked(before=change):
        assert practice.send()["skipped"]["withdrawn"] == 1
    practice.rest()
    assert [mail.kind for mail in practice.mails] == ["survey", "staff"]
    hold(practice.evidence())


@pytest.mark.parametrize("is_told", [True, False], ids=["told", "not told yet"])
def test_fault_17_three_then_nine_leaves_the_alert_and_counts_the_nine(practice: Practice, is_told: bool) -> None:
    survey = answered(practice, 0, 3)
    if is_told:
        practice.alert()
    practice.later(minutes=5)
    practice.answer(practice.mail(survey), 9)
    practice.later(hours=25)
    for _ in range(2):
        practice.rest()
    assert alerts(practice) == [survey]
    assert practice.mail(survey, "review")
    kinds = {entry["kind"] for entry in practice.evidence().tables["Activity"]}
    assert "answer_changed" in kinds
    hold(practice.evidence())


def test_fault_10_what_was_done_meanwhile_does_not_become_owed_again(practice: Practice) -> None:
    """The same record is handled twice at once; the slower one settles what it read."""
    survey = answered(practice, 0, 2)
    slow = stored_surveys.get(survey)
    assert slow
    practice.alert()
    assert not stored_surveys.settle_reaction(slow, "alert")
    assert [item for item in practice.evidence().tables["Surveys"] if "pending_reaction" in item] == []
    practice.rest()
    hold(practice.evidence())
    i3(practice.evidence(), once=True)


def test_fault_15_words_that_come_while_the_staff_are_told_of_the_score_are_told_too(practice: Practice) -> None:
    """What is owed reads the same before and after: only the version tells the answers apart."""
    survey = answered(practice, 0, 2)
    changed: list[int] = []

    def change(operation: str, request: Request) -> None:
        if operation == "SendEmail" and not changed:
            changed.append(practice.answer(practice.mail(survey), 2, "Quagga"))

    with practice.gate.hooked(after=change):
        practice.alert()
    practice.rest()
    assert alerts(practice) == [survey, survey]
    hold(practice.evidence())

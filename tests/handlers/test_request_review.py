"""request_review: one review request a promoter, due after its delay."""

from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from functions.alerts.alert_staff.alert import alert
from functions.alerts.request_review.handler import handler
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.settings import ClinicSettings, ReviewLink
from shared.observability import HandlerFailed
from shared.storage import messages, reactions, settings
from shared.storage.models import ActivityItem, SurveyItem
from tests.fakes import FakeMailer
from tests.handlers.answering import ANSWERED_AT, add_patient, answer, sent, stored, survey_id
from tests.stream_driver import StreamDriver

pytestmark = pytest.mark.usefixtures("aws")
SWEEP = {"time": "2026-03-04T15:00:00Z"}


@pytest.fixture
def stream() -> StreamDriver:
    add_patient()
    return StreamDriver(lambda event: handler(event, None), ("review", "review digest"))


def answered(stream: StreamDriver, survey: str, score: int, minutes: int = 0) -> None:
    answer(survey, score, "", ANSWERED_AT + timedelta(minutes=minutes))
    stream.capture(survey)
    stream.deliver()


def request_for(survey: str) -> Message | None:
    return messages.get(f"{survey}-review")


@pytest.mark.parametrize("score", range(11))
def test_promoters_are_asked_and_nobody_else(stream: StreamDriver, score: int) -> None:
    answered(stream, sent(), score)
    assert (request_for("a" * 26) is not None) == (score >= 9)


@pytest.mark.parametrize("score", [2, 8, 10])
def test_everyone_is_asked_if_the_practice_chooses_so(stream: StreamDriver, choose: Any, score: int) -> None:
    choose(REVIEW_INVITATIONS="everyone")
    answered(stream, sent(), score)
    alert(stored("a" * 26), FakeMailer())
    stream.capture("a" * 26)
    stream.deliver()
    assert request_for("a" * 26)
    assert stored("a" * 26).pending_reaction == ("digest" if score == 8 else "")


def test_the_request_is_due_after_the_delay_and_belongs_to_the_survey(stream: StreamDriver) -> None:
    answered(stream, sent(clinic_id="south", touchpoint="discharge"), 10)
    message = request_for("a" * 26)
    assert message
    assert message.due_at == ANSWERED_AT + timedelta(hours=24)
    assert (message.kind, message.state) == (MessageKind.REVIEW, MessageState.DUE)
    assert (message.patient_id, message.clinic_id, message.touchpoint) == ("p1", "south", "discharge")
    assert [(item.kind, item.score) for item in ActivityItem.query("p1")] == [("answered", 10)]


def test_delivering_again_asks_once_and_does_not_move_the_request(stream: StreamDriver) -> None:
    survey = sent()
    answered(stream, survey, 9)
    first = request_for(survey)
    answered(stream, survey, 10, minutes=30)
    SurveyItem(survey).update([SurveyItem.pending_reaction.set("review")])
    handler(SWEEP, None)
    assert request_for(survey) == first
    assert stored(survey).pending_reaction == ""


@pytest.mark.parametrize(
    "differences",
    [{"opted_out": True}, {"deceased": True}, {"review_requested_at": ANSWERED_AT - timedelta(days=363)}],
)
def test_who_must_not_be_asked_is_not(differences: dict[str, Any]) -> None:
    add_patient(**differences)
    survey = sent()
    answer(survey, 10)
    assert handler(SWEEP, None) == {"surveys": 1}
    assert request_for(survey) is None
    assert stored(survey).pending_reaction == ""


def test_twelve_months_later_the_patient_may_be_asked_again() -> None:
    add_patient(review_requested_at=ANSWERED_AT - timedelta(days=365))
    answer(sent(), 10)
    handler(SWEEP, None)
    assert request_for("a" * 26)


def test_a_clinic_without_review_links_asks_nobody(choose: Any) -> None:
    choose(REVIEW_LINKS="")
    add_patient()
    settings.put_clinic(ClinicSettings("south", review_links=(ReviewLink("Google", "https://g.page/south"),)))
    answer(sent(survey_id(0)), 10)
    answer(sent(survey_id(1), clinic_id="south"), 10)
    handler(SWEEP, None)
    assert request_for(survey_id(0)) is None
    assert request_for(survey_id(1))


def test_an_answer_that_is_a_promoters_no_longer_asks_for_nothing(stream: StreamDriver) -> None:
    survey = sent()
    answer(survey, 9)
    stream.capture(survey)
    answer(survey, 3, "", ANSWERED_AT + timedelta(minutes=1))
    stream.deliver()
    assert request_for(survey) is None
    assert stored(survey).pending_reaction == "alert"


def test_a_withdrawn_request_comes_back_when_the_patient_is_a_promoter_again(stream: StreamDriver) -> None:
    survey = sent()
    answered(stream, survey, 9)
    messages.skip(f"{survey}-review", 0, "withdrawn", ANSWERED_AT)
    answered(stream, survey, 3, minutes=1)
    alert(stored(survey), FakeMailer())
    answered(stream, survey, 10, minutes=2)
    message = request_for(survey)
    assert message
    assert (message.state, message.due_at) == (MessageState.DUE, ANSWERED_AT + timedelta(hours=24, minutes=2))


def test_a_low_score_that_the_staff_never_heard_of_comes_before_the_request(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    """The consumer of alerts was down while the patient changed a 2 into a 10."""
    survey = sent()
    answer(survey, 2)
    answered(stream, survey, 10, minutes=1)
    assert request_for(survey) is None
    assert stored(survey).pending_reaction == "alert"
    assert reactions.react(SWEEP, ["alert"], partial(alert, mailer=mailer)) == {"surveys": 1}
    assert len(mailer.sent) == 1
    stream.capture(survey)
    stream.deliver()
    assert request_for(survey)
    assert stored(survey).pending_reaction == ""


def test_one_survey_that_cannot_be_read_holds_up_no_other(stream: StreamDriver) -> None:
    for number in range(3):
        answer(sent(survey_id(number)), 10)
        stream.capture(survey_id(number))
    SurveyItem(survey_id(0)).update([SurveyItem.language.set("??")])
    stream.deliver()
    assert [request_for(survey_id(number)) is not None for number in range(3)] == [False, True, True]
    with pytest.raises(HandlerFailed, match="ReactionsFailed"):
        handler(SWEEP, None)
    SurveyItem(survey_id(0)).update([SurveyItem.language.set("en")])
    assert handler(SWEEP, None) == {"surveys": 1}
    assert request_for(survey_id(0))

"""A message of which an event was written down by somebody who died then: the sender's next run settles it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.track_delivery.handler import handler as track_delivery
from shared.domain.clock import format_instant
from shared.domain.message import MessageState
from shared.mail.mailer import MailOutcomeUnknown
from shared.storage import messages, outcomes, surveys
from shared.storage.models import MessageItem
from tests.fakes import FakeMailer
from tests.handlers.test_send_survey import (
    AS_OF,
    WALL,
    Killed,
    a_due_survey,
    raising,
    run,
    state_of,
    stored,
    summary,
)

pytestmark = pytest.mark.usefixtures("aws")


def an_event(survey_id: str, type_: str) -> dict[str, Any]:
    return {
        "type": type_,
        "at": format_instant(WALL),
        "sent_at": format_instant(WALL),
        "ses_id": "ses-1",
        "message_id": f"{survey_id}-survey",
        "survey_id": survey_id,
        "recipient": "",
    }


@pytest.fixture
def dies_after_writing_down(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Hear of an event, write it down on the message, and die before anything follows from it."""

    def die(_: Any, **__: Any) -> Any:
        raise Killed

    def hear(survey_id: str, type_: str) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(outcomes, "settle", die)
            with pytest.raises(Killed):
                track_delivery(an_event(survey_id, type_), None)

    return hear


@pytest.mark.parametrize(
    ("type_", "ends_as", "found"),
    [("Delivery", MessageState.SENT, {"sent": 1}), ("Reject", MessageState.FAILED, {"failed": 1})],
)
def test_an_unknown_message_is_settled_by_what_was_written_down(type_, ends_as, found, dies_after_writing_down, mailer):
    survey = a_due_survey()
    run(mailer=raising(MailOutcomeUnknown()))
    dies_after_writing_down(survey, type_)
    assert state_of(survey) is MessageState.UNKNOWN
    assert run(mailer=mailer) == summary(**found)
    assert state_of(survey) is ends_as
    assert bool(stored(survey).sent_at) is (ends_as is MessageState.SENT)
    assert mailer.sent == []
    assert run(mailer=mailer) == summary()


def test_a_message_that_waits_though_it_left_is_not_sent_again(dies_after_writing_down, mailer):
    survey = a_due_survey()
    dies_after_writing_down(survey, "Delivery")
    assert state_of(survey) is MessageState.DUE
    assert run(mailer=mailer) == summary(sent=1)
    assert state_of(survey) is MessageState.SENT
    assert mailer.sent == []


def test_an_event_between_reading_and_claiming_keeps_a_message_from_leaving_twice(
    dies_after_writing_down, monkeypatch: pytest.MonkeyPatch, mailer
):
    survey = a_due_survey()
    claim = messages.claim

    def hear_and_claim(wanted: Any) -> bool:
        dies_after_writing_down(survey, "Delivery")
        return claim(wanted)

    monkeypatch.setattr(messages, "claim", hear_and_claim)
    run(mailer=mailer)
    assert mailer.sent == []
    assert state_of(survey) is MessageState.SENT


def test_a_sender_that_gives_up_just_before_the_event_is_written_down_leaves_it_to_be_found(
    dies_after_writing_down, monkeypatch: pytest.MonkeyPatch, mailer
):
    survey = a_due_survey()
    left: list[Any] = []

    def killed_in_call(_: Any) -> None:
        raise Killed

    with pytest.raises(Killed):
        run(mailer=FakeMailer(killed_in_call))
    get = messages.get

    def give_up_once_read(message_id: str) -> Any:
        known = get(message_id)
        if not left:
            left.append(known)
            assert messages.give_up(message_id, 1)
        return known

    with monkeypatch.context() as patch:
        patch.setattr(messages, "get", give_up_once_read)
        dies_after_writing_down(survey, "Delivery")
    assert state_of(survey) is MessageState.UNKNOWN
    later = WALL + timedelta(hours=1)
    assert run(AS_OF, mailer=mailer, now=later) == summary(sent=1)
    assert mailer.sent == []


def test_what_is_settled_is_looked_at_no_more(dies_after_writing_down, mailer):
    survey = a_due_survey()
    run(mailer=mailer)
    dies_after_writing_down(survey, "Delivery")
    assert MessageItem.get(f"{survey}-survey").due is None
    assert surveys.get(survey)
    assert run(mailer=mailer) == summary()

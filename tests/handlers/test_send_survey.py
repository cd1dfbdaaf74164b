"""The send engine on empty tables: what leaves, what waits, and what a crash leaves behind."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.send_survey.handler import handler
from functions.send_survey.pace import Limits, account_limits
from shared.domain.clock import format_instant
from shared.domain.identity import Token, address_key, parse_token
from shared.domain.message import MessageKind, MessageState
from shared.domain.score import Category
from shared.domain.survey import Answer, Survey
from shared.hash_key import hash_key
from shared.mail.mailer import (
    Mail,
    MailOutcomeUnknown,
    MailRefused,
    MailThrottled,
    RecipientNotVerified,
    SendingStopped,
)
from shared.observability import HandlerFailed
from shared.storage import activity, answers, messages, patients, surveys
from shared.storage.models import ActivityItem, AddressItem, MessageItem, PatientItem
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.fakes import FakeContext, FakeMailer

AS_OF = MONDAY_NOON + timedelta(hours=3)
WALL = datetime(2026, 11, 21, 12, tzinfo=UTC)  # the wall clock is elsewhere: replays must not mix the two
PLENTY = Limits(rate=100, allowance=None)
_requests = itertools.count()

pytestmark = pytest.mark.usefixtures("aws")


def run(
    as_of: datetime = AS_OF, *, mailer: Any = None, now: datetime = WALL, limits: Any = PLENTY, **context: Any
) -> Any:
    return handler(
        {"time": format_instant(as_of)},
        FakeContext(f"run-{next(_requests)}", **context),
        mailer=mailer or FakeMailer(),
        limits=lambda: limits,
        now=lambda: now,
        most_at_once=1,
    )


def summary(sent: int = 0, skipped: Any = None, deferred: Any = None, unknown: int = 0, failed: int = 0) -> Any:
    skipped, deferred = skipped or {}, deferred or {}
    due = sent + sum(skipped.values()) + sum(deferred.values()) + unknown + failed
    return {"due": due, "sent": sent, "skipped": skipped, "deferred": deferred, "unknown": unknown, "failed": failed}


def survey_id(n: int = 0) -> str:
    return f"{'abcdefghij'[n]}" * 26


def a_due_survey(n: int = 0, patient: Any = None, **differences: Any) -> str:
    patient = patient or a_patient(f"p{n}")
    seen = patients.get(patient.patient_id)
    patients.put_record(patient, seen)
    surveys.create(a_survey(survey_id(n), patient_id=patient.patient_id))
    messages.create(a_message(survey_id(n), patient_id=patient.patient_id, **differences))
    return survey_id(n)


def state_of(survey: str, kind: MessageKind = MessageKind.SURVEY) -> MessageState | None:
    stored = messages.get(f"{survey}-{kind}")
    return stored.state if stored else None


def stored(survey: str) -> Survey:
    found = surveys.get(survey)
    assert found
    return found


def token_of(mail: Mail) -> Token:
    token = parse_token(mail.text.split("https://care.example.com/s/")[1][:52])
    assert token
    return token


def test_a_due_survey_leaves_once_with_a_link_that_opens_it(mailer):
    survey = a_due_survey()
    assert run(mailer=mailer) == summary(sent=1)
    assert run(mailer=mailer) == summary()
    assert run(AS_OF + timedelta(hours=2), mailer=mailer) == summary()
    [mail] = mailer.sent
    assert mail.to == ("p0@example.com",)
    token = token_of(mail)
    assert answers.find(token, WALL)
    assert answers.find(token, WALL + timedelta(days=30)) is None
    assert state_of(survey) is MessageState.SENT
    assert stored(survey).sent_at == AS_OF
    [note] = ActivityItem.query("p0")
    assert note.kind == "survey_sent"


def test_the_tags_of_a_mail_are_ids_that_ses_accepts(mailer):
    a_due_survey()
    run(mailer=mailer)
    tags = mailer.sent[0].tags
    key = address_key(hash_key(), "p0@example.com")
    assert tags == {"message_id": f"{survey_id()}-survey", "survey_id": survey_id(), "recipient": key}


def test_nothing_is_sent_before_it_is_due():
    a_due_survey()
    assert run(AS_OF - timedelta(seconds=1)) == summary()


def test_one_reminder_after_three_days_and_never_a_second(mailer):
    survey = a_due_survey()
    run(mailer=mailer)
    assert run(AS_OF + timedelta(days=3, seconds=-1), mailer=mailer) == summary()
    assert run(AS_OF + timedelta(days=3), mailer=mailer) == summary(sent=1)
    assert run(AS_OF + timedelta(days=30), mailer=mailer) == summary()
    assert len(mailer.sent) == 2
    first, second = map(token_of, mailer.sent)
    assert first != second
    assert answers.find(first, WALL) == answers.find(second, WALL) is not None
    assert state_of(survey, MessageKind.REMINDER) is MessageState.SENT


def test_no_reminder_to_someone_who_answered(mailer):
    a_due_survey()
    run(mailer=mailer)
    token = token_of(mailer.sent[0])
    answers.record(token, Answer(9, ""), "review", WALL, timedelta(days=7))
    assert run(AS_OF + timedelta(days=3), mailer=mailer) == summary(skipped={"answered": 1})


def test_no_reminders_when_the_practice_wants_none(mailer, choose):
    choose(REMINDER_AFTER_DAYS="0")
    a_due_survey()
    run(mailer=mailer)
    assert run(AS_OF + timedelta(days=3), mailer=mailer) == summary()


def test_a_newer_touchpoint_replaces_the_one_that_waits():
    a_due_survey(0, a_patient("p"), occurred_at=MONDAY_NOON - timedelta(days=2))
    a_due_survey(1, a_patient("p"), touchpoint="visit:6")
    assert run() == summary(sent=1, skipped={"superseded": 1})
    assert state_of(survey_id(1)) is MessageState.SENT
    assert stored(survey_id(0)).unsent_reason == "superseded"


def test_a_touchpoint_that_happened_but_waits_out_its_delay_replaces_already():
    a_due_survey(0, a_patient("p"), occurred_at=MONDAY_NOON - timedelta(days=2))
    a_due_survey(1, a_patient("p"), touchpoint="discharge", occurred_at=AS_OF, due_at=AS_OF + timedelta(hours=3))
    assert run() == summary(skipped={"superseded": 1})


def test_the_second_of_a_couple_is_heard_a_day_later(mailer):
    for n in range(2):
        a_due_survey(n, a_patient(f"p{n}", email="both@example.com"))
    assert run(mailer=mailer) == summary(sent=1, deferred={"address_rest": 1})
    assert run(AS_OF + timedelta(hours=23), mailer=mailer)["sent"] == 0
    assert run(AS_OF + timedelta(days=1), mailer=mailer) == summary(sent=1)


def test_the_pause_begins_with_the_claim(mailer):
    a_due_survey(0, a_patient("p"))
    run(mailer=mailer)
    later = AS_OF + timedelta(days=9)
    a_due_survey(1, a_patient("p"), touchpoint="visit:6", occurred_at=later, due_at=later)
    assert run(later, mailer=mailer)["deferred"] == {"pause": 1}
    assert run(AS_OF + timedelta(days=10), mailer=mailer)["sent"] == 1


def test_a_suppressed_address_is_not_mailed():
    a_due_survey()
    AddressItem(address_key(hash_key(), "p0@example.com"), bounced=True).save()
    assert run() == summary(deferred={"bounced": 1})


def test_an_opt_out_between_reading_and_claiming_is_honoured(monkeypatch, mailer):
    a_due_survey()
    claim = messages.claim

    def opt_out_and_claim(wanted: Any) -> bool:
        patients.opt_out("p0")
        return claim(wanted)

    monkeypatch.setattr(messages, "claim", opt_out_and_claim)
    assert run(mailer=mailer) == summary(skipped={"opted_out": 1})
    assert mailer.sent == []


def test_an_address_changed_between_reading_and_claiming_is_not_mailed_at_the_old_one(monkeypatch, mailer):
    a_due_survey()
    claim = messages.claim

    def change_and_claim(wanted: Any) -> bool:
        PatientItem("p0").update([PatientItem.email.set("new@example.com")])
        return claim(wanted)

    monkeypatch.setattr(messages, "claim", change_and_claim)
    assert run(mailer=mailer) == summary(deferred={"address_changed": 1})
    monkeypatch.undo()
    assert run(mailer=mailer) == summary(sent=1)
    assert mailer.sent[0].to == ("new@example.com",)


def raising(error: Exception) -> FakeMailer:
    def fail(_: Any) -> None:
        raise error

    return FakeMailer(fail)


def test_a_throttled_mail_is_due_again_and_leaves_later(mailer):
    survey = a_due_survey()
    assert run(mailer=raising(MailThrottled())) == summary(deferred={"throttled": 1})
    assert state_of(survey) is MessageState.DUE
    assert run(mailer=mailer) == summary(sent=1)


@pytest.mark.parametrize("error", [MailThrottled(), SendingStopped(), RecipientNotVerified(), MailRefused()])
def test_a_clear_refusal_costs_neither_the_patient_nor_the_spouse_their_turn(error, mailer):
    a_due_survey(0, a_patient("p", email="both@example.com"))
    run(mailer=raising(error))
    patient = patients.get("p")
    assert patient
    assert (patient.surveyed_at, patient.surveyed_by, patient.surveyed_for) == (None, "", None)
    a_due_survey(1, a_patient("q", email="both@example.com"), due_at=AS_OF - timedelta(hours=1))
    messages.skip(f"{survey_id(0)}-survey", 1, "expired", WALL)
    assert run(mailer=mailer)["sent"] == 1


def test_in_the_sandbox_an_unverified_recipient_holds_up_nobody_else(mailer):
    a_due_survey(0)
    a_due_survey(1)

    def sandbox(mail: Mail) -> None:
        if "p0@example.com" in mail.to:
            raise RecipientNotVerified

    mixed = FakeMailer(sandbox)
    assert run(mailer=mixed) == summary(sent=1, deferred={"sandbox": 1})
    assert [mail.to for mail in mixed.sent] == [("p1@example.com",)]


def test_a_refused_mail_fails_for_good(mailer):
    survey = a_due_survey()
    assert run(mailer=raising(MailRefused())) == summary(failed=1)
    assert state_of(survey) is MessageState.FAILED
    assert run(mailer=mailer) == summary()


def test_a_broken_connection_leaves_an_unknown_that_is_never_sent_again(mailer):
    survey = a_due_survey()
    assert run(mailer=raising(MailOutcomeUnknown())) == summary(unknown=1)
    assert state_of(survey) is MessageState.UNKNOWN
    assert run(AS_OF + timedelta(days=1), mailer=mailer, now=WALL + timedelta(days=1)) == summary()
    assert mailer.sent == []


def test_a_stopped_account_ends_the_run_and_leaves_everything_due(mailer, capsys):
    for n in range(5):
        a_due_survey(n)
    stopped = run(mailer=raising(SendingStopped()), limits=PLENTY)
    assert stopped["due"] == sum(stopped["deferred"].values()) == 5
    assert '"SendingStopped"' in capsys.readouterr().out
    assert run(mailer=mailer) == summary(sent=5)


def test_an_account_that_may_not_send_is_not_asked_to():
    a_due_survey()
    assert run(limits=None) == summary(deferred={"sending_stopped": 1})


def test_the_daily_quota_defers_and_drops_nothing(mailer):
    for n in range(3):
        a_due_survey(n)
    assert run(mailer=mailer, limits=Limits(100, 2)) == summary(sent=2, deferred={"quota": 1})
    assert run(mailer=mailer) == summary(sent=1)


def test_no_message_is_claimed_in_the_last_seconds():
    a_due_survey()
    assert run(seconds_left=39) == summary(deferred={"out_of_time": 1})


def test_a_second_run_at_the_same_time_does_nothing(mailer):
    a_due_survey()
    inner: list[Any] = []
    outer = run(mailer=FakeMailer(lambda _: inner.append(run(mailer=mailer))))
    assert (outer, inner) == (summary(sent=1), [summary()])


@pytest.mark.parametrize("bad", [{}, {"time": "<aws.scheduler.scheduled-time>"}, {"time": "2026-03-02T15:00:00"}])
def test_a_run_without_a_moment_fails_loudly(bad):
    with pytest.raises(HandlerFailed, match="ValueError"):
        handler(bad, FakeContext(), mailer=FakeMailer(), limits=lambda: PLENTY)


def test_one_message_that_cannot_be_handled_does_not_stop_the_run(mailer):
    a_due_survey(0)
    a_due_survey(1)

    def fail(mail: Any) -> None:
        if "p0@example.com" in mail.to:
            raise RuntimeError("p0@example.com")

    assert run(mailer=FakeMailer(fail)) == summary(sent=1, deferred={"error": 1})


class Killed(BaseException):
    """The process ends here; nothing after it runs, not even what handles errors."""


STEPS = ["claim", "begin_call", "finish_call", "mark_sent", "create", "note"]


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_sender_killed_at_any_step_sends_at_most_once_and_loses_nothing(step, moment, monkeypatch, mailer):
    survey = a_due_survey()
    holder = {"mark_sent": surveys, "note": activity}.get(step, messages)
    original = getattr(holder, step)

    def die(*arguments: Any, **named: Any) -> Any:
        if moment == "after":
            original(*arguments, **named)
        raise Killed

    monkeypatch.setattr(holder, step, die)
    with pytest.raises(Killed):
        run(mailer=mailer)
    monkeypatch.undo()
    # Before the lease runs out, nobody touches what the dead sender held; afterwards it is sent once or unknown.
    run(mailer=mailer, now=WALL + timedelta(minutes=2))
    run(mailer=mailer, now=WALL + timedelta(minutes=11))
    run(mailer=mailer, now=WALL + timedelta(minutes=22))
    had_called = not (step == "claim" or (step == "begin_call" and moment == "before"))
    if had_called:
        assert state_of(survey) in (MessageState.UNKNOWN, MessageState.SENT)
        assert len(mailer.sent) == (0 if step == "begin_call" else 1)
    else:
        assert state_of(survey) is MessageState.SENT
        assert len(mailer.sent) == 1


def test_a_reminder_exists_however_its_sender_died(monkeypatch, mailer):
    survey = a_due_survey()
    finish = messages.finish_call
    monkeypatch.setattr(messages, "finish_call", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        run(mailer=mailer)
    monkeypatch.setattr(messages, "finish_call", finish)
    assert state_of(survey, MessageKind.REMINDER) is MessageState.DUE


def test_a_review_request_follows_the_answer_that_stands_when_it_is_claimed(mailer):
    survey = a_due_survey()
    run(mailer=mailer)
    token = token_of(mailer.sent[0])
    answers.record(token, Answer(9, ""), "review", WALL, timedelta(days=7))
    messages.create(a_message(survey, MessageKind.REVIEW, patient_id="p0", due_at=WALL, occurred_at=WALL))
    answers.record(token, Answer(3, ""), "alert", WALL, timedelta(days=7))
    saturday_noon = datetime(2026, 11, 21, 17, tzinfo=UTC)
    assert run(saturday_noon, mailer=mailer, now=saturday_noon)["skipped"] == {"withdrawn": 1, "answered": 1}
    assert stored(survey).category is Category.DETRACTOR


def test_an_answer_that_changes_between_reading_and_claiming_withdraws_the_review_request(monkeypatch, mailer):
    survey = a_due_survey()
    run(mailer=mailer)
    token = token_of(mailer.sent[0])
    answers.record(token, Answer(9, ""), "review", WALL, timedelta(days=7))
    saturday_noon = datetime(2026, 11, 21, 17, tzinfo=UTC)
    at = {"due_at": saturday_noon, "occurred_at": saturday_noon}
    messages.create(a_message(survey, MessageKind.REVIEW, patient_id="p0", **at))
    claim = messages.claim

    def change_and_claim(wanted: messages.Claim) -> bool:
        answers.record(token, Answer(3, ""), "alert", WALL, timedelta(days=7))
        return claim(wanted)

    monkeypatch.setattr(messages, "claim", change_and_claim)
    assert run(saturday_noon, mailer=mailer, now=saturday_noon)["skipped"]["withdrawn"] == 1
    assert len(mailer.sent) == 1


def test_a_fifth_of_the_days_quota_is_left_to_alerts():
    class Account:
        def __init__(self, **answer: Any) -> None:
            self.answer = answer

        def get_account(self) -> Any:
            return self.answer

    quota = {"Max24HourSend": 1000.0, "MaxSendRate": 10.0, "SentLast24Hours": 300.0}
    assert account_limits(Account(SendingEnabled=True, SendQuota=quota)) == Limits(10.0, 500)
    assert account_limits(Account(SendingEnabled=False, SendQuota=quota)) is None
    assert account_limits(Account(EnforcementStatus="SHUTDOWN", SendQuota=quota)) is None
    unlimited = {**quota, "Max24HourSend": -1.0}
    assert account_limits(Account(SendQuota=unlimited)) == Limits(10.0, None)


def test_no_table_item_holds_a_secret_in_the_clear(mailer):
    a_due_survey()
    run(mailer=mailer)
    secret = mailer.sent[0].text.split("/s/")[1][26:52]
    assert all(secret not in str(item.attribute_values) for item in MessageItem.scan())

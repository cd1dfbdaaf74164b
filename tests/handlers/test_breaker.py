"""The run stops itself before bounces cost the practice its account, loses nothing, and notices missing news."""

import contextlib
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.send_survey.handler import handler
from functions.send_survey.pace import Limits
from functions.send_survey.senders import told
from functions.track_delivery.handler import handler as track_delivery
from shared.domain.clock import format_instant
from shared.domain.message import MessageState
from shared.domain.sending_health import Fates, Refusal, Refused, StopReason
from shared.domain.staff import Role, Staff
from shared.mail.mailer import Mail, MailOutcomeUnknown, MailRefused, MailThrottled, SendingStopped
from shared.storage import messages, patients, sending_health, surveys
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.fakes import FakeContext, FakeMailer

pytestmark = pytest.mark.usefixtures("aws")
AS_OF = MONDAY_NOON + timedelta(hours=3)
WALL = datetime(2026, 11, 21, 12, tzinfo=UTC)
OWNER = Staff("user-1", "Olive Owens", "olive@example.com", Role.OWNER)
_requests = itertools.count()


@dataclass
class Clock:
    """A wall clock that goes on only when it is told to."""

    moment: datetime = WALL

    def __call__(self) -> datetime:
        return self.moment

    def pass_(self, **time: float) -> None:
        """Let time pass: `pass_(minutes=10)`."""
        self.moment += timedelta(**time)


@dataclass
class Practice:
    """A practice with some mail due, and its sender."""

    clock: Clock = field(default_factory=Clock)
    mailer: FakeMailer = field(default_factory=FakeMailer)
    limits: Limits | None = field(default_factory=lambda: Limits(rate=4, allowance=None))

    def due(self, mails: int) -> None:
        """Make so many surveys due, one a patient."""
        for number in range(mails):
            survey_id = f"{'abcdefghijklmnopqrstuvwxyz'[number]}" * 26
            patient = a_patient(f"p{number}")
            patients.put_record(patient, None)
            surveys.create(a_survey(survey_id, patient_id=patient.patient_id))
            messages.create(a_message(survey_id, patient_id=patient.patient_id))

    def run(self) -> Any:
        """One run of the sender, as the schedule starts it."""
        context = FakeContext(f"run-{next(_requests)}")
        event = {"time": format_instant(AS_OF)}
        return handler(event, context, mailer=self.mailer, limits=lambda: self.limits, now=self.clock)

    def states(self) -> list[MessageState]:
        """Where the messages stand."""
        ids = [f"{letter * 26}-survey" for letter in "abcdefghijklmnopqrstuvwxyz"]
        return sorted(message.state for message in messages.get_many(ids).values())


@pytest.fixture
def a() -> Practice:
    return Practice()


def resume(at: datetime) -> bool:
    stopped = sending_health.state().stopped
    assert stopped
    return sending_health.resume(stopped, OWNER, at)


@pytest.mark.parametrize(
    ("bad", "reason"), [({"bounced": 10}, "too_many_bounces"), ({"complained": 3}, "too_many_complaints")]
)
def test_a_run_that_finds_too_many_bounces_or_complaints_sends_nothing_and_keeps_everything_due(a, bad, reason, capsys):
    a.due(3)
    sending_health.count(WALL - timedelta(days=13), sent=490)
    sending_health.count(WALL, **bad)
    assert a.run()["deferred"] == {reason: 3}
    assert a.states() == [MessageState.DUE] * 3
    assert '"SendingStopped"' in capsys.readouterr().out
    stopped = sending_health.state().stopped
    assert stopped
    assert (stopped.since, stopped.reason, stopped.fates) == (WALL, reason, Fates(sent=490, **bad))


def test_bounces_below_the_bound_stop_nothing(a):
    a.due(1)
    sending_health.count(WALL, sent=501, bounced=10)
    assert a.run()["sent"] == 1
    assert sending_health.state().stopped is None


def test_bounces_of_more_than_two_weeks_ago_stop_nothing(a):
    a.due(1)
    sending_health.count(WALL - timedelta(days=14), bounced=50)
    assert a.run()["sent"] == 1


def test_it_stays_stopped_until_somebody_lets_it_go_on_however_old_the_bounces_are(a, capsys):
    a.due(1)
    sending_health.count(WALL, bounced=10)
    a.run()
    a.clock.pass_(days=60)
    capsys.readouterr()
    assert a.run()["deferred"] == {"too_many_bounces": 1}
    assert '"SendingStopped"' in capsys.readouterr().out
    assert a.mailer.sent == []


def test_a_run_stops_in_its_midst_within_a_minute_and_what_waits_leaves_after_resuming(a):
    a.due(20)

    def bounce(_: Mail) -> None:
        a.clock.pass_(seconds=15)
        sending_health.count(a.clock(), bounced=1)

    a.mailer.fails = bounce
    first = a.run()
    assert first["deferred"].keys() == {"too_many_bounces"}
    # The tenth bounce is seen a minute later at most; what was handed to the threads by then still leaves.
    assert 10 <= first["sent"] <= 16
    assert first["due"] == first["sent"] + first["deferred"]["too_many_bounces"] == 20
    assert set(a.states()) == {MessageState.SENT, MessageState.DUE}
    assert resume(a.clock())
    a.mailer.fails = None
    assert a.run()["sent"] == 20 - first["sent"]
    assert len({mail.to for mail in a.mailer.sent}) == len(a.mailer.sent) == 20


def test_what_a_long_run_has_sent_itself_counts_beside_its_bounces(a):
    a.due(20)
    sending_health.count(WALL, sent=495, bounced=9)

    def bounce_late(_: Mail) -> None:
        a.clock.pass_(seconds=61)
        if len(a.mailer.sent) == 11:
            sending_health.count(a.clock(), bounced=1)

    a.mailer.fails = bounce_late
    assert a.run()["sent"] == 20
    assert sending_health.recent_fates(a.clock(), None) == Fates(sent=515, bounced=10)


def test_each_mail_is_counted_as_sent_once(a):
    a.due(3)
    a.run()
    a.run()
    assert sending_health.recent_fates(WALL, None) == Fates(sent=3)


def killed(mailer: FakeMailer, after: int) -> Any:
    """The environment dies with the run once so many mails have left: nothing that the run still does has effect."""

    def die(_: Mail) -> None:
        if len(mailer.sent) == after:
            raise SystemExit

    return die


def test_mails_of_a_killed_run_stay_counted(a):
    a.due(20)
    a.mailer.fails = killed(a.mailer, 12)
    with pytest.raises(SystemExit):
        a.run()
    assert 12 <= sending_health.sent_on(WALL) <= 20


def test_mails_are_counted_before_they_leave_and_with_few_writes(a, monkeypatch: pytest.MonkeyPatch):
    a.due(20)
    counted: list[int] = []
    count = sending_health.count

    def note(moment: datetime, **fates: int) -> None:
        counted.append(fates["sent"])
        count(moment, **fates)

    def look(_: Mail) -> None:
        assert sum(counted) > len(a.mailer.sent)

    monkeypatch.setattr(sending_health, "count", note)
    a.mailer.fails = look
    assert a.run()["sent"] == 20
    assert counted == [10, 10, 0]


def test_what_did_not_leave_is_taken_back_from_the_day_it_was_counted_on(a):
    a.due(12)
    refused = set[str]()

    def refuse_before_midnight(mail: Mail) -> None:
        if len(a.mailer.sent) == 2 and len(refused) < 4:
            refused.add(mail.to[0])
            a.clock.moment = WALL + timedelta(days=1)
            raise MailRefused

    a.mailer.fails = refuse_before_midnight
    result = a.run()
    assert (result["sent"], result["failed"]) == (8, 4)
    # Ten were counted before midnight, two after it: the new day is not credited with the old one's.
    assert [sending_health.sent_on(WALL + timedelta(days=day)) for day in (0, 1)] == [10, 0]


def test_after_resuming_counting_starts_anew(a):
    a.due(2)
    sending_health.count(WALL, sent=20, bounced=10)
    a.run()
    a.clock.pass_(hours=2)
    assert resume(a.clock())
    sending_health.count(a.clock(), bounced=9)
    assert a.run()["sent"] == 2
    sending_health.count(a.clock(), bounced=1)
    a.run()
    stopped = sending_health.state().stopped
    assert stopped
    assert stopped.fates == Fates(sent=2, bounced=10)


def test_a_run_whose_clock_is_behind_that_of_whoever_resumed_before_midnight_goes_on(a):
    sending_health.count(WALL, bounced=10)
    a.run()
    assert resume(WALL + timedelta(days=1))
    a.due(1)
    assert a.run()["sent"] == 1


def test_a_run_that_counted_before_somebody_resumed_stops_nothing():
    sending_health.count(WALL, bounced=10)
    assert sending_health.stop(StopReason.BOUNCES, Fates(bounced=10), None, WALL)
    assert resume(WALL + timedelta(hours=1))
    assert not sending_health.stop(StopReason.BOUNCES, Fates(bounced=10), None, WALL + timedelta(hours=1))
    assert sending_health.state().stopped is None


def test_of_two_runs_the_first_says_since_when():
    assert sending_health.stop(StopReason.BOUNCES, Fates(bounced=10), None, WALL)
    assert not sending_health.stop(StopReason.COMPLAINTS, Fates(), None, WALL + timedelta(minutes=1))
    stopped = sending_health.state().stopped
    assert stopped
    assert (stopped.reason, stopped.since) == (StopReason.BOUNCES, WALL)


# ---- Switched off by people ----------------------------------------------------------------------------


def test_while_an_owner_has_switched_sending_off_nothing_leaves_and_everything_stays_due(a, capsys):
    a.due(2)
    assert sending_health.pause(OWNER, WALL)
    assert a.run()["deferred"] == {"paused": 2}
    assert a.states() == [MessageState.DUE] * 2
    assert '"SendingStopped"' in capsys.readouterr().out
    paused = sending_health.state().paused
    assert paused
    assert sending_health.end_pause(paused, OWNER, WALL)
    assert a.run()["sent"] == 2


def test_the_switch_ends_a_run_in_its_midst_within_a_minute(a):
    a.due(20)

    def switch_off(_: Mail) -> None:
        a.clock.pass_(seconds=10)
        sending_health.pause(OWNER, a.clock())

    a.mailer.fails = switch_off
    ended = a.run()
    assert 1 <= ended["sent"] <= 12
    assert ended["deferred"] == {"paused": 20 - ended["sent"]}


def test_the_stacks_parameter_switches_sending_off_whatever_the_dashboard_says(a, choose):
    choose(SENDING_PAUSED="true")
    a.due(1)
    assert a.run()["deferred"] == {"paused": 1}


def test_letting_sending_go_on_after_bounces_switches_nothing_on(a):
    a.due(1)
    sending_health.count(WALL, bounced=10)
    a.run()
    assert sending_health.pause(OWNER, WALL)
    assert resume(WALL)
    assert a.run()["deferred"] == {"paused": 1}


# ---- At most so many a day -----------------------------------------------------------------------------


@pytest.fixture
def at_most_three(choose: Any) -> None:
    choose(MAX_SENDS_PER_DAY="3")


@pytest.mark.usefixtures("at_most_three")
def test_what_is_over_the_days_cap_waits_for_the_next_day_and_is_told(a, capsys):
    a.due(5)
    first = a.run()
    assert (first["sent"], first["deferred"]) == (3, {"daily_cap": 2})
    assert '"DailyCapReached"' in capsys.readouterr().out
    assert a.run()["deferred"] == {"daily_cap": 2}
    a.clock.pass_(days=1)
    assert a.run()["sent"] == 2
    assert len({mail.to for mail in a.mailer.sent}) == 5


def test_the_cap_holds_however_many_runs_are_killed(a, choose):
    choose(MAX_SENDS_PER_DAY="12")
    a.due(20)
    for _ in range(2):
        a.mailer.fails = killed(a.mailer, len(a.mailer.sent) + 8)
        with contextlib.suppress(SystemExit):
            a.run()
        a.clock.pass_(minutes=2)
    a.mailer.fails = None
    assert a.run()["deferred"]["daily_cap"]
    assert len(a.mailer.sent) > 8
    assert len(a.mailer.sent) <= 12


@pytest.mark.usefixtures("at_most_three")
def test_what_ses_allows_is_the_limit_if_it_is_less_than_the_cap(a):
    a.due(5)
    a.limits = Limits(4, 2)
    assert a.run()["deferred"] == {"quota": 3}


@pytest.mark.usefixtures("at_most_three")
def test_several_senders_share_what_the_cap_leaves():
    shares = [Limits(4, None).at_most(3, "daily_cap").share(number, 2) for number in range(2)]
    assert shares == [Limits(2, 2, "daily_cap"), Limits(2, 1, "daily_cap")]
    assert told({"sender": 1, "senders": 2, "rate": 2, "allowance": 1}).limits == Limits(2, 1, "quota")


def test_without_a_cap_nothing_waits(a):
    a.due(5)
    assert a.run()["sent"] == 5


# ---- News of mail --------------------------------------------------------------------------------------


def is_told(capsys: pytest.CaptureFixture[str]) -> bool:
    return '"NoDeliveryEvents"' in capsys.readouterr().out


def test_a_quarter_of_an_hour_without_any_event_is_told_by_every_run_until_one_comes(a, capsys):
    a.due(1)
    a.run()
    a.clock.pass_(minutes=14, seconds=59)
    a.run()
    assert not is_told(capsys)
    a.clock.pass_(seconds=1)
    for _ in range(2):
        a.run()
        assert is_told(capsys)
        a.clock.pass_(minutes=10)
    sending_health.heard()
    a.run()
    assert not is_told(capsys)


def test_runs_that_send_do_not_reset_the_clock_while_nothing_is_heard(a):
    a.due(1)
    a.run()
    a.clock.pass_(minutes=10)
    later = Practice(a.clock)
    later.due(2)
    assert later.run()["sent"] == 1
    assert sending_health.state().silent_since == WALL


def test_an_event_that_comes_while_the_run_still_goes_is_heard(a, capsys):
    a.due(2)
    a.mailer.fails = lambda _: sending_health.heard()
    a.run()
    a.clock.pass_(hours=1)
    a.run()
    assert not is_told(capsys)


def test_news_is_expected_before_the_first_mail_leaves(a):
    a.due(1)
    seen = []
    a.mailer.fails = lambda _: seen.append(sending_health.state().silent_since)
    a.run()
    assert seen == [WALL]


def test_a_run_that_had_nothing_to_send_expects_no_news(a):
    a.run()
    assert sending_health.state().silent_since is None


@pytest.mark.parametrize("refusal", [MailThrottled(), SendingStopped()])
def test_a_run_of_which_no_mail_left_expects_no_news(a, refusal):
    a.due(1)
    a.mailer = raising(refusal)
    a.run()
    assert sending_health.state().silent_since is None


def test_a_mail_that_may_have_left_is_expected_to_be_heard_of(a):
    a.due(1)
    a.mailer = raising(MailOutcomeUnknown())
    a.run()
    assert sending_health.state().silent_since == WALL


def test_a_run_of_which_no_mail_left_forgets_nothing_of_an_earlier_one(a):
    a.due(1)
    a.run()
    a.clock.pass_(minutes=10)
    later = Practice(a.clock, raising(MailThrottled()))
    later.due(2)
    later.run()
    assert sending_health.state().silent_since == WALL


def test_a_run_of_which_no_mail_left_ends_nobody_elses_wait():
    assert sending_health.expect_news(WALL)
    sending_health.heard()
    later = WALL + timedelta(minutes=1)
    assert sending_health.expect_news(later)
    sending_health.expect_none(WALL)
    assert sending_health.state().silent_since == later


def raising(error: Exception) -> FakeMailer:
    def fail(_: Mail) -> None:
        raise error

    return FakeMailer(fail)


# ---- What Amazon SES refuses ---------------------------------------------------------------------------


def test_a_paused_account_is_noted_with_its_first_moment_and_forgotten_once_it_may_send(a):
    a.limits = None
    for _ in range(2):
        a.run()
        assert sending_health.state().refused == Refused(WALL, Refusal.ACCOUNT_PAUSED)
        a.clock.pass_(minutes=10)
    a.limits = Limits(4, None)
    a.run()
    assert sending_health.state().refused is None


def test_a_sender_that_ses_does_not_know_is_noted_until_a_mail_leaves(a):
    a.due(1)
    a.mailer = raising(SendingStopped())
    a.run()
    noted = Refused(WALL, Refusal.SENDER_REFUSED)
    assert sending_health.state().refused == noted
    a.clock.pass_(minutes=10)
    a.run()
    assert sending_health.state().refused == noted
    a.mailer = FakeMailer()
    assert a.run()["sent"] == 1
    assert sending_health.state().refused is None


def test_a_run_without_mail_says_nothing_of_a_sender_that_was_refused(a):
    sending_health.note_refusal(Refusal.SENDER_REFUSED, WALL)
    a.run()
    assert sending_health.state().refused == Refused(WALL, Refusal.SENDER_REFUSED)


def test_what_another_run_has_found_refused_meanwhile_is_not_forgotten():
    sending_health.note_refusal(Refusal.SENDER_REFUSED, WALL)
    sending_health.forget_refusal(Refusal.ACCOUNT_PAUSED)
    assert sending_health.state().refused == Refused(WALL, Refusal.SENDER_REFUSED)


# ---- What delivery events count ------------------------------------------------------------------------


def an_event(a: Practice, type_: str, letter: str = "a", **fields: str) -> None:
    """One event of Amazon SES about the survey mail of the patient with this letter."""
    event = {
        "type": type_,
        "at": format_instant(a.clock()),
        "sent_at": format_instant(WALL),
        "ses_id": "ses-1",
        "message_id": f"{letter * 26}-survey",
        "survey_id": letter * 26,
        "recipient": letter * 26,
        **fields,
    }
    track_delivery(event, None, now=a.clock)


def bounce(a: Practice, letter: str = "a", **fields: str) -> None:
    an_event(a, "Bounce", letter, **{"bounce_type": "Permanent", "bounce_status": "5.1.1", **fields})


def test_ten_bounces_of_ten_mails_stop_what_is_due_next(a):
    a.due(11)
    a.limits = Limits(4, 10)
    assert a.run()["sent"] == 10
    for mail in a.mailer.sent:
        bounce(a, mail.tags["survey_id"][0])
    assert a.run()["deferred"] == {"too_many_bounces": 1}
    assert len(a.mailer.sent) == 10


def test_a_bounce_or_complaint_that_is_told_twice_counts_once(a):
    a.due(1)
    a.run()
    for _ in range(2):
        bounce(a)
        an_event(a, "Complaint", complaint_type="abuse")
    assert sending_health.recent_fates(WALL, None) == Fates(sent=1, bounced=1, complained=1)


@pytest.mark.parametrize(("days", "hours"), [(0, 2), (1, 0)], ids=["on the same day", "a day later"])
@pytest.mark.parametrize(
    ("type_", "fields"),
    [("Bounce", {"bounce_type": "Permanent", "bounce_status": "5.1.1"}), ("Complaint", {"complaint_type": "abuse"})],
)
def test_news_of_mails_that_left_before_sending_was_resumed_stops_nothing(a, days, hours, type_, fields):
    a.due(11)
    a.limits = Limits(4, 10)
    a.run()
    assert sending_health.stop(StopReason.BOUNCES, Fates(sent=10), None, WALL)
    a.clock.pass_(days=days, hours=hours)
    assert resume(a.clock())
    for mail in a.mailer.sent:
        an_event(a, type_, mail.tags["survey_id"][0], **fields)
    assert a.run()["sent"] == 1
    an_event(a, type_, a.mailer.sent[-1].tags["survey_id"][0], **fields, sent_at=format_instant(a.clock()))
    resumed = sending_health.state().resumed
    fates = sending_health.recent_fates(a.clock(), resumed)
    assert (fates.bounced, fates.complained) == ((1, 0) if type_ == "Bounce" else (0, 1))


def test_a_bounce_counts_on_the_day_on_which_its_mail_left(a):
    a.due(1)
    a.run()
    a.clock.pass_(days=14)
    bounce(a)
    assert sending_health.recent_fates(a.clock(), None) == Fates()
    assert sending_health.recent_fates(WALL, None) == Fates(sent=1, bounced=1)


def test_a_full_mailbox_a_delay_and_a_bounce_of_the_staff_count_for_nothing(a):
    a.due(1)
    a.run()
    bounce(a, bounce_type="Transient", bounce_status="4.2.2")
    an_event(a, "DeliveryDelay")
    bounce(a, message_id="", recipient="staff-" + "0" * 32)
    assert sending_health.recent_fates(WALL, None) == Fates(sent=1)


def test_a_mail_of_unknown_outcome_counts_as_sent_and_no_second_time_once_an_event_says_so(a):
    a.due(1)
    a.mailer = raising(MailOutcomeUnknown())
    a.run()
    assert sending_health.recent_fates(WALL, None) == Fates(sent=1)
    for type_ in ("Send", "Delivery", "Delivery"):
        an_event(a, type_)
    assert a.states() == [MessageState.SENT]
    assert sending_health.recent_fates(WALL, None) == Fates(sent=1)


@pytest.mark.parametrize("recipient", ["a" * 26, "staff-" + "0" * 32])
def test_an_event_about_any_mail_is_news(a, recipient):
    a.due(1)
    a.run()
    an_event(a, "Delivery", message_id="", survey_id="", recipient=recipient)
    assert sending_health.state().silent_since is None

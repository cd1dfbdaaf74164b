"""Faults 1 to 9, 18, 21, 22 and 25: what may happen to a mail on its way."""

import itertools
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ReadTimeoutError

from functions.send_survey.delivery import LEASE
from local.template import load_template
from tests.builders import a_patient
from tests.faults.invariants import NEW_YORK, hold, i1, i5, told
from tests.faults.practice import AFTERNOON, LAST_NAME, WRITES, Killed, Practice, Request, aws_error, refusing
from tests.faults.turns import Turns
from tests.handlers.answering import survey_id

LOCK_RAN_OUT = timedelta(minutes=2)
LEASE_RAN_OUT = timedelta(minutes=11)


def people(practice: Practice, number: int) -> list[str]:
    return [practice.asked(each) for each in range(number)]


def kinds(practice: Practice) -> list[tuple[str, str]]:
    return sorted((mail.survey_id, mail.kind) for mail in practice.mails)


def once_each(surveys: list[str]) -> list[tuple[str, str]]:
    return [(survey, "survey") for survey in surveys]


def at_each_write(practice: Practice, happens: Callable[[], object]) -> Iterator[int]:
    """Ask one person anew and have something happen before the n-th write of a run, for every n; yields after each.

    What happens before a read shows in what is read, as if it had happened before the run.
    """
    for write in itertools.count(1):
        practice.start_over()
        people(practice, 1)
        writes = itertools.count(1)
        met: list[int] = []

        def meet(operation: str, request: Request, write: int = write, writes: Any = writes, met: Any = met) -> None:
            if operation in WRITES and next(writes) == write:
                met.append(write)
                happens()

        with practice.gate.hooked(before=meet):
            practice.send()
        if not met:
            assert write > 8
            return
        yield write


@pytest.mark.parametrize("ahead", [timedelta(0), LOCK_RAN_OUT, LEASE_RAN_OUT], ids=["locked", "unlocked", "released"])
def test_fault_01_the_same_event_twice_at_the_same_time_mails_everybody_once(
    practice: Practice, ahead: timedelta
) -> None:
    """The second begins before any write of the first, also where lock or leases have run out by its clock."""
    for _ in at_each_write(practice, lambda: practice.send(AFTERNOON, now=AFTERNOON + ahead)):
        i1(practice.evidence())
        state = practice.state(survey_id(0))
        assert state == "sent" or (state == "unknown" and ahead is LEASE_RAN_OUT)
        assert len(practice.mails) == 1
    hold(practice.evidence(), at_rest=False)


def test_fault_02_the_same_event_two_hours_later_finds_nothing_to_do(practice: Practice) -> None:
    surveys = people(practice, 3)
    practice.send()
    practice.later(hours=2)
    assert practice.send(AFTERNOON)["due"] == 0
    assert kinds(practice) == once_each(surveys)
    practice.rest()
    hold(practice.evidence())


def kill(*, before: str = "", after: str = "") -> dict[str, Any]:
    """A death before or after the first such operation; what the process still tries has no effect."""
    dead: list[str] = []

    def at(operation: str, name: str) -> None:
        if dead or operation == name:
            dead.append(operation)
            raise Killed

    return {
        "before": lambda operation, request: at(operation, before),
        "after": lambda operation, request: at(operation, after),
    }


def test_fault_03_a_crash_before_the_call_is_announced_costs_nobody_the_mail(practice: Practice) -> None:
    [survey] = people(practice, 1)
    with practice.gate.hooked(**kill(after="TransactWriteItems")), pytest.raises(Killed):
        practice.send()
    assert practice.state(survey) == "claimed"
    practice.later(minutes=2)
    assert practice.send()["deferred"] == {"in_progress": 1}
    practice.rest()
    assert kinds(practice) == once_each([survey])
    hold(practice.evidence())


@pytest.mark.parametrize("days", [0, 1], ids=["on the same day", "a day later"])
def test_fault_03_a_touchpoint_whose_sender_died_goes_out_though_a_newer_one_has_come(
    practice: Practice, days: int
) -> None:
    """The patient's turn was taken for it: were it replaced, the newer one would wait for what was never sent."""
    [survey] = people(practice, 1)
    with practice.gate.hooked(**kill(after="TransactWriteItems")), pytest.raises(Killed):
        practice.send()
    newer = practice.later(days=days, minutes=11)
    practice.asked(2, patient=a_patient("p0", last_name=LAST_NAME), occurred_at=newer, due_at=newer)
    practice.rest()
    assert kinds(practice) == once_each([survey])
    hold(practice.evidence(), at_rest=False)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_fault_04_a_crash_around_the_call_sends_at_most_once_and_is_counted(practice: Practice, moment: str) -> None:
    [survey] = people(practice, 1)
    with practice.gate.hooked(**kill(**{moment: "SendEmail"})), pytest.raises(Killed):
        practice.send()
    assert practice.state(survey) == "calling"
    practice.later(minutes=11)
    assert practice.send()["unknown"] == 1
    practice.rest()
    assert practice.state(survey) == "unknown"
    assert len(practice.mails) == (moment == "after")
    hold(practice.evidence())


def test_fault_05_a_mail_that_left_although_the_answer_timed_out_is_not_sent_again(practice: Practice) -> None:
    [survey] = people(practice, 1)
    timeout = ReadTimeoutError(endpoint_url="https://email.example")
    with practice.gate.hooked(after=refusing(timeout, "SendEmail")):
        assert practice.send()["unknown"] == 1
    practice.rest()
    assert practice.state(survey) == "unknown"
    assert kinds(practice) == once_each([survey])
    hold(practice.evidence())


def test_fault_06_throttling_defers_drops_nothing_and_lets_alerts_through(practice: Practice) -> None:
    surveys = people(practice, 3)
    practice.send()
    surveys += [practice.asked(number) for number in range(3, 10)]
    practice.later(minutes=10)
    with practice.gate.hooked(before=refusing(aws_error("TooManyRequestsException", 429), "SendEmail")):
        run = practice.send()
    assert run["deferred"] == {"throttled": run["due"]}
    practice.gate.quota = {"Max24HourSend": 100.0, "MaxSendRate": 1250.0, "SentLast24Hours": 79.0}
    practice.answer(practice.mail(surveys[0]), 2)
    practice.later(minutes=10)
    assert practice.send()["deferred"] == {"quota": 6}
    practice.alert()
    assert [mail.survey_id for mail in practice.mails if mail.kind == "staff"] == [surveys[0]]
    practice.gate.quota["SentLast24Hours"] = 0.0
    practice.rest()
    assert [each for each in kinds(practice) if each[1] == "survey"] == once_each(surveys)
    hold(practice.evidence())


def test_fault_06_a_refusal_dealt_with_late_takes_no_pause_from_who_was_mailed_meanwhile(practice: Practice) -> None:
    """The throttled worker stands still once the message is due again, and a later run sends it."""
    [survey] = people(practice, 1)
    later, met = AFTERNOON + timedelta(minutes=10), list[str]()

    def overtake(operation: str, request: Request) -> None:
        if practice.state(survey) == "due" and practice.claims and not met:
            met.append(operation)
            assert practice.send(later, now=later)["sent"] == 1

    throttled = refusing(aws_error("TooManyRequestsException", 429), "SendEmail", times=1)
    with practice.gate.hooked(before=throttled), practice.gate.hooked(after=overtake):
        practice.send()
    assert met
    tomorrow = practice.later(days=1)
    practice.asked(2, patient=a_patient("p0", last_name=LAST_NAME), occurred_at=tomorrow, due_at=tomorrow)
    assert practice.send()["deferred"] == {"pause": 1}
    practice.rest()
    hold(practice.evidence(), at_rest=False)


NOT_VERIFIED = aws_error("MessageRejected")
NOT_VERIFIED.response["Error"]["Message"] = (
    "Email address is not verified. The following identities failed the check in region US-EAST-1:"
    " care@riverside.example.com"
)


@pytest.mark.parametrize(
    "error",
    [
        aws_error("AccountSuspendedException"),
        aws_error("SendingPausedException"),
        aws_error("MailFromDomainNotVerifiedException"),
        NOT_VERIFIED,
    ],
    ids=["suspended", "paused", "domain", "sender"],
)
def test_fault_07_a_stopped_account_ends_the_run_tells_and_leaves_all_due(practice: Practice, error: Exception) -> None:
    surveys = people(practice, 20)
    tried: list[str] = []

    def refuse(operation: str, request: Request) -> None:
        if operation == "SendEmail":
            tried.append(operation)
            raise error

    with practice.gate.hooked(before=refuse):
        run = practice.send()
    assert run["deferred"] == {"sending_stopped": 20}
    assert len(tried) < 20, "it went on trying"
    told(practice.evidence(), "SendingStopped")
    assert {practice.state(survey) for survey in surveys} == {"due"}
    practice.rest()
    assert kinds(practice) == once_each(surveys)
    hold(practice.evidence())


def test_fault_07_an_account_that_may_not_send_is_not_asked_to(practice: Practice) -> None:
    surveys = people(practice, 2)
    practice.gate.sending_enabled = False
    assert practice.send()["deferred"] == {"sending_stopped": 2}
    told(practice.evidence(), "SendingStopped")
    assert practice.claims == []
    practice.gate.sending_enabled = True
    practice.rest()
    assert kinds(practice) == once_each(surveys)
    hold(practice.evidence())


@pytest.mark.parametrize("mail", [1, 3, 6])
def test_fault_08_the_run_after_a_killed_one_goes_on(practice: Practice, mail: int) -> None:
    surveys = people(practice, 6)
    left = itertools.count(1)

    def die(operation: str, request: Request) -> None:
        if operation == "SendEmail" and next(left) == mail:
            raise Killed

    with practice.gate.hooked(after=die), pytest.raises(Killed):
        practice.send()
    practice.later(minutes=10)
    practice.send()
    assert kinds(practice) == once_each(surveys)
    practice.rest()
    states = sorted(practice.state(survey) for survey in surveys)
    assert states == ["sent"] * 5 + ["unknown"]
    hold(practice.evidence())


def test_fault_09_a_lease_outlives_every_worker() -> None:
    timeout = load_template()["Resources"]["SendSurveyFunction"]["Properties"]["Timeout"]
    assert timedelta(seconds=timeout) < LEASE


@pytest.mark.parametrize("operation", ["UpdateItem", "SendEmail"])
def test_fault_09_a_worker_that_lives_on_all_the_same_doubles_nothing(practice: Practice, operation: str) -> None:
    """It stands still after its claim, or after it announced the call, while the next run takes over."""
    [survey] = people(practice, 1)
    stood_still: list[str] = []

    def stand_still(called: str, request: Request) -> None:
        if practice.claims and called == operation and not stood_still:
            stood_still.append(called)
            practice.send(AFTERNOON + LEASE_RAN_OUT, now=AFTERNOON + LEASE_RAN_OUT)

    with practice.gate.hooked(before=stand_still):
        practice.send()
    assert stood_still
    assert kinds(practice) == once_each([survey])
    practice.later(minutes=11)
    practice.rest()
    assert kinds(practice) == once_each([survey])
    hold(practice.evidence())


def test_fault_18_writes_that_the_sdk_repeats_count_as_done(practice: Practice) -> None:
    surveys = people(practice, 3)
    practice.gate.repeats = True
    assert practice.send()["sent"] == 3
    assert {practice.state(survey) for survey in surveys} == {"sent"}
    for survey, score in zip(surveys, (2, 8, 10), strict=True):
        assert practice.answer(practice.mail(survey), score, "Quagga") == 200
    practice.later(hours=1)
    practice.rest()
    practice.opt_out(practice.mail(surveys[0]))
    practice.later(days=1)
    assert practice.send()["sent"] == 1
    practice.rest()
    hold(practice.evidence())
    digest = ("", "staff")
    assert kinds(practice) == sorted([*once_each(surveys), (surveys[0], "staff"), digest, (surveys[2], "review")])


AGAINST = {
    "opted out": lambda practice: practice.opts_out("p0"),
    "on hold": lambda practice: practice.hold("p0"),
    "dead": lambda practice: practice.dies("p0"),
    "bounced": lambda practice: practice.suppress("p0@example.com", "bounced"),
    "complained": lambda practice: practice.suppress("p0@example.com", "complained"),
    "erased": lambda practice: practice.erases("p0"),
}


@pytest.mark.parametrize("happens", AGAINST.values(), ids=AGAINST)
def test_fault_22_whoever_must_not_be_mailed_any_more_is_not_whenever_that_becomes_known(
    practice: Practice, happens: Any
) -> None:
    """Before any write of the run: what is known before the claim is heeded, and so it is by every later run."""
    mailed = [0]
    for _ in at_each_write(practice, lambda: happens(practice)):
        i5(practice.evidence())
        mailed.append(len(practice.mails))
    assert mailed == sorted(mailed), "a reason that came later kept the mail back, an earlier one did not"
    assert 0 < mailed.index(1) < len(mailed) - 3
    practice.later(days=3)
    practice.send()
    hold(practice.evidence(), at_rest=False)


EVENTS = {"bounce": lambda practice, mail: practice.bounces(mail), "complaint": lambda p, mail: p.complains(mail)}


@pytest.mark.parametrize("happens", EVENTS.values(), ids=EVENTS)
def test_fault_21_what_arrives_before_sent_is_written_ends_mail_to_the_address(
    practice: Practice, happens: Any
) -> None:
    """A spouse at the same address, the reminder and the patient's next survey are not mailed either."""
    [survey] = people(practice, 1)
    spouse = practice.asked(1, patient=a_patient("p1", email="p0@example.com", last_name=LAST_NAME))

    def arrive(operation: str, request: Request) -> None:
        if operation == "SendEmail":
            assert practice.state(practice.mails[-1].survey_id) == "calling"
            happens(practice, practice.mails[-1])

    with practice.gate.hooked(after=arrive):
        practice.send()
    assert {practice.state(survey), practice.state(spouse)} < {"sent", "due", "skipped"}
    for _ in range(4):
        practice.later(days=1)
        practice.rest()
    assert len(practice.mails) == 1
    hold(practice.evidence())


def test_fault_21_an_event_settles_what_a_crash_left_unknown(practice: Practice) -> None:
    """The sender died after the call; the event comes before or after the lease has run out."""
    for is_early in (True, False):
        practice.start_over()
        [survey] = people(practice, 1)
        with practice.gate.hooked(**kill(after="SendEmail")), pytest.raises(Killed):
            practice.send()
        if is_early:
            practice.hear_of(practice.mails[0], "Delivery")
        practice.rest()
        practice.hear_of(practice.mails[0], "Delivery")
        practice.rest()
        assert practice.state(survey) == "sent"
        assert practice.state(survey, "reminder") == "due"
        assert len(practice.mails) == 1
        hold(practice.evidence())


DST = {"gap": "2026-03-08", "overlap": "2026-11-01"}


@pytest.mark.parametrize("sunday", DST.values(), ids=DST)
def test_fault_25_mail_keeps_the_clinics_hours_when_clocks_change(practice: Practice, choose: Any, sunday: str) -> None:
    """Hours that begin and end within the night in which an hour is missing, or comes twice."""
    choose(SEND_FROM="01:30", SEND_UNTIL="02:30", SEND_DAYS="Mon-Sun", PAUSE_DAYS="0")
    midnight = datetime.fromisoformat(sunday).replace(tzinfo=NEW_YORK).astimezone(UTC)
    for number in range(3):
        due = midnight + timedelta(minutes=40 * number)
        practice.asked(number, due_at=due, occurred_at=due - timedelta(hours=3))
    for minutes in range(0, 6 * 60, 10):
        practice.clock = midnight + timedelta(minutes=minutes)
        practice.send()
        practice.send()
    for mail in practice.mails:
        assert "01:30" <= f"{mail.at.astimezone(NEW_YORK):%H:%M}" < "02:30"
    assert kinds(practice) == once_each([survey_id(number) for number in range(3)])
    hold(practice.evidence(), at_rest=False)


@pytest.mark.parametrize("minutes", [-5, 5])
def test_fault_25_a_host_whose_clock_is_five_minutes_off_sends_nothing_twice_or_late(
    practice: Practice, minutes: int
) -> None:
    surveys = people(practice, 2)
    off = timedelta(minutes=minutes)
    with practice.gate.hooked(**kill(after="TransactWriteItems")), pytest.raises(Killed):
        practice.send()
    practice.send(now=practice.clock + off)
    practice.later(minutes=11)
    practice.send(now=practice.clock + off)
    practice.later(minutes=11)
    practice.rest()
    assert kinds(practice) == once_each(surveys)
    hold(practice.evidence())


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The host is in UTC+14."""
    with monkeypatch.context() as host:
        host.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        yield
    time.tzset()


def test_fault_25_a_host_in_the_far_east_keeps_the_clinics_hours(practice: Practice, far_east: None) -> None:
    surveys = people(practice, 2)
    practice.clock = AFTERNOON + timedelta(hours=5)  # eight in the evening at the clinic, Tuesday morning at the host
    assert practice.send()["deferred"] == {"outside_window": 2}
    practice.clock = AFTERNOON + timedelta(hours=17)
    practice.send()
    assert kinds(practice) == once_each(surveys)
    assert practice.answer(practice.mail(surveys[0]), 3) == 200
    practice.rest()
    hold(practice.evidence())


@pytest.mark.parametrize("calls", [0, 1, 2])
@pytest.mark.parametrize("first", [0, 1])
def test_fault_09_of_two_workers_that_hold_the_same_message_one_sends_it(
    practice: Practice, first: int, calls: int
) -> None:
    """The old one wakes between the other's claim and its call; either goes on for some calls before the other does."""
    [survey] = people(practice, 1)
    turns = Turns(practice.gate)
    runners = []
    for claims in (1, 2):
        runners.append(turns.start(practice.send))
        while len(practice.claims) < claims:
            runners[-1].step()
        practice.later(minutes=11)
    for _ in range(calls):
        runners[first].step()
    for runner in (runners[1 - first], runners[first]):
        while not runner.has_ended:
            runner.step()
    assert [runner.failure for runner in runners] == [None, None]
    assert kinds(practice) == once_each([survey])
    practice.rest()
    assert practice.state(survey) == "sent"
    hold(practice.evidence())


def test_fault_09_a_worker_that_wakes_when_its_message_is_settled_sends_nothing(practice: Practice) -> None:
    """A frozen environment thaws after weeks."""
    [survey] = people(practice, 1)
    runner = Turns(practice.gate).start(practice.send)
    while not practice.claims:
        runner.step()
    practice.later(days=15)
    assert practice.send()["skipped"] == {"expired": 1}
    while not runner.has_ended:
        runner.step()
    assert runner.failure is None
    assert practice.mails == []
    assert practice.state(survey) == "skipped"


def test_fault_09_what_a_worker_calls_about_is_not_skipped_by_the_run_that_took_it_for_dead(practice: Practice) -> None:
    """It wakes and makes its call at any moment of that run."""
    for calls in itertools.count():
        practice.start_over()
        [survey] = people(practice, 1)
        turns = Turns(practice.gate)
        old = turns.start(practice.send)
        while not practice.claims:
            old.step()
        practice.later(days=15)
        new = turns.start(practice.send)
        for _ in range(calls):
            if not new.has_ended:
                new.step()
        is_over = new.has_ended
        old.step()
        for runner in (new, old):
            while not runner.has_ended:
                runner.step()
            assert runner.failure is None
        practice.gate.before.clear()
        assert (practice.state(survey), len(practice.mails)) in [("sent", 1), ("unknown", 1), ("skipped", 0)]
        if is_over:
            break
    assert calls > 5

"""Who may be mailed, and when."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import read_practice
from shared.domain.eligibility import SEND, Decision, Situation, Verdict, decide, expected, superseded
from shared.domain.message import MessageKind, MessageState
from shared.domain.patient import Address
from shared.domain.score import Category
from shared.domain.settings import ReviewInvitations, Window
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.environment import ENVIRONMENT

PRACTICE = read_practice(ENVIRONMENT)
AS_OF = MONDAY_NOON + timedelta(hours=3)
NEW_YORK = ZoneInfo("America/New_York")


def decided(as_of: datetime = AS_OF, now: datetime = AS_OF, **differences: Any) -> Decision:
    situation = Situation(
        **{
            "message": a_message(),
            "survey": a_survey(),
            "patient": a_patient(),
            "address": None,
            "clinic": PRACTICE.clinic("north"),
            "practice": PRACTICE,
            **differences,
        }
    )
    return decide(situation, as_of, now)


def skip(reason: str) -> Decision:
    return Decision(Verdict.SKIP, reason)


def defer(reason: str) -> Decision:
    return Decision(Verdict.DEFER, reason)


def test_an_ordinary_survey_is_sent():
    assert decided() == SEND


@pytest.mark.parametrize(
    ("difference", "reason"),
    [({"deceased": True}, "deceased"), ({"opted_out": True}, "opted_out")],
)
def test_the_dead_and_those_who_opted_out_are_never_mailed(difference, reason):
    assert decided(patient=a_patient(**difference)) == skip(reason)


def test_a_complaint_ends_all_mail_to_the_address():
    assert decided(address=Address("k", complained=True)) == skip("complained")


@pytest.mark.parametrize(
    ("patient", "address", "reason"),
    [
        (None, None, "no_address"),
        (a_patient(email=""), None, "no_address"),
        (a_patient(hold=True), None, "on_hold"),
        (a_patient(), Address("k", bounced=True), "bounced"),
    ],
)
def test_a_patient_who_cannot_be_reached_waits_and_expires_with_that_reason(patient, address, reason):
    assert decided(patient=patient, address=address) == defer(reason)
    assert decided(MONDAY_NOON + timedelta(days=15), patient=patient, address=address) == skip(reason)


def test_an_archived_patient_still_gets_what_was_due_already():
    assert decided(patient=a_patient(archived=True)) == SEND


def test_a_touchpoint_expires_after_fourteen_days_and_not_before():
    assert decided(MONDAY_NOON + timedelta(days=14)) == SEND
    assert decided(MONDAY_NOON + timedelta(days=14, seconds=1)) == skip("expired")


def test_the_pause_of_ten_days_holds_to_the_second_and_not_longer():
    patient = a_patient(surveyed_at=AS_OF - timedelta(days=10) + timedelta(seconds=1), surveyed_by="another")
    assert decided(patient=patient) == defer("pause")
    assert decided(patient=replace(patient, surveyed_at=AS_OF - timedelta(days=10))) == SEND


def test_a_claim_that_was_released_does_not_pause_its_own_message():
    assert decided(patient=a_patient(surveyed_at=AS_OF, surveyed_by=a_message().message_id)) == SEND


def test_an_address_rests_a_day_between_two_patients_but_not_for_the_same_one():
    address = Address("k", last_contact_at=AS_OF - timedelta(hours=23), last_patient_id="spouse")
    assert decided(address=address) == defer("address_rest")
    assert decided(address=replace(address, last_patient_id="p1")) == SEND
    assert decided(address=replace(address, last_contact_at=AS_OF - timedelta(days=1))) == SEND


def test_reminders_and_review_requests_ignore_the_pause_and_keep_the_window():
    patient = a_patient(surveyed_at=AS_OF - timedelta(days=3), surveyed_by="another")
    reminder = a_message(kind=MessageKind.REMINDER)
    sent = a_survey(sent_at=MONDAY_NOON)
    assert decided(message=reminder, survey=sent, patient=patient) == SEND
    sunday = AS_OF - timedelta(days=1)
    early = replace(reminder, occurred_at=sunday - timedelta(days=1))
    assert decided(sunday, message=early, survey=sent, patient=patient) == defer("outside_window")


def test_no_reminder_after_an_answer():
    answered = a_survey(sent_at=MONDAY_NOON, version=1, score=0, category=Category.DETRACTOR)
    assert decided(message=a_message(kind=MessageKind.REMINDER), survey=answered) == skip("answered")


def test_no_reminder_for_a_survey_that_may_never_have_left():
    assert decided(message=a_message(kind=MessageKind.REMINDER)) == defer("survey_unknown")


def answered_with(score: int) -> dict[str, Any]:
    category = Category.PROMOTER if score >= 9 else Category.DETRACTOR
    return {
        "message": a_message(kind=MessageKind.REVIEW),
        "survey": a_survey(sent_at=MONDAY_NOON, version=1, score=score, category=category),
    }


def test_a_promoter_who_changed_to_three_is_not_asked_for_a_review():
    assert decided(**answered_with(9)) == SEND
    assert decided(**answered_with(3)) == skip("withdrawn")
    everyone = replace(PRACTICE, review_invitations=ReviewInvitations.EVERYONE)
    assert decided(**answered_with(3), practice=everyone) == SEND
    off = replace(PRACTICE, review_invitations=ReviewInvitations.OFF)
    assert decided(**answered_with(9), practice=off) == skip("withdrawn")


def test_one_review_request_in_twelve_months():
    asked = a_patient(review_requested_at=AS_OF - timedelta(days=364), review_requested_by="another")
    assert decided(**answered_with(10), patient=asked) == skip("asked_before")
    long_ago = replace(asked, review_requested_at=AS_OF - timedelta(days=365))
    assert decided(**answered_with(10), patient=long_ago) == SEND


def test_a_living_lease_is_left_alone_and_a_dead_one_is_claimed_again_or_given_up():
    claimed = a_message(state=MessageState.CLAIMED, lease_until=AS_OF)
    calling = a_message(state=MessageState.CALLING, lease_until=AS_OF)
    assert decided(message=claimed) == decided(message=calling) == defer("in_progress")
    later = AS_OF + timedelta(seconds=1)
    assert decided(message=claimed, now=later) == SEND
    assert decided(message=calling, now=later) == Decision(Verdict.GIVE_UP)


def test_only_the_wall_clock_ends_a_lease():
    claimed = a_message(state=MessageState.CLAIMED, lease_until=AS_OF)
    assert decided(AS_OF + timedelta(days=2), now=AS_OF, message=claimed) == defer("in_progress")


@given(st.integers(0, 364 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)))
def test_nothing_is_sent_outside_the_clinics_own_hours_and_days(as_of):
    kiritimati = replace(PRACTICE.clinic("far"), zone=ZoneInfo("Pacific/Kiritimati"))
    for clinic in (kiritimati, PRACTICE.clinic("north")):
        message = a_message(occurred_at=as_of - timedelta(days=1))
        local = as_of.astimezone(clinic.zone)
        is_open = local.weekday() < 6 and 8 <= local.hour < 20
        assert decided(as_of, message=message, clinic=clinic) == (SEND if is_open else defer("outside_window"))


@pytest.mark.parametrize("day", [datetime(2026, 3, 8, tzinfo=NEW_YORK), datetime(2026, 11, 1, tzinfo=NEW_YORK)])
def test_the_window_follows_the_wall_through_the_hour_that_is_missing_or_doubled(day):
    window = Window(time(1, 30), time(2, 30), frozenset(range(7)))
    clinic = replace(PRACTICE.clinic("north"), window=window)
    for minute in range(0, 24 * 60, 10):
        as_of = day.astimezone(UTC) + timedelta(minutes=minute)
        local = as_of.astimezone(NEW_YORK)
        is_open = time(1, 30) <= local.time() < time(2, 30)
        decision = decided(as_of, message=a_message(occurred_at=as_of), clinic=clinic)
        assert decision == (SEND if is_open else defer("outside_window"))


def waiting(name: str, occurred_at: datetime, **differences: Any) -> Any:
    return a_message(name, touchpoint=name, occurred_at=occurred_at, **differences)


def replaced(*messages: Any, as_of: datetime = AS_OF) -> set[str]:
    return {found.removesuffix("-survey") for found in superseded(messages, as_of, lambda _: NEW_YORK)}


def test_a_newer_touchpoint_replaces_one_still_waiting():
    older = waiting("evaluation", MONDAY_NOON - timedelta(days=3))
    assert replaced(older, waiting("visit:6", MONDAY_NOON)) == {"evaluation"}
    assert replaced(older, waiting("visit:6", MONDAY_NOON, patient_id="someone else")) == set()


def test_discharge_wins_its_day_whatever_the_order_of_the_hours():
    discharge = waiting("discharge", MONDAY_NOON - timedelta(hours=1))
    assert replaced(discharge, waiting("visit:6", MONDAY_NOON)) == {"visit:6"}
    assert replaced(
        discharge, waiting("visit:6", MONDAY_NOON + timedelta(days=1)), as_of=AS_OF + timedelta(days=2)
    ) == {"discharge"}


def test_what_has_not_happened_yet_replaces_nothing():
    later = waiting("days_after_evaluation:30", MONDAY_NOON + timedelta(days=30))
    assert replaced(waiting("evaluation", MONDAY_NOON), later) == set()


def test_a_touchpoint_older_than_the_one_last_asked_about_is_not_asked_any_more():
    asked = a_patient(surveyed_at=AS_OF - timedelta(days=11), surveyed_by="x", surveyed_for=MONDAY_NOON)
    assert decided(patient=asked, message=a_message(occurred_at=MONDAY_NOON - timedelta(days=1))) == skip("superseded")


def test_a_day_already_asked_about_is_not_asked_about_again_except_by_its_discharge():
    asked = a_patient(surveyed_at=AS_OF - timedelta(days=11), surveyed_by="x", surveyed_for=MONDAY_NOON)
    later_that_day = MONDAY_NOON + timedelta(hours=2)
    assert decided(patient=asked, message=a_message(occurred_at=later_that_day)) == skip("superseded")
    discharge = a_message(occurred_at=later_that_day, touchpoint="discharge")
    assert decided(patient=asked, message=discharge) == SEND
    next_day = a_message(occurred_at=MONDAY_NOON + timedelta(days=1))
    assert decided(MONDAY_NOON + timedelta(days=1), patient=asked, message=next_day).reason != "superseded"


@given(st.lists(st.tuples(st.sampled_from(["p1", "p2"]), st.integers(0, 9)), max_size=8, unique=True))
def test_exactly_one_waiting_survey_of_each_patient_is_kept(touchpoints):
    messages = [
        waiting(f"{patient}-{day}", MONDAY_NOON - timedelta(days=day), patient_id=patient)
        for patient, day in touchpoints
    ]
    kept = {message.message_id for message in messages} - superseded(messages, AS_OF, lambda _: NEW_YORK)
    assert len(kept) == len({patient for patient, _ in touchpoints})


# What will become of what waits.


def unsent(number: int = 1, touchpoint: str = "evaluation", hours: float = 0, **differences: Any) -> Situation:
    """A survey about a visit so many hours after Monday noon, due three hours later."""
    occurred_at = MONDAY_NOON + timedelta(hours=hours)
    message = a_message(
        f"{number:026}", touchpoint=touchpoint, occurred_at=occurred_at, due_at=occurred_at + timedelta(hours=3)
    )
    return Situation(
        **{
            "message": message,
            "survey": a_survey(message.survey_id),
            "patient": a_patient(),
            "address": None,
            "clinic": PRACTICE.clinic("north"),
            "practice": PRACTICE,
            **differences,
        }
    )


def foretold(*situations: Situation, now: datetime = MONDAY_NOON) -> list[tuple[str, str]]:
    """Touchpoint, and the time in New York at which it is asked about, or why it is not."""
    return [
        (each.message.touchpoint, each.at.astimezone(NEW_YORK).strftime("%a %d %H:%M") if each.at else each.reason)
        for each in expected(situations, now)
    ]


def test_a_survey_goes_out_when_it_is_due_or_when_the_clinic_s_hours_begin():
    assert foretold(unsent()) == [("evaluation", "Mon 02 15:00")]
    assert foretold(unsent(hours=6)) == [("evaluation", "Tue 03 08:00")]
    assert foretold(unsent(hours=24 * 5 + 6)) == [("evaluation", "Mon 09 08:00")]  # Saturday night


def test_what_is_long_past_will_not_go_out():
    assert foretold(unsent(), now=MONDAY_NOON + timedelta(days=15)) == [("evaluation", "expired")]


def test_whoever_cannot_be_reached_will_not_be_mailed_and_the_reason_is_the_sender_s():
    assert foretold(unsent(patient=None)) == [("evaluation", "no_address")]
    assert foretold(unsent(patient=a_patient(email=""))) == [("evaluation", "no_address")]
    assert foretold(unsent(patient=a_patient(hold=True))) == [("evaluation", "on_hold")]
    assert foretold(unsent(patient=a_patient(opted_out=True))) == [("evaluation", "opted_out")]
    assert foretold(unsent(address=Address("k", bounced=True))) == [("evaluation", "bounced")]


def test_a_pause_puts_off_the_next_survey_or_outlasts_it():
    asked = a_patient(surveyed_at=MONDAY_NOON - timedelta(days=8), surveyed_by="other")
    assert foretold(unsent(patient=asked)) == [("evaluation", "Wed 04 12:00")]
    first, second = unsent(), unsent(2, "visit:6", hours=24 * 4)
    assert foretold(first, second) == [("evaluation", "Mon 02 15:00"), ("visit:6", "Thu 12 16:00")]


def test_of_what_waits_together_only_the_newest_is_asked_about():
    night = [unsent(hours=7), unsent(2, "visit:6", hours=8)]
    assert foretold(*night) == [("evaluation", "superseded"), ("visit:6", "Tue 03 08:00")]
    assert foretold(unsent(), unsent(2, "discharge"), now=AS_OF) == [
        ("evaluation", "superseded"),
        ("discharge", "Mon 02 15:00"),
    ]


def test_an_address_that_was_just_written_to_about_someone_else_rests():
    rests = Address("k", last_contact_at=MONDAY_NOON, last_patient_id="p2")
    assert foretold(unsent(address=rests)) == [("evaluation", "Tue 03 12:00")]


@given(
    st.lists(st.tuples(st.integers(-400, 400), st.sampled_from(["evaluation", "visit:6", "discharge"])), max_size=4),
    st.integers(0, 20),
    st.booleans(),
)
def test_what_is_foretold_is_what_a_sender_that_runs_every_half_hour_would_do(touchpoints, paused_days, has_address):
    patient = a_patient(
        email="a@x.org" if has_address else "",
        surveyed_at=MONDAY_NOON - timedelta(days=paused_days),
        surveyed_by="other",
    )
    situations = [
        unsent(number, name, hours, patient=patient) for number, (hours, name) in enumerate(touchpoints, start=1)
    ]
    left, came = list(situations), set[tuple[str, datetime | None, str]]()
    for step in range(2 * 24 * 40):
        moment = MONDAY_NOON + timedelta(hours=step / 2)
        seen = [each for each in left if each.message.due_at <= moment + PRACTICE.survey_delay]
        replaced = superseded((each.message for each in seen), moment, lambda _: NEW_YORK)
        for each in seen:
            key = each.message.message_id
            situation = replace(each, patient=patient, superseded=key in replaced)
            decision = decide(situation, moment, moment) if each.message.due_at <= moment else defer("not due")
            if decision.verdict is not Verdict.DEFER:
                left.remove(each)
                is_sent = decision == SEND
                came.add((key, moment if is_sent else None, decision.reason))
                if is_sent:
                    patient = replace(
                        patient, surveyed_at=moment, surveyed_by=key, surveyed_for=each.message.occurred_at
                    )
    assert {(each.message.message_id, each.at, each.reason) for each in expected(situations, MONDAY_NOON)} == came


def test_after_a_restore_no_survey_leaves_that_may_have_left_before_it():
    restored = replace(PRACTICE, restored_at=AS_OF)
    assert decided(practice=restored) == skip("restored")
    assert decided(practice=replace(PRACTICE, restored_at=AS_OF - timedelta(seconds=1))) == SEND

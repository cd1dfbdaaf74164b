"""Cases: one person at a time, nobody chased, a deadline in business hours, one way to each end."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.recovery import (
    MAX_OUTREACH,
    CaseState,
    Channel,
    NotPossible,
    Outcome,
    Outreach,
    RecoveryCase,
    Result,
    claim,
    close,
    deadline,
    hand_back,
    needs_escalation,
    note_reply,
    reach_out,
    reopen,
    unanswered,
)
from shared.domain.settings import Window
from tests.builders import MONDAY_NOON, a_case

NEW_YORK = ZoneInfo("America/New_York")
OFFICE = Window(time(8), time(18), frozenset(range(5)))


def an_attempt(
    by: str = "u1", result: Result = Result.WROTE, at: datetime = MONDAY_NOON, **differences: Any
) -> Outreach:
    return Outreach(at, by, f"Name of {by}", Channel.EMAIL, result, **differences)


def test_the_first_to_take_a_case_has_it_and_the_second_reads_who():
    taken = claim(a_case(), "u1", "Maria", MONDAY_NOON)
    assert (taken.state, taken.owner, taken.claimed_at) == (CaseState.CLAIMED, "u1", MONDAY_NOON)
    with pytest.raises(NotPossible, match="Maria has this case"):
        claim(taken, "u2", "Ben", MONDAY_NOON)
    assert claim(taken, "u1", "Maria", MONDAY_NOON + timedelta(hours=1)) == taken


def test_only_who_has_a_case_gives_it_back_or_who_answers_for_the_practice():
    taken = claim(a_case(), "u1", "Maria", MONDAY_NOON)
    with pytest.raises(NotPossible, match="Maria"):
        hand_back(taken, "u2")
    for given_back in (hand_back(taken, "u1"), hand_back(taken, "u2", may_take_from_others=True)):
        assert (given_back.state, given_back.owner, given_back.claimed_at) == (CaseState.OPEN, "", None)
    with pytest.raises(NotPossible, match="Nobody"):
        hand_back(a_case(), "u1")


def test_reaching_out_takes_the_case_and_nobody_else_does_it_as_well():
    tried = reach_out(a_case(), an_attempt("u1"))
    assert (tried.state, tried.owner, len(tried.outreach)) == (CaseState.REACHED_OUT, "u1", 1)
    with pytest.raises(NotPossible, match="Name of u1 has this case"):
        reach_out(tried, an_attempt("u2"))


def test_a_case_given_back_after_an_attempt_still_tells_of_it():
    tried = hand_back(reach_out(a_case(), an_attempt("u1")), "u1")
    assert tried.state is CaseState.REACHED_OUT
    assert claim(tried, "u2", "Ben", MONDAY_NOON).outreach == tried.outreach


@pytest.mark.parametrize(("result", "waits"), [(Result.WROTE, True), (Result.VOICEMAIL, True), (Result.SPOKE, False)])
def test_a_patient_who_did_not_reply_is_not_to_be_chased(result, waits):
    tried = reach_out(a_case(), an_attempt(result=result))
    assert (unanswered([a_case(), tried]) == tried) is waits
    assert unanswered([note_reply(tried, MONDAY_NOON)]) is None


def test_of_several_unanswered_attempts_the_latest_is_told():
    early = reach_out(a_case("b" * 26), an_attempt(at=MONDAY_NOON - timedelta(days=60)))
    late = reach_out(a_case(), an_attempt())
    assert unanswered([late, early]) == late
    assert unanswered([]) is None


def test_a_reply_needs_an_attempt():
    with pytest.raises(NotPossible, match="Nobody has reached out"):
        note_reply(a_case(), MONDAY_NOON)


def test_only_who_has_a_case_closes_it_or_who_answers_for_the_practice():
    taken = claim(a_case(), "u1", "Maria", MONDAY_NOON)
    with pytest.raises(NotPossible, match="Maria has this case"):
        close(taken, "u2", Outcome.RESOLVED, "", "", MONDAY_NOON)
    assert close(taken, "u2", Outcome.RESOLVED, "", "", MONDAY_NOON, may_take_from_others=True).is_closed


def test_a_case_closes_once_with_what_came_of_it_and_can_be_opened_again():
    ended = close(a_case(), "u1", Outcome.RESOLVED, "waiting", "called, all well", MONDAY_NOON)
    assert (ended.state, ended.outcome, ended.reason, ended.closed_by) == (
        CaseState.CLOSED,
        Outcome.RESOLVED,
        "waiting",
        "u1",
    )
    for step in (
        lambda: close(ended, "u2", Outcome.NO_ACTION, "", "", MONDAY_NOON),
        lambda: claim(ended, "u2", "Ben", MONDAY_NOON),
        lambda: claim(claimed_and_closed(), "u1", "Maria", MONDAY_NOON),
        lambda: reach_out(ended, an_attempt("u2")),
        lambda: hand_back(ended, "u1"),
        lambda: note_reply(ended, MONDAY_NOON),
    ):
        with pytest.raises(NotPossible, match="closed"):
            step()
    again = reopen(ended, MONDAY_NOON + timedelta(days=3))
    assert (again.state, again.owner, again.outcome, again.closed_at) == (CaseState.OPEN, "", None, None)
    assert again.deadline == MONDAY_NOON + timedelta(days=3)
    with pytest.raises(NotPossible, match="open"):
        reopen(again, MONDAY_NOON)


def claimed_and_closed() -> RecoveryCase:
    return close(claim(a_case(), "u1", "Maria", MONDAY_NOON), "u1", Outcome.RESOLVED, "", "", MONDAY_NOON)


def test_every_step_counts_a_version():
    taken = claim(a_case(), "u1", "Maria", MONDAY_NOON)
    tried = reach_out(taken, an_attempt("u1"))
    assert [taken.version, tried.version, note_reply(tried, MONDAY_NOON).version] == [2, 3, 4]


def test_the_list_of_attempts_ends_somewhere():
    case = a_case(outreach=(an_attempt(),) * MAX_OUTREACH, owner="u1", state=CaseState.REACHED_OUT)
    with pytest.raises(NotPossible, match="20 attempts"):
        reach_out(case, an_attempt("u1"))


def test_the_owner_is_told_once_and_only_if_nobody_reached_out_in_time():
    late = MONDAY_NOON + timedelta(hours=24, seconds=1)
    assert needs_escalation(a_case(), late)
    assert needs_escalation(claim(a_case(), "u1", "Maria", MONDAY_NOON), late)
    assert not needs_escalation(a_case(), MONDAY_NOON + timedelta(hours=24))
    assert not needs_escalation(a_case(escalated_at=MONDAY_NOON), late)
    assert not needs_escalation(reach_out(a_case(), an_attempt()), late)
    assert not needs_escalation(claimed_and_closed(), late)


@pytest.mark.parametrize(
    ("opened", "hours", "due"),
    [
        ("2026-03-02T12:00", 4, "2026-03-02T16:00"),  # the same day
        ("2026-03-02T16:00", 4, "2026-03-03T10:00"),  # over night
        ("2026-03-06T16:00", 4, "2026-03-09T10:00"),  # over the weekend, in which the clocks change
        ("2026-03-07T12:00", 1, "2026-03-09T09:00"),  # on a Saturday
        ("2026-03-02T05:00", 1, "2026-03-02T09:00"),  # before opening
        ("2026-03-02T12:00", 10, "2026-03-03T12:00"),  # a whole business day
        ("2026-03-02T12:00", 0, "2026-03-02T12:00"),
        ("2026-03-02T18:00", 10, "2026-03-03T18:00"),
    ],
)
def test_the_deadline_counts_business_hours_only(opened, hours, due):
    def at(text: str) -> datetime:
        return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)

    assert deadline(at(opened).astimezone(UTC), hours, NEW_YORK, OFFICE) == at(due)


@given(
    st.integers(0, 365 * 24 * 3600).map(lambda seconds: MONDAY_NOON + timedelta(seconds=seconds)),
    st.integers(1, 60),
)
def test_a_deadline_lies_within_business_hours_and_later_than_its_start(opened, hours):
    due = deadline(opened, hours, NEW_YORK, OFFICE)
    local = due.astimezone(NEW_YORK)
    assert due >= opened.replace(microsecond=0) + timedelta(hours=hours)
    assert local.weekday() in OFFICE.days
    assert OFFICE.start <= local.time() <= OFFICE.until


def test_hours_that_never_open_are_refused():
    with pytest.raises(ValueError, match="never open"):
        deadline(MONDAY_NOON, 1, NEW_YORK, Window(time(18), time(8), frozenset({0})))

"""Closing the loop: one case for each unhappy answer, from its alert to what came of it.

The practice's own rules: somebody takes the case, reaches out once as a person, writes it down; and a patient who did
not reply is not chased.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from shared.domain.score import Category
from shared.domain.settings import Window

MAX_NOTE = 4000  # characters
MAX_REASON = 500  # characters
MAX_OUTREACH = 20  # entries of one case: with notes of 4,000 emoji each its item stays below DynamoDB's 400 KB


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    CLAIMED = "claimed"
    REACHED_OUT = "reached_out"
    CLOSED = "closed"


class Channel(StrEnum):
    """How somebody reached out."""

    EMAIL = "email"
    TELEPHONE = "telephone"
    IN_PERSON = "in_person"


class Result(StrEnum):
    """What came of one attempt to reach out."""

    WROTE = "wrote"
    SPOKE = "spoke"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no_answer"


class Outcome(StrEnum):
    """How a case ended."""

    RESOLVED = "resolved"
    FOLLOWING_UP = "following_up"  # something was promised and is being done
    DECLINED = "declined"  # the patient does not want to talk about it
    NO_REPLY = "no_reply"
    NOT_REACHABLE = "not_reachable"  # no address or number that works
    NO_ACTION = "no_action"


@dataclass(frozen=True, slots=True)
class Outreach:
    """One attempt of a named person to reach the patient."""

    at: datetime
    by: str  # the user's id
    by_name: str
    channel: Channel
    result: Result
    note: str = ""
    despite: str = ""  # why the patient was written to again, though an earlier attempt got no reply


@dataclass(frozen=True, slots=True)
class RecoveryCase:
    """The case of one survey's answer; `version` counts its changes, so that two people never overwrite each other."""

    survey_id: str
    patient_id: str
    clinic_id: str
    therapist_id: str
    category: Category
    opened_at: datetime
    deadline: datetime
    state: CaseState = CaseState.OPEN
    owner: str = ""  # the user who took it
    owner_name: str = ""
    claimed_at: datetime | None = None
    outreach: tuple[Outreach, ...] = ()
    replied_at: datetime | None = None
    escalated_at: datetime | None = None
    outcome: Outcome | None = None
    reason: str = ""  # what it was about: a theme
    closing_note: str = ""
    closed_at: datetime | None = None
    closed_by: str = ""
    safety: bool = False
    version: int = 1

    @property
    def is_closed(self) -> bool:
        """Whether the loop is closed."""
        return self.state is CaseState.CLOSED

    @property
    def awaits_reply(self) -> bool:
        """Whether somebody reached out and the patient has not been spoken to and has not replied."""
        return bool(self.outreach) and not self.replied_at and not self._was_spoken_to

    @property
    def _was_spoken_to(self) -> bool:
        return any(attempt.result is Result.SPOKE for attempt in self.outreach)


class NotPossible(Exception):
    """The step does not fit where the case stands; the message says why, for the staff."""


def claim(case: RecoveryCase, user: str, name: str, now: datetime) -> RecoveryCase:
    """Take the case; NotPossible names who has it already. Taking one's own again changes nothing."""
    if case.owner == user and not case.is_closed:
        return case
    if case.is_closed:
        raise NotPossible("This case is closed.")
    if case.owner:
        raise NotPossible(f"{case.owner_name} has this case.")
    state = CaseState.CLAIMED if case.state is CaseState.OPEN else case.state
    return _changed(case, state=state, owner=user, owner_name=name, claimed_at=now)


def hand_back(case: RecoveryCase, user: str, *, may_take_from_others: bool = False) -> RecoveryCase:
    """Give the case back to everybody; only its owner may, or somebody who answers for the practice."""
    if case.is_closed:
        raise NotPossible("This case is closed.")
    if not case.owner:
        raise NotPossible("Nobody has this case.")
    if case.owner != user and not may_take_from_others:
        raise NotPossible(f"{case.owner_name} has this case.")
    state = CaseState.OPEN if case.state is CaseState.CLAIMED else case.state
    return _changed(case, state=state, owner="", owner_name="", claimed_at=None)


def reach_out(case: RecoveryCase, attempt: Outreach) -> RecoveryCase:
    """Write down an attempt. Whoever reaches out has the case from then on; NotPossible if somebody else has it."""
    if case.is_closed:
        raise NotPossible("This case is closed.")
    if case.owner and case.owner != attempt.by:
        raise NotPossible(f"{case.owner_name} has this case.")
    if len(case.outreach) >= MAX_OUTREACH:
        raise NotPossible(f"A case keeps {MAX_OUTREACH} attempts at most. Close it, please.")
    return _changed(
        case,
        state=CaseState.REACHED_OUT,
        owner=attempt.by,
        owner_name=attempt.by_name,
        claimed_at=case.claimed_at or attempt.at,
        outreach=(*case.outreach, attempt),
    )


def note_reply(case: RecoveryCase, now: datetime) -> RecoveryCase:
    """Write down that the patient replied."""
    if case.is_closed:
        raise NotPossible("This case is closed.")
    if not case.outreach:
        raise NotPossible("Nobody has reached out yet.")
    return case if case.replied_at else _changed(case, replied_at=now)


def close(
    case: RecoveryCase,
    user: str,
    outcome: Outcome,
    reason: str,
    note: str,
    now: datetime,
    *,
    may_take_from_others: bool = False,
) -> RecoveryCase:
    """End the case with what came of it; NotPossible if it was ended before, or is somebody else's."""
    if case.is_closed:
        raise NotPossible("This case is closed already.")
    if case.owner and case.owner != user and not may_take_from_others:
        raise NotPossible(f"{case.owner_name} has this case.")
    return _changed(
        case,
        state=CaseState.CLOSED,
        outcome=outcome,
        reason=reason,
        closing_note=note,
        closed_at=now,
        closed_by=user,
    )


def reopen(case: RecoveryCase, new_deadline: datetime) -> RecoveryCase:
    """Open a closed case again, for nobody in particular."""
    if not case.is_closed:
        raise NotPossible("This case is open.")
    return _changed(
        case,
        state=CaseState.REACHED_OUT if case.outreach else CaseState.OPEN,
        owner="",
        owner_name="",
        claimed_at=None,
        outcome=None,
        reason="",
        closing_note="",
        closed_at=None,
        closed_by="",
        deadline=new_deadline,
        escalated_at=None,
    )


def unanswered(cases: Iterable[RecoveryCase]) -> RecoveryCase | None:
    """Of a patient's cases the latest in which an attempt got no reply: whoever writes again must say why."""
    waiting = [case for case in cases if case.awaits_reply]
    return max(waiting, key=lambda case: case.outreach[-1].at, default=None)


def needs_escalation(case: RecoveryCase, now: datetime) -> bool:
    """Whether nobody reached out by the deadline and the owner of the practice was not told yet."""
    waits = case.state in (CaseState.OPEN, CaseState.CLAIMED)
    return waits and case.escalated_at is None and now > case.deadline


def deadline(opened_at: datetime, hours: float, zone: ZoneInfo, business: Window) -> datetime:
    """`hours` of business time after the moment: only the window's hours of its days count, by the clinic's clock.

    The result is UTC, in whole seconds.
    """
    if not business.ever_opens:
        raise ValueError("the business hours never open")
    left = timedelta(hours=hours)
    local = opened_at.astimezone(zone)
    day = local.date()
    while True:
        if day.weekday() in business.days:
            start = datetime.combine(day, business.start, zone)
            end = datetime.combine(day, business.until, zone)
            begin = max(start.astimezone(opened_at.tzinfo), opened_at)
            open_for = end.astimezone(opened_at.tzinfo) - begin
            if open_for >= left:
                return (begin + left).replace(microsecond=0)
            left -= max(open_for, timedelta(0))
        day += timedelta(days=1)


def _changed(case: RecoveryCase, **changes: object) -> RecoveryCase:
    return replace(case, version=case.version + 1, **changes)  # type: ignore[arg-type]

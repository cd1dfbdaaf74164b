"""Whether a message that is due may be sent now, later, or never."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol
from zoneinfo import ZoneInfo

from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.patient import Address, Patient
from shared.domain.score import Category
from shared.domain.settings import Clinic, Practice, ReviewInvitations
from shared.domain.survey import Survey

ADDRESS_REST = timedelta(days=1)  # between two patients who share an address
REVIEW_PAUSE = timedelta(days=365)


class Verdict(StrEnum):
    """What to do with a message that is due."""

    SEND = "send"
    DEFER = "defer"  # stays due: the next run looks again
    SKIP = "skip"  # settled: never sent
    GIVE_UP = "give_up"  # it may have left: unknown, or what events say of it, and never sent again


@dataclass(frozen=True, slots=True)
class Decision:
    """The verdict and, unless it is to send, the reason that the run counts."""

    verdict: Verdict
    reason: str = ""


SEND = Decision(Verdict.SEND)


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision rests on, as read just before it."""

    message: Message
    survey: Survey | None
    patient: Patient | None
    address: Address | None
    clinic: Clinic
    practice: Practice
    superseded: bool = False


def decide(situation: Situation, as_of: datetime, now: datetime) -> Decision:
    """The one place that says who may be mailed, and when.

    `as_of` decides age, pause and window; `now`, the wall clock, only whether another sender's lease has run out.
    Reasons to skip come before reasons to defer, so that nothing waits for what will never be sent.
    """
    message = situation.message
    if message.state in (MessageState.CLAIMED, MessageState.CALLING):
        if message.lease_until is None or message.lease_until >= now:
            return Decision(Verdict.DEFER, "in_progress")
        if message.state is MessageState.CALLING:
            return Decision(Verdict.GIVE_UP)
    if message.is_told_of:
        return Decision(Verdict.GIVE_UP)  # whoever heard the event died before settling the message
    if message.state not in (MessageState.DUE, MessageState.CLAIMED):
        return Decision(Verdict.DEFER, "settled")  # the index lags behind the table for a moment
    if reason := _never(situation, as_of):
        return Decision(Verdict.SKIP, reason)
    unreachable = _not_reachable(situation)
    if as_of - message.occurred_at > situation.practice.max_touchpoint_age:
        return Decision(Verdict.SKIP, unreachable or "expired")
    later = unreachable or _not_now(situation, as_of)
    return Decision(Verdict.DEFER, later) if later else SEND


def _never(situation: Situation, as_of: datetime) -> str:
    message, survey, patient = situation.message, situation.survey, situation.patient
    if survey is None:
        return "no_survey"
    if patient and patient.deceased:
        return "deceased"
    if patient and patient.opted_out:
        return "opted_out"
    if situation.address and situation.address.complained:
        return "complained"
    if message.kind is MessageKind.REVIEW:
        return _no_review(situation, survey, as_of)
    if survey.version:
        return "answered"
    restored_at = situation.practice.restored_at
    if message.kind is MessageKind.SURVEY and restored_at and message.due_at <= restored_at:
        return "restored"
    return "superseded" if message.kind is MessageKind.SURVEY and _is_replaced(situation) else ""


def _is_replaced(situation: Situation) -> bool:
    patient, message = situation.patient, situation.message
    if patient and patient.surveyed_by == message.message_id:
        # Its sender died with the patient's turn in hand: were it replaced, what replaces it would wait for that turn.
        return False
    asked_about = patient.surveyed_for if patient else None
    if situation.superseded or asked_about is None:
        return situation.superseded
    zone = situation.clinic.zone
    same_day = asked_about.astimezone(zone).date() == message.occurred_at.astimezone(zone).date()
    return asked_about > message.occurred_at or (same_day and message.touchpoint != "discharge")


def _no_review(situation: Situation, survey: Survey, as_of: datetime) -> str:
    invited, patient = situation.practice.review_invitations, situation.patient
    is_promoter = survey.category is Category.PROMOTER
    if invited is ReviewInvitations.OFF or (invited is ReviewInvitations.PROMOTERS and not is_promoter):
        return "withdrawn"
    if not situation.clinic.review_links:
        return "no_review_links"
    asked_at = patient.review_requested_at if patient else None
    asked_by_another = patient and patient.review_requested_by != situation.message.message_id
    # A run replayed for an earlier moment finds a later request: that is within twelve months as well.
    return "asked_before" if asked_at and asked_by_another and as_of - asked_at < REVIEW_PAUSE else ""


def _not_reachable(situation: Situation) -> str:
    patient = situation.patient
    if patient is None or not patient.email:
        return "no_address"
    if patient.hold:
        return "on_hold"
    if situation.address and situation.address.bounced:
        return "bounced"
    return ""


def _not_now(situation: Situation, as_of: datetime) -> str:
    message, patient, address = situation.message, situation.patient, situation.address
    if message.kind is MessageKind.REMINDER and situation.survey and situation.survey.sent_at is None:
        return "survey_unknown"
    if message.kind is MessageKind.SURVEY and patient:
        surveyed_at = patient.surveyed_at if patient.surveyed_by != message.message_id else None
        if surveyed_at and as_of - surveyed_at < situation.practice.pause:
            return "pause"
        contact_at = address.last_contact_at if address and address.last_patient_id != patient.patient_id else None
        if contact_at and as_of - contact_at < ADDRESS_REST:
            return "address_rest"
    if not situation.clinic.window.is_open(as_of.astimezone(situation.clinic.zone)):
        return "outside_window"
    return ""


class Waiting(Protocol):
    """What superseding looks at; messages and entries of the due index both have it."""

    @property
    def message_id(self) -> str: ...
    @property
    def kind(self) -> MessageKind: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def clinic_id(self) -> str: ...
    @property
    def touchpoint(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...


def superseded(waiting: Iterable[Waiting], as_of: datetime, zone_of: Callable[[str], ZoneInfo]) -> set[str]:
    """The ids of waiting surveys that a newer touchpoint of the same patient replaces; discharge wins its day.

    Touchpoints that have not happened yet at `as_of` replace nothing.
    """

    def rank(message: Waiting) -> tuple[date, bool, datetime, str]:
        day = message.occurred_at.astimezone(zone_of(message.clinic_id)).date()
        return (day, message.touchpoint == "discharge", message.occurred_at, message.message_id)

    by_patient: dict[str, list[Waiting]] = {}
    for message in waiting:
        if message.kind is MessageKind.SURVEY and message.occurred_at <= as_of:
            by_patient.setdefault(message.patient_id, []).append(message)
    return {old.message_id for messages in by_patient.values() for old in sorted(messages, key=rank)[:-1]}


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a message will go out if nothing else happens, or why it never will."""

    message: Message
    at: datetime | None
    reason: str = ""


def expected(waiting: Iterable[Situation], now: datetime) -> list[Expectation]:
    """What will become of all the surveys of one patient that are due now or later, in the order in which it does.

    As if the sender ran at every moment at which a decision can change: whoever is mailed has been surveyed at the next
    decision, and of what waits together the newest touchpoint replaces the others.
    """
    left = {each.message.message_id: each for each in sorted(waiting, key=lambda each: each.message.due_at)}
    zones = {each.message.clinic_id: each.clinic.zone for each in left.values()}
    found, moment = list[Expectation](), now
    while left:
        replaced = superseded(_in_sight(left.values(), moment), moment, zones.__getitem__)
        looks = {moment for each in left.values() for moment in (each.message.occurred_at, each.message.due_at)}
        for key in [key for key, each in left.items() if each.message.due_at <= moment]:
            decision = decide(replace(left[key], superseded=key in replaced), moment, moment)
            if decision.verdict is Verdict.DEFER:
                looks.update(_next_looks(left[key], decision.reason, moment))
                continue
            message = left.pop(key).message
            is_sent = decision.verdict is Verdict.SEND
            found.append(Expectation(message, moment if is_sent else None, decision.reason))
            if is_sent:
                left = {other: _surveyed(each, message, moment) for other, each in left.items()}
        moment = min((look for look in looks if look > moment), default=moment)
    return found


def _in_sight(waiting: Iterable[Situation], moment: datetime) -> Iterator[Message]:
    """What a run at this moment looks at: what is due, and what may have happened but waits out its delay."""
    return (each.message for each in waiting if each.message.due_at <= moment + each.practice.survey_delay)


def _surveyed(situation: Situation, message: Message, moment: datetime) -> Situation:
    if situation.patient is None:
        return situation
    patient = replace(
        situation.patient, surveyed_at=moment, surveyed_by=message.message_id, surveyed_for=message.occurred_at
    )
    return replace(situation, patient=patient)


def _next_looks(situation: Situation, reason: str, moment: datetime) -> Iterator[datetime]:
    """When what was deferred for this reason may be decided differently: its expiry ends all waiting."""
    patient, address, practice = situation.patient, situation.address, situation.practice
    yield situation.message.occurred_at + practice.max_touchpoint_age + timedelta(seconds=1)
    if reason == "pause" and patient and patient.surveyed_at:
        yield patient.surveyed_at + practice.pause
    if reason == "address_rest" and address and address.last_contact_at:
        yield address.last_contact_at + ADDRESS_REST
    if reason == "outside_window":
        yield situation.clinic.window.next_opening(moment.astimezone(situation.clinic.zone)).astimezone(UTC)

"""Recent Communications: everything sent to, said by, done for or read about a patient, in one list."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.domain.delivery import Kind, bounce_in_words
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.recovery import RecoveryCase
from shared.domain.survey import Survey
from shared.storage.activity import Entry

_MAILS = {MessageKind.SURVEY: "Survey", MessageKind.REMINDER: "Reminder", MessageKind.REVIEW: "Review request"}
_STATES = {
    MessageState.DUE: "waits to be sent",
    MessageState.CLAIMED: "is being sent",
    MessageState.CALLING: "is being sent",
    MessageState.SENT: "sent",
    MessageState.UNKNOWN: "may have been sent: the line broke, so it is not sent again",
    MessageState.FAILED: "could not be sent",
    MessageState.SKIPPED: "not sent",
}
_DELIVERIES = {
    Kind.DELAYED: "sent, and not delivered yet: the mail server does not answer, so Amazon SES tries again",
    Kind.UNDELIVERED: "sent, but it did not arrive: the mailbox was full or its server did not answer",
    Kind.DELIVERED: "delivered",
    Kind.REJECTED: "not sent: Amazon SES took it for harmful",
    Kind.BOUNCED: "came back",
    Kind.COMPLAINED: "delivered, and marked as spam by the patient",
}
_REASONS = {
    "answered": "it was answered before",
    "asked_before": "a review was requested in the last twelve months",
    "bounced": "the address bounced",
    "complained": "the patient marked a mail as spam",
    "deceased": "the patient has died",
    "expired": "it came too late",
    "no_address": "there was no address",
    "no_review_links": "there is no review link",
    "on_hold": "the patient was on hold",
    "opted_out": "the patient opted out",
    "refused": "the address was refused",
    "restored": "it may have been sent before everything was restored from a backup",
    "superseded": "a newer visit was asked about instead",
    "withdrawn": "the records no longer show its visit, or the answer changed",
}
_ENTRIES = {
    "alert": "The staff were alerted",
    "digest": "The staff were told in the daily digest",
    "opted_out": "Opted out of surveys",
    "complained": "Marked a mail as spam, so no more are sent",
    "opted_in": "The opt-out was taken back",
    "held": "Put on hold",
    "released": "Taken off hold",
    "corrected": "Contact details were corrected",
    "praise": "Praise was passed on to the therapist",
    "exported": "Everything held about the patient was taken along in a file",
    "patient_viewed": "This page was read",
    "case_viewed": "The case was read",
    "case_open": "A case was opened",
    "case_claim": "Took the case",
    "case_hand_back": "Gave the case back",
    "case_write": "Wrote to the patient",
    "case_call": "Called or spoke to the patient",
    "case_reply": "Noted that the patient replied",
    "case_close": "Closed the case",
    "case_reopen": "Opened the case again",
}
READINGS = {"patient_viewed", "case_viewed"}
"""Kinds that only say who looked: shown on request."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the list; `words` are the patient's own."""

    at: datetime
    what: str
    by: str = ""
    detail: str = ""
    words: str = ""
    survey_id: str = ""
    mark: str = ""  # a score group that colours it
    is_reading: bool = False


def events(
    surveys: Iterable[Survey], messages: Iterable[Message], cases: Iterable[RecoveryCase], entries: Iterable[Entry]
) -> list[Event]:
    """All that is known, newest first. Answers and mails are told by their own tables, the rest by the activity."""
    found = [
        *(event for survey in surveys for event in _answers(survey)),
        *(event for message in messages if (event := _mail(message))),
        *(event for case in cases for event in _notes(case)),
        *(_entry(entry) for entry in entries if entry.kind in _ENTRIES),
    ]
    return sorted(found, key=lambda event: event.at, reverse=True)


def _answers(survey: Survey) -> Iterator[Event]:
    earlier = ""
    for answer in survey.answers:
        yield Event(
            at=answer.at,
            what=f"Answered {answer.score}" if answer.version == 1 else f"Changed the answer to {answer.score}",
            detail=_touchpoint(survey.touchpoint),
            words=answer.comment if answer.comment != earlier else "",
            survey_id=survey.survey_id,
            mark=answer.category,
        )
        earlier = answer.comment


def _mail(message: Message) -> Event | None:
    detail = _touchpoint(message.touchpoint)
    came_to = _DELIVERIES.get(message.delivery, "") if message.delivery else ""
    if message.delivery is Kind.BOUNCED:
        came_to += f": {bounce_in_words(message.delivery_status)}"
    elif message.state in (MessageState.SKIPPED, MessageState.FAILED) and not came_to:
        detail += f" ({_REASONS.get(message.reason, message.reason)})"
    return Event(
        at=message.sent_at or message.due_at,
        what=f"{_MAILS[message.kind]} {came_to or _STATES[message.state]}",
        detail=detail,
        survey_id=message.survey_id,
    )


def _notes(case: RecoveryCase) -> Iterator[Event]:
    if case.escalated_at:
        yield Event(case.escalated_at, "The owner was told that nobody reached out in time", survey_id=case.survey_id)


def _entry(entry: Entry) -> Event:
    return Event(
        at=entry.at,
        what=_ENTRIES[entry.kind],
        by=entry.detail,
        survey_id=entry.survey_id,
        is_reading=entry.kind in READINGS,
    )


def _touchpoint(name: str) -> str:
    return f"after {name.replace('_', ' ').replace(':', ' ')}" if name else ""

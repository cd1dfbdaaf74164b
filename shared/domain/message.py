"""Patient mail: its kinds, its states, and the steps between them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MessageKind(StrEnum):
    """What a patient mail is for."""

    SURVEY = "survey"
    REMINDER = "reminder"
    REVIEW = "review"


class MessageState(StrEnum):
    """Where a message stands; `unknown` may or may not have left and is never sent again."""

    DUE = "due"
    CLAIMED = "claimed"
    CALLING = "calling"
    SENT = "sent"
    UNKNOWN = "unknown"
    FAILED = "failed"
    SKIPPED = "skipped"


WITHDRAWN = "withdrawn"
"""The reason of a skipped message whose touchpoint the practice's records no longer show."""

STEPS: dict[MessageState, frozenset[MessageState]] = {
    MessageState.DUE: frozenset({MessageState.CLAIMED, MessageState.SKIPPED}),
    MessageState.CLAIMED: frozenset(
        {MessageState.CLAIMED, MessageState.CALLING, MessageState.DUE, MessageState.SKIPPED}
    ),
    MessageState.CALLING: frozenset({MessageState.SENT, MessageState.DUE, MessageState.FAILED, MessageState.UNKNOWN}),
    MessageState.UNKNOWN: frozenset({MessageState.SENT}),
    MessageState.SENT: frozenset(),
    MessageState.FAILED: frozenset(),
    MessageState.SKIPPED: frozenset({MessageState.DUE}),
}
"""Every step a message may take; a claimed one whose lease ran out is claimed again, a calling one becomes unknown.

Only a withdrawn one leaves `skipped`: its touchpoint came back before anything was sent.
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One mail to one patient; its id is made from its survey and kind, so it exists once."""

    message_id: str
    kind: MessageKind
    patient_id: str
    survey_id: str
    clinic_id: str
    touchpoint: str
    occurred_at: datetime  # what superseding and expiry are measured from
    due_at: datetime
    state: MessageState = MessageState.DUE
    attempt: int = 0
    lease_until: datetime | None = None
    ses_id: str = ""
    sent_at: datetime | None = None
    reason: str = ""

"""Patient mail: its kinds, its states, and the steps between them."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.delivery import Kind


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
    MessageState.DUE: frozenset({MessageState.CLAIMED, MessageState.SKIPPED, MessageState.SENT}),
    MessageState.CLAIMED: frozenset(
        {MessageState.CLAIMED, MessageState.CALLING, MessageState.DUE, MessageState.SKIPPED, MessageState.SENT}
    ),
    MessageState.CALLING: frozenset({MessageState.SENT, MessageState.DUE, MessageState.FAILED, MessageState.UNKNOWN}),
    MessageState.UNKNOWN: frozenset({MessageState.SENT, MessageState.FAILED}),
    MessageState.SENT: frozenset({MessageState.FAILED}),
    MessageState.FAILED: frozenset({MessageState.SENT}),
    MessageState.SKIPPED: frozenset({MessageState.DUE}),
}
"""Every step a message may take; a claimed one whose lease ran out is claimed again, a calling one becomes unknown.

Only a withdrawn one leaves `skipped`: its touchpoint came back before anything was sent. To `sent`, from anywhere but
`calling`, and from `sent` or `unknown` to `failed` only an event of the provider leads, which knows better.
"""

SHARDS = tuple(f"due#{number:x}" for number in range(16))
"""The list of what is due lies in so many parts, so that several senders can share it."""


def shard_of(patient_id: str) -> str:
    """Which part holds a patient's messages: all in one, since a newer touchpoint replaces an older one beside it."""
    return SHARDS[hashlib.sha256(patient_id.encode()).digest()[0] % len(SHARDS)]


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
    delivery: Kind | None = None  # what the provider's events say became of it, whatever its state
    delivery_at: datetime | None = None
    delivery_status: str = ""  # a bounce's enhanced status code
    delivery_events: frozenset[str] = frozenset()  # the kinds of events that came

    @property
    def is_told_of(self) -> bool:
        """Whether an event says what became of a message that nobody is sending, and that is not settled so."""
        if self.state is MessageState.UNKNOWN:
            return self.delivery is not None
        waits = self.state in (MessageState.DUE, MessageState.CLAIMED)
        return waits and self.delivery not in (None, Kind.REJECTED)

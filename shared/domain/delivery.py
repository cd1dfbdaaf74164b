"""What Amazon SES tells of a mail after it took it, and what follows for the message, its address and its patient."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.clock import parse_instant


class Kind(StrEnum):
    """What happened to a mail, from what says least to what says most: the last of these is what the mail came to."""

    SENT = "sent"  # SES took it and will try to deliver it
    DELAYED = "delayed"  # not delivered yet, SES goes on trying
    UNDELIVERED = "undelivered"  # SES gave up, or a machine answered: full mailbox, no answer, out of office
    DELIVERED = "delivered"  # the recipient's mail server took it
    REJECTED = "rejected"  # SES would not send it after all
    BOUNCED = "bounced"  # refused for good
    COMPLAINED = "complained"  # the recipient called it spam


@dataclass(frozen=True, slots=True)
class DeliveryEvent:
    """One event of one mail to one address, by ids only; an id is empty where the mail carries no such tag."""

    kind: Kind
    at: datetime
    sent_at: datetime  # when SES took the mail
    ses_id: str
    message_id: str = ""
    survey_id: str = ""
    recipient: str = ""  # the address's key, or the staff's `staff-…`
    status: str = ""  # a bounce's enhanced status code, as 5.1.1
    is_bad_address: bool = False  # no mail will ever arrive there

    @property
    def proves_it_left(self) -> bool:
        """Whether the mail left; only a rejection says the opposite."""
        return self.kind is not Kind.REJECTED

    @property
    def is_to_staff(self) -> bool:
        """Whether it was an alert or the like, rather than a patient's mail."""
        return self.recipient.startswith(STAFF)


STAFF = "staff-"
"""Begins the recipient tag of mail to the staff."""


def staff_key(email: str) -> str:
    """What an address of the staff's is known under: no secret, for those who mail the staff hold no key."""
    return STAFF + hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]


_KINDS = {
    "Send": Kind.SENT,
    "Delivery": Kind.DELIVERED,
    "DeliveryDelay": Kind.DELAYED,
    "Bounce": Kind.BOUNCED,
    "Complaint": Kind.COMPLAINED,
    "Reject": Kind.REJECTED,
    "Rendering Failure": Kind.REJECTED,
}
EVENT_TYPES = tuple(_KINDS)
"""The types of SES events that are understood; the template's rule lets these through."""

_STATUS = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})\b")
_ID = re.compile(r"[A-Za-z0-9_-]{1,256}")
_RECIPIENT = re.compile(r"[a-z2-7]{26}|staff-[0-9a-f]{32}")

# Enhanced status codes (RFC 3463 and IANA's register) that say the address is no good, whoever writes to it.
_BAD_ADDRESS = {
    *("5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10"),  # no such mailbox or domain, moved, null MX
    "5.2.1",  # mailbox disabled
    *("5.4.1", "5.4.4"),  # how Exchange Online says "no such recipient", and SES "no such domain"
}
# SES's labels, used where the status says nothing: of a permanent bounce these concern the address itself.
_BAD_SUBTYPES = {"General", "NoEmail", "Suppressed", "OnAccountSuppressionList"}
_ON_A_LIST = {"Suppressed", "OnAccountSuppressionList"}
_NO_COMPLAINT = {"not-spam", "auth-failure"}  # taken out of the spam folder; a machine's report on signatures


def parse_event(fields: Mapping[str, object], now: datetime) -> DeliveryEvent:
    """Read what the template's rule keeps of an SES event.

    What the event does not have comes as an empty text. A type that is not known or a moment that cannot be read is a
    ValueError, but that a bounce or complaint without its moment counts as of now: the address must be spared all the
    same. A tag that cannot be one of ours counts as missing.
    """
    kind = _KINDS.get(_text(fields, "type"))
    if kind is None:
        raise ValueError("not a type of SES event that is understood")
    status, is_bad_address = "", False
    if kind is Kind.BOUNCED:
        status = _status(_text(fields, "bounce_status"))
        label = (_text(fields, "bounce_type"), _text(fields, "bounce_subtype"))
        is_bad_address = _concerns_the_address(status, *label)
        if not (is_bad_address or _is_for_good(status, label[0])):
            kind = Kind.UNDELIVERED
    elif kind is Kind.COMPLAINED and _text(fields, "complaint_type") in _NO_COMPLAINT:
        kind = Kind.DELIVERED
    otherwise = now if kind in (Kind.BOUNCED, Kind.COMPLAINED) else None
    return DeliveryEvent(
        kind=kind,
        at=_moment(fields, "at", otherwise),
        sent_at=_moment(fields, "sent_at", otherwise),
        ses_id=_tag(fields, "ses_id"),
        message_id=_tag(fields, "message_id"),
        survey_id=_tag(fields, "survey_id"),
        recipient=_tag(fields, "recipient", _RECIPIENT),
        status=status,
        is_bad_address=is_bad_address,
    )


def outranks(kind: Kind, known: Kind | None) -> bool:
    """Whether this says more of a mail than what is known of it; events come in any order."""
    ranks = list(Kind)
    return known is None or ranks.index(kind) > ranks.index(known)


def bounce_in_words(status: str) -> str:
    """Why a mail came back, for the staff."""
    if status in _BAD_ADDRESS or not status:
        return "there is no such mailbox"
    if status == "5.2.2":
        return "the mailbox is full"
    if status.startswith("5.7."):
        return "the mail server there does not take our mail"
    return "the mail server there refused it"


def _concerns_the_address(status: str, kind: str, subtype: str) -> bool:
    """A bounce is settled by its status code; its label speaks where the code is missing or says nothing."""
    if subtype in _ON_A_LIST:
        return True
    if status and status != "5.0.0":
        return status in _BAD_ADDRESS
    return kind == "Permanent" and subtype in _BAD_SUBTYPES


def _is_for_good(status: str, kind: str) -> bool:
    return status.startswith("5.") if status else kind == "Permanent"


def _status(text: str) -> str:
    found = _STATUS.match(text)
    return ".".join(str(int(part)) for part in found.groups()) if found else ""


def _text(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def _moment(fields: Mapping[str, object], name: str, otherwise: datetime | None) -> datetime:
    try:
        return parse_instant(_text(fields, name))
    except ValueError:
        if otherwise is None:
            raise
        return otherwise


def _tag(fields: Mapping[str, object], name: str, pattern: re.Pattern[str] = _ID) -> str:
    text = _text(fields, name)
    return text if pattern.fullmatch(text) else ""

"""Whether the practice's mail to patients fares well enough to go on, and whether any news of it comes in.

Amazon SES reviews an account at 5 % bounces or 0.1 % complaints and may then pause it, alerts to the staff included.
Careloop stops by itself well before that, once the mails are many enough to tell; with few, SES may be first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

WINDOW_DAYS = 14  # UTC days, today among them
FEWEST_BOUNCES, MAILS_A_BOUNCE = 10, 50  # 2 %
FEWEST_COMPLAINTS, MAILS_A_COMPLAINT = 3, 2000  # 0.05 %
SILENCE = timedelta(minutes=15)


class StopReason(StrEnum):
    """Why Careloop stopped sending; people let it go on."""

    BOUNCES = "too_many_bounces"
    COMPLAINTS = "too_many_complaints"


class Refusal(StrEnum):
    """Why Amazon SES takes no mail at present; over as soon as it takes some."""

    ACCOUNT_PAUSED = "account_paused"
    SENDER_REFUSED = "sender_refused"


@dataclass(frozen=True, slots=True)
class Fates:
    """What became of mails to patients; each counts once in each."""

    sent: int = 0
    bounced: int = 0
    complained: int = 0

    def __add__(self, other: "Fates") -> "Fates":
        return Fates(self.sent + other.sent, self.bounced + other.bounced, self.complained + other.complained)

    def __sub__(self, other: "Fates") -> "Fates":
        return Fates(self.sent - other.sent, self.bounced - other.bounced, self.complained - other.complained)


@dataclass(frozen=True, slots=True)
class Stopped:
    """Careloop stopped: since when, why, and what had become of the mails that counted then."""

    since: datetime
    reason: StopReason
    fates: Fates


@dataclass(frozen=True, slots=True)
class Resumed:
    """Somebody let sending go on; `before` is what that UTC day had seen by then."""

    at: datetime
    before: Fates


@dataclass(frozen=True, slots=True)
class Paused:
    """Somebody switched sending off: since when, and who."""

    since: datetime
    by: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Amazon SES has taken no mail since then, and why."""

    since: datetime
    reason: Refusal


@dataclass(frozen=True, slots=True)
class SendingState:
    """What is known of sending to patients as a whole; `silent_since`: mail left, and no event has come in since."""

    stopped: Stopped | None = None
    paused: Paused | None = None
    resumed: Resumed | None = None
    refused: Refused | None = None
    silent_since: datetime | None = None


def days_that_count(today: date, resumed: Resumed | None) -> list[date]:
    """The UTC days whose mails count, oldest first: the last fourteen, or those since sending was resumed."""
    days = [today - timedelta(days=ago) for ago in reversed(range(WINDOW_DAYS))]
    return [day for day in days if resumed is None or day >= resumed.at.date()]


def recent(by_day: Mapping[date, Fates], today: date, resumed: Resumed | None) -> Fates:
    """What became of the mails that count; what was counted before sending was resumed counts no more."""
    days = days_that_count(today, resumed)
    counted = sum((by_day.get(day, Fates()) for day in days), Fates())
    return counted - resumed.before if resumed and resumed.at.date() in days else counted


def why_stop(fates: Fates) -> StopReason | None:
    """Whether that many complaints or bounces among so many mails are too many, both bounds included."""
    if fates.complained >= FEWEST_COMPLAINTS and fates.complained * MAILS_A_COMPLAINT >= fates.sent:
        return StopReason.COMPLAINTS
    if fates.bounced >= FEWEST_BOUNCES and fates.bounced * MAILS_A_BOUNCE >= fates.sent:
        return StopReason.BOUNCES
    return None


def is_silent(silent_since: datetime | None, now: datetime) -> bool:
    """Whether news of sent mail is missing: not one event, of whatever mail, in the quarter of an hour since."""
    return silent_since is not None and now - silent_since >= SILENCE

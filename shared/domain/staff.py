"""Who works with the dashboard, what each may see, and for how long a sign-in holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.self_test import is_canary

IDLE = timedelta(minutes=30)  # without a request
ABSOLUTE = timedelta(hours=12)  # whatever is done with it
RENEWAL = timedelta(minutes=1)  # a session is written again at most this often


class Role(StrEnum):
    """What somebody is to the practice; the names are those of the user pool's groups."""

    OWNER = "owner"
    CLINIC_ADMIN = "clinic_admin"
    THERAPIST = "therapist"


@dataclass(frozen=True, slots=True)
class Staff:
    """Somebody who is signed in. `clinics` counts for clinic admins, `therapist_id` for therapists."""

    user_id: str
    name: str
    email: str
    role: Role
    clinics: frozenset[str] = frozenset()
    therapist_id: str = ""

    def may_see(self, clinic_id: str) -> bool:
        """Whether this clinic's patients, comments and figures are theirs to see; a therapist sees no whole clinic."""
        if is_canary(clinic_id):
            return False
        return self.role is Role.OWNER or (self.role is Role.CLINIC_ADMIN and clinic_id in self.clinics)


@dataclass(frozen=True, slots=True)
class Session:
    """One sign-in in one browser, by the wall clock."""

    staff: Staff
    created_at: datetime
    seen_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Whether it has been idle for half an hour or is twelve hours old."""
        return now - self.seen_at >= IDLE or now - self.created_at >= ABSOLUTE

    def needs_renewal(self, now: datetime) -> bool:
        """Whether its last use is long enough ago to be written down again."""
        return now - self.seen_at >= RENEWAL

    def ends_at(self) -> datetime:
        """When it is over if it is not used again."""
        return min(self.seen_at + IDLE, self.created_at + ABSOLUTE)


def role_of(groups: Iterable[str]) -> Role | None:
    """The most that any of these groups allows; None if none of them is a role."""
    names = set(groups)
    return next((role for role in Role if role.value in names), None)

"""What there is to know of a deployed stack, as plain values; `shared.health.reading` reads them."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta


@dataclass(frozen=True, slots=True)
class MailAccount:
    """The account in Amazon SES: mails in 24 hours that it allows and that left."""

    in_production: bool
    sends: bool
    enforcement: str  # HEALTHY, PROBATION or SHUTDOWN
    quota: int
    sent: int


@dataclass(frozen=True, slots=True)
class Identity:
    """An address or domain that Amazon SES knows; the statuses are its own words (SUCCESS, PENDING, FAILED …)."""

    name: str
    is_verified: bool
    signs: bool = False
    dkim: str = ""
    mail_from: str = ""
    mail_from_status: str = ""


@dataclass(frozen=True, slots=True)
class ConfigurationSet:
    """What every mail goes out under; `told` are the kinds of events that go to the event bus."""

    sends: bool
    suppressed: frozenset[str]
    told: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who hears of unhappy patients: the practice's admins, and clinics by id with those of their own."""

    admins: tuple[str, ...]
    clinics: dict[str, tuple[str, ...]]
    unreached: dict[str, str]  # address -> bounced or complained


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who may sign in as owner."""

    email: str
    is_enabled: bool
    has_signed_in: bool


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a function runs by itself; `is_on` is None if the schedule is gone."""

    name: str
    function: str
    is_on: bool | None
    every: timedelta
    changed_at: datetime | None
    expression: str = ""
    leads: bool = True  # to its function


@dataclass(frozen=True, slots=True)
class Run:
    """When a function last ran, and when it last ended well."""

    last: datetime
    last_well: datetime | None


@dataclass(frozen=True, slots=True)
class Mapping:
    """What wakes a function when a patient answers; `state` is empty if it is gone."""

    function: str
    state: str
    last_result: str
    stream: str = ""


@dataclass(frozen=True, slots=True)
class Halted:
    """Why a function may not run; `is_held` if somebody gave it no room to."""

    why: str
    is_gone: bool = False
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Uninvited:
    """A function that the service may not start which should."""

    function: str
    service: str


@dataclass(frozen=True, slots=True)
class Rule:
    """What hands on what SES tells of mails: whether it is on, leads to its function, and lets all of it through."""

    is_on: bool
    leads: bool
    lets_through: bool


@dataclass(frozen=True, slots=True)
class Bucket:
    """How uploaded files are guarded; `only_tls` is None where nobody can tell."""

    is_private: bool
    only_tls: bool | None


@dataclass(frozen=True, slots=True)
class Queue:
    """Events that could not be handled."""

    waiting: int
    oldest: timedelta | None


@dataclass(frozen=True, slots=True)
class Alarm:
    """`state` is OK, ALARM, INSUFFICIENT_DATA or, if the alarm is gone, empty."""

    name: str
    state: str
    describes: str
    tells: bool


@dataclass(frozen=True, slots=True)
class Topic:
    """Who hears of alarms: addresses that confirmed, those that have not, and whom the deployment wants told."""

    confirmed: tuple[str, ...]
    pending: tuple[str, ...]
    arn: str = ""
    wanted: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """How a table is kept safe; None if it is gone."""

    name: str
    has_recovery: bool | None
    is_protected: bool | None


@dataclass(frozen=True, slots=True)
class Log:
    """A function's log, and the days for which it is kept; None is for ever."""

    name: str
    is_there: bool
    days: int | None


@dataclass(frozen=True, slots=True)
class Lately:
    """What the nightly count knows of the last days: mails that left, and the last day with an answer."""

    sent: int
    last_answer: date | None


@dataclass(frozen=True, slots=True)
class Certificate:
    """Of the names of the practice's own."""

    status: str
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class Page:
    """What a page answered: its status, or why nothing came."""

    address: str
    status: int | None
    trouble: str = ""

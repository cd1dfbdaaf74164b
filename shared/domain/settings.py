"""What the practice chose, and how its clinics differ from it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shared.domain.touchpoint import TouchpointRule

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_KNOWN_HOSTS = {"google": "Google", "g.page": "Google", "yelp": "Yelp", "facebook": "Facebook"}
_BETWEEN_LINKS = re.compile(r";|[\s,]+(?=https?://)|,\s*(?=[^,;=/]+=https?://)")
_EMAIL = re.compile(r"[^\s\x00-\x1f\x7f@<>,;:\"()\[\]\\]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?\.[A-Za-z]{2,}")


class ReviewInvitations(StrEnum):
    """Who is asked by email for a public review."""

    PROMOTERS = "promoters"
    EVERYONE = "everyone"
    OFF = "off"


class PassiveAlerts(StrEnum):
    """How the staff hear of passives."""

    DIGEST = "digest"
    IMMEDIATE = "immediate"
    OFF = "off"


class AlertDetail(StrEnum):
    """What a staff alert shows: `minimal` is score group, clinic and a reference; `full` adds the person and words."""

    MINIMAL = "minimal"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class ReviewLink:
    """A public review page of the practice."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Window:
    """The clinic-local hours and weekdays in which patients may be mailed; `until` is exclusive."""

    start: time
    until: time
    days: frozenset[int]  # Monday is 0

    @property
    def ever_opens(self) -> bool:
        """Whether there is any moment for patient mail."""
        return self.start < self.until and bool(self.days)

    @property
    def hours_a_week(self) -> float:
        """How long it is open in a week, to the minute."""
        first = date(2001, 1, 1)  # any day does
        a_day = datetime.combine(first, self.until) - datetime.combine(first, self.start)
        return len(self.days) * round(a_day / timedelta(minutes=1)) / 60

    def is_open(self, local: datetime) -> bool:
        """Whether patients may be mailed at this clinic-local moment."""
        return local.weekday() in self.days and self.start <= local.time() < self.until

    def next_opening(self, local: datetime) -> datetime:
        """The first moment after this clinic-local one at which the hours begin."""
        opens = datetime.combine(local.date(), self.start, local.tzinfo)
        while opens <= local or opens.weekday() not in self.days:
            opens += timedelta(days=1)
        return opens


OFFICE_HOURS = Window(time(8), time(18), frozenset(range(5)))


@dataclass(frozen=True, slots=True)
class Clinic:
    """One location, with everything a mail or page says about it."""

    clinic_id: str
    name: str
    zone: ZoneInfo
    phone: str
    admins: tuple[str, ...]
    review_links: tuple[ReviewLink, ...]
    window: Window
    networks: tuple[str, ...] = ()  # addresses that the clinic's own network appears under, in CIDR notation


@dataclass(frozen=True, slots=True)
class Practice:
    """The practice's choices; a clinic takes from here what it does not set itself."""

    name: str
    zone: ZoneInfo
    sender: str
    reply_to: str
    postal_address: str
    admins: tuple[str, ...]
    review_links: tuple[ReviewLink, ...]
    touchpoints: tuple[TouchpointRule, ...]
    window: Window
    survey_delay: timedelta
    pause: timedelta
    reminder_after: timedelta | None
    max_touchpoint_age: timedelta
    link_lifetime: timedelta
    edit_window: timedelta
    review_invitations: ReviewInvitations
    review_delay: timedelta
    passive_alerts: PassiveAlerts
    alert_detail: AlertDetail
    promise_contact: bool
    max_sends_per_day: int | None = None  # mails to patients in one UTC day; None: no limit of the practice's own
    sending_paused: bool = False  # by the stack's parameter; the owner's own switch is shared.storage.sending_health's
    owner: tuple[str, ...] = ()  # who was invited to the dashboard first; the stack may name nobody
    restored_at: datetime | None = None  # what was due by then may have been sent by the stack that was restored
    # What only the dashboard's settings choose; the stack's parameters do not know of it.
    business: Window = OFFICE_HOURS
    response_hours: int = 8  # business hours until somebody should have reached out
    cases_for_passives: bool = False
    escalate_to: tuple[str, ...] = ()  # who hears of a case that nobody took in time; empty: the owner
    clinical_leads: tuple[str, ...] = ()  # who hears of a comment that may concern safety, besides a clinic's admins
    goal: int | None = None  # the NPS that the practice wants to reach
    visit_value: Decimal | None = None  # dollars that a visit brings on average
    benchmark: tuple[int, int, int] | None = None  # NPS of the bottom tenth, average and top tenth; None: the field's

    @property
    def late_cases_to(self) -> tuple[str, ...]:
        """Who hears of a case that nobody took in time: not the admins, who had its alert, unless there is no owner."""
        return self.escalate_to or self.owner or self.admins

    @property
    def alerted(self) -> frozenset[str]:
        """Everybody who is to hear of unhappy patients, but for the admins of single clinics."""
        return frozenset({*self.admins, *self.late_cases_to, *self.clinical_leads})

    def clinic(self, clinic_id: str) -> Clinic:
        """A clinic about which nothing special is known."""
        return Clinic(clinic_id, self.name, self.zone, "", self.admins, self.review_links, self.window)


@dataclass(frozen=True, slots=True)
class ClinicSettings:
    """What is set for one clinic; None takes the practice's choice."""

    clinic_id: str
    name: str | None = None
    time_zone: str | None = None
    phone: str | None = None
    admins: tuple[str, ...] = ()
    review_links: tuple[ReviewLink, ...] = ()
    send_from: str | None = None
    send_until: str | None = None
    send_days: str | None = None
    uploaded_at: datetime | None = None  # when the file came, or somebody last changed it on the dashboard
    networks: tuple[str, ...] = ()


def clinic_of(settings: ClinicSettings, practice: Practice) -> Clinic:
    """The clinic as it works: its own settings over the practice's choices."""
    default = practice.clinic(settings.clinic_id)
    window = default.window
    if settings.send_from:
        window = replace(window, start=parse_time_of_day(settings.send_from))
    if settings.send_until:
        window = replace(window, until=parse_time_of_day(settings.send_until))
    if settings.send_days:
        window = replace(window, days=parse_days(settings.send_days))
    return Clinic(
        clinic_id=settings.clinic_id,
        name=settings.name or default.name,
        zone=parse_zone(settings.time_zone) if settings.time_zone else default.zone,
        phone=settings.phone or default.phone,
        admins=settings.admins or default.admins,
        review_links=settings.review_links or default.review_links,
        window=window,
        networks=settings.networks,
    )


def parse_zone(text: str) -> ZoneInfo:
    """An IANA time zone, or a ValueError that names it."""
    try:
        return ZoneInfo(text.strip())
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"not an IANA time zone such as America/New_York: {text!r}") from error


def parse_time_of_day(text: str) -> time:
    """`08:00`; `24:00` is the last moment of the day."""
    match = re.fullmatch(r"([01]?\d|2[0-4]):([0-5]\d)", text.strip(), re.ASCII)
    if not match or (match[1] == "24" and match[2] != "00"):
        raise ValueError(f"not a time of day such as 08:00: {text!r}")
    return time.max if match[1] == "24" else time(int(match[1]), int(match[2]))


def parse_days(text: str) -> frozenset[int]:
    """`Mon-Sat`, `Mon,Wed,Fri` or both; a range may run over the weekend (`Fri-Mon`)."""
    days: set[int] = set()
    for part in re.split(r"[,; ]+", text.strip()):
        first, is_range, last = part.partition("-")
        start, end = _weekday(first), _weekday(last if is_range else first)
        days.update((start + offset) % 7 for offset in range((end - start) % 7 + 1))
    return frozenset(days)


def _weekday(text: str) -> int:
    name = text.strip().title()[:3]
    if name not in WEEKDAYS:
        raise ValueError(f"not a weekday such as Mon: {text!r}")
    return WEEKDAYS.index(name)


def parse_number(text: str, least: int, most: int) -> int:
    """A whole number within these bounds."""
    if not re.fullmatch(r"-?\d{1,6}", text.strip(), re.ASCII) or not least <= int(text) <= most:
        raise ValueError(f"not a whole number from {least} to {most}: {text!r}")
    return int(text)


def parse_goal(text: str) -> int:
    """A Net Promoter Score from -100 to 100."""
    return parse_number(text, -100, 100)


def parse_benchmark(text: str) -> tuple[int, int, int]:
    """Three Net Promoter Scores from low to high, such as `75, 84, 90`: bottom tenth, average, top tenth."""
    parts = [part for part in re.split(r"[,;\s]+", text.strip()) if part]
    if len(parts) != 3:
        raise ValueError(f"not three scores such as 75, 84, 90: {text!r}")
    low, middle, high = map(parse_goal, parts)
    if not low < middle < high:
        raise ValueError(f"the three scores must rise: {text!r}")
    return low, middle, high


def parse_dollars(text: str) -> Decimal:
    """An amount such as 95 or 95.50, at most 10,000."""
    try:
        amount = Decimal(text.strip().removeprefix("$"))
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 < amount <= 10_000:
        raise ValueError(f"not an amount of dollars such as 95.50: {text!r}")
    return amount


def parse_addresses(text: str) -> tuple[str, ...]:
    """Email addresses separated by `,`, `;` or spaces; anything else is a ValueError that quotes it."""
    addresses = tuple(dict.fromkeys(filter(None, re.split(r"[,;\s]+", text))))
    for address in addresses:
        if not is_email(address):
            raise ValueError(f"not an email address: {address!r}")
    return addresses


def is_email(text: str) -> bool:
    """Whether mail can be addressed to this: one plain ASCII-domain address, at most 254 characters."""
    return len(text) <= 254 and text.isascii() and ".." not in text and bool(_EMAIL.fullmatch(text))


def parse_review_links(text: str) -> tuple[ReviewLink, ...]:
    """`https://…` or `Label=https://…`, separated by `;`, or by spaces or commas before a link; https hosts only."""
    parts = (part.strip(" ,") for part in _BETWEEN_LINKS.split(text))
    return tuple(_review_link(part) for part in parts if part)


def _review_link(part: str) -> ReviewLink:
    label, separator, url = part.partition("=https://")
    url = "https://" + url if separator else part
    host = urlsplit(url).hostname or ""
    if not url.startswith("https://") or "." not in host or re.search(r"[\s<>\"'\\]", url):
        raise ValueError(f"not an https review link: {part!r}")
    if not separator:
        label = next((name for known, name in _KNOWN_HOSTS.items() if known in host), host.removeprefix("www."))
    return ReviewLink(label.strip(), url)


MOST_NETWORKS = 20
_INSIDE = tuple(
    map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10"))
)
_WIDEST = {4: 16, 6: 32}  # bits: whoever writes 0.0.0.0/0 would call every answer one given on site


def parse_networks(text: str) -> tuple[str, ...]:
    """IP addresses or CIDR ranges separated by `,`, `;` or spaces, each once; anything else is a ValueError."""
    found = []
    for part in filter(None, re.split(r"[,;\s]+", text)):
        try:
            network = ip_network(part, strict=False)
        except ValueError:
            raise ValueError(f"not an address range such as 203.0.113.0/28: {part!r}") from None
        if network.prefixlen < _WIDEST[network.version]:
            raise ValueError(f"too wide for one clinic's network: {part!r}")
        if any(network.version == inside.version and network.subnet_of(inside) for inside in _INSIDE):  # type: ignore[arg-type]
            raise ValueError(f"an address inside the clinic; what counts is how it looks from outside: {part!r}")
        found.append(str(network))
    networks = tuple(dict.fromkeys(found))
    if len(networks) > MOST_NETWORKS:
        raise ValueError(f"more than {MOST_NETWORKS} ranges")
    return networks


def is_within(address: str, networks: Iterable[str]) -> bool:
    """Whether an IP address belongs to one of these networks."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in ip_network(network) for network in networks)

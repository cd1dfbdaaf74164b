"""Scale: how many surveys a day until which limit

A group of clinics that ask a thousand patients a day each, in one account. A day is simulated minute by minute; what
each part does in its busiest minute, or in one run, stands against the limit of AWS or of the code that it meets first.
docs/scale.md tells the order and what moves each limit.
"""

import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from itertools import product

import boto3

from bench import cost, in_process, journey, past, plots, report  # first: it sets the environment
from bench.figure import Figure
from bench.journey import Step
from functions.send_survey.hands import MAX_THREADS
from shared.domain.message import SHARDS, MessageKind
from shared.domain.staff import Role
from shared.storage import cases, surveys
from shared.storage.messages import DueMessage
from tests import builders
from tests.handlers import answering
from tests.handlers.dashboard import signed_in

NOON = builders.MONDAY_NOON
DOCUMENT = report.ROOT / "docs" / "scale.md"
CHART = report.IMAGES / "scale.svg"
A_DAY = 1_000_000  # surveys
OF_A_CLINIC = 1_000  # surveys a day, so that a thousand clinics make a million
ZONES = {-5: 0.47, -6: 0.30, -7: 0.08, -8: 0.15}  # the clinics' share by hours from UTC, as people live in the US
RATE = 0.8  # of the account's SES limit is for patients' mail
NIGHT = 300  # surveys counted together, to see what one takes among many
READ = 0.010  # seconds for a query of DynamoDB, eight side by side where a page reads many
TRANSACTION = 0.040  # seconds for one of a hundred items, which takes about twenty surveys


@dataclass(frozen=True, slots=True)
class Limit:
    """Something that a growing group meets: how much of it a million surveys a day would need."""

    name: str
    needed: float
    allowed: float
    unit: str
    moved_by: str

    @property
    def surveys(self) -> float:
        """The surveys a day at which it is reached."""
        return A_DAY * self.allowed / self.needed


@dataclass(frozen=True, slots=True)
class Day:
    """What a day of a million surveys asks for, in its busiest minute."""

    mails: tuple[float, ...]  # due in each minute of the day (UTC), a second
    waiting: float  # surveys that the morning's first window finds due

    @property
    def rate(self) -> float:
        """The least rate that leaves nobody waiting for more than an hour."""
        rate = sum(self.mails) / len(self.mails)
        while max(_waiting(self.mails, rate)) > rate * 3600:
            rate *= 1.02
        return rate


@dataclass(frozen=True, slots=True)
class Each:
    """What one item takes of the tables, and of this process's CPU without the stand-in."""

    calls: float
    wru: float
    rru: float
    cpu: float
    mails: float = 0


@dataclass(frozen=True, slots=True)
class Measured:
    """What is metered here beside the steps of a survey."""

    steps: Mapping[str, Step]
    night: Each  # a survey counted among many
    clinic: Each  # what one more clinic adds to an owner's overview
    case: Each  # what one more open case adds to every page
    entry_bytes: float  # of a due message in a sender's hand


def measure() -> list[Figure]:
    """Every limit by the volume at which it is reached; writes docs/scale.md."""
    measured, day = _meter(), _day()
    limits = sorted(_limits(measured, day), key=lambda limit: limit.surveys)
    plots.bars(
        [(limit.name.replace("`", ""), limit.surveys) for limit in limits],
        "surveys a day until it is reached",
        CHART,
        log=True,
    )
    DOCUMENT.write_text(_document(limits, measured, day))
    waiting = _waiting(day.mails, day.rate)
    return [
        Figure(
            "rate that leaves nobody waiting an hour", "A day of a million surveys, minute by minute.",
            day.rate, "mails a second", "absolute",
        ),
        Figure(
            "mails waiting at that rate", "The most of them, when the day begins on the east coast.",
            max(waiting), "mails", "absolute", along="hour of the day (UTC)",
            points=tuple((minute / 60, waiting[minute]) for minute in range(0, len(waiting), 5)),
        ),
        *(
            Figure(limit.name, f"Moved by {limit.moved_by}.", limit.surveys, "surveys a day", "absolute")
            for limit in limits
        ),
    ]  # fmt: skip


def _day() -> Day:
    """Mails by minute: due three hours after visits of an eight-to-six day, held back from eight in the evening."""
    a_mail, minutes = cost.mails() / cost.SURVEYS * A_DAY, [0.0] * 1440
    morning = 0.0
    for zone, share in ZONES.items():
        for minute in range(600):  # visits end evenly between nine and seven; mails are due three hours later
            local = 9 * 60 + minute + 180
            mails = a_mail * share / 600
            if local >= 20 * 60:
                local, morning = 8 * 60, morning + mails / a_mail * A_DAY
            minutes[(local - zone * 60) % 1440] += mails
    return Day(tuple(mails / 60 for mails in minutes), morning)


def _waiting(mails: tuple[float, ...], rate: float) -> list[float]:
    """How many mails are due and not sent, minute by minute, sending at this rate."""
    backlog, waiting = 0.0, list[float]()
    for due in mails * 2:  # the second day finds what the first has left
        backlog = max(0.0, backlog + (due - rate) * 60)
        waiting.append(backlog)
    return waiting[len(mails) :]


def _limits(measured: Measured, day: Day) -> Iterator[Limit]:
    steps, often, memory = measured.steps, cost.how_often(), cost.memory_of(cost.template())
    rate, sender = day.rate, memory["SendSurveyFunction"]
    share = {name: min(1.0, size / cost.VCPU_MEMORY) for name, size in memory.items()}

    def second(step: str) -> float:
        """How often a step happens in a second of the busiest hour, in which mails leave at the full rate."""
        return often[step] / cost.mails() * rate

    def lasts(step: Step | Each, function: str) -> float:
        return step.cpu / share[function] + step.calls * cost.CALL_SECONDS + step.mails * cost.SES_SECONDS

    counted = lasts(measured.night, "AggregateScoresFunction") + TRANSACTION / 20
    changed = A_DAY * cost.OFTEN["counts"][0]
    passives = A_DAY * cost.OFTEN["answers"][0] * 0.2
    pages = second("a page is opened") + second("an answer")
    yield Limit("SES: rate of a new account", rate / RATE, 14, "mails a second", "asking AWS for a higher rate")
    yield Limit("SES: daily quota of a new account", cost.mails() * A_DAY / cost.SURVEYS / RATE, 50_000, "mails a day",
                "asking AWS for a higher quota")  # fmt: skip
    yield Limit("SES: sandbox", cost.mails() * A_DAY / cost.SURVEYS, 200, "mails a day", "leaving the sandbox")
    yield Limit(
        "one sender: its processor", rate * steps["a survey is sent"].cpu, share["SendSurveyFunction"], "processors",
        f"`Senders`, up to {len(SHARDS)}",
    )  # fmt: skip
    yield Limit(
        "all senders: their processors", rate * steps["a survey is sent"].cpu / len(SHARDS),
        share["SendSurveyFunction"], "processors each", "`MemorySize` of the sender, up to one processor at 1,769 MB",
    )  # fmt: skip
    yield Limit(
        "one sender: its threads", rate * lasts(steps["a survey is sent"], "SendSurveyFunction"), MAX_THREADS,
        "mails in hand", "`Senders`",
    )  # fmt: skip
    yield Limit(
        "one sender: memory for what waits in the morning", day.waiting * measured.entry_bytes / 1e6,
        sender - 250, "MB", "`Senders`",
    )  # fmt: skip
    yield Limit(
        "one night's count", changed * counted, 900 - 60, "seconds",
        "nothing needed: it goes on in a further invocation",
    )  # fmt: skip
    yield Limit(
        "all nights' count: before the next begins", changed * counted,
        20 * 3600, "seconds", "counting by clinic side by side",
    )  # fmt: skip
    passive = lasts(steps["an alert"], "SendDigestFunction")  # it reads and writes what an alert does
    yield Limit(
        "digest: one time zone's passives", passives * max(ZONES.values()) * passive, 300, "seconds",
        "`PassiveAlerts=off`, or a digest that goes on like the count",
    )  # fmt: skip
    yield Limit(
        "owner's overview: all clinics", A_DAY / OF_A_CLINIC * (
            measured.clinic.cpu / share["ServeDashboardFunction"] + measured.clinic.calls * READ / 8
        ), 20, "seconds", "roles for some clinics; monthly rows of groups of clinics",
    )  # fmt: skip
    yield Limit(
        "badge of a day's open cases, on every page", A_DAY * cost.OFTEN["answers"][0] * cost.OFTEN["detractors"][0] * (
            measured.case.cpu / share["ServeDashboardFunction"] + measured.case.rru * READ / 128
        ), 1, "second", "counting no further than a hundred",
    )  # fmt: skip
    yield Limit(
        "index `due`: a shard", 3 * rate / len(SHARDS) * 2, 1000, "WRU a second",
        "more shards: the hash has room",
    )  # fmt: skip
    yield Limit(
        "index `uncounted`: its one key", second("a survey is sent") + second("an answer")
        + 1 / counted, 1000, "WRU a second", "shards as of `due`",
    )  # fmt: skip
    yield Limit(
        "index `owed_reactions`: `review`", 2 * second("a review request is made"), 1000, "WRU a second",
        "shards as of `due`",
    )  # fmt: skip
    yield Limit(
        "Settings: `mail#state`", second("a Send event") + second("a Delivery event of a survey"), 3000,
        "RRU a second", "keeping it for a minute in a warm function",
    )  # fmt: skip
    yield Limit("API Gateway", pages, 10_000, "requests a second", "asking AWS")
    yield Limit("EventBridge: invocations", 2 * rate, 18_750, "a second", "asking AWS")
    concurrent = (
        pages * (lasts(steps["a page is opened"], "RecordResponseFunction") + cost.COLD_SECONDS)
        + 2 * rate * lasts(steps["a Delivery event of a survey"], "TrackDeliveryFunction")
        + second("a review request is made") * lasts(steps["a review request is made"], "RequestReviewFunction")
        + len(SHARDS)
    )
    yield Limit(
        "Lambda: concurrency of a new account", concurrent, 10, "functions at once", "asking AWS, 1,000 is usual"
    )
    yield Limit("Lambda: usual concurrency", concurrent, 1000, "functions at once", "asking AWS")
    imported = A_DAY * cost.OFTEN["visits"][0]
    visit = steps["a visit"]
    seconds = visit.cpu + visit.calls * cost.CALL_SECONDS / 8
    yield Limit(
        "import of one file in a night of eight hours", imported * seconds, 8 * 3600, "seconds",
        "a file for each clinic: files are imported side by side",
    )  # fmt: skip


def _meter() -> Measured:
    return Measured(
        journey.walk(),
        night=_per_item(_change, journey.count_night, 0, NIGHT),
        clinic=_per_item(_make_clinic, _overview, 6, 56),
        case=_per_item(_open_case, _overview, 0, 200),
        entry_bytes=_bytes_of_entries(20_000),
    )


def _per_item(make: Callable[[int], object], work: Callable[[], object], few: int, many: int) -> Each:
    """What one item more adds to a piece of work: the difference between many and few of them, divided by it."""
    found = dict[tuple[bool, int], tuple[float, ...]]()
    for is_metered, number in product((True, False), (few, many)):
        with in_process.stack(is_metered=is_metered) as meter:
            past.spare_moto_its_backups()
            work()  # for what is read once and kept
            for place in range(number):
                make(place)
            meter.clear()
            began, away = time.process_time(), in_process.seconds_away()
            work()
            cpu = time.process_time() - began - in_process.seconds_away() + away
            found[is_metered, number] = (meter.calls, meter.wru, meter.rru, cpu)
    less, more = found[True, few], found[True, many]
    calls, wru, rru = ((after - before) / (many - few) for before, after in zip(less[:3], more[:3], strict=True))
    return Each(calls, wru, rru, max(0.0, found[False, many][3] - found[False, few][3]) / (many - few))


def _change(number: int) -> None:
    """A survey that was sent to a new patient of one of forty clinics; three of ten have answered as well."""
    survey, clinic = past.survey_of(number), f"clinic-{number % 40}"
    surveys.create(builders.a_survey(survey, patient_id=f"p{number}", clinic_id=clinic))
    surveys.mark_sent(survey, NOON)
    if number % 10 < 3:
        answering.open_link(survey)
        answering.answer(survey, 9, "Kind people.", NOON + timedelta(hours=1))


def _make_clinic(number: int) -> None:
    """A clinic with a year of monthly rows."""
    name = {"S": f"clinic-{number}"}
    client = boto3.client("dynamodb")
    client.put_item(
        TableName="Scores", Item={"scope": {"S": "directory"}, "day": {"S": f"clinic#{name['S']}"}, "name": name}
    )
    fields = {f"evaluation|en|s{score}": {"N": "40"} for score in range(11)}
    for month in range(1, 13):
        key = {"scope": {"S": f"month#clinic#{name['S']}"}, "day": {"S": f"2025-{month:02d}"}}
        client.put_item(TableName="Scores", Item={**key, **fields})


def _open_case(number: int) -> None:
    cases.create(builders.a_case(past.survey_of(number), clinic_id=f"clinic-{number % 40}"))


def _overview() -> None:
    assert signed_in(Role.OWNER).get("/?period=2025").status == 200


def _bytes_of_entries(number: int) -> float:
    """The memory of one due message in a sender's hand."""
    tracemalloc.start()
    kept = [
        DueMessage(
            f"{past.survey_of(place)}-survey", MessageKind.SURVEY, f"patient-{place}", past.survey_of(place),
            f"clinic-{place % 1000}", "evaluation", NOON + timedelta(seconds=place), NOON + timedelta(seconds=place),
        )
        for place in range(number)
    ]  # fmt: skip
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / len(kept)


def _document(limits: list[Limit], measured: Measured, day: Day) -> str:
    rows = "\n".join(
        f"| {limit.name} | {_round(limit.surveys)} | {report.number(limit.needed)} {limit.unit} "
        f"| {report.number(limit.allowed)} | {limit.moved_by} |"
        for limit in limits
    )
    return f"""# How far it goes

`make bench ONLY=scale` computes this page: a group of a thousand clinics that ask a thousand patients a day each, in
one account, {A_DAY:,} surveys and {cost.mails() * A_DAY / cost.SURVEYS:,.0f} mails a day. Every demand is a metered
unit (see [performance.md](performance.md)) times a volume (see the assumptions in [cost.md](cost.md)); the limits are
AWS's defaults in us-east-1 or the code's own. Nothing here was tried on AWS.

## Where it breaks first

In order: the surveys a day at which each limit is met.

| limit | surveys a day | a million would need | there is | what moves it |
|---|---:|---:|---:|---|
{rows}

![Surveys a day until each limit is reached](images/scale.svg)

SES's sandbox, quota and rate, and Lambda's ten functions at once, are AWS's protection against accounts that it does
not know yet; they are moved by asking. Until then messages stay due: a run keeps to the rate, stops at the quota, and
the next day goes on. None of the limits loses an answer or an alert: what cannot be done in a run stays in its sparse
index for the next one; a survey that finds no room for fourteen days expires unsent, which the overview's funnel shows.

## A day of a million surveys

Clinics in four time zones, visits from eight to six, mails due three hours after a visit. What falls after eight in
the evening waits for the next morning: {day.waiting:,.0f} surveys. So {day.rate:.0f} mails a second leave nobody
waiting for longer than an hour; the average over 24 hours is {sum(day.mails) / len(day.mails):.0f}. Ask SES for
{day.rate / RATE:.0f} a second and {cost.mails() * A_DAY / cost.SURVEYS / RATE / 1e6:.1f} million a day.

![Mails waiting by the hour](images/bench-scale-1.svg)

## What a group of that size sets

| what | to | because |
|---|---|---|
| `Senders` | 2 to 4 | one would do, with little to spare; each takes its shards, its share of rate and quota |
| the clinics' exports | a file each | files are imported side by side, each in as many invocations as it takes |
| roles | clinics' admins for most | a page reads the rows of the clinics that are one's to see |
| `PassiveAlerts` | `off`, or admins for each clinic | the digest of a whole group does not fit into a run |
| SES, Lambda, API Gateway | the quotas above | before the first day: AWS takes days to answer |

## What was measured for it

| what | calls | WRU | RRU | CPU |
|---|---:|---:|---:|---:|
| a survey counted at night, among {NIGHT} | {_cells(measured.night)} |
| one more clinic in an owner's overview of a year | {_cells(measured.clinic)} |
| one more open case, on every page of the dashboard | {_cells(measured.case)} |

A due message in a sender's hand takes {measured.entry_bytes:,.0f} bytes.

## Hot keys

A partition of a table or an index takes 1,000 WRU and 3,000 RRU a second. `due` has {len(SHARDS)} keys, `uncounted`
one, `owed_reactions` one for each kind of reaction, `listed` one for all open cases; the practice's rows of counts are
written by one run at a time, at most once in a transaction. `Senders` share
the shards without anything being moved: a sender takes those whose number, divided by `Senders`, leaves its own.
"""


def _round(number: float) -> str:
    """Two digits: the assumptions bear no more."""
    return f"{float(f'{number:.2g}'):,.0f}"


def _cells(each: Each) -> str:
    return f"{each.calls:.2f} | {each.wru:.2f} | {each.rru:.2f} | {each.cpu * 1000:.2f} ms"

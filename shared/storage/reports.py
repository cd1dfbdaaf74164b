"""The report: to whom it goes, and its figures, read from the nightly counts and the staff's cases.

No survey and no patient is read for it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime
from zoneinfo import ZoneInfo

from shared.config import setting
from shared.domain.aggregate import histogram, histogram_of_latest, of_kind
from shared.domain.clock import format_instant
from shared.domain.period import Period, month_of
from shared.domain.recovery import RecoveryCase
from shared.domain.report import CaseCounts, Cohort, Every, Figures, Place, ReportChoice, cohort_days, was_late
from shared.domain.score import Category
from shared.domain.settings import parse_addresses
from shared.domain.staff import Staff
from shared.domain.statistics import Groups, groups_of
from shared.storage import cases, changes, comments, directory, scores
from shared.storage.changes import Change
from shared.storage.dynamodb import client
from shared.storage.settings import clinic, practice

Counts = Mapping[str, int]
REPORT = "report"


def read_choice() -> ReportChoice:
    """How often and to whom the report goes, as it stands in the table now; off until somebody chose."""
    chosen = _chosen()
    return ReportChoice(Every(chosen.get("every", Every.OFF)), parse_addresses(chosen.get("to", "")))


def put_choice(choice: ReportChoice, staff: Staff, at: datetime) -> bool:
    """Write how often and to whom the report goes, and who chose so; False if somebody else did in the meantime."""
    former = _chosen()
    noted = Change(REPORT, "Mail the report", _in_words(read_choice()), _in_words(choice))
    before = {name: former.get(name) for name in ("every", "to")}
    after = {"every": choice.every.value, "to": ", ".join(choice.to)}
    return changes.write_texts(REPORT, before, after, [noted], staff, at)


def _chosen() -> dict[str, str]:
    key = {"scope": {"S": REPORT}}
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=key, ConsistentRead=True)
    return {name: value["S"] for name, value in answer.get("Item", {}).items()}


def _in_words(choice: ReportChoice) -> str:
    return choice.every if choice.every is Every.OFF else f"each {choice.every}, to {', '.join(choice.to) or 'admins'}"


def clinic_name(clinic_id: str) -> str:
    """What the clinic is called; its id if only the practice has a name."""
    name = clinic(clinic_id).name
    return clinic_id if name == practice().name else name


def figures(period: Period, now: datetime, only: Collection[str] | None = None) -> Figures:
    """The figures of these clinics, or of the whole practice, by name; as of the last nightly count."""
    zone = practice().zone
    clinic_ids = directory.read().clinics if only is None else set(only)
    wanted = [*(f"clinic#{clinic_id}" for clinic_id in clinic_ids), *(["practice"] if only is None else [])]
    current, former = _read(wanted, period), _read(wanted, period.previous)
    of_clinics = {clinic_id: _total([current[f"clinic#{clinic_id}"]]) for clinic_id in clinic_ids}
    # A patient of two clinics has one latest answer in the practice, but one in each of them.
    judged = wanted if only is not None else ["practice"]
    places = [Place(each, clinic_name(each), tuple(histogram(counts))) for each, counts in of_clinics.items()]
    return Figures(
        period=period,
        places=tuple(sorted(places, key=lambda place: (place.name, place.clinic_id))),
        latest=_latest(period, [current[scope] for scope in judged]),
        before=_latest(period.previous, [former[scope] for scope in judged]),
        histogram_before=tuple(histogram(_total(former[f"clinic#{clinic_id}"] for clinic_id in clinic_ids))),
        cohort=_cohort(period, clinic_ids, now.astimezone(zone).date()),
        cases=_cases(period, clinic_ids, zone, now),
        themes=_themes_named(period, clinic_ids, zone) if period.months is None else _themes(_total([of_clinics])),
    )


def _read(wanted: Sequence[str], period: Period) -> dict[str, dict[str, Counts]]:
    with ThreadPoolExecutor(8) as readers:
        return dict(zip(wanted, readers.map(lambda scope: _counts(scope, period), wanted), strict=True))


def _counts(scope: str, period: Period) -> dict[str, Counts]:
    """By month; a week is read by day, and its themes and latest answers are not counted there."""
    if period.months:
        return {month: of_kind([row]) for month, row in scores.read_months(scope, *period.months).items()}
    return dict(scores.read_range(scope, period.first.isoformat(), period.last.isoformat()))


def _total(spans: Iterable[Mapping[str, Counts]]) -> Counter[str]:
    counts = Counter[str]()
    for rows in spans:
        for row in rows.values():
            counts.update(row)
    return counts


def _latest(period: Period, places: Sequence[Mapping[str, Counts]]) -> Groups:
    """In a week nobody is asked twice: there all answers are the patients' latest."""
    if not period.months:
        return groups_of(histogram(_total(places)))
    counted = [histogram_of_latest(months, period.months[1]) for months in places]
    return groups_of([sum(column) for column in zip(*counted, strict=True)] or [0] * 11)


def _cohort(period: Period, clinic_ids: Collection[str], today: date) -> Cohort:
    first, last = cohort_days(period, today)
    counts = Counter[str]()
    for clinic_id in clinic_ids:
        for row in scores.read_range(f"clinic#{clinic_id}", first.isoformat(), last.isoformat()).values():
            counts.update(row)
    return Cohort(first, last, counts["sent"], counts["answered"])


def _cases(period: Period, clinic_ids: Collection[str], zone: ZoneInfo, now: datetime) -> CaseCounts:
    opened = closed = late = 0
    for case in _cases_since(period.first, clinic_ids, now):
        is_opened = _is_in(period, case.opened_at, zone)
        opened += is_opened
        late += is_opened and was_late(case, now)
        closed += case.closed_at is not None and _is_in(period, case.closed_at, zone)
    return CaseCounts(opened, closed, late)


def _cases_since(first: date, clinic_ids: Collection[str], now: datetime) -> Iterator[RecoveryCase]:
    """The open cases, and those closed since; months are UTC, so the one before is looked at too."""
    listed = list(cases.open_ones())
    month = month_of(first).previous
    while month.first <= now.date():
        listed += cases.closed_in(f"{month.first:%Y-%m}")
        month = month_of(date.fromordinal(month.last.toordinal() + 1))
    yield from cases.get_many(survey_id for survey_id, clinic_id in listed if clinic_id in clinic_ids).values()


def _is_in(period: Period, moment: datetime, zone: ZoneInfo) -> bool:
    return period.first <= moment.astimezone(zone).date() <= period.last


def _themes(counts: Counts) -> dict[str, Groups]:
    found: dict[str, Counter[str]] = {}
    for name, number in counts.items():
        if name.startswith("theme|"):
            _, theme, group = name.split("|")
            found.setdefault(theme, Counter())[group] += number
    return {theme: _groups(of_theme) for theme, of_theme in found.items()}


def _themes_named(period: Period, clinic_ids: Collection[str], zone: ZoneInfo) -> dict[str, Groups]:
    """The same from the list of comments, which has moments."""
    first, until = (
        format_instant(datetime.combine(day, datetime.min.time(), zone))
        for day in (period.first, date.fromordinal(period.last.toordinal() + 1))
    )
    found: dict[str, Counter[str]] = {}
    for clinic_id in clinic_ids:
        for listed in comments.newest(clinic_id, first, until):
            for theme in listed.themes:
                found.setdefault(theme, Counter())[listed.group] += 1
    return {theme: _groups(of_theme) for theme, of_theme in found.items()}


def _groups(counts: Counter[str]) -> Groups:
    return Groups(counts[Category.PROMOTER], counts[Category.PASSIVE], counts[Category.DETRACTOR])

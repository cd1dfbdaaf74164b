"""The figures of a choice, from the nightly rows by month."""

from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

from functions.serve_dashboard.choices import Choice, Option
from shared.domain.aggregate import (
    FUNNEL,
    by_therapist,
    by_touchpoint,
    histogram,
    histogram_of_latest,
    of_kind,
)
from shared.domain.period import Period, twelve_months_to
from shared.domain.score import Category, nps
from shared.domain.statistics import (
    SCORE_FROM,
    SURE_FROM,
    Comparison,
    Confidence,
    ControlChart,
    Groups,
    Interval,
    compare,
    confidence,
    control_chart,
    groups_of,
    interval,
)
from shared.storage import scores

OPEN_FOR = timedelta(days=14)
"""How long a survey has to be answered before it counts as unanswered."""

Months = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Score:
    """A score with what it rests on; no value under ten answers."""

    histogram: tuple[int, ...]

    @property
    def groups(self) -> Groups:
        """The three groups."""
        return groups_of(self.histogram)

    @property
    def answers(self) -> int:
        """How many there are."""
        return sum(self.histogram)

    @property
    def confidence(self) -> Confidence:
        """What may be said of so many."""
        return confidence(self.answers)

    @property
    def value(self) -> int | None:
        """The Net Promoter Score, if there are enough answers for one."""
        return None if self.confidence is Confidence.NONE else nps(self.histogram)

    @property
    def interval(self) -> Interval:
        """Where it lies with 95 % confidence."""
        return interval(self.groups)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The surveys sent in a month, and whether they have had the time to be answered."""

    month: date
    sent: int
    answered: int
    is_closed: bool

    @property
    def rate(self) -> float | None:
        """The part that was answered."""
        return self.answered / self.sent if self.sent else None


@dataclass(frozen=True, slots=True)
class Theme:
    """How often comments name something, now and in the period before, out of how many comments."""

    name: str
    groups: Groups
    comments: int
    before: int
    comments_before: int

    @property
    def share(self) -> float:
        """Of the comments of the period."""
        return self.groups.answers / self.comments

    @property
    def share_before(self) -> float | None:
        """Of the comments of the period before."""
        return self.before / self.comments_before if self.comments_before else None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A clinic or therapist with its score."""

    id: str
    name: str
    score: Score


@dataclass(frozen=True, slots=True)
class Ranking:
    """Those with enough answers, the highest score first, and the others by name."""

    ranked: tuple[Ranked, ...]
    too_few: tuple[Ranked, ...]


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the survey reached at one touchpoint, or what may bend its figures."""

    touchpoint: str
    reached: int
    sent: int
    answered: int


@dataclass(frozen=True, slots=True)
class Figures:
    """Everything that the overview tells; what cannot be told of a single therapist is None or empty."""

    score: Score
    before: Score
    latest: Score | None  # one answer a patient, in long periods a patient and quarter; None with a touchpoint
    latest_before: Score | None
    chart: ControlChart
    funnel: tuple[tuple[str, int], ...]
    cohorts: tuple[Cohort, ...]
    themes: tuple[Theme, ...]
    clinics: Ranking | None
    therapists: Ranking | None
    coverage: tuple[Coverage, ...]
    safety: int
    quick: int
    onsite: int
    invited: Mapping[Category, int]

    @property
    def points(self) -> int | None:
        """What the score gained since the period before; None if either has none."""
        now, before = self.score.value, self.before.value
        return None if now is None or before is None else now - before

    @property
    def tested(self) -> tuple[Score, Score]:
        """What the change is tested by, before and now: the patients' latest answers if they are known."""
        return self.latest_before or self.before, self.latest or self.score

    @property
    def change(self) -> Comparison | None:
        """Whether it is more than chance, by what it is tested by; None if either has too few."""
        before, now = self.tested
        if Confidence.NONE in (now.confidence, before.confidence):
            return None
        return compare(before.groups, now.groups)


def read_figures(
    choice: Choice, period: Period, today: date, clinics: Iterable[Option], therapists: Iterable[Option]
) -> Figures:
    """Read and add up; `clinics` and `therapists` are those to be compared."""
    year = twelve_months_to(period.last)
    first = min(year.previous.last, period.previous.first).strftime("%Y-%m")
    of_clinics, whole = _read(choice, first, f"{period.last:%Y-%m}")
    now = _within(whole, period)
    clinics_now = {clinic: _within(months, period) for clinic, months in of_clinics.items()}
    if choice.therapist_id:
        return _of_therapist(choice, period, whole)
    kind = (choice.touchpoint, choice.language)
    of_months = {month: of_kind([row], *kind) for month, row in whole.items()}
    counts, former = _total(of_months, period), _total(of_months, period.previous)
    has_latest = not choice.touchpoint
    return Figures(
        score=Score(tuple(histogram(counts))),
        before=Score(tuple(histogram(former))),
        latest=_latest(of_months, period) if has_latest else None,
        latest_before=_latest(of_months, period.previous) if has_latest else None,
        chart=_chart(of_months, period),
        funnel=tuple((stage, counts[stage]) for stage in FUNNEL),
        cohorts=_cohorts({month: of_months[month] for month in now}, today),
        themes=_themes(counts, former),
        clinics=_ranking(clinics, {clinic: of_kind(months.values(), *kind) for clinic, months in clinics_now.items()}),
        therapists=_ranking(
            therapists, by_therapist(row for months in clinics_now.values() for row in months.values())
        ),
        coverage=_coverage(now, choice),
        safety=counts["safety"],
        quick=counts["quick"],
        onsite=counts["onsite"],
        invited={group: counts[f"review|{group}"] for group in Category},
    )


def _of_therapist(choice: Choice, period: Period, whole: Months) -> Figures:
    """What is counted for each therapist: the scores at the chosen clinics, whatever touchpoint and language."""
    of_months = {month: by_therapist([row]).get(choice.therapist_id, Counter()) for month, row in whole.items()}
    return Figures(
        score=Score(tuple(histogram(_total(of_months, period)))),
        before=Score(tuple(histogram(_total(of_months, period.previous)))),
        latest=_latest(of_months, period),
        latest_before=_latest(of_months, period.previous),
        chart=_chart(of_months, period),
        funnel=(),
        cohorts=(),
        themes=(),
        clinics=None,
        therapists=None,
        coverage=(),
        safety=0,
        quick=0,
        onsite=0,
        invited={},
    )


def _read(choice: Choice, first: str, last: str) -> tuple[dict[str, Months], Months]:
    """The rows of each clinic, and those of all that is chosen together; fields of a therapist are in clinics' rows."""
    scopes = [f"clinic#{clinic}" for clinic in choice.clinics]
    needs_practice = choice.everything and not choice.therapist_id
    with ThreadPoolExecutor(8) as readers:
        found = list(
            readers.map(
                lambda scope: scores.read_months(scope, first, last), [*scopes, *(["practice"] * needs_practice)]
            )
        )
    of_clinics: dict[str, Months] = dict(zip(choice.clinics, found, strict=False))
    return of_clinics, found[-1] if needs_practice else _together(of_clinics.values())


def _together(clinics: Iterable[Months]) -> Months:
    whole: dict[str, Counter[str]] = {}
    for months in clinics:
        for month, row in months.items():
            whole.setdefault(month, Counter()).update(row)
    return whole


def _within(months: Months, period: Period) -> Months:
    first, last = period.months or ("", "")
    return {month: row for month, row in months.items() if first <= month <= last}


def _total(months: Months, period: Period) -> Counter[str]:
    counts = Counter[str]()
    for row in _within(months, period).values():
        counts.update(row)
    return counts


def _latest(months: Months, period: Period) -> Score:
    return Score(tuple(histogram_of_latest(_within(months, period), f"{period.last:%Y-%m}")))


def _chart(months: Mapping[str, Counter[str]], period: Period) -> ControlChart:
    """Thirteen months up to the period's end, so that a month meets the same month of the year before.

    Those with too few answers for a score are left out.
    """
    span = [month for month in sorted(months) if month >= f"{twelve_months_to(period.last).previous.last:%Y-%m}"]
    series = [(month, groups_of(histogram(months[month]))) for month in span]
    return control_chart([(month, groups) for month, groups in series if groups.answers >= SCORE_FROM])


def _cohorts(months: Mapping[str, Counter[str]], today: date) -> tuple[Cohort, ...]:
    found = []
    for month, counts in sorted(months.items()):
        first = date.fromisoformat(f"{month}-01")
        after = (first + timedelta(days=32)).replace(day=1)
        if counts["sent"]:
            found.append(Cohort(first, counts["sent"], counts["answered"], after + OPEN_FOR <= today))
    return tuple(found)


def _themes(counts: Counter[str], before: Counter[str]) -> tuple[Theme, ...]:
    def mentions(fields: Counter[str]) -> dict[str, dict[str, int]]:
        found: dict[str, dict[str, int]] = {}
        for name, number in fields.items():
            if name.startswith("theme|") and number:
                _, theme, group = name.split("|")
                found.setdefault(theme, {})[group] = number
        return found

    now, former = mentions(counts), mentions(before)
    comments, comments_before = (sum(fields[f"comment|{group}"] for group in Category) for fields in (counts, before))
    themes = [
        Theme(
            name,
            Groups(groups.get("promoter", 0), groups.get("passive", 0), groups.get("detractor", 0)),
            comments,
            sum(former.get(name, {}).values()),
            comments_before,
        )
        for name, groups in now.items()
    ]
    return tuple(sorted(themes, key=lambda theme: (-theme.groups.detractors, -theme.groups.answers, theme.name)))


def _ranking(options: Iterable[Option], counts: Mapping[str, Counter[str]]) -> Ranking:
    found = [
        Ranked(option.value, option.name, Score(tuple(histogram(counts.get(option.value, Counter())))))
        for option in options
    ]
    ranked = [one for one in found if one.score.answers >= SURE_FROM]
    ranked.sort(key=lambda one: (-(one.score.value or 0), one.name))
    return Ranking(tuple(ranked), tuple(one for one in found if 0 < one.score.answers < SURE_FROM))


def _coverage(months: Months, choice: Choice) -> tuple[Coverage, ...]:
    rows = [
        {name: number for name, number in row.items() if not choice.language or f"|{choice.language}|" in name}
        for row in months.values()
    ]
    return tuple(
        Coverage(touchpoint, counts["eligible"], counts["sent"], counts["answered"])
        for touchpoint, counts in sorted(by_touchpoint(rows).items())
        if counts["eligible"] and choice.touchpoint in ("", touchpoint)
    )

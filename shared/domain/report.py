"""The report that leaves the house: the figures of a period, with everything hidden that might point at a patient.

What the managers see has no such limits; see `Figures`. A report may be printed, forwarded and pinned to a wall.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from math import sqrt

from shared.domain.period import Period, Span
from shared.domain.recovery import RecoveryCase
from shared.domain.score import nps
from shared.domain.statistics import (
    SCORE_FROM,
    Comparison,
    Groups,
    Interval,
    compare,
    confidence,
    groups_of,
    interval,
    score_may_be_shown,
    suppress,
)

OPEN_FOR = timedelta(days=14)
"""How long a survey has to be answered before it counts as unanswered."""
TOP_THEMES = 5


class Every(StrEnum):
    """How often the report is mailed."""

    WEEK = "week"
    MONTH = "month"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class ReportChoice:
    """Whether and to whom the report is mailed; without addresses, to the practice's admins."""

    every: Every = Every.OFF
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A clinic's answers of the period: how many of each score."""

    clinic_id: str
    name: str
    histogram: tuple[int, ...]

    @property
    def groups(self) -> Groups:
        """The three groups."""
        return groups_of(self.histogram)


@dataclass(frozen=True, slots=True)
class Cohort:
    """The surveys sent from one day to another, and how many of them were answered."""

    first: date
    last: date
    sent: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True)
class CaseCounts:
    """What became of the staff's cases: opened and closed in the period, and those opened in it but heard late."""

    opened: int = 0
    closed: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Figures:
    """What the counts say of a period, nothing hidden.

    `latest` and `before` are one answer a patient, in years and twelve months one a patient and quarter.
    """

    period: Period
    places: tuple[Place, ...]
    latest: Groups
    before: Groups  # of the period before
    histogram_before: tuple[int, ...]
    cohort: Cohort
    cases: CaseCounts
    themes: Mapping[str, Groups]  # answers whose comments name the theme

    @property
    def histogram(self) -> tuple[int, ...]:
        """All answers of all places, by score."""
        return tuple(sum(column) for column in zip(*(place.histogram for place in self.places), strict=True)) or (
            (0,) * 11
        )

    @property
    def change(self) -> Comparison | None:
        """Against the period before; None if either has too few patients."""
        if min(self.before.answers, self.latest.answers) < SCORE_FROM:
            return None
        return compare(self.before, self.latest)


@dataclass(frozen=True, slots=True)
class Line:
    """A place, or all of them, as others may see it: None is hidden."""

    name: str
    answers: int | None
    groups: Groups | None
    score: int | None
    interval: Interval | None
    is_low: bool  # in confidence


@dataclass(frozen=True, slots=True)
class Theme:
    """How many comments name it, and how many of those come from detractors."""

    name: str
    mentions: int
    from_detractors: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """What is printed and mailed; None is hidden because it is small, or would give away what is."""

    period: Period
    total: Line
    lines: tuple[Line, ...]  # empty if there is one place only
    score_before: int | None
    change: Comparison | None
    cohort: Cohort
    rate: float | None  # of the cohort, from 0 to 1
    opened: int | None
    closed: int | None
    late: int | None
    themes: tuple[Theme, ...]
    themes_left_out: bool


def cohort_days(period: Period, today: date) -> tuple[date, date]:
    """The days of sending whose response rate can be told: those of the period whose surveys had their 14 days.

    If the period has none yet, as many days as it has before them.
    """
    last = min(period.last, today - OPEN_FOR - timedelta(days=1))
    return (period.first, last) if period.first <= last else (last - (period.last - period.first), last)


def was_late(case: RecoveryCase, now: datetime) -> bool:
    """Whether nobody had reached out by the deadline, and nobody had closed the case."""
    handled_at = case.outreach[0].at if case.outreach else case.closed_at
    return (handled_at or now) > case.deadline


def has_groups(period: Period) -> bool:
    """Whether a report of this period may tell groups at all."""
    return period.span is Span.QUARTER


def report_of(figures: Figures) -> Report:
    """Every count under ten is hidden, and so is what would let it be worked out.

    Groups, themes and cases are told of whole quarters only: quarters do not overlap, so none can be subtracted from
    a year, and no month or week from a quarter.
    """
    shown = suppress([place.groups for place in figures.places])
    tells_groups = has_groups(figures.period)
    if not tells_groups:
        shown = replace(shown, groups=(None,) * len(shown.groups), total_groups=None)
    total = _line("All clinics", figures.histogram, shown.total_answers, shown.total_groups)
    lines = [
        _line(place.name, place.histogram, answers, groups)
        for place, answers, groups in zip(figures.places, shown.answers, shown.groups, strict=True)
    ]
    before = groups_of(figures.histogram_before)
    is_compared = total.score is not None and score_may_be_shown(before, None)
    cohort, cases = figures.cohort, figures.cases
    told = figures.themes.items() if tells_groups else ()
    named = sorted(told, key=lambda item: (-item[1].answers, item[0]))
    themes = [_theme(name, groups) for name, groups in named if groups.answers >= SCORE_FROM]
    return Report(
        period=figures.period,
        total=total,
        lines=tuple(lines) if len(lines) > 1 else (),
        score_before=nps(figures.histogram_before) if is_compared else None,
        change=figures.change if is_compared else None,
        cohort=cohort,
        rate=cohort.answered / cohort.sent if _are_large(cohort.answered, cohort.sent - cohort.answered) else None,
        # A case is opened for each detractor: their number would tell what is hidden.
        opened=_large(cases.opened) if total.groups else None,
        closed=_large(cases.closed) if total.groups else None,
        late=_large(cases.late) if total.groups else None,
        themes=tuple(themes[:TOP_THEMES]),
        themes_left_out=len(themes) < len([name for name, groups in named if groups.answers]),
    )


def widest_interval(groups: Groups) -> Interval:
    """The widest that the interval can be at this score and this number of answers, whatever the three groups are.

    The exact one and the score would tell the groups: two equations for two unknown numbers.
    """
    total = groups.answers + 3
    centre = (groups.promoters - groups.detractors) / total
    return Interval(100 * centre, 196 * sqrt((1 - centre**2) / total))


def _line(name: str, histogram: Sequence[int], answers: int | None, groups: Groups | None) -> Line:
    whole = groups_of(histogram)
    is_shown = answers is not None and score_may_be_shown(whole, groups)
    return Line(
        name=name,
        answers=answers,
        groups=groups,
        score=nps(histogram) if is_shown else None,
        interval=(interval(whole) if groups else widest_interval(whole)) if is_shown else None,
        is_low=confidence(whole.answers) == "low",
    )


def _theme(name: str, groups: Groups) -> Theme:
    is_shown = _are_large(groups.detractors, groups.answers - groups.detractors)
    return Theme(name, groups.answers, groups.detractors if is_shown else None)


def _large(count: int) -> int | None:
    return count if count >= SCORE_FROM else None


def _are_large(*counts: int) -> bool:
    return min(counts) >= SCORE_FROM

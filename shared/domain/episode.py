"""Episodes of care: which visits belong together, and how they are counted."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from types import MappingProxyType
from zoneinfo import ZoneInfo

ZoneOf = Callable[[str], ZoneInfo]
"""The time zone of a clinic, by its id."""


class VisitKind(StrEnum):
    """What a visit was for."""

    EVALUATION = "evaluation"
    TREATMENT = "treatment"
    DISCHARGE = "discharge"
    UNSTATED = "unstated"  # the records do not say: the first visit of an episode is then its evaluation


class VisitStatus(StrEnum):
    """What became of a visit; only completed ones count."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    SCHEDULED = "scheduled"


@dataclass(frozen=True, slots=True)
class Visit:
    """One appointment of a patient, as the practice's records have it."""

    patient_id: str
    visit_id: str
    case_id: str
    clinic_id: str
    started_at: datetime
    kind: VisitKind
    status: VisitStatus
    ended_at: datetime | None = None
    therapist_id: str = ""
    therapist_name: str = ""
    clinic_name: str = ""
    removed: bool = False
    has_time: bool = True  # False: the records give the day alone, and `started_at` is its start at the clinic
    behind: tuple[tuple[str, str], ...] = ()  # fields whose word is older than the rest, and when; "" if there is none
    updated_at: datetime | None = None  # as the records say
    uploaded_at: datetime | None = None  # when the file came

    @property
    def counts(self) -> bool:
        """Whether the visit took place."""
        return self.status is VisitStatus.COMPLETED and not self.removed


@dataclass(frozen=True, slots=True)
class Case:
    """A course of care as the practice's records have it, apart from its visits."""

    patient_id: str
    case_id: str
    closed_at: datetime | None = None  # None: open, or opened again
    has_time: bool = True  # False: the records give the day alone, and `closed_at` is its start at the clinic
    removed: bool = False
    behind: tuple[tuple[str, str], ...] = ()  # fields whose word is older than the rest, and when; "" if there is none
    updated_at: datetime | None = None  # as the records say
    uploaded_at: datetime | None = None  # when the file came


@dataclass(frozen=True, slots=True)
class VisitDay:
    """The completed visits of an episode on one clinic-local date: they count as one, however many records there are.

    Two appointments on one day are one visit, and so are an appointment and the charge for it.
    """

    date: date
    entries: tuple[Visit, ...]

    @property
    def visit(self) -> Visit:
        """The entry that stands for the day: the earliest that has a time, else the earliest."""
        return min(self.entries, key=lambda visit: (not visit.has_time, visit.started_at, visit.visit_id))

    def of(self, kind: VisitKind) -> list[Visit]:
        """The entries of this kind."""
        return [visit for visit in self.entries if visit.kind is kind]


@dataclass(frozen=True, slots=True)
class Discharge:
    """The end of an episode: its last visit by then, and when the case was closed if that was on a later day."""

    visit: Visit
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Episode:
    """One course of care: visit N is that of day N - 1."""

    name: str
    days: tuple[VisitDay, ...]
    closing: Discharge | None = None  # what the case says; a visit that was a discharge goes before it

    @property
    def evaluation(self) -> Visit | None:
        """The first evaluation; where the records do not say what visits were for, the first visit."""
        first = next((day for day in self.days if day.of(VisitKind.EVALUATION)), None)
        if first is None and all(visit.kind is VisitKind.UNSTATED for visit in self.days[0].entries):
            first = self.days[0]
        return first.visit if first else None

    @property
    def discharge(self) -> Discharge | None:
        """The first visit that was a discharge, else the closing of the case."""
        first = next((day for day in self.days if day.of(VisitKind.DISCHARGE)), None)
        return Discharge(first.visit) if first else self.closing

    @property
    def last_visit(self) -> Visit:
        """The visit that ended last."""
        return max(
            self.days[-1].entries,
            key=lambda visit: (visit.has_time, visit.ended_at or visit.started_at, visit.visit_id),
        )


def episodes(
    visits: Iterable[Visit],
    zone_of: ZoneOf,
    cases: Iterable[Case] = (),
    told: Mapping[str, Sequence[datetime]] = MappingProxyType({}),
) -> list[Episode]:
    """A patient's completed visits as episodes, the same whatever the order in which they arrived.

    A case is one episode until an evaluation follows a discharge or the closing of the case: that evaluation begins the
    next. The first episode is named by its case and a later one by the day that began it, so that neither an evaluation
    that arrives after the visits that followed it nor a second record of one renames the episode.

    `told` are, by case, the ends of which a patient was asked already. Once an evaluation follows they stand, even if
    the case was opened again since; otherwise the episode goes on.
    """
    closed = {case.case_id: case for case in cases if case.closed_at and not case.removed}
    by_case: dict[str, list[Visit]] = {}
    for visit in visits:
        if visit.counts:
            by_case.setdefault(visit.case_id, []).append(visit)
    return [
        episode
        for case_id, completed in sorted(by_case.items())
        for episode in _of_case(case_id, _days(completed, zone_of), closed.get(case_id), told.get(case_id, ()), zone_of)
    ]


def _days(visits: Iterable[Visit], zone_of: ZoneOf) -> list[VisitDay]:
    def day_of(visit: Visit) -> date:
        return _local_date(visit.started_at, visit.has_time, zone_of(visit.clinic_id))

    in_order = sorted(visits, key=lambda visit: (day_of(visit), visit.started_at, visit.visit_id))
    return [VisitDay(day, tuple(entries)) for day, entries in groupby(in_order, key=day_of)]


def _local_date(moment: datetime, has_time: bool, zone: ZoneInfo) -> date:
    """The clinic's date; of a day without a time, that of its noon, which is the same date in a neighbour's zone."""
    return (moment if has_time else moment + timedelta(hours=12)).astimezone(zone).date()


@dataclass(frozen=True, slots=True)
class _End:
    """An end of a case that is no visit, on the clinic's date."""

    at: datetime
    has_time: bool
    date: date


@dataclass(slots=True)
class _Course:
    """The episode that is being put together."""

    name: str
    days: list[VisitDay] = field(default_factory=list)
    closing: Discharge | None = None
    told: Discharge | None = None  # an end that stands only if an evaluation follows

    @property
    def is_over(self) -> bool:
        return any(day.of(VisitKind.DISCHARGE) for day in self.days) or bool(self.closing or self.told)

    def until(self, end: _End) -> Discharge:
        """This end, as that of the last visit so far."""
        last = self.days[-1]
        return Discharge(last.visit, None if end.date == last.date else end.at)

    def parted(self) -> Episode:
        """The episode, now that another follows."""
        return Episode(self.name, tuple(self.days), self.closing or self.told)

    def as_it_stands(self) -> Episode:
        """The episode, which may go on."""
        return Episode(self.name, tuple(self.days), self.closing)


def _of_case(
    case_id: str, days: Sequence[VisitDay], case: Case | None, told: Sequence[datetime], zone_of: ZoneOf
) -> list[Episode]:
    found, course = list[Episode](), _Course(f"case:{case_id}")
    closings = _ends_by_day(days, [(case.closed_at, case.has_time)] if case and case.closed_at else [], zone_of)
    told_ends = _ends_by_day(days, [(moment, True) for moment in told], zone_of)
    for day in days:
        closing, told_end = closings.get(day.date), told_ends.get(day.date)
        rest = day
        if day.of(VisitKind.EVALUATION) and course.days:
            is_ended_first = _is_ended_first(day, course, closing)
            if is_ended_first:
                before, rest = _split(day)
                course.days += before
                if closing and closing.date == day.date:
                    course.closing, closing = course.until(closing), None
                told_end = None
            if course.is_over:
                found.append(course.parted())
                course = _Course(f"from:{day.date.isoformat()}:{case_id}")
        course.days.append(rest)
        course.closing = course.until(closing) if closing else course.closing
        course.told = course.until(told_end) if told_end else course.told
    return [*found, course.as_it_stands()]


def _ends_by_day(
    days: Sequence[VisitDay], moments: Iterable[tuple[datetime, bool]], zone_of: ZoneOf
) -> dict[date, _End]:
    """Each end by the last day of visits until then; one before all visits ends nothing."""
    found: dict[date, _End] = {}
    for at, has_time in sorted(moments):
        for day in reversed(days):
            on = _local_date(at, has_time, zone_of(day.visit.clinic_id))
            if day.date <= on:
                found[day.date] = _End(at, has_time, on)
                break
    return found


def _is_ended_first(day: VisitDay, course: _Course, closing: _End | None) -> bool:
    """Whether an end on the day of an evaluation came before it.

    Where the times do not tell, an episode is evaluated before it ends; one that was evaluated ends before the next.
    """
    closing = closing if closing and closing.date == day.date else None
    discharges = day.of(VisitKind.DISCHARGE)
    if not discharges and not closing:
        return False
    began = [visit.started_at for visit in day.of(VisitKind.EVALUATION) if visit.has_time]
    ended = [visit.started_at for visit in discharges if visit.has_time]
    ended += [closing.at] if closing and closing.has_time else []
    if began and ended and min(began) != min(ended):
        return min(ended) < min(began)
    return not course.is_over and course.as_it_stands().evaluation is not None


def _split(day: VisitDay) -> tuple[list[VisitDay], VisitDay]:
    """The part of the day, if any, that is known to come before its evaluation, and the rest."""
    evaluations = day.of(VisitKind.EVALUATION)
    began = min((visit.started_at for visit in evaluations if visit.has_time), default=None)

    def is_before(visit: Visit) -> bool:
        if began and visit.has_time:
            return visit.started_at < began
        return visit.kind is VisitKind.DISCHARGE

    before = tuple(visit for visit in day.entries if visit not in evaluations and is_before(visit))
    after = tuple(visit for visit in day.entries if visit not in before)
    return [VisitDay(day.date, before)] if before else [], VisitDay(day.date, after)

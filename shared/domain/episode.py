"""Episodes of care: which visits belong together, and how they are counted."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo


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
    updated_at: datetime | None = None  # as the records say
    uploaded_at: datetime | None = None  # when the file came


@dataclass(frozen=True, slots=True)
class Episode:
    """One course of care; `visits` are the completed ones in order of start."""

    name: str
    visits: tuple[Visit, ...]
    first_visits_by_day: tuple[Visit, ...]  # the first visit of each clinic-local date: visit N is entry N - 1

    @property
    def evaluation(self) -> Visit | None:
        """The first completed evaluation."""
        return self._first(VisitKind.EVALUATION)

    @property
    def discharge(self) -> Visit | None:
        """The first completed discharge."""
        return self._first(VisitKind.DISCHARGE)

    @property
    def last_visit(self) -> Visit:
        """The most recent completed visit."""
        return self.visits[-1]

    def _first(self, kind: VisitKind) -> Visit | None:
        return next((visit for visit in self.visits if visit.kind is kind), None)


def episodes(visits: Iterable[Visit], zone_of: Callable[[str], ZoneInfo]) -> list[Episode]:
    """A patient's completed visits as episodes, the same whatever the order in which they arrived.

    A case is one episode until an evaluation follows a discharge: that evaluation begins the next. The first episode
    is named by its case and a later one by the evaluation that began it, so that an evaluation which arrives after the
    visits that followed it does not rename the episode, and nobody is asked twice.
    """
    found: list[Episode] = []
    by_case: dict[str, list[Visit]] = {}
    for visit in visits:
        if visit.counts:
            by_case.setdefault(visit.case_id, []).append(visit)
    for case_id, completed in sorted(by_case.items()):
        name, members, discharged = f"case:{case_id}", list[Visit](), False
        for visit in sorted(completed, key=lambda visit: (visit.started_at, visit.visit_id)):
            if discharged and visit.kind is VisitKind.EVALUATION:
                found.append(_episode(name, members, zone_of))
                name, members, discharged = f"visit:{visit.visit_id}", [], False
            discharged = discharged or visit.kind is VisitKind.DISCHARGE
            members.append(visit)
        found.append(_episode(name, members, zone_of))
    return found


def _episode(name: str, visits: list[Visit], zone_of: Callable[[str], ZoneInfo]) -> Episode:
    first_by_day: dict[date, Visit] = {}
    for visit in visits:
        first_by_day.setdefault(visit.started_at.astimezone(zone_of(visit.clinic_id)).date(), visit)
    return Episode(name, tuple(visits), tuple(first_by_day.values()))

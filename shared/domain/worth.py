"""What closing the loop is worth: visits after an answer, care that ended unheard, and revenue at risk.

Everything is counted in whole patients and whole visit days. Nobody was assigned to anything, so a difference between
groups shows what goes together, never what caused it.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date
from decimal import Decimal
from math import sqrt

from shared.domain.episode import VisitKind
from shared.domain.score import Category

FOLLOWED = 90  # days after an answer in which visits are counted
RECENT = 90  # days for which an unhappy answer counts as a patient at risk
ENDED_AFTER = 30  # days without a visit after which care counts as ended
ENDED_WITHIN = 365  # days since the last visit: older endings are not looked at
FEWEST = 10
"""Patients under which nothing is shown."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Whole numbers, one a patient, as how many they are, their sum and the sum of their squares."""

    n: int = 0
    total: int = 0
    squares: int = 0

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(self.n + other.n, self.total + other.total, self.squares + other.squares)

    @property
    def mean(self) -> float:
        """The average; there must be at least one."""
        return self.total / self.n

    @property
    def variance(self) -> float:
        """The unbiased variance; there must be at least two."""
        return (self.squares * self.n - self.total**2) / self.n / (self.n - 1)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def may_be_nought(self) -> bool:
        """Whether chance alone may have made it."""
        return self.low <= 0 <= self.high


def mean_of(sample: Sample) -> Estimate | None:
    """The average with Student's interval, which cannot go below nought; None under ten patients."""
    if sample.n < FEWEST:
        return None
    half = t_95(sample.n - 1) * sqrt(sample.variance / sample.n)
    return Estimate(sample.mean, max(sample.mean - half, 0.0), sample.mean + half)


def difference(first: Sample, second: Sample) -> Estimate | None:
    """How much more the first average is, with Welch's interval; None if either has under ten patients."""
    if min(first.n, second.n) < FEWEST:
        return None
    value = first.mean - second.mean
    errors = first.variance / first.n, second.variance / second.n
    if not sum(errors):
        return Estimate(value, value, value)
    freedom = sum(errors) ** 2 / (errors[0] ** 2 / (first.n - 1) + errors[1] ** 2 / (second.n - 1))
    half = t_95(freedom) * sqrt(sum(errors))
    return Estimate(value, value - half, value + half)


def t_95(freedom: float) -> float:
    """The two-sided 95 % quantile of Student's t, right to three decimals from nine degrees of freedom on.

    Abramowitz and Stegun 26.7.5: the normal quantile, corrected by powers of one over the degrees of freedom.
    """
    z = 1.959963984540054
    return (
        z
        + (z**3 + z) / 4 / freedom
        + (5 * z**5 + 16 * z**3 + 3 * z) / 96 / freedom**2
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384 / freedom**3
        + (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160 / freedom**4
    )


@dataclass(frozen=True, slots=True)
class Worth:
    """What was measured of a clinic or of several: of clinics apart it may be added up, since no patient is in two.

    The samples are visit days in the 90 days after the first answer of a course of care.
    """

    promoter: Sample = Sample()
    passive: Sample = Sample()
    detractor: Sample = Sample()
    reached: Sample = Sample()  # detractors to whom somebody reached out
    unreached: Sample = Sample()  # detractors to whom nobody did
    ended: int = 0  # patients whose care ended in the year up to a month ago
    unheard: int = 0  # of those: left without a discharge and never answered
    at_risk: int = 0  # detractors of the last 90 days to whom nobody reached out

    def __add__(self, other: "Worth") -> "Worth":
        return Worth(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(Worth)})


def revenue_at_risk(worth: Worth, visit_value: Decimal) -> Estimate | None:
    """Dollars that those at risk would bring if they came as often as promoters do; None if too few are known."""
    fewer = difference(worth.promoter, worth.detractor)
    if fewer is None:
        return None
    dollars = float(visit_value) * worth.at_risk
    return Estimate(fewer.value * dollars, fewer.low * dollars, fewer.high * dollars)


def to_counts(worth: Worth) -> dict[str, int]:
    """As whole numbers by name, for keeping."""
    counts: dict[str, int] = {}
    for each in fields(Worth):
        measured = getattr(worth, each.name)
        if isinstance(measured, Sample):
            counts |= {f"{each.name}|{part.name}": getattr(measured, part.name) for part in fields(Sample)}
        else:
            counts[each.name] = measured
    return counts


def of_counts(counts: Mapping[str, int]) -> Worth:
    """What `to_counts` made, read again; what is missing is nought."""

    def sample(name: str) -> Sample:
        return Sample(*(counts.get(f"{name}|{part.name}", 0) for part in fields(Sample)))

    return Worth(
        promoter=sample("promoter"),
        passive=sample("passive"),
        detractor=sample("detractor"),
        reached=sample("reached"),
        unreached=sample("unreached"),
        ended=counts.get("ended", 0),
        unheard=counts.get("unheard", 0),
        at_risk=counts.get("at_risk", 0),
    )


@dataclass(frozen=True, slots=True)
class Answered:
    """An answer, on its clinic-local day; `course` is the episode of care it was about."""

    survey_id: str
    patient_id: str
    course: str
    clinic_id: str
    group: Category
    day: date


@dataclass(slots=True)
class _Followed:
    """The first answer of a course; bit n of `visited` stands for a visit on the n-th day after it."""

    answer: Answered
    visited: int = 0


@dataclass(slots=True)
class _Course:
    """What is known of one case of a patient; days are ordinals, nought is none."""

    clinic_id: str = ""
    first: int = 0
    last: int = 0
    evaluated: int = 0  # the last evaluation
    ended: int = 0  # the last discharge or closing

    @property
    def is_discharged(self) -> bool:
        """Whether an end came that no evaluation followed; one before all visits ends nothing."""
        return self.ended >= max(self.first, self.evaluated)


@dataclass(slots=True)
class Measurement:
    """The answers of a practice, and the visits as they are taken in, in any order.

    Memory grows with answers and courses of care, never with visits.
    """

    today: date
    reached: Collection[str]  # surveys after whose answer somebody reached out
    _heard: set[str] = field(default_factory=set)
    _followed: dict[str, list[_Followed]] = field(default_factory=dict)  # by patient
    _unhappy: dict[str, list[Answered]] = field(default_factory=dict)  # lately, by patient
    _courses: dict[tuple[str, str], _Course] = field(default_factory=dict)  # by patient and case

    @classmethod
    def of(cls, today: date, answers: Iterable[Answered], reached: Collection[str]) -> "Measurement":
        """A measurement as of this practice-local day, with all answers and as yet no visit."""
        measurement = cls(today, reached)
        firsts: dict[tuple[str, str], Answered] = {}
        for answer in answers:
            measurement._heard.add(answer.patient_id)
            key = (answer.patient_id, answer.course)
            firsts[key] = min(answer, firsts.get(key, answer), key=_order)
            if answer.group is Category.DETRACTOR and 0 <= (today - answer.day).days <= RECENT:
                measurement._unhappy.setdefault(answer.patient_id, []).append(answer)
        for first in firsts.values():
            if (today - first.day).days > FOLLOWED:
                measurement._followed.setdefault(first.patient_id, []).append(_Followed(first))
        return measurement

    def take_visit(self, patient_id: str, case_id: str, clinic_id: str, day: date, kind: VisitKind) -> None:
        """Take in a completed visit on its clinic-local day; several on one day count as one."""
        for followed in self._followed.get(patient_id, ()):
            after = (day - followed.answer.day).days
            if 0 < after <= FOLLOWED:
                followed.visited |= 1 << after
        course, on = self._courses.setdefault((patient_id, case_id), _Course()), day.toordinal()
        course.first = min(course.first or on, on)
        if (on, clinic_id) >= (course.last, course.clinic_id):
            course.last, course.clinic_id = on, clinic_id
        if kind is VisitKind.EVALUATION:
            course.evaluated = max(course.evaluated, on)
        if kind is VisitKind.DISCHARGE:
            course.ended = max(course.ended, on)

    def take_closing(self, patient_id: str, case_id: str, day: date) -> None:
        """Take in that the records closed a case."""
        course = self._courses.setdefault((patient_id, case_id), _Course())
        course.ended = max(course.ended, day.toordinal())

    def by_clinic(self) -> dict[str, Worth]:
        """What was measured of each clinic: of an answer where it was asked, of a course where it was last seen."""
        found: dict[str, Worth] = {}

        def add(clinic_id: str, worth: Worth) -> None:
            found[clinic_id] = found.get(clinic_id, Worth()) + worth

        for followed in (each for theirs in self._followed.values() for each in theirs):
            add(followed.answer.clinic_id, self._after(followed))
        for theirs in self._unhappy.values():
            if not any(answer.survey_id in self.reached for answer in theirs):
                add(max(theirs, key=_order).clinic_id, Worth(at_risk=1))
        for patient_id, course in self._last_courses().items():
            if ENDED_AFTER <= self.today.toordinal() - course.last <= ENDED_WITHIN:
                is_unheard = not course.is_discharged and patient_id not in self._heard
                add(course.clinic_id, Worth(ended=1, unheard=int(is_unheard)))
        return found

    def _after(self, followed: _Followed) -> Worth:
        days = followed.visited.bit_count()
        sample = Sample(1, days, days**2)
        match followed.answer.group:
            case Category.PROMOTER:
                return Worth(promoter=sample)
            case Category.PASSIVE:
                return Worth(passive=sample)
            case Category.DETRACTOR:
                worth = Worth(detractor=sample)
                if followed.answer.survey_id in self.reached:
                    return replace(worth, reached=sample)
                return replace(worth, unreached=sample)

    def _last_courses(self) -> dict[str, _Course]:
        """Of each patient with a visit the course of the last one."""
        last: dict[str, tuple[int, str]] = {}
        for (patient_id, case_id), course in self._courses.items():
            if course.last:
                last[patient_id] = max(last.get(patient_id, (0, "")), (course.last, case_id))
        return {patient_id: self._courses[patient_id, case_id] for patient_id, (_, case_id) in last.items()}


def _order(answer: Answered) -> tuple[date, str]:
    return answer.day, answer.survey_id

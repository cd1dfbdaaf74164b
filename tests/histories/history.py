"""What truly happened at a practice, before any EMR writes it down: plain facts, and one way of making them up.

Everything is made by throwing dice, so that Hypothesis can throw them (and shrink what falls), and a seeded generator
can make a practice of any size, one patient after the other. A throw of 0 is always the most ordinary thing.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

Dice = Callable[[int, int], int]
"""A whole number between two, both included."""

T = TypeVar("T")


class Told:
    """Something that a counterexample tells in its own words, also where Hypothesis prints it."""

    def _repr_pretty_(self, printer: Any, _is_cycle: bool) -> None:
        printer.text(repr(self))


class Note(StrEnum):
    """What the therapist wrote the visit up as."""

    EVALUATION = "evaluation"
    TREATMENT = "treatment"
    DISCHARGE = "discharge"


class Fate(StrEnum):
    """What became of an appointment."""

    COMPLETED = "completed"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"
    SCHEDULED = "scheduled"
    MISTAKEN = "mistaken"  # recorded as completed, and taken back on a later day: it never happened


@dataclass(frozen=True)
class Clinic(Told):
    """A place with its own clock."""

    clinic_id: str
    name: str
    zone: ZoneInfo

    def __repr__(self) -> str:
        return f"Clinic({self.clinic_id} {self.zone.key})"


@dataclass(frozen=True)
class Therapist(Told):
    """Somebody who treats."""

    therapist_id: str
    given: str
    family: str

    def __repr__(self) -> str:
        return f"Therapist({self.therapist_id})"


@dataclass(frozen=True)
class Person(Told):
    """A patient as the front desk knows them."""

    patient_id: str
    given: tuple[str, ...]
    family: str
    email: str
    language: str
    clinic: Clinic
    deceased: bool = False
    archived: bool = False
    opted_out: bool = False

    def __repr__(self) -> str:
        facts = ("deceased" * self.deceased, "archived" * self.archived, "opted out" * self.opted_out)
        about = ", ".join(filter(None, (self.email or "no email", self.language, *facts)))
        return f"<{self.patient_id} {' '.join(self.given)} {self.family} ({about}) of {self.clinic!r}>"


@dataclass(frozen=True)
class Appointment(Told):
    """One visit, or what was to be one; `start` is on the clinic's clock."""

    visit_id: str
    start: datetime
    minutes: int
    note: Note
    fate: Fate
    clinic: Clinic
    therapist: Therapist

    @property
    def end(self) -> datetime:
        """When the patient left; elapsed minutes, whatever the clocks do meanwhile."""
        return (self.start.astimezone(UTC) + timedelta(minutes=self.minutes)).astimezone(self.start.tzinfo)

    @property
    def day(self) -> date:
        """The clinic-local date."""
        return self.start.date()

    @property
    def happened(self) -> bool:
        """Whether the patient was there."""
        return self.fate is Fate.COMPLETED

    @property
    def booked(self) -> datetime:
        """When the appointment was made."""
        return self.start - timedelta(days=3)

    @property
    def recorded(self) -> datetime:
        """When its outcome was written down: that evening."""
        return datetime.combine(self.day, time(22, 45), self.start.tzinfo)

    @property
    def corrected(self) -> datetime:
        """When a mistaken record was taken back."""
        return self.recorded + timedelta(days=2)

    def __repr__(self) -> str:
        when = f"{self.start:%Y-%m-%d %H:%M}+{self.minutes}m"
        return f"<{self.visit_id} {when} {self.note} {self.fate} at {self.clinic.clinic_id} by {self.therapist!r}>"


@dataclass(frozen=True)
class Closing(Told):
    """The administrative end of a case; `moment` is on the clinic's clock, and midnight if only the day is known."""

    moment: datetime
    has_time: bool
    undone: bool = False  # opened again two days later

    @property
    def recorded(self) -> datetime:
        """When the closing was written down."""
        return datetime.combine(self.moment.date(), time(23, 15), self.moment.tzinfo)

    @property
    def reopened(self) -> datetime:
        """When it was undone, if it was."""
        return self.recorded + timedelta(days=2)

    def __repr__(self) -> str:
        form = "%Y-%m-%d %H:%M" if self.has_time else "%Y-%m-%d"
        return f"<closed {self.moment:{form}}{', reopened' if self.undone else ''}>"


@dataclass(frozen=True)
class Course(Told):
    """One case: what the patient came for."""

    case_id: str
    appointments: tuple[Appointment, ...]
    closing: Closing | None = None

    @property
    def closed(self) -> Closing | None:
        """The closing that still stands."""
        return None if self.closing is None or self.closing.undone else self.closing

    @property
    def opened(self) -> datetime:
        """When the case was made: with its first appointment."""
        return min(appointment.booked for appointment in self.appointments)

    def __repr__(self) -> str:
        appointments = "".join(f"\n    {appointment!r}" for appointment in self.appointments)
        return f"\n  case {self.case_id} {self.closing or ''}{appointments}"


@dataclass(frozen=True)
class Story(Told):
    """A patient and all that happened to them.

    `retired` is a second record of the same patient, under which `retired_cases` were kept until the two were merged.
    """

    person: Person
    courses: tuple[Course, ...]
    retired: Person | None = None
    retired_cases: frozenset[str] = frozenset()

    def recorded_under(self, course: Course) -> Person:
        """Whose record the case was kept in."""
        return self.retired if self.retired and course.case_id in self.retired_cases else self.person

    @property
    def merged(self) -> datetime:
        """When the two records became one: after everything else."""
        return max(a.corrected for course in self.courses for a in course.appointments) + timedelta(days=30)

    def __repr__(self) -> str:
        retired = f", merged from {self.retired!r} with cases {set(self.retired_cases)}" if self.retired else ""
        return f"\n{self.person!r}{retired}{''.join(map(repr, self.courses))}"


@dataclass(frozen=True)
class Practice(Told):
    """Clinics, therapists, and each patient's story."""

    clinics: tuple[Clinic, ...]
    therapists: tuple[Therapist, ...]
    stories: tuple[Story, ...]

    def zone_of(self, clinic_id: str) -> ZoneInfo:
        """The clock of a clinic, as the settings of Careloop have it; an unknown one is the first's."""
        zones = {clinic.clinic_id: clinic.zone for clinic in self.clinics}
        return zones.get(clinic_id, self.clinics[0].zone)


CLINICS = (
    Clinic("11", "North", ZoneInfo("America/New_York")),
    Clinic("12", "West & Desert", ZoneInfo("America/Phoenix")),
    Clinic("13", "Bay, Lower Level", ZoneInfo("America/Los_Angeles")),
    Clinic("14", "Hale Ola | Kona", ZoneInfo("Pacific/Honolulu")),
)

THERAPISTS = (
    Therapist("51", "Ana", "Peña"),
    Therapist("52", "Seán", "O'Neill"),
    Therapist("53", "Zoë^2", "Smith-Jones"),
)

_GIVEN = (("Ada",), ("José", "María"), ("Marine542", "Ai120"), ("D'Arcy",), ("Ann Lee",), ("Zoë",), ('Wm. "Bill"',))
_FAMILY = ("Okafor", "O'Brien", "Núñez", "Smith-Jones", "de la Cruz", "Upton904", "Lee, Jr.", "R&D", "Back\\slash|bar")
_FIRST_DAYS = (date(2026, 3, 2), date(2026, 2, 24), date(2026, 10, 19), date(2026, 12, 21))  # clocks change in two
_GAPS = (2, 3, 1, 5, 7, 14)  # days from visit to visit
_HOURS = (9, 13, 7, 16, 20)
_LENGTHS = (45, 30, 60, 20)


def a_practice(patients: int, dice: Dice) -> Practice:
    """A practice with so many patients."""
    clinics = CLINICS[: dice(1, len(CLINICS))]
    therapists = THERAPISTS[: dice(1, len(THERAPISTS))]
    return Practice(clinics, therapists, tuple(stories(patients, clinics, therapists, dice)))


def stories(patients: int, clinics: Sequence[Clinic], therapists: Sequence[Therapist], dice: Dice) -> Iterator[Story]:
    """One patient after the other: nothing of one is needed for the next."""
    return (_Maker(number, clinics, therapists, dice).story() for number in range(1, patients + 1))


@dataclass
class _Maker:
    """Makes up one patient; ids are numbers, as WebPT has them, and are used once in the practice."""

    number: int
    clinics: Sequence[Clinic]
    therapists: Sequence[Therapist]
    dice: Dice

    def __post_init__(self) -> None:
        self.visit_ids = itertools.count((10000 + self.number) * 1000 + 1)
        self.home = self.one_of(self.clinics)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.dice(0, len(choices) - 1)]

    def one_in(self, times: int) -> bool:
        return self.dice(1, times) == times

    def story(self) -> Story:
        first = datetime.combine(self.one_of(_FIRST_DAYS), time(0)) + timedelta(days=self.dice(0, 13))
        courses = [self.course(1, first)]
        if self.one_in(4):
            courses.append(self.course(2, first + timedelta(days=self.dice(0, 60))))
        person = self.person(f"{10000 + self.number}1")
        if not self.one_in(8):
            return Story(person, tuple(courses))
        retired = replace(self.person(f"{10000 + self.number}2"), family=person.family)
        return Story(person, tuple(courses), retired, frozenset(c.case_id for c in courses if self.one_in(2)))

    def person(self, patient_id: str) -> Person:
        address = self.one_of((f"patient{patient_id}@example.com", "", f"o'hara+{self.number}@mail.example.org"))
        fate = self.dice(0, 9)
        return Person(
            patient_id=patient_id,
            given=self.one_of(_GIVEN),
            family=self.one_of(_FAMILY),
            email=address,
            language=self.one_of(("en", "es")),
            clinic=self.home,
            deceased=fate == 9,
            archived=fate == 8,
            opted_out=fate == 7,
        )

    def course(self, number: int, first: datetime) -> Course:
        opens_with = Note.TREATMENT if self.one_in(8) else Note.EVALUATION
        appointments, last = self.run(first, opens_with)
        closing = None
        ending = self.one_of(("lapse", "discharge", "closing the same day", "closing later", "both"))
        if ending in ("discharge", "both"):
            # Also on the day of the last visit, as with a patient who comes for an evaluation only.
            discharge = self.appointment(last + timedelta(days=self.one_of((*_GAPS, 0))), Note.DISCHARGE)
            appointments.append(discharge)
            last = datetime.combine(discharge.day, time(0))
        if ending in ("closing the same day", "closing later", "both"):
            later = 0 if ending == "closing the same day" else self.one_of((1, 4, 30))
            closing = self.closing(last + timedelta(days=later))
            last += timedelta(days=later)
        if self.one_in(4):  # the patient comes again on the same case
            again = last + timedelta(days=self.one_of(_GAPS))
            appointments += self.run(again, self.one_of((Note.EVALUATION, Note.TREATMENT)))[0]
        return Course(f"{10000 + self.number}{number}0", tuple(appointments), closing)

    def run(self, first: datetime, opens_with: Note) -> tuple[list[Appointment], datetime]:
        """Some visits with days between, and the day of the last."""
        found, day = [self.appointment(first, opens_with)], first
        for _ in range(self.dice(0, 6)):
            day += timedelta(days=self.one_of(_GAPS))
            found.append(self.appointment(day, Note.TREATMENT))
            if self.one_in(8):  # twice on one day
                found.append(self.appointment(day, Note.TREATMENT))
        return found, day

    def appointment(self, day: datetime, note: Note) -> Appointment:
        clinic = self.one_of(self.clinics) if self.one_in(8) else self.home
        start = datetime.combine(day.date(), time(self.one_of(_HOURS), self.one_of((0, 15, 30, 45))), clinic.zone)
        return Appointment(
            visit_id=str(next(self.visit_ids)),
            start=start,
            minutes=self.one_of(_LENGTHS),
            note=note,
            fate=self.one_of((Fate.COMPLETED,) * 6 + tuple(Fate)[1:]),
            clinic=clinic,
            therapist=self.one_of(self.therapists),
        )

    def closing(self, day: datetime) -> Closing:
        has_time = self.one_in(2)
        moment = datetime.combine(day.date(), time(22, 30) if has_time else time(0), self.home.zone)
        return Closing(moment, has_time, self.one_in(4))


@st.composite
def practices(draw: st.DrawFn) -> Practice:
    """Small practices: one to three patients."""

    def dice(low: int, high: int) -> int:
        return draw(st.integers(low, high))

    return a_practice(dice(1, 3), dice)

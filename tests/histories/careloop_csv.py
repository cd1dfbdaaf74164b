"""The practice's history as our own CSV: patients and visits.

It has no table of cases. A case closed on the day of a visit is written as what it is, a discharge right after that
visit; one closed on a later day cannot be said. Merged patients have one record, as in any export of the state now.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from tests.histories.history import Appointment, Clinic, Course, Fate, Note, Practice, Story, Therapist
from tests.histories.writing import Format, Said, at_any_offset, changed, csv_of

COLUMNS = {
    "visits": (
        *("visit_id", "patient_id", "case_id", "clinic_id", "clinic_name", "therapist_id", "therapist_name"),
        *("started_at", "ended_at", "kind", "status", "removed", "updated_at"),
    ),
    "patients": (
        *("patient_id", "first_name", "last_name", "email", "clinic_id"),
        *("language", "status", "email_opt_out", "updated_at"),
    ),
}


def of_practice(_clinics: Sequence[Clinic], _therapists: Sequence[Therapist], _manner: Random) -> Iterator[Said]:
    """Nothing: the visits name clinics and therapists themselves."""
    return iter(())


def of_story(story: Story, manner: Random) -> Iterator[Said]:
    """The patient's row and each visit's; some visits have an earlier row, too, as it was booked."""
    person = story.person
    status = "deceased" if person.deceased else "archived" if person.archived else manner.choice(("active", ""))
    yield (
        "patients",
        {
            "patient_id": person.patient_id,
            "first_name": " ".join(person.given),
            "last_name": person.family,
            "email": person.email,
            "clinic_id": person.clinic.clinic_id,
            "language": person.language,
            "status": status,
            "email_opt_out": "yes" if person.opted_out else "",
            "updated_at": "",
        },
    )
    for course in story.courses:
        for visit in _with_discharge(course).appointments:
            row = {
                "visit_id": visit.visit_id,
                "patient_id": person.patient_id,
                "case_id": course.case_id,
                "clinic_id": visit.clinic.clinic_id,
                "clinic_name": visit.clinic.name,
                "therapist_id": visit.therapist.therapist_id,
                "therapist_name": f"{visit.therapist.given} {visit.therapist.family}",
                "started_at": _moment(visit.start, manner),
                "ended_at": _moment(visit.end, manner),
                "kind": visit.note.value,
            }
            for status, removed, updated_at in _statements(visit):
                written_down = _moment(updated_at, manner)
                yield "visits", {**row, "status": status, "removed": removed, "updated_at": written_down}


def _statements(visit: Appointment) -> Iterator[tuple[str, str, datetime]]:
    yield "scheduled", "", visit.booked
    if visit.fate is Fate.MISTAKEN:
        yield "completed", "no", visit.recorded
        yield "completed", "yes", visit.corrected
    elif visit.fate is not Fate.SCHEDULED:
        yield visit.fate.value, "", visit.recorded


def _moment(moment: datetime, manner: Random) -> str:
    if manner.random() < 0.5:
        return f"{moment:%Y-%m-%dT%H:%M}"  # on the clinic's clock
    return at_any_offset(moment, manner).isoformat(timespec="seconds")


def sayable(practice: Practice) -> Practice:
    """The truth without closings, but with the discharges that stand for them."""
    return changed(practice, lambda _, course: replace(_with_discharge(course), closing=None))


def _with_discharge(course: Course) -> Course:
    closed = course.closed
    of_day = [a for a in course.appointments if a.happened and closed and a.day == closed.moment.date()]
    if not of_day or any(visit.note is Note.DISCHARGE for visit in of_day):
        return course
    last = max(of_day, key=lambda visit: visit.start)
    paperwork = replace(last, visit_id=f"{course.case_id}-closed", start=last.end, minutes=0, note=Note.DISCHARGE)
    return replace(course, appointments=(*course.appointments, paperwork))


def encode(table: str, rows: Iterable[Any], manner: Random) -> Iterator[bytes]:
    """The table as a CSV file."""
    return csv_of(rows, COLUMNS[table], manner)


FORMAT = Format("csv", ("visits", "patients"), of_practice, of_story, encode, sayable)

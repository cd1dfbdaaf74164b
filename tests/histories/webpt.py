"""The practice's history as WebPT's standard extract: Appointments, Charges, Patients and Cases.

Appointments know the time but not what a visit was for; Charges know what it was for but only its day. A case's closing
has a date only. Merged patients have one record, as in any extract of the state now. An appointment that was never
checked in has a negative id, and each visit has an id of its own beside its appointment's.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from random import Random
from typing import Any

from shared.domain.intake import RuleChange
from tests.histories.history import Appointment, Clinic, Course, Fate, Note, Practice, Story, Therapist
from tests.histories.writing import Format, Said, csv_of, with_days_of_closing, with_days_of_visits

COLUMNS = {
    "Appointments": (
        *("appointmnet_id", "parent_appointment_id", "start_date", "end_date", "check_in_time", "check_out_time"),
        *("calendar_title", "clinic_id", "therapist_id", "appointment_type", "case_id", "patient_id"),
        *("appointment_status", "visit_comment", "reason", "time_stamp"),
    ),
    "Charges": (
        *("record_id", "visit_date", "record_pointer", "cpt", "clinic_id", "patient_id", "case_id", "visit_id"),
        *("therapist_id", "cosign_therapist_id", "units", "charge_amount", "note_type", "modified_date"),
        *("note_finalized_date", "export_flag"),
    ),
    "Patients": (
        *("patient_id", "first_name", "last_name", "email", "clinic_id", "language", "patient_status"),
        *("email_opt_out", "modified_date", "export_flag"),
    ),
    "Cases": (
        *("case_id", "patient_id", "clinic_id", "case_status", "case_closed_date", "discharge_date"),
        *("modified_date", "export_flag"),
    ),
}
NEW, MODIFIED, REMOVED = "1", "2", "3"
_NOTES = {Note.EVALUATION: ("IE",), Note.TREATMENT: ("DN", "PN"), Note.DISCHARGE: ("DS", "DQ")}
_REASONS = {Fate.CANCELLED: "Cancelled: illness", Fate.NO_SHOW: "No Show"}


def of_practice(_clinics: Sequence[Clinic], _therapists: Sequence[Therapist], _manner: Random) -> Iterator[Said]:
    """Nothing: the tables that name clinics and therapists are not sent."""
    return iter(())


def of_story_by_charges(story: Story, manner: Random) -> Iterator[Said]:
    """All but the appointments: what is left of years gone by, since they are sent for two weeks only."""
    return (said for said in of_story(story, manner, billed=1) if said[0] != "Appointments")


def of_story(story: Story, manner: Random, billed: float = 0.7) -> Iterator[Said]:
    """The patient's row, each case's, each appointment's, and each visit's lines of charges.

    A treatment that nobody billed has no charges, and counts by its check-in.
    """
    person = story.person
    yield (
        "Patients",
        {
            "patient_id": person.patient_id,
            "first_name": " ".join(person.given),
            "last_name": person.family,
            "email": person.email,
            "clinic_id": person.clinic.clinic_id,
            "language": {"en": "English", "es": "Spanish"}[person.language],
            "patient_status": "Deceased" if person.deceased else "Inactive" if person.archived else "Active",
            "email_opt_out": "Yes" if person.opted_out else "No",
            "modified_date": "",
            "export_flag": manner.choice((NEW, MODIFIED)),
        },
    )
    for course in story.courses:
        ids = {"case_id": course.case_id, "patient_id": person.patient_id}
        for row in _case(course, story, manner):
            yield "Cases", {**row, **ids}
        for visit in course.appointments:
            of_visit = {
                **ids,
                "clinic_id": visit.clinic.clinic_id,
                "therapist_id": visit.therapist.therapist_id,
            }
            for row in _appointment(visit):
                yield "Appointments", {**row, **of_visit}
            is_billed = visit.note is not Note.TREATMENT or manner.random() < billed
            for row in _charges(visit, manner) if is_billed else ():
                yield "Charges", {**row, **of_visit}


def _case(course: Course, story: Story, manner: Random) -> Iterator[dict[str, str]]:
    row = {
        "clinic_id": story.person.clinic.clinic_id,
        "case_status": "A",
        "case_closed_date": "",
        "discharge_date": "",
        "modified_date": _day(course.opened.date()),
        "export_flag": NEW,
    }
    yield row
    if closing := course.closing:
        closed = _day(closing.moment.date())
        change = {"case_closed_date": closed, "discharge_date": manner.choice(("", closed)), "case_status": "I"}
        yield {**row, **change, "modified_date": _day(closing.recorded.date()), "export_flag": MODIFIED}
        if closing.undone:
            yield {**row, "modified_date": _day(closing.reopened.date()), "export_flag": MODIFIED}


def _appointment(visit: Appointment) -> Iterator[dict[str, str]]:
    number = str(5_000_000 + int(visit.visit_id))
    row = {
        "appointmnet_id": f"-{number}",
        "parent_appointment_id": number,
        "start_date": _moment(visit.start),
        "end_date": _moment(visit.end),
        "check_in_time": "",
        "check_out_time": "",
        "calendar_title": "Gym, left",
        "appointment_type": "Physical therapy",
        "appointment_status": "Active",
        "visit_comment": 'says "it hurts"\nless',
        "reason": "",
        "time_stamp": _moment(visit.booked),
    }
    yield row
    here = {"check_in_time": _moment(visit.start), "check_out_time": _moment(visit.end), "appointmnet_id": number}
    if visit.fate in (Fate.COMPLETED, Fate.MISTAKEN):
        yield {**row, **here, "time_stamp": _moment(visit.recorded)}
    if visit.fate is Fate.MISTAKEN:
        gone = {"appointment_status": "Inactive", "reason": "Entered in error", "time_stamp": _moment(visit.corrected)}
        yield {**row, **gone, "appointmnet_id": number}
    if visit.fate in _REASONS:
        gone = {"appointment_status": "Inactive", "reason": _REASONS[visit.fate]}
        yield {**row, **gone, "time_stamp": _moment(visit.recorded)}


def _charges(visit: Appointment, manner: Random) -> Iterator[dict[str, str]]:
    """A line for each procedure."""
    if visit.fate not in (Fate.COMPLETED, Fate.MISTAKEN):
        return
    note = manner.choice(_NOTES[visit.note])
    procedures = ["97161"] if visit.note is Note.EVALUATION else []
    procedures += manner.sample(("97110", "97140", "97530"), manner.randint(1, 3))
    for number, cpt in enumerate(procedures):
        row = {
            "record_id": visit.visit_id,  # the same for all lines of the visit
            "visit_date": _day(visit.day),
            "record_pointer": f"{visit.visit_id}{number}",
            "cpt": cpt,
            "visit_id": visit.visit_id,
            "cosign_therapist_id": "",
            "units": "1",
            "charge_amount": "65.00",
            "note_type": note,
            "modified_date": _day(visit.day),
            "note_finalized_date": _day(visit.day),
            "export_flag": NEW,
        }
        yield row
        is_corrected = number > 0 and manner.random() < 0.2  # one procedure is taken back: the visit stays
        if visit.fate is Fate.MISTAKEN or is_corrected:
            yield {**row, "modified_date": _day(visit.corrected.date()), "export_flag": REMOVED}


def _day(day: date) -> str:
    return day.isoformat()


def _moment(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"  # on the clinic's clock


def sayable(practice: Practice) -> Practice:
    """The truth with closings by their day."""
    return with_days_of_closing(practice)


def sayable_by_charges(practice: Practice) -> Practice:
    """The truth with closings and visits by their day."""
    return with_days_of_visits(sayable(practice))


def encode(table: str, rows: Iterable[Any], manner: Random) -> Iterator[bytes]:
    """The table as a CSV file."""
    return csv_of(rows, COLUMNS[table], manner)


_RENAMED = (
    RuleChange("webpt", "column:patients.email", "Contact: E-Mail"),
    RuleChange("webpt", "column:cases.closed_date", "Done on"),
    RuleChange("webpt", "column:patients.last_name", "Name, last"),
)
_NAMES_HERE = {"email": "Contact: E-Mail", "case_closed_date": "Done on", "last_name": "Name, last"}


def encode_renamed(table: str, rows: Iterable[Any], manner: Random) -> Iterator[bytes]:
    """The table as a practice exports it that has its own names for some columns."""
    columns = [_NAMES_HERE.get(name, name) for name in COLUMNS[table]]
    return csv_of(({_NAMES_HERE.get(name, name): cell for name, cell in row.items()} for row in rows), columns, manner)


_TABLES = ("Charges", "Appointments", "Patients", "Cases")

FORMAT = Format("webpt", _TABLES, of_practice, of_story, encode, sayable)
BY_CHARGES = replace(FORMAT, name="webpt-charges", of_story=of_story_by_charges, sayable=sayable_by_charges)
RENAMED = Format("webpt-renamed", _TABLES, of_practice, of_story, encode_renamed, sayable, _RENAMED)

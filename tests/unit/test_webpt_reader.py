"""WebPT's extract: what each table says of patients, visits and cases, and what becomes of rows that say it badly."""

import contextlib
import csv
import io
import itertools
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.readers import recognise
from functions.import_visits.records import (
    CaseRecord,
    Context,
    FileRefused,
    Named,
    NameRecord,
    PatientRecord,
    Reading,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus, episodes
from shared.domain.intake import IntakeRules, Marks
from shared.domain.patient import Language, Patient

NEW_YORK, PHOENIX = ZoneInfo("America/New_York"), ZoneInfo("America/Phoenix")

APPOINTMENT = {
    "appointmnet_id": "7001",
    "parent_appointment_id": "7000",
    "start_date": "2026-03-02 15:00:00",
    "end_date": "2026-03-02 16:00:00",
    "check_in_time": "2026-03-02 14:50:00",
    "check_out_time": "2026-03-02 15:45:00",
    "calendar_title": "Dana / Ada Okafor knee",
    "clinic_id": "11",
    "therapist_id": "51",
    "appointment_type": "Follow-Up",
    "case_id": "301",
    "patient_id": "101",
    "appointment_status": "Active",
    "reason": "",
    "time_stamp": "2026-03-02 16:05:00",
}
CHARGE = {
    "record_id": "9001",
    "visit_date": "2026-03-02",
    "cpt": "97110",
    "clinic_id": "11",
    "patient_id": "101",
    "case_id": "301",
    "visit_id": "801",
    "therapist_id": "51",
    "cosign_therapist_id": "52",
    "insurance_id": "66",
    "note_type": "DN",
    "modified_date": "2026-03-03",
    "note_finalized_date": "2026-03-02",
    "export_flag": "1",
}
VISIT = {
    "visit_id": "801",
    "visit_date": "3/2/2026",
    "clinic_id": "11",
    "patient_id": "101",
    "case_id": "301",
    "note_type": "DN",
    "note_finalized_date": "3/2/2026",
    "export_flag": "1",
}
CASE = {
    "case_id": "301",
    "patient_id": "101",
    "clinic_id": "11",
    "primary_diagnosis": "M54.5",
    "case_status": "A",
    "case_closed_date": "",
    "discharge_date": "",
    "modified_date": "2026-04-01",
    "export_flag": "2",
}
PATIENT = {
    "patient_id": "101",
    "first_name": "Ada",
    "last_name": "Okafor",
    "email": "ada@example.com",
    "clinic_id": "11",
    "export_flag": "1",
}
TABLES = {"appointments": APPOINTMENT, "charges": CHARGE, "visits": VISIT, "cases": CASE, "patients": PATIENT}


def zone_of(clinic_id: str) -> ZoneInfo:
    return PHOENIX if clinic_id == "west" else NEW_YORK


def as_csv(*rows: dict[str, str]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def reading_of(content: bytes, rules: IntakeRules | None = None) -> Reading:
    return recognise(io.BytesIO(content), Context(zone_of, rules or IntakeRules()))


def read_rows(content: bytes, rules: IntakeRules | None = None) -> list[Row | Refusal]:
    return list(reading_of(content, rules).rows)


def read(*rows: dict[str, str], rules: IntakeRules | None = None) -> list[object]:
    return [row.records[0] if isinstance(row, Row) else row for row in read_rows(as_csv(*rows), rules)]


def visit(row: dict[str, str], rules: IntakeRules | None = None) -> Visit:
    (record,) = read(row, rules=rules)
    assert isinstance(record, VisitRecord), record
    return record.visit


def case(**cells: str) -> Case:
    (record,) = read({**CASE, **cells})
    assert isinstance(record, CaseRecord), record
    return record.case


def patient_record(row: dict[str, str], rules: IntakeRules | None = None) -> PatientRecord:
    (record,) = read(row, rules=rules)
    assert isinstance(record, PatientRecord), record
    return record


def patient(row: dict[str, str], rules: IntakeRules | None = None) -> Patient:
    return patient_record(row, rules).patient


def refusal(row: dict[str, str]) -> tuple[int, str, str]:
    (refused,) = read(row)
    assert isinstance(refused, Refusal), refused
    return refused.line, refused.column, refused.reason


def refused_whole(content: bytes, rules: IntakeRules | None = None) -> str:
    with pytest.raises(FileRefused) as refused:
        reading_of(content, rules)
    return refused.value.reason


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def without(row: dict[str, str], *columns: str) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if name not in columns}


# Appointments.


def test_a_checked_in_appointment_took_place_when_it_was_scheduled_until_the_patient_was_checked_out():
    assert visit(APPOINTMENT) == Visit(
        patient_id="101",
        visit_id="appointment:7001",
        case_id="301",
        clinic_id="11",
        started_at=utc("2026-03-02 20:00"),
        kind=VisitKind.TREATMENT,
        status=VisitStatus.COMPLETED,
        ended_at=utc("2026-03-02 20:45"),
        therapist_id="51",
        updated_at=utc("2026-03-02 21:05"),
    )


def test_the_right_spelling_of_the_appointment_s_id_is_read_as_well():
    row = {"appointment_id": "7001", **without(APPOINTMENT, "appointmnet_id")}
    assert visit(row).visit_id == "appointment:7001"


@pytest.mark.parametrize(
    ("cells", "status"),
    [
        ({}, VisitStatus.COMPLETED),
        ({"check_in_time": ""}, VisitStatus.SCHEDULED),
        ({"appointmnet_id": "-7001", "check_in_time": ""}, VisitStatus.SCHEDULED),
        ({"appointmnet_id": "-7001"}, VisitStatus.SCHEDULED),
        ({"appointment_status": "Inactive"}, VisitStatus.CANCELLED),
        ({"appointment_status": " INACTIVE ", "check_in_time": ""}, VisitStatus.CANCELLED),
        ({"appointment_status": "Inactive", "reason": "Patient ill"}, VisitStatus.CANCELLED),
        ({"appointment_status": "Inactive", "reason": "No Show"}, VisitStatus.NO_SHOW),
        ({"appointment_status": "Inactive", "reason": "late, no-show fee"}, VisitStatus.NO_SHOW),
        ({"appointment_status": "Inactive", "reason": "NS"}, VisitStatus.NO_SHOW),
        ({"appointment_status": "Inactive", "reason": "Insurance"}, VisitStatus.CANCELLED),
        ({"appointment_status": "Inactive", "reason": "casino show; ins"}, VisitStatus.CANCELLED),
        ({"appointment_status": "Inactive", "appointmnet_id": "-7001"}, VisitStatus.CANCELLED),
        ({"appointment_status": "No Show"}, VisitStatus.NO_SHOW),
        ({"reason": "No show last time"}, VisitStatus.COMPLETED),
    ],
)
def test_only_an_active_appointment_with_a_check_in_and_a_positive_id_counts(cells, status):
    assert visit({**APPOINTMENT, **cells}).status is status


@pytest.mark.parametrize(
    ("cells", "ended_at"),
    [
        ({"check_out_time": ""}, "2026-03-02 21:00"),
        ({"check_out_time": "2026-03-02 14:55:00"}, "2026-03-02 21:00"),  # came and left before the planned start
        ({"check_out_time": "2026-03-03 08:00:00"}, "2026-03-02 21:00"),  # noted the next morning
        ({"check_out_time": "", "end_date": "2026-03-02 14:00:00"}, None),
        ({"check_out_time": "", "end_date": "2026-03-02", "start_date": "2026-03-02"}, None),
        ({"check_out_time": "", "end_date": ""}, None),
    ],
)
def test_an_appointment_ends_at_a_check_out_of_that_day_or_as_planned(cells, ended_at):
    assert visit({**APPOINTMENT, **cells}).ended_at == (utc(ended_at) if ended_at else None)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("Initial Examination", VisitKind.EVALUATION),
        ("initial  evaluation", VisitKind.EVALUATION),
        ("Re-Examination", VisitKind.TREATMENT),
        ("Follow-Up", VisitKind.TREATMENT),
        ("", VisitKind.TREATMENT),
    ],
)
def test_the_type_of_an_appointment_says_what_it_is_for_and_otherwise_it_is_a_treatment(type_, kind):
    assert visit({**APPOINTMENT, "appointment_type": type_}).kind is kind


def test_a_practice_names_its_own_types_of_appointments():
    rules = IntakeRules(webpt_appointments=Marks(frozenset({"New Knee"}), frozenset({"Last"})))
    assert visit({**APPOINTMENT, "appointment_type": "new knee"}, rules).kind is VisitKind.EVALUATION
    assert visit({**APPOINTMENT, "appointment_type": "LAST"}, rules).kind is VisitKind.DISCHARGE
    assert visit({**APPOINTMENT, "appointment_type": "Initial Examination"}, rules).kind is VisitKind.TREATMENT


@pytest.mark.parametrize("table", TABLES)
def test_nothing_of_notes_diagnoses_and_insurance_is_taken_in(table):
    secret = "canary"
    columns = (
        "calendar_title",
        "reason",
        "visit_comment",
        "insurance_id",
        "primary_diagnosis",
        "notes",
        "policy_number",
    )
    row = {**TABLES[table], **dict.fromkeys(columns, secret)}
    (found,) = read_rows(as_csv(row))
    assert isinstance(found, Row)
    assert secret not in repr(found.records)


# Charges.


def test_a_charge_of_a_finalized_note_is_an_entry_of_its_visit_day():
    assert visit(CHARGE) == Visit(
        patient_id="101",
        visit_id="charge:801:9001:97110",
        case_id="301",
        clinic_id="11",
        started_at=utc("2026-03-02 05:00"),
        kind=VisitKind.TREATMENT,
        status=VisitStatus.COMPLETED,
        therapist_id="51",
        has_time=False,
        updated_at=utc("2026-03-03 05:00"),
    )


def test_a_visit_whose_note_is_still_open_does_not_count_yet():
    assert visit({**CHARGE, "note_finalized_date": ""}).status is VisitStatus.SCHEDULED


@pytest.mark.parametrize(
    ("note_type", "cpt", "kind"),
    [
        ("IE", "97110", VisitKind.EVALUATION),
        ("ie", "97110", VisitKind.EVALUATION),
        ("DS", "97110", VisitKind.DISCHARGE),
        ("DQ", "97110", VisitKind.DISCHARGE),
        ("DN", "97161", VisitKind.TREATMENT),  # what the therapist wrote goes before what was billed
        ("PN", "97110", VisitKind.TREATMENT),
        ("", "97161", VisitKind.EVALUATION),
        ("", "97110", VisitKind.TREATMENT),
        ("", "", VisitKind.TREATMENT),
    ],
)
def test_the_note_says_what_a_visit_was_for_and_without_one_the_procedure(note_type, cpt, kind):
    assert visit({**CHARGE, "note_type": note_type, "cpt": cpt}).kind is kind


@pytest.mark.parametrize(("note_type", "status"), [("NS", VisitStatus.NO_SHOW), ("Cancelled", VisitStatus.CANCELLED)])
def test_a_note_that_says_that_nobody_came_does_not_count_although_it_is_finalized(note_type, status):
    assert visit({**CHARGE, "note_type": note_type}).status is status


LINES = [
    {**CHARGE, "note_type": "", "cpt": "97110"},
    {**CHARGE, "note_type": "", "cpt": "97161"},
    {**CHARGE, "note_type": "", "cpt": "97140"},
]


def stored(*files: list[dict[str, str]]) -> list[Visit]:
    """What is known after these files: of each entry, the last word."""
    known = {}
    for file in files:
        for record in read(*file):
            assert isinstance(record, VisitRecord)
            known[record.visit.visit_id] = record.visit
    return list(known.values())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("in_one_file", [True, False])
def test_lines_of_one_visit_are_one_visit_and_the_strongest_kind_wins_whatever_their_order(order, in_one_file):
    lines = [LINES[place] for place in order]
    (episode,) = episodes(stored(lines) if in_one_file else stored(*([line] for line in lines)), zone_of)
    assert len(episode.days) == 1
    assert episode.evaluation


def test_a_line_taken_back_leaves_the_visit_and_the_last_one_takes_it_away():
    first = LINES[0]
    gone = [{**line, "export_flag": "3"} for line in LINES]
    assert episodes(stored(LINES, gone[:1]), zone_of)
    assert episodes(stored([gone[0], *LINES[1:]], [first], gone[1:]), zone_of)
    assert not episodes(stored(LINES, gone), zone_of)


def test_a_line_corrected_later_replaces_what_it_said():
    (known,) = stored([CHARGE], [{**CHARGE, "note_type": "IE", "visit_date": "2026-03-03", "export_flag": "2"}])
    assert (known.kind, known.started_at) == (VisitKind.EVALUATION, utc("2026-03-03 05:00"))


def test_charges_without_a_visit_are_told_apart_by_their_day():
    row = {**CHARGE, "visit_id": ""}
    assert visit(row).visit_id == "charge:2026-03-02:9001:97110"
    assert visit(without(row, "visit_id")).visit_id == "charge:2026-03-02:9001:97110"


# Visits.


def test_a_visit_counts_when_its_note_is_finalized_or_the_patient_was_checked_in():
    assert visit(VISIT).visit_id == "visit:801"
    assert visit(VISIT).status is VisitStatus.COMPLETED
    still_open = {**VISIT, "note_finalized_date": "", "check_in_time": ""}
    assert visit(still_open).status is VisitStatus.SCHEDULED
    assert visit({**still_open, "check_in_time": "3/2/2026 2:50 PM"}).status is VisitStatus.COMPLETED


def test_an_entry_with_the_flag_3_is_removed_and_with_2_it_may_be_new():
    assert visit({**VISIT, "export_flag": "3"}).removed
    assert not visit({**VISIT, "export_flag": "2"}).removed
    assert not visit({**VISIT, "export_flag": ""}).removed


# Cases.


@pytest.mark.parametrize(
    ("cells", "closed"),
    [
        ({}, None),
        ({"case_status": "I", "case_closed_date": "2026-04-20"}, "2026-04-20 04:00"),
        ({"case_status": "", "discharge_date": "2026-04-01"}, "2026-04-01 04:00"),
        ({"case_status": "", "discharge_date": "2026-04-01", "case_closed_date": "2026-04-20"}, "2026-04-01 04:00"),
        ({"case_status": "", "discharge_date": "2026-04-20", "case_closed_date": "2026-04-01"}, "2026-04-01 04:00"),
        ({"case_status": "Active", "case_closed_date": "2026-04-20"}, None),  # opened again; the date stays behind
        ({"case_status": "Closed"}, "2026-04-01 04:00"),  # no date but that of the change
    ],
)
def test_a_case_ends_at_the_earlier_of_discharge_and_closing_unless_it_is_active(cells, closed):
    found = case(**cells)
    assert found.closed_at == (utc(closed) if closed else None)
    assert found.has_time is (closed is None)


def test_a_case_opened_again_after_its_closing_is_open():
    row = {"case_status": "", "case_closed_date": "2026-04-20"}
    assert case(**row, reopened_date="2026-04-21").closed_at is None
    assert case(**row, reopened_date="2026-04-19").closed_at


def test_a_closed_case_without_any_date_is_refused():
    line, column, reason = refusal({**CASE, "case_status": "Closed", "modified_date": ""})
    assert (line, column) == (2, "case_status")
    assert "no date" in reason


def test_a_case_can_be_removed_and_needs_no_clinic():
    assert case(export_flag="3").removed
    (record,) = read(without(CASE, "clinic_id"))
    assert isinstance(record, CaseRecord)


# Patients.


def test_a_patient_is_read_and_of_what_has_no_column_nothing_is_said():
    record = patient_record(PATIENT)
    assert record.patient == Patient("101", "Ada", "Okafor", "ada@example.com", clinic_id="11")
    assert record.absent == {"tags", "phone", "language", "deceased"}


def test_an_empty_clinic_and_a_file_without_flag_and_status_say_nothing_of_them():
    usual = {"Patient ID": "1", "First Name": "A", "Last Name": "B", "E-mail": "", "Clinic ID": ""}
    assert patient_record(usual).absent == {"tags", "phone", "language", "deceased", "archived", "clinic_id"}


def test_all_that_is_known_of_a_patient_is_read():
    more = {
        "Cell Phone": "555 0100",
        "Preferred Language": "Spanish",
        "Do Not Email": "Y",
        "Patient Status": "Inactive",
    }
    found = patient({**PATIENT, **more, "Last Modified": "3/2/2026 9:00 AM"})
    assert (found.phone, found.language) == ("555 0100", Language.SPANISH)
    assert (found.opted_out, found.archived, found.deceased) == (True, True, False)
    assert found.updated_at == utc("2026-03-02 14:00")


@pytest.mark.parametrize(
    ("column", "cell", "deceased", "archived"),
    [
        ("patient_status", "Active", False, False),
        ("patient_status", "Discharged", False, False),
        ("patient_status", "inactive", False, True),
        ("patient_status", "Deceased", True, False),
        ("active", "0", False, True),
        ("active", "1", False, False),
        ("deceased", "Yes", True, False),
        ("deceased", "0", False, False),
        ("date_of_death", "2/1/2026", True, False),
        ("date_of_death", "", False, False),
    ],
)
def test_the_dead_and_the_inactive_are_known_by_status_flag_or_date(column, cell, deceased, archived):
    found = patient({**PATIENT, column: cell})
    assert (found.deceased, found.archived) == (deceased, archived)


def test_a_removed_patient_is_archived_and_nothing_else_is_said_of_them():
    record = patient_record({**dict.fromkeys(PATIENT, ""), "patient_id": "101", "export_flag": "3"})
    assert record.patient.archived
    assert record.absent == {"tags", "deceased", "first_name", "last_name", "email", "phone", "language", "clinic_id"}


def test_an_opt_out_is_heard_even_in_a_row_that_is_refused():
    (refused,) = read({**PATIENT, "email": "declined", "opt_out": "yes"})
    assert isinstance(refused, Refusal)
    assert refused.column == "email"
    (heard,) = refused.heard
    assert isinstance(heard, PatientRecord)
    assert heard.patient == Patient("101", opted_out=True)


def test_of_a_patient_who_is_refused_what_keeps_surveys_away_is_heard():
    more = {"email": "declined", "Patient Status": "Inactive", "date_of_death": "2/1/2026", "opt_out": "perhaps"}
    (refused,) = read({**PATIENT, **more, "Last Modified": "3/2/2026 9:00 AM"})
    assert isinstance(refused, Refusal)
    (heard,) = refused.heard
    assert isinstance(heard, PatientRecord)
    assert heard.patient == Patient("101", deceased=True, archived=True, updated_at=utc("2026-03-02 14:00"))
    assert heard.absent == {"tags", *("first_name", "last_name", "email", "phone", "language", "clinic_id")}


def test_the_address_of_a_removed_patient_is_not_even_looked_at_but_their_death_is():
    removed = {**PATIENT, "email": "declined", "export_flag": "3"}
    record = patient_record(removed)
    assert (record.patient.archived, record.patient.email, "deceased" in record.absent) == (True, "", True)
    assert patient({**removed, "Patient Status": "Deceased"}).deceased


@pytest.mark.parametrize("column", ["patient_id", "case_id", "appointment_id", "clinic_id", "therapist_id"])
def test_an_id_that_a_spreadsheet_has_shortened_is_refused(column):
    (refused,) = read({**APPOINTMENT, column: "1.23457E+11"})
    assert isinstance(refused, Refusal)
    assert (refused.column, "export the column as text" in refused.reason) == (column, True)


def test_null_is_nothing_but_people_are_called_null():
    row = {**PATIENT, "last_name": "Null", "email": "NULL", "phone": "null", "modified_date": "0000-00-00"}
    found = patient(row)
    assert (found.last_name, found.email, found.phone, found.updated_at) == ("Null", "", "", None)


# Names.


def test_tables_of_therapists_and_clinics_give_names():
    (therapist,) = read(
        {"therapist_id": "51", "first_name": "Dana", "last_name": "Ortiz", "npi": "1", "export_flag": "1"}
    )
    assert therapist == NameRecord(Named.THERAPIST, ("51",), "Dana Ortiz")
    (clinic,) = read({"clinic_id": "11", "clinic_name": "North", "export_flag": "1"})
    assert clinic == NameRecord(Named.CLINIC, ("11",), "North")


# Times.


@pytest.mark.parametrize(
    ("text", "instant", "has_time"),
    [
        ("2026-03-02", "2026-03-02 05:00", False),
        ("3/2/2026", "2026-03-02 05:00", False),
        ("03/02/2026", "2026-03-02 05:00", False),
        ("2026-03-02 00:00:00", "2026-03-02 05:00", False),
        ("2026-03-02T00:00:00.000", "2026-03-02 05:00", False),
        ("3/2/2026 12:00:00 AM", "2026-03-02 05:00", False),
        ("3/2/2026 0:00", "2026-03-02 05:00", False),
        ("3/2/2026 3:00 PM", "2026-03-02 20:00", True),
        ("3/2/2026 3:00:30pm", "2026-03-02 20:00:30", True),
        ("3/2/2026, 12:15 PM", "2026-03-02 17:15", True),
        ("3/2/2026 12:15 AM", "2026-03-02 05:15", True),
        ("3/2/2026 15:00", "2026-03-02 20:00", True),
        ("2026-03-02 15:00:00.123", "2026-03-02 20:00", True),
        ("2026-03-02T15:00:00Z", "2026-03-02 15:00", True),
        ("3/8/2026 2:30 AM", "2026-03-08 07:30", True),  # left out by the clock change
        ("11/1/2026 1:30 AM", "2026-11-01 05:30", True),  # happened twice: the earlier
    ],
)
def test_times_are_read_as_americans_or_iso_write_them_at_the_clinic(text, instant, has_time):
    found = visit({**VISIT, "visit_date": text})
    assert (found.started_at, found.has_time) == (utc(instant), has_time)


def test_each_clinic_has_its_own_zone():
    assert visit({**VISIT, "clinic_id": "west"}).started_at == utc("2026-03-02 07:00")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("22/3/2026", "month before the day"),
        ("3/2/26", "such as 3/2/2026"),
        ("3-2-2026", "such as 3/2/2026"),
        ("2.3.2026", "such as 3/2/2026"),
        ("20260302", "such as 3/2/2026"),
        ("Mar 2 2026", "such as 3/2/2026"),
        ("2/30/2026", "does not exist"),
        ("3/2/2026 13:00 PM", "does not exist"),
        ("3/2/2026 0:30 AM", "does not exist"),
        ("3/2/2026 25:00", "does not exist"),
        ("45/45/2026", "does not exist"),
        ("3/2/1026", "before 1900"),
        ("", "is empty"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(text, words):
    line, column, reason = refusal({**VISIT, "visit_date": text})
    assert (line, column) == (2, "visit_date")
    assert words in reason


# Rows that are refused, and nothing else with them.


@pytest.mark.parametrize(
    ("table", "column", "cell"),
    [
        *((table, "patient_id", "") for table in TABLES),
        *((table, "case_id", "NULL") for table in ("appointments", "charges", "visits", "cases")),
        *((table, "clinic_id", "") for table in ("appointments", "charges", "visits")),
        *((table, "export_flag", "4") for table in ("charges", "visits", "cases", "patients")),
        ("appointments", "appointmnet_id", ""),
        ("appointments", "appointment_status", ""),
        ("appointments", "appointment_status", "perhaps"),
        ("appointments", "check_in_time", "yes"),
        ("appointments", "check_out_time", "noon"),
        ("charges", "record_id", ""),
        ("charges", "record_id", "9" * 190),  # too long together with the visit's id
        ("charges", "note_finalized_date", "soon"),
        ("cases", "case_status", "perhaps"),
        ("patients", "email", "declined"),
        ("patients", "patient_id", "1" * 201),
    ],
)
def test_a_bad_row_is_refused_by_line_and_the_file_s_own_column_and_the_rest_goes_in(table, column, cell):
    row = TABLES[table]
    found = read(row, {**row, column: cell}, row)
    assert [type(each) is Refusal for each in found] == [False, True, False]
    refused = found[1]
    assert isinstance(refused, Refusal)
    assert (refused.line, refused.column) == (3, column)


def test_a_refusal_names_the_column_as_the_file_does():
    row = {"Email Address": "declined", **without(PATIENT, "email")}
    assert refusal(row)[1] == "Email Address"


def test_reasons_never_repeat_a_patient_s_data():
    for table, row in TABLES.items():
        for column in row:
            for found in read({**row, column: "canary at example"}):
                assert not isinstance(found, Refusal) or "canary" not in found.reason, table


# Which file is which.


@pytest.mark.parametrize("table", TABLES)
def test_each_table_is_known_by_its_columns_in_any_order_case_and_spelling(table):
    row = {name.replace("_", " ").title(): cell for name, cell in reversed(TABLES[table].items())}
    assert reading_of(as_csv(row)).kind == f"webpt_{table}"
    assert isinstance(read(row)[0], CaseRecord | VisitRecord | PatientRecord)


@pytest.mark.parametrize("table", ["appointments", "charges", "visits", "cases"])
def test_tables_of_webpt_are_known_without_the_export_flag(table):
    assert reading_of(as_csv(without(TABLES[table], "export_flag"))).kind == f"webpt_{table}"


def test_patients_are_known_without_the_export_flag_unless_they_are_nearly_ours():
    usual = {"Patient ID": "1", "First Name": "A", "Last Name": "B", "E-mail": "", "Clinic ID": "11"}
    assert reading_of(as_csv(usual)).kind == "webpt_patients"
    nearly_ours = without(PATIENT, "export_flag", "clinic_id")
    assert "This looks like patients, but lacks the columns: clinic_id" in refused_whole(as_csv(nearly_ours))


OURS = {
    "patients": without(PATIENT, "export_flag"),
    "visits": {
        "visit_id": "v1",
        "patient_id": "p1",
        "case_id": "c1",
        "clinic_id": "11",
        "started_at": "2026-03-02T15:00",
        "kind": "evaluation",
        "status": "completed",
    },
}


@pytest.mark.parametrize("kind", OURS)
def test_our_own_csv_is_ours_whatever_other_columns_it_has(kind):
    assert reading_of(as_csv(OURS[kind])).kind == kind
    assert reading_of(
        as_csv({**APPOINTMENT, **CHARGE, **without(CASE, "export_flag"), **OURS[kind], "export_flag": ""})
    )
    everything = without({**APPOINTMENT, **CHARGE, **CASE, **OURS[kind]}, "export_flag")
    assert reading_of(as_csv(everything)).kind == kind
    named = IntakeRules(webpt_columns={"patients.email": "email", "visits.visit_id": "visit_id"})
    assert reading_of(as_csv(OURS[kind]), named).kind == kind


def test_with_an_export_flag_a_table_of_patients_is_webpt_s():
    assert reading_of(as_csv(PATIENT)).kind == "webpt_patients"


def test_a_table_of_our_visits_that_lacks_a_column_is_refused_as_ours():
    for column in OURS["visits"]:
        reason = refused_whole(as_csv({**without(OURS["visits"], column), "note": ""}))
        assert f"This looks like visits, but lacks the columns: {column}" in reason


def test_a_practice_names_its_columns():
    rules = IntakeRules(webpt_columns={"patients.email": "Contact 2", "patients.patient_id": "Chart"})
    row = {"Chart": "77", "Contact 2": "a@example.com", **PATIENT, "email": "other@example.com"}
    assert (patient(row, rules).patient_id, patient(row, rules).email) == ("77", "a@example.com")
    unflagged = without(row, "export_flag", "email", "patient_id")
    assert patient(unflagged, rules).email == "a@example.com"


def test_a_column_whose_name_is_but_a_sign_is_no_nameless_column():
    rules = IntakeRules(webpt_columns={"patients.phone": "#"})
    header, row, _ = as_csv({**PATIENT, "#": "555 0100"}).decode().split("\n")
    (found,) = read_rows(f",{header}\nx,{row}\n".encode(), rules)
    assert isinstance(found, Row)
    assert isinstance(found.records[0], PatientRecord)
    assert found.records[0].patient.phone == "555 0100"


def test_a_chosen_column_that_is_not_there_is_not_replaced_by_another():
    rules = IntakeRules(webpt_columns={"patients.email": "Contact 2"})
    assert "no column is known to be: email. Columns that nothing uses: email." in refused_whole(as_csv(PATIENT), rules)


@pytest.mark.parametrize("table", TABLES)
def test_a_required_column_that_is_not_known_refuses_the_file_and_says_how_to_name_it(table):
    hidden = {"appointments": "check_in_time", "charges": "note_finalized_date", "visits": "visit_date"}
    column = hidden.get(table, "patient_id")
    row = {**without(TABLES[table], column), "Fancy Name": "1", "export_flag": "1"}
    reason = refused_whole(as_csv(row))
    assert f"no column is known to be: {column}" in reason
    assert "Columns that nothing uses:" in reason
    assert "Fancy Name" in reason
    assert f"webpt,column:{table}.{column}," in reason


def test_the_line_that_a_refusal_proposes_can_be_put_into_the_settings():
    row = {"Contact": "a@example.com", **without(PATIENT, "email")}
    line = refused_whole(as_csv(row)).rsplit(" such as ", 1)[1]
    assert line == "webpt,column:patients.email,Contact"
    assert patient(row, IntakeRules(webpt_columns={"patients.email": "Contact"})).email == "a@example.com"


def test_a_table_that_bears_webpt_s_own_names_is_refused_as_such_even_without_a_flag():
    assert "known to be: check_in_time." in refused_whole(as_csv(without(APPOINTMENT, "check_in_time")))


def test_lists_of_therapists_and_clinics_without_a_flag_are_not_taken_for_webpt_s():
    for row in ({"therapist_id": "51", "last_name": "Ortiz"}, {"clinic_id": "11", "clinic_name": "North"}):
        assert "not a file that Careloop knows" in refused_whole(as_csv(row))


@pytest.mark.parametrize(
    "columns",
    [
        "authorization_id,case_id,patient_id,case_status,export_flag",
        "visit_id,patient_id,first_name,last_name,email,export_flag",
        "record_id,authorization_id,case_id,auth_number,authorization_status,patient_id,clinic_id,modified_date,export_flag",
        "record_id,otc_id,case_id,visit_date,payment_date,patient_id,clinic_id,txn_status,modified_date,export_flag",
        "record_id,patient_credit_id,patient_id,amount,status,time_stamp,export_flag",
        "export_flag",
    ],
)
def test_other_tables_of_the_extract_are_taken_for_none_of_ours(columns):
    reason = refused_whole(columns.encode() + b"\n")
    assert "none of the tables that Careloop reads (appointments, charges, visits, cases, patients" in reason


def test_a_header_that_names_a_column_twice_is_refused_if_the_column_is_read():
    header = as_csv(PATIENT).split(b"\n")[0]
    assert "twice: email, E-mail" in refused_whole(header + b",E-mail\n")
    assert reading_of(header + b",note,note\n").kind == "webpt_patients"


# Files that are damaged.


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_line_ends_and_byte_order_marks_do_not_matter(table, line_end, mark):
    content = mark + as_csv(TABLES[table], TABLES[table]).replace(b"\n", line_end)
    assert [type(row) for row in read_rows(content)] == [Row, Row]


@pytest.mark.parametrize("table", TABLES)
def test_a_truncated_file_loses_at_most_its_last_row(table):
    row = TABLES[table]
    content = as_csv(row, row, row)
    for cut in range(1, len(content.splitlines()[-1]) - 1):
        first, second, *last = read_rows(content[:-cut])
        assert isinstance(first, Row)
        assert isinstance(second, Row)
        assert len(last) == 1


def test_lines_are_utf_8_or_windows_1252_and_a_stray_quotation_mark_costs_one_line():
    header = as_csv(PATIENT).split(b"\n")[0]
    rows = [b'1,"Jos\xe9,B,,11,1', "2,José,B,,11,1".encode(), "3,José,B,,11,1".encode("cp1252")]
    broken, *taken = read_rows(b"\n".join([header, *rows]))
    assert isinstance(broken, Refusal)
    assert [row.records[0].patient.first_name for row in taken] == ["José", "José"]  # type: ignore[union-attr]


@pytest.mark.parametrize("table", TABLES)
def test_a_row_ten_times_too_wide_or_too_short_is_refused_alone(table):
    header, row, _ = as_csv(TABLES[table]).split(b"\n")
    wide, short = b",".join([row] * 10), row.rsplit(b",", 1)[0]
    found = read_rows(b"\n".join([header, row, wide, short, row]))
    assert [type(each) for each in found] == [Row, Refusal, Refusal, Row]


@given(st.sampled_from(sorted(TABLES)), st.binary(max_size=400))
def test_any_bytes_after_a_header_are_read_or_refused(table, content):
    header = as_csv(TABLES[table]).split(b"\n")[0]
    assert all(row.raw for row in read_rows(header + b"\n" + content))


@given(st.binary(max_size=300))
def test_any_bytes_with_an_export_flag_are_read_or_refused(content):
    with contextlib.suppress(FileRefused):
        read_rows(b"export_flag," + content)


text_cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=25)
likely_cells = st.sampled_from(
    [
        "",
        "0",
        "1",
        "3",
        "-1",
        "NULL",
        "A",
        "Active",
        "IE",
        "97161",
        "3/2/2026 3:00 PM",
        "2026-03-02",
        "99/99/9999",
        "٣/2/2026",
    ]
)


@given(st.data(), st.sampled_from(sorted(TABLES)))
def test_whatever_the_cells_hold_each_row_is_taken_or_refused(data, table):
    row = {column: data.draw(st.one_of(likely_cells, text_cells)) for column in TABLES[table]}
    found = read_rows(as_csv({**row, "patient_id": "101"}))
    assert len(found) == 1
    (only,) = found
    assert isinstance(only, Row) or only.reason


@given(st.lists(st.sampled_from([*APPOINTMENT, *CHARGE, *CASE, *PATIENT, "", "x"]), max_size=30))
def test_any_mixture_of_columns_is_read_or_refused(columns):
    with contextlib.suppress(FileRefused):
        read_rows(",".join(columns).encode() + b"\n" + b"1," * len(columns))

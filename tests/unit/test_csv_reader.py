"""Our own CSV: every row is read or refused by itself, whatever is wrong with the others."""

import contextlib
import io
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.readers import careloop_csv, recognise
from functions.import_visits.records import (
    ClinicRecord,
    Context,
    FileRefused,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.episode import VisitKind, VisitStatus
from shared.domain.patient import Language, Patient

PATIENTS = "patient_id,first_name,last_name,email,clinic_id"
VISITS = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status"
ZONES = {"west": ZoneInfo("America/Phoenix")}


def zone_of(clinic_id: str) -> ZoneInfo:
    return ZONES.get(clinic_id, ZoneInfo("America/New_York"))


def read_rows(content: str | bytes) -> list[Row | Refusal]:
    raw = content.encode() if isinstance(content, str) else content
    return list(recognise(io.BytesIO(raw), Context(zone_of)).rows)


def read(content: str | bytes) -> list[Record | Refusal]:
    return [row.records[0] if isinstance(row, Row) else row for row in read_rows(content)]


def people(content: str | bytes) -> list[Patient]:
    records = read(content)
    assert all(isinstance(record, PatientRecord) for record in records), records
    return [record.patient for record in records if isinstance(record, PatientRecord)]


def visit_started(text: str, clinic: str = "north") -> datetime | str:
    (record,) = read(f"{VISITS}\nv1,p1,c1,{clinic},{text},evaluation,completed\n")
    return record.visit.started_at if isinstance(record, VisitRecord) else record.reason  # type: ignore[union-attr]


def refusals(content: str | bytes) -> list[tuple[int, str]]:
    return [(record.line, record.column) for record in read(content) if isinstance(record, Refusal)]


def taken(content: str | bytes) -> list[str]:
    return [record.patient.patient_id for record in read(content) if isinstance(record, PatientRecord)]


# What is tolerated.


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("last", ["", "end"])
def test_line_ends_and_byte_order_marks_do_not_matter(line_end, mark, last):
    content = mark + line_end.join([PATIENTS, "p1,Ada,Okafor,a@example.com,north"]) + (line_end if last else "")
    assert people(content) == [Patient("p1", "Ada", "Okafor", "a@example.com", clinic_id="north")]


def test_columns_come_in_any_order_and_case_and_others_are_ignored():
    content = "Diagnosis, EMAIL ,Clinic_ID,LAST_NAME,first_name,Patient_Id,diagnosis\nM54.5,a@x.org,north,B,A,p1,z\n"
    assert people(content) == [Patient("p1", "A", "B", "a@x.org", clinic_id="north")]


def test_each_line_is_utf_8_or_else_windows_1252():
    content = (
        PATIENTS.encode()
        + b"\n"
        + "p1,José,Núñez,a@x.org,north\n".encode()
        + "p2,José,Núñez €,b@x.org,north\n".encode("cp1252")
    )
    assert [(patient.first_name, patient.last_name) for patient in people(content)] == [
        ("José", "Núñez"),
        ("José", "Núñez €"),
    ]


def test_a_quoted_line_break_is_part_of_the_value_and_lines_are_still_counted():
    rows = read_rows(f'{PATIENTS},note\np1,Ada,B,,north,"one\ntwo\r\nthree"\np2,,,not-an-address,north,\n')
    assert [(type(row), row.line) for row in rows] == [(Row, 2), (Refusal, 5)]
    assert rows[0].raw == b'p1,Ada,B,,north,"one\ntwo\r\nthree"\n'


def test_quoted_commas_and_doubled_quotation_marks_are_read():
    (patient,) = people(f'{PATIENTS}\np1,"Ada ""Addy""","Okafor, Jr.",,north\n')
    assert (patient.first_name, patient.last_name) == ('Ada "Addy"', "Okafor, Jr.")


def test_empty_lines_and_bare_commas_are_no_rows():
    assert taken(f"\n{PATIENTS}\n\np1,A,B,,north\n,,,,\n   \n") == ["p1"]


def test_trailing_commas_do_not_make_a_row_too_wide():
    assert taken(f"{PATIENTS}\np1,A,B,,north,,,\n") == ["p1"]


def test_words_of_a_list_may_be_written_in_any_case_and_with_spaces():
    (record,) = read(f"{VISITS},removed\nv1,p1,c1,north,2026-03-02T09:00, Evaluation ,No Show,YES\n")
    assert isinstance(record, VisitRecord)
    assert (record.visit.kind, record.visit.status) == (VisitKind.EVALUATION, VisitStatus.NO_SHOW)
    assert record.visit.removed


def test_all_optional_columns_of_a_patient_are_read():
    header = f"{PATIENTS},phone,language,status,email_opt_out,tags,updated_at"
    (patient,) = people(f"{header}\np1,A,B,,north,555 0100,es-MX,Archived,no,knee; vip ;,2026-03-02 09:00\n")
    assert (patient.phone, patient.language, patient.tags) == ("555 0100", Language.SPANISH, ("knee", "vip"))
    assert patient.archived
    assert not patient.opted_out
    assert patient.updated_at == datetime(2026, 3, 2, 14, 0, tzinfo=UTC)


def test_a_record_tells_of_which_fields_its_file_says_nothing():
    (record,) = read(f"{PATIENTS},phone\np1,A,B,,north,\n")
    assert isinstance(record, PatientRecord)
    assert record.absent == {"language", "archived", "deceased", "tags"}


def test_names_lose_control_characters_and_direction_marks():
    (patient,) = people(f'{PATIENTS}\np1,"Ada\u202e\nB\u2028c",O\x07k  o,,north\n')
    assert (patient.first_name, patient.last_name) == ("Ada B c", "O k o")


def test_clinics_are_read():
    header = "clinic_id,name,time_zone,phone,admin_emails,review_links,send_from,send_until,send_days"
    row = "west,West,America/Phoenix,555 0101,a@x.org;b@x.org,https://g.page/west;Yelp=https://yelp.com/w,9:00,17:00,"
    (record,) = read(f"{header}\n{row}Mon;Wed;Fri\n")
    assert isinstance(record, ClinicRecord)
    clinic = record.clinic
    assert (clinic.clinic_id, clinic.name, clinic.time_zone) == ("west", "West", "America/Phoenix")
    assert clinic.admins == ("a@x.org", "b@x.org")
    assert [link.label for link in clinic.review_links] == ["Google", "Yelp"]
    assert (clinic.send_from, clinic.send_until, clinic.send_days) == ("9:00", "17:00", "Mon;Wed;Fri")


# Times.


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-02T09:00", "2026-03-02T14:00"),
        ("2026-03-02 09:00:30.999", "2026-03-02T14:00:30"),
        ("2026-03-02T09:00:00Z", "2026-03-02T09:00"),
        ("2026-03-02T09:00:00+05:30", "2026-03-02T03:30"),
        ("2026-03-02T09:00:00 -0500", "2026-03-02T14:00"),
        ("2026-03-02", "2026-03-02T05:00"),  # a date alone is the start of that day in the clinic
        ("2026-03-08T02:30", "2026-03-08T07:30"),  # left out by the clock change: 03:30 daylight time
        ("2026-11-01T01:30", "2026-11-01T05:30"),  # happened twice: the earlier
    ],
)
def test_a_time_is_read_with_its_offset_or_as_the_clinic_s(text, instant):
    assert visit_started(text) == datetime.fromisoformat(instant).replace(tzinfo=UTC)


def test_each_clinic_has_its_own_zone():
    assert visit_started("2026-03-08T02:30", "west") == datetime(2026, 3, 8, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        *("yesterday", "03/02/2026 09:00", "20260302", "2026-W10-1", "٢٠٢٦-03-02"),
        *("2026-02-30T09:00", "2026-03-02T25:00", "2026-03-02T09:00+99:00", "0001-01-01T00:00", "9999-12-31T23:59"),
    ],
)
def test_what_is_no_time_is_refused_with_a_reason(text):
    assert refusals(f"{VISITS}\nv1,p1,c1,north,{text},evaluation,completed\n") == [(2, "started_at")]


def test_a_visit_that_ends_before_it_starts_is_refused():
    row = "v1,p1,c1,north,2026-03-02T09:00,evaluation,completed,2026-03-02T08:59"
    assert refusals(f"{VISITS},ended_at\n{row}\n") == [(2, "ended_at")]


# What is refused, and nothing else with it.


@pytest.mark.parametrize(
    ("row", "column"),
    [
        (",A,B,,north", "patient_id"),
        ("p1,A,B,,", "clinic_id"),
        ("p" * 201 + ",A,B,,north", "patient_id"),
        ('"p\n1",A,B,,north', "patient_id"),
        ("p1,A,B,declined,north", "email"),
        ("p1,A,B,a@x.org b@x.org,north", "email"),
        ("p1," + "A" * 201 + ",B,,north", "first_name"),
        ("p1,A,B", ""),
        ("p1,A,B,,north,extra", ""),
        ("p\x001,A,B,,north", ""),
    ],
)
def test_a_bad_row_is_refused_by_line_and_column_and_the_rest_goes_in(row, column):
    content = f"{PATIENTS}\np0,A,B,,north\n{row}\np9,A,B,,north\n"
    assert refusals(content) == [(3, column)]
    assert taken(content) == ["p0", "p9"]


@pytest.mark.parametrize(("column", "value"), [("kind", "chat"), ("status", "arrived"), ("kind", ""), ("status", "")])
def test_unknown_words_are_refused(column, value):
    cells = {"kind": "evaluation", "status": "completed", column: value}
    row = f"v1,p1,c1,north,2026-03-02T09:00,{cells['kind']},{cells['status']}"
    assert refusals(f"{VISITS}\n{row}\n") == [(2, column)]


def test_a_visit_s_id_that_looks_like_the_key_of_a_case_is_refused():
    assert refusals(f"{VISITS}\ncase#1,p1,c1,north,2026-03-02T09:00,evaluation,completed\n") == [(2, "visit_id")]


def test_reasons_never_repeat_a_patient_s_data():
    (refusal,) = read(f"{PATIENTS}\np1,A,B,canary at example,north\n")
    assert isinstance(refusal, Refusal)
    assert "canary" not in refusal.reason


@pytest.mark.parametrize(
    "broken",
    [
        'p1,"Ada,B,,north',  # never closed
        'p1,"Ada"x,B,,north',
        'p1,"Ada,B,,north\np2,A,B,,north\np3,"C",D,,north',  # closed by another row's
        "p1," + "x" * 70_000 + ",B,,north",
    ],
)
def test_a_stray_quotation_mark_costs_one_line_only(broken):
    content = f"{PATIENTS}\np0,A,B,,north\n{broken}\n" + "".join(f"q{n},A,B,,north\n" for n in range(250))
    assert refusals(content) == [(3, "")]
    assert taken(content) == ["p0", *[f"p{n}" for n in (2, 3) if f"p{n}," in broken], *(f"q{n}" for n in range(250))]


def test_two_stray_quotation_marks_do_not_give_one_patient_the_others_address():
    rows = 'sw1,Ann,"Lee,sw1@example.com,ny\nsw2,Bob,Ray",sw2@example.com,ny\n'
    broken, second = read(f"patient_id,first_name,last_name,email,clinic_id\n{rows}")
    assert isinstance(broken, Refusal)
    assert (broken.line, "quotation mark" in broken.reason) == (2, True)
    assert isinstance(second, PatientRecord)
    assert (second.patient.patient_id, second.patient.email) == ("sw2", "sw2@example.com")


def test_a_line_break_in_a_first_column_that_is_not_ours_is_no_stray_quotation_mark():
    rows = '"first line\nof a note",p1,Ann,Lee,ann@example.com,ny\n'
    [patient] = people(f"note,patient_id,first_name,last_name,email,clinic_id\n{rows}")
    assert patient.patient_id == "p1"


def test_a_quotation_mark_closed_lines_later_by_chance_swallows_nothing():
    content = f'{PATIENTS}\np1,Ada,"B,,north\np2,A,B,,north\np3,A,B,,"\np4,A,B,,north\n'
    assert refusals(content) == [(2, ""), (4, "")]
    assert taken(content) == ["p2", "p4"]


def test_a_truncated_file_loses_only_its_last_row():
    whole = f"{VISITS}\n" + "".join(f"v{n},p1,c1,north,2026-03-02T09:00,evaluation,completed\n" for n in range(5))
    records = read(whole[:-9])
    assert [type(record) for record in records] == [VisitRecord] * 4 + [Refusal]


def test_an_opt_out_is_heard_even_in_a_row_that_is_refused():
    (refusal,) = read(f"{PATIENTS},email_opt_out\np1,A,B,declined,north,yes\n")
    assert isinstance(refusal, Refusal)
    assert refusal.heard == (PatientRecord(Patient("p1", opted_out=True), SAYS_NOTHING_ELSE),)


SAYS_NOTHING_ELSE = frozenset(
    {"first_name", "last_name", "email", "phone", "language", "clinic_id", "tags", "deceased", "archived"}
)


@pytest.mark.parametrize(
    ("cells", "heard"),
    [
        ("p1,A,B,n/a,north,deceased,,", {"deceased"}),
        ("p1,A,B,none,north,Archived,,", {"archived"}),
        ("p1,A,B,a@x.org,,deceased,,", {"deceased"}),
        ("p1,A,B,a@x.org,north,deceased,perhaps,", {"deceased"}),
        ("p1,A,B,a@x.org,north,asleep,yes,", {"opted_out"}),
        ("p1,A,B,a@x.org,north,deceased,yes,soon", {"deceased", "opted_out"}),
        ("p1,A,B,n/a,north,active,no,", set()),
        (",A,B,n/a,north,deceased,yes,", set()),
    ],
)
def test_of_a_patient_who_is_refused_what_keeps_surveys_away_is_heard(cells, heard):
    (refusal,) = read(f"{PATIENTS},status,email_opt_out,updated_at\n{cells}\n")
    assert isinstance(refusal, Refusal)
    facts: dict[str, Any] = dict.fromkeys(heard, True)
    expected = replace(Patient("p1"), **facts)
    assert refusal.heard == ((PatientRecord(expected, SAYS_NOTHING_ELSE - heard),) if heard else ())


def test_what_is_heard_is_as_old_as_its_row():
    (refusal,) = read(f"{PATIENTS},status,updated_at\np1,A,B,n/a,north,deceased,2026-03-02T09:00\n")
    assert isinstance(refusal, Refusal)
    (heard,) = refusal.heard
    assert isinstance(heard, PatientRecord)
    assert heard.patient.updated_at == datetime(2026, 3, 2, 14, tzinfo=UTC)


@pytest.mark.parametrize("shortened", ["1.23457E+11", "1,23457e+11", "2E+15"])
@pytest.mark.parametrize("column", range(4))
def test_an_id_that_a_spreadsheet_has_shortened_is_refused(shortened, column):
    cells = ["v1", "p1", "c1", "north"]
    cells[column] = f'"{shortened}"'
    (refusal,) = read(f"{VISITS}\n{','.join(cells)},2026-03-02T09:00,evaluation,completed\n")
    assert isinstance(refusal, Refusal)
    assert refusal.column == VISITS.split(",")[column]
    assert "export the column as text" in refusal.reason


@pytest.mark.parametrize("cell", ['="0012"', '"=""0012"""'])
def test_an_id_that_is_kept_from_spreadsheets_as_text_is_the_id(cell):
    (record,) = read(f"{PATIENTS}\n{cell},A,B,,north\n")
    assert isinstance(record, PatientRecord)
    assert record.patient.patient_id == "0012"


rows_of_text = st.lists(st.text(st.characters(exclude_characters="\n"), max_size=40), max_size=12)


@given(rows_of_text, st.sampled_from(["\n", "\r\n"]))
def test_whatever_the_rows_hold_every_line_is_taken_or_refused(rows, line_end):
    content = line_end.join([PATIENTS, *rows, "last,A,B,,north"]).encode("utf-8", "surrogatepass")
    records = read_rows(content)
    assert records[-1].line == len(rows) + 2
    filled = {number for number, row in enumerate(rows, 2) if row.strip(", \r\t")}
    lines_taken = {record.line + extra for record in records for extra in range(max(1, record.raw.count(b"\n")))}
    assert {number for number in filled if rows[number - 2].isascii() and rows[number - 2].isprintable()} <= lines_taken


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(content):
    with contextlib.suppress(FileRefused):
        assert all(row.raw for row in read_rows(content))


# Whole files.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"\x89PNG\r\n\x1a\n", "picture"),
        (b"\xff\xd8\xff\xe0", "picture"),
        (b"%PDF-1.7\n", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        ("\ufeffpatient_id,".encode("utf-16-le"), "UTF-16. Save it as UTF-8"),
        ('\ufeff{"resourceType": "Patient"}'.encode("utf-16-be"), "UTF-16. Save it as UTF-8"),
        (b"\x00\x01\x02" * 50, "not a text file"),
        (PATIENTS.replace(",", ";").encode(), "not separated by commas"),
        (PATIENTS.encode() + b"\rp1,A,B,,north\r", "CR alone"),
        (b"name,price\nscrews,3\n", "visit_id, patient_id, case_id"),
        (b"ISA*00*          *00*~\r\n", "not a file that Careloop knows"),
        (b'"patient_id', "not a file that Careloop knows"),
        (b"x" * 100_000, "not a file that Careloop knows"),
        (b"patient_id,first_name,last_name,clinic_id\n", "looks like patients, but lacks the columns: email"),
        (PATIENTS.encode() + b",Email\n", "twice: email"),
    ],
)
def test_a_file_of_another_kind_is_refused_whole_in_plain_words(content, words):
    with pytest.raises(FileRefused) as refused:
        read(content)
    assert words in refused.value.reason


_LAST_ROWS = {
    "csv": f"{PATIENTS}\np1,A,B,a@x.org,north",
    "fhir": '{"resourceType": "Patient", "id": "p1"}',
    "hl7": "MSH|^~\\&|EMR|NORTH|||20260302100000-0500||ADT^A31|1|P|2.5\rPID|||p1^^^EMR^MR||B^A|||||||||||||ACC1",
}


@pytest.mark.parametrize("end", ["\x1a", "\n\x1a", "\r\n\x1a\x1a\r\n", "\n" * 1000 + "\x1a"])
@pytest.mark.parametrize("format_", _LAST_ROWS)
def test_the_mark_that_old_systems_write_at_the_end_of_a_file_costs_no_row(format_, end):
    content = _LAST_ROWS[format_]
    assert read(content + end) == read(content)
    assert isinstance(read(content)[-1], PatientRecord)


def test_a_header_alone_is_a_file_without_rows():
    assert read(PATIENTS) == []


class _Endless(io.RawIOBase):
    """A million rows that are never in memory at once."""

    def __init__(self, rows: Iterator[bytes]) -> None:
        self._rows = rows

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        row = next(self._rows, b"")
        buffer[: len(row)] = row
        return len(row)


def test_memory_does_not_grow_with_the_file():
    def rows(count: int) -> Iterator[bytes]:
        yield PATIENTS.encode() + b"\n"
        for number in range(count):
            yield b'p%d,"A\nd",B,,north\n' % number if number % 10 else b'p%d,"A,B,,north\n' % number

    def peak(count: int) -> int:
        tracemalloc.start()
        reading = careloop_csv.read(io.BufferedReader(_Endless(rows(count))), b"", Context(zone_of))
        assert reading
        assert sum(1 for _ in reading.rows) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    assert peak(2_000) < 1.5 * peak(200)

"""HL7 v2: every message is read or refused by itself, whatever is wrong with the others."""

import io
import re
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.readers import hl7v2
from functions.import_visits.records import (
    CaseRecord,
    Context,
    MergeRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.domain.intake import IntakeRules, Marks
from shared.domain.patient import Language, Patient

ZONES = {"WEST": ZoneInfo("America/Phoenix")}
EVALUATIONS = IntakeRules(hl7_types=Marks(frozenset({"eval"}), frozenset({"dc"})))

Fields = dict[int, str]


def zone_of(clinic_id: str) -> ZoneInfo:
    return ZONES.get(clinic_id, ZoneInfo("America/New_York"))


def segment(name: str, fields: Fields) -> str:
    return "|".join([name, *(fields.get(number, "") for number in range(1, max(fields, default=0) + 1))])


def header(kind: str, fields: Fields | None = None) -> str:
    given = {2: "EMR", 3: "NORTH", 4: "CARELOOP", 5: "CARELOOP", 6: "20260302100000-0500", 8: kind, 9: "1"}
    return segment(
        "MSH", {1: "^~\\&", **given, 10: "P", 11: "2.5", **{n - 1: text for n, text in (fields or {}).items()}}
    )


def pid(**differences: str) -> str:
    """`PID_13="…"` says another PID-13."""
    fields = {3: "P1^^^EMR^MR~99^^^SSA^SS", 5: "Okafor^Ada^^^^^L", 13: "^NET^Internet^ada@example.com", 18: "ACC1"}
    return segment("PID", fields | {int(name[4:]): text for name, text in differences.items()})


def pv1(**differences: str) -> str:
    fields = {2: "O", 3: "PT^^^NORTH", 7: "T7^Lee^Sam", 19: "V1", 44: "20260302090000-0500"}
    return segment("PV1", fields | {int(name[4:]): text for name, text in differences.items()})


def sch(**differences: str) -> str:
    fields = {1: "R9", 2: "A1", 11: "^^^20260302140000-0500^20260302150000-0500", 25: "Booked"}
    return segment("SCH", fields | {int(name[4:]): text for name, text in differences.items()})


def adt(event: str, *segments: str, at: str = "20260302100000-0500", **fields: str) -> str:
    begun = header(f"ADT^{event}", {7: at} | {int(name[4:]): text for name, text in fields.items()})
    return "\r".join([begun, *(segments or (pid(), pv1()))]) + "\r"


def siu(event: str, *segments: str) -> str:
    return "\r".join([header(f"SIU^{event}"), *(segments or (sch(), pid()))]) + "\r"


def read_rows(content: str | bytes, rules: IntakeRules | None = None) -> list[Row | Refusal]:
    raw = content.encode() if isinstance(content, str) else content
    reading = hl7v2.read(io.BytesIO(raw), raw[:65536], Context(zone_of, rules or IntakeRules()))
    assert reading is not None
    return list(reading.rows)


def records(content: str | bytes, rules: IntakeRules | None = None) -> list[Record]:
    rows = read_rows(content, rules)
    assert all(isinstance(row, Row) for row in rows), rows
    return [record for row in rows if isinstance(row, Row) for record in row.records]


def patient_record(content: str | bytes, rules: IntakeRules | None = None) -> PatientRecord:
    return next(record for record in records(content, rules) if isinstance(record, PatientRecord))


def patient(content: str | bytes, rules: IntakeRules | None = None) -> Patient:
    return patient_record(content, rules).patient


def visit_record(content: str | bytes, rules: IntakeRules | None = None) -> VisitRecord:
    return next(record for record in records(content, rules) if isinstance(record, VisitRecord))


def visit(content: str | bytes, rules: IntakeRules | None = None) -> Visit:
    return visit_record(content, rules).visit


def case_of(content: str) -> Case:
    return next(record.case for record in records(content) if isinstance(record, CaseRecord))


def refusal(content: str | bytes) -> Refusal:
    (refused,) = read_rows(content)
    assert isinstance(refused, Refusal), refused
    return refused


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# What is recognised.


@pytest.mark.parametrize("front", [b"", b"\xef\xbb\xbf", b"\r\n\n", b"\x0b", b"\xef\xbb\xbf\x0b", b"  "])
@pytest.mark.parametrize("start", [b"MSH|^~\\&|", b"FHS|^~\\&|", b"BHS|^~\\&|", b"MSH^~|\\&^", b"msh|^~\\&|"])
def test_a_file_is_recognised_by_how_it_begins(front, start):
    assert hl7v2.read(io.BytesIO(), front + start, Context(zone_of)) is not None


@pytest.mark.parametrize("start", [b"", b"MSH", b"MSHA", b"PID|1", b"patient_id,MSH|", b"{", b"\x00MSH|", b"BTS|1"])
def test_other_files_are_left_to_other_readers(start):
    assert hl7v2.read(io.BytesIO(start), start, Context(zone_of)) is None


# Where messages begin and end.


@pytest.mark.parametrize("line_end", ["\r", "\n", "\r\n"])
@pytest.mark.parametrize("front", ["", "\ufeff", "\x0b", "\n\n"])
@pytest.mark.parametrize("between", ["", "\n", "\x1c\r", "\x1c\r\x0b"])
def test_line_ends_frames_and_blank_lines_do_not_matter(line_end, front, between):
    rows = read_rows(front + between.join(adt("A04").replace("\r", line_end) for _ in range(3)))
    assert [type(row) for row in rows] == [Row, Row, Row]
    assert len({row.records for row in rows if isinstance(row, Row)}) == 1


def test_a_line_is_counted_once_whether_it_ends_in_cr_lf_or_both():
    content = "\n\r\r\n" + adt("A04").replace("\r", "\r\n") + adt("A04") + adt("A04").replace("\r", "\n")
    assert [row.line for row in read_rows(content)] == [4, 7, 10]


def test_a_crlf_between_two_reads_of_the_file_is_one_line_end():
    filler = "NTE|1||" + "x" * (65536 - 8)  # its CR is the last byte of the first read
    assert [row.line for row in read_rows(adt("A04") + filler + "\r\n" + adt("A04"))] == [1, 5]
    for shift in range(-3, 4):
        content = header("ORU^R01") + "\r\n" + "NTE|1||" + "x" * (65536 - 60 + shift) + "\r\n" + adt("A04")
        assert [row.line for row in read_rows(content)] == [1, 3]


def test_a_batch_holds_messages_and_its_own_lines_are_none():
    batch = (
        "FHS|^~\\&|EMR\rBHS|^~\\&|EMR\r"
        + adt("A04")
        + adt("A08")
        + "BTS|2\rBHS|^~\\&\r"
        + adt("A31")
        + "BTS|1\rFTS|2\r"
    )
    assert [(type(row), row.line) for row in read_rows(batch)] == [(Row, 3), (Row, 6), (Row, 11)]
    assert read_rows("FHS|^~\\&|EMR\rFTS|0\r") == []


def test_files_joined_without_a_line_end_are_still_two_messages():
    rows = read_rows(adt("A04").rstrip("\r") + adt("A31", pid(PID_3="P2^^^EMR^MR")))
    assert [(type(row), row.line) for row in rows] == [(Row, 1), (Row, 3)]


def test_raw_is_the_message_as_it_came():
    first, second = adt("A04"), adt("A31")
    assert [row.raw for row in read_rows(f"\x0b{first}\x1c\r\x0b{second}\x1c\r")] == [
        f"\x0b{first}\x1c\r".encode(),
        f"\x0b{second}\x1c\r".encode(),
    ]


def test_a_line_break_inside_a_field_does_not_end_the_segment():
    content = adt("A04", pid(PID_11="12 High Street\nApt 4"), pv1())
    assert patient(content).email == "ada@example.com"
    assert visit(content).visit_id == "visit:V1"


def test_a_message_longer_than_1_mb_is_refused_and_the_next_is_read():
    long = adt("A04", pid(), pv1(), *["OBX|1|ED|||" + "x" * 60_000] * 18)
    one_line = adt("A04", pid(), pv1(), "OBX|1|ED|||" + "x" * 3_000_000)
    rows = read_rows(adt("A04") + long + adt("A04") + one_line + adt("A04"))
    assert [(type(row), row.line) for row in rows] == [(Row, 1), (Refusal, 4), (Row, 25), (Refusal, 28), (Row, 32)]
    assert all(isinstance(row, Row) or ("1 MB" in row.reason and len(row.raw) <= 65536) for row in rows)
    assert isinstance(read_rows(adt("A04", pid(), pv1(), "OBX|1|ED|||" + "x" * 1_000_000))[0], Row)


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ("PID|1||P9\rPV1|1|O\r", "twice"),
        ("MS|^~\\&|EMR|NORTH\rPID|1||P9\rPV1|1|O\r", "message header"),
        ("MSH|^^^^|EMR\rPID|1||P9\r", "separators"),
        ("MSH|ABCD|EMR\rPID|1||P9\r", "separators"),
        ("MSH|\r", "type"),
        ("MSH|^~\\&|EMR|\0|\rPID|1||P9\r", "NUL"),
        ("MSH|^~\\&|EMR|N|C|C|20260302||ADT^A04\r", "names no patient"),
    ],
)
def test_a_broken_message_is_refused_alone_with_its_line(broken, words):
    good = adt("A31", pid())
    rows = read_rows(good + broken + good)
    if words == "twice":  # a lost header leaves nothing by which the two messages could be told apart
        assert [(type(row), row.line) for row in rows] == [(Refusal, 1), (Row, 5)]
        return
    lines = [1, 3, 3 + broken.count("\r")]
    assert [(type(row), row.line) for row in rows] == list(zip((Row, Refusal, Row), lines, strict=True))
    assert isinstance(rows[1], Refusal)
    assert words in rows[1].reason


def test_what_stands_outside_of_messages_is_refused_not_dropped():
    rows = read_rows(f"BHS|^~\\&\rPID|1||P9\rPV1|1|O\r{adt('A04')}BTS|1\rhello\r")
    assert [(type(row), row.line) for row in rows] == [(Refusal, 2), (Row, 4), (Refusal, 8)]


@pytest.mark.parametrize(
    "cut_off", ["BHS|^~\\&|EMR\r" + adt("A04") + adt("A31"), "\x0b" + adt("A04") + "\x1c\r\x0b" + adt("A31")]
)
def test_a_message_cut_off_in_the_middle_of_a_batch_or_frame_is_refused(cut_off):
    rows = read_rows(cut_off[:-5])
    assert [type(row) for row in rows] == [Row, Refusal]
    assert isinstance(rows[1], Refusal)
    assert "cut off" in rows[1].reason


def test_a_visit_s_message_without_its_visit_is_refused():
    assert refusal(adt("A04", pid())).column == "PV1"
    assert refusal(siu("S12", pid())).column == "SCH"
    assert isinstance(read_rows(adt("A08", pid()))[0], Row)


# What stands in the fields.


def test_other_separators_are_read():
    swapped = adt("A04").translate(str.maketrans("|^~\\&", "^|*#%"))
    assert patient(swapped) == patient(adt("A04"))
    assert visit(swapped) == visit(adt("A04"))


@pytest.mark.parametrize(
    ("written", "last_name"),
    [
        (r"Smith \T\ Sons", "Smith & Sons"),
        (r"A\F\B\S\C\R\D\E\E", "A|B^C~D\\E"),
        (r"Mu\XC3B1\oz", "Muñoz"),
        (r"Two\.br\lines\.sp999999999\x", "Two lines x"),
        (r"\H\Bold\N\ Name", "Bold Name"),
        (r"O\Brien", r"O\Brien"),
        ("Tail\\", "Tail\\"),
        (r"\X\ \XZZ\ \Q\ ".strip(), r"\X\ \XZZ\ \Q" + "\\"),
        ("Okafor&von&Ada", "Okafor"),
        ("  Okafor ", "Okafor"),
    ],
)
def test_escapes_become_what_they_mean_and_what_is_none_stays(written, last_name):
    assert patient(adt("A31", pid(PID_5=f"{written}^Ada"))).last_name == last_name


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("", "utf-8"), ("", "cp1252"), ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("8859/15", "iso8859-15")],
)
def test_the_character_set_is_what_msh_18_says_else_utf_8_else_windows_1252(charset, encoding):
    content = adt("A31", pid(PID_5="Núñez^José"), MSH_18=charset).encode(encoding)
    assert (patient(content).first_name, patient(content).last_name) == ("José", "Núñez")
    assert patient(adt("A31", pid(PID_5="Nú^J"), MSH_18="8859/1").encode()).last_name == "NÃº"


# The type and event.


def test_msh_9_wins_over_evn_1():
    content = adt("A11", segment("EVN", {1: "A04", 2: "20260302"}), pid(), pv1())
    assert visit(content).removed


def test_evn_1_is_asked_if_msh_9_says_no_event():
    content = adt("A11", segment("EVN", {1: "A04", 2: "20260302"}), pid(), pv1()).replace("ADT^A11", "ADT")
    assert visit(content).status is VisitStatus.COMPLETED


@pytest.mark.parametrize(
    "kind", ["ORU^R01", "DFT^P03", "MDM^T02", "ACK^A04", "ADT^A45", "ADT^A41", "ADT^Z99", "SIU^S23"]
)
def test_what_careloop_does_not_take_in_is_refused_by_type(kind):
    refused = refusal("\r".join([header(kind), pid(), pv1()]))
    assert refused.column == "MSH-9"
    assert re.search(r"which Careloop does not take in$", refused.reason)


@pytest.mark.parametrize("kind", ["", "ADT", "patient Ada", "ADT^Ada Okafor"])
def test_a_message_without_a_type_is_refused_without_repeating_what_stands_there(kind):
    refused = refusal("\r".join([header(kind), pid(), pv1()]))
    assert refused.column == "MSH-9"
    assert "Ada" not in refused.reason


# Patients.


def test_all_that_is_known_of_a_patient_is_read():
    told = pid(
        PID_13="^PRN^PH^^^555^0100~^NET^Internet^ada@example.com~555-0101^PRN^CP", PID_15="es-MX^Spanish", PID_30="N"
    )
    record = patient_record(adt("A04", told, pv1()))
    assert record.patient == Patient(
        "P1",
        "Ada",
        "Okafor",
        "ada@example.com",
        "555-0101",
        Language.SPANISH,
        "NORTH",
        updated_at=utc("2026-03-02T15:00"),
    )
    assert record.absent == {"archived", "tags"}


def test_what_is_empty_says_nothing():
    content = adt("A31", segment("PID", {3: "P1"}), segment("PV1", {2: "O"}))
    assert patient_record(content).absent == {
        *("first_name", "last_name", "email", "phone", "language", "clinic_id", "tags", "deceased", "archived")
    }


def test_two_quotation_marks_delete_what_is_known():
    nothing = dict.fromkeys(("PID_5", "PID_13", "PID_15", "PID_30"), '""')
    record = patient_record(adt("A31", pid(**nothing), pv1()))
    assert record.patient == Patient("P1", clinic_id="NORTH", updated_at=utc("2026-03-02T15:00"))
    assert record.absent == {"archived", "tags"}
    only_the_address = patient_record(adt("A31", pid(PID_13='^NET^Internet^""'), pv1()))
    assert (only_the_address.patient.email, "email" in only_the_address.absent) == ("", False)
    assert "phone" in only_the_address.absent


@pytest.mark.parametrize(
    ("numbers", "external", "patient_id"),
    [
        ("99^^^SSA^SS~P1^^^EMR^MR", "", "P1"),
        ("99^^^SSA^SS~P1^^^EMR^mr", "", "P1"),
        ("P7^^^EMR^PI~P8^^^EMR^PT", "", "P7"),
        ("^^^EMR^MR~P8^^^EMR^PT", "", "P8"),
        ("P1", "X1", "P1"),
        ("", "X1", "X1"),
        ('""', "X1", "X1"),
    ],
)
def test_the_patient_s_number_is_the_one_of_the_practice_s_type_else_the_first(numbers, external, patient_id):
    assert patient(adt("A31", pid(PID_2=external, PID_3=numbers))).patient_id == patient_id


def test_the_practice_chooses_the_type_of_number():
    assert patient(adt("A31", pid()), IntakeRules(hl7_patient_id_type="SS")).patient_id == "99"


def test_a_message_that_does_not_say_who_is_refused():
    assert refusal(adt("A31", pid(PID_3=""))).column == "PID-3"


@pytest.mark.parametrize(
    ("names", "first_and_last"),
    [
        ("Okafor^Ada^B", ("Ada", "Okafor")),
        ("Smith^Ann^^^^^M~Okafor&van^Ada^^^^^L", ("Ada", "Okafor")),
        ("Smith^Ann^^^^^M~Lee^Bo^^^^^N", ("Ann", "Smith")),
        ("Okafor^^Bea", ("Bea", "Okafor")),
        ('Okafor^""', ("", "Okafor")),
    ],
)
def test_the_legal_name_counts(names, first_and_last):
    found = patient(adt("A31", pid(PID_5=names)))
    assert (found.first_name, found.last_name) == first_and_last


@pytest.mark.parametrize(
    ("telecom", "email"),
    [
        ("^NET^Internet^ada@example.com", "ada@example.com"),
        ("^^internet^ada@example.com", "ada@example.com"),
        ("^NET^^ada@example.com", "ada@example.com"),
        ("ada@example.com^NET^Internet", "ada@example.com"),
        ("555-0100^PRN^PH~^NET^Internet^ada@example.com", "ada@example.com"),
        ("^NET^Internet^n/a~^NET^Internet^ada@example.com", "ada@example.com"),
        ("^NET^Internet^old@example.com^^^^^^^^^^20250101~^NET^Internet^ada@example.com", "ada@example.com"),
        ("^NET^Internet^old@example.com^^^^^^^^^^20250101", ""),
        ("^NET^Internet^ada@example.com^^^^^^^^^^20270101", "ada@example.com"),
    ],
)
def test_an_address_is_what_pid_13_marks_as_one(telecom, email):
    record = patient_record(adt("A31", pid(PID_13=telecom)))
    assert record.patient.email == email
    assert "email" not in record.absent


@pytest.mark.parametrize(
    "fields",
    [
        {"PID_13": "ada@example.com"},
        {"PID_13": "ada@example.com^PRN^PH"},
        {"PID_13": "", "PID_14": "^NET^Internet^ada@example.com", "PID_11": "ada@example.com"},
        {"PID_13": "", "PID_40": "^NET^Internet^ada@example.com"},
    ],
)
def test_what_only_looks_like_an_address_is_none(fields):
    record = patient_record(adt("A31", pid(**fields)))
    assert (record.patient.email, "email" in record.absent) == ("", True)


def test_an_address_that_cannot_be_mailed_is_refused_without_repeating_it():
    refused = refusal(adt("A31", pid(PID_13="^NET^Internet^declined by Ada")))
    assert refused.column == "PID-13"
    assert "Ada" not in refused.reason


@pytest.mark.parametrize(
    ("telecom", "phone"),
    [
        ("555-0100", "555-0100"),
        ("555-0100^PRN^PH~555-0101^PRN^CP", "555-0101"),
        ("555-0100^WPN^FX~555-0101^PRN^PH", "555-0101"),
        ("^PRN^PH^^1^555^0100", "1 555 0100"),
        ("^NET^Internet^ada@example.com", ""),
    ],
)
def test_the_cell_phone_is_preferred(telecom, phone):
    assert patient(adt("A31", pid(PID_13=telecom))).phone == phone


@pytest.mark.parametrize(
    ("fields", "deceased"),
    [
        ({"PID_30": "Y"}, True),
        ({"PID_30": "N"}, False),
        ({"PID_29": "20260301"}, True),
        ({"PID_29": "20260301", "PID_30": "N"}, True),
        ({"PID_29": '""', "PID_30": "N"}, False),
        ({"PID_29": '""'}, False),
    ],
)
def test_death_is_read_from_either_field(fields, deceased):
    record = patient_record(adt("A31", pid(**fields)))
    assert record.patient.deceased is deceased
    assert "deceased" not in record.absent


def test_a_discharge_by_death_is_heard_and_other_discharges_say_nothing_of_it():
    assert patient(adt("A03", pid(), pv1(PV1_36="20"))).deceased
    assert "deceased" in patient_record(adt("A03", pid(), pv1(PV1_36="01"))).absent
    assert not patient(adt("A04", pid(), pv1(PV1_36="20"))).deceased


def test_who_wants_no_reminders_is_opted_out_even_if_the_message_is_refused():
    no_contact = segment("PD1", {11: "01^No reminder/recall^HL70215"})
    assert patient(adt("A31", pid(), no_contact)).opted_out
    assert not patient(adt("A31", pid(), segment("PD1", {11: "02", 12: "Y"}))).opted_out
    assert heard(adt("A31", pid(PID_30="perhaps"), no_contact)) == [Patient("P1", opted_out=True, updated_at=MADE)]
    assert heard(adt("A31", pid(PID_30="perhaps"))) == []


MADE = datetime(2026, 3, 2, 15, tzinfo=UTC)


def heard(content: str) -> list[Patient | MergeRecord]:
    """What counts of a message that is refused."""
    records = refusal(content).heard
    return [record.patient if isinstance(record, PatientRecord) else record for record in records]  # type: ignore[misc]


DEAD = Patient("P1", deceased=True, updated_at=MADE)
UNREADABLE = {"PID_5": "A" * 300}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (adt("A08", pid(**UNREADABLE, PID_30="Y"), pv1()), [DEAD]),
        (adt("A03", pid(**UNREADABLE), pv1(PV1_36="20")), [DEAD]),
        (adt("A35", pid(PID_29="20260301")), [DEAD]),
        (adt("A04", pid(PID_30="Y"), pv1(PV1_44="soon")), [DEAD]),
        (adt("A29", pid(**UNREADABLE)), [Patient("P1", archived=True, updated_at=MADE)]),
        (adt("A29", pid(PID_30="Y"), pid(PID_3="P2")), [DEAD]),
        (adt("A40", pid(**UNREADABLE), "MRG|P9^^^EMR^MR"), [MergeRecord("P1", "P9")]),
        (adt("A40", pid(**UNREADABLE), "MRG|P1^^^EMR^MR"), []),
        (adt("A31", pid(PID_3="", PID_30="Y")), []),
    ],
)
def test_of_a_message_that_is_refused_what_keeps_surveys_away_is_heard(content, said):
    assert heard(content) == said


def test_a_message_with_an_address_that_cannot_be_mailed_is_heard_but_for_the_address():
    for event, segments in (("A04", (pv1(),)), ("A03", (pv1(),)), ("A40", ("MRG|P9^^^EMR^MR",))):
        refused = refusal(adt(event, pid(PID_13="^NET^Internet^declined"), *segments))
        assert (refused.column, "everything else was taken in" in refused.reason) == ("PID-13", True)
        (person, *others) = records(adt(event, pid(PID_13=""), *segments))
        assert refused.heard == (person, *others)
        assert others


def test_a_deleted_person_is_archived_until_added_again():
    assert patient(adt("A29", pid())).archived
    added = patient_record(adt("A28", pid()))
    assert (added.patient.archived, "archived" in added.absent) == (False, False)


@pytest.mark.parametrize(
    ("fields", "clinic_id", "is_stated"),
    [
        ({"PV1_3": "PT^Room 1^^NORTH&2.16&ISO"}, "NORTH", True),
        ({"PV1_3": "PT^Room 1"}, "PT", True),
        ({"PV1_3": ""}, "NORTH", False),
    ],
)
def test_the_clinic_is_the_facility_of_the_visit_else_the_sender(fields, clinic_id, is_stated):
    content = adt("A04", pid(), pv1(**fields))
    for found in (patient_record(content), visit_record(content)):
        assert ("clinic_id" not in found.absent) is is_stated
    assert patient(content).clinic_id == visit(content).clinic_id == clinic_id


@pytest.mark.parametrize(
    ("sent", "recorded", "updated_at"),
    [
        ("20260302100000-0500", "20260302080000", utc("2026-03-02T15:00")),
        ("20260302100000.9999", "", utc("2026-03-02T15:00")),
        ("", "202603021000", utc("2026-03-02T15:00")),
        ("20260302", "", None),  # any message of that day could be the later one
        ("", "", None),
    ],
)
def test_a_message_dates_what_it_says(sent, recorded, updated_at):
    content = adt("A31", segment("EVN", {2: recorded}), pid(), at=sent)
    assert patient(content).updated_at == updated_at


# Visits of ADT messages.


def test_a_registration_is_a_completed_visit():
    assert visit_record(adt("A04")) == VisitRecord(
        Visit(
            patient_id="P1",
            visit_id="visit:V1",
            case_id="ACC1",
            clinic_id="NORTH",
            started_at=utc("2026-03-02T14:00"),
            kind=VisitKind.TREATMENT,
            status=VisitStatus.COMPLETED,
            therapist_id="T7",
            therapist_name="Sam Lee",
            updated_at=utc("2026-03-02T15:00"),
        ),
        frozenset({"ended_at", "kind", "clinic_name"}),
    )


@pytest.mark.parametrize(
    ("event", "status", "removed"),
    [
        *((event, VisitStatus.COMPLETED, False) for event in ("A01", "A04", "A06", "A07", "A03")),
        *((event, VisitStatus.SCHEDULED, False) for event in ("A05", "A14")),
        *((event, VisitStatus.CANCELLED, True) for event in ("A11", "A27", "A38")),
    ],
)
def test_an_event_says_what_became_of_the_visit(event, status, removed):
    record = visit_record(adt(event))
    assert (record.visit.status, record.visit.removed) == (status, removed)
    assert not record.absent & {"status", "removed", "started_at"}


@pytest.mark.parametrize("event", ["A02", "A08", "A09", "A10", "A12", "A13", "A54"])
def test_other_events_change_a_visit_without_making_or_cancelling_it(event):
    assert {"status", "removed"} <= visit_record(adt(event)).absent


@pytest.mark.parametrize("event", ["A15", "A16", "A25", "A26", "A28", "A29", "A31", "A60"])
def test_events_about_the_patient_alone_make_no_visit(event):
    assert [type(record) for record in records(adt(event))] == [PatientRecord]


def test_a_discharge_ends_the_visit_and_the_case_and_its_cancellation_opens_the_case_again():
    discharge = adt("A03", pid(), pv1(PV1_45="20260302170000-0500"))
    assert visit(discharge).ended_at == utc("2026-03-02T22:00")
    assert case_of(discharge) == Case("P1", "ACC1", utc("2026-03-02T22:00"), updated_at=utc("2026-03-02T15:00"))
    reopened = adt("A13", pid(), pv1(PV1_45="20260302170000-0500"))
    assert case_of(reopened).closed_at is None
    assert visit(reopened).ended_at is None
    assert "ended_at" not in visit_record(reopened).absent


@pytest.mark.parametrize(
    ("fields", "closed_at", "has_time"),
    [
        ({2: "20260302110000-0500", 6: "20260302103000-0500"}, utc("2026-03-02T15:30"), True),
        ({2: "20260302110000-0500"}, utc("2026-03-02T16:00"), True),
        ({2: "20260305"}, utc("2026-03-05T05:00"), False),
    ],
)
def test_a_discharge_without_its_time_is_dated_by_the_event(fields, closed_at, has_time):
    found = case_of(adt("A03", segment("EVN", fields), pid(), pv1()))
    assert (found.closed_at, found.has_time) == (closed_at, has_time)


def test_the_case_is_the_field_that_the_practice_named():
    content = adt("A04", pid(), pv1(PV1_50="S5^^^EMR"), "ZCS|1|C9")
    assert visit(content, IntakeRules(hl7_case_field="PV1-50")).case_id == "S5"
    assert visit(content, IntakeRules(hl7_case_field="ZCS-2")).case_id == "C9"
    for rules in (IntakeRules(hl7_case_field="ZCS-7"), IntakeRules(hl7_case_field="")):
        record = visit_record(content, rules)
        assert (record.visit.case_id, "case_id" in record.absent) == ("", True)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"PV1_4": "EVAL"}, VisitKind.EVALUATION),
        ({"PV1_18": "eval^Initial"}, VisitKind.EVALUATION),
        ({"PV1_4": "X^Text^L^Eval^Text^L"}, VisitKind.EVALUATION),
        ({"PV1_2": "DC"}, VisitKind.DISCHARGE),
        ({"PV1_4": "DAILY^Eval"}, VisitKind.TREATMENT),  # words are not codes
        ({"PV1_4": "EVALUATION"}, VisitKind.TREATMENT),
    ],
)
def test_the_kind_of_a_visit_is_told_by_codes(fields, kind):
    record = visit_record(adt("A04", pid(), pv1(**fields)), EVALUATIONS)
    assert record.visit.kind is kind
    assert "kind" not in record.absent


def test_a_visit_without_a_type_keeps_the_one_it_has():
    assert "kind" in visit_record(adt("A03"), EVALUATIONS).absent


@pytest.mark.parametrize(
    ("fields", "therapist"),
    [
        ({}, ("T7", "Sam Lee")),
        ({"PV1_7": "^Lee^Sam"}, ("", "Sam Lee")),
        ({"PV1_7": "^^~T8^Roe"}, ("T8", "Roe")),
        ({"PV1_7": "", "PV1_9": "T9^Poe^Kim"}, ("T9", "Kim Poe")),
        ({"PV1_7": "", "PV1_17": "T9^Poe^Kim"}, ("T9", "Kim Poe")),
        ({"PV1_7": '""'}, ("", "")),
    ],
)
def test_the_therapist_is_who_attends(fields, therapist):
    record = visit_record(adt("A04", pid(), pv1(**fields)))
    assert (record.visit.therapist_id, record.visit.therapist_name) == therapist
    assert not record.absent & {"therapist_id", "therapist_name"}


def test_without_a_visit_number_the_day_at_the_clinic_names_the_visit():
    late = {"PV1_19": "", "PV1_44": "20260303030000+0000"}  # in New York the day before
    assert visit(adt("A04", pid(), pv1(**late))).visit_id == "day:2026-03-02"
    assert visit(adt("A03", pid(), pv1(**late, PV1_45="20260303040000+0000"))).visit_id == "day:2026-03-02"
    assert visit(adt("A04", pid(), pv1(PV1_19="", PV1_50="S5"))).visit_id == "alternate:S5"
    assert refusal(adt("A11", pid(), pv1(PV1_19="", PV1_44=""))).column == "PV1-19"
    assert [type(found) for found in records(adt("A03", pid(), pv1(PV1_19="", PV1_44="")))] == [
        PatientRecord,
        CaseRecord,
    ]


def test_a_visit_without_a_time_is_dated_by_the_event_and_refused_if_there_is_none():
    told = adt("A04", segment("EVN", {2: "20260302110000-0500"}), pid(), pv1(PV1_44=""))
    assert visit(told).started_at == utc("2026-03-02T16:00")
    assert refusal(adt("A04", pid(), pv1(PV1_44=""), at="")).column == "PV1-44"


def test_a_cancellation_that_gives_no_time_leaves_it_as_it_is():
    assert {"started_at", "has_time"} <= visit_record(adt("A11", pid(), pv1(PV1_44=""))).absent


# Times.


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("202603020900", "2026-03-02T14:00"),
        ("2026030209", "2026-03-02T14:00"),
        ("20260302090030.123", "2026-03-02T14:00:30"),
        ("20260302090000+0530", "2026-03-02T03:30"),
        ("202603020900-0800", "2026-03-02T17:00"),
        ("202603080230", "2026-03-08T07:30"),  # left out by the clock change
        ("202611010130", "2026-11-01T05:30"),  # happened twice: the earlier
    ],
)
def test_a_time_is_read_with_its_offset_or_as_the_clinic_s(text, instant):
    found = visit(adt("A04", pid(), pv1(PV1_44=text)))
    assert (found.started_at, found.has_time) == (utc(instant), True)


def test_a_date_alone_is_a_day_at_the_clinic():
    found = visit(adt("A04", pid(), pv1(PV1_3="PT^^^WEST", PV1_44="20260302", PV1_45="20260302")))
    assert (found.started_at, found.has_time, found.ended_at) == (utc("2026-03-02T07:00"), False, None)


@pytest.mark.parametrize(
    "text", ["202603", "2026", "20260230", "202603022500", "2026-03-02", "tomorrow", "20260302+99"]
)
def test_less_than_a_date_is_refused(text):
    assert refusal(adt("A04", pid(), pv1(PV1_44=text))).column == "PV1-44"


@pytest.mark.parametrize("end", ["20260302085959-0500", "20260301"])
def test_a_visit_that_ends_before_it_starts_is_refused(end):
    assert refusal(adt("A03", pid(), pv1(PV1_45=end))).column == "PV1-45"


# Appointments.


def test_a_booking_is_a_scheduled_visit():
    record = visit_record(siu("S12", sch(SCH_7="EVAL^Evaluation"), pid(), pv1(PV1_19="")), EVALUATIONS)
    assert record.visit == Visit(
        patient_id="P1",
        visit_id="appointment:A1",
        case_id="ACC1",
        clinic_id="NORTH",
        started_at=utc("2026-03-02T19:00"),
        ended_at=utc("2026-03-02T20:00"),
        kind=VisitKind.EVALUATION,
        status=VisitStatus.SCHEDULED,
        therapist_id="T7",
        therapist_name="Sam Lee",
        updated_at=utc("2026-03-02T15:00"),
    )
    assert record.absent == {"clinic_name"}


@pytest.mark.parametrize(
    ("event", "code", "status", "removed"),
    [
        ("S12", "", VisitStatus.SCHEDULED, False),
        ("S12", "Pending", VisitStatus.SCHEDULED, False),
        ("S13", "", VisitStatus.SCHEDULED, False),
        ("S14", "Complete", VisitStatus.COMPLETED, False),
        ("S14", "STARTED^In progress", VisitStatus.COMPLETED, False),
        ("S14", "Noshow", VisitStatus.NO_SHOW, False),
        ("S14", "No Show", VisitStatus.NO_SHOW, False),
        ("S14", "Cancelled", VisitStatus.CANCELLED, False),
        ("S14", "Deleted", VisitStatus.CANCELLED, True),
        ("S15", "Booked", VisitStatus.CANCELLED, False),
        ("S16", "", VisitStatus.CANCELLED, False),
        ("S17", "", VisitStatus.CANCELLED, True),
        ("S26", "Booked", VisitStatus.NO_SHOW, False),
    ],
)
def test_what_became_of_an_appointment(event, code, status, removed):
    record = visit_record(siu(event, sch(SCH_25=code), pid()))
    assert (record.visit.status, record.visit.removed) == (status, removed)
    assert not record.absent & {"status", "removed"}


def test_a_modification_without_a_status_keeps_the_one_it_has():
    assert {"status", "removed"} <= visit_record(siu("S14", sch(SCH_25=""), pid())).absent


def test_an_unknown_status_is_refused():
    assert refusal(siu("S14", sch(SCH_25="Ada came"), pid())).column == "SCH-25"


def test_appointments_and_visits_never_share_an_id():
    numbers = {
        visit(siu("S12", sch(SCH_2="7"), pid())).visit_id,
        visit(siu("S12", sch(SCH_1="7", SCH_2=""), pid())).visit_id,
        visit(siu("S12", sch(SCH_2="7", SCH_3="2"), pid())).visit_id,
        visit(adt("A04", pid(), pv1(PV1_19="7"))).visit_id,
        visit(adt("A04", pid(), pv1(PV1_19="", PV1_50="7"))).visit_id,
    }
    assert len(numbers) == 5
    assert refusal(siu("S12", sch(SCH_1="", SCH_2=""), pid())).column == "SCH-2"


TIMES = [
    ({}, ["TQ1|1||||||202603021400|202603021450"], "2026-03-02T19:50"),
    ({}, ["AIS|1||EVAL|202603021400|||50|min"], "2026-03-02T19:50"),
    ({}, ["AIL|1||PT|||202603021400|||1|H"], "2026-03-02T20:00"),
    ({}, ["AIG|1||PT|||||202603021400|||3000|S"], "2026-03-02T19:50"),
    ({}, ["AIP|1||T7|||202603021400|||50"], "2026-03-02T19:50"),
    ({"SCH_9": "50"}, ["AIS|1||EVAL|202603021400"], "2026-03-02T19:50"),
    ({"SCH_11": "^^^202603021400^202603021450"}, ["AIS|1||EVAL|202603031400"], "2026-03-02T19:50"),
    ({"SCH_11": "^^^202603031400"}, ["TQ1|1||||||202603021400|202603021450"], "2026-03-02T19:50"),
    ({"SCH_11": "^^^202603021400", "SCH_9": "a while"}, [], None),
]


@pytest.mark.parametrize(("fields", "segments", "ended_at"), TIMES)
def test_the_time_of_an_appointment_stands_in_one_of_many_places(fields, segments, ended_at):
    record = visit_record(siu("S13", sch(**{"SCH_11": "", **fields}), pid(), *segments))
    assert record.visit.started_at == utc("2026-03-02T19:00")
    assert record.visit.ended_at == (utc(ended_at) if ended_at else None)
    assert "ended_at" not in record.absent  # the end of the time before is no longer true


def test_an_appointment_without_a_time_is_refused_unless_it_does_not_take_place():
    assert refusal(siu("S12", sch(SCH_11=""), pid())).column == "SCH-11"
    assert {"started_at", "has_time", "ended_at"} <= visit_record(siu("S15", sch(SCH_11=""), pid())).absent


def test_place_and_therapist_of_an_appointment_may_stand_with_its_resources():
    found = visit(siu("S12", sch(), pid(), "RGS|1", "AIL|1||PT^1^^WEST", "AIP|1||T5^Roe^Jo"))
    assert (found.clinic_id, found.therapist_id, found.therapist_name) == ("WEST", "T5", "Jo Roe")


def test_an_appointment_of_a_group_is_one_of_each_patient():
    told = records(siu("S12", sch(), pid(), pv1(PV1_7="T1"), pid(PID_3="P2"), pv1(PV1_7="T2"), "RGS|1"))
    found = [(record.visit.patient_id, record.visit.therapist_id) for record in told if isinstance(record, VisitRecord)]
    assert found == [("P1", "T1"), ("P2", "T2")]
    assert len({record.patient.patient_id for record in told if isinstance(record, PatientRecord)}) == 2


# Merges.


@pytest.mark.parametrize("event", ["A18", "A30", "A34", "A36", "A39", "A40", "A47"])
def test_a_merge_retires_the_number_in_mrg_1(event):
    told = records(adt(event, pid(), "MRG|88^^^SSA^SS~P0^^^EMR^MR"))
    assert [type(record) for record in told] == [PatientRecord, MergeRecord]
    assert told[1] == MergeRecord("P1", "P0")


def test_one_message_may_merge_several_pairs():
    told = records(adt("A40", pid(), "MRG|P0", pid(PID_3="P3"), "MRG|P2"))
    assert [record for record in told if isinstance(record, MergeRecord)] == [
        MergeRecord("P1", "P0"),
        MergeRecord("P3", "P2"),
    ]


@pytest.mark.parametrize(
    ("segments", "column"),
    [
        ([pid(), "MRG|P1^^^EMR^MR"], "MRG-1"),
        ([pid(), "MRG|99^^^SSA^SS"], "MRG-1"),  # a number by which Careloop does not know the patient
        ([pid(), "MRG|"], "MRG-1"),
        ([pid()], "MRG"),
        ([pid(PID_3=""), "MRG|P0"], "PID-3"),
    ],
)
def test_a_merge_that_does_not_say_who_becomes_whom_is_refused(segments, column):
    assert refusal(adt("A40", *segments)).column == column


# The standard, as another program understands it.


SAMPLES = [
    adt(
        "A04^ADT_A01",
        "EVN|A04|20260302100000-0500",
        "PID|1||P1^^^EMR^MR||Okafor^Ada",
        "PV1|1|O|PT^^^NORTH||||||||||||||||V1",
    ),
    adt(
        "A03^ADT_A03",
        "EVN|A03|20260302100000-0500",
        "PID|1||P1^^^EMR^MR||Okafor^Ada",
        "PV1|1|O|PT^^^NORTH||||||||||||||||V1",
    ),
    adt("A31^ADT_A05", "EVN|A31|20260302100000-0500", "PID|1||P1^^^EMR^MR||Okafor^Ada", "PV1|1|N"),
    adt("A40^ADT_A39", "EVN|A40|20260302100000-0500", "PID|1||P1^^^EMR^MR||Okafor^Ada", "MRG|P0^^^EMR^MR"),
    siu(
        "S12^SIU_S12",
        "SCH|R9|A1||||CHECKUP|EVAL||50|min|^^^20260302140000-0500^20260302145000-0500|||||X^Y||||Z^Y|||||Booked",
        "PID|1||P1^^^EMR^MR||Okafor^Ada",
        "RGS|1",
        "AIS|1||EVAL|20260302140000-0500",
    ),
]


@pytest.mark.parametrize("content", SAMPLES)
def test_what_hl7apy_finds_valid_is_read_and_says_the_same(content):
    oracle = parse_message(content, validation_level=VALIDATION_LEVEL.STRICT)
    assert oracle.validate()
    told = next(part for part in _all_parts(oracle) if part.name == "PID")
    found = patient(content)
    assert found.patient_id == told.pid_3.cx_1.to_er7()
    assert (found.last_name, found.first_name) == (told.pid_5.xpn_1.to_er7(), told.pid_5.xpn_2.to_er7())


def _all_parts(message: Any) -> Iterator[Any]:
    for part in message.children:
        yield part
        if part.classname == "Group":
            yield from _all_parts(part)


# Damage.


BATCH = "BHS|^~\\&|EMR\r" + adt("A04", pid(), pv1()) + siu("S12") + adt("A40", pid(), "MRG|P0") + "BTS|3\r"


def headers(content: bytes) -> int:
    """How many messages another eye would count."""
    return len(re.findall(rb"(?:^|[\r\n])\s*MSH\|", content))


def test_a_file_cut_off_anywhere_loses_its_last_message_only():
    whole = BATCH.encode()
    good = [row.records for row in read_rows(whole) if isinstance(row, Row)]
    assert len(good) == 3
    for length in range(len("BHS|"), len(whole)):
        rows = read_rows(whole[:length])
        complete = max(headers(whole[:length]) - 1, 0)
        assert [row.records for row in rows[:complete] if isinstance(row, Row)] == good[:complete]
        assert len(rows) <= complete + 1


@given(st.binary(max_size=400), st.integers(0, len(BATCH)))
def test_any_bytes_anywhere_are_read_or_refused(noise, place):
    content = BATCH.encode()
    for damaged in (b"MSH|" + noise, content[:place] + noise + content[place:], content[:place] + noise):
        rows = read_rows(damaged) if damaged.startswith((b"MSH|", b"BHS|")) else []
        assert all(row.raw and (isinstance(row, Row) or row.reason) for row in rows)
        assert [row.line for row in rows] == sorted(row.line for row in rows)


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x0b\x1c\x85\u2028\u2029\0"), max_size=30)
wild = st.one_of(
    texts, st.sampled_from(['""', "^^^", "~~", "20260302", "\\", "&&", "Y", "|||", "\\X\\", "\\.sp9\\", "9" * 300])
)


@given(st.sampled_from(["A04", "A03", "A13", "A11", "A08", "A40", "S12", "S14", "S17"]), st.data())
def test_whatever_a_field_holds_its_message_is_read_or_refused_and_the_next_is_read(event, data):
    segments = [pid(), pv1(), "MRG|P0"] if event.startswith("A") else [sch(), pid(), pv1(), "AIS|1||X|202603021400"]
    damaged = (adt if event.startswith("A") else siu)(event, *segments).rstrip("\r").split("\r")
    for _ in range(data.draw(st.integers(1, 3))):
        line = data.draw(st.integers(0, len(damaged) - 1))
        fields = damaged[line].split("|")
        place = data.draw(st.integers(1 if line else 2, len(fields) - 1))
        fields[place] = data.draw(wild)
        damaged[line] = "|".join(fields)
    content = "\r".join(damaged) + "\r" + adt("A31", pid(PID_3="LAST"))
    rows = read_rows(content)
    assert len(rows) == headers(content.encode())
    assert isinstance(rows[-1], Row)
    assert rows[0].raw == content.encode()[: len(rows[0].raw)]


def test_reasons_never_repeat_what_a_message_holds():
    canary = "canary-Okafor"
    for content in (
        adt("A04", pid(PID_13=f"^NET^Internet^{canary}"), pv1()),
        adt("A04", pid(PID_30=canary), pv1()),
        adt("A04", pid(), pv1(PV1_44=canary)),
        adt("A31", pid(PID_3="\\X0A\\" + canary)),
        siu("S14", sch(SCH_25=canary), pid()),
    ):
        assert canary not in refusal(content).reason


def test_memory_does_not_grow_with_the_file():
    def peak(count: int) -> int:
        file = io.BytesIO(adt("A04").encode() * count)
        tracemalloc.start()
        reading = hl7v2.read(file, b"MSH|^~\\&|", Context(zone_of))
        assert reading
        assert sum(1 for _ in reading.rows) == count
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small = peak(1_000)
    assert peak(3_000) < 1.1 * small


def test_an_a03_at_the_end_of_every_visit_ends_no_course_of_care_if_the_practice_says_so():
    left = adt("A03", pid(), pv1(PV1_45="20260302170000-0500"))
    at_course, at_visit = IntakeRules(), IntakeRules(hl7_a03_ends="visit")
    assert any(isinstance(found, CaseRecord) for found in records(left, at_course))
    assert not any(isinstance(found, CaseRecord) for found in records(left, at_visit))
    assert visit(left, at_visit).status is VisitStatus.COMPLETED

"""Faults 23 and 24: what may happen to a file."""

import io
import itertools
import zipfile
from datetime import timedelta

import pytest

from shared.storage import patients
from tests.faults.invariants import i7
from tests.handlers.exports import (
    COURSE,
    FIRST_UPLOAD,
    PATIENTS,
    VISITS,
    Bucket,
    Function,
    at_writes,
    dump,
    event,
    file_of,
    restore,
    run,
    send,
    upload,
    visit,
)

pytestmark = pytest.mark.usefixtures("aws")
ROWS = COURSE.splitlines()[1:]


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


def test_fault_23_the_same_event_twice_changes_nothing_and_reports_every_row(bucket: Bucket) -> None:
    i7(send(bucket, COURSE), len(ROWS))
    before = dump()
    i7(run(bucket, "incoming/file.csv"), len(ROWS))
    assert dump() == before


def test_fault_23_two_events_at_once_come_to_the_same_as_one(bucket: Bucket) -> None:
    upload(bucket, "incoming/file.csv", COURSE)
    twice = event("incoming/file.csv")
    twice["Records"] *= 2
    Function(bucket)(twice)
    i7(bucket.report("incoming/file.csv"), len(ROWS))
    before = dump()
    i7(run(bucket, "incoming/file.csv"), len(ROWS))
    assert dump() == before


def test_fault_23_an_older_file_last_rolls_nothing_back(bucket: Bucket) -> None:
    older = file_of("p1,Ada,Okafor,old@example.com,north", header=PATIENTS)
    newer = file_of("p1,Ada,Okafor,new@example.com,north", header=PATIENTS)
    upload(bucket, "incoming/older.csv", older, FIRST_UPLOAD)
    upload(bucket, "incoming/newer.csv", newer, FIRST_UPLOAD + timedelta(days=1))
    i7(run(bucket, "incoming/newer.csv"), 1)
    cancelled = file_of(visit(8, 12, "discharge", "cancelled"))
    upload(bucket, "incoming/then.csv", cancelled, FIRST_UPLOAD + timedelta(days=2))
    i7(run(bucket, "incoming/then.csv"), 1)
    before = dump()
    i7(run(bucket, "incoming/older.csv"), 1)
    i7(send(bucket, file_of(visit(8, 12, "discharge"))), 1)
    after = dump()
    assert {name: after[name] for name in ("Patients", "Surveys", "Messages")} == {
        name: before[name] for name in ("Patients", "Surveys", "Messages")
    }


NAMES = file_of("p1,Zoë,Núñez,zoe@example.com,north", "p2,Ana,Peña,ana@example.com,north", header=PATIENTS)
WIDE = file_of(*(row + "," * 90 for row in ROWS), header=VISITS + "".join(f",extra{n}" for n in range(90)))
DAMAGED = {
    "truncated": (COURSE[:-20], len(ROWS)),
    "truncated within a quotation": (COURSE + 'v9,p1,"c1,north,2026-03-13T09:00', len(ROWS) + 1),
    "Windows-1252": (NAMES.encode("cp1252"), 2),
    "BOM": (NAMES.encode("utf-8-sig"), 2),
    "duplicated rows": (file_of(*ROWS, *ROWS), 2 * len(ROWS)),
    "ten times as wide": (WIDE, len(ROWS)),
    "rows too long": (file_of(*(row + ",and,more" for row in ROWS)), len(ROWS)),
    "rows too short": (file_of(*(row.rpartition(",")[0] for row in ROWS)), len(ROWS)),
}


@pytest.mark.parametrize(("content", "rows"), DAMAGED.values(), ids=DAMAGED)
def test_fault_24_of_a_damaged_file_every_row_is_stored_or_refused_with_a_reason(
    bucket: Bucket, content: str | bytes, rows: int
) -> None:
    report = send(bucket, content)
    i7(report, rows)
    before = dump()
    i7(run(bucket, "incoming/file.csv"), rows)
    assert dump() == before


def zipped() -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("visits.csv", COURSE)
    return packed.getvalue()


PICTURE = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(range(256)) * 8


NO_TABLE = {
    "zip": zipped(),
    "picture": PICTURE,
    "PDF": b"%PDF-1.7\n" + bytes(99),
    "UTF-16": NAMES.encode("utf-16"),
    "nothing": b"",
}


@pytest.mark.parametrize("content", NO_TABLE.values(), ids=NO_TABLE)
def test_fault_24_what_is_no_table_is_refused_whole_with_a_reason(bucket: Bucket, content: bytes) -> None:
    before = dump()
    report = send(bucket, content)
    assert report["status"] == "refused"
    assert report["errors"][0]["reason"]
    assert {name: items for name, items in dump().items() if name != "Settings"} == {
        name: items for name, items in before.items() if name != "Settings"
    }


def test_fault_22_an_opt_out_during_an_import_stays(bucket: Bucket) -> None:
    """It comes before any write of an import that has read the patient without it."""
    person = "p1,Ada,Okafor,{},north"
    for number in itertools.count(1):
        restore({name: [] for name in dump()})
        send(bucket, file_of(person.format("old@example.com"), header=PATIENTS))
        met: list[int] = []

        def opt_out(write: int, phase: str, number: int = number, met: list[int] = met) -> None:
            if (write, phase) == (number, "before"):
                met.append(write)
                assert patients.opt_out("p1")

        with at_writes(opt_out):
            send(bucket, file_of(person.format("new@example.com"), header=PATIENTS), days=1)
        patient = patients.get("p1")
        assert patient
        assert patient.email == "new@example.com"
        if not met:
            break
        assert patient.opted_out
    assert number > 2

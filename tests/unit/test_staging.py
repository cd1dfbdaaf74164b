"""A file laid out on disk: everything comes back, in the order of work, and memory does not grow with the file."""

import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits import staging
from functions.import_visits.records import (
    CaseRecord,
    ClinicRecord,
    FileRefused,
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    RuleRecord,
    VisitRecord,
)
from functions.import_visits.staging import NO_ROW, START, Part, Place, Staging
from shared.domain.episode import Case
from shared.domain.intake import RuleChange
from shared.domain.settings import ClinicSettings
from tests.builders import a_patient, a_visit

LATER = datetime(2026, 3, 9, tzinfo=UTC)


def row(line: int, *records: Record) -> Row:
    return Row(line, b"raw %d\n" % line, records)


def of_patient(patient_id: str, visit_id: str = "v1") -> VisitRecord:
    return VisitRecord(a_visit(visit_id, patient_id=patient_id), frozenset({"removed"}))


def laid_out(rows: Iterable[Row], after: Place = START) -> list[Part]:
    with Staging() as found:
        for each in rows:
            assert found.add(each) is None
        found.close()
        return [part for chunk, _ in found.chunks(after) for part in chunk]


EVERYTHING = [
    row(1, MergeRecord("p1", "p9"), PatientRecord(a_patient("p1"), frozenset({"tags"}))),
    row(2, of_patient("p2"), NameRecord(Named.THERAPIST, ("t1", "t2"), "Ann Lee")),
    row(3, of_patient("p1", "v3"), CaseRecord(Case("p1", "c1", LATER, has_time=False))),
    row(4, ClinicRecord(ClinicSettings("north", "North"))),
    row(5, RuleRecord(RuleChange("webpt", "evaluation_notes", "IE"))),
    row(6, NameRecord(Named.CLINIC, ("north",), "North")),
    row(7, PatientRecord(a_patient("p2"))),
    row(8, MergeRecord("p2", "p8")),
]


def test_what_a_file_says_comes_back_in_the_order_of_work_and_within_a_part_in_the_file_s():
    parts = laid_out(EVERYTHING)
    assert [(part.place.phase.name, [line for line, _ in part.rows]) for part in parts] == [
        ("RULES", [5]),
        ("CLINICS", [4]),
        ("NAMES", [6]),
        ("NAMES", [2]),
        ("PATIENTS", [1, 3, 3]),
        ("PATIENTS", [2, 7]),
        ("MERGES", [1]),
        ("MERGES", [8]),
    ]
    records: dict[int, set[Record]] = {line: set() for line in range(1, 9)}
    for part in parts:
        for line, record in part.rows:
            records[line].add(record)
    assert records == {each.line: set(each.records) for each in EVERYTHING}


def test_every_row_ends_in_exactly_one_part_the_last_that_holds_something_of_it():
    parts = laid_out(EVERYTHING)
    assert sorted(line for part in parts for line in part.ends) == [each.line for each in EVERYTHING]
    for each in EVERYTHING:
        holding = [part for part in parts if each.line in {line for line, _ in part.rows}]
        assert [each.line in part.ends for part in holding] == [False] * (len(holding) - 1) + [True]


def test_a_name_that_every_row_repeats_is_laid_out_once_but_a_row_that_says_nothing_else_is_kept(monkeypatch):
    monkeypatch.setattr(staging, "MAX_NAMES", 2)
    ann, ann_now = NameRecord(Named.THERAPIST, ("t1",), "Ann Lee"), NameRecord(Named.THERAPIST, ("t1",), "Ann Poe")
    rows = [row(1, ann, of_patient("p1")), row(2, ann), row(3, ann, of_patient("p1")), row(4, ann_now)]
    names, patient = laid_out(rows)
    assert names.rows == ((1, ann), (2, ann), (4, ann_now))
    assert (set(names.ends), set(patient.ends)) == ({2, 4}, {1, 3})


def test_merges_come_in_the_order_of_the_file_however_many_rows_it_has():
    merges = [MergeRecord("p1", f"p{number}") for number in range(2, 14)]
    parts = laid_out(row(line, merge) for line, merge in enumerate(merges, start=1))
    assert [record for part in parts for _, record in part.rows] == merges


def test_rows_that_stand_on_one_line_are_told_apart():
    parts = laid_out([row(1, of_patient("p1", f"v{number}")) for number in range(3)] + [row(1, of_patient("p2"))])
    assert [part.ends for part in parts] == [{1, 2, 3}, {4}]


@given(st.lists(st.tuples(st.sampled_from("abcdeé€😀"), st.integers(1, 9)), max_size=40), st.integers(0, 8))
def test_work_goes_on_after_any_part_as_if_it_had_not_been_interrupted(visits, stop):
    rows = [row(line, of_patient(who, f"v{number}")) for line, (who, number) in enumerate(visits, start=1)]
    whole = laid_out(rows)
    for part in whole[stop : stop + 1]:
        assert laid_out(rows, part.place) == whole[stop + 1 :]
    assert [part.key for part in whole] == sorted({who for who, _ in visits}, key=str.encode)


def test_chunks_are_of_one_phase_and_of_some_hundred_rows(monkeypatch):
    monkeypatch.setattr(staging, "CHUNK_ROWS", 5)
    with Staging() as found:
        for line in range(1, 31):
            found.add(row(line, of_patient(f"p{line % 10}"), NameRecord(Named.THERAPIST, (f"t{line}",), "Ann")))
        found.close()
        chunks = list(found.chunks())
    assert [len({part.place.phase for part in chunk}) for chunk, _ in chunks] == [1] * len(chunks)
    assert [sum(len(part.rows) for part in chunk) for chunk, _ in chunks] == [5] * 6 + [6] * 5
    assert [is_last for _, is_last in chunks] == [False] * (len(chunks) - 1) + [True]


def test_merges_come_in_small_chunks_since_each_takes_as_long_as_many_rows():
    with Staging() as found:
        for line in range(60):
            found.add(row(line, MergeRecord(f"p{line}", "p")))
        found.close()
        assert [len(chunk) for chunk, _ in found.chunks()] == [25, 25, 10]


def test_rows_beyond_a_patient_s_share_are_refused_as_they_came(monkeypatch):
    monkeypatch.setattr(staging, "MAX_PATIENT_ROWS", 3)
    with Staging() as found:
        refused = [found.add(row(line, of_patient("p1", f"v{line}"), of_patient("p1"))) for line in range(1, 6)]
        assert found.add(row(6, of_patient("p2"))) is None
        found.close()
        assert found.rows == 4
        assert [len(part.rows) for chunk, _ in found.chunks() for part in chunk] == [6, 1]
    assert refused[:3] == [None] * 3
    assert isinstance(refused[3], Refusal)
    assert (refused[3].line, refused[3].raw) == (4, b"raw 4\n")
    assert "3 other rows" in refused[3].reason


def test_a_file_with_too_many_rows_is_refused_and_told_the_limit(monkeypatch):
    monkeypatch.setattr(staging, "MAX_ROWS", 2)
    with Staging() as found:
        found.add(row(1, of_patient("p1")))
        found.add(row(2, of_patient("p1")))
        with pytest.raises(FileRefused, match="more than 2 rows"):
            found.add(row(3, of_patient("p1")))


def refused(line: int, *heard: Record) -> Refusal:
    return Refusal(line, b"raw %d\n" % line, "email", "is wrong", heard)


def test_what_is_heard_of_refused_rows_comes_in_the_order_of_the_file_and_ends_no_row():
    dead, merge = PatientRecord(a_patient("p1", deceased=True)), MergeRecord("p1", "p9")
    with Staging() as found:
        found.add(row(1, of_patient("p1"), MergeRecord("p1", "p8")))
        for refusal in (refused(2, dead, merge), refused(3)):
            assert found.hear(refusal) == refusal
        found.add(row(4, of_patient("p1", "v4"), MergeRecord("p1", "p7")))
        found.close()
        parts = [part for chunk, _ in found.chunks() for part in chunk]
    of_p1, *merges = [part.rows for part in parts]
    assert of_p1 == ((1, of_patient("p1")), (NO_ROW, dead), (2, of_patient("p1", "v4")))
    assert [record.retired_id for rows in merges for _, record in rows] == ["p8", "p9", "p7"]
    assert frozenset[int]().union(*(part.ends for part in parts)) == {1, 2}


def test_what_is_heard_beyond_a_patient_s_share_is_lost_and_the_reason_says_so(monkeypatch):
    monkeypatch.setattr(staging, "MAX_PATIENT_ROWS", 1)
    with Staging() as found:
        found.add(row(1, of_patient("p1")))
        told = found.hear(refused(2, of_patient("p1", "v2")))
        found.close()
        assert [len(part.rows) for chunk, _ in found.chunks() for part in chunk] == [1]
    assert (told.line, told.raw, told.heard) == (2, b"raw 2\n", ())
    assert "send the rest in another file" in told.reason


@dataclass(frozen=True)
class Peak:
    """What laying out and reading so many rows took at most, in MB."""

    rows: int

    @property
    def megabytes(self) -> float:
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, str(self.rows)], capture_output=True, text=True, check=True
        )
        return float(done.stdout)


_MEASURE = """
import resource, sys
from functions.import_visits.staging import Staging
from tests.unit.test_staging import of_patient, row
with Staging() as found:
    for line in range(int(sys.argv[1])):
        found.add(row(line, of_patient(f"p{line * 7919 % 10007}", f"v{line}")))
    found.close()
    assert sum(len(part.rows) for chunk, _ in found.chunks() for part in chunk) == int(sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def test_memory_does_not_grow_with_the_file():
    assert Peak(120_000).megabytes < Peak(20_000).megabytes + 25  # SQLite's cache fills; 100,000 rows are 40 MB on disk

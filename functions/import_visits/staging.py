"""What a file says, laid out on disk in the order in which it is stored: memory stays flat, whatever the file's size.

The same file is laid out the same way every time, so that an import can go on after the last part that was stored.
"""

import pickle
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from types import TracebackType
from typing import Any, Self

from functions.import_visits.records import (
    CaseRecord,
    ClinicRecord,
    FileRefused,
    MergeRecord,
    NameRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    RuleRecord,
    VisitRecord,
)

MAX_ROWS = 2_000_000  # on disk, about 1 GB
MAX_PATIENT_ROWS = 5_000  # all of a patient's rows are in memory at once
CHUNK_ROWS = 500  # a few seconds of work: what a killed import does again
MERGE_COSTS = 20  # rows: one patient after the other, and everything of theirs moves
MAX_NAMES = 10_000  # remembered while a file is laid out
CACHE_KILOBYTES = 16_000
NO_ROW = 0  # of records that are taken in and not counted; rows are numbered from 1


class Phase(IntEnum):
    """What is stored before what."""

    RULES = 1
    CLINICS = 2
    NAMES = 3
    PATIENTS = 5  # numbers stay what they are: they stand in the notes of imports that have not ended
    MERGES = 6


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A part's place in the order of work."""

    phase: Phase
    key: str


START = Place(Phase.RULES, "")


@dataclass(frozen=True, slots=True)
class Part:
    """What is stored together: all rows of a patient or clinic, all of the practice's choices, one name, one merge."""

    place: Place
    rows: tuple[tuple[int, Any], ...]  # the row's number (many may stand on one line) and record, in the file's order
    ends: frozenset[int]  # the rows that say nothing further in later parts

    @property
    def key(self) -> str:
        """Whom or what it is about."""
        return self.place.key


class Staging:
    """A temporary database of records, which nobody else sees and which is gone when it is closed."""

    def __init__(self) -> None:
        self.rows = 0
        self._said = set[NameRecord]()
        self._waiting: list[tuple[int, str, int, bool, bytes]] = []
        self._database = sqlite3.connect("")  # SQLite's own temporary file
        self._database.executescript(f"""
            PRAGMA journal_mode = OFF;
            PRAGMA synchronous = OFF;
            PRAGMA cache_size = -{CACHE_KILOBYTES};
            CREATE TABLE records (number INTEGER PRIMARY KEY, phase INT, key TEXT, row INT, ends INT, record BLOB);
            CREATE TABLE patients (patient_id TEXT PRIMARY KEY, rows INT) WITHOUT ROWID;
        """)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, row: Row) -> Refusal | None:
        """Lay a row out; what is beyond a patient's 5,000 rows in one file comes back refused."""
        records = [record for record in row.records if not self._is_said(record)] or row.records[:1]
        number = self.rows + 1
        places = [_place(record, number) for record in records]
        if too_many := self._beyond_share(row, places):
            return too_many
        self.rows = number
        if self.rows > MAX_ROWS:
            raise FileRefused(f"The file has more than {MAX_ROWS:,} rows. Send it in parts.")
        end = max(places)
        for place, record in zip(places, records, strict=True):
            self._add(place, number, place == end, record)
        return None

    def hear(self, refusal: Refusal) -> Refusal:
        """Lay out what counts of a refused row, under no row's number; gives the reason for which the rest is lost."""
        heard = Row(refusal.line, refusal.raw, refusal.heard)
        places = [_place(record, self.rows) for record in heard.records]
        if too_many := self._beyond_share(heard, places):
            return too_many
        for place, record in zip(places, heard.records, strict=True):
            self._add(place, NO_ROW, False, record)
        return refusal

    def close(self) -> None:
        """Note that every row is laid out: from now on parts can be read."""
        self._write()
        self._database.execute("CREATE INDEX in_order ON records (phase, key, number)")

    def chunks(self, after: Place = START) -> Iterator[tuple[list[Part], bool]]:
        """The parts after this place in their order, in chunks of one phase; with each, whether it is the last."""
        parts = self._parts(after)
        following = next(parts, None)
        while following:
            chunk, size = [following], _cost(following)
            while (following := next(parts, None)) and following.place.phase is chunk[0].place.phase:
                if size >= CHUNK_ROWS:
                    break
                chunk.append(following)
                size += _cost(following)
            yield chunk, following is None

    def _parts(self, after: Place) -> Iterator[Part]:
        query = """
            SELECT phase, key, row, ends, record FROM records WHERE (phase, key) > (?, ?) ORDER BY phase, key, number
        """
        with closing(self._database.execute(query, (after.phase, after.key))) as found:
            for (phase, key), rows in groupby(found, key=lambda row: (row[0], row[1])):
                listed = [(row, bool(ends), pickle.loads(record)) for _, _, row, ends, record in rows]
                ends = frozenset(row for row, ends, _ in listed if ends)
                yield Part(Place(Phase(phase), key), tuple((row, record) for row, _, record in listed), ends)

    def _is_said(self, record: Record) -> bool:
        """Whether it only repeats a name: every message of an EMR names its therapist again."""
        if not isinstance(record, NameRecord):
            return False
        if record in self._said:
            return True
        if len(self._said) >= MAX_NAMES:
            self._said.clear()
        self._said.add(record)
        return False

    def _beyond_share(self, row: Row, places: Sequence[Place]) -> Refusal | None:
        for patient_id in {place.key for place in places if place.phase is Phase.PATIENTS}:
            if self._count(patient_id) > MAX_PATIENT_ROWS:
                reason = (
                    f"comes after {MAX_PATIENT_ROWS:,} other rows of the same patient: send the rest in another file"
                )
                return Refusal(row.line, row.raw, "", reason)
        return None

    def _count(self, patient_id: str) -> int:
        """The rows of the patient so far, this one included."""
        found = self._database.execute(
            "INSERT INTO patients VALUES (?, 1) ON CONFLICT DO UPDATE SET rows = rows + 1 RETURNING rows",
            (patient_id,),
        )
        number: int = found.fetchone()[0]
        return number

    def _add(self, place: Place, row: int, ends: bool, record: object) -> None:
        self._waiting.append((place.phase, place.key, row, ends, pickle.dumps(record, pickle.HIGHEST_PROTOCOL)))
        if len(self._waiting) >= 1000:
            self._write()

    def _write(self) -> None:
        insert = "INSERT INTO records (phase, key, row, ends, record) VALUES (?, ?, ?, ?, ?)"
        self._database.executemany(insert, self._waiting)
        self._waiting.clear()


def _cost(part: Part) -> int:
    """How many rows of patients take as long."""
    return MERGE_COSTS if part.place.phase is Phase.MERGES else len(part.rows)


def _place(record: Record, number: int) -> Place:
    in_order = f"{number:012}"
    match record:
        case PatientRecord(patient):
            return Place(Phase.PATIENTS, patient.patient_id)
        case VisitRecord(visit):
            return Place(Phase.PATIENTS, visit.patient_id)
        case CaseRecord(case):
            return Place(Phase.PATIENTS, case.patient_id)
        case ClinicRecord(clinic):
            return Place(Phase.CLINICS, clinic.clinic_id)
        case NameRecord(named, ids):
            return Place(Phase.NAMES, " ".join((named, *ids)))
        case MergeRecord():
            return Place(Phase.MERGES, in_order)
        case RuleRecord():
            return Place(Phase.RULES, "all")

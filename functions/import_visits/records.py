"""What every reader turns a file into, whatever its format."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import IO

from shared.config import parameters
from shared.domain.episode import Case, Visit, ZoneOf
from shared.domain.intake import IntakeRules, RuleChange
from shared.domain.patient import Patient
from shared.domain.settings import ClinicSettings, Practice


@dataclass(frozen=True, slots=True)
class Context:
    """What a reader may know of the practice."""

    zone_of: ZoneOf  # a time without an offset is read in the clinic's zone
    rules: IntakeRules = field(default_factory=IntakeRules)
    practice: Callable[[], Practice] = parameters  # what clinics take that they do not set themselves


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """A patient as a row has them; of what is `absent` from the row, it says nothing."""

    patient: Patient
    absent: frozenset[str] = frozenset()  # names of fields


_UNPROTECTING = frozenset({"first_name", "last_name", "email", "phone", "language", "clinic_id", "tags"})


def protection(
    patient_id: str, *, opted_out: bool, deceased: bool, archived: bool, updated_at: datetime | None
) -> tuple[PatientRecord, ...]:
    """What keeps surveys from a patient, and nothing else that their row may say; empty if it says none of it."""
    if not (opted_out or deceased or archived):
        return ()
    patient = Patient(patient_id, opted_out=opted_out, deceased=deceased, archived=archived, updated_at=updated_at)
    unsaid = {name for name, is_said in (("deceased", deceased), ("archived", archived)) if not is_said}
    return (PatientRecord(patient, _UNPROTECTING | unsaid),)


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """A visit as a row has it; of what is `absent` from the row, it says nothing."""

    visit: Visit
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """A course of care as a row has it: opened, closed or removed; of what is `absent`, it says nothing."""

    case: Case
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class MergeRecord:
    """Two patients turned out to be one: everything of `retired_id` belongs to `patient_id` from now on."""

    patient_id: str
    retired_id: str


class Named(StrEnum):
    """What a name can be the name of."""

    THERAPIST = "therapist"
    CLINIC = "clinic"


@dataclass(frozen=True, slots=True)
class NameRecord:
    """How a therapist or clinic is called, under every id by which visits may refer to them."""

    named: Named
    ids: tuple[str, ...]
    name: str


@dataclass(frozen=True, slots=True)
class ClinicRecord:
    """A clinic's settings as a row has them; of what is `absent` from the row, it says nothing."""

    clinic: ClinicSettings
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleRecord:
    """One of the practice's choices of how its exports are read."""

    change: RuleChange


Record = PatientRecord | VisitRecord | CaseRecord | MergeRecord | NameRecord | ClinicRecord | RuleRecord


@dataclass(frozen=True, slots=True)
class Row:
    """One row, resource or message of a file and all it says; it is counted once, whatever the number of records."""

    line: int  # the physical line on which it starts, from 1
    raw: bytes
    records: tuple[Record, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that is not taken in, and why, in words for the practice's staff."""

    line: int
    raw: bytes
    column: str  # empty if the row as a whole is at fault
    reason: str
    heard: tuple[Record, ...] = ()  # what is taken in all the same, and not counted


@dataclass(frozen=True, slots=True)
class Reading:
    """A file whose format is known, read as it is iterated."""

    kind: str
    rows: Iterator[Row | Refusal]
    header: bytes | None = None  # of a CSV file: goes before refused rows, which get a last column `reason`


class ErasedMeanwhile(Exception):
    """Somebody whom the file tells of was erased while it was taken in."""

    def __init__(self, references: Collection[str]) -> None:
        super().__init__()
        self.references = frozenset(references)


class FileRefused(Exception):
    """The file as a whole is not taken in; the message says why in words for the practice's staff."""

    def __init__(self, reason: str, kind: str = "unknown", line: int = 1) -> None:
        super().__init__(reason)
        self.reason, self.kind, self.line = reason, kind, line


Reader = Callable[[IO[bytes], bytes, Context], Reading | None]
"""Reads a file that stands at its start, or returns None for another format's; the bytes are its first 64 KB."""

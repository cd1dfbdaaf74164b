"""What every reader turns a file into, whatever its format."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.domain.episode import Visit
from shared.domain.patient import Patient
from shared.domain.settings import ClinicSettings

ZoneOf = Callable[[str], ZoneInfo]
"""The time zone of a clinic, by its id: a time without an offset is read in it."""


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """A patient as one record of a file has them; of what is `absent` from the file, it says nothing."""

    line: int  # the physical line on which the record starts, from 1
    raw: bytes
    patient: Patient
    absent: frozenset[str] = frozenset()  # names of fields


@dataclass(frozen=True, slots=True)
class VisitRecord:
    """A visit as one record of a file has it; of what is `absent` from the file, it says nothing."""

    line: int
    raw: bytes
    visit: Visit
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ClinicRecord:
    """A clinic as one record of a file has it; of what is `absent` from the file, it says nothing."""

    line: int
    raw: bytes
    clinic: ClinicSettings
    absent: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that is not taken in, and why, in words for the practice's staff."""

    line: int
    raw: bytes
    column: str  # empty if the record as a whole is at fault
    reason: str
    opted_out: str = ""  # the patient whose wish for no mail the record states all the same


Record = PatientRecord | VisitRecord | ClinicRecord


@dataclass(frozen=True, slots=True)
class Reading:
    """A file whose format is known, read as it is iterated."""

    kind: str
    header: bytes  # goes before refused records, so that they can be corrected and sent again
    records: Iterator[Record | Refusal]


class FileRefused(Exception):
    """The file as a whole is not taken in; the message says why in words for the practice's staff."""

    def __init__(self, reason: str, kind: str = "unknown", line: int = 1) -> None:
        super().__init__(reason)
        self.reason, self.kind, self.line = reason, kind, line

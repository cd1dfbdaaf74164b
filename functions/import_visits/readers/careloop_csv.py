"""Our own CSV: patients, visits or clinics, told apart by the columns of the header."""

import csv
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import IO, TypeVar

from functions.import_visits.readers import values
from functions.import_visits.readers.lines import MAX_LINE_BYTES, Line, Lines
from functions.import_visits.records import (
    ClinicRecord,
    Context,
    FileRefused,
    PatientRecord,
    Reading,
    Record,
    Refusal,
    Row,
    VisitRecord,
    ZoneOf,
)
from shared.config import practice
from shared.domain.episode import Visit, VisitKind, VisitStatus
from shared.domain.patient import Language, Patient, parse_language
from shared.domain.settings import (
    ClinicSettings,
    clinic_of,
    parse_addresses,
    parse_days,
    parse_review_links,
    parse_time_of_day,
    parse_zone,
)

MAX_RECORD_LINES = 100
_UNCLOSED = "cannot be read as CSV: a quotation mark is probably missing or not doubled"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _CsvRow:
    """One CSV record and the physical lines it spans."""

    lines: tuple[Line, ...]
    cells: list[str]

    @property
    def raw(self) -> bytes:
        return b"".join(line.raw for line in self.lines)


class _BadCell(Exception):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


@dataclass(frozen=True, slots=True)
class _Cells:
    """The known columns of one record."""

    texts: Mapping[str, str]
    zone_of: ZoneOf

    def required(self, column: str, parse: Callable[[str], T]) -> T:
        text = self.texts[column]
        if not text:
            raise _BadCell(column, "is empty")
        return self._parsed(column, text, parse)

    def optional(self, column: str, parse: Callable[[str], T], default: T) -> T:
        text = self.texts.get(column, "")
        return self._parsed(column, text, parse) if text else default

    def absent(self, fields_by_column: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
        """The fields of which the file says nothing because it lacks their columns."""
        return frozenset(
            name for column, names in fields_by_column.items() if column not in self.texts for name in names
        )

    def _parsed(self, column: str, text: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise _BadCell(column, str(error)) from None


class _PatientStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"
    DECEASED = "deceased"


_PATIENT_OPTIONS = {
    "phone": ("phone",),
    "language": ("language",),
    "status": ("archived", "deceased"),
    "tags": ("tags",),
}


def _patient(cells: _Cells) -> PatientRecord:
    patient_id = cells.required("patient_id", values.identifier)
    clinic_id = cells.required("clinic_id", values.identifier)
    status = cells.optional("status", values.choice_of(_PatientStatus), _PatientStatus.ACTIVE)
    patient = Patient(
        patient_id=patient_id,
        first_name=cells.optional("first_name", values.words, ""),
        last_name=cells.optional("last_name", values.words, ""),
        email=cells.optional("email", values.email, ""),
        phone=cells.optional("phone", values.words, ""),
        language=cells.optional("language", parse_language, Language.ENGLISH),
        clinic_id=clinic_id,
        tags=cells.optional("tags", values.tags, ()),
        opted_out=cells.optional("email_opt_out", values.flag, False),
        deceased=status is _PatientStatus.DECEASED,
        archived=status is _PatientStatus.ARCHIVED,
        updated_at=cells.optional("updated_at", values.moment_in(cells.zone_of(clinic_id)), None),
    )
    return PatientRecord(patient, cells.absent(_PATIENT_OPTIONS))


_VISIT_OPTIONS = {
    "clinic_name": ("clinic_name",),
    "therapist_id": ("therapist_id",),
    "therapist_name": ("therapist_name",),
    "ended_at": ("ended_at",),
    "removed": ("removed",),
}


def _visit(cells: _Cells) -> VisitRecord:
    clinic_id = cells.required("clinic_id", values.identifier)
    moment = values.moment_in(cells.zone_of(clinic_id))
    visit = Visit(
        visit_id=cells.required("visit_id", values.identifier),
        patient_id=cells.required("patient_id", values.identifier),
        case_id=cells.required("case_id", values.identifier),
        clinic_id=clinic_id,
        started_at=cells.required("started_at", moment),
        kind=cells.required("kind", values.choice_of(VisitKind)),
        status=cells.required("status", values.choice_of(VisitStatus)),
        clinic_name=cells.optional("clinic_name", values.words, ""),
        therapist_id=cells.optional("therapist_id", values.identifier, ""),
        therapist_name=cells.optional("therapist_name", values.words, ""),
        ended_at=cells.optional("ended_at", moment, None),
        removed=cells.optional("removed", values.flag, False),
        updated_at=cells.optional("updated_at", moment, None),
    )
    if visit.ended_at and visit.ended_at < visit.started_at:
        raise _BadCell("ended_at", "is before started_at")
    return VisitRecord(visit, cells.absent(_VISIT_OPTIONS))


_CLINIC_OPTIONS = {
    "time_zone": ("time_zone",),
    "phone": ("phone",),
    "admin_emails": ("admins",),
    "review_links": ("review_links",),
    "send_from": ("send_from",),
    "send_until": ("send_until",),
    "send_days": ("send_days",),
}


def _clinic(cells: _Cells) -> ClinicRecord:
    clinic = ClinicSettings(
        clinic_id=cells.required("clinic_id", values.identifier),
        name=cells.optional("name", values.words, None),
        time_zone=cells.optional("time_zone", _if_valid(parse_zone), None),
        phone=cells.optional("phone", values.words, None),
        admins=cells.optional("admin_emails", parse_addresses, ()),
        review_links=cells.optional("review_links", parse_review_links, ()),
        send_from=cells.optional("send_from", _if_valid(parse_time_of_day), None),
        send_until=cells.optional("send_until", _if_valid(parse_time_of_day), None),
        send_days=cells.optional("send_days", _if_valid(parse_days), None),
    )
    if not clinic_of(clinic, practice()).window.ever_opens:
        column = "send_until" if clinic.send_until else "send_from"
        raise _BadCell(column, "leaves no time for sending: send_until must be later than send_from")
    return ClinicRecord(clinic, cells.absent(_CLINIC_OPTIONS))


def _if_valid(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Clinics are stored as they were written, once they are known to be readable."""

    def check(text: str) -> str:
        parse(text)
        return text

    return check


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    to_record: Callable[[_Cells], Record]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset(self.required + self.optional)


_KINDS = (
    _Kind(
        "visits",
        ("visit_id", "patient_id", "case_id", "clinic_id", "started_at", "kind", "status"),
        (*_VISIT_OPTIONS, "updated_at"),
        _visit,
    ),
    _Kind(
        "patients",
        ("patient_id", "first_name", "last_name", "email", "clinic_id"),
        (*_PATIENT_OPTIONS, "email_opt_out", "updated_at"),
        _patient,
    ),
    _Kind("clinics", ("clinic_id", "name"), tuple(_CLINIC_OPTIONS), _clinic),
)

LOOKED_FOR = "a CSV file whose first line names at least the columns " + "; or ".join(
    f"{', '.join(kind.required)} ({kind.name})" for kind in _KINDS
)


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if its header names the columns of patients, visits or clinics, in any order and case.

    One broken record is refused alone, wherever it is: reading goes on with the next physical line.
    """
    lines = Lines(file)
    header = next((row for row in _rows(lines, None) if row.raw.strip()), None)
    if not isinstance(header, _CsvRow):
        return None
    names = [cell.strip().lower() for cell in header.cells]
    kind = next((kind for kind in _KINDS if set(kind.required) <= set(names)), None)
    if kind is None:
        _refuse_if_near(names, header.lines[0].number)
        return None
    twice = sorted(name for name in kind.columns if names.count(name) > 1)
    if twice:
        raise FileRefused(f"The header names a column twice: {', '.join(twice)}.", kind.name, header.lines[0].number)
    return Reading(kind.name, _records(lines, kind, names, context.zone_of), header.raw)


def _refuse_if_near(names: list[str], line: int) -> None:
    for kind in _KINDS:
        missing = [column for column in kind.required if column not in names]
        if 2 * len(missing) < len(kind.required):
            raise FileRefused(f"This looks like {kind.name}, but lacks the columns: {', '.join(missing)}.", line=line)


def _records(lines: Lines, kind: _Kind, names: list[str], zone_of: ZoneOf) -> Iterator[Row | Refusal]:
    position = {name: place for place, name in enumerate(names) if name in kind.columns}
    for row in _rows(lines, len(names)):
        line, raw = row.lines[0].number, row.raw
        if isinstance(row, _Broken):
            yield Refusal(line, raw, "", row.reason)
        elif not any(cell.strip() for cell in row.cells):
            continue  # an empty line, or the bare commas that spreadsheets leave at the end
        elif not _fits(row.cells, len(names)):
            yield Refusal(line, raw, "", f"has {len(row.cells)} columns where the header has {len(names)}")
        elif b"\0" in raw:
            yield Refusal(line, raw, "", "holds NUL bytes: the file may be damaged")
        else:
            texts = {name: row.cells[place].strip() for name, place in position.items()}
            cells = _Cells(texts, zone_of)
            try:
                yield Row(line, raw, (kind.to_record(cells),))
            except _BadCell as bad:
                yield Refusal(line, raw, bad.column, bad.reason, _who_opted_out(cells))


def _who_opted_out(cells: _Cells) -> str:
    # A front desk that notes "declined" in place of the address means it, even if the row cannot be stored.
    try:
        if cells.optional("email_opt_out", values.flag, False):
            return cells.required("patient_id", values.identifier)
    except _BadCell:
        pass
    return ""


@dataclass(frozen=True, slots=True)
class _Broken:
    """A physical line with which no record begins."""

    lines: tuple[Line, ...]
    reason: str

    @property
    def raw(self) -> bytes:
        return self.lines[0].raw


class _TooLong(Exception):
    pass


def _rows(lines: Lines, width: int | None) -> Iterator[_CsvRow | _Broken]:
    """CSV records as the csv module reads them, which takes as many physical lines as quotation marks demand.

    A record that fails, grows beyond 100 lines or 64 KB, ends on another line with another number of columns, or holds
    what is a record by itself has a stray quotation mark: only its first line is broken, and the lines that it
    swallowed are read again.
    """
    while True:
        taken: list[Line] = []
        try:
            cells = next(csv.reader(_texts(lines, taken), strict=True))
            if width and len(taken) > 1 and not (_fits(cells, width) and _is_one_record(taken, width)):
                raise _TooLong
        except StopIteration:
            return
        except (csv.Error, _TooLong):
            lines.push_back(taken[1:])
            whole = taken[0].is_whole
            yield _Broken(tuple(taken[:1]), _UNCLOSED if whole else "is longer than 64 KB and kept in part only")
        else:
            yield _CsvRow(tuple(taken), cells)


def _is_one_record(taken: list[Line], width: int) -> bool:
    """Whether none of the later lines is a row by itself, of which stray quotation marks made a cell's inside."""
    for line in taken[1:]:
        quoted, _, _ = line.text.partition('"')
        if "," in quoted and len(next(csv.reader([line.text]), [])) == width:
            return False
    return True


def _texts(lines: Lines, taken: list[Line]) -> Iterator[str]:
    size = 0
    for line in lines:
        taken.append(line)
        size += len(line.raw)
        if not line.is_whole or len(taken) > MAX_RECORD_LINES or size > MAX_LINE_BYTES:
            raise _TooLong
        yield line.text


def _fits(cells: list[str], width: int) -> bool:
    return len(cells) == width or (len(cells) > width and not any(cell.strip() for cell in cells[width:]))

"""Our own CSV: patients, visits or clinics, told apart by the columns of the header."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import IO

from functions.import_visits.readers import values
from functions.import_visits.readers.csv_rows import BadCell, Cells, Columns, nothing, read_header, read_rows
from functions.import_visits.readers.lines import Lines
from functions.import_visits.records import (
    ClinicRecord,
    Context,
    FileRefused,
    PatientRecord,
    Reading,
    Record,
    VisitRecord,
    protection,
)
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


def _patient(cells: Cells, _: Context) -> PatientRecord:
    patient_id = cells.required("patient_id", values.cell_identifier)
    clinic_id = cells.required("clinic_id", values.cell_identifier)
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


def _protection(cells: Cells) -> tuple[PatientRecord, ...]:
    patient_id = cells.readable("patient_id", values.cell_identifier, "")
    clinic_id = cells.readable("clinic_id", values.cell_identifier, "")
    status = cells.readable("status", values.choice_of(_PatientStatus), _PatientStatus.ACTIVE)
    if not patient_id:
        return ()
    return protection(
        patient_id,
        opted_out=cells.readable("email_opt_out", values.flag, False),
        deceased=status is _PatientStatus.DECEASED,
        archived=status is _PatientStatus.ARCHIVED,
        updated_at=cells.readable("updated_at", values.moment_in(cells.zone_of(clinic_id)), None),
    )


_VISIT_OPTIONS = {
    "clinic_name": ("clinic_name",),
    "therapist_id": ("therapist_id",),
    "therapist_name": ("therapist_name",),
    "ended_at": ("ended_at",),
    "removed": ("removed",),
}


def _visit(cells: Cells, _: Context) -> VisitRecord:
    clinic_id = cells.required("clinic_id", values.cell_identifier)
    moment = values.moment_in(cells.zone_of(clinic_id))
    visit = Visit(
        visit_id=cells.required("visit_id", values.visit_identifier),
        patient_id=cells.required("patient_id", values.cell_identifier),
        case_id=cells.required("case_id", values.cell_identifier),
        clinic_id=clinic_id,
        started_at=cells.required("started_at", moment),
        kind=cells.required("kind", values.choice_of(VisitKind)),
        status=cells.required("status", values.choice_of(VisitStatus)),
        clinic_name=cells.optional("clinic_name", values.words, ""),
        therapist_id=cells.optional("therapist_id", values.cell_identifier, ""),
        therapist_name=cells.optional("therapist_name", values.words, ""),
        ended_at=cells.optional("ended_at", moment, None),
        removed=cells.optional("removed", values.flag, False),
        has_time=":" in cells.texts["started_at"],
        updated_at=cells.optional("updated_at", moment, None),
    )
    if visit.ended_at and visit.ended_at < visit.started_at:
        raise BadCell("ended_at", "is before started_at")
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


def _clinic(cells: Cells, context: Context) -> ClinicRecord:
    clinic = ClinicSettings(
        clinic_id=cells.required("clinic_id", values.cell_identifier),
        name=cells.optional("name", values.words, None),
        time_zone=cells.optional("time_zone", _if_valid(parse_zone), None),
        phone=cells.optional("phone", values.words, None),
        admins=cells.optional("admin_emails", parse_addresses, ()),
        review_links=cells.optional("review_links", parse_review_links, ()),
        send_from=cells.optional("send_from", _if_valid(parse_time_of_day), None),
        send_until=cells.optional("send_until", _if_valid(parse_time_of_day), None),
        send_days=cells.optional("send_days", _if_valid(parse_days), None),
    )
    if not clinic_of(clinic, context.practice()).window.ever_opens:
        column = "send_until" if clinic.send_until else "send_from"
        raise BadCell(column, "leaves no time for sending: send_until must be later than send_from")
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
    to_record: Callable[[Cells, Context], Record]
    heard: Callable[[Cells], tuple[Record, ...]] = nothing  # in a row that is refused

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
        _protection,
    ),
    _Kind("clinics", ("clinic_id", "name"), tuple(_CLINIC_OPTIONS), _clinic),
)

LOOKED_FOR = "a CSV file whose first line names at least the columns " + "; or ".join(
    f"{', '.join(kind.required)} ({kind.name})" for kind in _KINDS
)


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if its header names the columns of patients, visits or clinics, in any order and case."""
    lines = Lines(file)
    header = read_header(lines)
    if header is None:
        return None
    names = [name.lower() for name in header.names]
    kind = _kind_of(names)
    if kind is None:
        if near := _nearest(names):
            name, missing = near
            raise FileRefused(f"This looks like {name}, but lacks the columns: {', '.join(missing)}.", line=header.line)
        return None
    twice = sorted(name for name in kind.columns if names.count(name) > 1)
    if twice:
        raise FileRefused(f"The header names a column twice: {', '.join(twice)}.", kind.name, header.line)
    columns = Columns(len(names), {name: place for place, name in enumerate(names) if name in kind.columns})
    rows = read_rows(lines, columns, context.zone_of, lambda cells: (kind.to_record(cells, context),), kind.heard)
    return Reading(kind.name, rows, header.raw)


def is_ours(header: Sequence[str]) -> bool:
    """Whether a header names all that our patients, visits or clinics need."""
    return _kind_of([name.lower() for name in header]) is not None


def resembles_ours(header: Sequence[str]) -> bool:
    """Whether a header is ours, or names more than half of what one of them needs."""
    return is_ours(header) or _nearest([name.lower() for name in header]) is not None


def _kind_of(names: Sequence[str]) -> _Kind | None:
    return next((kind for kind in _KINDS if set(kind.required) <= set(names)), None)


def _nearest(names: Sequence[str]) -> tuple[str, list[str]] | None:
    """The kind of which a header names more than half of the required columns, and those that it lacks."""
    for kind in _KINDS:
        missing = [column for column in kind.required if column not in names]
        if 2 * len(missing) < len(kind.required):
            return kind.name, missing
    return None

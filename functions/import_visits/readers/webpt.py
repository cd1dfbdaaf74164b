"""WebPT's standard extract: one CSV file a table, whose columns differ by practice.

Visits are known from three tables that overlap: an appointment, a visit (note) and each charge line are entries of
their own under `appointment:`, `visit:` and `charge:`, and the domain makes one visit of those that fall on one day.
So the order of lines and files does not matter, and a line taken back leaves the others.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import IO, NoReturn
from zoneinfo import ZoneInfo

from functions.import_visits.readers import careloop_csv, values
from functions.import_visits.readers.csv_rows import BadCell, Cells, Columns, Header, nothing, read_header, read_rows
from functions.import_visits.readers.lines import Lines
from functions.import_visits.records import (
    CaseRecord,
    Context,
    FileRefused,
    Named,
    NameRecord,
    PatientRecord,
    Reading,
    Record,
    VisitRecord,
    protection,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.domain.intake import WEBPT_COLUMNS, IntakeRules, Marks, kind_of
from shared.domain.patient import Language, Patient, parse_language

# Values of a row.

_US = re.compile(
    r"(\d\d?)/(\d\d?)/(\d{4})(?:,? +(\d\d?):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?: ?([AP])M)?)?",
    re.ASCII | re.IGNORECASE,
)
_MIDNIGHT = re.compile(r"\d{4}-\d\d-\d\d([T ]00:00(:00(\.0+)?)?)?", re.ASCII)
_NOTHING = frozenset({"", "null", "\\n", "0000-00-00", "0000-00-00 00:00:00", "0/0/0000", "00/00/0000"})
_NO_SHOW = re.compile(r"(?<![A-Za-z])(no[\s_-]?show(ed)?|ns|n/s)(?![A-Za-z])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _When:
    """A moment, or the start of a day of which the records give no time."""

    at: datetime
    has_time: bool


def _when_in(zone: ZoneInfo) -> Callable[[str], _When]:
    """A date, or date and time, in ISO form or as Americans write it; midnight is how a date alone is exported."""
    moment = values.moment_in(zone)

    def parse(text: str) -> _When:
        iso = _iso_of(text)
        try:
            return _When(moment(iso), not _MIDNIGHT.fullmatch(iso))
        except ValueError as error:
            if "such as" in str(error):
                raise ValueError("is not a time such as 3/2/2026, 3/2/2026 3:00 PM or 2026-03-02T15:00") from None
            raise

    return parse


def _iso_of(text: str) -> str:
    match = _US.fullmatch(text)
    if not match:
        return text
    month, day, year, hour, minute, second, half = match.groups()
    if int(month) > 12 >= int(day):
        raise ValueError("has no such month: write the month before the day, as in 3/22/2026")
    date = f"{year}-{int(month):02}-{int(day):02}"
    if hour is None:
        return date
    if half and not 1 <= int(hour) <= 12:
        raise ValueError("is a time that does not exist")
    hours = int(hour) % 12 + (12 if half.upper() == "P" else 0) if half else int(hour)
    return f"{date}T{hours:02}:{minute}:{second or '00'}"


class _Flag(StrEnum):
    NEW = "1"
    MODIFIED = "2"
    REMOVED = "3"


def _is_removed(text: str) -> bool:
    try:
        return _Flag(text.removesuffix(".0")) is _Flag.REMOVED
    except ValueError:
        raise ValueError("is none of: 1 (new), 2 (modified), 3 (removed)") from None


def _removed(cells: Cells) -> bool:
    return cells.optional("export_flag", _is_removed, False)


def _word_in(meanings: Mapping[str, str], otherwise: str) -> Callable[[str], str]:
    """What a status means, whatever its case and spaces."""

    def parse(text: str) -> str:
        word = _name_of(text)
        if word not in meanings:
            raise ValueError(otherwise)
        return meanings[word]

    return parse


_APPOINTMENT_STATUS = _word_in(
    {
        **dict.fromkeys(("active", "a", "1", "true", "yes"), "active"),
        **dict.fromkeys(("inactive", "i", "0", "false", "no"), "inactive"),
        **dict.fromkeys(("cancelled", "canceled", "cancel", "deleted"), "inactive"),
        **dict.fromkeys(("noshow", "ns"), "no show"),
    },
    "is neither Active nor Inactive",
)
_CASE_STATUS = _word_in(
    {
        **dict.fromkeys(
            ("active", "a", "open", "o", "opened", "reopened", "new", "current", "pending", "onhold"), "open"
        ),
        **dict.fromkeys(("closed", "c", "inactive", "i", "discharged", "d", "complete", "completed"), "closed"),
    },
    "is neither Active nor Closed",
)
_PATIENT_STATUS = _word_in(
    {
        **dict.fromkeys(("active", "a", "1", "true", "yes", "y", "new", "current", "pending", "discharged"), "active"),
        **dict.fromkeys(("inactive", "i", "0", "false", "no", "n", "archived", "deleted", "removed"), "archived"),
        **dict.fromkeys(("deceased", "dead", "expired"), "deceased"),
    },
    "is none of: Active, Inactive, Deceased",
)
_NOTES_NOT_HELD = {
    **dict.fromkeys(("ns", "noshow"), VisitStatus.NO_SHOW),
    **dict.fromkeys(("cx", "cancel", "canceled", "cancelled", "cancellation"), VisitStatus.CANCELLED),
}


def _is_deceased(zone: ZoneInfo) -> Callable[[str], bool]:
    """Yes, no, or the date of death."""

    def parse(text: str) -> bool:
        if text[0].isdigit() and len(text) > 1:
            return bool(_when_in(zone)(text))
        return values.flag(text)

    return parse


def _kind(codes: Sequence[str], marks: Marks) -> VisitKind:
    # The extract shows two weeks, and most patients were there before: nothing is an evaluation for being the first.
    kind = kind_of(codes, marks)
    return VisitKind.TREATMENT if kind is VisitKind.UNSTATED else kind


def _updated_at(cells: Cells, column: str, zone: ZoneInfo) -> datetime | None:
    when = cells.optional(column, _when_in(zone), None)
    return when.at if when else None


# Tables. Each takes the cells under our names and says what a row means.


def _appointment(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    number = cells.required("appointment_id", values.cell_identifier)
    clinic_id = cells.required("clinic_id", values.cell_identifier)
    zone = cells.zone_of(clinic_id)
    start = cells.required("start_date", _when_in(zone))
    visit = Visit(
        patient_id=cells.required("patient_id", values.cell_identifier),
        visit_id=_visit_id("appointment_id", "appointment", number),
        case_id=cells.required("case_id", values.cell_identifier),
        clinic_id=clinic_id,
        started_at=start.at,
        kind=_kind([cells.optional("appointment_type", str, "")], rules.webpt_appointments),
        status=_appointment_status(cells, number, zone),
        ended_at=_appointment_end(cells, start, zone),
        therapist_id=cells.optional("therapist_id", values.cell_identifier, ""),
        removed=_removed(cells),
        has_time=start.has_time,
        updated_at=_updated_at(cells, "time_stamp", zone),
    )
    return (VisitRecord(visit, _visit_absent(cells) | cells.absent({"end_date": ("ended_at",)})),)


def _appointment_status(cells: Cells, number: str, zone: ZoneInfo) -> VisitStatus:
    status = cells.required("appointment_status", _APPOINTMENT_STATUS)
    checked_in = cells.optional("check_in_time", _when_in(zone), None)
    if status == "no show" or (status == "inactive" and _NO_SHOW.search(cells.optional("reason", str, ""))):
        return VisitStatus.NO_SHOW
    if status == "inactive":
        return VisitStatus.CANCELLED
    is_only_scheduled = number.startswith("-")
    return VisitStatus.COMPLETED if checked_in and not is_only_scheduled else VisitStatus.SCHEDULED


def _appointment_end(cells: Cells, start: _When, zone: ZoneInfo) -> datetime | None:
    """When the patient was checked out, unless that was noted before the start or on another day; else as planned."""
    ends = [cells.optional(column, _when_in(zone), None) for column in ("check_out_time", "end_date")]
    day = start.at.astimezone(zone).date()
    fitting = (end.at for end in ends if end and end.has_time and start.at <= end.at)
    return next((at for at in fitting if at.astimezone(zone).date() == day), None)


def _charge(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    record_id = cells.required("record_id", values.cell_identifier)
    clinic_id = cells.required("clinic_id", values.cell_identifier)
    day = cells.required("visit_date", _when_in(cells.zone_of(clinic_id)))
    cpt = cells.optional("cpt", values.cell_identifier, "")
    date = day.at.astimezone(cells.zone_of(clinic_id)).date().isoformat()
    visit_id = cells.optional("visit_id", values.cell_identifier, date)
    note_type = cells.optional("note_type", str, "")
    kind = _kind([note_type], rules.webpt_notes) if note_type else _kind([cpt], rules.webpt_cpt)
    return _note(cells, _visit_id("record_id", "charge", visit_id, record_id, cpt), day, kind)


def _visit(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    number = cells.required("visit_id", values.cell_identifier)
    day = cells.required("visit_date", _when_in(cells.zone_of(cells.required("clinic_id", values.cell_identifier))))
    kind = _kind([cells.optional("note_type", str, "")], rules.webpt_notes)
    return _note(cells, _visit_id("visit_id", "visit", number), day, kind)


def _note(cells: Cells, visit_id: str, day: _When, kind: VisitKind) -> tuple[Record, ...]:
    """A visit as its note tells it: it took place once the note is finalized, or else the patient was checked in."""
    clinic_id = cells.required("clinic_id", values.cell_identifier)
    zone = cells.zone_of(clinic_id)
    proofs = [cells.optional(column, _when_in(zone), None) for column in ("note_finalized_date", "check_in_time")]
    held = VisitStatus.COMPLETED if any(proofs) else VisitStatus.SCHEDULED
    visit = Visit(
        patient_id=cells.required("patient_id", values.cell_identifier),
        visit_id=visit_id,
        case_id=cells.required("case_id", values.cell_identifier),
        clinic_id=clinic_id,
        started_at=day.at,
        kind=kind,
        status=_NOTES_NOT_HELD.get(_name_of(cells.optional("note_type", str, "")), held),
        therapist_id=cells.optional("therapist_id", values.cell_identifier, ""),
        removed=_removed(cells),
        has_time=day.has_time,
        updated_at=_updated_at(cells, "modified_date", zone),
    )
    return (VisitRecord(visit, _visit_absent(cells)),)


def _visit_id(column: str, *parts: str) -> str:
    try:
        return values.identifier(":".join(parts))
    except ValueError as error:
        raise BadCell(column, str(error)) from None


def _visit_absent(cells: Cells) -> frozenset[str]:
    return frozenset({"clinic_name", "therapist_name"}) | cells.absent({"therapist_id": ("therapist_id",)})


def _case(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    zone = cells.zone_of(cells.optional("clinic_id", values.cell_identifier, ""))
    closed = _closing(cells, zone)
    case = Case(
        patient_id=cells.required("patient_id", values.cell_identifier),
        case_id=cells.required("case_id", values.cell_identifier),
        closed_at=closed.at if closed else None,
        has_time=closed.has_time if closed else True,
        removed=_removed(cells),
        updated_at=_updated_at(cells, "modified_date", zone),
    )
    return (CaseRecord(case),)


def _closing(cells: Cells, zone: ZoneInfo) -> _When | None:
    """When care ended: the earlier of discharge and closing, which is often paperwork.

    A case that is active, or was opened again after these dates, is open: dates of an earlier end stay behind.
    """
    status = cells.optional("case_status", _CASE_STATUS, "")
    dates = [cells.optional(column, _when_in(zone), None) for column in ("discharge_date", "closed_date")]
    reopened = cells.optional("reopened_date", _when_in(zone), None)
    known = [date for date in dates if date]
    if status == "open" or (not status and reopened and all(date.at <= reopened.at for date in known)):
        return None
    if status == "closed" and not known:
        changed = cells.optional("modified_date", _when_in(zone), None)
        if changed is None and not _removed(cells):
            raise BadCell("case_status", "says that the case is closed, but no date says when")
        return changed
    return min(known, key=lambda date: date.at, default=None)


_PATIENT_FIELDS = {
    "first_name": ("first_name",),
    "last_name": ("last_name",),
    "email": ("email",),
    "phone": ("phone",),
    "language": ("language",),
    "clinic_id": ("clinic_id",),
}


def _patient(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    patient_id = cells.required("patient_id", values.cell_identifier)
    if _removed(cells):  # nothing else in the row counts, beyond what keeps surveys away as well
        return _protection(cells)
    clinic_id = cells.optional("clinic_id", values.cell_identifier, "")
    zone = cells.zone_of(clinic_id)
    status = cells.optional("status", _PATIENT_STATUS, "active")
    patient = Patient(
        patient_id=patient_id,
        first_name=cells.optional("first_name", values.words, ""),
        last_name=cells.optional("last_name", values.words, ""),
        email=cells.optional("email", values.email, ""),
        phone=cells.optional("phone", values.words, ""),
        language=cells.optional("language", parse_language, Language.ENGLISH),
        clinic_id=clinic_id,
        opted_out=cells.optional("email_opt_out", values.flag, False),
        deceased=status == "deceased" or cells.optional("deceased", _is_deceased(zone), False),
        archived=status == "archived",
        updated_at=_updated_at(cells, "modified_date", zone),
    )
    return (PatientRecord(patient, _patient_absent(cells)),)


def _protection(cells: Cells) -> tuple[PatientRecord, ...]:
    patient_id = cells.readable("patient_id", values.cell_identifier, "")
    if not patient_id:
        return ()
    zone = cells.zone_of(cells.readable("clinic_id", values.cell_identifier, ""))
    status = cells.readable("status", _PATIENT_STATUS, "active")
    changed = cells.readable("modified_date", _when_in(zone), None)
    return protection(
        patient_id,
        opted_out=cells.readable("email_opt_out", values.flag, False),
        deceased=status == "deceased" or cells.readable("deceased", _is_deceased(zone), False),
        archived=status == "archived" or cells.readable("export_flag", _is_removed, False),
        updated_at=changed.at if changed else None,
    )


def _patient_absent(cells: Cells) -> frozenset[str]:
    """What a file has no columns for."""
    absent = {"tags"} | cells.absent(_PATIENT_FIELDS)
    if not cells.texts.get("clinic_id"):
        absent.add("clinic_id")
    if not {"status", "deceased"} & cells.texts.keys():
        absent.add("deceased")
    if not {"status", "export_flag"} & cells.texts.keys():
        absent.add("archived")
    return frozenset(absent)


def _therapist(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    therapist_id = cells.required("therapist_id", values.cell_identifier)
    parts = [cells.optional(column, values.words, "") for column in ("first_name", "last_name")]
    name = cells.optional("therapist_name", values.words, "") or " ".join(filter(None, parts))
    if not name:
        raise BadCell("therapist_name", "is empty")
    return (NameRecord(Named.THERAPIST, (therapist_id,), name),)


def _clinic(cells: Cells, rules: IntakeRules) -> tuple[Record, ...]:
    clinic_id = cells.required("clinic_id", values.cell_identifier)
    return (NameRecord(Named.CLINIC, (clinic_id,), cells.required("clinic_name", values.words)),)


# Which table a file is, and which of its columns is which.


@dataclass(frozen=True, slots=True)
class _Table:
    name: str
    to_records: Callable[[Cells, IntakeRules], tuple[Record, ...]]
    required: tuple[tuple[str, ...], ...]  # of each group, the file must have one column at least
    synonyms: Mapping[str, tuple[str, ...]]  # further names of a column, the likeliest first
    hallmark: tuple[str, ...] = ()  # columns that no other format and table has together
    foreign: tuple[str, ...] = ()  # columns that show the file to be another table
    heard: Callable[[Cells], tuple[Record, ...]] = nothing  # in a row that is refused
    needs_mark: bool = False  # looks too much like other CSV files to be taken without `export_flag` or a mapping

    def columns_in(self, names: Sequence[str], rules: IntakeRules) -> dict[str, int]:
        """Where each of the table's columns stands in a header."""
        found = {}
        for column in WEBPT_COLUMNS[self.name]:
            chosen = rules.webpt_columns.get(f"{self.name}.{column}")
            candidates = (_name_of(chosen),) if chosen else (_name_of(column), *self.synonyms.get(column, ()))
            place = next((names.index(name) for name in candidates if name in names), None)
            if place is not None:
                found[column] = place
        return found

    def missing(self, found: Mapping[str, int]) -> list[tuple[str, ...]]:
        """The required columns that a header lacks."""
        return [group for group in self.required if not set(group) & found.keys()]

    def bears_hallmark(self, found: Mapping[str, int]) -> bool:
        """Whether the columns can be no other format's."""
        return bool(self.hallmark) and set(self.hallmark) <= found.keys()


def _name_of(text: str) -> str:
    """A name without regard to case, spaces and signs: `E-mail` is `email`, `Patient ID` is `patient_id`."""
    return re.sub(r"[\W_]", "", text.casefold()) or text.strip()


_MODIFIED = ("lastmodified", "lastmodifieddate", "datemodified", "modifiedon", "modifiedat", "modified", "timestamp")
_IDS = {
    "patient_id": ("ptid", "patientnumber", "webptpatientid"),
    "case_id": ("caseno", "casenumber", "patientcaseid"),
    "clinic_id": ("facilityid", "locationid"),
    "therapist_id": ("providerid", "treatingtherapistid"),
    "modified_date": (*_MODIFIED, "updatedat", "lastupdated"),
}
_NOTE = {
    **_IDS,
    "visit_date": ("dateofservice", "servicedate", "dos", "dateofvisit", "notedate"),
    "note_type": ("visittype", "notetypecode", "notetypeabbreviation"),
    "note_finalized_date": ("finalizeddate", "finalizedate", "datefinalized", "notefinalized", "finalizedon"),
    "check_in_time": ("checkin", "checkedin", "checkintime", "checkedinat"),
}
_WHO = (("patient_id",), ("case_id",), ("clinic_id",))

_TABLES = (
    _Table(
        "appointments",
        _appointment,
        (("appointment_id",), *_WHO, ("start_date",), ("appointment_status",), ("check_in_time",)),
        {
            **_IDS,
            "appointment_id": ("appointmnetid", "apptid"),  # the first is how WebPT spells it
            "start_date": ("startdatetime", "starttime", "appointmentstart", "appointmentdate"),
            "end_date": ("enddatetime", "endtime", "appointmentend"),
            "check_in_time": ("checkin", "checkindate", "checkedinat"),
            "check_out_time": ("checkout", "checkoutdate", "checkedoutat"),
            "appointment_status": ("apptstatus", "status"),
            "appointment_type": ("appttype", "aptappttype"),
            "reason": ("cancelreason", "cancellationreason"),
            "time_stamp": ("modifieddate", *_MODIFIED),
        },
        hallmark=("appointment_id", "start_date"),
    ),
    _Table(
        "charges",
        _charge,
        (("record_id",), *_WHO, ("visit_date",), ("note_finalized_date",), ("note_type", "cpt")),
        {**_NOTE, "record_id": ("chargeid",), "cpt": ("cptcode",)},
        hallmark=("record_id", "cpt"),
    ),
    _Table(
        "visits",
        _visit,
        (("visit_id",), *_WHO, ("visit_date",), ("note_finalized_date", "check_in_time")),
        {**_NOTE, "visit_id": ("noteid", "visitnoteid")},
        hallmark=("visit_date", "note_finalized_date"),
        foreign=("appointment_id", "appointmnet_id", "cpt"),
    ),
    _Table(
        "cases",
        _case,
        (("case_id",), ("patient_id",), ("closed_date", "discharge_date", "case_status")),
        {
            **_IDS,
            "closed_date": ("caseclosed", "casecloseddate", "caseclosedate", "closedate", "dateclosed", "closedon"),
            "discharge_date": ("casedischargedate", "dischargeddate", "datedischarged", "dischargedon"),
            "reopened_date": ("reopendate", "casereopeneddate", "datereopened", "reopenedon"),
        },
        foreign=("visit_id", "appointment_id", "appointmnet_id", "authorization_id", "otc_id", "cpt"),
    ),
    _Table(
        "patients",
        _patient,
        (("patient_id",), ("first_name",), ("last_name",), ("email",)),
        {
            **_IDS,
            "first_name": ("patientfirstname", "ptfirstname", "fname", "givenname"),
            "last_name": ("patientlastname", "ptlastname", "lname", "surname", "familyname"),
            "email": ("emailaddress", "patientemail", "patientemailaddress", "primaryemail"),
            "phone": ("cellphone", "mobilephone", "mobile", "phonenumber", "primaryphone", "homephone"),
            "language": ("preferredlanguage", "primarylanguage", "patientlanguage"),
            "email_opt_out": ("optout", "emailoptedout", "optedout", "donotemail", "noemail", "emailunsubscribed"),
            "deceased": ("isdeceased", "deceaseddate", "dateofdeath", "deathdate"),
            "status": ("patientstatus", "active", "isactive"),
        },
        foreign=("visit_id", "appointment_id", "appointmnet_id", "authorization_id", "cpt"),
        heard=_protection,
    ),
    _Table(
        "therapists",
        _therapist,
        (("therapist_id",), ("therapist_name", "last_name")),
        {"therapist_name": ("fullname", "name"), "first_name": ("fname",), "last_name": ("lname",)},
        foreign=("patient_id", "visit_id", "case_id"),
        needs_mark=True,
    ),
    _Table(
        "clinics",
        _clinic,
        (("clinic_id",), ("clinic_name",)),
        {"clinic_name": ("facilityname", "locationname", "name")},
        foreign=("patient_id", "visit_id", "case_id", "therapist_id"),
        needs_mark=True,
    ),
)

_NAMES = ", ".join(table.name for table in _TABLES)

LOOKED_FOR = f"a table of WebPT's extract ({_NAMES})"


def columns_called(table: str, name: str, rules: IntakeRules) -> list[str]:
    """The columns of a table that a column with this name is taken for."""
    its = next(one for one in _TABLES if one.name == table)
    return list(its.columns_in([_name_of(name)], rules))


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if its header is that of a table of the extract, by WebPT's, usual or the practice's own names.

    Our own CSV goes first unless there is an `export_flag`.
    """
    lines = Lines(file)
    header = read_header(lines)
    if header is None:
        return None
    names, rules = [_name_of(name) for name in header.names], context.rules
    is_flagged = "exportflag" in names
    if careloop_csv.is_ours(header.names) and not is_flagged:
        return None
    is_marked = is_flagged or any(_name_of(name) in names for name in rules.webpt_columns.values())
    found = {table.name: table.columns_in(names, rules) for table in _TABLES}
    for table in _TABLES:
        may_be_ours = careloop_csv.resembles_ours(header.names) and not table.bears_hallmark(found[table.name])
        if (
            not table.missing(found[table.name])
            and not {_name_of(column) for column in table.foreign} & set(names)
            and (is_marked or not (table.needs_mark or may_be_ours))
        ):
            return _reading(lines, header, table, found[table.name], context)
    if is_marked or any(table.bears_hallmark(found[table.name]) for table in _TABLES):
        _refuse(header, found)
    return None


def _reading(lines: Lines, header: Header, table: _Table, found: Mapping[str, int], context: Context) -> Reading:
    kind, names = f"webpt_{table.name}", [_name_of(name) for name in header.names]
    read_names = {names[place] for place in found.values()}
    twice = [
        _shown(header.names[place]) for place, name in enumerate(names) if name in read_names and names.count(name) > 1
    ]
    if twice:
        raise FileRefused(f"The header names a column twice: {', '.join(twice)}.", kind, header.line)
    labels = {column: _shown(header.names[place]) for column, place in found.items()}

    def to_records(cells: Cells) -> tuple[Record, ...]:
        return table.to_records(_without_nothing(cells), context.rules)

    def heard(cells: Cells) -> tuple[Record, ...]:
        return table.heard(_without_nothing(cells))

    columns = Columns(len(names), found, labels)
    return Reading(kind, read_rows(lines, columns, context.zone_of, to_records, heard), header.raw)


def _without_nothing(cells: Cells) -> Cells:
    """Databases write NULL where nothing is; but people are called Null."""
    texts = {
        name: "" if text.casefold() in _NOTHING and not name.endswith("_name") else text
        for name, text in cells.texts.items()
    }
    return replace(cells, texts=texts)


def _refuse(header: Header, found: Mapping[str, Mapping[str, int]]) -> NoReturn:
    """Say what the file seems to be, which columns are wanting, and how to tell Careloop what they are called."""

    def likeness(table: _Table) -> tuple[bool, float]:
        columns = found[table.name]
        return table.bears_hallmark(columns), 1 - len(table.missing(columns)) / len(table.required)

    table = max((table for table in _TABLES if table.missing(found[table.name])), key=likeness)
    wanting = table.missing(found[table.name])
    unused = _unused(header, found[table.name])
    example = f"webpt,column:{table.name}.{wanting[0][0]},{unused[0] if unused else 'name of the column'}"
    raise FileRefused(
        f"This seems to be of WebPT's extract, but is none of the tables that Careloop reads ({_NAMES}). It is most "
        f"like {table.name}, but no column is known to be: {', '.join(' or '.join(group) for group in wanting)}. "
        f"Columns that nothing uses: {', '.join(unused) or 'none'}. "
        f"If one of these is meant, say so in settings/intake.csv (source,setting,value) with a line such as {example}",
        f"webpt_{table.name}",
        header.line,
    )


def _unused(header: Header, found: Mapping[str, int], limit: int = 60) -> list[str]:
    names = [_shown(name) for place, name in enumerate(header.names) if name and place not in found.values()]
    more = [f"and {len(names) - limit} more"] if len(names) > limit else []
    return names[:limit] + more


def _shown(name: str) -> str:
    return " ".join(name.split())[:60]

"""HL7 v2 messages in files: admissions and registrations (ADT), appointments (SIU)."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import IO, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from functions.import_visits.readers import values
from functions.import_visits.readers.hl7_messages import NULL, Message, Segments, Unusable, begins, cut, parse
from functions.import_visits.records import (
    CaseRecord,
    Context,
    MergeRecord,
    PatientRecord,
    Reading,
    Record,
    Refusal,
    Row,
    VisitRecord,
    protection,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.domain.intake import IntakeRules, kind_of
from shared.domain.patient import Patient, parse_language
from shared.domain.settings import is_email

LOOKED_FOR = "a file of HL7 v2 messages, which begins with MSH, or with BHS or FHS for a batch"

T = TypeVar("T")


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if it begins as HL7 v2. A message that cannot be read is refused alone, and the next is read."""
    return Reading("hl7", _rows(file, context)) if begins(head) else None


def _rows(file: IO[bytes], context: Context) -> Iterator[Row | Refusal]:
    for piece in cut(file):
        raw = piece.raw
        if piece.fault:
            yield Refusal(piece.line, raw, "", piece.fault)
            continue
        message = None
        try:
            message = parse(raw)
            records = _records(message, context)
        except Unusable as fault:
            heard = _heard(message, context) if message else ()
            yield Refusal(piece.line, raw, fault.column, fault.reason, heard)
        else:
            if any(map(_cannot_be_mailed, message.patients)):
                yield Refusal(piece.line, raw, "PID-13", _ALL_BUT_THE_ADDRESS, records)
            else:
                yield Row(piece.line, raw, records)


_ALL_BUT_THE_ADDRESS = "is not an address that can be mailed; everything else was taken in"


def _heard(message: Message, context: Context) -> tuple[Record, ...]:
    """What counts, whatever else is wrong with the message: reasons not to mail its patients, and who is one."""
    kind, event = _readable(lambda: _type(message), ("", ""))
    is_of_one = message.counts["EVN"] <= 1 and (message.counts["PID"] <= 1 or event in _MERGES)
    told = event if kind == "ADT" and is_of_one else ""  # of messages run together, the event is the first one's
    return tuple(record for said in message.patients for record in _heard_of(said, told, context))


def _heard_of(said: Segments, event: str, context: Context) -> tuple[Record, ...]:
    patient_id, id_type = _readable(lambda: _patient_number(said, context.rules), ("", ""))
    if not patient_id:
        return ()
    clinic_id, is_stated = _readable(lambda: _clinic(said), ("", False))
    care = _Care(said, context.rules, patient_id, id_type, clinic_id, is_stated, context.zone_of(clinic_id))
    found = protection(
        patient_id,
        opted_out=_opts_out(said),
        deceased=_readable(lambda: _deceased(said, event), None) is True,
        archived=event == "A29",
        updated_at=_readable(lambda: care.updated_at, None),
    )
    merges = _readable(lambda: [_merge(care)], list[MergeRecord]()) if event in _MERGES else ()
    return *found, *merges


def _readable(read: Callable[[], T], default: T) -> T:
    try:
        return read()
    except Unusable:
        return default


# What a message is about.


@dataclass(frozen=True, slots=True)
class _News:
    """What an ADT event says of the visit in its PV1 segment, and of the course of care to which it belongs."""

    status: VisitStatus | None = None  # None: it does not say whether the visit takes place
    removed: bool = False
    starts: tuple[str, ...] = ("PV1-44",)  # where the visit's times stand, the best place first
    ends: tuple[str, ...] = ("PV1-45",)
    ends_course: bool = False
    resumes_course: bool = False  # an end was a mistake


_ARRIVED = _News(VisitStatus.COMPLETED, starts=("PV1-44", "EVN-6", "EVN-2", "MSH-7"))
_EXPECTED = _News(VisitStatus.SCHEDULED, starts=("PV2-8", "PV1-44"), ends=())
_CANCELLED = _News(VisitStatus.CANCELLED, removed=True, starts=("PV1-44", "PV2-8"), ends=())
_ENDED = _News(VisitStatus.COMPLETED, ends=("PV1-45", "EVN-6", "EVN-2", "MSH-7"), ends_course=True)
_RESUMED = _News(ends=(), resumes_course=True)
_MENTIONED = _News()
_NO_VISIT = None

_ADT_EVENTS = {
    **dict.fromkeys(("A01", "A04", "A06", "A07"), _ARRIVED),
    **dict.fromkeys(("A05", "A14"), _EXPECTED),
    **dict.fromkeys(("A11", "A27", "A38"), _CANCELLED),
    "A03": _ENDED,
    "A13": _RESUMED,
    **dict.fromkeys(("A02", "A08", "A09", "A10", "A12", "A21", "A22"), _MENTIONED),
    **dict.fromkeys(("A32", "A33", "A52", "A53", "A54", "A55"), _MENTIONED),
    **dict.fromkeys(("A15", "A16", "A25", "A26", "A28", "A29", "A31", "A60", "A61", "A62"), _NO_VISIT),
}

_MERGES = frozenset({"A18", "A30", "A34", "A36", "A39", "A40", "A47"})  # A47: one patient's number was corrected

_OTHER_ADT_EVENTS = {
    "A17": "swaps the beds of two patients",
    "A20": "tells of a bed",
    "A23": "clears an archive",
    "A24": "links two patients without making them one",
    "A35": "merges accounts",
    "A37": "separates two patients",
    "A41": "merges accounts",
    "A42": "merges visits",
    "A43": "moves a number from one patient to another",
    "A44": "moves an account from one patient to another",
    "A45": "moves a visit from one account or patient to another",
    "A46": "changes a number by which Careloop does not know the patient",
    "A48": "changes a number by which Careloop does not know the patient",
    "A49": "changes the number of an account",
    "A50": "changes the number of a visit",
    "A51": "changes the number of a visit",
}

_SIU_EVENTS: dict[str, VisitStatus | None] = {  # None: what the appointment's own status (SCH-25) says
    **dict.fromkeys(("S12", "S13", "S27"), VisitStatus.SCHEDULED),  # unless SCH-25 says more
    **dict.fromkeys(("S14", "S18", "S19", "S20", "S21", "S22"), None),
    "S15": VisitStatus.CANCELLED,
    "S16": VisitStatus.CANCELLED,  # broken off while in progress
    "S17": VisitStatus.CANCELLED,  # and removed
    "S26": VisitStatus.NO_SHOW,
}


def _records(message: Message, context: Context) -> tuple[Record, ...]:
    kind, event = _type(message)
    if kind == "ADT":
        return _adt(message, event, context)
    if kind == "SIU":
        return _siu(message, event, context)
    raise Unusable("MSH-9", f"is a message of type {kind}, which Careloop does not take in")


def _type(message: Message) -> tuple[str, str]:
    """Type and event; EVN-1 is asked for the event only if MSH-9 does not say it."""
    kind = message.common.value("MSH-9").upper()
    event = (message.common.value("MSH-9.2") or message.common.value("EVN-1")).upper()
    if not re.fullmatch("[A-Z]{3}", kind):
        raise Unusable("MSH-9", "does not say what type of message this is")
    if kind in ("ADT", "SIU") and not re.fullmatch("[A-Z][A-Z0-9]{2}", event):
        raise Unusable("MSH-9", "does not say which event the message tells of")
    return kind, event


def _adt(message: Message, event: str, context: Context) -> tuple[Record, ...]:
    if event in _MERGES:
        _expect_once(message, "EVN")
        cares = [_care(said, context) for said in _patients(message)]
        return tuple(record for care in cares for record in (_patient(care, event), _merge(care)))
    if event in _OTHER_ADT_EVENTS:
        reason = f"{_OTHER_ADT_EVENTS[event]} (event {event}), which Careloop does not take in"
        raise Unusable("MSH-9", reason)
    if event not in _ADT_EVENTS:
        raise Unusable("MSH-9", f"is an ADT message of event {event}, which Careloop does not take in")
    _expect_once(message, "EVN", "PID")
    (said,) = _patients(message)
    care = _care(said, context)
    return (_patient(care, event), *_attendance(care, _ADT_EVENTS[event]))


def _siu(message: Message, event: str, context: Context) -> tuple[Record, ...]:
    """An appointment, of one patient or of a group."""
    if event not in _SIU_EVENTS:
        raise Unusable("MSH-9", f"is an SIU message of event {event}, which Careloop does not take in")
    _expect_once(message, "SCH")
    if "SCH" not in message.common:
        raise Unusable("SCH", "is missing: the message may be cut off")
    cares = [_care(said, context) for said in _patients(message)]
    return tuple(record for care in cares for record in (_patient(care, event), _appointment(care, event)))


def _expect_once(message: Message, *names: str) -> None:
    for name in names:
        if message.counts[name] > 1:
            raise Unusable(name, "comes more than once: the header (MSH) of a message is probably missing")


def _patients(message: Message) -> tuple[Segments, ...]:
    if not message.patients:
        raise Unusable("PID", "is missing: the message names no patient")
    return message.patients


# Patients.


class _Moment(NamedTuple):
    at: datetime
    has_time: bool
    path: str  # where it stands


@dataclass(frozen=True, slots=True)
class _Care:
    """What a message says about one patient, and what all records made of it have in common."""

    said: Segments
    rules: IntakeRules
    patient_id: str
    id_type: str
    clinic_id: str
    clinic_is_stated: bool
    zone: ZoneInfo

    @property
    def case_id(self) -> str:
        return _text(self.said, self.rules.hl7_case_field, values.identifier)

    @property
    def updated_at(self) -> datetime | None:
        """When the message was made; None if only its day is known, which does not tell what came first."""
        made = self.moment("MSH-7", "EVN-2")
        return made.at if made and made.has_time else None

    def moment(self, *paths: str) -> _Moment | None:
        """The first of these times that the message gives."""
        for path in paths:
            if text := _stated(self.said.value(path)):
                at, has_time = _parsed(path, text, self._to_time)
                return _Moment(at, has_time, path)
        return None

    def _to_time(self, text: str) -> tuple[datetime, bool]:
        match = _TIME.fullmatch(text)
        if not match:
            raise ValueError("is not a time such as 20260302 or 202603021500-0500")
        year, month, day, hour, minute, second, offset = match.groups()
        clock = f"T{hour}:{minute or '00'}:{second or '00'}{offset or ''}" if hour else ""
        return values.moment_in(self.zone)(f"{year}-{month}-{day}{clock}"), bool(hour)


_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d+)?)?)?)?([+-]\d{4})?", re.ASCII)


def _care(said: Segments, context: Context) -> _Care:
    clinic_id, is_stated = _clinic(said)
    patient_id, id_type = _patient_number(said, context.rules)
    return _Care(said, context.rules, patient_id, id_type, clinic_id, is_stated, context.zone_of(clinic_id))


def _clinic(said: Segments) -> tuple[str, bool]:
    """The place of care, else the facility that sends, which is no word on where the patient belongs."""
    for path in ("PV1-3.4", "PV1-3.1", "AIL-3.4", "AIL-3.1"):
        if clinic_id := _text(said, path, values.identifier):
            return clinic_id, True
    return _text(said, "MSH-4", values.identifier), False


def _patient_number(said: Segments, rules: IntakeRules) -> tuple[str, str]:
    return _number(said, ("PID-3", "PID-2"), rules.hl7_patient_id_type)


def _number(said: Segments, fields: tuple[str, ...], wanted: str) -> tuple[str, str]:
    """A patient's number and its type: the first of the wanted type, else the first."""
    for path in fields:
        found = [(number[1], number[5].upper()) for number in said.repetitions(path) if number[1] not in ("", NULL)]
        if found:
            text, its_type = next((pair for pair in found if pair[1] == wanted.upper()), found[0])
            return _parsed(path, text, values.identifier), its_type
    raise Unusable(fields[0], "is empty: the message does not say who the patient is")


def _patient(care: _Care, event: str) -> PatientRecord:
    said = care.said
    name, email, phone = _name(said), _email(said), _phone(said)
    language = said.value("PID-15") or said.value("PID-15.4") or said.value("PID-15.2")
    deceased = _deceased(said, event)
    is_stated = {
        "first_name": name is not None,
        "last_name": name is not None,
        "email": email is not None,
        "phone": phone is not None,
        "language": language != "",
        "clinic_id": care.clinic_is_stated,
        "tags": False,
        "deceased": deceased is not None,
        "archived": event in ("A28", "A29"),  # the person is added to the EMR's records or deleted from them
    }
    first_name, last_name = name or ("", "")
    patient = Patient(
        patient_id=care.patient_id,
        first_name=first_name,
        last_name=last_name,
        email=email or "",
        phone=phone or "",
        language=parse_language(language),
        clinic_id=care.clinic_id,
        opted_out=_opts_out(said),
        deceased=bool(deceased),
        archived=event == "A29",
        updated_at=care.updated_at,
    )
    return PatientRecord(patient, _absent(is_stated))


def _name(said: Segments) -> tuple[str, str] | None:
    """First and last name: the legal one (type L), else the first."""
    names = [name for name in said.repetitions("PID-5") if name[1] or name[2] or name[3]]
    if not names:
        return None
    legal = next((name for name in names if name[7].upper() == "L"), names[0])
    given = _stated(legal[2]) or _stated(legal[3])
    return _parsed("PID-5", given, values.words), _parsed("PID-5", _stated(legal[1]), values.words)


def _email(said: Segments) -> str | None:
    """The first address that can be mailed; empty if it is deleted, None if PID-13 says nothing that helps."""
    addresses = _addresses(said)
    if not addresses:
        return None if addresses is None else ""
    return next(filter(is_email, addresses), None)


def _cannot_be_mailed(said: Segments) -> bool:
    addresses = _addresses(said)
    return bool(addresses) and _email(said) is None


def _addresses(said: Segments) -> list[str] | None:
    """What PID-13 marks as one and has not expired, since what looks like one is not enough; None if it has no mark."""
    if said.value("PID-13") == NULL:
        return []
    places = [
        place for place in said.repetitions("PID-13") if place[3].upper() == "INTERNET" or place[2].upper() == "NET"
    ]
    addresses = {place[4] or place[1]: place[14] for place in places if place[4] or place[1]}
    if not addresses:
        return None
    today = said.value("MSH-7")[:8]
    return [text for text, expired in addresses.items() if text != NULL and not "" < expired[:8] < today]


_PHONES = ("CP", "PH", "")  # types of PID-13.3, the best first: cell, telephone, not said


def _phone(said: Segments) -> str | None:
    if said.value("PID-13") == NULL:
        return ""
    numbers: dict[str, str] = {}
    for place in said.repetitions("PID-13"):
        number = place[1] or place[12] or " ".join(filter(None, (place[5], place[6], place[7])))
        if number and place[2].upper() != "NET":
            numbers.setdefault(place[3].upper(), number)
    number = next((numbers[kind] for kind in _PHONES if kind in numbers), "")
    return _parsed("PID-13", _stated(number), values.words) if number else None


_DIED = frozenset({"20", "40", "41", "42"})  # discharge dispositions (PV1-36)


def _deceased(said: Segments, event: str) -> bool | None:
    died_at, indicator = said.value("PID-29"), said.value("PID-30")
    if _stated(died_at) or (event == "A03" and said.value("PV1-36") in _DIED):
        return True
    if _stated(indicator):
        return _parsed("PID-30", indicator, values.flag)
    return False if NULL in (died_at, indicator) else None


def _opts_out(said: Segments) -> bool:
    """Publicity code 01: no reminder, no recall. The other codes choose the way, and Careloop has one only."""
    return said.value("PD1-11") == "01"


def _merge(care: _Care) -> MergeRecord:
    """Two numbers of the same type are one patient's: the one in MRG is retired."""
    if "MRG" not in care.said:
        raise Unusable("MRG", "is missing: the message does not say which number is retired")
    retired_id, its_type = _number(care.said, ("MRG-1", "MRG-4"), care.id_type or care.rules.hl7_patient_id_type)
    if care.id_type and its_type and its_type != care.id_type:
        raise Unusable("MRG-1", "holds no number of the type by which the patient is known (PID-3)")
    if retired_id == care.patient_id:
        raise Unusable("MRG-1", "is the number that the patient keeps (PID-3)")
    return MergeRecord(care.patient_id, retired_id)


# Visits and cases.


def _attendance(care: _Care, news: _News | None) -> Iterator[VisitRecord | CaseRecord]:
    if news is None or (news is _MENTIONED and "PV1" not in care.said):
        return
    if "PV1" not in care.said:
        raise Unusable("PV1", "is missing: the message may be cut off")
    started, ended = care.moment(*news.starts), care.moment(*news.ends)
    if visit_id := _visit_id(care, started):
        yield _visit(care, visit_id, started, ended, news.status, news.removed, news.resumes_course)
    elif news.removed:
        raise Unusable("PV1-19", "is empty: the message does not say which visit it cancels")
    elif news is _ARRIVED:
        raise Unusable("PV1-44", "is empty: the message does not say when the visit was")
    ends_course = news.ends_course and care.rules.hl7_a03_ends == "course"
    if ends_course or news.resumes_course:
        yield _case(care, ended)


def _visit_id(care: _Care, started: _Moment | None) -> str:
    """By its number (PV1-19), else its alternate number (PV1-50), else the day at the clinic; empty if unknown."""
    for prefix, path in (("visit", "PV1-19"), ("alternate", "PV1-50")):
        if number := _text(care.said, path, values.identifier):
            return _parsed(path, f"{prefix}:{number}", values.identifier)
    return f"day:{started.at.astimezone(care.zone).date()}" if started else ""


def _case(care: _Care, closed: _Moment | None) -> CaseRecord:
    case = Case(
        patient_id=care.patient_id,
        case_id=care.case_id,
        closed_at=closed.at if closed else None,
        has_time=closed.has_time if closed else True,
        updated_at=care.updated_at,
    )
    return CaseRecord(case)


def _appointment(care: _Care, event: str) -> VisitRecord:
    status, removed = _appointment_status(care.said, event)
    started, ended = _timing(care)
    if started is None and status not in (VisitStatus.CANCELLED, VisitStatus.NO_SHOW):
        raise Unusable("SCH-11", "is empty: the message does not say when the appointment is")
    return _visit(care, _appointment_id(care.said), started, ended, status, removed, end_is_stated=started is not None)


def _appointment_id(said: Segments) -> str:
    """By the number of the system that keeps the appointments, else of the one that asked for it."""
    for prefix, path in (("appointment", "SCH-2"), ("request", "SCH-1")):
        if number := _text(said, path, values.identifier):
            occurrence = _text(said, "SCH-3", values.identifier)  # of one that repeats
            return _parsed(path, f"{prefix}:{number}" + (f"/{occurrence}" if occurrence else ""), values.identifier)
    raise Unusable("SCH-2", "is empty: the message does not say which appointment it tells of")


_APPOINTMENT_STATUS = {  # SCH-25, with what EMRs add to the codes of the standard
    **dict.fromkeys(("complete", "completed", "started", "arrived", "checkedin", "checkedout"), VisitStatus.COMPLETED),
    **dict.fromkeys(("cancelled", "canceled", "dc", "deleted"), VisitStatus.CANCELLED),
    **dict.fromkeys(("booked", "pending", "waitlist", "overbook", "blocked"), VisitStatus.SCHEDULED),
    **dict.fromkeys(("scheduled", "rescheduled", "confirmed"), VisitStatus.SCHEDULED),
    "noshow": VisitStatus.NO_SHOW,
}


def _appointment_status(said: Segments, event: str) -> tuple[VisitStatus | None, bool]:
    """What became of the appointment, and whether it is removed. The event wins if it says so, as over EVN-1."""
    said_by_event = _SIU_EVENTS[event]
    code = re.sub(r"[\s_-]", "", _text(said, "SCH-25", values.words).lower())
    if said_by_event in (VisitStatus.CANCELLED, VisitStatus.NO_SHOW) or not code:
        return said_by_event, event == "S17"
    if code not in _APPOINTMENT_STATUS:
        raise Unusable("SCH-25", f"is none of: {', '.join(_APPOINTMENT_STATUS)}")
    return _APPOINTMENT_STATUS[code], code == "deleted"


_TIMINGS = (  # start, end, duration, its unit
    ("TQ1-7", "TQ1-8", "SCH-9", "SCH-10"),
    ("SCH-11.4", "SCH-11.5", "SCH-9", "SCH-10"),
    ("AIS-4", "", "AIS-7", "AIS-8"),
    ("AIL-6", "", "AIL-9", "AIL-10"),
    ("AIG-8", "", "AIG-11", "AIG-12"),
    ("AIP-6", "", "AIP-9", "AIP-10"),
)


def _timing(care: _Care) -> tuple[_Moment | None, _Moment | None]:
    """Start and end of an appointment."""
    for start, end, duration, unit in _TIMINGS:
        if started := care.moment(start):
            ended = care.moment(end) if end else None
            length = _duration(care.said, duration, unit) or _duration(care.said, "SCH-9", "SCH-10")
            if ended is None and length and started.has_time:
                ended = _Moment(started.at + length, True, duration)
            return started, ended
    return None, None


_UNITS = {"": 60, "S": 1, "SEC": 1, "M": 60, "MIN": 60, "MINS": 60, "MINUTES": 60, "H": 3600, "HR": 3600}


def _duration(said: Segments, duration: str, unit: str) -> timedelta | None:
    """In minutes if no unit is given; None if it makes no sense, since a visit without an end is still a visit."""
    number, seconds = said.value(duration), _UNITS.get(said.value(unit).upper())
    if seconds is None or not re.fullmatch(r"\d{1,4}", number, re.ASCII):
        return None
    return timedelta(seconds=int(number) * seconds)


def _visit(
    care: _Care,
    visit_id: str,
    started: _Moment | None,
    ended: _Moment | None,
    status: VisitStatus | None,
    removed: bool,
    end_is_stated: bool,
) -> VisitRecord:
    """The visit as the message has it; of what it does not say, it says nothing."""
    at = started or ended or care.moment("EVN-2", "MSH-7")
    if at is None:
        raise Unusable("PV1-44", "is empty: the message does not say when the visit was")
    ended_at = _end(care, started, ended)
    kind, therapist = _kind(care), _therapist(care.said)
    is_stated = {
        "case_id": care.case_id != "",
        "clinic_id": care.clinic_is_stated,
        "clinic_name": False,
        "started_at": started is not None,
        "has_time": started is not None,
        "ended_at": ended_at is not None or end_is_stated,
        "kind": kind is not None,
        "status": status is not None,
        "removed": status is not None,
        "therapist_id": therapist is not None,
        "therapist_name": therapist is not None,
    }
    therapist_id, therapist_name = therapist or ("", "")
    visit = Visit(
        patient_id=care.patient_id,
        visit_id=visit_id,
        case_id=care.case_id,
        clinic_id=care.clinic_id,
        started_at=at.at,
        has_time=at.has_time,
        ended_at=ended_at,
        kind=kind or VisitKind.TREATMENT,
        status=status or VisitStatus.SCHEDULED,
        therapist_id=therapist_id,
        therapist_name=therapist_name,
        removed=removed,
        updated_at=care.updated_at,
    )
    return VisitRecord(visit, _absent(is_stated))


def _end(care: _Care, started: _Moment | None, ended: _Moment | None) -> datetime | None:
    """None if it is not known to the minute."""
    if started and ended:
        start, end = started.at, ended.at
        if not (started.has_time and ended.has_time):
            start, end = (moment.astimezone(care.zone).replace(hour=0, minute=0, second=0) for moment in (start, end))
        if end < start:
            raise Unusable(ended.path, f"is before the start ({started.path})")
    return ended.at if ended and ended.has_time else None


_TYPES = tuple(f"{path}.{n}" for path in ("SCH-7", "SCH-8", "AIS-3", "PV1-4", "PV1-18") for n in (1, 4))  # codes


def _kind(care: _Care) -> VisitKind | None:
    """By the codes that the practice named; None if no type is given, nor a patient class (PV1-2) that was named.

    No visit is an evaluation merely because it is the first: messages begin to flow while most patients are in care.
    """
    types = [_stated(care.said.value(path)) for path in _TYPES]
    kind = kind_of([*types, care.said.value("PV1-2")], care.rules.hl7_types)
    if kind in (VisitKind.EVALUATION, VisitKind.DISCHARGE):
        return kind
    return VisitKind.TREATMENT if any(types) else None


def _therapist(said: Segments) -> tuple[str, str] | None:
    """Id and name of who treated the patient: attending, else booked, else consulting, else another provider."""
    for path in ("PV1-7", "AIP-3", "PV1-9", "PV1-17"):
        for person in said.repetitions(path):
            if person[1] or person[2]:
                name = f"{_stated(person[3])} {_stated(person[2])}"
                return _parsed(path, _stated(person[1]), values.identifier), _parsed(path, name, values.words)
    return None


# Values.


def _stated(text: str) -> str:
    """The text, without the mark that deletes what is known."""
    return "" if text == NULL else text


def _text(said: Segments, path: str, parse: Callable[[str], str]) -> str:
    return _parsed(path, _stated(said.value(path)), parse)


def _parsed(column: str, text: str, parse: Callable[[str], T]) -> T:
    try:
        return parse(text)
    except ValueError as error:
        raise Unusable(column, str(error)) from None


def _absent(is_stated: dict[str, bool]) -> frozenset[str]:
    return frozenset(name for name, stated in is_stated.items() if not stated)

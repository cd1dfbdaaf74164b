"""FHIR R4 as JSON: patients, encounters, appointments, episodes of care and names, from NDJSON or Bundles.

What is not read here never matters, whatever it holds; an element that is read and has the wrong form refuses its
resource, by its path. Codes are compared, never words.
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, TypeVar
from zoneinfo import ZoneInfo

from functions.import_visits.readers import values
from functions.import_visits.readers.fhir_resources import (
    PATIENT_OF,
    BadElement,
    Directory,
    Element,
    Entry,
    References,
    Seen,
    entries,
)
from functions.import_visits.readers.json_values import MAX_LENGTH, Broken, json_values
from functions.import_visits.records import (
    CaseRecord,
    Context,
    FileRefused,
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Reading,
    Record,
    Refusal,
    Row,
    VisitRecord,
    protection,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.domain.intake import kind_of
from shared.domain.patient import Language, Patient, parse_language
from shared.domain.settings import is_email

LOOKED_FOR = 'FHIR R4 as JSON, one resource a line (NDJSON) or in Bundles, known by "resourceType"'

T = TypeVar("T")

_RESOURCE_TYPE = b'"resourceType"'
_OPENS = re.compile(rb"^[ \t\xef\xbb\xbf]*[{\[]", re.MULTILINE)
_LIKE_JSON = re.compile(rb'\{\s*("|\}|$)|\[\s*(["{\[\]\d]|$)')


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if it is JSON that names a `resourceType`; other JSON, and FHIR in XML, is refused whole."""
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    if start.startswith(b"<") and b"http://hl7.org/fhir" in head:
        raise FileRefused("This is FHIR in XML. Send it as JSON: one resource a line (NDJSON), or Bundles.")
    if not _OPENS.search(head):
        return None
    if _RESOURCE_TYPE not in head:
        if not _LIKE_JSON.match(start):
            return None
        file.seek(0)
        if _RESOURCE_TYPE not in file.read(MAX_LENGTH):
            raise FileRefused('This is JSON, but not FHIR: nothing in it says "resourceType". It may also be cut off.')
        file.seek(0)
    return Reading("fhir", _rows(file, context))


def _rows(file: IO[bytes], context: Context) -> Iterator[Row | Refusal]:
    with closing(Directory(file)) as directory, closing(Seen()) as undated:
        for found in json_values(file):
            if isinstance(found, Broken):
                yield Refusal(found.line, found.raw, "", found.reason)
                continue
            for entry in entries(found):
                try:
                    _refuse_older_version(entry, undated)
                except BadElement as bad:
                    yield Refusal(found.line, entry.raw, bad.path, bad.reason)
                else:
                    yield _row(found.line, _Source(entry, References(entry, directory), context, directory))


def _refuse_older_version(entry: Entry, undated: Seen) -> None:
    """A history has the newest version first; of versions without a date, only that tells which one counts."""
    if entry.is_undated_version:
        version = f"{entry.type}/{entry.id}" if entry.type else "/".join(entry.deleted)
        if not undated.add(version):
            raise entry.resource.bad("meta.lastUpdated", "is empty, and a newer version of the same came before")


@dataclass(frozen=True, slots=True)
class _Source:
    """A resource, and all that helps to understand it."""

    entry: Entry
    references: References
    context: Context
    directory: Directory

    @property
    def resource(self) -> Element:
        """The resource itself."""
        return self.entry.resource

    @property
    def updated_at(self) -> datetime | None:
        """When it was last changed, if that is known."""
        return self.entry.updated_at(self.context.zone_of(""))


def _row(line: int, source: _Source) -> Row | Refusal:
    try:
        return Row(line, source.entry.raw, _records(source))
    except BadElement as bad:
        return Refusal(line, source.entry.raw, bad.path, bad.reason, _heard(source))


def _heard(source: _Source) -> tuple[Record, ...]:
    """What counts of a patient who is refused: that they are dead, archived or somebody else."""
    it = source.resource
    patient_id = _readable(lambda: source.entry.id, "") if source.entry.type == "Patient" else ""
    if not patient_id:
        return ()
    found = protection(
        patient_id,
        opted_out=False,
        deceased=_readable(lambda: _is_deceased(it), False),
        archived=_readable(lambda: it.flag("active") is False, False),
        updated_at=_readable(lambda: source.updated_at, None),
    )
    return *found, *_readable(lambda: _merges(source), list[MergeRecord]())


def _readable(read: Callable[[], T], default: T) -> T:
    try:
        return read()
    except BadElement:
        return default


def _records(source: _Source) -> tuple[Record, ...]:
    """All that the resource says."""
    entry = source.entry
    if entry.is_deletion and not entry.type:
        return (_deletion(source),)
    if entry.is_deletion and entry.type not in PATIENT_OF:
        raise entry.about.bad("request.method", _UNDELETABLE)
    if not entry.type:
        raise BadElement("resourceType", "is missing: this is no FHIR resource")
    if entry.type not in _TYPES:
        raise BadElement("resourceType", f"is of type {entry.type}, which Careloop does not take in")
    return _TYPES[entry.type](source)


# Patients.


_SAID_BY = {
    "first_name": ("name",),
    "last_name": ("name",),
    "language": ("communication",),
    "archived": ("active",),
    "deceased": ("deceasedBoolean", "deceasedDateTime", "_deceasedDateTime"),
}
_SAID_BY_TELECOM = {"email": ("telecom",), "phone": ("telecom",)}
_NAME_USES = {"official": 0, "usual": 1}
_FORMER = ("old", "maiden")


def _patient(source: _Source) -> tuple[Record, ...]:
    """A patient's resource is complete: without an email there is none, rather than one that is not told.

    But nobody comes back from the dead or from the archive, nor changes language, because a resource leaves it out.
    """
    it, patient_id = source.resource, source.entry.id
    meta = it.element("meta")
    day = meta.text("lastUpdated")[:10]
    name = _best_name(it, day)
    clinic_id = source.references.id_of(it.element("managingOrganization"), "Organization")
    patient = Patient(
        patient_id=patient_id,
        first_name=name.meaning("given", next(iter(name.texts("given")), ""), values.words),
        last_name=name.parsed("family" if name.members.get("family") or name.texts("given") else "text", values.words),
        email=_email(it, day),
        phone=_phone(it, day),
        language=_language(it),
        clinic_id=clinic_id,
        deceased=_is_deceased(it),
        archived=it.flag("active") is False,
        updated_at=source.updated_at,
    )
    is_extract = any(tag.text("code") == "SUBSETTED" for tag in meta.elements("tag"))
    absent = _unsaid(it, {**_SAID_BY, **(_SAID_BY_TELECOM if is_extract else {})})
    absent |= {"tags"} if clinic_id else {"tags", "clinic_id"}
    return PatientRecord(patient, absent), *_merges(source)


def _unsaid(it: Element, said_by: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    return frozenset(
        name for name, members in said_by.items() if all(it.members.get(member) in (None, []) for member in members)
    )


def _best_name(it: Element, day: str) -> Element:
    """The official name, else the usual one, else the first; a former or lapsed name only if there is no other."""
    names = [name for name in it.elements("name") if any(map(name.members.get, ("family", "given", "text")))]

    def rank(name: Element) -> tuple[bool, int]:
        use = name.text("use")
        return use in _FORMER or not _is_current(name, day), _NAME_USES.get(use, len(_NAME_USES))

    return min(names, key=rank, default=Element(path=it.path))


def _is_current(holder: Element, day: str) -> bool:
    """Whether it holds on the day on which the resource was last changed; a year or month stands for all its days.

    If no such day is known, what has an end is over: ends are noted when they come.
    """
    period = holder.element("period")
    start, end = period.text("start")[:10], period.text("end")[:10]
    if end and (not day or end < day[: len(end)]):
        return False
    return not (start and day and start > day[: len(start)])


def _ways_to_reach(it: Element, system: str, day: str) -> list[Element]:
    """The patient's phones or emails: current ones, the best first."""
    ways = [
        way
        for way in it.elements("telecom")
        if way.text("system") == system and way.text("value") and way.text("use") != "old" and _is_current(way, day)
    ]
    return sorted(ways, key=_rank)


def _rank(way: Element) -> float:
    rank = way.members.get("rank")
    return rank if isinstance(rank, (int, float)) and rank > 0 else float("inf")


def _email(it: Element, day: str) -> str:
    ways = _ways_to_reach(it, "email", day)
    addresses = (way.text("value").removeprefix("mailto:") for way in ways)
    if ways and not (found := next(filter(is_email, addresses), "")):
        return ways[0].parsed("value", values.email)
    return found if ways else ""


def _phone(it: Element, day: str) -> str:
    ways = sorted(_ways_to_reach(it, "phone", day), key=lambda way: way.text("use") != "mobile")
    return ways[0].parsed("value", values.words) if ways else ""


def _language(it: Element) -> Language:
    """The preferred language, else the first."""
    spoken = sorted(it.elements("communication"), key=lambda communication: communication.flag("preferred") is not True)
    for language in (communication.element("language") for communication in spoken[:1]):
        codes = [coding.text("code") for coding in language.elements("coding")] or [language.text("text")]
        return next((known for known in map(parse_language, codes) if known is not Language.ENGLISH), Language.ENGLISH)
    return Language.ENGLISH


def _is_deceased(it: Element) -> bool:
    """A date of death says so, even if it cannot be read or is itself said to be unknown."""
    is_dated = any(it.members.get(member) is not None for member in ("deceasedDateTime", "_deceasedDateTime"))
    return is_dated or it.flag("deceasedBoolean") is True


def _merges(source: _Source) -> list[MergeRecord]:
    """Links to another record of the same patient, from the one that is retired or from the one that remains."""
    found = []
    for link in source.resource.elements("link"):
        kind = link.text("type")
        if kind in ("replaced-by", "replaces"):
            this, other = source.entry.id, source.references.patient_id(link.element("other"))
            remaining, retired = (other, this) if kind == "replaced-by" else (this, other)
            if remaining != retired:
                found.append(MergeRecord(remaining, retired))
    return found


# Visits.


_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # stands where a visit that does not count has none
_TIMES = frozenset({"started_at", "ended_at", "has_time"})
_MONTH = re.compile(r"\d{4}(-\d\d)?")
_LENGTH_OF_DAY = len("2026-03-02")
_MISTAKEN = "entered-in-error"
_UNDELETABLE = "says that it was deleted; Careloop takes deletions of visits and cases only"

_ENCOUNTERS = {
    "finished": VisitStatus.COMPLETED,
    "cancelled": VisitStatus.CANCELLED,
    _MISTAKEN: VisitStatus.CANCELLED,
    **dict.fromkeys(("planned", "arrived", "triaged", "in-progress", "onleave", "unknown"), VisitStatus.SCHEDULED),
}
_APPOINTMENTS = {
    "cancelled": VisitStatus.CANCELLED,
    "noshow": VisitStatus.NO_SHOW,
    _MISTAKEN: VisitStatus.CANCELLED,
    # Also when fulfilled: what took place is told by an Encounter, and only that counts.
    **dict.fromkeys(
        ("proposed", "pending", "booked", "arrived", "fulfilled", "checked-in", "waitlist"), VisitStatus.SCHEDULED
    ),
}


_ROLES = ("PPRF", "ATND")  # primary performer, attender


def _encounter(source: _Source) -> tuple[Record, ...]:
    """A visit. Its class (ambulatory, virtual, at home …) does not matter."""
    it = source.resource
    case_id = _case_id(source)
    kind = kind_of(_codes(it), source.context.rules.fhir_types)
    if kind is VisitKind.UNSTATED and not case_id:  # without a case, nothing says where a course of care begins
        kind = VisitKind.TREATMENT
    places = [place.element("location") for place in it.elements("location")]
    participants = sorted(it.elements("participant"), key=_role)
    visit = _visit(
        source,
        patient_id=source.references.patient_id(it.element("subject")),
        case_id=case_id,
        kind=kind,
        status=_status(it, _ENCOUNTERS),
        period=it.element("period"),
        places=[*places, it.element("serviceProvider")],
        therapists=[participant.element("individual") for participant in participants],
    )
    return (visit,)


def _case_id(source: _Source) -> str:
    cases = source.resource.elements("episodeOfCare")
    found = next(filter(None, (source.references.id_of(case, "EpisodeOfCare") for case in cases)), "")
    if not found and any(case.text("reference") for case in cases):
        raise source.resource.bad("episodeOfCare", "names no case by an id, nor one of which this file tells the id")
    return found


def _codes(it: Element) -> Iterator[str]:
    for kind in it.elements("type"):
        for coding in kind.elements("coding"):
            if code := coding.text("code"):
                yield code
                yield f"{coding.text('system')}|{code}"


def _role(participant: Element) -> int:
    codes = {coding.text("code") for kind in participant.elements("type") for coding in kind.elements("coding")}
    return next((place for place, role in enumerate(_ROLES) if role in codes), len(_ROLES))


def _appointment(source: _Source) -> tuple[Record, ...]:
    """An appointment never counts as a visit; a group's is one for each of its patients."""
    it = source.resource
    actors = [participant.element("actor") for participant in it.elements("participant")]
    patients = dict.fromkeys(filter(None, (source.references.id_of(actor, "Patient") for actor in actors)))
    if not patients:
        raise it.bad("participant", "names no patient by an id, nor one of whom this file tells the id")
    status = _status(it, _APPOINTMENTS)
    return tuple(
        _visit(
            source,
            patient_id=patient_id,
            case_id="",
            kind=VisitKind.TREATMENT,
            status=status,
            period=it,
            places=actors,
            therapists=actors,
        )
        for patient_id in patients
    )


def _status(it: Element, statuses: Mapping[str, VisitStatus]) -> VisitStatus:
    status = it.text("status")
    if status not in statuses:
        raise it.bad("status", f"is none of: {', '.join(sorted(statuses))}")
    return statuses[status]


def _visit(
    source: _Source,
    *,
    patient_id: str,
    case_id: str,
    kind: VisitKind,
    status: VisitStatus,
    period: Element,
    places: Iterable[Element],
    therapists: Iterable[Element],
) -> VisitRecord:
    clinic_id, clinic_name = _named(source, places, "Location", "Organization")
    therapist_id, therapist_name = _named(source, therapists, "Practitioner", "PractitionerRole")
    zone = source.context.zone_of(clinic_id)
    absent = frozenset[str]()
    if period.text("start") or status is VisitStatus.COMPLETED:
        started_at, has_time = _moment(period, "start", zone)
        ended_at = _moment(period, "end", zone)[0] if len(period.text("end")) > _LENGTH_OF_DAY else None
    else:
        started_at, ended_at, has_time, absent = _NO_TIME, None, True, _TIMES
    if ended_at and ended_at < started_at:
        raise period.bad("end", "is before the start")
    visit = Visit(
        patient_id=patient_id,
        visit_id=f"{source.entry.type}/{source.entry.id}",
        case_id=case_id,
        clinic_id=clinic_id,
        started_at=started_at,
        kind=kind,
        status=status,
        ended_at=ended_at,
        therapist_id=therapist_id,
        therapist_name=therapist_name,
        clinic_name=clinic_name,
        removed=_is_removed(source),
        has_time=has_time,
        updated_at=source.updated_at,
    )
    return VisitRecord(visit, absent)


def _named(source: _Source, references: Iterable[Element], *types: str) -> tuple[str, str]:
    """The id of the first resource of these types that is referred to, and what the reference calls it."""
    for reference in references:
        if found := source.references.id_of(reference, *types):
            label = reference.members.get("display")
            return found, values.words(label[: values.MAX_LENGTH]) if isinstance(label, str) else ""
    return "", ""


def _moment(holder: Element, name: str, zone: ZoneInfo) -> tuple[datetime, bool]:
    """The moment, and whether the time of day is known."""
    text = holder.text(name)
    if not text:
        raise holder.bad(name, "is empty")
    if _MONTH.fullmatch(text):
        raise holder.bad(name, "gives a year or a month, but not the day")
    return holder.meaning(name, text, values.moment_in(zone)), len(text) > _LENGTH_OF_DAY


def _is_removed(source: _Source) -> bool:
    return source.resource.text("status") == _MISTAKEN or source.entry.is_deletion


def _deletion(source: _Source) -> Record:
    """What was deleted, by type and id alone: another version of it in the file tells whose it was."""
    request = source.entry.about.element("request")
    kind, deleted_id = source.entry.deleted
    if kind not in PATIENT_OF:
        raise request.bad("method", _UNDELETABLE)
    patient_id = source.directory.patient_of(kind, deleted_id)
    if not patient_id:
        raise request.bad("url", "was deleted, but nothing in this file says whose it was")
    patient_id = request.meaning("url", patient_id, values.identifier)
    deleted_id = request.meaning("url", deleted_id, values.identifier)
    if kind == "EpisodeOfCare":
        case = Case(patient_id, deleted_id, removed=True, updated_at=source.updated_at)
        return CaseRecord(case, frozenset({"closed_at", "has_time"}))
    visit = Visit(
        patient_id=patient_id,
        visit_id=f"{kind}/{deleted_id}",
        case_id="",
        clinic_id="",
        started_at=_NO_TIME,
        kind=VisitKind.TREATMENT,
        status=VisitStatus.CANCELLED,
        removed=True,
        updated_at=source.updated_at,
    )
    unsaid = {"case_id", "clinic_id", "clinic_name", "therapist_id", "therapist_name", "kind", "status"}
    return VisitRecord(visit, _TIMES | unsaid)


# Cases and names.


_OPEN = ("planned", "waitlist", "active", "onhold")
_CLOSED = ("finished", "cancelled")


def _episode_of_care(source: _Source) -> tuple[Record, ...]:
    """A case; closed when its period ends or, if that is not told, when it was last changed."""
    it = source.resource
    status = it.text("status")
    if status not in (*_OPEN, *_CLOSED, _MISTAKEN):
        raise it.bad("status", f"is none of: {', '.join((*_OPEN, *_CLOSED, _MISTAKEN))}")
    closed_at, has_time = None, True
    if status in _CLOSED:
        period = it.element("period")
        if not period.text("end") and source.updated_at:
            closed_at = source.updated_at
        else:
            manager = source.references.id_of(it.element("managingOrganization"), "Organization")
            closed_at, has_time = _moment(period, "end", source.context.zone_of(manager))
    case = Case(
        patient_id=source.references.patient_id(it.element("patient")),
        case_id=source.entry.id,
        closed_at=closed_at,
        has_time=has_time,
        removed=_is_removed(source),
        updated_at=source.updated_at,
    )
    return (CaseRecord(case),)


def _practitioner(source: _Source) -> tuple[Record, ...]:
    """What a therapist is called."""
    name = _best_name(source.resource, "")
    parts = (*name.texts("prefix"), *name.texts("given"), name.text("family"))
    return (_name(source, Named.THERAPIST, name.text("text") or " ".join(parts)),)


def _location(source: _Source) -> tuple[Record, ...]:
    """What a clinic is called."""
    return (_name(source, Named.CLINIC, source.resource.text("name")),)


def _name(source: _Source, named: Named, text: str) -> NameRecord:
    it = source.resource
    name = it.meaning("name", text, values.words)
    if not name:
        raise it.bad("name", "is empty")
    identifiers = (identifier.parsed("value", values.identifier) for identifier in it.elements("identifier"))
    return NameRecord(named, tuple(dict.fromkeys(filter(None, (source.entry.id, *identifiers)))), name)


_TYPES: Mapping[str, Callable[[_Source], tuple[Record, ...]]] = {
    "Patient": _patient,
    "Encounter": _encounter,
    "Appointment": _appointment,
    "EpisodeOfCare": _episode_of_care,
    "Practitioner": _practitioner,
    "Location": _location,
}

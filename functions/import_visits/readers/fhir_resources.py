"""FHIR's resources: what their elements hold, what Bundles say of them, and whom they refer to."""

import json
import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, TypeVar
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from functions.import_visits.readers import values
from functions.import_visits.readers.json_values import Found, json_values

T = TypeVar("T")

PATIENT_OF = {"Encounter": "subject", "Appointment": "participant", "EpisodeOfCare": "patient"}
"""The types that belong to a patient, and the element that says to whom."""

_BY_IDENTIFIER = ("Patient", "EpisodeOfCare")  # what must be one and the same, however it is referred to
_TYPE = re.compile(r"[A-Z][A-Za-z]{1,50}")
_REFERENCE = re.compile(r"(?:.*/)?([A-Z][A-Za-z]{1,50})/([^/]+)(?:/_history/[^/]*)?")
_IDENTIFIER = re.compile(r"(?:^|&)identifier=([^&]+)")


class BadElement(Exception):
    """An element that cannot be used, by its path, and why."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason


@dataclass(frozen=True, slots=True)
class Element:
    """A JSON object and its path in the resource. What is null is missing; a wrong form is a BadElement."""

    members: Mapping[str, object] = field(default_factory=dict)
    path: str = ""

    def bad(self, name: str, reason: str) -> BadElement:
        """What is wrong with a member."""
        return BadElement(self._path(name), reason)

    def element(self, name: str) -> "Element":
        """An object; one without members if it is missing."""
        return self._element(name, self.members.get(name, {}))

    def elements(self, name: str) -> list["Element"]:
        """A list of objects."""
        return [self._element(place, value) for place, value in self._list(name)]

    def text(self, name: str) -> str:
        """A text without blanks around it; empty if it is missing."""
        return self._text(name, self.members.get(name))

    def texts(self, name: str) -> list[str]:
        """A list of texts; empty ones are left out."""
        return list(filter(None, (self._text(place, value) for place, value in self._list(name))))

    def flag(self, name: str) -> bool | None:
        """True or false; None if it is missing."""
        value = self.members.get(name)
        if value is None or isinstance(value, bool):
            return value
        raise self.bad(name, "should be true or false")

    def parsed(self, name: str, parse: Callable[[str], T]) -> T:
        """What the text means."""
        return self.meaning(name, self.text(name), parse)

    def meaning(self, name: str, text: str, parse: Callable[[str], T]) -> T:
        """What a text means that was found in this member."""
        try:
            return parse(text)
        except ValueError as error:
            raise self.bad(name, str(error)) from None

    def _path(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name

    def _element(self, name: str, value: object) -> "Element":
        if value is not None and not isinstance(value, dict):
            raise self.bad(name, "should be an object")
        return Element(value or {}, self._path(name))

    def _list(self, name: str) -> Iterator[tuple[str, object]]:
        found = self.members.get(name)
        if found is not None and not isinstance(found, list):
            raise self.bad(name, "should be a list")
        return ((f"{name}[{place}]", value) for place, value in enumerate(found or ()) if value is not None)

    def _text(self, name: str, value: object) -> str:
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self.bad(name, "should be text")
        return value.strip() if value.isascii() else self.meaning(name, value, _readable)


def _readable(text: str) -> str:
    """The text; if it was not written in UTF-8, then in Windows-1252, like some lines of real exports."""
    try:
        text.encode()
    except UnicodeEncodeError:
        try:
            text = text.encode("utf-8", "surrogateescape").decode("cp1252")
        except UnicodeError:
            raise ValueError("holds characters that do not exist") from None
    return text.strip()


@dataclass(frozen=True, slots=True)
class Entry:
    """A resource, and what its Bundle says of it."""

    raw: bytes
    resource: Element  # its path is its type; empty if there is no resource
    about: Element  # the entry of the Bundle
    bundle: Element
    document: int

    @property
    def type(self) -> str:
        """The resource's type; empty if there is no resource."""
        return self.resource.path

    @property
    def id(self) -> str:
        """The resource's id; if a server has yet to give it one, its name in the Bundle."""
        found = self.resource.text("id") or self.about.text("fullUrl").partition("urn:uuid:")[2]
        if not found:
            raise self.resource.bad("id", "is empty")
        return self.resource.meaning("id", found, values.identifier)

    @property
    def is_deletion(self) -> bool:
        """Whether the Bundle says that the resource was deleted."""
        return self.about.element("request").text("method") == "DELETE"

    @property
    def deleted(self) -> tuple[str, str]:
        """Type and id of what was deleted."""
        return _type_and_id(self.about.element("request").text("url"))

    @property
    def is_undated_version(self) -> bool:
        """Whether this is one of several versions of a resource, and nothing tells when it was made."""
        is_version = self.bundle.members.get("type") == "history"
        return is_version and not self.updated_at(ZoneInfo("UTC"))

    def updated_at(self, zone: ZoneInfo) -> datetime | None:
        """When the resource was last changed, if that is known."""
        meta, response = self.resource.element("meta"), self.about.element("response")
        for element, name in ((meta, "lastUpdated"), (response, "lastModified")):
            if element.text(name):
                return element.parsed(name, values.moment_in(zone))
        return None


def entries(found: Found) -> Iterator[Entry]:
    """The resource that was found; of a Bundle within a Bundle, what it holds."""
    waiting: list[tuple[object, bytes, Mapping[str, object]]] = [(found.value, found.raw, found.bundle)]
    while waiting:
        value, raw, bundle = waiting.pop()
        about: Mapping[str, object] = {}
        if (
            isinstance(value, dict)
            and "resourceType" not in value
            and value.keys() & {"resource", "request", "fullUrl"}
        ):
            about, value = value, value.get("resource")
        if not isinstance(value, dict):
            value = {}
        held = value.get("entry", [])
        if value.get("resourceType") == "Bundle" and isinstance(held, list):
            waiting += [(entry, json.dumps(entry).encode(), value) for entry in reversed(held)]
        else:
            kind = value.get("resourceType")
            path = kind if isinstance(kind, str) and _TYPE.fullmatch(kind) else ""
            yield Entry(raw, Element(value, path), Element(about), Element(bundle), found.document)


class Directory:
    """What is behind names that mean something within one file only: places in its Bundles, identifiers, versions.

    It is made by reading the file once more, only when it is first asked, and lies on disk.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._database: sqlite3.Connection | None = None

    def close(self) -> None:
        """Forget everything."""
        if self._database:
            self._database.close()

    def reference_of(self, entry: Entry, name: str) -> str:
        """Type and id of the resource with this name in the same Bundle; empty if there is none."""
        return self._find(f"{entry.document} {name}")

    def id_of(self, kind: str, identifier: str) -> str:
        """The id of the resource with this `system|value`; empty if there is none, or more than one."""
        return self._find(f"{kind}?{identifier}")

    def patient_of(self, kind: str, resource_id: str) -> str:
        """To whom all versions of this resource belong; empty if nothing says it."""
        return self._find(f"{kind}/{resource_id}")

    def _find(self, name: str) -> str:
        self._database = self._database or self._made()
        found = self._database.execute("SELECT meaning FROM names WHERE name = ?", (name,)).fetchone()
        return str(found[0]) if found else ""

    def _made(self) -> sqlite3.Connection:
        database = sqlite3.connect("")  # SQLite's own temporary file
        database.execute("CREATE TABLE names (name TEXT PRIMARY KEY, meaning TEXT) WITHOUT ROWID")
        insert = (
            "INSERT INTO names VALUES (?, ?) ON CONFLICT DO UPDATE SET meaning = '' WHERE meaning <> excluded.meaning"
        )
        place = self._file.tell()
        self._file.seek(0)
        database.executemany(insert, self._names())
        self._file.seek(place)
        return database

    def _names(self) -> Iterator[tuple[str, str]]:
        for found in json_values(self._file):
            if isinstance(found, Found):
                for entry in entries(found):
                    with suppress(BadElement):  # the resource is refused in its turn
                        yield from _names_of(entry)


class Seen:
    """What a file named before; it lies on disk, since there may be as many names as rows."""

    def __init__(self) -> None:
        self._database = sqlite3.connect("")  # SQLite's own temporary file
        self._database.executescript("""
            PRAGMA journal_mode = OFF;
            CREATE TABLE seen (name TEXT PRIMARY KEY) WITHOUT ROWID;
        """)

    def close(self) -> None:
        """Forget everything."""
        self._database.close()

    def add(self, name: str) -> bool:
        """Note a name; False if it was noted before."""
        return self._database.execute("INSERT OR IGNORE INTO seen VALUES (?)", (name,)).rowcount == 1


def _names_of(entry: Entry) -> Iterator[tuple[str, str]]:
    full_url = entry.about.text("fullUrl")
    if full_url.startswith("urn:"):
        yield f"{entry.document} {full_url}", f"{entry.type}/{entry.id}"
    if entry.type in _BY_IDENTIFIER:
        for identifier in entry.resource.elements("identifier"):
            if value := identifier.text("value"):
                yield f"{entry.type}?{identifier.text('system')}|{value}", entry.id
                yield f"{entry.type}?{value}", entry.id
    for reference in _patients_of(entry.resource):
        kind, patient_id = _type_and_id(reference.text("reference"))
        if kind == "Patient":
            yield f"{entry.type}/{entry.id}", patient_id


def _patients_of(resource: Element) -> list[Element]:
    if resource.path == "Appointment":
        return [participant.element("actor") for participant in resource.elements("participant")]
    return [resource.element(PATIENT_OF[resource.path])] if resource.path in PATIENT_OF else []


@dataclass(frozen=True, slots=True)
class References:
    """Whom and what the resource of an entry refers to."""

    entry: Entry
    directory: Directory

    def id_of(self, reference: Element, *types: str) -> str:
        """The id of the resource of one of these types that is meant; empty if nobody can tell."""
        address = reference.text("reference")
        if address.startswith("#"):
            return self._id_of_contained(address[1:], types)
        if address.startswith("urn:"):
            address = self.directory.reference_of(self.entry, address)
        elif not address:
            return self._id_by_identifier(reference.element("identifier"), reference.text("type"), types)
        place, _, query = address.partition("?")
        if wanted := _IDENTIFIER.search(query):
            return self._id_by(reference, place.rpartition("/")[2], unquote(wanted[1]), types)
        kind, found = _type_and_id(address)
        return reference.meaning("reference", found, values.identifier) if kind in types else ""

    def patient_id(self, reference: Element) -> str:
        """The id of the patient who is meant."""
        if not reference.members:
            raise BadElement(reference.path, "is empty")
        if patient_id := self.id_of(reference, "Patient"):
            return patient_id
        raise reference.bad("reference", "names no patient, or by something else than an id that this file can explain")

    def _id_of_contained(self, name: str, types: tuple[str, ...]) -> str:
        """A contained resource has no id of its own, but may have an identifier."""
        for contained in self.entry.resource.elements("contained"):
            kind = contained.text("resourceType")
            if contained.text("id") == name:
                found = (self._id_by_identifier(one, kind, types) for one in contained.elements("identifier"))
                return next(filter(None, found), "")
        return ""

    def _id_by_identifier(self, identifier: Element, kind: str, types: tuple[str, ...]) -> str:
        value = identifier.text("value")
        name = f"{identifier.text('system')}|{value}"
        return self._id_by(identifier, kind or types[0], name, types) if value else ""

    def _id_by(self, holder: Element, kind: str, identifier: str, types: tuple[str, ...]) -> str:
        """A patient must be in the file; a case, therapist or clinic can be known by the identifier as well."""
        if kind not in types:
            return ""
        if kind in _BY_IDENTIFIER and (found := self.directory.id_of(kind, identifier)):
            return found
        value = "" if kind == "Patient" else identifier.rpartition("|")[2].strip()
        return holder.meaning("value" if "value" in holder.members else "reference", value, values.identifier)


def _type_and_id(reference: str) -> tuple[str, str]:
    """Of `Patient/1`, `https://ehr.example.com/fhir/Patient/1` or `Patient/1/_history/2`; empty of anything else."""
    match = _REFERENCE.fullmatch(reference)
    return (match[1], match[2]) if match else ("", "")

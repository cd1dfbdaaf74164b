r"""HL7 v2 as text: where the messages of a file begin and end, and what stands in their fields.

Written out rather than left to a library, because files come damaged: a stray backslash must not cost half a name
(`O\Brien`), an escape such as `\.sp999999999\` no memory, and nothing that a field holds may be logged.
"""

import codecs
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import IO

from functions.import_visits.readers.lines import MAX_LINE_BYTES

MAX_MESSAGE_BYTES = 1024 * 1024
NULL = '""'  # "delete what you have"; an empty field says nothing

_OF_A_PATIENT = frozenset({"PID", "PD1", "PV1", "PV2", "MRG"})  # the others hold for the whole message

_AROUND = b" \t\r\n\x0b\x1c"  # 0x0B and 0x1C frame a message on the wire (MLLP) and stay behind in files
_IN_FRONT = _AROUND + codecs.BOM_UTF8
_BEGINNING = re.compile(rb"[%b]*(?:MSH|FHS|BHS)[^\w\s]" % _IN_FRONT, re.IGNORECASE)
_HEADER = re.compile(rb"MSH[!-/:-@[-`{-~]", re.IGNORECASE)
_DAMAGED_HEADER = re.compile(rb".{0,6}\|\^~\\&")
_ENVELOPE = re.compile(rb"([FB])([HT])S(?:[^\w]|$)", re.IGNORECASE)
_WITHIN_A_LINE = re.compile(rb"(?<=\x1c)(?![\r\n])|(?=\x0b)|(?<!\x0b)(?=MSH\|\^~\\&)")


def begins(head: bytes) -> bool:
    """Whether a file that starts so holds HL7 v2."""
    return bool(_BEGINNING.match(head))


@dataclass(slots=True)
class Cut:
    """A piece of the file: one message, or what lies outside of any; `raw` is cut when it grows beyond 1 MB."""

    line: int  # the physical line on which it begins; CR, LF and CRLF each end one
    fault: str = ""  # why it cannot be a message
    is_closed: bool = False  # the end of its frame has come
    size: int = 0
    _parts: list[bytes] = field(default_factory=list)

    @property
    def raw(self) -> bytes:
        whole = b"".join(self._parts)
        return whole if self.size <= MAX_MESSAGE_BYTES else whole[:MAX_LINE_BYTES]

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= MAX_MESSAGE_BYTES or not self._parts:
            self._parts.append(part)
        else:
            self.fault = "is longer than 1 MB and kept in part only"
        self.is_closed = self.is_closed or b"\x1c" in part


def cut(file: IO[bytes]) -> Iterator[Cut]:
    """The messages of a file, in batches (FHS, BHS … BTS, FTS) or not; one at a time is in memory.

    Lines that belong to no message come as a piece with a fault, and so does a last message that was cut off, as far
    as that can be known: its frame or batch has begun and not ended, and neither has its last line.
    """
    current: Cut | None = None
    has_more_to_come = False
    for line, part, is_new in _parts(file):
        text = part.lstrip(_IN_FRONT) if is_new else b""
        envelope, header, damaged = _ENVELOPE.match(text), _HEADER.match(text), _DAMAGED_HEADER.match(text)
        if current and (envelope or header or damaged):
            yield current
            current = None
        if envelope:
            has_more_to_come = envelope[2] in b"Hh"
            continue
        if header:
            current = Cut(line)
        elif damaged:
            current = Cut(line, "does not begin with a message header (MSH) that can be read")
        elif text and (current is None or current.is_closed):
            if current:
                yield current
            current = Cut(line, "stands outside of a message: no message header (MSH) comes before it")
        if current:
            current.add(part)
        if b"\x0b" in part or b"\x1c" in part:
            has_more_to_come = part.rfind(b"\x0b") > part.rfind(b"\x1c")
    if current:
        if has_more_to_come and not current.fault and not current.raw.endswith((b"\r", b"\n")):
            current.fault = "is cut off: the file ends in the middle of it"
        yield current


def _parts(file: IO[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    """Physical lines, cut where a message begins or ends inside one; and whether a segment may begin there."""
    for line, text, is_new in _lines(file):
        if b"\x0b" in text or b"\x1c" in text or text.find(b"MSH|^~\\&", 1) > 0:
            for part in filter(None, _WITHIN_A_LINE.split(text)):
                yield line, part, is_new
                is_new = True
        else:
            yield line, text, is_new


def _lines(file: IO[bytes]) -> Iterator[tuple[int, bytes, bool]]:
    number, rest, is_new = 1, b"", True
    while chunk := file.read(MAX_LINE_BYTES):
        *lines, rest = (rest + chunk).splitlines(keepends=True)  # a CR at the end may be half of a CRLF
        for line in lines:
            yield number, line, is_new
            number, is_new = number + 1, True
        if len(rest) > MAX_MESSAGE_BYTES and not rest.endswith((b"\r", b"\n")):
            yield number, rest, is_new
            rest, is_new = b"", False
    if rest:
        yield number, rest, is_new


class Unusable(Exception):
    """A message that is not taken in: where the fault lies, and why in words for the practice's staff."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


@dataclass(frozen=True, slots=True)
class _Coding:
    """How a message is written down: its separators (MSH-1, MSH-2) and its character set (MSH-18)."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    charset: str  # empty if it does not say

    def decode(self, raw: bytes) -> str:
        """As the message says, else as UTF-8, else as Windows-1252."""
        for encoding in filter(None, (self.charset, "utf-8", "cp1252")):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        return raw.decode("latin-1")

    def component_of(self, text: str, number: int) -> str:
        """A component of a field's repetition, or the first of its subcomponents; empty if there is none."""
        if not text:
            return ""
        components = text.split(self.component, number)
        if number > len(components):
            return ""
        value = components[number - 1].partition(self.subcomponent)[0].strip()
        return self._unescaped(value) if self.escape in value else value

    def _unescaped(self, text: str) -> str:
        """Separators and hexadecimal bytes become themselves, line breaks spaces; what is no escape stays."""

        def meaning(match: re.Match[str]) -> str:
            letter, digits, layout = match.groups()
            if letter:
                return str({**self._separators(), "E": self.escape}[letter])
            if digits:
                return self.decode(bytes.fromhex(digits))
            return " " if layout else ""

        return _escapes(self.escape).sub(meaning, text)

    def _separators(self) -> dict[str, str]:
        return {"F": self.field, "S": self.component, "R": self.repetition, "T": self.subcomponent}


@lru_cache(maxsize=100)
def _escapes(mark: str) -> re.Pattern[str]:
    mark = re.escape(mark)
    return re.compile(
        rf"{mark}(?:([FSRTE])|X((?:[0-9A-Fa-f]{{2}})+)|(\.[a-z]{{2}}[+-]?\d*)|[HNP]|[CMZ][0-9A-Za-z]*){mark}"
    )


@lru_cache(maxsize=1000)
def _path(path: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"([A-Z][A-Z0-9]{2})-(\d{1,3})(?:\.(\d{1,3}))?", path)
    if not match:
        return "", 1, 1
    return match[1], int(match[2]), int(match[3] or 1)


@dataclass(frozen=True, slots=True)
class Repetition:
    """One of the values of a field, itself made of components."""

    _text: str
    _coding: _Coding

    def __getitem__(self, component: int) -> str:
        """The component with this number, from 1."""
        return self._coding.component_of(self._text, component)


@dataclass(frozen=True, slots=True)
class Segments:
    """The segments of a message about one patient, the first of each name, read as they are asked for."""

    _lines: Mapping[str, bytes]
    _coding: _Coding
    _fields: dict[str, list[str]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self._lines

    def value(self, path: str) -> str:
        """`PV1-44` or `PID-5.2`: the first value of the field, and of this its first or the named component.

        Empty if the message has no such segment, field or component; `NULL` if it deletes the value.
        """
        name, number, component = _path(path)
        first, _, _ = self._field(name, number).partition(self._coding.repetition)
        return self._coding.component_of(first, component)

    def repetitions(self, path: str) -> list[Repetition]:
        """The values of a field, without the empty ones."""
        name, number, _ = _path(path)
        texts = self._field(name, number).split(self._coding.repetition)
        return [Repetition(text, self._coding) for text in texts if text.strip()]

    def _field(self, name: str, number: int) -> str:
        if name not in self._fields:
            fields = self._coding.decode(self._lines.get(name, b"")).split(self._coding.field)
            self._fields[name] = [name, *fields] if name == "MSH" else fields  # MSH-1 is the separator itself
        fields = self._fields[name]
        return fields[number] if number < len(fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """One message: what holds for the whole of it, and its patients in their order."""

    common: Segments
    patients: tuple[Segments, ...]
    counts: Counter[str]  # how often each segment occurs


def parse(raw: bytes) -> Message:
    """Take one message apart, which begins with MSH. A line that begins no segment goes on with the one before."""
    if b"\0" in raw:
        raise Unusable("", "holds NUL bytes: the file may be damaged")
    lines = [line.strip(_AROUND) for line in raw.splitlines()]
    lines[0] = lines[0].lstrip(_IN_FRONT)
    coding = _coding(lines[0])
    mark = coding.field.encode()
    segments: list[tuple[str, bytes]] = []
    for line in filter(None, lines):
        if line[:3].isalnum() and line[3:4] in (mark, b""):
            segments.append((line[:3].decode("ascii").upper(), line))
        else:
            name, begun = segments[-1]
            segments[-1] = (name, begun + b" " + line)
    return _grouped(segments, coding)


def _coding(header: bytes) -> _Coding:
    mark = header[3:4]
    fields = header.split(mark)
    given = fields[1].decode("latin-1")
    marks = (given + "^~\\&"[len(given) :])[:4]
    used = mark.decode("latin-1") + marks
    if len(given) > 5 or len(set(used)) < 5 or any(not "!" <= sign <= "~" or sign.isalnum() for sign in used):
        raise Unusable("MSH-2", "does not name separators that can be read")
    component, repetition, escape, subcomponent = tuple(marks)
    charset = _charset(fields[17].split(repetition.encode())[0].decode("latin-1")) if len(fields) > 17 else ""
    return _Coding(used[0], component, repetition, escape, subcomponent, charset)


def _charset(name: str) -> str:
    part = re.fullmatch(r"(?:ISO[ -]?)?8859[/-](\d{1,2})", name.strip().upper())
    if not part:
        return ""
    if part[1] == "1":
        return "cp1252"  # what is called 8859/1 often is: the bytes in which they differ mean nothing in 8859/1
    try:
        return codecs.lookup(f"iso8859-{part[1]}").name
    except LookupError:
        return ""


def _grouped(segments: list[tuple[str, bytes]], coding: _Coding) -> Message:
    common: dict[str, bytes] = {}
    patients: list[dict[str, bytes]] = []
    for name, line in segments:
        if name == "PID":
            patients.append({})
        if name not in _OF_A_PATIENT:
            common.setdefault(name, line)
        elif patients:
            patients[-1].setdefault(name, line)
    groups = tuple(Segments({**common, **patient}, coding) for patient in patients)
    return Message(Segments(common, coding), groups, Counter(name for name, _ in segments))

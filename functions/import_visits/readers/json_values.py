"""The values of a JSON file one at a time: one a line, one after the other, or the entries of Bundles of any size.

A broken line or entry costs itself alone; a Bundle that cannot be followed any further costs its rest.
"""

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO

MAX_LENGTH = 1024 * 1024  # characters of a line, a resource or an entry
_CHUNK_BYTES = 256 * 1024
_LONGEST_WORD = 16  # longer than `-Infinity` and `\ud83d\ude00`: what is wrong nearer to the end may be unfinished only

_BLANK = re.compile(r"[\s\ufeff]*")
_BLANK_OR_COMMAS = re.compile(r"[\s\ufeff,]*")  # no comma belongs between lines, but some exports have them there
_COLON = re.compile(r"[\s\ufeff]*:[\s\ufeff]*")
_COMMA = re.compile(r"[\s\ufeff]*,[\s\ufeff]*")
_MARKS = re.compile(r'\\.|["{}\[\]\n]', re.DOTALL)
_decode = json.JSONDecoder().raw_decode

_DAMAGED = "is not valid JSON: it may be damaged or cut off"
_TOO_DEEP = "cannot be read: it is nested too deeply, or holds a number of too many digits"
_LOST = "breaks the Bundle off: what follows in it cannot be read"
_UNENDED = "ends before its Bundle does: entries may be missing"


@dataclass(frozen=True, slots=True)
class Found:
    """A value of the file; `bundle` is what its Bundle says of itself."""

    line: int  # the physical line on which it starts, from 1
    raw: bytes
    value: object
    document: int  # the line or Bundle in which it stands, counted from 1
    bundle: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Broken:
    """A part of the file that cannot be read, and why; `raw` is cut at 1 MB."""

    line: int
    raw: bytes
    reason: str


def json_values(file: IO[bytes]) -> Iterator[Found | Broken]:
    """Every value of a file that stands at its start; in place of a Bundle or a list, what it holds."""
    window, document = _Window(file), 0
    while first := window.next(_BLANK_OR_COMMAS):
        document += 1
        if first in "{[":
            yield from _document(window, document)
        else:
            yield Broken(window.line, window.take_line(), "is not a JSON object")


class _Fault(Exception):
    """Why the value at hand cannot be read, and how far from its start that shows."""

    def __init__(self, reason: str, length: int = 0, raw: bytes = b"") -> None:
        super().__init__(reason)
        self.reason, self.length, self.raw = reason, length, raw


class _TooLong(_Fault):
    def __init__(self) -> None:
        super().__init__("is longer than 1 MB", MAX_LENGTH)


class _Window:
    """The part of the file that is in memory. Lengths count from `at`, since places change when more is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")  # bytes that are no UTF-8 are kept
        self._is_last = False
        self.text, self.at, self.line = "", 0, 1

    @property
    def left(self) -> int:
        """How many characters are at hand."""
        return len(self.text) - self.at

    def next(self, blank: re.Pattern[str] = _BLANK) -> str:
        """Move to the next character that is not blank; empty at the end of the file."""
        while True:
            if match := blank.match(self.text, self.at):
                self.move(match.end() - self.at)
            if self.left:
                return self.text[self.at]
            if not self._fill():
                return ""

    def move(self, length: int) -> None:
        """Leave so many characters behind."""
        self.line += self.text.count("\n", self.at, self.at + length)
        self.at += length

    def raw(self, length: int) -> bytes:
        """The bytes of the next characters."""
        return self.text[self.at : self.at + length].encode("utf-8", "surrogateescape")

    def take(self, length: int) -> bytes:
        """Leave so many characters behind; these are their bytes."""
        raw = self.raw(length)
        self.move(length)
        return raw

    def decode(self) -> tuple[object, int]:
        """The value that begins here, and its length; _Fault if there is none of at most 1 MB."""
        while True:
            try:
                value, end = _decode(self.text, self.at)
            except json.JSONDecodeError as error:
                if self._is_damaged_at(error.pos):
                    raise _Fault(_DAMAGED, error.pos - self.at) from None
            except (ValueError, RecursionError):
                raise _Fault(_TOO_DEEP) from None
            else:
                if end - self.at > MAX_LENGTH:
                    raise _TooLong
                if end < len(self.text) or self._is_last:
                    return value, end - self.at
            if self.left > MAX_LENGTH:
                raise _TooLong
            if not self._fill():
                raise _Fault(_DAMAGED, len(self.text.rstrip()) - self.at)

    def _is_damaged_at(self, place: int) -> bool:
        """Whether nothing that follows can mend it, as it can what stands at the end, or a string not yet closed."""
        if place >= len(self.text) - _LONGEST_WORD:
            return False
        return self.text[place] != '"' or self.text.find("\n", place) >= 0

    def line_length(self, after: int = 0) -> int:
        """How long the line is that ends after so many characters, its end included; at most 1 MB more."""
        while (end := self.text.find("\n", self.at + after)) < 0:
            if self.left > after + MAX_LENGTH or not self._fill():
                return self.left
        return end + 1 - self.at

    def take_line(self) -> bytes:
        """Leave the rest of the line behind, however long; these are its bytes up to 1 MB."""
        raw = self.take(self.line_length())
        while not self._is_at_line_start() and (self.left or self._fill()):
            self.move(self.line_length())
        return raw[:MAX_LENGTH]

    def take_document(self, first_line: int, fault: _Fault) -> bytes:
        """Leave a broken document behind that began on this line; these are the bytes from here, up to 1 MB.

        That is the rest of the line; or, if the document went over several lines before the fault, all up to one that
        begins another document: of what is written over many lines only the first line is not indented.
        """
        is_over_lines = self.line_of(fault) > first_line
        raw = bytearray(fault.raw)
        if self.line == first_line or not self._is_at_document():
            raw += self.take_line()
        while is_over_lines and (self.left or self._fill()) and not self._is_at_document():
            line = self.take_line()
            raw += line[: max(0, MAX_LENGTH - len(raw))]
        return bytes(raw[:MAX_LENGTH])

    def line_of(self, fault: _Fault) -> int:
        """The line on which the fault shows."""
        return self.line + self.text.count("\n", self.at, self.at + fault.length)

    def skip(self) -> bool:
        """Leave behind what begins here, by its brackets alone, however long; False if they do not match up."""
        brackets = _Brackets()
        while True:
            self.move(brackets.read(self.text, self.at))
            if brackets.is_lost or brackets.depth == 0:
                return not brackets.is_lost
            if not self._fill():
                return False

    def length_by_brackets(self) -> int:
        """How long it is what begins here, by its brackets alone; 0 if they do not match up within 1 MB."""
        while self.left < MAX_LENGTH and self._fill():
            pass
        brackets = _Brackets()
        length = brackets.read(self.text, self.at)
        return 0 if brackets.is_lost or brackets.depth else length

    def _is_at_line_start(self) -> bool:
        return self.text[self.at - 1 : self.at] == "\n"

    def _is_at_document(self) -> bool:
        return self._is_at_line_start() and self.text.startswith(("{", "\ufeff{"), self.at)

    def _fill(self) -> bool:
        """Read on; False at the end of the file. The character before the place is kept: it may be a line's end."""
        if self._is_last:
            return False
        chunk = self._file.read(max(_CHUNK_BYTES, self.left))
        self._is_last = not chunk
        kept = min(self.at, 1)
        self.text = self.text[self.at - kept :] + self._decoder.decode(chunk, final=not chunk)
        self.at = kept
        return True


class _Brackets:
    """How deep in brackets a text is, read in as many parts as it takes."""

    def __init__(self) -> None:
        self.depth, self.is_lost, self._is_in_string = 0, False, False

    def read(self, text: str, at: int) -> int:
        """Read on from here: how far it is until all brackets are closed, a line ends within a string, or all ends."""
        place = at
        for match in _MARKS.finditer(text, at):
            mark, place = match[0], match.end()
            if mark == '"':
                self._is_in_string = not self._is_in_string
            elif mark == "\n" and self._is_in_string:
                self.is_lost = True
                return match.start() - at
            elif mark in "{}[]" and not self._is_in_string:
                self.depth += 1 if mark in "{[" else -1
                if self.depth == 0:
                    return place - at
        return max(place, len(text) - text.endswith("\\")) - at  # a last backslash belongs to what follows


def _document(window: _Window, number: int) -> Iterator[Found | Broken]:
    """What begins here: a value, or the entries of a Bundle or list."""
    first_line, fault = window.line, None
    value, length = None, 0
    try:
        value, length = window.decode()
    except _Fault as found:
        fault = found
    inside = _entries_of(window.text, window.at) if fault or _has_entries(value) else None
    if inside:
        before, start = inside
        is_list = window.text[window.at] == "["
        window.move(start - window.at)
        try:
            yield from _entries(window, number, value if isinstance(value, dict) else before)
            if not is_list:
                _leave(window)
        except _Fault as lost:
            yield Broken(window.line_of(lost), window.take_document(first_line, lost), lost.reason)
    elif fault:
        yield Broken(first_line, window.take_document(first_line, fault), fault.reason)
    else:
        yield _alone(window, value, length, number)


def _alone(window: _Window, value: object, length: int, number: int) -> Found | Broken:
    """A value by itself; on the rest of its line nothing may stand but another."""
    line, whole = window.line, window.line_length(length)
    rest = window.text[window.at + length : window.at + whole].strip("\ufeff, \t\r\n")
    if rest and rest[0] not in "{[":
        return Broken(line, window.take_line(), _DAMAGED)
    return Found(line, window.take(length if rest else whole), value, number)


def _has_entries(value: object) -> bool:
    if isinstance(value, dict):
        return value.get("resourceType") == "Bundle" and isinstance(value.get("entry"), list)
    return isinstance(value, list)


def _entries_of(text: str, at: int) -> tuple[Mapping[str, object], int] | None:
    """If a Bundle or a list begins here: what the Bundle says before its entries, and where these begin."""
    members: dict[str, object] = {}
    if text[at] == "[":
        return members, at
    separator = _BLANK.match(text, at + 1)
    try:
        while separator:
            name, end = _decode(text, separator.end())
            colon = _COLON.match(text, end)
            if not colon or not isinstance(name, str):
                return None
            if (
                name == "entry"
                and text.startswith("[", colon.end())
                and members.get("resourceType") in ("Bundle", None)
            ):
                return members, colon.end()
            members[name], end = _decode(text, colon.end())
            separator = _COMMA.match(text, end)
    except (ValueError, RecursionError):
        return None
    return None


def _entries(window: _Window, number: int, bundle: Mapping[str, object]) -> Iterator[Found | Broken]:
    """The values of the list that begins here; _Fault where nobody can tell how it goes on."""
    window.move(1)
    while (first := window.next()) != "]":
        if not first:
            raise _Fault(_UNENDED)
        line = window.line
        try:
            value, length = window.decode()
        except _Fault as fault:
            yield Broken(line, _leave_broken(window, fault), fault.reason)
        else:
            yield Found(line, window.take(length), value, number, bundle)
        following = window.next()
        if following == ",":
            window.move(1)
        elif following != "]":
            raise _Fault(_LOST if following else _UNENDED)
    window.move(1)


def _leave_broken(window: _Window, fault: _Fault) -> bytes:
    """Leave an entry behind that cannot be read; _Fault if nobody can tell where it ends."""
    if isinstance(fault, _TooLong):
        raw = window.raw(MAX_LENGTH)
        if not window.skip():
            raise _Fault(_LOST, raw=raw)
        return raw
    length = window.length_by_brackets() if window.text[window.at] in "{[" else 0
    following = _BLANK.match(window.text, window.at + length)
    if not length or not following or not window.text.startswith((",", "]"), following.end()):
        raise _Fault(_LOST, fault.length)
    return window.take(length)


def _leave(window: _Window) -> None:
    """Leave the rest of a Bundle behind, whose entries have ended; _Fault if it is broken."""
    while (first := window.next()) == ",":
        for mark in (",", ":"):
            if window.next() != mark:
                raise _Fault(_LOST)
            window.move(1)
            window.next()
            _, length = window.decode()
            window.move(length)
    if first != "}":
        raise _Fault(_LOST if first else _UNENDED)
    window.move(1)

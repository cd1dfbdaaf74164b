"""Rows of a CSV file, each read or refused by itself: what the readers of CSV have in common."""

import csv
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from functions.import_visits.readers.lines import MAX_LINE_BYTES, Line, Lines
from functions.import_visits.records import Record, Refusal, Row
from shared.domain.episode import ZoneOf

MAX_RECORD_LINES = 100
_AS_TEXT = re.compile(r'="([^"]*)"')  # how spreadsheets are kept from making a number of a cell
_UNCLOSED = "cannot be read as CSV: a quotation mark is probably missing or not doubled"

T = TypeVar("T")


class BadCell(Exception):
    """A cell keeps its row out; `column` is our name of the column, empty if the row as a whole is at fault."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(column, reason)
        self.column, self.reason = column, reason


@dataclass(frozen=True, slots=True)
class Cells:
    """The known columns of one record, under our names."""

    texts: Mapping[str, str]
    zone_of: ZoneOf

    def required(self, column: str, parse: Callable[[str], T]) -> T:
        """What the cell means; an empty one is a BadCell."""
        text = self.texts[column]
        if not text:
            raise BadCell(column, "is empty")
        return self._parsed(column, text, parse)

    def optional(self, column: str, parse: Callable[[str], T], default: T) -> T:
        """What the cell means, or the default if it is empty or the file lacks the column."""
        text = self.texts.get(column, "")
        return self._parsed(column, text, parse) if text else default

    def readable(self, column: str, parse: Callable[[str], T], default: T) -> T:
        """What the cell means, or the default if it cannot be read either."""
        try:
            return self.optional(column, parse, default)
        except BadCell:
            return default

    def absent(self, fields_by_column: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
        """The fields of which the file says nothing because it lacks their columns."""
        return frozenset(
            name for column, names in fields_by_column.items() if column not in self.texts for name in names
        )

    def _parsed(self, column: str, text: str, parse: Callable[[str], T]) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise BadCell(column, str(error)) from None


@dataclass(frozen=True, slots=True)
class Header:
    """The first record of a file, as it is written."""

    raw: bytes
    line: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Columns:
    """Where each column that we know stands, and what the file calls it if that is not what we do."""

    width: int
    positions: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=dict)


def read_header(lines: Lines) -> Header | None:
    """The first record that is not empty, or None if the file does not begin with a CSV record."""
    first = next((row for row in _rows(lines, None) if row.raw.strip()), None)
    if not isinstance(first, _CsvRow):
        return None
    return Header(first.raw, first.lines[0].number, tuple(cell.strip() for cell in first.cells))


def nothing(cells: Cells) -> tuple[Record, ...]:
    """What is heard in a refused row of most tables."""
    return ()


def read_rows(
    lines: Lines,
    columns: Columns,
    zone_of: ZoneOf,
    to_records: Callable[[Cells], tuple[Record, ...]],
    heard: Callable[[Cells], tuple[Record, ...]] = nothing,
) -> Iterator[Row | Refusal]:
    """Read or refuse each record after the header; `to_records` raises BadCell for what cannot be taken in.

    What is `heard` in a refused record holds all the same: a front desk that notes "declined" in place of the address
    means it, and the dead have often none.

    One broken record is refused alone, wherever it is: reading goes on with the next physical line.
    """
    for row in _rows(lines, columns.width):
        line, raw = row.lines[0].number, row.raw
        if isinstance(row, _Broken):
            yield Refusal(line, raw, "", row.reason)
        elif not any(cell.strip() for cell in row.cells):
            continue  # an empty line, or the bare commas that spreadsheets leave at the end
        elif not _fits(row.cells, columns.width):
            yield Refusal(line, raw, "", f"has {len(row.cells)} columns where the header has {columns.width}")
        elif b"\0" in raw:
            yield Refusal(line, raw, "", "holds NUL bytes: the file may be damaged")
        else:
            cells = Cells({name: _text(row.cells[place]) for name, place in columns.positions.items()}, zone_of)
            try:
                yield Row(line, raw, to_records(cells))
            except BadCell as bad:
                column = columns.labels.get(bad.column, bad.column)
                yield Refusal(line, raw, column, bad.reason, heard(cells))


def _text(cell: str) -> str:
    text = cell.strip()
    match = _AS_TEXT.fullmatch(text)
    return match[1].strip() if match else text


@dataclass(frozen=True, slots=True)
class _CsvRow:
    """One CSV record and the physical lines it spans."""

    lines: tuple[Line, ...]
    cells: list[str]

    @property
    def raw(self) -> bytes:
        return b"".join(line.raw for line in self.lines)


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

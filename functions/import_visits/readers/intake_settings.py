"""The practice's choices of how its exports are read: a CSV file of source, setting and value."""

from collections.abc import Iterator
from typing import IO

from functions.import_visits.readers import webpt
from functions.import_visits.readers.csv_rows import BadCell, Cells, Columns, read_header, read_rows
from functions.import_visits.readers.lines import Lines
from functions.import_visits.records import Context, FileRefused, Reading, Refusal, Row, RuleRecord
from shared.domain.intake import (
    SOURCES,
    IntakeRules,
    RuleChange,
    column_of,
    contradiction,
    parse_source,
    rules_of,
    setting_of,
    value_of,
)

_COLUMNS = ("source", "setting", "value")
_HEADER = ",".join(_COLUMNS)

LOOKED_FOR = f"a CSV file whose first line names the columns {', '.join(_COLUMNS)} (settings for intake)"


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if its header names the three columns, in any order and case; others are ignored."""
    lines = Lines(file)
    header = read_header(lines)
    names = [name.lower() for name in header.names] if header else []
    if header is None or not set(_COLUMNS) <= set(names):
        _refuse_what_looks_like_it(head)
        return None
    twice = [name for name in _COLUMNS if names.count(name) > 1]
    if twice:
        raise FileRefused(f"The header names a column twice: {', '.join(twice)}.", "intake", header.line)
    columns = Columns(len(names), {name: names.index(name) for name in _COLUMNS})
    return Reading("intake", _rows(file, columns, context), header.raw)


def _refuse_what_looks_like_it(head: bytes) -> None:
    """Say of settings for intake what is wrong with them as a whole, rather than which formats there are."""
    first, _, _ = head.decode("utf-8-sig", "replace").lstrip().partition("\n")
    for separator, its_name in ((",", ""), (";", ";"), ("\t", "tabs"), ("|", "|")):
        cells = [cell.strip(' "\r').lower() for cell in first.split(separator)]
        missing = [column for column in _COLUMNS if column not in cells]
        if len(cells) > 1 and cells[0] in SOURCES:
            reason = f"the first line does not name the columns: it must be {_HEADER}"
        elif len(missing) > 1:
            continue
        elif its_name:
            reason = f"the columns are separated by {its_name} rather than by commas. Save it as CSV (UTF-8): {_HEADER}"
        else:
            reason = f"the first line does not name the column {', '.join(missing)}: it must be {_HEADER}"
        raise FileRefused(f"This looks like settings for intake, but {reason}.", "intake")


def _rows(file: IO[bytes], columns: Columns, context: Context) -> Iterator[Row | Refusal]:
    """Each choice is judged beside all others of the file, wherever they stand, and those made before."""
    rules = context.rules
    for row in _read(file, columns, context, None):
        if isinstance(row, Row):
            rules = rules_of((record.change for record in row.records if isinstance(record, RuleRecord)), rules)
    yield from _read(file, columns, context, rules)


def _read(file: IO[bytes], columns: Columns, context: Context, rules: IntakeRules | None) -> Iterator[Row | Refusal]:
    def rule(cells: Cells) -> tuple[RuleRecord]:
        source = cells.required("source", parse_source)
        setting = cells.required("setting", setting_of(source))
        change = RuleChange(source, setting, cells.optional("value", value_of(source, setting), ""))
        reason = rules and (contradiction(change, rules) or _shares_a_column(change, rules))
        if reason:
            raise BadCell("value", reason)
        return (RuleRecord(change),)

    file.seek(0)
    lines = Lines(file)
    read_header(lines)
    return read_rows(lines, columns, context.zone_of, rule)


_NAMED_BY_ID = ("therapists", "clinics")  # an export may well have no other id than the name


def _shares_a_column(change: RuleChange, rules: IntakeRules) -> str:
    """Why a column cannot have this name: another of the same table is taken from there. Empty if it can."""
    table, column = column_of(change)
    if not table or table in _NAMED_BY_ID:
        return ""
    name = change.value or column
    others = [other for other in webpt.columns_called(table, name, rules_of([change], rules)) if other != column]
    if not others:
        return ""
    return (
        f"is where {table}.{others[0]} is read from as well as {table}.{column}: "
        f"name another column, or say with column:{table}.{others[0]} where that one is"
    )

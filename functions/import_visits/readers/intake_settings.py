"""The practice's choices of how its exports are read: a CSV file of source, setting and value."""

from typing import IO

from functions.import_visits.readers.csv_rows import Cells, Columns, read_header, read_rows
from functions.import_visits.readers.lines import Lines
from functions.import_visits.records import Context, FileRefused, Reading, RuleRecord
from shared.domain.intake import RuleChange, parse_source, setting_of, value_of

_COLUMNS = ("source", "setting", "value")

LOOKED_FOR = f"a CSV file whose first line names the columns {', '.join(_COLUMNS)} (settings for intake)"


def read(file: IO[bytes], head: bytes, context: Context) -> Reading | None:
    """Read the file if its header names the three columns, in any order and case; others are ignored."""
    lines = Lines(file)
    header = read_header(lines)
    if header is None:
        return None
    names = [name.lower() for name in header.names]
    if not set(_COLUMNS) <= set(names):
        return None
    twice = [name for name in _COLUMNS if names.count(name) > 1]
    if twice:
        raise FileRefused(f"The header names a column twice: {', '.join(twice)}.", "intake", header.line)
    columns = Columns(len(names), {name: names.index(name) for name in _COLUMNS})
    return Reading("intake", read_rows(lines, columns, context.zone_of, _rule), header.raw)


def _rule(cells: Cells) -> tuple[RuleRecord]:
    source = cells.required("source", parse_source)
    setting = cells.required("setting", setting_of(source))
    return (RuleRecord(RuleChange(source, setting, cells.optional("value", value_of(source, setting), ""))),)

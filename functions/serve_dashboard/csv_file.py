"""Tables as CSV files that a spreadsheet opens: RFC 4180, UTF-8 with a byte order mark, and no cell is a formula."""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO

# What spreadsheets take for the beginning of a formula, in either width, also behind what they do not show.
_FORMULA = re.compile(r"[\t\r\n]|[\s\x00-\x1f\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20]")

Cell = str | int


def csv_file(head: Sequence[str], rows: Iterable[Sequence[Cell]]) -> str:
    """The file. Text that a spreadsheet would take for a formula gets an apostrophe before it; numbers stay numbers."""
    text = StringIO()
    text.write("\ufeff")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def harmless(cell: Cell) -> Cell:
    """The cell as no spreadsheet computes it."""
    return f"'{cell}" if isinstance(cell, str) and _FORMULA.match(cell) else cell

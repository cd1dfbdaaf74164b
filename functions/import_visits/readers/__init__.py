"""The formats that can be read: one module each, chosen by what the file holds."""

from collections.abc import Callable
from typing import IO

from functions.import_visits.readers import careloop_csv
from functions.import_visits.readers.lines import Lines
from functions.import_visits.records import FileRefused, Reading, ZoneOf

Reader = Callable[[Lines, ZoneOf], Reading | None]

_READERS: tuple[Reader, ...] = (careloop_csv.read,)
"""Each reads a file, or hands its lines back and returns None for another format's file."""

_LOOKED_FOR = (careloop_csv.LOOKED_FOR,)

_SIGNATURES = (
    (b"PK\x03\x04", "This is a ZIP archive or an Excel workbook (.xlsx), not text. Save it as CSV (UTF-8)."),
    (b"PK\x05\x06", "This is an empty ZIP archive, not text."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook (.xls), not text. Save it as CSV (UTF-8)."),
    (b"\x1f\x8b", "This file is compressed (gzip). Send it uncompressed."),
    (b"%PDF", "This is a PDF document, not text."),
    (b"\x89PNG", "This is a picture (PNG), not text."),
    (b"\xff\xd8\xff", "This is a picture (JPEG), not text."),
    (b"GIF8", "This is a picture (GIF), not text."),
    (b"\xff\xfe", "This file is encoded as UTF-16. Save it as CSV (UTF-8)."),
    (b"\xfe\xff", "This file is encoded as UTF-16. Save it as CSV (UTF-8)."),
)


def recognise(file: IO[bytes], zone_of: ZoneOf) -> Reading:
    """Choose the reader by content; FileRefused says what the file seems to be and what was looked for."""
    lines = Lines(file)
    first = next(lines, None)
    if first is None:
        raise FileRefused("The file is empty.")
    lines.push_back([first])
    for signature, reason in _SIGNATURES:
        if first.raw.startswith(signature):
            raise FileRefused(reason)
    for read in _READERS:
        if reading := read(lines, zone_of):
            return reading
    raise FileRefused(" ".join(filter(None, (_impression(first.raw), "Looked for:", *_LOOKED_FOR))))


def _impression(first: bytes) -> str:
    if b"\0" in first:
        return "This is not a text file."
    if b"\r" in first.rstrip(b"\r\n"):
        return "The lines of this file end in CR alone. Save it as CSV (UTF-8)."
    if b"," not in first and (b";" in first or b"\t" in first):
        return "The columns of this file are not separated by commas. Save it as CSV (UTF-8)."
    return "This is not a file that Careloop knows."

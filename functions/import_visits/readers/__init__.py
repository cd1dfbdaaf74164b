"""The formats that can be read: one module each, chosen by what the file holds."""

import re
from os import SEEK_END
from typing import IO

from functions.import_visits.readers import careloop_csv, fhir, hl7v2, intake_settings, webpt
from functions.import_visits.readers.lines import MAX_LINE_BYTES
from functions.import_visits.records import Context, FileRefused, Reader, Reading

_READERS: tuple[Reader, ...] = (hl7v2.read, fhir.read, webpt.read, careloop_csv.read, intake_settings.read)

_LOOKED_FOR = (
    careloop_csv.LOOKED_FOR,
    webpt.LOOKED_FOR,
    fhir.LOOKED_FOR,
    hl7v2.LOOKED_FOR,
    intake_settings.LOOKED_FOR,
)

_END_BYTES = 16
_END_MARK = re.compile(rb"\x1a[\x1a\r\n]*\Z")

_SIGNATURES = (
    (b"PK\x03\x04", "This is a ZIP archive or an Excel workbook (.xlsx), not text. Save it as CSV (UTF-8)."),
    (b"PK\x05\x06", "This is an empty ZIP archive, not text."),
    (b"\xd0\xcf\x11\xe0", "This is an old Excel workbook (.xls), not text. Save it as CSV (UTF-8)."),
    (b"\x1f\x8b", "This file is compressed (gzip). Send it uncompressed."),
    (b"%PDF", "This is a PDF document, not text."),
    (b"\x89PNG", "This is a picture (PNG), not text."),
    (b"\xff\xd8\xff", "This is a picture (JPEG), not text."),
    (b"GIF8", "This is a picture (GIF), not text."),
    (b"\xff\xfe", "This file is encoded as UTF-16. Save it as UTF-8 (a table as CSV UTF-8)."),
    (b"\xfe\xff", "This file is encoded as UTF-16. Save it as UTF-8 (a table as CSV UTF-8)."),
)


def recognise(file: IO[bytes], context: Context) -> Reading:
    """Choose the reader by content; FileRefused says what the file seems to be and what was looked for.

    The mark that old systems write behind the end of a text (Ctrl-Z) is cut off.
    """
    _cut_end_mark(file)
    head = file.read(MAX_LINE_BYTES)
    if not head:
        raise FileRefused("The file is empty.")
    for signature, reason in _SIGNATURES:
        if head.startswith(signature):
            raise FileRefused(reason)
    for read in _READERS:
        file.seek(0)
        if reading := read(file, head, context):
            return reading
    first, _, _ = head.partition(b"\n")
    raise FileRefused(f"{_impression(first)} Looked for: {'; '.join(_LOOKED_FOR)}.")


def _cut_end_mark(file: IO[bytes]) -> None:
    size = file.seek(0, SEEK_END)
    file.seek(max(0, size - _END_BYTES))
    if mark := _END_MARK.search(file.read()):
        file.truncate(size - len(mark[0]))
    file.seek(0)


def _impression(first: bytes) -> str:
    if b"\0" in first:
        return "This is not a text file."
    if b"\r" in first.rstrip(b"\r"):
        return "The lines of this file end in CR alone. Save it as CSV (UTF-8)."
    if b"," not in first and (b";" in first or b"\t" in first):
        return "The columns of this file are not separated by commas. Save it as CSV (UTF-8)."
    return "This is not a file that Careloop knows."

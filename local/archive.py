"""`make archive`: everything there is, as files in open formats that need no program of ours.

Two kinds lie side by side. `tables/` holds every row as it is stored, one JSON object a line, and is what `make
unarchive` reads; `spreadsheets/` holds the same for people, as CSV. README.txt explains each file and column, and
manifest.json says how many rows each file has and what its SHA-256 is. Memory holds a page of a table at a time.
"""

import argparse
import contextlib
import csv
import fcntl
import getpass
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.serve_dashboard.csv_file import harmless
from local.deployed import find
from local.spreadsheets import SHEETS, Sheet
from local.stack import STACK_NAME, StackFailed
from local.tables import NAMES, Item, as_text, saying
from local.whole import Whole
from shared.domain.clock import format_instant
from shared.domain.intake import ERASED
from shared.version import version

FORMAT = 1
"""Grows when a reader of today could misread what is written."""
MANIFEST, README, KEY, MARKS = "manifest.json", "README.txt", "hash-key.txt", "erased.ndjson"
Show = Callable[[str], None]


class CannotArchive(Exception):
    """Nothing is left behind; the message says why."""


@dataclass
class Written:
    """One file of an archive while it is written."""

    path: Path
    file: IO[str]
    name: str
    rows: int = 0
    _hash: Any = field(default_factory=hashlib.sha256)

    def write(self, text: str) -> int:
        """Add to the file; the `csv` module calls this."""
        self._hash.update(text.encode())
        return self.file.write(text)

    def told(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {"rows": self.rows, "sha256": self._hash.hexdigest()}


def archive(stack: Whole, folder: Path, by: str, now: Callable[[], datetime], show: Show) -> None:
    """Write the archive into a folder that is not there yet, and first into the activity that somebody took it.

    Whatever fails leaves no folder behind; what was killed leaves a hidden one, which the next try clears.
    """
    if folder.exists():
        raise CannotArchive(f"{folder} is there already: name a new folder. Nothing was written.")
    beside = folder.with_name(f".{folder.name}-unfinished")
    if os.path.lexists(beside):
        _clear(beside, show)
    beside.mkdir(mode=0o700, parents=True)
    held = _hold(beside)
    try:
        _note(stack, by, now())
        _write(stack, beside, now, show)
        beside.rename(folder)
    except BaseException:
        shutil.rmtree(beside)
        raise
    finally:
        os.close(held)


_WRITTEN = {"tables", "spreadsheets", MARKS, KEY, README, MANIFEST}


def _clear(beside: Path, show: Show) -> None:
    """Remove what an archive that was killed has left; CannotArchive if it is anything else, or not killed."""
    is_ours = beside.is_dir() and not beside.is_symlink()
    if not is_ours or {path.name for path in beside.iterdir()} - _WRITTEN:
        raise CannotArchive(
            f"{beside} is in the way, and holds something else than an archive that was interrupted: look at it, and "
            "remove it or name another folder. Nothing was written."
        )
    held = _hold(beside)
    shutil.rmtree(beside)
    os.close(held)
    show(f"What an archive that was interrupted had left in {beside} is removed.")


def _hold(beside: Path) -> int:
    """Keep others from the folder until the descriptor is closed, or this process ends in whatever way."""
    descriptor = os.open(beside, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise CannotArchive(f"Another `make archive` is just writing into {beside}. Nothing was written.") from None
    return descriptor


def _write(stack: Whole, folder: Path, now: Callable[[], datetime], show: Show) -> None:
    began, told = now(), dict[str, dict[str, Any]]()
    sends = stack.sends(began)
    (folder / "tables").mkdir(mode=0o700)
    (folder / "spreadsheets").mkdir(mode=0o700)
    for name in NAMES:
        for written in _write_table(saying(name, stack.table(name).pages(), show), name, folder):
            told[written.name] = written.told()
        show(f"  {name}: {told[f'tables/{name}.ndjson']['rows']:,} rows")
    with _new(folder, MARKS) as marks:
        for line in _marks(stack):
            marks.write(line + "\n")
            marks.rows += 1
    with _new(folder, KEY) as key:
        key.write(stack.secret())
    with _new(folder, README) as readme:
        readme.write(_readme())
    told |= {each.name: each.told() for each in (marks, key, readme)}
    about = {"format": FORMAT, "version": version(), "began_at": format_instant(began), "still_sent": sends}
    with _new(folder, MANIFEST) as manifest:
        done = {**about, "finished_at": format_instant(now()), "files": dict(sorted(told.items()))}
        manifest.write(json.dumps(done, indent=1) + "\n")


def _note(stack: Whole, by: str, at: datetime) -> None:
    moment = format_instant(at)
    entry = {"patient_id": "practice", "entry": f"{moment}#exported#archive-{os.urandom(4).hex()}", "kind": "exported"}
    said = {**entry, "at": moment, "detail": f"{by}: everything (make archive)"}
    stack.table("Activity").put_new([{name: {"S": text} for name, text in said.items()}])


def _write_table(pages: Iterable[list[Item]], name: str, folder: Path) -> list[Written]:
    """The table's rows as they are stored, and what people read of them."""
    with contextlib.ExitStack() as files:
        rows = files.enter_context(_new(folder, f"tables/{name}.ndjson"))
        sheets = {sheet: files.enter_context(_new(folder, f"spreadsheets/{sheet.name}.csv")) for sheet in _of(name)}
        for sheet, file in sheets.items():
            file.write("\ufeff")  # else spreadsheets take it for an old encoding
            csv.writer(file, lineterminator="\r\n").writerow(sheet.head)
        for item in (item for page in pages for item in page):
            rows.write(as_text(item) + "\n")
            rows.rows += 1
            for sheet, file in sheets.items():
                for line in sheet.lines(item):
                    csv.writer(file, lineterminator="\r\n").writerow([harmless(cell) for cell in line])
                    file.rows += 1
    return [rows, *sheets.values()]


def _of(table: str) -> list[Sheet]:
    return [sheet for sheet in SHEETS if sheet.table == table]


@contextlib.contextmanager
def _new(folder: Path, name: str) -> Iterator[Written]:
    """A file that nobody else may read."""
    path = folder / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield Written(path, file, name)


def _marks(stack: Whole) -> Iterator[str]:
    """What keeps erased patients from coming back: a line for each, with nothing of the patient in it."""
    s3, bucket = stack.client("s3"), stack.parts.names["IntakeBucket"]
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=ERASED):
        for item in page.get("Contents", ()):
            said = json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())
            yield json.dumps({"reference": item["Key"].removeprefix(ERASED), "said": said}, separators=(",", ":"))


def _readme() -> str:
    return "\n".join(["CARELOOP: EVERYTHING, IN OPEN FORMATS", "", *_EXPLAINED, *_sheets_explained()]) + "\n"


_EXPLAINED = (
    "These files hold everything that Careloop kept about a practice: its patients, visits, surveys, answers, what the",
    "staff did about them, and every setting. They are patients' records: keep them as you keep those.",
    "",
    "manifest.json       version, times, and for each file its rows and SHA-256 (`sha256sum FILE` must say the same)",
    "spreadsheets/*.csv  for people: UTF-8, commas, quotes where needed (RFC 4180); moments are UTC",
    "tables/*.ndjson     for programs and for `make unarchive`: every row as it is stored, nothing left out",
    "erased.ndjson       who was erased on request: a reference that recognises a number and does not tell it",
    "hash-key.txt        what ids are made with; needed to go on with Careloop elsewhere, and for nothing else",
    "",
    "A line of tables/*.ndjson is one JSON object: for each attribute its kind and its value. The kinds are Amazon",
    "DynamoDB's: S text, N number (written as text, so that no digit is lost), BOOL true or false, NULL nothing,",
    "L list, M object, SS set of texts, NS set of numbers, B bytes (base64), BS set of bytes. For instance",
    '  {"patient_id":{"S":"1234"},"opted_out":{"BOOL":false}}',
    "",
    "Left out are the staff's sign-ins and passwords, and uploaded files: those are copies of your own exports.",
    "In a cell of spreadsheets/*.csv a leading apostrophe keeps a spreadsheet from computing what somebody typed.",
    "",
)


def _sheets_explained() -> Iterator[str]:
    for sheet in SHEETS:
        yield f"spreadsheets/{sheet.name}.csv: {sheet.about}"
        width = max(len(column.name) for column in sheet.columns)
        for column in sheet.columns:
            yield f"  {column.name:<{width}}  {column.about}"
        yield ""


def main() -> int:
    """The command line; 1 with a message if it could not be done."""
    parser = argparse.ArgumentParser(description="Write everything there is into files in open formats.")
    parser.add_argument("folder", help="a folder that is not there yet")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    if not arguments.folder:
        print("Into which folder? TO=…", file=sys.stderr)
        return 1
    folder = Path(arguments.folder)
    try:
        stack = Whole(arguments.stack or STACK_NAME, find(arguments.stack))
        show: Show = lambda line: print(line, flush=True)  # noqa: E731
        archive(stack, folder, getpass.getuser(), lambda: datetime.now(UTC), show)
    except (CannotArchive, StackFailed, BotoCoreError, ClientError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print(f"Everything is in {folder}. README.txt there explains it. These are patients' records: keep them so.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

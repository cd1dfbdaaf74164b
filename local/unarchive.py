"""`make unarchive`: bring an archive (local/archive.py) into an empty stack that is at rest.

Nothing is written before every file was found whole and readable. Rows are compared with the archive once they are
there, and what was interrupted goes on with the same command. Who was erased while the archive was written is erased
again. If the stack that was archived went on sending, whatever was due by now counts as sent, as after a restore.
"""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.archive import FORMAT, KEY, MANIFEST, MARKS
from local.carried import Carrying
from local.deployed import FunctionFailed, find
from local.stack import STACK_NAME, StackFailed
from local.tables import KEYS, NAMES, Item, row_of, saying
from local.whole import CARRIED, CannotRestore, Whole
from shared.domain.clock import format_instant, parse_instant
from shared.domain.erasure import Why
from shared.domain.intake import ERASED
from shared.version import version

ROWS_AT_ONCE = 500
Show = Callable[[str], None]
Manifest = dict[str, Any]


class Damaged(Exception):
    """The archive is not what was written, or not for this version; the message says where. Nothing was written."""


def check(folder: Path) -> Manifest:
    """What the archive says of itself, once every file in it was read, is what was written, and can be brought in."""
    manifest = _manifest(folder)
    needed = {*(f"tables/{name}.ndjson" for name in NAMES), MARKS, KEY}
    if missing := sorted(needed - manifest["files"].keys()):
        raise Damaged(f"The archive lacks {', '.join(missing)}: {MANIFEST} does not name them.")
    for name, told in manifest["files"].items():
        _check_file(folder, name, told)
    return manifest


def _manifest(folder: Path) -> Manifest:
    """Damaged unless everything that is needed stands in it, and is what it should be."""
    path = folder / MANIFEST
    try:
        told = json.loads(_read(path, f"There is no {MANIFEST} in {folder}: this is no archive, or not all of one."))
    except (ValueError, RecursionError):
        raise Damaged(f"{path} is damaged: it is not the JSON that was written.") from None
    if not isinstance(told, dict):
        raise Damaged(f"{path} is damaged: it is not the JSON that was written.")
    for name, is_right in _SAID.items():
        if name not in told or not is_right(told[name]):
            raise Damaged(f"{path} is damaged: what it says of {name} is missing or makes no sense.")
    if told["format"] > FORMAT:
        raise Damaged(
            f"The archive is in format {told['format']}, and this release reads none after {FORMAT}: update first."
        )
    if _release(told["version"]) > _release(version()):
        raise Damaged(f"The archive was made by version {told['version']}, and this is {version()}: update first.")
    return told


def _is_moment(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(parse_instant(value))
    except ValueError:
        return False


def _is_number(value: object) -> bool:
    return type(value) is int and value >= 0


def _are_files(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(told, dict)
        and _is_number(told.get("rows"))
        and re.fullmatch("[0-9a-f]{64}", str(told.get("sha256")))
        and ".." not in Path(name).parts
        and not Path(name).is_absolute()
        for name, told in value.items()
    )


_SAID: dict[str, Callable[[Any], bool]] = {
    "format": lambda value: _is_number(value) and value > 0,
    "version": lambda value: isinstance(value, str) and re.fullmatch(r"\d+(\.\d+)*(\+.*)?", value) is not None,
    "began_at": _is_moment,
    "still_sent": lambda value: isinstance(value, bool),
    "files": _are_files,
}


def _check_file(folder: Path, name: str, told: dict[str, Any]) -> None:
    """Damaged unless the file is whole, byte by byte, and each line of it can be brought in."""
    read, found, rows = _reader(name), hashlib.sha256(), 0
    wrong = 0
    try:
        with (folder / name).open("rb") as file:
            for rows, line in enumerate(file, start=1):
                found.update(line)
                wrong = wrong or (0 if _can_be_read(line, read) else rows)
    except FileNotFoundError:
        raise Damaged(f"{name} is missing.") from None
    except OSError as error:
        raise Damaged(f"{name} cannot be read: {error.strerror}.") from None
    if found.hexdigest() != told["sha256"]:
        raise Damaged(f"{name} is damaged, or was changed: its SHA-256 is not the one in {MANIFEST}.")
    if wrong or (name == KEY and not rows):
        raise Damaged(f"{name} cannot be brought in: line {wrong or 1} is not what an archive holds there.")
    if name.endswith(".ndjson") and rows != told["rows"]:
        raise Damaged(f"{name} has {rows:,} rows, and {MANIFEST} says {told['rows']:,}.")


def _reader(name: str) -> Callable[[str], object]:
    """What reads a line of the file; ValueError if it makes no sense."""
    path = Path(name)
    if path.parent.name == "tables" and path.stem in KEYS:
        return lambda line: row_of(path.stem, line)
    return {MARKS: _mark, KEY: _key}.get(name, str)


def _can_be_read(line: bytes, read: Callable[[str], object]) -> bool:
    try:
        read(line.decode())
    except (ValueError, RecursionError):
        return False
    return True


def _mark(line: str) -> tuple[str, Item]:
    """A reference, and what is said of the erasing; ValueError if the line is none."""
    told = json.loads(line)
    if not isinstance(told, dict) or not isinstance(said := told.get("said"), dict):
        raise ValueError("no mark")
    if not re.fullmatch("[a-z2-7]+", str(told.get("reference"))) or not isinstance(said.get("opted_out"), bool):
        raise ValueError("no mark")
    Why(str(said.get("why")))
    return told["reference"], said


def _key(text: str) -> str:
    if not text.strip():
        raise ValueError("no key")
    return text


def _read(path: Path, missing: str) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise Damaged(missing) from None
    except OSError as error:
        raise Damaged(f"{path} cannot be read: {error.strerror}.") from None


def unarchive(folder: Path, stack: Whole, now: Callable[[], datetime], show: Show) -> bool:
    """Bring everything in; False if a table did not arrive as it should."""
    manifest = check(folder)
    show(f"The archive of {manifest['began_at']} is whole.")
    stack.must_be_at_rest()
    journal = _begin(folder, stack, now)
    began_at = str(journal["began_at"]["S"])
    if "copied_at" not in journal:  # who is erased below would be missed
        stack.put_secret((folder / KEY).read_text("utf-8"))
        _put_marks(folder, stack)
        if not _put_tables(folder, stack, Carrying(began_at, sent_is_unknown=manifest["still_sent"]), show):
            return False
        stack.note({"copied_at": {"S": format_instant(now())}})
    if manifest["still_sent"]:
        stack.close_the_past(began_at)
        show(f"The stack that was archived still sent mail: no survey that was due before {began_at} will be sent.")
    show(stack.erase_again())  # somebody may have been erased while the archive was written
    stack.note({"finished_at": {"S": format_instant(now())}})
    for line in _what_next(stack, manifest):
        show(line)
    return True


def _put_tables(folder: Path, stack: Whole, carrying: Carrying, show: Show) -> bool:
    wrong = []
    for name in CARRIED:
        is_right = stack.put_rows(name, saying(name, _rows(folder, name, stack, carrying), show))
        show(f"  {name}: {'as it should be' if is_right else 'WITH DIFFERENCES'}")
        wrong += [] if is_right else [name]
    if wrong:
        show(f"NOT AS IT SHOULD BE: {', '.join(wrong)}. Nothing is mailed. Run the same command again.")
    return not wrong


def _what_next(stack: Whole, manifest: Manifest) -> Iterator[str]:
    yield f"\nEverything is in {stack.name}, which is at rest: nothing is mailed."
    yield "What is left to do stands in docs/backup.md, from step 4 on: look, invite, move the names, let it send."
    yield (
        f"Who has opted out, complained, answered or been erased since {manifest['began_at']} in the stack that was "
        "archived is not known here: docs/backup.md says what to do about it."
    )
    if left := stack.switched_off():
        yield left


def _begin(folder: Path, stack: Whole, now: Callable[[], datetime]) -> Item:
    """How far this archive was brought in; CannotRestore if anything else is there."""
    of = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    if journal := stack.journal():
        if "finished_at" in journal:
            raise CannotRestore(f"{stack.name} was filled already, at {journal['finished_at']['S']}.")
        if journal["from"]["S"] != of:
            raise CannotRestore(f"Something else was begun in {stack.name}: deploy a further empty stack.")
        return journal
    stack.must_be_empty()
    return stack.note({"from": {"S": of}, "began_at": {"S": format_instant(now())}})


def _rows(folder: Path, name: str, stack: Whole, carrying: Carrying) -> Iterator[list[Item]]:
    """The table's rows; those of a stack that sent on as what they may have become."""
    with (folder / "tables" / f"{name}.ndjson").open(encoding="utf-8", newline="\n") as file:
        items = (row_of(name, line) for line in file)
        while page := list(islice(items, ROWS_AT_ONCE)):
            is_changed = carrying.sent_is_unknown or name == "Settings"
            yield stack.carried(name, [(item, None) for item in page], carrying) if is_changed else page


def _put_marks(folder: Path, stack: Whole) -> None:
    """What keeps erased patients from coming back with the next export."""
    s3, bucket = stack.client("s3"), stack.parts.names["IntakeBucket"]
    with (folder / MARKS).open(encoding="utf-8", newline="\n") as file:
        for reference, said in map(_mark, file):
            body = json.dumps(said, indent=1).encode()
            s3.put_object(Bucket=bucket, Key=ERASED + reference, Body=body, ContentType="application/json")


def _release(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.partition("+")[0].split("."))


def main() -> int:
    """The command line; 1 with a message if it could not be done."""
    parser = argparse.ArgumentParser(description="Bring an archive into an empty stack that is at rest.")
    parser.add_argument("folder", help="what `make archive` wrote")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    if not arguments.folder:
        print("Which archive? FROM=…", file=sys.stderr)
        return 1
    try:
        stack = Whole(arguments.stack or STACK_NAME, find(arguments.stack))
        show: Show = lambda line: print(line, flush=True)  # noqa: E731
        is_well = unarchive(Path(arguments.folder), stack, lambda: datetime.now(UTC), show)
    except (Damaged, CannotRestore, FunctionFailed, StackFailed, BotoCoreError, ClientError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())

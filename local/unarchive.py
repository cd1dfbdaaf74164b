"""`make unarchive`: bring an archive (local/archive.py) into an empty stack that is at rest.

Nothing is written before every file was found whole. Rows are compared with the archive once they are there, and what
was interrupted goes on with the same command. If the stack that was archived went on sending, whatever was due by now
counts as sent, as after a restore.
"""

import argparse
import hashlib
import json
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
from local.tables import NAMES, Item, from_text, saying
from local.whole import CARRIED, CannotRestore, Whole
from shared.domain.clock import format_instant
from shared.domain.intake import ERASED
from shared.version import version

ROWS_AT_ONCE = 500
Show = Callable[[str], None]
Manifest = dict[str, Any]


class Damaged(Exception):
    """The archive is not what was written, or not for this version; the message says where. Nothing was written."""


def check(folder: Path) -> Manifest:
    """What the archive says of itself, once every file in it was read and is what was written."""
    try:
        manifest: Manifest = json.loads((folder / MANIFEST).read_text("utf-8"))
        files, written_by = manifest["files"], str(manifest["version"])
        is_newer = manifest["format"] > FORMAT or _release(written_by) > _release(version())
    except FileNotFoundError:
        raise Damaged(f"There is no {MANIFEST} in {folder}: this is no archive, or not all of one.") from None
    except (ValueError, KeyError, TypeError):
        raise Damaged(f"{folder / MANIFEST} is damaged.") from None
    if is_newer:
        raise Damaged(f"The archive was made by version {written_by}, and this is {version()}: update first.")
    if missing := sorted({f"tables/{name}.ndjson" for name in NAMES} - files.keys()):
        raise Damaged(f"The archive lacks {', '.join(missing)}.")
    for name, told in files.items():
        _check_file(folder, name, told)
    return manifest


def _check_file(folder: Path, name: str, told: dict[str, Any]) -> None:
    """Damaged unless the file is whole, byte by byte, and each line of a table is a row."""
    found, rows = hashlib.sha256(), 0
    try:
        with (folder / name).open("rb") as file:
            for line in file:
                found.update(line)
                if name.endswith(".ndjson"):
                    rows += 1
    except FileNotFoundError:
        raise Damaged(f"{name} is missing.") from None
    if found.hexdigest() != told["sha256"]:
        raise Damaged(f"{name} is damaged, or was changed: its SHA-256 is not the one in {MANIFEST}.")
    if name.endswith(".ndjson") and rows != told["rows"]:
        raise Damaged(f"{name} has {rows:,} rows, and {MANIFEST} says {told['rows']:,}.")


def unarchive(folder: Path, stack: Whole, now: Callable[[], datetime], show: Show) -> bool:
    """Bring everything in; False if a table did not arrive as it should."""
    manifest = check(folder)
    show(f"The archive of {manifest['began_at']} is whole.")
    stack.must_be_at_rest()
    began_at = _begin(folder, stack, now)
    stack.put_secret((folder / KEY).read_text("utf-8"))
    _put_marks(folder, stack)
    carrying = Carrying(began_at, sent_is_unknown=manifest["still_sent"])
    wrong = []
    for name in CARRIED:
        is_right = stack.put_rows(name, saying(name, _rows(folder, name, stack, carrying), show))
        show(f"  {name}: {'as it should be' if is_right else 'WITH DIFFERENCES'}")
        wrong += [] if is_right else [name]
    if wrong:
        show(f"NOT AS IT SHOULD BE: {', '.join(wrong)}. Nothing is mailed. Run the same command again.")
        return False
    if carrying.sent_is_unknown:
        stack.close_the_past(began_at)
        show(f"The stack that was archived still sent mail: no survey that was due before {began_at} will be sent.")
    stack.note({"finished_at": {"S": format_instant(now())}})
    show(f"\nEverything is in {stack.name}, which is at rest: nothing is mailed.")
    show("What is left to do stands in docs/backup.md, from step 4 on: look, invite, move the names, let it send.")
    return True


def _begin(folder: Path, stack: Whole, now: Callable[[], datetime]) -> str:
    """When this archive began to be brought in; CannotRestore if anything else is there."""
    of = hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
    if journal := stack.journal():
        if "finished_at" in journal:
            raise CannotRestore(f"{stack.name} was filled already, at {journal['finished_at']['S']}.")
        if journal["from"]["S"] != of:
            raise CannotRestore(f"Something else was begun in {stack.name}: deploy a further empty stack.")
        return str(journal["began_at"]["S"])
    stack.must_be_empty()
    return str(stack.note({"from": {"S": of}, "began_at": {"S": format_instant(now())}})["began_at"]["S"])


def _rows(folder: Path, name: str, stack: Whole, carrying: Carrying) -> Iterator[list[Item]]:
    """The table's rows; those of a stack that sent on as what they may have become."""
    with (folder / "tables" / f"{name}.ndjson").open(encoding="utf-8", newline="\n") as file:
        items = (from_text(line) for line in file)
        while page := list(islice(items, ROWS_AT_ONCE)):
            is_changed = carrying.sent_is_unknown or name == "Settings"
            yield stack.carried(name, [(item, None) for item in page], carrying) if is_changed else page


def _put_marks(folder: Path, stack: Whole) -> None:
    """What keeps erased patients from coming back with the next export."""
    s3, bucket = stack.client("s3"), stack.parts.names["IntakeBucket"]
    for line in (folder / MARKS).read_text("utf-8").splitlines():
        mark = json.loads(line)
        body = json.dumps(mark["said"], indent=1).encode()
        s3.put_object(Bucket=bucket, Key=ERASED + mark["reference"], Body=body, ContentType="application/json")


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

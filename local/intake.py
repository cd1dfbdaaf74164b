"""`make intake`: what a file would do and whom it would mail when, or (IMPORT=yes) what an import of it did.

Works on the stack that is up on this machine, or (STACK=name) on one in AWS with the shell's own credentials.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.stack import STATE, StackFailed, read_stack

LISTED = 20
SILENT_MINUTES = 20  # a sweep takes up every quarter of an hour what was killed

Show = Callable[[str], None]


class IntakeFailed(Exception):
    """There is no report; the message says why."""


@dataclass(frozen=True)
class Intake:
    """The intake bucket of a running stack."""

    s3: Any
    bucket: str
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def report_on(self, path: Path, prefix: str, show: Show) -> dict[str, Any]:
        """Upload a file and wait for its report, showing how far it is."""
        reported = path.name if prefix == "incoming/" else prefix + path.name
        key = f"reports/{reported}.json"
        self.s3.delete_object(Bucket=self.bucket, Key=key)  # an earlier report of this name is not the one we wait for
        with path.open("rb") as file:
            self.s3.put_object(Bucket=self.bucket, Key=prefix + path.name, Body=file)
        shown, heard = "", self.clock()
        while True:
            report = self._read(key)
            if report and report["status"] != "in_progress":
                return report
            if report and (progress := _progress(report)) != shown:
                show(progress)
                shown, heard = progress, self.clock()
            if self.clock() - heard > SILENT_MINUTES * 60:
                raise IntakeFailed(
                    f"Nothing was heard of the file for {SILENT_MINUTES} minutes: see the function's log."
                )
            self.sleep(0.5)

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            report: dict[str, Any] = json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        except self.s3.exceptions.NoSuchKey:
            return None
        return report


def here() -> Intake:
    """The stack of this machine: `make up`'s, else the demo's."""
    for state in (STATE, STATE / "demo"):
        if (state / "stack.json").exists():
            stack = read_stack(state)
            return Intake(stack.client("s3"), stack.outputs["IntakeBucketName"])
    raise StackFailed("no stack is up: run `make up` or `make demo`")


def in_aws(name: str) -> Intake:
    """A stack in AWS, with the shell's own credentials and region."""
    import boto3

    stack = boto3.client("cloudformation").describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
    return Intake(boto3.client("s3"), outputs["IntakeBucketName"])


def preview_in_words(report: dict[str, Any]) -> Iterator[str]:
    """What an import would do, line by line."""
    yield _headline(report)
    yield from _errors(report)
    if report["status"] == "refused":
        return
    if "note" in report:
        yield f"\n{report['note']}"
        return
    counted = ("patients", "visits")
    yield from _table(("", "new", "changed", "unchanged"), ((name, *report[name].values()) for name in counted))
    yield from _table(("", "new", "moved", "withdrawn"), [("touchpoints", *report["touchpoints"].values())])
    if report["merges"]:
        yield f"\n{report['merges']:,} merges of patients"
    mails = report["mails"]
    yield "\nSurveys that would go out, by day at the clinic:" if mails["by_day"] else "\nNo survey would go out."
    yield from (f"  {day}  {number:>7,}" for day, number in mails["by_day"].items())
    mailed = [mail for mail in mails["list"] if "when" in mail][:LISTED]
    if mailed:
        yield f"\nThe first {len(mailed)}:"
        cells = (
            (mail["when"].replace("T", " "), mail["patient_id"], mail["touchpoint"], mail["clinic_id"])
            for mail in mailed
        )
        yield from _columns(cells)
    if mails["not_mailed"]:
        reasons = (f"{number:,} {reason.replace('_', ' ')}" for reason, number in mails["not_mailed"].items())
        yield f"\nSurveys that would not go out: {', '.join(reasons)}"


def import_in_words(report: dict[str, Any]) -> Iterator[str]:
    """What an import did, line by line."""
    yield _headline(report)
    yield ", ".join(f"{report[name]:,} {name}" for name in ("created", "updated", "unchanged", "refused"))
    yield from _errors(report)


def _headline(report: dict[str, Any]) -> str:
    return f"{report['status']}: {report['kind']}, {report['rows']:,} rows"


def _progress(report: dict[str, Any]) -> str:
    return f"  {report['rows_read']:,} rows read, {report['rows']:,} done"


def _errors(report: dict[str, Any]) -> Iterator[str]:
    errors = report["errors"]
    if errors:
        yield "\nRefused:"
        yield from _columns((f"line {each['line']}", each["column"] or "-", each["reason"]) for each in errors[:LISTED])
    if report["refused"] > LISTED:
        yield f"  and {report['refused'] - LISTED:,} more; the report lists 1,000, and rejected/ all of an import"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    yield ""
    for row in (head, *rows):
        name, *cells = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row)
        yield f"{name:<12}" + "".join(f"{cell:>12}" for cell in cells)


def _columns(rows: Iterable[Sequence[str]]) -> Iterator[str]:
    listed = list(rows)
    widths = [max(map(len, column)) for column in zip(*listed, strict=True)]
    for row in listed:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def main() -> int:
    """The command line; 1 when there is no report, with a message, or when the import was refused."""
    parser = argparse.ArgumentParser(description="Look at a file before it is imported, or import it.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--import", dest="prefix", choices=("yes", "settings"), help="settings: clinics and choices")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    if not arguments.file.is_file():
        print(f"there is no file {arguments.file}: make intake FILE=path", file=sys.stderr)
        return 1
    prefix = {None: "preview/", "yes": "incoming/", "settings": "settings/"}[arguments.prefix]
    try:
        intake = in_aws(arguments.stack) if arguments.stack else here()
        report = intake.report_on(arguments.file, prefix, lambda progress: print(progress, flush=True))
    except (IntakeFailed, StackFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print("\n".join(import_in_words(report) if arguments.prefix else preview_in_words(report)))
    if not arguments.prefix:
        print("\nNothing was changed, and nobody was mailed.")
    return 1 if arguments.prefix and report["status"] == "refused" else 0


if __name__ == "__main__":
    sys.exit(main())

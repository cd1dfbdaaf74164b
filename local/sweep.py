"""`make sweep`: find what was left behind, and do it, from unfinished imports to claimed mail and owed alerts.

Streams lose events, functions are killed and queues of failures hold no data, so what is owed stands in the tables.
The schedules sweep them; this does it all at once, on the stack of this machine or (STACK=name) on one in AWS with the
shell's own credentials. It sends what the schedules would send by now, and doing it twice does nothing twice.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.deployed import Deployed, FunctionFailed, find
from local.stack import StackFailed
from shared.domain.clock import format_instant

Show = Callable[[str], None]


@dataclass(frozen=True)
class Sweep:
    """One function's look at what it owes, and what it returned in words; `run` names its lock, if it has one."""

    title: str
    function: str
    in_words: Callable[[Any], Iterator[str]]
    run: str = ""


def _imports(result: Mapping[str, int]) -> Iterator[str]:
    if left := result["unfinished"]:
        yield f"{_count(left, 'unfinished import')}, taken up where they were left"


def _erasures(result: Mapping[str, int]) -> Iterator[str]:
    if result["erased"]:
        yield f"{_count(result['erased'], 'patient')} erased"
    if result["in_progress"]:
        yield f"{_count(result['in_progress'], 'patient')} still being searched for"


def _alerts(result: Mapping[str, int]) -> Iterator[str]:
    if owed := result["surveys"]:
        yield f"{_count(owed, 'answer')} of which the staff had to hear at once: alerted, cases opened"


def _reviews(result: Mapping[str, int]) -> Iterator[str]:
    if owed := result["surveys"]:
        yield f"{_count(owed, 'answer')} that called for a review request: made unless a rule forbids it"


def _mail(result: Mapping[str, Any]) -> Iterator[str]:
    if result["due"]:
        yield f"{_count(result['due'], 'message')} due, with those that a sender which died had claimed"
    if result["sent"]:
        yield f"{result['sent']:,} sent, or found to have been sent"
    for outcome, meaning in (("deferred", "stay due"), ("skipped", "are never sent")):
        for reason, number in sorted(result[outcome].items()):
            yield f"{number:,} {meaning}: {reason.replace('_', ' ')}"
    if result["unknown"]:
        yield f"{result['unknown']:,} may or may not have left, and are never sent again"
    if result["failed"]:
        yield f"{result['failed']:,} refused by Amazon SES for good"


def _digest(result: Mapping[str, int]) -> Iterator[str]:
    if result["clinics"]:
        yield f"{_count(result['passives'], 'answer')} told to the staff of {_count(result['clinics'], 'clinic')}"
    else:
        yield "nothing by now: it goes out once a day, from seven in the morning on"


def _cases(result: Mapping[str, int]) -> Iterator[str]:
    if late := result["cases"]:
        yield f"{_count(late, 'case')} that nobody took in time, told to the owner"


def _scores(result: Mapping[str, int]) -> Iterator[str]:
    if changed := result["surveys"]:
        yield f"{_count(changed, 'survey')} counted that had changed since the last count"


SWEEPS = (
    Sweep("Imports", "ImportVisitsFunction", _imports),
    Sweep("Erasures", "ErasePatientFunction", _erasures),
    Sweep("Alerts", "AlertStaffFunction", _alerts),
    Sweep("Review requests", "RequestReviewFunction", _reviews),
    Sweep("Mail to patients", "SendSurveyFunction", _mail, "send_survey"),
    Sweep("Daily digest", "SendDigestFunction", _digest, "send_digest"),
    Sweep("Late cases", "EscalateCasesFunction", _cases, "escalate_cases"),
    Sweep("Scores", "AggregateScoresFunction", _scores),
)
"""In the order in which one may bring work for the next."""
NOTHING_OWED = {
    "SendReportFunction": "a report that failed is tried each hour, for three days",
    "MeasureWorthFunction": "measures everything anew each week",
    "SelfTestFunction": "what a night left of its patient is cleared by the next",
}
"""Scheduled functions that leave nothing behind, and why."""


def sweep(stack: Deployed, now: datetime, show: Show) -> bool:
    """Run every sweep as of now, one after the other, and say what came of it; False if any of them failed."""
    is_well = True
    for each in SWEEPS:
        show(each.title)
        try:
            result = stack.run(each.function, {"time": format_instant(now)})
            held = list(_held(stack, each.run, now)) if each.run else []
            for line in held or list(each.in_words(result)) or ["nothing was left behind"]:
                show(f"  {line}")
        except FunctionFailed as failure:
            is_well = False
            show(f"  FAILED: {failure}. What was not done is still owed; the function's log says more.")
    if failed := _failed_events(stack):
        show(f"\n{_count(failed, 'record')} in the queue of failed events: read them for the cause, then empty it.")
        show("What they name was looked for above, but for delivery events: those they hold whole.")
    return is_well


def _held(stack: Deployed, run: str, now: datetime) -> Iterator[str]:
    """That another run, maybe a dead one's, has the lock: then ours looked at nothing."""
    key = {"scope": {"S": f"run#{run}"}}
    row = stack.client("dynamodb").get_item(TableName=stack.names["SettingsTable"], Key=key, ConsistentRead=True)
    until = row.get("Item", {}).get("held_until", {}).get("S", "")
    if until >= format_instant(now):
        yield f"nothing was looked at: another run, or one that died, holds the lock until {until}: sweep again then"


def _failed_events(stack: Deployed) -> int:
    answer = stack.client("sqs").get_queue_attributes(
        QueueUrl=stack.names["FailedEvents"], AttributeNames=["ApproximateNumberOfMessages"]
    )
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def _tell(line: str) -> None:
    """Print it at once; should nobody read any longer, as after `| head`, the sweep goes on unheard."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> int:
    """The command line; 1 when there is no stack, or when a sweep failed."""
    parser = argparse.ArgumentParser(description="Find what was left behind, and do it.")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    try:
        is_well = sweep(find(arguments.stack), datetime.now(UTC), _tell)
    except (StackFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())

"""Very many mails due at once, sent by real processes that are killed on the way: none lost, none doubled.

Tables and parameters are the deployed stack's; the mail provider is a stand-in that remembers who was mailed. The
processes' wall clock is put forward after each kill, so that nobody has to wait for locks and leases to run out.
"""

import base64
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.mail_stub import MailStub
from local.demo import environment_of
from local.stack import Stack
from local.template import ROOT
from shared.domain.clock import format_instant
from shared.domain.message import shard_of

DUE_AT = datetime(2021, 3, 1, 17, tzinfo=UTC)  # a Monday noon in New York, long before whatever else the stack holds
AFTER_A_KILL = timedelta(minutes=2)  # the run's lock has run out
AFTER_ALL = timedelta(minutes=11)  # and so have the leases of messages
BATCH = 25


@dataclass
class Sent:
    """What came of it; `violations` says in words what must not be, and is empty."""

    messages: int
    kills: int = 0
    runs: int = 0
    seconds: float = 0.0
    calling_at_kills: int = 0
    states: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)


def survey_id(number: int) -> str:
    """As the functions would make them."""
    digest = hashlib.sha256(f"load {number}".encode()).digest()[:16]
    return base64.b32encode(digest).decode().rstrip("=").lower()


def address(number: int) -> str:
    """Everybody has their own."""
    return f"load{number}@patients.example"


def make_due(stack: Stack, number: int) -> None:
    """Write patients, surveys and messages of so many patients, all due at `DUE_AT`."""
    client, at = stack.client("dynamodb"), format_instant(DUE_AT)

    def items(each: int) -> dict[str, dict[str, Any]]:
        patient, survey = f"load-{each}", survey_id(each)
        care = {"case_id": "c", "episode": "case:c", "visit_id": "v", "therapist_id": "t"}
        about = {"survey_id": survey, "patient_id": patient, "clinic_id": "load", "touchpoint": "evaluation"}
        message = {"message_id": f"{survey}-survey", "kind": "survey", "state": "due", "due": shard_of(patient)}
        moments = {"occurred_at": at, "due_at": at}
        return {
            "PatientsTable": _item({"patient_id": patient, "email": address(each), "clinic_id": "load"}),
            "SurveysTable": _item({**about, **care, **moments, "language": "en"}),
            "MessagesTable": {**_item({**about, **message, **moments}), "attempt": {"N": "0"}},
        }

    def write(first: int) -> None:
        made = [items(each) for each in range(first, min(first + BATCH, number))]
        for table in made[0]:
            puts = [{"PutRequest": {"Item": one[table]}} for one in made]
            client.batch_write_item(RequestItems={stack.tables[table]: puts})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, number, BATCH)))


def _item(values: dict[str, str]) -> dict[str, Any]:
    return {name: {"S": value} for name, value in values.items()}


def send_all(
    stack: Stack,
    mails: MailStub,
    number: int,
    kills: int,
    *,
    senders: int = 1,
    dice: random.Random | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Sent:
    """Run the sender until nothing is due, killing it so many times at random moments, and look at what came of it."""
    dice, began = dice or random.Random(1), time.monotonic()
    environment = {**environment_of(stack, "SendSurveyFunction"), "SENDERS": str(senders), "PYTHONPATH": str(ROOT)}
    environment["AWS_ENDPOINT_URL_SESV2"] = mails.url
    result, clock = Sent(number), timedelta()
    calling = set[str]()
    moments = sorted(dice.randrange(number // 20, number * 19 // 20) for _ in range(kills))
    for moment in moments:
        run = Run(environment, clock)
        result.runs += 1
        while run.goes_on() and mails.mails < moment:
            time.sleep(0.002 + 0.02 * dice.random())
        if run.goes_on():
            run.kill()
            result.kills += 1
            calling |= {item["message_id"]["S"] for item in _messages(stack) if item["state"]["S"] == "calling"}
            clock += AFTER_A_KILL
        else:
            run.end()
        say(f"{mails.mails} mails, {result.kills} kills, {time.monotonic() - began:.0f} s")
    clock += AFTER_ALL
    while (states := _states(stack)).keys() & {"due", "claimed", "calling"}:
        result.runs += 1
        if result.runs > kills + 20:
            break
        Run(environment, clock).end()
        say(f"{mails.mails} mails, {dict(states)}, {time.monotonic() - began:.0f} s")
    result.seconds = time.monotonic() - began
    result.states, result.calling_at_kills = states, len(calling)
    result.violations = list(_violations(stack, mails, result))
    return result


class Run:
    """One run: a process for each of its senders."""

    def __init__(self, environment: dict[str, str], clock: timedelta) -> None:
        self._environment, self._clock = environment, clock
        first = self._start({"time": format_instant(DUE_AT)})
        self._processes = [first]
        for _ in range(int(environment["SENDERS"]) - 1):
            if first.stdout and (line := first.stdout.readline()):
                self._processes.append(self._start(json.loads(line)))

    def goes_on(self) -> bool:
        """Whether any of them still runs."""
        return any(process.poll() is None for process in self._processes)

    def kill(self) -> None:
        """End all of them between two of their instructions."""
        for process in self._processes:
            process.kill()
        self.end()

    def end(self) -> None:
        """Wait until they have ended."""
        for process in self._processes:
            process.communicate()

    def _start(self, event: dict[str, Any]) -> "subprocess.Popen[str]":
        seconds = str(self._clock.total_seconds())
        command = [sys.executable, "-m", "bench.killed_runs", json.dumps(event), seconds]
        return subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )


def _states(stack: Stack) -> Counter[str]:
    return Counter(message["state"]["S"] for message in _messages(stack) if message["kind"]["S"] == "survey")


def _messages(stack: Stack) -> Iterator[dict[str, Any]]:
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=stack.tables["MessagesTable"],
            FilterExpression="clinic_id = :load",
            ExpressionAttributeValues={":load": {"S": "load"}},
        )
    )
    return (item for page in pages for item in page["Items"])


def _violations(stack: Stack, mails: MailStub, result: Sent) -> Iterator[str]:
    received = mails.received
    stored = {item["message_id"]["S"]: item for item in _messages(stack)}
    doubled = [who for who, times in received.items() if times > 1]
    if doubled:
        yield f"{len(doubled)} patients were mailed more than once"
    wanted = {f"{survey_id(each)}-survey": address(each) for each in range(result.messages)}
    if lost := wanted.keys() - stored.keys():
        yield f"{len(lost)} messages are gone"
    unsettled = [key for key in wanted.keys() & stored.keys() if stored[key]["state"]["S"] not in ("sent", "unknown")]
    if unsettled:
        yield f"{len(unsettled)} messages are neither sent nor unknown"
    sent = {key for key in wanted.keys() & stored.keys() if stored[key]["state"]["S"] == "sent"}
    if unsent := [key for key in sent if received[wanted[key]] != 1]:
        yield f"{len(unsent)} messages are noted as sent and were not"
    unknown = len(wanted) - len(lost) - len(sent) - len(unsettled)
    if unknown > result.calling_at_kills:
        yield f"{unknown} messages are unknown, and only {result.calling_at_kills} were being sent at a kill"
    if without := [key for key in sent if key.replace("-survey", "-reminder") not in stored]:
        yield f"{len(without)} surveys that were sent have no reminder"


class _Context:
    """A Lambda context of nine minutes."""

    def __init__(self) -> None:
        self.aws_request_id = f"run-{os.getpid()}-{time.monotonic_ns()}"
        self._until = time.monotonic() + 540

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self._until - time.monotonic()))


def _run(event: dict[str, Any], clock: timedelta) -> None:
    """What the process of one sender does; it says on its standard output whom it wants started."""
    from functions.send_survey.handler import handler

    out = sys.stdout
    with Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):  # the function's log lines
        handler(
            event,
            _Context(),
            start=lambda event: print(json.dumps(event), file=out, flush=True),
            now=lambda: datetime.now(UTC) + clock,
        )


if __name__ == "__main__":
    _run(json.loads(sys.argv[1]), timedelta(seconds=float(sys.argv[2])))

"""Under load

The local stack, whole, on the machine that also plays its patients: for a minute (`LOAD_SECONDS`) as many answers a
second as it can take, then for as long twice as many, every tenth patient tapping twice. What must not be is counted
over the tables and over every page that came back. Absolute times are this machine's, and the emulator's more than the
functions': it has one process for all AWS services and starts one for each request at the same time, of which its
front lets in eight.

Then very many mails due at once, sent by real processes, two senders beside each other, killed with signal 9 at random
moments. `LOAD_MESSAGES=100000 python -m bench --measure load` takes as many as that, and its time.
"""

import os
import time
from collections.abc import Iterator

from bench.figure import Figure
from bench.flood import NO_ANSWER, Flood, backlog, flood, make_surveys, rate_it_can_take
from bench.killed_runs import Sent, make_due, send_all
from bench.mail_stub import mail_stub
from local.stack import Stack, running

MESSAGES = int(os.environ.get("LOAD_MESSAGES", "2000"))
SECONDS = int(os.environ.get("LOAD_SECONDS", "60"))
KILLS = 8
LONGEST_BACKLOG = 30.0


def measure() -> list[Figure]:
    """Floods of answers at the rate the stack can take and at twice that, and runs that are killed."""
    with running() as stack:
        figures = _mails(stack)
    with running() as stack:
        return [*_answers(stack), *figures]


def _answers(stack: Stack) -> Iterator[Figure]:
    rate_it_can_take(stack, make_surveys(stack, "warm", 16))
    rate = rate_it_can_take(stack, make_surveys(stack, "take", 150))
    for times, words in ((1, "as many answers as it can take"), (2, "twice as many")):
        tokens = make_surveys(stack, f"flood{times}", round(rate * times * SECONDS))
        result = flood(stack, tokens, rate * times)
        yield from _told(result, words)
        began = time.monotonic()
        while (left := backlog(stack)) and time.monotonic() - began < LONGEST_BACKLOG:
            time.sleep(0.5)
        note = f"{left} were still waiting then." if left else ""
        yield Figure(
            f"{words}: until every reaction had followed",
            "Alerts and review requests, from the last answer on; the emulator's streams are slower than AWS's.",
            time.monotonic() - began,
            "s",
            "absolute",
            note=note,
        )


def _told(result: Flood, words: str) -> Iterator[Figure]:
    refused = [
        f"{'no answer' if status == NO_ANSWER else status}: {number}"
        for status, number in result.statuses.items()
        if status != 200
    ]
    what = (
        f"{len(result.taps):,} taps at {result.rate:.0f} a second: {result.accepted:,} accepted,"
        f" refused {', '.join(refused) or 0}."
    )
    yield _violated(f"{words}: lost, doubled or not told", what, "answers", result.violations)
    for percent in (50, 99):
        yield Figure(f"{words}: {percent} % answered within", what, result.latency(percent), "s", "absolute")


def _mails(stack: Stack) -> list[Figure]:
    with mail_stub(rate=1000, seconds_a_mail=0.03) as mails:
        make_due(stack, MESSAGES)
        result: Sent = send_all(stack, mails, MESSAGES, KILLS, senders=2, say=_say)
        had_left = mails.mails - result.states["sent"]
    what = (
        f"{MESSAGES:,} mails due at once, {result.runs} runs, {result.kills} killed: {result.states['sent']:,} sent,"
        f" {result.states['unknown']:,} in doubt, of {result.calling_at_kills:,} that were in hand at a kill."
    )
    name = f"{MESSAGES:,} mails and {KILLS} kills"
    return [
        _violated(f"{name}: lost or doubled", what, "mails", result.violations),
        Figure(
            f"{name}: in doubt for each kill",
            what,
            result.states["unknown"] / max(1, result.kills),
            "mails",
            "absolute",
            note=f"{had_left:,} of them had left: the provider's events say so, and then they count as sent.",
        ),
        Figure(f"{name}: rate", what, MESSAGES / result.seconds, "mails a second", "absolute"),
    ]


def _violated(name: str, what: str, unit: str, violations: list[str]) -> Figure:
    """What must not be, counted; each violation begins with its number."""
    wrong = sum(int(violation.split()[0]) for violation in violations)
    return Figure(name, what, wrong, unit, "count", target=0, note=" ".join(violations))


def _say(line: str) -> None:
    print(f"  {line}", flush=True)

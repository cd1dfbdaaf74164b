"""One run: everything that is due, in one pass, at the pace the provider allows."""

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.send_survey.delivery import Result, Sender, deliver, settle
from functions.send_survey.pace import Limits
from shared.domain.eligibility import Situation, Verdict, decide, superseded
from shared.domain.identity import address_key
from shared.domain.settings import Clinic
from shared.observability import count, warn
from shared.storage import addresses, messages, patients, settings, surveys
from shared.storage.messages import DueMessage
from shared.storage.settings import practice

PAGE = 100  # DynamoDB's most for one BatchGetItem
SECONDS_A_MESSAGE = 0.25  # claim, call and the writes around it: with the rate, this gives the number of threads
MAX_THREADS = 32
MAX_THROTTLES = 5


@dataclass
class Tally:
    """What came of every message; `due` is the sum of the rest."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)

    def add(self, result: Result, times: int = 1) -> None:
        """Count one result."""
        self.outcomes[result.outcome] += times
        if result.outcome == "skipped":
            self.skipped[result.reason] += times
        elif result.outcome == "deferred":
            self.deferred[result.reason] += times

    def summary(self) -> dict[str, Any]:
        """The function's answer."""
        return {
            "due": self.outcomes.total(),
            "sent": self.outcomes["sent"],
            "skipped": dict(self.skipped),
            "deferred": dict(self.deferred),
            "unknown": self.outcomes["unknown"],
            "failed": self.outcomes["failed"],
        }


def send_due(
    sender: Sender,
    limits: Limits | None,
    keep_lock: Callable[[], bool],
    has_time: Callable[[], bool],
    why_stop: Callable[[int], str],
) -> Tally:
    """Decide about every due message and send what may be sent; each is looked at once.

    `why_stop` is asked just before each mail, with how many were sent by then: the reason to send none, or nothing.

    Every thread has ended when this returns or raises: a frozen environment must not thaw hours later and send.
    """
    tally = Tally()
    due, upcoming = _split(messages.due_until(sender.as_of + practice().survey_delay), sender.as_of)
    clinics = _Clinics()
    replaced = superseded(itertools.chain(due, upcoming), sender.as_of, lambda clinic_id: clinics[clinic_id].zone)
    stop = _why_not_now(limits)
    left = limits.allowance if limits else 0
    threads = min(MAX_THREADS, max(1, math.ceil((limits.rate if limits else 1) * SECONDS_A_MESSAGE)))
    running: set[Future[Result]] = set()

    def collect(until: int) -> None:
        nonlocal running, stop
        while len(running) > until:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                tally.add(future.result())
            stop = stop or _why_refused(tally)

    with ThreadPoolExecutor(threads) as pool:
        for situation in _situations(due, replaced, clinics, sender, tally):
            decision = decide(situation, sender.as_of, sender.now())
            if decision.verdict is not Verdict.SEND:
                tally.add(_guarded(settle, situation, decision, sender))
                continue
            stop = stop or ("" if has_time() else "out_of_time") or ("" if keep_lock() else "lock_lost")
            reason = stop or ("quota" if left == 0 else "") or why_stop(tally.outcomes["sent"])
            if reason:
                tally.add(Result("deferred", reason))
                continue
            left = None if left is None else left - 1
            running.add(pool.submit(_guarded, deliver, situation, sender))
            collect(until=2 * threads)
        collect(until=0)
    return tally


def _split(entries: Iterable[DueMessage], as_of: datetime) -> tuple[list[DueMessage], list[DueMessage]]:
    """What is due, and what has happened already but waits out its delay: that can still replace what is due."""
    due, upcoming = list[DueMessage](), list[DueMessage]()
    for entry in entries:
        (due if entry.due_at <= as_of else upcoming).append(entry)
    return due, upcoming


def _situations(
    due: list[DueMessage], replaced: set[str], clinics: "_Clinics", sender: Sender, tally: Tally
) -> Iterator[Situation]:
    """Read what the decisions rest on, a page at a time; what a closed window and its age settle is not read."""
    open_now = list[DueMessage]()
    for entry in due:
        clinic = clinics[entry.clinic_id]
        is_young = sender.as_of - entry.occurred_at <= practice().max_touchpoint_age
        if is_young and not clinic.window.is_open(sender.as_of.astimezone(clinic.zone)):
            tally.add(Result("deferred", "outside_window"))
        else:
            open_now.append(entry)
    for start in range(0, len(open_now), PAGE):
        page = open_now[start : start + PAGE]
        stored = messages.get_many(entry.message_id for entry in page)
        people = patients.get_many((entry.patient_id for entry in page), consistent=True)
        asked = surveys.get_many(entry.survey_id for entry in page)
        keys = {id_: address_key(sender.key, person.email) for id_, person in people.items() if person.email}
        known = addresses.get_many(keys.values())
        for entry in page:
            if entry.message_id not in stored:  # erased between the index and here
                tally.add(Result("skipped", "erased"))
                continue
            yield Situation(
                message=stored[entry.message_id],
                survey=asked.get(entry.survey_id),
                patient=people.get(entry.patient_id),
                address=known.get(keys.get(entry.patient_id, "")),
                clinic=clinics[entry.clinic_id],
                practice=practice(),
                superseded=entry.message_id in replaced,
            )


class _Clinics(dict[str, Clinic]):
    """The clinics of one run, each read once."""

    def __missing__(self, clinic_id: str) -> Clinic:
        self[clinic_id] = settings.load_clinic(clinic_id)
        return self[clinic_id]


def _why_not_now(limits: Limits | None) -> str:
    if limits is None:
        count("SendingStopped")
        warn("sending_stopped", reason="the SES account may not send")
        return "sending_stopped"
    return ""


def _why_refused(tally: Tally) -> str:
    if tally.deferred["sending_stopped"]:
        count("SendingStopped")
        warn("sending_stopped", reason="SES refuses the sender")
        return "sending_stopped"
    return "throttled" if tally.deferred["throttled"] >= MAX_THROTTLES else ""


def _guarded(step: Callable[..., Result], *arguments: Any) -> Result:
    """Let no single message stop the run: an unexpected error is told and counted, and its message left as it is."""
    try:
        return step(*arguments)
    except Exception as error:  # noqa: BLE001
        count("MessagesFailed")
        warn("message_failed", error=type(error).__name__, message_id=arguments[0].message.message_id)
        return Result("deferred", "error")

"""One run: everything that is due, in one pass, at the pace the provider allows."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from functions.send_survey.delivery import Result, Sender, deliver, settle
from functions.send_survey.hands import MAX_THREADS, Hands
from functions.send_survey.pace import Limits
from functions.send_survey.senders import Part
from shared.domain import self_test
from shared.domain.eligibility import Situation, Verdict, decide, superseded
from shared.domain.identity import address_key
from shared.domain.settings import Clinic
from shared.observability import count, warn
from shared.storage import addresses, messages, patients, settings, surveys
from shared.storage.messages import DueMessage
from shared.storage.settings import practice

PAGE = 100  # DynamoDB's most for one BatchGetItem


@dataclass
class Tally:
    """What came of every message; `due` is the sum of the rest."""

    outcomes: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    deferred: Counter[str] = field(default_factory=Counter)
    may_have_left: int = 0  # of the mails that this run itself set out to send

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
    part: Part,
    keep_lock: Callable[[], bool],
    has_time: Callable[[], bool],
    why_stop: Callable[[int], str],
    most_at_once: int = MAX_THREADS,
) -> Tally:
    """Decide about every due message of the part and send what may be sent; each is looked at once.

    `why_stop` is asked just before each mail, with how many may leave at most: the reason to send none, or nothing.
    What is left when the run has to stop is not even read: there may be very much of it.

    Every thread has ended when this returns or raises: a frozen environment must not thaw hours later and send.
    """
    tally = Tally()
    due, upcoming = _split(messages.due_until(sender.as_of + practice().survey_delay, part.shards), sender.as_of)
    clinics = _Clinics()
    replaced = superseded(itertools.chain(due, upcoming), sender.as_of, lambda clinic_id: clinics[clinic_id].zone)
    due = _in_window(due, clinics, sender, tally)
    stop = _why_not_now(part.limits)
    rate, left = (part.limits.rate, part.limits.allowance) if part.limits else (1, 0)
    used_up = part.limits.of if part.limits else ""
    hands = Hands(sender.pace, rate, most_at_once)
    running: set[Future[Result]] = set()

    def collect(until: int) -> None:
        nonlocal running, stop
        while len(running) > until:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                tally.add(result := future.result())
                tally.may_have_left += _may_have_left(result)
            hands.settle(len(done))
            stop = stop or _why_refused(tally, sender)

    with ThreadPoolExecutor(most_at_once + 1) as pool:
        for number, situation in enumerate(_situations(due, replaced, clinics, sender, pool)):
            stop = stop or ("" if has_time() else "out_of_time") or ("" if keep_lock() else "lock_lost")
            stop = stop or (used_up if left == 0 else "")
            decision = decide(situation, sender.as_of, sender.now()) if situation and not stop else None
            if decision and decision.verdict is Verdict.SEND:
                remaining = len(due) - number
                stop = why_stop(remaining if left is None else min(left, remaining))
            if stop:
                tally.add(Result("deferred", stop), times=len(due) - number)
                break
            if situation is None or decision is None:  # erased between the index and here
                tally.add(Result("skipped", "erased"))
            elif decision.verdict is not Verdict.SEND:
                tally.add(_guarded(settle, situation, decision, sender))
            else:
                left = None if left is None else left - 1
                running.add(pool.submit(_guarded, deliver, situation, sender))
                collect(until=hands.number - 1)
        collect(until=0)
    if tally.deferred["quota"]:
        count("QuotaReached")
    if tally.deferred["daily_cap"]:
        count("DailyCapReached")
    return tally


def _split(entries: Iterable[DueMessage], as_of: datetime) -> tuple[list[DueMessage], list[DueMessage]]:
    """What is due, and what has happened already but waits out its delay: that can still replace what is due."""
    due, upcoming = list[DueMessage](), list[DueMessage]()
    for entry in entries:
        (due if entry.due_at <= as_of else upcoming).append(entry)
    return due, upcoming


def _in_window(due: list[DueMessage], clinics: "_Clinics", sender: Sender, tally: Tally) -> list[DueMessage]:
    """What has to be read: a closed window settles the rest, unless it is so old that it expires."""
    open_now = list[DueMessage]()
    for entry in due:
        clinic = clinics[entry.clinic_id]
        is_young = sender.as_of - entry.occurred_at <= practice().max_touchpoint_age
        if is_young and not clinic.window.is_open(sender.as_of.astimezone(clinic.zone)):
            tally.add(Result("deferred", "outside_window"))
        else:
            open_now.append(entry)
    return open_now


def _situations(
    due: list[DueMessage], replaced: set[str], clinics: "_Clinics", sender: Sender, pool: Executor
) -> Iterator[Situation | None]:
    """What each decision rests on, None for what exists no more: read a page at a time, one page ahead."""
    pages = [due[start : start + PAGE] for start in range(0, len(due), PAGE)]
    upcoming = pool.submit(_read, pages[0], replaced, clinics, sender) if pages else None
    for following in [*pages[1:], None]:
        if upcoming is None:
            return
        page = upcoming.result()
        upcoming = pool.submit(_read, following, replaced, clinics, sender) if following else None
        yield from page


def _read(page: list[DueMessage], replaced: set[str], clinics: "_Clinics", sender: Sender) -> list[Situation | None]:
    stored = messages.get_many(entry.message_id for entry in page)
    people = patients.get_many((entry.patient_id for entry in page), consistent=True)
    asked = surveys.get_many(entry.survey_id for entry in page)
    keys = {id_: address_key(sender.key, person.email) for id_, person in people.items() if person.email}
    known = addresses.get_many(keys.values())
    return [
        Situation(
            message=stored[entry.message_id],
            survey=asked.get(entry.survey_id),
            patient=people.get(entry.patient_id),
            address=known.get(keys.get(entry.patient_id, "")),
            clinic=clinics[entry.clinic_id],
            practice=practice(),
            superseded=entry.message_id in replaced,
        )
        if entry.message_id in stored
        else None
        for entry in page
    ]


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


def _why_refused(tally: Tally, sender: Sender) -> str:
    if tally.deferred["sending_stopped"]:
        count("SendingStopped")
        warn("sending_stopped", reason="SES refuses the sender")
        return "sending_stopped"
    if tally.deferred["quota"]:
        return "quota"
    return "throttled" if sender.pace.is_refused else ""


def _may_have_left(result: Result) -> bool:
    """Whether the sender handed the mail over, as far as it can tell: who failed or was overtaken may have done so.

    The self-test's is none of the practice's mails: neither its day's most nor its bounces are reckoned by it.
    """
    has_left = result.outcome in ("sent", "unknown") and result.reason != self_test.SENT
    return has_left or result.reason in ("error", "in_progress")


def _guarded(step: Callable[..., Result], *arguments: Any) -> Result:
    """Let no single message stop the run: an unexpected error is told and counted, and its message left as it is."""
    try:
        return step(*arguments)
    except Exception as error:  # noqa: BLE001
        count("MessagesFailed")
        warn("message_failed", error=type(error).__name__, message_id=arguments[0].message.message_id)
        return Result("deferred", "error")

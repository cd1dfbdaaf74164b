"""Scheduled: send the patient mail that is due: surveys, reminders, review requests."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from functions.send_survey.delivery import Sender
from functions.send_survey.hands import MAX_THREADS
from functions.send_survey.pace import Limits, Pace, account_limits
from functions.send_survey.run import Tally, send_due
from functions.send_survey.senders import number_of, run_name, share_out, told
from functions.send_survey.watch import Watch
from shared.config import setting
from shared.domain.clock import format_instant, scheduled_time
from shared.hash_key import hash_key
from shared.mail.mailer import Mailer, SesMailer, ses_client
from shared.observability import entry_point, log
from shared.storage import sending_health, settings

LOCK_SECONDS, RENEW_SECONDS, LAST_SECONDS = 60, 15, 40


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    mailer: Mailer | None = None,
    limits: Callable[[], Limits | None] = lambda: account_limits(ses_client()),
    start: Callable[[dict[str, Any]], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    most_at_once: int = MAX_THREADS,
) -> dict[str, Any]:
    """Send what is due at the event's `time`, each message at most once; a second run at the same time does nothing."""
    as_of, run = scheduled_time(event), run_name(number_of(event))
    lock = partial(_lock, run, context.aws_request_id)
    if not lock(now()):
        log("already_running", run=run, as_of=format_instant(as_of))
        return Tally().summary()
    try:
        capped = partial(_capped, limits, now)
        part = told(event) if number_of(event) else share_out(event, capped(), start or partial(_start, context))
        watch = Watch(now, part.limits.rate if part.limits else 1)
        watch.begin()
        sender = Sender(
            as_of=as_of,
            now=now,
            mailer=mailer or SesMailer(),
            pace=Pace(part.limits.rate if part.limits else 1, time.monotonic, time.sleep),
            public_url=setting("PUBLIC_URL"),
            key=hash_key(),
        )
        keep_lock = _renewal(lock, now)
        tally = send_due(sender, part, keep_lock, lambda: _has_time(context), watch.why_stop, most_at_once)
        watch.end(tally, may_send=part.limits is not None)
    finally:
        settings.release_run(run, context.aws_request_id)
    summary = tally.summary()
    log("run_finished", run=run, as_of=format_instant(as_of), **summary)
    return summary


def _start(context: Any, event: dict[str, Any]) -> None:
    """Run this function once more beside itself: one level deep, since only the schedule's event makes it do so."""
    import boto3

    boto3.client("lambda").invoke(
        FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=json.dumps(event)
    )


def _lock(run: str, holder: str, moment: datetime) -> bool:
    return settings.acquire_run(run, holder, moment, moment + timedelta(seconds=LOCK_SECONDS))


def _capped(limits: Callable[[], Limits | None], now: Callable[[], datetime]) -> Limits | None:
    """The account's limits, and what the practice itself lets leave in one UTC day."""
    found, most = limits(), settings.practice().max_sends_per_day
    return found and found.at_most(max(0, most - sending_health.sent_on(now())), "daily_cap") if most else found


def _renewal(lock: Callable[[datetime], bool], now: Callable[[], datetime]) -> Callable[[], bool]:
    """Keep the lock while messages are being claimed; False once another run has taken it."""
    renewed = now()

    def keep() -> bool:
        nonlocal renewed
        moment = now()
        if moment - renewed < timedelta(seconds=RENEW_SECONDS):
            return True
        renewed = moment
        return lock(moment)

    return keep


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)

"""Scheduled: send the patient mail that is due: surveys, reminders, review requests."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.send_survey.delivery import Sender
from functions.send_survey.pace import Limits, Pace, account_limits
from functions.send_survey.run import Tally, send_due
from functions.send_survey.watch import Watch
from shared.config import setting
from shared.domain.clock import format_instant, scheduled_time
from shared.hash_key import hash_key
from shared.mail.mailer import Mailer, SesMailer, ses_client
from shared.observability import entry_point, log
from shared.storage import settings

RUN = "send_survey"
LOCK_SECONDS, RENEW_SECONDS, LAST_SECONDS = 60, 15, 40


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    mailer: Mailer | None = None,
    limits: Callable[[], Limits | None] = lambda: account_limits(ses_client()),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Send what is due at the event's `time`, each message at most once; a second run at the same time does nothing."""
    as_of, holder = scheduled_time(event), context.aws_request_id
    if not _lock(holder, now()):
        log("already_running", run=RUN, as_of=format_instant(as_of))
        return Tally().summary()
    try:
        allowed, watch = limits(), Watch(now)
        watch.begin()
        sender = Sender(
            as_of=as_of,
            now=now,
            mailer=mailer or SesMailer(),
            pace=Pace(allowed.rate if allowed else 1, time.monotonic, time.sleep),
            public_url=setting("PUBLIC_URL"),
            key=hash_key(),
        )
        tally = send_due(sender, allowed, _renewal(holder, now), lambda: _has_time(context), watch.why_stop)
        watch.end(tally, may_send=allowed is not None)
    finally:
        settings.release_run(RUN, holder)
    summary = tally.summary()
    log("run_finished", run=RUN, as_of=format_instant(as_of), **summary)
    return summary


def _lock(holder: str, moment: datetime) -> bool:
    return settings.acquire_run(RUN, holder, moment, moment + timedelta(seconds=LOCK_SECONDS))


def _renewal(holder: str, now: Callable[[], datetime]) -> Callable[[], bool]:
    """Keep the lock while messages are being claimed; False once another run has taken it."""
    renewed = now()

    def keep() -> bool:
        nonlocal renewed
        moment = now()
        if moment - renewed < timedelta(seconds=RENEW_SECONDS):
            return True
        renewed = moment
        return _lock(holder, moment)

    return keep


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)

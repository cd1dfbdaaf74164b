"""Hourly: send the daily digest when it is morning at the practice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.alerts.send_digest.digest import Sent, send_digests
from shared.domain.clock import format_instant, scheduled_time
from shared.mail.mailer import Mailer, SesMailer
from shared.observability import entry_point, log
from shared.storage import settings
from shared.storage.settings import practice

RUN = "send_digest"
FROM_HOUR = 7  # practice-local
LOCK = timedelta(minutes=10)  # longer than the function's timeout


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    mailer: Mailer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Tell the staff of the passives, once a practice-local day from seven in the morning on, at least once.

    A missed hour is caught up by the next; a day on which some mail failed is tried again for what is left.
    """
    as_of, holder, moment = scheduled_time(event), context.aws_request_id, now()
    local = as_of.astimezone(practice().zone)
    today = local.date().isoformat()
    sent = Sent()
    if local.hour >= FROM_HOUR and settings.acquire_run(RUN, holder, moment, moment + LOCK):
        try:
            if settings.last_done(RUN) != today:
                sent = send_digests(as_of, mailer or SesMailer())
                settings.mark_done(RUN, today)
        finally:
            settings.release_run(RUN, holder)
    log("run_finished", run=RUN, as_of=format_instant(as_of), sent=sent.clinics, surveys=sent.passives)
    return {"clinics": sent.clinics, "passives": sent.passives}

"""Hourly: tell the owner of the cases whose deadline passed before anybody reached out."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.alerts.escalate_cases.escalation import escalate
from shared.domain.clock import format_instant, scheduled_time
from shared.mail.mailer import Mailer, SesMailer
from shared.observability import entry_point, log
from shared.storage import settings

RUN = "escalate_cases"
LOCK = timedelta(minutes=5)  # longer than the function's timeout


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    mailer: Mailer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Escalate each late case at least once and, unless a run dies between mail and note, only once."""
    as_of, holder, moment = scheduled_time(event), context.aws_request_id, now()
    told = 0
    if settings.acquire_run(RUN, holder, moment, moment + LOCK):
        try:
            told = escalate(as_of, mailer or SesMailer())
        finally:
            settings.release_run(RUN, holder)
    log("run_finished", run=RUN, as_of=format_instant(as_of), count=told)
    return {"cases": told}

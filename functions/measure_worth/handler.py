"""Each night: measure what the loop is worth, if that is a week ago."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from functions.measure_worth.measuring import measure
from shared.domain.clock import format_instant, scheduled_time
from shared.domain.worth import Worth
from shared.observability import entry_point, log
from shared.storage import settings, worth

RUN = "measure_worth"
EVERY = timedelta(days=7)
LOCK = timedelta(minutes=16)  # longer than the function's timeout


@entry_point
def handler(
    event: dict[str, Any], context: Any, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Any]:
    """Write the figures at most once a week; a night that failed is made up for by the next.

    An event with `"always": true` measures whatever was measured before.
    """
    as_of, holder, moment = scheduled_time(event), context.aws_request_id, now()
    today = as_of.astimezone(settings.practice().zone).date()
    figures: dict[str, Worth] = {}
    if settings.acquire_run(RUN, holder, moment, moment + LOCK):
        try:
            if event.get("always") or _is_due(today):
                figures = measure(today)
                worth.write(today.isoformat(), figures)
                settings.mark_done(RUN, today.isoformat())
        finally:
            settings.release_run(RUN, holder)
    log("run_finished", run=RUN, as_of=format_instant(as_of), rows=len(figures))
    return {"clinics": len(figures)}


def _is_due(today: date) -> bool:
    done = settings.last_done(RUN)
    return not done or date.fromisoformat(done) + EVERY <= today

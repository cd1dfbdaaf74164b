"""An event of Amazon SES: a mail was sent, delivered, delayed, bounced, complained about or rejected."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from functions.track_delivery.tracking import track
from shared.domain.delivery import parse_event
from shared.observability import entry_point


@entry_point
def handler(
    event: dict[str, Any], context: Any, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Any]:
    """Write down what the event says; the same event twice, or events in any order, come to the same.

    `event` is what the template's rule keeps of SES's: ids, types, status and times. One that cannot be read raises
    and ends in the queue of failed events.
    """
    happened = parse_event(event, now())
    return {"kind": happened.kind, "known": track(happened)}

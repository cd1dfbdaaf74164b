"""Instants as the tables and events write them: UTC, whole seconds, `2026-03-02T15:00:00Z`."""

import re
from datetime import UTC, datetime

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def parse_instant(text: str) -> datetime:
    """Read an instant strictly; a time without an offset, or anything else, is a ValueError that quotes it."""
    if not isinstance(text, str) or not _INSTANT.fullmatch(text):
        raise ValueError(f"not an instant such as 2026-03-02T15:00:00Z: {text!r}")
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def format_instant(instant: datetime) -> str:
    """Write an instant so that text order is time order."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def scheduled_time(event: dict[str, object]) -> datetime:
    """The as-of moment of a scheduled run: the `time` of its event, never the machine's clock."""
    time = event.get("time")
    if not isinstance(time, str):
        raise ValueError('a scheduled run needs {"time": "2026-03-02T15:00:00Z"}')
    return parse_instant(time)

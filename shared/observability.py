"""Logs and metrics that cannot carry a patient's data: ids and counts only, and exceptions without their words.

Lines of JSON in the shape of Powertools' Logger and Metrics, whose import alone would take a fifth of a cold start.
"""

import functools
import json
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.config import BadSetting

_ALLOWED = frozenset(
    {"as_of", "clinic_id", "count", "deferred", "due", "error", "failed", "kind", "message_id", "object"}
    | {"reason", "refused", "rows", "run", "sent", "skipped", "state", "status"}
    | {"survey_id", "surveys", "unchanged", "unknown", "updated", "version", "where"}
)


class HandlerFailed(Exception):
    """Something unexpected; only the type and place of the cause are told, since its words may hold patient data."""


def log(event: str, **facts: object) -> None:
    """Write one line of facts; a key that is not on the allow-list is a programming error."""
    _write("INFO", event, facts)


def warn(event: str, **facts: object) -> None:
    """Like `log`, for what someone should look at."""
    _write("WARNING", event, facts)


def count(metric: str, value: int = 1) -> None:
    """Add to a CloudWatch metric of the stack's namespace, without dimensions (the embedded metric format)."""
    metrics = [{"Name": metric, "Unit": "Count"}]
    directive = {"Namespace": _namespace(), "Dimensions": [[]], "Metrics": metrics}
    milliseconds = int(datetime.now(UTC).timestamp() * 1000)
    _print({"_aws": {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}, metric: value})


def _namespace() -> str:
    """The stack's own. The fallback is for an update's first moments, when new code still has the old variables."""
    return os.environ.get("METRICS_NAMESPACE", "Careloop")


def entry_point(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Let a handler's unexpected exception end the invocation, with its type and place but without its words."""

    @functools.wraps(handler)
    def guarded(event: Any, context: Any, **collaborators: Any) -> Any:
        try:
            return handler(event, context, **collaborators)
        except BadSetting:
            raise  # names the variable that the deployment got wrong, and no patient
        except Exception as error:  # noqa: BLE001 (told by type and place, and raised again)
            frames = traceback.extract_tb(error.__traceback__)[1:]
            where = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
            kind = type(error).__name__
            _write("ERROR", "handler_failed", {"error": kind, "where": where})
            raise HandlerFailed(f"{kind} at {where}") from None

    return guarded


def _write(level: str, event: str, facts: dict[str, object]) -> None:
    unknown = facts.keys() - _ALLOWED
    if unknown:
        raise ValueError(f"not on the log's allow-list: {sorted(unknown)}")
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    _print({"level": level, "message": event, "timestamp": moment, "service": "careloop", **facts})


def _print(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":"), default=str) + "\n")
    sys.stdout.flush()

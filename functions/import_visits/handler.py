"""S3 object created: take in what the practice's records say, and report on every row."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from functions.import_visits.importing import Invocation, import_object
from functions.import_visits.sweeping import left_lying, report_misplaced
from functions.import_visits.upload import Upload
from shared.config import setting
from shared.observability import entry_point, log

WORKERS = 8  # patients stored side by side
LAST_SECONDS = 90  # a chunk of patients takes a few; the rest is for throttled tables


@cache
def client(service: str) -> Any:
    """One client a process, made when first needed."""
    import boto3

    return boto3.client(service)


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    s3: Any = None,
    again: Callable[[dict[str, Any]], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
    workers: int = WORKERS,
) -> dict[str, Any]:
    """Import each object of the event; at least once, so that importing an object again changes nothing.

    What does not fit into one invocation goes on in the next. The schedule's event takes up whatever was left lying.
    """
    s3, again = s3 or client("s3"), again or (lambda event: _invoke(context, event))
    if "time" in event:
        left = left_lying(s3, setting("INTAKE_BUCKET"), now())
        for key in left:
            again(_created(setting("INTAKE_BUCKET"), key))
        report_misplaced(s3, setting("INTAKE_BUCKET"))
        return {"files": [], "unfinished": len(left)}
    reports = []
    with ThreadPoolExecutor(workers) as pool:
        invocation = Invocation(now, sleep, lambda: _has_time(context), pool)
        for record in event.get("Records", ()):
            upload = Upload(s3, record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"]))
            summary = import_object(upload, invocation)
            if summary is None:
                log("nothing_to_import", object=upload.hashed_name)
                continue
            facts = {fact: summary[fact] for fact in ("status", "kind", "rows", "refused")}
            log("imported", object=upload.hashed_name, **facts)
            if summary["status"] == "in_progress":
                again(_created(upload.bucket, upload.key))
            reports.append(summary)
    return {"files": reports}


def _created(bucket: str, key: str) -> dict[str, Any]:
    """The event with which S3 told of the object."""
    return {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": quote_plus(key)}}}]}


def _invoke(context: Any, event: dict[str, Any]) -> None:
    client("lambda").invoke(
        FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=json.dumps(event)
    )


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)

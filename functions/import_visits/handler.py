"""S3 object created: take in what the practice's records say, and report on every row."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import unquote_plus

from functions.import_visits.importing import import_object
from shared.observability import count, entry_point, log

WORKERS = 8  # patients stored side by side: a first import of years of visits fits one invocation


@cache
def s3_client() -> Any:
    """One client a process, made when first needed."""
    import boto3

    return boto3.client("s3")


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    s3: Any = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    workers: int = WORKERS,
) -> dict[str, Any]:
    """Import each object of the event; at least once, so that importing an object again changes nothing."""
    reports = []
    with ThreadPoolExecutor(workers) as pool:
        for record in event.get("Records", ()):
            bucket, key = record["s3"]["bucket"]["name"], unquote_plus(record["s3"]["object"]["key"])
            name = hashlib.sha256(key.encode()).hexdigest()[:16]  # a file may be named after a patient
            summary = import_object(s3 or s3_client(), bucket, key, now(), pool)
            if summary is None:
                log("nothing_to_import", object=name)
                continue
            log("imported", object=name, **{fact: summary[fact] for fact in ("status", "kind", "rows", "refused")})
            if summary["status"] != "accepted":
                count("IntakeRefused")
            reports.append(summary)
    return {"files": reports}

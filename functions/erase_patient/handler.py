"""Erase whoever is to be erased, and keep them from coming back."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from typing import Any

from functions.erase_patient.erasing import Invocation, ask_again, erase
from shared.config import setting
from shared.domain.clock import scheduled_time
from shared.observability import entry_point, log, warn
from shared.storage import erasures

LAST_SECONDS = 60  # an object of the intake bucket takes some to search


class ErasingFailed(Exception):
    """Some erasures could not go on. The next run looks at all of them again."""


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
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, int]:
    """Go on with `{"erase": reference}`, or for `{"time": …}` with all that are not finished.

    Whatever was killed is finished by the next call. `{"again": true}` erases once more whoever was erased and is back,
    for instance with a restored backup.
    """
    invocation = Invocation(s3 or client("s3"), setting("INTAKE_BUCKET"), now, lambda: _has_time(context))
    if event.get("again"):
        wanted = ask_again(invocation)
    elif "erase" in event:
        wanted = [str(event["erase"])]
    else:
        scheduled_time(event)  # anything else is not for this function
        wanted = list(erasures.references())
    states = [_guarded(reference, invocation) for reference in wanted]
    counted = {state: states.count(state) for state in ("erased", "in_progress", "failed")}
    log("run_finished", run="erase_patient", count=counted["erased"], failed=counted["failed"])
    if "time" in event:
        invocation.intake.remove_misplaced(now())
    if counted["failed"]:
        raise ErasingFailed
    return counted


def _guarded(reference: str, invocation: Invocation) -> str:
    """Let one that fails keep none of the others waiting."""
    try:
        return erase(reference, invocation)
    except Exception as error:  # noqa: BLE001 (raised in the end; its words may name the patient)
        warn("erasing_failed", error=type(error).__name__)
        return "failed"


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)

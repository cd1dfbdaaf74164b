"""Nightly, in three steps: make a canary, answer its survey, look whether all the rest followed."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from functions.self_test.browser import Ask, request_page
from functions.self_test.promises import PromiseBroken
from functions.self_test.steps import answer, begin, check
from shared.config import setting
from shared.domain.clock import scheduled_time
from shared.observability import count, entry_point, log, warn


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    ask: Ask = request_page,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, str]:
    """Take the event's `step`: `begin`, `answer` or `check`, each repeatable; what lies between runs by itself.

    A broken promise is an error that names it. Where nothing could be tried, `not_tried` says why, and that is none.
    SelfTestPassed is counted last of all, once nothing is left of the canary.
    """
    as_of, step = scheduled_time(event), event["step"]
    try:
        match step:
            case "begin":
                not_tried = begin(as_of, now())
            case "answer":
                not_tried = answer(as_of, now(), setting("PUBLIC_URL"), ask)
            case "check":
                not_tried = check(as_of)
            case _:
                raise ValueError("a step is begin, answer or check")
    except PromiseBroken as broken:
        warn("self_test_failed", run=step, reason=type(broken).__name__)
        raise
    if not_tried:
        warn("self_test_not_tried", run=step, reason=not_tried)
    else:
        log("self_test", run=step)
        if step == "check":
            count("SelfTestPassed")
    return {"step": step, "not_tried": not_tried}

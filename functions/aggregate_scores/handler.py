"""Nightly: add to the counts what changed since the last night."""

import json
from collections.abc import Callable
from itertools import chain
from typing import Any

from functions.aggregate_scores.counting import count_changes
from shared.config import parameters
from shared.domain.clock import format_instant, scheduled_time
from shared.observability import entry_point, log
from shared.storage import directory, surveys
from shared.storage.lexicon import load_lexicon

COUNTS = "delivered"  # what was last added to the counts: surveys that a release before counted are looked at again
LAST_SECONDS = 60  # a batch takes a few; the rest is for throttled tables


class NoProgress(Exception):
    """Nothing could be counted: going on at once would be for nothing."""


@entry_point
def handler(
    event: dict[str, Any], context: Any, *, again: Callable[[dict[str, Any]], None] | None = None
) -> dict[str, int]:
    """Count every survey that changed, each exactly once; everything answered so far, whatever the event's `time`.

    What does not fit into one invocation is counted in the next: this one starts it, once it has counted something.
    """
    as_of = scheduled_time(event)
    known = directory.read()
    earlier = surveys.counted_in_full() if known.counts != COUNTS else ()
    changed = chain(surveys.uncounted(), earlier)
    tally = count_changes(changed, known, parameters().zone, load_lexicon(), lambda: _has_time(context))
    facts = {"as_of": format_instant(as_of), "surveys": tally.surveys, "rows": len(tally.rows)}
    if tally.is_complete:
        directory.note_counted(as_of, known.counts if tally.left else COUNTS)
        log("run_finished", run="aggregate_scores", **facts)
    elif tally.surveys:
        (again or (lambda event: _invoke(context, event)))(event)
        log("run_goes_on", run="aggregate_scores", **facts)
    else:
        raise NoProgress("time ran out before anything was counted")
    return {"surveys": tally.surveys, "rows": len(tally.rows)}


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > LAST_SECONDS * 1000)


def _invoke(context: Any, event: dict[str, Any]) -> None:
    import boto3

    boto3.client("lambda").invoke(
        FunctionName=context.invoked_function_arn, InvocationType="Event", Payload=json.dumps(event)
    )

"""Nightly: add to the counts what changed since the last night."""

from typing import Any

from functions.aggregate_scores.counting import count_changes
from shared.config import parameters
from shared.domain.clock import format_instant, scheduled_time
from shared.observability import entry_point, log
from shared.storage import directory
from shared.storage.lexicon import load_lexicon


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Count every survey that changed, each exactly once; everything answered so far, whatever the event's `time`."""
    as_of = scheduled_time(event)
    tally = count_changes(parameters().zone, load_lexicon())
    directory.note_counted(as_of)
    log(
        "run_finished", run="aggregate_scores", as_of=format_instant(as_of), surveys=tally.surveys, rows=len(tally.rows)
    )
    return {"surveys": tally.surveys, "rows": len(tally.rows)}

"""Stream of answers, and sweep of those still owed: request a public review."""

from typing import Any

from functions.alerts.request_review.review import request_review
from shared.domain.survey import Reaction, pending_with
from shared.observability import entry_point
from shared.storage.reactions import react


@entry_point
def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Make one review request for each promoter of the batch (or everyone, if chosen), due after its delay."""
    return react(event, pending_with(Reaction.REVIEW), request_review)

"""Stream of answers, and sweep of those still owed: alert the staff."""

from functools import partial
from typing import Any

from functions.alerts.alert_staff.alert import alert
from shared.domain.survey import Reaction, pending_with
from shared.mail.mailer import Mailer, SesMailer
from shared.observability import entry_point
from shared.storage.reactions import react


@entry_point
def handler(event: dict[str, Any], context: Any, *, mailer: Mailer | None = None) -> dict[str, Any]:
    """Alert the staff about each detractor (and passive, if chosen) of the batch, at least once and normally once."""
    return react(event, pending_with(Reaction.ALERT), partial(alert, mailer=mailer or SesMailer()))

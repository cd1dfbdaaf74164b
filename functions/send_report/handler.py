"""Hourly: send the report when a week or month is over and it is morning at the practice."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, scheduled_time
from shared.domain.period import Period, month_of, week_of
from shared.domain.report import Every, report_of
from shared.mail import report_letter
from shared.mail.mailer import Mailer, SesMailer
from shared.mail.staff import tell_staff
from shared.observability import entry_point, log
from shared.storage import reports, settings
from shared.storage.settings import practice

RUN = "send_report"
FROM_HOUR = 7  # practice-local
DAYS_TO_CATCH_UP = 3  # beginning with the Monday or the first of the month
LOCK = timedelta(minutes=10)  # longer than the function's timeout


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    mailer: Mailer | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> dict[str, Any]:
    """Send each period's report at least once and, unless a run dies between mail and note, only once."""
    as_of, holder, moment = scheduled_time(event), context.aws_request_id, now()
    sent = 0
    if settings.acquire_run(RUN, holder, moment, moment + LOCK):
        try:
            choice = reports.read_choice()
            period = due(choice.every, as_of.astimezone(practice().zone))
            if period and settings.last_done(RUN) != period.key:
                _send(period, as_of, choice.to or practice().admins, mailer or SesMailer())
                settings.mark_done(RUN, period.key)
                sent = 1
        finally:
            settings.release_run(RUN, holder)
    log("run_finished", run=RUN, as_of=format_instant(as_of), sent=sent)
    return {"sent": sent}


def due(every: Every, local: datetime) -> Period | None:
    """The period whose report may go out at this practice-local moment: mornings, for three days from its end on."""
    today = local.date()
    match every:
        case Every.WEEK:
            period = week_of(today).previous
        case Every.MONTH:
            period = month_of(today).previous
        case Every.OFF:
            return None
    is_time = local.hour >= FROM_HOUR and (today - period.last).days <= DAYS_TO_CATCH_UP
    return period if is_time else None


def _send(period: Period, as_of: datetime, to: tuple[str, ...], mailer: Mailer) -> None:
    shown = report_of(reports.figures(period, as_of))
    link = f"{setting('DASHBOARD_URL')}/share?period={period.key}"
    tell_staff(mailer, report_letter.report(practice(), shown, to=to, dashboard_link=link))

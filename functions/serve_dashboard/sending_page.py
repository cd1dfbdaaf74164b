"""The switch for all mail to patients, and how much of it may leave in a day."""

from functions.serve_dashboard.pages import at
from functions.serve_dashboard.settings_forms import show
from functions.serve_dashboard.web import BadForm, Request, Response, see_other
from shared.domain.clock import format_instant
from shared.domain.staff import Staff
from shared.storage import sending_health
from shared.storage.settings import practice

_DONE = {
    "off": "Sending is switched off. A run that goes on at present ends within a minute.",
    "on": "Sending is switched on. What is due leaves with the next run, within ten minutes and in sending hours.",
}


def switch(request: Request, staff: Staff) -> Response:
    """Whether mail leaves, how much has left today, and the switch."""
    paused = sending_health.state().paused
    return show(
        request,
        staff,
        "settings_sending.html",
        scopes=(sending_health.STATE,),
        done=_DONE.get(request.query("done"), ""),
        title="Sending",
        paused=paused,
        paused_at=format_instant(paused.since) if paused else "",
        paused_on=at(paused.since, practice().zone) if paused else "",
        is_off_in_aws=practice().sending_paused,
        sent_today=sending_health.sent_on(request.now),
        most=practice().max_sends_per_day,
        waits_days=practice().max_touchpoint_age.days,
    )


def turn(request: Request, staff: Staff) -> Response:
    """Switch sending off or on; a form that was made from another state of the switch changes nothing."""
    paused, wanted = sending_health.state().paused, request.field("turn")
    seen = request.field("paused_at") == (format_instant(paused.since) if paused else "")
    if not seen or wanted != ("on" if paused else "off"):
        raise BadForm("Somebody else turned the switch a moment ago. Please look at it again.")
    turned = (
        sending_health.end_pause(paused, staff, request.now) if paused else sending_health.pause(staff, request.now)
    )
    if not turned:
        raise BadForm("Somebody else turned the switch a moment ago. Please look at it again.")
    return see_other(request.link("/settings/sending", done=wanted))

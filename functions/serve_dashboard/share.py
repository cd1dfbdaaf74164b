"""The report to print or pass on, and where the figures can be had as files and by programs."""

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.scope import periods_to_choose, scope_of, today
from functions.serve_dashboard.web import BadForm, Request, Response, see_other
from shared.domain.period import Period, month_of
from shared.domain.report import Every, ReportChoice, report_of
from shared.domain.settings import parse_addresses
from shared.domain.staff import Role, Staff
from shared.mail.report_letter import NOTE, cells_of, facts_of
from shared.storage import reports

EVERY = {Every.OFF: "Never", Every.WEEK: "Every Monday, the past week", Every.MONTH: "On the first, the past month"}
DONE = {"on": "Saved: the report will be mailed.", "off": "Saved: no report will be mailed."}


def share(request: Request, staff: Staff) -> Response:
    """The figures of a period as others may see them; a clinic admin's are of their own clinics."""
    scope = scope_of(request, staff)
    shown = report_of(reports.figures(scope.period, request.now, scope.only))
    names = dict(scope.choices)
    return page(
        request,
        staff,
        "share.html",
        title=f"How patients saw us: {scope.period.name}",
        scope=scope,
        places="" if scope.is_whole else ", ".join(names[clinic_id] for clinic_id in scope.clinic_ids),
        periods=periods_to_choose(request, scope.period),
        facts=facts_of(shown),
        lines=[(line.name, *cells_of(line)) for line in shown.lines],
        shown=shown,
        note=NOTE,
        every=EVERY,
        choice=reports.read_choice() if staff.role is Role.OWNER else None,
        done=DONE.get(request.query("done"), ""),
        months=_months(scope.period, month_of(today(request))),
    )


def choose_mail(request: Request, staff: Staff) -> Response:
    """Take over how often the report is mailed, and to whom."""
    try:
        choice = ReportChoice(Every(request.field("every")), parse_addresses(request.field("to")))
    except ValueError:
        raise BadForm("Please give email addresses, separated by commas or spaces, and how often.") from None
    if not reports.put_choice(choice, staff, request.now):
        raise BadForm("Somebody else changed this a moment ago. Please look at it again.")
    return see_other(request.link("/share", done="off" if choice.every is Every.OFF else "on"))


def _months(period: Period, latest: Period) -> list[Period]:
    """The months that the period touches, up to this one."""
    months, month = [], month_of(period.last)
    while month.last >= period.first:
        if month.first <= latest.first:
            months.append(month)
        month = month.previous
    return months[::-1]

"""The report to print or pass on, and where the figures can be had as files and by programs."""

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.scope import periods_to_choose, scope_of, today
from functions.serve_dashboard.web import Request, Response
from shared.domain.period import Period, month_of
from shared.domain.report import report_of
from shared.domain.staff import Staff
from shared.mail.report_letter import NOTE, cells_of, facts_of
from shared.storage import reports


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
        months=_months(scope.period, month_of(today(request))),
    )


def _months(period: Period, latest: Period) -> list[Period]:
    """The months that the period touches, up to this one."""
    months, month = [], month_of(period.last)
    while month.last >= period.first:
        if month.first <= latest.first:
            months.append(month)
        month = month.previous
    return months[::-1]

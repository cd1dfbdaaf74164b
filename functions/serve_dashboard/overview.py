"""The first page of owners and clinic admins."""

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.web import Request, Response
from shared.domain.staff import Staff


def overview(request: Request, staff: Staff) -> Response:
    """How the practice is doing."""
    return page(request, staff, "overview.html", title="Overview")

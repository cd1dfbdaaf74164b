"""What a therapist sees."""

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.web import Request, Response
from shared.domain.staff import Staff


def own_figures(request: Request, staff: Staff) -> Response:
    """Their own figures, and nobody else's."""
    return page(request, staff, "therapist.html", title="My figures")

"""The first page of the settings: what there is to choose, and who changed what."""

from functions.serve_dashboard.practice_page import SECTIONS
from functions.serve_dashboard.settings_forms import show
from functions.serve_dashboard.web import Request, Response
from shared.domain.staff import Role, Staff


def start(request: Request, staff: Staff) -> Response:
    """Everything that may be changed by this person."""
    is_owner = staff.role is Role.OWNER
    return show(
        request,
        staff,
        "settings.html",
        scopes=None if is_owner else tuple(f"clinic#{clinic_id}" for clinic_id in sorted(staff.clinics)),
        title="Settings",
        sections=SECTIONS if is_owner else {},
        is_owner=is_owner,
    )

"""Every page and form of the dashboard, and who may use it. One line adds one."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import unquote

from functions.serve_dashboard.web import NotFound
from shared.domain.staff import Role

ADMINS = frozenset({Role.OWNER, Role.CLINIC_ADMIN})
OWNERS = frozenset({Role.OWNER})
THERAPISTS = frozenset({Role.THERAPIST})
NOBODY_YET: frozenset[Role] = frozenset()  # without signing in


@dataclass(frozen=True, slots=True)
class Route:
    """`view` is `module:function` of this package, imported when first asked for.

    A view gets the request and who sends it: `view(request, staff)`; a route for NOBODY_YET gets the request alone.
    `menu` puts the page into the navigation; `badge` names a function of the staff that counts what waits there.
    """

    method: str
    path: str
    roles: frozenset[Role]
    view: str
    menu: str = ""
    badge: str = ""


ROUTES = (
    Route("GET", "/sign-in", NOBODY_YET, "sign_in:begin"),
    Route("GET", "/signed-in", NOBODY_YET, "sign_in:finish"),
    Route("POST", "/sign-out", NOBODY_YET, "sign_in:sign_out"),
    Route("GET", "/signed-out", NOBODY_YET, "sign_in:signed_out"),
    Route("GET", "/static/{name}", NOBODY_YET, "static_files:serve"),
    Route("GET", "/", ADMINS, "overview:overview", menu="Overview"),
    Route("GET", "/", THERAPISTS, "therapist:own_figures", menu="My figures"),
    Route("POST", "/sending/resume", OWNERS, "sending:resume"),
    Route("GET", "/comments", ADMINS, "comments:list_comments", menu="Comments"),
    Route("POST", "/comments/{survey_id}/praise", ADMINS, "comments:pass_on"),
    Route("GET", "/cases", ADMINS, "cases:overview", menu="Cases", badge="cases:waiting"),
    Route("GET", "/cases/{survey_id}", ADMINS, "cases:one"),
    Route("POST", "/cases/{survey_id}/{step}", ADMINS, "cases:take_step"),
    Route("GET", "/patients", ADMINS, "patients_page:search", menu="Patients"),
    Route("GET", "/patients/by-survey/{survey_id}", ADMINS, "patients_page:by_survey"),
    Route("GET", "/patient", ADMINS, "patients_page:one"),
    Route("GET", "/patient/export", ADMINS, "on_request:export"),
    Route("GET", "/patient/erase", OWNERS, "on_request:ask"),
    Route("POST", "/patient/erase", OWNERS, "on_request:erase"),
    Route("POST", "/patient/{step}", ADMINS, "patients_page:take_step"),
    Route("GET", "/worth", ADMINS, "worth:overview", menu="Worth"),
    Route("GET", "/share", ADMINS, "share:share", menu="Share"),
    Route("POST", "/share/mail", OWNERS, "share:choose_mail"),
    Route("GET", "/export/scores.csv", ADMINS, "exports:scores_csv"),
    Route("GET", "/export/answers.csv", ADMINS, "exports:answers_csv"),
    Route("GET", "/api/v1/scores", ADMINS, "api:day_counts"),
    Route("GET", "/api/v1/cases", ADMINS, "api:open_cases"),
    Route("GET", "/api/v1/figures", ADMINS, "api:period_figures"),
    Route("GET", "/settings", ADMINS, "settings_pages:start", menu="Settings"),
    Route("GET", "/settings/practice/{section}", OWNERS, "practice_page:one"),
    Route("POST", "/settings/practice/{section}", OWNERS, "practice_page:change"),
    Route("GET", "/settings/sending", OWNERS, "sending_page:switch"),
    Route("POST", "/settings/sending", OWNERS, "sending_page:turn"),
    Route("GET", "/settings/clinics", ADMINS, "clinics_page:overview"),
    Route("GET", "/settings/clinics/{clinic_id}", ADMINS, "clinics_page:one"),
    Route("POST", "/settings/clinics/{clinic_id}", ADMINS, "clinics_page:change"),
    Route("GET", "/settings/wording", OWNERS, "wording_page:languages"),
    Route("GET", "/settings/wording/{language}", OWNERS, "wording_page:one"),
    Route("POST", "/settings/wording/{language}", OWNERS, "wording_page:change"),
    Route("GET", "/test-mail", NOBODY_YET, "wording_page:test_mail"),
    Route("GET", "/settings/playbook", OWNERS, "playbook_page:one"),
    Route("POST", "/settings/playbook", OWNERS, "playbook_page:change"),
    Route("GET", "/settings/themes", OWNERS, "themes_page:one"),
    Route("POST", "/settings/themes", OWNERS, "themes_page:change"),
    Route("GET", "/settings/erased", OWNERS, "on_request:overview"),
    Route("GET", "/settings/erased/{reference}", OWNERS, "on_request:one"),
    Route("GET", "/settings/health", OWNERS, "health_page:overview"),
    Route("GET", "/settings/staff", OWNERS, "staff_page:overview"),
    Route("POST", "/settings/staff", OWNERS, "staff_page:invite"),
    Route("GET", "/settings/staff/{user_id}", OWNERS, "staff_page:one"),
    Route("POST", "/settings/staff/{user_id}/{step}", OWNERS, "staff_page:take_step"),
)


def find(method: str, path: str) -> list[tuple[Route, Mapping[str, str]]]:
    """The routes of this address, each with the parts of the path that it names; NotFound if there is none."""
    found: list[tuple[Route, Mapping[str, str]]] = []
    for route in ROUTES:
        match = _pattern(route.path).fullmatch(path) if route.method == method else None
        if match:
            found.append((route, {name: unquote(part) for name, part in match.groupdict().items()}))
    if not found:
        raise NotFound
    return found


def load(name: str) -> Callable[..., Any]:
    """The function that a route names."""
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    return loaded


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))

"""Every page and form of the dashboard, and who may use it. One line adds one."""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from functions.serve_dashboard.web import NotFound
from shared.domain.staff import Role

EVERYBODY = frozenset(Role)
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
    Route("GET", "/cases", ADMINS, "cases:overview", menu="Cases", badge="cases:waiting"),
    Route("GET", "/cases/{survey_id}", ADMINS, "cases:one"),
    Route("POST", "/cases/{survey_id}/{step}", ADMINS, "cases:take_step"),
    Route("GET", "/patients", ADMINS, "patients_page:search", menu="Patients"),
    Route("GET", "/patients/by-survey/{survey_id}", ADMINS, "patients_page:by_survey"),
    Route("GET", "/patient", ADMINS, "patients_page:one"),
    Route("POST", "/patient/{step}", ADMINS, "patients_page:take_step"),
)


def find(method: str, path: str) -> list[tuple[Route, Mapping[str, str]]]:
    """The routes of this address, each with the parts of the path that it names; NotFound if there is none."""
    found: list[tuple[Route, Mapping[str, str]]] = []
    for route in ROUTES:
        match = _pattern(route.path).fullmatch(path) if route.method == method else None
        if match:
            found.append((route, match.groupdict()))
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

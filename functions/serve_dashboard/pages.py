"""Pages as HTML: Jinja2 escapes whatever a patient or a settings row says, and a missing value is an error."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, ModuleLoader, StrictUndefined

from functions.serve_dashboard import routes
from functions.serve_dashboard.web import Request, Response
from shared.domain.staff import Staff
from shared.observability import warn
from shared.storage.settings import practice
from shared.version import version

_FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class MenuItem:
    """One entry of the navigation; `waiting` is what its badge counts, None if that could not be counted."""

    title: str
    address: str
    is_here: bool
    waiting: int | None


def page(request: Request, staff: Staff | None, template: str, *, status: int = 200, **values: object) -> Response:
    """A page in the dashboard's frame; `values` are the template's, `title` among them."""
    html = (
        environment()
        .get_template(template)
        .render(
            request=request,
            staff=staff,
            practice_name=practice().name,
            version=version(),
            menu=list(_menu(request, staff)) if staff else [],
            link=request.link,
            asset=lambda name: request.link(f"/static/{name}", v=version_of(name)),
            **values,
        )
    )
    return Response(html, status)


def problem(request: Request, staff: Staff | None, status: int, title: str, text: str) -> Response:
    """A page that says what went wrong and what to do."""
    return page(request, staff, "problem.html", status=status, title=title, text=text)


def at(moment: datetime, zone: ZoneInfo) -> str:
    """A moment by a clinic's clock, as the staff read it: `Mon, Mar 9, 2026, 2:30 PM`."""
    local = moment.astimezone(zone)
    return f"{local:%a, %b} {local.day}, {local.year}, {(local.hour + 11) % 12 + 1}:{local:%M %p}"


@cache
def environment() -> Environment:
    """The templates as the build compiled them; where nothing was built, each is compiled when first used."""
    compiled = _FOLDER / "compiled"
    return Environment(
        loader=ModuleLoader(compiled) if compiled.is_dir() else FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def static_file(name: str) -> str:
    """A file that browsers keep; `name` must be one of ours."""
    return (_FOLDER / "static" / name).read_text("utf-8")


@cache
def version_of(name: str) -> str:
    """Changes with the file, so that no browser shows an old one."""
    return hashlib.sha256(static_file(name).encode()).hexdigest()[:12]


def _menu(request: Request, staff: Staff) -> Iterator[MenuItem]:
    for route in routes.ROUTES:
        if route.menu and staff.role in route.roles:
            is_here = request.path == route.path or (route.path != "/" and request.path.startswith(f"{route.path}/"))
            yield MenuItem(route.menu, request.link(route.path), is_here, _waiting(route, staff))


def _waiting(route: routes.Route, staff: Staff) -> int | None:
    if not route.badge:
        return 0
    try:
        number: Any = routes.load(route.badge)(staff)
    except Exception as error:  # noqa: BLE001 (what is only counted here must not shut the page that says what is wrong)
        warn("badge_not_counted", error=type(error).__name__)
        return None
    return int(number)

"""The staff's dashboard: who asks, may they, and the page or form's answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from functions.serve_dashboard import pages, routes, session, sign_in
from functions.serve_dashboard.web import (
    BadForm,
    NotFound,
    Refused,
    Request,
    Response,
    as_json,
    read_form,
    read_request,
    to_event,
)
from shared.mail.mailer import Mailer
from shared.observability import entry_point


@entry_point
def handler(
    event: dict[str, Any],
    context: Any,
    *,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    mailer: Mailer | None = None,
) -> dict[str, Any]:
    """Answer one request; a page that does not exist and one that is not theirs to see are the same 404."""
    request = read_request(event, now(), mailer)
    return to_event(_answer(request, event), request.site)


def _answer(request: Request, event: dict[str, Any]) -> Response:
    try:
        if request.method == "POST":
            if not request.is_own_form():
                raise Refused
            request = replace(request, form=read_form(event))
        return _of_route(request)
    except (BadForm, NotFound, Refused) as refusal:
        return _problem(request, refusal)


def _of_route(request: Request) -> Response:
    found = routes.find(request.method, request.path)
    route, params = found[0]
    if route.roles is routes.NOBODY_YET:
        return _view(route)(replace(request, params=params))
    staff = session.of(request)
    if staff is None:
        return sign_in.wanted(request)
    if not request.may_exist:
        raise NotFound
    for route, params in found:
        if staff.role in route.roles:
            return _view(route)(replace(request, params=params), staff)
    raise NotFound


def _view(route: routes.Route) -> Callable[..., Response]:
    return routes.load(route.view)


_PROBLEMS = {
    NotFound: (404, "There is no such page", "It may have moved, or it is not yours to see."),
    Refused: (403, "This form was not sent from the dashboard", "Nothing was changed. Please open the page again."),
    BadForm: (400, "That did not work", ""),
}


def _problem(request: Request, refusal: Exception) -> Response:
    status, title, text = _PROBLEMS[type(refusal)]
    if request.path.startswith("/api/"):
        return as_json({"error": str(refusal) or title}, status)
    return pages.problem(request, session.of(request), status, title, str(refusal) or text)

"""Requests made from docs/api.yaml, fitting and unfitting: every answer is one that the description has.

No answer is a failure of ours, each has its headers, none reflects markup, and looking writes nothing but that
somebody looked.
"""

from collections.abc import Callable, Iterator

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.core.transport import Response

from functions.serve_dashboard import user_pool
from shared.domain.staff import Role
from tests.environment import ENVIRONMENT
from tests.handlers.conftest import empty_account
from tests.handlers.dashboard import SITE
from tests.handlers.staff_pool import FakeUserPool
from tests.hostile import gateway, markup, practice, strings
from tests.hostile.conftest import Calls
from tests.hostile.gateway import PATIENTS, STAFF, Answer
from tests.hostile.leaving import is_a_host_cookie, may_lead_to
from tests.hostile.practice import LATER, Desk, somebody
from tests.hostile.requests_of import CHECKS, OF_PATIENTS, OF_STAFF, cases_of

TEXTS = (*strings.MARKUP[:5], strings.FORMULAS[0], strings.HEADERS[0], strings.WRITING[0])
OWN = (PATIENTS, STAFF, ENVIRONMENT["DASHBOARD_URL"], SITE.sign_in_origin, "https://g.page")
NOTED = {"Activity", "Sessions"}
"""Where looking is written down: who read a patient's page, and when a session was last used."""


@pytest.fixture(scope="module")
def known(moto: None) -> Iterator[dict[str, list[str]]]:
    """Three patients whose names are no names, and what there is to ask for."""
    empty_account()
    fake = FakeUserPool()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(user_pool, "client", lambda: fake)
        fake.add("olive@example.com", "owner", name="Olive Owens")
        robin = fake.add("robin@example.com", "clinic_admin", name="Robin Reyes", custom_clinics="c0;c1")
        done = practice.of(TEXTS * 3)
        surveys = [token[:26] for token in done.links.values()]
        yield {
            "token": [*done.links.values(), *done.unsubscribe.values()],
            "survey_id": surveys,
            "clinic_id": ["c0", "c1", "c2", "c9"],
            "user_id": [robin, "sub-9"],
            "id": list(done.links),
            "clinic": ["c0", "c1", "c9"],
            "clinics": ["c0", "c1", "c9"],
            "therapist": ["t0", "t1", "t9"],
            "touchpoint": ["evaluation", "visit:6"],
            "version": [str(number) for number in range(8)],
            "scope": ["practice", "clinic:c0", "therapist:t1", "touchpoint:evaluation"],
            "theme": ["waiting"],
            "from": ["2026-03-01"],
            "to": ["2026-03-31"],
            "made_from": [""],
        }


def vary(case: schemathesis.Case, there: dict[str, list[str]], choice: int) -> None:
    """Half of the names are those of something that is there; one field in four is a hostile text."""
    for container in (case.path_parameters, case.query, case.body):
        if not isinstance(container, dict):
            continue
        for number, name in enumerate(sorted(container)):
            dice = choice // (3**number)
            named = there.get(name, [])
            if named and dice % 2:
                container[name] = named[dice // 2 % len(named)]
            elif container is not case.path_parameters and dice % 4 == 0:
                container[name] = strings.ALL[dice // 4 % len(strings.ALL)]


def send(case: schemathesis.Case, base_url: str, cookie: str = "") -> tuple[Answer, requests.PreparedRequest]:
    """The request as it would go over the wire, to the function."""
    made = case.as_transport_kwargs(base_url=base_url)
    given_names = ("method", "url", "headers", "data", "params", "json", "files")
    request = requests.Request(**{name: made[name] for name in given_names if made.get(name) is not None}).prepare()
    assert request.url
    assert request.method
    headers = {name: value if isinstance(value, str) else value.decode() for name, value in request.headers.items()}
    headers |= {"Cookie": cookie} if cookie else {}
    if base_url == STAFF and request.method == "POST":
        headers["Origin"] = SITE.origin
    body = request.body if isinstance(request.body, bytes | str) else None
    return gateway.ask(request.method, request.url, headers, body, now=LATER), request


def check(case: schemathesis.Case, answer: Answer, request: requests.PreparedRequest) -> None:
    if answer.by_gateway:
        return
    named = {name.lower(): list(values) for name, values in answer.headers.items()}
    case.validate_response(
        Response(answer.status, named, answer.body.encode("utf-8", "replace"), request, 0.0, verify=True), checks=CHECKS
    )
    for values in answer.headers.values():
        assert all(value.isprintable() and value.isascii() for value in values), values
    if answer.header("Content-Type").startswith("text/html"):
        assert markup.foreign(answer.body, *OWN) == []
    may_lead_to(answer)
    for cookie in answer.headers.get("Set-Cookie", []):
        is_a_host_cookie(cookie)


@pytest.mark.parametrize("label", OF_PATIENTS)
def test_patients_get_an_answer_that_is_described(label: str, known: dict[str, list[str]], calls: Calls) -> None:
    @settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases_of(label), choice=st.integers(0, 10**6))
    def holds(case: schemathesis.Case, choice: int) -> None:
        vary(case, known, choice)
        calls.clear()
        answer, request = send(case, PATIENTS)
        check(case, answer, request)
        if case.method == "GET":
            assert calls.writes == set()

    holds()


DESKS: dict[str, Callable[[], Desk]] = {
    "owner": lambda: somebody(Role.OWNER),
    "clinic admin": lambda: somebody(Role.CLINIC_ADMIN, "c0", "c1"),
    "therapist": lambda: somebody(Role.THERAPIST, therapist_id="t1"),
    "nobody": lambda: Desk(None),
}
WHO = ("owner",) * 4 + ("clinic admin",) * 2 + ("therapist", "nobody")


@pytest.mark.parametrize("label", OF_STAFF)
def test_the_staff_get_an_answer_that_is_described(label: str, known: dict[str, list[str]], calls: Calls) -> None:
    @settings(max_examples=16, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases_of(label), choice=st.integers(0, 10**6), who=st.sampled_from(WHO))
    def holds(case: schemathesis.Case, choice: int, who: str) -> None:
        vary(case, known, choice)
        cookie = DESKS[who]().cookie
        calls.clear()
        answer, request = send(case, STAFF, cookie)
        check(case, answer, request)
        if case.method == "GET" or who == "nobody":
            assert calls.writes <= NOTED

    holds()

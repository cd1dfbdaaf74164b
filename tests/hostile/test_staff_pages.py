"""The staff's door: forms of others, addresses of others, cookies of others, and texts where none is meant."""

import itertools
import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions.serve_dashboard import session
from functions.serve_dashboard.routes import NOBODY_YET, ROUTES, Route
from functions.serve_dashboard.sign_in import local_path
from functions.serve_dashboard.web import MAX_FORM
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.storage import settings
from tests.handlers.dashboard import NOW, SITE
from tests.handlers.user_pool import UserPool, running_user_pool
from tests.hostile import gateway, markup, strings
from tests.hostile.conftest import Calls
from tests.hostile.gateway import STAFF, Answer, description
from tests.hostile.leaving import as_a_browser_resolves, is_a_host_cookie, may_lead_to
from tests.hostile.practice import LATER, Desk, somebody, tables
from tests.hostile.test_description import with_names

pytestmark = pytest.mark.usefixtures("pool")
POSTS = [route for route in ROUTES if route.method == "POST"]
GETS = [route for route in ROUTES if route.method == "GET"]
FORM = "application/x-www-form-urlencoded"
OWN = (STAFF, SITE.sign_in_origin)
FROM_ELSEWHERE: tuple[dict[str, str], ...] = (
    {},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "https://dashboard.example.com.evil.example"},
    {"Origin": "https://evil.example/?https://dashboard.example.com"},
    {"Origin": "http://dashboard.example.com"},
    {"Origin": "https://dashboard.example.com:8443"},
    {"Origin": "https://dashboard.example.com/"},
    {"Origin": "https://DASHBOARD.example.com\x00"},
    {"Origin": "https://dashboard.example.com", "Sec-Fetch-Site": "cross-site"},
    {"Origin": "https://dashboard.example.com", "Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": ""},
    {"Referer": "https://dashboard.example.com/"},
    {"X-Forwarded-Host": "evil.example", "Host": "evil.example", "Origin": "https://evil.example"},
)


def address(route: Route, part: str = "a" * 26) -> str:
    return re.sub(r"\{\w+\}", quote(part, safe="", errors="replace"), route.path)


def raw(desk: Desk, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
    sent = {"Content-Type": FORM, "Cookie": desk.cookie, **headers}
    return gateway.ask(method, STAFF + path, sent, body, now=LATER)


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_a_form_of_another_site_does_nothing(route: Route, calls: Calls) -> None:
    desk = somebody(Role.OWNER)
    calls.clear()
    for headers in FROM_ELSEWHERE:
        answer = raw(desk, "POST", address(route), "id=p1&every=off&do=save", headers)
        assert answer.status == 403
        assert not answer.header("Set-Cookie")
    assert calls.writes <= {"Sessions"}  # when it was last used


@pytest.mark.parametrize("route", POSTS, ids=lambda route: route.path)
def test_a_form_that_cannot_be_read_does_nothing(route: Route, calls: Calls) -> None:
    desk, own = somebody(Role.OWNER), {"Origin": SITE.origin}
    bodies: list[tuple[str, dict[str, str]]] = [
        ("x=" + "y" * MAX_FORM, {}),
        ("&".join(f"f{n}=" for n in range(501)), {}),
        ("id=%ff", {}),
        ("id=1", {"Content-Type": "multipart/form-data; boundary=x"}),
        ('{"id": "p1"}', {"Content-Type": "application/json"}),
        ("id=1", {"Content-Type": ""}),
        ("id=1", {"Content-Type": "\x00"}),
    ]
    calls.clear()
    for body, headers in bodies:
        assert raw(desk, "POST", address(route), body, {**own, **headers}).status == 400
    assert calls.writes <= {"Sessions"}


@pytest.mark.parametrize("route", GETS, ids=lambda route: f"{route.path} {'-'.join(sorted(route.roles))}")
def test_no_text_in_an_address_breaks_a_page_or_shows_in_it_as_markup(route: Route, calls: Calls) -> None:
    desk = somebody(Role.OWNER)
    for text, name in zip(texts(route), itertools.cycle(parameters(route)), strict=False):
        calls.clear()
        answer = desk.get(f"{address(route, text)}?{urlencode({name: text, 'x': text}, errors='replace')}")
        assert answer.status in (200, 303, 400, 404), (name, text)
        assert markup.foreign(answer.body, *OWN) == [], (name, text)
        assert calls.writes <= {"Sessions", "Activity"}
        may_lead_to(answer)


def texts(route: Route) -> list[str]:
    """A third of all, another third for each route; those aimed at pages always."""
    start = GETS.index(route) % 6
    return [*strings.MARKUP[::2], *strings.ALL[start::6]]


def parameters(route: Route) -> list[str]:
    """The names that the address of a page may have."""
    operations: dict[str, Any] = {with_names(path): each for path, each in description()["paths"].items()}
    found = operations[with_names(route.path)]
    known = description()["components"]["parameters"]
    given = [
        known[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in found["get"].get("parameters", [])
    ]
    return [each["name"] for each in given if each["in"] == "query"] or ["done"]


RETURNS = (
    *strings.PLACES,
    *("//evil.example/%2f..", "/%5cevil.example", "/%255cevil.example", "/%2f/evil.example", "/\t/evil.example"),
    *("/\n/evil.example", "http:evil.example", "/.//evil.example", "/..//evil.example", "/;@evil.example"),
    *("https://dashboard.example.com@evil.example/", "/\x00/evil.example", "/sign-out", "/signed-in?code=x", ""),
)


@given(st.text() | st.text("/\\.:@%?#;2f5c\t\r\n evil", max_size=20) | st.sampled_from(RETURNS))
@example("/cases?closed=2026-03")
def test_whatever_page_was_wanted_the_way_back_leads_to_one_of_ours(wanted: str) -> None:
    found = local_path(wanted)
    assert found.startswith("/")
    assert urlsplit(as_a_browser_resolves(found)).netloc == "dashboard.example.com"
    assert found.isprintable()
    assert found.isascii()


@pytest.mark.parametrize("wanted", RETURNS)
def test_signing_in_leads_to_our_own_pages(wanted: str) -> None:
    with running_user_pool() as pool:
        begun = ask_at(pool, f"/sign-in?{urlencode({'return': wanted})}", {})
        assert begun.header("Location").startswith(f"{pool.url}/oauth2/authorize?")
        kept = begun.header("Set-Cookie")
        back = pool.sign_in(begun.header("Location"))
        done = ask_at(pool, f"/signed-in?{back}", {"Cookie": kept.partition(";")[0]})
    assert done.status == 303
    may_lead_to(done)
    for cookie in (kept, *done.headers["Set-Cookie"]):
        is_a_host_cookie(cookie)


def ask_at(pool: UserPool, path: str, headers: dict[str, str]) -> Answer:
    return gateway.ask("GET", STAFF + path, headers, None, now=NOW, sign_in_url=pool.url)


@pytest.mark.parametrize("value", [*strings.MARKUP[:4], *strings.HEADERS, "A" * 43, "A" * 5000, "\x00" * 43, ""])
def test_no_cookie_of_another_opens_the_dashboard(value: str, calls: Calls) -> None:
    for cookie in (f"{session.NAME}={value}", f"{session.NAME}={value}; {session.NAME}={value}", value):
        for path in ("/", "/api/v1/cases", "/signed-in?state=x&code=y"):
            calls.clear()
            answer = gateway.ask("GET", STAFF + path, {"Cookie": cookie}, None, now=LATER)
            assert answer.status in (303, 400, 401)
            assert calls.writes == set()


@pytest.mark.parametrize("name", ["__Host-sign-in", "__Host-session"])
def test_a_cookie_that_is_broken_is_no_cookie(name: str) -> None:
    for value in ("....", "a.b.c.!", "a.b.c.\xff", "a.b.c." + "A" * 5000, "a.b.c.L2V2aWw", "\x00.\x00.\x00.\x00"):
        answer = gateway.ask("GET", f"{STAFF}/signed-in?state=z&code=b", {"Cookie": f"{name}={value}"}, None, now=LATER)
        assert answer.status == 400
        assert markup.foreign(answer.body, *OWN) == []


@pytest.mark.parametrize(
    "clinic_id", ["North Side", "N\u00f6rd", "a/b", "50%", "50%25", "?x#y", "<b>", "..", "a+b", "c&d=e"]
)
def test_a_clinic_of_any_id_has_a_page_and_a_form_that_leads_back_to_it(clinic_id: str) -> None:
    settings.put_clinic(ClinicSettings(clinic_id, name="Kept"))
    desk = somebody(Role.OWNER)
    listed = desk.get("/settings/clinics")
    (link,) = re.findall(r'href="(/settings/clinics/[^"]*)"', listed.body)
    shown = desk.get(link)
    assert shown.status == 200
    saved = desk.post(link, {"name": "Changed", "send_days": ["Mon", "Tue"]})
    assert saved.status == 303
    may_lead_to(saved)
    assert desk.get(saved.header("Location")).status == 200
    found = settings.read_clinic(clinic_id)
    assert found
    assert found.name == "Changed"


def test_opening_every_page_twice_changes_nothing_but_who_read_it() -> None:
    desk = somebody(Role.OWNER)
    pages = [address(route) for route in GETS if route.roles is not NOBODY_YET]
    for path in pages:
        desk.get(path)
    before = tables()
    for path in pages:
        desk.get(path)
    after = tables()
    for name in before.keys() - {"Sessions", "Activity"}:
        assert before[name] == after[name], name


SETTINGS = (
    *("/settings/wording/en", "/settings/playbook", "/settings/themes", "/settings/clinics/c0"),
    *(f"/settings/practice/{section}" for section in ("asking", "reviews", "alerts", "cases", "goals")),
)


@pytest.mark.parametrize("page", SETTINGS)
def test_no_text_in_a_setting_breaks_a_page_that_shows_it(page: str) -> None:
    settings.put_clinic(ClinicSettings("c0", name="Kept"))
    desk = somebody(Role.OWNER)
    names = re.findall(r'<(?:input|textarea|select)[^>]* name="([^"]+)"', desk.get(page).body)
    for number, text in enumerate(strings.ALL[SETTINGS.index(page) :: 3]):
        name = names[number % len(names)]
        answer = desk.post(page, {name: text, "do": "preview"} if name not in ("made_from", "do") else {"do": text})
        assert answer.status in (200, 303, 400, 404, 409), (name, text)
        assert markup.foreign(answer.body, *OWN, "https://g.page", "https://example.com") == [], (name, text)
        may_lead_to(answer)
    assert desk.get(page).status == 200
    assert desk.get("/").status == 200

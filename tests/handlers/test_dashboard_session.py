"""The dashboard's door: who comes in, for how long, and what nobody gets past it."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from types import ModuleType
from urllib.parse import parse_qs, quote, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.serve_dashboard import routes, session, sign_in
from functions.serve_dashboard.sign_in import local_path
from functions.serve_dashboard.web import Request, as_json
from shared.domain.staff import ABSOLUTE, IDLE, Role, Staff, role_of
from shared.observability import HandlerFailed
from shared.storage import sessions
from shared.storage.models import SessionItem
from tests.handlers.dashboard import NOW, SITE, Answer, Client, signed_in
from tests.handlers.user_pool import UserPool, running_user_pool

pytestmark = pytest.mark.usefixtures("aws")
MINUTE = timedelta(minutes=1)


@pytest.fixture
def pool() -> Iterator[UserPool]:
    with running_user_pool() as running:
        yield running


def client_of(pool: UserPool, base_url: str = SITE.base_url) -> Client:
    return Client(site=replace(SITE, sign_in_url=pool.url, base_url=base_url))


def come_back(client: Client, pool: UserPool, page: str = "/") -> Answer:
    """From a page through the user pool's pages and back."""
    return client.get("/signed-in?" + pool.sign_in(begin(client, page).location))


def begin(client: Client, page: str = "/") -> Answer:
    return client.get(client.get(page).location.removeprefix(urlsplit(client.site.base_url).path))


def rows() -> list[SessionItem]:
    return list(SessionItem.scan())


@pytest.mark.parametrize("name", ["%00", "x" * 501, "x" * 3000, "%F0%9F%99%82" * 126], ids=len)
@pytest.mark.parametrize(
    "address",
    [
        "/comments?before=",
        "/patient?id=",
        "/cases/",
        "/patients/by-survey/",
        "/settings/clinics/",
        "/api/v1/scores?scope=",
    ],
)
def test_what_can_be_no_name_names_no_page(address, name):
    assert signed_in().get(address + (name if "?" in address else unquote(name))).status == 404


def test_a_name_of_five_hundred_bytes_is_looked_up():
    assert signed_in().get("/comments?before=" + "x" * 500).status == 200


class TestSigningIn:
    def test_somebody_who_is_not_signed_in_is_led_to_the_page_they_wanted(self, pool):
        client = client_of(pool)
        finished = come_back(client, pool, "/?clinic=north&score=2")
        assert (finished.status, finished.location) == (303, "/?clinic=north&score=2")
        assert client.get("/").status == 200

    def test_name_role_and_clinics_are_those_of_the_user_pool(self, pool):
        come_back(client_of(pool), pool)
        [row] = rows()
        assert (row.user_id, row.name, row.email, row.role) == (
            *("user-1", "Robin Reyes", "robin@example.com"),
            "clinic_admin",
        )
        assert row.clinics == {"north", "south"}

    def test_an_api_of_their_own_has_its_path_before_every_address(self, pool):
        client = client_of(pool, "https://abc.execute-api.us-east-1.amazonaws.com/live")
        assert come_back(client, pool).location == "/live/"
        page = client.get("/")
        assert 'href="/live/static/style.css?v=' in page.body
        assert 'action="/live/sign-out"' in page.body
        assert client.post("/sign-out").status == 303

    def test_the_sign_in_takes_its_cookie_away_and_gives_the_session(self, pool):
        first, second = come_back(client_of(pool), pool).cookies
        assert first.startswith("__Host-session=")
        assert second == "__Host-sign-in=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"

    def test_cookies_are_for_this_host_over_tls_and_for_no_script(self, pool):
        client = client_of(pool)
        given_cookies = [*begin(client).cookies, *come_back(client, pool).cookies]
        assert len(given_cookies) == 3
        for cookie in given_cookies:
            name, *flags = cookie.split("; ")
            assert name.startswith("__Host-")
            assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(flags)
            assert not [flag for flag in flags if flag.startswith("Domain")]

    def test_the_session_lives_no_longer_than_the_browser(self, pool):
        session_cookie = come_back(client_of(pool), pool).cookies[0]
        assert "Max-Age" not in session_cookie
        assert "Expires" not in session_cookie

    def test_signing_in_again_ends_the_session_before(self, pool):
        client = client_of(pool)
        come_back(client, pool)
        before = dict(client.cookies)
        client.get("/signed-in?" + pool.sign_in(client.get("/sign-in").location))
        assert Client(cookies=before).get("/").status == 303
        assert len(rows()) == 1

    def test_an_attempt_sends_fresh_secrets_each_time(self, pool):
        asked = [parse_qs(urlsplit(begin(client_of(pool)).location).query) for _ in range(2)]
        for name in ("state", "nonce", "code_challenge"):
            assert asked[0][name] != asked[1][name]

    def test_the_verifier_never_leaves_the_cookie(self, pool):
        client = client_of(pool)
        location = begin(client).location
        verifier = client.cookies[sign_in.COOKIE].split(".")[2]
        assert verifier not in location


class TestWhoIsNotLetIn:
    @pytest.mark.parametrize("added", ["x", "%C3%A4", "%00"])
    def test_another_state_than_the_browsers_own(self, pool, added):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        assert client.get(f"/signed-in?{back}{added}").status == 400
        assert (pool.asked, rows()) == (0, [])

    def test_a_link_with_a_code_in_a_browser_that_never_asked(self, pool):
        back = pool.sign_in(begin(client_of(pool)).location)
        assert client_of(pool).get(f"/signed-in?{back}").status == 400
        assert (pool.asked, rows()) == (0, [])

    def test_a_code_of_another_attempt(self, pool):
        victim, thief = client_of(pool), client_of(pool)
        code = parse_qs(pool.sign_in(begin(victim).location))["code"][0]
        state = parse_qs(urlsplit(begin(thief).location).query)["state"][0]
        assert thief.get(f"/signed-in?code={code}&state={state}").status == 400
        assert rows() == []

    def test_the_same_code_again(self, pool):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        attempt = dict(client.cookies)
        assert client.get(f"/signed-in?{back}").status == 303
        replayed = Client(cookies=attempt, site=client.site).get(f"/signed-in?{back}")
        assert replayed.status == 400
        assert len(rows()) == 1

    def test_going_back_in_the_history_while_signed_in_leads_to_the_first_page(self, pool):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        client.get(f"/signed-in?{back}")
        assert client.get(f"/signed-in?{back}").location == "/"

    def test_somebody_who_gave_up_on_the_pools_page(self, pool):
        client = client_of(pool)
        state = parse_qs(urlsplit(begin(client).location).query)["state"][0]
        answer = client.get(f"/signed-in?error=access_denied&state={state}")
        assert (answer.status, pool.asked) == (400, 0)

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Other"},
            {"iss": None},
            {"aud": "another-client"},
            {"aud": None},
            {"aud": ["client-1"]},
            {"token_use": "access"},
            {"nonce": "another"},
            {"nonce": None},
            {"exp": int(NOW.timestamp())},
            {"exp": None},
            {"exp": "soon"},
            {"auth_time": int((NOW - timedelta(minutes=11)).timestamp())},
            {"auth_time": None},
        ],
        ids=str,
    )
    def test_a_token_that_is_not_for_this_attempt(self, pool, claims):
        pool.claims = claims
        client = client_of(pool)
        assert come_back(client, pool).status == 400
        assert rows() == []
        assert not client.cookies.get(session.NAME)

    @pytest.mark.parametrize("groups", [None, [], ["patients"], ["Owner"]])
    def test_somebody_without_a_role_reads_whom_to_ask(self, pool, groups):
        pool.claims = {"cognito:groups": groups}
        answer = come_back(client_of(pool), pool)
        assert answer.status == 403
        assert "ask the owner of your practice" in answer.text
        assert rows() == []

    def test_a_pool_that_does_not_answer_is_our_failure_not_theirs(self, pool):
        pool.broken = True
        with pytest.raises(HandlerFailed, match="OSError"):
            come_back(client_of(pool), pool)

    def test_a_sign_in_address_without_tls_is_not_used(self, pool):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        client.site = replace(client.site, sign_in_url="http://sign-in.example.com")
        assert client.get(f"/signed-in?{back}").status == 400
        assert pool.asked == 0


class TestTheSession:
    @pytest.mark.parametrize("forged", ["", "x", "a" * 43, "a" * 5_000, "../../x", "ä" * 43])
    def test_a_made_up_secret_opens_nothing(self, forged):
        signed_in()
        assert Client(cookies={session.NAME: forged}).get("/").status == 303

    def test_what_stands_in_the_table_opens_nothing(self):
        client = signed_in()
        [row] = rows()
        assert client.cookies[session.NAME] not in str(row.attribute_values)
        assert Client(cookies={session.NAME: row.session_id[:43]}).get("/").status == 303

    def test_a_stripped_cookie_opens_nothing(self):
        client = signed_in()
        secret = client.cookies[session.NAME]
        for part in (secret[:-1], secret[1:], secret + "=", secret.swapcase()):
            assert Client(cookies={session.NAME: part}).get("/").status == 303

    def test_nothing_of_it_works_after_the_sign_out(self):
        client = signed_in()
        copied = dict(client.cookies)
        out = client.post("/sign-out")
        assert out.cookies == ["__Host-session=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0"]
        assert Client(cookies=copied).get("/").status == 303
        assert rows() == []

    def test_the_sign_out_ends_at_the_user_pools_own(self):
        out = urlsplit(signed_in().post("/sign-out").location)
        assert f"{out.scheme}://{out.netloc}{out.path}" == f"{SITE.sign_in_url}/logout"
        assert parse_qs(out.query) == {"client_id": ["client-1"], "logout_uri": [f"{SITE.base_url}/signed-out"]}

    def test_signing_out_twice_is_signing_out(self):
        assert Client().post("/sign-out").status == 303

    def test_half_an_hour_without_a_request_ends_it(self):
        client = signed_in()
        client.now = NOW + IDLE - timedelta(seconds=1)
        assert client.get("/").status == 200
        client.now += IDLE
        assert client.get("/").status == 303

    def test_twelve_hours_end_it_whatever_is_done_with_it(self):
        client = signed_in()
        while client.now < NOW + ABSOLUTE - timedelta(minutes=20):
            client.now += timedelta(minutes=20)
            assert client.get("/").status == 200
        client.now = NOW + ABSOLUTE
        assert client.get("/").status == 303

    def test_it_is_written_again_at_most_once_a_minute(self):
        client = signed_in()
        client.now = NOW + MINUTE - timedelta(seconds=1)
        client.get("/")
        assert rows()[0].seen_at == NOW
        client.now = NOW + MINUTE
        client.get("/")
        assert rows()[0].seen_at == NOW + MINUTE

    def test_the_table_forgets_it_when_it_is_over(self):
        client = signed_in()
        assert rows()[0].expires == (NOW + IDLE).timestamp()
        client.now = NOW + MINUTE
        client.get("/")
        assert rows()[0].expires == (NOW + MINUTE + IDLE).timestamp()

    def test_a_renewal_does_not_bring_back_what_was_ended_meanwhile(self):
        signed_in()
        [row] = rows()
        seen = sessions.find(row.session_id)
        assert seen
        sessions.end(row.session_id)
        sessions.renew(row.session_id, replace(seen, seen_at=NOW + MINUTE))
        assert rows() == []

    def test_all_sessions_of_somebody_can_be_ended_at_once(self):
        first, second, other = signed_in(), signed_in(), signed_in(user_id="somebody-else")
        sessions.end_all("user-owner")
        assert [client.get("/").status for client in (first, second, other)] == [303, 303, 200]


class TestForms:
    def test_the_dashboards_own_is_taken(self):
        assert signed_in().post("/sign-out").status == 303
        assert signed_in().send("POST", "/sign-out", "", {"Sec-Fetch-Site": "same-origin"}).status == 303

    @pytest.mark.parametrize(
        "headers",
        [
            {},
            {"Origin": "null"},
            {"Origin": "https://elsewhere.example"},
            {"Origin": SITE.origin + ".evil.example"},
            {"Origin": SITE.origin.replace("https", "http")},
            {"Origin": SITE.origin + ":444"},
            {"Origin": SITE.origin, "Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
        ],
        ids=str,
    )
    def test_any_other_is_refused_before_it_is_looked_at(self, headers):
        client = signed_in()
        answer = client.send("POST", "/sign-out", "%ff", headers)
        assert answer.status == 403
        assert "Nothing was changed" in answer.text
        assert client.get("/").status == 200

    def test_a_form_sent_after_the_session_ended_says_that_nothing_was_saved(self, a_form):
        answer = Client().post("/form", {"note": "x"})
        assert answer.status == 401
        assert "was not saved" in answer.text

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            ("a=%ff", "application/x-www-form-urlencoded"),
            ("&".join(f"f{number}=1" for number in range(501)), "application/x-www-form-urlencoded"),
            ("a=" + "x" * 65_536, "application/x-www-form-urlencoded"),
            ('{"a": 1}', "application/json"),
        ],
        ids=["not UTF-8", "too many fields", "too long", "another kind"],
    )
    def test_one_that_cannot_be_read_is_answered_in_words(self, a_form, body, kind):
        answer = signed_in().send("POST", "/form", body, {"Origin": SITE.origin, "Content-Type": kind})
        assert answer.status == 400
        assert "Please go back and" in answer.text

    def test_its_fields_reach_the_view(self, a_form):
        answer = signed_in().post("/form", {"note": " Ünïcode & <b> "})
        assert json.loads(answer.body) == "Ünïcode & <b>"


class TestPages:
    def test_one_that_does_not_exist_and_one_that_is_not_theirs_are_the_same(self, a_form):
        therapist = signed_in(Role.THERAPIST)
        missing, forbidden = therapist.get("/no-such-page"), therapist.get("/owners-only")
        assert missing.status == forbidden.status == 404
        assert missing.body == forbidden.body
        assert signed_in(Role.OWNER).get("/owners-only").status == 200

    def test_programs_get_data_instead_of_pages(self, a_form):
        stranger, therapist = Client().get("/api/numbers"), signed_in(Role.THERAPIST).get("/api/numbers")
        assert (stranger.status, therapist.status) == (401, 404)
        assert "error" in stranger.body
        for answer in (stranger, therapist, signed_in().get("/api/no-such")):
            assert answer.headers["Content-Type"] == "application/json; charset=utf-8"

    @pytest.mark.parametrize("path", ["/", "/sign-in", "/signed-in", "/signed-out", "/nothing", "/static/style.css"])
    def test_every_answer_is_private_and_harmless(self, path):
        headers = Client().get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe-inline" not in policy
        assert "frame-ancestors 'none'" in policy
        assert f"form-action 'self' {SITE.sign_in_url}" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["Strict-Transport-Security"].startswith("max-age=")

    def test_no_cache_keeps_a_page(self):
        assert signed_in().get("/").headers["Cache-Control"] == "no-store"

    def test_the_style_is_kept_under_the_address_of_its_version_alone(self):
        page = signed_in().get("/").body
        address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
        assert "immutable" in Client().get(address).headers["Cache-Control"]
        assert Client().get("/static/style.css?v=old").headers["Cache-Control"] == "no-cache"
        assert Client().get("/static/base.html").status == 404

    def test_what_people_are_called_is_shown_as_text(self):
        body = signed_in(name="<script>alert(1)</script>").get("/").body
        assert "<script>" not in body
        assert "&lt;script&gt;" in body

    @pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: f"{route.method} {route.path}")
    def test_every_route_leads_to_a_view(self, route):
        assert callable(routes.load(route.view))
        assert not route.badge or callable(routes.load(route.badge))

    @pytest.mark.parametrize("role", Role)
    def test_the_menu_leads_only_where_somebody_may_go(self, role):
        client = signed_in(role, "north", therapist_id="t1")
        menu = client.get("/").body.partition("<nav")[2].partition("</nav>")[0]
        addresses = [part.partition('"')[0] for part in menu.split('href="')[1:]]
        assert addresses
        assert [client.get(address).status for address in addresses] == [200] * len(addresses)


@pytest.fixture
def a_form(monkeypatch):
    """A form, a page for owners and data, as pages of the dashboard have them."""
    views = ModuleType("views")
    vars(views)["note"] = lambda request, staff: as_json(request.field("note"))
    monkeypatch.setitem(sys.modules, "functions.serve_dashboard.views_of_a_test", views)
    own = (
        routes.Route("POST", "/form", routes.ADMINS, "views_of_a_test:note"),
        routes.Route("GET", "/owners-only", routes.OWNERS, "views_of_a_test:note"),
        routes.Route("GET", "/api/numbers", routes.ADMINS, "views_of_a_test:note"),
    )
    monkeypatch.setattr(routes, "ROUTES", (*routes.ROUTES, *own))


class TestTheWayBack:
    @pytest.mark.parametrize("path", ["/", "/cases", "/comments?clinic=north&page=2", "/patient?id=a%2Fb"])
    def test_a_page_of_ours_is_where_they_come_out(self, pool, path):
        client = client_of(pool)
        back = pool.sign_in(client.get("/sign-in?return=" + quote(path)).location)
        assert client.get(f"/signed-in?{back}").location == path

    @pytest.mark.parametrize(
        "path",
        [
            "",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/%2Fevil.example",
            "/%252Fevil.example",
            "/%5Cevil.example",
            "/%255Cevil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "evil.example",
            " /cases",
            "/cases\r\nSet-Cookie: a=b",
            "/\t/evil.example",
            "/ä",
            "/" + "x" * 1_000,
            "/sign-in",
            "/signed-in?code=x",
            "/sign-out",
        ],
    )
    def test_anything_else_leads_to_the_first_page(self, pool, path):
        client = client_of(pool)
        back = pool.sign_in(client.get("/sign-in?return=" + quote(path)).location)
        assert client.get(f"/signed-in?{back}").location == "/"

    @given(st.text(alphabet="/\\%25FfCc.:@ abc\t\n", max_size=12))
    def test_no_text_leads_a_browser_away(self, text):
        address = Request("GET", "/", SITE, NOW).link(local_path(text))
        assert address.startswith("/")
        assert not address.startswith(("//", "/\\"))
        assert not set(address) & set("\\ \t\n")

    @pytest.mark.parametrize("cookie", ["", "a", "a.b.c", "a.b.c.d.e", "a.b.c.!", "a.b.c.gICA", "ä.b.c.Lw", "..."])
    def test_a_cookie_that_cannot_be_read_is_no_attempt(self, pool, cookie):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        client.cookies[sign_in.COOKIE] = cookie
        assert client.get(f"/signed-in?{back}").status == 400

    def test_a_cookie_that_was_tampered_with_leads_nowhere_else(self, pool):
        client = client_of(pool)
        back = pool.sign_in(begin(client).location)
        parts = client.cookies[sign_in.COOKIE].split(".")
        client.cookies[sign_in.COOKIE] = ".".join([*parts[:3], "Ly9ldmlsLmV4YW1wbGU"])  # //evil.example
        assert client.get(f"/signed-in?{back}").location == "/"


class TestRoles:
    def test_the_strongest_of_several_groups_counts(self):
        assert role_of(["therapist", "owner"]) is Role.OWNER
        assert role_of(["therapist", "clinic_admin"]) is Role.CLINIC_ADMIN

    def test_an_owner_sees_every_clinic_an_admin_their_own_and_a_therapist_none(self):
        owner, admin, therapist = (Staff("u", "Robin", "r@example.com", role, frozenset({"north"})) for role in Role)
        assert [staff.may_see("north") for staff in (owner, admin, therapist)] == [True, True, False]
        assert [staff.may_see("south") for staff in (owner, admin, therapist)] == [True, False, False]
        assert not Staff("u", "Robin", "r@example.com", Role.CLINIC_ADMIN).may_see("")

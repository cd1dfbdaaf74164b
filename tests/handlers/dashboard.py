"""The dashboard as somebody who is signed in uses it, in process on moto."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from functions.serve_dashboard import session
from functions.serve_dashboard.handler import handler
from functions.serve_dashboard.web import Request, Site
from shared.domain.staff import Role, Staff
from tests.fakes import FakeContext, FakeMailer

NOW = datetime(2026, 3, 4, 15, 0, tzinfo=UTC)  # Wednesday, ten in the morning in New York
SITE = Site("https://dashboard.example.com", "client-1", "https://sign-in.example.com")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: str

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.headers["Location"]

    @property
    def text(self) -> str:
        """The main part of a page as a reader sees it: no tags, single spaces."""
        main = self.body.partition("<main")[2].partition("</main>")[0].partition(">")[2]
        return " ".join(re.sub(r"<[^>]+>", " ", main).split())


@dataclass
class Client:
    """A browser with these cookies, at this moment; `staff` is who is signed in."""

    staff: Staff | None = None
    now: datetime = NOW
    cookies: dict[str, str] = field(default_factory=dict)
    site: Site = SITE
    mailer: FakeMailer = field(default_factory=FakeMailer)

    def get(self, address: str, **headers: str) -> Answer:
        """Open a page: `/comments?clinic=north`."""
        return self.send("GET", address, None, headers)

    def post(self, address: str, form: dict[str, Any] | None = None, **headers: str) -> Answer:
        """Send a form as a page of the dashboard does; a value may be a list."""
        return self.send("POST", address, urlencode(form or {}, doseq=True), {"Origin": self.site.origin, **headers})

    def send(self, method: str, address: str, body: str | None, headers: dict[str, str]) -> Answer:
        """One request, through the handler."""
        event = an_event(method, address, self, body, headers)
        returned = handler(event, FakeContext(), now=lambda: self.now, mailer=self.mailer)
        cookies = returned["multiValueHeaders"].get("Set-Cookie", [])
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies[name] = value
        return Answer(returned["statusCode"], returned["headers"], cookies, returned["body"])


def signed_in(role: Role = Role.OWNER, *clinics: str, now: datetime = NOW, **differences: Any) -> Client:
    """A client with a session of this role: `signed_in(Role.CLINIC_ADMIN, "north")`."""
    details: dict[str, Any] = {"user_id": f"user-{role}", "name": "Robin Reyes", "email": "robin@example.com"}
    staff = Staff(role=role, clinics=frozenset(clinics), **{**details, **differences})
    client = Client(staff, now)
    cookie = session.begin(Request("GET", "/", SITE, now), staff)
    client.cookies[session.NAME] = cookie.partition(";")[0].partition("=")[2]
    return client


def an_event(
    method: str, address: str, client: Client, body: str | None = None, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """What the gateway hands to the function."""
    parts = urlsplit(address)
    sent = {name.replace("_", "-"): value for name, value in (headers or {}).items()}
    if client.cookies:
        sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in client.cookies.items() if value)
    if body is not None:
        sent.setdefault("Content-Type", "application/x-www-form-urlencoded")
    queries = parse_qs(parts.query, keep_blank_values=True)
    return {
        "httpMethod": method,
        "path": parts.path,
        "headers": sent,
        "multiValueQueryStringParameters": queries or None,
        "pathParameters": {"proxy": parts.path.removeprefix("/")} if parts.path != "/" else None,
        "stageVariables": {
            "base_url": client.site.base_url,
            "client_id": client.site.client_id,
            "sign_in_url": client.site.sign_in_url,
        },
        "requestContext": {"identity": {"sourceIp": "203.0.113.7"}},
        "body": body,
        "isBase64Encoded": False,
    }

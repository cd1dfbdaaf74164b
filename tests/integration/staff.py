"""The staff of a local stack: people in its user pool, and a plain HTTP client that signs in as a browser does."""

import html
import http.client
import itertools
import re
from dataclasses import dataclass, field
from urllib.parse import urlencode, urljoin, urlsplit

from local.stack import Stack
from local.staff import Person, add_person
from shared.domain.staff import Role

PASSWORD = "Correct-horse-7"
FORM = "application/x-www-form-urlencoded"
_numbers = itertools.count(1)


def somebody(stack: Stack, role: Role = Role.OWNER, *clinics: str, therapist_id: str = "") -> Person:
    """A new person of the staff, who may sign in."""
    number = next(_numbers)
    person = Person(f"Robin Reyes {number}", f"robin.{number}@staff.example", PASSWORD, role, clinics, therapist_id)
    add_person(stack.client("cognito-idp"), stack.outputs["StaffPoolId"], person)
    return person


@dataclass(frozen=True)
class Page:
    """What came back; redirects are not followed."""

    url: str
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return urljoin(self.url, self.headers["Location"])


@dataclass
class HttpBrowser:
    """A browser without a window: it keeps the dashboard's cookies and says where its forms come from."""

    stack: Stack
    cookies: dict[str, str] = field(default_factory=dict)

    def get(self, address: str, **headers: str) -> Page:
        """Open a page of the dashboard by its path, or any page by its URL."""
        return self._send("GET", address, None, headers)

    def post(self, address: str, form: dict[str, str] | None = None, **headers: str) -> Page:
        """Send a form of the dashboard."""
        own = {"Origin": self.stack.dashboard_url, "Content-Type": FORM}
        return self._send("POST", address, urlencode(form or {}), {**own, **headers})

    def sign_in(self, person: Person, at: str = "/") -> Page:
        """From a page of the dashboard through the user pool's form and back; the page that was wanted."""
        returned = self.submit_password(self.to_sign_in_page(at), person)
        finished = self.get(returned.location)
        assert finished.status == 303, finished.body
        return self.get(finished.location)

    def to_sign_in_page(self, at: str = "/") -> Page:
        """As far as the user pool's form."""
        return self.get(self.get(self.get(at).location).location)

    def submit_password(self, sign_in_page: Page, person: Person) -> Page:
        """The answer to the user pool's form: a redirect with a code."""
        hidden = re.findall(r'name="(\w+)" value="([^"]*)"', sign_in_page.body)
        form = {name: html.unescape(value) for name, value in hidden}
        form |= {"username": person.email, "password": person.password}
        return self._send("POST", f"{self.stack.endpoint_url}/login", urlencode(form), {"Content-Type": FORM})

    def _send(self, method: str, address: str, body: str | None, headers: dict[str, str]) -> Page:
        url = urljoin(self.stack.dashboard_url, address)
        parts = urlsplit(url)
        is_ours = url.startswith(self.stack.dashboard_url)
        if self.cookies and is_ours:
            headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()), **headers}
        connection = http.client.HTTPConnection(parts.netloc, timeout=60)
        try:
            target = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, target or "/", body, {name.replace("_", "-"): v for name, v in headers.items()})
            answer = connection.getresponse()
            page = Page(url, answer.status, answer.headers, answer.read().decode())
        finally:
            connection.close()
        if is_ours:
            self._keep(answer.headers.get_all("Set-Cookie") or [])
        return page

    def _keep(self, cookies: list[str]) -> None:
        for cookie in cookies:
            name, _, value = cookie.partition(";")[0].partition("=")
            self.cookies.pop(name, None)
            if value:
                self.cookies[name] = value

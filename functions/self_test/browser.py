"""The public address as a patient's browser meets it: name, certificate, gateway and firewall included."""

from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple, Protocol
from urllib.parse import urlencode, urlsplit

SECONDS = 25  # an API of the gateway's has answered by then, one way or the other


class Page(NamedTuple):
    """What came back; status 0 where nothing did."""

    status: int
    body: str


class Ask(Protocol):
    """Opens a page or, with a form, sends it."""

    def __call__(self, url: str, form: dict[str, str] | None = None) -> Page: ...


def request_page(url: str, form: dict[str, str] | None = None) -> Page:
    """Ask once: who must ask twice is a patient lost."""
    parts = urlsplit(url)
    connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    headers = {"User-Agent": "Careloop self-test", "Accept": "text/html", "Accept-Language": "en"}
    body = None
    if form is not None:
        headers["Content-Type"], body = "application/x-www-form-urlencoded", urlencode(form)
    with closing(connect(parts.netloc, timeout=SECONDS)) as connection:
        try:
            connection.request("GET" if form is None else "POST", parts.path, body, headers)
            answer = connection.getresponse()
            return Page(answer.status, answer.read().decode("utf-8", "replace"))
        except (OSError, HTTPException):
            return Page(0, "")

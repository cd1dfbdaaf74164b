"""Requests and responses of the dashboard as plain values; a view sees nothing of the gateway."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from shared.mail.mailer import Mailer

MAX_FORM = 64 * 1024  # bytes
MAX_NAME = 500  # bytes of a part of the path, or of a parameter; a key of DynamoDB holds 1,024
HTML = "text/html; charset=utf-8"
_IN_PATHS = "/%:@!$&'()*+,;="  # what may stand in a path as it is (RFC 3986)


class NotFound(Exception):
    """There is no such page, or not for this person: the answer is the same."""


class BadForm(Exception):
    """What was sent cannot be used; the message says why and what to do, in words for people."""


class Refused(Exception):
    """A form that did not come from a page of the dashboard."""


@dataclass(frozen=True, slots=True)
class Site:
    """Where the dashboard is and where people sign in, as the API's stage says it. No slash at the end of either."""

    base_url: str
    client_id: str
    sign_in_url: str

    @property
    def origin(self) -> str:
        """What a browser sends as `Origin` with the dashboard's own forms."""
        return _origin(self.base_url)

    @property
    def sign_in_origin(self) -> str:
        """Where forms may lead besides the dashboard: signing out ends there."""
        return _origin(self.sign_in_url)


@dataclass(frozen=True, slots=True)
class Request:
    """One request. `now` is the wall clock; `params` are the parts of the path that the route names, decoded."""

    method: str
    path: str
    site: Site
    now: datetime
    queries: Mapping[str, list[str]] = field(default_factory=dict)
    form: Mapping[str, list[str]] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None
    fetch_site: str | None = None
    source_ip: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    mailer: Mailer | None = None  # None is Amazon SES, made by the page that sends

    def query(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        return self.queries.get(name, [default])[0]

    def field(self, name: str, default: str = "") -> str:
        """The first value of a form field, without spaces around it."""
        return self.form.get(name, [default])[0].strip()

    @property
    def may_exist(self) -> bool:
        """Whether the address can name anything: nothing has so long a name, or one with a NUL in it."""
        named = [*unquote(self.path).split("/"), *(value for values in self.queries.values() for value in values)]
        return not any("\0" in name or len(name.encode("utf-8", "replace")) > MAX_NAME for name in named)

    def link(self, path: str, **query: object) -> str:
        """The address of a page of ours, for a link or a form; parameters that are None or empty are left out."""
        given = {name: value for name, value in query.items() if value is not None and value != ""}
        return (
            urlsplit(self.site.base_url).path
            + path
            + ("?" + urlencode(given, doseq=True, quote_via=quote) if given else "")
        )

    def is_own_form(self) -> bool:
        """Whether a page of the dashboard sent this: a browser says so, and what says nothing is refused."""
        if self.origin is None:
            return self.fetch_site == "same-origin"
        return self.origin == self.site.origin and self.fetch_site in (None, "same-origin")


@dataclass(frozen=True, slots=True)
class Response:
    """One answer; the headers that keep it private are added to every one."""

    body: str
    status: int = 200
    content_type: str = HTML
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()


def read_request(event: dict[str, Any], now: datetime, mailer: Mailer | None = None) -> Request:
    """The gateway's event as a request, without the form that it may carry."""
    # Not `path`: a domain of the practice's own may have a prefix there.
    # As the browser wrote it: the gateway decodes what stands in a query, and nothing in a path; the local stack does.
    path = "/" + quote(str((event.get("pathParameters") or {}).get("proxy") or ""), safe=_IN_PATHS, errors="replace")
    headers = _headers(event)
    variables = event["stageVariables"]
    return Request(
        method=event["httpMethod"],
        path=path,
        site=Site(variables["base_url"], variables["client_id"], variables["sign_in_url"]),
        now=now,
        queries=event.get("multiValueQueryStringParameters") or {},
        cookies=_read_cookies(headers.get("cookie", "")),
        origin=headers.get("origin"),
        fetch_site=headers.get("sec-fetch-site"),
        source_ip=str(event["requestContext"]["identity"].get("sourceIp") or ""),
        mailer=mailer,
    )


def read_form(event: dict[str, Any]) -> dict[str, list[str]]:
    """The fields of a posted form; BadForm if they cannot be read."""
    body = (event.get("body") or "").encode("utf-8", "replace")
    if event.get("isBase64Encoded"):
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error:
            raise BadForm("The form could not be read. Please go back and send it again.") from None
    if len(body) > MAX_FORM:
        raise BadForm("The form holds more text than we can take. Please go back and shorten it.")
    if not body:
        return {}
    if _headers(event).get("content-type", "").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise BadForm("The form could not be read. Please go back and send it again.")
    try:
        return parse_qs(body.decode(), keep_blank_values=True, max_num_fields=500, errors="strict")
    except ValueError:
        raise BadForm("The form could not be read. Please go back and send it again.") from None


def to_event(response: Response, site: Site) -> dict[str, Any]:
    """The answer as the gateway wants it: no cache keeps it, no other site frames it, and it loads only our own."""
    policy = (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        f"form-action 'self' {site.sign_in_origin}; frame-ancestors 'none'; base-uri 'none'"
    )
    headers = {
        "Content-Type": response.content_type,
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        # Chromium says `Origin: null` of forms on pages that send no referrer at all.
        "Referrer-Policy": "same-origin",
        "Strict-Transport-Security": "max-age=31536000",
        "X-Content-Type-Options": "nosniff",
        "X-Robots-Tag": "noindex, nofollow",
        **response.headers,
    }
    return {
        "statusCode": response.status,
        "headers": headers,
        "multiValueHeaders": {"Set-Cookie": list(response.cookies)} if response.cookies else {},
        "body": response.body,
        "isBase64Encoded": False,
    }


def see_other(address: str, *cookies: str) -> Response:
    """Go there with a GET, also after a form was sent; `address` comes from `Request.link` or is the sign-in's."""
    return Response("", status=303, headers={"Location": address}, cookies=cookies)


def as_json(body: object, status: int = 200) -> Response:
    """Data for programs."""
    return Response(json.dumps(body), status, "application/json; charset=utf-8")


def download(name: str, body: str, content_type: str) -> Response:
    """A file to keep; `name` is ours, never anybody's input."""
    return Response(body, 200, content_type, {"Content-Disposition": f'attachment; filename="{name}"'})


def _headers(event: dict[str, Any]) -> dict[str, str]:
    return {name.lower(): value for name, value in (event.get("headers") or {}).items()}


def _read_cookies(header: str) -> dict[str, str]:
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return {name: value for name, equals, value in reversed(list(pairs)) if equals}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"

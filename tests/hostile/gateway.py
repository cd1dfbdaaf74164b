"""The two APIs without a gateway: an HTTP request becomes the event that a REST API makes of it."""

import re
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import yaml

from functions.record_response import handler as record_response
from functions.serve_dashboard import handler as serve_dashboard
from functions.unsubscribe import handler as unsubscribe
from local.template import load_template
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.dashboard import SITE

PATIENTS, STAFF = "https://care.example.com", SITE.base_url
DESCRIPTION = Path(__file__).parents[2] / "docs/api.yaml"
_HANDLERS = {
    "RecordResponseFunction": record_response,
    "UnsubscribeFunction": unsubscribe,
    "ServeDashboardFunction": serve_dashboard,
}


@dataclass(frozen=True)
class Answer:
    """What came back. `by_gateway` says that no function was asked."""

    status: int
    headers: dict[str, list[str]]
    body: str
    by_gateway: bool = False

    def header(self, name: str) -> str:
        """The only value of a header; empty if it is not there."""
        values = {given.lower(): value for given, value in self.headers.items()}.get(name.lower(), [""])
        assert len(values) == 1
        return values[0]


def ask(
    method: str,
    url: str,
    headers: dict[str, str] | None = None,
    body: bytes | str | None = None,
    *,
    now: datetime,
    mailer: FakeMailer | None = None,
    sign_in_url: str = SITE.sign_in_url,
) -> Answer:
    """One request to either API, through the function that the template names."""
    parts = urlsplit(url)
    origin = f"{parts.scheme}://{parts.netloc}"
    api = {PATIENTS: "PatientApi", STAFF: "StaffApi"}[origin]
    found = _route(api, method.lower(), parts.path)
    if found is None:
        return Answer(404, {"Content-Type": ["text/html; charset=utf-8"]}, "", by_gateway=True)
    function, params = found
    pairs = parse_qsl(parts.query, keep_blank_values=True, max_num_fields=1000)
    many: dict[str, list[str]] = {}
    for name, value in pairs:
        many.setdefault(name, []).append(value)
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    event = {
        "resource": "",
        "path": parts.path,
        "httpMethod": method,
        "headers": headers or {},
        "multiValueHeaders": {name: [value] for name, value in (headers or {}).items()},
        "queryStringParameters": dict(pairs) or None,
        "multiValueQueryStringParameters": many or None,
        "pathParameters": params or None,
        "stageVariables": {
            "base_url": SITE.base_url,
            "client_id": SITE.client_id,
            "sign_in_url": sign_in_url,
        },
        "requestContext": {"identity": {"sourceIp": "203.0.113.7"}},
        "body": text,
        "isBase64Encoded": False,
    }
    given: dict[str, Any] = {"mailer": mailer or FakeMailer()} if api == "StaffApi" else {}
    answer = _HANDLERS[function].handler(event, FakeContext(), now=lambda: now, **given)
    sent = {name: [value] for name, value in answer["headers"].items()}
    sent |= {name: list(values) for name, values in answer.get("multiValueHeaders", {}).items()}
    return Answer(answer["statusCode"], sent, answer["body"])


def routes(api: str) -> set[tuple[str, str, str]]:
    """Method, path and function of each event of the template that belongs to this API."""
    return {
        (event["Properties"]["Method"], event["Properties"]["Path"], name)
        for name, resource in load_template()["Resources"].items()
        for event in resource["Properties"].get("Events", {}).values()
        if resource["Type"] == "AWS::Serverless::Function" and event["Type"] == "Api"
        if event["Properties"]["RestApiId"] == {"Ref": api}
    }


@cache
def description() -> dict[str, Any]:
    """docs/api.yaml."""
    described: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text("utf-8"))
    return described


@cache
def _patterns(api: str) -> tuple[tuple[str, re.Pattern[str], str], ...]:
    found = sorted(routes(api), key=lambda route: "+" in route[1])
    return tuple(
        (method, re.compile(re.sub(r"\{(\w+)(\+?)\}", _part, path)), function) for method, path, function in found
    )


def _part(match: re.Match[str]) -> str:
    return rf"(?P<{match[1]}>.+)" if match[2] else rf"(?P<{match[1]}>[^/]+)"


def _route(api: str, method: str, path: str) -> tuple[str, dict[str, str]] | None:
    for wanted, pattern, function in _patterns(api):
        match = pattern.fullmatch(path or "/") if wanted == method else None
        if match:
            return function, match.groupdict()  # not decoded: the gateway decodes queries only
    return None

"""Hostile requests over HTTP, to the deployed template with its roles enforced: nothing fails, nothing is told."""

import http.client
import itertools
import time
from collections.abc import Iterator
from statistics import median
from urllib.parse import urlsplit

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.stack import Stack
from tests.hostile import markup, strings
from tests.hostile.requests_of import CHECKS, OF_PATIENTS, OF_STAFF, cases_of
from tests.integration.practice import Practice, someone
from tests.integration.staff import HttpBrowser, somebody

ALWAYS = {"content-security-policy", "cache-control", "referrer-policy", "x-content-type-options"}
ROUNDS = 25


@pytest.fixture(scope="module")
def token(practice: Practice) -> str:
    """The link of a patient who was asked."""
    [mail] = practice.asked(someone("Hostile"))
    return mail.token


@pytest.fixture(scope="module")
def expired(practice: Practice) -> str:
    """A link whose time is over; no outsider can wait that long, so the table is told."""
    [mail] = practice.asked(someone("Late"))
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["SurveysTable"],
        Key={"survey_id": {"S": mail.token[:26]}},
        UpdateExpression="SET expires_at = :then",
        ExpressionAttributeValues={":then": {"S": "2026-03-03T00:00:00Z"}},
    )
    return mail.token


def wrong(token: str, expired: str) -> dict[str, str]:
    return {
        "never made": "q" * 52,
        "another secret": token[:26] + "q" * 26,
        "expired": expired,
        "cut off": token[:40],
        "malformed": "no%20token",
    }


def test_every_wrong_link_gets_the_same_page(practice: Practice, token: str, expired: str) -> None:
    answers = [
        (page.status, page.body, {name: value for name, value in page.headers.items() if name in ALWAYS})
        for link in wrong(token, expired).values()
        for page in (practice.get(f"/s/{link}"), practice.post(f"/s/{link}", {"score": "3", "comment": "x"}))
    ]
    assert len({repr(answer) for answer in answers}) == 1
    assert answers[0][0] == 404
    assert answers[0][2].keys() == ALWAYS


def test_no_wrong_link_is_told_from_another_by_the_time_it_takes(practice: Practice, token: str, expired: str) -> None:
    """Asked in turn, so that a busy machine is busy for all; the medians may differ by what is noise to a network."""
    links = wrong(token, expired)
    for form in (None, {"score": "3", "comment": "x"}):
        took: dict[str, list[float]] = {name: [] for name in links}
        for number in range(ROUNDS):
            names = list(links) if number % 2 else list(reversed(links))
            for name in names:
                began = time.perf_counter()
                page = practice.request("POST" if form else "GET", f"/s/{links[name]}", form)
                took[name].append(time.perf_counter() - began)
                assert page.status == 404
        usual = median(took["never made"])
        for name, times in took.items():
            apart = median(one - other for one, other in zip(times, took["never made"], strict=True))
            assert abs(apart) < max(0.25 * usual, 0.001), (name, form, apart, usual)


RAW_PATHS = (
    *("/s/", "/s", "/s/%00", "/s/%2e%2e%2fu", "/s/..%2f..%2f", "/s/a/b", "/s//", "/s/%ff%fe", "/s/%zz", "/u/%00"),
    *("/s/" + "a" * 7000, "/s/?score=3", "/s/;x", "/s/%F0%9F%92%A9", "/s/%3Cscript%3E", "/S/x", "/u/\\evil.example"),
)


@pytest.mark.parametrize("path", RAW_PATHS)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_path_is_a_failure_of_ours(stack: Stack, method: str, path: str) -> None:
    base = urlsplit(stack.patient_api_url)
    connection = http.client.HTTPConnection(base.netloc, timeout=30)
    try:
        connection.putrequest(method, base.path + path, skip_accept_encoding=True)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        answer = connection.getresponse()
        body = answer.read().decode("utf-8", "replace")
    finally:
        connection.close()
    assert 400 <= answer.status < 500
    assert markup.foreign(body) == []
    assert "<script" not in body
    if answer.getheader("Content-Type", "").startswith("text/html"):
        assert {name.lower() for name, _ in answer.getheaders()} >= ALWAYS


def test_a_body_of_any_kind_gets_a_page_and_stores_nothing(practice: Practice, token: str) -> None:
    bodies = [b"\xff\xfe\x00", b"score=%zz", b"{}", b"score=3&score=4", b"&" * 1000]
    bodies.append(b"score=3&comment=" + b"x" * 70_000)
    before = practice.dump()
    for body in bodies:
        page = practice.post(f"/s/{token}", body)
        assert page.status in (400, 413)
        assert page.headers.keys() >= ALWAYS
    assert practice.dump()["SurveysTable"] == before["SurveysTable"]


def test_a_hostile_answer_is_stored_word_for_word_and_logged_nowhere(practice: Practice) -> None:
    texts = ["<script>alert('stored')</script>", '=HYPERLINK("//evil.example")', "{{7*7}}\u202e", "a\r\nBcc: eve@e.x"]
    mails = practice.asked(*(someone("Odd") for _ in texts))
    for mail, text in zip(mails, texts, strict=True):
        assert practice.answer(mail, 2, text).status == 200
        assert practice.survey(mail)["comment"] == text.replace("\r\n", "\n")
    practice.rest()
    told = " ".join(logged(practice))
    assert "answer" in told
    for text in texts:
        assert text not in told
        assert "evil.example" not in told


def logged(practice: Practice) -> Iterator[str]:
    logs = practice.client("logs")
    for groups in logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            for found in logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"]):
                yield from (event["message"] for event in found["events"])


@pytest.mark.parametrize("label", OF_PATIENTS)
def test_patients_get_what_is_described(label: str, practice: Practice, token: str) -> None:
    @settings(max_examples=12, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases_of(label), is_known=st.booleans())
    def holds(case: schemathesis.Case, is_known: bool) -> None:
        if is_known:
            case.path_parameters["token"] = token
        answer = case.call(base_url=practice.stack.public_url, allow_redirects=False)
        if case.path_parameters["token"]:
            case.validate_response(answer, checks=CHECKS)

    holds()


@pytest.fixture(scope="module")
def owner(stack: Stack) -> HttpBrowser:
    """An owner who is signed in."""
    browser = HttpBrowser(stack)
    browser.sign_in(somebody(stack))
    return browser


@pytest.mark.parametrize("label", [label for label in OF_STAFF if "sign" not in label])
def test_the_owner_gets_what_is_described(label: str, stack: Stack, owner: HttpBrowser) -> None:
    cookie = "; ".join(f"{name}={value}" for name, value in owner.cookies.items())
    texts = itertools.cycle(strings.MARKUP)

    @settings(max_examples=3, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases_of(label))
    def holds(case: schemathesis.Case) -> None:
        if isinstance(case.query, dict):
            case.query = {name: next(texts) for name in case.query}
        headers = {"Cookie": cookie, "Origin": stack.dashboard_url}
        answer = case.call(base_url=stack.dashboard_url, headers=headers, allow_redirects=False)
        case.validate_response(answer, checks=CHECKS)
        if answer.headers["content-type"][0].startswith("text/html"):
            assert markup.foreign(answer.content.decode(), stack.dashboard_url, stack.endpoint_url) == []

    holds()

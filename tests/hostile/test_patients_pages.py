"""The patients' door: whatever comes with a link that opens nothing, or as an answer, the page is one of ours."""

import base64
import os
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from functions.record_response.handler import handler as record_response
from functions.unsubscribe.handler import handler as unsubscribe
from shared.domain.identity import new_token
from shared.domain.survey import MAX_COMMENT
from shared.storage import surveys
from shared.storage.models import SurveyItem
from tests.builders import MONDAY_NOON, a_survey
from tests.fakes import FakeContext
from tests.handlers.answering import add_patient
from tests.hostile import markup, strings
from tests.hostile.conftest import Calls
from tests.hostile.practice import tables

pytestmark = pytest.mark.usefixtures("aws")
NOW = MONDAY_NOON + timedelta(days=1)
SURVEY, OTHER = "a" * 26, "b" * 26
OWN = ("https://g.page",)
ANSWER = urlencode({"score": "3", "comment": "Too long a wait."})


@pytest.fixture
def link(aws: None) -> str:
    """An open link of a patient."""
    add_patient()
    return mailed(SURVEY)


def mailed(survey_id: str, days: int = 30) -> str:
    surveys.create(a_survey(survey_id))
    token, secret_hash = new_token(survey_id)
    item = SurveyItem
    item(survey_id).update(
        [item.token_hashes.add({secret_hash}), item.expires_at.set(MONDAY_NOON + timedelta(days=days))]
    )
    return token


def ask(
    method: str,
    token: str,
    body: str | None = None,
    at: Callable[..., Any] = record_response,
    headers: dict[str, str] | None = None,
    **event: Any,
) -> dict[str, Any]:
    given_event = {
        "httpMethod": method,
        "pathParameters": {"token": token},
        "headers": {"Accept-Language": "en"} if headers is None else headers,
        "body": body,
        **event,
    }
    answer: dict[str, Any] = at(given_event, FakeContext(), now=lambda: NOW)
    return answer


def wrong_tokens(token: str) -> Iterator[str]:
    """What may become of a link on its way, or be made of it."""
    yield from (token[:length] for length in range(len(token)))
    yield from (token + more for more in ("a", "\n", " ", "%00", "\x00", ".", "/", "=", "\u200b", token))
    yield from (token.upper(), token.title(), token[::-1], token[26:] + token[:26], " " + token, "\ufeff" + token)
    for letter, double in zip("aeoi2l", "\u0430\u0435\u043e\u0456\uff12I", strict=True):
        yield token.replace(letter, double) if letter in token else double + token[1:]
    yield from (token[:-1] + letter for letter in "0189-_A\u0131" if letter != token[-1])
    yield from (f"../{token}", f"{token}/../{token}", f"..%2f{token}", f"{token}?", f"{token}#", f"{token};x=1")
    yield from (quote(token[:5]) + "%61" + token[6:], "\x00" * 52, "0" * 52, "a" * 10_000, "\U0001f4a9" * 52)
    yield from strings.ALL


def test_every_link_that_opens_nothing_gets_one_page(link: str) -> None:
    new = {(method, path): ask(method, "x" * 52, ANSWER, at) for method in METHODS for path, at in DOORS.items()}
    before = tables()
    for token in (*wrong_tokens(link), mailed_and_expired(), OTHER + link[26:]):
        for (method, path), expected in new.items():
            if token and not (path == "/u" and token[:26] == "c" * 26):
                assert ask(method, token, ANSWER, DOORS[path]) == expected, (method, path, token)
    assert len({repr(answer) for answer in new.values()}) == 1
    assert next(iter(new.values()))["statusCode"] == 404
    after = tables()
    assert [survey for survey in after["Surveys"] if survey["survey_id"]["S"] != "c" * 26] == before["Surveys"]
    assert after["Patients"] == before["Patients"]


METHODS = ("GET", "POST")
DOORS = {"/s": record_response, "/u": unsubscribe}
FORMS = (ANSWER, "", "score=eleven", "score=3&comment=" + "x" * 70_000, "%", "&" * 50)


def mailed_and_expired() -> str:
    return mailed("c" * 26, days=0)


@pytest.mark.parametrize("body", FORMS, ids=["answer", "nothing", "no score", "too large", "percent", "many fields"])
@pytest.mark.parametrize("method", METHODS)
def test_every_link_that_opens_nothing_costs_the_same_calls(method: str, body: str, link: str, calls: Calls) -> None:
    expired, erased = mailed_and_expired(), mailed("d" * 26)
    SurveyItem("d" * 26).delete()
    wrong = {
        "never made": "x" * 52,
        "another secret": link[:26] + "z" * 26,
        "expired": expired,
        "erased": erased,
        "malformed": "x",
        "cut off": link[:-1],
        "markup": "<script>",
    }
    ask(method, "y" * 52, body)  # settings are kept for a minute
    made = {}
    for name, token in wrong.items():
        calls.clear()
        assert ask(method, token, body)["statusCode"] == 404
        made[name] = list(calls)
    assert len(made["never made"]) == 1
    assert {str(each) for each in made.values()} == {str(made["never made"])}, made


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_of_a_wrong_link_shows_nothing_of_it(language: str) -> None:
    header = {"accept-language": language}
    expected = ask("GET", "x" * 52, headers=header)
    assert expected["headers"]["Content-Language"] == language
    for text in strings.ALL:
        found = ask("GET", text, headers=header, queryStringParameters={"score": text, text: text})
        assert found == expected


@pytest.mark.parametrize("score", strings.SCORES)
def test_what_is_no_score_is_answered_with_the_form_and_what_was_typed(score: str, link: str) -> None:
    answer = ask("POST", link, urlencode({"score": score, "comment": "kept <b>"}))
    assert answer["statusCode"] == 400
    assert "kept &lt;b&gt;</textarea>" in answer["body"]
    assert " checked" not in answer["body"]
    assert "version" not in SurveyItem.get(SURVEY).attribute_values or SurveyItem.get(SURVEY).version is None
    plain = ask("POST", link, urlencode({"score": "eleven", "comment": "kept it"}))
    assert markup.elements(answer["body"]) == markup.elements(plain["body"])


@pytest.mark.parametrize("score", strings.SCORES)
def test_what_is_no_score_chooses_none(score: str, link: str) -> None:
    answer = ask("GET", link, queryStringParameters={"score": score})
    assert (answer["statusCode"], " checked" in answer["body"]) == (200, False)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (None, 400),
        ("", 400),
        ("score=3&score=4", 400),
        ("score=3&score=3", 200),
        ("score=3&score=", 200),
        ("score=3;comment=x", 400),
        ("Score=3", 400),
        ("score[]=3", 400),
        ("score%00=3", 400),
        ("score=%zz3", 400),
        ("score=3&comment=%", 200),
        ("score=3&comment=%ff%fe%zz%u0041", 200),
        ("score=3&" + "&".join(f"f{n}=x" for n in range(30)), 400),
        ('{"score": 3}', 400),
        ("<score>3</score>", 400),
        ('--x\r\nContent-Disposition: form-data; name="score"\r\n\r\n3\r\n--x--', 400),
        ("score=3&comment=" + "x" * (64 * 1024), 413),
        ("score=3&comment=" + "%F0%9F%92%A9" * MAX_COMMENT, 200),
        ("score=3&comment=" + "x" * (2**20), 413),
        ("\ud800score=3", 400),
        ("score=3&comment=\ud800", 200),
        ("score=3\x00", 400),
    ],
)
def test_every_body_gets_an_answer_that_says_what_to_do(body: str | None, status: int, link: str) -> None:
    answer = ask("POST", link, body)
    assert answer["statusCode"] == status
    assert (SurveyItem.get(SURVEY).version is not None) == (status == 200)
    answer["body"].encode("utf-8")


@pytest.mark.parametrize("coded", ["!", "====", "c2NvcmU9Mw", "\xe9", "\U0001f4a9", "c2NvcmU9M\x00w==", None])
def test_a_body_that_is_no_base64_though_it_should_be_is_an_empty_form(coded: str | None, link: str) -> None:
    answer = ask("POST", link, coded, isBase64Encoded=True)
    assert answer["statusCode"] in (200, 400)


def test_a_body_in_base64_is_read(link: str) -> None:
    assert ask("POST", link, base64.b64encode(b"score=3").decode(), isBase64Encoded=True)["statusCode"] == 200


@pytest.mark.parametrize("kind", ["application/json", "multipart/form-data; boundary=x", "text/plain", "\x00", ""])
def test_what_the_content_is_called_does_not_matter(kind: str, link: str) -> None:
    """A patient's odd browser must not lose an answer."""
    assert ask("POST", link, ANSWER, headers={"Content-Type": kind})["statusCode"] == 200


def test_the_comment_is_stored_as_it_was_typed_but_for_controls(link: str) -> None:
    for number, text in enumerate(text for text in strings.ALL if text.strip() and len(text) < 150):
        survey = f"{number:026d}".translate(str.maketrans("0189", "wxyz"))
        token = mailed(survey)
        assert ask("POST", token, urlencode({"score": "3", "comment": text}))["statusCode"] == 200
        found = surveys.get(survey)
        assert found
        expected = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "", re.sub(r"\r\n?", "\n", text)).strip()
        assert found.comment == expected


@pytest.mark.parametrize(
    "wanted", [*strings.HEADERS, "es;q=" + "9" * 5000, "es," * 100_000, "es;q=1e9", "es;q=NaN", "*", ";;;,,,", "\x00"]
)
def test_no_language_breaks_the_page_of_a_wrong_link(wanted: str) -> None:
    answer = ask("GET", "x", headers={"ACCEPT-language": wanted})
    assert answer["statusCode"] == 404
    assert answer["headers"]["Content-Language"] in ("en", "es")


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    token=st.text() | st.text("abcdefghijklmnopqrstuvwxyz234567", min_size=50, max_size=54),
    body=st.none() | st.text() | st.builds(lambda raw: "score=" + quote(raw), st.binary()),
    method=st.sampled_from(METHODS),
)
@example(token="a" * 52, body="score=\ud800", method="POST")
def test_no_request_is_a_failure_of_ours(link: str, token: str, body: str | None, method: str) -> None:
    for path, at in DOORS.items():
        assert ask(method, token, body, at)["statusCode"] == 404
        answer = ask(method, link, body, at)
        assert answer["statusCode"] in ((200, 400, 413) if path == "/s" else (200,))
        assert markup.foreign(answer["body"], *OWN) == []


def test_pages_set_no_cookie_and_lead_nowhere(link: str) -> None:
    for path, at in DOORS.items():
        for method in METHODS:
            answer = ask(method, link, ANSWER, at)
            assert not {"set-cookie", "location", "refresh"} & {name.lower() for name in answer["headers"]}, path
    assert os.environ["PUBLIC_URL"] not in answer["body"]

"""The patient's page from outside: what it answers, and what it leaves in the table."""

import base64
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.units import Meter
from functions.record_response.handler import handler
from shared.domain.identity import new_token
from shared.domain.score import Category
from shared.domain.settings import ClinicSettings
from shared.domain.survey import Survey
from shared.domain.themes import parse_lexicon
from shared.storage import dynamodb, surveys
from shared.storage.lexicon import put_lexicon
from shared.storage.models import SurveyItem
from shared.storage.settings import put_clinic, put_networks
from tests.builders import MONDAY_NOON, a_survey
from tests.fakes import FakeContext

pytestmark = pytest.mark.usefixtures("aws")
SURVEY = "a" * 26
_surveys = (base64.b32encode(b"%016d" % number).decode().rstrip("=").lower() for number in itertools.count())


@pytest.fixture
def token(aws: None) -> str:
    """The link of a survey that was mailed on Monday noon and is open for 30 days."""
    return mailed(SURVEY)


def mailed(survey_id: str, language: str = "en") -> str:
    surveys.create(a_survey(survey_id))
    link, secret_hash = new_token(survey_id)
    item = SurveyItem
    item(survey_id).update(
        [
            item.token_hashes.add({secret_hash}),
            item.expires_at.set(MONDAY_NOON + timedelta(days=30)),
            item.language.set(language),
        ]
    )
    return link


def request(method: str, token: str, at: timedelta = timedelta(0), body: Any = None, **event: Any) -> Any:
    text = urlencode(body, doseq=True) if isinstance(body, dict) else body
    return handler(
        {"httpMethod": method, "pathParameters": {"token": token}, "headers": {}, "body": text, **event},
        FakeContext(),
        now=lambda: MONDAY_NOON + at,
    )


def get(token: str, score: str | None = None, at: timedelta = timedelta(0), **event: Any) -> Any:
    return request("GET", token, at, queryStringParameters={"score": score} if score is not None else None, **event)


def post(token: str, score: Any, comment: str = "", at: timedelta = timedelta(0)) -> Any:
    return request("POST", token, at, {"score": score, "comment": comment})


def stored(survey_id: str = SURVEY) -> Survey:
    survey = surveys.get(survey_id)
    assert survey
    return survey


def table() -> list[Any]:
    return sorted((item.attribute_values for item in SurveyItem.scan()), key=lambda values: values["survey_id"])


def test_looking_at_a_link_thirty_times_writes_nothing(token):
    before = table()
    for score in [*range(11), None] * 3:
        assert get(token, None if score is None else str(score))["statusCode"] == 200
    assert table() == before


@pytest.mark.parametrize("score", range(11))
def test_every_score_is_recorded_and_classified(token, score):
    assert post(token, score)["statusCode"] == 200
    survey = stored()
    expected = Category.PROMOTER if score >= 9 else Category.PASSIVE if score >= 7 else Category.DETRACTOR
    pending = {"promoter": "review", "passive": "digest", "detractor": "alert"}[expected]
    assert (survey.score, survey.category, survey.version) == (score, expected, 1)
    assert survey.pending_reaction == pending


def test_words_that_may_concern_safety_are_marked_with_the_answer(token):
    post(token, 10, "Lovely people. I fell in the gym, though.")
    survey = stored()
    assert survey.pending_reaction == "alert review"
    assert survey.answers[-1].concerns_safety
    post(token, 9)
    assert stored().answers[-1].concerns_safety  # the words are still in force
    post(token, 9, "Lovely people.")
    assert not stored().answers[-1].concerns_safety


def test_the_practices_own_words_are_looked_for(token):
    put_lexicon(parse_lexicon("pool: water\nsafety fall: toppled"))
    post(token, 10, "I toppled")
    assert stored().pending_reaction == "alert review"


@pytest.fixture
def calls(token: str) -> Iterator[list[str]]:
    """What is asked of DynamoDB."""
    asked: list[str] = []

    def note(model: Any, **_: Any) -> None:
        asked.append(model.name)

    events = dynamodb.client().meta.events
    events.register("before-call.dynamodb", note)
    yield asked
    events.unregister("before-call.dynamodb", note)


def test_an_accepted_answer_is_one_call_to_dynamodb(token, calls):
    post(mailed("b" * 26), 5)  # the clinic's settings are kept from here on
    calls.clear()
    post(token, 9, "Very kind.")
    assert calls == ["UpdateItem"]


def test_an_accepted_answer_is_billed_three_write_units_and_a_page_none(token):
    get(token, "9")
    meter = Meter(boto3.client("dynamodb"))
    meter.attach(dynamodb.client())
    get(token, "9")
    page = (meter.wru, meter.rru)
    meter.clear()
    post(token, 9, "Very kind.")
    answer = (meter.wru, meter.rru)
    meter.detach(dynamodb.client())
    assert {"page": page, "answer": answer} == {"page": (0, 1), "answer": (3, 0)}  # table, owed reaction, night's list


def test_a_cold_page_is_two_calls_and_the_answer_that_follows_is_one(token, calls):
    get(token, "9")
    assert calls == ["GetItem", "BatchGetItem"]
    post(token, 9, "Very kind.")
    assert calls[2:] == ["UpdateItem"]


def test_an_answer_to_a_cold_function_is_written_after_one_read(token, calls):
    post(token, 9, "Very kind.")
    assert calls == ["BatchGetItem", "UpdateItem", "GetItem"]


def test_settings_that_a_busy_table_leaves_out_are_read_one_by_one(token, calls, monkeypatch):
    put_clinic(ClinicSettings("north", phone="518-555-0100"))

    def busy(RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803 (DynamoDB names it)
        return {"Responses": {}, "UnprocessedKeys": RequestItems}

    monkeypatch.setattr(dynamodb.client(), "batch_get_item", busy)
    calls.clear()
    assert "518-555-0100" in get(token, "9")["body"]
    assert calls == ["GetItem", "GetItem", "GetItem"]


def test_an_answer_that_meets_a_transaction_is_tried_again(token, monkeypatch):
    client = dynamodb.client()
    conflict = client.exceptions.TransactionConflictException({"Error": {"Code": "TransactionConflictException"}}, "x")
    refusals = [conflict, conflict]
    update = client.update_item

    def busy_at_first(**call: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return update(**call)

    monkeypatch.setattr(client, "update_item", busy_at_first)
    monkeypatch.setattr("shared.storage.answers.CONFLICT_WAITS", (0, 0, 0))
    assert post(token, 9)["statusCode"] == 200
    assert stored().score == 9


def test_a_reaction_still_owed_survives_an_answer_that_calls_for_none(token, choose):
    choose(PASSIVE_ALERTS="off")
    post(token, 3)
    post(token, 7)
    assert (stored().category, stored().pending_reaction) == (Category.PASSIVE, "alert")


def test_the_last_accepted_answer_counts(token):
    post(token, 9, "Great")
    post(token, 3, "No, wait", at=timedelta(days=6))
    survey = stored()
    assert (survey.score, survey.comment, survey.version) == (3, "No, wait", 2)
    assert survey.pending_reaction == "alert"
    assert survey.answered_at == MONDAY_NOON + timedelta(days=6)


def test_sending_the_same_again_changes_nothing(token):
    post(token, 9, "Great")
    before = table()
    assert post(token, 9, "Great", at=timedelta(hours=1))["statusCode"] == 200
    assert table() == before


def test_changing_the_number_keeps_the_comment_that_the_page_did_not_show(token):
    post(token, 8, "The parking lot is small.")
    post(token, 9)
    assert (stored().score, stored().comment) == (9, "The parking lot is small.")


def test_an_answer_can_be_changed_for_seven_days_and_not_a_second_longer(token):
    post(token, 9)
    assert post(token, 8, at=timedelta(days=7))["statusCode"] == 200
    closed = post(token, 3, at=timedelta(days=7, seconds=1))
    assert closed["statusCode"] == 409
    assert "8" in closed["body"]
    assert stored().score == 8
    assert get(token, "3", at=timedelta(days=8))["statusCode"] == 200


def test_when_the_time_is_over_every_form_gets_the_recorded_score(token):
    post(token, 9, "Great")
    late = timedelta(days=8)
    assert post(token, "eleven", at=late)["statusCode"] == 409
    assert post(token, 3, "x" * 70_000, at=late)["statusCode"] == 409
    again = post(token, 9, "Great", at=late)
    assert again["statusCode"] == 200
    assert "Change my answer" not in again["body"]


def test_the_twentieth_change_is_the_last(token):
    for n in range(25):
        post(token, n % 2, at=timedelta(minutes=n))
    assert stored().version == 20
    assert post(token, 10)["statusCode"] == 409


def test_a_second_visit_shows_the_score_but_not_the_words(token):
    post(token, 4, "The words of a patient")
    page = get(token)["body"]
    assert "You answered 4" in page
    assert "words of a patient" not in page


def test_the_public_review_link_is_on_every_thank_you_page():
    for score in range(11):
        page = post(mailed(f"{'abcdefghijk'[score]}" * 26), score)["body"]
        assert "https://g.page/r/riverside/review" in page


def test_a_detractor_reads_that_someone_will_be_in_touch_only_if_the_practice_promises_it(token, choose):
    assert "in touch" in post(token, 2)["body"]
    choose(PROMISE_CONTACT="false")
    assert "in touch" not in post(mailed("b" * 26), 2)["body"]


UNKNOWN = ["", "x", "a" * 52, "ü" * 52, "../../etc/passwd", "<script>alert(1)</script>", "a" * 5000]


def test_every_link_that_opens_nothing_gets_the_same_page(token):
    forged = token[:26] + "b" * 26
    expired = timedelta(days=30)
    answers = [
        request(method, bad, body="score=9") for bad in [*UNKNOWN, forged, token[:-1]] for method in ("GET", "POST")
    ]
    answers += [request("GET", token, expired), request("POST", token, expired, "score=9")]
    answers += [request("POST", token, expired, "score=99"), request("POST", forged, body="nonsense")]
    assert {answer["statusCode"] for answer in answers} == {404}
    assert len({answer["body"] for answer in answers}) == 1
    assert stored().version == 0


def test_an_unknown_link_answers_in_the_browsers_language():
    english = get("x", headers={"accept-language": "eo, en;q=0.5"})
    spanish = get("x", headers={"Accept-Language": "es-MX,es;q=0.9,en;q=0.8"})
    assert english["headers"]["Content-Language"] == "en"
    assert spanish["headers"]["Content-Language"] == "es"
    assert spanish["body"] != english["body"]


def test_the_page_speaks_the_patients_language_whatever_the_browser_asks_for():
    spanish = mailed("b" * 26, language="es")
    assert 'lang="es"' in get(spanish, headers={"Accept-Language": "en"})["body"]
    assert 'lang="es"' in post(spanish, 9)["body"]


@pytest.mark.parametrize("score", ["11", "-1", "6.5", "ten", "", " ", "1e1", "٩", "9 9", "09", "+9", "9\n", "NaN"])
def test_what_is_no_score_is_asked_for_again_with_the_typed_words_kept(token, score):
    answer = post(token, score, "My words <b>stay</b>")
    if score == "9\n":  # a browser's line end around a good number
        assert answer["statusCode"] == 200
        return
    assert answer["statusCode"] == 400
    assert "My words &lt;b&gt;stay&lt;/b&gt;" in answer["body"]
    assert stored().version == 0


@pytest.mark.parametrize("body", [None, "", "comment=only", "{}", "score=1&score=2", "&" * 100, "%ff%fe=%zz"])
def test_a_form_that_says_nothing_is_a_400_that_says_what_to_do(token, body):
    answer = request("POST", token, body=body)
    assert answer["statusCode"] == 400
    assert "0 to 10" in answer["body"] or "number" in answer["body"]
    assert stored().version == 0


def test_a_comment_beyond_four_thousand_characters_is_cut_and_the_page_says_so(token):
    answer = post(token, 9, "x" * 4001)
    assert answer["statusCode"] == 200
    assert "4,000" in answer["body"]
    assert stored().comment == "x" * 4000
    assert "4,000" not in post(mailed("b" * 26), 9, "x" * 4000)["body"]


def test_four_thousand_emoji_fit(token):
    answer = post(token, 9, "😀" * 4000)
    assert answer["statusCode"] == 200
    assert stored().comment == "😀" * 4000


def test_a_megabyte_is_refused_with_the_score_and_the_beginning_kept_on_the_page(token):
    answer = post(token, 7, "y" * 1_000_000)
    assert answer["statusCode"] == 413
    assert "y" * 4000 in answer["body"]
    assert re.search(r'<input[^>]*value="7"[^>]* checked', answer["body"])
    assert stored().version == 0


def test_a_base64_body_is_read_as_well(token):
    assert request("POST", token, body="c2NvcmU9OQ==", isBase64Encoded=True)["statusCode"] == 200
    assert stored().score == 9
    assert request("POST", token, body="***", isBase64Encoded=True)["statusCode"] == 400


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(comment=st.text(max_size=300))
def test_any_words_are_stored_and_never_executed(aws, comment):
    link = mailed(next(_surveys))
    assert post(link, 8, comment)["statusCode"] == 200
    page = request("POST", link, body={"score": "x", "comment": comment})
    assert page["statusCode"] == 400
    assert page["body"].count("<script") == 0
    assert page["body"].count("<textarea") == 1


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>", "</textarea><img src=x onerror=a()>", "\u202eevil\u202c"]
)
def test_markup_and_direction_marks_come_back_as_text(token, evil):
    page = request("POST", token, body={"score": "x", "comment": evil})["body"]
    assert "<script>alert" not in page
    assert "<img" not in page


def test_pages_are_private_and_harmless(token):
    headers = get(token)["headers"]
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_logs_hold_ids_and_neither_token_nor_words(token, capsys):
    post(token, 3, "canary-comment")
    get(token, "3")
    printed = capsys.readouterr().out
    assert SURVEY in printed
    assert token[26:] not in printed
    assert "canary-comment" not in printed


def test_the_answer_path_loads_no_heavy_module():
    program = (
        "import sys; from tests.environment import set_environment; set_environment();"
        "import functions.record_response.handler; from shared.storage.dynamodb import client; client();"
        "heavy = ('pydantic', 'aws_xray_sdk', 'pynamodb', 'jinja2', 'aws_lambda_powertools.utilities.idempotency',"
        " 'aws_lambda_powertools.utilities.parser');"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("address", "is_marked"),
    [("203.0.113.9", True), ("2001:db8:7::1", True), ("198.51.100.4", False), ("", False), ("no address", False)],
)
def test_an_answer_from_a_clinic_s_own_network_is_marked_and_the_address_not_kept(token, address, is_marked):
    put_networks("north", ("203.0.113.0/24",))
    put_networks("south", ("2001:db8:7::/48",))
    request("POST", token, body={"score": 9, "comment": ""}, requestContext={"identity": {"sourceIp": address}})
    assert [answer.onsite for answer in stored().answers] == [is_marked]
    assert not address or address not in str(table())


def test_a_network_that_was_taken_back_marks_nothing(token):
    put_networks("north", ("203.0.113.0/24",))
    put_networks("north", ())
    request("POST", token, body={"score": 9}, requestContext={"identity": {"sourceIp": "203.0.113.9"}})
    assert [answer.onsite for answer in stored().answers] == [False]

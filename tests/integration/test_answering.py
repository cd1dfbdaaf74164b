"""What patients do with their links: answer, change their minds, send nonsense."""

import secrets
from urllib.parse import quote

import pytest

from tests.integration.practice import Mail, Practice, someone

GROUPS = ["detractor"] * 7 + ["passive"] * 2 + ["promoter"] * 2
SCRIPT = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp;"
RIGHT_TO_LEFT = "شكرا جزيلا \u202eevil\u202c \u2067abc"
REVIEWS = "https://reviews.example/riverside"


@pytest.fixture(scope="module")
def mails(practice: Practice) -> list[Mail]:
    """Surveys that nobody has answered yet; each test takes its own."""
    people = [someone(language="es" if number >= 56 else "en") for number in range(60)]
    return practice.asked(*people)


@pytest.fixture
def mail(mails: list[Mail]) -> Mail:
    return mails.pop(0)


@pytest.fixture
def spanish(mails: list[Mail]) -> Mail:
    return mails.pop()


class TestAnswering:
    @pytest.mark.parametrize("score", range(11))
    def test_each_score_is_recorded_classified_and_thanked_for(self, practice, mail, score):
        page = practice.get(mail.score_path(score))
        assert (page.status, page.chosen) == (200, [score])
        assert "Not sent yet" in page.text
        assert f"Send my answer: {score}" in page.text
        thanks = practice.answer(mail, score, "Kind people")
        assert thanks.status == 200
        assert f"You answered {score}" in thanks.text
        assert ("will be in touch" in thanks.heading) == (score <= 6)
        assert f'href="{REVIEWS}"' in thanks.body  # for everybody
        survey = practice.survey(mail)
        stored = (survey["score"], survey["category"], survey["comment"], survey["version"])
        assert stored == (score, GROUPS[score], "Kind people", 1)

    def test_thirty_openings_of_every_link_write_nothing(self, practice, mail):
        practice.rest()
        before = practice.dump()
        for number in range(30):
            path = mail.unsubscribe_path if number % 12 == 11 else mail.score_path(number % 12)
            assert practice.get(path).status == 200
        assert practice.dump() == before

    @pytest.mark.parametrize("query", ["", "?score=", "?score=11", "?score=-1", "?score=6.5", "?score=ten", "?x=1"])
    def test_a_link_without_a_proper_score_shows_the_question_with_nothing_chosen(self, practice, mail, query):
        page = practice.get(f"/s/{mail.token}{query}")
        assert (page.status, page.chosen) == (200, [])

    def test_a_second_visit_shows_the_score_and_not_the_comment(self, practice, mail):
        practice.answer(mail, 4, "My knee still hurts.")
        page = practice.get(f"/s/{mail.token}")
        assert "You answered 4" in page.text
        assert page.chosen == [4]
        assert "knee" not in page.body

    def test_the_last_answer_counts(self, practice, mail):
        for score, comment in [(9, "good"), (3, "bad"), (7, "so so")]:
            assert practice.answer(mail, score, comment).status == 200
        survey = practice.survey(mail)
        assert (survey["score"], survey["category"], survey["comment"]) == (7, "passive", "so so")
        assert survey["version"] == 3

    def test_sending_the_same_again_changes_nothing(self, practice, mail):
        practice.answer(mail, 2, "slow")
        practice.rest()
        before = practice.dump()
        again = practice.answer(mail, 2, "slow")
        assert (again.status, again.heading[:9]) == (200, "Thank you")
        practice.rest()
        assert practice.dump() == before

    def test_four_thousand_emoji_are_kept(self, practice, mail):
        assert practice.answer(mail, 10, "😀" * 4000).status == 200
        assert practice.survey(mail)["comment"] == "😀" * 4000

    def test_of_a_longer_comment_the_beginning_is_kept_and_the_page_says_so(self, practice, mail):
        page = practice.answer(mail, 10, "a" * 5000)
        assert page.status == 200
        assert "4,000" in page.text
        assert practice.survey(mail)["comment"] == "a" * 4000

    @pytest.mark.parametrize("words", [SCRIPT, RIGHT_TO_LEFT, "=1+1", "line\nline", "'; DROP TABLE x; --", "{name} %s"])
    def test_any_words_are_kept_as_they_are(self, practice, mail, words):
        assert practice.answer(mail, 5, words).status == 200
        assert practice.survey(mail)["comment"] == words


class TestBadForms:
    @pytest.mark.parametrize("score", ["11", "-1", "6.5", "ten", "", "1e1", "0x5", "٩", "9 9", "99999999999999999999"])
    def test_what_is_no_score_is_refused_in_words_and_the_text_is_kept(self, practice, mail, score):
        page = practice.answer(mail, score, "It was\nfine – really")
        assert page.status == 400
        assert "0 to 10" in page.text
        assert page.chosen == []
        assert page.typed.split("\n") == ["It was", "fine – really"]
        assert "score" not in practice.survey(mail)

    def test_two_scores_are_no_answer(self, practice, mail):
        page = practice.post(f"/s/{mail.token}", b"score=3&score=9&comment=both")
        assert (page.status, page.typed) == (400, "both")

    def test_no_form_at_all_is_refused(self, practice, mail):
        assert practice.post(f"/s/{mail.token}", b"").status == 400
        assert practice.post(f"/s/{mail.token}", b"\xff\xfe%zz=&&==" + b"&a" * 100).status == 400
        assert "score" not in practice.survey(mail)

    def test_spanish_speakers_are_told_in_spanish(self, practice, spanish):
        page = practice.answer(spanish, "once", "Muy bien")
        assert (page.status, page.typed, page.headers["content-language"]) == (400, "Muy bien", "es")
        assert "del 0 al 10" in page.text
        assert "Gracias" in practice.answer(spanish, 10).text

    @pytest.mark.parametrize("language", ["en", "es"])
    def test_a_comment_of_a_megabyte_is_refused_as_too_long(self, practice, mails, language):
        mail = mails.pop(0) if language == "en" else mails.pop()
        page = practice.answer(mail, 9, "a" * 1_000_000)
        assert page.status == 413
        assert ("too long" if language == "en" else "demasiado largo") in page.text
        assert "score" not in practice.survey(mail)
        assert practice.answer(mail, 9, "shorter").status == 200

    @pytest.mark.parametrize("words", [SCRIPT, RIGHT_TO_LEFT, "</textarea><script>alert(1)</script>", "{score}"])
    def test_typed_words_come_back_as_words_and_nothing_else(self, practice, mail, words):
        page = practice.answer(mail, "ten", words)
        assert page.typed == words
        assert "<script" not in page.body
        assert "<img" not in page.body
        assert page.body.count("</textarea>") == 1

    def test_pages_run_load_and_leak_nothing(self, practice, mail):
        for page in (practice.get(mail.score_path(9)), practice.answer(mail, "x"), practice.answer(mail, 9)):
            policy = page.headers["content-security-policy"]
            assert policy.startswith("default-src 'none'")
            assert "script" not in policy
            assert "unsafe" not in policy
            assert page.headers["cache-control"] == "no-store"
            assert page.headers["referrer-policy"] == "no-referrer"
            assert "<script" not in page.body


def wrong_tokens(token: str) -> dict[str, str]:
    """Links that open nothing, by what is wrong with them."""
    forged = "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(26))
    return {
        "the survey exists, the secret is invented": token[:26] + forged,
        "the secret exists, the survey is invented": forged + token[26:],
        "truncated by one": token[:-1],
        "truncated to the survey": token[:26],
        "one too many": token + "a",
        "upper case": token.upper(),
        "a word": "hello",
        "markup": quote("<script>alert(1)<"),
        "right to left": quote("\u202e" + token),
        "long": "a" * 2000,
        "null": "%00" + token,
    }


class TestLinks:
    def test_every_wrong_link_gets_the_same_page_opened_or_sent(self, practice, mail):
        before = practice.dump()
        pages = {}
        for name, token in wrong_tokens(mail.token).items():
            for kind in ("s", "u"):
                pages[f"GET {kind} {name}"] = practice.get(f"/{kind}/{token}?score=9")
                pages[f"POST {kind} {name}"] = practice.post(f"/{kind}/{token}", {"score": "9", "comment": "x"})
        for form in (b"", b"score=11", b"score=9&comment=" + b"a" * 1_000_000):
            pages[f"POST of {form[:20]!r}"] = practice.post(f"/s/{'a' * 52}", form)
        first = pages["GET s the survey exists, the secret is invented"]
        assert first.heading == "This link does not open a survey"
        assert {name: (page.status, page.body) for name, page in pages.items()} == dict.fromkeys(
            pages, (404, first.body)
        )
        assert practice.dump() == before

    def test_an_expired_link_gets_that_page_too_and_still_unsubscribes(self, practice, mail):
        _set(practice, mail, expires_at="2020-01-01T00:00:00Z")
        unknown = practice.get(f"/s/{'a' * 52}")
        for page in (practice.get(mail.score_path(9)), practice.answer(mail, 9), practice.answer(mail, "ten")):
            assert (page.status, page.body) == (404, unknown.body)
        assert "score" not in practice.survey(mail)
        assert practice.get(mail.unsubscribe_path).status == 200
        assert practice.post(mail.unsubscribe_path, b"").heading == "You are unsubscribed"

    def test_an_unknown_link_answers_in_the_language_of_the_browser(self, practice):
        spanish = practice.get(f"/s/{'a' * 52}", Accept_Language="es-MX,es;q=0.9,en;q=0.8")
        assert (spanish.status, spanish.headers["content-language"]) == (404, "es")
        assert 'lang="es"' in spanish.body


def _set(practice: Practice, mail: Mail, **values: str) -> None:
    """Move what only the passing of days moves."""
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["SurveysTable"],
        Key={"survey_id": {"S": mail.token[:26]}},
        UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in values),
        ExpressionAttributeValues={f":{name}": {"S": value} for name, value in values.items()},
    )

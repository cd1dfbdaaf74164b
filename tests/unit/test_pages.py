"""The patients' pages, as claims about what a patient finds there."""

import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import read_practice
from shared.domain.score import SCORES
from shared.domain.settings import Clinic, Practice, ReviewLink
from shared.locale import moment, telephone
from shared.web import pages
from shared.web.pages import Problem
from shared.web.responses import page
from tests.environment import ENVIRONMENT
from tests.reading import Reader, read

PRACTICE = read_practice(ENVIRONMENT)
CLINIC = replace(PRACTICE.clinic("north"), name="Riverside North", phone="(518) 555-0134")
LANGUAGES = ("en", "es")
UNTIL = "Monday, March 9, at 2:30 PM"
HOSTILE = st.text(alphabet=st.characters(codec="utf-8")) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '"><img src=x onerror=alert(1)>',
        "</textarea><script>alert(1)</script>",
        "</style><script>alert(1)</script>",
        "' onmouseover='alert(1)",
        "{practice.admins}{0}{}",
        "&lt;b&gt; &amp;amp;",
        "\u202eevil\u202c مرحبا",
        "\n\nfirst line",
    ]
)


def _all_pages(lang: str, practice: Practice = PRACTICE, clinic: Clinic = CLINIC, comment: str = "") -> dict[str, str]:
    return {
        "question": pages.question(lang, practice, clinic, chosen=9),
        "nothing chosen": pages.question(lang, practice, clinic, chosen=None),
        "answered before": pages.question(lang, practice, clinic, chosen=3, recorded=8, changeable_until=UNTIL),
        **{
            str(problem): pages.question(lang, practice, clinic, chosen=None, comment=comment, problem=problem)
            for problem in Problem
        },
        "thanks, detractor": pages.thanks(lang, practice, clinic, score=0, comment_cut=True, changeable_until=UNTIL),
        "thanks, promoter": pages.thanks(lang, practice, clinic, score=10, comment_cut=False, changeable_until=UNTIL),
        "closed": pages.closed(lang, practice, clinic, score=7),
        "unknown": pages.unknown_link(lang, practice.name),
        "unsubscribe": pages.unsubscribe_question(lang, practice),
        "unsubscribed": pages.unsubscribed(lang, practice),
    }


EVERY_PAGE = [(lang, name) for lang in LANGUAGES for name in _all_pages("en")]


@pytest.mark.parametrize(("lang", "name"), EVERY_PAGE)
def test_every_page_has_language_title_and_one_heading_and_needs_nothing_from_elsewhere(lang: str, name: str) -> None:
    html = _all_pages(lang)[name]
    found = read(html)
    assert found.one("html").attributes["lang"] == lang
    assert PRACTICE.name in found.one("title").text
    assert found.one("h1").text.strip()
    assert found.one("main")
    assert not [e for e in found.elements if e.tag in {"script", "img", "link", "iframe"}]
    assert not [e for e in found.elements if "style" in e.attributes or any(a.startswith("on") for a in e.attributes)]
    assert len(html.encode()) < 20_000


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_placeholder_is_left_on_any_page(lang: str) -> None:
    for html in _all_pages(lang).values():
        assert not re.search(r"\{[a-z_]*\}", html.replace(str(pages.stylesheet()), ""))


@given(text=HOSTILE)
def test_what_people_type_adds_no_element_and_no_attribute_to_any_page(text: str) -> None:
    practice = replace(PRACTICE, name=text)
    clinic = replace(
        CLINIC, name=text, phone=text, review_links=(ReviewLink(text, "https://g.example/?a=1&b=" + text),)
    )
    plain = _all_pages("en", clinic=replace(CLINIC, review_links=(ReviewLink("Site", "https://g.example/"),)))
    for name, html in _all_pages("en", practice, clinic, comment=text).items():
        kinds = {e.tag for e in read(html).elements} - {"a"}
        assert kinds <= {e.tag for e in read(plain[name]).elements}, name
        assert not [e for e in read(html).elements if any(a.startswith("on") for a in e.attributes)], name


@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\0")))
def test_typed_text_is_kept_exactly_after_a_problem(text: str) -> None:
    html = pages.question("en", PRACTICE, CLINIC, chosen=None, comment=text, problem=Problem.SCORE_MISSING)
    kept = read(html).one("textarea").text
    # A browser drops the line break that directly follows the start tag, so the page writes one.
    assert kept == "\n" + text


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_question_is_a_group_of_eleven_labelled_radios_of_one_field(lang: str) -> None:
    found = read(pages.question(lang, PRACTICE, CLINIC, chosen=None))
    assert found.one("form").attributes["method"] == "post"
    assert found.one("form").attributes["accept-charset"] == "utf-8"
    assert "action" not in found.one("form").attributes  # it is sent to the address it came from
    assert PRACTICE.name in found.one("legend").text
    radios = found.all("input", type="radio", name="score")
    assert [radio.attributes["value"] for radio in radios] == [str(score) for score in SCORES]
    assert all("fieldset" in radio.inside and "label" in radio.inside for radio in radios)
    labels = [label.text for label in found.all("label") if "fieldset" in label.inside]
    low, high = {"en": ("not at all likely", "extremely likely"), "es": ("nada probable", "sumamente probable")}[lang]
    assert labels == [f"0 – {low}", *map(str, range(1, 10)), f"10 – {high}"]
    assert not [radio for radio in radios if "checked" in radio.attributes]
    assert found.one("label", **{"for": "comment"}).text
    assert found.one("textarea").attributes["name"] == "comment"


def test_it_is_the_standard_question() -> None:
    html = pages.question("en", PRACTICE, CLINIC, chosen=None)
    assert read(html).one("legend").text == (
        "How likely are you to recommend Riverside Physical Therapy to friends or family?"
    )


@pytest.mark.parametrize("score", SCORES)
def test_the_chosen_number_is_selected_and_the_button_says_that_it_will_be_sent(score: int) -> None:
    found = read(pages.question("en", PRACTICE, CLINIC, chosen=score))
    (checked,) = [radio for radio in found.all("input") if "checked" in radio.attributes]
    assert checked.attributes["value"] == str(score)
    (shown,) = _shown_labels(found)
    assert shown == f"Send my answer: {score}"


def test_without_a_chosen_number_the_button_names_none() -> None:
    assert _shown_labels(read(pages.question("en", PRACTICE, CLINIC, chosen=None))) == ["Send my answer"]
    assert _shown_labels(read(pages.question("es", PRACTICE, CLINIC, chosen=None))) == ["Enviar mi respuesta"]


def _shown_labels(found: Reader) -> list[str]:
    return [e.text for e in found.elements if e.tag == "span" and "button" in e.inside and "hidden" not in e.attributes]


def test_the_stylesheet_knows_a_label_for_each_number_and_guesses_none_without_has() -> None:
    css = str(pages.stylesheet())
    before, _, can_follow = css.partition("@supports selector(:has(*))")
    assert ".send-number { display: none; }" in before
    for score in SCORES:
        assert f'form:has([value="{score}"]:checked) .send-{score}' in can_follow


def test_the_question_says_that_nothing_is_sent_yet() -> None:
    assert "Not sent yet." in pages.question("en", PRACTICE, CLINIC, chosen=9)
    assert "Aún no se ha enviado." in pages.question("es", PRACTICE, CLINIC, chosen=9)


def test_a_second_visit_shows_the_score_that_counts_and_until_when_it_can_change() -> None:
    html = pages.question("en", PRACTICE, CLINIC, chosen=3, recorded=8, changeable_until=UNTIL)
    assert "You answered 8." in html
    assert f"You can change your answer until {UNTIL}." in html
    assert read(html).one("textarea").text.strip() == ""


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("problem", Problem)
def test_a_problem_is_said_first_in_words_and_leads_to_its_field(lang: str, problem: Problem) -> None:
    found = read(pages.question(lang, PRACTICE, CLINIC, chosen=None, comment="kept", problem=problem))
    assert found.one("title").text.startswith("Error: ")
    summary = found.one("div", id="problem")
    assert "tabindex" in summary.attributes
    assert found.elements.index(summary) < found.elements.index(found.one("form"))
    (link,) = [a for a in found.all("a") if a.attributes["href"].startswith("#")]
    target = next(e for e in found.elements if e.attributes.get("id") == link.attributes["href"][1:])
    wrong = next(e for e in found.elements if e.attributes.get("aria-invalid") == "true")
    assert target is wrong or wrong.tag in target.inside
    assert "problem" in wrong.attributes["aria-describedby"].split()
    assert "kept" in found.one("textarea").text


@pytest.mark.parametrize("score", range(7))
def test_a_detractor_reads_first_that_someone_will_be_in_touch(score: int) -> None:
    html = pages.thanks("en", PRACTICE, CLINIC, score=score, comment_cut=False, changeable_until=UNTIL)
    assert "be in touch" in read(html).one("h1").text
    assert "tel:5185550134" in html


@pytest.mark.parametrize("score", range(7, 11))
def test_nobody_else_is_promised_a_contact(score: int) -> None:
    assert "be in touch" not in pages.thanks(
        "en", PRACTICE, CLINIC, score=score, comment_cut=False, changeable_until=UNTIL
    )


def test_a_practice_that_promises_nothing_promises_nothing() -> None:
    practice = replace(PRACTICE, promise_contact=False)
    html = pages.thanks("en", practice, CLINIC, score=0, comment_cut=False, changeable_until=UNTIL)
    assert "be in touch" not in html


@pytest.mark.parametrize("lang", LANGUAGES)
def test_everybody_is_shown_the_same_review_links_in_the_same_words(lang: str) -> None:
    shown = {
        pages.thanks(lang, PRACTICE, CLINIC, score=score, comment_cut=False, changeable_until=UNTIL).partition("<h2>")[
            2
        ]
        for score in SCORES
    } | {pages.closed(lang, PRACTICE, CLINIC, score=score).partition("<h2>")[2] for score in SCORES}
    assert len(shown) == 1
    assert 'href="https://g.page/r/riverside/review"' in shown.pop()


def test_without_review_links_nothing_is_said_of_reviews() -> None:
    clinic = replace(CLINIC, review_links=())
    html = pages.thanks("en", PRACTICE, clinic, score=9, comment_cut=False, changeable_until=UNTIL)
    assert "review" not in html.lower()


def test_thanks_says_what_was_recorded_and_how_to_change_it() -> None:
    html = pages.thanks("en", PRACTICE, CLINIC, score=9, comment_cut=True, changeable_until=UNTIL)
    assert "You answered 9." in html
    assert f"until {UNTIL}." in html
    assert read(html).one("a", href="?").text == "Change my answer"
    assert "first 4,000 characters" in html
    uncut = pages.thanks("en", PRACTICE, CLINIC, score=9, comment_cut=False, changeable_until=UNTIL)
    assert "4,000" not in uncut


def test_a_final_answer_is_shown_with_whom_to_call() -> None:
    html = pages.closed("en", PRACTICE, CLINIC, score=8)
    assert "You answered 8." in html
    assert "(518) 555-0134" in html
    assert "reply to our email" in pages.closed("en", PRACTICE, replace(CLINIC, phone=""), score=8)


def test_opening_the_unsubscribe_page_asks_and_only_its_button_acts() -> None:
    found = read(pages.unsubscribe_question("en", PRACTICE))
    assert found.one("form").attributes["method"] == "post"
    assert found.one("button").text == "Unsubscribe"
    assert not read(pages.unsubscribed("en", PRACTICE)).all("form")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_pages_promise_confidence_never_anonymity(lang: str) -> None:
    for html in _all_pages(lang).values():
        assert "anonym" not in html.lower()
        assert "anónim" not in html.lower()
    assert "confiden" in _all_pages(lang)["question"]


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("es", "es"),
        ("es-MX,es;q=0.9,en;q=0.8", "es"),
        ("en-US,en;q=0.9,es;q=0.8", "en"),
        ("eo,es;q=0.5,en;q=0.4", "es"),
        ("en;q=0.2, ES-us;q=0.7", "es"),
        ("es;q=0", "en"),
        ("es;q=0,en;q=0.1", "en"),
        ("es;q=2", "en"),
        ("es;q=abc", "en"),
        ("eo,tlh", "en"),
        ("est", "en"),
    ],
)
def test_the_browser_s_language_is_honoured_by_weight(header: str | None, language: str) -> None:
    assert pages.language_of(header) == language


@given(st.text())
def test_no_language_header_is_too_strange(header: str) -> None:
    assert pages.language_of(header) in LANGUAGES


def test_responses_carry_the_headers_that_keep_a_page_private() -> None:
    html = pages.unknown_link("es", "Riverside")
    answer = page(404, html, "es")
    assert answer["statusCode"] == 404
    assert answer["body"] == html
    headers = answer["headers"]
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Content-Language"] == "es"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Robots-Tag"].startswith("noindex")
    assert "max-age" in headers["Strict-Transport-Security"]
    policy = dict(part.strip().partition(" ")[::2] for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["form-action"] == "'self'"
    assert "unsafe" not in headers["Content-Security-Policy"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_policy_allows_exactly_the_style_that_stands_in_every_page(lang: str) -> None:
    policy = page(200, "", lang)["headers"]["Content-Security-Policy"]
    for html in _all_pages(lang).values():
        (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert f"style-src 'sha256-{digest}'" in policy


@pytest.mark.parametrize(
    ("number", "dialled"),
    [
        ("(518) 555-0134", "tel:5185550134"),
        ("+1 518 555 0134", "tel:+15185550134"),
        ("518-555-0134 ext. 12", "tel:5185550134"),
        ("518.555.0134x12", "tel:5185550134"),
    ],
)
def test_a_telephone_number_can_be_tapped_and_reads_as_it_was_written(number: str, dialled: str) -> None:
    link = read(str(telephone(number))).one("a")
    assert (link.attributes["href"], link.text) == (dialled, number)


def test_what_cannot_be_dialled_is_only_text() -> None:
    assert telephone("<ask>") == "&lt;ask&gt;"


def test_moments_are_written_as_people_say_them() -> None:
    half_past_two = datetime(2026, 3, 9, 14, 30)  # noqa: DTZ001 - already local
    midnight = half_past_two.replace(hour=0, minute=5)
    assert moment("en", half_past_two) == "Monday, March 9, at 2:30 PM"
    assert moment("en", midnight) == "Monday, March 9, at 12:05 AM"
    assert moment("es", half_past_two) == "lunes 9 de marzo (2:30\u00a0p.\u00a0m.)"
    assert moment("es", midnight.replace(hour=12)) == "lunes 9 de marzo (12:05\u00a0p.\u00a0m.)"


def test_a_page_opens_without_loading_anything_heavy() -> None:
    code = "import sys, shared.web.responses; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"boto3", "botocore", "pynamodb", "pydantic", "jinja2", "email", "asyncio", "gettext"} & set(loaded)

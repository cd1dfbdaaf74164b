"""The practice's own words: where they stand, and what cannot stand there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import read_practice
from shared.domain.wording import PARAGRAPH, SLOTS, STANDARD, Slot, Wording, check, tidy
from shared.locale import texts
from shared.mail import letters
from shared.web import pages
from tests.environment import ENVIRONMENT

PRACTICE = read_practice(ENVIRONMENT)
CLINIC = PRACTICE.clinic("north")
LINKS: dict[str, Any] = {
    "first_name": "Ada",
    "to": "ada@example.com",
    "unsubscribe_link": "https://care.example.com/u/x",
}
SUBJECT, OPENING = SLOTS[0], SLOTS[1]
OWN = Wording({slot.name: f"Our {slot.name} at {{practice}}" for slot in SLOTS})


def our(slot: str) -> str:
    return f"Our {slot} at Riverside Physical Therapy"


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_survey_is_worded_as_the_practice_wants_but_asks_the_same_question(language):
    own, usual = (
        letters.survey(language, PRACTICE, CLINIC, survey_link="https://care.example.com/s/x", wording=wording, **LINKS)
        for wording in (OWN, STANDARD)
    )
    assert own.subject == our("survey_subject")
    for body in (own.text, own.html):
        assert our("survey_opening") in body
        assert our("survey_closing") in body
    asked = texts(language)("How likely are you to recommend {practice} to friends or family?")
    question = asked.format(practice=PRACTICE.name)
    for mail in (own, usual):
        assert question in mail.html
    assert own.html.count("?score=") == 11


def test_the_reminder_has_words_of_its_own():
    mail = letters.survey(
        "en", PRACTICE, CLINIC, survey_link="https://x.example.com", is_reminder=True, wording=OWN, **LINKS
    )
    assert mail.subject == our("reminder_subject")
    assert our("reminder_opening") in mail.text
    assert our("survey_opening") not in mail.text


def test_the_review_request_is_worded_and_still_says_that_it_is_a_choice():
    mail = letters.review_request("en", PRACTICE, CLINIC, wording=OWN, **LINKS)
    assert mail.subject == our("review_subject")
    assert our("review_opening") in mail.html
    assert "It is entirely your choice" in mail.text


@pytest.mark.parametrize(("score", "heading"), [(10, our("thanks_heading")), (0, "Someone from our team")])
def test_the_thank_you_page_keeps_its_promise_to_whoever_was_unhappy(score, heading):
    shown = pages.thanks("en", PRACTICE, CLINIC, score=score, comment_cut=False, changeable_until="Monday", wording=OWN)
    assert heading in shown.partition("<h1")[2].partition("</h1>")[0]
    assert our("thanks_text") in shown


def test_what_is_not_worded_reads_as_ever():
    some = Wording({"survey_subject": "A question"})
    mail = letters.survey("es", PRACTICE, CLINIC, survey_link="https://x.example.com", wording=some, **LINKS)
    usual = letters.survey("es", PRACTICE, CLINIC, survey_link="https://x.example.com", **LINKS)
    assert mail.subject == "A question"
    assert mail.text == usual.text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x" * (PARAGRAPH + 1), "there is room for 600"),
        ("Visit https://example.com", "leave out links"),
        ("Visit www.example", "leave out links"),
        ("See riverside.com for more", "leave out links"),
        ("Write to me@example", "leave out links"),
        ("<b>Hello</b>", "plain words"),
        ("Hello&nbsp;there", "plain words"),
        ("Dear {first_name}", "Only {practice}"),
        ("Dear {", "Only {practice}"),
        ("Hello \u202e there", "cannot be shown"),
    ],
)
def test_what_would_harm_a_mail_is_refused_with_the_reason(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        check(OPENING, text)


@pytest.mark.parametrize("text", ["Thank you for choosing {practice}!", "¿Cómo le fue? 5 < 6 & all.", "Dr. Lee, P.T."])
def test_plain_words_pass(text):
    check(OPENING, text)


def test_a_subject_has_less_room_than_a_paragraph():
    with pytest.raises(ValueError, match="room for 90"):
        check(SUBJECT, "x" * 91)


@given(st.text(max_size=200))
def test_whatever_passes_makes_a_mail_with_one_subject_line_and_no_markup_of_its_own(text):
    text = tidy(text)
    try:
        check(Slot("survey_subject", 90), text)
    except ValueError:
        return
    own = Wording({"survey_subject": text, "survey_opening": text})
    mail = letters.survey("en", PRACTICE, CLINIC, survey_link="https://care.example.com/s/x", wording=own, **LINKS)
    assert "\n" not in mail.subject
    assert mail.html.count("<a ") == 12
    assert "{" not in mail.subject

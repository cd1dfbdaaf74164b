"""Wording on the dashboard: looked at, tried on oneself, saved, and read by patients without a deployment."""

from datetime import timedelta
from typing import Any

import pytest

from functions.record_response.handler import handler as record_response
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from shared.domain.identity import new_token
from shared.domain.staff import Role
from shared.mail.mailer import Mail, MailOutcomeUnknown, MailRefused
from shared.storage import changes, messages, settings, surveys
from shared.storage.models import ActivityItem, MessageItem, SurveyItem
from tests.builders import a_message, a_survey
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.answering import add_patient, sent, survey_id
from tests.handlers.dashboard import NOW, Answer, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
EN = "/settings/wording/en"


@pytest.fixture
def owner() -> Client:
    return signed_in(Role.OWNER)


def post(client: Client, do: str = "save", address: str = EN, **texts: str) -> Answer:
    return client.post(address, {"do": do, **texts})


def test_patients_get_the_saved_words_in_their_language_without_a_deployment(owner, mailer):
    for language, subject in (("en", "How are we doing, {practice}?"), ("es", "¿Cómo le va con {practice}?")):
        assert post(owner, address=f"/settings/wording/{language}", survey_subject=subject).status == 303
    for number, language in ((1, "en"), (2, "es")):
        add_patient(f"p{number}", language=language, email=f"p{number}@example.com")
        surveys.create(a_survey(survey_id(number), patient_id=f"p{number}"))
        moments: dict[str, Any] = {"due_at": NOW, "occurred_at": NOW - timedelta(hours=3)}
        messages.create(a_message(survey_id(number), patient_id=f"p{number}", **moments))
    send_survey({"time": "2026-03-04T15:00:00Z"}, FakeContext(), mailer=mailer, limits=lambda: Limits(14, None))
    assert {mail.subject for mail in mailer.sent} == {
        "How are we doing, Riverside Physical Therapy?",
        "¿Cómo le va con Riverside Physical Therapy?",
    }


def test_the_answer_page_thanks_in_the_practices_words(owner):
    post(owner, thanks_heading="You made our day", thanks_text="See you soon, 5 < 6.")
    sent(survey_id(1))
    link, secret_hash = new_token(survey_id(1))
    SurveyItem(survey_id(1)).update([SurveyItem.token_hashes.add({secret_hash})])
    event = {"httpMethod": "POST", "pathParameters": {"token": link}, "headers": {}, "body": "score=10"}
    body = record_response(event, FakeContext(), now=lambda: NOW)["body"]
    assert "<h1>You made our day</h1>" in body
    assert "See you soon, 5 &lt; 6." in body


def test_a_preview_shows_the_typed_words_and_saves_nothing(owner):
    shown = post(owner, "preview", survey_opening="Hello from all of us at {practice}!", thanks_heading="Well done")
    assert shown.status == 200
    assert "Hello from all of us at Riverside Physical Therapy!" in shown.text
    assert "How likely are you to recommend" in shown.text
    assert "Well done" in shown.text
    assert "Hello from all of us at {practice}!</textarea>" in shown.body
    assert settings.chosen_texts() == {}
    assert changes.latest(5) == []
    assert owner.mailer.sent == []


def test_the_preview_of_a_spanish_mail_is_spanish(owner):
    assert "Hola, Robin:" in post(owner, "preview", "/settings/wording/es").text


@pytest.mark.parametrize(
    ("kind", "subject"),
    [("survey", "[Test] Our question"), ("reminder", "[Test] Once more"), ("review", "[Test] Thank you")],
)
def test_a_test_goes_to_oneself_alone_and_its_links_record_nothing(owner, kind, subject):
    words = {"survey_subject": "Our question", "reminder_subject": "Once more", "review_subject": "Thank you"}
    shown = post(owner, f"test {kind}", **words)
    assert "The test is on its way to robin@example.com" in shown.text
    (mail,) = owner.mailer.sent
    assert (mail.to, mail.subject) == (("robin@example.com",), subject)
    assert mail.headers == {}
    assert "/s/" not in mail.text
    assert "https://dashboard.example.com/test-mail" in mail.text
    assert settings.chosen_texts() == {}
    for model in (SurveyItem, MessageItem, ActivityItem):
        assert list(model.scan()) == []


def test_the_tests_links_open_a_page_that_says_so_for_anybody():
    page = Client().get("/test-mail?score=9")
    assert page.status == 200
    assert "This was a test" in page.text
    assert "Nothing was recorded" in page.text
    assert Client().post("/test-mail").status == 404


@pytest.mark.parametrize(
    ("error", "words"),
    [(MailRefused("no"), "The test was not sent"), (MailOutcomeUnknown("timeout"), "We do not know")],
)
def test_a_test_that_did_not_leave_is_told_and_the_words_stay(owner, error, words):
    def fail(mail: Mail) -> None:
        raise error

    owner.mailer = FakeMailer(fail)
    shown = post(owner, "test survey", survey_subject="Our question")
    assert shown.status == 400
    assert words in shown.text
    assert 'value="Our question"' in shown.body


@pytest.mark.parametrize("do", ["save", "preview", "test survey"])
@pytest.mark.parametrize(
    ("slot", "text", "complaint"),
    [
        ("survey_subject", "x" * 91, "room for 90"),
        ("survey_opening", "See https://example.com", "leave out links"),
        ("thanks_text", "<b>Thanks</b>", "plain words"),
        ("review_opening", "Dear {name}", "Only {practice}"),
    ],
)
def test_words_that_would_do_harm_are_neither_saved_nor_sent(owner, do, slot, text, complaint):
    refused = post(owner, do, **{slot: text})
    assert refused.status == 400
    assert complaint in refused.text
    assert settings.chosen_texts() == {}
    assert owner.mailer.sent == []


def test_every_change_is_written_down_and_careloops_words_can_be_taken_again(owner):
    post(owner, survey_subject="Our question")
    (noted,) = changes.latest(5)
    assert noted.change.setting == "Subject of the survey (English)"
    assert (noted.change.old, noted.change.new) == ("One short question from {practice}", "Our question")
    assert "Subject of the survey (English)" in owner.get(EN).text
    post(owner, survey_subject="Our question", default="survey_subject")
    assert settings.chosen_texts() == {}
    assert settings.wording("en").texts == {}


def test_a_paragraph_is_one_whatever_lines_it_was_typed_in(owner):
    post(owner, survey_opening="Hello.\r\n\r\nHow was it?")
    assert settings.wording("en").texts == {"survey_opening": "Hello. How was it?"}


def test_saving_the_words_as_they_stand_changes_nothing(owner):
    words = {"survey_subject": "One short question from {practice}", "thanks_text": ""}
    assert post(owner, **words).location.endswith("?done=nothing")
    assert settings.chosen_texts() == {}


def test_the_wording_is_the_owners_alone(owner):
    assert owner.get("/settings/wording").location.endswith(EN)
    assert owner.get("/settings/wording/eo").status == 404
    assert post(owner, "delete").status == 404
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    assert admin.get(EN).status == 404
    assert post(admin, survey_subject="Mine").status == 404
    assert settings.chosen_texts() == {}

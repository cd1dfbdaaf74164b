"""Cases on the dashboard: found, taken by one person, reached out to once, written down, closed."""

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.identity import address_key
from shared.domain.recovery import (
    MAX_NOTE,
    MAX_OUTREACH,
    MAX_REASON,
    CaseState,
    Channel,
    Outcome,
    Outreach,
    RecoveryCase,
    Result,
    claim,
)
from shared.domain.staff import Role
from shared.hash_key import hash_key
from shared.mail.mailer import Mail, MailOutcomeUnknown, MailRefused
from shared.storage import cases, surveys
from shared.storage.models import ActivityItem, AddressItem, CaseItem
from tests.builders import a_case
from tests.fakes import FakeMailer
from tests.handlers.answering import add_patient, answer, sent, survey_id
from tests.handlers.dashboard import NOW, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
SURVEY = survey_id(1)
MAIL = {"subject": "Your feedback", "text": "Dear Ada,\n\nI am sorry. <b>May</b> I call you?"}


@pytest.fixture
def robin() -> Client:
    add_patient(phone="555-0100")
    answer(sent(SURVEY), 3, "I waited an hour.")
    cases.create(a_case(SURVEY, opened_at=NOW, deadline=NOW + timedelta(hours=8)))
    return signed_in(Role.CLINIC_ADMIN, "north")


def stored(survey: str = SURVEY) -> RecoveryCase:
    case = cases.get(survey)
    assert case
    return case


def version() -> dict[str, Any]:
    return {"version": stored().version}


def send_mail(client: Client, **differences: Any) -> Any:
    return client.post(f"/cases/{SURVEY}/write", {**version(), **MAIL, **differences})


def called(client: Client, **differences: Any) -> Any:
    form = {"channel": "telephone", "result": "spoke", **differences}
    return client.post(f"/cases/{SURVEY}/call", {**version(), **form})


def test_the_list_shows_who_waits_and_a_badge_how_many(robin):
    page = robin.get("/cases")
    assert "Ada Okafor" in page.text
    assert "I waited an hour." in page.text
    assert "Nobody has it" in page.text
    assert re.search(r'Cases <span class="count">1<', page.body)


def test_nobody_waiting_is_said(robin):
    robin.post(f"/cases/{SURVEY}/close", {**version(), "outcome": "no_action", "reason": "other"})
    assert "Nobody is waiting" in robin.get("/cases").text
    assert "Ada Okafor" in robin.get("/cases?closed=2026-03").text
    assert "No case was closed" in robin.get("/cases?closed=2026-02").text
    for month in ("2026-13", "2026-1", "0001-01", "2026-03-01", "%00"):
        assert robin.get(f"/cases?closed={month}").status == 404


def test_the_page_has_all_that_one_needs_between_two_appointments(robin):
    page = robin.get(f"/cases/{SURVEY}")
    for words in ("Ada Okafor", "I waited an hour.", "3 of 10", "ada@example.com", "evaluation"):
        assert words in page.text
    assert 'href="tel:5550100"' in page.body
    assert 'data-copy="ada@example.com"' in page.body
    assert "I’ve got this" in page.text
    assert "Dear Ada," in page.body


def test_looking_changes_nothing_but_is_written_down(robin):
    before = stored()
    robin.get(f"/cases/{SURVEY}")
    assert stored() == before
    (viewed,) = [item for item in ActivityItem.query("p1") if item.kind == "case_viewed"]
    assert (viewed.detail, viewed.survey_id) == ("Robin Reyes", SURVEY)


def test_one_person_takes_the_case_and_the_second_sees_who(robin):
    assert robin.post(f"/cases/{SURVEY}/claim").status == 303
    assert "You have this case" in robin.get(f"/cases/{SURVEY}?done=claim").text
    second = signed_in(Role.OWNER, user_id="user-2", name="Sam Stone")
    refused = second.post(f"/cases/{SURVEY}/claim")
    assert refused.status == 409
    assert "Robin Reyes has this case." in refused.text
    assert stored().owner_name == "Robin Reyes"


def test_of_two_at_the_same_moment_one_has_it(robin, monkeypatch: pytest.MonkeyPatch):
    written = cases.write

    def slow(case: RecoveryCase, seen: RecoveryCase) -> bool:
        monkeypatch.setattr(cases, "write", written)
        written(claim(seen, "user-2", "Sam Stone", NOW), seen)
        return written(case, seen)

    monkeypatch.setattr(cases, "write", slow)
    refused = robin.post(f"/cases/{SURVEY}/claim")
    assert refused.status == 409
    assert "Sam Stone has this case." in refused.text
    assert stored().owner == "user-2"


def test_the_owner_of_the_practice_may_take_a_case_from_somebody(robin):
    robin.post(f"/cases/{SURVEY}/claim")
    other = signed_in(Role.CLINIC_ADMIN, "north", user_id="user-3", name="Kim")
    assert other.post(f"/cases/{SURVEY}/hand-back").status == 409
    assert signed_in(Role.OWNER, user_id="user-2").post(f"/cases/{SURVEY}/hand-back").status == 303
    assert stored().state is CaseState.OPEN


def test_a_mail_leaves_in_a_persons_name_and_is_written_down(robin):
    assert send_mail(robin).status == 303
    (mail,) = robin.mailer.sent
    assert mail.to == ("ada@example.com",)
    assert mail.sender == '"Robin Reyes, Riverside Physical Therapy" <care@riverside.example.com>'
    assert mail.reply_to == "robin@example.com"
    key = address_key(hash_key(), "ada@example.com")  # by which its bounce marks the address
    assert mail.tags == {"survey_id": SURVEY, "message_id": f"{SURVEY}-outreach", "recipient": key}
    assert mail.text == MAIL["text"] + "\n"
    assert "&lt;b&gt;May&lt;/b&gt;" in mail.html
    case = stored()
    assert (case.state, case.owner_name, case.outreach[0].note) == (CaseState.REACHED_OUT, "Robin Reyes", MAIL["text"])
    assert "case_write" in {item.kind for item in ActivityItem.query("p1")}


def test_two_clicks_send_one_mail(robin):
    first = version()
    send_mail(robin)
    again = robin.post(f"/cases/{SURVEY}/write", {**first, **MAIL})
    assert again.location.endswith("done=write")
    assert len(robin.mailer.sent) == 1
    assert len(stored().outreach) == 1
    other = robin.post(f"/cases/{SURVEY}/write", {**first, **MAIL, "text": "Another mail"})
    assert other.status == 409
    assert len(robin.mailer.sent) == 1


def test_of_two_clicks_at_the_same_moment_both_are_told_that_the_mail_left(robin, monkeypatch: pytest.MonkeyPatch):
    written, form = cases.write, {**version(), **MAIL}

    def slow(case: RecoveryCase, seen: RecoveryCase) -> bool:
        monkeypatch.setattr(cases, "write", written)
        assert robin.post(f"/cases/{SURVEY}/write", form).status == 303
        return written(case, seen)

    monkeypatch.setattr(cases, "write", slow)
    assert robin.post(f"/cases/{SURVEY}/write", form).location.endswith("done=write")
    assert len(robin.mailer.sent) == 1


def test_a_refused_mail_is_not_written_down_and_what_was_typed_stays(robin):
    def refuse(mail: Mail) -> None:
        raise MailRefused("no")

    robin.mailer = FakeMailer(refuse)
    refused = send_mail(robin, text="My own words")
    assert refused.status == 400
    assert "The mail was not sent." in refused.text
    assert "My own words" in refused.body
    assert stored().outreach == ()
    robin.mailer = FakeMailer()
    assert send_mail(robin).status == 303


def test_a_mail_of_which_nobody_knows_is_never_written_twice(robin):
    def lose(mail: Mail) -> None:
        raise MailOutcomeUnknown("timeout")

    robin.mailer = FakeMailer(lose)
    told = send_mail(robin)
    assert "We do not know whether the mail left" in told.text
    assert len(stored().outreach) == 1
    robin.mailer = FakeMailer()
    assert send_mail(robin).status == 400  # an earlier attempt waits for its reply
    assert robin.mailer.sent == []


@pytest.mark.parametrize(
    ("patient", "address", "words"),
    [
        ({"email": ""}, {}, "no email address"),
        ({"deceased": True}, {}, "has died"),
        ({}, {"complained": True}, "as spam"),
        ({}, {"bounced": True}, "came back"),
    ],
)
def test_whoever_cannot_be_written_to_is_to_be_called(robin, patient, address, words):
    add_patient(**patient)
    if address:
        AddressItem(address_key(hash_key(), "Ada@Example.com"), **address).save()
    assert words in robin.get(f"/cases/{SURVEY}").text
    assert send_mail(robin).status == 400
    assert robin.mailer.sent == []
    assert called(robin).status == 303


def test_a_patient_who_did_not_reply_is_not_chased_without_a_reason(robin):
    send_mail(robin)
    page = robin.get(f"/cases/{SURVEY}")
    assert "Better not write again" in page.text
    refused = send_mail(robin)
    assert refused.status == 400
    assert "Please say why you reach out again" in refused.text
    assert (
        robin.post(f"/cases/{SURVEY}/call", {**version(), "channel": "telephone", "result": "voicemail"}).status == 400
    )
    assert send_mail(robin, despite="She asked me to.").status == 303
    assert stored().outreach[-1].despite == "She asked me to."


def test_the_warning_reaches_over_to_the_patients_other_cases(robin):
    send_mail(robin)
    other = survey_id(2)
    answer(sent(other, visit_id="v2", touchpoint="discharge"), 2)
    cases.create(a_case(other))
    assert "Better not write again" in robin.get(f"/cases/{other}").text


def test_after_a_reply_or_a_talk_one_may_go_on(robin):
    send_mail(robin)
    robin.post(f"/cases/{SURVEY}/reply")
    assert stored().replied_at == NOW
    assert "Better not write again" not in robin.get(f"/cases/{SURVEY}").text
    assert (
        robin.post(
            f"/cases/{SURVEY}/call", {**version(), "channel": "in_person", "result": "spoke", "note": "All well."}
        ).status
        == 303
    )
    assert stored().outreach[-1].result is Result.SPOKE
    assert stored().outreach[-1].note == "All well."


def test_a_case_closes_with_an_outcome_and_a_reason(robin):
    for form in ({}, {"outcome": "resolved"}, {"outcome": "won", "reason": "other"}):
        assert robin.post(f"/cases/{SURVEY}/close", {**version(), **form}).status == 400
    robin.post(
        f"/cases/{SURVEY}/close", {**version(), "outcome": "resolved", "reason": "waiting", "closing_note": "Called."}
    )
    case = stored()
    assert (case.outcome, case.reason, case.closing_note) == (Outcome.RESOLVED, "waiting", "Called.")
    assert "Put right" in robin.get(f"/cases/{SURVEY}").text
    robin.post(f"/cases/{SURVEY}/reopen")
    assert stored().state is CaseState.OPEN
    assert stored().deadline > NOW


def test_a_case_that_somebody_changed_meanwhile_is_not_closed_over_them(robin):
    seen = version()
    robin.post(f"/cases/{SURVEY}/claim")
    answered = robin.post(f"/cases/{SURVEY}/close", {**seen, "outcome": "resolved", "reason": "other"})
    assert answered.status == 409
    assert "Somebody else changed this case" in answered.text
    assert not stored().is_closed


def test_a_case_can_be_opened_for_any_answer(robin):
    happy = survey_id(3)
    answer(sent(happy, visit_id="v3"), 10, "Great, but I fell.")
    assert "Open a case" in robin.get(f"/cases/{happy}").text
    robin.post(f"/cases/{happy}/open")
    assert stored(happy).state is CaseState.OPEN
    unanswered = sent(survey_id(4), visit_id="v4")
    assert robin.post(f"/cases/{unanswered}/open").status == 409


def test_another_clinics_case_does_not_exist(robin):
    elsewhere = signed_in(Role.CLINIC_ADMIN, "south")
    assert "Ada Okafor" not in elsewhere.get("/cases").body
    assert elsewhere.get(f"/cases/{SURVEY}").status == 404
    assert elsewhere.post(f"/cases/{SURVEY}/claim").status == 404
    assert elsewhere.get(f"/cases/{survey_id(9)}").status == 404
    therapist = signed_in(Role.THERAPIST, therapist_id="t1")
    assert therapist.get(f"/cases/{SURVEY}").status == 404
    assert therapist.get("/cases").status == 404
    assert stored().owner == ""


def test_unknown_steps_and_other_methods_are_no_pages(robin):
    assert robin.post(f"/cases/{SURVEY}/delete").status == 404
    assert robin.get(f"/cases/{SURVEY}/claim").status == 404
    assert {item.state for item in CaseItem.scan()} == {"open"}


@pytest.mark.parametrize(
    ("step", "form", "limit"),
    [
        ("call", {"note": "x" * 4001}, "4,000 characters"),
        ("call", {"despite": "x" * 501}, "500 characters"),
        ("write", {**MAIL, "text": "x" * 4001}, "4,000"),
        ("write", {**MAIL, "subject": "x" * 201}, "200 characters"),
    ],
)
def test_too_long_a_text_is_refused_with_the_limit(robin, step, form, limit):
    said = {**version(), "channel": "telephone", "result": "spoke", **form}
    answered = robin.post(f"/cases/{SURVEY}/{step}", said)
    assert answered.status == 400
    assert limit in answered.text
    assert robin.mailer.sent == []


def test_a_full_case_fits_its_item(robin):
    attempt = Outreach(NOW, "u1", "Robin Reyes", Channel.TELEPHONE, Result.SPOKE, "😀" * MAX_NOTE, "😀" * MAX_REASON)
    full = replace(stored(), outreach=(attempt,) * MAX_OUTREACH, closing_note="😀" * MAX_NOTE, version=2)
    assert cases.write(full, stored())
    assert stored() == full


@pytest.mark.parametrize("form", [{"channel": "email", "result": "spoke"}, {"channel": "telephone", "result": "wrote"}])
def test_a_mail_that_nobody_sent_cannot_be_written_down(robin, form):
    assert robin.post(f"/cases/{SURVEY}/call", {**version(), **form}).status == 400
    assert stored().outreach == ()


def test_a_case_that_somebody_else_has_is_closed_by_them_or_an_owner(robin):
    robin.post(f"/cases/{SURVEY}/claim")
    form = {**version(), "outcome": "resolved", "reason": "other"}
    other = signed_in(Role.CLINIC_ADMIN, "north", user_id="user-3", name="Kim")
    refused = other.post(f"/cases/{SURVEY}/close", form)
    assert refused.status == 409
    assert "Robin Reyes has this case." in refused.text
    assert signed_in(Role.OWNER, user_id="user-2").post(f"/cases/{SURVEY}/close", form).status == 303


def test_what_patients_write_is_shown_as_words(robin):
    survey = surveys.get(SURVEY)
    assert survey
    answer(SURVEY, 2, "<script>alert(1)</script>")
    for address in ("/cases", f"/cases/{SURVEY}"):
        body = robin.get(address).body
        assert "<script>alert" not in body
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body

"""alert_staff: every detractor alerts the staff, whatever the stream and the mail do."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from functions.alerts.alert_staff.handler import handler
from shared.domain.settings import ClinicSettings
from shared.mail.mailer import Mail, MailOutcomeUnknown, SendingStopped
from shared.observability import HandlerFailed
from shared.storage import reactions, settings, surveys
from shared.storage.models import ActivityItem, CaseItem, SurveyItem
from tests.fakes import FakeMailer
from tests.handlers.answering import ANSWERED_AT, add_patient, answer, sent, stored, survey_id
from tests.stream_driver import StreamDriver

pytestmark = pytest.mark.usefixtures("aws")
ADMIN = "admin@riverside.example.com"
SWEEP = {"time": "2026-03-04T15:00:00Z"}
OWED = ("alert", "alert review")


@pytest.fixture
def stream(mailer: FakeMailer) -> StreamDriver:
    return StreamDriver(lambda event: handler(event, None, mailer=mailer), OWED)


def answered(stream: StreamDriver, survey: str, score: int, comment: str = "", minutes: int = 0) -> None:
    answer(survey, score, comment, ANSWERED_AT + timedelta(minutes=minutes))
    stream.capture(survey)


def entries(kind: str) -> list[tuple[Any, ...]]:
    return [(item.version, item.score) for item in ActivityItem.query("p1") if item.kind == kind]


def refuse(error: Exception) -> Callable[[Mail], None]:
    def fail(mail: Mail) -> None:
        raise error

    return fail


@pytest.mark.parametrize("score", range(11))
def test_detractors_alert_and_nobody_else(stream: StreamDriver, mailer: FakeMailer, score: int) -> None:
    answered(stream, sent(), score)
    stream.deliver()
    assert len(mailer.to(ADMIN)) == (1 if score <= 6 else 0)


def test_an_alert_settles_the_reaction_and_leaves_a_trace_without_the_comment(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    survey = sent()
    answered(stream, survey, 3, "The parking lot is terrible")
    stream.deliver()
    assert stored(survey).pending_reaction == ""
    assert entries("alert") == [(1, 3)]
    assert entries("answered") == [(1, 3)]
    assert "parking" not in json.dumps([item.attribute_values for item in ActivityItem.scan()], default=str)


def test_a_batch_delivered_again_alerts_once_a_version(stream: StreamDriver, mailer: FakeMailer) -> None:
    survey = sent()
    for _ in range(3):
        answered(stream, survey, 3)
        stream.deliver()
        stream.capture(survey)
        stream.deliver()
    event = {"Records": [{"dynamodb": {"Keys": {"survey_id": {"S": survey}}, "SequenceNumber": "1"}}]}
    for _ in range(3):
        assert handler(event, None, mailer=mailer) == {"batchItemFailures": []}
    assert len(mailer.sent) == 1


def test_a_changed_comment_alerts_again_and_a_changed_score_does_not(stream: StreamDriver, mailer: FakeMailer) -> None:
    survey = sent()
    given = [(3, ""), (5, ""), (5, "Too long a wait"), (2, "Too long a wait"), (1, "")]
    for minute, (score, comment) in enumerate(given):
        answered(stream, survey, score, comment, minute)
        stream.deliver()
    assert entries("alert") == [(1, 3), (3, 5)]
    assert stored(survey).pending_reaction == ""


def test_a_detractor_who_was_happy_in_between_alerts_again(stream: StreamDriver, mailer: FakeMailer) -> None:
    survey = sent()
    for minute, score in enumerate([3, 9, 3]):
        answered(stream, survey, score, "", minute)
        stream.deliver()
    assert entries("alert") == [(1, 3), (3, 3)]
    assert entries("answer_changed") == [(2, 9)]


def test_an_answer_taken_back_before_the_stream_was_read_alerts_all_the_same(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    survey = sent()
    answered(stream, survey, 3, "")
    answered(stream, survey, 9, "", 1)
    stream.deliver()
    assert len(mailer.to(ADMIN)) == 1
    assert "changed" in mailer.sent[0].text
    assert "Detractor" in mailer.sent[0].subject
    assert entries("alert") == [(1, 3)]
    assert entries("answer_changed") == [(2, 9)]
    assert stored(survey).pending_reaction == "review"


def test_the_review_stays_owed_after_the_alert(choose: Any, stream: StreamDriver, mailer: FakeMailer) -> None:
    choose(REVIEW_INVITATIONS="everyone")
    survey = sent()
    answered(stream, survey, 3)
    assert stored(survey).pending_reaction == "alert review"
    stream.deliver()
    assert stored(survey).pending_reaction == "review"


def test_passives_alert_at_once_if_the_practice_wants_it(choose: Any, stream: StreamDriver, mailer: FakeMailer) -> None:
    choose(PASSIVE_ALERTS="immediate")
    survey = sent()
    answered(stream, survey, 8)
    stream.deliver()
    assert [mail.subject.partition(" ")[0] for mail in mailer.sent] == ["Passive"]
    assert stored(survey).pending_reaction == ""


def test_a_passive_owed_an_alert_goes_to_the_digest_when_the_practice_changes_its_mind(
    choose: Any, mailer: FakeMailer
) -> None:
    choose(PASSIVE_ALERTS="immediate")
    survey = sent()
    answer(survey, 8)
    choose(PASSIVE_ALERTS="digest")
    handler(SWEEP, None, mailer=mailer)
    assert mailer.sent == []
    assert stored(survey).pending_reaction == "digest"


def test_the_clinics_admins_are_told_and_the_person_is_named_only_on_request(
    choose: Any, stream: StreamDriver, mailer: FakeMailer
) -> None:
    settings.put_clinic(ClinicSettings("north", name="North Clinic", admins=("n@example.com", "m@example.com")))
    add_patient()
    answered(stream, sent(), 3, "Cold hands")
    stream.deliver()
    choose(ALERT_DETAIL="full")
    answered(stream, sent(survey_id(1)), 4, "Cold feet")
    stream.deliver()
    assert [mail.to for mail in mailer.sent] == 2 * [("n@example.com",), ("m@example.com",)]
    minimal, full = mailer.to("m@example.com")
    assert "North Clinic" in minimal.text
    assert not [word for word in ("Okafor", "Cold", "ada@example.com") if word in minimal.text + minimal.html]
    assert not [word for word in ("Okafor", "Cold feet", "ada@example.com", "10:00 EST") if word not in full.text]


def test_a_poison_record_ends_in_the_queue_while_the_others_alert_and_the_sweep_finds_it(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    poison, *good = [sent(survey_id(number), patient_id=f"p{number}") for number in range(5)]
    for survey in (good[0], good[1], poison, good[2], good[3]):
        answered(stream, survey, 2)
    SurveyItem(poison).update([SurveyItem.language.set("??")])
    stream.deliver()
    assert len(mailer.sent) == 4
    assert len(stream.on_failure) == 1
    assert all(stored(survey).pending_reaction == "" for survey in good)
    SurveyItem(poison).update([SurveyItem.language.set("en")])
    assert handler(SWEEP, None, mailer=mailer) == {"surveys": 1}
    assert len(mailer.sent) == 5
    assert handler(SWEEP, None, mailer=mailer) == {"surveys": 0}


@pytest.mark.parametrize("error", [SendingStopped("paused"), MailOutcomeUnknown("timeout"), RuntimeError("?")])
def test_every_record_fails_then_recovers(stream: StreamDriver, mailer: FakeMailer, error: Exception) -> None:
    calls = []

    def fail_at_first(mail: Mail) -> None:
        calls.append(mail)
        if len(calls) <= 15:
            raise error

    mailer.fails = fail_at_first
    for number in range(5):
        answered(stream, sent(survey_id(number)), 2)
    stream.deliver()
    assert len(mailer.sent) == 5
    assert stream.on_failure == []


def test_a_consumer_that_was_down_for_days_is_caught_up_by_the_sweep(mailer: FakeMailer) -> None:
    for number in range(3):
        answer(sent(survey_id(number)), 6)
    answer(sent(survey_id(9)), 0, at=ANSWERED_AT + timedelta(days=2))
    assert handler(SWEEP, None, mailer=mailer) == {"surveys": 3}
    assert len(mailer.sent) == 3


def test_a_sweep_goes_on_past_a_survey_that_fails_and_says_so_at_the_end(mailer: FakeMailer) -> None:
    for number in range(3):
        answer(sent(survey_id(number)), 6)
    SurveyItem(survey_id(1)).update([SurveyItem.language.set("??")])
    with pytest.raises(HandlerFailed, match="ReactionsFailed"):
        handler(SWEEP, None, mailer=mailer)
    assert len(mailer.sent) == 2
    assert list(surveys.owed("alert", ANSWERED_AT)) == [survey_id(1)]


def test_refused_staff_mail_is_counted_and_stays_owed(
    stream: StreamDriver, mailer: FakeMailer, capsys: pytest.CaptureFixture[str]
) -> None:
    survey = sent()
    mailer.fails = refuse(SendingStopped("paused"))
    answered(stream, survey, 1)
    stream.deliver()
    assert "AlertsNotSent" in capsys.readouterr().out
    assert len(stream.on_failure) == 1
    assert stored(survey).pending_reaction == "alert"


def test_nobody_to_tell_is_a_failure_not_a_silence(
    choose: Any, mailer: FakeMailer, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(ADMIN_ADDRESSES="")
    survey = sent()
    answer(survey, 1)
    with pytest.raises(HandlerFailed):
        handler(SWEEP, None, mailer=mailer)
    assert "AlertsNotSent" in capsys.readouterr().out
    assert stored(survey).pending_reaction == "alert"


def test_a_crash_between_mail_and_note_alerts_twice_rather_than_never(
    mailer: FakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(sent(), 1)
    with monkeypatch.context() as crash:
        crash.setattr(reactions, "note_told", refuse_note)
        with pytest.raises(HandlerFailed):
            handler(SWEEP, None, mailer=mailer)
    handler(SWEEP, None, mailer=mailer)
    assert len(mailer.sent) == 2


def refuse_note(*_: object) -> None:
    raise ConnectionError


def test_an_answer_that_changes_while_the_alert_goes_out_keeps_its_own_reaction(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    survey = sent()

    def change_meanwhile(mail: Mail) -> None:
        mailer.fails = None
        answered(stream, survey, 9, "", 1)

    mailer.fails = change_meanwhile
    answered(stream, survey, 2)
    stream.deliver()
    assert stored(survey).pending_reaction == "review"
    assert entries("alert") == [(1, 2)]


def test_logs_hold_ids_only(
    stream: StreamDriver, mailer: FakeMailer, choose: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    choose(ALERT_DETAIL="full")
    add_patient(first_name="Canary", last_name="Zzyzx", email="canary@example.com")
    answered(stream, sent(), 1, "Canary comment")
    answered(stream, sent(survey_id(1)), 1, "Canary comment")
    mailer.fails = lambda mail: refuse(RuntimeError(mail.text))(mail) if mailer.sent else None
    stream.deliver()
    told = capsys.readouterr().out
    assert "staff_alerted" in told
    assert "reaction_failed" in told
    assert not [word for word in ("Canary", "Zzyzx", "canary@") if word in told]


@pytest.mark.parametrize("event", [{}, {"time": "<aws.scheduler.scheduled-time>"}, {"time": "2026-03-04"}])
def test_a_sweep_without_a_real_time_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(HandlerFailed, match="ValueError"):
        handler(event, None, mailer=FakeMailer())


def test_each_detractor_opens_one_case_however_often_the_alert_repeats(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    survey = sent(survey_id(1))
    answered(stream, survey, 3)
    stream.deliver()
    answered(stream, survey, 2, "worse", minutes=5)
    stream.deliver()
    (item,) = CaseItem.scan()
    assert (item.survey_id, item.category, item.state) == (survey, "detractor", "open")
    assert item.deadline == ANSWERED_AT + timedelta(hours=8)  # the end of that business day
    assert f"https://staff.example.com/cases/{survey}" in mailer.sent[0].text


def test_a_passive_opens_a_case_only_if_the_practice_chooses_so(
    choose: Any, stream: StreamDriver, mailer: FakeMailer
) -> None:
    choose(PASSIVE_ALERTS="immediate")
    answered(stream, sent(survey_id(1)), 7)
    stream.deliver()
    assert list(CaseItem.scan()) == []
    choose(PASSIVE_ALERTS="immediate", CASES_FOR_PASSIVES="true")
    answered(stream, sent(survey_id(2)), 7)
    stream.deliver()
    assert [item.survey_id for item in CaseItem.scan()] == [survey_id(2)]


def test_a_promoter_whose_words_may_concern_safety_alerts_and_the_review_stays_owed(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    answered(stream, sent(), 10, "Great, but I fell off the table")
    stream.deliver()
    (mail,) = mailer.to(ADMIN)
    assert mail.subject == "May concern safety at Riverside Physical Therapy: a clinical lead should read this"
    assert "fell" not in mail.text + mail.html
    assert stored("a" * 26).pending_reaction == "review"
    case = CaseItem.get("a" * 26)
    assert (case.category, case.safety) == ("promoter", True)


def test_the_clinical_leads_hear_of_words_that_may_concern_safety_and_of_nothing_else(
    stream: StreamDriver, mailer: FakeMailer, choose: Callable[..., None]
) -> None:
    choose(CLINICAL_LEADS="lead@riverside.example.com")
    answered(stream, sent(survey_id(1)), 2, "Rude")
    answered(stream, sent(survey_id(2)), 10, "I slipped on the wet floor")
    stream.deliver()
    assert len(mailer.to("lead@riverside.example.com")) == 1
    assert len(mailer.to(ADMIN)) == 2


def test_a_passive_whose_words_may_concern_safety_is_told_at_once_and_not_again(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    answered(stream, sent(), 8, "I fell")
    stream.deliver()
    assert len(mailer.to(ADMIN)) == 1
    assert stored("a" * 26).pending_reaction == ""


def test_a_low_score_that_may_concern_safety_makes_one_mail_about_both(
    stream: StreamDriver, mailer: FakeMailer
) -> None:
    answered(stream, sent(), 2, "He hurt me")
    stream.deliver()
    (mail,) = mailer.to(ADMIN)
    assert mail.subject.startswith("May concern safety")
    assert "Detractor (0–6)" in mail.text

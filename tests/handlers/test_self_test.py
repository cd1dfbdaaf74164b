"""self_test: it passes only if a survey was mailed, answered, alerted of and counted, and then nothing is left."""

import itertools
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.self_test.browser import Page
from functions.self_test.promises import PromiseBroken
from functions.self_test.steps import COMMENT
from functions.track_delivery.handler import handler as track_delivery
from shared.domain.message import MessageKind, MessageState
from shared.domain.self_test import CLINIC, EMAIL, PATIENT_ID, SCOPE, SURVEY_ID
from shared.domain.sending_health import Fates, StopReason
from shared.domain.staff import Role, Staff
from shared.mail.mailer import MailRefused
from shared.observability import HandlerFailed
from shared.storage import cases, messages, patients, sending_health, surveys
from tests.builders import a_message, a_patient, a_survey
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.exports import Killed, at_writes, dying_at
from tests.handlers.night import BEGUN, Night, left
from tests.hostile.practice import tables
from tests.ses_events import an_event

pytestmark = pytest.mark.usefixtures("aws")
OWNER = Staff("user-1", "Olive Owens", "owner@riverside.example.com", Role.OWNER)
NOW = BEGUN + timedelta(minutes=10)
ADMIN = "admin@riverside.example.com"
DONE = {"not_tried": ""}
CANARYS = {"Patients", "Surveys", "Messages", "Activity", "Addresses", "Cases"}  # and a scope of Scores

Printed = pytest.CaptureFixture[str]


def has_passed(capsys: Printed) -> bool:
    """Whether the metric was counted, and counted once."""
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    passed = [line["SelfTestPassed"] for line in told if "SelfTestPassed" in line]
    assert passed in ([], [1])
    return bool(passed)


def fails(step: Callable[[], object], promise: str, capsys: Printed) -> None:
    with pytest.raises(HandlerFailed, match=f"^{promise} at "):
        step()
    told = capsys.readouterr().out
    assert f'"reason":"{promise}"' in told
    assert "SelfTestPassed" not in told
    assert promise in {each.__name__ for each in PromiseBroken.__subclasses__()}


def test_a_night_in_which_everything_works_passes_and_leaves_nothing(capsys: Printed) -> None:
    night = Night()
    for stage in night.stages:
        assert not has_passed(capsys)
        result = stage()
    assert result == {"step": "check", **DONE}
    assert has_passed(capsys)
    assert left() == []
    assert [mail.to for mail in night.mailer.sent] == [(EMAIL,), CLINIC.admins]


def test_no_mail_of_it_goes_to_anybody_but_the_simulator_whatever_the_practice_chose(choose: Any) -> None:
    choose(ALERT_DETAIL="full", REVIEW_INVITATIONS="everyone", REVIEW_DELAY_HOURS="0", CASES_FOR_PASSIVES="true")
    night = Night()
    night.through()
    Night(BEGUN + timedelta(days=1), night.mailer).through()
    assert {to.partition("@")[2] for mail in night.mailer.sent for to in mail.to} == {"simulator.amazonses.com"}
    assert night.mailer.to(ADMIN) == []


def test_every_step_can_be_taken_twice(capsys: Printed) -> None:
    night = Night()
    for stage in night.stages:
        stage()
        if stage == night.check:
            assert has_passed(capsys)
            assert night.check()["not_tried"] == "not_begun"
            assert not has_passed(capsys)
        elif stage == night.answer:
            assert night.answer() == {"step": "answer", **DONE}
            found = surveys.get(SURVEY_ID)
            assert found
            assert found.version == 1
        elif stage == night.begin:
            assert night.begin() == {"step": "begin", **DONE}
    assert left() == []


def test_each_night_passes_anew() -> None:
    for day in range(3):
        assert Night(BEGUN + timedelta(days=day)).through() == {"step": "check", **DONE}


def test_a_survey_that_was_not_sent_fails(capsys: Printed) -> None:
    night = Night()
    night.begin()
    fails(night.answer, "SurveyNotSent", capsys)
    fails(night.check, "AnswerNotRecorded", capsys)


def test_a_mail_that_ses_refuses_fails(capsys: Printed) -> None:
    def refuse(mail: object) -> None:
        raise MailRefused

    night = Night(mailer=FakeMailer(refuse))
    night.begin()
    night.send()
    stored = messages.get(f"{SURVEY_ID}-survey")
    assert stored
    assert stored.state is MessageState.FAILED
    fails(night.answer, "SurveyNotSent", capsys)


@pytest.mark.parametrize(
    ("shown", "thanked", "promise"),
    [
        (Page(500, "error"), None, "PageNotShown"),
        (Page(0, ""), None, "PageNotShown"),
        (Page(200, "<h1>Parked</h1>"), None, "PageNotShown"),
        (None, Page(503, "busy"), "AnswerNotAccepted"),
        (None, Page(200, 'name="score"'), "AnswerNotAccepted"),
        (None, Page(200, "thanks"), "AnswerNotRecorded"),
    ],
)
def test_a_public_address_that_does_not_do_its_part_fails(
    shown: Page | None, thanked: Page | None, promise: str, capsys: Printed
) -> None:
    night = Night()
    night.begin()
    night.send()

    def ask(url: str, form: dict[str, str] | None = None) -> Page:
        return (thanked if form else shown) or night.open(url, form)

    fails(lambda: night.answer(ask), promise, capsys)
    fails(night.check, "AnswerNotRecorded", capsys)


def test_an_answer_whose_words_arrive_changed_fails(capsys: Printed) -> None:
    night = Night()
    night.begin()
    night.send()

    def ask(url: str, form: dict[str, str] | None = None) -> Page:
        return night.open(url, form and {**form, "comment": COMMENT.encode().decode("latin-1")})

    fails(lambda: night.answer(ask), "AnswerNotRecorded", capsys)


@pytest.mark.parametrize(
    ("missing", "promise"), [("alert", "StaffNotAlerted"), ("count", "AnswerNotCounted"), ("answer", "AnswerNotRec")]
)
def test_what_did_not_follow_fails(missing: str, promise: str, capsys: Printed) -> None:
    night = Night()
    *stages, check = night.stages
    for stage in stages:
        if stage != getattr(night, missing):
            stage()
    with pytest.raises(HandlerFailed, match=f"^{promise}"):
        check()
    assert not has_passed(capsys)
    assert left()


def test_a_case_that_was_not_opened_fails(capsys: Printed) -> None:
    night = Night()
    *stages, check = night.stages
    for stage in stages:
        stage()
    boto3.client("dynamodb").delete_item(TableName="Cases", Key={"survey_id": {"S": SURVEY_ID}})
    assert cases.get(SURVEY_ID) is None
    fails(check, "CaseNotOpened", capsys)


def test_an_answer_that_is_counted_twice_fails(capsys: Printed) -> None:
    night = Night()
    *stages, check = night.stages
    for stage in stages:
        stage()
    boto3.client("dynamodb").update_item(
        TableName="Scores",
        Key={"scope": {"S": SCOPE}, "day": {"S": "2026-03-05"}},
        UpdateExpression="ADD s2 :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )
    fails(check, "AnswerNotCounted", capsys)


def test_while_somebody_has_switched_sending_off_nothing_is_tried_and_nothing_fails(capsys: Printed) -> None:
    sending_health.pause(OWNER, BEGUN)
    night = Night()
    assert night.begin() == {"step": "begin", "not_tried": "sending_is_switched_off"}
    assert left() == []
    night.send()
    assert night.answer()["not_tried"] == night.check()["not_tried"] == "not_begun"
    assert not has_passed(capsys)
    assert night.mailer.sent == []


def test_the_stacks_switch_counts_as_well(choose: Any) -> None:
    choose(SENDING_PAUSED="true")
    assert Night().begin()["not_tried"] == "sending_is_switched_off"


def test_where_sending_has_stopped_itself_or_the_days_most_is_reached_it_says_so(choose: Any) -> None:
    assert sending_health.stop(StopReason.BOUNCES, Fates(500, 10), None, BEGUN)
    assert Night().begin()["not_tried"] == "sending_stopped_itself"
    boto3.client("dynamodb").delete_item(TableName="Settings", Key={"scope": {"S": "mail#state"}})
    choose(MAX_SENDS_PER_DAY="20")
    sending_health.count(BEGUN, sent=20)
    assert Night().begin()["not_tried"] == "daily_cap_reached"
    assert left() == []


def test_whoever_switches_sending_off_in_between_sees_no_failure(capsys: Printed) -> None:
    night = Night()
    night.begin()
    sending_health.pause(OWNER, BEGUN)
    night.send()
    assert night.answer()["not_tried"] == "sending_is_switched_off"
    assert not has_passed(capsys)


def test_what_a_failed_night_left_is_not_taken_for_the_next_nights(capsys: Printed) -> None:
    failed = Night()
    for stage in (failed.begin, failed.send, failed.answer, failed.alert, failed.count):
        stage()
    tomorrow = Night(BEGUN + timedelta(days=1))
    assert tomorrow.answer()["not_tried"] == tomorrow.check()["not_tried"] == "not_begun"
    assert not has_passed(capsys)
    assert tomorrow.through() == {"step": "check", **DONE}
    assert left() == []


def killed_at(write: int, step: Callable[[], object], capsys: Printed) -> bool:
    """Take the step and die before its n-th write; False if it has fewer."""
    try:
        with at_writes(dying_at(write, "before")):
            step()
    except Killed:
        assert not has_passed(capsys)
        return True
    return False


def test_a_night_begins_as_if_none_had_been_before_wherever_beginning_was_killed(capsys: Printed) -> None:
    Night().begin()
    fresh = tables()
    earlier = Night(BEGUN - timedelta(days=1))
    for stage in (earlier.begin, earlier.send, earlier.answer, earlier.alert, earlier.count):
        stage()
    assert tables() != fresh
    deaths = itertools.takewhile(lambda write: killed_at(write, Night().begin, capsys), itertools.count(1))
    assert len(list(deaths)) >= 10
    assert {name: rows for name, rows in tables().items() if name in CANARYS} == {
        name: rows for name, rows in fresh.items() if name in CANARYS
    }


@pytest.mark.parametrize("write", [1, 4, 5, 8, 9])
def test_a_check_that_was_killed_while_it_cleared_has_not_passed_and_the_next_night_does(
    write: int, capsys: Printed
) -> None:
    night = Night()
    *stages, check = night.stages
    for stage in stages:
        stage()
    assert killed_at(write, check, capsys)
    assert Night(BEGUN + timedelta(days=1)).through() == {"step": "check", **DONE}
    assert left() == []


def test_an_answer_that_was_killed_is_given_by_the_next_attempt(capsys: Printed) -> None:
    night = Night()
    night.begin()
    night.send()
    deaths = itertools.takewhile(lambda write: killed_at(write, night.answer, capsys), itertools.count(1))
    assert len(list(deaths)) == 2
    night.alert()
    night.count()
    assert night.check() == {"step": "check", **DONE}


def test_its_mail_is_none_of_the_days_mails(choose: Any) -> None:
    choose(SEND_FROM="00:00", SEND_UNTIL="24:00")
    patients.put_record(a_patient(), None)
    occurred_at = BEGUN - timedelta(hours=12)
    surveys.create(a_survey(occurred_at=occurred_at, due_at=occurred_at))
    messages.create(a_message(occurred_at=occurred_at, due_at=occurred_at))
    night = Night()
    night.begin()
    assert night.send()["sent"] == 2
    assert sending_health.sent_on(BEGUN) == 1
    assert sending_health.recent_fates(BEGUN, None) == Fates(sent=1)


@pytest.mark.parametrize("kind", ["Bounce", "Complaint"])
def test_what_becomes_of_its_mail_stops_nobody_elses(kind: str) -> None:
    night = Night()
    night.begin()
    night.send()
    (mail,) = night.mailer.to(EMAIL)
    track_delivery(an_event(kind, dict(mail.tags), NOW, sent_at=NOW), FakeContext(), now=lambda: NOW)
    assert sending_health.recent_fates(NOW, None) == Fates()
    assert Night(BEGUN + timedelta(days=1)).through() == {"step": "check", **DONE}


def test_the_pages_of_the_staff_deny_that_it_exists() -> None:
    assert not OWNER.may_see(CLINIC.clinic_id)


@pytest.mark.parametrize("step", ["", "begun", None])
def test_an_unknown_step_is_an_error(step: Any) -> None:
    with pytest.raises(HandlerFailed, match="ValueError"):
        Night().step(step, BEGUN)


def test_its_ids_are_what_the_tables_hold() -> None:
    night = Night()
    night.begin()
    assert sorted(set(left())) == ["Messages", "Patients", "Surveys"]
    assert messages.get(f"{SURVEY_ID}-{MessageKind.SURVEY}")
    assert patients.get(PATIENT_ID)

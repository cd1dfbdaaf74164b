"""send_digest: the staff hear of each passive once, in the morning of the practice."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.aggregate_scores.handler import handler as count_scores
from functions.alerts.send_digest.handler import handler
from shared.domain.settings import ClinicSettings
from shared.mail.mailer import Mail, SendingStopped
from shared.observability import HandlerFailed
from shared.storage import reactions, settings, surveys
from shared.storage.models import ActivityItem, SurveyItem
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.answering import ANSWERED_AT, add_patient, answer, sent, stored, survey_id

pytestmark = pytest.mark.usefixtures("aws")
WEDNESDAY = "2026-03-04T12:00:00Z"  # seven in the morning in New York
NOTHING = {"clinics": 0, "passives": 0}


def run(mailer: FakeMailer, time: str = WEDNESDAY, request_id: str = "run-1") -> dict[str, int]:
    answer: dict[str, int] = handler({"time": time}, FakeContext(request_id), mailer=mailer)
    return answer


def passive(number: int, clinic: str = "north", **differences: Any) -> str:
    survey = sent(survey_id(number), clinic_id=clinic, **differences)
    answer(survey, 7 + number % 2, f"comment {number}", ANSWERED_AT + timedelta(minutes=number))
    return survey


def test_all_passives_of_the_admins_clinics_come_in_one_mail(mailer: FakeMailer) -> None:
    settings.put_clinic(ClinicSettings("south", name="South", admins=("south@example.com",)))
    settings.put_clinic(ClinicSettings("west", name="West"))
    for number, clinic in enumerate(["north", "south", "west", "north"]):
        passive(number, clinic)
    assert run(mailer) == {"clinics": 3, "passives": 4}
    assert len(mailer.sent) == 2
    (practice_mail,) = mailer.to("admin@riverside.example.com")
    assert practice_mail.subject == "3 passive answers on Tuesday, March 3"
    assert "West: 1" in practice_mail.text
    assert survey_id(1) not in practice_mail.text
    assert survey_id(1) in mailer.to("south@example.com")[0].text


def test_the_mail_tells_yesterdays_figures_of_the_clinic(mailer: FakeMailer) -> None:
    for number, score in enumerate((9, 10, 2), start=5):
        answer(sent(survey_id(number)), score)
    passive(1)
    count_scores({"time": WEDNESDAY}, FakeContext())
    run(mailer)
    assert "Yesterday: 2 promoters, 1 passive, 1 detractor." in mailer.sent[0].text


def test_each_passive_is_told_once_and_leaves_a_trace(mailer: FakeMailer) -> None:
    survey = passive(1)
    run(mailer)
    assert stored(survey).pending_reaction == ""
    assert sorted(item.kind for item in ActivityItem.query("p1")) == ["answered", "digest"]
    assert run(mailer, "2026-03-05T12:00:00Z") == NOTHING
    assert len(mailer.sent) == 1


def test_promoters_and_detractors_are_not_in_the_digest(mailer: FakeMailer) -> None:
    for score in (0, 6, 9, 10):
        answer(sent(survey_id(score)), score)
    assert run(mailer) == NOTHING
    assert mailer.sent == []


@pytest.mark.parametrize(
    ("time", "zone", "runs"),
    [
        ("2026-03-04T11:59:59Z", "America/New_York", False),
        ("2026-03-04T12:00:00Z", "America/New_York", True),
        ("2026-03-04T19:00:00Z", "America/New_York", True),
        ("2026-03-05T04:59:59Z", "America/New_York", True),
        ("2026-03-05T05:00:00Z", "America/New_York", False),
        ("2026-03-04T12:00:00Z", "America/Los_Angeles", False),
        ("2026-03-03T21:00:00Z", "Pacific/Kiritimati", True),
        ("2026-03-09T11:00:00Z", "America/New_York", True),  # the day after the clocks went forward
    ],
)
def test_it_runs_from_seven_in_the_morning_at_the_practice(
    mailer: FakeMailer, choose: Any, time: str, zone: str, runs: bool
) -> None:
    choose(PRACTICE_TIME_ZONE=zone)
    passive(1)
    assert (run(mailer, time) != NOTHING) == runs


def test_a_second_run_on_the_same_day_waits_for_the_next(mailer: FakeMailer) -> None:
    passive(1)
    run(mailer)
    late = passive(2)
    assert run(mailer, "2026-03-04T13:00:00Z") == NOTHING
    assert stored(late).pending_reaction == "digest"
    assert run(mailer, "2026-03-05T12:00:00Z") == {"clinics": 1, "passives": 1}


def test_answers_given_after_the_runs_moment_wait(mailer: FakeMailer) -> None:
    survey = sent()
    answer(survey, 7, "", datetime(2026, 3, 4, 12, 0, 1, tzinfo=UTC))
    assert run(mailer) == NOTHING


def test_two_runs_at_once_send_one_digest(mailer: FakeMailer) -> None:
    passive(1)

    def run_again(mail: Mail) -> None:
        mailer.fails = None
        assert run(mailer, request_id="run-2") == NOTHING

    mailer.fails = run_again
    assert run(mailer) == {"clinics": 1, "passives": 1}
    assert len(mailer.sent) == 1


def test_a_clinic_whose_mail_fails_stops_no_other_and_is_tried_again(
    mailer: FakeMailer, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.put_clinic(ClinicSettings("south", name="South", admins=("south@example.com",)))
    passive(1, "south")
    passive(2, "north")

    def refuse_south(mail: Mail) -> None:
        if "south@example.com" in mail.to:
            raise SendingStopped("refused")

    mailer.fails = refuse_south
    with pytest.raises(HandlerFailed, match="ReactionsFailed"):
        run(mailer)
    assert "AlertsNotSent" in capsys.readouterr().out
    mailer.fails = None
    assert run(mailer, "2026-03-04T13:00:00Z") == {"clinics": 1, "passives": 1}
    assert [mail.to for mail in mailer.sent] == [("admin@riverside.example.com",), ("south@example.com",)]


def test_a_crash_after_the_mail_repeats_only_what_was_not_noted(
    mailer: FakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, untold = passive(1), passive(2)

    def crash(*_: object) -> bool:
        raise ConnectionError

    with monkeypatch.context() as broken:
        broken.setattr(surveys, "settle_reaction", crash)
        with pytest.raises(HandlerFailed):
            run(mailer)
    assert run(mailer, "2026-03-04T13:00:00Z") == {"clinics": 1, "passives": 1}
    assert told in mailer.sent[0].text
    assert told not in mailer.sent[1].text
    assert untold in mailer.sent[1].text
    assert stored(told).pending_reaction == stored(untold).pending_reaction == ""


def test_an_answer_that_was_told_by_a_run_that_died_then_still_stands_on_the_patients_list(
    mailer: FakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    survey = passive(1)

    def die(_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(reactions, "note_answers", die)
        with pytest.raises(HandlerFailed):
            run(mailer)
    run(mailer, request_id="run-2")
    assert len(mailer.sent) == 1
    assert stored(survey).pending_reaction == ""
    assert "answered" in {note.kind for note in ActivityItem.query(stored(survey).patient_id)}


def test_a_survey_that_cannot_be_read_keeps_no_other_from_the_digest(mailer: FakeMailer) -> None:
    broken = passive(1)
    passive(2)
    SurveyItem(broken).update([SurveyItem.language.set("??")])
    with pytest.raises(HandlerFailed, match="ReactionsFailed"):
        run(mailer)
    assert len(mailer.sent) == 1


def test_leftovers_are_still_told_when_alerts_have_become_immediate(mailer: FakeMailer, choose: Any) -> None:
    survey = passive(1)
    choose(PASSIVE_ALERTS="immediate")
    run(mailer)
    assert stored(survey).pending_reaction == "alert"


def test_leftovers_are_dropped_when_the_practice_no_longer_wants_them(mailer: FakeMailer, choose: Any) -> None:
    survey = passive(1)
    choose(PASSIVE_ALERTS="off")
    assert run(mailer) == NOTHING
    assert stored(survey).pending_reaction == ""


def test_the_digest_waits_until_the_review_is_requested(mailer: FakeMailer, choose: Any) -> None:
    choose(REVIEW_INVITATIONS="everyone")
    survey = passive(1)
    assert run(mailer) == NOTHING
    assert stored(survey).pending_reaction == "review digest"


def test_a_low_score_that_the_staff_never_heard_of_is_an_alert_first(mailer: FakeMailer) -> None:
    survey = sent()
    answer(survey, 2)
    answer(survey, 8, "", ANSWERED_AT + timedelta(minutes=1))
    assert run(mailer) == NOTHING
    assert stored(survey).pending_reaction == "alert"


def test_persons_are_named_only_if_the_practice_wants_full_detail(mailer: FakeMailer, choose: Any) -> None:
    add_patient()
    passive(1)
    run(mailer)
    choose(ALERT_DETAIL="full")
    passive(2)
    run(mailer, "2026-03-05T12:00:00Z")
    minimal, full = mailer.sent
    assert "Okafor" not in minimal.text + minimal.html
    assert "comment 1" not in minimal.text + minimal.html
    assert "Ada Okafor" in full.text
    assert "comment 2" in full.text


def test_a_run_without_a_real_time_is_refused(mailer: FakeMailer) -> None:
    with pytest.raises(HandlerFailed, match="ValueError"):
        run(mailer, "<aws.scheduler.scheduled-time>")

"""Practices that chose otherwise: other touchpoints, other reactions, other promises."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from local.stack import running
from tests.integration.practice import ADMIN, Practice, at, evaluation, eventually, someone, visit


def a_practice(**parameters: str) -> Iterator[Practice]:
    with running(parameters, iam=True) as stack:
        yield Practice(stack)


@pytest.fixture(scope="module")
def eager() -> Iterator[Practice]:
    """Everything at once, to everybody, with every detail; answers are final."""
    yield from a_practice(
        Touchpoints="days_after_evaluation:30,days_after_discharge:7,lapsed:21,visit:2",
        SurveyDelayHours="0",
        PauseDays="0",
        ReminderAfterDays="0",
        ReviewInvitations="everyone",
        ReviewDelayHours="0",
        PassiveAlerts="immediate",
        AlertDetail="full",
        PromiseContact="false",
        EditWindowDays="0",
        SendFrom="00:00",
        SendUntil="24:00",
        SendDays="Mon-Sun",
    )


@pytest.fixture(scope="module")
def quiet() -> Iterator[Practice]:
    """No reviews, nothing about passives."""
    yield from a_practice(Touchpoints="evaluation", ReviewInvitations="off", PassiveAlerts="off", ReviewLinks="")


class TestTouchpoints:
    def test_thirty_days_after_the_evaluation(self, eager):
        ada = someone()
        visits = [evaluation(ada, at("2026-01-05")), visit(ada, at("2026-02-10"), case_id="other")]
        eager.export([ada], visits[:1])
        eager.send(at("2026-02-04", "12:29"))
        assert eager.messages_of(ada)["survey days_after_evaluation:30"] == "due"
        eager.send(at("2026-02-04", "12:30"))
        assert eager.messages_of(ada)["survey days_after_evaluation:30"] == "sent"

    def test_a_week_after_the_discharge(self, eager):
        ada = someone()
        eager.export([ada], [visit(ada, at("2026-01-05"), "discharge")])
        eager.send(at("2026-01-12", "12:29"))
        assert eager.kinds(ada) == []
        eager.send(at("2026-01-12", "12:30"))
        assert eager.kinds(ada) == ["survey"]

    def test_three_weeks_after_the_last_visit_of_an_open_case(self, eager):
        ada = someone()
        eager.export([ada], [visit(ada, at("2026-01-05"))])
        eager.export([], [visit(ada, at("2026-01-05", "15:00"))])  # moves it on
        eager.send(at("2026-01-26", "15:29"))
        assert eager.kinds(ada) == []
        eager.send(at("2026-01-26", "15:30"))
        assert eager.kinds(ada) == ["survey"]

    def test_who_was_discharged_has_not_lapsed(self, eager):
        ada = someone()
        eager.export([ada], [visit(ada, at("2026-01-05")), visit(ada, at("2026-01-05", "14:00"), "discharge")])
        eager.send(at("2026-01-12", "18:00"))
        eager.send(at("2026-01-26", "18:00"))
        assert eager.kinds(ada) == ["survey"]
        assert "survey lapsed:21" not in eager.messages_of(ada)


def second_visit(practice: Practice, *people):
    """Ask people about their second visit, at once."""
    visits = [visit(person, at(day)) for person in people for day in ("2026-03-02", "2026-03-03")]
    practice.export(people, visits)
    practice.send(at("2026-03-03", "12:30"))
    return [practice.mail(person) for person in people]


class TestReactions:
    def test_everyone_is_asked_for_a_review_if_the_practice_asks_everyone(self, eager):
        people = [someone() for _ in range(3)]
        for score, mail in zip((0, 7, 10), second_visit(eager, *people), strict=True):
            eager.answer(mail, score)
        eager.rest()
        eager.send(datetime.now(UTC) + timedelta(minutes=1))
        assert [eager.kinds(person) for person in people] == [["survey", "review"]] * 3

    def test_a_full_alert_names_the_patient_and_quotes_the_comment_as_words(self, eager):
        person = someone("Xanthippe")
        [mail] = second_visit(eager, person)
        eager.answer(mail, 8, "<script>alert(1)</script> \u202etfel ot thgir")
        eager.rest()
        [alert] = [mail for mail in eager.mails(ADMIN) if "Xanthippe" in mail.text]
        assert alert.subject.startswith("Passive")
        assert person.email in alert.text
        assert "<script>alert(1)</script>" in alert.text
        assert "<script" not in alert.html
        assert "\u202e" not in alert.text + alert.html

    def test_no_contact_is_promised(self, eager):
        [mail] = second_visit(eager, someone())
        thanks = eager.answer(mail, 2)
        assert (thanks.status, thanks.heading) == (200, "Thank you for your answer")
        assert "in touch" not in thanks.text

    def test_an_answer_whose_time_is_over_is_final_and_shown(self, eager):
        [mail] = second_visit(eager, someone())
        eager.answer(mail, 6, "first")
        closed = "Your answer can no longer be changed"
        eventually(lambda: eager.get(mail.score_path(9)).heading == closed, "the edit window closes")
        page = eager.answer(mail, 9, "second")
        assert (page.status, page.heading) == (409, closed)
        assert "You answered 6" in page.text
        survey = eager.survey(mail)
        assert (survey["score"], survey["comment"], survey["version"]) == (6, "first", 1)

    def test_no_reminder_if_the_practice_wants_none(self, eager):
        person = someone()
        second_visit(eager, person)
        eager.send(at("2026-03-10"))
        assert eager.kinds(person) == ["survey"]

    def test_a_practice_may_ask_nobody_for_reviews_and_hear_nothing_of_passives(self, quiet):
        people = [someone() for _ in range(3)]
        mails = quiet.asked(*people)
        for score, mail in zip((5, 8, 10), mails, strict=True):
            assert "Write a review" not in quiet.answer(mail, score).text
        quiet.rest()
        moment = datetime.now(UTC) + timedelta(days=3)
        quiet.send(moment.replace(hour=17))
        quiet.run("SendDigestFunction", moment.replace(hour=17))
        assert [quiet.kinds(person) for person in people] == [["survey"]] * 3
        assert [mail.subject.split()[0] for mail in quiet.mails(ADMIN)] == ["Detractor"]

"""The same thing twice at the same time. The emulator's conditional writes are atomic, as DynamoDB's are."""

from datetime import UTC, datetime
from functools import partial

import pytest

from tests.integration.practice import Mail, Person, Practice, at, at_once, boss, evaluation, someone, table

CROWD = 50


@pytest.fixture(scope="module")
def clinic(practice: Practice) -> str:
    return practice.new_clinic()


@pytest.fixture(scope="module")
def crowd(practice: Practice, clinic: str) -> list[Person]:
    """Many people who are asked by three runs at the same moment."""
    people = [someone(clinic_id=clinic) for _ in range(CROWD)]
    practice.export(people, [evaluation(person, at("2026-03-02")) for person in people])
    at_once(*[lambda: practice.send(at("2026-03-02", "16:00"))] * 3)
    practice.send(at("2026-03-02", "16:00"))  # should a run have met the others' lock
    return people


@pytest.fixture(scope="module")
def mails(practice: Practice, crowd: list[Person]) -> list[Mail]:
    received = {address: mail for mail in practice.mailbox() for address in mail.to}
    return [received[person.email] for person in crowd]


def test_runs_at_the_same_time_mail_everybody_once(practice, crowd):
    assert [practice.kinds(person) for person in crowd] == [["survey"]] * CROWD
    practice.send(at("2026-03-02", "16:00"))
    practice.send(at("2026-03-02", "18:00"))
    assert [practice.kinds(person) for person in crowd] == [["survey"]] * CROWD


def test_many_answers_at_the_same_time_are_all_kept_and_each_detractor_alerts_once(practice, clinic, mails):
    pages = at_once(*(partial(practice.answer, mail, n % 11, f"#{n}") for n, mail in enumerate(mails)))
    assert {page.status for page in pages} == {200}
    surveys = [practice.survey(mail) for mail in mails]
    assert [(survey["score"], survey["comment"], survey["version"]) for survey in surveys] == [
        (n % 11, f"#{n}", 1) for n in range(CROWD)
    ]
    practice.rest()
    alerts = practice.mails(boss(clinic))
    wanted = sorted(survey["survey_id"] for survey in surveys if survey["category"] == "detractor")
    told = sorted(survey["survey_id"] for alert in alerts for survey in surveys if survey["survey_id"] in alert.text)
    assert told == wanted


def test_of_two_different_answers_at_the_same_time_one_counts_and_neither_is_lost(practice, clinic):
    mails = practice.asked(*(someone(clinic_id=clinic) for _ in range(12)))
    for mail in mails:
        pages = at_once(partial(practice.answer, mail, 9, "a"), partial(practice.answer, mail, 3, "b"))
        assert [page.status for page in pages] == [200, 200]
    practice.rest()
    practice.count_scores()
    alerts = practice.mails(boss(clinic))
    for mail in mails:
        survey = practice.survey(mail)
        assert survey["version"] == 2
        whole = (survey["score"], survey["category"], survey["comment"])
        assert whole in [(9, "promoter", "a"), (3, "detractor", "b")]
        assert f"You answered {survey['score']}" in practice.get(f"/s/{mail.token}").text
        assert sum(survey["survey_id"] in alert.text for alert in alerts) == 1  # the 3 was accepted, whichever counts


def test_the_same_answer_five_times_at_the_same_time_is_one_answer(practice, clinic):
    mails = practice.asked(*(someone(clinic_id=clinic) for _ in range(5)))
    for mail in mails:
        pages = at_once(*[partial(practice.answer, mail, 2, "tap tap")] * 5)
        assert {page.status for page in pages} == {200}
        assert practice.survey(mail)["version"] == 1
    practice.rest()
    alerts = practice.mails(boss(clinic))
    assert [sum(mail.token[:26] in alert.text for alert in alerts) for mail in mails] == [1] * 5


def test_the_same_export_twice_at_the_same_time_asks_once(practice):
    people = [someone() for _ in range(10)]
    visits = table([evaluation(person, at("2026-03-02")) for person in people])
    names = [practice.put(text) for text in [table([person.row for person in people]), visits, visits, visits]]
    for name in names:
        assert practice.report(name)["status"] == "accepted"
    at_once(*[lambda: practice.send(at("2026-03-02", "16:00"))] * 2)
    practice.send(at("2026-03-02", "16:00"))
    assert [practice.kinds(person) for person in people] == [["survey"]] * 10
    assert [len(practice.surveys_of(person)) for person in people] == [1] * 10


def test_reminders_and_review_requests_go_once_too(practice):
    people = [someone() for _ in range(6)]
    mails = practice.asked(*people)
    for mail in mails[:3]:
        practice.answer(mail, 10)
    practice.rest()
    at_once(*[lambda: practice.run("RequestReviewFunction", datetime.now(UTC))] * 2)
    at_once(*[lambda: practice.send(at("2026-03-05", "16:00"))] * 2)
    practice.send(at("2026-03-05", "16:00"))
    assert [practice.kinds(person) for person in people] == [["survey"]] * 3 + [["survey", "reminder"]] * 3
    messages = [message for person in people[:3] for message in practice.messages_of(person)]
    assert messages.count("review evaluation") == 3

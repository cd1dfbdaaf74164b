"""What follows an answer: alerts, the daily digest, and requests for a public review."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.practice import NEW_YORK, Mail, Practice, at, boss, instant, someone, visit

LINKS = "Google=https://g.page/r/riverside/review;https://www.yelp.com/biz/riverside"
_days = itertools.count(3)


@pytest.fixture
def clinic(practice: Practice) -> str:
    """A clinic with an admin of its own and review links, open day and night."""
    return practice.new_clinic(review_links=LINKS, send_from="00:00", send_until="24:00", send_days="Mon-Sun")


def alerts(practice: Practice, clinic: str) -> list[Mail]:
    """What the clinic's admin was told at once."""
    practice.rest()
    return [mail for mail in practice.mails(boss(clinic)) if mail.subject.startswith("Detractor")]


def next_morning(clock: str = "07:00") -> datetime:
    """A morning on which no digest has been sent yet."""
    day = datetime.now(NEW_YORK).date() + timedelta(days=next(_days))
    return at(day.isoformat(), clock)


def answered_at(practice: Practice, mail: Mail) -> datetime:
    return datetime.fromisoformat(practice.survey(mail)["answered_at"].replace("Z", "+00:00"))


class TestAlerts:
    def test_one_alert_for_each_detractor_and_none_for_anybody_else(self, practice, clinic):
        mails = practice.asked(*(someone(clinic_id=clinic) for _ in range(11)))
        for score, mail in enumerate(mails):
            practice.answer(mail, score)
        told = alerts(practice, clinic)
        assert len(told) == 7
        for mail in mails[:7]:
            assert sum(mail.token[:26] in alert.text for alert in told) == 1
        for function in ("AlertStaffFunction", "RequestReviewFunction"):
            practice.run(function, datetime.now(UTC) + timedelta(days=1))  # the sweeps have nothing left to do
        assert alerts(practice, clinic) == told
        assert not any(mail.to != [boss(clinic)] for mail in told)

    def test_an_alert_says_clinic_and_group_and_nothing_of_the_patient(self, practice, clinic):
        person = someone("Xanthippe", clinic_id=clinic)
        [mail] = practice.asked(person)
        practice.answer(mail, 3, "Unmistakable words")
        [alert] = alerts(practice, clinic)
        assert f"Clinic {clinic}" in alert.text
        for secret in ("Unmistakable", "Xanthippe", person.email, person.patient_id, mail.token, mail.token[26:]):
            assert secret not in alert.text + alert.html + alert.subject

    def test_a_clinic_without_admins_of_its_own_alerts_the_practices(self, practice):
        [mail] = practice.asked(someone())
        practice.answer(mail, 0)
        practice.rest()
        told = [alert for alert in practice.mailbox() if alert.kind == "staff" and mail.token[:26] in alert.text]
        assert [alert.to for alert in told] == [["admin@riverside.example"]]

    def test_pressing_the_button_twice_alerts_once(self, practice, clinic):
        [mail] = practice.asked(someone(clinic_id=clinic))
        for _ in range(3):
            practice.answer(mail, 3, "slow")
        assert len(alerts(practice, clinic)) == 1

    def test_a_changed_comment_alerts_again_and_a_changed_score_alone_does_not(self, practice, clinic):
        [mail] = practice.asked(someone(clinic_id=clinic))
        practice.answer(mail, 3, "slow")
        assert len(alerts(practice, clinic)) == 1
        practice.answer(mail, 2, "slow")
        assert len(alerts(practice, clinic)) == 1
        practice.answer(mail, 2, "slow, and it hurt")
        assert len(alerts(practice, clinic)) == 2

    def test_three_then_nine_leaves_the_alert_and_asks_for_a_review(self, practice, clinic):
        [mail] = practice.asked(person := someone(clinic_id=clinic))
        practice.answer(mail, 3)
        practice.answer(mail, 9)
        assert len(alerts(practice, clinic)) == 1
        practice.send(answered_at(practice, mail) + timedelta(hours=24))
        assert practice.kinds(person) == ["survey", "review"]


class TestDigest:
    def test_passives_stand_in_the_next_mornings_digest_once(self, practice, clinic):
        mails = practice.asked(*(someone(clinic_id=clinic) for _ in range(3)))
        for score, mail in zip((7, 8, 10), mails, strict=True):
            practice.answer(mail, score, "Private words")
        assert alerts(practice, clinic) == []
        practice.run("SendDigestFunction", next_morning("06:59"))
        assert practice.mails(boss(clinic)) == []
        morning = next_morning()
        practice.run("SendDigestFunction", morning)
        practice.run("SendDigestFunction", morning + timedelta(hours=1))
        practice.run("SendDigestFunction", next_morning())
        [digest] = practice.mails(boss(clinic))
        assert digest.subject.startswith("2 passive answers")
        assert [mail.token[:26] in digest.text for mail in mails] == [True, True, False]
        assert "Private words" not in digest.text + digest.html

    def test_who_is_no_passive_any_more_does_not_stand_in_it(self, practice, clinic):
        up, down = practice.asked(someone(clinic_id=clinic), someone(clinic_id=clinic))
        practice.answer(up, 8)
        practice.answer(up, 10)
        practice.answer(down, 8)
        practice.answer(down, 6)
        assert len(alerts(practice, clinic)) == 1
        practice.run("SendDigestFunction", next_morning())
        assert len(practice.mails(boss(clinic))) == 1


class TestReviews:
    def test_each_promoter_is_asked_once_after_a_day_with_the_clinics_links(self, practice, clinic):
        people = [someone(clinic_id=clinic) for _ in range(4)]
        mails = practice.asked(*people)
        for score, mail in zip((6, 8, 9, 10), mails, strict=True):
            practice.answer(mail, score)
        practice.rest()
        due = max(answered_at(practice, mail) for mail in mails) + timedelta(hours=24)
        practice.send(min(answered_at(practice, mail) for mail in mails[2:]) + timedelta(hours=23, minutes=59))
        assert [practice.kinds(person) for person in people] == [["survey"]] * 4
        practice.send(due)
        practice.send(due + timedelta(days=1))
        assert [practice.kinds(person) for person in people] == [["survey"]] * 2 + [["survey", "review"]] * 2
        review = practice.mails(people[2].email)[1]
        for link in ("https://g.page/r/riverside/review", "https://www.yelp.com/biz/riverside"):
            assert link in review.text
            assert link in review.html
        assert "reviews.example" not in review.text
        practice.run("RequestReviewFunction", due)
        practice.send(due + timedelta(days=2))
        assert practice.kinds(people[3]) == ["survey", "review"]

    def test_nine_then_three_withdraws_the_request_and_alerts(self, practice, clinic):
        [mail] = practice.asked(person := someone(clinic_id=clinic))
        practice.answer(mail, 9)
        practice.rest()
        practice.answer(mail, 3)
        assert len(alerts(practice, clinic)) == 1
        practice.send(answered_at(practice, mail) + timedelta(hours=25))
        assert practice.kinds(person) == ["survey"]

    def test_nine_three_nine_asks_once(self, practice, clinic):
        [mail] = practice.asked(person := someone(clinic_id=clinic))
        for score in (9, 3, 9):
            practice.answer(mail, score)
            practice.rest()
        for hours in (24, 25, 50):
            practice.send(answered_at(practice, mail) + timedelta(hours=hours))
        assert practice.kinds(person) == ["survey", "review"]

    def test_nobody_is_asked_twice_within_a_year(self, practice, clinic):
        person = someone(clinic_id=clinic)
        [first] = practice.asked(person)
        practice.answer(first, 10)
        practice.rest()
        practice.send(answered_at(practice, first) + timedelta(hours=24))
        practice.export([], [visit(person, at("2026-03-16"), "discharge")])
        practice.send(at("2026-03-16", "16:00"))
        second = [mail for mail in practice.mails(person.email) if mail.kind == "survey"][1]
        practice.answer(second, 10)
        practice.rest()
        practice.send(answered_at(practice, second) + timedelta(hours=24))
        practice.send(answered_at(practice, second) + timedelta(days=10))
        assert practice.kinds(person) == ["survey", "review", "survey"]

    def test_who_has_opted_out_meanwhile_is_not_asked(self, practice, clinic):
        [mail] = practice.asked(person := someone(clinic_id=clinic))
        practice.answer(mail, 10)
        practice.rest()
        practice.post(mail.unsubscribe_path, b"")
        practice.send(answered_at(practice, mail) + timedelta(hours=24))
        assert practice.kinds(person) == ["survey"]

    def test_a_request_keeps_the_window(self, practice):
        [mail] = practice.asked(person := someone())
        practice.answer(mail, 10)
        practice.rest()
        day = (answered_at(practice, mail) + timedelta(days=2)).astimezone(NEW_YORK).date()
        monday = day + timedelta(days=-day.weekday() % 7)
        practice.send(at(monday.isoformat(), "07:59"))
        assert practice.kinds(person) == ["survey"]
        practice.send(at(monday.isoformat(), "08:00"))
        assert practice.kinds(person) == ["survey", "review"], instant(at(monday.isoformat(), "08:00"))

"""Visits in, surveys out: at the right moments, to the right people, and never too often."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from local.stack import StackFailed
from tests.integration.practice import at, evaluation, someone, visit

LOS_ANGELES = ZoneInfo("America/Los_Angeles")
WEEKDAYS = ["2026-03-02", "2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06", "2026-03-09"]


class TestWhen:
    def test_an_evaluation_is_asked_about_three_hours_after_its_end(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02", "10:00"))])  # until 10:30
        practice.send(at("2026-03-02", "13:29"))
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-02", "13:30"))
        assert practice.kinds(ada) == ["survey"]

    def test_a_visit_without_an_end_counts_from_its_start(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02", "10:00"), ended_at="")])
        practice.send(at("2026-03-02", "12:59"))
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-02", "13:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_nobody_is_mailed_before_eight_or_from_eight_in_the_evening_on(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02", "17:00"))])  # due at 20:30
        for moment in (at("2026-03-02", "20:30"), at("2026-03-03", "03:00"), at("2026-03-03", "07:59")):
            assert practice.send(moment)["deferred"]["outside_window"] >= 1
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-03", "08:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_the_window_closes_at_eight_sharp(self, practice):
        ada, ben = someone(), someone("Ben")
        practice.export([ada, ben], [evaluation(ada, at("2026-03-02", "16:29")), evaluation(ben, at("2026-03-02"))])
        practice.send(at("2026-03-02", "20:00"))
        assert practice.kinds(ada) == practice.kinds(ben) == []
        practice.send(at("2026-03-02", "19:59"))
        assert practice.kinds(ada) == practice.kinds(ben) == ["survey"]

    def test_sunday_waits_for_monday(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-14", "18:00"))])  # a Saturday
        practice.send(at("2026-03-15", "12:00"))
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-16", "08:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_each_clinic_has_its_own_morning(self, practice):
        west = practice.new_clinic(time_zone="America/Los_Angeles")
        ada, ben = someone(), someone("Ben", clinic_id=west)
        practice.export(
            [ada, ben],
            [evaluation(ada, at("2026-03-02", "18:00")), evaluation(ben, at("2026-03-02", "18:00", LOS_ANGELES))],
        )
        practice.send(at("2026-03-03", "08:00"))
        assert (practice.kinds(ada), practice.kinds(ben)) == (["survey"], [])
        practice.send(at("2026-03-03", "07:59", LOS_ANGELES))
        assert practice.kinds(ben) == []
        practice.send(at("2026-03-03", "08:00", LOS_ANGELES))
        assert practice.kinds(ben) == ["survey"]

    def test_monday_is_the_clinics_monday_even_where_utc_still_has_sunday(self, practice):
        island = ZoneInfo("Pacific/Kiritimati")  # UTC+14
        clinic = practice.new_clinic(time_zone="Pacific/Kiritimati")
        ada = someone(clinic_id=clinic)
        practice.export([ada], [evaluation(ada, at("2026-03-07", "18:00", island))])
        practice.send(at("2026-03-08", "12:00", island))
        assert practice.kinds(ada) == []
        practice.send(datetime(2026, 3, 8, 18, 0, tzinfo=UTC))
        assert practice.kinds(ada) == ["survey"]

    def test_a_clinic_has_its_own_hours_and_days(self, practice):
        clinic = practice.new_clinic(send_from="10:00", send_until="11:00", send_days="Wed")
        ada = someone(clinic_id=clinic)
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        for moment in (at("2026-03-03", "10:30"), at("2026-03-04", "09:59"), at("2026-03-04", "11:00")):
            practice.send(moment)
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-04", "10:59"))
        assert practice.kinds(ada) == ["survey"]

    @pytest.mark.parametrize(
        ("saturday", "eight_on_monday"),
        [
            ("2026-03-07", datetime(2026, 3, 9, 12, 0, tzinfo=UTC)),  # the clocks have gone forward
            ("2026-10-31", datetime(2026, 11, 2, 13, 0, tzinfo=UTC)),  # and back
        ],
    )
    def test_eight_is_eight_after_the_clocks_have_changed(self, practice, saturday, eight_on_monday):
        ada = someone()
        practice.export([ada], [evaluation(ada, at(saturday, "18:00"))])
        practice.send(eight_on_monday - timedelta(minutes=1))
        assert practice.kinds(ada) == []
        practice.send(eight_on_monday)
        assert practice.kinds(ada) == ["survey"]

    @pytest.mark.parametrize(
        ("written", "three_hours_later"),
        [
            ("2026-03-08T02:30", datetime(2026, 3, 8, 10, 30, tzinfo=UTC)),  # does not exist: 3:30
            ("2026-11-01T01:30", datetime(2026, 11, 1, 8, 30, tzinfo=UTC)),  # exists twice: the earlier
            ("2026-03-02T09:00", datetime(2026, 3, 2, 17, 0, tzinfo=UTC)),
        ],
    )
    def test_a_time_without_an_offset_is_the_clinics(self, practice, written, three_hours_later):
        clinic = practice.new_clinic(send_from="00:00", send_until="24:00", send_days="Mon-Sun")
        ada = someone(clinic_id=clinic)
        practice.export([ada], [evaluation(ada, at("2026-03-02"), started_at=written, ended_at="")])
        practice.send(three_hours_later - timedelta(minutes=1))
        assert practice.kinds(ada) == []
        practice.send(three_hours_later)
        assert practice.kinds(ada) == ["survey"]

    def test_a_visit_more_than_14_days_ago_is_not_asked_about(self, practice):
        ada, ben = someone(), someone("Ben")
        practice.export([ada, ben], [evaluation(ada, at("2026-02-02")), evaluation(ben, at("2026-02-04"))])
        practice.send(at("2026-02-17"))
        assert (practice.kinds(ada), practice.kinds(ben)) == ([], ["survey"])
        assert practice.messages_of(ada) == {"survey evaluation": "skipped"}

    def test_a_first_import_of_years_mails_no_former_patient(self, practice):
        people = [someone() for _ in range(20)]
        practice.export(people, [evaluation(person, at("2023-05-08")) for person in people])
        practice.send(at("2026-03-02", "16:00"))
        assert [practice.kinds(person) for person in people] == [[]] * 20

    @pytest.mark.parametrize(
        "event", [{}, {"time": "<aws.scheduler.scheduled-time>"}, {"time": "2026-03-02 16:00"}, {"time": 1772467200}]
    )
    def test_a_run_that_does_not_know_its_moment_fails_and_sends_nothing(self, practice, event):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        with pytest.raises(StackFailed):
            practice.stack.invoke("SendSurveyFunction", event)
        assert practice.kinds(ada) == []


class TestWhom:
    def test_the_sixth_visit_is_asked_about(self, practice):
        ada = someone()
        visits = [visit(ada, at(day)) for day in WEEKDAYS]
        practice.export([ada], visits[:5])
        practice.send(at("2026-03-06", "16:00"))
        assert practice.kinds(ada) == []
        practice.export([], visits[5:])
        practice.send(at("2026-03-09", "15:30"))
        assert practice.kinds(ada) == ["survey"]
        assert practice.messages_of(ada).keys() == {"survey visit:6", "reminder visit:6"}

    @pytest.mark.parametrize(
        "odd",
        [
            {"status": "no_show"},
            {"status": "cancelled"},
            {"status": "scheduled"},
            {"removed": "true"},
            {"started_at": at("2026-03-06", "15:00").isoformat(), "ended_at": ""},  # the second of that day
            {"started_at": "2026-03-07T02:00:00Z", "ended_at": ""},  # still the 6th in New York
            {"case_id": "another"},
        ],
        ids=lambda odd: " ".join(odd.values()),
    )
    def test_what_did_not_take_place_on_another_day_of_the_episode_is_no_sixth_visit(self, practice, odd):
        ada = someone()
        visits = [visit(ada, at(day)) for day in WEEKDAYS]
        visits[5] |= odd
        practice.export([ada], visits)
        practice.send(at("2026-03-10"))
        assert practice.kinds(ada) == []

    def test_two_dates_at_the_clinic_count_twice_though_utc_has_one(self, practice):
        ada = someone()
        visits = [visit(ada, at(day)) for day in WEEKDAYS[:4]]
        visits += [visit(ada, at("2026-03-06", "20:00")), visit(ada, at("2026-03-07", "09:00"))]
        practice.export([ada], visits)
        practice.send(at("2026-03-07", "13:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_the_order_of_arrival_does_not_matter(self, practice):
        ada = someone()
        visits = [visit(ada, at(day), therapist_id=f"T-{day}") for day in [*WEEKDAYS, "2026-03-10"]]
        for row in reversed(visits):
            practice.export([], [row])
        practice.export([ada])
        [survey] = practice.surveys_of(ada)
        assert (survey["touchpoint"], survey["therapist_id"]) == ("visit:6", "T-2026-03-09")

    def test_a_discharge_is_asked_about(self, practice):
        ada = someone()
        practice.export([ada], [visit(ada, at("2026-03-02"), "discharge")])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.messages_of(ada)["survey discharge"] == "sent"

    def test_only_the_first_evaluation_and_discharge_of_an_episode_are_asked_about(self, practice):
        ada = someone()
        days = ["2026-01-05", "2026-01-20", "2026-02-04", "2026-02-19"]
        kinds = ["evaluation", "evaluation", "discharge", "discharge"]
        practice.export([ada], [visit(ada, at(day), kind) for day, kind in zip(days, kinds, strict=True)])
        for day in days:
            practice.send(at(day, "16:00"))
        surveys = practice.surveys_of(ada)
        assert sorted(survey["touchpoint"] for survey in surveys) == ["discharge", "evaluation"]

    def test_an_evaluation_after_a_discharge_begins_a_new_episode(self, practice):
        ada = someone()
        rows = [visit(ada, at("2026-01-05"), "discharge"), evaluation(ada, at("2026-01-26"))]
        practice.export([ada], rows)
        for day in ("2026-01-05", "2026-01-26"):
            practice.send(at(day, "16:00"))
        assert practice.kinds(ada).count("survey") == 2

    def test_a_visit_that_is_cancelled_after_all_is_not_asked_about(self, practice):
        ada = someone()
        row = evaluation(ada, at("2026-03-02"))
        practice.export([ada], [row])
        practice.export([], [row | {"status": "cancelled"}])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == []
        practice.export([], [row])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_what_was_sent_stays_sent_whatever_becomes_of_the_visit(self, practice):
        ada = someone()
        row = evaluation(ada, at("2026-03-02"))
        practice.export([ada], [row])
        practice.send(at("2026-03-02", "16:00"))
        practice.export([], [row | {"status": "cancelled"}])
        practice.export([], [row])
        practice.export([], [row | {"started_at": at("2026-03-03").isoformat(), "ended_at": ""}])
        practice.send(at("2026-03-03", "16:00"))
        assert practice.kinds(ada) == ["survey"]
        assert practice.get(practice.mail(ada).score_path(9)).status == 200

    def test_a_visit_that_moves_takes_its_survey_along(self, practice):
        ada = someone()
        row = evaluation(ada, at("2026-03-02"))
        practice.export([ada], [row])
        practice.export([], [row | {"started_at": at("2026-03-03").isoformat(), "ended_at": ""}])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == []
        practice.send(at("2026-03-03", "15:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_visits_may_come_before_the_patient(self, practice):
        ada = someone()
        practice.export([], [evaluation(ada, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        practice.export([ada])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_who_has_no_address_yet_is_asked_once_there_is_one(self, practice):
        ada = someone()
        practice.export([], [evaluation(ada, at("2026-03-02"))])
        assert (
            practice.upload(f"patient_id,first_name,last_name,email,clinic_id\n{ada.patient_id},Ada,O,,main\n")[
                "status"
            ]
            == "accepted"
        )
        assert practice.send(at("2026-03-02", "16:00"))["deferred"]["no_address"] >= 1
        practice.export([ada])
        practice.send(at("2026-03-04", "16:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_the_deceased_get_nothing(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        practice.upload(
            f"patient_id,first_name,last_name,email,clinic_id,status\n{ada.patient_id},A,O,{ada.email},main,deceased\n"
        )
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == []

    def test_the_archived_get_what_was_due_and_nothing_new(self, practice):
        ada, ben = someone(), someone("Ben", status="archived")
        practice.export([ada, ben], [evaluation(ada, at("2026-03-02")), evaluation(ben, at("2026-03-02"))])
        archived = {**ada.row, "status": "archived"}
        assert practice.upload("\n".join([",".join(archived), ",".join(archived.values())]))["updated"] == 1
        practice.send(at("2026-03-02", "16:00"))
        assert (practice.kinds(ada), practice.kinds(ben)) == (["survey"], [])

    def test_spanish_speakers_are_written_to_in_spanish(self, practice):
        ana = someone("Ana", language="es")
        [mail] = practice.asked(ana)
        assert 'lang="es"' in mail.html
        assert "Hola, Ana" in mail.text
        assert "recomiende" in mail.text or "recomendar" in mail.text
        assert 'lang="es"' in practice.get(mail.score_path(9)).body


class TestHowOften:
    def test_running_again_sends_nothing_again(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        for _ in range(3):
            practice.send(at("2026-03-02", "16:00"))
        practice.send(at("2026-03-02", "18:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_a_second_touchpoint_waits_until_ten_days_after_the_first_mail(self, practice):
        ada = someone()
        rows = [evaluation(ada, at("2026-03-02")), visit(ada, at("2026-03-09"), "discharge")]
        practice.export([ada], rows)
        mail = _asked(practice, ada)
        practice.answer(mail, 9)
        assert practice.send(at("2026-03-12", "16:59"))["deferred"]["pause"] >= 1  # the clocks have gone forward
        assert practice.kinds(ada) == ["survey"]
        practice.send(at("2026-03-12", "17:00"))
        assert practice.kinds(ada) == ["survey", "survey"]

    def test_a_newer_touchpoint_replaces_one_that_still_waits(self, practice):
        ada = someone()
        rows = [evaluation(ada, at("2026-03-02"))]
        rows += [visit(ada, at(day)) for day in ("2026-03-03", "2026-03-04", "2026-03-05", "2026-03-06", "2026-03-10")]
        rows += [visit(ada, at("2026-03-11"), "discharge")]
        practice.export([ada], rows)
        practice.answer(_asked(practice, ada), 9)
        practice.send(at("2026-03-13"))
        assert practice.kinds(ada) == ["survey", "survey"]
        states = practice.messages_of(ada)
        assert (states["survey visit:6"], states["survey discharge"]) == ("skipped", "sent")

    def test_discharge_wins_its_day(self, practice):
        ada = someone()
        rows = [visit(ada, at(day)) for day in WEEKDAYS[:5]]
        rows += [visit(ada, at("2026-03-09", "09:00"), "discharge"), visit(ada, at("2026-03-09", "15:00"))]
        rows[-2]["case_id"] = "other"  # so that the sixth visit is the later one
        rows[-1]["started_at"] = at("2026-03-09", "15:00").isoformat()
        practice.export([ada], rows)
        practice.send(at("2026-03-10"))
        states = practice.messages_of(ada)
        assert (states["survey visit:6"], states["survey discharge"]) == ("skipped", "sent")

    def test_one_reminder_three_days_later_and_never_a_second(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        practice.send(at("2026-03-05", "15:59"))
        assert practice.kinds(ada) == ["survey"]
        practice.send(at("2026-03-05", "16:00"))
        assert practice.kinds(ada) == ["survey", "reminder"]
        for day in ("2026-03-06", "2026-03-09", "2026-03-14", "2026-03-20"):
            practice.send(at(day, "16:00"))
        assert practice.kinds(ada) == ["survey", "reminder"]

    def test_the_survey_and_its_reminder_open_the_same_question(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        practice.send(at("2026-03-05", "16:00"))
        survey, reminder = practice.mails(ada.email)
        assert survey.token != reminder.token
        assert practice.answer(reminder, 4).status == 200
        assert "You answered 4" in practice.get(survey.score_path(9)).text

    def test_a_reminder_keeps_the_window(self, practice):
        ada = someone()
        practice.export([ada], [evaluation(ada, at("2026-03-05"))])  # so that the third day is a Sunday
        practice.send(at("2026-03-05", "16:00"))
        practice.send(at("2026-03-08", "16:00"))
        assert practice.kinds(ada) == ["survey"]
        practice.send(at("2026-03-09", "08:00"))
        assert practice.kinds(ada) == ["survey", "reminder"]

    @pytest.mark.parametrize("score", [0, 8, 10])
    def test_who_has_answered_is_not_reminded(self, practice, score):
        [mail] = practice.asked(ada := someone())
        practice.answer(mail, score)
        practice.send(at("2026-03-05", "17:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_both_of_a_couple_are_heard_a_day_apart(self, practice):
        ada = someone()
        ben = someone("Ben", email=ada.email.replace("p", "P", 1))
        practice.export([ada, ben], [evaluation(person, at("2026-03-02")) for person in (ada, ben)])

        def heard():
            return len(practice.kinds(ada) + practice.kinds(ben))

        assert practice.send(at("2026-03-02", "16:00"))["deferred"]["address_rest"] >= 1
        practice.send(at("2026-03-03", "15:59"))
        assert heard() == 1
        practice.send(at("2026-03-03", "16:00"))
        assert (practice.kinds(ada), practice.kinds(ben)) == (["survey"], ["survey"])


class TestOptingOut:
    def test_opening_the_link_changes_nothing(self, practice):
        [mail] = practice.asked(ada := someone())
        before = practice.dump()
        for _ in range(5):
            page = practice.get(mail.unsubscribe_path)
            assert page.status == 200
            assert "not unsubscribed yet" in page.text
        assert practice.dump() == before
        practice.send(at("2026-03-05", "16:00"))
        assert practice.kinds(ada) == ["survey", "reminder"]

    @pytest.mark.parametrize("form", [b"", b"List-Unsubscribe=One-Click"], ids=["button", "one-click"])
    def test_sending_the_form_ends_all_mail(self, practice, form):
        ada = someone()
        [mail] = practice.asked(ada)
        page = practice.post(mail.unsubscribe_path, form)
        assert (page.status, page.heading) == (200, "You are unsubscribed")
        assert practice.post(mail.unsubscribe_path, form).status == 200  # twice is as good as once
        practice.export([], [visit(ada, at("2026-03-13"), "discharge")])
        practice.send(at("2026-03-05", "16:00"))
        practice.send(at("2026-03-13", "16:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_no_later_file_opts_anybody_in_again(self, practice):
        ada = someone()
        [mail] = practice.asked(ada)
        practice.post(mail.unsubscribe_path, b"")
        rejoined = {**ada.row, "email_opt_out": "false", "updated_at": "2030-01-01T00:00:00Z"}
        practice.upload("\n".join([",".join(rejoined), ",".join(rejoined.values())]))
        practice.send(at("2026-03-05", "16:00"))
        assert practice.kinds(ada) == ["survey"]

    def test_a_file_can_opt_out(self, practice):
        ada = someone(email_opt_out="yes")
        practice.export([ada], [evaluation(ada, at("2026-03-02"))])
        practice.send(at("2026-03-02", "16:00"))
        assert practice.kinds(ada) == []

    def test_one_of_a_couple_opts_out_alone(self, practice):
        ada = someone()
        ben = someone("Ben", email=ada.email)
        [mail] = practice.asked(ada)
        practice.post(mail.unsubscribe_path, b"")
        practice.export([ben], [evaluation(ben, at("2026-03-04"))])
        practice.send(at("2026-03-04", "16:00"))
        assert practice.kinds(ben) == ["survey", "survey"]


def _asked(practice, person):
    practice.send(at("2026-03-02", "16:00"))
    return practice.mail(person)

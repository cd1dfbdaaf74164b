"""send_report: the past week's or month's figures, to whom the practice chose, once, and nothing that is small."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.aggregate_scores.handler import handler as count_scores
from functions.send_report.handler import handler
from shared.domain.clock import format_instant
from shared.domain.period import parse_period
from shared.domain.recovery import Outcome, close
from shared.domain.report import CaseCounts, Cohort, Every, ReportChoice
from shared.domain.score import Category
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role, Staff
from shared.domain.statistics import Groups
from shared.mail.mailer import Mail, SendingStopped
from shared.observability import HandlerFailed
from shared.storage import cases, reports, settings
from tests.builders import a_case
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.answering import ANSWERED_AT, add_patient, answer, sent, survey_id

pytestmark = pytest.mark.usefixtures("aws")
MONDAY = datetime(2026, 3, 9, 11, 0, tzinfo=UTC)  # seven in the morning in New York
FIRST_OF_APRIL = datetime(2026, 4, 1, 11, 0, tzinfo=UTC)
TO = "owner@riverside.example.com"
OWNER = Staff("user-1", "Olive Owens", TO, Role.OWNER)


def run(mailer: FakeMailer, moment: datetime = MONDAY, request_id: str = "run-1") -> int:
    done = handler({"time": format_instant(moment)}, FakeContext(request_id), mailer=mailer, now=lambda: moment)
    return int(done["sent"])


def choose_report(every: Every = Every.WEEK, *to: str) -> None:
    assert reports.put_choice(ReportChoice(every, to or (TO,)), OWNER, MONDAY)


def answers(scores: list[int], clinic_id: str = "north", start: int = 0, at: datetime = ANSWERED_AT) -> None:
    for number, score in enumerate(scores, start=start):
        survey = sent(survey_id(number), patient_id=f"p{number}", clinic_id=clinic_id)
        answer(survey, score, "The bill was wrong." if score < 7 else "", at)


def count() -> None:
    count_scores({"time": format_instant(MONDAY)}, FakeContext())


def test_nobody_gets_a_report_until_somebody_chose_so(mailer: FakeMailer) -> None:
    assert reports.read_choice() == ReportChoice(Every.OFF, ())
    assert run(mailer) == 0
    choose_report(Every.OFF)
    assert run(mailer) == 0
    assert mailer.sent == []


def test_the_week_goes_out_on_monday_morning_once(mailer: FakeMailer) -> None:
    choose_report()
    answers([10] * 30 + [8] * 12 + [2] * 11)
    count()
    assert run(mailer, MONDAY - timedelta(hours=1)) == 0
    assert run(mailer) == 1
    assert run(mailer, MONDAY + timedelta(hours=1)) == 0
    (mail,) = mailer.sent
    assert mail.to == (TO,)
    assert mail.subject == "How patients saw us: March 2 to 8, 2026"
    assert "53. Groups, themes and cases are told of whole quarters only" in mail.text
    assert "billing" not in mail.text
    assert "Net Promoter Score: 36, between" in mail.text
    assert "https://staff.example.com/share?period=2026-W10" in mail.text
    assert run(mailer, MONDAY + timedelta(days=7)) == 1


def test_the_month_goes_out_on_the_first(mailer: FakeMailer) -> None:
    choose_report(Every.MONTH)
    answers([10] * 30 + [8] * 12 + [2] * 11)
    count()
    assert run(mailer, MONDAY) == 0
    assert run(mailer, FIRST_OF_APRIL) == 1
    (mail,) = mailer.sent
    assert mail.subject == "How patients saw us: March 2026"
    assert "Answers: 53. Groups" in mail.text
    assert "surveys sent March 1 to 17, 2026" not in mail.text  # all were answered: a rate would tell that


def test_a_missed_monday_is_caught_up_but_no_older_one(mailer: FakeMailer) -> None:
    choose_report()
    assert run(mailer, MONDAY + timedelta(days=3)) == 0
    assert run(mailer, MONDAY + timedelta(days=2)) == 1


def test_without_addresses_the_practices_admins_get_it(mailer: FakeMailer) -> None:
    reports.put_choice(ReportChoice(Every.WEEK), OWNER, MONDAY)
    run(mailer)
    assert [mail.to for mail in mailer.sent] == [("admin@riverside.example.com",)]


def test_a_report_that_could_not_be_sent_is_tried_again(mailer: FakeMailer) -> None:
    choose_report()

    def stopped(mail: Mail) -> None:
        raise SendingStopped("paused")

    with pytest.raises(HandlerFailed):
        run(FakeMailer(stopped))
    assert run(mailer, MONDAY + timedelta(hours=1)) == 1


def test_two_runs_at_once_send_one(mailer: FakeMailer) -> None:
    choose_report()

    def meanwhile(mail: Mail) -> None:
        assert run(mailer, request_id="run-2") == 0

    assert run(FakeMailer(meanwhile), request_id="run-1") == 1
    assert mailer.sent == []


def test_small_clinics_are_hidden_and_no_patient_is_named(mailer: FakeMailer) -> None:
    choose_report()
    settings.put_clinic(ClinicSettings("south", name="Clínica <Sur>"))
    settings.put_clinic(ClinicSettings("north", name="North Clinic"))
    add_patient("p0", first_name="Zebulon")
    answers([10] * 30 + [2] * 4)
    answers([9] * 12, "south", 40)
    answers([1] * 3, "west", 60)
    count()
    run(mailer)
    (mail,) = mailer.sent
    assert "North Clinic: answers 34; score 76" in mail.text
    assert "Clínica <Sur>: answers hidden; score hidden" in mail.text
    assert "Clínica &lt;Sur&gt;" in mail.html
    assert "The bill was wrong" not in mail.text + mail.html
    assert "Zebulon" not in mail.text + mail.html
    assert "detractors (0–6)" not in mail.text


def test_a_week_without_answers_says_so(mailer: FakeMailer) -> None:
    choose_report()
    run(mailer)
    assert "Answers: Fewer than 10." in mailer.sent[0].text


def test_figures_of_a_quarter_are_those_of_its_months_and_of_its_cases() -> None:
    answers([10] * 3 + [7] * 2 + [0])
    answers([9], "south", 20)
    count()
    cases.create(a_case(survey_id(5), opened_at=ANSWERED_AT, deadline=ANSWERED_AT + timedelta(hours=8)))
    cases.create(a_case(survey_id(20), clinic_id="south", category=Category.PASSIVE, opened_at=ANSWERED_AT))
    now = ANSWERED_AT + timedelta(days=30)
    found = reports.figures(parse_period("2026-Q1"), now)
    assert {place.clinic_id: place.groups for place in found.places} == {
        "north": Groups(3, 2, 1),
        "south": Groups(1, 0, 0),
    }
    assert found.latest == Groups(4, 2, 1)
    assert found.cases == CaseCounts(opened=2, closed=0, late=2)
    assert found.cohort == Cohort(found.period.first, (now - timedelta(days=15)).date(), 7, 7)
    assert found.themes["billing"] == Groups(0, 0, 1)
    north = reports.figures(parse_period("2026-Q1"), now, ["north"])
    assert [place.clinic_id for place in north.places] == ["north"]
    assert north.latest == Groups(3, 2, 1)
    assert north.cohort.sent == 6
    assert north.cases == CaseCounts(opened=1, closed=0, late=1)


def test_who_answers_again_in_the_next_month_is_still_counted_in_both() -> None:
    answer(sent(survey_id(1)), 10, at=ANSWERED_AT - timedelta(days=20))
    answer(sent(survey_id(2)), 3)
    count()
    assert reports.figures(parse_period("2026-02"), MONDAY).latest == Groups(1, 0, 0)
    march = reports.figures(parse_period("2026-03"), MONDAY)
    assert (march.latest, march.before) == (Groups(0, 0, 1), Groups(1, 0, 0))
    assert reports.figures(parse_period("2026-Q1"), MONDAY).latest == Groups(0, 0, 1)


def test_a_patient_of_two_clinics_has_one_latest_answer_in_the_practice() -> None:
    answer(sent(survey_id(1)), 10)
    answer(sent(survey_id(2), clinic_id="south"), 3, at=ANSWERED_AT + timedelta(days=20))
    count()
    quarter, week = parse_period("2026-Q1"), parse_period("2026-W10")
    assert reports.figures(quarter, MONDAY).latest == Groups(0, 0, 1)
    assert reports.figures(quarter, MONDAY).histogram == (0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1)
    assert reports.figures(quarter, MONDAY, ["north", "south"]).latest == Groups(1, 0, 1)
    assert reports.figures(week, MONDAY).latest == Groups(1, 0, 0)


def test_months_are_the_practices_own_east_of_greenwich_too(choose: Any) -> None:
    choose(PRACTICE_TIME_ZONE="Asia/Tokyo")
    first_of_march = datetime(2026, 2, 28, 20, 0, tzinfo=UTC)  # there
    cases.create(close(a_case(opened_at=first_of_march), "u1", Outcome.RESOLVED, "billing", "", first_of_march))
    assert reports.figures(parse_period("2026-03"), MONDAY, ["north"]).cases.closed == 1
    assert reports.figures(parse_period("2026-02"), MONDAY, ["north"]).cases.closed == 0


def test_closed_cases_count_in_the_month_of_their_closing() -> None:
    case = a_case(opened_at=ANSWERED_AT - timedelta(days=10), deadline=ANSWERED_AT - timedelta(days=9))
    cases.create(close(case, "u1", Outcome.RESOLVED, "billing", "", ANSWERED_AT))
    reports_of = {key: reports.figures(parse_period(key), MONDAY, ["north"]).cases for key in ("2026-02", "2026-03")}
    assert reports_of == {"2026-02": CaseCounts(1, 0, 1), "2026-03": CaseCounts(0, 1, 0)}


def test_the_choice_is_kept() -> None:
    choice = ReportChoice(Every.MONTH, ("a@example.com", "b@example.com"))
    assert reports.put_choice(choice, OWNER, MONDAY)
    assert reports.read_choice() == choice

"""Report, files, figures for programs and worth on the deployed stack, with each function's rights."""

import csv
import json
from datetime import UTC, datetime, timedelta
from io import StringIO

from shared.domain.period import week_of
from shared.domain.staff import Role
from tests.integration.practice import Practice, at, someone
from tests.integration.staff import HttpBrowser, somebody


def test_the_figures_of_a_clinic_leave_the_house_in_every_form(practice: Practice) -> None:
    clinic = practice.new_clinic()
    people = [someone(clinic_id=clinic) for _ in range(3)]
    mails = practice.asked(*people)
    for mail, score in zip(mails, (10, 8, 2), strict=True):
        assert practice.answer(mail, score, "=The bill was wrong").status in (200, 303)
    practice.rest()
    practice.count_scores()
    now = datetime.now(UTC)
    in_a_week = now + timedelta(days=8)  # should another test have had it measured today
    assert practice.run("MeasureWorthFunction", in_a_week)["clinics"] >= 1

    admin = HttpBrowser(practice.stack)
    admin.sign_in(somebody(practice.stack, Role.CLINIC_ADMIN, clinic))
    period = f"{now.astimezone(at('2026-03-02').tzinfo):%Y}"
    assert "Fewer than 10." in admin.get(f"/share?period={period}").body
    assert "What the loop is worth" in admin.get("/worth").body
    file = admin.get(f"/export/answers.csv?period={period}")
    rows = list(csv.DictReader(StringIO(file.body.removeprefix("\ufeff"), newline="")))
    assert sorted((row["score"], row["patient_id"]) for row in rows) == sorted(
        (score, person.patient_id) for score, person in zip(("10", "8", "2"), people, strict=True)
    )
    assert {row["comment"] for row in rows} == {"'=The bill was wrong"}
    counts = admin.get(f"/export/scores.csv?period={period}")
    assert (counts.status, clinic in counts.body) == (200, True)
    figures = json.loads(admin.get(f"/api/v1/figures?period={period}").body)
    assert (figures["all"]["answers"], figures["cases"]["opened"]) == (3, 1)
    assert [case["clinic"] for case in json.loads(admin.get("/api/v1/cases?state=open").body)["cases"]] == [clinic]
    assert admin.post("/share/mail", {"every": "week", "to": "owner@riverside.example"}).status == 404


def test_the_owner_has_the_report_mailed(practice: Practice) -> None:
    owner = HttpBrowser(practice.stack)
    owner.sign_in(somebody(practice.stack, Role.OWNER))
    to = f"report.{datetime.now(UTC):%H%M%S}@riverside.example"
    assert owner.post("/share/mail", {"every": "week", "to": to}).status == 303
    monday = week_of(datetime.now(UTC).date()).last + timedelta(days=1)
    morning = at(monday.isoformat(), "09:00")
    assert practice.run("SendReportFunction", morning) == {"sent": 1}
    assert practice.run("SendReportFunction", morning + timedelta(hours=1)) == {"sent": 0}
    [mail] = practice.mails(to)
    assert mail.subject.startswith("How patients saw us: ")
    assert practice.stack.dashboard_url in mail.text

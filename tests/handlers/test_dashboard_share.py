"""What leaves the dashboard: the printable report, files and figures for programs."""

import csv
import json
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest

from functions.aggregate_scores.handler import handler as count_scores
from functions.serve_dashboard import api, exports
from shared.domain.clock import format_instant
from shared.domain.report import Every, ReportChoice
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.domain.themes import parse_lexicon
from shared.storage import cases, changes, reports, settings, surveys
from shared.storage.lexicon import put_lexicon
from shared.storage.models import ActivityItem
from tests.builders import a_case
from tests.fakes import FakeContext
from tests.handlers.answering import ANSWERED_AT, answer, sent, survey_id
from tests.handlers.dashboard import NOW, Answer, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
QUARTER = "2026-Q1"


@pytest.fixture
def practice() -> None:
    """Two clinics with a few answers each, counted."""
    settings.put_clinic(ClinicSettings("north", name="North Clinic"))
    settings.put_clinic(ClinicSettings("south", name="South Clinic"))
    answers([10, 10, 8, 2])
    answers([9, 0], "south", 10, touchpoint="visit:6", therapist_id="t2")
    count()


def answers(scores: list[int], clinic_id: str = "north", start: int = 0, at: datetime = ANSWERED_AT, **more) -> None:
    for number, score in enumerate(scores, start=start):
        survey = sent(survey_id(number), patient_id=f"p{number}", clinic_id=clinic_id, **more)
        answer(survey, score, "=The bill, was wrong" if score < 7 else "", at)


def count() -> None:
    count_scores({"time": format_instant(NOW)}, FakeContext())


def owner() -> Client:
    return signed_in(Role.OWNER)


def north() -> Client:
    return signed_in(Role.CLINIC_ADMIN, "north")


def lines(file: Answer) -> list[dict[str, str]]:
    assert file.status == 200
    assert file.body.startswith("\ufeff")
    return list(csv.DictReader(StringIO(file.body.removeprefix("\ufeff"), newline=""), strict=True))


def data(found: Answer, status: int = 200) -> Any:
    assert found.status == status
    assert found.headers["Content-Type"].startswith("application/json")
    return json.loads(found.body)


@pytest.mark.parametrize(
    "address",
    ["/share", "/worth", "/export/scores.csv", "/export/answers.csv", "/api/v1/figures", "/api/v1/cases"],
)
def test_therapists_and_strangers_get_nothing(address: str) -> None:
    assert signed_in(Role.THERAPIST, therapist_id="t1").get(address).status == 404
    stranger = Client().get(address)
    assert stranger.status == (401 if address.startswith("/api/") else 303)


@pytest.mark.parametrize("address", ["/share", "/export/scores.csv", "/export/answers.csv", "/api/v1/figures"])
def test_a_clinic_that_is_not_theirs_and_a_period_that_is_none_do_not_exist(practice: None, address: str) -> None:
    assert north().get(f"{address}?clinic=south").status == 404
    assert north().get(f"{address}?clinic=north").status == 200
    assert owner().get(f"{address}?clinic=nowhere").status == 404
    assert owner().get(f"{address}?period=2026-Q5").status == 404


def test_the_page_hides_what_is_small_and_offers_files(practice: None) -> None:
    page = owner().get("/share")
    assert "How patients saw us: January to March 2026" in page.text
    assert "Answers Fewer than 10." in page.text
    assert "North Clinic hidden hidden" in page.text
    assert f"/export/answers.csv?period={QUARTER}" in page.body
    assert "/export/answers.csv?period=2026-02" in page.body
    year = owner().get("/share?period=2026").body
    assert "/export/answers.csv?period=2026-03" in year
    assert "/export/answers.csv?period=2026-04" not in year  # still to come
    assert "The bill, was wrong" not in page.body


def test_the_page_shows_large_figures_to_admins_of_their_own_clinics() -> None:
    answers([10] * 15 + [8] * 12 + [1] * 11)
    answers([0] * 15, "south", 50)
    count()
    page = north().get(f"/share?period={QUARTER}")
    assert "38: 15 promoters (9–10), 12 passives (7–8), 11 detractors (0–6)." in page.text
    assert "Net Promoter Score 11, between" in page.text
    assert "billing" in page.text.lower()
    assert "53" not in owner().get(f"/share?period={QUARTER}&clinic=north").text
    assert "53: 15 promoters (9–10), 12 passives (7–8), 26 detractors (0–6)." in owner().get("/share").text


def test_the_owner_chooses_who_gets_the_report_and_that_is_written_down() -> None:
    client = owner()
    assert client.post("/share/mail", {"every": "week", "to": "a@example.com; b@example.com"}).status == 303
    assert reports.read_choice() == ReportChoice(Every.WEEK, ("a@example.com", "b@example.com"))
    page = client.get("/share?done=on")
    assert "Saved: the report will be mailed." in page.text
    assert 'value="a@example.com, b@example.com"' in page.body
    assert 'value="week" checked' in page.body
    (noted,) = changes.latest(5)
    assert (noted.by, noted.change.old, noted.change.new) == (
        "Robin Reyes",
        "off",
        "each week, to a@example.com, b@example.com",
    )
    for wrong in ({"every": "day"}, {"every": "week", "to": "nobody"}, {}):
        assert client.post("/share/mail", wrong).status == 400
    assert client.post("/share/mail", {"every": "off", "to": ""}).status == 303
    assert client.post("/share/mail", {"every": "month", "to": ""}).status == 303
    assert reports.read_choice() == ReportChoice(Every.MONTH)


def test_an_admin_of_a_clinic_cannot_choose_who_gets_the_practices_report(practice: None) -> None:
    assert north().post("/share/mail", {"every": "week", "to": "a@example.com"}).status == 404
    assert "By email" not in north().get("/share").text


def test_counts_by_day_are_those_of_the_table(practice: None) -> None:
    found = lines(owner().get(f"/export/scores.csv?period={QUARTER}"))
    answered = {(row["scope"], row["id"]): row for row in found if row["day"] == "2026-03-03"}
    assert set(answered) == {
        *(("practice", ""), ("clinic", "north"), ("clinic", "south"), ("therapist", "t1"), ("therapist", "t2")),
        *(("touchpoint", "evaluation"), ("touchpoint", "visit:6")),
    }
    whole = answered["practice", ""]
    assert [whole[name] for name in ("score_0", "score_10", "promoters", "passives", "detractors")] == list("12312")
    assert answered["clinic", "south"]["name"] == "South Clinic"
    cohort = next(row for row in found if row["scope"] == "practice" and row["day"] == "2026-03-02")
    assert (cohort["sent"], cohort["answered"], cohort["promoters"]) == ("6", "6", "0")


def test_an_admins_counts_are_those_of_their_clinics_alone(practice: None) -> None:
    found = lines(north().get(f"/export/scores.csv?period={QUARTER}"))
    assert {(row["scope"], row["id"]) for row in found} == {("clinic", "north")}


def test_answers_come_one_a_line_and_no_comment_is_a_formula(practice: None) -> None:
    found = lines(owner().get(f"/export/answers.csv?period={QUARTER}"))
    assert sorted((row["clinic"], int(row["score"])) for row in found) == [
        *(("North Clinic", score) for score in (2, 8, 10, 10)),
        *(("South Clinic", score) for score in (0, 9)),
    ]
    unhappy = next(row for row in found if row["score"] == "2")
    assert unhappy["comment"] == "'=The bill, was wrong"
    assert (unhappy["group"], unhappy["themes"], unhappy["day"]) == ("detractor", "billing", "2026-03-03")
    assert (unhappy["patient_id"], unhappy["survey_id"], unhappy["language"]) == ("p3", survey_id(3), "en")
    assert {row["clinic_id"] for row in lines(north().get("/export/answers.csv"))} == {"north"}


def test_answers_of_a_period_are_those_of_its_local_days() -> None:
    last_of_march = datetime.fromisoformat("2026-03-31T23:30:00-04:00")
    answers([9], at=last_of_march)
    answers([8], start=1, at=last_of_march + timedelta(hours=1))
    count()
    client = owner()
    assert [row["score"] for row in lines(client.get("/export/answers.csv?period=2026-03"))] == ["9"]
    assert [row["score"] for row in lines(client.get("/export/answers.csv?period=2026-04"))] == ["8"]


def test_an_answer_is_in_the_file_once_it_is_counted(practice: None) -> None:
    answer(sent(survey_id(30), patient_id="p30"), 3, "I waited for half an hour")
    assert "p30" not in owner().get("/export/answers.csv").body
    count()
    found = lines(owner().get("/export/answers.csv"))
    assert next(row for row in found if row["patient_id"] == "p30")["themes"] == "waiting"


def test_themes_are_those_that_were_counted_unless_the_answer_changed_since(practice: None) -> None:
    put_lexicon(parse_lexicon("invoices: bill, waited"))
    answer(survey_id(11), 1, "I waited for ages", ANSWERED_AT + timedelta(hours=2))
    found = {row["survey_id"]: row["themes"] for row in lines(owner().get("/export/answers.csv"))}
    assert (found[survey_id(3)], found[survey_id(11)]) == ("billing", "invoices")


def test_too_many_answers_for_one_file_are_refused_with_what_to_do(
    practice: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_ANSWERS", 3)
    refused = owner().get("/export/answers.csv")
    assert refused.status == 400
    assert "more than 3 answers. Please choose a single month, or a single clinic." in refused.text
    assert len(lines(owner().get("/export/answers.csv?clinic=south"))) == 2
    monkeypatch.setattr(exports, "MOST_ANSWERS", 10)
    monkeypatch.setattr(exports, "MOST_BYTES", 500)
    assert owner().get("/export/answers.csv").status == 400


def test_who_took_a_file_is_written_down(practice: None) -> None:
    north().get("/export/answers.csv?period=2026-03")
    (entry,) = ActivityItem.query("practice")
    assert entry.kind == "exported"
    assert entry.detail == "Robin Reyes: answers.csv, 2026-03, north, 4 lines"


def test_figures_for_programs_are_those_of_the_tables(practice: None) -> None:
    found = data(owner().get(f"/api/v1/figures?period={QUARTER}"))
    assert found["all"]["answers"] == 6
    assert found["all"]["scores"] == [1, 0, 1, 0, 0, 0, 0, 0, 1, 1, 2]
    assert found["all"]["score"] is None  # under ten answers
    assert found["latest_per_patient"] == {"answers": 6, "promoters": 3, "passives": 1, "detractors": 2}
    assert {place["clinic"]: place["answers"] for place in found["clinics"]} == {"north": 4, "south": 2}
    assert found["themes"]["billing"]["detractors"] == 2
    theirs = data(north().get(f"/api/v1/figures?period={QUARTER}"))
    assert (theirs["all"]["answers"], [place["clinic"] for place in theirs["clinics"]]) == (4, ["north"])


def test_days_for_programs_add_up_to_the_period(practice: None) -> None:
    address = "/api/v1/scores?from=2026-01-01&to=2026-03-31"
    for scope, answered in (("practice", 6), ("clinic:north", 4), ("therapist:t2", 2), ("touchpoint:visit:6", 2)):
        days = data(owner().get(f"{address}&scope={scope}"))["days"]
        assert sum(sum(day["scores"]) for day in days) == answered
        assert sum(day["funnel"]["sent"] for day in days) == answered
    assert data(north().get(f"{address}&scope=clinic:north"))["days"]
    for scope in ("practice", "clinic:south", "therapist:t1", "touchpoint:evaluation", "month", "worth", "clinic:"):
        assert data(north().get(f"{address}&scope={scope}"), 404)["error"]
    for scope in ("month", "worth", "directory", "practice:x", "comments:north"):
        assert data(owner().get(f"{address}&scope={scope}"), 404)["error"]


@pytest.mark.parametrize("days", ["", "from=2026-01-01", "from=2026-02-01&to=2026-01-01", "from=x&to=y"])
def test_days_that_are_none_are_said_to_be(days: str) -> None:
    assert "must be" in data(owner().get(f"/api/v1/scores?{days}"), 400)["error"]


def test_at_most_a_year_is_given_at_once() -> None:
    assert data(owner().get("/api/v1/scores?from=2025-01-01&to=2026-01-01"))["days"] == []
    assert data(owner().get("/api/v1/scores?from=2025-01-01&to=2026-01-02"), 400)


def test_open_cases_for_programs_name_no_patient(monkeypatch: pytest.MonkeyPatch) -> None:
    cases.create(a_case(survey_id(1), patient_id="MRN-4711"))
    cases.create(a_case(survey_id(2), clinic_id="south", deadline=NOW))
    found = owner().get("/api/v1/cases?state=open")
    assert "MRN-4711" not in found.body
    assert [case["survey"] for case in data(found)["cases"]] == [survey_id(1), survey_id(2)]
    assert data(found)["cases"][0]["page"] == f"https://dashboard.example.com/cases/{survey_id(1)}"
    assert [case["clinic"] for case in data(north().get("/api/v1/cases"))["cases"]] == ["north"]
    assert data(owner().get("/api/v1/cases?state=closed"), 400)["error"]
    monkeypatch.setattr(api, "MOST_CASES", 1)
    assert (data(owner().get("/api/v1/cases"))["total"], len(data(owner().get("/api/v1/cases"))["cases"])) == (2, 1)


def test_the_index_of_answers_has_the_first_and_not_the_last_moment() -> None:
    answers([9])
    count()
    second = timedelta(seconds=1)
    assert list(surveys.answered_in("north", ANSWERED_AT, ANSWERED_AT + second)) == [survey_id(0)]
    assert list(surveys.answered_in("north", ANSWERED_AT - second, ANSWERED_AT)) == []
    assert list(surveys.answered_in("south", ANSWERED_AT, ANSWERED_AT + second)) == []

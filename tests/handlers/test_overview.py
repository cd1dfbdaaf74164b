"""The overview: what each number rests on, what is theirs to see, and that it reads a few rows and no answers."""

import re
from collections import Counter
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from botocore.client import BaseClient

from functions.aggregate_scores.handler import handler as aggregate
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.storage import settings, surveys
from shared.storage.models import SurveyItem
from tests import filling
from tests.builders import a_survey
from tests.handlers.answering import ANSWERED_AT, answer, sent, stored, survey_id
from tests.handlers.dashboard import Answer, signed_in

pytestmark = pytest.mark.usefixtures("aws")
NIGHT = {"time": "2026-03-04T08:15:00Z"}
DECEMBER = datetime.fromisoformat("2025-12-10T15:00:00+00:00")


def given(*scores: int, first: int = 0, at: datetime = ANSWERED_AT, comment: str = "", **differences: Any) -> None:
    """Answers of as many patients, one each."""
    for number, score in enumerate(scores, start=first):
        survey = sent(survey_id(number), **{"patient_id": f"p{number}", **differences})
        SurveyItem(survey).update([SurveyItem.sent_at.set(at - timedelta(days=1))])
        answer(survey, score, comment, at)


def overview(query: str = "", role: Role = Role.OWNER, *clinics: str, count: bool = True) -> Answer:
    if count:
        aggregate(NIGHT, None)
    return signed_in(role, *clinics).get("/" + query)


def card(page: Answer, heading: str) -> str:
    """The text of the section under this heading."""
    section = re.search(rf"<section[^>]*>\s*<h2[^>]*>{heading}.*?</section>", page.body, re.DOTALL)
    assert section, heading
    return " ".join(re.sub(r"<[^>]+>|&nbsp;", " ", section[0]).split())


def test_before_the_first_night_the_page_says_so() -> None:
    page = overview(count=False)
    assert page.status == 200
    assert "they have not been counted yet" in page.text
    assert "Nobody has answered in this period." in page.text


def test_under_ten_answers_there_are_counts_and_no_score() -> None:
    given(*[10] * 9)
    page = overview()
    assert "No score yet 9 answers so far" in card(page, "Net Promoter Score")
    assert "Promoters 9–10 9 100 %" in card(page, "Who answered what")
    assert "Among other practices" not in page.body


def test_from_ten_answers_a_score_stands_with_its_interval_and_low_confidence() -> None:
    given(*[10] * 18, 8, 3)
    found = card(overview(), "Net Promoter Score")
    assert "85 Low confidence" in found
    assert "From 20 answers" in found
    assert "between 50 and 98" in found  # 73.9 ± 24.0


def test_from_thirty_answers_the_confidence_is_full() -> None:
    given(*[10] * 26, 8, 8, 8, 3)
    assert "Low confidence" not in card(overview(), "Net Promoter Score")


def test_a_change_is_called_real_only_if_chance_would_hardly_do_it() -> None:
    given(*[10] * 20, *[8] * 5, first=100, at=DECEMBER)
    given(*[10] * 19, *[8] * 6)
    assert "No more than chance would do" in card(overview(), "Compared with October to December 2025")
    given(*[3] * 20, first=50)
    assert "A real change for the worse" in card(overview(), "Compared with October to December 2025")


def test_the_change_is_that_of_the_scores_shown_and_is_tested_by_the_patients_latest_answers() -> None:
    given(*[10] * 19, 3, first=100, at=DECEMBER)
    given(*[10] * 15, *[3] * 5)
    given(*[3] * 5, first=50, at=ANSWERED_AT - timedelta(days=20), patient_id="p0")
    page = overview()
    assert "20 Low confidence From 25" in card(page, "Net Promoter Score")
    found = card(page, "Compared with October to December 2025")
    assert "−70 points From 90 to 20." in found
    assert "Tested by each patient’s latest answer: 90 from 20 answers before, 50 from 20 answers now." in found


def test_who_answers_again_later_in_the_quarter_stays_in_the_month() -> None:
    given(*[10] * 12, at=ANSWERED_AT - timedelta(days=20))
    given(*[9] * 12, at=ANSWERED_AT, first=20)
    for number in range(12):
        surveys.give_to(stored(survey_id(20 + number)), f"p{number}")
    found = card(overview("?period=2026-03"), "Compared with February 2026")
    assert "100 from 12 answers before, 100 from 12 answers now" in found


def test_a_year_says_that_it_counts_a_patient_once_a_quarter() -> None:
    given(*[10] * 12)
    given(9, first=100, at=ANSWERED_AT - timedelta(days=20), patient_id="p0")
    found = card(overview("?period=2026"), "Net Promoter Score")
    assert "Counting only one answer a patient and quarter, the latest: 100, from 12" in found


def test_figures_of_their_own_are_not_called_a_benchmark_of_physical_therapy(choose: Any) -> None:
    choose(BENCHMARK="60,70,80")
    given(*[10] * 12)
    found = card(overview(), "Among other practices")
    assert "Compared with figures of your own." in found
    assert "physical therapy" not in found


def test_a_patient_who_answers_again_counts_once_in_the_comparison() -> None:
    given(*[10] * 12)
    given(*[9] * 6, first=100, at=ANSWERED_AT - timedelta(days=20), patient_id="p0")
    page = overview()
    assert "From 18 answers" in card(page, "Net Promoter Score")
    assert "each patient’s latest answer: 100, from 12" in card(page, "Net Promoter Score")


def test_the_benchmark_says_how_probable_and_where_it_comes_from() -> None:
    given(*[10] * 26, 8, 8, 8, 3)
    found = card(overview(), "Among other practices")
    assert "81 % sure: below average" in found
    assert "WebPT Ascend, 2017" in found


def test_the_goal_is_a_line_and_a_sentence(choose: Any) -> None:
    choose(GOAL="90")
    given(*[10] * 26, 8, 8, 8, 3)
    page = overview()
    assert "7 points below your goal of 90" in page.text
    assert 'class="goal"' in page.body


def test_answers_since_the_night_are_told_and_not_counted() -> None:
    given(*[10] * 12)
    overview()
    given(3, 3, first=50)
    page = overview(count=False)
    assert "2 answers came in since" in page.text
    assert "From 12 answers" in card(page, "Net Promoter Score")
    assert "Wed, Mar 4, 2026, 3:15 AM" in page.text


def test_filters_choose_clinic_touchpoint_language_and_period() -> None:
    given(*[10] * 12)
    given(*[3] * 11, first=50, clinic_id="south", therapist_id="t2", touchpoint="discharge")
    for survey in range(3):
        SurveyItem(survey_id(survey)).update([SurveyItem.language.set("es"), SurveyItem.revision.add(1)])
    for query, answers in [
        ("?clinic=south", "From 11 answers"),
        ("?touchpoint=evaluation", "From 12 answers"),
        ("?language=es", "3 answers so far"),
        ("?clinic=south&touchpoint=evaluation", "0 answers so far"),
        ("?therapist=t2", "From 11 answers"),
        ("?therapist=t2&clinic=south", "From 11 answers"),
        ("?period=2026-02", "0 answers so far"),
        ("?period=2026-03", "From 23 answers"),
        ("?period=2026", "From 23 answers"),
        ("?period=12-months-to-2026-03", "From 23 answers"),
    ]:
        assert answers in card(overview(query), "Net Promoter Score"), query


@pytest.mark.parametrize(
    "query",
    ["?clinic=nowhere", "?therapist=t9", "?touchpoint=lunch", "?language=eo", "?period=yesterday", "?period=2026-W10"],
)
def test_what_does_not_exist_is_not_found(query: str) -> None:
    given(10)
    assert overview(query).status == 404


def test_a_clinic_admin_sees_their_clinics_alone() -> None:
    given(*[10] * 12)
    given(*[3] * 15, first=50, clinic_id="south", therapist_id="t2")
    given(*[3] * 15, first=80, clinic_id="south", therapist_id="t1")
    page = overview("", Role.CLINIC_ADMIN, "north")
    assert "From 12 answers" in card(page, "Net Promoter Score")
    assert "south" not in page.body
    assert "t2" not in page.text
    for query in ("?clinic=south", "?therapist=t2", "?clinic=north&therapist=t2"):
        assert overview(query, Role.CLINIC_ADMIN, "north").status == 404
    # Somebody who works at both clinics is shown with the answers of the one.
    both = card(overview("?therapist=t1", Role.CLINIC_ADMIN, "north"), "Net Promoter Score")
    assert "From 12 answers" in both


def test_clinics_and_therapists_are_ranked_only_from_thirty_answers() -> None:
    settings.put_clinic(ClinicSettings("north", name="North clinic"))
    given(*[10] * 28, 3, 3)
    given(*[10] * 30, first=100, clinic_id="south", therapist_id="t2")
    given(*[0] * 29, first=200, clinic_id="hill", therapist_id="t3")
    page = overview()
    found = card(page, "Clinics")
    assert re.search(r"south 100 .* North clinic 87 .*Too few answers .* hill \(29\)", found)
    assert "−100" not in found
    assert re.search(r"t2 100 .* t1 87 .*t3 \(29\)", card(page, "Therapists"))


def test_the_funnel_and_the_rate_follow_the_month_of_sending() -> None:
    january = datetime.fromisoformat("2026-01-12T15:00:00+00:00")
    given(*[10] * 12, at=january)
    for number in range(50, 58):
        sent(survey_id(number), patient_id=f"p{number}")
    surveys.create(a_survey(survey_id(60), patient_id="p60"))
    surveys.mark_unsent(survey_id(60), "no_address")
    page = overview()
    assert "Reached a touchpoint 21" in card(page, "From visit to answer")
    assert "Have an email address 20" in card(page, "From visit to answer")
    rate = card(page, "How many answer")
    assert "January 2026 12 12 100 %" in rate
    assert "March 2026 still open 8 0 –" in rate


def test_themes_are_told_with_detractors_first_and_what_was_before() -> None:
    given(*[10] * 3, comment="Kind people")
    given(2, 2, first=50, comment="The bill is wrong")
    given(10, first=60, comment="Kind", at=DECEMBER)
    found = card(overview(), "What comments are about")
    assert re.search(r"Billing 2 40 % 0 % 2 Communication 3 60 % 100 % 0", found)


def test_words_that_may_concern_safety_are_pointed_out_on_top() -> None:
    given(10, comment="I fell off the table")
    page = overview()
    assert "1 comment of this period may concern safety" in page.text
    assert "safety=yes" in page.body


def test_what_may_bend_the_figures_is_said() -> None:
    given(*[10] * 3, at=datetime.fromisoformat("2026-03-02T17:05:00+00:00"))
    surveys.mark_invited(survey_id(0), ANSWERED_AT)
    found = card(overview(), "How far to trust this")
    assert "3 answers came within 15 minutes" in found
    assert "1 of 3 promoters, 0 of 0 passives, 0 of 0 detractors" in found
    assert "Evaluation 3 3 (100 %) 3 (100 %)" in found


def test_a_page_over_a_hundred_months_of_clinics_reads_rows_and_no_answers() -> None:
    filling.fill(300, date(2026, 3, 4), words=10)
    seen: list[str] = []
    original = BaseClient._make_api_call
    with pytest.MonkeyPatch.context() as patch:

        def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
            tables = arguments.get("RequestItems") or [arguments.get("TableName", "")]
            seen.extend(f"{operation} {table}" for table in tables)
            return original(client, operation, arguments)

        patch.setattr(BaseClient, "_make_api_call", call)
        assert overview(count=False).status == 200
    # Six clinics, the practice and the directory; the uncounted index; sessions, settings, the staff's addresses.
    assert Counter(seen)["Query Scores"] == 8
    assert [call for call in seen if call.startswith("BatchGetItem")] == ["BatchGetItem Addresses"]


def test_every_chart_has_words_and_a_table() -> None:
    filling.fill(900, date(2026, 3, 4), words=0)
    page = overview(count=False)
    for svg in re.findall(r"<svg[^>]*>", page.body.partition("<main")[2]):
        assert 'aria-hidden="true"' in svg or "aria-label" in svg
    assert "The months as a table" in page.body
    assert not re.search(r'\sstyle="', page.body)


def test_on_a_phone_no_wide_table_is_cut_since_its_rows_fold_with_a_label_for_every_figure() -> None:
    given(*[2] * 31, comment="I waited forty minutes.")
    given(*[9] * 30, first=100, clinic_id="south")
    sent(survey_id(200), patient_id="p200")
    page = overview()
    tables = re.findall(r"<table class=\"(data[^\"]*)\">(.*?)</table>", page.body, re.DOTALL)
    wide = [(kind, text) for kind, text in tables if text.count('scope="col"') > 3]
    named = " ".join(text for _, text in wide)
    assert all(column in named for column in ("Theme", "Asked after", "Clinic", "Month", "Sent in"))
    for kind, text in wide:
        assert "folds" in kind
        cells = re.findall(r"<td[^>]*>", text)
        assert cells
        assert [cell for cell in cells if 'data-label="' not in cell] == []

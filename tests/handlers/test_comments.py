"""Comments: newest first, found by what they are about, theirs to see alone; and praise passed on without a name."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.aggregate_scores.handler import handler as aggregate
from shared.domain.clock import format_instant
from shared.domain.staff import Role
from shared.storage import directory
from shared.storage.models import ActivityItem, SurveyItem
from tests.handlers.answering import ANSWERED_AT, add_patient, answer, sent, stored, survey_id
from tests.handlers.dashboard import Answer, signed_in

pytestmark = pytest.mark.usefixtures("aws")
NIGHT = {"time": "2026-03-04T08:15:00Z"}
APRIL = datetime(2026, 4, 1, 8, 15, tzinfo=UTC)


def wrote(number: int, comment: str, score: int = 10, minutes: int = 0, **differences: Any) -> str:
    survey = sent(survey_id(number), **{"patient_id": f"p{number}", **differences})
    answer(survey, score, comment, ANSWERED_AT + timedelta(minutes=minutes))
    return survey


def night() -> None:
    aggregate(NIGHT, None)


def words(page: Answer) -> list[str]:
    """The comments on the page, in its order."""
    assert page.status == 200
    return re.findall(r'<blockquote class="words"[^>]*>(.*?)</blockquote>', page.body, re.DOTALL)


def comments(query: str = "", role: Role = Role.OWNER, *clinics: str) -> list[str]:
    return words(signed_in(role, *clinics).get("/comments" + query))


def test_comments_are_listed_newest_first_todays_among_them() -> None:
    wrote(1, "first", minutes=1)
    wrote(3, "third", minutes=3)
    night()
    wrote(2, "second", minutes=2)
    wrote(4, "fourth", minutes=4)
    assert comments() == ["fourth", "third", "second", "first"]


def test_answers_without_words_are_not_listed() -> None:
    wrote(1, "")
    assert comments() == []
    night()
    assert comments() == []


def test_a_changed_comment_stands_once_where_it_now_belongs() -> None:
    survey = wrote(1, "before", minutes=1)
    wrote(2, "other", minutes=2)
    night()
    answer(survey, 2, "after", ANSWERED_AT + timedelta(minutes=9))
    assert comments() == ["after", "other"]
    assert comments("?group=promoter") == ["other"]
    night()
    assert comments() == ["after", "other"]


def test_an_erased_comment_is_gone_at_once() -> None:
    survey = wrote(1, "gone")
    night()
    SurveyItem(survey).delete()
    assert comments() == []


def test_pages_hold_twenty_five_and_stay_what_they_are_while_new_ones_come() -> None:
    for number in range(60):
        wrote(number, f"comment {number:02d}", minutes=number)
    night()
    client = signed_in()
    first = client.get("/comments")
    (older,) = re.findall(r'href="([^"]*)">Older comments', first.body)
    wrote(70, "newer", minutes=70)
    second = client.get(older.replace("&amp;", "&"))
    (oldest,) = re.findall(r'href="([^"]*)">Older comments', second.body)
    third = client.get(oldest.replace("&amp;", "&"))
    assert "Older comments" not in third.body
    assert words(first) + words(second) + words(third) == [f"comment {number:02d}" for number in range(59, -1, -1)]


def test_filters_find_group_theme_clinic_therapist_touchpoint_language_period_and_safety() -> None:
    wrote(1, "The bill is wrong", 3, minutes=1)
    wrote(2, "Kind", 8, minutes=2, clinic_id="south", therapist_id="t2", touchpoint="discharge")
    wrote(3, "I fell", 10, minutes=3)
    wrote(4, "Todo bien", 10, minutes=4)
    SurveyItem(survey_id(4)).update([SurveyItem.language.set("es"), SurveyItem.revision.add(1)])
    for counted in (False, True):
        if counted:
            night()
        assert comments("?group=detractor") == ["The bill is wrong"]
        assert comments("?group=passive") == ["Kind"]
        assert comments("?theme=billing") == ["The bill is wrong"]
        assert comments("?safety=yes") == ["I fell"]
        assert comments("?language=es") == ["Todo bien"]
        assert comments("?touchpoint=discharge") == ["Kind"]
        assert comments("?period=2026-03") == ["Todo bien", "I fell", "Kind", "The bill is wrong"]
        assert comments("?period=2026-02") == []
        if counted:  # clinics and therapists are known from the first night on
            assert comments("?clinic=south") == ["Kind"]
            assert comments("?therapist=t2&group=passive") == ["Kind"]


@pytest.mark.parametrize("query", ["?clinic=nowhere", "?group=fan", "?theme=weather", "?therapist=t9", "?period=x"])
def test_what_does_not_exist_is_not_found(query: str) -> None:
    wrote(1, "Kind")
    night()
    assert signed_in().get("/comments" + query).status == 404


def test_a_clinic_admin_reads_their_clinics_alone() -> None:
    wrote(1, "north", minutes=1)
    wrote(2, "south, counted", minutes=2, clinic_id="south")
    night()
    wrote(3, "south, today", minutes=3, clinic_id="south")
    assert comments("", Role.CLINIC_ADMIN, "north") == ["north"]
    assert signed_in(Role.CLINIC_ADMIN, "north").get("/comments?clinic=south").status == 404
    assert signed_in(Role.THERAPIST, therapist_id="t1").get("/comments").status == 404


def test_a_comment_is_told_with_what_is_known_of_it_and_without_the_name() -> None:
    add_patient("p1", first_name="Ada", last_name="Okafor")
    wrote(1, "I fell & <b>waited</b>", 4)
    night()
    page = signed_in().get("/comments")
    assert words(page) == ["I fell &amp; &lt;b&gt;waited&lt;/b&gt;"]
    for told in ("4 of 10", "Tue, Mar 3, 2026, 10:00 AM", "May concern safety", "Waiting", "asked after: evaluation"):
        assert told in page.text
    assert f"/patients/by-survey/{survey_id(1)}" in page.body
    assert "Okafor" not in page.body


def pass_on(survey: str, version: int = 1, role: Role = Role.OWNER, *clinics: str) -> Answer:
    return signed_in(role, *clinics).post(f"/comments/{survey}/praise", {"version": str(version)})


def test_praise_reaches_the_therapists_page_without_the_patients_name() -> None:
    add_patient("p1", first_name="Ada", last_name="Okafor")
    survey = wrote(1, "Grace is wonderful")
    night()
    done = pass_on(survey, 1, Role.CLINIC_ADMIN, "north")
    assert done.status == 303
    assert "passed=t1" in done.location
    page = signed_in(Role.THERAPIST, therapist_id="t1").get("/")
    assert words(page) == ["Grace is wonderful"]
    assert "Passed on by Robin Reyes on March 4, 2026" in page.text
    assert "Okafor" not in page.body
    (entry,) = [item for item in ActivityItem.query("p1") if item.kind == "praise_passed_on"]
    assert (entry.survey_id, entry.version, entry.detail) == (survey, 1, "Robin Reyes")
    assert "Passed on to t1" in signed_in().get("/comments").text
    assert words(signed_in(Role.THERAPIST, therapist_id="t2").get("/")) == []


def test_what_was_passed_on_stays_what_was_read() -> None:
    survey = wrote(1, "Wonderful")
    night()
    pass_on(survey)
    answer(survey, 9, "Something private", ANSWERED_AT + timedelta(hours=1))
    assert words(signed_in(Role.THERAPIST, therapist_id="t1").get("/")) == ["Wonderful"]
    assert pass_on(survey, 1).status == 400
    assert pass_on(survey, 2).status == 303


def test_only_praise_of_their_clinics_can_be_passed_on() -> None:
    praise = wrote(1, "Wonderful")
    blame = wrote(2, "Terrible", 2)
    silent = wrote(3, "")
    night()
    assert pass_on(praise, 1, Role.CLINIC_ADMIN, "south").status == 404
    assert pass_on("z" * 26).status == 404
    assert pass_on(blame).status == pass_on(silent).status == 400
    assert pass_on(praise, 1, Role.THERAPIST).status == 404
    assert words(signed_in(Role.THERAPIST, therapist_id="t1").get("/")) == []
    assert stored(praise).answers


def figures(*scores: int, therapist: str = "t1") -> Answer:
    """What the therapist sees on the first morning after the quarter."""
    for number, score in enumerate(scores):
        wrote(number, "", score, therapist_id=therapist)
    aggregate({"time": format_instant(APRIL)}, None)
    return signed_in(Role.THERAPIST, therapist_id="t1", now=APRIL).get("/")


def test_a_therapist_sees_no_quarter_before_it_is_over_and_counted_to_its_end() -> None:
    figures(*[10] * 20, *[8] * 12, *[3] * 11)
    night()  # the last count, as if April's had not run
    page = signed_in(Role.THERAPIST, therapist_id="t1", now=APRIL).get("/")
    assert "Nothing to show yet" in page.text
    assert "January to March 2026" not in page.text
    assert "The current one appears when it is over, from 10 answers on" in page.text


def test_a_therapist_sees_no_small_number() -> None:
    page = figures(*[10] * 9)
    assert "Nothing to show yet" in page.text
    assert "January to March 2026 – hidden – hidden" in page.text


def test_a_therapist_sees_a_score_but_not_the_groups_it_could_point_at() -> None:
    page = figures(*[10] * 30, *[8] * 6, 3)
    assert "Net Promoter Score 78" in page.text
    # The widest interval of any such score: the exact one, from 56 to 89, would tell the detractors.
    assert "between 51 and 94 , at least as sure as 95 in 100" in page.text
    assert "All four 37 – hidden – hidden – hidden" in page.text


def test_a_score_of_a_hundred_would_say_that_nobody_was_unhappy() -> None:
    assert "Nothing to show yet" in figures(*[10] * 30).text


def test_large_groups_are_shown_with_the_interval() -> None:
    page = figures(*[10] * 20, *[8] * 12, *[3] * 11)
    assert "January to March 2026 43 20 12 11" in page.text
    assert ", as sure as 95 in 100" in page.text


def test_a_therapist_sees_nobody_elses_figures() -> None:
    assert "Nothing to show yet" in figures(*[10] * 20, *[8] * 12, *[3] * 11, therapist="t2").text
    assert directory.read().clinics_of == {"t2": {"north"}}

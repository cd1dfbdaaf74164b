"""What a survey adds to the counts, and on which day."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.aggregate import (
    FUNNEL,
    MONTHLY,
    Count,
    by_therapist,
    by_touchpoint,
    change,
    contribution,
    facts_of,
    histogram,
    histogram_of_latest,
    mark_latest,
    of_kind,
)
from shared.domain.survey import AcceptedAnswer, Counted, Survey
from shared.domain.themes import default_lexicon
from tests.builders import a_survey

NEW_YORK = ZoneInfo("America/New_York")
SENT = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)  # the evening of March 2 in New York
ANSWERED = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


def facts_about(survey: Survey) -> Counted | None:
    return facts_of(survey, NEW_YORK, default_lexicon())


def by_day(survey: Survey) -> Counter[Count]:
    counted = contribution(facts_about(survey))
    return Counter({count: number for count, number in counted.items() if not count[0].startswith(MONTHLY)})


def by_month(*of_one_patient: Survey) -> dict[tuple[str, str], dict[str, int]]:
    marked = mark_latest({survey.survey_id: facts_about(survey) for survey in of_one_patient})
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for (scope, month, field), number in sum(map(contribution, marked.values()), Counter[Count]()).items():
        if scope.startswith(MONTHLY):
            rows.setdefault((scope.removeprefix(MONTHLY), month), {})[field] = number
    return rows


def stages(survey: Survey) -> tuple[str, ...]:
    facts = facts_about(survey)
    return facts.funnel if facts else ()


def test_an_answer_counts_once_in_every_scope_on_its_local_day() -> None:
    found = by_day(a_survey(sent_at=SENT, answered_at=ANSWERED, score=9))
    scored = {scope: day for (scope, day, field) in found if field == "s9"}
    assert scored == dict.fromkeys(["practice", "clinic#north", "therapist#t1", "touchpoint#evaluation"], "2026-03-04")
    assert set(found.values()) == {1}


def test_the_funnel_counts_on_the_day_of_sending() -> None:
    found = by_day(a_survey(sent_at=SENT, answered_at=ANSWERED, score=9, comment="Good"))
    practice = {field: day for (scope, day, field) in found if scope == "practice" and field in FUNNEL}
    assert practice == dict.fromkeys(FUNNEL, "2026-03-02")


def test_a_survey_never_sent_belongs_to_the_day_it_was_due() -> None:
    facts = facts_about(a_survey(unsent_reason="expired", due_at=SENT))
    assert facts
    assert facts.cohort_day == "2026-03-02"


def test_a_survey_without_a_therapist_counts_in_the_other_scopes() -> None:
    found = by_day(a_survey(sent_at=SENT, therapist_id=""))
    assert {scope for scope, _, _ in found} == {"practice", "clinic#north", "touchpoint#evaluation"}


@pytest.mark.parametrize(
    ("differences", "reached"),
    [
        ({}, ""),
        ({"unsent_reason": "withdrawn"}, ""),
        ({"unsent_reason": "superseded"}, ""),
        ({"unsent_reason": "deceased"}, ""),
        ({"unsent_reason": "no_address"}, "eligible"),
        ({"unsent_reason": "on_hold"}, "has_address"),
        ({"unsent_reason": "opted_out"}, "has_address"),
        ({"unsent_reason": "bounced"}, "has_address"),
        ({"unsent_reason": "complained"}, "has_address"),
        ({"unsent_reason": "expired"}, "not_held"),
        ({"unsent_reason": "refused"}, "not_held"),
        ({"unsent_reason": "unknown"}, "not_held"),
        ({"sent_at": SENT}, "sent"),
        ({"sent_at": SENT, "delivered_at": SENT}, "delivered"),
        ({"delivered_at": SENT}, ""),  # the sender has not finished yet
        ({"unsent_reason": "unknown", "delivered_at": SENT}, "not_held"),
        ({"sent_at": SENT, "score": 0, "answered_at": ANSWERED}, "answered"),
        ({"sent_at": SENT, "score": 0, "answered_at": ANSWERED, "comment": " \n"}, "answered"),
        ({"sent_at": SENT, "score": 0, "answered_at": ANSWERED, "comment": "No"}, "commented"),
        ({"unsent_reason": "unknown", "score": 0, "answered_at": ANSWERED}, "answered"),
    ],
)
def test_every_stage_implies_those_before(differences: dict[str, Any], reached: str) -> None:
    expected = FUNNEL[: FUNNEL.index(reached) + 1] if reached else ()
    assert stages(a_survey(**differences)) == expected


facts = st.none() | st.builds(
    Counted,
    score=st.none() | st.integers(0, 10),
    answer_day=st.sampled_from(["2026-03-01", "2026-03-02"]),
    cohort_day=st.sampled_from(["2026-03-01", "2026-03-02"]),
    funnel=st.integers(1, len(FUNNEL)).map(lambda stage: FUNNEL[:stage]),
    clinic_id=st.sampled_from(["north", "south"]),
    therapist_id=st.sampled_from(["", "t1", "t2"]),
    touchpoint=st.sampled_from(["evaluation", "visit:6"]),
    language=st.sampled_from(["", "en", "es"]),
    answered_at=st.sampled_from(["2026-03-01T12:00:00Z", "2026-03-02T12:00:00Z"]),
    latest_in=st.sampled_from([(), ("practice",), ("practice", "clinic")]),
    latest_in_month=st.sampled_from([(), ("practice",), ("practice", "clinic")]),
    themes=st.sampled_from([(), ("billing",), ("billing", "waiting")]),
    concerns=st.sampled_from([(), ("fall",)]),
    is_quick=st.booleans(),
    is_onsite=st.booleans(),
    is_invited=st.booleans(),
)


@given(facts, facts)
def test_a_change_leads_from_what_was_counted_to_what_is_right(before: Counted | None, after: Counted | None) -> None:
    counted = contribution(before)
    counted.update(change(before, after))
    assert +counted == contribution(after)
    assert not [number for number in counted.values() if number < 0]


@given(facts)
def test_no_change_adds_nothing(before: Counted | None) -> None:
    assert change(before, before) == {}


def test_a_rows_histogram_has_eleven_counts() -> None:
    assert histogram({"s0": 2, "s10": 3, "sent": 9}) == [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3]


def test_a_month_holds_scores_and_funnel_by_touchpoint_and_language() -> None:
    rows = by_month(a_survey(sent_at=SENT, answered_at=ANSWERED, score=9, comment="Thanks", language="es"))
    assert rows["practice", "2026-03"] == {
        **{f"evaluation|es|{stage}": 1 for stage in FUNNEL},
        "evaluation|es|s9": 1,
        "evaluation|es|comment|promoter": 1,
        "evaluation|es|u9": 1,
        "evaluation|es|m9": 1,
    }
    assert rows["clinic#north", "2026-03"] == {
        **rows["practice", "2026-03"],
        **dict.fromkeys(["@t1|s9", "@t1|u9", "@t1|m9"], 1),
    }


def test_answer_and_funnel_may_fall_into_different_months() -> None:
    april = datetime(2026, 4, 1, 16, 0, tzinfo=UTC)
    rows = by_month(a_survey(sent_at=SENT, answered_at=april, score=3))
    assert "evaluation|en|sent" in rows["practice", "2026-03"]
    assert rows["practice", "2026-04"] == dict.fromkeys(["evaluation|en|s3", "evaluation|en|u3", "evaluation|en|m3"], 1)


def test_what_a_comment_is_about_counts_with_its_group() -> None:
    comment = "I fell while I waited. The bill is wrong as well."
    row = by_month(a_survey(sent_at=SENT, answered_at=ANSWERED, score=5, comment=comment))["practice", "2026-03"]
    assert row["evaluation|en|theme|billing|detractor"] == row["evaluation|en|theme|waiting|detractor"] == 1
    assert row["evaluation|en|safety"] == 1


def test_what_may_bend_the_figures_is_counted() -> None:
    at_the_desk = datetime(2026, 3, 2, 17, 10, tzinfo=UTC)
    row = by_month(a_survey(sent_at=SENT, answered_at=at_the_desk, score=10, review_invited_at=ANSWERED))
    assert row["practice", "2026-03"]["evaluation|en|quick"] == 1
    assert row["practice", "2026-03"]["evaluation|en|review|promoter"] == 1
    later = by_month(a_survey(sent_at=SENT, answered_at=ANSWERED, score=10))
    assert not {"evaluation|en|quick", "evaluation|en|review|promoter"} & later["practice", "2026-03"].keys()


def test_an_answer_from_the_clinic_s_own_network_is_counted_by_the_version_that_counts() -> None:
    def versions(*onsite: bool) -> tuple[AcceptedAnswer, ...]:
        return tuple(
            AcceptedAnswer(number, 10, "", ANSWERED, onsite=given) for number, given in enumerate(onsite, start=1)
        )

    def marked(*onsite: bool) -> int:
        survey = a_survey(sent_at=SENT, answered_at=ANSWERED, score=10, answers=versions(*onsite))
        return by_month(survey)["practice", "2026-03"].get("evaluation|en|onsite", 0)

    assert (marked(True), marked(False), marked(True, False), marked(False, True)) == (1, 0, 0, 1)


def answered(survey: str, day: int, month: int = 3, **differences: Any) -> Survey:
    at = datetime(2026, month, day, 17, 0, tzinfo=UTC)
    return a_survey(survey, **{"sent_at": SENT, "answered_at": at, "score": day % 11, **differences})


def latest(*surveys: Survey) -> dict[str, tuple[str, ...]]:
    marked = mark_latest({survey.survey_id: facts_about(survey) for survey in surveys})
    return {survey: facts.latest_in for survey, facts in marked.items() if facts}


def test_only_the_latest_answer_of_a_quarter_is_a_patients_latest() -> None:
    found = latest(answered("a", 3), answered("c", 9), answered("b", 5))
    assert found == {"a": (), "b": (), "c": ("practice", "clinic", "therapist")}


def test_who_answers_again_in_the_quarter_stays_in_the_month_of_the_earlier_answer() -> None:
    surveys = [answered("a", 3, month=10), answered("b", 9, month=10), answered("c", 5, month=11)]
    assert latest(*surveys) == {"a": (), "b": (), "c": ("practice", "clinic", "therapist")}
    rows = {month: of_kind([row]) for (scope, month), row in by_month(*surveys).items() if scope == "practice"}
    october = {"2026-10": rows["2026-10"]}
    assert histogram_of_latest(october, "2026-10") == histogram({"s9": 1})
    assert histogram_of_latest(rows, "2026-12") == histogram({"s5": 1})
    # Twelve months that end in November judge its quarter by month: December's answers lie outside.
    assert histogram_of_latest(rows, "2026-11") == histogram({"s9": 1, "s5": 1})


def test_each_quarter_has_a_latest_answer_of_its_own() -> None:
    found = latest(answered("a", 31), answered("b", 1, month=4), answered("c", 2, month=7))
    assert set(found.values()) == {("practice", "clinic", "therapist")}


def test_clinics_and_therapists_keep_their_own_latest_answer() -> None:
    found = latest(
        answered("a", 3, clinic_id="south", therapist_id="t2"),
        answered("b", 5, therapist_id="t3"),
        answered("c", 9),
    )
    assert found == {"a": ("clinic", "therapist"), "b": ("therapist",), "c": ("practice", "clinic", "therapist")}


def test_of_two_answers_in_one_second_one_is_the_latest() -> None:
    assert latest(answered("a", 3), answered("b", 3)) == {"a": (), "b": ("practice", "clinic", "therapist")}


def test_what_the_first_release_counted_is_no_ones_latest() -> None:
    old = Counted(9, "2026-03-09", "2026-03-02", FUNNEL[:6], "north", "t1", "evaluation")
    marked = mark_latest({"old": old, "new": facts_about(answered("new", 3))})
    assert marked["old"] == old
    assert marked["new"]
    assert marked["new"].latest_in == ("practice", "clinic", "therapist")
    assert not [scope for scope, _, _ in contribution(old) if scope.startswith(MONTHLY)]


MONTHS = (
    {"evaluation|en|s9": 2, "evaluation|en|theme|billing|promoter": 1, "@t1|s9": 2},
    {"evaluation|es|s9": 3, "discharge|en|s3": 1, "discharge|en|u3": 1, "@t|1|u3": 1},
)


def test_months_add_up_over_what_is_not_asked_for() -> None:
    assert of_kind(MONTHS) == {"s9": 5, "s3": 1, "u3": 1, "theme|billing|promoter": 1}
    assert of_kind(MONTHS, touchpoint="evaluation") == {"s9": 5, "theme|billing|promoter": 1}
    assert of_kind(MONTHS, language="en") == {"s9": 2, "s3": 1, "u3": 1, "theme|billing|promoter": 1}
    assert of_kind(MONTHS, touchpoint="discharge", language="es") == {}


def test_months_tell_touchpoints_and_therapists_apart() -> None:
    assert by_touchpoint(MONTHS)["discharge"] == {"s3": 1, "u3": 1}
    assert by_therapist(MONTHS) == {"t1": {"s9": 2}, "t|1": {"u3": 1}}
    assert histogram_of_latest({"2026-03": by_therapist(MONTHS)["t|1"]}, "2026-03")[3] == 1

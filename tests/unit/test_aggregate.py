"""What a survey adds to the counts, and on which day."""

from collections import Counter
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.aggregate import FUNNEL, change, contribution, facts_of, histogram
from shared.domain.survey import Counted, Survey
from tests.builders import a_survey

NEW_YORK = ZoneInfo("America/New_York")
SENT = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)  # the evening of March 2 in New York
ANSWERED = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


def counts(survey: Survey) -> Counter[tuple[str, str, str]]:
    return contribution(facts_of(survey, NEW_YORK))


def stages(survey: Survey) -> tuple[str, ...]:
    facts = facts_of(survey, NEW_YORK)
    return facts.funnel if facts else ()


def test_an_answer_counts_once_in_every_scope_on_its_local_day() -> None:
    found = counts(a_survey(sent_at=SENT, answered_at=ANSWERED, score=9))
    scored = {scope: day for (scope, day, field) in found if field == "s9"}
    assert scored == dict.fromkeys(["practice", "clinic#north", "therapist#t1", "touchpoint#evaluation"], "2026-03-04")
    assert set(found.values()) == {1}


def test_the_funnel_counts_on_the_day_of_sending() -> None:
    found = counts(a_survey(sent_at=SENT, answered_at=ANSWERED, score=9, comment="Good"))
    practice = {field: day for (scope, day, field) in found if scope == "practice" and field in FUNNEL}
    assert practice == dict.fromkeys(FUNNEL, "2026-03-02")


def test_a_survey_never_sent_belongs_to_the_day_it_was_due() -> None:
    facts = facts_of(a_survey(unsent_reason="expired", due_at=SENT), NEW_YORK)
    assert facts
    assert facts.cohort_day == "2026-03-02"


def test_a_survey_without_a_therapist_counts_in_the_other_scopes() -> None:
    found = counts(a_survey(sent_at=SENT, therapist_id=""))
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

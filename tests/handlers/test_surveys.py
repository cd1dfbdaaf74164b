"""Surveys in the table: what is written once stays, and what a sent survey says is never taken back."""

import json
from datetime import timedelta

import pytest

from shared.domain.aggregate import FUNNEL
from shared.domain.survey import Counted, Survey
from shared.storage import surveys
from tests.builders import MONDAY_NOON, a_survey

pytestmark = pytest.mark.usefixtures("aws")
SURVEY = "a" * 26


def stored() -> Survey:
    survey = surveys.get(SURVEY)
    assert survey
    return survey


def test_the_first_moment_of_sending_stays() -> None:
    surveys.create(a_survey())
    surveys.mark_sent(SURVEY, MONDAY_NOON)
    before = stored()
    surveys.mark_sent(SURVEY, MONDAY_NOON + timedelta(days=1))
    assert stored() == before


def test_a_sent_survey_is_never_called_unsent_or_moved() -> None:
    surveys.create(a_survey())
    surveys.mark_sent(SURVEY, MONDAY_NOON)
    before = stored()
    surveys.mark_unsent(SURVEY, "expired")
    assert not surveys.move(a_survey(clinic_id="elsewhere"))
    assert stored() == before


def test_a_survey_that_was_given_up_and_then_proved_sent_counts_as_sent() -> None:
    surveys.create(a_survey())
    surveys.mark_unsent(SURVEY, "unknown")
    surveys.mark_sent(SURVEY, MONDAY_NOON)
    assert (stored().unsent_reason, stored().sent_at) == ("", MONDAY_NOON)


def test_nothing_is_written_about_a_survey_that_does_not_exist() -> None:
    surveys.mark_sent(SURVEY, MONDAY_NOON)
    surveys.mark_unsent(SURVEY, "expired")
    assert surveys.get(SURVEY) is None


def test_each_change_is_left_to_the_nightly_count() -> None:
    surveys.create(a_survey())
    assert list(surveys.uncounted()) == []
    surveys.mark_sent(SURVEY, MONDAY_NOON)
    assert list(surveys.uncounted()) == [SURVEY]
    assert stored().revision == 1


@pytest.mark.parametrize("stages", range(1, len(FUNNEL) + 1))
def test_what_was_counted_is_remembered_as_it_was_and_stages_cost_a_letter_each(stages):
    counted = Counted(9, "2026-03-02", "2026-03-01", FUNNEL[:stages], "north", "t1", "evaluation", "en")
    kept = json.loads(surveys.memory(counted))
    assert surveys.to_counted(kept) == counted
    assert len(kept["funnel"]) == stages
    assert surveys.to_counted({**kept, "funnel": list(counted.funnel)}) == counted  # as an earlier release kept it

"""Answers that came after the figures were last counted."""

from itertools import islice

from functions.serve_dashboard.choices import Choice
from shared.domain.aggregate import facts_of
from shared.domain.clock import format_instant
from shared.domain.self_test import is_canary
from shared.domain.survey import Survey
from shared.storage import comments, surveys
from shared.storage.comments import Listed
from shared.storage.lexicon import lexicon
from shared.storage.settings import practice

MOST = 400
"""Surveys looked at: of a day on which more changed, the page shows part until the night."""


def newer_answers(choice: Choice) -> int:
    """How many there are of what is chosen, whatever the period."""
    return sum(
        choice.covers(survey.clinic_id)
        and choice.therapist_id in ("", survey.therapist_id)
        and choice.touchpoint in ("", survey.touchpoint)
        and choice.language in ("", survey.language)
        for survey in _uncounted()
    )


def newer_comments() -> dict[str, Listed | None]:
    """The entries that the list of comments will have, by survey; None for an answer without a comment."""
    zone, words = practice().zone, lexicon()
    return {
        survey.survey_id: comments.of_facts(survey.survey_id, facts_of(survey, zone, words)) for survey in _uncounted()
    }


def _uncounted() -> list[Survey]:
    changed = surveys.get_many(islice(surveys.uncounted(), MOST)).values()
    theirs = (survey for survey in changed if not is_canary(survey.clinic_id))
    return [survey for survey in theirs if survey.answered_at and not _is_counted(survey)]


def _is_counted(survey: Survey) -> bool:
    """Whether the answer is, though something else has changed since."""
    answered_at = format_instant(survey.answered_at) if survey.answered_at else ""
    return survey.counted is not None and survey.counted.answered_at == answered_at

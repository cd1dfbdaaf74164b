"""Surveys that were sent, and patients who answer them, for the tests of what follows."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.identity import Token, hash_secret
from shared.domain.score import classify
from shared.domain.survey import Answer, Survey, reactions_to
from shared.storage import answers, surveys
from shared.storage.answers import Outcome
from shared.storage.lexicon import lexicon
from shared.storage.models import PatientItem, SurveyItem
from shared.storage.settings import practice
from tests.builders import MONDAY_NOON, a_survey

SECRET = hash_secret("secret")
ANSWERED_AT = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)  # Tuesday, ten in the morning in New York


def survey_id(number: int) -> str:
    """The id of the test's n-th survey, as long as a real one."""
    return f"{'abcdefghijklmnopqrstuvwxyz'[number % 26]}{number:025d}".replace("0", "a").replace("1", "b")


def sent(survey: str = "a" * 26, **differences: Any) -> str:
    """Store a survey whose mail went out on Monday; returns its id."""
    surveys.create(a_survey(survey, **differences))
    open_link(survey)
    surveys.mark_sent(survey, MONDAY_NOON + timedelta(hours=3))
    return survey


def open_link(survey: str) -> None:
    """Give the survey a link that stays open."""
    SurveyItem(survey).update(
        [SurveyItem.token_hashes.add({SECRET}), SurveyItem.expires_at.set(MONDAY_NOON + timedelta(days=30))]
    )


def answer(survey: str, score: int, comment: str = "", at: datetime = ANSWERED_AT) -> Outcome:
    """The patient answers, as record_response writes it."""
    concerns_safety = bool(lexicon().find(comment).concerns)
    pending = reactions_to(classify(score), practice(), concerns_safety=concerns_safety)
    given = Answer(score, comment, concerns_safety)
    outcome, _ = answers.record(Token(survey, SECRET), given, pending, at, practice().edit_window)
    return outcome


def stored(survey: str) -> Survey:
    """The survey as it stands in the table."""
    found = surveys.get(survey)
    assert found
    return found


def add_patient(patient_id: str = "p1", **differences: Any) -> None:
    """Store a patient."""
    PatientItem(
        patient_id,
        **{
            "first_name": "Ada",
            "last_name": "Okafor",
            "email": "ada@example.com",
            "phone": "+15185550123",
            **differences,
        },
    ).save()

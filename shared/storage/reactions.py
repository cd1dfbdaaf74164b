"""Reactions to answers: finding what is owed, from the stream or by sweeping, and noting what was done about it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from shared.domain.alerting import alerts_owed
from shared.domain.clock import scheduled_time
from shared.domain.score import Category
from shared.domain.settings import PassiveAlerts
from shared.domain.survey import AcceptedAnswer, Survey
from shared.observability import log, warn
from shared.storage import activity, surveys
from shared.storage.settings import practice


class ReactionsFailed(Exception):
    """Some reactions could not be done. They stay owed."""


def react(event: dict[str, Any], owed: Sequence[str], reaction: Callable[[Survey], None]) -> dict[str, Any]:
    """Carry out the reaction to each survey of a stream batch or, for `{"time": …}`, to each that is still owed it.

    Every survey is read afresh: what is current counts, not what the record says. One that fails stays owed and keeps
    none of the others waiting: Lambda delivers a batch again from the first failure on, so the later ones may see
    their reaction twice, but none is lost should the failing record end in the on-failure queue.
    """
    if "Records" in event:
        records = [record["dynamodb"] for record in event["Records"]]
        failed = [record for record in records if not attempt(reaction, record["Keys"]["survey_id"]["S"])]
        return {"batchItemFailures": [{"itemIdentifier": record["SequenceNumber"]} for record in failed]}
    done = sweep(owed, scheduled_time(event), reaction)
    log("sweep_finished", surveys=done)
    return {"surveys": done}


def sweep(owed: Sequence[str], until: datetime, reaction: Callable[[Survey], None]) -> int:
    """Carry out the reaction to every survey answered by then that is owed it; raises at the end if any failed."""
    outcomes = [attempt(reaction, survey_id) for pending in owed for survey_id in surveys.owed(pending, until)]
    if failed := outcomes.count(False):
        raise ReactionsFailed(f"{failed} of {len(outcomes)} reactions failed")
    return len(outcomes)


def attempt(reaction: Callable[[Survey], None], survey_id: str) -> bool:
    """Whether the reaction to this survey succeeded; a failure is told by its type."""
    try:
        if survey := surveys.get(survey_id):
            reaction(survey)
    except Exception as error:  # noqa: BLE001 (the caller reports it, so that it is tried again)
        warn("reaction_failed", survey_id=survey_id, error=type(error).__name__)
        return False
    return True


def unalerted(survey: Survey) -> list[AcceptedAnswer]:
    """The answers of which the staff must hear at once and have not heard yet, oldest first."""
    owed = alerts_owed(survey.answers, passives=practice().passive_alerts is PassiveAlerts.IMMEDIATE)
    return [versions[0] for versions in owed if not any(was_told(survey, "alert", answer) for answer in versions)]


def was_told(survey: Survey, kind: str, answer: AcceptedAnswer) -> bool:
    """Whether an `alert` or `digest` told the staff of this version."""
    known_as = (survey.patient_id, *survey.former_patient_ids)
    return any(activity.has(patient_id, kind, answer.at, _key(survey, answer)) for patient_id in known_as)


def note_told(survey: Survey, kind: str, answer: AcceptedAnswer) -> None:
    """Note that an `alert` or `digest` told the staff of this version."""
    _note(survey, kind, answer)


def note_answers(survey: Survey) -> None:
    """Put every accepted answer, without its comment, on the patient's list, and where one took back a low score."""
    for answer in survey.answers:
        _note(survey, "answered", answer)
    for earlier, later in pairwise(survey.answers):
        if earlier.category is Category.DETRACTOR and later.category is not Category.DETRACTOR:
            _note(survey, "answer_changed", later)


def _note(survey: Survey, kind: str, answer: AcceptedAnswer) -> None:
    activity.note(
        survey.patient_id,
        kind,
        answer.at,
        _key(survey, answer),
        survey_id=survey.survey_id,
        version=answer.version,
        score=answer.score,
    )


def _key(survey: Survey, answer: AcceptedAnswer) -> str:
    return f"{survey.survey_id}-v{answer.version}"

"""Surveys, except for the patient's own answer, which is written by shared.storage.answers."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, asdict, fields
from datetime import datetime, timedelta
from typing import Any

from pynamodb.exceptions import DoesNotExist, PutError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.config import setting
from shared.domain.clock import parse_instant
from shared.domain.patient import Language
from shared.domain.score import Category
from shared.domain.survey import AcceptedAnswer, Counted, Survey
from shared.storage.conditions import condition_failed
from shared.storage.dynamodb import client
from shared.storage.models import SurveyItem

UNCOUNTED = "yes"


def create(survey: Survey) -> bool:
    """Put the survey once; False if it exists."""
    item = SurveyItem(
        survey.survey_id,
        patient_id=survey.patient_id,
        case_id=survey.case_id,
        episode=survey.episode,
        visit_id=survey.visit_id,
        clinic_id=survey.clinic_id,
        therapist_id=survey.therapist_id,
        touchpoint=survey.touchpoint,
        occurred_at=survey.occurred_at,
        due_at=survey.due_at,
        language=survey.language,
    )
    try:
        item.save(condition=SurveyItem.survey_id.does_not_exist())
    except PutError as error:
        if condition_failed(error):
            return False
        raise
    return True


def get(survey_id: str) -> Survey | None:
    """The survey as last written, or None."""
    try:
        return to_survey(SurveyItem.get(survey_id, consistent_read=True))
    except DoesNotExist:
        return None


def get_many(survey_ids: Iterable[str]) -> dict[str, Survey]:
    """The surveys among these ids that exist, as last written, by id."""
    found = SurveyItem.batch_get(sorted(set(survey_ids)), consistent_read=True)
    return {item.survey_id: to_survey(item) for item in found}


def of_patient(patient_id: str) -> list[Survey]:
    """All surveys of a patient; one made in the last second may be missing (the index follows the table)."""
    return list(get_many(ids_of_patient(patient_id)).values())


def ids_of_patient(patient_id: str) -> list[str]:
    """The ids of all surveys of a patient, as the index knows them."""
    return [item.survey_id for item in SurveyItem.by_patient.query(patient_id)]


def answered_in(clinic_id: str, first: datetime, until: datetime) -> Iterator[str]:
    """The ids of a clinic's surveys by their counted answers, from `first` until before `until`, oldest first."""
    last = until - timedelta(seconds=1)  # moments are whole seconds
    for item in SurveyItem.answered_index.query(clinic_id, SurveyItem.counted_answer_at.between(first, last)):
        yield item.survey_id


def move(survey: Survey) -> bool:
    """Write where and when an unsent survey's changed visit puts it; False if it was sent or answered meanwhile."""
    item = SurveyItem
    return _update(
        survey.survey_id,
        [
            item.case_id.set(survey.case_id),
            item.episode.set(survey.episode),
            item.visit_id.set(survey.visit_id),
            item.clinic_id.set(survey.clinic_id),
            item.therapist_id.set(survey.therapist_id),
            item.occurred_at.set(survey.occurred_at),
            item.due_at.set(survey.due_at),
            item.unsent_reason.remove(),
            *_changed(),
        ],
        item.sent_at.does_not_exist() & item.version.does_not_exist() & item.survey_id.exists(),
    )


def give_to(survey: Survey, patient_id: str) -> None:
    """Make the survey the patient's, with its answers and whatever became of it; its links go on working."""
    item = SurveyItem
    # Whose answer it is decides which of several is the latest: the aggregates must look again.
    changes = [item.patient_id.set(patient_id), item.former_patient_ids.add({survey.patient_id}), *_changed()]
    _update(survey.survey_id, changes, item.patient_id == survey.patient_id)


def mark_sent(survey_id: str, sent_at: datetime) -> None:
    """Note when the survey was sent; the first moment stays."""
    _update(
        survey_id,
        [SurveyItem.sent_at.set(sent_at), SurveyItem.unsent_reason.remove(), *_changed()],
        SurveyItem.survey_id.exists() & SurveyItem.sent_at.does_not_exist(),
    )


def mark_delivered(survey_id: str, at: datetime) -> None:
    """Note when a mail of the survey was delivered; the first moment stays."""
    _update(
        survey_id,
        [SurveyItem.delivered_at.set(at), *_changed()],
        SurveyItem.survey_id.exists() & SurveyItem.delivered_at.does_not_exist(),
    )


def mark_rejected(survey_id: str) -> None:
    """Note that the provider threw the survey's mail away after it had taken it; nothing if it was answered."""
    _update(
        survey_id,
        [SurveyItem.sent_at.remove(), SurveyItem.unsent_reason.set("refused"), *_changed()],
        SurveyItem.survey_id.exists()
        & SurveyItem.version.does_not_exist()
        & (SurveyItem.unsent_reason.does_not_exist() | (SurveyItem.unsent_reason != "refused")),
    )


def mark_invited(survey_id: str, at: datetime) -> None:
    """Note when the patient was asked for a public review; the first moment stays."""
    _update(
        survey_id,
        [SurveyItem.review_invited_at.set(at), *_changed()],
        SurveyItem.survey_id.exists() & SurveyItem.review_invited_at.does_not_exist(),
    )


def mark_unsent(survey_id: str, reason: str) -> None:
    """Note why the survey was never sent (or is not known to have been); nothing if it was."""
    _update(
        survey_id,
        [SurveyItem.unsent_reason.set(reason), *_changed()],
        SurveyItem.survey_id.exists() & SurveyItem.sent_at.does_not_exist(),
    )


def owed(pending_reaction: str, until: datetime) -> Iterator[str]:
    """The ids of surveys answered by then to which exactly this is still owed, oldest first."""
    for item in SurveyItem.owed_reactions.query(pending_reaction, SurveyItem.answered_at <= until):
        yield item.survey_id


def settle_reaction(survey: Survey, rest: str) -> bool:
    """Write what is still owed to this version once something was done; False if the answer changed meanwhile."""
    item = SurveyItem
    return _update(
        survey.survey_id,
        [item.pending_reaction.set(rest) if rest else item.pending_reaction.remove()],
        (item.version == survey.version) & (item.pending_reaction == survey.pending_reaction),
    )


def uncounted() -> Iterator[str]:
    """The ids of all surveys that changed since they were last counted."""
    for item in SurveyItem.uncounted_index.query(UNCOUNTED):
        yield item.survey_id


def counted_in_full() -> Iterator[str]:
    """The ids of all surveys whose counts an earlier release noted, with the names of the stages written out.

    Reads the whole table: for once, after an update that counts more than the release before.
    """
    pages = (
        client()
        .get_paginator("scan")
        .paginate(
            TableName=setting("SURVEYS_TABLE"),
            ProjectionExpression="survey_id",
            FilterExpression="contains(counted, :stage)",
            ExpressionAttributeValues={":stage": {"S": '"eligible"'}},
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield item["survey_id"]["S"]


def _changed() -> list[Action]:
    return [SurveyItem.uncounted.set(UNCOUNTED), SurveyItem.revision.add(1)]


def counting(survey: Survey, counted: Counted | None) -> dict[str, Any]:
    """The transaction's part that notes what the aggregates now hold of a survey, for shared.storage.scores.

    Refused if the survey changed since it was read. Where something is added the revision goes up, so that whoever
    read it before, to count the same, is refused too.
    """
    values = {":revision": {"N": str(survey.revision)}}
    if counted:
        values[":counted"] = {"S": memory(counted)}
    set_, remove = (["counted = :counted"], ["uncounted"]) if counted else ([], ["counted", "uncounted"])
    if counted != survey.counted:
        set_.append("revision = :next")
        values[":next"] = {"N": str(survey.revision + 1)}
    if counted and counted.answered_at:
        # Written here and not with the answer, so that a patient's tap pays for no further index.
        set_.append("counted_answer_at = :answered")
        values[":answered"] = {"S": counted.answered_at}
    else:
        remove.append("counted_answer_at")
    return {
        "Update": {
            "TableName": setting("SURVEYS_TABLE"),
            "Key": {"survey_id": {"S": survey.survey_id}},
            "UpdateExpression": (f"SET {', '.join(set_)} " if set_ else "") + f"REMOVE {', '.join(remove)}",
            "ConditionExpression": "revision = :revision",
            "ExpressionAttributeValues": values,
        }
    }


_DEFAULTS = {field.name: field.default for field in fields(Counted) if field.default is not MISSING}


_STAGES = {
    "eligible": "e",
    "has_address": "a",
    "not_held": "n",
    "sent": "s",
    "delivered": "d",
    "answered": "r",
    "commented": "c",
}
"""A letter for each stage: written out, the names make an answered survey cost a write unit more."""


def memory(counted: Counted) -> str:
    """The facts as they are kept: as short as can be, since they are written each time with the survey."""
    facts = asdict(counted) | {"funnel": "".join(_STAGES[stage] for stage in counted.funnel)}
    said = {name: value for name, value in facts.items() if name not in _DEFAULTS or value != _DEFAULTS[name]}
    return json.dumps(said, separators=(",", ":"))


def to_counted(kept: dict[str, Any]) -> Counted:
    """The facts as they were kept; the names of the stages may stand there in full."""
    facts: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in kept.items()}
    if isinstance(kept["funnel"], str):
        facts["funnel"] = tuple(stage for stage, letter in _STAGES.items() if letter in kept["funnel"])
    return Counted(**facts)


def _update(survey_id: str, actions: list[Action], condition: Condition) -> bool:
    try:
        SurveyItem(survey_id).update(actions, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def _answers(item: SurveyItem) -> Iterator[AcceptedAnswer]:
    comment, concerns_safety = "", False
    for number, answer in enumerate(item.answers or (), start=1):
        if answer["comment"]:  # an answer without a comment leaves the earlier one in force
            comment, concerns_safety = answer["comment"], answer.get("concerns_safety", False)
        onsite = answer.get("onsite", False)
        yield AcceptedAnswer(
            number, int(answer["score"]), comment, parse_instant(answer["at"]), concerns_safety, onsite
        )


def to_survey(item: SurveyItem) -> Survey:
    """The stored item as the domain knows it."""
    counted = item.counted
    return Survey(
        survey_id=item.survey_id,
        patient_id=item.patient_id,
        case_id=item.case_id,
        episode=item.episode,
        visit_id=item.visit_id,
        clinic_id=item.clinic_id,
        therapist_id=item.therapist_id,
        touchpoint=item.touchpoint,
        occurred_at=item.occurred_at,
        due_at=item.due_at,
        language=Language(item.language),
        token_hashes=frozenset(item.token_hashes or ()),
        expires_at=item.expires_at,
        sent_at=item.sent_at,
        delivered_at=item.delivered_at,
        unsent_reason=item.unsent_reason or "",
        score=None if item.score is None else int(item.score),
        category=Category(item.category) if item.category else None,
        comment=item.comment or "",
        version=int(item.version or 0),
        first_answered_at=item.first_answered_at,
        answered_at=item.answered_at,
        pending_reaction=item.pending_reaction or "",
        answers=tuple(_answers(item)),
        revision=int(item.revision or 0),
        counted=to_counted(counted) if counted else None,
        review_invited_at=item.review_invited_at,
        former_patient_ids=frozenset(item.former_patient_ids or ()),
    )

"""The staff's cases: one a survey, changed only from the state that was seen."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from pynamodb.exceptions import DoesNotExist, PutError
from pynamodb.expressions.condition import Condition

from shared.domain.clock import format_instant, parse_instant
from shared.domain.recovery import CaseState, Channel, Outcome, Outreach, RecoveryCase, Result, deadline
from shared.domain.score import Category
from shared.domain.self_test import is_canary
from shared.domain.settings import Clinic, Practice
from shared.domain.survey import AcceptedAnswer, Survey
from shared.storage.conditions import condition_failed
from shared.storage.models import CaseItem

OPEN = "open"


def create(case: RecoveryCase) -> bool:
    """Put the case once; False if the survey has one, however often its alert repeats."""
    return _save(case, CaseItem.survey_id.does_not_exist())


def open_for(survey: Survey, answer: AcceptedAnswer, clinic: Clinic, practice: Practice) -> None:
    """Open the survey's case, to be answered within business hours; nothing if it has one, whatever became of it."""
    create(
        RecoveryCase(
            survey_id=survey.survey_id,
            patient_id=survey.patient_id,
            clinic_id=survey.clinic_id,
            therapist_id=survey.therapist_id,
            category=answer.category,
            opened_at=answer.at,
            deadline=deadline(answer.at, practice.response_hours, clinic.zone, practice.business),
            safety=answer.concerns_safety,
        )
    )


def mark_escalated(survey_id: str, at: datetime) -> None:
    """Note when the owner was told that nobody reached out, whatever else changes the case meanwhile."""
    CaseItem(survey_id).update([CaseItem.escalated_at.set(at), CaseItem.version.add(1)])


def write(case: RecoveryCase, seen: RecoveryCase) -> bool:
    """Write the case unless it changed since it was `seen`; False if someone else was faster."""
    return _save(case, CaseItem.version == seen.version)


def get(survey_id: str) -> RecoveryCase | None:
    """The case of a survey as last written, or None."""
    try:
        return to_case(CaseItem.get(survey_id, consistent_read=True))
    except DoesNotExist:
        return None


def get_many(survey_ids: Iterable[str]) -> dict[str, RecoveryCase]:
    """The cases among these surveys', as last written, by survey id."""
    found = CaseItem.batch_get(sorted(set(survey_ids)), consistent_read=True)
    return {item.survey_id: to_case(item) for item in found}


def open_ones(until: datetime | None = None) -> Iterator[tuple[str, str]]:
    """Survey and clinic of the practice's open cases, the earliest deadline first; `until` leaves out later ones."""
    condition = CaseItem.listed_at <= until if until else None
    for item in CaseItem.listed.query(OPEN, condition):
        if not is_canary(item.clinic_id):
            yield item.survey_id, item.clinic_id


def closed_in(month: str) -> Iterator[tuple[str, str]]:
    """Survey and clinic of each case that was closed in a month such as 2026-03 (UTC), the latest first."""
    for item in CaseItem.listed.query(f"closed#{month}", scan_index_forward=False):
        yield item.survey_id, item.clinic_id


def _save(case: RecoveryCase, condition: Condition) -> bool:
    try:
        _to_item(case).save(condition=condition)
    except PutError as error:
        if condition_failed(error):
            return False
        raise
    return True


def _to_item(case: RecoveryCase) -> CaseItem:
    closed = case.closed_at if case.state is CaseState.CLOSED else None
    return CaseItem(
        case.survey_id,
        listed_under=f"closed#{closed:%Y-%m}" if closed else OPEN,
        listed_at=closed or case.deadline,
        patient_id=case.patient_id,
        clinic_id=case.clinic_id,
        therapist_id=case.therapist_id,
        category=case.category,
        state=case.state,
        opened_at=case.opened_at,
        deadline=case.deadline,
        owner=case.owner,
        owner_name=case.owner_name,
        claimed_at=case.claimed_at,
        outreach=[_from_outreach(attempt) for attempt in case.outreach],
        replied_at=case.replied_at,
        escalated_at=case.escalated_at,
        outcome=case.outcome,
        reason=case.reason,
        closing_note=case.closing_note,
        closed_at=case.closed_at,
        closed_by=case.closed_by,
        safety=case.safety,
        version=case.version,
    )


def _from_outreach(attempt: Outreach) -> dict[str, str]:
    return {
        "at": format_instant(attempt.at),
        "by": attempt.by,
        "by_name": attempt.by_name,
        "channel": attempt.channel.value,
        "result": attempt.result.value,
        "note": attempt.note,
        "despite": attempt.despite,
    }


def _to_outreach(kept: Any) -> Outreach:
    return Outreach(
        at=parse_instant(kept["at"]),
        by=kept["by"],
        by_name=kept["by_name"],
        channel=Channel(kept["channel"]),
        result=Result(kept["result"]),
        note=kept["note"],
        despite=kept["despite"],
    )


def to_case(item: CaseItem) -> RecoveryCase:
    """The stored item as the domain knows it."""
    return RecoveryCase(
        survey_id=item.survey_id,
        patient_id=item.patient_id,
        clinic_id=item.clinic_id,
        therapist_id=item.therapist_id,
        category=Category(item.category),
        state=CaseState(item.state),
        opened_at=item.opened_at,
        deadline=item.deadline,
        owner=item.owner,
        owner_name=item.owner_name,
        claimed_at=item.claimed_at,
        outreach=tuple(_to_outreach(attempt) for attempt in item.outreach),
        replied_at=item.replied_at,
        escalated_at=item.escalated_at,
        outcome=Outcome(item.outcome) if item.outcome else None,
        reason=item.reason,
        closing_note=item.closing_note,
        closed_at=item.closed_at,
        closed_by=item.closed_by,
        safety=item.safety,
        version=int(item.version),
    )

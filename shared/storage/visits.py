"""Visits."""

from pynamodb.exceptions import PutError
from pynamodb.expressions.condition import Condition

from shared.domain.episode import Visit, VisitKind, VisitStatus
from shared.storage.conditions import condition_failed
from shared.storage.models import VisitItem


def of_patient(patient_id: str) -> dict[str, Visit]:
    """Every visit of a patient, removed ones too, by visit id."""
    return {item.visit_id: _to_visit(item) for item in VisitItem.query(patient_id, consistent_read=True)}


def put(visit: Visit, seen: Visit | None) -> bool:
    """Write a visit unless it changed since it was `seen`; False if someone else was faster."""
    unchanged: Condition = VisitItem.visit_id.does_not_exist()
    if seen and seen.uploaded_at:
        unchanged = VisitItem.uploaded_at == seen.uploaded_at
        if seen.updated_at:
            unchanged &= VisitItem.updated_at == seen.updated_at
    try:
        _to_item(visit).save(condition=unchanged)
    except PutError as error:
        if condition_failed(error):
            return False
        raise
    return True


def _to_item(visit: Visit) -> VisitItem:
    return VisitItem(
        patient_id=visit.patient_id,
        visit_id=visit.visit_id,
        case_id=visit.case_id,
        clinic_id=visit.clinic_id,
        clinic_name=visit.clinic_name,
        therapist_id=visit.therapist_id,
        therapist_name=visit.therapist_name,
        started_at=visit.started_at,
        ended_at=visit.ended_at,
        kind=visit.kind,
        status=visit.status,
        removed=visit.removed,
        updated_at=visit.updated_at,
        uploaded_at=visit.uploaded_at,
    )


def _to_visit(item: VisitItem) -> Visit:
    return Visit(
        patient_id=item.patient_id,
        visit_id=item.visit_id,
        case_id=item.case_id,
        clinic_id=item.clinic_id,
        clinic_name=item.clinic_name,
        therapist_id=item.therapist_id,
        therapist_name=item.therapist_name,
        started_at=item.started_at,
        ended_at=item.ended_at,
        kind=VisitKind(item.kind),
        status=VisitStatus(item.status),
        removed=item.removed,
        updated_at=item.updated_at,
        uploaded_at=item.uploaded_at,
    )

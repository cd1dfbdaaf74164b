"""Patients."""

from collections.abc import Iterable
from datetime import datetime

from pynamodb.exceptions import DoesNotExist, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.domain.patient import Language, Patient
from shared.storage.conditions import condition_failed
from shared.storage.models import PatientItem


def get(patient_id: str) -> Patient | None:
    """The patient as last written, or None."""
    try:
        return to_patient(PatientItem.get(patient_id, consistent_read=True))
    except DoesNotExist:
        return None


def get_many(patient_ids: Iterable[str], *, consistent: bool = False) -> dict[str, Patient]:
    """The patients among these ids that exist, by id."""
    found = PatientItem.batch_get(sorted(set(patient_ids)), consistent_read=consistent)
    return {item.patient_id: to_patient(item) for item in found}


def put_record(patient: Patient, seen: Patient | None) -> bool:
    """Write what the practice's records say of a patient, unless the record changed since it was `seen`.

    Mailing history and holds are left as they are; an opt-out is set, never cleared. False if someone else was faster.
    """
    item = PatientItem
    changes: list[Action] = [
        item.first_name.set(patient.first_name),
        item.last_name.set(patient.last_name),
        item.email.set(patient.email),
        item.phone.set(patient.phone),
        item.language.set(patient.language),
        item.clinic_id.set(patient.clinic_id),
        item.tags.set(list(patient.tags)),
        item.deceased.set(patient.deceased),
        item.archived.set(patient.archived),
    ]
    if patient.opted_out:
        changes.append(item.opted_out.set(True))
    for attribute, moment in ((item.updated_at, patient.updated_at), (item.uploaded_at, patient.uploaded_at)):
        changes.append(attribute.set(moment) if moment else attribute.remove())
    return _update(patient.patient_id, changes, _unchanged(seen))


def opt_out(patient_id: str) -> bool:
    """Never mail this patient again, known or not; False if that was said before."""
    is_new = PatientItem.opted_out.does_not_exist() | (PatientItem.opted_out == False)  # noqa: E712 (an expression)
    return _update(patient_id, [PatientItem.opted_out.set(True)], is_new)


def _unchanged(seen: Patient | None) -> Condition:
    if seen is None:
        return PatientItem.uploaded_at.does_not_exist()
    if seen.uploaded_at is None:  # made by an opt-out, before any file named the patient
        return PatientItem.uploaded_at.does_not_exist()
    unchanged: Condition = PatientItem.uploaded_at == seen.uploaded_at
    if seen.updated_at:
        unchanged &= PatientItem.updated_at == seen.updated_at
    return unchanged


def _update(patient_id: str, changes: list[Action], condition: Condition) -> bool:
    try:
        PatientItem(patient_id).update(changes, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def to_patient(item: PatientItem) -> Patient:
    """The stored item as the domain knows it."""
    return Patient(
        patient_id=item.patient_id,
        first_name=item.first_name,
        last_name=item.last_name,
        email=item.email,
        phone=item.phone,
        language=Language(item.language),
        clinic_id=item.clinic_id,
        tags=tuple(item.tags),
        opted_out=item.opted_out,
        hold=item.hold,
        deceased=item.deceased,
        archived=item.archived,
        updated_at=item.updated_at,
        uploaded_at=item.uploaded_at,
        surveyed_at=item.surveyed_at,
        surveyed_by=item.surveyed_by or "",
        surveyed_for=item.surveyed_for,
        review_requested_at=item.review_requested_at,
        review_requested_by=item.review_requested_by or "",
    )


def pause_began_before(cutoff: datetime, message_id: str) -> Condition:
    """Condition: the patient was not surveyed after the cutoff, except by this same message."""
    item = PatientItem
    free: Condition = (
        item.surveyed_at.does_not_exist() | (item.surveyed_at <= cutoff) | (item.surveyed_by == message_id)
    )
    return free

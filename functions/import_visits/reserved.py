"""Rows that use an id of Careloop's own: what they tell of would count for nobody."""

from functions.import_visits.records import (
    CaseRecord,
    ClinicRecord,
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.self_test import CLINIC_ID, is_reserved

RESERVED = f"uses an id that begins with {CLINIC_ID}, which is kept for Careloop's own nightly test: choose another"


def refuse(row: Row | Refusal) -> Refusal | None:
    """The refusal of a row, with whatever counts of it, that uses such an id; None if it does not."""
    records = row.heard if isinstance(row, Refusal) else row.records
    if any(is_reserved(id_) for record in records for id_ in _ids(record)):
        return Refusal(row.line, row.raw, "", RESERVED)
    return None


def _ids(record: Record) -> tuple[str, ...]:
    """The ids of patients and clinics that a record is about."""
    match record:
        case PatientRecord(patient):
            return patient.patient_id, patient.clinic_id
        case VisitRecord(visit):
            return visit.patient_id, visit.clinic_id
        case CaseRecord(case):
            return (case.patient_id,)
        case MergeRecord(patient_id, retired_id):
            return patient_id, retired_id
        case ClinicRecord(clinic):
            return (clinic.clinic_id,)
        case NameRecord(Named.CLINIC, ids):
            return ids
        case _:
            return ()

"""Rows about patients who were erased on request: they are refused, and nothing of them is kept."""

from dataclasses import dataclass

from functions.import_visits.records import (
    CaseRecord,
    ErasedMeanwhile,
    MergeRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.erasure import ERASED
from shared.storage import erasures


@dataclass(frozen=True, slots=True)
class Erased:
    """Who was erased, by reference."""

    references: frozenset[str]

    def refuse(self, row: Row | Refusal) -> Refusal | None:
        """The refusal of a row that tells of one of them; None if it does not."""
        records = row.heard if isinstance(row, Refusal) else row.records
        if any(self._is_one(patient_id) for record in records for patient_id in _named(record)):
            return Refusal(row.line, b"", "", ERASED)
        return None

    def _is_one(self, patient_id: str) -> bool:
        if patient_id.startswith(erasures.PREFIX):
            return True  # such a key is ours
        return bool(self.references) and erasures.reference(patient_id) in self.references


def stop_if_erased(*patient_ids: str) -> None:
    """Raise ErasedMeanwhile if any of these was erased by now."""
    if found := erasures.erased_among(patient_ids):
        raise ErasedMeanwhile(found)


def _named(record: Record) -> tuple[str, ...]:
    match record:
        case PatientRecord(patient):
            return (patient.patient_id,)
        case VisitRecord(visit):
            return (visit.patient_id,)
        case CaseRecord(case):
            return (case.patient_id,)
        case MergeRecord(patient_id, retired_id):
            return (patient_id, retired_id)
        case _:
            return ()

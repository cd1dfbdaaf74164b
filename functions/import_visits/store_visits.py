"""Visits: stored only when the surveys they lead to are in place, so that an import cut short leaves no gap."""

from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime

from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import ATTEMPTS, Contended, grouped, is_older, merge_all
from functions.import_visits.records import VisitRecord
from shared.domain.episode import Visit
from shared.domain.patient import Patient
from shared.storage import patients, visits

Visits = dict[str, Visit]


def store_visits(
    records: Iterable[VisitRecord], uploaded_at: datetime, follow_up: FollowUp, workers: Executor
) -> Counter[str]:
    """Store the visits and what follows from them, several patients side by side. Counts the rows."""
    groups = grouped(records, lambda record: record.visit.patient_id)
    known = patients.get_many(groups, consistent=True)

    def store(patient_id: str) -> Counter[str]:
        return _store(patient_id, known.get(patient_id), groups[patient_id], uploaded_at, follow_up)

    return sum(workers.map(store, groups), Counter[str]())


def _store(
    patient_id: str, patient: Patient | None, records: Sequence[VisitRecord], uploaded_at: datetime, follow_up: FollowUp
) -> Counter[str]:
    """Surveys first, visits last; then look again, since another import may have written visits of this patient.

    Rows that change nothing are followed up as well: the import that stored them may have died meanwhile.
    """
    counts: Counter[str] | None = None
    seen: list[Visits] = []
    for _ in range(ATTEMPTS):
        stored = visits.of_patient(patient_id)
        if seen and stored == seen[-1]:
            return counts or Counter()
        merged, outcomes = _merge_all(stored, records, uploaded_at)
        counts = counts or outcomes
        seen.append(stored)
        follow_up.settle(patient_id, patient, merged.values(), [former.values() for former in seen])
        if merged == stored:
            return counts
        for visit_id, visit in merged.items():
            if visit != stored.get(visit_id):
                visits.put(visit, stored.get(visit_id))
        seen.append(merged)
    raise Contended


def _merge_all(stored: Visits, records: Sequence[VisitRecord], uploaded_at: datetime) -> tuple[Visits, Counter[str]]:
    merged, counts = dict(stored), Counter[str]()
    for visit_id, rows in grouped(records, lambda record: record.visit.visit_id).items():
        visit, outcomes = merge_all(stored.get(visit_id), rows, lambda current, row: _merge(current, row, uploaded_at))
        if visit:
            merged[visit_id] = visit
        counts += outcomes
    return merged, counts


def _merge(stored: Visit | None, record: VisitRecord, uploaded_at: datetime) -> Visit:
    said = replace(record.visit, uploaded_at=uploaded_at)
    if stored is None:
        return said
    if is_older(said, stored):
        return stored
    return replace(said, **{name: getattr(stored, name) for name in record.absent})

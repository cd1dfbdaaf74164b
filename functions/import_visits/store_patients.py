"""Patients: stored as the practice's records have them, beside what only Careloop knows."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import ATTEMPTS, Contended, grouped, is_older, merge_all
from functions.import_visits.records import PatientRecord
from shared.domain.patient import Patient
from shared.storage import patients

_OURS = ("hold", "surveyed_at", "surveyed_by", "surveyed_for", "review_requested_at", "review_requested_by")


def store_patients(records: Iterable[PatientRecord], uploaded_at: datetime, follow_up: FollowUp) -> Counter[str]:
    """Store each patient once, whatever the number of rows; an opt-out is set, never cleared. Counts the rows.

    Visits may come before their patient: if the patient turns out to be archived, what they led to is withdrawn first.
    """
    outcomes = Counter[str]()
    groups = grouped(records, lambda record: record.patient.patient_id)
    known = patients.get_many(groups, consistent=True)
    for patient_id, rows in groups.items():
        outcomes += _store(known.get(patient_id), rows, uploaded_at, follow_up)
    return outcomes


def _store(
    stored: Patient | None, rows: list[PatientRecord], uploaded_at: datetime, follow_up: FollowUp
) -> Counter[str]:
    for _ in range(ATTEMPTS):
        merged, outcomes = merge_all(stored, rows, lambda current, row: _merge(current, row, uploaded_at))
        is_news = stored is None or stored.uploaded_at is None
        if merged and merged.archived and is_news:
            follow_up.forget(merged.patient_id)
        if merged is None or merged == stored or patients.put_record(merged, stored):
            return outcomes
        stored = patients.get(rows[0].patient.patient_id)
    raise Contended


def _merge(stored: Patient | None, record: PatientRecord, uploaded_at: datetime) -> Patient:
    said = replace(record.patient, uploaded_at=uploaded_at)
    if stored is None:
        return said
    if is_older(said, stored):
        return stored
    kept = {name: getattr(stored, name) for name in (*_OURS, *record.absent)}
    return replace(said, opted_out=said.opted_out or stored.opted_out, **kept)

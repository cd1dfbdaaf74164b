"""Clinics: what is set for each, over the practice's choices."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from functions.import_visits.merge import grouped, merge_all
from functions.import_visits.records import ClinicRecord
from shared.domain.settings import ClinicSettings
from shared.storage import settings


def store_clinics(records: Iterable[ClinicRecord], uploaded_at: datetime) -> Counter[str]:
    """Store each clinic; the last upload wins. Counts the rows."""
    outcomes = Counter[str]()
    for clinic_id, rows in grouped(records, lambda record: record.clinic.clinic_id).items():
        stored = settings.read_clinic(clinic_id)
        merged, counts = merge_all(stored, rows, lambda current, row: _merge(current, row, uploaded_at))
        if merged and merged != stored:
            settings.put_clinic(merged)
        outcomes += counts
    return outcomes


def _merge(stored: ClinicSettings | None, record: ClinicRecord, uploaded_at: datetime) -> ClinicSettings:
    said = replace(record.clinic, uploaded_at=uploaded_at)
    if stored is None:
        return said
    if stored.uploaded_at and uploaded_at < stored.uploaded_at:
        return stored
    return replace(said, **{name: getattr(stored, name) for name in record.absent})

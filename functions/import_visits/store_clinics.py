"""Clinics: what is set for each, over the practice's choices."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from functions.import_visits.merge import Outcome, merge_all
from functions.import_visits.records import ClinicRecord
from shared.domain.settings import ClinicSettings
from shared.storage import settings


def store_clinic(rows: Sequence[tuple[int, ClinicRecord]], uploaded_at: datetime) -> list[tuple[int, Outcome]]:
    """Store one clinic, of which these are all rows; the last upload wins."""
    stored = settings.read_clinic(rows[0][1].clinic.clinic_id)
    merged, outcomes = merge_all(
        stored, [record for _, record in rows], lambda current, row: _merge(current, row, uploaded_at)
    )
    if merged and merged != stored:
        settings.put_clinic(merged)
    return [(line, outcome) for (line, _), outcome in zip(rows, outcomes, strict=True)]


def _merge(stored: ClinicSettings | None, record: ClinicRecord, uploaded_at: datetime) -> ClinicSettings:
    said = replace(record.clinic, uploaded_at=uploaded_at)
    if stored is None:
        return said
    if stored.uploaded_at and uploaded_at < stored.uploaded_at:
        return stored
    # No file has a column for the clinic's networks: they are set on the dashboard.
    return replace(said, networks=stored.networks, **{name: getattr(stored, name) for name in record.absent})

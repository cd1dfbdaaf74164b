"""What happened to a patient: append-only, ids and facts, never a comment or an address."""

from dataclasses import dataclass
from datetime import datetime

from pynamodb.exceptions import DoesNotExist

from shared.domain.clock import format_instant
from shared.storage.models import ActivityItem


def note(
    patient_id: str,
    kind: str,
    at: datetime,
    key: str,
    *,
    survey_id: str | None = None,
    message_id: str | None = None,
    version: int | None = None,
    score: int | None = None,
    detail: str | None = None,
) -> None:
    """Add an entry; the same time, kind and key is the same entry, so that saying it twice changes nothing."""
    ActivityItem(
        patient_id,
        _entry(at, kind, key),
        kind=kind,
        at=at,
        survey_id=survey_id,
        message_id=message_id,
        version=version,
        score=score,
        detail=detail,
    ).save()


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened to a patient."""

    kind: str
    at: datetime
    survey_id: str = ""
    version: int | None = None
    score: int | None = None
    detail: str = ""


def of_patient(patient_id: str, limit: int | None) -> list[Entry]:
    """The latest entries about a patient, or all of them, newest first."""
    found = ActivityItem.query(patient_id, scan_index_forward=False, limit=limit)
    return [
        Entry(
            item.kind,
            item.at,
            item.survey_id or "",
            None if item.version is None else int(item.version),
            None if item.score is None else int(item.score),
            item.detail or "",
        )
        for item in found
    ]


def has(patient_id: str, kind: str, at: datetime, key: str) -> bool:
    """Whether the entry is there."""
    try:
        ActivityItem.get(patient_id, _entry(at, kind, key), consistent_read=True)
    except DoesNotExist:
        return False
    return True


def _entry(at: datetime, kind: str, key: str) -> str:
    return f"{format_instant(at)}#{kind}#{key}"

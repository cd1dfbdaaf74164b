"""Which clinics and therapists there are figures of, and until when: one small query for the staff's pages.

Rows of the Scores table, written by the nightly run when it meets somebody new.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.self_test import is_canary
from shared.domain.survey import Survey
from shared.storage import visits
from shared.storage.dynamodb import client

_SCOPE = "directory"
_CLINIC, _THERAPIST, _COUNTED = "clinic#", "therapist#", "counted"


@dataclass
class Directory:
    """Clinic ids; therapists' names (or ids, if no visit names them) with their clinics; when was counted, and what.

    `counts` is what had last been added to what is counted.
    """

    clinics: set[str] = field(default_factory=set)
    therapists: dict[str, str] = field(default_factory=dict)
    clinics_of: dict[str, set[str]] = field(default_factory=dict)
    counted_at: datetime | None = None
    counts: str = ""


def read() -> Directory:
    """Everything that is known."""
    found = Directory()
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("SCORES_TABLE"),
            KeyConditionExpression="#scope = :scope",
            ExpressionAttributeNames={"#scope": "scope"},
            ExpressionAttributeValues={":scope": {"S": _SCOPE}},
        )
    )
    for item in (item for page in pages for item in page["Items"]):
        key = item["day"]["S"]
        if key == _COUNTED:
            found.counted_at = parse_instant(item["at"]["S"])
            found.counts = item["counts"]["S"] if "counts" in item else ""
        elif key.startswith(_CLINIC):
            found.clinics.add(key.removeprefix(_CLINIC))
        else:
            therapist = key.removeprefix(_THERAPIST)
            found.therapists[therapist] = item.get("name", {"S": therapist})["S"]
            found.clinics_of[therapist] = set(item["clinics"]["SS"])
    return found


def note(surveys: Iterable[Survey], known: Directory) -> None:
    """Add clinics and therapists of these surveys that are not `known` yet, to the table and to it; not the canary."""
    for survey in surveys:
        if is_canary(survey.clinic_id):
            continue
        if survey.clinic_id not in known.clinics:
            known.clinics.add(survey.clinic_id)
            _update(_CLINIC + survey.clinic_id, "SET #name = :name", {":name": {"S": survey.clinic_id}})
        therapist, clinics = survey.therapist_id, known.clinics_of.setdefault(survey.therapist_id, set())
        if not therapist or survey.clinic_id in clinics:
            continue
        clinics.add(survey.clinic_id)
        known.therapists[therapist] = _name(survey) or therapist
        _update(
            _THERAPIST + therapist,
            "SET #name = :name ADD clinics :clinic",
            {":name": {"S": known.therapists[therapist]}, ":clinic": {"SS": [survey.clinic_id]}},
        )


def _name(survey: Survey) -> str:
    visit = visits.of_patient(survey.patient_id).visits.get(survey.visit_id)
    return visit.therapist_name if visit else ""


def note_counted(at: datetime, counts: str) -> None:
    """Note as of when the figures stand, and what was last added to what is counted."""
    values = {":at": {"S": format_instant(at)}, ":counts": {"S": counts}}
    _update(_COUNTED, "SET #at = :at, counts = :counts", values, {"#at": "at"})


def _update(key: str, expression: str, values: dict[str, Any], names: dict[str, str] | None = None) -> None:
    client().update_item(
        TableName=setting("SCORES_TABLE"),
        Key={"scope": {"S": _SCOPE}, "day": {"S": key}},
        UpdateExpression=expression,
        ExpressionAttributeNames=names or {"#name": "name"},
        ExpressionAttributeValues=values,
    )

"""Praise that was passed on to therapists: rows of the Scores table that name a survey and the version of its answer.

The words stay on the survey, so they are gone when the survey is.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant
from shared.storage.dynamodb import client

_SCOPE = "praise#"


@dataclass(frozen=True, slots=True)
class Praise:
    """One comment that somebody of the staff passed on."""

    survey_id: str
    version: int  # of the answer: what was read, not what the patient may have made of it since
    at: datetime
    by: str


def pass_on(therapist_id: str, praise: Praise) -> None:
    """Put it on the therapist's page; passing it on again changes nothing but who and when."""
    client().put_item(
        TableName=setting("SCORES_TABLE"),
        Item={
            "scope": {"S": _SCOPE + therapist_id},
            "day": {"S": praise.survey_id},
            "version": {"S": str(praise.version)},
            "at": {"S": format_instant(praise.at)},
            "by": {"S": praise.by},
        },
    )


def place(therapist_id: str, survey_id: str) -> dict[str, Any]:
    """Where it stands that the survey's comment was passed on, for a transaction that takes it away."""
    key = {"scope": {"S": _SCOPE + therapist_id}, "day": {"S": survey_id}}
    return {"TableName": setting("SCORES_TABLE"), "Key": key}


def of_therapist(therapist_id: str) -> list[Praise]:
    """Everything that was passed on to the therapist, newest first."""
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("SCORES_TABLE"),
            KeyConditionExpression="#scope = :scope",
            ExpressionAttributeNames={"#scope": "scope"},
            ExpressionAttributeValues={":scope": {"S": _SCOPE + therapist_id}},
        )
    )
    found = [
        Praise(item["day"]["S"], int(item["version"]["S"]), parse_instant(item["at"]["S"]), item["by"]["S"])
        for page in pages
        for item in page["Items"]
    ]
    return sorted(found, key=lambda praise: praise.at, reverse=True)


def passed_on(comments: Iterable[tuple[str, str]]) -> set[str]:
    """Which of these surveys, each with its therapist, were passed on; at most a hundred."""
    keys = [{"scope": {"S": _SCOPE + therapist}, "day": {"S": survey}} for survey, therapist in comments if therapist]
    found = client().batch_get_item(RequestItems={setting("SCORES_TABLE"): {"Keys": keys}}) if keys else {}
    return {item["day"]["S"] for item in found.get("Responses", {}).get(setting("SCORES_TABLE"), ())}

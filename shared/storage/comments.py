"""The list of comments, by clinic and moment: what each is about, for finding it. The words stay on the survey.

Each is a small row of its own in the Scores table: however many a clinic gets, none grows, and a page reads no more
than it shows.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shared.config import setting
from shared.domain.score import Category, classify
from shared.domain.self_test import is_canary
from shared.domain.survey import Counted
from shared.storage.dynamodb import client

_SCOPE = "comments#"
_PAGE = 200  # read at once


@dataclass(frozen=True, slots=True)
class Listed:
    """What is known of a comment without reading it; `key` is its moment and survey, and orders the list."""

    key: str
    clinic_id: str
    score: int
    touchpoint: str
    language: str
    therapist_id: str
    themes: tuple[str, ...]
    concerns: tuple[str, ...]

    @property
    def survey_id(self) -> str:
        """The survey that holds the words."""
        return self.key.partition("#")[2]

    @property
    def group(self) -> Category:
        """The group of its score."""
        return classify(self.score)


def of_facts(survey_id: str, facts: Counted | None) -> Listed | None:
    """The entry of a survey with these facts; None without a comment, or if the first release counted it.

    The canary's is none of the practice's.
    """
    if facts is None or facts.score is None or not facts.answered_at or "commented" not in facts.funnel:
        return None
    if is_canary(facts.clinic_id):
        return None
    return Listed(
        f"{facts.answered_at}#{survey_id}",
        facts.clinic_id,
        facts.score,
        facts.touchpoint,
        facts.language,
        facts.therapist_id,
        facts.themes,
        facts.concerns,
    )


def listing(survey_id: str, before: Counted | None, after: Counted | None) -> list[dict[str, Any]]:
    """The transaction's parts that turn the former entry into the right one, for shared.storage.scores."""
    old, new = of_facts(survey_id, before), of_facts(survey_id, after)
    if old == new:
        return []
    parts: list[dict[str, Any]] = []
    if old and (new is None or (old.clinic_id, old.key) != (new.clinic_id, new.key)):
        parts.append({"Delete": {"TableName": setting("SCORES_TABLE"), "Key": _key(old)}})
    if new:
        parts.append(
            {"Put": {"TableName": setting("SCORES_TABLE"), "Item": {**_key(new), "about": {"S": _about(new)}}}}
        )
    return parts


def newest(clinic_id: str, first: str, before: str) -> Iterator[Listed]:
    """The clinic's comments from the moment `first` on and strictly before the key or moment `before`, newest first."""
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("SCORES_TABLE"),
            KeyConditionExpression="#scope = :scope AND #day BETWEEN :first AND :before",
            ExpressionAttributeNames={"#scope": "scope", "#day": "day"},
            ExpressionAttributeValues={
                ":scope": {"S": _SCOPE + clinic_id},
                ":first": {"S": first},
                ":before": {"S": before},
            },
            ScanIndexForward=False,
            PaginationConfig={"PageSize": _PAGE},
        )
    )
    for page in pages:
        for item in page["Items"]:
            if item["day"]["S"] < before:
                yield _to_listed(item)


def _key(listed: Listed) -> dict[str, Any]:
    return {"scope": {"S": _SCOPE + listed.clinic_id}, "day": {"S": listed.key}}


def _about(listed: Listed) -> str:
    about = {
        "score": listed.score,
        "touchpoint": listed.touchpoint,
        "language": listed.language,
        "therapist": listed.therapist_id,
        "themes": listed.themes,
        "concerns": listed.concerns,
    }
    return json.dumps(about, ensure_ascii=False, separators=(",", ":"))


def _to_listed(item: dict[str, Any]) -> Listed:
    about = json.loads(item["about"]["S"])
    return Listed(
        item["day"]["S"],
        item["scope"]["S"].removeprefix(_SCOPE),
        about["score"],
        about["touchpoint"],
        about["language"],
        about["therapist"],
        tuple(about["themes"]),
        tuple(about["concerns"]),
    )

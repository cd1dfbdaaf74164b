"""What the loop was worth, week by week: rows of the Scores table for the practice and each clinic."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.config import setting
from shared.domain.worth import Worth, of_counts, to_counts
from shared.storage.dynamodb import client

_SCOPE = "worth"


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of one run, by the practice-local day on which it was made."""

    day: str
    worth: Worth


def write(day: str, worth: Mapping[str, Worth]) -> None:
    """Write the run's figures by clinic, and their sum for the practice last; the same day again replaces them."""
    for clinic_id, figures in worth.items():
        _put(_scope(clinic_id), day, figures)
    _put(_SCOPE, day, sum(worth.values(), Worth()))


def latest(clinic_id: str = "") -> Measured | None:
    """The figures of a clinic, or of the practice, as last measured; None if they never were."""
    answer = client().query(
        TableName=setting("SCORES_TABLE"),
        KeyConditionExpression="#scope = :scope",
        ExpressionAttributeNames={"#scope": "scope"},
        ExpressionAttributeValues={":scope": {"S": _scope(clinic_id)}},
        ScanIndexForward=False,
        Limit=1,
    )
    for item in answer["Items"]:
        counts = {name: int(value["N"]) for name, value in item.items() if "N" in value}
        return Measured(item["day"]["S"], of_counts(counts))
    return None


def _scope(clinic_id: str) -> str:
    return f"{_SCOPE}#{clinic_id}" if clinic_id else _SCOPE


def _put(scope: str, day: str, worth: Worth) -> None:
    counts: dict[str, Any] = {name: {"N": str(number)} for name, number in to_counts(worth).items()}
    client().put_item(TableName=setting("SCORES_TABLE"), Item={"scope": {"S": scope}, "day": {"S": day}, **counts})

"""The canary in the tables: a link of the self-test's own, what was counted of it, and taking all of it out again."""

from collections import Counter
from typing import Any

from shared.config import setting
from shared.domain import identity
from shared.domain.self_test import EMAIL, PATIENT_ID, SCOPE, SURVEY_ID
from shared.hash_key import hash_key
from shared.storage import removal, scores
from shared.storage.dynamodb import client
from shared.storage.models import SurveyItem


def add_link(token_hash: str) -> None:
    """Let one more link open the canary's survey, for as long as the mailed one does."""
    SurveyItem(SURVEY_ID).update([SurveyItem.token_hashes.add({token_hash})], condition=SurveyItem.survey_id.exists())


def counted() -> Counter[str]:
    """What the nightly counts hold of the canary, all days together."""
    total = Counter[str]()
    for day in scores.read_range(SCOPE, "0", "9").values():
        total.update(day)
    return total


def clear() -> int:
    """Take out every row that the canary left, whatever became of it; how many there were. Again removes nothing more.

    All keys are known, so that what a killed run left is found as surely as what a whole one did.
    """
    removed = removal.letters([SURVEY_ID]) + _delete("SURVEYS_TABLE", survey_id=SURVEY_ID)
    removed += removal.cases([SURVEY_ID]) + removal.activity(PATIENT_ID) + removal.patient(PATIENT_ID)
    removed += _delete("ADDRESSES_TABLE", address_key=identity.address_key(hash_key(), EMAIL))
    return removed + sum(_delete("SCORES_TABLE", scope=SCOPE, day=day) for day in _days())


def _days() -> list[str]:
    """Every row of the scope, also those that were taken back to nothing."""
    answer = client().query(
        TableName=setting("SCORES_TABLE"),
        KeyConditionExpression="#scope = :scope",
        ExpressionAttributeNames={"#scope": "scope"},
        ExpressionAttributeValues={":scope": {"S": SCOPE}},
        ConsistentRead=True,
    )
    return [item["day"]["S"] for item in answer["Items"]]


def _delete(table: str, **key: str) -> int:
    answer: dict[str, Any] = client().delete_item(
        TableName=setting(table), Key={name: {"S": value} for name, value in key.items()}, ReturnValues="ALL_OLD"
    )
    return int("Attributes" in answer)

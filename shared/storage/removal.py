"""Taking a patient out of the tables. Each call removes what it finds and says how much, so that it can be repeated.

Plain DynamoDB calls: keys are all that is needed, and what a deletion removed is what it returns.
"""

import json
import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from shared.config import setting
from shared.domain import identity
from shared.domain.message import MessageKind
from shared.domain.survey import Counted, Survey
from shared.storage import comments, praise, surveys
from shared.storage.conditions import REFUSED_CODES
from shared.storage.dynamodb import client

FIGURES = "erased"
"""Scope of the rows of Scores that say what the counts hold of answers that were erased."""

ATTEMPTS = 5
_HOLD_PATIENTS = ("PATIENTS_TABLE", "VISITS_TABLE", "SURVEYS_TABLE", "MESSAGES_TABLE", "CASES_TABLE", "ACTIVITY_TABLE")


class Contended(Exception):
    """A survey kept changing while it was to be removed; the next look goes on."""


def letters(survey_ids: Iterable[str]) -> int:
    """Remove every message of these surveys."""
    ids = (identity.message_id(survey_id, kind) for survey_id in survey_ids for kind in MessageKind)
    return sum(_delete("MESSAGES_TABLE", message_id=message_id) for message_id in ids)


def cases(survey_ids: Iterable[str]) -> int:
    """Remove the staff's cases of these surveys, with all that was written down there."""
    return sum(_delete("CASES_TABLE", survey_id=survey_id) for survey_id in survey_ids)


def survey(survey_id: str) -> int:
    """Remove a survey with its praise and its place in the list of comments, all or nothing.

    What the nightly counts hold of it stays, as facts under a random name, so that a recount finds what was counted:
    no id, no words, no moment, and nothing that the counts of the day do not say.
    """
    for _ in range(ATTEMPTS):
        found = surveys.get(survey_id)
        if found is None:
            return 0
        if _remove(found):
            return 1
    raise Contended


def anonymous(counted: Counted) -> Counted:
    """The facts of an answer without the moment it was given; they add up to the same counts."""
    return replace(counted, answered_at="")


def figures() -> list[Counted]:
    """What the counts hold of answers that were erased."""
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("SCORES_TABLE"),
            KeyConditionExpression="#scope = :scope",
            ExpressionAttributeNames={"#scope": "scope"},
            ExpressionAttributeValues={":scope": {"S": FIGURES}},
        )
    )
    return [surveys.to_counted(json.loads(item["counted"]["S"])) for page in pages for item in page["Items"]]


def care(patient_id: str) -> int:
    """Remove the patient's visits and cases of care."""
    return _partition("VISITS_TABLE", patient_id, "visit_id")


def activity(patient_id: str) -> int:
    """Remove what was written down about the patient."""
    return _partition("ACTIVITY_TABLE", patient_id, "entry")


def patient(patient_id: str) -> int:
    """Remove the patient's own record."""
    return _delete("PATIENTS_TABLE", patient_id=patient_id)


def addresses(patient_ids: Collection[str], keys: Collection[str]) -> int:
    """Remove what is known of the patient's addresses, and of those that mail last went to for them.

    That an address bounced, or that somebody there complained, stays: it stops mail, and says nothing else.
    """
    found = set(keys)
    for row in _scan("ADDRESSES_TABLE", ("address_key", "last_patient_id")):
        if row.get("last_patient_id") in patient_ids:
            found.add(row["address_key"])
    return sum(_forget_address(key) for key in sorted(found))


def all_patient_ids() -> set[str]:
    """Every patient id that any table knows."""
    found = set[str]()
    for table in _HOLD_PATIENTS:
        found |= {row["patient_id"] for row in _scan(table, ("patient_id",)) if "patient_id" in row}
    return found | {row["last_patient_id"] for row in _scan("ADDRESSES_TABLE", ("last_patient_id",)) if row}


def _remove(found: Survey) -> bool:
    key = {"survey_id": {"S": found.survey_id}}
    unchanged = "revision = :revision" if found.revision else "attribute_not_exists(revision)"
    values = {":revision": {"N": str(found.revision)}} if found.revision else {}
    delete: dict[str, Any] = {
        "TableName": setting("SURVEYS_TABLE"),
        "Key": key,
        "ConditionExpression": f"attribute_exists(survey_id) AND {unchanged}",
        **({"ExpressionAttributeValues": values} if values else {}),
    }
    parts: list[dict[str, Any]] = [{"Delete": delete}]
    parts += comments.listing(found.survey_id, found.counted, None)
    if found.therapist_id:
        parts.append({"Delete": praise.place(found.therapist_id, found.survey_id)})
    if found.counted:
        facts = {"counted": {"S": surveys.memory(anonymous(found.counted))}}
        place = {"scope": {"S": FIGURES}, "day": {"S": secrets.token_hex(16)}}
        parts.append({"Put": {"TableName": setting("SCORES_TABLE"), "Item": {**place, **facts}}})
    try:
        client().transact_write_items(TransactItems=parts)
    except client().exceptions.TransactionCanceledException as refusal:
        codes = {reason.get("Code", "None") for reason in refusal.response.get("CancellationReasons", ())}
        if codes <= {"None", *REFUSED_CODES}:
            return False
        raise
    return True


def _delete(table: str, **key: str) -> int:
    answer = client().delete_item(
        TableName=setting(table), Key={name: {"S": value} for name, value in key.items()}, ReturnValues="ALL_OLD"
    )
    return int("Attributes" in answer)


def _partition(table: str, patient_id: str, sort: str) -> int:
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting(table),
            KeyConditionExpression="patient_id = :patient",
            ExpressionAttributeValues={":patient": {"S": patient_id}},
            ProjectionExpression=sort,
            ConsistentRead=True,
        )
    )
    found = [item[sort]["S"] for page in pages for item in page["Items"]]
    return sum(_delete(table, patient_id=patient_id, **{sort: key}) for key in found)


def _forget_address(key: str) -> int:
    """Remove the row or, where it stops mail, all of it that does not."""
    asked = {"TableName": setting("ADDRESSES_TABLE"), "Key": {"address_key": {"S": key}}}
    stops = "bounced = :yes OR complained = :yes"
    try:
        answer = client().delete_item(
            **asked,
            ConditionExpression=f"NOT ({stops})",
            ExpressionAttributeValues={":yes": {"BOOL": True}},
            ReturnValues="ALL_OLD",
        )
    except client().exceptions.ConditionalCheckFailedException:
        answer = client().update_item(
            **asked,
            UpdateExpression="REMOVE last_contact_at, last_patient_id, last_message_id",
            ConditionExpression=stops,
            ExpressionAttributeValues={":yes": {"BOOL": True}},
            ReturnValues="UPDATED_OLD",
        )
    return int(bool(answer.get("Attributes")))


def _scan(table: str, wanted: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """These attributes of every row of a table."""
    names = {f"#{name}": name for name in wanted}
    pages = (
        client()
        .get_paginator("scan")
        .paginate(
            TableName=setting(table),
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
            ConsistentRead=True,
        )
    )
    for page in pages:
        for item in page["Items"]:
            yield {name: value["S"] for name, value in item.items()}

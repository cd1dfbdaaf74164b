"""Patients erased on request: what keeps them from coming back, and how far the erasing is.

The row `erased#<reference>` of Patients stands from the request on. It holds what finds the patient only until nothing
is left to find. Plain DynamoDB calls: no attribute of a patient is in it.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from shared.config import setting
from shared.domain import identity
from shared.domain.clock import format_instant, parse_instant
from shared.domain.erasure import Erasure, StillBeingErased, Traces, Why
from shared.hash_key import hash_key
from shared.storage.dynamodb import client

PREFIX = "erased#"
"""Begins the key of such a row, and of no patient."""

AUDIT = "erased"
"""Under this the Activity table tells of all erasures: who, when, why and how much, and of whom by reference alone."""


def reference(patient_id: str) -> str:
    """What stands for a patient who was erased."""
    return identity.erased_reference(hash_key(), patient_id)


def erased_among(patient_ids: Iterable[str]) -> set[str]:
    """The references of those among these who were erased, or are being erased."""
    wanted, found = sorted({reference(patient_id) for patient_id in patient_ids}), set[str]()
    for start in range(0, len(wanted), 100):
        keys: Any = [_key(each) for each in wanted[start : start + 100]]
        while keys:
            asked = {"Keys": keys, "ConsistentRead": True, "ProjectionExpression": "patient_id"}
            answer = client().batch_get_item(RequestItems={setting("PATIENTS_TABLE"): asked})
            rows = answer["Responses"].get(setting("PATIENTS_TABLE"), [])
            found |= {row["patient_id"]["S"].removeprefix(PREFIX) for row in rows}
            keys = answer.get("UnprocessedKeys", {}).get(setting("PATIENTS_TABLE"), {}).get("Keys")
    return found


def request(traces: Traces, why: Why, by: str, at: datetime, *, opted_out: bool) -> str:
    """Write down that the patient is to be erased, and who said so; returns the reference. Asking again is the same."""
    ref = reference(traces.patient_ids[-1])
    said: dict[str, Any] = {
        "requested_at": {"S": format_instant(at)},
        "by": {"S": by},
        "why": {"S": why},
        "opted_out": {"BOOL": opted_out},
        "traces": {"S": _traces_text(traces)},
    }
    wanted = {
        "TableName": setting("PATIENTS_TABLE"),
        "Key": _key(ref),
        # Erased before and back since, for instance from a backup: what was found then says nothing of now.
        "UpdateExpression": f"SET {', '.join(f'#{name} = :{name}' for name in said)} REMOVE found_at, finished_at",
        "ConditionExpression": "attribute_not_exists(traces)",
        "ExpressionAttributeNames": {f"#{name}": name for name in said},
        "ExpressionAttributeValues": {f":{name}": value for name, value in said.items()},
    }
    audit = {"TableName": setting("ACTIVITY_TABLE"), "Item": _entry("erase_requested", ref, at, f"{by}: {why}")}
    try:
        client().transact_write_items(TransactItems=[{"Update": wanted}, {"Put": audit}])
    except client().exceptions.TransactionCanceledException as refusal:
        if refusal.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
            raise
    return ref


def find(ref: str) -> Erasure | None:
    """How far it is; None if nobody of this reference was erased."""
    answer = client().get_item(TableName=setting("PATIENTS_TABLE"), Key=_key(ref), ConsistentRead=True)
    return _to_erasure(answer["Item"]) if "why" in answer.get("Item", {}) else None


def references() -> Iterator[str]:
    """Every erasure that was asked for, the latest first."""
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("ACTIVITY_TABLE"),
            KeyConditionExpression="patient_id = :audit",
            ExpressionAttributeValues={":audit": {"S": AUDIT}},
            ScanIndexForward=False,
        )
    )
    yield from dict.fromkeys(item["entry"]["S"].rpartition("#")[2] for page in pages for item in page["Items"])


def put_mark(ref: str, at: datetime) -> None:
    """Let no import bring back who has this reference; nothing if a row says so."""
    try:
        client().put_item(
            TableName=setting("PATIENTS_TABLE"),
            Item={**_key(ref), "requested_at": {"S": format_instant(at)}},
            ConditionExpression="attribute_not_exists(patient_id)",
        )
    except client().exceptions.ConditionalCheckFailedException:
        return


def remember_surveys(ref: str, survey_ids: Iterable[str]) -> None:
    """Note surveys before they are removed: what is found by them alone may still be being written."""
    if found := sorted(survey_ids):
        _update(ref, "ADD survey_ids :found", {":found": {"SS": found}})


def note_removed(ref: str, place: str, number: int, at: datetime) -> None:
    """Add to what was removed, and note when something was last found."""
    counted = {":number": {"N": str(number)}, ":at": {"S": format_instant(at)}}
    _update(ref, "SET found_at = :at ADD #place :number", counted, {"#place": f"removed_{place}"})


def note_search(ref: str, searched: str, waiting: int) -> None:
    """Note up to where the intake bucket was searched, and how many files are still to be taken in."""
    values = {":searched": {"S": searched}, ":waiting": {"N": str(waiting)}}
    _update(ref, "SET searched = :searched, waiting = :waiting", values)


def finish(erasure: Erasure, at: datetime) -> None:
    """Forget what found the patient, now that nothing is left, and write down how much was removed."""
    finished = {":at": {"S": format_instant(at)}, ":found": {"S": format_instant(erasure.found_at or at)}}
    detail = json.dumps(dict(sorted(erasure.removed.items())))
    forget = {
        "TableName": setting("PATIENTS_TABLE"),
        "Key": _key(erasure.reference),
        "UpdateExpression": "SET finished_at = :at, found_at = :found REMOVE traces, survey_ids, searched, waiting",
        "ConditionExpression": "attribute_exists(traces)",
        "ExpressionAttributeValues": finished,
    }
    audit = {"TableName": setting("ACTIVITY_TABLE"), "Item": _entry("erased", erasure.reference, at, detail)}
    client().transact_write_items(TransactItems=[{"Update": forget}, {"Put": audit}])


def lift(patient_id: str, by: str, at: datetime) -> Erasure | None:
    """Let imports bring the patient back, with the opt-out they had; None if they were never erased.

    Raises StillBeingErased as long as something may be left: without the row nothing would remove it.
    """
    ref = reference(patient_id)
    erasure = find(ref)
    if erasure is None:
        return None
    unless_begun = {"ConditionExpression": "attribute_not_exists(traces)"}
    delete = {"TableName": setting("PATIENTS_TABLE"), "Key": _key(ref), **unless_begun}
    audit = {"TableName": setting("ACTIVITY_TABLE"), "Item": _entry("erasure_lifted", ref, at, by)}
    try:
        client().transact_write_items(TransactItems=[{"Delete": delete}, {"Put": audit}])
    except client().exceptions.TransactionCanceledException as refusal:
        if refusal.response["CancellationReasons"][0]["Code"] != "ConditionalCheckFailed":
            raise
        raise StillBeingErased from None
    return erasure


def key_of(patient_id: str) -> str:
    """Under which key of Patients it stands that this patient was erased, for conditions of transactions."""
    return PREFIX + reference(patient_id)


def _key(ref: str) -> dict[str, Any]:
    return {"patient_id": {"S": PREFIX + ref}}


def _entry(kind: str, ref: str, at: datetime, detail: str) -> dict[str, Any]:
    moment = format_instant(at)
    return {
        "patient_id": {"S": AUDIT},
        "entry": {"S": f"{moment}#{kind}#{ref}"},
        "kind": {"S": kind},
        "at": {"S": moment},
        "detail": {"S": detail},
    }


def _update(ref: str, expression: str, values: dict[str, Any], names: dict[str, str] | None = None) -> None:
    client().update_item(
        TableName=setting("PATIENTS_TABLE"),
        Key=_key(ref),
        UpdateExpression=expression,
        ConditionExpression="attribute_exists(patient_id)",
        ExpressionAttributeValues=values,
        **({"ExpressionAttributeNames": names} if names else {}),
    )


def _traces_text(traces: Traces) -> str:
    return json.dumps({**asdict(traces), "survey_ids": []}, ensure_ascii=False)


def _to_erasure(row: dict[str, Any]) -> Erasure:
    def moment(name: str) -> datetime | None:
        return parse_instant(row[name]["S"]) if name in row else None

    traces = None
    if "traces" in row:
        said = json.loads(row["traces"]["S"])
        traces = Traces(
            tuple(said["patient_ids"]),
            frozenset(row.get("survey_ids", {}).get("SS", ())),
            tuple(said["emails"]),
            tuple(said["phones"]),
            tuple((first, last) for first, last in said["names"]),
        )
    return Erasure(
        reference=row["patient_id"]["S"].removeprefix(PREFIX),
        requested_at=parse_instant(row["requested_at"]["S"]),
        by=row["by"]["S"],
        why=Why(row["why"]["S"]),
        opted_out=row["opted_out"]["BOOL"],
        traces=traces,
        removed={
            name.removeprefix("removed_"): int(value["N"]) for name, value in row.items() if name.startswith("removed_")
        },
        found_at=moment("found_at"),
        waiting=int(row.get("waiting", {"N": "0"})["N"]),
        searched=row.get("searched", {"S": ""})["S"],
        finished_at=moment("finished_at"),
    )

"""The nightly counts, one row a scope and day or month, and beside them the list of comments.

Plain DynamoDB calls: a row's attributes are the counts it happens to have, which no model lists, and the surveys that
are counted go into the same transaction.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.config import setting
from shared.domain.aggregate import MONTHLY
from shared.domain.survey import Counted, Survey
from shared.storage import comments
from shared.storage.conditions import REFUSED_CODES
from shared.storage.dynamodb import client
from shared.storage.surveys import counting

TRANSACTION_ITEMS = 100  # DynamoDB's most
ROW_FIELDS = 250  # of one row in one write: an expression has at most 300 operators and 4 KB
Row = tuple[str, str]
"""Scope, and day or month."""


def add(changes: Mapping[Row, Mapping[str, int]], counted: Sequence[tuple[Survey, Counted | None]]) -> bool:
    """Add to the rows, list the comments and note on the surveys that they are counted, all or nothing.

    False if a survey changed since it was read, or DynamoDB was too busy: read again.
    """
    items = [_adding(row, fields) for row, fields in changes.items()]
    for survey, facts in counted:
        items += [counting(survey, facts), *comments.listing(survey.survey_id, survey.counted, facts)]
    dynamodb = client()
    try:
        dynamodb.transact_write_items(TransactItems=items)
    except dynamodb.exceptions.TransactionCanceledException as error:
        codes = {reason.get("Code", "None") for reason in error.response.get("CancellationReasons", ())}
        if codes and codes <= {"None", *REFUSED_CODES}:
            return False
        raise
    return True


def read_months(scope: str, first_month: str, last_month: str) -> dict[str, dict[str, int]]:
    """The counts of `practice` or a `clinic#id` by month (`2026-03`), first and last inclusive; see `of_kind`."""
    return read_range(MONTHLY + scope, first_month, last_month)


def read_range(scope: str, first_day: str, last_day: str) -> dict[str, dict[str, int]]:
    """The counts of a scope by day, from the first to the last day inclusive; days without any are missing."""
    pages = (
        client()
        .get_paginator("query")
        .paginate(
            TableName=setting("SCORES_TABLE"),
            KeyConditionExpression="#scope = :scope AND #day BETWEEN :first AND :last",
            ExpressionAttributeNames={"#scope": "scope", "#day": "day"},
            ExpressionAttributeValues={
                ":scope": {"S": scope},
                ":first": {"S": first_day},
                ":last": {"S": last_day},
            },
        )
    )
    days = {item["day"]["S"]: _to_counts(item) for page in pages for item in page["Items"]}
    return {day: counts for day, counts in days.items() if counts}


def _adding(row: Row, fields: Mapping[str, int]) -> dict[str, Any]:
    scope, day = row
    return {
        "Update": {
            "TableName": setting("SCORES_TABLE"),
            "Key": {"scope": {"S": scope}, "day": {"S": day}},
            "UpdateExpression": "ADD " + ", ".join(f"#{place} :{place}" for place in range(len(fields))),
            "ExpressionAttributeNames": {f"#{place}": field for place, field in enumerate(fields)},
            "ExpressionAttributeValues": {
                f":{place}": {"N": str(number)} for place, number in enumerate(fields.values())
            },
        }
    }


def _to_counts(item: dict[str, Any]) -> dict[str, int]:
    """A row's counts; one that was taken back to nothing is left out."""
    return {name: int(value["N"]) for name, value in item.items() if "N" in value and value["N"] != "0"}

"""Whole tables, read in parallel segments and a few attributes a row: for measuring, once a week."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import Any

from shared.config import setting
from shared.domain.self_test import CLINIC_ID
from shared.storage.dynamodb import client

SEGMENTS = 4
Row = dict[str, Any]
"""The attributes that were asked for and are there, by name: text, or whether something is so."""


def answers(take: Callable[[Row], None]) -> int:
    """Hand over each answered survey of the practice's, one at a time; returns how many rows the table has."""
    wanted = ("survey_id", "patient_id", "episode", "clinic_id", "category", "answered_at")
    of_patients = {
        "FilterExpression": "attribute_exists(answered_at) AND clinic_id <> :canary",
        "ExpressionAttributeValues": {":canary": {"S": CLINIC_ID}},
    }
    return _sweep("SURVEYS_TABLE", wanted, take, of_patients)


def outreach(take: Callable[[Row], None]) -> int:
    """Hand over each of the staff's cases in which somebody reached out: its survey alone."""
    reached = {
        "FilterExpression": "size(outreach) > :none",
        "ExpressionAttributeValues": {":none": {"N": "0"}},
    }
    return _sweep("CASES_TABLE", ("survey_id",), take, reached)


def care(take: Callable[[Row], None]) -> int:
    """Hand over each visit, and each case of care as the records have it, removed ones too."""
    wanted = ("patient_id", "case_id", "clinic_id", "kind", "status", "started_at", "closed_at", "has_time", "removed")
    return _sweep("VISITS_TABLE", wanted, take, {})


def _sweep(table: str, wanted: tuple[str, ...], take: Callable[[Row], None], filtered: dict[str, Any]) -> int:
    """`take` is never called twice at once; memory holds a page a segment."""
    lock, names = Lock(), {f"#{name}": name for name in wanted}

    def read(segment: int) -> int:
        rows = 0
        pages = (
            client()
            .get_paginator("scan")
            .paginate(
                TableName=setting(table),
                ProjectionExpression=", ".join(names),
                ExpressionAttributeNames=names,
                Segment=segment,
                TotalSegments=SEGMENTS,
                **filtered,
            )
        )
        for page in pages:
            rows += page["ScannedCount"]
            with lock:
                for row in _rows(page["Items"]):
                    take(row)
        return rows

    client()  # made once, before there are threads
    with ThreadPoolExecutor(SEGMENTS) as threads:
        return sum(threads.map(read, range(SEGMENTS)))


def _rows(items: list[dict[str, Any]]) -> Iterator[Row]:
    for item in items:
        yield {name: value for name, typed in item.items() for value in typed.values()}

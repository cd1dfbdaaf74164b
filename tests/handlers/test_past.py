"""The bench's past, which lies on disk, is read as if its items had been in the tables all along."""

from contextlib import closing
from pathlib import Path
from typing import Any

import boto3
import pytest

from bench import in_process, past
from shared.storage import models


@pytest.fixture
def served(aws: None, tmp_path: Path) -> Any:
    with in_process.metered() as meter, closing(past.Past(tmp_path / "past.db", meter)) as whole:
        whole.store(past.rows(60))
        client = boto3.client("dynamodb")
        whole.serve(client)
        yield client


def read(client: Any, **query: Any) -> list[Any]:
    pages = client.get_paginator("query").paginate(**query)
    return [item for page in pages for item in page["Items"]]


def test_queries_read_the_past_in_order_page_by_page_and_by_index(served: Any) -> None:
    everything = [item for table, item in past.rows(60) if table == "Scores"]
    scope = max({item["scope"]["S"] for item in everything if item["scope"]["S"].startswith("clinic#")})
    expected = sorted((item for item in everything if item["scope"]["S"] == scope), key=lambda item: item["day"]["S"])
    query: dict[str, Any] = {
        "TableName": "Scores", "KeyConditionExpression": "#s = :s AND #d BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#s": "scope", "#d": "day"},
        "ExpressionAttributeValues": {":s": {"S": scope}, ":first": {"S": "2024"}, ":last": {"S": "2027"}},
    }  # fmt: skip
    assert read(served, **query, PaginationConfig={"PageSize": 7}) == expected
    assert read(served, **query, ScanIndexForward=False, PaginationConfig={"PageSize": 7}) == expected[::-1]
    patient = {":patient": {"S": "p0000003"}}
    by_patient = {"TableName": "Surveys", "IndexName": "by_patient", "KeyConditionExpression": "patient_id = :patient"}
    found = read(served, **by_patient, ExpressionAttributeValues=patient)
    theirs = [item for table, item in past.rows(60) if table == "Surveys" and item["patient_id"] == patient[":patient"]]
    assert theirs
    assert {item["survey_id"]["S"] for item in found} == {item["survey_id"]["S"] for item in theirs}


def test_what_was_changed_stays_changed_when_it_is_read_again(served: Any) -> None:
    key = {"patient_id": {"S": "p0000003"}}
    served.update_item(
        TableName=models.PatientItem.Meta.table_name, Key=key, UpdateExpression="SET phone = :yes",
        ExpressionAttributeValues={":yes": {"S": "none"}},
    )  # fmt: skip
    served.get_item(TableName="Patients", Key={"patient_id": {"S": "p0000004"}})
    assert served.get_item(TableName="Patients", Key=key)["Item"]["phone"] == {"S": "none"}

"""Whoever brings the exports may put files into incoming/ and do nothing else."""

import os
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stack import Stack
from tests.integration.practice import Practice, someone, table


@pytest.fixture(scope="module")
def uploader(stack: Stack) -> Any:
    """S3 as the made user sees it."""
    user = stack.outputs["IntakeUserName"]
    key = stack.client("iam").create_access_key(UserName=user)["AccessKey"]
    session = botocore.session.Session(
        session_vars={"config_file": (None, None, os.devnull, None), "credentials_file": (None, None, os.devnull, None)}
    )

    def client(service: str) -> Any:
        return session.create_client(
            service,
            region_name=stack.region,
            endpoint_url=stack.endpoint_url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            config=Config(proxies={}),
        )

    return client


def test_an_export_can_be_brought(practice: Practice, uploader: Any) -> None:
    uploader("s3").put_object(Bucket=practice.bucket, Key="incoming/brought.csv", Body=table([someone().row]).encode())
    assert practice.report("brought.csv")["status"] == "accepted"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda s3, bucket: s3.put_object(Bucket=bucket, Key="settings/clinics.csv", Body=b"x"),
        lambda s3, bucket: s3.put_object(Bucket=bucket, Key="reports/x.json", Body=b"x"),
        lambda s3, bucket: s3.put_object(Bucket=bucket, Key="preview/x.csv", Body=b"x"),
        lambda s3, bucket: s3.get_object(Bucket=bucket, Key="incoming/brought.csv"),
        lambda s3, bucket: s3.delete_object(Bucket=bucket, Key="incoming/brought.csv"),
        lambda s3, bucket: s3.list_objects_v2(Bucket=bucket),
    ],
    ids=["settings", "reports", "preview", "read", "delete", "list"],
)
def test_nothing_else_can_be_done_in_the_bucket(practice: Practice, uploader: Any, attempt: Any) -> None:
    with pytest.raises(ClientError) as refused:
        attempt(uploader("s3"), practice.bucket)
    assert refused.value.response["Error"]["Code"] in ("AccessDenied", "403")


def test_no_patient_can_be_read_from_the_tables(practice: Practice, uploader: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        uploader("dynamodb").scan(TableName=practice.stack.tables["PatientsTable"])

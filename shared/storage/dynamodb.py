"""The plain DynamoDB client, for the few calls where PynamoDB's import or shape would cost the patient's click."""

from functools import cache
from typing import Any


@cache
def client() -> Any:
    """One client a process, made when first needed."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
    return boto3.session.Session().client("dynamodb", config=config)

"""The plain DynamoDB client, for the few calls where PynamoDB's import or shape would cost the patient's click."""

import os
from functools import cache
from typing import Any


@cache
def client() -> Any:
    """One client a process, made when first needed; botocore's own, since boto3 would only take longer to load."""
    from botocore.config import Config
    from botocore.session import Session

    config = Config(connect_timeout=2, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 4})
    return Session().create_client("dynamodb", config=config)


if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
    client()  # while a function starts it has a whole processor, and in a request its share of one

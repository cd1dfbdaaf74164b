"""Telling a refused condition from everything else that can go wrong in a write."""

from pynamodb.exceptions import PynamoDBException

CONDITION_FAILED = "ConditionalCheckFailedException"


def condition_failed(error: PynamoDBException) -> bool:
    """Whether the write was refused by its own condition."""
    return error.cause_response_code == CONDITION_FAILED

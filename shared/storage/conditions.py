"""Conditions of writes, and telling a refused one from everything else that can go wrong."""

from pynamodb.attributes import BooleanAttribute
from pynamodb.exceptions import PynamoDBException, TransactWriteError
from pynamodb.expressions.condition import Condition

REFUSED_CODES = {
    "ConditionalCheckFailed",
    "TransactionConflict",
    "ThrottlingError",
    "ProvisionedThroughputExceeded",
}
CONDITION_FAILED = "ConditionalCheckFailedException"


def condition_failed(error: PynamoDBException) -> bool:
    """Whether the write was refused by its own condition."""
    return error.cause_response_code == CONDITION_FAILED


def transaction_refused(error: TransactWriteError) -> bool:
    """Whether a transaction was refused by a condition, or gave way to another writer: nothing of it was written."""
    codes = {reason.code for reason in error.cancellation_reasons if reason}
    return bool(codes and codes <= REFUSED_CODES) or error.cause_response_code == "TransactionInProgressException"


def is_not(flag: BooleanAttribute) -> Condition:
    """Condition: the flag is not set."""
    unset: Condition = flag.does_not_exist() | (flag == False)  # noqa: E712 (an expression, not a comparison)
    return unset

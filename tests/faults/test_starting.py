"""Fault 26: what a function needs before it can do anything, and exceptions that carry a patient's data."""

from typing import Any

import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches

from shared.hash_key import hash_key
from shared.observability import HandlerFailed
from tests.faults.invariants import hold
from tests.faults.practice import COMMENT, LAST_NAME, Practice, aws_error, failing, refusing

THROTTLED = aws_error("ThrottlingException", operation="GetSecretValue")


@pytest.fixture
def no_key_yet() -> None:
    """A cold start: the key has not been read."""
    hash_key.cache_clear()
    clear_caches()


def test_fault_26_a_run_without_its_key_fails_aloud_and_the_next_one_sends(
    practice: Practice, no_key_yet: None
) -> None:
    surveys = [practice.asked(number) for number in range(2)]
    with practice.gate.hooked(before=refusing(THROTTLED, "GetSecretValue")), failing(practice):
        practice.send()
    assert {practice.state(survey) for survey in surveys} == {"due"}
    assert practice.send()["sent"] == 2  # at once: the failed run has given its lock back
    practice.rest()
    hold(practice.evidence())


@pytest.mark.parametrize("code", ["ThrottlingException", "KMSThrottlingException"])
def test_fault_26_a_table_whose_key_is_throttled_loses_no_answer_and_no_reaction(practice: Practice, code: str) -> None:
    survey = practice.asked()
    practice.send()
    error = aws_error(code, operation="UpdateItem")
    with practice.gate.hooked(before=refusing(error, "UpdateItem")), failing(practice):
        practice.answer(practice.mail(survey), 2, COMMENT)
    practice.answer(practice.mail(survey), 2, COMMENT)
    with practice.gate.hooked(before=refusing(error, "GetItem", "PutItem")), failing(practice):
        practice.alert()
    with practice.gate.hooked(before=refusing(error, "TransactWriteItems")), failing(practice):
        practice.count()
    practice.rest()
    hold(practice.evidence())


def test_fault_26_no_exception_tells_what_it_was_about(practice: Practice) -> None:
    """Every call of every function fails in turn, with a patient's data in its words."""
    leak = RuntimeError(f"{LAST_NAME} p0@example.com {COMMENT}")
    survey = practice.asked()
    with practice.gate.hooked(before=refusing(leak, "SendEmail")):
        practice.send()
    practice.later(minutes=11)
    practice.send()
    other = practice.asked(1)
    practice.send()
    mail = practice.mail(other)
    steps: list[Any] = [
        practice.send,
        lambda: practice.answer(mail, 2, COMMENT),
        practice.alert,
        practice.request_reviews,
        practice.digest,
        practice.count,
        lambda: practice.opt_out(mail),
        lambda: practice.hear_of(mail, "Delivery"),
    ]
    for step in steps:
        for operation in ("GetItem", "BatchGetItem", "Query", "UpdateItem", "PutItem", "TransactWriteItems"):
            with practice.gate.hooked(before=refusing(leak, operation, times=1)):
                try:
                    step()
                except HandlerFailed as failure:
                    practice.told += f"{failure!r} {failure.__cause__!r}"
    practice.rest()
    practice.rest()
    assert practice.state(survey) == "unknown"
    hold(practice.evidence())

"""The stand-in for Lambda's event source mapping follows its rules: checkpoints, bisecting, retries, the queue."""

from typing import Any

import pytest

from tests.stream_driver import StreamDriver


class Consumer:
    """Handles records; those named `bad` fail, by report or by exception."""

    def __init__(self, bad: set[str], *, raises: bool) -> None:
        self.bad, self.raises = bad, raises
        self.batches: list[list[str]] = []

    def __call__(self, event: dict[str, Any]) -> dict[str, Any]:
        records = [record["dynamodb"] for record in event["Records"]]
        self.batches.append([record["Keys"]["survey_id"]["S"] for record in records])
        failed = [record["SequenceNumber"] for record in records if record["Keys"]["survey_id"]["S"] in self.bad]
        if failed and self.raises:
            raise RuntimeError
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def deliver(consumer: Any, names: str, retries: int = 8) -> StreamDriver:
    driver = StreamDriver(consumer, ("alert",), retries=retries)
    for name in names:
        driver.put({"survey_id": {"S": name}, "pending_reaction": {"S": "alert"}})
    driver.deliver()
    return driver


def test_records_come_in_batches_and_the_filter_holds_back_the_rest() -> None:
    consumer = Consumer(set(), raises=False)
    driver = StreamDriver(consumer, ("alert",), batch_size=2)
    for name, pending in (("a", "alert"), ("b", "review"), ("c", "alert"), ("d", "alert")):
        driver.put({"survey_id": {"S": name}, "pending_reaction": {"S": pending}})
    driver.put({"survey_id": {"S": "e"}})
    driver.deliver()
    assert consumer.batches == [["a", "c"], ["d"]]
    assert driver.on_failure == []


def test_the_first_reported_failure_is_where_the_batch_begins_again() -> None:
    consumer = Consumer({"c", "d"}, raises=False)
    driver = deliver(consumer, "abcde", retries=2)
    assert consumer.batches == [list("abcde"), list("cde"), list("cde"), list("cde")]
    assert [(entry["batchSize"], entry["startSequenceNumber"][-1]) for entry in driver.on_failure] == [(3, "3")]


def test_an_exception_halves_the_batch_until_the_bad_record_stands_alone() -> None:
    consumer = Consumer({"c"}, raises=True)
    driver = deliver(consumer, "abcd", retries=1)
    assert consumer.batches == [list("abcd"), list("ab"), list("cd"), ["c"], ["c"], ["d"]]
    assert [entry["batchSize"] for entry in driver.on_failure] == [1]


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": None}, {"batchItemFailures": []}])
def test_no_failures_are_success(answer: Any) -> None:
    assert deliver(lambda event: answer, "ab").on_failure == []


@pytest.mark.parametrize("name", ["", None, "unknown"])
def test_a_report_that_cannot_be_read_fails_the_whole_batch(name: Any) -> None:
    driver = deliver(lambda event: {"batchItemFailures": [{"itemIdentifier": name}]}, "ab", retries=1)
    assert [entry["batchSize"] for entry in driver.on_failure] == [1, 1]

"""Delivers DynamoDB stream records as Lambda's event source mapping does: batches, checkpoints, bisecting, retries.

The rules are those of the Lambda developer guide, "Configuring partial batch response with DynamoDB and Lambda" and
"Retain discarded records for a DynamoDB event source". An empty list of failures is success. Otherwise the lowest
reported sequence number is the checkpoint: what stands before it is done, the rest is delivered again. An exception,
or a report that cannot be read, fails the whole batch, which is halved. Splitting uses up no retry. What has used up
its retries goes to the on-failure queue as metadata without payload, and the stream goes on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3

Record = dict[str, Any]


@dataclass
class StreamDriver:
    """One shard and one consumer; `pending` stands for the mapping's filter on `pending_reaction`."""

    handler: Callable[[dict[str, Any]], Any]
    pending: Sequence[str]
    batch_size: int = 10
    retries: int = 8
    on_failure: list[dict[str, Any]] = field(default_factory=list)
    _records: list[Record] = field(default_factory=list)
    _written: int = 0

    def capture(self, survey_id: str) -> None:
        """Put the survey's present item on the stream, if the filter lets it through."""
        image = boto3.client("dynamodb").get_item(TableName="Surveys", Key={"survey_id": {"S": survey_id}})["Item"]
        self.put(image)

    def put(self, image: dict[str, Any]) -> None:
        """Put a survey's item on the stream, if the filter lets it through."""
        self._written += 1
        if image.get("pending_reaction", {}).get("S") in self.pending:
            self._records.append(
                {
                    "eventName": "MODIFY",
                    "eventSource": "aws:dynamodb",
                    "dynamodb": {
                        "Keys": {"survey_id": image["survey_id"]},
                        "NewImage": image,
                        "SequenceNumber": f"{self._written:021d}",
                        "StreamViewType": "NEW_IMAGE",
                    },
                }
            )

    def deliver(self) -> None:
        """Deliver everything captured so far; each record ends as handled or on the on-failure queue."""
        waiting, self._records = self._records, []
        for start in range(0, len(waiting), self.batch_size):
            self._deliver(waiting[start : start + self.batch_size], self.retries)

    def _deliver(self, batch: list[Record], retries: int) -> None:
        while batch:
            done = self._invoke(batch)
            if done is None and len(batch) > 1:
                middle = len(batch) // 2
                self._deliver(batch[:middle], retries)
                self._deliver(batch[middle:], retries)
                return
            if done:
                batch = batch[done:]
                continue
            if retries == 0:
                self.on_failure.append(
                    {
                        "batchSize": len(batch),
                        "startSequenceNumber": _number(batch[0]),
                        "endSequenceNumber": _number(batch[-1]),
                    }
                )
                return
            retries -= 1

    def _invoke(self, batch: list[Record]) -> int | None:
        """How many records from the start on are done; None if the whole batch failed."""
        try:
            answer = self.handler({"Records": batch})
        except Exception:  # noqa: BLE001 (to Lambda every exception is a failed batch)
            return None
        failures = (answer or {}).get("batchItemFailures") or []
        numbers = [_number(record) for record in batch]
        reported = [failure.get("itemIdentifier") for failure in failures]
        if any(number not in numbers for number in reported):
            return None
        return min(map(numbers.index, reported), default=len(batch))


def _number(record: Record) -> str:
    number: str = record["dynamodb"]["SequenceNumber"]
    return number

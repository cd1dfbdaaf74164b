"""A practice's files on moto: uploaded, imported and reported on; and imports that are killed at a write."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.client import BaseClient

from functions.import_visits.handler import handler
from shared.domain.clock import parse_instant
from shared.domain.message import Message, MessageKind
from shared.domain.survey import Survey
from shared.storage import kept, messages, models, settings, surveys
from shared.storage.dynamodb import client
from tests.fakes import FakeContext

FIRST_UPLOAD = datetime(2026, 3, 20, 3, 0, tzinfo=UTC)
PATIENTS = "patient_id,first_name,last_name,email,clinic_id"
VISITS = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status"
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem", "PutObject", "DeleteObject"}


class Bucket:
    """The intake bucket on moto, except that a test says when each object was uploaded."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.exceptions = self.s3.exceptions
        self.uploaded: dict[str, datetime] = {}

    def get_object(self, **request: Any) -> Any:
        found = self.s3.get_object(**request)
        return {**found, "LastModified": self.uploaded.get(request["Key"], found["LastModified"])}

    def put_object(self, **request: Any) -> Any:
        return self.s3.put_object(**request)

    def delete_object(self, **request: Any) -> Any:
        return self.s3.delete_object(**request)

    def get_paginator(self, operation: str) -> Any:
        return Lists(self, operation)

    def read(self, key: str) -> bytes:
        found: bytes = self.s3.get_object(Bucket=os.environ["INTAKE_BUCKET"], Key=key)["Body"].read()
        return found

    def report(self, key: str) -> dict[str, Any]:
        report: dict[str, Any] = json.loads(self.read(f"reports/{key.removeprefix('incoming/')}.json"))
        return report

    def listed(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=os.environ["INTAKE_BUCKET"])
        return [item["Key"] for item in listed.get("Contents", ())]


@dataclass
class Lists:
    """The pages of a list, with the moments that a test says."""

    bucket: Bucket
    operation: str

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        for page in self.bucket.s3.get_paginator(self.operation).paginate(**request):
            for item in (*page.get("Contents", ()), *(each for each in page.get("Versions", ()) if each["IsLatest"])):
                item["LastModified"] = self.bucket.uploaded.get(item["Key"], item["LastModified"])
            yield page


@dataclass
class Clock:
    """A clock that each look moves on by `step`, and sleep by what is slept; something may happen meanwhile."""

    moment: datetime = FIRST_UPLOAD
    step: timedelta = timedelta(0)
    slept: float = 0
    meanwhile: Callable[[], None] = lambda: None

    def now(self) -> datetime:
        self.moment += self.step
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.moment += timedelta(seconds=seconds)
        self.meanwhile()


def renew_locks() -> None:
    """What an import does that is alive."""
    for item in client().scan(TableName=models.SettingsItem.Meta.table_name)["Items"]:
        if "holder" in item:
            until = parse_instant(item["held_until"]["S"]) + timedelta(seconds=15)
            name, holder = item["scope"]["S"].removeprefix("run#"), item["holder"]["S"]
            assert settings.acquire_run(name, holder, FIRST_UPLOAD, until)


@dataclass
class Function:
    """The function with a clock, and with as much time in each invocation as a test gives it."""

    bucket: Bucket
    clock: Clock = field(default_factory=Clock)
    seconds_left: float = 900
    asked_again: list[dict[str, Any]] = field(default_factory=list)

    def __call__(self, event: dict[str, Any]) -> list[dict[str, Any]]:
        """One invocation; what it asks to be invoked with again is kept."""
        context = FakeContext(seconds_left=self.seconds_left)
        summaries: list[dict[str, Any]] = handler(
            event,
            context,
            s3=self.bucket,
            again=self.asked_again.append,
            now=self.clock.now,
            sleep=self.clock.sleep,
            workers=1,
        )["files"]
        return summaries

    def to_the_end(self, event: dict[str, Any]) -> int:
        """Invoke until nothing is asked again; says how many invocations it took."""
        self.asked_again.append(event)
        for invocations in itertools.count(1):
            self(self.asked_again.pop(0))
            if not self.asked_again:
                return invocations
        raise AssertionError


def event(key: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": os.environ["INTAKE_BUCKET"]}, "object": {"key": quote_plus(key)}}}]}


def upload(bucket: Bucket, key: str, content: str | bytes, at: datetime = FIRST_UPLOAD) -> None:
    bucket.uploaded[key] = at
    body = content.encode() if isinstance(content, str) else content
    bucket.s3.put_object(Bucket=os.environ["INTAKE_BUCKET"], Key=key, Body=body)


def run(bucket: Bucket, key: str) -> dict[str, Any]:
    """Deliver the event of the object, and return the report."""
    (summary,) = Function(bucket)(event(key))
    report = bucket.report(key)
    assert summary == {name: report[name] for name in summary}
    assert report["rows"] == sum(report[name] for name in ("created", "updated", "unchanged", "refused"))
    return report


def send(bucket: Bucket, content: str | bytes, name: str = "file.csv", days: int = 0) -> dict[str, Any]:
    """Upload a file some days after the first, and import it."""
    upload(bucket, f"incoming/{name}", content, FIRST_UPLOAD + timedelta(days=days))
    return run(bucket, f"incoming/{name}")


def counts(report: dict[str, Any]) -> tuple[int, int, int, int]:
    return report["created"], report["updated"], report["unchanged"], report["refused"]


def visit(number: int, day: int, kind: str = "treatment", status: str = "completed", case: str = "c1") -> str:
    return f"v{number},p1,{case},north,2026-03-{day:02}T09:00,{kind},{status}"


def file_of(*rows: str, header: str = VISITS) -> str:
    return "\n".join([header, *rows]) + "\n"


COURSE = file_of(
    visit(1, 2, "evaluation"), *(visit(number, number + 1) for number in range(2, 8)), visit(8, 12, "discharge")
)


def dump() -> dict[str, list[Any]]:
    """Every table, whole."""
    names = [model.Meta.table_name for model in (models.PatientItem, models.VisitItem, models.SurveyItem)]
    names += [model.Meta.table_name for model in (models.MessageItem, models.SettingsItem)]
    return {name: sorted(client().scan(TableName=name)["Items"], key=json.dumps) for name in names}


def restore(state: dict[str, list[Any]]) -> None:
    """Make the tables hold exactly this again; only what differs is written, since tests do it hundreds of times."""
    for name, items in state.items():
        found = client().scan(TableName=name)["Items"]
        keys = _keys_of(name)
        wanted = [[item[key] for key in keys] for item in items]
        for item in found:
            if [item[key] for key in keys] not in wanted:
                client().delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in items:
            if item not in found:
                client().put_item(TableName=name, Item=item)
    kept.forget()


@cache
def _keys_of(table: str) -> list[str]:
    return [key["AttributeName"] for key in client().describe_table(TableName=table)["Table"]["KeySchema"]]


def surveys_of(patient_id: str = "p1") -> dict[str, Survey]:
    return {survey.touchpoint: survey for survey in surveys.of_patient(patient_id)}


def message_of(survey: Survey) -> Message:
    found = messages.get(f"{survey.survey_id}-{MessageKind.SURVEY}")
    assert found is not None
    return found


def due(patient_id: str = "p1") -> dict[str, datetime]:
    """What the patient is still to be asked, and when."""
    waiting = messages.due_until(datetime(2100, 1, 1, tzinfo=UTC))
    return {message.touchpoint: message.due_at for message in waiting if message.patient_id == patient_id}


class Killed(BaseException):
    """The function's end, at a write."""


Act = Callable[[int, str], None]
"""What happens `before` and `after` the n-th write."""


@contextmanager
def at_writes(act: Act) -> Iterator[None]:
    """Have something happen before and after each write inside."""
    real = BaseClient._make_api_call
    writes = itertools.count(1)
    is_acting = False

    def call(client: Any, operation: str, request: Any) -> Any:
        nonlocal is_acting
        if operation not in WRITES or is_acting:
            return real(client, operation, request)
        number, answer = next(writes), None
        for phase in ("before", "after"):
            is_acting = True
            try:
                act(number, phase)
            finally:
                is_acting = False
            if phase == "before":
                answer = real(client, operation, request)
        return answer

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BaseClient, "_make_api_call", call)
        yield


def dying_at(write: int, moment: str) -> Act:
    """Dead is dead: nothing that the invocation writes later takes effect."""

    def act(number: int, phase: str) -> None:
        if number > write or (number == write and phase == moment):
            raise Killed

    return act

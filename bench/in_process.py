"""The stack in this process: the handlers as functions, moto's tables, and a meter on every client."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from threading import RLock
from typing import Any

from tests.environment import ENVIRONMENT, set_environment

set_environment()  # before anything of shared.storage is imported

import boto3  # noqa: E402
from moto import mock_aws  # noqa: E402
from moto.core.botocore_stubber import BotocoreStubber  # noqa: E402

from bench.units import Meter  # noqa: E402
from shared.storage import dynamodb, kept, models  # noqa: E402

TABLES = (
    models.PatientItem,
    models.VisitItem,
    models.SurveyItem,
    models.MessageItem,
    models.AddressItem,
    models.ScoresItem,
    models.ActivityItem,
    models.SettingsItem,
    models.CaseItem,
    models.SessionItem,
)


@contextmanager
def stack(*, is_metered: bool = True) -> Iterator[Meter]:
    """Empty tables, an empty intake bucket and the hash key; what is asked of the tables is metered, if wished."""
    with mock_aws(), redirect_stdout(io.StringIO()):  # the functions' log lines
        for model in TABLES:
            model.create_table(billing_mode="PAY_PER_REQUEST")
        boto3.client("s3").create_bucket(Bucket=ENVIRONMENT["INTAKE_BUCKET"])
        boto3.client("secretsmanager").create_secret(Name=ENVIRONMENT["HASH_KEY_SECRET"], SecretString="0" * 64)
        kept.forget()
        with metered() as meter:
            for client in () if is_metered else clients():
                meter.detach(client)
            yield meter


@contextmanager
def metered() -> Iterator[Meter]:
    """A meter on the clients of shared.storage."""
    meter = Meter(boto3.client("dynamodb"))
    for client in clients():
        meter.attach(client)
    try:
        with _one_at_a_time():
            yield meter
    finally:
        for client in clients():
            meter.detach(client)


def clients() -> tuple[Any, ...]:
    """The clients that shared.storage asks DynamoDB with."""
    return dynamodb.client(), models.connection().client


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let no two threads into moto at once: its tables are plain dictionaries."""
    lock, answer = RLock(), BotocoreStubber.__call__

    def locked(stubber: Any, event_name: str, request: Any, **others: Any) -> Any:
        with lock:
            began = time.thread_time()
            try:
                return answer(stubber, event_name, request, **others)
            finally:
                _away.append(time.thread_time() - began)

    BotocoreStubber.__call__ = locked  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        BotocoreStubber.__call__ = answer  # type: ignore[method-assign]


_away = list[float]()


def seconds_away() -> float:
    """The CPU time spent in moto so far, which is not the code's own."""
    return sum(_away)

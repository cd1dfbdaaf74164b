"""Handlers run in process on moto: right for one thread at a time; races and timing are tested on the local stack."""

import os
from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from typing import Any

import boto3
import pytest
from moto import backends, mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID

from shared import config
from shared.storage import kept, models
from tests.fakes import FakeMailer

_MODELS = (
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


@pytest.fixture(scope="session")
def moto() -> Iterator[None]:
    """One simulated account for all tests: making clients is what takes time."""
    with mock_aws():
        yield


@pytest.fixture
def aws(moto: None) -> None:
    """Empty tables, an empty intake bucket and the hash key."""
    empty_account()


def empty_account() -> None:
    """Begin anew."""
    for service in ("dynamodb", "dynamodbstreams", "s3", "secretsmanager"):
        backends.get_backend(service).reset()
    _simulated_tables().update(deepcopy(_empty_tables()))
    s3_client().create_bucket(Bucket=os.environ["INTAKE_BUCKET"])
    secrets_client().create_secret(Name=os.environ["HASH_KEY_SECRET"], SecretString="0" * 64)
    config.parameters.cache_clear()
    kept.forget()


@cache
def _empty_tables() -> dict[str, Any]:
    """The tables as creating them made them: creating ten for each test took longer than most tests do."""
    for model in _MODELS:
        model.create_table(billing_mode="PAY_PER_REQUEST")
    return deepcopy(dict(_simulated_tables()))


def _simulated_tables() -> dict[str, Any]:
    """Where moto keeps the tables of the account and region that all tests use."""
    tables: dict[str, Any] = backends.get_backend("dynamodb")[DEFAULT_ACCOUNT_ID][os.environ["AWS_REGION"]].tables
    return tables


@cache
def s3_client() -> Any:
    """The intake's client."""
    return boto3.client("s3")


@cache
def secrets_client() -> Any:
    """Where the hash key lies."""
    return boto3.client("secretsmanager")


@pytest.fixture
def mailer() -> FakeMailer:
    """The mailbox of the test."""
    return FakeMailer()


@pytest.fixture
def choose(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Change a stack parameter: `choose(PASSIVE_ALERTS="immediate")`."""

    def set_parameters(**parameters: str) -> None:
        for name, value in parameters.items():
            monkeypatch.setenv(name, value)
        config.parameters.cache_clear()
        kept.forget()

    return set_parameters

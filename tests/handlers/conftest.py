"""Handlers run in process on moto: right for one thread at a time; races and timing are tested on the local stack."""

import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from shared import config
from shared.hash_key import hash_key
from shared.storage import dynamodb, models, settings
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
)


def _forget() -> None:
    """Drop what the process kept from an earlier test: clients, connections, settings."""
    for model in _MODELS:
        model._connection = None
    dynamodb.client.cache_clear()
    hash_key.cache_clear()
    settings._kept.clear()
    config.practice.cache_clear()


@pytest.fixture
def aws() -> Iterator[None]:
    """Empty tables, an empty intake bucket and the hash key."""
    with mock_aws():
        _forget()
        for model in _MODELS:
            model.create_table(billing_mode="PAY_PER_REQUEST")
        boto3.client("s3").create_bucket(Bucket=os.environ["INTAKE_BUCKET"])
        boto3.client("secretsmanager").create_secret(Name=os.environ["HASH_KEY_SECRET"], SecretString="0" * 64)
        yield
        _forget()


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
        config.practice.cache_clear()
        settings._kept.clear()

    return set_parameters

"""Hostile input goes through the handlers in process, on moto."""

import json
from collections.abc import Iterator
from threading import RLock
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from functions.serve_dashboard import health_page, user_pool
from tests.handlers.conftest import aws, choose, mailer, moto
from tests.handlers.exports import WRITES
from tests.handlers.fake_account import FakeAccount
from tests.handlers.staff_pool import FakeUserPool

__all__ = ("aws", "choose", "mailer", "moto")


class Calls(list[tuple[str, str]]):
    """Each call to DynamoDB since the list was last cleared: operation and table."""

    @property
    def writes(self) -> set[str]:
        """The tables that were written to."""
        return {table for operation, table in self if operation in WRITES}


@pytest.fixture(autouse=True, scope="session")
def calls() -> Iterator[Calls]:
    """What is asked of DynamoDB; and one call at a time, since moto stumbles over the sender's threads."""
    lock, real, made = RLock(), BotocoreStubber.__call__, Calls()

    def call(stubber: Any, event_name: str, request: Any, **kwargs: Any) -> Any:
        with lock:
            target = request.headers.get("X-Amz-Target", b"")
            name = target.decode() if isinstance(target, bytes) else str(target)
            if name.startswith("DynamoDB_20120810."):
                asked = json.loads(request.body)
                _check_key(asked.get("Key", {}))
                made.append((name.partition(".")[2], _table(asked)))
            return real(stubber, event_name, request, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BotocoreStubber, "__call__", call)
        yield made


@pytest.fixture(autouse=True, scope="session")
def account() -> Iterator[None]:
    """What the page on health asks of AWS, answered."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(health_page, "client", FakeAccount().client)
        yield


@pytest.fixture
def pool(aws: None, monkeypatch: pytest.MonkeyPatch) -> FakeUserPool:
    """A user pool with an owner and a clinic admin."""
    fake = FakeUserPool()
    monkeypatch.setattr(user_pool, "client", lambda: fake)
    fake.add("olive@example.com", "owner", name="Olive Owens")
    fake.add("robin@example.com", "clinic_admin", name="Robin Reyes", custom_clinics="c0;c1")
    return fake


class KeyRefused(Exception):
    """DynamoDB takes no such key; moto does."""


def _check_key(key: dict[str, dict[str, str]]) -> None:
    for value in key.values():
        if "\0" in value["S"] or not 0 < len(value["S"].encode("utf-8", "replace")) <= 1024:
            raise KeyRefused


def _table(request: dict[str, Any]) -> str:
    if "TableName" in request:
        return str(request["TableName"])
    return " ".join(sorted(request.get("RequestItems", {}))) or str(request.get("TransactItems", ""))

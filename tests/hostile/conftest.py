"""Hostile input goes through the handlers in process, on moto."""

from collections.abc import Iterator
from threading import RLock
from typing import Any

import pytest
from moto.core.botocore_stubber import BotocoreStubber

from functions.serve_dashboard import user_pool
from tests.handlers.conftest import aws, choose, mailer, moto
from tests.handlers.staff_pool import FakeUserPool

__all__ = ("aws", "choose", "mailer", "moto")


@pytest.fixture(autouse=True, scope="session")
def one_call_at_a_time() -> Iterator[None]:
    """Moto stumbles over the sender's threads."""
    lock, real = RLock(), BotocoreStubber.__call__

    def call(stubber: Any, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return real(stubber, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(BotocoreStubber, "__call__", call)
        yield


@pytest.fixture
def pool(aws: None, monkeypatch: pytest.MonkeyPatch) -> FakeUserPool:
    """A user pool with an owner and a clinic admin."""
    fake = FakeUserPool()
    monkeypatch.setattr(user_pool, "client", lambda: fake)
    fake.add("olive@example.com", "owner", name="Olive Owens")
    fake.add("robin@example.com", "clinic_admin", name="Robin Reyes", custom_clinics="c0;c1")
    return fake

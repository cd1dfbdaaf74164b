"""Every test sees the same environment, whatever the shell of the person who runs it."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

from tests.environment import set_environment

set_environment()

# The same examples in every run, so that red is red for everybody; HYPOTHESIS_PROFILE=explore looks for new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

UNIT = Path(__file__).parent / "unit"


class UnitTestReachedOut(Exception):
    """A unit test needs nothing but its arguments."""


@pytest.fixture(autouse=True)
def no_network_in_unit_tests(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse sockets to tests/unit; the other layers talk to stand-ins on this machine."""
    if UNIT not in request.path.parents:
        return

    def refuse(*_: object, **__: object) -> None:
        raise UnitTestReachedOut("a unit test opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)

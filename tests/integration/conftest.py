"""The template, deployed to this machine once for all tests; the emulator enforces the functions' roles."""

import shutil
from collections.abc import Iterator

import pytest

from local.stack import Stack, down, up
from tests.integration.practice import Practice


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running stack without patients. It is shared: a test brings its own patients and clinic."""
    state = tmp_path_factory.mktemp("stack")
    try:
        yield up(state, {"IntakeWriter": "user"}, iam=True)
    finally:
        down(state)
        shutil.rmtree(state)


@pytest.fixture(scope="module")
def practice(stack: Stack) -> Practice:
    """The practice, seen from outside; bounces and complaints of other files' patients are no reason not to send."""
    found = Practice(stack)
    found.forget_bounces()
    return found

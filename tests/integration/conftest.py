"""The template, deployed to this machine once for all tests; the emulator enforces the functions' roles."""

from collections.abc import Iterator

import pytest

from local.stack import Stack, running
from tests.integration.practice import Practice


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running stack without patients. It is shared: a test brings its own patients and clinic."""
    with running({"IntakeWriter": "user"}, iam=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def practice(stack: Stack) -> Practice:
    """The practice, seen from outside; bounces and complaints of other files' patients are no reason not to send."""
    found = Practice(stack)
    found.forget_bounces()
    return found

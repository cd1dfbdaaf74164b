"""The practice on moto that the faults are injected into; what shares the deployed stack is in deployed/."""

from collections.abc import Iterator

import pytest

from tests.faults.practice import Practice
from tests.handlers.conftest import aws, choose, moto

__all__ = ["aws", "choose", "moto", "practice"]


@pytest.fixture
def practice(aws: None, capsys: pytest.CaptureFixture[str]) -> Iterator[Practice]:
    """An empty practice, every AWS call of which passes its gate."""
    with Practice.open(lambda: "".join(capsys.readouterr())) as practice:
        yield practice

"""Several senders, deployed: the first starts the others, as its role allows, and together they mail everybody once."""

from collections.abc import Iterator

import pytest

from local.stack import running
from tests.integration.practice import Practice, at, evaluation, eventually, someone

PATIENTS = 24


@pytest.fixture
def practice() -> Iterator[Practice]:
    with running({"Senders": "3"}, iam=True) as stack:
        yield Practice(stack)


def test_the_first_sender_starts_the_others_and_everybody_is_mailed_once(practice):
    people = [someone() for _ in range(PATIENTS)]
    practice.export(people, [evaluation(person, at("2026-03-02")) for person in people])
    own = practice.send(at("2026-03-02", "16:00"))["sent"]
    assert 0 < own < PATIENTS
    eventually(lambda: len(practice.mailbox()) == PATIENTS, "the other senders' mails")
    assert [practice.kinds(person) for person in people] == [["survey"]] * PATIENTS
    practice.send(at("2026-03-02", "18:00"))
    assert len(practice.mailbox()) == PATIENTS

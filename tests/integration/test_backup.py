"""A restore that is rehearsed, and an archive, on deployed stacks: what AWS is asked for exists and is answered.

The emulator restores a table as it is now, whatever moment is asked for: what a past changes is in tests/faults, and
how an archive is brought in again in tests/handlers.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from functions.serve_dashboard import user_pool
from local.archive import archive
from local.backup import Restore, Wish
from local.deployed import on_this_machine
from local.stack import PRESET, Stack, deploy, running
from local.tables import as_text
from local.unarchive import check
from local.whole import Whole, is_lock
from tests.integration.practice import Practice, at, evaluation, someone

AT_REST = {"SendingPaused": "true", "SchedulesEnabled": "false"}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of its own: all that is in a stack is restored, so it had better be little."""
    with running(iam=True) as stack:
        yield stack


@pytest.fixture
def empty(stack: Stack) -> Iterator[Stack]:
    """A further stack, just deployed, at rest."""
    own = {"PublicBaseUrl": stack.public_url, "DashboardBaseUrl": stack.dashboard_url, **AT_REST}
    made = deploy(stack.endpoint_url, "careloop-restored", {**PRESET, **own}, iam=True)
    yield replace(made, staff=[])
    stack.client("cloudformation").delete_stack(StackName=made.stack_name)


@pytest.fixture
def access(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process of ours gets to the stack's user pool."""
    for name, value in on_this_machine(stack).access.items():
        monkeypatch.setenv(name, value)
    user_pool.client.cache_clear()
    yield
    user_pool.client.cache_clear()


def rows(stack: Whole, name: str) -> list[str]:
    return sorted(as_text(item) for page in stack.table(name).pages() for item in page if not is_lock(item))


@pytest.mark.usefixtures("access")
def test_a_rehearsed_restore_arrives_mails_nobody_and_can_be_archived(stack, empty, tmp_path: Path):
    practice, ada = Practice(stack), someone("Ada")
    practice.export([ada], [evaluation(ada, at("2026-03-02"))])
    practice.send(at("2026-03-02", "16:00"))
    [mail] = practice.mails(ada.email)
    assert practice.answer(mail, 9, "Kind people").status == 200
    practice.rest()

    former = Whole(stack.stack_name, on_this_machine(stack))
    target, said = Whole(empty.stack_name, on_this_machine(empty)), list[str]()
    before, tables = len(stack.mails()), former.client("dynamodb").list_tables()["TableNames"]
    assert Restore(former, target, Wish("latest", is_rehearsal=True), said.append).run(), said
    for name in ("Patients", "Visits", "Messages", "Addresses", "Scores", "Activity", "Cases"):
        assert rows(target, name) == rows(former, name), name
    assert Practice(empty).survey(mail)["comment"] == "Kind people"
    assert target.secret() == former.secret()
    assert len(stack.mails()) == before
    assert former.client("dynamodb").list_tables()["TableNames"] == tables

    archive(target, tmp_path / "all", "olive", lambda: datetime.now(UTC), said.append)
    assert check(tmp_path / "all")["files"]["tables/Visits.ndjson"]["rows"] == len(rows(former, "Visits"))

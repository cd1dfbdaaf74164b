"""Sending stops itself where roles are enforced, and goes on by the dashboard's button or the command."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from local.mail_events import configuration_set, ses_event, tags_of, tell
from local.stack import Stack
from local.template import ROOT
from tests.integration.practice import Person, Practice, at, evaluation, eventually, someone
from tests.integration.staff import HttpBrowser, somebody

AFTERNOON = at("2026-03-02", "16:00")


@pytest.fixture
def waiting(practice: Practice) -> Iterator[Person]:
    """Somebody whose survey is due once far too many mails have bounced. Others may be due as well."""
    person = someone()
    practice.export([person], [evaluation(person, at("2026-03-02"))])
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["SettingsTable"],
        Key={"scope": {"S": f"mail#{datetime.now(UTC).date()}"}},
        UpdateExpression="ADD bounced :many",
        ExpressionAttributeValues={":many": {"N": "1000"}},
    )
    assert practice.send(AFTERNOON)["deferred"]["too_many_bounces"] >= 1
    assert practice.kinds(person) == []
    yield person
    practice.forget_bounces()


def state(practice: Practice) -> dict[str, Any]:
    """What is known of sending as a whole."""
    found = [item for item in practice.items("SettingsTable") if item["scope"] == "mail#state"]
    return found[0] if found else {}


COMMAND = """
import sys
from pathlib import Path
from local import deployed, resume
deployed.STATE = Path(sys.argv.pop())
sys.exit(resume.main())
"""


def resumed(stack: Stack, folder: Path) -> str:
    """Run the command on this stack, in a process of its own; what it printed."""
    (folder / "stack.json").write_text(json.dumps(asdict(stack)))
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, str(folder)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_it_goes_on_after_the_command(practice, waiting, stack, tmp_path):
    words = resumed(stack, tmp_path)
    assert "too many bounces" in words
    assert "It goes on with the next run" in words
    practice.send(AFTERNOON)
    assert practice.kinds(waiting) == ["survey"]
    noted = [entry for entry in practice.items("ActivityTable") if entry["patient_id"] == "practice"]
    assert any("make resume" in entry["detail"] for entry in noted)
    assert "nothing was changed" in resumed(stack, tmp_path)


def test_it_goes_on_after_an_owner_pressed_the_button(practice, waiting, stack):
    owner = HttpBrowser(stack)
    page = owner.sign_in(somebody(stack))
    assert "Patients get no mail: too many bounced" in page.body
    stopped_at = re.search(r'name="stopped_at" value="([^"]+)"', page.body)
    assert stopped_at
    form = {"stopped_at": stopped_at[1], "confirmed": "yes"}
    assert owner.post("/sending/resume", form, Origin="https://elsewhere.example").status == 403
    assert owner.post("/sending/resume", form).status == 303
    practice.send(AFTERNOON)
    assert practice.kinds(waiting) == ["survey"]


def test_an_event_of_a_mail_ends_the_wait_for_news_and_its_bounce_counts_once(practice, stack):
    person = someone()
    practice.export([person], [evaluation(person, at("2026-03-02"))])
    practice.send(AFTERNOON)
    assert "silent_since" in state(practice)
    [message_id] = [
        message["message_id"]
        for message in practice.items("MessagesTable")
        if (message["patient_id"], message["kind"]) == (person.patient_id, "survey")
    ]
    tags, to = tags_of(stack, message_id)
    today, now = f"mail#{datetime.now(UTC).date()}", datetime.now(UTC)

    def bounced() -> int:
        return sum(int(item.get("bounced", 0)) for item in practice.items("SettingsTable") if item["scope"] == today)

    before = bounced()
    bounce = ses_event("Bounce", tags, at=now, to=to, configuration_set=configuration_set(stack))
    for _ in range(2):
        tell(stack, bounce, now)
    eventually(lambda: bounced() > before, "the bounce is counted")
    assert "silent_since" not in state(practice)
    tell(stack, ses_event("Complaint", tags, at=now, to=to, configuration_set=configuration_set(stack)), now)
    eventually(
        lambda: [item for item in practice.items("SettingsTable") if item["scope"] == today and "complained" in item],
        "the complaint, which came last, is counted",
    )
    assert bounced() == before + 1


def test_an_owner_switches_sending_off_and_on(practice, stack):
    person = someone()
    practice.export([person], [evaluation(person, at("2026-03-02"))])
    owner = HttpBrowser(stack)
    owner.sign_in(somebody(stack))
    assert owner.post("/settings/sending", {"paused_at": "", "turn": "off"}).status == 303
    paused_at = state(practice)["paused_at"]
    try:
        assert practice.send(AFTERNOON)["deferred"]["paused"] >= 1
        assert practice.kinds(person) == []
        assert "sending is switched off" in owner.get("/").body
    finally:
        assert owner.post("/settings/sending", {"paused_at": paused_at, "turn": "on"}).status == 303
    practice.send(AFTERNOON)
    assert practice.kinds(person) == ["survey"]

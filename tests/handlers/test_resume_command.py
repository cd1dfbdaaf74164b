"""What `make resume` says and does, on the tables of a stack."""

from datetime import UTC, datetime

import pytest

from local.deployed import Deployed
from local.resume import resume
from shared.domain.sending_health import Fates, StopReason
from shared.domain.staff import Role, Staff
from shared.storage import sending_health

pytestmark = pytest.mark.usefixtures("aws")
NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
OWNER = Staff("user-1", "Olive Owens", "olive@example.com", Role.OWNER)


def said() -> str:
    names = {"SettingsTable": "Settings", "ActivityTable": "Activity"}
    return " ".join(resume(Deployed(lambda service: None, names), NOW))


def test_what_stopped_itself_goes_on():
    sending_health.stop(StopReason.BOUNCES, Fates(sent=40, bounced=12), None, NOW)
    assert "too many bounces (40 sent, 12 bounced, 0 marked as spam)" in said()
    assert sending_health.state().stopped is None


def test_what_an_owner_switched_off_stays_off_and_is_said():
    sending_health.pause(OWNER, NOW)
    assert "Olive Owens switched sending off on 2026-03-04T15:00:00Z" in said()
    assert sending_health.state().paused

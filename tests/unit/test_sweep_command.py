"""What `make sweep` runs, what it says, and what it does when something fails."""

import io
import json
import os
from datetime import UTC, datetime
from typing import Any

import pytest

import functions.alerts.escalate_cases.handler as escalate_cases
import functions.alerts.send_digest.handler as send_digest
import functions.send_survey.senders as send_survey
from local.deployed import Deployed
from local.sweep import NOTHING_OWED, SWEEPS, main, sweep
from local.template import functions, load_template

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
NOTHING: dict[str, Any] = {
    "ImportVisitsFunction": {"files": [], "unfinished": 0},
    "ErasePatientFunction": {"erased": 0, "in_progress": 0, "failed": 0},
    "AlertStaffFunction": {"surveys": 0},
    "RequestReviewFunction": {"surveys": 0},
    "SendSurveyFunction": {"due": 0, "sent": 0, "skipped": {}, "deferred": {}, "unknown": 0, "failed": 0},
    "SendDigestFunction": {"clinics": 0, "passives": 0},
    "EscalateCasesFunction": {"cases": 0},
    "AggregateScoresFunction": {"surveys": 0, "rows": 0},
}


class FakeAws:
    """Functions that return what they are told to, or fail, and a queue with so many messages."""

    def __init__(self, failed_events: int = 0, held: dict[str, str] | None = None, **returned: Any) -> None:
        self.held = held or {}
        self.failed_events = failed_events
        self.returned = {**NOTHING, **returned}
        self.asked: list[tuple[str, Any]] = []

    @property
    def stack(self) -> Deployed:
        """The stack in it, with the template's names."""
        return Deployed(lambda _: self, {name: name for name in (*NOTHING, "FailedEvents", "SettingsTable")})

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 (boto3's)
        """As Lambda answers."""
        self.asked.append((FunctionName, json.loads(Payload)))
        returned = self.returned[FunctionName]
        answer = {"Payload": io.BytesIO(json.dumps(returned).encode())}
        return {**answer, "FunctionError": "Unhandled"} if "errorMessage" in returned else answer

    def get_item(self, Key: Any, **_: Any) -> Any:  # noqa: N803 (boto3's)
        """As DynamoDB answers."""
        until = self.held.get(Key["scope"]["S"])
        return {"Item": {**Key, "held_until": {"S": until}}} if until else {}

    def get_queue_attributes(self, **_: Any) -> Any:
        """As SQS answers."""
        return {"Attributes": {"ApproximateNumberOfMessages": str(self.failed_events)}}


def told(aws: FakeAws) -> tuple[bool, str]:
    lines: list[str] = []
    return sweep(aws.stack, NOW, lines.append), "\n".join(lines)


def test_every_scheduled_function_is_swept_or_owes_nothing():
    scheduled = {
        name
        for name, function in functions(load_template()).items()
        if any(event["Type"] == "ScheduleV2" for event in function.get("Events", {}).values())
    }
    swept = [each.function for each in SWEEPS]
    assert set(swept) | set(NOTHING_OWED) == scheduled
    assert len(swept) == len(set(swept)) == len(scheduled) - len(NOTHING_OWED)


def test_each_is_told_the_same_moment():
    aws = FakeAws()
    assert told(aws)[0]
    assert aws.asked == [(each.function, {"time": "2026-03-02T20:00:00Z"}) for each in SWEEPS]


def test_what_was_found_and_done_is_said_in_plain_words():
    mail = {
        "due": 9,
        "sent": 3,
        "skipped": {"opted_out": 1},
        "deferred": {"outside_window": 2},
        "unknown": 2,
        "failed": 1,
    }
    _, words = told(
        FakeAws(
            SendSurveyFunction=mail,
            AlertStaffFunction={"surveys": 1},
            SendDigestFunction={"clinics": 1, "passives": 4},
        )
    )
    for line in [
        "1 answer of which the staff had to hear at once",
        "9 messages due",
        "3 sent, or found to have been sent",
        "2 stay due: outside window",
        "1 are never sent: opted out",
        "2 may or may not have left, and are never sent again",
        "1 refused by Amazon SES for good",
        "4 answers told to the staff of 1 clinic",
    ]:
        assert f"\n  {line}" in words


def test_where_nothing_was_left_behind_that_is_said():
    assert told(FakeAws())[1].count("nothing was left behind") == len(SWEEPS) - 1  # the digest has words of its own


@pytest.mark.parametrize(
    "run", [send_survey.RUN, send_digest.RUN, escalate_cases.RUN], ids=["mail", "daily digest", "late cases"]
)
def test_a_lock_that_a_killed_run_left_is_said_and_until_when(run):
    _, words = told(FakeAws(held={f"run#{run}": "2026-03-02T20:00:50Z"}))
    assert words.count("holds the lock until 2026-03-02T20:00:50Z: sweep again then") == 1
    assert words.count("nothing was left behind") + words.count("nothing by now") < len(SWEEPS)


def test_a_lock_that_ran_out_keeps_nobody_waiting():
    assert "sweep again" not in told(FakeAws(held={f"run#{send_survey.RUN}": "2026-03-02T19:59:59Z"}))[1]


def test_one_that_fails_keeps_none_of_the_others_waiting():
    aws = FakeAws(AlertStaffFunction={"errorMessage": "ReactionsFailed at reactions.py:59"})
    is_well, words = told(aws)
    assert not is_well
    assert "FAILED: ReactionsFailed at reactions.py:59" in words
    assert len(aws.asked) == len(SWEEPS)


@pytest.mark.parametrize(("failed", "is_said"), [(0, False), (1, True)])
def test_what_waits_in_the_queue_of_failed_events_is_said(failed, is_said):
    assert ("1 record in the queue of failed events" in told(FakeAws(failed))[1]) is is_said


def test_the_sweep_goes_on_when_nobody_reads_any_longer(monkeypatch):
    aws = FakeAws()
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as stdout:
        monkeypatch.setattr("sys.stdout", stdout)
        monkeypatch.setattr("sys.argv", ["sweep"])
        monkeypatch.setattr("local.sweep.find", lambda _: aws.stack)
        assert main() == 0
    assert [function for function, _ in aws.asked] == [each.function for each in SWEEPS]

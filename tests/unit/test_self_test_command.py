"""What `make self-test` runs, what it waits for, and what it says of what it finds."""

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from functions.self_test.promises import PromiseBroken
from functions.self_test.steps import NOT_BEGUN
from local.deployed import Deployed
from local.self_test import NOT_TRIED, PAUSE, TRIES, NotPassed, self_test

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
DONE = {"not_tried": ""}


def broken(promise: str) -> dict[str, str]:
    """As a function ends that found a promise broken."""
    return {"errorMessage": f"{promise} at steps.py:1 < handler.py:2"}


class FakeAws:
    """Functions that return what they are told to, one after the other, and a survey that owes an alert for a while."""

    def __init__(self, owes_alert: int = 0, **returned: Any) -> None:
        self.owes_alert = owes_alert
        self.returned = {
            "SendSurvey": [{"due": 1}],
            "AggregateScores": [{"surveys": 1}],
            "begin": [DONE],
            "answer": [DONE],
            "check": [DONE],
            **returned,
        }
        self.asked: list[str] = []
        self.slept = 0.0

    @property
    def stack(self) -> Deployed:
        """The stack in it, with the template's names."""
        names = ("SelfTestFunction", "SendSurveyFunction", "AggregateScoresFunction", "SurveysTable")
        return Deployed(lambda _: self, {name: name for name in names})

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 (boto3's)
        """As Lambda answers."""
        event = json.loads(Payload)
        assert event["time"] == "2026-03-02T20:00:00Z"
        step = event.get("step", FunctionName.removesuffix("Function"))
        self.asked.append(step)
        results = self.returned[step]
        result = results.pop(0) if len(results) > 1 else results[0]
        if code := result.get("refused"):
            raise ClientError({"Error": {"Code": code, "Message": "Rate Exceeded."}}, "Invoke")
        answer = {"Payload": io.BytesIO(json.dumps(result).encode())}
        return {**answer, "FunctionError": "Unhandled"} if "errorMessage" in result else answer

    def get_item(self, **_: Any) -> Any:
        """As DynamoDB answers."""
        self.owes_alert -= 1
        return {"Item": {"pending_reaction": {"S": "alert"}} if self.owes_alert >= 0 else {}}

    def sleep(self, seconds: float) -> None:
        """As if it did."""
        self.slept += seconds


def told(aws: FakeAws) -> str:
    """All that it says, the failure included."""
    lines: list[str] = []
    try:
        self_test(aws.stack, lines.append, lambda: NOW, aws.sleep)
    except NotPassed as failure:
        lines.append(str(failure))
    return "\n".join(lines)


def test_every_step_is_taken_in_its_order() -> None:
    aws = FakeAws()
    assert told(aws).endswith("Nothing of all this is left.")
    assert aws.asked == ["begin", "SendSurvey", "answer", "AggregateScores", "check"]
    assert aws.slept == 0


def test_a_sender_that_is_at_work_already_is_waited_for() -> None:
    aws = FakeAws(answer=[broken("SurveyNotSent"), broken("SurveyNotSent"), DONE])
    assert "counted once" in told(aws)
    assert aws.asked.count("SendSurvey") == 3
    assert aws.slept == 2 * PAUSE


def test_the_stream_is_waited_for_but_not_for_ever() -> None:
    assert "counted once" in told(FakeAws(owes_alert=2))
    aws = FakeAws(owes_alert=1000)
    assert told(aws).endswith("No alert about the unhappy answer was sent to the staff.")
    assert aws.slept == TRIES * PAUSE
    assert "check" not in aws.asked


@pytest.mark.parametrize("promise", PromiseBroken.__subclasses__())
def test_a_broken_promise_ends_it_in_words(promise: type[PromiseBroken]) -> None:
    said = told(FakeAws(check=[broken(promise.__name__)]))
    assert said.endswith(str(promise.__doc__))
    assert "counted once" not in said


def test_another_failure_names_the_function() -> None:
    assert "SendSurveyFunction failed: KeyError at run.py:1" in told(
        FakeAws(SendSurvey=[{"errorMessage": "KeyError at run.py:1"}])
    )


@pytest.mark.parametrize("function", ["SendSurvey", "AggregateScores"])
@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("TooManyRequestsException", "docs/runbook.md#throttles"),
        ("ResourceNotFoundException", "is not there any more"),
        ("AccessDeniedException", "may not start"),
        ("ServiceException", "AWS could not start"),
    ],
)
def test_a_function_that_aws_does_not_start_is_said_in_plain_words(function: str, code: str, words: str) -> None:
    refused: dict[str, Any] = {function: [{"refused": code}]}
    said = told(FakeAws(**refused)).splitlines()[-1]
    assert words in said
    assert f"{function}Function" in said
    assert "An error occurred" not in said
    assert "Rate Exceeded" not in said


@pytest.mark.parametrize("reason", NOT_TRIED)
def test_what_cannot_be_tried_says_why(reason: str) -> None:
    assert told(FakeAws(begin=[{"not_tried": reason}])) == NOT_TRIED[reason]


def test_every_reason_has_words() -> None:
    assert NOT_BEGUN in NOT_TRIED

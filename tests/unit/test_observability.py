"""What a line of the log and a metric look like to CloudWatch, and what neither can carry."""

import json
from typing import Any

import pytest

from shared.observability import HandlerFailed, count, entry_point, log, warn


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_line_says_what_happened_and_to_what(capsys):
    log("answer", survey_id="s1", version=2)
    warn("slow", reason="throttled\nby the table")
    said, warned = lines(capsys)
    assert (said["level"], said["message"], said["survey_id"], said["version"]) == ("INFO", "answer", "s1", 2)
    assert said["timestamp"].endswith("+00:00")
    assert (warned["level"], warned["reason"]) == ("WARNING", "throttled\nby the table")


@pytest.mark.parametrize("say", [log, warn])
def test_what_is_not_on_the_list_is_refused_and_not_written(say, capsys):
    with pytest.raises(ValueError, match="email"):
        say("answer", email="canary@example.com")
    assert lines(capsys) == []


def test_a_metric_is_in_the_format_that_cloudwatch_reads_from_logs(capsys):
    count("MessagesDue")
    count("MessagesFailed", 3)
    shown, failed = lines(capsys)
    (directive,) = shown["_aws"]["CloudWatchMetrics"]
    assert directive == {
        "Namespace": "Careloop/careloop",
        "Dimensions": [[]],
        "Metrics": [{"Name": "MessagesDue", "Unit": "Count"}],
    }
    assert isinstance(shown["_aws"]["Timestamp"], int)
    assert (shown["MessagesDue"], failed["MessagesFailed"]) == (1, 3)


def test_new_code_that_still_has_the_variables_of_the_release_before_counts_all_the_same(capsys, monkeypatch):
    monkeypatch.delenv("METRICS_NAMESPACE")
    count("MessagesDue")
    (shown,) = lines(capsys)
    assert shown["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Careloop"


def test_a_failure_is_told_by_type_and_place_and_never_in_its_own_words(capsys):
    @entry_point
    def handler(event, context):
        raise KeyError("canary@example.com")

    with pytest.raises(HandlerFailed, match=r"KeyError at test_observability\.py:\d+") as failure:
        handler({}, None)
    (line,) = lines(capsys)
    assert (line["level"], line["message"], line["error"]) == ("ERROR", "handler_failed", "KeyError")
    assert "canary" not in str(line) + str(failure.value)

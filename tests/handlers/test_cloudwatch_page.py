"""The page of the CloudWatch console: as CloudWatch wants it, of metrics that exist, in words, and put as a whole."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import backends

from local import cloudwatch
from local.cloudwatch import NotPut, page, put
from local.deployed import Deployed
from local.template import functions, load_template
from tests.documents.markdown import document
from tests.template.test_alarms import counted_by_the_code

RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
FUNCTIONS = functions(load_template())
BODY: dict[str, Any] = json.loads(cloudwatch.PAGE.read_text("utf-8"))
WIDGETS = BODY["widgets"]
# By the CloudWatch API reference, "Dashboard body structure and syntax": what a widget of each type has, and may have.
WANTED = {"text": {"markdown"}, "metric": {"metrics", "region", "title"}, "log": {"query", "region", "title"}}
WANTED["alarm"] = {"alarms", "title"}
ALLOWED = {
    "text": {"background"},
    "metric": {"view", "stacked", "stat", "period", "annotations", "yAxis", "legend"},
    "log": {"view"},
    "alarm": {"sortBy", "states"},
}
# Metrics by the pages on metrics of each service's guide, and the dimension that names one of our resources.
TOLD_BY_AWS = {
    "AWS/Lambda": (
        {"Errors", "Duration", "Invocations", "Throttles", "IteratorAge", "ConcurrentExecutions"},
        {"FunctionName": "AWS::Serverless::Function"},
    ),
    "AWS/SQS": (
        {"ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage"},
        {"QueueName": "FailedEventsName"},
    ),
    "AWS/DynamoDB": ({"ReadThrottleEvents", "WriteThrottleEvents"}, {"TableName": "AWS::DynamoDB::Table"}),
    "AWS/SES": (
        {"Send", "Delivery", "Bounce", "Complaint", "Reject", "Reputation.BounceRate", "Reputation.ComplaintRate"},
        {"ses:configuration-set": "AWS::SES::ConfigurationSet"},
    ),
}
QUEUE = "https://sqs.us-east-1.amazonaws.com/123456789012/failed-events"


def metrics() -> Iterator[list[Any]]:
    for widget in WIDGETS:
        yield from widget["properties"].get("metrics", ())


def test_the_body_is_as_cloudwatch_wants_it() -> None:
    assert set(BODY) == {"start", "periodOverride", "widgets"}
    assert BODY["periodOverride"] in ("auto", "inherit")
    for widget in WIDGETS:
        assert set(widget) == {"type", "x", "y", "width", "height", "properties"}
        wanted = WANTED[widget["type"]]
        assert wanted <= set(widget["properties"]) <= wanted | ALLOWED[widget["type"]]
        assert 0 <= widget["x"] <= 24 - widget["width"]
    assert len(WIDGETS) <= 500


def test_no_two_widgets_lie_on_one_another() -> None:
    places = [
        (x, y)
        for widget in WIDGETS
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(set(places)) == len(places)


def test_every_widget_has_a_title_in_words_of_its_own() -> None:
    titles = [
        widget["properties"].get("title") or re.match(r"##? (.+)\n", widget["properties"]["markdown"])[1]  # type: ignore[index]
        for widget in WIDGETS
    ]
    assert len(set(titles)) == len(titles)
    assert all(each[-1].get("label") for each in metrics()), "a line says in words what it is"


def test_every_metric_is_told_by_the_code_or_by_aws() -> None:
    own = set()
    for namespace, metric, *rest in metrics():
        dimensions = dict(zip(rest[:-1:2], rest[1:-1:2], strict=True))
        if namespace == "${MetricsNamespace}":
            own.add(metric)
            assert dimensions == {}
            continue
        told, kinds = TOLD_BY_AWS[namespace]
        assert metric in told
        for dimension, value in dimensions.items():
            name = value.strip("${}")
            assert kinds[dimension] in (name, RESOURCES.get(name, {}).get("Type"))
    assert own == counted_by_the_code()


def test_every_function_is_on_it() -> None:
    shown = json.dumps(BODY)
    assert {name for name in FUNCTIONS if f"${{{name}}}" not in shown} == set()


def test_it_is_free_in_an_account_without_others() -> None:
    """Three pages of up to 50 metrics each are free, aws.amazon.com/cloudwatch/pricing; each above costs $3 a month."""
    assert len(list(metrics())) <= 50


def test_a_query_reads_events_and_facts_that_the_code_logs() -> None:
    sources = "\n".join(path.read_text("utf-8") for path in (cloudwatch.PAGE.parents[1] / "functions").rglob("*.py"))
    for query in (widget["properties"]["query"] for widget in WIDGETS if widget["type"] == "log"):
        [group] = re.findall(r"^SOURCE '\$\{(\w+)\}'", query)
        assert RESOURCES[group]["Type"] == "AWS::Logs::LogGroup"
        [event] = re.findall(r'message = "(\w+)"', query)
        assert f'log("{event}"' in sources


def test_the_entries_of_the_runbook_that_it_names_exist() -> None:
    named = re.findall(r"docs/runbook\.md#([\w-]+)", json.dumps(BODY))
    assert named
    assert set(named) <= set(document("docs/runbook.md").anchors())


class Ses:
    """The account in Amazon SES."""

    def get_account(self) -> dict[str, Any]:
        return {"SendQuota": {"Max24HourSend": 50_000.0}}


def client(service: str) -> Any:
    return Ses() if service == "sesv2" else boto3.client(service)


@pytest.fixture
def stack(moto: None) -> Deployed:
    """A stack as CloudFormation lists it, with two of its alarms."""
    backends.get_backend("cloudwatch").reset()
    names = {name: f"careloop-{name}-1ABC" for name in RESOURCES if not name.endswith("Alarm")}
    alarms = {"FailedEventsAlarm": "careloop - Something could not be done", "ThrottlesAlarm": "careloop - Held back"}
    for alarm in alarms.values():
        boto3.client("cloudwatch").put_metric_alarm(
            AlarmName=alarm,
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Statistic="Maximum",
            Period=300,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
        )
    return Deployed(client, {**names, **alarms, "FailedEvents": QUEUE})


def test_it_is_put_under_the_stacks_name_with_the_stacks_own_names_in_it(stack: Deployed) -> None:
    for _ in range(2):
        assert put(stack).endswith("region=us-east-1#dashboards/dashboard/careloop")
    stored = json.loads(boto3.client("cloudwatch").get_dashboard(DashboardName="careloop")["DashboardBody"])
    text = json.dumps(stored)
    assert "${" not in text
    assert "Careloop/careloop" in text
    assert "careloop-SendSurveyFunction-1ABC" in text
    assert '"QueueName", "failed-events"' in text
    assert '"value": 50000.0' in text
    [alarms] = [widget["properties"]["alarms"] for widget in stored["widgets"] if widget["type"] == "alarm"]
    named = sorted(arn.rpartition(":alarm:")[2] for arn in alarms)
    assert named == ["careloop - Held back", "careloop - Something could not be done"]


def test_what_cloudwatch_finds_wrong_is_told(stack: Deployed) -> None:
    real = boto3.client("cloudwatch")

    class Picky:
        meta = real.meta
        describe_alarms = real.describe_alarms

        def put_dashboard(self, **_: Any) -> Any:
            return {"DashboardValidationMessages": [{"DataPath": "/widgets/3", "Message": "Should NOT have x"}]}

    picky = Deployed(lambda service: Picky() if service == "cloudwatch" else client(service), stack.names)
    with pytest.raises(NotPut, match="/widgets/3: Should NOT have x"):
        put(picky)


def test_a_name_that_the_stack_does_not_have_is_no_silent_gap(stack: Deployed) -> None:
    names = {name: value for name, value in stack.names.items() if name != "SelfTestFunction"}
    with pytest.raises(KeyError, match="SelfTestFunction"):
        page(Deployed(stack.client, names))


def test_without_a_stack_it_says_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr("local.deployed.STATE", tmp_path)
    monkeypatch.setattr("sys.argv", ["dashboard"])
    assert cloudwatch.main() == 1
    assert "name one in AWS: STACK=name" in capsys.readouterr().err


def test_an_address_of_the_console_is_named_only_where_there_is_one(
    stack: Deployed, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("local.cloudwatch.find", lambda _: stack)
    monkeypatch.setattr("sys.argv", ["dashboard"])
    assert cloudwatch.main() == 0
    shown = capsys.readouterr().out
    assert "has no CloudWatch console" in shown
    assert "https://" not in shown
    monkeypatch.setattr("sys.argv", ["dashboard", "--stack", "careloop"])
    assert cloudwatch.main() == 0
    assert capsys.readouterr().out.startswith("https://us-east-1.console.aws.amazon.com/")

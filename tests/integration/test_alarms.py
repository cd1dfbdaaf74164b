"""On the deployed stack a function's failure becomes a mail in plain words, and the console's page can be put."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.cloudwatch import put
from local.deployed import FunctionFailed, on_this_machine
from local.stack import Stack

ALARM = "SendReportErrorsAlarm"


@pytest.fixture
def mailbox(stack: Stack) -> Iterator[Any]:
    """Reads what the alarms' topic tells: a queue in place of somebody's address, which would have to confirm."""
    queues, topics = stack.client("sqs"), stack.client("sns")
    topic = on_this_machine(stack).names["AlarmTopic"]
    queue = queues.create_queue(QueueName="heard-alarms")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told_by_the_topic = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [{**told_by_the_topic, "Resource": arn}]}
    queues.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    subscription = topics.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True)

    def read() -> dict[str, dict[str, Any]]:
        told = []
        while found := queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
            told += [json.loads(json.loads(message["Body"])["Message"]) for message in found]
        return {each["AlarmName"]: each for each in told}

    yield read
    topics.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    queues.delete_queue(QueueUrl=queue)


def test_a_failing_function_becomes_a_mail_that_says_what_it_means_and_where_to_read_on(
    stack: Stack, mailbox: Any
) -> None:
    deployed, cloudwatch = on_this_machine(stack), stack.client("cloudwatch")
    name = deployed.names[ALARM]
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="whatever other tests broke is over")
    mailbox()
    with pytest.raises(FunctionFailed):
        deployed.run("SendReportFunction", {"time": "soon"})
    # The stand-in judges its alarms whenever somebody tells it a figure, AWS once a minute.
    cloudwatch.put_metric_data(Namespace="Elsewhere", MetricData=[{"MetricName": "Nudge", "Value": 1}])
    mail = mailbox()[name]
    assert mail["NewStateValue"] == "ALARM"
    assert mail["AlarmName"] == f"{stack.stack_name} - The report to the practice failed"
    assert mail["AlarmDescription"].endswith("Runbook: docs/runbook.md#send-report-errors")


def test_the_page_of_the_console_is_put_with_every_alarm_of_the_stack(stack: Stack) -> None:
    deployed, cloudwatch = on_this_machine(stack), stack.client("cloudwatch")
    try:
        assert put(deployed).endswith(f"#dashboards/dashboard/{stack.stack_name}")
        body = json.loads(cloudwatch.get_dashboard(DashboardName=stack.stack_name)["DashboardBody"])
    finally:
        cloudwatch.delete_dashboards(DashboardNames=[stack.stack_name])
    [shown] = [widget["properties"]["alarms"] for widget in body["widgets"] if widget["type"] == "alarm"]
    alarms = {name for logical, name in deployed.names.items() if logical.endswith("Alarm")}
    assert {arn.partition(":alarm:")[2] for arn in shown} == alarms
    assert len(alarms) > 20

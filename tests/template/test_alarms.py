"""Every alarm speaks plainly, leads to its entry of the runbook, and watches something that is really told."""

import re
from typing import Any

import pytest

from local.template import ROOT, load_template
from tests.cloudwatch import metric_of
from tests.documents.markdown import document

RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
ALARMS = {
    name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == "AWS::CloudWatch::Alarm"
}
RUNBOOK = document("docs/runbook.md")
ENTRIES = {
    words: RUNBOOK.section(words) for rank, words in RUNBOOK.headings() if re.fullmatch(r"[a-z]+(-[a-z]+)*", words)
}
# Which metrics AWS tells of which kind of resource, by the CloudWatch pages of each service's guide.
TOLD_BY_AWS = {
    "AWS/Lambda": ("FunctionName", "AWS::Serverless::Function", {"Invocations", "Errors", "Throttles", "Duration"}),
    "AWS/SQS": ("QueueName", "AWS::SQS::Queue", {"ApproximateNumberOfMessagesVisible"}),
    "AWS/Events": ("RuleName", "AWS::Events::Rule", {"FailedInvocations"}),
}
JARGON = re.compile(
    r"\b(stack trace|exception|invocation|invoke|queue depth|metric|threshold|DLQ|payload|lambda)\b", re.I
)


def entry_of(alarm: dict[str, Any]) -> str:
    return str(alarm["AlarmDescription"]).partition("Runbook: docs/runbook.md#")[2]


@pytest.mark.parametrize("name", ALARMS)
def test_its_text_says_what_that_means_and_ends_with_the_way_to_the_runbook(name: str) -> None:
    text = ALARMS[name]["AlarmDescription"]
    kebab = re.sub(r"(?<!^)(?=[A-Z])", "-", name.removesuffix("Alarm")).lower()
    assert text.endswith(f" Runbook: docs/runbook.md#{kebab}")
    assert len(text) <= 1024
    assert not JARGON.search(text)
    assert len(re.findall(r"[.:] ", text)) >= 3, "what happened, what it means, what happens by itself"


@pytest.mark.parametrize("name", ALARMS)
def test_its_mails_subject_names_the_stack_and_what_happened(name: str) -> None:
    stack, _, title = ALARMS[name]["AlarmName"]["Fn::Sub"].partition(" - ")
    assert stack == "${AWS::StackName}"
    assert title.isascii()
    assert len(title.split()) >= 4
    assert len(f'INSUFFICIENT_DATA: "careloop - {title}"') <= 100, "Amazon SNS cuts a subject off there"
    opening = ENTRIES[entry_of(ALARMS[name])].split("**")[1]
    assert opening.rstrip(".,") == title, "the runbook's entry begins with the words of the subject"


def test_each_entry_of_the_runbook_has_its_alarm() -> None:
    assert set(ENTRIES) == {entry_of(alarm) for alarm in ALARMS.values()}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_says_where_to_look_what_to_do_when_it_is_over_and_what_was_lost(name: str) -> None:
    assert re.findall(r"^- \*([A-Z][a-z ]+):\* ", ENTRIES[name], re.MULTILINE) == [
        "Look first",
        "Do",
        "Over when",
        "Lost",
    ]


def test_no_two_alarms_have_the_same_name() -> None:
    names = [alarm["AlarmName"]["Fn::Sub"] for alarm in ALARMS.values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ALARMS)
def test_what_it_watches_is_told_by_the_code_or_by_aws(name: str) -> None:
    namespace, metric, dimensions = metric_of(ALARMS[name])
    if namespace == "Careloop/careloop":
        assert metric in counted_by_the_code()
        assert dimensions == frozenset(), "the code counts without dimensions"
        return
    dimension, kind, metrics = TOLD_BY_AWS[namespace]
    assert metric in metrics
    for key, value in dimensions:
        assert (key, RESOURCES[value]["Type"]) == (dimension, kind)
    assert dimensions or name == "ThrottlesAlarm", "its limit is the account's"


def counted_by_the_code() -> set[str]:
    sources = [path.read_text("utf-8") for top in ("functions", "shared") for path in (ROOT / top).rglob("*.py")]
    return set(re.findall(r"(?<![.\w])count\(\s*\"(\w+)\"", "\n".join(sources)))


def test_whatever_the_code_counts_is_watched() -> None:
    watched = {alarm["MetricName"] for alarm in ALARMS.values()}
    assert counted_by_the_code() <= watched

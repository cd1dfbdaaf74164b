"""docs/privacy.md tells the services and the days of the template, and what functions may do."""

import re
import subprocess
from collections.abc import Iterator

import pytest

from local.template import ROOT, events, functions, load_template
from shared.domain.staff import ABSOLUTE, IDLE
from tests.documents.markdown import DOCUMENTS, document, rows

TEMPLATE = load_template()
RESOURCES = TEMPLATE["Resources"]
PAGE = document("docs/privacy.md")
KEPT = {cells[1]: cells[2] for cells in rows(PAGE.section("What is kept, where and how long"))}
SERVICES = {
    "ApiGateway": "API Gateway",
    "CloudWatch": "CloudWatch",
    "Cognito": "Cognito",
    "DynamoDB": "DynamoDB",
    "Events": "EventBridge",
    "Scheduler": "EventBridge",
    "IAM": "IAM",
    "KMS": "KMS",
    "Lambda": "Lambda",
    "Logs": "CloudWatch",
    "S3": "S3",
    "SES": "SES",
    "SNS": "SNS",
    "SQS": "SQS",
    "SecretsManager": "Secrets Manager",
    "WAFv2": "WAF",
}
MADE_BY_SAM = {"Api": "ApiGateway", "Function": "Lambda"}


def used() -> Iterator[str]:
    """Every service of which the template makes something, by the name that people know."""
    for resource in RESOURCES.values():
        _, service, kind = resource["Type"].split("::")
        yield SERVICES[MADE_BY_SAM[kind] if service == "Serverless" else service]
    if any(events(function, "ScheduleV2") for function in functions(TEMPLATE).values()):
        yield SERVICES["Scheduler"]


def of_type(kind: str) -> dict[str, dict]:
    return {name: each.get("Properties", {}) for name, each in RESOURCES.items() if each["Type"] == kind}


def days(place: str) -> list[int]:
    return [int(number) for number in re.findall(r"(\d+) days", KEPT[place])]


def test_it_tells_of_every_service_and_of_no_other() -> None:
    told = [cells[0] for cells in rows(PAGE.section("AWS services"))]
    assert sorted(told) == sorted(set(used()))


def test_of_every_service_it_says_whether_it_is_eligible() -> None:
    for service, _, encrypted, eligible in rows(PAGE.section("AWS services")):
        assert encrypted
        assert eligible.startswith("listed") or service == "IAM"


def test_every_table_is_told_of() -> None:
    named = {word for place in KEPT for word in re.findall(r"table (\w+)", place)}
    assert named == {name.removesuffix("Table") for name in of_type("AWS::DynamoDB::Table")}


def test_logs_are_kept_as_long_as_it_says() -> None:
    assert {log["RetentionInDays"] for log in of_type("AWS::Logs::LogGroup").values()} == set(days("CloudWatch"))


def test_the_queue_keeps_as_long_as_it_says() -> None:
    [queue] = of_type("AWS::SQS::Queue").values()
    assert days("queue of failed events") == [queue["MessageRetentionPeriod"] // 86_400]


def test_files_are_kept_as_long_as_it_says() -> None:
    [bucket] = of_type("AWS::S3::Bucket").values()
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule} == set(days("intake bucket"))
    assert {rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules if "Prefix" in rule} == {1}
    assert "one day more" in KEPT["intake bucket"]


def test_backups_reach_back_as_far_as_it_says() -> None:
    recovery = [table["PointInTimeRecoverySpecification"] for table in of_type("AWS::DynamoDB::Table").values()]
    assert all(each == {"PointInTimeRecoveryEnabled": True} for each in recovery)
    assert days("point-in-time recovery") == [35]  # what AWS keeps unless told less


def test_sessions_end_when_it_says() -> None:
    assert (IDLE.total_seconds(), ABSOLUTE.total_seconds()) == (1800, 12 * 3600)
    assert "12 hours at most" in KEPT["table Sessions"]
    assert "ends after half an hour without use" in PAGE.text


@pytest.mark.parametrize(
    "kind",
    [
        "AWS::DynamoDB::Table",
        "AWS::S3::Bucket",
        "AWS::SQS::Queue",
        "AWS::SNS::Topic",
        "AWS::Logs::LogGroup",
        "AWS::SecretsManager::Secret",
    ],
)
def test_what_is_said_to_lie_under_your_key_does(kind: str) -> None:
    assert all("KmsKeyArn" in str(each) for each in of_type(kind).values())


def test_links_live_as_long_as_it_says() -> None:
    assert f"opens one survey for {TEMPLATE['Parameters']['LinkLifetimeDays']['Default']} days" in PAGE.text


def test_nothing_outside_of_aws_is_called() -> None:
    """Only the sign-in and the self-test open connections of their own, both to the practice's own addresses."""
    callers = {
        path.relative_to(ROOT).parts[1]
        for top in ("functions", "shared")
        for path in (ROOT / top).rglob("*.py")
        if re.search(r"http\.client|urlopen|urllib3|import requests|socket", path.read_text())
    }
    assert callers <= {"serve_dashboard", "self_test"}


def test_patients_records_that_a_command_names_stay_out_of_the_repository() -> None:
    written = " ".join(each.text for each in DOCUMENTS)
    records = {
        *re.findall(r"(?:FILE=|EXPORT=|s3 cp )([\w-]+\.\w+)(?![\w/])", written),
        "careloop-2026-11-22/README.txt",
    }
    assert {"patient.json", "patients.csv", "visits.csv"} <= records
    git = ["git", "-C", str(ROOT)]
    ignored = subprocess.run([*git, "check-ignore", *records], capture_output=True, text=True, check=False).stdout
    assert records - set(ignored.split()) == set()
    ours = subprocess.run([*git, "ls-files", "-ci", "--exclude-standard"], capture_output=True, text=True, check=True)
    assert ours.stdout == ""

"""What is read of a stack, and what becomes of a question that AWS refuses, does not know or does not answer."""

import json
import re
import threading
from datetime import date, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local.template import ROOT, events, functions, load_template
from shared.domain.delivery import staff_key
from shared.domain.settings import ClinicSettings
from shared.health import read_mail, read_running, read_wiring, reading
from shared.health.checks import CHECKS, diagnose
from shared.health.facts import Lately, Run
from shared.health.findings import Finding, State, Unread
from shared.health.place import Place, gather
from shared.storage import addresses, scores, settings
from shared.storage.dynamodb import client as dynamodb
from tests.environment import ENVIRONMENT, TABLES
from tests.handlers.fake_account import ANSWERS, NOBODY_THERE, NOW, PARTS, FakeAccount, a_place

pytestmark = pytest.mark.usefixtures("aws")
ADMIN = ENVIRONMENT["ADMIN_ADDRESSES"]
TIMES = {"SendSurveyFunctionEveryTenMinutes": "rate(10 minutes)", "SelfTestFunctionCheck": "rate(10 minutes)"}
OPERATIONS = sorted({*ANSWERS, *NOBODY_THERE})


def looked_at(account: FakeAccount, *, is_local: bool = False, **differences: Any) -> list[Finding]:
    place = a_place(account, is_local=is_local, **differences)
    facts = gather(reading.by_the_command(place), place)
    return diagnose({**facts, "version_here": "1.0.0+abc", "times_here": TIMES})


def refusing(operation: str, code: str, words: str = "somebody@example.com may not") -> FakeAccount:
    account = FakeAccount(words=words)
    account.refused[operation] = code
    return account


def of(findings: list[Finding], check: str) -> list[Finding]:
    return [finding for finding in findings if finding.check == check]


def troubles(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.state is not State.OK]


def test_all_there_is_to_ask_is_asked_and_found_well():
    account = FakeAccount()
    findings = looked_at(account)
    assert troubles(findings) == []
    assert {finding.check for finding in findings} == {check.title for check in CHECKS}
    assert account.asked == {*ANSWERS, *NOBODY_THERE}


def test_what_may_not_be_asked_is_unknown_and_nothing_else_changes():
    for operation in OPERATIONS:
        found = troubles(looked_at(refusing(operation, "AccessDeniedException")))
        assert found, operation
        for finding in found:
            assert finding.state is State.UNKNOWN, finding
            assert "not allowed to ask" in finding.says
            assert "docs/doctor.md" in finding.do
            assert "somebody@example.com" not in finding.says  # AWS's words name who asked


def test_what_aws_cannot_answer_at_present_is_unknown():
    for operation in OPERATIONS:
        found = troubles(looked_at(refusing(operation, "ThrottlingException")))
        assert found, operation
        assert {finding.state for finding in found} == {State.UNKNOWN}, operation
        assert all("ThrottlingException" in finding.says for finding in found), operation


def test_what_the_stand_in_for_aws_does_not_have_is_said_so():
    for operation in OPERATIONS:
        account = refusing(operation, "NotFoundException", "Unknown SES v2 path: GET /v2/email/account")
        found = troubles(looked_at(account, is_local=True))
        assert found, operation
        assert {finding.state for finding in found} == {State.UNKNOWN}, operation
        assert all("this machine" in finding.says for finding in found), operation


@pytest.mark.parametrize(
    ("operation", "code", "check", "words"),
    [
        ("sesv2.get_email_identity", "NotFoundException", "Sender", "Neither the sender"),
        ("sesv2.get_configuration_set", "NotFoundException", "Configuration set", "The configuration set"),
        ("events.describe_rule", "ResourceNotFoundException", "News of mail", "The rule"),
        ("scheduler.get_schedule", "ResourceNotFoundException", "Schedules", "EveryTenMinutes of SendSurvey"),
        ("lambda.get_function_configuration", "ResourceNotFoundException", "Functions", "SendSurveyFunction"),
        ("lambda.get_event_source_mapping", "ResourceNotFoundException", "Reactions to answers", "AlertStaff"),
        ("sqs.get_queue_attributes", "QueueDoesNotExist", "Failed events", "The queue"),
        ("s3.list_objects_v2", "NoSuchBucket", "Last file", "The bucket"),
        ("sns.list_subscriptions_by_topic", "NotFoundException", "Who hears of alarms", "not there any more"),
        ("dynamodb.describe_table", "ResourceNotFoundException", "Backups", "Patients"),
        ("kms.describe_key", "NotFoundException", "Key of the data", "not there any more"),
        ("secretsmanager.describe_secret", "ResourceNotFoundException", "Hash key", "The secret"),
        ("cognito-idp.get_user_pool_mfa_config", "ResourceNotFoundException", "Second factor", "not there any more"),
    ],
)
def test_a_part_that_is_gone_is_broken_and_not_merely_unknown(operation, code, check, words):
    account = FakeAccount()
    account.refused[operation] = code
    said = of(looked_at(account), check)
    assert said[0].state is State.BROKEN
    assert any(words in finding.says for finding in said)


def test_a_configuration_set_without_a_choice_of_its_own_goes_by_the_account_s():
    account = FakeAccount()
    account.answers["sesv2.get_configuration_set"] = {"SendingOptions": {"SendingEnabled": True}}
    assert of(looked_at(account), "Suppression list")[0].state is State.ATTENTION
    reasons = {"SuppressionAttributes": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]}}
    account.answers["sesv2.get_account"] = {**ANSWERS["sesv2.get_account"], **reasons}
    assert of(looked_at(account), "Suppression list")[0].state is State.OK


def test_a_rule_that_leads_nowhere_is_broken():
    account = FakeAccount()
    account.answers["events.list_targets_by_rule"] = {"Targets": []}
    assert "leads nowhere" in of(looked_at(account), "News of mail")[0].says


def test_a_rule_with_another_pattern_is_broken():
    for narrower in ({**read_mail.PATTERN, "account": ["1"]}, {**read_mail.PATTERN, "source": ["aws.ec2"]}):
        account = FakeAccount()
        account.answers["events.describe_rule"] = {"State": "ENABLED", "EventPattern": json.dumps(narrower)}
        assert "another event pattern" in of(looked_at(account), "News of mail")[0].says


def test_the_rule_s_pattern_is_the_template_s():
    pattern = load_template()["Resources"]["MailEventsRule"]["Properties"]["EventPattern"]
    named = json.dumps(pattern).replace('{"Ref": "MailEvents"}', '"the stack\'s"')
    assert json.loads(named) == read_mail.PATTERN


def test_what_starts_a_function_is_what_the_template_says():
    for name, function in functions(load_template()).items():
        routes = len(events(function, "Api"))
        assert read_wiring.STARTED_BY.get(name, ("", 0))[1] == (
            routes or int(name in ("ImportVisitsFunction", "TrackDeliveryFunction"))
        )


@pytest.mark.parametrize(
    ("operation", "answer", "check", "words"),
    [
        ("lambda.get_policy", {"Policy": '{"Statement": []}'}, "Permission to start", "s3.amazonaws.com may not start"),
        (
            "lambda.get_policy",
            {"Policy": '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "lambda:InvokeFunction"}]}'},
            *("Permission to start", "may not start ImportVisitsFunction any more"),
        ),
        (
            "dynamodb.describe_table",
            {"Table": {"DeletionProtectionEnabled": True}},
            "Stream of answers",
            "switched off",
        ),
        (
            "dynamodb.describe_table",
            {"Table": {"StreamSpecification": {"StreamEnabled": True}, "LatestStreamArn": "arn:stream/2"}},
            *("Stream of answers", "does not write any more"),
        ),
        (
            "s3.get_public_access_block",
            {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True, "RestrictPublicBuckets": True}},
            *("Guard of files", "opened to the public"),
        ),
        ("s3.get_bucket_policy", {"Policy": '{"Statement": []}'}, "Guard of files", "not encrypted"),
        (
            "scheduler.get_schedule",
            {"State": "ENABLED", "ScheduleExpression": "rate(10 minutes)", "Target": {"Arn": "arn:function:other"}},
            *("Times and targets", "starts something else"),
        ),
        (
            "scheduler.get_schedule",
            {"State": "ENABLED", "ScheduleExpression": "rate(10 days)", "Target": {"Arn": "arn:function:other"}},
            *("Times and targets", "EveryTenMinutes of SendSurveyFunction comes at rate(10 days), and should at"),
        ),
    ],
)
def test_what_leads_to_another_part_is_seen_to_be_cut(operation, answer, check, words):
    account = FakeAccount()
    account.answers[operation] = answer
    said = of(looked_at(account), check)
    assert said[0].state in (State.BROKEN, State.ATTENTION)
    assert any(words in finding.says for finding in said)


@pytest.mark.parametrize(
    ("operation", "code", "state"),
    [
        ("s3.get_public_access_block", "NoSuchPublicAccessBlockConfiguration", State.BROKEN),
        ("s3.get_bucket_policy", "NoSuchBucketPolicy", State.ATTENTION),
    ],
)
def test_a_guard_of_files_that_was_taken_away_is_no_part_that_cannot_be_read(operation, code, state):
    [said] = of(looked_at(refusing(operation, code)), "Guard of files")
    assert said.state is state


def test_on_this_machine_no_bucket_has_a_policy():
    [said] = of(looked_at(refusing("s3.get_bucket_policy", "NoSuchBucketPolicy"), is_local=True), "Guard of files")
    assert said.state is State.OK


def test_a_table_that_is_gone_is_said_so_whichever_way_it_is_read():
    for table in ("Settings", "Addresses", "Scores"):
        dynamodb().delete_table(TableName=table)
    said = {finding.check: finding for finding in looked_at(FakeAccount())}
    for check in ("Sending", "Alert recipients", "Nightly count", "Last answer"):
        assert said[check].state is State.BROKEN
        assert said[check].says == "A table is not there any more."


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_gone_is_restored_and_never_put_back_empty(table):
    dynamodb().delete_table(TableName=table)
    account = FakeAccount()
    account.refused["dynamodb.describe_table"] = "ResourceNotFoundException"
    found = troubles(looked_at(account))
    assert {finding.check for finding in found} >= {"Backups"}
    assert {finding.do for finding in found} == {"Deploy nothing. Restore first: docs/backup.md."}


@pytest.mark.parametrize("operation", ["s3.list_objects_v2", "cognito-idp.list_users_in_group", "kms.describe_key"])
def test_what_holds_data_and_is_gone_is_restored_and_never_made_anew(operation):
    account = FakeAccount()
    account.refused[operation] = "ResourceNotFoundException"
    for finding in troubles(looked_at(account)):
        assert finding.do == "Deploy nothing. Restore first: docs/backup.md."


def test_a_hash_key_that_is_gone_stops_the_mail_and_is_never_made_anew():
    account = FakeAccount()
    account.refused["secretsmanager.describe_secret"] = "ResourceNotFoundException"
    [finding] = of(looked_at(account), "Hash key")
    assert finding.do.startswith("First stop all sending")
    assert "never make a new key" in finding.do
    assert "hash-key.txt of an archive" in finding.do
    assert "infra/template.yaml" not in finding.do


def test_an_alarm_that_is_gone_is_broken():
    account = FakeAccount()
    account.answers["cloudwatch.describe_alarms"] = {"MetricAlarms": []}
    assert "FailedEventsAlarm is not there" in of(looked_at(account), "Alarms")[0].says


def test_without_a_network_nothing_is_well_but_what_lies_here():
    def nowhere(service: str) -> Any:
        raise EndpointConnectionError(endpoint_url="https://somewhere")

    account = FakeAccount()
    found = looked_at(account, fetch=lambda address: (0, ""))
    assert troubles(found)
    place = Place(clients=nowhere, parts=PARTS, now=NOW)
    [finding] = of(diagnose(gather({"queue": read_running.queue}, place)), "Failed events")
    assert finding.state is State.UNKNOWN
    assert "EndpointConnectionError" in finding.says


def test_one_fact_that_fails_in_a_new_way_hides_no_other():
    account = FakeAccount()
    account.answers["kms.describe_key"] = {}
    [finding] = troubles(looked_at(account))
    assert (finding.check, finding.state) == ("Key of the data", State.UNKNOWN)
    assert "KeyError: 'KeyMetadata'" in finding.says


def test_what_does_not_answer_in_time_is_unknown():
    waits = threading.Event()
    slow, place = {"queue": lambda place: waits.wait(5), "rule": lambda place: True}, a_place(FakeAccount())
    facts = gather(slow, place, seconds=0.05)
    waits.set()
    assert facts["rule"] is True
    assert isinstance(facts["queue"], Unread)
    assert "in time" in facts["queue"].why


def test_progress_is_shown_to_its_end():
    seen: list[tuple[int, int]] = []
    gather(
        {"rule": read_mail.rule, "queue": read_running.queue}, a_place(FakeAccount()), show=lambda *at: seen.append(at)
    )
    assert seen == [(1, 2), (2, 2)]


def test_an_address_that_amazon_ses_suppresses_is_named():
    account = FakeAccount(refused={})
    account.answers["sesv2.get_suppressed_destination"] = {"SuppressedDestination": {"Reason": "BOUNCE"}}
    [finding] = of(looked_at(account), "Alert addresses")
    assert ADMIN in finding.says


def test_an_admin_of_a_clinic_whom_no_mail_reaches_is_named():
    settings.put_clinic(ClinicSettings("north", admins=("north@example.com",)))
    addresses.mark_bounced(staff_key("north@example.com"), NOW)
    addresses.mark_complained(staff_key(ADMIN), NOW)
    said = " ".join(finding.says for finding in of(looked_at(FakeAccount()), "Alert recipients"))
    assert "north@example.com sends our mail back" in said
    assert f"{ADMIN} marked our mail as spam" in said


def test_an_emptied_list_of_who_gets_alerts_is_broken():
    dynamodb().put_item(TableName="Settings", Item={"scope": {"S": "practice"}, "ADMIN_ADDRESSES": {"S": ""}})
    [finding] = of(looked_at(FakeAccount()), "Alert recipients")
    assert finding.state is State.BROKEN
    assert "is empty" in finding.says


def test_settings_that_cannot_be_read_are_broken_and_the_rest_is_looked_at(choose):
    choose(SEND_DAYS="Sonntag")
    findings = looked_at(FakeAccount())
    assert "SEND_DAYS" in of(findings, "Settings")[0].says
    assert of(findings, "Settings")[0].state is State.BROKEN
    assert of(findings, "Daily quota")[0].state is State.UNKNOWN
    assert of(findings, "Backups")[0].state is State.OK


def test_a_policy_of_the_domain_above_counts_unless_there_is_a_nearer_one():
    place = a_place(FakeAccount())
    assert read_mail.dmarc(place) == ("v=DMARC1; p=reject",)
    own = {"_dmarc.riverside.example.com": ("v=spf1 -all", "v=DMARC1; p=none"), "_dmarc.example.com": ("v=DMARC1",)}
    assert read_mail.dmarc(a_place(FakeAccount(), texts=lambda name: own.get(name, ()))) == ("v=DMARC1; p=none",)
    asked: list[str] = []

    def nothing(name: str) -> tuple[str, ...]:
        asked.append(name)
        return ()

    assert read_mail.dmarc(a_place(FakeAccount(), texts=nothing)) == ()
    assert asked == ["_dmarc.riverside.example.com", "_dmarc.example.com"]


def test_the_last_days_are_read_as_they_were_counted():

    for day, counts in {
        "2026-03-02": {"sent": 3, "s9": 1},
        "2026-03-03": {"sent": 2},
        "2026-02-01": {"sent": 9},
    }.items():
        assert scores.add({("practice", day): counts}, [])
    assert read_mail.lately(a_place(FakeAccount())) == Lately(sent=5, last_answer=date(2026, 3, 2))


def test_a_run_that_failed_is_not_one_that_ended_well():
    account = FakeAccount()
    early, late = NOW - timedelta(minutes=20), NOW - timedelta(minutes=5)
    failed = {"Invocations": ([late, early], [2.0, 1.0]), "Errors": ([late], [2.0])}
    account.answers["cloudwatch.get_metric_data"] = lambda asked: {
        "MetricDataResults": [
            {"Id": each["Id"], "Timestamps": moments, "Values": values}
            for each in asked["MetricDataQueries"]
            for moments, values in [failed[each["MetricStat"]["Metric"]["MetricName"]]]
        ]
    }
    assert read_running.last_runs(a_place(account)) == {
        "SendSurveyFunction": Run(late, early),
        "SelfTestFunction": Run(late, early),
    }


def test_a_function_that_is_held_back_is_told_from_one_that_may_run():
    account = FakeAccount()
    account.answers["lambda.get_function_concurrency"] = {"ReservedConcurrentExecutions": 0}
    assert "reserved concurrency is 0" in of(looked_at(account), "Functions")[0].says
    account.answers["lambda.get_function_concurrency"] = {"ReservedConcurrentExecutions": 5}
    assert of(looked_at(account), "Functions")[0].state is State.OK


def test_how_long_the_oldest_event_waits_is_said_where_it_is_known():
    account = FakeAccount()
    account.answers["sqs.get_queue_attributes"] = {
        "Attributes": {"ApproximateNumberOfMessages": "2", "ApproximateNumberOfMessagesNotVisible": "1"}
    }
    account.answers["cloudwatch.get_metric_statistics"] = {"Datapoints": [{"Maximum": 7200.0}, {"Maximum": 60.0}]}
    assert (
        "3 events wait in the queue of failed events, the oldest for 2 hours"
        in of(looked_at(account), "Failed events")[0].says
    )


def test_an_unconfirmed_subscription_is_no_listener():
    account = FakeAccount()
    account.answers["sns.list_subscriptions_by_topic"] = {
        "Subscriptions": [{"SubscriptionArn": "PendingConfirmation", "Endpoint": "it@example.com"}]
    }
    assert "it@example.com has not confirmed" in of(looked_at(account), "Who hears of alarms")[0].says


def test_the_document_names_every_right_that_it_takes_and_no_other():
    account = FakeAccount()
    account.answers["sqs.get_queue_attributes"] = {
        "Attributes": {"ApproximateNumberOfMessages": "1", "ApproximateNumberOfMessagesNotVisible": "0"}
    }
    account.answers["cloudwatch.get_metric_statistics"] = {"Datapoints": []}
    looked_at(account)
    asked = {operation.partition(".")[::2] for operation in account.asked}
    rights = {f"{service}:{''.join(part.title() for part in call.split('_'))}" for service, call in asked}
    named_otherwise = {
        "sesv2:": "ses:",
        "s3:ListObjectsV2": "s3:ListBucket",
        "s3:GetBucketNotificationConfiguration": "s3:GetBucketNotification",
        "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    }
    for call, right in named_otherwise.items():
        rights = {each.replace(call, right) for each in rights}
    [document] = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "doctor.md").read_text(), re.DOTALL)
    [statement] = json.loads(document)["Statement"]
    of_tables = {f"dynamodb:{call}" for call in ("GetItem", "BatchGetItem", "Query", "Scan")}
    of_the_stack = {"cloudformation:DescribeStacks", "cloudformation:ListStackResources"}
    assert set(statement["Action"]) == rights | of_tables | of_the_stack | {"kms:Decrypt"}


@pytest.mark.parametrize(
    ("expression", "span"),
    [
        ("rate(10 minutes)", timedelta(minutes=10)),
        ("rate(1 hour)", timedelta(hours=1)),
        ("rate(2 days)", timedelta(days=2)),
        ("cron(15 8 * * ? *)", timedelta(days=1)),
    ],
)
def test_how_often_a_schedule_comes_is_read_from_it(expression, span):
    assert read_running.every(expression) == span

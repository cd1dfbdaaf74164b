"""`make doctor` on a deployed stack: what is well is found well, and each thing that is broken on purpose is named."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from local.deployed import on_this_machine
from local.stack import PEOPLE, PRESET, Stack, running
from local.template import ROOT
from shared.domain.delivery import staff_key
from tests.environment import ENVIRONMENT

SENDER, ADMIN = PRESET["SenderAddress"], PRESET["AdminAddresses"]
Findings = dict[str, list[dict[str, str]]]


def run_doctor(stack: Stack) -> subprocess.CompletedProcess[str]:
    """The command as it looks at AWS, with the local endpoint in its place."""
    ours = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}  # as a shell has it
    environment = {**ours, **on_this_machine(stack).access}
    command = [sys.executable, "-m", "local.doctor", "--stack", stack.stack_name, "--json"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def doctor(stack: Stack) -> tuple[int, Findings]:
    """Its exit code, and findings by check."""
    done = run_doctor(stack)
    assert done.stderr == ""
    found: Findings = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return done.returncode, found


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """One of its own: other tests' people and failures would be findings."""
    with running(iam=True) as stack:
        yield stack


@pytest.fixture(scope="module")
def names(stack: Stack) -> dict[str, str]:
    """The parts of the stack by their names in the template."""
    return dict(on_this_machine(stack).names)


@contextmanager
def undone(do: Callable[[], object], undo: Callable[[], object]) -> Iterator[None]:
    """Something broken for a while."""
    do()
    try:
        yield
    finally:
        undo()


def mail_broken(stack: Stack, names: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """How Amazon SES is broken, and mended."""
    mail, events = stack.client("sesv2"), stack.client("events")
    name = names["MailEvents"]
    account = {"MailType": "TRANSACTIONAL", "WebsiteURL": "https://riverside.example", "UseCaseDescription": "Surveys"}
    yield (
        lambda: mail.put_account_details(ProductionAccessEnabled=False, **account),
        lambda: mail.put_account_details(ProductionAccessEnabled=True, **account),
    )
    yield (
        lambda: mail.put_account_sending_attributes(SendingEnabled=False),
        lambda: mail.put_account_sending_attributes(SendingEnabled=True),
    )

    def verify() -> None:
        mail.create_email_identity(EmailIdentity=SENDER)
        mail.put_email_identity_dkim_attributes(EmailIdentity=SENDER, SigningEnabled=True)
        mail.put_email_identity_mail_from_attributes(EmailIdentity=SENDER, MailFromDomain="bounce.riverside.example")

    yield lambda: mail.delete_email_identity(EmailIdentity=SENDER), verify
    yield (
        lambda: mail.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=False),
        lambda: mail.put_configuration_set_sending_options(ConfigurationSetName=name, SendingEnabled=True),
    )
    reasons = ["BOUNCE", "COMPLAINT"]
    yield (
        lambda: mail.put_configuration_set_suppression_options(ConfigurationSetName=name, SuppressedReasons=[]),
        lambda: mail.put_configuration_set_suppression_options(ConfigurationSetName=name, SuppressedReasons=reasons),
    )
    yield (
        lambda: mail.put_suppressed_destination(EmailAddress=ADMIN, Reason="BOUNCE"),
        lambda: mail.delete_suppressed_destination(EmailAddress=ADMIN),
    )
    rule = names["MailEventsRule"].rpartition("/")[2]
    yield lambda: events.disable_rule(Name=rule), lambda: events.enable_rule(Name=rule)


def runs_broken(stack: Stack, names: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """How what runs by itself is broken, and mended."""
    scheduler, functions, queues = stack.client("scheduler"), stack.client("lambda"), stack.client("sqs")
    schedule = scheduler.get_schedule(Name=names["SendSurveyFunctionEveryTenMinutes"].rpartition("/")[2])
    wanted = ("Name", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target", "FlexibleTimeWindow")
    yield (
        lambda: scheduler.delete_schedule(Name=schedule["Name"]),
        lambda: scheduler.create_schedule(**{each: schedule[each] for each in wanted}),
    )
    yield variables_of(stack, names["AggregateScoresFunction"], {})
    worth = functions.get_function_configuration(FunctionName=names["MeasureWorthFunction"])["Environment"]["Variables"]
    yield variables_of(stack, names["MeasureWorthFunction"], {**worth, "SENDER_ADDRESS": "other@riverside.example"})
    mapping, digest = names["AlertStaffFunctionAnswer"], names["SendDigestFunction"]
    yield (
        lambda: functions.update_event_source_mapping(UUID=mapping, Enabled=False),
        lambda: functions.update_event_source_mapping(UUID=mapping, Enabled=True),
    )
    yield (
        lambda: functions.put_function_concurrency(FunctionName=digest, ReservedConcurrentExecutions=0),
        lambda: functions.delete_function_concurrency(FunctionName=digest),
    )

    def take_away() -> None:
        for each in queues.receive_message(QueueUrl=names["FailedEvents"], MaxNumberOfMessages=10)["Messages"]:
            if each["Body"] == "doctor":
                queues.delete_message(QueueUrl=names["FailedEvents"], ReceiptHandle=each["ReceiptHandle"])

    yield lambda: queues.send_message(QueueUrl=names["FailedEvents"], MessageBody="doctor"), take_away
    alarm, watch = names["SendingStoppedAlarm"], stack.client("cloudwatch")
    yield (
        lambda: watch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="tried"),
        lambda: watch.set_alarm_state(AlarmName=alarm, StateValue="OK", StateReason="over"),
    )
    bucket, files = names["IntakeBucket"], stack.client("s3")
    told = files.get_bucket_notification_configuration(Bucket=bucket)["LambdaFunctionConfigurations"]

    def tell(configurations: list[Any]) -> None:
        files.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": configurations}
        )

    yield lambda: tell([each for each in told if "incoming/" not in str(each)]), lambda: tell(told)


def variables_of(stack: Stack, function: str, otherwise: dict[str, str]) -> tuple[Any, Any]:
    """Other variables in place of a function's own."""
    functions = stack.client("lambda")
    own = functions.get_function_configuration(FunctionName=function)["Environment"]["Variables"]

    def give(variables: dict[str, str]) -> None:
        functions.update_function_configuration(FunctionName=function, Environment={"Variables": variables})

    return lambda: give(otherwise), lambda: give(own)


def wiring_broken(stack: Stack, names: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """How what leads from one part to the next is cut, and mended."""
    functions, scheduler, files = stack.client("lambda"), stack.client("scheduler"), stack.client("s3")
    track, bucket = names["TrackDeliveryFunction"], names["IntakeBucket"]
    [invited] = json.loads(functions.get_policy(FunctionName=track)["Policy"])["Statement"]
    yield (
        lambda: functions.remove_permission(FunctionName=track, StatementId=invited["Sid"]),
        lambda: functions.add_permission(
            FunctionName=track,
            StatementId=invited["Sid"],
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=invited["Condition"]["ArnLike"]["AWS:SourceArn"],
        ),
    )
    schedule = scheduler.get_schedule(Name=names["SendReportFunctionEveryHour"].rpartition("/")[2])
    wanted = ("Name", "ScheduleExpression", "ScheduleExpressionTimezone", "State", "Target", "FlexibleTimeWindow")
    own = {each: schedule[each] for each in wanted}
    yield (
        lambda: scheduler.update_schedule(**{**own, "ScheduleExpression": "rate(10 hours)"}),
        lambda: scheduler.update_schedule(**own),
    )
    blocked = files.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    yield (
        lambda: files.delete_public_access_block(Bucket=bucket),
        lambda: files.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocked),
    )


def keeping_broken(stack: Stack, names: dict[str, str]) -> Iterator[tuple[Any, Any]]:
    """How what keeps data safe and people informed is broken, and mended."""
    database, files, logs = stack.client("dynamodb"), stack.client("s3"), stack.client("logs")

    def recover(is_on: bool) -> None:
        database.update_continuous_backups(
            TableName=names["PatientsTable"],
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": is_on},
        )

    yield lambda: recover(False), lambda: recover(True)
    yield (
        lambda: database.update_table(TableName=names["VisitsTable"], DeletionProtectionEnabled=False),
        lambda: database.update_table(TableName=names["VisitsTable"], DeletionProtectionEnabled=True),
    )

    def keep_versions(status: str) -> None:
        files.put_bucket_versioning(Bucket=names["IntakeBucket"], VersioningConfiguration={"Status": status})

    yield lambda: keep_versions("Suspended"), lambda: keep_versions("Enabled")
    yield (
        lambda: logs.delete_retention_policy(logGroupName=names["SendSurveyLogs"]),
        lambda: logs.put_retention_policy(logGroupName=names["SendSurveyLogs"], retentionInDays=90),
    )
    pool, people = names["StaffPool"], stack.client("cognito-idp")
    yield (
        lambda: people.admin_disable_user(UserPoolId=pool, Username=PEOPLE[0].email),
        lambda: people.admin_enable_user(UserPoolId=pool, Username=PEOPLE[0].email),
    )
    failing = {"address_key": {"S": "staff"}, "failing": {"SS": [staff_key(ADMIN)]}}
    bounced = {"address_key": {"S": staff_key(ADMIN)}, "bounced": {"BOOL": True}}
    paused = {"paused_at": {"S": "2026-03-04T15:00:00Z"}, "paused_by": {"S": "Olive Owens"}}
    for table, row in (
        ("AddressesTable", failing),
        ("AddressesTable", bounced),
        ("SettingsTable", {"scope": {"S": "mail#state"}, **paused}),
    ):
        yield put_back(database, names[table], row)


def put_back(database: Any, table: str, row: dict[str, Any]) -> tuple[Any, Any]:
    """A row in place of whatever is there."""
    key = {name: row[name] for name in ("address_key", "scope") if name in row}
    former = database.get_item(TableName=table, Key=key).get("Item")
    mend = (
        (lambda: database.put_item(TableName=table, Item=former))
        if former
        else (lambda: database.delete_item(TableName=table, Key=key))
    )
    return lambda: database.put_item(TableName=table, Item=row), mend


NAMED = {
    "Release by Amazon SES": "sandbox",
    "Standing with Amazon SES": "paused sending",
    "Sender": SENDER,
    "Signed mail (DKIM)": "not signed",
    "Name for bounces (MAIL FROM)": "a name of Amazon's",
    "Configuration set": "switched off",
    "Suppression list": "bounce or a complaint",
    "Alert addresses": ADMIN,
    "News of mail": "switched off",
    "Sending": "Olive Owens switched mail to patients off",
    "Alert recipients": f"{ADMIN} sends our mail back",
    "Owners": "Nobody can sign in",
    "Schedules": "EveryTenMinutes of SendSurveyFunction is not there any more",
    "Reactions to answers": "AlertStaffFunction when a patient answers is switched off",
    "Functions": "SendDigestFunction may not run at all",
    "Settings of functions": "AggregateScoresFunction has lost its settings",
    "Permission to start": "events.amazonaws.com may not start TrackDeliveryFunction",
    "Times and targets": "EveryHour of SendReportFunction comes at rate(10 hours), and should at rate(1 hour)",
    "Guard of files": "opened to the public",
    "Failed events": "in the queue of failed events",
    "Alarms": "SendingStoppedAlarm is raised",
    "Notice of files": "incoming/",
    "Backups": "No backup is kept of Patients",
    "Protection from deletion": "Visits",
    "Earlier versions of files": "suspended",
    "Logs": "SendSurveyLogs",
}


def test_each_thing_that_is_broken_is_named_and_none_once_it_is_mended(stack: Stack, names: dict[str, str]) -> None:
    with ExitStack() as broken:
        for parts in (mail_broken, runs_broken, wiring_broken, keeping_broken):
            for do, undo in parts(stack, names):
                broken.enter_context(undone(do, undo))
        code, found = doctor(stack)
    assert code == 2
    for check, words in NAMED.items():
        said = [finding for finding in found[check] if words in finding["says"]]
        assert said, (check, found[check])
        assert said[0]["state"] in ("broken", "attention")
        assert said[0]["means"]
        assert said[0]["do"]
    _, mended = doctor(stack)
    # The stack has its schedules off, and the stand-in attaches no policy to a bucket.
    for check in NAMED.keys() - {"Schedules", "Failed events", "Guard of files"}:
        assert [finding["state"] for finding in mended[check]] == ["ok"], mended[check]
    assert [finding["state"] for finding in mended["Guard of files"]] == ["attention"]
    assert [finding["says"] for finding in mended["Schedules"]] == [
        "All schedules are off, as the stack's parameter SchedulesEnabled says."
    ]
    assert not [finding for some in mended.values() for finding in some if "look at it failed" in finding["says"]]


def test_without_any_settings_it_says_so_and_that_it_looked_at_nothing(stack: Stack, names: dict[str, str]) -> None:
    with ExitStack() as emptied:
        for name, function in names.items():
            if name.endswith("Function"):
                emptied.enter_context(undone(*variables_of(stack, function, {})))
        done = run_doctor(stack)
    assert (done.returncode, done.stdout) == (3, "")
    assert "No function of the stack careloop has its settings any more" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_stops_every_function_is_named(stack: Stack, names: dict[str, str]) -> None:
    row = {"scope": {"S": "practice"}, "SEND_DAYS": {"S": "Sonntag"}}
    with undone(*put_back(stack.client("dynamodb"), names["SettingsTable"], row)):
        code, found = doctor(stack)
    assert code == 2
    assert "SEND_DAYS" in found["Settings"][0]["says"]
    assert found["Daily quota"][0]["state"] == "unknown"

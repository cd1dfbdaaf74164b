"""The house rules of infra/template.yaml, as far as they can be read off it."""

import json
import os
import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.alerts.send_digest.handler import LOCK as DIGEST_LOCK
from functions.import_visits.handler import LAST_SECONDS
from functions.import_visits.staging import MAX_ROWS
from functions.import_visits.upload import MAX_FILE_BYTES
from functions.measure_worth.handler import LOCK as WORTH_LOCK
from functions.send_report.handler import LOCK as REPORT_LOCK
from functions.send_survey.delivery import LEASE
from functions.send_survey.hands import MAX_THREADS
from local.template import ROOT, events, functions, load_template
from shared.domain.message import SHARDS
from shared.domain.staff import Role
from shared.domain.survey import Reaction, pending_with
from shared.mail import mailer
from shared.storage import models

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = functions(TEMPLATE)
APIS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::Api"]
MODELS = {
    "Patients": models.PatientItem,
    "Visits": models.VisitItem,
    "Surveys": models.SurveyItem,
    "Messages": models.MessageItem,
    "Addresses": models.AddressItem,
    "Scores": models.ScoresItem,
    "Activity": models.ActivityItem,
    "Settings": models.SettingsItem,
    "Cases": models.CaseItem,
    "Sessions": models.SessionItem,
}
# fmt: off
CONTRACT = [
    "PracticeName", "PracticeTimeZone", "SenderAddress", "ReplyToAddress", "PostalAddress", "AdminAddresses",
    "ReviewLinks", "Touchpoints", "SurveyDelayHours", "SendFrom", "SendUntil", "SendDays", "PauseDays",
    "ReminderAfterDays", "MaxTouchpointAgeDays", "LinkLifetimeDays", "EditWindowDays", "ReviewInvitations",
    "ReviewDelayHours", "PassiveAlerts", "AlertDetail", "SchedulesEnabled", "PublicBaseUrl", "DashboardBaseUrl",
    "OwnerAddress",
]
# fmt: on
DEFAULTS = {
    "Touchpoints": "evaluation,visit:6,discharge",
    "SurveyDelayHours": 3,
    "SendFrom": "08:00",
    "SendUntil": "20:00",
    "SendDays": "Mon-Sat",
    "PauseDays": 10,
    "ReminderAfterDays": 3,
    "MaxTouchpointAgeDays": 14,
    "LinkLifetimeDays": 30,
    "EditWindowDays": 7,
    "ReviewInvitations": "promoters",
    "ReviewDelayHours": 24,
    "PassiveAlerts": "digest",
    "AlertDetail": "minimal",
    "SchedulesEnabled": "true",
    "PublicBaseUrl": "",
    "DashboardBaseUrl": "",
    "OwnerAddress": "",
}
ACCOUNT = "123456789012"
# The only action for which AWS knows no resource.
WITHOUT_RESOURCE = {"ses:GetAccount", "ses:GetSuppressedDestination"}
KEY = {"Fn::If": ["StackKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, {"Ref": "KmsKeyArn"}]}
ASYNCHRONOUS = [
    name for name, function in FUNCTIONS.items() if events(function, "ScheduleV2") or events(function, "S3")
]
SELF_TEST = "SelfTestFunction"


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    return {name: resource["Properties"] for name, resource in RESOURCES.items() if resource["Type"] == kind}


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for policy in role["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def test_every_function_folder_is_deployed_under_its_name() -> None:
    folders = {str(handler.parent.relative_to(ROOT / "functions")) for handler in ROOT.glob("functions/**/handler.py")}
    deployed = {
        function["Handler"].removeprefix("functions.").removesuffix(".handler.handler").replace(".", "/"): name
        for name, function in FUNCTIONS.items()
    }
    assert set(deployed) == folders
    assert {folder.rpartition("/")[2]: name for folder, name in deployed.items()} == {
        snake(name.removesuffix("Function")): name for name in FUNCTIONS
    }


def test_all_parameters_of_the_contract_are_there_with_their_defaults() -> None:
    parameters = TEMPLATE["Parameters"]
    assert set(CONTRACT) <= set(parameters)
    assert {name: parameters[name]["Default"] for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_every_parameter_says_what_it_is_and_is_limited(name: str) -> None:
    parameter = TEMPLATE["Parameters"][name]
    limits = {"AllowedPattern", "AllowedValues", "MinValue", "MinLength"}
    assert parameter["Description"]
    assert limits & set(parameter)
    if "AllowedPattern" in parameter and "Default" in parameter:
        assert re.fullmatch(parameter["AllowedPattern"], parameter["Default"])


@pytest.mark.parametrize("name", TEMPLATE["Parameters"])
def test_every_parameter_stands_in_a_group_of_the_console(name: str) -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert sum(name in group["Parameters"] for group in groups) == 1


def test_sam_asks_in_the_order_of_the_console_and_first_for_what_has_no_default() -> None:
    groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    asked = list(TEMPLATE["Parameters"])
    assert asked == [name for group in groups for name in group["Parameters"]]
    needed = [name for name in asked if "Default" not in TEMPLATE["Parameters"][name]]
    assert needed == asked[:6]


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("AdminAddresses", "a@x.example, b@x.example;c@x.example", "a@x.example b"),
        ("ReviewLinks", "Google maps=https://g.example/r https://y.example/?a=b;Yelp=https://z.example", "http://x"),
        ("Touchpoints", "evaluation,visit:12,discharge,lapsed:30", "visit:0"),
        ("SendFrom", "08:00", "8:00"),
        ("SendUntil", "24:00", "24:30"),
        ("SendDays", "Mon,Wed-Fri", "Monday"),
        ("DashboardBaseUrl", "https://staff.example.com", "staff.example.com"),
        ("OwnerAddress", "owner@example.com", "owner@example.com, other@example.com"),
        ("OwnerAddress", "", "owner@localhost"),  # the functions that mail it read it as an address
        ("PublicBaseUrl", "https://care.example.com/surveys", "https://care.example.com/"),
        ("PatientDomainName", "care.example.com", "https://care.example.com"),
        ("DashboardDomainName", "staff.care.example.com", "Staff.example.com"),
        ("CertificateArn", f"arn:aws:acm:us-east-1:{ACCOUNT}:certificate/12-ab", f"arn:aws:iam::{ACCOUNT}:user/x"),
        ("KmsKeyArn", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/mrk-12ab", f"arn:aws:kms:us-east-1:{ACCOUNT}:alias/x"),
        ("WebAclArn", f"arn:aws:wafv2:us-east-1:{ACCOUNT}:regional/webacl/x/1-a", "yes"),
        ("WebAclArn", "create", f"arn:aws:wafv2:us-east-1:{ACCOUNT}:global/webacl/x/1-a"),
        ("PracticeTimeZone", "America/Argentina/Buenos_Aires", "EST5EDT"),
    ],
)
def test_patterns_take_what_is_meant_and_refuse_the_rest(name: str, good: str, bad: str) -> None:
    pattern = TEMPLATE["Parameters"][name]["AllowedPattern"]
    assert re.fullmatch(pattern, good)
    assert not re.fullmatch(pattern, bad)


@pytest.mark.parametrize("table", MODELS)
def test_keys_and_indexes_of_model_and_table_are_equal(table: str) -> None:
    with mock_aws():
        MODELS[table].create_table(billing_mode="PAY_PER_REQUEST")
        client = boto3.client("dynamodb")
        modelled = client.describe_table(TableName=os.environ[f"{table.upper()}_TABLE"])["Table"]
    deployed = RESOURCES[f"{table}Table"]["Properties"]
    assert _keys(modelled) == _keys(deployed)
    assert _attributes(modelled) == _attributes(deployed)
    assert _indexes(modelled) == _indexes(deployed)


def _keys(described: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((key["KeyType"], key["AttributeName"]) for key in described["KeySchema"])


def _attributes(described: dict[str, Any]) -> set[tuple[str, str]]:
    return {(each["AttributeName"], each["AttributeType"]) for each in described["AttributeDefinitions"]}


def _indexes(described: dict[str, Any]) -> dict[str, Any]:
    return {
        index["IndexName"]: (
            _keys(index),
            index["Projection"]["ProjectionType"],
            set(index["Projection"].get("NonKeyAttributes", [])),
        )
        for index in described.get("GlobalSecondaryIndexes", [])
    }


@pytest.mark.parametrize("name", of_type("AWS::DynamoDB::Table"))
def test_tables_are_encrypted_recoverable_and_kept(name: str) -> None:
    table = RESOURCES[name]["Properties"]
    assert table["SSESpecification"]["KMSMasterKeyId"] == KEY
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert table["DeletionProtectionEnabled"] is True
    assert table["BillingMode"] == "PAY_PER_REQUEST"


@pytest.mark.parametrize(
    "name", [*of_type("AWS::DynamoDB::Table"), "StaffPool", "DataKey", "HashKey", "IntakeBucket", "FailedEvents"]
)
def test_data_outlives_the_stack_and_only_what_deletion_protection_keeps_outlives_a_first_deployment_that_failed(
    name: str,
) -> None:
    properties = RESOURCES[name]["Properties"]
    is_protected = properties.get("DeletionProtectionEnabled") is True or "DeletionProtection" in properties
    assert RESOURCES[name]["DeletionPolicy"] == ("Retain" if is_protected else "RetainExceptOnCreate")
    assert RESOURCES[name]["UpdateReplacePolicy"] == "Retain"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_role_of_its_own(name: str) -> None:
    capability = name.removesuffix("Function")
    assert FUNCTIONS[name]["Role"] == {"Fn::GetAtt": [f"{capability}Role", "Arn"]}
    assert "ManagedPolicyArns" not in RESOURCES[f"{capability}Role"]["Properties"]


def test_there_is_no_role_besides_the_functions_but_that_of_whoever_brings_the_exports() -> None:
    of_functions = {f"{name.removesuffix('Function')}Role" for name in FUNCTIONS}
    assert set(of_type("AWS::IAM::Role")) == {*of_functions, "IntakeRole"}
    assert set(of_type("AWS::IAM::User")) == {"IntakeUser"}


@pytest.mark.parametrize(("name", "wanted"), [("IntakeUser", "user"), ("IntakeRole", "transfer")])
def test_whoever_brings_the_exports_is_made_on_request_and_may_only_put_files_into_incoming(
    name: str, wanted: str
) -> None:
    assert TEMPLATE["Conditions"][RESOURCES[name]["Condition"]] == {"Fn::Equals": [{"Ref": "IntakeWriter"}, wanted]}
    assert TEMPLATE["Parameters"]["IntakeWriter"]["Default"] == "none"
    (statement,) = statements(RESOURCES[name]["Properties"])
    assert statement["Action"] == ["s3:PutObject", "s3:AbortMultipartUpload"]
    assert statement["Resource"] == {"Fn::Sub": "${IntakeBucket.Arn}/incoming/*"}


@pytest.mark.parametrize("name", of_type("AWS::IAM::Role"))
def test_roles_name_actions_and_resources(name: str) -> None:
    for statement in statements(RESOURCES[name]["Properties"]):
        actions = statement["Action"]
        assert not [action for action in actions if "*" in action]
        if statement["Resource"] == "*":
            assert set(actions) <= WITHOUT_RESOURCE


@pytest.mark.parametrize("name", of_type("AWS::IAM::Role"))
def test_who_may_send_mail_may_send_it_from_the_practice_only(name: str) -> None:
    for statement in statements(RESOURCES[name]["Properties"]):
        if "ses:SendEmail" in statement["Action"]:
            assert statement["Condition"] == {"StringEquals": {"ses:FromAddress": {"Ref": "SenderAddress"}}}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_logs_to_an_encrypted_group_that_forgets(name: str) -> None:
    logs = f"{name.removesuffix('Function')}Logs"
    assert FUNCTIONS[name]["LoggingConfig"] == {"LogGroup": {"Ref": logs}}
    assert RESOURCES[logs]["Properties"]["RetentionInDays"] > 0
    assert RESOURCES[logs]["Properties"]["KmsKeyId"] == KEY


@pytest.mark.parametrize("name", [name for name in ASYNCHRONOUS if name != SELF_TEST])
def test_events_that_cannot_be_handled_end_in_a_queue(name: str) -> None:
    function = FUNCTIONS[name]
    destination = {"Type": "SQS", "Destination": {"Fn::GetAtt": ["FailedEvents", "Arn"]}}
    assert function["EventInvokeConfig"]["DestinationConfig"] == {"OnFailure": destination}
    allowed = statements(RESOURCES[f"{name.removesuffix('Function')}Role"]["Properties"])
    assert any(
        "sqs:SendMessage" in each["Action"] and each["Resource"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}
        for each in allowed
    )


@pytest.mark.parametrize(
    ("name", "schedule"),
    [(name, event) for name, function in FUNCTIONS.items() for event in events(function, "ScheduleV2")],
)
def test_schedules_are_utc_pass_their_time_and_are_skipped_when_late(name: str, schedule: str) -> None:
    event = events(FUNCTIONS[name], "ScheduleV2")[schedule]
    assert event["ScheduleExpressionTimezone"] == "UTC"
    told = {"time": "<aws.scheduler.scheduled-time>"}
    assert json.loads(event["Input"]) == (told | {"step": schedule.lower()} if name == SELF_TEST else told)
    assert event["State"] == {"Fn::If": ["SchedulesOn", "ENABLED", "DISABLED"]}
    assert event["RetryPolicy"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 300}
    if not events(FUNCTIONS[name], "S3"):  # an upload must not be skipped, and sweeping twice does no harm
        invocation = FUNCTIONS[name]["EventInvokeConfig"]
        assert (invocation["MaximumRetryAttempts"], invocation["MaximumEventAgeInSeconds"]) == (0, 300)


def test_an_import_may_go_on_in_another_invocation_of_itself_and_of_nothing_else() -> None:
    assert FUNCTIONS["ImportVisitsFunction"]["RecursiveLoop"] == "Allow"
    assert who_may_invoke("ImportVisitsAgain") == ("ImportVisitsRole", "ImportVisitsFunction")


def test_a_nightly_count_may_go_on_in_another_invocation_of_itself_and_of_nothing_else() -> None:
    assert FUNCTIONS["AggregateScoresFunction"]["RecursiveLoop"] == "Allow"
    assert who_may_invoke("AggregateScoresAgain") == ("AggregateScoresRole", "AggregateScoresFunction")


def who_may_invoke(policy: str) -> tuple[str, str]:
    """The one role that a policy of its own lets invoke one function, and that function."""
    properties = RESOURCES[policy]["Properties"]
    ((role,), (statement,)) = properties["Roles"], properties["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["lambda:InvokeFunction"]
    function, attribute = statement["Resource"]["Fn::GetAtt"]
    assert attribute == "Arn"
    return role["Ref"], function


def test_the_first_sender_may_start_the_others_and_nothing_else_and_aws_ends_a_chain_of_them() -> None:
    assert who_may_invoke("SendSurveySideBySide") == ("SendSurveyRole", "SendSurveyFunction")
    assert set(of_type("AWS::IAM::Policy")) == {"AggregateScoresAgain", "ImportVisitsAgain", "SendSurveySideBySide"}
    assert "RecursiveLoop" not in FUNCTIONS["SendSurveyFunction"]


def test_there_are_no_more_senders_than_shards() -> None:
    senders = TEMPLATE["Parameters"]["Senders"]
    assert (senders["MinValue"], senders["MaxValue"]) == (1, len(SHARDS))
    assert FUNCTIONS["SendSurveyFunction"]["Environment"]["Variables"]["SENDERS"] == {"Ref": "Senders"}


def test_a_thread_of_the_sender_never_waits_for_a_connection() -> None:
    assert MAX_THREADS <= models.CONNECTIONS == mailer.CONNECTIONS


def test_what_an_import_needs_on_disk_and_in_time_is_there() -> None:
    function = FUNCTIONS["ImportVisitsFunction"]
    staged = MAX_ROWS * 600  # bytes, with the index
    assert function["EphemeralStorage"]["Size"] * 1024**2 > 2 * MAX_FILE_BYTES + staged
    assert function["Timeout"] > 5 * LAST_SECONDS


def test_reactions_wake_on_their_own_answers_and_fail_record_by_record() -> None:
    wanted = {"AlertStaffFunction": Reaction.ALERT, "RequestReviewFunction": Reaction.REVIEW}
    for name, reaction in wanted.items():
        values = json.dumps(pending_with(reaction))
        (mapping,) = events(FUNCTIONS[name], "DynamoDB").values()
        (filter_,) = mapping["FilterCriteria"]["Filters"]
        assert filter_["Pattern"] == f'{{"dynamodb": {{"NewImage": {{"pending_reaction": {{"S": {values}}}}}}}}}'
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert mapping["BisectBatchOnFunctionError"] is True
        assert 0 < mapping["MaximumRetryAttempts"] <= 10
        assert 60 <= mapping["MaximumRecordAgeInSeconds"] <= 3600
        assert mapping["DestinationConfig"]["OnFailure"]["Type"] == "SQS"


def test_a_lease_outlives_the_function_that_holds_it() -> None:
    assert LEASE.total_seconds() > FUNCTIONS["SendSurveyFunction"]["Timeout"]
    assert DIGEST_LOCK.total_seconds() > FUNCTIONS["SendDigestFunction"]["Timeout"]
    assert REPORT_LOCK.total_seconds() > FUNCTIONS["SendReportFunction"]["Timeout"]
    assert WORTH_LOCK.total_seconds() > FUNCTIONS["MeasureWorthFunction"]["Timeout"]


def test_pages_answer_before_the_gateway_gives_up() -> None:
    for function in FUNCTIONS.values():
        if events(function, "Api"):
            assert function["Timeout"] < 29


@pytest.mark.parametrize("name", APIS)
def test_every_route_is_throttled_by_itself_and_never_logged_with_its_path(name: str) -> None:
    routes = {
        (event["Method"].upper(), event["Path"])
        for function in FUNCTIONS.values()
        for event in events(function, "Api").values()
        if event["RestApiId"] == {"Ref": name}
    }
    api = RESOURCES[name]["Properties"]
    settings = {
        (each["HttpMethod"], each["ResourcePath"].replace("/~1", "/", 1).replace("~1", "/")): each
        for each in api["MethodSettings"]
    }
    assert routes == set(settings)
    for each in settings.values():
        assert each["ThrottlingRateLimit"] > 0
        assert "LoggingLevel" not in each
        assert "DataTraceEnabled" not in each
    logged = api["AccessLogSetting"]["Fn::If"][1]["Format"]
    assert "$context.resourcePath" in logged
    assert not re.search(r"\$context\.(path|identity|requestOverride|domain)", logged)


@pytest.mark.parametrize("kind", RESOURCES["PatientApi"]["Properties"]["GatewayResponses"])
def test_what_the_gateway_refuses_is_a_page_in_both_languages(kind: str) -> None:
    response = RESOURCES["PatientApi"]["Properties"]["GatewayResponses"][kind]
    assert "text/html" in response["ResponseParameters"]["Headers"]["Content-Type"]
    for template in response["ResponseTemplates"].values():
        mapping, page, key = template["Fn::FindInMap"]
        html = TEMPLATE["Mappings"][mapping][page][key]
        assert '<html lang="en">' in html
        assert '<div lang="es">' in html


def test_what_the_gateway_refuses_the_staff_is_a_page() -> None:
    for response in RESOURCES["StaffApi"]["Properties"]["GatewayResponses"].values():
        assert "text/html" in response["ResponseParameters"]["Headers"]["Content-Type"]
        for template in response["ResponseTemplates"].values():
            mapping, page, key = template["Fn::FindInMap"]
            assert TEMPLATE["Mappings"][mapping][page][key].startswith('<!doctype html><html lang="en">')


def test_staff_and_patients_have_functions_and_apis_of_their_own() -> None:
    users = {
        name: {event["RestApiId"]["Ref"] for event in events(function, "Api").values()}
        for name, function in FUNCTIONS.items()
        if events(function, "Api")
    }
    assert {name for name, apis in users.items() if "StaffApi" in apis} == {"ServeDashboardFunction"}
    assert users["ServeDashboardFunction"] == {"StaffApi"}


def test_nobody_signs_up_and_everybody_is_asked_for_a_second_factor() -> None:
    pool = RESOURCES["StaffPool"]["Properties"]
    assert pool["AdminCreateUserConfig"]["AllowAdminCreateUserOnly"] is True
    assert (pool["MfaConfiguration"], pool["EnabledMfas"]) == ("ON", ["SOFTWARE_TOKEN_MFA"])
    assert pool["Policies"]["PasswordPolicy"]["MinimumLength"] >= 12
    assert pool["DeletionProtection"] == "ACTIVE"
    assert RESOURCES["StaffPool"]["DeletionPolicy"] == "Retain"


def test_the_sign_in_is_a_code_of_a_public_client_that_cannot_write_what_somebody_may_see() -> None:
    client = RESOURCES["StaffPoolClient"]["Properties"]
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["GenerateSecret"] is False
    assert "aws.cognito.signin.user.admin" not in client["AllowedOAuthScopes"]
    assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
    assert not [name for name in client["WriteAttributes"] if name.startswith("custom:")]
    own = {each["Name"] for each in RESOURCES["StaffPool"]["Properties"]["Schema"]} - {"email", "name"}
    assert {f"custom:{name}" for name in own} <= set(client["ReadAttributes"])


def test_each_role_is_a_group() -> None:
    assert {group["GroupName"] for group in of_type("AWS::Cognito::UserPoolGroup").values()} == set(Role)


def test_sessions_are_forgotten() -> None:
    table = RESOURCES["SessionsTable"]["Properties"]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


def test_the_gateway_answers_403_413_429_and_5xx_with_pages() -> None:
    kinds = set(RESOURCES["PatientApi"]["Properties"]["GatewayResponses"])
    assert {"ACCESS_DENIED", "REQUEST_TOO_LARGE", "THROTTLED", "DEFAULT_4XX", "DEFAULT_5XX"} <= kinds


def test_the_intake_bucket_is_private_encrypted_and_forgets() -> None:
    bucket = RESOURCES["IntakeBucket"]["Properties"]
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"] == KEY
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    expiring = {
        rule["Prefix"]: rule["ExpirationInDays"]
        for rule in bucket["LifecycleConfiguration"]["Rules"]
        if "Prefix" in rule
    }
    folders = ("incoming", "settings", "preview", "reports", "rejected", "unfinished")
    assert expiring == {f"{folder}/": 30 for folder in folders}
    (statement,) = RESOURCES["IntakeBucketPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_the_key_lets_logs_and_alarms_in() -> None:
    policy = RESOURCES["DataKey"]["Properties"]["KeyPolicy"]["Statement"]
    services = [str(statement["Principal"].get("Service")) for statement in policy]
    assert any("logs." in service for service in services)
    assert "cloudwatch.amazonaws.com" in services


@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_alarm_tells_when_a_function_fails(name: str) -> None:
    watched = [
        alarm
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if (alarm["MetricName"], alarm.get("Dimensions"))
        == ("Errors", [{"Name": "FunctionName", "Value": {"Ref": name}}])
    ]
    assert len(watched) == 1


def test_an_alarm_tells_when_a_scheduled_function_runs_no_more() -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in of_type("AWS::CloudWatch::Alarm").values()
        if alarm["MetricName"] == "Invocations" and alarm["InsufficientDataActions"] == [{"Ref": "AlarmTopic"}]
    }
    scheduled = {name for name, function in FUNCTIONS.items() if events(function, "ScheduleV2")}
    assert watched == scheduled - {SELF_TEST}  # of which its passing is watched instead


@pytest.mark.parametrize(
    "metric",
    [
        *("AlertsNotSent", "SendingStopped", "NoDeliveryEvents", "IntakeRefused"),
        *("QuotaReached", "DailyCapReached", "SendersNotStarted"),
    ],
)
def test_an_alarm_listens_to_what_the_code_reports(metric: str) -> None:
    alarm = RESOURCES[f"{metric}Alarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ({"Fn::Sub": "Careloop/${AWS::StackName}"}, metric)
    sources = [path.read_text() for folder in ("functions", "shared") for path in (ROOT / folder).rglob("*.py")]
    assert any(f'"{metric}"' in source for source in sources)


@pytest.mark.parametrize("metric", ["SendingStopped", "NoDeliveryEvents"])
def test_what_each_run_reports_anew_is_one_alarm_as_long_as_it_lasts(metric: str) -> None:
    (schedule,) = events(FUNCTIONS["SendSurveyFunction"], "ScheduleV2").values()
    minutes = int(schedule["ScheduleExpression"].removeprefix("rate(").partition(" ")[0])
    assert RESOURCES[f"{metric}Alarm"]["Properties"]["Period"] >= 2 * 60 * minutes


@pytest.mark.parametrize("name", of_type("AWS::CloudWatch::Alarm"))
def test_every_alarm_reaches_people_and_speaks_plainly(name: str) -> None:
    alarm = RESOURCES[name]["Properties"]
    assert alarm["AlarmActions"] == [{"Ref": "AlarmTopic"}]
    assert len(alarm["AlarmDescription"].split()) > 5


def test_outputs_of_the_contract_are_there() -> None:
    assert {"PublicUrl", "DashboardUrl", "IntakeBucketName"} <= set(TEMPLATE["Outputs"])


def test_the_template_has_its_sections_in_reading_order() -> None:
    text = (ROOT / "infra" / "template.yaml").read_text()
    sections = re.findall(r"^ *# =+\n *# ([A-Z][A-Za-z]+)", text, re.MULTILINE)
    assert sections == ["Parameters", "Globals", "Tables", "Functions", "APIs", "Alarms", "Outputs"]


def test_no_version_is_pinned_to_an_old_environment() -> None:
    """An alias moves only when a version is published, and SAM publishes none when just a parameter changes."""
    assert "AutoPublishAlias" not in TEMPLATE["Globals"]["Function"]
    assert not [name for name, function in FUNCTIONS.items() if "AutoPublishAlias" in function]

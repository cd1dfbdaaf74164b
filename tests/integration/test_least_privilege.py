"""What each function may do, asked of the deployed roles one attempt at a time; the emulator enforces them.

The lists below are what the product needs, and hold in both directions: a role that may do more fails as well as one
that may do less. The emulator knows no conditions on rows: which rows of Settings may be written is for tests/template.
Nothing is changed by asking: every attempt names a key that does not fit its table or a condition that cannot hold, so
that whoever is let in gets no further than the next check.
"""

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local.stack import Stack
from local.template import functions, load_template

FUNCTIONS = sorted(functions(load_template()))
TABLES = (
    "Patients",
    "Visits",
    "Surveys",
    "Messages",
    "Addresses",
    "Scores",
    "Activity",
    "Settings",
    "Cases",
    "Sessions",
)
# By letter: r get, b get many, q query, s scan, p put, u update, d delete. Rights to indexes are not asked here.
ON_TABLES: dict[str, dict[str, str]] = {
    "AggregateScoresFunction": {"Visits": "q", "Surveys": "bsu", "Scores": "qpud", "Settings": "r"},
    "AlertStaffFunction": {"Patients": "r", "Surveys": "ru", "Activity": "rp", "Settings": "r", "Cases": "p"},
    "ErasePatientFunction": {
        "Patients": "rspud",
        "Visits": "qsd",
        "Surveys": "rsd",
        "Messages": "sd",
        "Addresses": "sud",
        "Scores": "pd",
        "Activity": "qspd",
        "Cases": "sd",
    },
    "EscalateCasesFunction": {"Settings": "ru", "Cases": "bu"},
    "ImportVisitsFunction": {
        "Patients": "rbu",
        "Visits": "qpd",
        "Surveys": "rbpu",
        "Messages": "bpu",
        "Addresses": "b",
        "Settings": "rpud",
    },
    "MeasureWorthFunction": {"Visits": "s", "Surveys": "s", "Scores": "p", "Settings": "ru", "Cases": "s"},
    "RecordResponseFunction": {"Surveys": "ru", "Settings": "rb"},
    "RequestReviewFunction": {"Patients": "r", "Surveys": "ru", "Messages": "bpu", "Activity": "rp", "Settings": "r"},
    "SelfTestFunction": {
        "Patients": "ud",
        "Surveys": "rpud",
        "Messages": "bpd",
        "Addresses": "d",
        "Scores": "qd",
        "Activity": "rqd",
        "Settings": "r",
        "Cases": "rd",
    },
    "SendDigestFunction": {
        "Patients": "r",
        "Surveys": "ru",
        "Scores": "q",
        "Activity": "rp",
        "Settings": "ru",
        "Cases": "p",
    },
    "SendReportFunction": {"Scores": "q", "Settings": "ru", "Cases": "b"},
    "SendSurveyFunction": {
        "Patients": "rbu",
        "Surveys": "rbu",
        "Messages": "bpu",
        "Addresses": "bu",
        "Activity": "p",
        "Settings": "rbu",
    },
    "ServeDashboardFunction": {
        "Patients": "rbu",
        "Visits": "q",
        "Surveys": "rb",
        "Messages": "b",
        "Addresses": "b",
        "Scores": "bqp",
        "Activity": "qp",
        "Settings": "rsu",
        "Cases": "rbpu",
        "Sessions": "rpud",
    },
    "TrackDeliveryFunction": {
        "Patients": "ru",
        "Surveys": "ru",
        "Messages": "bpu",
        "Addresses": "u",
        "Activity": "p",
        "Settings": "ru",
    },
    "UnsubscribeFunction": {"Patients": "ru", "Surveys": "r", "Activity": "p", "Settings": "r"},
}
BEYOND_TABLES = {
    "AlertStaffFunction": {"mail"},
    "ErasePatientFunction": {
        *("secret", "list exports", "list reports", "read exports", "read beside folders", "delete versions"),
    },
    "EscalateCasesFunction": {"mail"},
    "ImportVisitsFunction": {"secret", "list exports", "list reports", "read exports", "write reports"},
    "SelfTestFunction": {"secret"},
    "SendDigestFunction": {"mail"},
    "SendReportFunction": {"mail"},
    "SendSurveyFunction": {"mail", "secret", "mail account"},
    "ServeDashboardFunction": {
        *("mail", "secret", "staff", "erase"),
        *(
            "mail account",
            "mail settings",
            "suppressed",
            "list reports",
            "backups",
            "sign-in rules",
            "failures counted",
        ),
    },
}

REFUSED = {"AccessDeniedException", "AccessDenied", "403", "AuthorizationError"}

Client = Callable[[str], Any]

_NOWHERE = {"ConditionExpression": "attribute_exists(nothing_has_this)"}
ON_A_TABLE: dict[str, Callable[[Any, str], object]] = {
    "r": lambda db, table: db.get_item(TableName=table, Key={"nokey": {"S": "x"}}),
    "b": lambda db, table: db.batch_get_item(RequestItems={table: {"Keys": [{"nokey": {"S": "x"}}]}}),
    "q": lambda db, table: db.query(
        TableName=table, KeyConditionExpression="nokey = :x", ExpressionAttributeValues={":x": {"S": "x"}}
    ),
    "s": lambda db, table: db.scan(TableName=table, Limit=1),
    "p": lambda db, table: db.put_item(TableName=table, Item={"nokey": {"S": "x"}}, **_NOWHERE),
    "u": lambda db, table: db.update_item(
        TableName=table, Key={"nokey": {"S": "x"}}, UpdateExpression="REMOVE nothing", **_NOWHERE
    ),
    "d": lambda db, table: db.delete_item(TableName=table, Key={"nokey": {"S": "x"}}, **_NOWHERE),
}
ATTEMPTS: dict[str, Callable[[Client, dict[str, str]], object]] = {
    "mail": lambda client, at: client("sesv2").send_email(Content={}),
    "secret": lambda client, at: client("secretsmanager").get_secret_value(SecretId=at["HashKey"]),
    "read exports": lambda client, at: client("s3").get_object(Bucket=at["IntakeBucket"], Key="incoming/none.csv"),
    "read beside folders": lambda client, at: client("s3").get_object(Bucket=at["IntakeBucket"], Key="none.csv"),
    "write exports": lambda client, at: client("s3").put_object(Bucket=at["IntakeBucket"], Key="incoming/none.csv"),
    "write reports": lambda client, at: client("s3").put_object(Bucket=at["IntakeBucket"], Key="reports/none.json"),
    "delete exports": lambda client, at: client("s3").delete_object(Bucket=at["IntakeBucket"], Key="incoming/none.csv"),
    "delete versions": lambda client, at: client("s3").delete_object(
        Bucket=at["IntakeBucket"], Key="none.csv", VersionId="null"
    ),
    "delete marks": lambda client, at: client("s3").delete_object(
        Bucket=at["IntakeBucket"], Key="erased/none", VersionId="null"
    ),
    "list exports": lambda client, at: client("s3").list_objects_v2(Bucket=at["IntakeBucket"], MaxKeys=1),
    "list reports": lambda client, at: client("s3").list_objects_v2(
        Bucket=at["IntakeBucket"], Prefix="reports/", MaxKeys=1
    ),
    "mail account": lambda client, at: client("sesv2").get_account(),
    "mail settings": lambda client, at: client("sesv2").get_configuration_set(ConfigurationSetName=at["MailEvents"]),
    "suppressed": lambda client, at: client("sesv2").get_suppressed_destination(EmailAddress="nobody@example.com"),
    "backups": lambda client, at: client("dynamodb").describe_continuous_backups(TableName=at["PatientsTable"]),
    "sign-in rules": lambda client, at: client("cognito-idp").get_user_pool_mfa_config(UserPoolId=at["StaffPool"]),
    "failures counted": lambda client, at: client("sqs").get_queue_attributes(QueueUrl=at["FailedEvents"]),
    "staff": lambda client, at: client("cognito-idp").list_users(UserPoolId=at["StaffPool"], Limit=1),
    "failures": lambda client, at: client("sqs").receive_message(QueueUrl=at["FailedEvents"]),
    "code": lambda client, at: client("lambda").get_function(FunctionName=at["RecordResponseFunction"]),
    "erase": lambda client, at: client("lambda").invoke(
        FunctionName=at["ErasePatientFunction"], InvocationType="DryRun"
    ),
    "roles": lambda client, at: client("iam").list_roles(MaxItems=1),
}


@pytest.fixture(scope="module")
def physical(stack: Stack) -> dict[str, str]:
    """What the stack's resources are called, by logical id."""
    described = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
    return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in described}


@pytest.fixture(scope="module")
def as_function(stack: Stack, physical: dict[str, str]) -> Callable[[str], Client]:
    """`as_function(logical id)(service)`: a client with the rights of that function's role."""
    iam, sts = stack.client("iam"), stack.client("sts")
    account = sts.get_caller_identity()["Account"]
    nothing = (None, None, os.devnull, None)
    session = botocore.session.Session(session_vars={"config_file": nothing, "credentials_file": nothing})

    @cache
    def client_of(function: str, service: str) -> Any:
        key = assume(function)
        return session.create_client(
            service,
            region_name=stack.region,
            endpoint_url=stack.endpoint_url,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key["SessionToken"],
            config=Config(proxies={}, retries={"total_max_attempts": 1}),
        )

    @cache
    def assume(function: str) -> dict[str, str]:
        role = iam.get_role(RoleName=physical[function.replace("Function", "Role")])["Role"]
        trust = role["AssumeRolePolicyDocument"]  # Lambda alone: for this test, its owner as well
        owner = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "sts:AssumeRole"}
        document = json.dumps({**trust, "Statement": [*trust["Statement"], owner]})
        iam.update_assume_role_policy(RoleName=role["RoleName"], PolicyDocument=document)
        key: dict[str, str] = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="asked")["Credentials"]
        return key

    return lambda function: lambda service: client_of(function, service)


def _is_let_in(attempt: Callable[..., object], *arguments: object) -> bool:
    try:
        attempt(*arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] not in REFUSED
    return True


def _may_on_tables(stack: Stack, client: Client) -> Iterator[tuple[str, str]]:
    for name in TABLES:
        table = stack.tables[f"{name}Table"]
        letters = [letter for letter, attempt in ON_A_TABLE.items() if _is_let_in(attempt, client("dynamodb"), table)]
        if letters:
            yield name, "".join(letters)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_touch_the_tables_it_works_on_and_no_others(
    stack: Stack, as_function: Callable[[str], Client], function: str
) -> None:
    assert dict(_may_on_tables(stack, as_function(function))) == ON_TABLES[function]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_is_refused_what_it_has_no_business_with(
    physical: dict[str, str], as_function: Callable[[str], Client], function: str
) -> None:
    client = as_function(function)
    may = {what for what, attempt in ATTEMPTS.items() if _is_let_in(attempt, client, physical)}
    assert may == BEYOND_TABLES.get(function, set())

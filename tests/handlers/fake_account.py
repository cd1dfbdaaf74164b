"""An AWS account around a stack that is well, as far as `make doctor` asks it; tests change one answer at a time."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from shared.health import read_mail
from shared.health.place import Part, Place

NOW = datetime(2026, 3, 4, 15, 2, tzinfo=UTC)
PARTS = {
    "MailEvents": Part("AWS::SES::ConfigurationSet", "mail-events"),
    "MailEventsRule": Part("AWS::Events::Rule", "careloop-MailEventsRule"),
    "StaffPool": Part("AWS::Cognito::UserPool", "us-east-1_Staff"),
    "IntakeBucket": Part("AWS::S3::Bucket", "intake"),
    "FailedEvents": Part("AWS::SQS::Queue", "https://sqs.us-east-1.amazonaws.com/123456789012/failed-events"),
    "AlarmTopic": Part("AWS::SNS::Topic", "arn:aws:sns:us-east-1:123456789012:alarms"),
    "FailedEventsAlarm": Part("AWS::CloudWatch::Alarm", "careloop-FailedEventsAlarm"),
    "DataKey": Part("AWS::KMS::Key", "key-1"),
    "HashKey": Part("AWS::SecretsManager::Secret", "hash-key"),
    "PatientsTable": Part("AWS::DynamoDB::Table", "Patients"),
    "SendSurveyLogs": Part("AWS::Logs::LogGroup", "/careloop/SendSurveyLogs"),
    "SendSurveyFunction": Part("AWS::Lambda::Function", "careloop-SendSurvey"),
    "SendSurveyFunctionEveryTenMinutes": Part("AWS::Scheduler::Schedule", "careloop-EveryTenMinutes"),
    "SelfTestFunction": Part("AWS::Lambda::Function", "careloop-SelfTest"),
    "SelfTestFunctionCheck": Part("AWS::Scheduler::Schedule", "careloop-Check"),
    "TrackDeliveryFunction": Part("AWS::Lambda::Function", "careloop-TrackDelivery"),
    "AlertStaffFunction": Part("AWS::Lambda::Function", "careloop-AlertStaff"),
    "ImportVisitsFunction": Part("AWS::Lambda::Function", "careloop-ImportVisits"),
    "SurveysTable": Part("AWS::DynamoDB::Table", "Surveys"),
    "AlertStaffFunctionAnswer": Part("AWS::Lambda::EventSourceMapping", "mapping-1"),
}
_EVENTS = ["SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT", "DELIVERY_DELAY", "RENDERING_FAILURE"]
_FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:careloop-"
_CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/1"
ANSWERS: dict[str, Any] = {
    "sesv2.get_account": {
        "ProductionAccessEnabled": True,
        "SendingEnabled": True,
        "EnforcementStatus": "HEALTHY",
        "SendQuota": {"Max24HourSend": 50000.0, "MaxSendRate": 14.0, "SentLast24Hours": 70.0},
    },
    "sesv2.get_email_identity": {
        "VerifiedForSendingStatus": True,
        "DkimAttributes": {"SigningEnabled": True, "Status": "SUCCESS"},
        "MailFromAttributes": {"MailFromDomain": "bounce.example.com", "MailFromDomainStatus": "SUCCESS"},
    },
    "sesv2.get_configuration_set": {
        "SendingOptions": {"SendingEnabled": True},
        "SuppressionOptions": {"SuppressedReasons": ["BOUNCE", "COMPLAINT"]},
    },
    "sesv2.get_configuration_set_event_destinations": {
        "EventDestinations": [
            {"Enabled": True, "MatchingEventTypes": _EVENTS, "EventBridgeDestination": {"EventBusArn": "arn"}}
        ]
    },
    "events.describe_rule": {
        "State": "ENABLED",
        "EventPattern": json.dumps(read_mail.PATTERN).replace("the stack's", "mail-events"),
    },
    "events.list_targets_by_rule": {
        "Targets": [{"Id": "1", "Arn": "arn:aws:lambda:us-east-1:123456789012:function:careloop-TrackDelivery"}]
    },
    "cognito-idp.list_users_in_group": {
        "Users": [
            {
                "Attributes": [{"Name": "email", "Value": "olive@example.com"}],
                "Enabled": True,
                "UserStatus": "CONFIRMED",
            }
        ]
    },
    "cognito-idp.get_user_pool_mfa_config": {"MfaConfiguration": "ON"},
    "scheduler.get_schedule": lambda asked: {
        "State": "ENABLED",
        "ScheduleExpression": "rate(10 minutes)",
        "LastModificationDate": NOW - timedelta(days=9),
        "Target": {"Arn": f"{_FUNCTION}{'SelfTest' if asked['Name'] == 'careloop-Check' else 'SendSurvey'}"},
    },
    "cloudwatch.get_metric_data": lambda asked: {
        "MetricDataResults": [
            {
                "Id": each["Id"],
                "Timestamps": [NOW - timedelta(minutes=3), NOW - timedelta(minutes=8)],
                "Values": [0.0, float(each["MetricStat"]["Metric"]["MetricName"] != "Errors")],
            }
            for each in asked["MetricDataQueries"]
        ]
    },
    "cloudwatch.describe_alarms": {
        "MetricAlarms": [
            {
                "AlarmName": "careloop-FailedEventsAlarm",
                "StateValue": "OK",
                "AlarmDescription": "An event waits. Runbook: docs/runbook.md#failed-events",
                "ActionsEnabled": True,
            }
        ]
    },
    "lambda.get_function_configuration": {
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "Environment": {"Variables": {"SENDER_ADDRESS": "care@riverside.example.com"}},
    },
    "lambda.get_function_concurrency": {},
    "lambda.get_policy": lambda asked: {
        "Policy": json.dumps(
            {
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {
                            "Service": f"{'events' if 'Track' in asked['FunctionName'] else 's3'}.amazonaws.com"
                        },
                        "Action": "lambda:InvokeFunction",
                    }
                ]
            }
        )
    },
    "lambda.get_event_source_mapping": {
        "State": "Enabled",
        "LastProcessingResult": "OK",
        "EventSourceArn": "arn:stream/1",
    },
    "sqs.get_queue_attributes": {
        "Attributes": {"ApproximateNumberOfMessages": "0", "ApproximateNumberOfMessagesNotVisible": "0"}
    },
    "s3.list_objects_v2": {
        "Contents": [
            {"Key": "reports/a.json", "LastModified": NOW - timedelta(days=9)},
            {"Key": "reports/b.json", "LastModified": NOW - timedelta(hours=5)},
        ]
    },
    "s3.get_bucket_notification_configuration": {
        "LambdaFunctionConfigurations": [
            {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": folder}]}}}
            for folder in ("incoming/", "preview/", "settings/")
        ]
    },
    "s3.get_bucket_versioning": {"Status": "Enabled"},
    "s3.get_public_access_block": {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    },
    "s3.get_bucket_policy": {
        "Policy": '{"Statement": [{"Effect": "Deny", "Condition": {"Bool": {"aws:SecureTransport": "false"}}}]}'
    },
    "sns.list_subscriptions_by_topic": {
        "Subscriptions": [{"SubscriptionArn": "arn:aws:sns:1", "Endpoint": "it@example.com", "Protocol": "email"}]
    },
    "acm.describe_certificate": {"Certificate": {"Status": "ISSUED", "NotAfter": NOW + timedelta(days=200)}},
    "dynamodb.describe_continuous_backups": {
        "ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "ENABLED"}}
    },
    "dynamodb.describe_table": {
        "Table": {
            "DeletionProtectionEnabled": True,
            "StreamSpecification": {"StreamEnabled": True},
            "LatestStreamArn": "arn:stream/1",
        }
    },
    "kms.describe_key": {"KeyMetadata": {"KeyState": "Enabled"}},
    "secretsmanager.describe_secret": {"Name": "hash-key"},
    "logs.describe_log_groups": {
        "logGroups": [
            {"logGroupName": "/careloop/SendSurveyLogs", "retentionInDays": 90},
            {"logGroupName": "/careloop/SendSurveyLogsOfOthers"},
        ]
    },
}
NOBODY_THERE = {"sesv2.get_suppressed_destination": "NotFoundException"}
"""Well is that this is not found."""


@dataclass
class FakeAccount:
    """Answers by `service.operation`, or how they follow from what is asked.

    `refused` are error codes by the same, with `words` in the error.
    """

    answers: dict[str, Any] = field(default_factory=lambda: dict(ANSWERS))
    refused: dict[str, str] = field(default_factory=lambda: dict(NOBODY_THERE))
    words: str = "somebody@example.com may not"
    asked: set[str] = field(default_factory=set)

    def client(self, service: str) -> "FakeClient":
        """A client of the service."""
        return FakeClient(self, service)

    def answer(self, operation: str, asked: dict[str, Any]) -> Any:
        """What AWS says, or a refusal."""
        self.asked.add(operation)
        if operation in self.refused:
            name = "".join(part.title() for part in operation.partition(".")[2].split("_"))
            error = {"Error": {"Code": self.refused[operation], "Message": self.words}}
            raise ClientError(error, name)
        answer = self.answers[operation]
        return answer(asked) if callable(answer) else answer


@dataclass
class FakeClient:
    """Any operation, asked at once or page by page."""

    account: FakeAccount
    service: str

    def __getattr__(self, method: str) -> Callable[..., Any]:
        return lambda **asked: self.account.answer(f"{self.service}.{method}", asked)

    def get_paginator(self, method: str) -> "FakeClient":
        """All in one page."""
        return FakeClient(self.account, f"{self.service}.{method}")

    def paginate(self, **asked: Any) -> list[Any]:
        """The one page."""
        return [self.account.answer(self.service, asked)]


def a_place(account: FakeAccount, *, is_local: bool = False, **differences: Any) -> Place:
    """The stack in this account."""
    parameters: Mapping[str, str] = {"AWS::StackName": "careloop", "CertificateArn": _CERTIFICATE}
    details: dict[str, Any] = {
        "parts": PARTS,
        "parameters": parameters,
        "status": "UPDATE_COMPLETE",
        "outputs": {"PublicUrl": "https://care.example.com", "DashboardUrl": "https://staff.example.com"},
        "texts": lambda name: ("v=DMARC1; p=reject",) if name == "_dmarc.example.com" else (),
        "fetch": lambda address: (404, "") if address.endswith("/none") else (200, "<p>Careloop 1.0.0+abc</p>"),
        **differences,
    }
    return Place(clients=account.client, now=NOW, is_local=is_local, **details)

"""What lies between a mail and the function that hears what became of it, as far as it can be read off the template."""

import json
from typing import Any

import pytest

from local.mail_events import SOURCE
from local.template import functions, load_template
from shared.domain.delivery import EVENT_TYPES

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = functions(TEMPLATE)
SET: dict[str, Any] = RESOURCES["MailEvents"]["Properties"]
RULE: dict[str, Any] = RESOURCES["MailEventsRule"]["Properties"]
MAILERS = ["SendSurvey", "AlertStaff", "SendDigest", "EscalateCases", "SendReport", "ServeDashboard"]


def statements(name: str) -> list[dict[str, Any]]:
    policies = RESOURCES[f"{name}Role"]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]


def test_mail_needs_tls_unless_the_practice_says_otherwise() -> None:
    assert TEMPLATE["Parameters"]["RequireTls"]["Default"] == "true"
    assert TEMPLATE["Conditions"]["TlsRequired"] == {"Fn::Equals": [{"Ref": "RequireTls"}, "true"]}
    assert SET["DeliveryOptions"] == {"TlsPolicy": {"Fn::If": ["TlsRequired", "REQUIRE", "OPTIONAL"]}}


def test_the_accounts_suppression_list_is_respected_and_nobody_is_tracked() -> None:
    assert set(SET["SuppressionOptions"]["SuppressedReasons"]) == {"BOUNCE", "COMPLAINT"}
    assert "TrackingOptions" not in SET
    told = RESOURCES["MailEventsToTheBus"]["Properties"]["EventDestination"]["MatchingEventTypes"]
    assert not {"OPEN", "CLICK"} & set(told)


def test_ses_tells_the_default_bus_of_every_type_that_the_rule_lets_through() -> None:
    destination = RESOURCES["MailEventsToTheBus"]["Properties"]["EventDestination"]
    assert destination["Enabled"] is True
    assert destination["EventBridgeDestination"]["EventBusArn"]["Fn::Sub"].endswith(":event-bus/default")
    names = {"DeliveryDelay": "DELIVERY_DELAY", "Rendering Failure": "RENDERING_FAILURE"}
    assert {names.get(type_, type_.upper()) for type_ in EVENT_TYPES} == set(destination["MatchingEventTypes"])


def test_the_rule_hears_of_our_own_mail_only() -> None:
    pattern = RULE["EventPattern"]
    assert set(pattern["source"]) == {"aws.ses", SOURCE}
    assert pattern["detail"]["mail"]["tags"] == {"ses:configuration-set": [{"Ref": "MailEvents"}]}
    assert "EventBusName" not in RULE


def test_only_ids_types_status_and_times_pass_the_rule() -> None:
    (target,) = RULE["Targets"]
    assert set(target["InputTransformer"]["InputPathsMap"].values()) == {
        "$.time",
        "$.detail.eventType",
        "$.detail.mail.timestamp",
        "$.detail.mail.messageId",
        "$.detail.mail.tags.message_id[0]",
        "$.detail.mail.tags.survey_id[0]",
        "$.detail.mail.tags.recipient[0]",
        "$.detail.bounce.bounceType",
        "$.detail.bounce.bounceSubType",
        "$.detail.bounce.bouncedRecipients[0].status",
        "$.detail.complaint.complaintFeedbackType",
    }
    assert not {"Input", "InputPath", "DeadLetterConfig"} & set(target)  # each would keep or pass on what SES says


def test_what_an_event_does_not_have_is_an_empty_text() -> None:
    transformer = RULE["Targets"][0]["InputTransformer"]
    assert json.loads(transformer["InputTemplate"]) == {name: f"<{name}>" for name in transformer["InputPathsMap"]}


def test_the_rule_and_nothing_else_may_invoke_the_function() -> None:
    (permission,) = (
        resource["Properties"]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Lambda::Permission"
        and resource["Properties"]["FunctionName"] == {"Ref": "TrackDeliveryFunction"}
    )
    assert RULE["Targets"][0]["Arn"] == {"Fn::GetAtt": ["TrackDeliveryFunction", "Arn"]}
    assert permission["Principal"] == "events.amazonaws.com"
    assert permission["SourceArn"] == {"Fn::GetAtt": ["MailEventsRule", "Arn"]}


def test_an_event_that_fails_is_tried_again_and_then_kept() -> None:
    invocation = FUNCTIONS["TrackDeliveryFunction"]["EventInvokeConfig"]
    assert invocation["MaximumRetryAttempts"] == 2
    assert invocation["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}


def test_an_alarm_tells_of_events_that_do_not_reach_the_function() -> None:
    alarm = RESOURCES["MailEventsLostAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ("AWS/Events", "FailedInvocations")
    assert alarm["Dimensions"] == [{"Name": "RuleName", "Value": {"Ref": "MailEventsRule"}}]


def test_an_alarm_tells_of_admins_whom_no_alert_reaches() -> None:
    alarm = RESOURCES["StaffAddressFailsAlarm"]["Properties"]
    assert (alarm["Namespace"], alarm["MetricName"]) == ({"Fn::Sub": "Careloop/${AWS::StackName}"}, "StaffAddressFails")
    assert "alerts do not reach that person" in alarm["AlarmDescription"]


def test_whoever_mails_does_so_under_our_set_and_may_use_no_other() -> None:
    mailing = {
        name.removesuffix("Function")
        for name in FUNCTIONS
        if any("ses:SendEmail" in each["Action"] for each in statements(name.removesuffix("Function")))
    }
    assert mailing == set(MAILERS)
    for name in MAILERS:
        assert FUNCTIONS[f"{name}Function"]["Environment"]["Variables"]["CONFIGURATION_SET"] == {"Ref": "MailEvents"}
        (sending,) = (each for each in statements(name) if "ses:SendEmail" in each["Action"])
        _, configuration_set = (resource["Fn::Sub"] for resource in sending["Resource"])
        assert configuration_set.endswith(":configuration-set/${MailEvents}")


@pytest.mark.parametrize("table", ["VisitsTable", "ScoresTable", "CasesTable", "SessionsTable"])
def test_what_hears_of_mails_has_no_business_with_visits_scores_cases_and_sign_ins(table: str) -> None:
    assert table not in json.dumps(statements("TrackDelivery"))


def test_what_hears_of_mails_sends_none_and_knows_no_key() -> None:
    allowed = {action for each in statements("TrackDelivery") for action in each["Action"]}
    assert not [action for action in allowed if action.startswith(("ses:", "secretsmanager:", "kms:", "s3:"))]

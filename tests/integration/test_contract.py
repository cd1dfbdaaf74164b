"""What people and tools rely on: names, addresses and shapes."""

import json
import re
from datetime import datetime

from tests.integration.practice import someone

FUNCTIONS = {
    "ImportVisitsFunction",
    "SendSurveyFunction",
    "RecordResponseFunction",
    "UnsubscribeFunction",
    "AlertStaffFunction",
    "RequestReviewFunction",
    "SendDigestFunction",
    "AggregateScoresFunction",
}
TABLES = {
    "PatientsTable",
    "VisitsTable",
    "SurveysTable",
    "MessagesTable",
    "AddressesTable",
    "ScoresTable",
    "ActivityTable",
    "SettingsTable",
}
KEYS = {
    "PatientsTable": ["patient_id"],
    "VisitsTable": ["patient_id", "visit_id"],
    "SurveysTable": ["survey_id"],
    "MessagesTable": ["message_id"],
    "ScoresTable": ["scope", "day"],
}
DEFAULTS = {
    "Touchpoints": "evaluation,visit:6,discharge",
    "SurveyDelayHours": "3",
    "SendFrom": "08:00",
    "SendUntil": "20:00",
    "SendDays": "Mon-Sat",
    "PauseDays": "10",
    "ReminderAfterDays": "3",
    "MaxTouchpointAgeDays": "14",
    "LinkLifetimeDays": "30",
    "EditWindowDays": "7",
    "ReviewInvitations": "promoters",
    "ReviewDelayHours": "24",
    "PassiveAlerts": "digest",
    "AlertDetail": "minimal",
}
NO_DEFAULT = {
    "PracticeName",
    "PracticeTimeZone",
    "SenderAddress",
    "ReplyToAddress",
    "PostalAddress",
    "AdminAddresses",
    "ReviewLinks",
    "SchedulesEnabled",
    "PublicBaseUrl",
}


def test_every_logical_id_is_in_the_stack(practice):
    listed = practice.client("cloudformation").describe_stack_resources(StackName=practice.stack.stack_name)
    there = {resource["LogicalResourceId"]: resource for resource in listed["StackResources"]}
    assert there.keys() >= FUNCTIONS | TABLES
    for name, keys in KEYS.items():
        described = practice.client("dynamodb").describe_table(TableName=there[name]["PhysicalResourceId"])["Table"]
        assert [key["AttributeName"] for key in described["KeySchema"]] == keys


def test_the_outputs_lead_to_the_pages_and_the_bucket(practice):
    [described] = practice.client("cloudformation").describe_stacks(StackName=practice.stack.stack_name)["Stacks"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
    assert outputs["PublicUrl"] == practice.stack.public_url == practice.stack.outputs["PublicUrl"]
    practice.client("s3").head_bucket(Bucket=outputs["IntakeBucketName"])


def test_the_parameters_have_their_names_and_defaults(practice):
    [described] = practice.client("cloudformation").describe_stacks(StackName=practice.stack.stack_name)["Stacks"]
    values = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in described["Parameters"]}
    assert values.keys() >= DEFAULTS.keys() | NO_DEFAULT
    assert {name: values[name] for name in DEFAULTS} == DEFAULTS
    assert values["PracticeTimeZone"] == "America/New_York"
    assert values["SchedulesEnabled"] == "false"
    assert len(values["AdminAddresses"].split(",")) == 1
    assert values["ReviewLinks"].count("https://") == 1


def test_the_mailbox_lists_every_mail_oldest_first(practice):
    practice.asked(someone(), someone())
    page = practice.get("/mailbox/messages.json")
    assert page.headers["content-type"].startswith("application/json")
    mails = json.loads(page.body)
    assert all(set(mail) == {"to", "from", "subject", "text", "html", "sent_at"} for mail in mails)
    assert all(isinstance(mail["to"], list) for mail in mails)
    moments = [datetime.fromisoformat(mail["sent_at"]) for mail in mails]
    assert all(moment.tzinfo for moment in moments)
    assert moments == sorted(moments)


def test_a_survey_mail_has_eleven_links_and_a_way_out_in_both_its_parts(practice):
    [mail] = practice.asked(someone())
    for part in (mail.text, mail.html):
        links = set(re.findall(rf"{re.escape(practice.stack.public_url)}/s/[a-z2-7]+\?score=(\d+)", part))
        assert links == {str(score) for score in range(11)}
        assert f"{practice.stack.public_url}{mail.unsubscribe_path}" in part
        assert "Unsubscribe" in part
        assert "1 River Street" in part
    assert "friends or family" in mail.text
    assert "not at all likely" in mail.text
    assert "extremely likely" in mail.text
    assert mail.sender == "Riverside Physical Therapy <surveys@riverside.example>"
    for private in ("evaluation", "T1", "visit "):
        assert private not in mail.subject + mail.text


def test_addresses_and_names_stay_out_of_keys_and_links(practice):
    person = someone("Xerxes")
    [mail] = practice.asked(person)
    survey = practice.survey(mail)
    assert person.patient_id.lower() not in survey["survey_id"]
    assert mail.token[26:] not in str(practice.dump())
    assert person.email not in str(practice.items("AddressesTable"))


def test_scheduled_runs_say_what_they_did(practice):
    result = practice.send(datetime.fromisoformat("2026-03-02T21:00:00+00:00"))
    assert all(isinstance(result[name], int) for name in ("due", "sent", "unknown", "failed"))
    assert isinstance(result["skipped"], dict)
    assert isinstance(result["deferred"], dict)
    assert set(practice.count_scores()) == {"surveys", "rows"}

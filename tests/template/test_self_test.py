"""The self-test as it is deployed: when its steps run, which rows it may touch, and who misses it."""

from typing import Any

from functions.self_test.steps import NIGHT
from local.template import events, functions, load_template
from shared.domain.identity import parse_token
from shared.domain.self_test import CLINIC_ID, PATIENT_ID, SCOPE, SURVEY_ID

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = functions(TEMPLATE)
STEPS = events(FUNCTIONS["SelfTestFunction"], "ScheduleV2")
ROWS = {
    "PatientsTable": [PATIENT_ID],
    "ActivityTable": [PATIENT_ID],
    "SurveysTable": [SURVEY_ID],
    "CasesTable": [SURVEY_ID],
    "MessagesTable": [f"{SURVEY_ID}-*"],
    "ScoresTable": [SCOPE],
    "SettingsTable": ["practice", "mail#*"],
}


def minute_of(schedule: dict[str, Any]) -> int:
    """The minute of the day, UTC."""
    minute, hour, *_ = schedule["ScheduleExpression"].removeprefix("cron(").split()
    return int(hour) * 60 + int(minute)


def test_each_step_leaves_time_for_what_runs_in_between() -> None:
    begin, answer, check = (minute_of(STEPS[step]) for step in ("Begin", "Answer", "Check"))
    (sender,) = events(FUNCTIONS["SendSurveyFunction"], "ScheduleV2").values()
    assert sender["ScheduleExpression"] == "rate(10 minutes)"
    longest_run = FUNCTIONS["SendSurveyFunction"]["Timeout"] // 60
    assert answer - begin >= 10 + longest_run + 5  # minutes: the next run, one before it that goes on, and some more
    (count,) = events(FUNCTIONS["AggregateScoresFunction"], "ScheduleV2").values()
    assert answer + 15 <= minute_of(count)  # a sweep of alerts
    assert check - minute_of(count) >= 2 * FUNCTIONS["AggregateScoresFunction"]["Timeout"] // 60
    assert check - begin < NIGHT.total_seconds() / 60


def test_it_may_touch_its_own_patients_rows_and_nobody_elses() -> None:
    (policy,) = RESOURCES["SelfTestRole"]["Properties"]["Policies"]
    allowed: dict[str, list[str]] = {}
    for statement in policy["PolicyDocument"]["Statement"]:
        if not str(statement["Action"]).startswith("['dynamodb:"):
            assert statement["Action"] in (
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                ["secretsmanager:GetSecretValue"],
            )
            continue
        table, _ = statement["Resource"]["Fn::GetAtt"]
        if table == "AddressesTable":  # under a hash that the template cannot know
            assert statement["Action"] == ["dynamodb:DeleteItem"]
            continue
        ((operator, limits),) = statement["Condition"].items()
        assert operator in ("ForAllValues:StringEquals", "ForAllValues:StringLike")
        allowed[table] = limits["dynamodb:LeadingKeys"]
    assert allowed == ROWS


def test_it_asks_where_patients_links_point() -> None:
    sender, own = (
        FUNCTIONS[name]["Environment"]["Variables"]["PUBLIC_URL"] for name in ("SendSurveyFunction", "SelfTestFunction")
    )
    assert own == sender


def test_a_link_may_carry_its_surveys_id() -> None:
    token = parse_token(SURVEY_ID + "a" * 26)
    assert token
    assert token.survey_id == SURVEY_ID
    assert CLINIC_ID == PATIENT_ID


def test_people_hear_when_no_self_test_has_passed_for_a_day_and_two_hours() -> None:
    alarm = RESOURCES["SelfTestAlarm"]
    watched = alarm["Properties"]
    assert alarm["Condition"] == "SchedulesOn"
    assert (watched["Namespace"], watched["MetricName"]) == (
        {"Fn::Sub": "Careloop/${AWS::StackName}"},
        "SelfTestPassed",
    )
    assert watched["Period"] * watched["EvaluationPeriods"] == 26 * 3600
    assert watched["InsufficientDataActions"] == [{"Ref": "AlarmTopic"}]
    assert watched["AlarmDescription"].endswith("Runbook: docs/runbook.md#self-test")

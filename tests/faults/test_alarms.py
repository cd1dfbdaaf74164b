"""Fault for fault: the cause of each alarm is injected, and the mail goes out; a practice where all is well gets none.

What is ours runs for real: handlers raise, metrics are printed, records end in the queue of failed events. What only
AWS does (an invocation that it counts, holds back or cannot hand on) is a data point put as AWS documents it.
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.erase_patient.handler import handler as erase_patient
from functions.import_visits.handler import handler as import_visits
from functions.measure_worth.handler import handler as measure_worth
from functions.self_test.handler import handler as self_test
from functions.send_report.handler import handler as send_report
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.track_delivery.handler import handler as track_delivery
from local.template import events, functions, load_template
from shared.domain.clock import format_instant
from shared.domain.delivery import staff_key
from shared.observability import HandlerFailed
from shared.storage import kept, sending_health
from shared.storage.dynamodb import client
from shared.storage.models import SurveyItem
from tests.cloudwatch import CloudWatch, metric_of, state
from tests.fakes import FakeContext, FakeMailer
from tests.faults.practice import AFTERNOON, Practice, Request, aws_error, refusing
from tests.handlers.dashboard import signed_in
from tests.handlers.exports import PATIENTS, event, file_of
from tests.stream_driver import StreamDriver

TEMPLATE = load_template()
FUNCTIONS = functions(TEMPLATE)
ALARMS = {
    name: resource["Properties"]
    for name, resource in TEMPLATE["Resources"].items()
    if resource["Type"] == "AWS::CloudWatch::Alarm"
}
ERRORS = [name for name, alarm in ALARMS.items() if alarm["MetricName"] == "Errors"]
SILENT = [name for name, alarm in ALARMS.items() if "InsufficientDataActions" in alarm]
PERSON = file_of("p1,Pat,One,pat@example.com,north", header=PATIENTS)
NOBODY = file_of(",Pat,One,pat@example.com,north", header=PATIENTS)
ADMIN = "admin@riverside.example.com"


@dataclass
class World:
    """The practice, and what CloudWatch knows of it."""

    practice: Practice
    choose: Callable[..., None]
    cloudwatch: CloudWatch = field(default_factory=CloudWatch)

    def run(self, function: str) -> None:
        """One invocation, counted as Lambda counts it."""
        self.counted(function, RUNS[function])

    def counted(self, function: str, call: Callable[["World"], Any]) -> Any:
        """Whatever runs as this function: what it returns, and for AWS whether it raised."""
        errors = 1
        with suppress(HandlerFailed):
            answer = call(self)
            errors = 0
        dimensions = {"FunctionName": function}
        self.cloudwatch.put(self.practice.clock, "AWS/Lambda", "Invocations", 1, **dimensions)
        self.cloudwatch.put(self.practice.clock, "AWS/Lambda", "Errors", errors, **dimensions)
        self.cloudwatch.read(self.practice.clock, self.practice.hear())
        return None if errors else answer

    def mails(self, name: str) -> str:
        """The state of which an alarm tells now, if that is new."""
        return self.cloudwatch.mails(name, ALARMS[name], self.practice.clock)

    def time(self) -> dict[str, str]:
        """A schedule's event."""
        return {"time": format_instant(self.practice.clock)}


@pytest.fixture
def world(practice: Practice, choose: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return World(practice, choose)


def an_import(world: World, content: str = PERSON) -> Any:
    s3 = boto3.client("s3")
    with world.practice.gate.aside():
        s3.put_object(Bucket="intake", Key="incoming/patients.csv", Body=content.encode())
    told = event("incoming/patients.csv")
    return import_visits(told, FakeContext(seconds_left=900), s3=s3, again=lambda _: None, workers=1)


def a_mail(world: World) -> Any:
    """The first patient's; sent when it is first asked for."""
    with world.practice.gate.aside():
        if not world.practice.mails:
            world.practice.asked()
            world.practice.send()
    return world.practice.mails[0]


def a_report(world: World) -> Any:
    return send_report(world.time(), FakeContext(), mailer=FakeMailer(), now=lambda: world.practice.clock)


def a_page_of_the_dashboard(world: World) -> Any:
    with world.practice.gate.aside():
        owner = signed_in(now=world.practice.clock)
    return owner.get("/cases")


RUNS: dict[str, Callable[[World], Any]] = {
    "ImportVisitsFunction": an_import,
    "SendSurveyFunction": lambda world: world.practice.send(),
    "TrackDeliveryFunction": lambda world: world.practice.hear_of(a_mail(world), "Delivery"),
    "RecordResponseFunction": lambda world: world.practice.answer(a_mail(world), 9),
    "UnsubscribeFunction": lambda world: world.practice.opt_out(a_mail(world)),
    "AlertStaffFunction": lambda world: world.practice.alert(),
    "RequestReviewFunction": lambda world: world.practice.request_reviews(),
    "SendDigestFunction": lambda world: world.practice.digest(),
    "EscalateCasesFunction": lambda world: world.practice.escalate(),
    "SendReportFunction": a_report,
    "AggregateScoresFunction": lambda world: world.practice.count(),
    "SelfTestFunction": lambda world: self_test({**world.time(), "step": "begin"}, FakeContext()),
    "MeasureWorthFunction": lambda world: measure_worth(world.time(), FakeContext(), now=lambda: world.practice.clock),
    "ErasePatientFunction": lambda world: erase_patient(world.time(), FakeContext(seconds_left=900)),
    "ServeDashboardFunction": a_page_of_the_dashboard,
}
"""A run of each function when all is well."""


# ---- What causes what ----------------------------------------------------------------------------------


def bug_in(function: str) -> Callable[[World], None]:
    """Whatever the function asks of AWS fails in a way that nobody foresaw."""

    def cause(world: World) -> None:
        a_mail(world)  # what patients and events need must be there

        def fail(operation: str, request: Request) -> None:
            raise RuntimeError(operation)

        kept.forget()
        with world.practice.gate.hooked(before=fail):
            world.run(function)

    return cause


def an_answer_that_cannot_be_read(world: World) -> None:
    """A record of the stream fails as often as AWS tries it."""
    survey = answered(world, 2)
    SurveyItem(survey).update([SurveyItem.language.set("??")])
    mapping = events(FUNCTIONS["AlertStaffFunction"], "DynamoDB")["Answer"]
    stream = StreamDriver(world.practice.alert, ("alert", "alert review"), retries=mapping["MaximumRetryAttempts"])
    stream.capture(survey)
    stream.deliver()
    assert mapping["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    in_the_queue(world, len(stream.on_failure))


def news_that_cannot_be_read(world: World) -> None:
    """An asynchronous event fails as often as AWS tries it."""
    config = FUNCTIONS["TrackDeliveryFunction"]["EventInvokeConfig"]
    for _ in range(1 + config["MaximumRetryAttempts"]):
        with pytest.raises(HandlerFailed):
            track_delivery({"type": "Bounce", "at": "soon"}, None)
    assert config["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    in_the_queue(world, 1)


def in_the_queue(world: World, records: int) -> None:
    """SQS tells every few minutes how many messages a queue holds."""
    name = "ApproximateNumberOfMessagesVisible"
    world.cloudwatch.put(world.practice.clock, "AWS/SQS", name, records, QueueName="FailedEvents")


def answered(world: World, score: int) -> str:
    """A patient gave this score."""
    survey = a_mail(world).survey_id
    assert world.practice.answer(a_mail(world), score) == 200
    return str(survey)


def an_alert_that_ses_refuses(world: World) -> None:
    answered(world, 1)
    refused = refusing(aws_error("MessageRejected"), "SendEmail")
    with world.practice.gate.hooked(before=refused):
        world.run("AlertStaffFunction")


def an_admin_whose_address_is_gone(world: World) -> None:
    moment = format_instant(world.practice.clock)
    bounce = {"bounce_type": "Permanent", "bounce_subtype": "General", "bounce_status": "5.1.1"}
    told = {"type": "Bounce", "at": moment, "sent_at": moment, "ses_id": "ses-9", "recipient": staff_key(ADMIN)}
    world.counted("TrackDeliveryFunction", lambda _: track_delivery({**told, **bounce}, None))


def a_sender_that_cannot_be_started(world: World) -> None:
    world.choose(SENDERS="2")

    def refuse(_: dict[str, Any]) -> None:
        raise aws_error("TooManyRequestsException", 429, "Invoke")

    def run(world: World) -> Any:
        limits = Limits(rate=14, allowance=None)
        return send_survey(world.time(), FakeContext(), mailer=FakeMailer(), limits=lambda: limits, start=refuse)

    world.counted("SendSurveyFunction", run)


def the_quota_used_up(world: World) -> None:
    world.practice.asked(1)
    world.practice.gate.quota = {"Max24HourSend": 200.0, "MaxSendRate": 14.0, "SentLast24Hours": 200.0}
    world.run("SendSurveyFunction")


def the_account_paused(world: World) -> None:
    world.practice.asked(1)
    world.practice.gate.sending_enabled = False
    world.run("SendSurveyFunction")


def too_many_bounces(world: World) -> None:
    sending_health.count(world.practice.clock, sent=490, bounced=10)
    world.practice.asked(1)
    world.run("SendSurveyFunction")


def no_news_of_mail(world: World) -> None:
    a_mail(world)
    world.practice.later(minutes=20)
    world.run("SendSurveyFunction")


def the_days_limit(world: World) -> None:
    world.choose(MAX_SENDS_PER_DAY="1")
    world.practice.asked(1)
    world.practice.asked(2)
    world.run("SendSurveyFunction")


def a_mail_that_meets_a_bug(world: World) -> None:
    world.practice.asked(1)
    with world.practice.gate.hooked(before=refusing(RuntimeError(), "TransactWriteItems")):
        world.run("SendSurveyFunction")


def answers_that_keep_changing(world: World) -> None:
    answered(world, 9)
    refused = aws_error("TransactionCanceledException", operation="TransactWriteItems")
    refused.response["CancellationReasons"] = [{"Code": "TransactionConflict"}]
    modelled = client().exceptions.TransactionCanceledException(refused.response, "TransactWriteItems")
    with world.practice.gate.hooked(before=refusing(modelled, "TransactWriteItems")):
        world.run("AggregateScoresFunction")


def a_file_with_a_row_of_nobody(world: World) -> None:
    world.counted("ImportVisitsFunction", lambda world: an_import(world, NOBODY))


def put(namespace: str, name: str, **dimensions: str) -> Callable[[World], None]:
    """What AWS alone sees."""

    def put_point(world: World) -> None:
        world.cloudwatch.put(world.practice.clock, namespace, name, 1, **dimensions)

    return put_point


CAUSES: dict[str, list[Callable[[World], None]]] = {
    **{name: [bug_in(name.replace("ErrorsAlarm", "Function"))] for name in ERRORS},
    "FailedEventsAlarm": [an_answer_that_cannot_be_read, news_that_cannot_be_read],
    "MailEventsLostAlarm": [put("AWS/Events", "FailedInvocations", RuleName="MailEventsRule")],
    "ThrottlesAlarm": [put("AWS/Lambda", "Throttles")],
    "AlertsNotSentAlarm": [an_alert_that_ses_refuses],
    "StaffAddressFailsAlarm": [an_admin_whose_address_is_gone],
    "SendersNotStartedAlarm": [a_sender_that_cannot_be_started],
    "QuotaReachedAlarm": [the_quota_used_up],
    "SendingStoppedAlarm": [the_account_paused, too_many_bounces],
    "NoDeliveryEventsAlarm": [no_news_of_mail],
    "DailyCapReachedAlarm": [the_days_limit],
    "MessagesFailedAlarm": [a_mail_that_meets_a_bug],
    "SurveysNotCountedAlarm": [answers_that_keep_changing],
    "IntakeRefusedAlarm": [a_file_with_a_row_of_nobody],
}
INJECTED = [(name, cause) for name, causes in CAUSES.items() for cause in causes]


# ---- The claims ----------------------------------------------------------------------------------------


def test_no_alarm_is_without_a_cause_that_is_injected() -> None:
    assert {*CAUSES, *SILENT} == set(ALARMS)
    assert {name.replace("ErrorsAlarm", "Function") for name in ERRORS} == set(RUNS)


@pytest.mark.parametrize(("name", "cause"), INJECTED, ids=[f"{name}-{cause.__name__}" for name, cause in INJECTED])
def test_its_cause_sends_the_alarms_mail_once_and_it_ends_when_the_cause_does(
    world: World, name: str, cause: Callable[[World], None]
) -> None:
    assert world.mails(name) == ""
    cause(world)
    assert world.mails(name) == "ALARM"
    world.practice.later(seconds=60)
    assert world.mails(name) == ""
    if name == "FailedEventsAlarm":
        in_the_queue(world, 0)
    world.practice.later(seconds=3 * ALARMS[name]["Period"])
    assert world.mails(name) == ""
    assert world.cloudwatch.states[name] == "OK"


@pytest.mark.parametrize("name", [*ERRORS, "MessagesFailedAlarm", "SendingStoppedAlarm", "AlertsNotSentAlarm"])
def test_what_fails_in_every_run_is_one_mail_as_long_as_it_lasts(name: str) -> None:
    """Also if AWS looks back no further than the evaluation periods."""
    cloudwatch, clock = CloudWatch(beyond=0), AFTERNOON
    namespace, metric, dimensions = metric_of(ALARMS[name])
    every, told = runs_every(dict(dimensions).get("FunctionName") or COUNTED_BY[name]), []
    for minute in range(6 * 60):
        if timedelta(minutes=minute) % every == timedelta(minutes=1):
            cloudwatch.put(clock, namespace, metric, 1, **dict(dimensions))
        told.append(cloudwatch.mails(name, ALARMS[name], clock))
        clock += timedelta(minutes=1)
    assert told.count("ALARM") == 1


COUNTED_BY = {
    "MessagesFailedAlarm": "SendSurveyFunction",
    "SendingStoppedAlarm": "SendSurveyFunction",
    "AlertsNotSentAlarm": "AlertStaffFunction",
}


def runs_every(function: str) -> timedelta:
    """From run to run; five minutes for what people or events start: it may always fail."""
    schedules = events(FUNCTIONS[function], "ScheduleV2").values()
    return min((EVERY[each["ScheduleExpression"]] for each in schedules), default=timedelta(minutes=5))


def test_a_practice_where_all_is_well_gets_no_mail_of_any_alarm(world: World) -> None:
    said = []
    for function in RUNS:
        world.run(function)
        in_the_queue(world, 0)
        said += [(name, told) for name in ALARMS if (told := world.mails(name))]
        world.practice.later(minutes=5)
    assert said == []


@pytest.mark.parametrize("name", SILENT)
def test_a_job_that_runs_no_more_is_told_of_and_one_that_has_not_begun_yet_is_not(world: World, name: str) -> None:
    namespace, metric, dimensions = metric_of(ALARMS[name])
    function = dict(dimensions).get("FunctionName", "SelfTestFunction")
    every, promised = runs_every(function), timedelta(hours=ALARMS[name]["EvaluationPeriods"])
    runs = put(namespace, metric, **dict(dimensions))

    def until_told(longest: timedelta) -> timedelta | None:
        """How long it takes while nothing runs."""
        began = world.practice.clock
        while world.practice.clock - began < longest:
            if told := world.mails(name):
                assert told == "INSUFFICIENT_DATA"
                return world.practice.clock - began
            world.practice.later(minutes=10)
        return None

    assert until_told(2 * promised) is None
    for _ in range(2):
        for _ in range(5):
            world.practice.later(seconds=every.total_seconds())
            runs(world)
            assert world.mails(name) == ""
        told_after = until_told(promised + timedelta(hours=4))
        assert told_after
        assert told_after >= promised, "it was told before the time that the text names"


EVERY = {
    "rate(10 minutes)": timedelta(minutes=10),
    "rate(15 minutes)": timedelta(minutes=15),
    "rate(1 hour)": timedelta(hours=1),
    "cron(30 7 * * ? *)": timedelta(days=1),
    "cron(58 7 * * ? *)": timedelta(days=1),
    "cron(15 8 * * ? *)": timedelta(days=1),
    "cron(45 8 * * ? *)": timedelta(days=1),
    "cron(50 8 * * ? *)": timedelta(days=1),
}
"""From run to run."""


@pytest.mark.parametrize(
    ("points", "to_alarm", "states"),
    [
        ("0-X-X", 3, ("OK", "OK", "OK")),
        ("0----", 3, ("OK", "OK", "OK")),
        ("-----", 3, ("INSUFFICIENT_DATA", "ALARM", "OK")),
        ("0XX-X", 3, ("ALARM", "ALARM", "ALARM")),
        ("----X", 3, ("INSUFFICIENT_DATA", "ALARM", "OK")),
        ("X----", 3, ("ALARM", "ALARM", "OK")),
        ("0-X-X", 2, ("ALARM", "ALARM", "ALARM")),
        ("00X0X", 2, ("ALARM", "ALARM", "ALARM")),
        ("0-X--", 2, ("OK", "ALARM", "OK")),
        ("----0", 2, ("OK", "ALARM", "OK")),
        ("----X", 2, ("INSUFFICIENT_DATA", "ALARM", "OK")),
    ],
)
def test_alarms_are_judged_as_the_tables_of_the_cloudwatch_guide_say(
    points: str, to_alarm: int, states: tuple[str, ...]
) -> None:
    read = [{"0": False, "X": True, "-": None}[point] for point in points]
    alarm = {"EvaluationPeriods": 3, "DatapointsToAlarm": to_alarm}
    treats = ("missing", "breaching", "notBreaching")
    assert tuple(state(read, {**alarm, "TreatMissingData": treat}) for treat in treats) == states

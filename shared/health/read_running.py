"""Reads what runs by itself, who is told when it does not, and what patients and staff can open."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from shared.health import facts
from shared.health.findings import Gone
from shared.health.place import CannotTell, Place, known

TRIGGERED = ("incoming/", "preview/", "settings/")


def stack_status(place: Place) -> str:
    """How the last deployment ended, in CloudFormation's word."""
    return place.status


def schedules(place: Place) -> tuple[facts.Schedule, ...]:
    """Every schedule of the stack."""
    return tuple(_schedule(place, logical, name) for logical, name in _schedules(place).items())


def _schedules(place: Place) -> dict[str, str]:
    return place.of_kind("AWS::Scheduler::Schedule")


def _schedule(place: Place, logical: str, name: str) -> facts.Schedule:
    function = _function_of(place, logical)
    own = logical.removeprefix(function)
    told = known(place, "scheduler", "get_schedule", Name=name.rpartition("/")[2])
    if told is None:
        return facts.Schedule(own, function, None, timedelta(days=1), None)
    return facts.Schedule(
        name=own,
        function=function,
        is_on=told["State"] == "ENABLED",
        every=every(told["ScheduleExpression"]),
        changed_at=told.get("LastModificationDate"),
        expression=told["ScheduleExpression"],
        leads=function in place.parts and told["Target"]["Arn"].endswith(f":{place.name(function)}"),
    )


def every(expression: str) -> timedelta:
    """How often a schedule comes: `rate(15 minutes)`, else `cron(…)`, of which the stack has daily ones only."""
    number, _, unit = expression.removeprefix("rate(").rstrip(")").partition(" ")
    if not expression.startswith("rate("):
        return timedelta(days=1)
    return int(number) * {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}[unit[0]]


def _function_of(place: Place, logical: str) -> str:
    """SAM calls a function's schedules and mappings after it."""
    named = [each for each in place.of_kind("AWS::Lambda::Function") if logical.startswith(each)]
    return max(named, key=len, default=logical)


def schedules_wanted(place: Place) -> bool:
    """Whether the stack was deployed with its schedules on."""
    return place.parameters.get("SchedulesEnabled", "true") == "true"


def last_runs(place: Place) -> dict[str, facts.Run]:
    """When each scheduled function last ran in two days, and last ended well, to five minutes, as CloudWatch counts."""
    names = {_function_of(place, logical) for logical in _schedules(place)}
    functions = sorted(names & place.parts.keys())
    counted = _counted(
        place,
        [
            ("AWS/Lambda", metric, [{"Name": "FunctionName", "Value": place.name(function)}])
            for function in functions
            for metric in ("Invocations", "Errors")
        ],
        timedelta(hours=49),
    )
    found = {}
    for function, ran, failed in zip(functions, counted[::2], counted[1::2], strict=True):
        well = [moment for moment, number in ran.items() if number > failed.get(moment, 0)]
        if ran:
            found[function] = facts.Run(max(ran), max(well, default=None))
    return found


def self_test(place: Place) -> datetime | None:
    """When the rehearsal of the whole loop last came through, in two weeks."""
    stack = place.parameters["AWS::StackName"]
    [passed] = _counted(place, [(f"Careloop/{stack}", "SelfTestPassed", [])], timedelta(days=14))
    if not passed and place.is_local:
        why = "the stand-in for AWS on this machine keeps no figures that functions write into their logs"
        raise CannotTell(why, "Nothing here. In AWS, this is looked at.")
    return max(passed, default=None)


def _counted(
    place: Place, metrics: Sequence[tuple[str, str, list[dict[str, str]]]], back: timedelta
) -> list[dict[datetime, float]]:
    """Each metric by five minutes, as far as it is above nothing."""
    asked = [
        {
            "Id": f"m{number}",
            "MetricStat": {
                "Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": dimensions},
                "Period": 300,
                "Stat": "Sum",
            },
        }
        for number, (namespace, metric, dimensions) in enumerate(metrics)
    ]
    # From a whole five minutes on, so that AWS keeps to the period; later than now, so that the present is in it.
    begin = place.now.replace(minute=place.now.minute // 5 * 5, second=0, microsecond=0) - back
    end = place.now + timedelta(minutes=5)
    found: list[dict[datetime, float]] = [{} for _ in metrics]
    pages = place.client("cloudwatch").get_paginator("get_metric_data")
    for page in pages.paginate(MetricDataQueries=asked, StartTime=begin, EndTime=end):
        for result in page["MetricDataResults"]:
            values = zip(result["Timestamps"], result["Values"], strict=True)
            found[int(result["Id"][1:])] |= {moment: value for moment, value in values if value > 0}
    return found


def halted(place: Place) -> dict[str, facts.Halted]:
    """The functions that may not run, and why."""
    found = ((each, _halted(place, name)) for each, name in place.of_kind("AWS::Lambda::Function").items())
    return {each: why for each, why in found if why}


def _halted(place: Place, name: str) -> facts.Halted | None:
    told = known(place, "lambda", "get_function_configuration", FunctionName=name)
    if told is None:
        return facts.Halted("is not there any more", is_gone=True)
    if told.get("State") == "Failed":
        return facts.Halted(f"cannot start ({told.get('StateReasonCode', 'no reason given')})")
    if told.get("LastUpdateStatus") == "Failed":
        why = told.get("LastUpdateStatusReasonCode", "no reason given")
        return facts.Halted(f"could not be brought up to date ({why})")
    reserved = place.client("lambda").get_function_concurrency(FunctionName=name).get("ReservedConcurrentExecutions")
    return facts.Halted("may not run at all (its reserved concurrency is 0)", is_held=True) if reserved == 0 else None


def environments(place: Place) -> dict[str, dict[str, str]]:
    """The variables of each function that is there."""
    told = {
        each: known(place, "lambda", "get_function_configuration", FunctionName=name)
        for each, name in place.of_kind("AWS::Lambda::Function").items()
    }
    return {each: had.get("Environment", {}).get("Variables", {}) for each, had in told.items() if had is not None}


def parameters(place: Place) -> Mapping[str, str]:
    """What the stack was deployed with."""
    return place.parameters


def mappings(place: Place) -> tuple[facts.Mapping, ...]:
    """What wakes functions when a survey changes."""
    return tuple(
        _mapping(place, logical, name) for logical, name in place.of_kind("AWS::Lambda::EventSourceMapping").items()
    )


def _mapping(place: Place, logical: str, name: str) -> facts.Mapping:
    told = known(place, "lambda", "get_event_source_mapping", UUID=name)
    if told is None:
        return facts.Mapping(_function_of(place, logical), "", "")
    return facts.Mapping(
        _function_of(place, logical),
        told["State"],
        told.get("LastProcessingResult") or "",
        told.get("EventSourceArn", ""),
    )


def queue(place: Place) -> facts.Queue | Gone:
    """The queue of failed events."""
    asked = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    told = known(place, "sqs", "get_queue_attributes", QueueUrl=place.name("FailedEvents"), AttributeNames=asked)
    if told is None:
        return Gone("The queue of failed events")
    return facts.Queue(sum(int(told["Attributes"][name]) for name in asked), None)


def queue_with_age(place: Place) -> facts.Queue | Gone:
    """The same with the age of the oldest event, if CloudWatch knows it."""
    found = queue(place)
    if isinstance(found, Gone) or not found.waiting:
        return found
    told = place.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SQS",
        MetricName="ApproximateAgeOfOldestMessage",
        Dimensions=[{"Name": "QueueName", "Value": place.name("FailedEvents").rpartition("/")[2]}],
        StartTime=place.now - timedelta(minutes=30),
        EndTime=place.now,
        Period=300,
        Statistics=["Maximum"],
    )
    ages = [point["Maximum"] for point in told["Datapoints"]]
    return facts.Queue(found.waiting, timedelta(seconds=max(ages)) if ages else None)


def triggers(place: Place) -> tuple[str, ...]:
    """The folders of whose uploads nobody is told."""
    told = place.client("s3").get_bucket_notification_configuration(Bucket=place.name("IntakeBucket"))
    there = {
        rule["Value"]
        for each in told.get("LambdaFunctionConfigurations", ())
        for rule in each.get("Filter", {}).get("Key", {}).get("FilterRules", ())
    }
    return tuple(folder for folder in TRIGGERED if folder not in there)


def topic(place: Place) -> facts.Topic:
    """Who is subscribed to the alarms."""
    pages, arn = place.client("sns").get_paginator("list_subscriptions_by_topic"), place.name("AlarmTopic")
    listed = [each for page in pages.paginate(TopicArn=arn) for each in page["Subscriptions"]]
    pending = [each["Endpoint"] for each in listed if each["SubscriptionArn"] == "PendingConfirmation"]
    confirmed = [each["Endpoint"] for each in listed if each["SubscriptionArn"].startswith("arn:")]
    return facts.Topic(tuple(confirmed), tuple(pending), arn, place.parameters.get("AlarmAddress", ""))


def alarms(place: Place) -> tuple[facts.Alarm, ...]:
    """Every alarm of the stack."""
    named = place.of_kind("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm")
    names, told = list(named.values()), {}
    for first in range(0, len(names), 100):
        pages = place.client("cloudwatch").get_paginator("describe_alarms")
        some = names[first : first + 100]
        for page in pages.paginate(AlarmNames=some, AlarmTypes=["MetricAlarm", "CompositeAlarm"]):
            for each in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())):
                told[each["AlarmName"]] = each
    return tuple(_alarm(logical, told.get(name, {})) for logical, name in named.items())


def _alarm(logical: str, told: Mapping[str, Any]) -> facts.Alarm:
    return facts.Alarm(
        logical, told.get("StateValue", ""), told.get("AlarmDescription", ""), told.get("ActionsEnabled", True)
    )


def patients_page(place: Place) -> facts.Page:
    """What a link with a made-up token opens: a page that says so."""
    return _page(place, f"{place.outputs['PublicUrl']}/s/none")


def staff_page(place: Place) -> facts.Page:
    """The one page of the dashboard that needs no signing in."""
    return _page(place, f"{place.outputs['DashboardUrl']}/signed-out")


def _page(place: Place, address: str) -> facts.Page:
    try:
        return facts.Page(address, place.fetch(address)[0])
    except OSError as error:
        return facts.Page(address, None, str(error))


def version(place: Place) -> str:
    """The release that the dashboard's foot names."""
    try:
        text = place.fetch(f"{place.outputs['DashboardUrl']}/signed-out")[1]
    except OSError as error:
        raise CannotTell(f"the dashboard does not answer ({error})", "See the finding about the pages.") from error
    found = text.rpartition("Careloop ")[2].partition("<")[0].strip()
    if not found[:1].isdigit():
        raise CannotTell("the dashboard's page does not name its version", "See the finding about the pages.")
    return found


def certificate(place: Place) -> facts.Certificate:
    """The certificate of the practice's own names."""
    told = place.client("acm").describe_certificate(CertificateArn=place.parameters["CertificateArn"])["Certificate"]
    return facts.Certificate(told["Status"], told.get("NotAfter"))

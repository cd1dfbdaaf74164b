"""What a deployed stack lacks of its template: the emulator skips some parts in silence and reports success."""

from collections.abc import Callable
from typing import Any

from local.template import events, functions

ClientOf = Callable[[str], Any]  # a client of the stack, by the service's name


def missing_parts(client: ClientOf, template: dict[str, Any], resources: dict[str, dict[str, Any]]) -> list[str]:
    """Every resource, route, variable, stream mapping, schedule, trigger and rule of events that the stack lacks."""
    missing = [
        name
        for name, resource in template["Resources"].items()
        if "Condition" not in resource
        and resources.get(name, {}).get("ResourceStatus") not in ("CREATE_COMPLETE", "UPDATE_COMPLETE")
        and resource["Type"] != "AWS::Serverless::Function"
        and resource["Type"] != "AWS::Serverless::Api"
    ]
    for name, function in functions(template).items():
        if name not in resources:
            missing.append(name)
            continue
        physical = resources[name]["PhysicalResourceId"]
        missing += _missing_routes(client, name, function, resources)
        missing += _missing_mappings(client, name, function, physical)
        missing += _missing_schedules(client, name, function, resources, physical)
        missing += _missing_triggers(client, name, function, resources, physical)
    missing += _missing_events(client, template, resources)
    return missing + _missing_variables(client, template, resources)


def _missing_routes(
    client: ClientOf, name: str, function: dict[str, Any], resources: dict[str, dict[str, Any]]
) -> list[str]:
    wanted = {
        (event["RestApiId"]["Ref"], event["Method"].upper(), event["Path"])
        for event in events(function, "Api").values()
    }
    there = {
        (api, method, item["path"])
        for api in {api for api, _, _ in wanted}
        for item in client("apigateway").get_resources(
            restApiId=resources[api]["PhysicalResourceId"], embed=["methods"]
        )["items"]
        for method in item.get("resourceMethods", {})
    }
    return [f"{name} {method} {path}" for _, method, path in sorted(wanted - there)]


def _missing_variables(client: ClientOf, template: dict[str, Any], resources: dict[str, dict[str, Any]]) -> list[str]:
    missing = []
    for name, resource in template["Resources"].items():
        if resource["Type"] == "AWS::Serverless::Api" and name in resources:
            api, stage = resources[name]["PhysicalResourceId"], resource["Properties"]["StageName"]
            there = client("apigateway").get_stage(restApiId=api, stageName=stage).get("variables", {})
            wanted = resource["Properties"].get("Variables", {})
            missing += [f"{name} variable {each}" for each in wanted if not there.get(each)]
    return missing


def _missing_events(client: ClientOf, template: dict[str, Any], resources: dict[str, dict[str, Any]]) -> list[str]:
    """What lies between a mail and the function that hears of it: destination, rule and what the rule keeps."""
    missing = []
    for name, resource in template["Resources"].items():
        wanted = resource.get("Properties", {})
        if resource["Type"] == "AWS::SES::ConfigurationSetEventDestination" and name in resources:
            set_name = resources[wanted["ConfigurationSetName"]["Ref"]]["PhysicalResourceId"]
            told = client("sesv2").get_configuration_set_event_destinations(ConfigurationSetName=set_name)
            there = [set(each["MatchingEventTypes"]) for each in told["EventDestinations"] if each["Enabled"]]
            if set(wanted["EventDestination"]["MatchingEventTypes"]) not in there:
                missing.append(f"{name} events of {set_name}")
        if resource["Type"] == "AWS::Events::Rule" and name in resources:
            rule = client("events").describe_rule(Name=resources[name]["PhysicalResourceId"].rpartition("/")[2])
            targets = client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
            kept = [target.get("InputTransformer") for target in targets]
            if rule["State"] != "ENABLED" or kept != [each.get("InputTransformer") for each in wanted["Targets"]]:
                missing.append(f"{name} with its targets")
    return missing


def _missing_mappings(client: ClientOf, name: str, function: dict[str, Any], physical: str) -> list[str]:
    wanted = [event["FilterCriteria"] for event in events(function, "DynamoDB").values()]
    if not wanted:
        return []
    mappings = client("lambda").list_event_source_mappings(FunctionName=physical)["EventSourceMappings"]
    there = [mapping.get("FilterCriteria") for mapping in mappings if mapping["State"] == "Enabled"]
    return [f"{name} stream mapping {criteria}" for criteria in wanted if criteria not in there]


def _missing_schedules(
    client: ClientOf, name: str, function: dict[str, Any], resources: dict[str, dict[str, Any]], physical: str
) -> list[str]:
    scheduler = client("scheduler")
    missing = []
    for event_name, event in events(function, "ScheduleV2").items():
        resource = resources.get(name + event_name)
        if resource is None:
            missing.append(f"{name} schedule {event_name}")
            continue
        schedule = scheduler.get_schedule(Name=resource["PhysicalResourceId"].rpartition("/")[2])
        target = schedule["Target"]["Arn"].split(":function:", 1)[1]
        if (schedule["ScheduleExpression"], target) != (event["ScheduleExpression"], physical):
            missing.append(f"{name} schedule {event_name} as described")
    return missing


def _missing_triggers(
    client: ClientOf, name: str, function: dict[str, Any], resources: dict[str, dict[str, Any]], physical: str
) -> list[str]:
    wanted = list(events(function, "S3").values())
    if not wanted:
        return []
    bucket = resources["IntakeBucket"]["PhysicalResourceId"]
    configuration = client("s3").get_bucket_notification_configuration(Bucket=bucket)
    there = [
        rule["Value"]
        for trigger in configuration.get("LambdaFunctionConfigurations", [])
        if trigger["LambdaFunctionArn"].endswith(f":function:{physical}")
        for rule in trigger["Filter"]["Key"]["FilterRules"]
    ]
    prefixes = [rule["Value"] for event in wanted for rule in event["Filter"]["S3Key"]["Rules"]]
    return [f"{name} upload trigger for {prefix}" for prefix in prefixes if prefix not in there]

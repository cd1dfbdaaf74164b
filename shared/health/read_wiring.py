"""Reads what leads from one part of the stack to the next."""

import json

from shared.health import facts
from shared.health.findings import RESTORE, Gone
from shared.health.place import Place, known

STARTED_BY = {
    "ImportVisitsFunction": ("s3.amazonaws.com", 1),
    "TrackDeliveryFunction": ("events.amazonaws.com", 1),
    "RecordResponseFunction": ("apigateway.amazonaws.com", 2),
    "UnsubscribeFunction": ("apigateway.amazonaws.com", 2),
    "ServeDashboardFunction": ("apigateway.amazonaws.com", 3),
}
"""Which service starts a function, and how many permissions it needs for that: one a route."""


def uninvited(place: Place) -> tuple[facts.Uninvited, ...]:
    """The functions that may not be started by what starts them."""
    return tuple(
        facts.Uninvited(function, service)
        for function, (service, number) in STARTED_BY.items()
        if function in place.parts and _permissions(place, place.name(function), service) < number
    )


def _permissions(place: Place, function: str, service: str) -> int:
    told = known(place, "lambda", "get_policy", FunctionName=function)
    statements = json.loads(told["Policy"])["Statement"] if told else ()
    return sum(
        each["Effect"] == "Allow" and each["Action"] == "lambda:InvokeFunction" and _invited(each) == service
        for each in statements
    )


def _invited(statement: dict[str, object]) -> object:
    principal = statement["Principal"]
    return principal.get("Service") if isinstance(principal, dict) else None


def stream(place: Place) -> str | Gone:
    """The stream that the table of surveys writes; empty if it writes none."""
    told = known(place, "dynamodb", "describe_table", TableName=place.name("SurveysTable"))
    if told is None:
        return Gone("The table of surveys", RESTORE)
    is_on = told["Table"].get("StreamSpecification", {}).get("StreamEnabled", False)
    return str(told["Table"]["LatestStreamArn"]) if is_on else ""

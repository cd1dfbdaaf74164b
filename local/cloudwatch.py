"""`make dashboard`: put what a stack reports and whether its alarms are raised on one page of the CloudWatch console.

The page is infra/dashboard.json with the stack's own names in it. It stands beside the stack, not in it: putting it
again replaces it, deleting it harms nothing, and an update of the stack never waits for it.
"""

import argparse
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.deployed import Deployed, find
from local.stack import StackFailed

PAGE = Path(__file__).parents[1] / "infra" / "dashboard.json"
NO_CONSOLE = (
    "The page is put together as for AWS. The stack of this machine has no CloudWatch console to look at it; "
    "STACK=name puts it into that of a stack in AWS."
)
AT_ONCE = 100  # alarms that CloudWatch describes in one call
_PLACE = re.compile(r"\$\{(\w+)\}")


class NotPut(Exception):
    """CloudWatch did not take the page as it is."""


def put(stack: Deployed) -> str:
    """Put the page under the stack's name; returns where it is."""
    cloudwatch, name = stack.client("cloudwatch"), name_of(stack)
    answer = cloudwatch.put_dashboard(DashboardName=name, DashboardBody=json.dumps(page(stack)))
    if said := answer.get("DashboardValidationMessages"):
        raise NotPut("\n".join(f"{each.get('DataPath')}: {each.get('Message')}" for each in said))
    region = cloudwatch.meta.region_name
    return f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#dashboards/dashboard/{name}"


def page(stack: Deployed) -> Any:
    """The page's body for this stack."""
    facts = {
        **stack.names,
        "StackName": name_of(stack),
        "Region": stack.client("cloudwatch").meta.region_name,
        "MetricsNamespace": f"Careloop/{name_of(stack)}",
        "FailedEventsName": stack.names["FailedEvents"].rpartition("/")[2],
        "Alarms": alarms(stack),
        "DailyQuota": stack.client("sesv2").get_account()["SendQuota"]["Max24HourSend"],
    }
    return filled(json.loads(PAGE.read_text("utf-8")), facts)


def name_of(stack: Deployed) -> str:
    """The stack's own name, with which those of its alarms begin."""
    return stack.names["FailedEventsAlarm"].partition(" - ")[0]


def alarms(stack: Deployed) -> list[str]:
    """The ARNs of the stack's alarms."""
    names = sorted(name for logical, name in stack.names.items() if logical.endswith("Alarm"))
    described = [
        stack.client("cloudwatch").describe_alarms(AlarmNames=names[first : first + AT_ONCE], MaxRecords=AT_ONCE)
        for first in range(0, len(names), AT_ONCE)
    ]
    return [alarm["AlarmArn"] for each in described for alarm in each["MetricAlarms"]]


def filled(part: Any, facts: Mapping[str, Any]) -> Any:
    """A part of the page with names in place of `${Name}`; one that stands alone may become a number or a list."""
    match part:
        case dict():
            return {key: filled(value, facts) for key, value in part.items()}
        case list():
            return [filled(each, facts) for each in part]
        case str() if alone := _PLACE.fullmatch(part):
            return facts[alone[1]]
        case str():
            return _PLACE.sub(lambda found: str(facts[found[1]]), part)
        case _:
            return part


def main() -> int:
    """The command line; 1 when there is no stack, or CloudWatch does not take the page."""
    parser = argparse.ArgumentParser(description="Put figures and alarms on a page of the CloudWatch console.")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    try:
        where = put(find(arguments.stack))
        print(where if arguments.stack else NO_CONSOLE)
    except (StackFailed, NotPut, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

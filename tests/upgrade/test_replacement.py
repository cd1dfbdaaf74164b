"""What an update from the last release changes: nothing that AWS would have to make anew and that holds anything.

Which properties mean replacement is told by AWS's own descriptions of its resource types, as cfn-lint brings them.
"""

import json
import subprocess
from functools import cache
from typing import Any

import pytest

from local.template import load_template
from tests.expanded import SAM, expanded
from tests.upgrade import last_release

_PROGRAM = """
import json, sys
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER as manager
def fixed(kind):
    told = manager.get_resource_schema("us-east-1", kind).schema
    return [*told.get("createOnlyProperties", ()), *told.get("conditionalCreateOnlyProperties", ())]
json.dump({kind: fixed(kind) for kind in json.load(sys.stdin)}, sys.stdout)
"""
# Made anew by every deployment that changes an API, and holding nothing.
PASSING = {"AWS::ApiGateway::Deployment", "AWS::Lambda::Permission"}
# A user pool takes none of these in an update: it fails.
FIXED_IN_A_POOL = ["UsernameAttributes", "UsernameConfiguration", "Schema"]

Resources = dict[str, dict[str, Any]]


@cache
def both() -> tuple[Resources, Resources]:
    """The resources of the last release's template and of today's."""
    return expanded(last_release.template())["Resources"], expanded(load_template())["Resources"]


def fixed_properties(kinds: set[str]) -> dict[str, list[str]]:
    """The properties of each type whose change makes AWS replace the resource."""
    command = [str(SAM), "-I", "-W", "ignore", "-c", _PROGRAM]
    done = subprocess.run(command, input=json.dumps(sorted(kinds)), capture_output=True, text=True, check=True)
    told: dict[str, list[str]] = json.loads(done.stdout)
    return {kind: [path.removeprefix("/properties/") for path in paths] for kind, paths in told.items()}


def value(resource: dict[str, Any], path: str) -> Any:
    """What stands under `EventDestination/Name`; None where there is nothing."""
    found: Any = resource.get("Properties", {})
    for part in path.split("/"):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def replaced(before: Resources, after: Resources) -> set[str]:
    """Logical ids of what the update would make anew."""
    fixed = fixed_properties({each["Type"] for each in before.values()})
    return {
        name
        for name in before.keys() & after.keys()
        if before[name]["Type"] != after[name]["Type"]
        or any(value(before[name], path) != value(after[name], path) for path in fixed[before[name]["Type"]])
    }


def test_an_update_makes_nothing_anew_but_schedules_and_alarms_that_got_other_names() -> None:
    """Schedules got names of CloudFormation's making, alarms some that say what is wrong; neither holds anything."""
    before, after = both()
    anew = {name for name in replaced(before, after) if before[name]["Type"] not in PASSING}
    schedules, alarms = (
        {name for name in anew if before[name]["Type"] == kind}
        for kind in ("AWS::Scheduler::Schedule", "AWS::CloudWatch::Alarm")
    )
    assert anew == schedules | alarms
    assert all("Name" not in after[name]["Properties"] for name in schedules)
    assert all("AlarmName" not in before[name]["Properties"] for name in alarms)


def test_an_update_takes_nothing_away() -> None:
    before, after = both()
    assert [name for name in before.keys() - after.keys() if before[name]["Type"] not in PASSING] == []


def test_a_changed_key_would_be_noticed() -> None:
    before, _ = both()
    changed = json.loads(json.dumps(before))
    changed["VisitsTable"]["Properties"]["KeySchema"][0]["AttributeName"] = "id"
    changed["IntakeBucket"]["Properties"]["BucketName"] = "another"
    assert replaced(before, changed) == {"VisitsTable", "IntakeBucket"}


@pytest.mark.parametrize("name", [name for name in load_template()["Resources"] if name.endswith("Table")])
def test_of_a_tables_indexes_an_update_adds_one_at_most_and_changes_none(name: str) -> None:
    former, today = (indexes(resources.get(name)) for resources in both())
    if name in both()[0]:
        assert former.items() <= today.items()
        assert len(today) - len(former) <= 1, "DynamoDB adds one at a time"


def indexes(table: dict[str, Any] | None) -> dict[str, str]:
    """What each index of a table is made of."""
    listed = (table or {}).get("Properties", {}).get("GlobalSecondaryIndexes", [])
    return {index["IndexName"]: json.dumps(index, sort_keys=True) for index in listed}


def test_the_user_pool_is_asked_for_nothing_that_it_cannot_change() -> None:
    former, today = (resources["StaffPool"]["Properties"] for resources in both())
    assert {name: today[name] for name in FIXED_IN_A_POOL} == {name: former[name] for name in FIXED_IN_A_POOL}


def test_who_deployed_the_last_release_is_asked_for_nothing_new() -> None:
    former, today = last_release.template()["Parameters"], load_template()["Parameters"]
    assert [name for name in today.keys() - former.keys() if "Default" not in today[name]] == []
    assert former.keys() - today.keys() == set()


@pytest.mark.parametrize("name", ["RecordResponse", "Unsubscribe", "AlertStaff", "ServeDashboard"])
def test_code_of_the_last_release_may_still_do_all_it_did_while_roles_change_before_it(name: str) -> None:
    """Roles are updated first: for some seconds the code before works under the role of today.

    Mail aside, which may go out under the stack's own configuration set only: refused mail to the staff is tried again.
    """
    former, today = (allowed(resources[f"{name}Role"]) for resources in both())
    assert former <= today


def allowed(role: dict[str, Any]) -> set[tuple[str, str]]:
    """Each action with each resource that a role allows; conditions are left out."""
    statements = [
        statement for policy in role["Properties"]["Policies"] for statement in policy["PolicyDocument"]["Statement"]
    ]
    return {
        (action, json.dumps(resource, sort_keys=True))
        for statement in statements
        for action in statement["Action"]
        if action != "ses:SendEmail"
        for resource in (statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]])
    }

"""What docs/deploy.md names exists: parameters, outputs, verbs of make, and every command of AWS with its options."""

import json
import re
import shlex

import botocore.session
import pytest
from botocore import xform_name

from local.template import ROOT, events, functions, load_template

TEXT = (ROOT / "docs" / "deploy.md").read_text()
TEMPLATE = load_template()
BLOCKS = re.findall(r"^```\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
LINES = [line for block in BLOCKS for line in block.replace("\\\n", " ").splitlines()]
OF_AWS = [line for line in LINES if line.startswith("aws ") and not line.startswith("aws s3 ")]
SECONDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]


def test_every_parameter_and_output_that_it_names_exists() -> None:
    named = set(re.findall(r"`([A-Z][a-z]+(?:[A-Z][a-z]+)+)`", TEXT))
    known = {*TEMPLATE["Parameters"], *TEMPLATE["Outputs"]}
    assert named
    assert named <= known


def test_it_asks_for_answers_in_the_order_of_sam_and_for_no_other() -> None:
    asked = list(TEMPLATE["Parameters"])[:8]
    rows = re.findall(r"^\| `([A-Za-z]+)` \|", TEXT.partition("## 3.")[0], re.MULTILINE)
    assert rows == asked
    assert all("Default" in TEMPLATE["Parameters"][name] for name in list(TEMPLATE["Parameters"])[8:])


def test_it_says_how_often_sam_asks_about_authentication() -> None:
    routes = sum(len(events(function, "Api")) for function in functions(TEMPLATE).values())
    assert f"{SECONDS[routes - 2]} times `… has no authentication" in TEXT


@pytest.mark.parametrize("command", OF_AWS)
def test_aws_knows_each_command_and_its_options(command: str) -> None:
    _, service, operation, *rest = shlex.split(command)
    model = botocore.session.get_session().get_service_model(service)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(operations[operation]).input_shape
    known = {xform_name(member, "-") for member in shape.members} if shape else set()
    options = {each.removeprefix("--").removeprefix("no-") for each in rest if each.startswith("--")}
    assert options <= known
    assert {xform_name(member, "-") for member in (shape.required_members if shape else ())} <= options


def test_the_policy_for_a_key_of_ones_own_is_that_of_the_stacks_key() -> None:
    [told] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    statements = TEMPLATE["Resources"]["DataKey"]["Properties"]["KeyPolicy"]["Statement"]
    own = [each for each in statements if each["Sid"] != "TheAccountAdministersTheKey"]
    values = {"AWS::Region": "REGION", "AWS::AccountId": "ACCOUNT", "AWS::Partition": "aws"}
    values["AWS::URLSuffix"] = "amazonaws.com"
    assert json.loads(told) == resolved(own, values)


def resolved(node: object, values: dict[str, str]) -> object:
    """With what AWS would put in the place of its own names."""
    if isinstance(node, list):
        return [resolved(each, values) for each in node]
    if not isinstance(node, dict):
        return node
    if set(node) == {"Ref"}:
        return values[node["Ref"]]
    if set(node) == {"Fn::Sub"}:
        return re.sub(r"\$\{([A-Za-z:]+)\}", lambda found: values[found[1]], node["Fn::Sub"])
    return {name: resolved(value, values) for name, value in node.items()}


def test_the_limit_of_the_first_week_and_the_firewall_are_as_it_says() -> None:
    assert f"At most {TEMPLATE['Parameters']['MaxSendsPerDay']['Default']} mails a day" in TEXT
    rules = TEMPLATE["Resources"]["WebAcl"]["Properties"]["Rules"]
    assert f"each of {SECONDS[len(rules) - 2]} rules" in TEXT
    limit = rules[0]["Statement"]["RateBasedStatement"]["Limit"]
    assert f"at most {limit:,} requests in five minutes" in TEXT

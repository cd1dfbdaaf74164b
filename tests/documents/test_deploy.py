"""docs/deploy.md says what SAM asks, what the key's policy needs and what is usual, as the template has it."""

import json
import re

from local.template import events, functions, load_template
from tests.documents.markdown import document

TEXT = document("docs/deploy.md").text
TEMPLATE = load_template()
SECONDS = ["two", "three", "four", "five", "six", "seven", "eight", "nine"]


def test_it_asks_for_answers_in_the_order_of_sam_and_for_no_other() -> None:
    asked = list(TEMPLATE["Parameters"])[:8]
    rows = re.findall(r"^\| `([A-Za-z]+)` \|", TEXT.partition("## 3.")[0], re.MULTILINE)
    assert rows == asked
    assert all("Default" in TEMPLATE["Parameters"][name] for name in list(TEMPLATE["Parameters"])[8:])


def test_it_says_how_often_sam_asks_about_authentication() -> None:
    routes = sum(len(events(function, "Api")) for function in functions(TEMPLATE).values())
    assert f"{SECONDS[routes - 2]} times `… has no authentication" in TEXT


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


def test_what_it_costs_is_what_was_computed() -> None:
    computed = document("docs/cost.md").text
    [(thousand, month)] = re.findall(
        r"A thousand surveys cost \$([\d.]+),.*?costs\n\$([\d.]+) before", computed, re.DOTALL
    )
    said = (
        f"about ${round(float(month) * 2) / 2:.2f} a month and {float(thousand) * 100:.0f} cents for a thousand surveys"
    )
    assert said in TEXT
    assert said in document("README.md").text


def test_every_alarm_is_in_the_computed_cost() -> None:
    """If not: make bench ONLY=cost."""
    kinds = [resource["Type"] for resource in TEMPLATE["Resources"].values()]
    assert f"| {kinds.count('AWS::CloudWatch::Alarm')} alarms |" in document("docs/cost.md").text

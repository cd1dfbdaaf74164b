"""docs/architecture.md is the template's and the code's: functions and their rights, tables, states, layers."""

import re
import tomllib
from xml.etree import ElementTree

import pytest

from local.template import ROOT, events, functions, load_template
from shared.domain.message import STEPS, MessageState
from tests.documents.markdown import document, rows

TEMPLATE = load_template()
RESOURCES = TEMPLATE["Resources"]
FUNCTIONS = functions(TEMPLATE)
TABLES = {name: each["Properties"] for name, each in RESOURCES.items() if each["Type"] == "AWS::DynamoDB::Table"}
PAGE = document("docs/architecture.md")
IMAGES = ROOT / "docs" / "images"
TOLD = {re.findall(r"\[(\w+)\]", cells[0])[0]: cells for cells in rows(PAGE.section("Functions"))}
WRITES = {"PutItem", "UpdateItem", "DeleteItem"}
COUNTED = {"ten": 10, "eleven": 11, "fourteen": 14, "fifteen": 15, "sixteen": 16}


def folder(function: str) -> str:
    """Where its handler lies, the last folder alone."""
    return str(FUNCTIONS[function]["Handler"]).split(".")[-3]


def rights(function: str) -> tuple[set[str], set[str]]:
    """The tables that its role may write, and those that it may only read."""
    role = RESOURCES[FUNCTIONS[function]["Role"]["Fn::GetAtt"][0]]["Properties"]
    written, read = set(), set()
    for statement in (each for policy in role["Policies"] for each in policy["PolicyDocument"]["Statement"]):
        for table in re.findall(r"([A-Z][a-z]+)Table", str(statement["Resource"])):
            actions = {action.split(":")[1] for action in statement["Action"]}
            read.add(table)
            if actions & WRITES:
                written.add(table)
    return written, read - written


def names(cell: str) -> set[str]:
    return {word for word in cell.split(", ") if word}


def test_it_tells_of_every_function_and_of_none_that_is_not() -> None:
    assert set(TOLD) == {folder(function) for function in FUNCTIONS}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_write_and_read_what_is_told(function: str) -> None:
    _, _, writes, reads = TOLD[folder(function)]
    assert (names(writes), names(reads)) == rights(function)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_runs_when_it_is_told_to(function: str) -> None:
    said = TOLD[folder(function)][1]
    for event in events(FUNCTIONS[function], "ScheduleV2").values():
        assert in_words(event["ScheduleExpression"]) in said
    paths = {event["Path"] for event in events(FUNCTIONS[function], "Api").values()}
    assert not paths or "{proxy+}" in str(paths) or all(f"`{path}`" in said for path in paths)
    assert ("stream" in said) == bool(events(FUNCTIONS[function], "DynamoDB"))


def in_words(expression: str) -> str:
    """How the page says it: every 10 minutes, every hour, at 08:15 UTC."""
    if found := re.fullmatch(r"rate\(1 (\w+)\)", expression):
        return f"every {found[1]}"
    if found := re.fullmatch(r"rate\((\d+ \w+)\)", expression):
        return f"every {found[1]}"
    minute, hour = expression.removeprefix("cron(").split()[:2]
    return f"at {int(hour):02}:{int(minute):02} UTC"


def test_those_who_may_mail_are_named() -> None:
    may = {
        folder(name)
        for name in FUNCTIONS
        if "ses:SendEmail" in str(RESOURCES[FUNCTIONS[name]["Role"]["Fn::GetAtt"][0]])
    }
    [sentence] = re.findall(r"^Only (.+) may mail", PAGE.text, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", sentence)) == may


def test_it_counts_functions_and_tables_right() -> None:
    [(functions_said, tables_said)] = re.findall(r"(\w+) functions, (\w+) tables", PAGE.text)
    assert (COUNTED[functions_said], COUNTED[tables_said]) == (len(FUNCTIONS), len(TABLES))


def test_it_tells_of_every_table_its_key_and_its_indexes() -> None:
    told = {
        cells[0]: (re.findall(r"`(\w+)`", cells[1]), re.findall(r"`(\w+)`", cells[2]))
        for cells in rows(PAGE.section("Tables"))
    }
    assert told == {
        name.removesuffix("Table"): (
            [key["AttributeName"] for key in table["KeySchema"]],
            [index["IndexName"] for index in table.get("GlobalSecondaryIndexes", ())],
        )
        for name, table in TABLES.items()
    }


def test_what_goes_by_itself_is_told() -> None:
    expiring = {
        name: table["TimeToLiveSpecification"] for name, table in TABLES.items() if "TimeToLiveSpecification" in table
    }
    assert expiring == {"SessionsTable": {"AttributeName": "expires", "Enabled": True}}
    assert "removed by `expires`" in PAGE.section("Tables")


def test_the_picture_of_a_message_has_every_state_and_step_and_no_other() -> None:
    root = ElementTree.fromstring((IMAGES / "message.svg").read_text())
    drawn = [tuple(step.split()) for path in root.iter() for step in path.get("data-step", "").split(", ") if step]
    renewed = (MessageState.CLAIMED, MessageState.CLAIMED)  # told in words: a claim can be taken over
    assert set(drawn) == {(at, to) for at, after in STEPS.items() for to in after} - {renewed}
    assert len(drawn) == len(set(drawn))
    assert {state.value for state in MessageState} <= set(root.itertext())


def test_the_picture_of_the_layers_has_them_from_top_to_bottom() -> None:
    [contract] = [
        each
        for each in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
        if each["type"] == "layers"
    ]
    words = [
        (float(text.get("y", 0)), text.text)
        for text in ElementTree.fromstring((IMAGES / "layers.svg").read_text()).iter()
        if text.text
    ]
    heights = [{y for y, word in words if word == name} for layer in contract["layers"] for name in layer.split(" | ")]
    ranks = [number for number, layer in enumerate(contract["layers"]) for _ in layer.split(" | ")]
    assert all(len(found) == 1 for found in heights)
    placed = sorted(zip(ranks, (found.pop() for found in heights), strict=True))
    assert [y for _, y in placed] == sorted(y for _, y in placed)


def test_the_picture_of_the_way_shows_functions_with_tables_that_they_write() -> None:
    words = [text.text for text in ElementTree.fromstring((IMAGES / "journey.svg").read_text()).iter() if text.text]
    shown = [name.removesuffix("Function") for name in FUNCTIONS if name.removesuffix("Function") in words]
    assert len(shown) == 8
    tables = {name.removesuffix("Table") for name in TABLES}
    for name in shown:
        after = words[words.index(name) + 1 :]
        until = next((number for number, word in enumerate(after) if word in shown), len(after))
        assert set(after[:until]) & tables <= rights(f"{name}Function")[0]

"""Every block of every document is judged: its commands exist with all they are given, its data can be read.

A block without a language holds commands. What is new and known to nobody here fails.
"""

import ast
import io
import json
import re
import subprocess
from collections.abc import Callable
from zoneinfo import ZoneInfo

import pytest

from functions.import_visits.readers import recognise
from functions.import_visits.records import Context, Row
from local.template import ROOT
from tests.documents import commands
from tests.documents.commands import TAKEN_ON_TRUST, VERBS, NotUnderstood, judge
from tests.documents.markdown import DOCUMENTS, Block

BLOCKS = [block for document in DOCUMENTS for block in document.blocks()]
SHELL = [block for block in BLOCKS if not block.language]
QUOTED = sorted({quoted for document in DOCUMENTS for quoted in document.quoted()})
OF_A_PROGRAM = re.compile(r"(make|aws|sam|python3?) [a-z-]")
# Blocks whose whole text is somebody else's language: a request to a server that is not ours, and Windows'.
NOT_OURS = {"http", "powershell"}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_each_command_of_a_block_exists_with_all_it_is_given(block: Block) -> None:
    found = list(commands.commands(block.text))
    assert found
    for words in found:
        judge(words)
    commands.programs(block.text)


@pytest.mark.parametrize("quoted", [each for each in QUOTED if OF_A_PROGRAM.match(each) and "…" not in each])
def test_each_command_that_a_sentence_names_exists(quoted: str) -> None:
    for words in commands.commands(quoted):
        judge([word for word in words if not word.startswith("[")])


def test_every_verb_of_make_is_told_of_in_some_document() -> None:
    named = {
        verb for text in [*QUOTED, *(block.text for block in SHELL)] for verb in re.findall(r"make ([a-z-]+)", text)
    }
    assert VERBS - named == {"help"}  # `make` alone


@pytest.mark.parametrize(
    "wrong",
    [
        "make demmo",
        "make intake FIEL=visits.csv",
        "make patient NUMBER=1 ERASE=whim",
        "make up PARAMETERS='SurveyDelay=0'",
        "make up PARAMETERS='PassiveAlerts=sometimes'",
        "aws sesv2 create-identity --email-identity example.com",
        "aws sesv2 create-email-identity",
        "aws sesv2 put-account-details --mail-type SPAM --website-url https://x.example",
        "aws logs put-retention-policy --log-group-name x --retention-in-days ninety",
        "aws s3 cp visits.csv incoming/",
        "aws s3api wait object-exist --bucket x --key y",
        "aws s3api wait object-exists --bucket x",
        "sam deploy --guidance",
        "sam deploy --config-env trail",
        "sam deploy --parameter-overrides IntakeWriter=admin",
        "python -m local.nothing",
        "npm install",
        'X="$(aws cloudformation describe-stack --stack-name x)"',
    ],
)
def test_a_command_that_would_fail_is_noticed(wrong: str) -> None:
    first, *_ = commands.commands(wrong)
    with pytest.raises(NotUnderstood):
        judge(first)


def test_everything_taken_on_trust_is_in_use_and_has_its_reason() -> None:
    typed = (block.text for block in BLOCKS if block.language in ("", "cron"))
    first = {words[0] for text in typed for words in commands.commands(text)} | {
        quoted.split()[0] for quoted in QUOTED if quoted.strip()
    }
    assert set(TAKEN_ON_TRUST) <= first
    assert all(TAKEN_ON_TRUST.values())


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.language], ids=str)
def test_data_in_a_block_can_be_read_as_what_it_says_it_is(block: Block) -> None:
    readers: dict[str, Callable[[str], object]] = {
        "json": as_json,
        "csv": as_rows,
        "python": ast.parse,
        "diff": as_change,
        "cron": as_table_of_cron,
    }
    if block.language not in NOT_OURS:
        readers[block.language](block.text)


def as_json(text: str) -> None:
    """Dots stand for what was left out."""
    json.loads(re.sub(r",? ?… ?", "", text))


def as_change(text: str) -> None:
    """Its lines are those of the file that it changes, in that order."""
    [path] = re.findall(r"^--- a/(.+)$", text, re.MULTILINE)
    present = (ROOT / path).read_text().splitlines()
    for line in text.partition("@@")[2].splitlines()[1:]:
        if not line.startswith(("+", "@@")):
            present = present[present.index(line[1:]) + 1 :]


def as_table_of_cron(text: str) -> None:
    """A line runs as cron runs it: with next to nothing in the environment, and only up to the first bare %."""
    for line in text.splitlines():
        *times, command = line.split(maxsplit=5)
        assert all(re.fullmatch(r"\*|\d+", each) for each in times)
        command = re.sub(r"(?<!\\)%.*", "", command).replace("\\%", "%")
        for words in commands.commands(command):
            judge([words[0].rpartition("/")[2], *words[1:]])
        typed = f"echo {command.partition(' ')[2]}"
        done = subprocess.run(["sh", "-uc", typed], env={}, capture_output=True, text=True, check=True)
        assert re.search(r" s3://[\w-]+/incoming/\d{4}-\d\d-\d\d/ ", done.stdout), done.stdout


def as_rows(text: str) -> None:
    """The import's own reader knows the file and refuses none of its rows."""
    rows = list(recognise(io.BytesIO(text.encode()), Context(lambda _: ZoneInfo("America/New_York"))).rows)
    assert rows
    assert all(isinstance(row, Row) for row in rows), rows

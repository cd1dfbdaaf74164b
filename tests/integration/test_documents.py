"""What the documents tell a practice to type is typed, on the deployed stack: the AWS CLI's part has a stand-in."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local.stack import Stack
from local.template import ROOT
from tests.documents.commands import MAKEFILE
from tests.documents.markdown import document

Run = Callable[[str], str]
TYPED = {"intake", "patient", "sweep", "resume", "doctor", "dashboard"}
# Verbs that act on a stack and are not typed here, each with where it is.
TYPED_ELSEWHERE = {
    "archive": "tests/integration/test_backup.py",
    "unarchive": "tests/integration/test_backup.py",
    "restore": "tests/integration/test_backup.py",
    "self-test": "tests/integration/test_self_test.py",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the reader is, with `aws` to be found."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "bin").mkdir()
    aws = folder / "bin" / "aws"
    aws.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.documents.aws_cli "$@"\n')
    aws.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def run(stack: Stack, folder: Path) -> Run:
    """Types what a block says, with the reader's own names in it; what was shown."""

    def typed(script: str) -> str:
        bucket = stack.outputs["IntakeBucketName"]
        script = script.replace("s3://BUCKET", f"s3://{bucket}").replace("--bucket BUCKET", f"--bucket {bucket}")
        script = script.replace("STACK=name", "")
        script = re.sub(
            r"^make [^|\n]*", lambda line: as_make_does(line[0], stack.stack_name), script, flags=re.MULTILINE
        )
        environment = {
            "PATH": f"{folder / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "AWS_ENDPOINT_URL": stack.endpoint_url,
            "AWS_DEFAULT_REGION": stack.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "NO_PROXY": "127.0.0.1",
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return typed


def as_make_does(line: str, stack: str) -> str:
    """The command that make would run, named the stack as if it were in AWS; it would look after .venvs first."""
    words = [word for word in line.partition("#")[0].split() if not word.startswith("STACK=")]
    shown = subprocess.run(
        ["make", "-n", *words[1:], f"STACK={stack}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.replace("\\\n", " ")
    return "\n".join(line for line in shown.splitlines() if line.startswith(".venvs/dev/bin/python -m")).replace(
        ".venvs/dev/bin/", ""
    )


def blocks(name: str, holding: str) -> list[str]:
    """The blocks of commands of a document in which some words stand."""
    return [block.text for block in document(name).blocks() if not block.language and holding in block.text]


@pytest.fixture(scope="module")
def brought(run: Run) -> str:
    """The quick start's third step, word for word: the file of a test patient is taken in."""
    [script] = blocks("docs/deploy.md", "patients.csv")
    return run(script)


def test_the_quick_start_ends_with_an_accepted_file(brought: str) -> None:
    report = json.loads(brought)
    assert (report["status"], report["kind"], report["created"]) == ("accepted", "visits", 1)


def test_a_file_is_looked_at_and_imported_as_the_page_on_intake_says(run: Run, brought: str, folder: Path) -> None:
    for script in blocks("docs/intake.md", "visits.csv"):
        shown = run(script)
        assert "visits" in shown
    assert json.loads(shown)["status"] == "accepted"


def test_the_choices_of_the_page_on_intake_are_taken(run: Run, folder: Path) -> None:
    [choices] = [block.text for block in document("docs/intake.md").blocks() if block.language == "csv"]
    header, *rows = choices.splitlines()
    as_usual = [header, *(row.rpartition(",")[0] + "," for row in rows)]  # for the stack's other tests
    for lines in ([header, *rows], as_usual):
        (folder / "intake.csv").write_text("\n".join(lines) + "\n")
        assert f"{len(rows)} " in run("make intake FILE=intake.csv IMPORT=settings")


def test_the_bucket_is_found_as_the_page_on_connecting_says(run: Run, stack: Stack) -> None:
    [script] = [each for each in blocks("docs/connect.md", "BUCKET=$(") if "\n" not in each.strip()]
    assert run(f'{script}echo "$BUCKET"').strip() == stack.outputs["IntakeBucketName"]


def test_the_exports_own_user_is_found_as_the_page_on_connecting_says(run: Run, stack: Stack) -> None:
    [script] = blocks("docs/connect.md", "create-access-key")
    assert stack.outputs["IntakeUserName"] in run(script)


def test_an_access_log_can_be_made_as_the_page_on_deploying_says(run: Run) -> None:
    [script] = blocks("docs/deploy.md", "create-log-group")
    assert "careloop-access" in run(script)


@pytest.mark.usefixtures("brought")
def test_a_patients_data_is_handed_over_and_erased_as_the_readme_says(run: Run, folder: Path) -> None:
    [script] = blocks("README.md", "make patient")
    run(script.replace("12345", "TEST-1").replace("ERASE=patient", "ERASE=patient SURE=yes"))  # nobody sits here to ask
    told = json.loads((folder / "patient.json").read_text())
    assert told["patient"]["email"] == "you@example.org"


@pytest.mark.parametrize("verb", ["sweep", "resume", "dashboard"])
def test_what_helps_when_something_goes_wrong_runs(run: Run, verb: str) -> None:
    assert run(f"make {verb} STACK=name")


def test_the_doctor_looks_at_a_stack_that_is_named(run: Run) -> None:
    assert "careloop" in run("make doctor STACK=careloop || test $? -le 2")  # 3: nothing to look at


def test_every_verb_that_acts_on_a_stack_is_typed_somewhere() -> None:
    acting = set(re.findall(r"^([a-z-]+):.*\n(?:\t.*\n)*?\t.*\$\((?:STACK|FROM|TO)\)", MAKEFILE, re.MULTILINE))
    assert acting == TYPED | set(TYPED_ELSEWHERE)
    assert all(f"{verb}" in (ROOT / path).read_text() for verb, path in TYPED_ELSEWHERE.items())

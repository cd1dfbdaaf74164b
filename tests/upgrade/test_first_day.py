"""The first day as docs/deploy.md tells it, and a second environment beside it that touches nothing of the first."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.stack import PRESET, Stack, StackFailed, deploy, down, leave_out_what_the_emulator_cannot_ask, up
from local.template import ROOT, events, functions, load_template
from tests.integration.practice import ADMIN, Practice, at, evaluation, eventually, someone

DOCUMENT = (ROOT / "docs" / "deploy.md").read_text()
ANY_HOUR = {"SendFrom": "00:00", "SendUntil": "24:00", "SendDays": "Mon-Sun"}  # the test may run at night


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, Stack]]:
    state = tmp_path_factory.mktemp("beside")
    try:
        first = up(state, ANY_HOUR)
        own = {"PublicBaseUrl": first.public_url, "DashboardBaseUrl": first.dashboard_url}
        second = deploy(first.endpoint_url, "careloop-trial", {**PRESET, **own})
        yield first, replace(second, staff=[])
    finally:
        down(state)
        shutil.rmtree(state)


def test_two_stacks_share_nothing_that_has_a_name(stacks):
    def names(stack: Stack) -> set[str]:
        parts = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
        within = {"AWS::ApiGateway::Stage", "AWS::Cognito::UserPoolGroup"}  # within their API, within their pool
        return {each["PhysicalResourceId"] for each in parts if each["ResourceType"] not in within}

    first, second = stacks
    assert len(names(first)) > 100
    assert names(first) & names(second) == set()


def test_what_happens_in_the_trial_stays_there(stacks):
    first, second = map(Practice, stacks)
    somebody = someone("Tess")
    second.export([somebody], [evaluation(somebody, at("2026-03-02"))])
    assert first.send(at("2026-03-02", "16:00"))["due"] == 0
    assert second.send(at("2026-03-02", "16:00"))["sent"] == 1
    assert [len(practice.items("SurveysTable")) for practice in (first, second)] == [0, 1]


def test_a_name_of_ones_own_without_a_certificate_is_refused_in_words(stacks):
    first, _ = stacks
    own = {"PublicBaseUrl": first.public_url, "DashboardBaseUrl": first.dashboard_url}
    with pytest.raises(StackFailed, match="A domain name of your own needs CertificateArn"):
        deploy(first.endpoint_url, "careloop-named", {**PRESET, **own, "PatientDomainName": "care.example.com"})


def test_each_counts_in_a_namespace_of_its_own(stacks):
    def namespace(stack: Stack) -> str:
        told = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["SendSurveyFunction"])
        return str(told["Environment"]["Variables"]["METRICS_NAMESPACE"])

    assert [namespace(stack) for stack in stacks] == ["Careloop/careloop", "Careloop/careloop-trial"]


def test_the_patient_of_the_documents_gets_a_survey_whose_answer_alerts(stacks, tmp_path):
    practice = Practice(stacks[0])
    [command] = re.findall(r"^python3 - (\S+) <<'END'\n(.*?)^END$", DOCUMENT, re.MULTILINE | re.DOTALL)
    subprocess.run([sys.executable, "-c", command[1], command[0]], cwd=tmp_path, check=True)
    for name in ("patients.csv", "visits.csv"):
        assert practice.upload((tmp_path / name).read_text(), name)["status"] == "accepted"
    assert practice.send(datetime.now(UTC))["sent"] == 1
    [mail] = practice.mails(command[0])
    assert practice.answer(mail, 2, "A long wait").status == 200
    eventually(lambda: practice.mails(ADMIN), "an alert")


def test_sam_deploys_with_the_answers_of_the_documents_and_keeps_them(stacks, tmp_path):
    """`sam deploy --guided` as it stands there, on what `sam build` leaves, but with next to no code in it."""
    answers = {name: PRESET.get(name, "") for name in list(load_template()["Parameters"])[:8]}
    rest = len(load_template()["Parameters"]) - len(answers)
    routes = sum(len(events(function, "Api")) for function in functions(load_template()).values())
    typed = ["careloop-guided", "", *answers.values(), *[""] * rest, "n", "", "", *["y"] * routes, "", "", ""]
    built(tmp_path, stacks[0].endpoint_url)
    said = sam(tmp_path, stacks[0].endpoint_url, "deploy", "--guided", typed=typed)
    assert "Successfully created/updated stack - careloop-guided" in said
    kept = (tmp_path / "samconfig.toml").read_text()
    assert all(f'{name}=\\"{value}\\"' in kept for name, value in answers.items())
    assert "No changes to deploy" in sam(tmp_path, stacks[0].endpoint_url, "deploy", "--no-confirm-changeset")


def built(folder: Path, endpoint: str) -> None:
    """What `sam build` leaves, without the parts that the emulator does not know."""
    template = load_template()
    leave_out_what_the_emulator_cannot_ask(template, endpoint)
    template["Globals"]["Function"]["CodeUri"] = "../../code"
    for function in (each for each in template["Resources"].values() if each["Type"] == "AWS::Serverless::Function"):
        function.pop("Metadata")
    (folder / "code").mkdir()
    (folder / "code" / "handler.py").write_text("")
    (folder / ".aws-sam" / "build").mkdir(parents=True)
    (folder / ".aws-sam" / "build" / "template.yaml").write_text(json.dumps(template))
    shutil.copy(ROOT / "samconfig.toml", folder)


def sam(folder: Path, endpoint: str, *command: str, typed: list[str] | None = None) -> str:
    """Run the SAM CLI against the emulator; what it printed."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "NO_PROXY": "127.0.0.1",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [str(ROOT / ".venvs" / "sam" / "bin" / "sam"), *command],
        cwd=folder,
        env=environment,
        input="".join(f"{line}\n" for line in typed or ()),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr

"""What runs before a commit and in the workflows is what `make` and .ci/run run, and releases are told of."""

import re
from typing import Any

import pytest
import yaml

from infra.build import ROOT, release

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def steps(workflow: str) -> list[dict[str, Any]]:
    loaded = yaml.safe_load((ROOT / ".github" / "workflows" / workflow).read_text("utf-8"))
    return [step for job in loaded["jobs"].values() for step in job["steps"]]


def test_what_runs_before_a_commit_is_part_of_make_check() -> None:
    check = MAKEFILE.partition("\ncheck:")[2].partition("\n\n")[0].replace("$(DEV)", ".venvs/dev/bin/python")
    commands = [line.strip() for line in check.splitlines()[1:]]
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))["repos"]
    assert [repository["repo"] for repository in hooks] == ["local"]
    entries = [hook["entry"] for hook in hooks[0]["hooks"]]
    assert len(entries) >= 5
    assert [entry for entry in entries if entry not in commands] == []


def test_the_workflow_runs_what_a_change_must_pass_with_the_oldest_and_the_newest_python() -> None:
    runs = [step for step in steps("ci.yml") if "run" in step]
    assert [step["run"] for step in runs if "apt-get" not in step["run"]] == [".ci/run"]
    assert "matrix:\n        python: ['3.11', '3.13']" in (ROOT / ".github/workflows/ci.yml").read_text().replace(
        '"', "'"
    )
    assert runs[-1]["env"] == {"PYTHON": "python${{ matrix.python }}", "EVERY_JUDGE": "yes"}


def test_a_workflow_asks_every_week_what_is_known_against_the_pins() -> None:
    assert "make audit" in [step.get("run") for step in steps("audit.yml")]
    assert re.search(r"^  schedule:\n    - cron: \"\d+ \d+ \* \* \d\"$", WORKFLOWS[0].read_text(), re.MULTILINE)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_workflows_may_only_read_and_use_actions_that_nobody_can_move(workflow: Any) -> None:
    text = workflow.read_text("utf-8")
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    used = re.findall(r"uses: (.*)", text)
    assert used
    assert [
        action for action in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)
    ] == []


def test_the_changelog_begins_with_this_release() -> None:
    releases = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert next(name for name in releases if name != "Unreleased") == release()

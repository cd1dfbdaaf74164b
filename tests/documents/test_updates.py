"""An update and a way back as the documents type them, in a copy whose answers git knows."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.documents.markdown import document

Typed = Callable[[str, str], str]
ANSWERS = '[default.deploy.parameters]\nparameter_overrides = "PracticeName=\\"Larkmere\\""\n'


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    """Types a script in a folder; what was shown. Git knows who types, and nothing else of this machine."""
    who = {f"GIT_{role}_{what}": "us@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    apart = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "PATH": os.environ["PATH"]}

    def run(folder: str, script: str) -> str:
        done = subprocess.run(
            ["sh", "-c", script], cwd=tmp_path / folder, env=apart | who, capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    return run


@pytest.fixture
def copy(typed: Typed, tmp_path: Path) -> Path:
    """A practice's copy with its answers, and a release that changes the same lines."""
    release, copy = tmp_path / "release", tmp_path / "copy"
    release.mkdir()
    (release / "samconfig.toml").write_text("[default.deploy.parameters]\n\n[trial]\n")
    (release / "VERSION").write_text("1")
    typed("release", "git init -q -b main && git add . && git commit -q -m one")
    typed(".", "git clone -q release copy")
    (copy / "samconfig.toml").write_text(f"{ANSWERS}\n[trial]\n")
    (release / "samconfig.toml").write_text('[default.deploy.parameters]\ntags = "new"\n\n[trial]\n\n[restored]\n')
    (release / "VERSION").write_text("2")
    typed("release", "git commit -q -a -m two")
    return copy


def test_an_update_comes_in_beside_the_answers(typed: Typed, copy: Path) -> None:
    shown = typed("copy", of_git("docs/deploy.md", "git pull"))
    assert (copy / "VERSION").read_text() == "2", shown
    kept = (copy / "samconfig.toml").read_text()
    assert ANSWERS in kept
    assert "[restored]" in kept


def test_a_second_update_needs_no_new_answers(typed: Typed, copy: Path, tmp_path: Path) -> None:
    typed("copy", of_git("docs/deploy.md", "git pull"))
    (tmp_path / "release" / "VERSION").write_text("3")
    typed("release", "git commit -q -a -m three")
    shown = typed("copy", of_git("docs/deploy.md", "git pull"))
    assert (copy / "VERSION").read_text() == "3", shown


def test_the_way_back_has_the_answers_too(typed: Typed, copy: Path) -> None:
    typed("copy", of_git("docs/deploy.md", "git pull"))
    (copy / "samconfig.toml").write_text((copy / "samconfig.toml").read_text().replace("Larkmere", "Old Mill"))
    record, show, back = of_git("docs/runbook.md", "git checkout").splitlines()
    listed = typed("copy", f"{record} -q; {show}").splitlines()
    assert [line.partition(" ")[2] for line in listed][:1] == ["Our answers"]
    before_the_update = listed[2].split()[0]
    shown = typed("copy", back.replace("COMMIT", before_the_update))
    assert (copy / "VERSION").read_text() == "1", shown
    assert ANSWERS in (copy / "samconfig.toml").read_text()


def of_git(name: str, holding: str) -> str:
    """What the block of a document types to git."""
    [script] = [block.text for block in document(name).blocks() if not block.language and holding in block.text]
    return "\n".join(line for line in script.splitlines() if line.startswith("git "))

"""Takes one condition, check or escape away at a time, in a copy, and says which tests notice.

`python -m tests.faults.mutations` goes through them all, `… 3 17` through these; it is no part of `make test`. A
survivor is a guard that no test holds: it needs a test, or is not needed itself.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LIST = Path(__file__).with_suffix(".toml")
COPIED = ("functions", "shared", "tests", "local", "infra", "bench", "docs", "pyproject.toml", "Makefile", "README.md")
LIMIT = 600  # seconds that the tests of one guard may take


def main(chosen: list[str]) -> int:
    """Go through the guards; how many nobody missed."""
    listed = tomllib.loads(LIST.read_text("utf-8"))
    guards, groups = listed["guard"], listed["tests"]
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            _copy(ROOT / name, copy / name)
        for number in [int(number) for number in chosen] or range(1, len(guards) + 1):
            guard = guards[number - 1]
            tests = [file for name in guard["tests"] for file in groups.get(name, [name])]
            missed_by = _without(copy, guard, tests)
            survivors += not missed_by
            about = " ".join(guard["old"].split())[:60]
            sys.stdout.write(f"{number:3} {guard['file']}: {about}: {missed_by or 'SURVIVES'}\n")
            sys.stdout.flush()
    return survivors


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _without(copy: Path, guard: dict[str, Any], tests: list[str]) -> str:
    """The first test that misses the guard, or nothing."""
    file = copy / guard["file"]
    text = file.read_text("utf-8")
    if text.count(guard["old"]) != 1:
        raise LookupError(f"{guard['file']} has {guard['old']!r} {text.count(guard['old'])} times")
    file.write_text(text.replace(guard["old"], guard["new"]), "utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *dict.fromkeys(tests)]
    try:
        ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return "a run without end"
    finally:
        file.write_text(text, "utf-8")
    told = [line.split()[1] for line in ended.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if ended.returncode and not any("::" in name for name in told):
        raise RuntimeError(f"the tests cannot be run: {ended.stdout[-500:]}")
    return told[0] if told else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

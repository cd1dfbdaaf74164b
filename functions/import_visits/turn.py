"""Two invocations never work on one file at once: S3 may tell of an upload twice, and a sweep looks at all of them."""

import uuid
from collections.abc import Callable
from datetime import datetime, timedelta

from shared.storage import settings

LOCK_SECONDS, RENEW_SECONDS, POLL_SECONDS = 60, 15, 5


class TurnLost(Exception):
    """Nothing was heard of this import for a minute, and another invocation goes on with the file."""


class Turn:
    """The right to work on one file; whoever is killed loses it within a minute."""

    def __init__(self, name: str, now: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
        self._run, self._holder = f"import#{name}", uuid.uuid4().hex
        self._now, self._sleep = now, sleep
        self._renewed = now()

    def take(self) -> bool:
        """Take the turn; False if another invocation has it, or had it until just now and has done the work.

        Waits, for a minute at most, to see whether the other one is alive.
        """
        if self._acquire():
            return True
        held_until = settings.held_until(self._run)
        while held_until and self._now() <= held_until + timedelta(seconds=1):
            self._sleep(POLL_SECONDS)
            if settings.held_until(self._run) != held_until:
                return False
        return held_until is not None and self._acquire()

    def keep(self) -> None:
        """Keep the turn for another minute; to be called every few seconds."""
        if self._now() - self._renewed >= timedelta(seconds=RENEW_SECONDS):
            self.prove()

    def prove(self) -> None:
        """Make sure of the turn before something that only one may do: it may have run out while nobody looked."""
        if not self._acquire():
            raise TurnLost

    def give_back(self) -> None:
        """Let others have it; nothing if it was lost."""
        settings.end_run(self._run, self._holder)

    def _acquire(self) -> bool:
        self._renewed = self._now()
        until = self._renewed + timedelta(seconds=LOCK_SECONDS)
        return settings.acquire_run(self._run, self._holder, self._renewed, until)

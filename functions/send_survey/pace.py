"""Keeping under the provider's limits: so many mails a second, so many a day."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

SHARE = 0.8  # of the account's rate and daily quota; the rest is left to alerts and to the practice's other mail


@dataclass(frozen=True, slots=True)
class Limits:
    """What this run may send: mails a second, and mails in all (None: no limit)."""

    rate: float
    allowance: int | None


def account_limits(client: Any) -> Limits | None:
    """The limits of the SES account as they stand now; None while it may not send at all."""
    account = client.get_account()
    if not account.get("SendingEnabled", True) or account.get("EnforcementStatus") == "SHUTDOWN":
        return None
    quota = account["SendQuota"]
    daily = quota["Max24HourSend"]
    left = None if daily < 0 else max(0, int(SHARE * daily - quota["SentLast24Hours"]))
    return Limits(SHARE * quota["MaxSendRate"], left)


class Pace:
    """Evenly spaced turns for any number of threads: never more than `rate` in a second."""

    def __init__(self, rate: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._interval = 1 / rate
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            turn = max(self._next, self._monotonic())
            self._next = turn + self._interval
        if (delay := turn - self._monotonic()) > 0:
            self._sleep(delay)

"""Keeping under the provider's limits: so many mails a second, so many a day."""

import heapq
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from shared.mail.mailer import MailThrottled

DAY_SHARE = 0.8  # of the day's quota; alerts and the practice's other mail need the rest, and cannot wait for it
RATE_SHARE = 0.98  # of the rate; an alert that meets a full second is sent again in the next
CATCH_UP = 0.1  # seconds' worth of turns that nobody took in time and that may still be taken
FASTER = 0.75  # of the fastest way there and back that was seen: none will be faster than that
SLOWER, RECOVERY, SLOWEST = 0.8, 0.05, 0.25  # of the rate: after a refusal; regained each second; never less than this
PATIENCE, REFUSALS = 3.0, 5  # nothing got through for so many seconds, and so many times: others need it all


@dataclass(frozen=True, slots=True)
class Limits:
    """What may be sent: mails in any one second, and mails in all (None: no limit), and what the latter comes from."""

    rate: float
    allowance: int | None
    of: str = "quota"  # the reason for which mails wait once the allowance is used up

    def share(self, number: int, senders: int) -> "Limits":
        """One sender's part: whole mails a second, so that all parts together never exceed the limit."""
        rate, left = int(self.rate), self.allowance
        return Limits(_part(rate, number, senders), None if left is None else _part(left, number, senders), self.of)

    def at_most(self, mails: int, of: str) -> "Limits":
        """No more mails than these in all, for this reason; the same if there were no more anyway."""
        return self if self.allowance is not None and self.allowance <= mails else Limits(self.rate, mails, of)


def _part(whole: int, number: int, parts: int) -> int:
    return whole // parts + (number < whole % parts)


def account_limits(client: Any) -> Limits | None:
    """The limits of the SES account as they stand now; None while it may not send at all."""
    account = client.get_account()
    if not account.get("SendingEnabled", True) or account.get("EnforcementStatus") == "SHUTDOWN":
        return None
    quota = account["SendQuota"]
    daily = quota["Max24HourSend"]
    left = None if daily < 0 else max(0, int(DAY_SHARE * daily - quota["SentLast24Hours"]))
    return Limits(quota["MaxSendRate"], left)


class Pace:
    """Evenly spaced turns for any number of threads, and never more than `limit` mails in any one second.

    Turns come a little slower than the limit, which would do if all mails took equally long to arrive. Since they do
    not, each mail takes one of `limit` places and keeps it until a second after it can have arrived at the latest: when
    its answer came, less the fastest way there and back. When the provider refuses mails as too many, turns slow down
    and regain their rate bit by bit.
    """

    def __init__(self, limit: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._places = max(1, int(limit))
        self._full_rate = RATE_SHARE * max(limit, 1)
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next = monotonic()
        self._under_way = 0
        self._answered: list[float] = []  # when, of the mails that still have a place
        self._answers = 0
        self._fastest = float("inf")
        self._slowed_to, self._slowed_at = self._full_rate, self._next
        self._refusals, self._refused_since = 0, self._next
        self._leads, self._turns, self._asked_at = 0.0, 0, self._next

    def wait(self) -> None:
        """Return when it is this caller's turn."""
        with self._lock:
            now = self._monotonic()
            turn = max(self._next, now - CATCH_UP)
            self._next = turn + 1 / self._rate(now)
            self._leads += turn - now
            self._turns += 1
        if turn > now:
            self._sleep(turn - now)

    def readiness(self) -> tuple[float, float]:
        """How many seconds before their turn callers came, and how many a second, since this was last asked."""
        with self._lock:
            now, turns = self._monotonic(), max(1, self._turns)
            lead, throughput = self._leads / turns, turns / max(0.001, now - self._asked_at)
            self._leads, self._turns, self._asked_at = 0.0, 0, now
        return lead, throughput

    @contextmanager
    def place(self) -> Iterator[None]:
        """Hold the call to the provider within the limit, and learn from its answer; normally there is no wait."""
        while (delay := self._take_place()) > 0:
            self._sleep(delay)
        began = self._monotonic()
        try:
            yield
        except MailThrottled:
            self._slow_down()
            raise
        else:
            self._got_through(began)
        finally:
            self._leave_place()

    @property
    def is_refused(self) -> bool:
        """Whether nothing gets through any more, however slowly it comes."""
        return self._refusals >= REFUSALS and self._monotonic() - self._refused_since >= PATIENCE

    def _take_place(self) -> float:
        """Take a place; else the seconds after which one may be free."""
        with self._lock:
            # The first mails open connections, so theirs is no ordinary way; and a faster one may come.
            fastest = FASTER * self._fastest if self._answers > self._places else 0.0
            now = self._monotonic()
            while self._answered and self._answered[0] - fastest + 1 <= now:
                heapq.heappop(self._answered)
            if self._under_way + len(self._answered) < self._places:
                self._under_way += 1
                return 0.0
            return self._answered[0] - fastest + 1 - now if self._answered else 1 / self._full_rate

    def _leave_place(self) -> None:
        with self._lock:
            self._under_way -= 1
            heapq.heappush(self._answered, self._monotonic())

    def _got_through(self, began: float) -> None:
        with self._lock:
            self._answers += 1
            self._refusals = 0
            self._fastest = min(self._fastest, self._monotonic() - began)

    def _slow_down(self) -> None:
        with self._lock:
            now = self._monotonic()
            if not self._refusals:
                self._refused_since = now
            self._refusals += 1
            if now - self._slowed_at >= 1:  # what was under way together is refused together, and counts once
                self._slowed_to = max(SLOWEST * self._full_rate, SLOWER * self._rate(now))
                self._slowed_at = now

    def _rate(self, now: float) -> float:
        regained = RECOVERY * self._full_rate * (now - self._slowed_at)
        return min(self._full_rate, self._slowed_to + regained)

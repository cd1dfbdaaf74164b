"""Several senders side by side, for more mail than one can send: each has its part of shards, rate and quota.

The first one, which the schedule starts, starts the others. It alone asks for the account's limits and tells each its
part, so that all parts together are the limit, whatever each of them would have read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from functions.send_survey.pace import Limits
from shared.config import setting
from shared.domain.message import SHARDS
from shared.observability import count, warn

RUN = "send_survey"


@dataclass(frozen=True, slots=True)
class Part:
    """What one sender of a run has to do."""

    number: int
    senders: int
    limits: Limits | None  # None: nothing may be sent

    @property
    def shards(self) -> tuple[str, ...]:
        """Each shard is exactly one sender's, however many there are."""
        return SHARDS[self.number :: self.senders]


def run_name(number: int) -> str:
    """What a sender's lock is called."""
    return f"{RUN}#{number}" if number else RUN


def number_of(event: dict[str, Any]) -> int:
    """Which sender the event is for: the schedule's is for the first."""
    return int(event.get("sender", 0))


def told(event: dict[str, Any]) -> Part:
    """The part that the first sender's event tells another one."""
    limits = Limits(event["rate"], event["allowance"], event.get("of", "quota"))  # a release before told no reason
    return Part(number_of(event), event["senders"], limits)


def share_out(event: dict[str, Any], limits: Limits | None, start: Callable[[dict[str, Any]], None]) -> Part:
    """Start the other senders with their parts, and return the first one's.

    Nobody is started whose part would be nothing. Who cannot be started raises an alarm; what is due there stays due.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    senders = _wanted(limits)
    if limits is None or senders == 1:
        return Part(0, 1, limits)
    for number in range(1, senders):
        part = limits.share(number, senders)
        try:
            start(
                {
                    "time": event["time"],
                    "sender": number,
                    "senders": senders,
                    "rate": part.rate,
                    "allowance": part.allowance,
                    "of": part.of,
                }
            )
        except (BotoCoreError, ClientError) as error:
            count("SendersNotStarted")
            warn("sender_not_started", run=run_name(number), error=type(error).__name__)
    return Part(0, senders, limits.share(0, senders))


def _wanted(limits: Limits | None) -> int:
    wanted = int(setting("SENDERS"))
    if limits is None:
        return 1
    most = int(limits.rate) if limits.allowance is None else min(int(limits.rate), limits.allowance)
    return max(1, min(wanted, most))

"""Stopping in time: how the practice's mail fares, looked at when a run starts and once a minute within it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from functions.send_survey.run import Tally
from shared.domain.sending_health import Refusal, SendingState, is_silent, why_stop
from shared.observability import count, warn
from shared.storage import sending_health
from shared.storage.settings import practice

PAUSED = "paused"
LOOK_EVERY = timedelta(minutes=1)
FEWEST_AT_ONCE = 10  # mails counted with one write; more where more than these leave in a second


class Watch:
    """What one run knows of it, for one thread.

    Mails are counted before they leave, a second's at once, and what did not leave is taken back when the run ends: of
    a run that is killed no mail stays uncounted, and a second's too many may be counted.
    """

    def __init__(self, now: Callable[[], datetime], rate: float = 1) -> None:
        self._now = now
        self._at_once = max(FEWEST_AT_ONCE, int(rate))
        self._state = SendingState()
        self._reason = ""
        self._looked_at = now()
        self._to_leave = 0  # counted, and not handed over by now
        self._counted = 0  # by this run, on the UTC day on which it last counted
        self._counted_at = now()
        self._counted_before = 0  # by this run, on the days before that
        self._expects_news = False
        self._silent_since: datetime | None = None  # if it was this run that began to expect news

    def begin(self) -> None:
        """Look for the first time, and say so while sending is stopped or no news of earlier mail has come in."""
        self._look()
        if is_silent(self._state.silent_since, self._now()):
            count("NoDeliveryEvents")
            warn("no_delivery_events")

    def why_stop(self, remaining: int) -> str:
        """Asked before each mail: the reason for which nothing more may leave, or nothing, and then it is counted.

        `remaining` is how many may leave at most, this one among them. News is expected before the first one leaves, so
        that no event can come before its expectation.
        """
        if not self._reason and self._now() - self._looked_at >= LOOK_EVERY:
            self._look()
        if self._reason:
            return self._reason
        if not self._expects_news:
            moment = self._now()
            self._silent_since = moment if sending_health.expect_news(moment) else None
            self._expects_news = True
        if not self._to_leave:
            self._to_leave = min(self._at_once, remaining)
            self._count(self._to_leave)
        self._to_leave -= 1
        return ""

    def end(self, tally: Tally, *, may_send: bool) -> None:
        """Take back what did not leave, and note whether SES took mail; `may_send` is what it says of the account."""
        surplus = self._counted_before + self._counted - tally.may_have_left
        sending_health.count(self._counted_at, sent=-min(surplus, self._counted))
        if self._silent_since and not tally.outcomes["sent"] and not tally.outcomes["unknown"]:
            sending_health.expect_none(self._silent_since)
        known = self._state.refused.reason if self._state.refused else None
        if not may_send:
            sending_health.note_refusal(Refusal.ACCOUNT_PAUSED, self._now())
        elif tally.deferred["sending_stopped"]:
            sending_health.note_refusal(Refusal.SENDER_REFUSED, self._now())
        elif known is Refusal.ACCOUNT_PAUSED or (known and tally.outcomes["sent"]):
            sending_health.forget_refusal(known)

    def _look(self) -> None:
        self._looked_at = self._now()
        self._state = sending_health.state()
        if not self._state.stopped:
            fates = sending_health.recent_fates(self._looked_at, self._state.resumed)
            if reason := why_stop(fates):
                sending_health.stop(reason, fates, self._state.resumed, self._looked_at)
                self._state = sending_health.state()  # another run may have stopped it, or a person let it go on
        self._reason = _reason(self._state)
        if self._reason:
            count("SendingStopped")
            warn("sending_stopped", reason=self._reason)

    def _count(self, mails: int) -> None:
        moment = self._now()
        sending_health.count(moment, sent=mails)
        if moment.astimezone(UTC).date() != self._counted_at.astimezone(UTC).date():
            self._counted_before, self._counted = self._counted_before + self._counted, 0
        self._counted_at = moment
        self._counted += mails


def _reason(state: SendingState) -> str:
    """Why nothing may leave: somebody switched sending off, or it stopped itself."""
    if state.paused or practice().sending_paused:
        return PAUSED
    return state.stopped.reason if state.stopped else ""

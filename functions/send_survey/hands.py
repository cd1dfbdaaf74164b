"""How many messages to have in hand at once: as many as rate and latency call for, and no more than pay."""

import math

from functions.send_survey.pace import Pace

MAX_THREADS = 192  # as many as the clients keep connections
FIRST_GUESS = 0.15  # seconds that one message takes: claim, call and the writes around it
FEW = 8  # to begin with, and the fewest from which anything can be told
READY = 0.06  # seconds before its turn that a message should have been claimed
PAYS = 1.1  # times as many mails a second are worth more hands
ROUNDS_OF_REST = 10


class Hands:
    """The number, found by how early messages are ready for their turns; for one thread.

    Too few, and turns go by with nobody there. Too many, and claimed mail waits while its patient may change; and where
    the processor is what is short, more would only have more to lose when a run is killed, so what does not pay is
    taken back.
    """

    def __init__(self, pace: Pace, rate: float, most: int) -> None:
        self._pace, self._rate = pace, rate
        self._most = max(1, min(most, int(rate)))
        self.number = min(self._most, FEW, math.ceil(rate * FIRST_GUESS))
        self._settled = 0
        self._former: tuple[int, float] | None = None  # number and mails a second before the last growth
        self._rest = 0

    def settle(self, messages: int) -> None:
        """Note that so many are done, and look again once a round of them is."""
        self._settled += messages
        if self._settled < max(FEW, self.number):
            return
        self._settled = 0
        lead, throughput = self._pace.readiness()
        if self._former and throughput < PAYS * self._former[1]:
            self.number, self._rest = self._former[0], ROUNDS_OF_REST
            self._former = None
            return
        self._former = None
        wanted = round(self.number + self._rate * (READY - lead))
        if wanted <= self.number:
            self.number = max(1, wanted)
        elif self._rest:
            self._rest -= 1
        elif self.number < self._most:
            self._former = (self.number, throughput)
            self.number = min(wanted, 2 * self.number, self._most)

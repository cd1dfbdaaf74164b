"""Runs of the real sender on simulated time: its run loop, its delivery and its pace, between stand-ins with latency.

The tables always agree and only take their time; the provider takes mails as Amazon SES does: so many in any second,
those beyond refused, some answers slow, a few never coming.
"""

import random
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from unittest.mock import patch

from bench.virtual_time import Workers, World
from functions.send_survey import delivery, run
from functions.send_survey.pace import Limits, Pace
from functions.send_survey.run import Tally, send_due
from functions.send_survey.senders import Part
from shared.config import parameters
from shared.domain.eligibility import Situation
from shared.domain.message import SHARDS, Message, MessageKind, shard_of
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.mail.mailer import Mail, MailOutcomeUnknown, MailThrottled
from shared.storage import addresses, messages, outcomes, patients, settings, surveys
from shared.storage.messages import DueMessage

MONDAY_NOON = datetime(2026, 3, 2, 17, tzinfo=UTC)
TIMEOUT = 20.0
WARM_UP = 2.0  # until a sender has found out how many messages to have in hand

Rate = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class Latency:
    """So many seconds at least, so many more on average with a long tail, and now and then a stall."""

    least: float
    more: float
    stall: float = 0.0

    def draw(self, dice: random.Random) -> float:
        """One of them."""
        stalled = self.stall if dice.random() < 0.001 else 0.0
        return self.least + dice.lognormvariate(0, 0.8) * self.more / 1.377 + stalled  # 1.377: the mean of that draw


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the machines between us and the mail do to it."""

    table: Latency = Latency(0.003, 0.003, 0.2)
    transaction: Latency = Latency(0.008, 0.006, 0.3)
    there: Latency = Latency(0.004, 0.006, 0.5)
    back: Latency = Latency(0.035, 0.020, 1.0)
    connecting: Latency = Latency(0.030, 0.030)
    lost: float = 0.00005  # of the answers
    others: Rate = lambda _: 0.0  # mails a second that somebody else sends from the same account, by the time


@dataclass
class Provider:
    """Takes `limit` mails in any one second and refuses the rest."""

    world: World
    limit: int
    conditions: Conditions
    dice: random.Random
    arrivals: list[float] = field(default_factory=list)
    by_sender: dict[int, list[float]] = field(default_factory=dict)
    refused: list[float] = field(default_factory=list)
    received: Counter[str] = field(default_factory=Counter)
    idle: Counter[int] = field(default_factory=Counter)  # open connections, by sender
    _taken: deque[float] = field(default_factory=deque)
    _others: float = 0.0
    _seen: float = 0.0

    def receive(self, mail: Mail, sender: int) -> str:
        """Take the mail, or refuse it as one too many, or take it and never answer."""
        world, conditions = self.world, self.conditions
        if not self.idle[sender]:
            world.sleep(conditions.connecting.draw(self.dice))
            self.idle[sender] += 1
        self.idle[sender] -= 1
        world.sleep(conditions.there.draw(self.dice))
        now = world.monotonic()
        self.arrivals.append(now)
        self.by_sender.setdefault(sender, []).append(now)
        is_taken = self._take(now)
        if self.dice.random() < conditions.lost:
            self.received[mail.to[0]] += is_taken
            world.sleep(TIMEOUT)
            raise MailOutcomeUnknown
        world.sleep(conditions.back.draw(self.dice))
        self.idle[sender] += 1
        if not is_taken:
            raise MailThrottled
        self.received[mail.to[0]] += 1
        return f"ses-{len(self.arrivals)}"

    def _take(self, now: float) -> bool:
        while self._taken and self._taken[0] <= now - 1:
            self._taken.popleft()
        self._others += self.conditions.others(now) * (now - self._seen)
        self._seen = now
        while self._others >= 1 and len(self._taken) < self.limit:
            self._others -= 1
            self._taken.append(now)
        if len(self._taken) >= self.limit:
            self.refused.append(now)
            return False
        self._taken.append(now)
        return True


@dataclass(frozen=True, slots=True)
class Door:
    """The provider as one sender has it."""

    provider: Provider
    sender: int

    def send(self, mail: Mail) -> str:
        """As any mailer."""
        return self.provider.receive(mail, self.sender)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a simulated run came to."""

    provider: Provider
    tallies: list[Tally]

    @property
    def sent(self) -> int:
        """Mails whose sender knows that they left."""
        return sum(tally.outcomes["sent"] for tally in self.tallies)

    @property
    def sustained(self) -> float:
        """Mails a second that arrived while all senders were at work: from two seconds after the last of them began."""
        began = max(map(min, self.provider.by_sender.values())) + WARM_UP
        ended = min(sorted(arrivals)[len(arrivals) * 98 // 100] for arrivals in self.provider.by_sender.values())
        return sum(began < arrival <= ended for arrival in self.provider.arrivals) / (ended - began)

    @property
    def most_in_a_second(self) -> int:
        """The most mails that arrived in any one second."""
        return most_in_a_second(self.provider.arrivals)


def most_in_a_second(moments: Iterable[float]) -> int:
    """The most of these moments that lie within less than a second."""
    most, window = 0, deque[float]()
    for moment in sorted(moments):
        window.append(moment)
        while window[0] <= moment - 1:
            window.popleft()
        most = max(most, len(window))
    return most


def simulate(
    limit: int,
    seconds: float,
    *,
    senders: int = 1,
    conditions: Conditions | None = None,
    pace: Callable[..., Pace] = Pace,
    seed: int = 1,
) -> Outcome:
    """Send for about so long with so many senders beside each other, everything being due at once."""
    world, dice, conditions = World(), random.Random(seed), conditions or Conditions()
    provider = Provider(world, limit, conditions, dice)
    due = _due(round(limit * seconds))

    def sender(number: int) -> Tally:
        world.sleep(dice.random() * 2 if number else 0)  # the others are invoked, and start when they start
        limits = Limits(limit, None).share(number, senders)
        shared = delivery.Sender(
            as_of=MONDAY_NOON,
            now=lambda: MONDAY_NOON,
            mailer=Door(provider, number),
            pace=pace(limits.rate, world.monotonic, world.sleep),
            public_url="https://care.example.com",
            key=b"key",
        )
        part = Part(number, senders, limits)
        return send_due(shared, part, lambda: True, lambda: True, lambda _: "")

    with _stand_ins(world, due, conditions, dice):
        tallies = world.run(*(partial(sender, number) for number in range(senders)))
    return Outcome(provider, tallies)


def a_situation(survey_id: str, patient: Patient) -> Situation:
    """A survey that is due to somebody and may be sent."""
    practice = parameters()
    return Situation(
        message=replace(_message(f"{survey_id}-survey"), patient_id=patient.patient_id),
        survey=replace(_survey(survey_id), patient_id=patient.patient_id),
        patient=patient,
        address=None,
        clinic=practice.clinic(patient.clinic_id),
        practice=practice,
    )


def _due(number: int) -> list[DueMessage]:
    at = MONDAY_NOON - timedelta(hours=1)
    return [
        DueMessage(f"s{n}-survey", MessageKind.SURVEY, f"p{n}", f"s{n}", "north", "evaluation", at, at)
        for n in range(number)
    ]


@contextmanager
def _stand_ins(world: World, due: Sequence[DueMessage], conditions: Conditions, dice: random.Random) -> Iterator[None]:
    practice = parameters()
    clinic = practice.clinic("north")

    def after(latency: Latency, answer: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **_: Any) -> Any:
            world.sleep(latency.draw(dice))
            return answer(*arguments)

        return call

    def due_until(_: datetime, shards: Sequence[str] = SHARDS) -> list[DueMessage]:
        return [entry for entry in due if shard_of(entry.patient_id) in shards]

    table, yes = conditions.table, after(conditions.table, lambda *_: True)
    stand_ins = {
        (messages, "due_until"): due_until,
        (messages, "get_many"): after(table, lambda ids: {id_: _message(id_) for id_ in ids}),
        (patients, "get_many"): after(table, lambda ids: {id_: _patient(id_) for id_ in ids}),
        (surveys, "get_many"): after(table, lambda ids: {id_: _survey(id_) for id_ in ids}),
        (addresses, "get_many"): after(table, lambda _: {}),
        (settings, "load_clinic"): lambda _: clinic,
        (run, "practice"): lambda: practice,
        (run, "ThreadPoolExecutor"): partial(Workers, world),
        (run, "wait"): world.wait,
        (delivery, "_letter"): lambda situation, patient, *_: _mail(patient),
        (messages, "claim"): after(conditions.transaction, lambda *_: True),
        (messages, "begin_call"): yes,
        (messages, "finish_call"): yes,
        (messages, "release"): yes,
        (messages, "give_back"): yes,
        (messages, "give_up"): yes,
        (surveys, "mark_unsent"): yes,
        (patients, "get"): after(table, _patient),
        (outcomes, "write_down"): lambda *_: world.sleep(sum(table.draw(dice) for _ in range(3))),
    }
    with ExitStack() as stack:
        for (holder, name), stand_in in stand_ins.items():
            stack.enter_context(patch.object(holder, name, stand_in))
        yield


def _message(message_id: str) -> Message:
    survey_id = message_id.partition("-")[0]
    at = MONDAY_NOON - timedelta(hours=1)
    patient_id = f"p{survey_id[1:]}"
    return Message(message_id, MessageKind.SURVEY, patient_id, survey_id, "north", "evaluation", at, at)


def _patient(patient_id: str) -> Patient:
    return Patient(patient_id, email=f"{patient_id}@example.com", clinic_id="north")


def _survey(survey_id: str) -> Survey:
    return Survey(
        survey_id=survey_id,
        patient_id=f"p{survey_id[1:]}",
        case_id="c",
        episode="case:c",
        visit_id="v",
        clinic_id="north",
        therapist_id="t",
        touchpoint="evaluation",
        occurred_at=MONDAY_NOON - timedelta(hours=1),
        due_at=MONDAY_NOON - timedelta(hours=1),
    )


def _mail(patient: Patient) -> Mail:
    return Mail("care@example.com", (patient.email,), "", "", "", "")

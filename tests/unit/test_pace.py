"""The sender's own run loop and pace on simulated time: as fast as the provider allows, and never faster."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest

from bench.simulated_sending import Conditions, Latency, Outcome, most_in_a_second, simulate
from functions.send_survey.pace import Limits, Pace

FOR_A_WHILE = {1: 60, 14: 60, 200: 15, 1000: 5}  # seconds


def everybody_was_mailed_once(outcome: Outcome) -> bool:
    return set(outcome.provider.received.values()) == {1} and len(outcome.provider.received) == sum(
        tally.outcomes.total() for tally in outcome.tallies
    )


@pytest.mark.parametrize(
    ("limit", "senders"), [(1, 1), (14, 1), (14, 4), (200, 1), (200, 3), (1000, 1), (1000, 8), (1000, 16)]
)
def test_the_limit_is_used_and_exceeded_in_no_second(limit, senders):
    outcome = simulate(limit, FOR_A_WHILE[limit], senders=senders)
    assert outcome.most_in_a_second <= limit
    assert outcome.sustained >= 0.95 * limit
    assert outcome.provider.refused == []
    assert everybody_was_mailed_once(outcome)


@pytest.mark.parametrize("seed", range(5))
def test_the_limit_holds_however_unevenly_mails_arrive(seed):
    rough = Conditions(there=Latency(0.004, 0.050, 2.0), back=Latency(0.035, 0.100, 3.0), table=Latency(0.003, 0.03))
    outcome = simulate(14, 60, conditions=rough, seed=seed)
    assert outcome.most_in_a_second <= 14
    assert outcome.sustained >= 0.85 * 14
    assert everybody_was_mailed_once(outcome)


class SpacedOnly(Pace):
    @contextmanager
    def place(self) -> Iterator[None]:
        yield


def test_even_turns_alone_would_exceed_it():
    rough = Conditions(there=Latency(0.004, 0.050, 2.0))
    assert simulate(200, 15, conditions=rough, pace=SpacedOnly).most_in_a_second > 200


def test_refusals_slow_the_run_down_and_it_recovers():
    others_use_some = Conditions(others=lambda now: 60.0 if 5 < now < 15 else 0.0)
    outcome = simulate(200, 25, conditions=others_use_some)
    arrivals = outcome.provider.arrivals
    meanwhile, afterwards = ([each for each in arrivals if a < each < a + 5] for a in (10, 20))
    assert 0.8 * 140 <= len(meanwhile) / 5 <= 140
    assert len(afterwards) / 5 >= 0.95 * 200
    assert len(outcome.provider.refused) < 0.03 * len(arrivals)
    refused = sum(tally.deferred["throttled"] for tally in outcome.tallies)
    assert outcome.sent + refused == len(arrivals)


def test_a_run_that_meets_nothing_but_refusals_ends_and_leaves_everything_due():
    outcome = simulate(14, 600, conditions=Conditions(others=lambda _: 1e6))
    [tally] = outcome.tallies
    assert outcome.sent == 0
    assert tally.deferred["throttled"] == tally.outcomes.total() == 14 * 600
    assert 5 <= len(outcome.provider.arrivals) < 14 * 6


def test_turns_come_evenly():
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    pace, moments = Pace(14, lambda: clock[0], sleep), list[float]()
    for _ in range(1000):
        pace.wait()
        moments.append(clock[0])
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    assert min(gaps) == pytest.approx(max(gaps)) == pytest.approx(1 / (0.98 * 14))


@pytest.mark.parametrize("senders", range(1, 17))
def test_the_parts_of_all_senders_are_the_limit(senders):
    limits = Limits(1003.0, 50_001)
    parts = [limits.share(number, senders) for number in range(senders)]
    assert sum(part.rate for part in parts) == 1003
    assert sum(part.allowance or 0 for part in parts) == 50_001
    assert max(part.rate for part in parts) - min(part.rate for part in parts) <= 1


def test_exactly_a_second_apart_is_not_within_a_second():
    assert most_in_a_second([0, 0.5, 1.0, 1.5]) == 2

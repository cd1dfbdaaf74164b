"""Times that can be compared on a machine whose speed drifts: subject and floor in turn, judged pair by pair."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

PAIRS = 9


@dataclass(frozen=True, slots=True)
class Pairs:
    """What interleaved runs of a subject and its floor gave: medians, and the median of the paired ratios."""

    measured: float
    floor: float
    ratio: float
    low: float  # the smallest and the largest of the paired ratios: how far to trust the median
    high: float


def side_by_side(subject: Callable[[], float], floor: Callable[[], float], pairs: int = PAIRS) -> Pairs:
    """Call both in turn, subject first and floor first alternately, after one uncounted call of each.

    Both return what they measured, in the same unit.
    """
    subject(), floor()
    results = list[tuple[float, float]]()
    for number in range(pairs):
        if number % 2:
            below = floor()
            results.append((subject(), below))
        else:
            measured = subject()
            results.append((measured, floor()))
    ratios = [measured / below for measured, below in results]
    measured, below = (median(values) for values in zip(*results, strict=True))
    return Pairs(measured, below, median(ratios), min(ratios), max(ratios))


def cpu_seconds(work: Callable[[], object]) -> float:
    """The CPU time of this process, all threads, that the work took."""
    began = time.process_time()
    work()
    return time.process_time() - began


def wall_seconds(work: Callable[[], object]) -> float:
    """The time on the clock that the work took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began

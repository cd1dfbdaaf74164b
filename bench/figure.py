"""What a benchmark hands over: figures, each with what it should be."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["count", "ratio", "absolute"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured quantity.

    A `ratio` is judged by `ratio`: what was measured beside its floor in the same run, pair by pair, so that it holds
    on a machine whose speed drifts. A `count` (calls, units, modules) is exact and judged as it is; so is an
    `absolute`, which is a time or a size of this machine.
    """

    name: str
    what: str  # one sentence: what was done and how often
    measured: float
    unit: str
    kind: Kind
    target: float | None = None  # None: told, not judged
    too_much: float | None = None  # beyond it `make bench` fails
    floor: float | None = None  # the least that the same work can cost, in the same unit
    ratio: float | None = None
    at_least: bool = False  # whether more is better
    note: str = ""
    along: str = ""  # what the points go along: "answers stored"
    points: tuple[tuple[float, float], ...] = ()  # drawn with the module's other figures of the same `along` and unit

    @property
    def judged(self) -> float:
        """What target and too_much are about."""
        if self.kind != "ratio":
            return self.measured
        if self.ratio is None:
            raise ValueError(f"{self.name}: a ratio needs its floor")
        return self.ratio

    @property
    def passed(self) -> bool:
        """Whether the target is reached; nothing to reach counts as reached."""
        return self._within(self.target)

    @property
    def acceptable(self) -> bool:
        """Whether it is not beyond `too_much`, or beyond the target where there is no such second line."""
        return self._within(self.target if self.too_much is None else self.too_much)

    def _within(self, limit: float | None) -> bool:
        if limit is None:
            return True
        return self.judged >= limit if self.at_least else self.judged <= limit

"""What a score is worth: intervals, comparisons, benchmarks, control charts, and cells too small to be shown.

Everything starts from counts of promoters, passives and detractors and returns points of the score, -100 to 100.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import asin, ceil, cos, erfc, exp, lgamma, log, sin, sqrt

SCORE_FROM = 10
"""Answers from which a score, its interval and comparisons are shown, and the smallest cell others may see."""
SURE_FROM = 30
"""Answers from which a score is more than a hint, and clinics or therapists are ranked."""

_Z95 = 1.96
_PRIOR = (0.75, 1.5, 0.75)
"""Three answers that nobody gave (Rocks 2016): they keep the interval honest when few answers are in."""


@dataclass(frozen=True, slots=True)
class Groups:
    """How many answers each group gave."""

    promoters: int = 0
    passives: int = 0
    detractors: int = 0

    @property
    def answers(self) -> int:
        """All of them."""
        return self.promoters + self.passives + self.detractors


def groups_of(histogram: Sequence[int]) -> Groups:
    """The three groups of eleven counts."""
    return Groups(sum(histogram[9:]), sum(histogram[7:9]), sum(histogram[:7]))


class Confidence(StrEnum):
    """What may be said of so many answers."""

    NONE = "none"
    LOW = "low"
    FULL = "full"


def confidence(answers: int) -> Confidence:
    """No score under ten answers, a score of low confidence under thirty."""
    if answers < SCORE_FROM:
        return Confidence.NONE
    return Confidence.LOW if answers < SURE_FROM else Confidence.FULL


@dataclass(frozen=True, slots=True)
class Interval:
    """Where the score lies with 95 % confidence: `centre` is the adjusted score, the ends are clipped to ±100."""

    centre: float
    half_width: float

    @property
    def low(self) -> float:
        """The lower end."""
        return max(self.centre - self.half_width, -100.0)

    @property
    def high(self) -> float:
        """The upper end."""
        return min(self.centre + self.half_width, 100.0)


def interval(groups: Groups) -> Interval:
    """The adjusted Wald interval for a Net Promoter Score (Rocks 2016). The headline stays the raw score."""
    centre, variance = _adjusted(groups)
    return Interval(100 * centre, 100 * _Z95 * sqrt(variance))


def _adjusted(groups: Groups) -> tuple[float, float]:
    """The score with three pseudo-answers, from -1 to 1, and the variance of its mean."""
    total = groups.answers + sum(_PRIOR)
    promoters = (groups.promoters + _PRIOR[0]) / total
    detractors = (groups.detractors + _PRIOR[2]) / total
    score = promoters - detractors
    return score, (promoters + detractors - score**2) / total


@dataclass(frozen=True, slots=True)
class Comparison:
    """A change between two sets of answers: points of the adjusted score, z, and the two-sided p."""

    points: float
    z: float
    p: float

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would do as much in fewer than one of twenty comparisons."""
        return self.p < 0.05


def compare(before: Groups, after: Groups) -> Comparison:
    """Whether the score changed. Both sets must hold one answer a patient, or the test is too sure of itself."""
    first, second = _adjusted(before), _adjusted(after)
    points = second[0] - first[0]
    z = points / sqrt(first[1] + second[1])
    return Comparison(100 * points, z, erfc(abs(z) / sqrt(2)))


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What other practices score, and who says so."""

    bottom_tenth: int
    average: int
    top_tenth: int
    source: str


PHYSICAL_THERAPY = Benchmark(75, 84, 90, "WebPT Ascend, 2017")


@dataclass(frozen=True, slots=True)
class Standing:
    """How probable each band of a benchmark is, given the answers; the four add up to one."""

    bottom_tenth: float
    below_average: float
    above_average: float
    top_tenth: float

    @property
    def is_above(self) -> float:
        """How probably the score is above average, the top tenth included."""
        return self.above_average + self.top_tenth


def standing(groups: Groups, benchmark: Benchmark = PHYSICAL_THERAPY) -> Standing:
    """The probabilities of the bands under the Dirichlet posterior with the interval's own three pseudo-answers."""
    low, middle, high = (
        probability_above(groups, limit / 100)
        for limit in (benchmark.bottom_tenth, benchmark.average, benchmark.top_tenth)
    )
    return Standing(1 - low, low - middle, middle - high, high)


def probability_above(groups: Groups, limit: float) -> float:
    """How probably the score behind the answers exceeds `limit` (-1 to 1), right to five decimals.

    With P, Pa, D from a Dirichlet posterior, the share s = P + D is Beta(P + D, Pa), the promoters' part r of it is
    Beta(P, D), and the two are independent; P - D > limit means r > (1 + limit / s) / 2. What remains is one
    integral over s, done by Simpson's rule after s = sin²(x), which takes the corners out of the Beta density, over
    the ten standard deviations where that density is not zero.
    """
    p, passive, d = (
        count + prior
        for count, prior in zip((groups.promoters, groups.passives, groups.detractors), _PRIOR, strict=True)
    )
    a, total = p + d, p + d + passive
    mean, deviation = a / total, sqrt(a * passive / total**2 / (total + 1))
    start = asin(sqrt(max(mean - 10 * deviation, 0.0)))
    end = asin(sqrt(min(mean + 10 * deviation, 1.0)))
    constant = lgamma(total) - lgamma(a) - lgamma(passive)

    def density(x: float) -> float:
        sine, cosine = sin(x), cos(x)
        if sine <= 0 or cosine <= 1e-12:
            return 0.0
        weight = 2 * exp(constant + (2 * a - 1) * log(sine) + (2 * passive - 1) * log(cosine))
        return weight * (1 - _beta_share(p, d, (1 + limit / sine**2) / 2))

    return min(max(_simpson(density, start, end), 0.0), 1.0)


def _simpson(function: Callable[[float], float], start: float, end: float, steps: int = 240) -> float:
    width = (end - start) / steps
    inner = sum((4 if step % 2 else 2) * function(start + step * width) for step in range(1, steps))
    return width / 3 * (function(start) + inner + function(end))


def _beta_share(a: float, b: float, x: float) -> float:
    """The share of a Beta(a, b) below x: the regularised incomplete beta function, by Lentz's continued fraction."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_share(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(1 - x)) / a
    if front < 1e-12:  # the fraction is never large here
        return 0.0
    tiny, c = 1e-300, 1.0
    d = 1 / _never_zero(1 - (a + b) * x / (a + 1), tiny)
    fraction = d
    for m in range(1, 1000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _never_zero(1 + term * d, tiny)
            c = _never_zero(1 + term / c, tiny)
            fraction *= c * d
        if abs(c * d - 1) < 1e-9:
            break
    return front * fraction


def _never_zero(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


MOST_ANSWERS = 10_000
"""Beyond this many more answers, a score is simply as good as the average."""


def answers_to_settle(groups: Groups, limit: float) -> int | None:
    """About how many more answers like these would make `above` or `below` the limit (in points) 95 % probable.

    Nought if they settle it already, None if more than ten thousand would not. Two leading digits: it is a guess that
    the next patients answer like the last.
    """
    answers = groups.answers
    if not answers:
        return None

    def is_settled(more: int) -> bool:
        grown = 1 + more / answers
        p, passive, d = (
            count * grown + prior
            for count, prior in zip((groups.promoters, groups.passives, groups.detractors), _PRIOR, strict=True)
        )
        total = p + passive + d
        score = (p - d) / total
        variance = ((p + d) / total - score**2) / (total + 1)  # of the Dirichlet posterior
        return abs(score - limit / 100) >= 1.645 * sqrt(variance) and (score > limit / 100) == (
            groups.promoters - groups.detractors > limit / 100 * answers
        )

    if is_settled(0):
        return 0
    if not is_settled(MOST_ANSWERS):
        return None
    low, high = 0, MOST_ANSWERS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_settled(middle) else (middle, high)
    step = int(10 ** max(len(str(high)) - 2, 0))
    return ceil(high / step) * step


@dataclass(frozen=True, slots=True)
class Point:
    """One month or week on a control chart; the limits are three standard errors of so many answers."""

    label: str
    groups: Groups
    score: float
    low: float
    high: float
    signals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ControlChart:
    """The points that have answers, and the score of all of them together."""

    centre: float
    points: tuple[Point, ...]

    @property
    def is_steady(self) -> bool:
        """Whether nothing but chance shows."""
        return not any(point.signals for point in self.points)


_RULES: tuple[tuple[str, int, int, float], ...] = (
    ("outside the limits", 1, 1, 3.0),
    ("two of three points far on the same side", 2, 3, 2.0),
    ("four of five points on the same side, away from the middle", 4, 5, 1.0),
    ("eight points in a row on the same side", 8, 8, 0.0),
)
"""The Western Electric rules 1 to 4: words, how many points, of how many, beyond how many standard errors."""


def control_chart(series: Sequence[tuple[str, Groups]]) -> ControlChart:
    """Points, centre line and limits, as for a p-chart: the spread is that of all answers, the width follows each n."""
    points = [(label, groups) for label, groups in series if groups.answers]
    everything = Groups(
        sum(groups.promoters for _, groups in points),
        sum(groups.passives for _, groups in points),
        sum(groups.detractors for _, groups in points),
    )
    if not points:
        return ControlChart(0.0, ())
    total = everything.answers
    centre = (everything.promoters - everything.detractors) / total
    spread = sqrt(max((everything.promoters + everything.detractors) / total - centre**2, 0.0))
    scores = [(groups.promoters - groups.detractors) / groups.answers for _, groups in points]
    errors = [spread / sqrt(groups.answers) for _, groups in points]
    away = [(score - centre) / error if error > 0 else 0.0 for score, error in zip(scores, errors, strict=True)]
    return ControlChart(
        100 * centre,
        tuple(
            Point(
                label,
                groups,
                100 * score,
                max(100 * (centre - 3 * error), -100.0),
                min(100 * (centre + 3 * error), 100.0),
                _signals(away[: number + 1]),
            )
            for number, ((label, groups), score, error) in enumerate(zip(points, scores, errors, strict=True))
        ),
    )


def _signals(away: Sequence[float]) -> tuple[str, ...]:
    """The rules that fire at the last of these points; it must itself be one of those that count."""
    side = 1 if away[-1] > 0 else -1
    return tuple(
        words
        for words, needed, of, beyond in _RULES
        if side * away[-1] > beyond and sum(side * value > beyond for value in away[-of:]) >= needed
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A table with a line for each period and one for all, as others than the managers may see it; None is hidden."""

    answers: tuple[int | None, ...]
    groups: tuple[Groups | None, ...]
    total_answers: int | None
    total_groups: Groups | None


def suppress(lines: Sequence[Groups], smallest: int = SCORE_FROM) -> Shown:
    """Hide every count under `smallest`, and what would let it be worked out from the rest.

    A line's three groups are shown or hidden together, since its total gives the third away. What the hidden lines
    add up to follows from the totals, so there are at least two of them, together no small count in any group; if
    that cannot be, the totals are hidden instead. Then every hidden count could be another one.
    """
    whole = Groups(
        sum(line.promoters for line in lines),
        sum(line.passives for line in lines),
        sum(line.detractors for line in lines),
    )
    numbered = range(len(lines))
    no_answers = {number for number in numbered if lines[number].answers < smallest}
    total_is_shown = whole.answers >= smallest
    if total_is_shown:
        total_is_shown = _widen(no_answers, lines, lambda line: (line.answers,), smallest)
    no_groups = {number for number in numbered if _smallest_group(lines[number]) < smallest} | no_answers
    groups_are_shown = total_is_shown and _smallest_group(whole) >= smallest
    if groups_are_shown:
        groups_are_shown = _widen(
            no_groups, lines, lambda line: (line.promoters, line.passives, line.detractors), smallest
        )
    return Shown(
        tuple(None if number in no_answers else lines[number].answers for number in numbered),
        tuple(None if number in no_groups else lines[number] for number in numbered),
        whole.answers if total_is_shown else None,
        whole if groups_are_shown else None,
    )


def _smallest_group(line: Groups) -> int:
    return min(line.promoters, line.passives, line.detractors)


def _widen(
    hidden: set[int], lines: Sequence[Groups], cells: Callable[[Groups], tuple[int, ...]], smallest: int
) -> bool:
    """Hide further lines, the smallest first, until the total gives none of them away; False if it always would."""
    others = sorted((number for number in range(len(lines)) if number not in hidden), key=lambda n: lines[n].answers)
    while hidden:
        sums = [sum(column) for column in zip(*(cells(lines[number]) for number in hidden), strict=True)]
        if len(hidden) > 1 and min(sums) >= smallest:
            return True
        if not others:
            return False
        hidden.add(others.pop(0))
    return True


def score_may_be_shown(whole: Groups, shown: Groups | None) -> bool:
    """Whether the score and the number of answers leave every hidden group another possible count.

    One promoter and one detractor more, two passives fewer (or the other way round) is the same score.
    """
    if confidence(whole.answers) is Confidence.NONE:
        return False
    return shown is not None or whole.passives >= 2 or (whole.promoters > 0 and whole.detractors > 0)

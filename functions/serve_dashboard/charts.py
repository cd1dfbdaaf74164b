"""Charts as inline SVG, each with a title and a description; the page puts the numbers into a table beside it.

No style attributes, since the security policy refuses them, and no value of a patient's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

from markupsafe import Markup

from shared.domain.statistics import ControlChart, Groups

_MINUS = "\N{MINUS SIGN}"


def signed(score: float) -> str:
    """A score as people write it, with a true minus sign."""
    rounded = round(score)
    return f"{_MINUS}{-rounded}" if rounded < 0 else str(rounded)


def groups_bar(groups: Groups) -> Markup:
    """One bar in three parts: promoters, passives, detractors."""
    parts = [
        ("promoter", "Promoters", groups.promoters),
        ("passive", "Passives", groups.passives),
        ("detractor", "Detractors", groups.detractors),
    ]
    words = ", ".join(f"{number} {name.lower()}" for _, name, number in parts)
    return _bar("Answers by group", words, [(style, number) for style, _, number in parts])


def bands_bar(title: str, bands: Sequence[tuple[str, str, float]]) -> Markup:
    """One bar of probabilities: style, name and probability of each band."""
    words = ", ".join(f"{name}: {probability:.0%}" for _, name, probability in bands)
    return _bar(title, words, [(style, probability) for style, _, probability in bands])


def _bar(title: str, words: str, parts: Sequence[tuple[str, float]]) -> Markup:
    total = sum(size for _, size in parts) or 1
    drawn, x = Markup(""), 0.0
    for style, size in parts:
        width = 1000 * size / total
        if width > 0:
            # A line of the ground between two parts, so that colour is not the only sign.
            drawn += Markup('<rect class="{}" x="{:.1f}" width="{:.1f}" height="40"/>').format(
                style, x, max(width - 4, 1.0)
            )
        x += width
    return Markup(
        '<svg class="bar" viewBox="0 0 1000 40" preserveAspectRatio="none" role="img" aria-label="{}. {}">{}</svg>'
    ).format(title, words, drawn)


def share_bar(share: float) -> Markup:
    """A bar beside a number; it says nothing that the number does not."""
    return Markup(
        '<svg class="share" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">'
        '<rect class="rest" width="100" height="10"/><rect class="part" width="{:.1f}" height="10"/></svg>'
    ).format(100 * min(max(share, 0.0), 1.0))


def interval_line(low: float, high: float, value: float, goal: int | None) -> Markup:
    """Where a score lies between -100 and 100; the numbers stand beside it."""

    def x(score: float) -> float:
        return 4 + (score + 100) * 0.96

    mark = Markup('<line class="goal" x1="{0:.1f}" x2="{0:.1f}" y1="1" y2="19"/>').format(x(goal)) if goal else ""
    return Markup(
        '<svg class="interval" viewBox="0 0 200 20" aria-hidden="true"><line class="grid" x1="4" x2="196" y1="10" '
        'y2="10"/><line class="grid" x1="100" x2="100" y1="4" y2="16"/>{}<line class="line" x1="{:.1f}" x2="{:.1f}" '
        'y1="10" y2="10"/><circle class="point" cx="{:.1f}" cy="10" r="4.5"/></svg>'
    ).format(mark, x(low), x(high), x(value))


_TOP, _BOTTOM, _LEFT, _RIGHT = 18, 42, 44, 16


@dataclass(frozen=True, slots=True)
class _Plane:
    """Where months and scores lie on a drawing of this size."""

    width: int
    height: int
    months: int
    floor: int

    @property
    def room(self) -> float:
        return (self.width - _LEFT - _RIGHT) / self.months

    def x(self, month: float) -> float:
        return _LEFT + self.room * (month + 0.5)

    def y(self, score: float) -> float:
        return _TOP + (self.height - _TOP - _BOTTOM) * (100 - score) / (100 - self.floor)

    def level(self, style: str, score: float) -> Markup:
        """A horizontal line."""
        return Markup('<line class="{0}" x1="{1}" x2="{2}" y1="{3:.1f}" y2="{3:.1f}"/>').format(
            style, _LEFT, self.width - _RIGHT, self.y(score)
        )


def control(chart: ControlChart, labels: Sequence[str], goal: int | None, *, name: str, width: int) -> Markup:
    """Points, centre line, limits that follow the number of answers, and diamonds where a rule fired.

    `name` tells the drawings of a page apart. There must be a point.
    """
    lowest = min([goal or 100, *(min(point.low, point.score) for point in chart.points)])
    plane = _Plane(width, 300, len(chart.points), max(-100, min(floor(lowest / 20) * 20, 60)))
    drawn = _scale(plane) + _limits(chart, plane) + plane.level("centre", chart.centre)
    if goal is not None:
        drawn += plane.level("goal", goal)
    line = " ".join(f"{plane.x(place):.1f},{plane.y(point.score):.1f}" for place, point in enumerate(chart.points))
    drawn += Markup('<polyline class="line" points="{}"/>').format(line)
    every = max(1, ceil(48 / plane.room))  # as many labels as there is room for, the last month's among them
    for place, point in enumerate(chart.points):
        drawn += _mark(plane.x(place), plane.y(point.score), is_signal=bool(point.signals))
        if (plane.months - 1 - place) % every == 0:
            drawn += Markup('<text x="{:.1f}" y="{}" text-anchor="middle">{}</text>').format(
                plane.x(place), plane.height - 16, labels[place]
            )
    told = f"{plane.months} months, from {labels[0]} to {labels[-1]}; all together {signed(chart.centre)}. " + (
        "Nothing but chance shows." if chart.is_steady else "Diamonds mark months in which more than chance shows."
    )
    return Markup(
        '<svg class="{0}" viewBox="0 0 {1} {2}" role="img" aria-labelledby="title-{0} told-{0}">'
        '<title id="title-{0}">Score by month</title><desc id="told-{0}">{3}</desc>{4}</svg>'
    ).format(name, plane.width, plane.height, told, drawn)


def _scale(plane: _Plane) -> Markup:
    step = 20 if 100 - plane.floor <= 120 else 50
    return Markup("").join(
        plane.level("grid", score)
        + Markup('<text x="{}" y="{:.1f}" text-anchor="end">{}</text>').format(
            _LEFT - 8, plane.y(score) + 4.5, signed(score)
        )
        for score in range(100, plane.floor - 1, -step)
    )


def _limits(chart: ControlChart, plane: _Plane) -> Markup:
    """A band in steps, one a month."""
    upper, lower = [], []
    for place, point in enumerate(chart.points):
        for side in (-0.5, 0.5):
            upper.append(f"{plane.x(place + side):.1f},{plane.y(point.high):.1f}")
            lower.append(f"{plane.x(place + side):.1f},{plane.y(point.low):.1f}")
    return Markup('<path class="limits" d="M{} Z"/>').format(" L".join([*upper, *reversed(lower)]))


def _mark(x: float, y: float, *, is_signal: bool) -> Markup:
    if is_signal:
        return Markup('<path class="signal" d="M{:.1f},{:.1f} l8,8 l-8,8 l-8,-8 Z"/>').format(x, y - 8)
    return Markup('<circle class="point" cx="{:.1f}" cy="{:.1f}" r="4.5"/>').format(x, y)

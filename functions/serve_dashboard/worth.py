"""What closing the loop is worth: figures measured once a week, the uncertainty before the number."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from markupsafe import Markup

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.scope import clinics_of
from functions.serve_dashboard.web import NotFound, Request, Response
from shared.domain.staff import Role, Staff
from shared.domain.worth import (
    ENDED_AFTER,
    FEWEST,
    FOLLOWED,
    Estimate,
    Sample,
    Worth,
    difference,
    mean_of,
    revenue_at_risk,
)
from shared.storage import worth
from shared.storage.settings import practice
from shared.storage.worth import Measured

_MINUS = "\N{MINUS SIGN}"
_WIDTH = 400  # of the drawing of an interval


@dataclass(frozen=True, slots=True)
class Line:
    """A group's average as the table shows it; without an estimate there are too few patients."""

    name: str
    style: str
    patients: int
    mean: Estimate | None


def overview(request: Request, staff: Staff) -> Response:
    """The practice's figures, those of an admin's clinics together, or those of one clinic."""
    clinic_id, choices = request.query("clinic"), clinics_of(staff)
    if clinic_id and clinic_id not in dict(choices):
        raise NotFound
    measured = _measured(staff, clinic_id)
    return page(
        request,
        staff,
        "worth.html",
        title="What the loop is worth",
        clinic_id=clinic_id,
        choices=choices,
        measured=measured,
        measured_on=_in_words(measured.day) if measured else "",
        may_choose_value=staff.role is Role.OWNER,
        **(_figures(measured.worth) if measured else {}),
    )


def _in_words(day: str) -> str:
    on = date.fromisoformat(day)
    return f"{on:%B} {on.day}, {on.year}"


def _measured(staff: Staff, clinic_id: str) -> Measured | None:
    if clinic_id or staff.role is Role.OWNER:
        return worth.latest(clinic_id)
    found = [measured for each in sorted(staff.clinics) if (measured := worth.latest(each))]
    day = max((measured.day for measured in found), default="")
    of_last_run = [measured.worth for measured in found if measured.day == day]
    return Measured(day, sum(of_last_run, Worth())) if of_last_run else None


def _figures(found: Worth) -> dict[str, Any]:
    """Everything that the template says, as estimates and as None where there are too few patients."""
    value = practice().visit_value
    groups = list(
        _lines(
            ("Promoters (9–10)", "promoter", found.promoter),
            ("Passives (7–8)", "passive", found.passive),
            ("Detractors (0–6)", "detractor", found.detractor),
        )
    )
    reached = list(
        _lines(
            ("Somebody reached out", "promoter", found.reached), ("Nobody reached out", "detractor", found.unreached)
        )
    )
    longest = max((line.mean.high for line in (*groups, *reached) if line.mean), default=1.0)
    return {
        "fewest": FEWEST,
        "followed": FOLLOWED,
        "ended_after": ENDED_AFTER,
        "groups": groups,
        "reached": reached,
        "draw": lambda line: _drawn(line, longest),
        "between_groups": difference(found.promoter, found.detractor),
        "between_reached": difference(found.reached, found.unreached),
        "ended": found.ended if found.ended >= FEWEST else None,
        "unheard": found.unheard,
        "at_risk": found.at_risk,
        "value": value,
        "risk": revenue_at_risk(found, value) if value is not None else None,
        "number": _number,
        "dollars": _dollars,
        "range_of_dollars": _range_of_dollars,
    }


def _lines(*samples: tuple[str, str, Sample]) -> Iterator[Line]:
    for name, style, sample in samples:
        yield Line(name, style, sample.n, mean_of(sample))


def _drawn(line: Line, longest: float) -> Markup:
    """The interval and in it the average; the table's numbers say the same."""
    if line.mean is None:
        return Markup("")

    def x(visits: float) -> float:
        return 8 + visits / longest * (_WIDTH - 16)

    return Markup(
        '<svg viewBox="0 0 {width} 24" aria-hidden="true"><line class="grid" x1="8" x2="{right}" y1="12" y2="12"/>'
        '<line class="line" x1="{low:.1f}" x2="{high:.1f}" y1="12" y2="12"/>'
        '<circle class="{style}" cx="{mean:.1f}" cy="12" r="7"/></svg>'
    ).format(
        width=_WIDTH,
        right=_WIDTH - 8,
        low=x(line.mean.low),
        high=x(line.mean.high),
        mean=x(line.mean.value),
        style=line.style,
    )


def _number(value: float) -> str:
    """One decimal, with a true minus sign."""
    return f"{value:.1f}".replace("-", _MINUS)


def _dollars(value: float) -> str:
    """Two leading digits: more would pretend to know."""
    digits = max(len(str(abs(round(value)))) - 2, 0)
    rounded = int(round(value, -digits))
    return f"{_MINUS if rounded < 0 else ''}${abs(rounded):,}"


def _range_of_dollars(risk: Estimate) -> str:
    return f"{_dollars(max(risk.low, 0.0))} and {_dollars(max(risk.high, 0.0))}"

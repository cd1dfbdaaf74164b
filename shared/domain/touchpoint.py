"""Touchpoints: the moments of a course of care at which the practice asks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # every function reads the practice's choice of touchpoints, and few know of visits
    from shared.domain.episode import Episode, Visit

_RULE = re.compile(r"(evaluation|discharge)|(visit|days_after_evaluation|days_after_discharge|lapsed):([1-9]\d{0,2})")


@dataclass(frozen=True, slots=True)
class TouchpointRule:
    """One chosen touchpoint: `evaluation`, `discharge`, `visit:N`, `days_after_…:N` or `lapsed:N`."""

    kind: str
    n: int = 0

    def __str__(self) -> str:
        return f"{self.kind}:{self.n}" if self.n else self.kind


@dataclass(frozen=True, slots=True)
class Touchpoint:
    """A touchpoint that a patient's visits have reached, or will if nothing more happens."""

    name: str
    episode: str
    case_id: str
    visit_id: str
    clinic_id: str
    therapist_id: str
    occurred_at: datetime  # what pause, superseding and expiry are measured from
    due_at: datetime


def parse_touchpoints(text: str) -> tuple[TouchpointRule, ...]:
    """The practice's comma-separated choice; an unknown one is a ValueError that quotes it."""
    return tuple(dict.fromkeys(_parse_rule(part) for part in re.split(r"[,;\s]+", text.strip())))


def _parse_rule(text: str) -> TouchpointRule:
    match = _RULE.fullmatch(text)
    if not match:
        raise ValueError(
            f"not a touchpoint: {text!r}; choose from evaluation, discharge, visit:N,"
            " days_after_evaluation:N, days_after_discharge:N, lapsed:N"
        )
    return TouchpointRule(match[1]) if match[1] else TouchpointRule(match[2], int(match[3]))


def derive(episodes: Iterable[Episode], rules: Sequence[TouchpointRule], delay: timedelta) -> list[Touchpoint]:
    """The touchpoints of a patient's episodes, at most one for each episode and rule, whatever the order of arrival."""
    return [found for episode in episodes for rule in rules if (found := _touchpoint(episode, rule, delay))]


def _touchpoint(episode: Episode, rule: TouchpointRule, delay: timedelta) -> Touchpoint | None:
    visit = _visit(episode, rule)
    if visit is None:
        return None
    ended_at = visit.ended_at or visit.started_at
    occurred_at, due_at = ended_at, ended_at + delay
    if rule.kind == "discharge" and episode.discharge and episode.discharge.closed_at:
        # Its age counts from the care all the same: closing a thousand stale cases at once asks nobody.
        due_at = max(ended_at, episode.discharge.closed_at) + delay
    elif rule.kind not in ("evaluation", "discharge", "visit"):
        occurred_at = due_at = ended_at + timedelta(days=rule.n)
    return Touchpoint(
        name=str(rule),
        episode=episode.name,
        case_id=visit.case_id,
        visit_id=visit.visit_id,
        clinic_id=visit.clinic_id,
        therapist_id=visit.therapist_id,
        occurred_at=occurred_at,
        due_at=due_at,
    )


def _visit(episode: Episode, rule: TouchpointRule) -> Visit | None:
    """The visit that the touchpoint is about."""
    discharge = episode.discharge
    match rule.kind:
        case "evaluation" | "days_after_evaluation":
            return episode.evaluation
        case "discharge" | "days_after_discharge":
            return discharge.visit if discharge else None
        case "visit":
            return episode.days[rule.n - 1].visit if len(episode.days) >= rule.n else None
        case _:  # lapsed: counted from the last visit, so that each new visit moves it on
            return None if discharge else episode.last_visit

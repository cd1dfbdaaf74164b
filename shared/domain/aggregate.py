"""What a survey adds to the counts: eleven scores by the day of the answer, and the funnel by the day of sending."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from shared.domain.score import SCORES
from shared.domain.survey import Counted, Survey

Count = tuple[str, str, str]
"""What is counted: scope, day, field."""

FUNNEL = ("eligible", "has_address", "not_held", "sent", "answered", "commented")
"""The stages, each implying those before. `delivered` will stand between sent and answered."""

_NEVER_ASKED = {"withdrawn", "superseded", "deceased"}
_REACHED = {"no_address": "eligible", "expired": "not_held", "refused": "not_held", "unknown": "not_held"}


def facts_of(survey: Survey, practice_zone: ZoneInfo) -> Counted | None:
    """What the aggregates are to hold of a survey, by practice-local days; None while it waits or if it never counts.

    Withdrawn, superseded and those of deceased patients never count. Unsent for want of an address is `eligible`;
    expired, refused by the provider or of unknown outcome is `not_held`; any other reason held it: `has_address`.
    The cohort is the day of sending, or the day it was due if it was never sent.
    """
    stage = _stage(survey)
    if stage is None:
        return None

    def day(moment: datetime) -> str:
        return moment.astimezone(practice_zone).date().isoformat()

    return Counted(
        score=survey.score,
        answer_day=day(survey.answered_at) if survey.answered_at else "",
        cohort_day=day(survey.sent_at or survey.due_at),
        funnel=FUNNEL[: FUNNEL.index(stage) + 1],
        clinic_id=survey.clinic_id,
        therapist_id=survey.therapist_id,
        touchpoint=survey.touchpoint,
    )


def _stage(survey: Survey) -> str | None:
    if survey.score is not None:
        return "commented" if survey.comment.strip() else "answered"
    if survey.sent_at:
        return "sent"
    if not survey.unsent_reason or survey.unsent_reason in _NEVER_ASKED:
        return None
    return _REACHED.get(survey.unsent_reason, "has_address")


def contribution(counted: Counted | None) -> Counter[Count]:
    """The counts that the facts add, each once, in every scope that the survey belongs to."""
    if counted is None:
        return Counter()
    scopes = ["practice", f"clinic#{counted.clinic_id}", f"touchpoint#{counted.touchpoint}"]
    if counted.therapist_id:
        scopes.append(f"therapist#{counted.therapist_id}")
    counts = Counter((scope, counted.cohort_day, stage) for scope in scopes for stage in counted.funnel)
    if counted.score is not None:
        counts.update((scope, counted.answer_day, f"s{counted.score}") for scope in scopes)
    return counts


def change(before: Counted | None, after: Counted | None) -> dict[Count, int]:
    """What must be added, or with a minus taken away, where `before` is counted and `after` is right."""
    counts = contribution(after)
    counts.subtract(contribution(before))
    return {count: number for count, number in counts.items() if number}


def histogram(fields: Mapping[str, int]) -> list[int]:
    """The eleven counts of a row, or of several added up."""
    return [fields.get(f"s{score}", 0) for score in SCORES]

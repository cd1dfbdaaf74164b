"""What a therapist sees: their own figures, with nothing that might point at a patient, and the praise passed on."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from functions.serve_dashboard import charts
from functions.serve_dashboard.pages import page
from functions.serve_dashboard.web import Request, Response
from shared.domain.aggregate import by_therapist, histogram
from shared.domain.period import Period, quarter_of
from shared.domain.report import widest_interval
from shared.domain.score import nps
from shared.domain.staff import Staff
from shared.domain.statistics import (
    Confidence,
    Groups,
    Interval,
    Shown,
    confidence,
    groups_of,
    interval,
    score_may_be_shown,
    suppress,
)
from shared.storage import directory, praise, scores, surveys
from shared.storage.settings import practice

QUARTERS = 4
MOST_PRAISE = 50


@dataclass(frozen=True, slots=True)
class Whole:
    """The score of all quarters together, as far as it does not tell too much.

    Where the groups are hidden the interval is the widest possible: the exact one would tell them.
    """

    score: int | None
    interval: Interval | None
    is_low: bool


@dataclass(frozen=True, slots=True)
class Words:
    """What a patient wrote, passed on by somebody."""

    text: str
    language: str
    by: str
    on: str


def own_figures(request: Request, staff: Staff) -> Response:
    """Their own figures, and nobody else's, of quarters that are over and counted to their end.

    Of one that goes on, two nights' figures would differ by the answers of a day, which is often a single one.
    """
    counted_at = directory.read().counted_at or request.now
    quarters = [quarter_of(counted_at.astimezone(practice().zone).date()).previous]
    while len(quarters) < QUARTERS:
        quarters.append(quarters[-1].previous)
    counted = list(zip(quarters, _lines(staff.therapist_id, quarters), strict=True))
    # A quarter without answers hides nobody; it would only hide others with it.
    quarters, lines = [q for q, line in counted if line.answers], [line for _, line in counted if line.answers]
    shown = suppress(lines)
    return page(
        request,
        staff,
        "therapist.html",
        title="My figures",
        quarters=[quarter.name for quarter in quarters],
        shown=shown,
        whole=_whole(lines, shown),
        praise=_praise(staff.therapist_id),
        charts=charts,
    )


def _lines(therapist_id: str, quarters: Sequence[Period]) -> list[Groups]:
    """The groups of each quarter, at whichever clinics the therapist works."""
    counts = [Counter[str]() for _ in quarters]
    first, last = f"{quarters[-1].first:%Y-%m}", f"{quarters[0].last:%Y-%m}"
    for clinic in sorted(directory.read().clinics_of.get(therapist_id, ())):
        months = scores.read_months(f"clinic#{clinic}", first, last)
        for number, quarter in enumerate(quarters):
            rows = [
                row for month, row in months.items() if f"{quarter.first:%Y-%m}" <= month <= f"{quarter.last:%Y-%m}"
            ]
            counts[number].update(by_therapist(rows).get(therapist_id, {}))
    return [groups_of(histogram(fields)) for fields in counts]


def _whole(lines: Sequence[Groups], shown: Shown) -> Whole:
    whole = Groups(
        sum(line.promoters for line in lines),
        sum(line.passives for line in lines),
        sum(line.detractors for line in lines),
    )
    if not score_may_be_shown(whole, shown.total_groups):
        return Whole(None, None, is_low=False)
    counts = [whole.detractors, *[0] * 6, whole.passives, 0, whole.promoters, 0]
    return Whole(
        nps(counts),
        interval(whole) if shown.total_groups else widest_interval(whole),
        is_low=confidence(whole.answers) is Confidence.LOW,
    )


def _praise(therapist_id: str) -> list[Words]:
    passed_on = praise.of_therapist(therapist_id)[:MOST_PRAISE]
    stored = surveys.get_many(one.survey_id for one in passed_on)
    found = []
    for one in passed_on:
        survey = stored.get(one.survey_id)
        # Moved to another therapist's visit since, or erased: it is no longer theirs.
        if survey and survey.therapist_id == therapist_id and len(survey.answers) >= one.version:
            on = one.at.astimezone(practice().zone)
            words = survey.answers[one.version - 1].comment
            found.append(Words(words, survey.language, one.by, f"{on:%B} {on.day}, {on.year}"))
    return found

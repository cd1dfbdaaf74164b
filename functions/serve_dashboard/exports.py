"""Files for spreadsheets: counts by day, and answers one by one. That somebody took one is written down."""

import json
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import islice

from functions.serve_dashboard.csv_file import Cell, csv_file
from functions.serve_dashboard.scope import Scope, scope_of
from functions.serve_dashboard.web import BadForm, Request, Response, download
from shared.domain.aggregate import FUNNEL, by_touchpoint, histogram
from shared.domain.clock import format_instant
from shared.domain.period import Period
from shared.domain.score import SCORES
from shared.domain.staff import Staff
from shared.domain.statistics import groups_of
from shared.domain.survey import Survey
from shared.storage import activity, directory, scores, surveys
from shared.storage.lexicon import lexicon
from shared.storage.reports import clinic_name
from shared.storage.settings import practice

CSV = "text/csv; charset=utf-8"
MOST_ANSWERS = 10_000  # in one file: more take longer to read than a page may
MOST_BYTES = 5_000_000  # a function's answer ends at 6 MB

_COUNTS = ("day", "scope", "id", "name", *(f"score_{score}" for score in SCORES), "promoters", "passives", "detractors")
_ANSWERS = (
    *("day", "clinic_id", "clinic", "therapist_id", "therapist", "touchpoint", "language", "score", "group", "themes"),
    *("comment", "patient_id", "survey_id"),
)


def scores_csv(request: Request, staff: Staff) -> Response:
    """Counts of answers by the day of the answer, and of surveys by the day of sending, for each scope."""
    scope = scope_of(request, staff)
    rows = [row for kind, key, name in _places(scope) for row in _days(scope.period, kind, key, name)]
    return _file(request, staff, scope, "scores", (*_COUNTS, *FUNNEL), rows)


def answers_csv(request: Request, staff: Staff) -> Response:
    """One line an answer that the nightly count has seen, as it stands now, with what the patient wrote."""
    scope = scope_of(request, staff)
    found = list(islice(_answered(scope), MOST_ANSWERS + 1))
    if len(found) > MOST_ANSWERS:
        raise BadForm(f"These are more than {MOST_ANSWERS:,} answers. {_SMALLER}")
    names = directory.read().therapists
    stored = surveys.get_many(found)
    rows = [_line(stored[survey_id], names) for survey_id in found if survey_id in stored]
    return _file(request, staff, scope, "answers", _ANSWERS, rows)


_SMALLER = "Please choose a single month, or a single clinic."


def _file(
    request: Request, staff: Staff, scope: Scope, name: str, head: Sequence[str], rows: Sequence[Sequence[Cell]]
) -> Response:
    file = csv_file(head, rows)
    if len(json.dumps(file)) > MOST_BYTES:
        raise BadForm(f"The file would be larger than can be sent. {_SMALLER}")
    places = scope.clinic_id or ("practice" if scope.is_whole else " ".join(scope.clinic_ids))
    # Whom a file is about would be an entry with each of many patients: one entry stands for all of them.
    activity.note(
        "practice",
        "exported",
        request.now,
        f"{name}-{staff.user_id}",
        detail=f"{staff.name}: {name}.csv, {scope.period.key}, {places}, {len(rows)} lines",
    )
    return download(f"{name}-{scope.period.key}.csv", file, CSV)


def _places(scope: Scope) -> Iterator[tuple[str, str, str]]:
    """Kind, id and name of each scope that is counted by day. A part of the practice has only its clinics' rows."""
    if scope.is_whole:
        yield "practice", "", practice().name
    for clinic_id in scope.clinic_ids:
        yield "clinic", clinic_id, clinic_name(clinic_id)
    if scope.is_whole:
        for therapist_id, name in sorted(directory.read().therapists.items()):
            yield "therapist", therapist_id, name
        # As counted, not as chosen today: a touchpoint that is asked no more has its answers still.
        first, last = f"{scope.period.first:%Y-%m}", f"{scope.period.last:%Y-%m}"
        for name in sorted(by_touchpoint(scores.read_months("practice", first, last).values())):
            yield "touchpoint", name, name


def _days(period: Period, kind: str, key: str, name: str) -> Iterator[list[Cell]]:
    scope = f"{kind}#{key}" if key else kind
    for day, counts in scores.read_range(scope, period.first.isoformat(), period.last.isoformat()).items():
        by_score = histogram(counts)
        groups = groups_of(by_score)
        row: list[Cell] = [day, kind, key, name, *by_score, groups.promoters, groups.passives, groups.detractors]
        yield row + [counts.get(stage, 0) for stage in FUNNEL]


def _answered(scope: Scope) -> Iterator[str]:
    """The ids of the period's answers, clinic by clinic, oldest first."""
    first, until = _midnight(scope.period.first), _midnight(scope.period.last + timedelta(days=1))
    for clinic_id in scope.clinic_ids:
        yield from surveys.answered_in(clinic_id, first, until)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), practice().zone)


def _line(survey: Survey, therapists: dict[str, str]) -> list[Cell]:
    if survey.score is None or survey.category is None or survey.answered_at is None:
        raise ValueError("an answered survey has a score")
    return [
        survey.answered_at.astimezone(practice().zone).date().isoformat(),
        survey.clinic_id,
        clinic_name(survey.clinic_id),
        survey.therapist_id,
        therapists.get(survey.therapist_id, survey.therapist_id),
        survey.touchpoint,
        survey.language,
        survey.score,
        survey.category,
        "; ".join(_themes(survey)),
        survey.comment,
        survey.patient_id,
        survey.survey_id,
    ]


def _themes(survey: Survey) -> tuple[str, ...]:
    """As counted; of an answer that was changed since, by the lists as they stand."""
    counted = survey.counted
    if counted and survey.answered_at and counted.answered_at == format_instant(survey.answered_at):
        return counted.themes
    return lexicon().find(survey.comment).themes

"""Figures for programs: JSON under the same sign-in and with the same limits as the pages. See the page "Share"."""

from datetime import date, timedelta
from typing import Any

from functions.serve_dashboard.scope import scope_of
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, as_json
from shared.domain.aggregate import FUNNEL, histogram
from shared.domain.clock import format_instant
from shared.domain.recovery import RecoveryCase
from shared.domain.score import nps
from shared.domain.staff import Role, Staff
from shared.domain.statistics import SCORE_FROM, Groups, groups_of, interval
from shared.storage import cases, reports, scores

LONGEST = timedelta(days=366)
MOST_CASES = 500


def day_counts(request: Request, staff: Staff) -> Response:
    """Counts of one scope by day: `practice`, `clinic:ID`, `therapist:ID` or `touchpoint:NAME`."""
    first, last = _day(request, "from"), _day(request, "to")
    if not timedelta(0) <= last - first < LONGEST:
        raise BadForm("“to” must be the same day as “from” or later, and at most a year after it.")
    scope = request.query("scope", "practice")
    kind, _, key = scope.partition(":")
    if not _may_see(staff, kind, key):
        raise NotFound
    rows = scores.read_range(f"{kind}#{key}" if key else kind, first.isoformat(), last.isoformat())
    days = [
        {"day": day, "scores": histogram(counts), "funnel": {stage: counts.get(stage, 0) for stage in FUNNEL}}
        for day, counts in rows.items()
    ]
    return as_json({"scope": scope, "from": first.isoformat(), "to": last.isoformat(), "days": days})


def open_cases(request: Request, staff: Staff) -> Response:
    """The open cases, the nearest deadline first. Patients are named on the case's page only."""
    if request.query("state", "open") != "open":
        raise BadForm("“state” must be “open”.")
    theirs = [survey_id for survey_id, clinic_id in cases.open_ones() if staff.may_see(clinic_id)]
    found = cases.get_many(theirs[:MOST_CASES])
    listed = [_case(request, found[survey_id]) for survey_id in theirs[:MOST_CASES] if survey_id in found]
    return as_json({"state": "open", "total": len(theirs), "cases": listed})


def period_figures(request: Request, staff: Staff) -> Response:
    """A period's figures with nothing hidden, of all clinics that are theirs or of one."""
    scope = scope_of(request, staff)
    figures = reports.figures(scope.period, request.now, scope.only)
    cohort, counted = figures.cohort, figures.cases
    return as_json(
        {
            "period": scope.period.key,
            "from": scope.period.first.isoformat(),
            "to": scope.period.last.isoformat(),
            "all": _figures(figures.histogram),
            "latest_per_patient": _groups(figures.latest),
            "previous": _figures(figures.histogram_before),
            "change": {"z": round(figures.change.z, 2), "p": round(figures.change.p, 4)} if figures.change else None,
            "response": {
                "from": cohort.first.isoformat(),
                "to": cohort.last.isoformat(),
                "sent": cohort.sent,
                "answered": cohort.answered,
            },
            "cases": {"opened": counted.opened, "closed": counted.closed, "late": counted.late},
            "themes": {name: _groups(groups) for name, groups in sorted(figures.themes.items())},
            "clinics": [
                {"clinic": place.clinic_id, "name": place.name, **_figures(place.histogram)} for place in figures.places
            ],
        }
    )


def _may_see(staff: Staff, kind: str, key: str) -> bool:
    if kind == "clinic":
        return bool(key) and staff.may_see(key)
    is_known = bool(key) if kind in ("therapist", "touchpoint") else (kind, key) == ("practice", "")
    return is_known and staff.role is Role.OWNER


def _day(request: Request, name: str) -> date:
    try:
        return date.fromisoformat(request.query(name))
    except ValueError:
        raise BadForm(f"“{name}” must be a day such as 2026-03-02.") from None


def _case(request: Request, case: RecoveryCase) -> dict[str, Any]:
    return {
        "survey": case.survey_id,
        "clinic": case.clinic_id,
        "group": case.category,
        "state": case.state,
        "opened_at": format_instant(case.opened_at),
        "deadline": format_instant(case.deadline),
        "taken_by": case.owner_name or None,
        "attempts": len(case.outreach),
        "page": f"{request.site.base_url}/cases/{case.survey_id}",
    }


def _figures(counts: tuple[int, ...]) -> dict[str, Any]:
    """Counts always; the score and its interval from ten answers on."""
    groups = groups_of(counts)
    found = {"scores": list(counts), **_groups(groups), "score": None, "low": None, "high": None}
    if groups.answers >= SCORE_FROM:
        exact = interval(groups)
        found |= {"score": nps(counts), "low": round(exact.low, 1), "high": round(exact.high, 1)}
    return found


def _groups(groups: Groups) -> dict[str, Any]:
    return {
        "answers": groups.answers,
        "promoters": groups.promoters,
        "passives": groups.passives,
        "detractors": groups.detractors,
    }

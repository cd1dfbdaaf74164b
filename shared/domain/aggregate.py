"""What a survey adds to the counts, and how counts are read.

By day, for the practice, each clinic, therapist and touchpoint: eleven scores on the day of the answer, and the funnel
on the day of sending. By month, for the practice and each clinic: the same for each touchpoint and language, and what
else the staff's pages tell; these rows have scopes of their own, so that a few of them tell a year.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.domain.clock import format_instant
from shared.domain.score import SCORES, Category, classify
from shared.domain.self_test import SCOPE, is_canary
from shared.domain.survey import Counted, Survey
from shared.domain.themes import Found, Lexicon

Count = tuple[str, str, str]
"""What is counted: scope, day or month, field."""

FUNNEL = ("eligible", "has_address", "not_held", "sent", "delivered", "answered", "commented")
"""The stages, each implying those before: an answer proves that the survey was delivered."""

QUICK = timedelta(minutes=15)
"""An answer sooner than this after check-out was probably given with staff looking on."""

MONTHLY = "month#"
"""Begins the scopes of the rows by month."""

_NEVER_ASKED = {"withdrawn", "superseded", "deceased"}
_REACHED = {"no_address": "eligible", **dict.fromkeys(("expired", "refused", "restored", "unknown"), "not_held")}


def facts_of(survey: Survey, practice_zone: ZoneInfo, lexicon: Lexicon) -> Counted | None:
    """What the aggregates are to hold of a survey, by practice-local days; None while it waits or if it never counts.

    Withdrawn, superseded and those of deceased patients never count. Unsent for want of an address is `eligible`;
    expired, refused by the provider or of unknown outcome (`restored` too) is `not_held`; any other reason held it:
    `has_address`. The cohort is the day of sending, or the day it was due if it was never sent.
    """
    stage = _stage(survey)
    if stage is None:
        return None

    def day(moment: datetime) -> str:
        return moment.astimezone(practice_zone).date().isoformat()

    found = lexicon.find(survey.comment) if survey.comment else Found()
    answered_at = survey.answered_at
    return Counted(
        score=survey.score,
        answer_day=day(answered_at) if answered_at else "",
        cohort_day=day(survey.sent_at or survey.due_at),
        funnel=FUNNEL[: FUNNEL.index(stage) + 1],
        clinic_id=survey.clinic_id,
        therapist_id=survey.therapist_id,
        touchpoint=survey.touchpoint,
        language=survey.language,
        answered_at=format_instant(answered_at) if answered_at else "",
        themes=found.themes,
        concerns=found.concerns,
        is_quick=answered_at is not None and answered_at - survey.occurred_at < QUICK,
        is_onsite=bool(survey.answers) and survey.answers[-1].onsite,
        is_invited=survey.review_invited_at is not None,
    )


def _stage(survey: Survey) -> str | None:
    if survey.score is not None:
        return "commented" if survey.comment.strip() else "answered"
    if survey.sent_at:
        return "delivered" if survey.delivered_at else "sent"
    if not survey.unsent_reason or survey.unsent_reason in _NEVER_ASKED:
        return None
    return _REACHED.get(survey.unsent_reason, "has_address")


def mark_latest(of_one_patient: Mapping[str, Counted | None]) -> dict[str, Counted | None]:
    """The same facts of a patient's surveys, each knowing where it is the patient's latest of its quarter and month.

    `practice`, `clinic` and `therapist` are judged apart, so that each has one answer a patient and quarter or month.
    """
    answers = {
        survey_id: facts
        for survey_id, facts in of_one_patient.items()
        if facts and facts.score is not None and facts.language
    }
    months = {survey_id: facts.answer_day[:7] for survey_id, facts in answers.items()}
    of_month = _latest(answers, months)
    of_quarter = _latest(answers, {survey_id: _end_of_quarter(month) for survey_id, month in months.items()})
    return {
        survey_id: facts
        and replace(facts, latest_in=of_quarter.get(survey_id, ()), latest_in_month=of_month.get(survey_id, ()))
        for survey_id, facts in of_one_patient.items()
    }


def _latest(answers: Mapping[str, Counted], spans: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Where each of a patient's answers is the latest of its span."""
    latest: dict[tuple[str, ...], tuple[str, str]] = {}
    for survey_id, facts in answers.items():
        for place in _places(facts):
            key = (*place, spans[survey_id])
            latest[key] = max(latest.get(key, ("", "")), (facts.answered_at, survey_id))
    return {
        survey_id: tuple(place[0] for place in _places(facts) if latest[*place, spans[survey_id]][1] == survey_id)
        for survey_id, facts in answers.items()
    }


def _places(facts: Counted) -> list[tuple[str, ...]]:
    """Where the answer counts, among what is counted by month."""
    places = [("practice",), ("clinic", facts.clinic_id)]
    # A therapist who works at two clinics counts at each: their figures are read from the clinics' rows.
    return [*places, ("therapist", facts.clinic_id, facts.therapist_id)] if facts.therapist_id else places


def _end_of_quarter(month: str) -> str:
    """The last month of its quarter: `2026-12` for `2026-10`."""
    return f"{month[:5]}{(int(month[5:]) + 2) // 3 * 3:02d}"


def contribution(counted: Counted | None) -> Counter[Count]:
    """The counts that the facts add, each once, in every row that the survey belongs to; the canary has one alone."""
    if counted is None:
        return Counter()
    if is_canary(counted.clinic_id):
        return Counter(_daily([SCOPE], counted))
    scopes = ["practice", f"clinic#{counted.clinic_id}", f"touchpoint#{counted.touchpoint}"]
    if counted.therapist_id:
        scopes.append(f"therapist#{counted.therapist_id}")
    counts = Counter(_daily(scopes, counted))
    if counted.language:  # the first release counted no months
        counts.update(_monthly(counted))
    return counts


def _daily(scopes: Sequence[str], counted: Counted) -> Iterator[Count]:
    for scope in scopes:
        for stage in counted.funnel:
            yield scope, counted.cohort_day, stage
        if counted.score is not None:
            yield scope, counted.answer_day, f"s{counted.score}"


def _monthly(counted: Counted) -> Iterator[Count]:
    practice, clinic = f"{MONTHLY}practice", f"{MONTHLY}clinic#{counted.clinic_id}"
    kind = f"{counted.touchpoint}|{counted.language}|"
    for stage in counted.funnel:
        yield practice, counted.cohort_day[:7], kind + stage
        yield clinic, counted.cohort_day[:7], kind + stage
    if counted.score is None:
        return
    month = counted.answer_day[:7]
    for field in (f"s{counted.score}", *_remarks(counted, classify(counted.score))):
        yield practice, month, kind + field
        yield clinic, month, kind + field
    if counted.therapist_id:
        yield clinic, month, f"@{counted.therapist_id}|s{counted.score}"
    names = {
        "practice": (practice, kind),
        "clinic": (clinic, kind),
        "therapist": (clinic, f"@{counted.therapist_id}|"),
    }
    for mark, places in ("u", counted.latest_in), ("m", counted.latest_in_month):
        for place in places:
            scope, prefix = names[place]
            yield scope, month, f"{prefix}{mark}{counted.score}"


def _remarks(counted: Counted, group: Category) -> Iterator[str]:
    if "commented" in counted.funnel:
        yield f"comment|{group}"
    yield from (f"theme|{theme}|{group}" for theme in counted.themes)
    if counted.concerns:
        yield "safety"
    if counted.is_quick:
        yield "quick"
    if counted.is_onsite:
        yield "onsite"
    if counted.is_invited:
        yield f"review|{group}"


def change(before: Counted | None, after: Counted | None) -> dict[Count, int]:
    """What must be added, or with a minus taken away, where `before` is counted and `after` is right."""
    counts = contribution(after)
    counts.subtract(contribution(before))
    return {count: number for count, number in counts.items() if number}


def histogram(fields: Mapping[str, int]) -> list[int]:
    """The eleven counts of a row, or of several added up."""
    return [fields.get(f"s{score}", 0) for score in SCORES]


def histogram_of_latest(months: Mapping[str, Mapping[str, int]], last: str) -> list[int]:
    """The eleven counts of the patients' latest answers in a period of months, up to the month `last`.

    One answer a patient and quarter. Where the quarter goes on after the period, one a patient and month: the latest
    answer of the quarter may lie outside, and the patient would be missing.
    """
    marks = {month: "u" if _end_of_quarter(month) <= last else "m" for month in months}
    return [sum(fields.get(f"{marks[month]}{score}", 0) for month, fields in months.items()) for score in SCORES]


def of_kind(rows: Iterable[Mapping[str, int]], touchpoint: str = "", language: str = "") -> Counter[str]:
    """Rows by month added up: the plain fields of one touchpoint and language, or of all if empty."""
    counts = Counter[str]()
    for row in rows:
        for name, number in row.items():
            if name.startswith("@"):
                continue
            its_touchpoint, its_language, field = name.split("|", 2)
            if (not touchpoint or its_touchpoint == touchpoint) and (not language or its_language == language):
                counts[field] += number
    return counts


def by_touchpoint(rows: Iterable[Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Rows by month added up: the plain fields of each touchpoint."""
    found: dict[str, Counter[str]] = {}
    for row in rows:
        for name, number in row.items():
            if not name.startswith("@"):
                touchpoint, _, field = name.split("|", 2)
                found.setdefault(touchpoint, Counter())[field] += number
    return found


def by_therapist(rows: Iterable[Mapping[str, int]]) -> dict[str, Counter[str]]:
    """Clinics' rows by month added up: each therapist's `s0` … `s10`, and the patients' latest of them.

    Those are `u0` … `u10` of the quarter and `m0` … `m10` of the month.
    """
    found: dict[str, Counter[str]] = {}
    for row in rows:
        for name, number in row.items():
            if name.startswith("@"):
                therapist, _, field = name[1:].rpartition("|")
                found.setdefault(therapist, Counter())[field] += number
    return found

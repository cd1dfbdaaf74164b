"""What patients wrote: newest first, to be found by what it is about, and to be passed on to whom it praises."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from functions.serve_dashboard import choices
from functions.serve_dashboard.choices import LANGUAGES, Choice, Option, filters_of, read_choice
from functions.serve_dashboard.newer import newer_comments
from functions.serve_dashboard.overview import theme_name
from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, see_other
from shared.domain.clock import format_instant
from shared.domain.period import Period
from shared.domain.score import Category
from shared.domain.staff import Staff
from shared.domain.survey import Survey
from shared.storage import activity, comments, directory, praise, surveys
from shared.storage.comments import Listed
from shared.storage.directory import Directory
from shared.storage.lexicon import lexicon
from shared.storage.praise import Praise
from shared.storage.settings import practice

PAGE = 25
LOOKED_AT = 4000
"""Entries read for one page at most: whoever looks for something rare is led on from there."""
_LAST = "9"  # after every moment

GROUPS = {"detractor": "Detractors (0–6)", "passive": "Passives (7–8)", "promoter": "Promoters (9–10)"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which comments: the common choice, and what only comments have."""

    choice: Choice
    group: str
    theme: str
    only_safety: bool
    before: str  # the key of the last one of the page before

    def takes(self, entry: Listed) -> bool:
        """Whether this is one of them."""
        return (
            self.group in ("", entry.group)
            and (not self.theme or self.theme in entry.themes)
            and (not self.only_safety or bool(entry.concerns))
            and self.choice.therapist_id in ("", entry.therapist_id)
            and self.choice.touchpoint in ("", entry.touchpoint)
            and self.choice.language in ("", entry.language)
        )

    def query(self) -> dict[str, str]:
        """As the parameters of an address."""
        return {
            **self.choice.query(),
            "group": self.group,
            "theme": self.theme,
            "safety": "yes" if self.only_safety else "",
        }


@dataclass(frozen=True, slots=True)
class Shown:
    """One comment as the page tells it."""

    entry: Listed
    survey: Survey
    answered: str
    clinic_name: str
    therapist_name: str
    touchpoint: str
    is_passed_on: bool

    @property
    def may_be_passed_on(self) -> bool:
        """Whether it is praise, and for somebody."""
        return _is_praise(self.survey)


def list_comments(request: Request, staff: Staff) -> Response:
    """A page of comments."""
    known = directory.read()
    wanted = _wanted(request, staff, known)
    today = request.now.astimezone(practice().zone).date()
    found, last = _find(wanted)
    return page(
        request,
        staff,
        "comments.html",
        title="Comments",
        wanted=wanted,
        filters=filters_of(staff, known, today, wanted.choice.period),
        themes=[Option(theme, theme_name(theme)) for theme in lexicon().themes],
        groups=[Option(*group) for group in GROUPS.items()],
        shown=_shown(found, known),
        next_before=last,
        theme_name=theme_name,
        languages=LANGUAGES,
        passed_on_to=request.query("passed"),
        therapists=known.therapists,
    )


def pass_on(request: Request, staff: Staff) -> Response:
    """Put a comment on the page of the therapist it praises, without the patient's name, and write down who did."""
    survey = surveys.get(request.params["survey_id"])
    if survey is None or not survey.answers or not staff.may_see(survey.clinic_id):
        raise NotFound
    if not _is_praise(survey):
        raise BadForm("Only the comment of a promoter can be passed on, to the therapist of that visit.")
    version = survey.answers[-1].version
    if request.field("version") != str(version):
        raise BadForm("The patient has changed this comment meanwhile. Please go back, and read it again.")
    praise.pass_on(survey.therapist_id, Praise(survey.survey_id, version, request.now, staff.name))
    activity.note(
        survey.patient_id,
        "praise_passed_on",
        request.now,
        f"{survey.survey_id}-v{version}",
        survey_id=survey.survey_id,
        version=version,
        detail=staff.name,
    )
    known = directory.read()
    wanted = _wanted(request, staff, known)
    query = {**wanted.query(), "before": wanted.before, "passed": survey.therapist_id}
    return see_other(request.link("/comments", **query))


def _is_praise(survey: Survey) -> bool:
    return survey.category is Category.PROMOTER and bool(survey.comment.strip()) and bool(survey.therapist_id)


def _wanted(request: Request, staff: Staff, known: Directory) -> Wanted:
    wanted = Wanted(
        choice=read_choice(request, staff, known, default=None),
        group=request.query("group"),
        theme=request.query("theme"),
        only_safety=bool(request.query("safety")),
        before=request.query("before"),
    )
    if wanted.group not in ("", *GROUPS) or (wanted.theme and wanted.theme not in lexicon().themes):
        raise NotFound
    return wanted


def _find(wanted: Wanted) -> tuple[list[tuple[Listed, Survey]], str]:
    """The comments of this page, and from where the next begins; empty if this is the last.

    Keys order the list for good, so that nothing is shown twice or skipped when new comments come in between.
    """
    looked_at: list[str] = []

    def candidates() -> Iterator[Listed]:
        for entry in islice(_entries(wanted), LOOKED_AT):
            looked_at.append(entry.key)
            if wanted.takes(entry):
                yield entry

    fitting, found = candidates(), list[tuple[Listed, Survey]]()
    while chunk := list(islice(fitting, PAGE + 1)):
        stored = surveys.get_many(entry.survey_id for entry in chunk)
        for entry in chunk:
            # One that was changed since is shown where it stands now; one that was erased, nowhere.
            survey = stored.get(entry.survey_id)
            if survey is None or not _is_current(entry, survey):
                continue
            if len(found) == PAGE:
                return found, found[-1][0].key
            found.append((entry, survey))
    return found, looked_at[-1] if len(looked_at) == LOOKED_AT else ""


def _is_current(entry: Listed, survey: Survey) -> bool:
    return survey.answered_at is not None and entry.key.startswith(format_instant(survey.answered_at))


def _entries(wanted: Wanted) -> Iterator[Listed]:
    """All entries of the chosen clinics and period, newest first, today's among them."""
    first, end = _moments(wanted.choice.period)
    before = min(wanted.before or _LAST, end)
    today = [
        entry
        for entry in newer_comments().values()
        if entry and wanted.choice.covers(entry.clinic_id) and first <= entry.key < before
    ]
    counted = [comments.newest(clinic, first, before) for clinic in wanted.choice.clinics]
    return heapq.merge(
        sorted(today, key=lambda entry: entry.key, reverse=True),
        *counted,
        key=lambda entry: entry.key,
        reverse=True,
    )


def _moments(period: Period | None) -> tuple[str, str]:
    """The first moment of the period and the one after it, by the practice's calendar."""
    if period is None:
        return "0", _LAST

    def midnight(year: int, month: int, day: int) -> str:
        return format_instant(datetime(year, month, day, tzinfo=practice().zone).astimezone(UTC))

    after = period.last + timedelta(days=1)
    return (
        midnight(period.first.year, period.first.month, period.first.day),
        midnight(after.year, after.month, after.day),
    )


def _shown(found: list[tuple[Listed, Survey]], known: Directory) -> list[Shown]:
    passed_on = praise.passed_on((entry.survey_id, entry.therapist_id) for entry, _ in found)
    return [
        Shown(
            entry,
            survey,
            at(survey.answered_at, practice().zone) if survey.answered_at else "",
            choices.clinic_name(entry.clinic_id),
            known.therapists.get(entry.therapist_id, entry.therapist_id),
            choices.touchpoint_name(entry.touchpoint),
            entry.survey_id in passed_on,
        )
        for entry, survey in found
    ]

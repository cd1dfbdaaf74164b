"""The first page of owners and clinic admins: the score, what it is worth, and where it comes from."""

from dataclasses import dataclass
from datetime import date

from functions.serve_dashboard import charts
from functions.serve_dashboard.choices import Choice, Option, filters_of, read_choice, touchpoint_name
from functions.serve_dashboard.figures import Figures, Ranking, read_figures
from functions.serve_dashboard.newer import newer_answers
from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.sending import RESUMED, troubles
from functions.serve_dashboard.web import Request, Response
from shared.domain.period import Period, Span, quarter_of
from shared.domain.score import Category
from shared.domain.settings import Practice
from shared.domain.staff import Staff
from shared.domain.statistics import PHYSICAL_THERAPY, Benchmark, Standing, answers_to_settle, standing
from shared.storage import directory
from shared.storage.settings import practice

STAGES = {
    "eligible": "Reached a touchpoint",
    "has_address": "Have an email address",
    "not_held": "Were not held back",
    "sent": "Were sent a survey",
    "delivered": "Had it delivered",
    "answered": "Answered",
    "commented": "Wrote a comment",
}


@dataclass(frozen=True, slots=True)
class Bands:
    """Where the score stands among other practices, with what settles it; `more` None is never."""

    benchmark: Benchmark
    probabilities: Standing
    more: int | None

    @property
    def is_above(self) -> bool:
        """Whether above average is the likelier side."""
        return self.probabilities.is_above >= 0.5

    @property
    def certainty(self) -> float:
        """How probable the likelier side is."""
        return max(self.probabilities.is_above, 1 - self.probabilities.is_above)


def overview(request: Request, staff: Staff) -> Response:
    """How the practice, or what is chosen of it, is doing."""
    today = request.now.astimezone(practice().zone).date()
    known = directory.read()
    choice = read_choice(request, staff, known, default=quarter_of(today))
    period = choice.period or quarter_of(today)
    filters = filters_of(staff, known, today, period)
    compared = tuple(option for option in filters.clinics if option.value in choice.clinics)
    figures = read_figures(choice, period, today, compared, filters.therapists)
    return page(
        request,
        staff,
        "overview.html",
        title="Overview",
        troubles=troubles(request, staff),
        resumed=request.query("done") == RESUMED,
        choice=choice,
        period=period,
        filters=filters,
        subject=_subject(choice, compared, filters.therapists),
        figures=figures,
        counted_once=_counted_once(period),
        bands=_bands(figures, practice()),
        goal=practice().goal,
        charts=charts,
        month=month_label,
        labels=[month_label(point.label) for point in figures.chart.points],
        stages=STAGES,
        groups=list(Category),
        touchpoint_name=touchpoint_name,
        theme_name=theme_name,
        counted_at=at(known.counted_at, practice().zone) if known.counted_at else "",
        newer=newer_answers(choice),
        compares_clinics=bool(figures.clinics and len(compared) > 1),
        compares_therapists=_has_any(figures.therapists),
    )


def theme_name(theme: str) -> str:
    """`Front desk` for `front_desk`."""
    return theme.replace("_", " ").capitalize()


def month_label(key: str, *, is_long: bool = False) -> str:
    """`Mar 26` or `March 2026` for `2026-03`."""
    first = date.fromisoformat(f"{key}-01")
    return f"{first:%B %Y}" if is_long else f"{first:%b %y}"


def _subject(choice: Choice, clinics: tuple[Option, ...], therapists: tuple[Option, ...]) -> str:
    """What the figures are of, in words."""
    parts = [option.name for option in therapists if option.value == choice.therapist_id]
    if choice.clinic_id:
        parts.append(clinics[0].name)
    elif not parts:
        parts.append("All clinics" if choice.everything or len(clinics) > 1 else clinics[0].name if clinics else "")
    if choice.touchpoint and not choice.therapist_id:
        parts.append(f"after: {touchpoint_name(choice.touchpoint).lower()}")
    return ", ".join(filter(None, parts))


def _counted_once(period: Period) -> str:
    """How a patient who answered more than once is counted where nobody may count twice."""
    if period.span in (Span.MONTH, Span.QUARTER):
        return "each patient’s latest answer"
    return "one answer a patient and quarter, the latest"


def _bands(figures: Figures, chosen: Practice) -> Bands | None:
    if figures.score.value is None:
        return None
    benchmark = Benchmark(*chosen.benchmark, "") if chosen.benchmark else PHYSICAL_THERAPY
    groups = (figures.latest or figures.score).groups
    return Bands(benchmark, standing(groups, benchmark), answers_to_settle(groups, benchmark.average))


def _has_any(ranking: Ranking | None) -> bool:
    return ranking is not None and bool(ranking.ranked or ranking.too_few)

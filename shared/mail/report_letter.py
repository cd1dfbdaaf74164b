"""The weekly or monthly report in English: as a mail, and in sentences that the page to be printed uses too.

It names no patient and quotes nobody: see shared.domain.report for what it hides.
"""

from collections.abc import Sequence

from shared.domain.period import Span, days_in_words
from shared.domain.report import Line, Report, has_groups
from shared.domain.settings import Practice
from shared.domain.statistics import SCORE_FROM
from shared.mail.layout import NOTHING, clean_header, html_of
from shared.mail.mailer import Mail
from shared.mail.staff_letters import staff_mail

HIDDEN = f"fewer than {SCORE_FROM}"
NOTE = (
    f"Numbers under {SCORE_FROM} are left out, and so is what would give them away, because this report may be passed "
    "on. The ranges are 95 % confidence intervals, or wider where the exact one would tell what is hidden."
)
QUARTERS_ONLY = (
    "Groups, themes and cases are told of whole quarters only: from periods that overlap, small numbers could be "
    "worked out."
)
_BEFORE = {
    Span.WEEK: "the week before",
    Span.MONTH: "the month before",
    Span.QUARTER: "the quarter before",
    Span.YEAR: "the year before",
    Span.TWELVE_MONTHS: "the twelve months before",
}
_LONG = (Span.YEAR, Span.TWELVE_MONTHS)


def report(practice: Practice, shown: Report, *, to: Sequence[str], dashboard_link: str) -> Mail:
    """The figures of the period for whoever the practice chose, with a table of the clinics if there are several."""
    facts, lines = facts_of(shown), [(clean_header(line.name), *cells_of(line)) for line in shown.lines]
    rows = NOTHING.join(html_of("fact", label=label, value=value) for label, value in facts)
    clinics = NOTHING.join(
        html_of("report_clinic", name=name, answers=answers, score=score) for name, answers, score in lines
    )
    table = html_of("report_clinics", caption=f"Clinics, {shown.period.name}", rows=clinics) if lines else NOTHING
    blocks = ["\n".join(f"{label}: {value}" for label, value in facts)]
    if lines:
        blocks.append("\n".join(f"{name}: answers {answers}; score {score}" for name, answers, score in lines))
    return staff_mail(
        practice,
        to=tuple(to),
        subject=f"How patients saw us: {shown.period.name}",
        heading=f"How patients saw us: {shown.period.name}",
        html=html_of("facts", rows=rows) + table + html_of("paragraph", text=NOTE),
        text="\n\n".join([*blocks, NOTE]),
        dashboard_link=dashboard_link,
        tags=None,
    )


def facts_of(shown: Report) -> list[tuple[str, str]]:
    """The report's figures as labels and sentences; what is hidden is said to be."""
    facts = [
        ("Net Promoter Score", _score(shown.total)),
        ("Change", _change(shown)),
        ("Answers", _answers(shown)),
    ]
    facts += [
        ("Response rate", _rate(shown)),
        ("Cases of unhappy patients", _cases(shown)),
        ("Comments", _themes(shown)),
    ]
    return [(label, text) for label, text in facts if text]


def cells_of(line: Line) -> tuple[str, str]:
    """A clinic's answers and score as they stand in a table."""
    answers = "hidden" if line.answers is None else str(line.answers)
    if line.score is None or line.interval is None:
        return answers, "hidden"
    return answers, f"{line.score} ({line.interval.low:.0f} to {line.interval.high:.0f})"


def _score(line: Line) -> str:
    if line.score is None or line.interval is None:
        return f"Not shown: {HIDDEN} answers, or too few to keep them apart."
    hint = " Few answers: take it as a hint." if line.is_low else ""
    return f"{line.score}, between {line.interval.low:.0f} and {line.interval.high:.0f} with 95 % confidence.{hint}"


def _change(shown: Report) -> str:
    if shown.change is None or shown.score_before is None:
        return ""
    before = f"{shown.score_before} {_BEFORE[shown.period.span]}."
    counted = " (by one answer a patient and quarter)" if shown.period.span in _LONG else ""
    if not shown.change.is_significant:
        return f"{before} The difference may be chance{counted}."
    direction = "Better" if shown.change.points > 0 else "Worse"
    return f"{before} {direction}, and by more than chance explains{counted}."


def _answers(shown: Report) -> str:
    line = shown.total
    if line.answers is None:
        return f"{HIDDEN[0].upper()}{HIDDEN[1:]}."
    if not has_groups(shown.period):
        return f"{line.answers}. {QUARTERS_ONLY}"
    if line.groups is None:
        return f"{line.answers}. At least one group is small, so the groups are not shown."
    return (
        f"{line.answers}: {line.groups.promoters} promoters (9–10), {line.groups.passives} passives (7–8), "
        f"{line.groups.detractors} detractors (0–6)."
    )


def _rate(shown: Report) -> str:
    if shown.rate is None:
        return ""
    sent = days_in_words(shown.cohort.first, shown.cohort.last)
    return f"{100 * shown.rate:.0f} % of {shown.cohort.sent} surveys sent {sent}, all at least 14 days ago."


def _cases(shown: Report) -> str:
    if shown.opened is None and shown.closed is None and shown.late is None:
        return ""
    opened, closed, late = (HIDDEN if number is None else number for number in (shown.opened, shown.closed, shown.late))
    return f"Opened: {opened}. Closed: {closed}. Nobody reached out in time: {late}."


def _themes(shown: Report) -> str:
    if not shown.themes:
        return ""
    named = ", ".join(f"{theme.name.replace('_', ' ')} ({theme.mentions})" for theme in shown.themes)
    return f"Most often about: {named}."

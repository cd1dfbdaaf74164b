"""What the practice chose: read, checked and written a section at a time, over what the stack's parameters say."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from functions.serve_dashboard.settings_forms import CONTENDED, LONGEST, Field, in_words, show
from functions.serve_dashboard.web import NotFound, Request, Response, see_other
from shared.config import BadSetting
from shared.domain.settings import WEEKDAYS, clinic_of, parse_addresses, parse_days, parse_review_links
from shared.domain.staff import Staff
from shared.storage import changes, settings
from shared.storage.changes import Change

_YES_NO = {"true": "Yes", "false": "No"}


def links_of(text: str) -> tuple[str, ...]:
    """Review links as people edit them, one a line."""
    return tuple(f"{link.label}={link.url}" for link in parse_review_links(text))


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting, under the name of the parameter that gives its default."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"
    options: Mapping[str, str] = field(default_factory=dict)
    default: str = ""  # where no parameter gives one
    nothing: str = "none"  # how people read an empty one
    lines: Callable[[str], Iterable[str]] | None = None  # an area is edited a line at a time


@dataclass(frozen=True, slots=True)
class Section:
    """A page of choices that are checked together."""

    title: str
    summary: str
    choices: tuple[Choice, ...]


SECTIONS = {
    "asking": Section(
        "When patients are asked",
        "After which visits, at which hours, how often, and whether they are reminded.",
        (
            Choice("TOUCHPOINTS", "Ask", kind="touchpoints"),
            Choice("SURVEY_DELAY_HOURS", "Hours between the visit and the mail", "From 0 to 336.", "number"),
            Choice("SEND_FROM", "Send from", "By the clinic's clock, such as 08:00."),
            Choice("SEND_UNTIL", "Send until", "Such as 20:00; 24:00 is the end of the day."),
            Choice("SEND_DAYS", "Send on", kind="days"),
            Choice(
                "PAUSE_DAYS",
                "Days between two surveys to the same patient",
                "Ten days leave room for evaluation, sixth visit and discharge.",
                "number",
            ),
            Choice(
                "REMINDER_AFTER_DAYS",
                "Days until the one reminder",
                "Whoever answered is not reminded. 0 sends no reminder.",
                "number",
            ),
        ),
    ),
    "reviews": Section(
        "Public reviews",
        "Who is asked for a review, when, and where.",
        (
            Choice(
                "REVIEW_INVITATIONS",
                "Who gets a mail that asks for a review",
                "Google forbids asking happy patients only. Everybody finds the links on the thank-you page.",
                "options",
                {"promoters": "Patients who answer 9 or 10", "everyone": "Everybody who answers", "off": "Nobody"},
            ),
            Choice("REVIEW_DELAY_HOURS", "Hours between the answer and that mail", "From 0 to 720.", "number"),
            Choice(
                "REVIEW_LINKS",
                "Review pages",
                "Links that begin with https://, one a line; “Google=https://…” gives a page a name. "
                "A clinic may have its own.",
                "area",
                lines=links_of,
            ),
        ),
    ),
    "alerts": Section(
        "Alerts",
        "Who hears of unhappy patients, and what the mail says.",
        (
            Choice(
                "ADMIN_ADDRESSES",
                "Who gets the alerts",
                "Email addresses, one a line. A clinic may have its own.",
                "area",
                lines=parse_addresses,
            ),
            Choice(
                "PASSIVE_ALERTS",
                "How you hear of patients who answer 7 or 8",
                kind="options",
                options={"digest": "In the daily mail", "immediate": "At once", "off": "Not by mail"},
            ),
            Choice(
                "ALERT_DETAIL",
                "What an alert says",
                "Mail is read on many screens. With the first, names and words stay on the dashboard.",
                "options",
                {"minimal": "Score group and clinic, with a link", "full": "The patient's name and words as well"},
            ),
            Choice(
                "PROMISE_CONTACT",
                "Does the thank-you page promise an unhappy patient that somebody will be in touch?",
                kind="options",
                options=_YES_NO,
            ),
        ),
    ),
    "cases": Section(
        "Cases",
        "How soon somebody reaches out, and who hears if nobody does.",
        (
            Choice(
                "RESPONSE_HOURS",
                "Business hours until somebody has reached out",
                "From 1 to 200. New cases follow; open ones keep their deadline.",
                "number",
                default="8",
            ),
            Choice("BUSINESS_FROM", "Business hours begin", "By the clinic's clock.", default="08:00"),
            Choice("BUSINESS_UNTIL", "Business hours end", default="18:00"),
            Choice("BUSINESS_DAYS", "Business days", kind="days", default="Mon-Fri"),
            Choice(
                "CASES_FOR_PASSIVES",
                "Does a 7 or 8 open a case as well?",
                kind="options",
                options=_YES_NO,
                default="false",
            ),
            Choice(
                "ESCALATE_TO",
                "Who hears of a case that nobody took in time",
                "Email addresses, one a line.",
                "area",
                lines=parse_addresses,
                nothing="whoever gets the alerts",
            ),
            Choice(
                "CLINICAL_LEADS",
                "Who hears of a comment that may concern safety",
                "Email addresses, one a line.",
                "area",
                lines=parse_addresses,
                nothing="whoever gets the alerts",
            ),
        ),
    ),
    "goals": Section(
        "Goal and worth",
        "The score you want to reach, what to compare with, and what a visit brings.",
        (
            Choice("GOAL", "The NPS you want to reach", "From -100 to 100.", "number"),
            Choice(
                "BENCHMARK",
                "Compare with figures of your own",
                "Where the bottom tenth ends, the average, and where the top tenth begins, such as 75, 84, 90.",
                nothing="75, 84, 90: physical therapy in 2017, as WebPT published it",
            ),
            Choice(
                "VISIT_VALUE",
                "Dollars that a visit brings on average",
                "Such as 95 or 95.50. Without it, worth is told in patients and visits only.",
            ),
        ),
    ),
}

MOMENTS = {
    "evaluation": "after the evaluation",
    "discharge": "after discharge",
    "visit": "after visit {n}",
    "days_after_evaluation": "{n} days after the evaluation",
    "days_after_discharge": "{n} days after discharge",
    "lapsed": "{n} days after the last visit of somebody who stays away",
}
NOW_ASKED = (
    "From the next import on, surveys are made for the moments that you chose. What was sent stays as it is. "
    "A survey that waits for a moment you no longer chose is withdrawn when that patient's visits next come in."
)


def one(request: Request, staff: Staff) -> Response:
    """A section with what is chosen at present."""
    section = _section(request)
    return _show(request, staff, section, _fields(section, settings.chosen_texts(), {}, {}))


def change(request: Request, staff: Staff) -> Response:
    """Take over a section as a form has it, all of it or, if anything is wrong, nothing."""
    section = _section(request)
    chosen = settings.chosen_texts()
    typed = {choice.name: _typed(request, choice) for choice in section.choices}
    wanted = {choice.name: _wanted(request, choice, typed[choice.name], chosen) for choice in section.choices}
    errors = _errors(section, chosen, wanted)
    if errors:
        fields = _fields(section, chosen, typed, errors)
        return _show(request, staff, section, fields, "Please look at the fields that are marked.", 400)
    changed = {name: text for name, text in wanted.items() if text != chosen.get(name)}
    if changed:
        noted = [_noted(choice, chosen, changed) for choice in section.choices if choice.name in changed]
        before = {choice.name: chosen.get(choice.name) for choice in section.choices}
        if not changes.write_texts(settings.PRACTICE, before, changed, noted, staff, request.now):
            fields = _fields(section, settings.chosen_texts(), {}, {})
            return _show(request, staff, section, fields, CONTENDED, 409)
    done = "nothing" if not changed else "asking" if "TOUCHPOINTS" in changed else "saved"
    return see_other(request.link(request.path, done=done))


def say(choice: Choice, text: str) -> str:
    """A choice as people read it."""
    if not text:
        return choice.nothing
    if choice.kind == "touchpoints":
        named = (part.partition(":") for part in text.split(","))
        return ", ".join(MOMENTS.get(kind, kind).format(n=n) for kind, _, n in named)
    if choice.kind == "days":
        return ", ".join(_days(text))
    if choice.lines:
        return ", ".join(choice.lines(text))
    return choice.options.get(text, text)


def _section(request: Request) -> Section:
    if request.params["section"] not in SECTIONS:
        raise NotFound
    return SECTIONS[request.params["section"]]


def _default(choice: Choice) -> str:
    return os.environ.get(choice.name, choice.default)


def _show(
    request: Request, staff: Staff, section: Section, fields: list[Field], problem: str = "", status: int = 200
) -> Response:
    done = {
        "saved": "Saved. It counts everywhere within a minute.",
        "nothing": "There was nothing to change.",
        "asking": f"Saved. {NOW_ASKED}",
    }
    return show(
        request,
        staff,
        "settings_form.html",
        scopes=(settings.PRACTICE,),
        problem=problem,
        status=status,
        title=section.title,
        lede=section.summary,
        done=done.get(request.query("done"), ""),
        fields=fields,
        moments=MOMENTS,
    )


def _fields(
    section: Section, chosen: Mapping[str, str], typed: Mapping[str, str], errors: Mapping[str, str]
) -> list[Field]:
    return [
        Field(
            name=choice.name,
            label=choice.label,
            hint=choice.hint,
            kind=choice.kind,
            value=value,
            default=say(choice, _default(choice)),
            is_own=choice.name in chosen,
            error=errors.get(choice.name, ""),
            options=_numbers(value) if choice.kind == "touchpoints" else choice.options,
        )
        for choice in section.choices
        for value in [_editable(choice, typed.get(choice.name, chosen.get(choice.name, _default(choice))))]
    ]


def _editable(choice: Choice, text: str) -> str:
    """The normal form of a text; one that is malformed stays as it was typed."""
    if choice.kind == "days":
        return ",".join(_days(text))
    if choice.kind == "touchpoints":
        return ",".join(sorted(set(text.split(",")), key=_moment_order))
    try:
        return "\n".join(choice.lines(text)) if choice.lines else text.strip()
    except ValueError:
        return "\n".join(text.split(";"))


def _days(text: str) -> list[str]:
    try:
        return [WEEKDAYS[day] for day in sorted(parse_days(text))]
    except ValueError:
        return []


def _moment_order(text: str) -> tuple[int, int, str]:
    kind, _, n = text.partition(":")
    return (list(MOMENTS).index(kind) if kind in MOMENTS else len(MOMENTS), len(n), n)


def _numbers(text: str) -> dict[str, str]:
    """Touchpoints as the form has them: what is ticked, and the numbers that are typed."""
    typed: dict[str, list[str]] = {}
    for part in filter(None, text.split(",")):
        kind, _, n = part.partition(":")
        typed.setdefault(kind, []).append(n)
    return {kind: ", ".join(typed[kind]) or "on" if kind in typed else "" for kind in MOMENTS}


def _typed(request: Request, choice: Choice) -> str:
    """What the form has for a choice, written as parameters are."""
    if choice.kind == "days":
        return ",".join(request.form.get(choice.name, []))
    if choice.kind == "touchpoints":
        ticked = (kind for kind in ("evaluation", "discharge") if kind in request.form.get(choice.name, []))
        numbered = (
            f"{kind}:{n}"
            for kind in MOMENTS
            for n in request.field(f"{choice.name}.{kind}").replace(",", " ").replace(";", " ").split()
        )
        return ",".join([*ticked, *numbered])
    text = request.field(choice.name)
    return ";".join(filter(None, map(str.strip, text.splitlines()))) if choice.kind == "area" else text


def _wanted(request: Request, choice: Choice, text: str, chosen: Mapping[str, str]) -> str | None:
    """What is to be stored: nothing where the default is meant, and what stands there if it means the same."""
    present = chosen.get(choice.name)
    is_default = _editable(choice, text) == _editable(choice, _default(choice))
    if choice.name in request.form.get("default", []) or is_default or (not text and choice.name not in os.environ):
        return None
    return present if present is not None and _editable(choice, text) == _editable(choice, present) else text


def _errors(section: Section, chosen: Mapping[str, str], wanted: Mapping[str, str | None]) -> dict[str, str]:
    """What is wrong, by the name of the choice, in words for whoever typed it."""
    names = {choice.name for choice in section.choices}
    others = {name: text for name, text in chosen.items() if name not in names}
    given = {name: text for name, text in wanted.items() if text is not None}
    errors = {name: error for name, text in given.items() if (error := _error(name, text, others))}
    return errors or _error_together({**others, **given}, names)


def _error(name: str, text: str, others: Mapping[str, str]) -> str:
    if len(text) > LONGEST:
        return f"This is longer than {LONGEST:,} characters."
    if name == "ADMIN_ADDRESSES" and not text:
        return "Somebody must hear of unhappy patients: please give at least one address."
    try:
        settings.practice_with({**others, name: text})
    except BadSetting as error:
        if name == "TOUCHPOINTS":
            return "Please write whole numbers from 1 to 999." if text else "Please choose at least one moment."
        if name in ("SEND_DAYS", "BUSINESS_DAYS") and not text:
            return "Please choose at least one day."
        return in_words(error.__cause__) if error.__cause__ else ""  # what concerns two of them comes later
    return ""


def _error_together(chosen: Mapping[str, str], names: set[str]) -> dict[str, str]:
    try:
        practice = settings.practice_with(chosen)
    except BadSetting as error:
        return {name: "The end must be later than the beginning." for name in names if f" {name} is not" in str(error)}
    if "SEND_UNTIL" not in names:
        return {}
    shut = [
        clinic.name or clinic.clinic_id
        for clinic in settings.clinics()
        if not clinic_of(clinic, practice).window.ever_opens
    ]
    if shut:
        return {"SEND_UNTIL": f"With hours of its own, {shut[0]} would never send. Please change the clinic's first."}
    return {}


def _noted(choice: Choice, chosen: Mapping[str, str], changed: Mapping[str, str | None]) -> Change:
    old, new = chosen.get(choice.name), changed[choice.name]
    return Change(
        settings.PRACTICE,
        choice.label,
        say(choice, _default(choice) if old is None else old),
        say(choice, _default(choice) if new is None else new),
    )

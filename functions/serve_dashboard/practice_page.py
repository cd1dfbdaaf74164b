"""What the practice chose: read, checked and written a section at a time, over what the stack's parameters say."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from functions.serve_dashboard.settings_forms import (
    CONTENDED,
    PLEASE_LOOK,
    Choice,
    Form,
    in_words,
    links_of,
    not_reached,
    show,
    too_long,
)
from functions.serve_dashboard.web import NotFound, Request, Response, see_other
from shared.config import BadSetting
from shared.domain.settings import clinic_of, parse_addresses
from shared.domain.staff import Staff
from shared.storage import changes, settings

FEWEST_HOURS = 5  # of business in a week
_YES_NO = {"true": "Yes", "false": "No"}


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
            Choice(
                "TOUCHPOINTS",
                "Ask",
                "Numbers have commas between them: 6, 12 is the sixth and the twelfth visit.",
                "touchpoints",
            ),
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
            Choice(
                "MAX_SENDS_PER_DAY",
                "Most mails to patients in one day",
                "What is over it waits for the next day. The day ends at midnight of world time (UTC). 0 is no limit.",
                "number",
                empty_is_default=True,
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
                empty_is_default=True,
            ),
            Choice("BUSINESS_FROM", "Business hours begin", "By the clinic's clock.", empty_is_default=True),
            Choice("BUSINESS_UNTIL", "Business hours end", empty_is_default=True),
            Choice("BUSINESS_DAYS", "Business days", kind="days"),
            Choice(
                "CASES_FOR_PASSIVES",
                "Does a 7 or 8 open a case as well?",
                kind="options",
                options=_YES_NO,
                empty_is_default=True,
            ),
            Choice(
                "ESCALATE_TO",
                "Who hears of a case that nobody took in time",
                "Email addresses, one a line.",
                "area",
                lines=parse_addresses,
                empty_is_default=True,
            ),
            Choice(
                "CLINICAL_LEADS",
                "Who hears of a comment that may concern safety",
                "Email addresses, one a line. The clinic's admins hear of it too; without a clinical lead, they alone.",
                "area",
                lines=parse_addresses,
                nothing="the clinic's admins alone",
                empty_is_default=True,
            ),
        ),
    ),
    "goals": Section(
        "Goal and worth",
        "The score you want to reach, what to compare with, and what a visit brings.",
        (
            Choice("GOAL", "The NPS you want to reach", "From -100 to 100.", "number", empty_is_default=True),
            Choice(
                "BENCHMARK",
                "Compare with figures of your own",
                "Where the bottom tenth ends, the average, and where the top tenth begins, such as 75, 84, 90.",
                nothing="75, 84, 90: physical therapy in 2017, as WebPT published it",
                empty_is_default=True,
            ),
            Choice(
                "VISIT_VALUE",
                "Dollars that a visit brings on average",
                "Such as 95 or 95.50. Without it, worth is told in patients and visits only.",
                empty_is_default=True,
            ),
        ),
    ),
}

_DEFAULTS = {
    "MAX_SENDS_PER_DAY": "0",
    "RESPONSE_HOURS": "8",
    "BUSINESS_FROM": "08:00",
    "BUSINESS_UNTIL": "18:00",
    "BUSINESS_DAYS": "Mon-Fri",
    "CASES_FOR_PASSIVES": "false",
}
"""What holds where no parameter says anything."""

NOW_ASKED = (
    "From the next import on, surveys are made for the moments that you chose. What was sent stays as it is. "
    "A survey that waits for a moment you no longer chose is withdrawn when that patient's visits next come in."
)


def one(request: Request, staff: Staff) -> Response:
    """A section with what is chosen at present."""
    section = _section(request)
    return _show(request, staff, section, _form(section))


def change(request: Request, staff: Staff) -> Response:
    """Take over a section as a form has it, all of it or, if anything is wrong, nothing."""
    section = _section(request)
    form = _form(section)
    if conflicts := form.conflicts(request):
        return _show(request, staff, section, form, conflicts, CONTENDED, 409)
    wanted = form.wanted(request)
    errors = too_long(section.choices, wanted) or _errors(form, wanted)
    if errors:
        return _show(request, staff, section, form, errors, PLEASE_LOOK, 400)
    changed = form.changed(wanted)
    if changed:
        noted = form.notes(settings.PRACTICE, changed)
        if not changes.write_texts(settings.PRACTICE, form.before(), changed, noted, staff, request.now):
            form = _form(section)
            return _show(request, staff, section, form, form.conflicts(request), CONTENDED, 409)
    done = "nothing" if not changed else "asking" if "TOUCHPOINTS" in changed else "saved"
    return see_other(request.link(request.path, done=done))


def _form(section: Section) -> Form:
    defaults = {choice.name: os.environ.get(choice.name, _DEFAULTS.get(choice.name, "")) for choice in section.choices}
    return Form(tuple(map(_with_names, section.choices)), settings.chosen_texts(), defaults)


def _with_names(choice: Choice) -> Choice:
    """The choice; that of late cases says whom its default means, since the deployment decides it."""
    if choice.name != "ESCALATE_TO":
        return choice
    otherwise = ", ".join(replace(settings.practice(), escalate_to=()).late_cases_to)
    return replace(choice, hint=f"{choice.hint} Without any: {otherwise}.", nothing=otherwise)


def _section(request: Request) -> Section:
    if request.params["section"] not in SECTIONS:
        raise NotFound
    return SECTIONS[request.params["section"]]


def _show(
    request: Request,
    staff: Staff,
    section: Section,
    form: Form,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    fields = form.fields(form.typed(request) if errors else None, errors)
    return show(
        request,
        staff,
        "settings_form.html",
        scopes=(settings.PRACTICE,),
        problem=problem,
        status=status,
        title=section.title,
        lede=section.summary,
        done=f"Saved. {NOW_ASKED}" if request.query("done") == "asking" else "",
        made_from=form.made_from,
        fields=fields,
        not_reached=not_reached(fields),
    )


def _errors(form: Form, wanted: Mapping[str, str | None]) -> dict[str, str]:
    """What is wrong, by the name of the choice, in words for whoever typed it."""
    others = {name: text for name, text in form.chosen.items() if name not in wanted}
    given = {name: text for name, text in wanted.items() if text is not None}
    errors = {name: error for name, text in given.items() if (error := _error(name, text, others))}
    return errors or _error_together({**others, **given}, set(wanted))


def _error(name: str, text: str, others: Mapping[str, str]) -> str:
    if name == "ADMIN_ADDRESSES" and not text:
        return "Somebody must hear of unhappy patients: please give at least one address."
    if name in ("SEND_DAYS", "BUSINESS_DAYS") and not text:
        return "Please choose at least one day."
    try:
        settings.practice_with({**others, name: text})
    except BadSetting as error:
        if name == "TOUCHPOINTS":
            return "Please write whole numbers from 1 to 999." if text else "Please choose at least one moment."
        return in_words(error.__cause__) if error.__cause__ else ""  # what concerns two of them comes later
    return ""


def _error_together(chosen: Mapping[str, str], names: set[str]) -> dict[str, str]:
    try:
        practice = settings.practice_with(chosen)
    except BadSetting as error:
        return {name: "The end must be later than the beginning." for name in names if f" {name} is not" in str(error)}
    if "BUSINESS_UNTIL" in names and practice.business.hours_a_week < FEWEST_HOURS:
        return {
            "BUSINESS_UNTIL": f"With fewer than {FEWEST_HOURS} business hours a week, deadlines would lie far away."
        }
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

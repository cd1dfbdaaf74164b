"""The playbook: what to write, and what to say, to a patient who was not happy."""

from collections.abc import Iterator, Mapping

from functions.serve_dashboard.settings_forms import CONTENDED, PLEASE_LOOK, Choice, Form, show, too_long
from functions.serve_dashboard.web import Request, Response, see_other
from shared.domain.patient import Language
from shared.domain.playbook import MAX_DRAFT, PLACEHOLDERS, check
from shared.domain.score import Category
from shared.domain.staff import Staff
from shared.locale.playbook import standard
from shared.storage import changes, playbook

_GROUPS = {Category.DETRACTOR: "to a patient who answered 0 to 6", Category.PASSIVE: "to one who answered 7 or 8"}
_LANGUAGES = {language: f"in {language.name.capitalize()}" for language in Language}
TALK_TRACK = "talk_track"


def _choices() -> Iterator[Choice]:
    for group, to in _GROUPS.items():
        for language, tongue in _LANGUAGES.items():
            yield Choice(f"{group}.{language}.subject", f"Subject {to}, {tongue}", empty_is_default=True, longest=200)
            yield Choice(
                f"{group}.{language}.body",
                f"Mail {to}, {tongue}",
                kind="area",
                empty_is_default=True,
                rows=12,
                longest=MAX_DRAFT,
            )
    yield Choice(
        TALK_TRACK,
        "What to say on the telephone",
        "One point a line.",
        "area",
        empty_is_default=True,
        rows=12,
        longest=MAX_DRAFT,
    )


_CHOICES = tuple(_choices())
_DEFAULTS = {
    **{f"{group}.{language}.subject": draft.subject for (group, language), draft in standard().drafts.items()},
    **{f"{group}.{language}.body": draft.body for (group, language), draft in standard().drafts.items()},
    TALK_TRACK: "\n".join(standard().talk_track),
}


def one(request: Request, staff: Staff) -> Response:
    """The drafts and the talk track as they are."""
    return _show(request, staff, _form())


def change(request: Request, staff: Staff) -> Response:
    """Take over what the form has, all of it or, if anything is wrong, nothing."""
    form = _form()
    if conflicts := form.conflicts(request):
        return _show(request, staff, form, conflicts, CONTENDED, 409)
    wanted = form.wanted(request)
    errors = too_long(_CHOICES, wanted) or _errors(wanted)
    if errors:
        return _show(request, staff, form, errors, PLEASE_LOOK, 400)
    changed = form.changed(wanted)
    if changed:
        noted = form.notes(playbook.SCOPE, changed)
        if not changes.write_texts(playbook.SCOPE, form.before(), changed, noted, staff, request.now):
            form = _form()
            return _show(request, staff, form, form.conflicts(request), CONTENDED, 409)
    return see_other(request.link(request.path, done="saved" if changed else "nothing"))


def _form() -> Form:
    return Form(_CHOICES, playbook.own_texts(), _DEFAULTS)


def _errors(wanted: Mapping[str, str | None]) -> dict[str, str]:
    book = playbook.playbook_of({name: text for name, text in wanted.items() if text is not None})
    errors = {}
    for (group, language), draft in book.drafts.items():
        try:
            check(draft)
        except ValueError as error:
            errors[f"{group}.{language}.body"] = str(error)
    return errors


def _show(
    request: Request,
    staff: Staff,
    form: Form,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    known = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
    return show(
        request,
        staff,
        "settings_form.html",
        scopes=(playbook.SCOPE,),
        problem=problem,
        status=status,
        title="Playbook",
        lede=(
            f"Drafts that whoever has a case makes their own before sending. Filled in: {known}. "
            "A line that needs something unknown is left out. Do not repeat comments or name treatments."
        ),
        made_from=form.made_from,
        fields=form.fields(form.typed(request) if errors else None, errors),
    )

"""The lists of words by which comments are sorted, and those that wake the clinical lead."""

from collections.abc import Mapping

from functions.serve_dashboard.settings_forms import CONTENDED, PLEASE_LOOK, Choice, Form, show
from functions.serve_dashboard.web import Request, Response, see_other
from shared.domain.staff import Staff
from shared.domain.themes import MOST_TEXT, BadLexicon, default_lexicon, lexicon_text, parse_lexicon
from shared.storage import changes
from shared.storage.settings import texts_of

SCOPE, TEXT = "lexicon", "text"
_CHOICE = Choice(
    TEXT,
    "Lists",
    "One list a line: a name, a colon, and words or phrases with commas between them; bill* stands for bill, bills and "
    "billing. A list whose name begins with “safety” marks comments for the clinical lead. A safety list that you "
    "leave out stays as it is by default, so that no slip of the hand switches it off.",
    "area",
    empty_is_default=True,
    rows=24,
    longest=MOST_TEXT,
)


def one(request: Request, staff: Staff) -> Response:
    """The lists as they are."""
    return _show(request, staff, _form())


def change(request: Request, staff: Staff) -> Response:
    """Take over the lists in their normal form; answers that were counted keep the themes they have."""
    form = _form()
    if conflicts := form.conflicts(request):
        return _show(request, staff, form, conflicts, CONTENDED, 409)
    wanted = form.wanted(request)
    try:
        text = wanted[TEXT]
        normal = None if text is None else lexicon_text(parse_lexicon(text))
    except BadLexicon as error:
        return _show(request, staff, form, {TEXT: str(error)}, PLEASE_LOOK, 400)
    changed = form.changed({TEXT: None if normal == form.defaults[TEXT] else normal})
    if changed:
        noted = form.notes(SCOPE, changed)
        if not changes.write_texts(SCOPE, form.before(), changed, noted, staff, request.now):
            form = _form()
            return _show(request, staff, form, form.conflicts(request), CONTENDED, 409)
    return see_other(request.link(request.path, done="saved" if changed else "nothing"))


def _form() -> Form:
    return Form((_CHOICE,), texts_of(SCOPE, consistent=True), {TEXT: lexicon_text(default_lexicon())})


def _show(
    request: Request,
    staff: Staff,
    form: Form,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    return show(
        request,
        staff,
        "settings_form.html",
        scopes=(SCOPE,),
        problem=problem,
        status=status,
        title="Themes and safety",
        lede="The words by which comments are sorted. Negation is not understood: “no wait at all” is about waiting.",
        made_from=form.made_from,
        fields=form.fields(form.typed(request) if errors else None, errors),
    )

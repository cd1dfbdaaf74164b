"""The practice's own words in what patients read: written, looked at, and tried on oneself before they count."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache

from functions.serve_dashboard.pages import problem as explain
from functions.serve_dashboard.settings_forms import CONTENDED, PLEASE_LOOK, Choice, Form, show
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, see_other
from shared.domain.patient import Language
from shared.domain.settings import Clinic, ReviewLink
from shared.domain.staff import Staff
from shared.domain.wording import PARAGRAPH, SLOTS, Wording, check, tidy
from shared.locale.wording import say, standard
from shared.mail import letters
from shared.mail.mailer import Mail, Mailer, MailNotSent, MailOutcomeUnknown, SesMailer
from shared.observability import log
from shared.storage import changes, settings
from shared.storage.settings import practice

LANGUAGES = {language: language.name.capitalize() for language in Language}
SCOPE = "wording"
MAILS = {"survey": "Survey", "reminder": "Reminder", "review": "Review request"}
_EXAMPLE = "https://example.com/"
_LABELS = {
    "survey_subject": ("Subject of the survey", ""),
    "survey_opening": ("Opening of the survey", "It stands above the question, which is the same for everybody."),
    "survey_closing": ("Closing note of the survey and its reminder", "It stands below the numbers."),
    "reminder_subject": ("Subject of the reminder", ""),
    "reminder_opening": ("Opening of the reminder", "There is only one reminder; it is good to say so."),
    "review_subject": ("Subject of the mail that asks for a review", ""),
    "review_opening": ("Its opening", "Please offer nothing in return: neither Google nor the FTC allows it."),
    "thanks_heading": (
        "Heading of the page after answering",
        "Unhappy patients read there that you will be in touch, if the practice promises that.",
    ),
    "thanks_text": ("Text below it", "The same for everybody, whatever their score."),
}
_CHOICES = tuple(
    Choice(
        slot.name,
        *_LABELS[slot.name],
        kind="area" if slot.longest == PARAGRAPH else "text",
        nothing="nothing",
        empty_is_default=True,
        longest=slot.longest,
    )
    for slot in SLOTS
)
_NOT_SENT = "The test was not sent: Amazon SES did not take it. Please try again in a minute."
_UNKNOWN = "We do not know whether the test left: the line to Amazon SES broke. Please look into your mailbox."


def languages(request: Request, staff: Staff) -> Response:
    """English comes first."""
    return see_other(request.link(f"/settings/wording/{Language.ENGLISH}"))


def one(request: Request, staff: Staff) -> Response:
    """The words of a language as they are."""
    language = _language(request)
    return _show(request, staff, language, _form(language))


def change(request: Request, staff: Staff) -> Response:
    """Save the words, show what they make, or send them to oneself, as the button says."""
    language = _language(request)
    form = _form(language)
    if conflicts := form.conflicts(request):
        return _show(request, staff, language, form, conflicts, CONTENDED, 409)
    wanted = {slot: text and tidy(text) for slot, text in form.wanted(request).items()}
    errors = _errors(wanted)
    if errors:
        return _show(request, staff, language, form, errors, PLEASE_LOOK, 400)
    own = Wording({slot: text for slot, text in wanted.items() if text})
    step, _, kind = request.field("do").partition(" ")
    if step == "preview":
        return _show(request, staff, language, form, own=own, done="This is how it reads. Nothing is saved yet.")
    if step == "test" and kind in MAILS:
        return _try(request, staff, language, form, own, kind)
    if step != "save":
        raise NotFound
    return _save(request, staff, language, form, wanted)


def test_mail(request: Request) -> Response:
    """Where the links of a test lead: nothing is recorded, and nobody needs to be signed in."""
    text = "A patient would see the page of this link here. Nothing was recorded, and nobody was unsubscribed."
    return explain(request, None, 200, "This was a test", text)


def _try(request: Request, staff: Staff, language: Language, form: Form, own: Wording, kind: str) -> Response:
    try:
        _send(_test(request, staff, kind, language, own), request.mailer)
    except BadForm as refusal:
        return _show(request, staff, language, form, own=own, problem=str(refusal), status=400)
    done = f"The test is on its way to {staff.email}. Nothing is saved yet."
    return _show(request, staff, language, form, own=own, done=done)


def _save(request: Request, staff: Staff, language: Language, form: Form, wanted: Mapping[str, str | None]) -> Response:
    changed = form.changed(wanted)
    if changed:
        noted = [
            replace(change, setting=f"{change.setting} ({LANGUAGES[language]})")
            for change in form.notes(SCOPE, changed)
        ]
        before, after = (
            {settings.wording_name(language, slot): text for slot, text in texts.items()}
            for texts in (form.before(), changed)
        )
        if not changes.write_texts(settings.PRACTICE, before, after, noted, staff, request.now):
            form = _form(language)
            return _show(request, staff, language, form, form.conflicts(request), CONTENDED, 409)
    return see_other(request.link(request.path, done="saved" if changed else "nothing"))


def _language(request: Request) -> Language:
    try:
        return Language(request.params["language"])
    except ValueError:
        raise NotFound from None


def _form(language: Language) -> Form:
    texts = settings.chosen_texts()
    names = {slot.name: settings.wording_name(language, slot.name) for slot in SLOTS}
    own = {slot: texts[name] for slot, name in names.items() if name in texts}
    return Form(_CHOICES, own, standard(language).texts)


def _errors(wanted: Mapping[str, str | None]) -> dict[str, str]:
    errors = {}
    for slot in SLOTS:
        try:
            check(slot, wanted[slot.name] or "")
        except ValueError as error:
            errors[slot.name] = str(error)
    return errors


def _show(
    request: Request,
    staff: Staff,
    language: Language,
    form: Form,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
    own: Wording | None = None,
    done: str = "",
) -> Response:
    is_typed = errors is not None or own is not None
    return show(
        request,
        staff,
        "settings_wording.html",
        scopes=(SCOPE,),
        problem=problem,
        status=status,
        done=done,
        title=f"Wording: {LANGUAGES[language]}",
        language=language,
        languages=LANGUAGES,
        made_from=form.made_from,
        fields=form.fields(form.typed(request) if is_typed else None, errors),
        is_typed=is_typed,
        previews=[] if errors else _previews(staff, language, own or Wording(form.chosen)),
        mails=MAILS,
    )


def _letter(kind: str, language: Language, own: Wording, staff: Staff, link: str) -> Mail:
    """The mail as a patient called like the staff would get it."""
    first_name = staff.name.partition(" ")[0]
    if kind == "review":
        return letters.review_request(
            language,
            practice(),
            _clinic(link),
            first_name=first_name,
            to=staff.email,
            unsubscribe_link=link,
            wording=own,
        )
    return letters.survey(
        language,
        practice(),
        _clinic(link),
        first_name=first_name,
        to=staff.email,
        survey_link=link,
        unsubscribe_link=link,
        is_reminder=kind == "reminder",
        wording=own,
    )


def _clinic(link: str) -> Clinic:
    place = practice().clinic("")
    return place if place.review_links else replace(place, review_links=(ReviewLink("Google", link),))


def _previews(staff: Staff, language: Language, own: Wording) -> list[tuple[str, str, str]]:
    """Each mail and page with its subject or heading and its text, the links left out."""
    mails = [(title, _letter(kind, language, own, staff, _EXAMPLE)) for kind, title in MAILS.items()]
    name = practice().name
    heading, text = (say(language, own, slot, name) for slot in ("thanks_heading", "thanks_text"))
    return [
        *((title, mail.subject, _without_links(mail.text)) for title, mail in mails),
        ("After answering", heading, text),
    ]


def _without_links(text: str) -> str:
    scores = re.sub(r"(?:^.*\?score=\d+\n?)+", "[ 0 – 10 ]\n", text, flags=re.MULTILINE)
    return re.sub(r":?\s*https://\S+", "", scores)


def _test(request: Request, staff: Staff, kind: str, language: Language, own: Wording) -> Mail:
    """The mail for the sender alone: marked, with links that record nothing, and no list to unsubscribe from."""
    if not staff.email:
        raise BadForm("There is no email address in your sign-in to send the test to.")
    mail = _letter(kind, language, own, staff, f"{request.site.base_url}/test-mail")
    return replace(mail, subject=f"[Test] {mail.subject}", headers={})


def _send(mail: Mail, mailer: Mailer | None) -> None:
    try:
        (mailer or _mailer()).send(mail)
    except MailNotSent as refusal:
        log("test_not_sent", reason=refusal.reason)
        raise BadForm(_NOT_SENT) from None
    except MailOutcomeUnknown:
        raise BadForm(_UNKNOWN) from None


@cache
def _mailer() -> SesMailer:
    return SesMailer()

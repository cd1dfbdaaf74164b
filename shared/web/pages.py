"""The patients' pages: HTML that needs no script, no picture and no other request.

Whatever a patient or a settings row says is escaped before it is filled in. A page shows the score that was given,
never the comment: families share addresses.
"""

import re
from enum import Enum
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from shared.domain.patient import Language
from shared.domain.score import SCORES, Category, classify
from shared.domain.settings import Clinic, Practice
from shared.domain.wording import STANDARD, Wording
from shared.locale import telephone, texts
from shared.locale.wording import say

_TEMPLATES = Path(__file__).parent / "templates"
_LANGUAGE_RANGE = re.compile(
    rf"({'|'.join(Language)})(?:-[a-z0-9-]+)?(?:\s*;\s*q=(0(?:\.\d{{0,3}})?|1(?:\.0{{0,3}})?))?", re.IGNORECASE
)
_NOTHING = Markup("")


class Problem(Enum):
    """Why an answer could not be recorded."""

    SCORE_MISSING = "score missing"
    SCORE_INVALID = "score invalid"
    FORM_UNREADABLE = "form unreadable"
    COMMENT_TOO_LARGE = "comment too large"


def question(
    lang: str,
    practice: Practice,
    clinic: Clinic,
    *,
    chosen: int | None,
    comment: str = "",
    recorded: int | None = None,
    changeable_until: str | None = None,
    problem: Problem | None = None,
) -> str:
    """The question with `chosen` selected and nothing sent yet.

    `comment` is text the patient typed a moment ago, kept after a problem; never a stored one. `recorded` is the score
    that counts until another is sent.
    """
    _ = texts(lang)
    asked = _("How likely are you to recommend {practice} to friends or family?").format(practice=practice.name)
    # At most 24 characters: one line on a phone.
    low = _("not at all likely")
    # At most 24 characters: one line on a phone.
    high = _("extremely likely")
    meanings = {0: low, 10: high}
    at_comment = problem is Problem.COMMENT_TOO_LARGE
    at_score = problem is not None and not at_comment
    content = _fill(
        "question",
        problem=_problem(lang, problem) if problem else _NOTHING,
        recorded=_recorded(lang, recorded, changeable_until) if recorded is not None else _NOTHING,
        score_invalid=Markup(' aria-invalid="true" aria-describedby="problem"') if at_score else _NOTHING,
        question=asked,
        low=f"0 – {low}",
        high=f"10 – {high}",
        scores=Markup("\n").join(
            _fill(
                "score",
                score=score,
                checked=Markup(" checked") if score == chosen else _NOTHING,
                meaning=_html('<span class="heard"> – {}</span>', meanings[score]) if score in meanings else "",
            )
            for score in SCORES
        ),
        why=_("What is the main reason for your answer?"),
        hint=_hint(lang, clinic),
        comment_invalid=Markup(' aria-invalid="true"') if at_comment else _NOTHING,
        comment_notes="comment-hint problem" if at_comment else "comment-hint",
        comment=comment,
        state=_("Not sent yet.") if recorded is None else _("No change is sent yet."),
        what_to_do=_("Please press the button to send your answer."),
        send=_send(lang, chosen),
    )
    # At most 45 characters: a title.
    title = _("One short question")
    if problem:
        title = _("Error: {title}").format(title=title)
    return _page(lang, practice.name, title, content, is_confidential=True)


def thanks(
    lang: str,
    practice: Practice,
    clinic: Clinic,
    *,
    score: int,
    comment_cut: bool,
    changeable_until: str,
    wording: Wording = STANDARD,
) -> str:
    """What was recorded. A detractor reads first that someone will be in touch, if the practice promises that.

    Otherwise the practice may word the heading itself. The public review links are shown in the same words whatever
    the score.
    """
    _ = texts(lang)
    cut = _("Your comment was longer than we can keep. We kept the first 4,000 characters.")
    heading = say(lang, wording, "thanks_heading", practice.name)
    own_text = say(lang, wording, "thanks_text", practice.name)
    follow_up = _NOTHING
    if classify(score) is Category.DETRACTOR:
        if practice.promise_contact:
            # At most 75 characters: a heading.
            heading = _("Thank you. Someone from our team will be in touch with you.")
            follow_up = _paragraphs(_("We want to listen to you and make things better."))
        follow_up += _call(lang, clinic, _("If you would like to talk to us now, please call {clinic} at {phone}."))
    content = _fill(
        "thanks",
        heading=heading,
        follow_up=(_paragraphs(own_text) if own_text else _NOTHING) + follow_up,
        recorded=_answered(lang, score),
        comment_cut=_paragraphs(cut) if comment_cut else _NOTHING,
        changeable=_("You can change your answer until {moment}.").format(moment=changeable_until),
        # At most 30 characters: a link.
        change=_("Change my answer"),
        reviews=_reviews(lang, clinic),
    )
    return _page(lang, practice.name, heading, content, is_confidential=True)


def closed(lang: str, practice: Practice, clinic: Clinic, *, score: int) -> str:
    """The answer is final: the score that counts, and whom to call."""
    _ = texts(lang)
    # At most 60 characters: a heading.
    heading = _("Your answer can no longer be changed")
    content = _fill(
        "closed",
        heading=heading,
        recorded=_answered(lang, score),
        what_to_do=_call(
            lang, clinic, _("If there is more you would like to tell us, please call {clinic} at {phone}.")
        )
        or _paragraphs(_("If there is more you would like to tell us, please reply to our email.")),
        reviews=_reviews(lang, clinic),
    )
    return _page(lang, practice.name, heading, content, is_confidential=True)


def unknown_link(lang: str, practice_name: str) -> str:
    """One page for every link that opens nothing, so that it tells nobody which of them ever did."""
    _ = texts(lang)
    return _message(
        lang,
        practice_name,
        # At most 60 characters: a heading.
        _("This link does not open a survey"),
        _("The link may be incomplete, or it may be too old. Survey links work for a limited time."),
        _("Please open our email again and tap one of the numbers there."),
        _("If that does not help, just reply to our email. We would like to hear from you."),
    )


def unsubscribe_question(lang: str, practice: Practice) -> str:
    """Asks; opening the page changes nothing, because mail scanners open every link."""
    _ = texts(lang)
    # At most 60 characters: a heading.
    heading = _("Would you like to stop these emails?")
    content = _fill(
        "ask",
        heading=heading,
        text=_(
            "{practice} will then send you no more surveys and no requests for reviews. "
            "Your care and your appointments stay as they are."
        ).format(practice=practice.name),
        state=_("You are not unsubscribed yet. Please press the button."),
        # At most 30 characters: a button.
        button=_("Unsubscribe"),
    )
    return _page(lang, practice.name, heading, content)


def unsubscribed(lang: str, practice: Practice) -> str:
    """The opt-out is stored."""
    _ = texts(lang)
    return _message(
        lang,
        practice.name,
        # At most 60 characters: a heading.
        _("You are unsubscribed"),
        _("{practice} will send you no more surveys and no requests for reviews.").format(practice=practice.name),
        _("Your care and your appointments stay as they are."),
        _("If this was a mistake, please reply to one of our emails or tell us at your next visit."),
    )


def language_of(accept_language: str | None) -> Language:
    """The language a browser asks for, by weight and then by order; English when it asks for neither."""
    best, chosen = 0.0, Language.ENGLISH
    for part in (accept_language or "")[:1000].split(","):
        match = _LANGUAGE_RANGE.fullmatch(part.strip())
        if match and float(match[2] or 1) > best:
            best, chosen = float(match[2] or 1), Language(match[1].lower())
    return chosen


@cache
def stylesheet() -> Markup:
    """The one stylesheet, as it stands in every page; the security policy allows it by its hash."""
    return Markup((_TEMPLATES / "page.css").read_text("utf-8"))


def _page(lang: str, practice_name: str, title: str, content: Markup, *, is_confidential: bool = False) -> str:
    _ = texts(lang)
    promise = _("Your answer is confidential. Only the team at {practice} reads it.").format(practice=practice_name)
    return str(
        _fill(
            "page",
            language=lang,
            title=f"{title} – {practice_name}",
            stylesheet=stylesheet(),
            practice=practice_name,
            content=content,
            footer=_html("<footer>{}</footer>", promise) if is_confidential else _NOTHING,
        )
    )


def _message(lang: str, practice_name: str, heading: str, *paragraphs: str) -> str:
    content = _fill("message", heading=heading, paragraphs=_paragraphs(*paragraphs))
    return _page(lang, practice_name, heading, content)


def _paragraphs(*paragraphs: str | Markup) -> Markup:
    return Markup("\n").join(_html("<p>{}</p>", text) for text in paragraphs)


def _problem(lang: str, problem: Problem) -> Markup:
    _ = texts(lang)
    field, text = {
        Problem.SCORE_MISSING: ("score-0", _("Please choose a number from 0 to 10.")),
        Problem.SCORE_INVALID: ("score-0", _("Please choose one of the numbers from 0 to 10.")),
        Problem.FORM_UNREADABLE: (
            "score-0",
            _("We could not read the form. Please choose a number and send it again."),
        ),
        Problem.COMMENT_TOO_LARGE: ("comment", _("Your comment is too long. Please shorten it and send it again.")),
    }[problem]
    # At most 60 characters: a heading.
    return _fill("problem", heading=_("Your answer was not sent"), field=field, text=text)


def _recorded(lang: str, score: int, changeable_until: str | None) -> Markup:
    _ = texts(lang)
    until = _("You can change your answer until {moment}.").format(moment=changeable_until) if changeable_until else ""
    privacy = _("To protect your privacy, we do not show an earlier comment. It stays unless you write a new one.")
    recorded = _html("<strong>{}</strong> {}", _answered(lang, score), until)
    return _html('<div class="note">{}</div>\n', _paragraphs(recorded, privacy))


def _answered(lang: str, score: int) -> str:
    _ = texts(lang)
    return _("You answered {score}.").format(score=score)


def _hint(lang: str, clinic: Clinic) -> Markup:
    _ = texts(lang)
    hint = escape(_("You may leave this empty."))
    if clinic.phone:
        urgent = escape(_("If it is urgent, please do not wait for us to read this: call {phone}."))
        hint += Markup(" ") + urgent.format(phone=telephone(clinic.phone))
    return hint


def _call(lang: str, clinic: Clinic, sentence: str) -> Markup:
    if not clinic.phone:
        return _NOTHING
    return _paragraphs(escape(sentence).format(clinic=clinic.name, phone=telephone(clinic.phone)))


def _send(lang: str, chosen: int | None) -> Markup:
    """A label for each number and one for none: the stylesheet shows the one that is true at the moment.

    Without a stylesheet only the label of what the server selected is shown.
    """
    _ = texts(lang)
    # At most 30 characters: a button.
    plain = [("send", _("Send my answer"), chosen is None)]
    numbered = [
        # At most 30 characters: a button.
        (f"send-number send-{score}", _("Send my answer: {score}").format(score=score), score == chosen)
        for score in SCORES
    ]
    return _NOTHING.join(
        _html('<span class="{}"{}>{}</span>', name, _NOTHING if shown else Markup(" hidden"), label)
        for name, label, shown in plain + numbered
    )


def _reviews(lang: str, clinic: Clinic) -> Markup:
    if not clinic.review_links:
        return _NOTHING
    _ = texts(lang)
    return _fill(
        "reviews",
        # At most 60 characters: a heading.
        heading=_("Would you like to share your experience in public?"),
        text=_(
            "Your own words, good or bad, help other people who are looking for care. "
            "Everybody can read what you write there."
        ),
        links=Markup("\n").join(
            _html(
                '<a class="button" rel="noopener noreferrer" href="{}">{}</a>',
                link.url,
                # At most 30 characters: a button.
                _("Write a review on {site}").format(site=link.label),
            )
            for link in clinic.review_links
        ),
    )


def _fill(template: str, **values: object) -> Markup:
    """The template of this name with each value escaped."""
    return Markup(_template(template).format_map({name: escape(value) for name, value in values.items()}))


def _html(markup: str, *values: object) -> Markup:
    """The markup with each value escaped: what `Markup.format` does at three times the cost."""
    return Markup(markup.format(*map(escape, values)))


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / f"{name}.html").read_text("utf-8").rstrip("\n")

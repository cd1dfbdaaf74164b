"""What patients are sent, in their language. No patient mail names a condition, a therapist or a visit.

A practice may word subjects and openings itself (`wording`); the question is the same for everybody.
"""

from collections.abc import Mapping

from markupsafe import Markup, escape

from shared.domain.score import SCORES
from shared.domain.settings import Clinic, Practice
from shared.domain.wording import STANDARD, Wording
from shared.locale import telephone, texts
from shared.locale.wording import say
from shared.mail.layout import LINK_STYLE, NOTHING, clean_header, html_of, mailbox, style, text_of
from shared.mail.mailer import Mail


def survey(
    lang: str,
    practice: Practice,
    clinic: Clinic,
    *,
    first_name: str,
    to: str,
    survey_link: str,
    unsubscribe_link: str,
    is_reminder: bool = False,
    wording: Wording = STANDARD,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """The question, with a link for each of the eleven scores; a reminder says that it is the only one."""
    _ = texts(lang)
    name = clean_header(practice.name)
    kind = "reminder" if is_reminder else "survey"
    subject = say(lang, wording, f"{kind}_subject", name)
    opening = say(lang, wording, f"{kind}_opening", name)
    # At most 90 characters: a heading, and what mail programs show beside the subject.
    asked = _("How likely are you to recommend {practice} to friends or family?").format(practice=name)
    low, high = _("not at all likely"), _("extremely likely")
    meanings = {0: f"0 – {low}", 10: f"10 – {high}"}
    how = _("Tapping a number opens a page where you can add a comment and send your answer.")
    confidential = _("Your answer is confidential. Only the team at {practice} reads it.").format(practice=name)
    urgent = _("If something is urgent, please call {clinic} at {phone}.")
    clinic_name, phone = clean_header(clinic.name), clean_header(clinic.phone)
    notes: list[tuple[str | Markup, str]] = [(how, how), (confidential, confidential)]
    if phone:
        dialled = escape(urgent).format(clinic=clinic_name, phone=telephone(phone, LINK_STYLE))
        notes.append((dialled, urgent.format(clinic=clinic_name, phone=phone)))
    if closing := say(lang, wording, "survey_closing", name):
        notes.append((closing, closing))
    links = {score: f"{survey_link}?score={score}" for score in SCORES}
    html = html_of(
        "survey",
        opening=opening,
        question=asked,
        low=meanings[0],
        high=meanings[10],
        first_row=NOTHING.join(_score_cell(lang, score, links[score]) for score in SCORES[:6]),
        second_row=NOTHING.join(_score_cell(lang, score, links[score]) for score in SCORES[6:]),
        notes=NOTHING.join(html_of("paragraph", text=note) for note, _text_note in notes),
    )
    choices = "\n".join(f"{meanings.get(score, score)}: {link}" for score, link in links.items())
    text = "\n\n".join([opening, asked, choices, *(note for _html_note, note in notes)])
    return _patient_mail(
        lang,
        practice,
        clinic,
        subject=subject,
        preheader=asked,
        first_name=first_name,
        to=to,
        html=html,
        text=text,
        unsubscribe_link=unsubscribe_link,
        tags=tags,
    )


def review_request(
    lang: str,
    practice: Practice,
    clinic: Clinic,
    *,
    first_name: str,
    to: str,
    unsubscribe_link: str,
    wording: Wording = STANDARD,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """Thanks, and the clinic's public review pages in neutral words: no score, no reward."""
    _ = texts(lang)
    name = clean_header(practice.name)
    if not clinic.review_links:
        raise ValueError(f"no review links for clinic {clinic.clinic_id}")
    sites = [
        # At most 30 characters: a button.
        (_("Write a review on {site}").format(site=clean_header(link.label)), link.url)
        for link in clinic.review_links
    ]
    # At most 60 characters: a heading.
    heading = _("Thank you for your answer")
    thanks = say(lang, wording, "review_opening", name)
    request = _(
        "If you like, you can also share your experience in public, in your own words. "
        "It helps other people who are looking for care."
    )
    choice = _(
        "It is entirely your choice. Everybody can read what you write there, so please share only what you want to."
    )
    html = html_of(
        "review_request",
        heading=heading,
        thanks=thanks,
        request=request,
        buttons=NOTHING.join(html_of("button", url=url, label=label) for label, url in sites),
        choice=choice,
    )
    text = "\n\n".join([heading, thanks, request, *(f"{label}:\n{url}" for label, url in sites), choice])
    return _patient_mail(
        lang,
        practice,
        clinic,
        subject=say(lang, wording, "review_subject", name),
        preheader=request,
        first_name=first_name,
        to=to,
        html=html,
        text=text,
        unsubscribe_link=unsubscribe_link,
        tags=tags,
    )


def _patient_mail(
    lang: str,
    practice: Practice,
    clinic: Clinic,
    *,
    subject: str,
    preheader: str,
    first_name: str,
    to: str,
    html: Markup,
    text: str,
    unsubscribe_link: str,
    tags: Mapping[str, str] | None,
) -> Mail:
    _ = texts(lang)
    name, first_name = clean_header(practice.name), clean_header(first_name)
    parts = {
        "kind": _("email"),
        "greeting": _("Hello {name},").format(name=first_name) if first_name else _("Hello,"),
        "regards": _("With kind regards,"),
        "team": _("your team at {clinic}").format(clinic=clean_header(clinic.name)),
        "why": _("You receive this email because you came to {practice} as a patient.").format(practice=name),
        "reply": _("You can simply reply to it: a person reads every reply."),
        "postal_address": clean_header(practice.postal_address),
        # At most 45 characters: a link.
        "unsubscribe": _("Unsubscribe from these emails"),
        "unsubscribe_link": unsubscribe_link,
    }
    return Mail(
        sender=mailbox(practice),
        to=(to,),
        reply_to=practice.reply_to,
        subject=clean_header(subject),
        text=text_of("patient", content=text, **parts),
        html=str(
            html_of("patient", language=lang, title=subject, style=style(), preheader=preheader, content=html, **parts)
        ),
        headers={
            "List-Unsubscribe": f"<{clean_header(unsubscribe_link)}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "List-Id": f"<surveys.{practice.sender.rpartition('@')[2]}>",
            # Out-of-office replies would only bury the patients' own words. The staff's mail does not carry it:
            # help desks drop mail that says it was sent by a machine.
            "Auto-Submitted": "auto-generated",
        },
        tags=dict(tags or {}),
    )


def _score_cell(lang: str, score: int, link: str) -> Markup:
    _ = texts(lang)
    meanings = {0: _("not at all likely"), 10: _("extremely likely")}
    name = _("Score {score} out of 10").format(score=score)
    return html_of("score", score=score, link=link, name=", ".join([name, *filter(None, [meanings.get(score)])]))

"""Every mail that Careloop writes, ready to send: to patients in their language, to the staff in English.

HTML values are escaped by `Markup.format`; header values lose line breaks and control characters first, so that no
name can add a header or stop a run. No patient mail names a condition, a therapist or a visit.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from email.header import Header
from email.utils import formataddr
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from shared.domain.score import SCORES, Category
from shared.domain.settings import AlertDetail, Clinic, Practice
from shared.locale import telephone, texts
from shared.mail.mailer import Mail

_TEMPLATES = Path(__file__).parent / "templates"
_NOTHING = Markup("")
_LINK_STYLE = "color:#0a5c63;white-space:nowrap"
_OVERRIDES = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # they turn the text around them
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_GROUPS = {
    Category.DETRACTOR: "Detractor (0–6)",
    Category.PASSIVE: "Passive (7–8)",
    Category.PROMOTER: "Promoter (9–10)",
}


@dataclass(frozen=True, slots=True)
class AlertFacts:
    """One answer as the staff hear of it, in words; a minimal mail shows group, moment and reference only."""

    survey_id: str
    category: Category
    score: int
    comment: str
    touchpoint: str
    answered_at_local: str
    patient_name: str
    patient_email: str
    patient_phone: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class ClinicDay:
    """A clinic's passives of one day, and how many answers of each group it had the day before the mail."""

    clinic_name: str
    passives: tuple[AlertFacts, ...]
    yesterday: Mapping[Category, int] = field(default_factory=dict)


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
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """The question, with a link for each of the eleven scores; a reminder says that it is the only one."""
    _ = texts(lang)
    name = clean_header(practice.name)
    subject, opening = (
        (
            _("A friendly reminder: one short question from {practice}"),
            _(
                "Some days ago we asked you one question. Your answer would help us very much. "
                "This is the only reminder we will send."
            ),
        )
        if is_reminder
        else (
            _("One short question from {practice}"),
            _("Thank you for choosing {practice}. May we ask you one question? It takes about a minute."),
        )
    )
    opening = opening.format(practice=name)
    asked = _("How likely are you to recommend {practice} to friends or family?").format(practice=name)
    low, high = f"0 – {_('not at all likely')}", f"10 – {_('extremely likely')}"
    how = _("Tapping a number opens a page where you can add a comment and send your answer.")
    confidential = _("Your answer is confidential. Only the team at {practice} reads it.").format(practice=name)
    urgent = _("If something is urgent, please call {clinic} at {phone}.")
    clinic_name, phone = clean_header(clinic.name), clean_header(clinic.phone)
    notes: list[tuple[str | Markup, str]] = [(how, how), (confidential, confidential)]
    if phone:
        dialled = escape(urgent).format(clinic=clinic_name, phone=telephone(phone, _LINK_STYLE))
        notes.append((dialled, urgent.format(clinic=clinic_name, phone=phone)))
    links = {score: f"{survey_link}?score={score}" for score in SCORES}
    meanings = {0: low, 10: high}
    html = _html(
        "survey",
        opening=opening,
        question=asked,
        low=low,
        high=high,
        first_row=_NOTHING.join(_score_cell(lang, score, links[score]) for score in SCORES[:6]),
        second_row=_NOTHING.join(_score_cell(lang, score, links[score]) for score in SCORES[6:]),
        notes=_NOTHING.join(_html("paragraph", text=note) for note, _text_note in notes),
    )
    choices = "\n".join(f"{meanings.get(score, score)}: {link}" for score, link in links.items())
    text = "\n\n".join([opening, asked, choices, *(note for _html_note, note in notes)])
    return _patient_mail(
        lang,
        practice,
        clinic,
        subject=subject.format(practice=name),
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
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """Thanks, and the clinic's public review pages in neutral words: no score, no reward."""
    _ = texts(lang)
    if not clinic.review_links:
        raise ValueError(f"no review links for clinic {clinic.clinic_id}")
    sites = [
        (_("Write a review on {site}").format(site=clean_header(link.label)), link.url) for link in clinic.review_links
    ]
    heading = _("Thank you for your answer")
    thanks = _("It helps us to care well for our patients.")
    request = _(
        "If you like, you can also share your experience in public, in your own words. "
        "It helps other people who are looking for care."
    )
    choice = _(
        "It is entirely your choice. Everybody can read what you write there, so please share only what you want to."
    )
    html = _html(
        "review_request",
        heading=heading,
        thanks=thanks,
        request=request,
        buttons=_NOTHING.join(_html("button", url=url, label=label) for label, url in sites),
        choice=choice,
    )
    text = "\n\n".join([heading, thanks, request, *(f"{label}:\n{url}" for label, url in sites), choice])
    return _patient_mail(
        lang,
        practice,
        clinic,
        subject=_("Thank you from {practice}").format(practice=clean_header(practice.name)),
        preheader=request,
        first_name=first_name,
        to=to,
        html=html,
        text=text,
        unsubscribe_link=unsubscribe_link,
        tags=tags,
    )


def detractor_alert(
    practice: Practice,
    clinic: Clinic,
    facts: AlertFacts,
    *,
    dashboard_link: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """Tells a clinic's admins at once that a patient is unhappy, and what to do about it."""
    return _alert(
        practice,
        clinic,
        facts,
        subject=f"Detractor at {clinic.name}: please reach out",
        heading="A patient gave a low score",
        steps=(
            f"{_find(practice)} Then reach out once, as a person: call, or write from your own address.",
            "Write down that you did, so that nobody does it twice. If the patient does not answer, leave it at that.",
        ),
        dashboard_link=dashboard_link,
        tags=tags,
    )


def passive_alert(
    practice: Practice,
    clinic: Clinic,
    facts: AlertFacts,
    *,
    dashboard_link: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """Tells a clinic's admins at once of a passive, if the practice wants to hear of each."""
    return _alert(
        practice,
        clinic,
        facts,
        subject=f"Passive at {clinic.name}: what would make it better?",
        heading="A patient was satisfied, but not delighted",
        steps=(
            f"{_find(practice)} One small thing may be missing: ask about it at the next visit.",
            "If you reach out, do it once, as a person, and write it down, so that nobody does it twice.",
        ),
        dashboard_link=dashboard_link,
        tags=tags,
    )


def digest(
    practice: Practice,
    clinics: Sequence[ClinicDay],
    *,
    to: Sequence[str],
    day: str,
    dashboard_link: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """A day's passives with their number for each clinic; `day` is that day as people say it."""
    total = sum(len(clinic.passives) for clinic in clinics)
    counted = "1 passive answer" if total == 1 else f"{total} passive answers"
    steps = "They were satisfied, but not delighted. Read the comments: one small thing may be missing."
    html = _html(
        "digest",
        steps=steps,
        clinics=_NOTHING.join(
            _html(
                "digest_clinic",
                clinic=clean_header(clinic.clinic_name),
                count=len(clinic.passives),
                yesterday=_yesterday(clinic),
                entries=_NOTHING.join(_facts_html(_facts(practice, entry)) for entry in clinic.passives),
            )
            for clinic in clinics
        ),
    )
    blocks = [steps]
    for clinic in clinics:
        blocks.append(f"{clean_header(clinic.clinic_name)}: {len(clinic.passives)}\n{_yesterday(clinic)}")
        blocks.extend(_facts_text(_facts(practice, entry)) for entry in clinic.passives)
    return _staff_mail(
        practice,
        to=tuple(to),
        subject=f"{counted} on {day}",
        heading=f"{counted} on {day}",
        html=html,
        text="\n\n".join(blocks),
        dashboard_link=dashboard_link,
        tags=tags,
    )


def _yesterday(clinic: ClinicDay) -> str:
    """The clinic's answers of the day before, in words."""
    counts = {category: clinic.yesterday.get(category, 0) for category in Category}
    if not any(counts.values()):
        return "Yesterday: no answers."
    parts = [f"{number} {category}{'' if number == 1 else 's'}" for category, number in counts.items()]
    return f"Yesterday: {', '.join(parts)}."


def clean_header(text: str) -> str:
    """One harmless line: no line break, control character or direction override, whatever a record held."""
    kept = "".join(" " if unicodedata.category(letter) in _CONTROLS else letter for letter in text)
    return " ".join(_OVERRIDES.sub("", kept).split())


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
        "greeting": _("Hello {name},").format(name=first_name) if first_name else _("Hello,"),
        "regards": _("With kind regards,"),
        "team": _("your team at {clinic}").format(clinic=clean_header(clinic.name)),
        "why": _("You receive this email because you came to {practice} as a patient.").format(practice=name),
        "reply": _("You can simply reply to it: a person reads every reply."),
        "postal_address": clean_header(practice.postal_address),
        "unsubscribe": _("Unsubscribe from these emails"),
        "unsubscribe_link": unsubscribe_link,
    }
    return Mail(
        sender=_mailbox(practice),
        to=(to,),
        reply_to=practice.reply_to,
        subject=clean_header(subject),
        text=_text("patient", content=text, **parts),
        html=str(
            _html("patient", language=lang, title=subject, style=_style(), preheader=preheader, content=html, **parts)
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


def _alert(
    practice: Practice,
    clinic: Clinic,
    facts: AlertFacts,
    *,
    subject: str,
    heading: str,
    steps: tuple[str, str],
    dashboard_link: str | None,
    tags: Mapping[str, str] | None,
) -> Mail:
    shown = [_Fact.plain("Clinic", clinic.name), *_facts(practice, facts)]
    changed = "This patient has changed an earlier answer or comment." if facts.changed else ""
    return _staff_mail(
        practice,
        to=clinic.admins,
        subject=subject,
        heading=heading,
        html=_html(
            "alert",
            changed=_html("changed", text=changed) if changed else _NOTHING,
            facts=_facts_html(shown),
            first_step=steps[0],
            second_step=steps[1],
        ),
        text="\n\n".join(
            [*([changed] if changed else []), _facts_text(shown), f"What to do now:\n1. {steps[0]}\n2. {steps[1]}"]
        ),
        dashboard_link=dashboard_link,
        tags=tags,
    )


def _find(practice: Practice) -> str:
    if practice.alert_detail is AlertDetail.FULL:
        return "Read the comment."
    return "Find the patient by the survey reference and read the comment."


def _staff_mail(
    practice: Practice,
    *,
    to: tuple[str, ...],
    subject: str,
    heading: str,
    html: Markup,
    text: str,
    dashboard_link: str | None,
    tags: Mapping[str, str] | None,
) -> Mail:
    footer = f"Sent by Careloop for {clean_header(practice.name)}."
    if practice.alert_detail is AlertDetail.MINIMAL:
        footer += " Names and comments stay out of this mail on purpose."
    button = _html("button", url=dashboard_link, label="Open the dashboard") if dashboard_link else _NOTHING
    return Mail(
        sender=_mailbox(practice),
        to=to,
        reply_to=practice.reply_to,
        subject=clean_header(subject),
        text=_text(
            "staff",
            heading=heading,
            content=text + (f"\n\nOpen the dashboard: {dashboard_link}" if dashboard_link else ""),
            footer=footer,
        ),
        html=str(
            _html(
                "staff",
                title=clean_header(subject),
                style=_style(),
                heading=heading,
                content=html + button,
                footer=footer,
            )
        ),
        tags=dict(tags or {}),
    )


@dataclass(frozen=True, slots=True)
class _Fact:
    """A line of an alert, as HTML and as text."""

    label: str
    html: Markup
    text: str

    @classmethod
    def plain(cls, label: str, value: str) -> "_Fact":
        """A value of one line."""
        line = clean_header(value)
        return cls(label, escape(line), line)


def _facts(practice: Practice, facts: AlertFacts) -> list[_Fact]:
    group = _Fact.plain("Group", _GROUPS[facts.category])
    answered = _Fact.plain("Answered", facts.answered_at_local)
    reference = _Fact.plain("Survey reference", facts.survey_id)
    if practice.alert_detail is AlertDetail.MINIMAL:
        return [group, answered, reference]
    email, phone = clean_header(facts.patient_email), clean_header(facts.patient_phone)
    mail_link = Markup('<a href="mailto:{}" style="color:#0a5c63">{}</a>').format(email, email)
    return [
        _Fact.plain("Score", f"{facts.score} of 10 – {_GROUPS[facts.category]}"),
        _comment(facts.comment),
        _Fact.plain("Patient", facts.patient_name or "no name on record"),
        _Fact("Phone", telephone(phone, _LINK_STYLE), phone) if phone else _Fact.plain("Phone", "none on record"),
        _Fact("Email", mail_link, email) if email else _Fact.plain("Email", "none on record"),
        _Fact.plain("Asked after", facts.touchpoint),
        answered,
        reference,
    ]


def _comment(comment: str) -> _Fact:
    lines = [clean_header(line) for line in comment.strip().splitlines()]
    if not lines:
        return _Fact.plain("Comment", "none")
    # Indented, so that no comment can pass for a line of ours.
    return _Fact("Comment", Markup("<br>").join(lines), "\n    ".join(lines))


def _facts_html(facts: Sequence[_Fact]) -> Markup:
    rows = _NOTHING.join(_html("fact", label=fact.label, value=fact.html) for fact in facts)
    return _html("facts", rows=rows)


def _facts_text(facts: Sequence[_Fact]) -> str:
    return "\n".join(f"{fact.label}: {fact.text}" for fact in facts)


def _score_cell(lang: str, score: int, link: str) -> Markup:
    _ = texts(lang)
    meanings = {0: _("not at all likely"), 10: _("extremely likely")}
    name = _("Score {score} out of 10").format(score=score)
    return _html("score", score=score, link=link, name=", ".join([name, *filter(None, [meanings.get(score)])]))


def _mailbox(practice: Practice) -> str:
    """The practice as sender; a name beyond ASCII becomes RFC 2047 words, and nothing folds the line."""
    name = clean_header(practice.name)
    if name.isascii():
        return formataddr((name, practice.sender))
    return f"{Header(name, 'utf-8').encode(linesep='')} <{practice.sender}>"


def _html(template: str, **values: object) -> Markup:
    return Markup(_template(f"{template}.html")).format(**values)


def _text(template: str, **values: object) -> str:
    return _template(f"{template}.txt").format(**values)


def _style() -> Markup:
    return Markup(_template("mail.css"))


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")

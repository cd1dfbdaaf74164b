"""What the staff are sent, in English: alerts at once, and the daily digest of passives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from markupsafe import Markup, escape

from shared.domain.score import Category
from shared.domain.settings import AlertDetail, Clinic, Practice
from shared.locale import telephone
from shared.mail.layout import LINK_STYLE, NOTHING, clean_header, html_of, mailbox, style, text_of
from shared.mail.mailer import Mail

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
    since: Category | None = None  # the group of the answer that counts now, if it is another


@dataclass(frozen=True, slots=True)
class ClinicDay:
    """A clinic's passives of one day, and how many answers of each group it had the day before the mail."""

    clinic_name: str
    passives: tuple[AlertFacts, ...]
    yesterday: Mapping[Category, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LateCase:
    """A case that nobody took care of in time; `owner_name` is empty if nobody took it at all."""

    survey_id: str
    clinic_name: str
    category: Category
    opened_local: str
    owner_name: str


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


def safety_alert(
    practice: Practice,
    clinic: Clinic,
    facts: AlertFacts,
    *,
    dashboard_link: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Mail:
    """Tells the clinical leads and a clinic's admins at once of words that may concern safety, whatever the score.

    A list of words decided, nobody has read the comment yet: which words they are the mail leaves out.
    """
    return _alert(
        practice,
        replace(clinic, admins=tuple(dict.fromkeys((*practice.clinical_leads, *clinic.admins)))),
        facts,
        subject=f"May concern safety at {clinic.name}: a clinical lead should read this",
        heading="A patient's comment may concern safety",
        steps=(
            f"Have a clinical lead look at it today. {_find(practice)}",
            "If someone may be in danger, call at once. Write down what was done, so that nobody does it twice.",
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
    html = html_of(
        "digest",
        steps=steps,
        clinics=NOTHING.join(
            html_of(
                "digest_clinic",
                clinic=clean_header(clinic.clinic_name),
                count=len(clinic.passives),
                yesterday=_yesterday(clinic),
                entries=NOTHING.join(_facts_html(_facts(practice, entry)) for entry in clinic.passives),
            )
            for clinic in clinics
        ),
    )
    blocks = [steps]
    for clinic in clinics:
        blocks.append(f"{clean_header(clinic.clinic_name)}: {len(clinic.passives)}\n{_yesterday(clinic)}")
        blocks.extend(_facts_text(_facts(practice, entry)) for entry in clinic.passives)
    return staff_mail(
        practice,
        to=tuple(to),
        subject=f"{counted} on {day}",
        heading=f"{counted} on {day}",
        html=html,
        text="\n\n".join(blocks),
        dashboard_link=dashboard_link,
        tags=tags,
    )


def escalation(practice: Practice, late: Sequence[LateCase], *, to: Sequence[str], dashboard_link: str) -> Mail:
    """Tells whoever answers for the practice, once, of the cases in which nobody reached out in time."""
    counted = "1 case is waiting" if len(late) == 1 else f"{len(late)} cases are waiting"
    steps = (
        f"Nobody has reached out within {practice.response_hours} business hours. "
        "Please see that somebody does: this is the only reminder."
    )
    entries = [
        [
            _Fact.plain("Clinic", case.clinic_name),
            _Fact.plain("Group", _GROUPS[case.category]),
            _Fact.plain("Waiting since", case.opened_local),
            _Fact.plain("Taken by", case.owner_name or "nobody"),
            _Fact.plain("Survey reference", case.survey_id),
        ]
        for case in late
    ]
    return staff_mail(
        practice,
        to=tuple(to),
        subject=f"{counted} for somebody to reach out",
        heading=f"{counted} for somebody to reach out",
        html=html_of("paragraph", text=steps) + NOTHING.join(_facts_html(entry) for entry in entries),
        text="\n\n".join([steps, *(_facts_text(entry) for entry in entries)]),
        dashboard_link=dashboard_link,
        tags=None,
    )


def _yesterday(clinic: ClinicDay) -> str:
    """The clinic's answers of the day before, in words."""
    counts = {category: clinic.yesterday.get(category, 0) for category in Category}
    if not any(counts.values()):
        return "Yesterday: no answers."
    parts = [f"{number} {category}{'' if number == 1 else 's'}" for category, number in counts.items()]
    return f"Yesterday: {', '.join(parts)}."


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
    changed = _changed(facts)
    return staff_mail(
        practice,
        to=clinic.admins,
        subject=subject,
        heading=heading,
        html=html_of(
            "alert",
            changed=html_of("changed", text=changed) if changed else NOTHING,
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


def _changed(facts: AlertFacts) -> str:
    if facts.since:
        return f"The patient has changed this answer since. What counts now: {_GROUPS[facts.since]}."
    return "This patient has changed an earlier answer or comment." if facts.changed else ""


def _find(practice: Practice) -> str:
    if practice.alert_detail is AlertDetail.FULL:
        return "Read the comment."
    return "Find the patient by the survey reference and read the comment."


def staff_mail(
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
    """A mail in the staff's layout, with a button to the dashboard."""
    footer = f"Sent by Careloop for {clean_header(practice.name)}."
    if practice.alert_detail is AlertDetail.MINIMAL:
        footer += " Names and comments stay out of this mail on purpose."
    button = html_of("button", url=dashboard_link, label="Open the dashboard") if dashboard_link else NOTHING
    return Mail(
        sender=mailbox(practice),
        to=to,
        reply_to=practice.reply_to,
        subject=clean_header(subject),
        text=text_of(
            "staff",
            heading=heading,
            content=text + (f"\n\nOpen the dashboard: {dashboard_link}" if dashboard_link else ""),
            footer=footer,
        ),
        html=str(
            html_of(
                "staff",
                title=clean_header(subject),
                style=style(),
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
        _Fact("Phone", telephone(phone, LINK_STYLE), phone) if phone else _Fact.plain("Phone", "none on record"),
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
    rows = NOTHING.join(html_of("fact", label=fact.label, value=fact.html) for fact in facts)
    return html_of("facts", rows=rows)


def _facts_text(facts: Sequence[_Fact]) -> str:
    return "\n".join(f"{fact.label}: {fact.text}" for fact in facts)

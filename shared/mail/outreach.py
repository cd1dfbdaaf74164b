"""A personal mail to one patient: what a member of the staff wrote, in a sober frame and nothing else."""

import re
from collections.abc import Mapping

from markupsafe import Markup, escape

from shared.domain.patient import Patient
from shared.domain.settings import Practice
from shared.domain.staff import Staff
from shared.locale import texts
from shared.mail.layout import NOTHING, clean_header, html_of, mailbox
from shared.mail.mailer import Mail

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # which no mail may hold
_BLANK_LINES = re.compile(r"\n\s*\n")


def outreach(
    practice: Practice, staff: Staff, patient: Patient, subject: str, text: str, tags: Mapping[str, str]
) -> Mail:
    """From the named person through the practice's address; a reply goes to that person, never to a machine."""
    words = _CONTROLS.sub("", text.replace("\r\n", "\n")).strip()
    paragraphs = NOTHING.join(
        html_of("paragraph", text=Markup("<br>").join(escape(line) for line in part.split("\n")))
        for part in _BLANK_LINES.split(words)
    )
    return Mail(
        sender=mailbox(practice, staff.name),
        to=(patient.email,),
        reply_to=staff.email,
        subject=clean_header(subject),
        text=words + "\n",
        html=str(
            html_of(
                "outreach",
                language=patient.language,
                kind=texts(patient.language)("email"),
                title=clean_header(subject),
                paragraphs=paragraphs,
            )
        ),
        tags=dict(tags),
    )

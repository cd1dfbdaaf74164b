"""Every mail and page a patient can read, rendered with digits for whatever is filled in.

So each letter outside a link is a text of ours. `python -m tests.patient_texts LANGUAGE` writes them as JSON.
"""

import json
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from local import gateway_pages
from shared.config import read_practice
from shared.domain.patient import Language, Patient
from shared.domain.playbook import PLACEHOLDERS, fill
from shared.domain.settings import ReviewLink
from shared.domain.staff import Role, Staff
from shared.locale import moment
from shared.locale.playbook import standard
from shared.mail import letters
from shared.mail.mailer import Mail
from shared.mail.outreach import outreach
from shared.web import pages
from tests.environment import ENVIRONMENT

PRACTICE = replace(read_practice(ENVIRONMENT), name="1111", postal_address="2222")
CLINIC = replace(
    PRACTICE.clinic("north"), name="3333", phone="4444", review_links=(ReviewLink("5555", "https://g.example/"),)
)
QUIET = replace(CLINIC, phone="", review_links=())
STAFF = Staff("6", "6666", "staff@practice.example", Role.OWNER)


def mails(lang: str) -> dict[str, Mail]:
    """Every mail, the drafts of personal ones included."""
    unsubscribe: dict[str, Any] = {"to": "patient@home.example", "unsubscribe_link": "https://care.example/u/x"}
    asked: dict[str, Any] = {**unsubscribe, "survey_link": "https://care.example/s/x"}
    patient = Patient("7", email="patient@home.example", language=Language(lang))
    known = dict.fromkeys(PLACEHOLDERS, "8888")
    return {
        "survey": letters.survey(lang, PRACTICE, CLINIC, first_name="9999", **asked),
        "survey to nobody by name": letters.survey(lang, PRACTICE, CLINIC, first_name="", **asked),
        "reminder": letters.survey(lang, PRACTICE, CLINIC, first_name="9999", is_reminder=True, **asked),
        "review request": letters.review_request(lang, PRACTICE, CLINIC, first_name="9999", **unsubscribe),
        **{
            f"draft to a {category}": outreach(
                PRACTICE, STAFF, patient, fill(draft.subject, known), fill(draft.body, known), {}
            )
            for (category, language), draft in standard().drafts.items()
            if language == lang
        },
    }


def all_pages(lang: str) -> dict[str, str]:
    """Every page, in each of its states."""
    start = datetime(2026, 1, 1, 9, 5)  # noqa: DTZ001 - already local
    until = " ".join(moment(lang, start + timedelta(days=29 * day, hours=12 * (day % 2))) for day in range(13))
    until += " ".join(moment(lang, start + timedelta(days=day)) for day in range(7))
    return {
        "question": pages.question(lang, PRACTICE, CLINIC, chosen=9),
        "question without a number": pages.question(lang, PRACTICE, QUIET, chosen=None),
        "change": pages.question(lang, PRACTICE, CLINIC, chosen=3, recorded=8, changeable_until=until),
        **{
            f"question after {problem}": pages.question(lang, PRACTICE, CLINIC, chosen=None, problem=problem)
            for problem in pages.Problem
        },
        "thanks to a detractor": pages.thanks(
            lang, PRACTICE, CLINIC, score=0, comment_cut=True, changeable_until=until
        ),
        "thanks to a promoter": pages.thanks(
            lang, PRACTICE, CLINIC, score=9, comment_cut=False, changeable_until=until
        ),
        "closed": pages.closed(lang, PRACTICE, CLINIC, score=7),
        "closed without a telephone": pages.closed(lang, PRACTICE, QUIET, score=7),
        "unknown link": pages.unknown_link(lang, PRACTICE.name),
        "unsubscribe": pages.unsubscribe_question(lang, PRACTICE),
        "unsubscribed": pages.unsubscribed(lang, PRACTICE),
        **{
            f"gateway: {name}": f"<h1>{heading}</h1><p>{text}</p>"
            for name, (heading, text) in gateway_pages.words(lang).items()
        },
    }


if __name__ == "__main__":
    language = sys.argv[1]
    written = {
        f"{name}, {part}": getattr(mail, part)
        for name, mail in mails(language).items()
        for part in ("subject", "text", "html")
    }
    json.dump({**written, **all_pages(language)}, sys.stdout)

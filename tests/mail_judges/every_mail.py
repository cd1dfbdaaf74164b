"""Every mail that Careloop writes, in every language and shape, with short and with long content."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from shared.config import read_practice
from shared.domain.patient import Language, Patient
from shared.domain.report import CaseCounts, report_of
from shared.domain.score import Category
from shared.domain.settings import AlertDetail
from shared.domain.staff import Role, Staff
from shared.domain.statistics import Groups
from shared.mail import letters, outreach, report_letter, staff_letters
from shared.mail.mailer import Mail
from shared.mail.staff_letters import AlertFacts, ClinicDay, LateCase
from tests.environment import ENVIRONMENT
from tests.unit.test_report import a_place, figures

PRACTICE = read_practice(ENVIRONMENT)
CLINIC = replace(PRACTICE.clinic("north"), name="Riverside North", phone="(518) 555-0134")
LONG_CLINIC = replace(CLINIC, name="Clínica de Rehabilitación & Terapia Física del Río Hudson <Norte>")
TOKEN = "k3" * 26
FACTS = AlertFacts(
    survey_id="abcdefghijklmnopqrstuvwxyz",
    category=Category.DETRACTOR,
    score=3,
    comment="I waited forty minutes.\nNobody told me why: <b>nobody</b> & I asked.",
    touchpoint="visit 6",
    answered_at_local="Monday, March 9, at 2:30 PM",
    patient_name="Eleanor Whitfield",
    patient_email="eleanor@example.com",
    patient_phone="(518) 555-0199",
)
LINK = "https://staff.example.com/cases/abcdefghijklmnopqrstuvwxyz"
PATIENT = Patient("MRN-1", "Eleanor", "Whitfield", "eleanor@example.com", clinic_id="north")
DRAFT = "Dear Eleanor,\n\nthank you for telling us.\nI would like to call you.\n\nMaren Holt\nRiverside North"


def every_mail() -> dict[str, Mail]:
    """By a name that says which."""
    return dict([*_to_patients(), *_to_staff()])


def _to_patients() -> Iterator[tuple[str, Mail]]:
    for language in Language:
        for size, clinic, name in (("short", CLINIC, "Ada"), ("long", LONG_CLINIC, "María de los Ángeles Guadalupe")):
            common: dict[str, Any] = {
                "first_name": name,
                "to": "ada@example.com",
                "unsubscribe_link": f"https://care.example.com/u/{TOKEN}",
            }
            survey = {**common, "survey_link": f"https://care.example.com/s/{TOKEN}"}
            yield f"survey-{language}-{size}", letters.survey(language, PRACTICE, clinic, **survey)
            yield f"reminder-{language}-{size}", letters.survey(language, PRACTICE, clinic, **survey, is_reminder=True)
            yield f"review-{language}-{size}", letters.review_request(language, PRACTICE, clinic, **common)
        patient = replace(PATIENT, language=language)
        writer = Staff("u1", "Maren Holt", "maren@riverside.example", Role.CLINIC_ADMIN, frozenset({"north"}))
        yield f"outreach-{language}", outreach.outreach(PRACTICE, writer, patient, "Your last visit", DRAFT, {})


def _to_staff() -> Iterator[tuple[str, Mail]]:
    for detail in AlertDetail:
        practice = replace(PRACTICE, alert_detail=detail)
        passive = replace(FACTS, category=Category.PASSIVE, score=8)
        for name, letter, facts in (
            ("detractor", staff_letters.detractor_alert, replace(FACTS, changed=True)),
            ("passive", staff_letters.passive_alert, passive),
            ("safety", staff_letters.safety_alert, replace(FACTS, category=Category.PROMOTER, score=9)),
        ):
            yield f"{name}-{detail}", letter(practice, CLINIC, facts, dashboard_link=LINK)
        days = [ClinicDay(clinic.name, (passive, passive)) for clinic in (CLINIC, LONG_CLINIC)]
        to = ("admin@riverside.example",)
        yield (
            f"digest-{detail}",
            staff_letters.digest(practice, days, to=to, day="Monday, March 9", dashboard_link=LINK),
        )
    late = [LateCase(FACTS.survey_id, CLINIC.name, Category.DETRACTOR, "Monday, March 9, 14:30", "")]
    yield "escalation", staff_letters.escalation(PRACTICE, late, to=("owner@riverside.example",), dashboard_link=LINK)
    quarter = report_of(
        figures(
            a_place("North", 60, 20, 12),
            a_place("South", 70, 25, 15),
            cases=CaseCounts(27, 20, 3),
            themes={"front_desk": Groups(4, 3, 20)},
        )
    )
    yield "report", report_letter.report(PRACTICE, quarter, to=["owner@riverside.example"], dashboard_link=LINK)

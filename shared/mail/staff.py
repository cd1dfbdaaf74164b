"""Mail to the staff: what they are told of an answer, and sending it so that a failure is noticed."""

from zoneinfo import ZoneInfo

from shared.domain.patient import Patient
from shared.domain.survey import AcceptedAnswer, Survey
from shared.mail.mailer import Mail, Mailer, MailNotSent
from shared.mail.staff_letters import AlertFacts
from shared.observability import count


class NobodyToTell(Exception):
    """Neither the clinic nor the practice has an admin's address."""


def facts_of(survey: Survey, answer: AcceptedAnswer, zone: ZoneInfo, patient: Patient | None) -> AlertFacts:
    """One accepted answer as the staff hear of it, in the clinic's time; `patient` None leaves the person out."""
    local = answer.at.astimezone(zone)
    return AlertFacts(
        survey_id=survey.survey_id,
        category=answer.category,
        score=answer.score,
        comment=answer.comment,
        touchpoint=survey.touchpoint.replace("_", " ").replace(":", " "),
        answered_at_local=f"{local:%A, %B} {local.day}, {local:%Y, %H:%M %Z}",
        patient_name=f"{patient.first_name} {patient.last_name}".strip() if patient else "",
        patient_email=patient.email if patient else "",
        patient_phone=patient.phone if patient else "",
        changed=len(survey.answers) > 1,
        since=survey.category if survey.category is not answer.category else None,
    )


def tell_staff(mailer: Mailer, mail: Mail) -> None:
    """Send once; what could not be sent is counted in the metric AlertsNotSent and raised, so that it stays owed."""
    try:
        if not mail.to:
            raise NobodyToTell
        mailer.send(mail)
    except (MailNotSent, NobodyToTell):
        count("AlertsNotSent")
        raise

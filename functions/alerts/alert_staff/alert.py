"""Alerting a clinic's admins to one survey."""

from collections.abc import Callable

from shared.config import setting
from shared.domain.score import Category
from shared.domain.settings import AlertDetail
from shared.domain.survey import AcceptedAnswer, Reaction, Survey, after_alert
from shared.mail import staff_letters
from shared.mail.mailer import Mail, Mailer
from shared.mail.staff import facts_of, tell_staff
from shared.observability import log
from shared.storage import cases, patients, reactions, settings, surveys
from shared.storage.settings import practice


def alert(survey: Survey, mailer: Mailer) -> None:
    """Open the case, tell the staff what they have not been told yet, then leave owed what else follows the answer.

    The note stands whatever the patient does meanwhile; only the last write depends on the version, and a newer
    version brings its own reaction.
    """
    clinic = settings.clinic(survey.clinic_id)
    # The person is read only for mails that name one.
    patient = patients.get(survey.patient_id) if practice().alert_detail is AlertDetail.FULL else None
    for answer in reactions.unalerted(survey):
        if answer.category is Category.DETRACTOR or answer.concerns_safety or practice().cases_for_passives:
            cases.open_for(survey, answer, clinic, practice())
        letter = _letter(answer)
        facts = facts_of(survey, answer, clinic.zone, patient)
        link = f"{setting('DASHBOARD_URL')}/cases/{survey.survey_id}"
        tell_staff(mailer, letter(practice(), clinic, facts, dashboard_link=link, tags={"survey_id": survey.survey_id}))
        reactions.note_told(survey, "alert", answer)
        log("staff_alerted", survey_id=survey.survey_id, version=answer.version, clinic_id=survey.clinic_id)
    reactions.note_answers(survey)
    if survey.answers and survey.pending_reaction.startswith(Reaction.ALERT):
        surveys.settle_reaction(survey, after_alert(survey.answers[-1], practice()))


def _letter(answer: AcceptedAnswer) -> Callable[..., Mail]:
    if answer.concerns_safety:
        return staff_letters.safety_alert
    return staff_letters.detractor_alert if answer.category is Category.DETRACTOR else staff_letters.passive_alert

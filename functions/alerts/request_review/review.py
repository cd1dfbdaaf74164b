"""Asking the patient of one survey for a public review."""

from datetime import datetime

from shared.domain.eligibility import REVIEW_PAUSE
from shared.domain.identity import message_id
from shared.domain.message import Message, MessageKind
from shared.domain.patient import Patient
from shared.domain.settings import Clinic
from shared.domain.survey import Reaction, Survey, reactions_to, rest_of
from shared.observability import log
from shared.storage import messages, patients, reactions, settings, surveys
from shared.storage.settings import practice


def request_review(survey: Survey) -> None:
    """Make the message, once a survey, unless it would not be sent; the engine asks all again when it claims it.

    An answer that a promoter took back before the staff heard of it is handed to alert_staff first.
    """
    if not survey.answered_at or not survey.pending_reaction.startswith(Reaction.REVIEW):
        return  # done before, or the answer changed
    if reactions.unalerted(survey):
        surveys.settle_reaction(survey, Reaction.ALERT)
        return
    due_at = survey.answered_at + practice().review_delay
    reason = _why_not(survey, settings.clinic(survey.clinic_id), patients.get(survey.patient_id), due_at)
    if not reason and not _create(_message(survey, due_at)):
        reason = "exists"
    log("review_not_requested" if reason else "review_requested", survey_id=survey.survey_id, reason=reason)
    reactions.note_answers(survey)
    surveys.settle_reaction(survey, rest_of(survey.pending_reaction))


def _why_not(survey: Survey, clinic: Clinic, patient: Patient | None, due_at: datetime) -> str:
    if survey.category is None or Reaction.REVIEW not in reactions_to(survey.category, practice()):
        return "not_invited"
    if not clinic.review_links:
        return "no_review_links"
    if patient is None or patient.opted_out or patient.deceased:
        return "not_contactable"
    asked_at = patient.review_requested_at
    return "asked_before" if asked_at and due_at - asked_at < REVIEW_PAUSE else ""


def _create(message: Message) -> bool:
    """Make the message, or bring it back if it was withdrawn because the patient was no promoter for a while."""
    return messages.create(message) or messages.revive(message)


def _message(survey: Survey, due_at: datetime) -> Message:
    return Message(
        message_id=message_id(survey.survey_id, MessageKind.REVIEW),
        kind=MessageKind.REVIEW,
        patient_id=survey.patient_id,
        survey_id=survey.survey_id,
        clinic_id=survey.clinic_id,
        touchpoint=survey.touchpoint,
        occurred_at=due_at,  # its age counts from when it may go out, whatever the delay
        due_at=due_at,
    )

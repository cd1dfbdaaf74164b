"""The three steps of a self-test: what each does, and which promise it finds broken."""

from datetime import datetime, timedelta

from functions.self_test.browser import Ask
from functions.self_test.promises import (
    AnswerNotAccepted,
    AnswerNotCounted,
    AnswerNotRecorded,
    CaseNotOpened,
    PageNotShown,
    StaffNotAlerted,
    SurveyNotSent,
)
from shared.domain.identity import message_id, new_token
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.patient import Patient
from shared.domain.score import Category
from shared.domain.self_test import CLINIC_ID, EMAIL, PATIENT_ID, SURVEY_ID
from shared.domain.survey import Survey
from shared.storage import cases, messages, patients, reactions, self_test, sending_health, surveys
from shared.storage.settings import practice

SCORE = 2  # unhappy: an alert, and a case
COMMENT = "✓"  # no word, so that no list of words finds anything in it; and it must come through a form
NIGHT = timedelta(hours=12)
NOT_BEGUN = "not_begun"
_MESSAGE_ID = message_id(SURVEY_ID, MessageKind.SURVEY)
_PATIENT = Patient(PATIENT_ID, first_name="Careloop", last_name="Self-test", email=EMAIL, clinic_id=CLINIC_ID)
_FORM = 'name="score"'  # the question has it, the page that thanks has not


def begin(as_of: datetime, now: datetime) -> str:
    """Clear what an earlier night left, then make a patient with a survey that is due; the sender's next run asks.

    While no mail may leave nothing is made: returns why, else nothing.
    """
    self_test.clear()
    if reason := _why_no_mail(now):
        return reason
    patients.put_record(_PATIENT, None)
    surveys.create(_survey(as_of))
    messages.create(_message(as_of))
    return ""


def answer(as_of: datetime, now: datetime, public_url: str, ask: Ask) -> str:
    """Answer the survey as an unhappy patient, over the public address and with a link of one's own.

    Returns why that could not be tried, else nothing; once it is answered, this only looks whether it stands.
    """
    survey = _tonights(as_of)
    if survey is None:
        return NOT_BEGUN
    if not survey.version:
        message = messages.get(_MESSAGE_ID)
        if message is None or message.state is not MessageState.SENT:
            if reason := _why_no_mail(now):
                return reason
            raise SurveyNotSent
        token, token_hash = new_token(SURVEY_ID)
        self_test.add_link(token_hash)
        _go_through(f"{public_url}/s/{token}", ask)
        survey = surveys.get(SURVEY_ID) or survey
    if not _is_recorded(survey):
        raise AnswerNotRecorded
    return ""


def _go_through(link: str, ask: Ask) -> None:
    shown = ask(link)
    if shown.status != 200 or _FORM not in shown.body:
        raise PageNotShown
    thanked = ask(link, {"score": str(SCORE), "comment": COMMENT})
    if thanked.status != 200 or _FORM in thanked.body:
        raise AnswerNotAccepted


def check(as_of: datetime) -> str:
    """Look whether the staff heard, a case was opened and the answer counted once; then clear all of it.

    What broke a promise is left as it is, to be looked at until the next night. Returns why there was nothing to look
    at, else nothing.
    """
    survey = _tonights(as_of)
    if survey is None:
        return NOT_BEGUN
    if not _is_recorded(survey):
        raise AnswerNotRecorded
    if not reactions.was_told(survey, "alert", survey.answers[-1]):
        raise StaffNotAlerted
    if cases.get(SURVEY_ID) is None:
        raise CaseNotOpened
    counts = self_test.counted()
    scores = {name: number for name, number in counts.items() if name[1:].isdigit()}
    if scores != {f"s{SCORE}": 1} or not counts["sent"] == counts["answered"] == counts["commented"] == 1:
        raise AnswerNotCounted
    self_test.clear()
    return ""


def _is_recorded(survey: Survey) -> bool:
    """Whether the answer stands, once and word for word."""
    said = (len(survey.answers), survey.score, survey.category, survey.comment)
    return said == (1, SCORE, Category.DETRACTOR, COMMENT)


def _why_no_mail(now: datetime) -> str:
    """Why no mail to patients leaves at present, where that tells of itself; empty if it does."""
    state = sending_health.state()
    if state.paused or practice().sending_paused:
        return "sending_is_switched_off"
    if state.stopped:
        return "sending_stopped_itself"
    most = practice().max_sends_per_day
    return "daily_cap_reached" if most and sending_health.sent_on(now) >= most else ""


def _tonights(as_of: datetime) -> Survey | None:
    """The survey as it is now, unless an earlier night left it behind."""
    found = surveys.get(SURVEY_ID)
    return found if found and timedelta(0) <= as_of - found.occurred_at < NIGHT else None


def _survey(at: datetime) -> Survey:
    """About an evaluation that has just ended."""
    return Survey(
        survey_id=SURVEY_ID,
        patient_id=PATIENT_ID,
        case_id=PATIENT_ID,
        episode=PATIENT_ID,
        visit_id=PATIENT_ID,
        clinic_id=CLINIC_ID,
        therapist_id="",
        touchpoint="evaluation",
        occurred_at=at,
        due_at=at,
    )


def _message(at: datetime) -> Message:
    return Message(
        message_id=_MESSAGE_ID,
        kind=MessageKind.SURVEY,
        patient_id=PATIENT_ID,
        survey_id=SURVEY_ID,
        clinic_id=CLINIC_ID,
        touchpoint="evaluation",
        occurred_at=at,
        due_at=at,
    )

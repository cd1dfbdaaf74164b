"""Sending one message: claim it, call the provider once, write down what came of it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.send_survey.pace import Pace
from shared.domain import self_test
from shared.domain.eligibility import ADDRESS_REST, REVIEW_PAUSE, Decision, Situation, Verdict, decide
from shared.domain.identity import address_key, new_token
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.patient import Address, Patient
from shared.mail import letters
from shared.mail.mailer import (
    Mail,
    Mailer,
    MailNotSent,
    MailOutcomeUnknown,
    MailRefused,
)
from shared.storage import addresses, messages, outcomes, patients, settings, surveys

LEASE = timedelta(seconds=600)  # longer than the function's timeout: a lease that ran out has no living holder


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one message: `sent`, `skipped`, `deferred`, `unknown` or `failed`, and why."""

    outcome: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """What the messages of one run share."""

    as_of: datetime
    now: Callable[[], datetime]
    mailer: Mailer
    pace: Pace
    public_url: str
    key: bytes


def settle(situation: Situation, decision: Decision, sender: Sender) -> Result:
    """Carry out a decision that ends in no mail."""
    message = situation.message
    match decision.verdict:
        case Verdict.SKIP:
            _note_unsent(message, decision.reason)
            if not messages.skip(message.message_id, message.attempt, decision.reason, sender.now()):
                return Result("deferred", "in_progress")
            return Result("skipped", decision.reason)
        case Verdict.GIVE_UP:
            return _give_up(message, message.attempt)
        case _:
            return Result("deferred", decision.reason)


def deliver(situation: Situation, sender: Sender) -> Result:
    """Send the message at most once, whatever happens in between.

    The claim reserves message, patient and address; `calling` is written just before the one call to the provider;
    whoever finds `calling` with a lease that ran out must take it for sent.
    """
    message, patient = situation.message, situation.patient
    if patient is None or situation.survey is None:
        raise ValueError("only a message with patient and survey is decided to be sent")
    token, token_hash = new_token(message.survey_id)
    mail = _letter(situation, patient, token, sender.public_url, sender.key)
    claim = messages.Claim(
        message=message,
        survey_version=situation.survey.version,
        patient=patient,
        address=situation.address or Address(address_key(sender.key, patient.email)),
        token_hash=token_hash,
        expires_at=sender.now() + situation.practice.link_lifetime,
        as_of=sender.as_of,
        now=sender.now(),
        lease=LEASE,
        pause=situation.practice.pause,
        address_rest=ADDRESS_REST,
        review_pause=REVIEW_PAUSE,
    )
    if not messages.claim(claim):
        return _refused(situation, sender)
    attempt = message.attempt + 1
    sender.pace.wait()
    if not messages.begin_call(message.message_id, attempt):
        return Result("deferred", "in_progress")
    if _is_another(patient):
        messages.release(message.message_id, attempt)
        messages.give_back(claim)
        return Result("deferred", "patient_changed")
    try:
        with sender.pace.place():
            ses_id = sender.mailer.send(mail)
    except MailOutcomeUnknown:
        return _give_up(message, attempt)
    except MailNotSent as refusal:
        return _not_sent(claim, attempt, refusal)
    outcomes.write_down(message, sender.as_of)
    # Last of all: a crash before this leaves `calling`, which ends as unknown, never as a second mail.
    messages.finish_call(message.message_id, attempt, ses_id, sender.as_of)
    return Result("sent", self_test.SENT if self_test.is_canary(message.clinic_id) else "")


def _is_another(claimed: Patient) -> bool:
    """Whether the patient can no longer be mailed as they were claimed: the pace may have held the mail for a while."""
    now = patients.get(claimed.patient_id)
    reached = (claimed.patient_id, claimed.email, False, False, False)
    return now is None or (now.patient_id, now.email, now.opted_out, now.hold, now.deceased) != reached


def _not_sent(claim: messages.Claim, attempt: int, refusal: MailNotSent) -> Result:
    """The provider's clear refusal: nothing left, so the patient's pause has not begun."""
    message = claim.message
    if isinstance(refusal, MailRefused):
        messages.give_back(claim)
        _note_unsent(message, "refused")
        messages.fail(message.message_id, attempt, "refused")
        return Result("failed", "refused")
    messages.release(message.message_id, attempt)
    messages.give_back(claim)
    return Result("deferred", refusal.reason)


def _refused(situation: Situation, sender: Sender) -> Result:
    """The claim's conditions said no: read again and let the rules say why."""
    message, patient = situation.message, situation.patient
    fresh = messages.get(message.message_id)
    person = patients.get(message.patient_id)
    if fresh is None or fresh.attempt != message.attempt:
        return Result("deferred", "in_progress")
    key = address_key(sender.key, person.email) if person and person.email else ""
    again = Situation(
        message=fresh,
        survey=surveys.get(message.survey_id),
        patient=person,
        address=addresses.get_many([key]).get(key) if key else None,
        clinic=situation.clinic,
        practice=situation.practice,
        superseded=situation.superseded,
    )
    decision = decide(again, sender.as_of, sender.now())
    if decision.verdict is Verdict.SEND:  # it changed twice in between; the next run finds it at rest
        return Result("deferred", "address_changed" if person and patient and person.email != patient.email else "busy")
    return settle(again, decision, sender)


def _note_unsent(message: Message, reason: str) -> None:
    """Before the message is settled, so that no crash leaves a survey that waits for ever; being sent clears it."""
    if message.kind is MessageKind.SURVEY:
        surveys.mark_unsent(message.survey_id, reason)


def _give_up(message: Message, attempt: int) -> Result:
    """It may have left; an event that has come by now knows."""
    if message.delivery is None:
        _note_unsent(message, "unknown")
        if messages.give_up(message.message_id, attempt):
            return Result("unknown")
    known = messages.get(message.message_id)
    if known is None or known.attempt != attempt or known.delivery is None:
        return Result("deferred", "in_progress")
    settled = outcomes.settle(known, sender_is_gone=True)
    return Result("sent") if settled.state is MessageState.SENT else Result("failed", settled.reason)


def _letter(situation: Situation, patient: Patient, token: str, public_url: str, key: bytes) -> Mail:
    message, clinic = situation.message, situation.clinic
    tags = {
        "message_id": message.message_id,
        "survey_id": message.survey_id,
        "recipient": address_key(key, patient.email),
    }
    unsubscribe_link = f"{public_url}/u/{token}"
    if message.kind is MessageKind.REVIEW:
        return letters.review_request(
            patient.language,
            situation.practice,
            clinic,
            first_name=patient.first_name,
            to=patient.email,
            unsubscribe_link=unsubscribe_link,
            wording=settings.wording(patient.language),
            tags=tags,
        )
    return letters.survey(
        patient.language,
        situation.practice,
        clinic,
        first_name=patient.first_name,
        to=patient.email,
        survey_link=f"{public_url}/s/{token}",
        unsubscribe_link=unsubscribe_link,
        is_reminder=message.kind is MessageKind.REMINDER,
        wording=settings.wording(patient.language),
        tags=tags,
    )

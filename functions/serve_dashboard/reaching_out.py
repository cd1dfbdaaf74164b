"""Writing to a patient in person: at most once, and written down before it leaves."""

from dataclasses import replace
from functools import cache

from functions.serve_dashboard.web import BadForm, Request
from shared.domain.identity import address_key
from shared.domain.patient import Patient
from shared.domain.recovery import MAX_NOTE, Channel, Outreach, RecoveryCase, Result, reach_out
from shared.domain.staff import Staff
from shared.hash_key import hash_key
from shared.mail.mailer import Mailer, MailNotSent, MailOutcomeUnknown, SesMailer
from shared.mail.outreach import outreach
from shared.observability import log
from shared.storage import addresses, cases
from shared.storage.settings import practice

MAX_SUBJECT = 200  # characters
_NOT_SENT = {
    "throttled": "Amazon SES is busy. Please try again in a minute.",
    "sandbox": "Amazon SES still only sends to addresses that the practice verified. Please call instead.",
    "refused": "Amazon SES refused the address or the text. Please check both, or call instead.",
    "sending_stopped": "Amazon SES sends nothing at the moment. Please call instead, and tell whoever runs Careloop.",
}


class Changed(Exception):
    """Somebody changed the case since the page was opened."""


class Unclear(BadForm):
    """Nobody knows whether the mail left."""


def why_not_by_mail(patient: Patient | None) -> str:
    """Why this patient cannot be written to, for the staff; empty if they can."""
    if patient is None or not patient.email:
        return "There is no email address on record."
    if patient.deceased:
        return "The records say that this patient has died."
    key = address_key(hash_key(), patient.email)
    address = addresses.get_many([key]).get(key)
    if address and address.complained:
        return "This patient marked an earlier mail as spam. Any further mail would harm the practice's name: call."
    if address and address.bounced:
        return "The last mail to this address came back. Please ask for another address, or call."
    return ""


def write(
    request: Request, staff: Staff, case: RecoveryCase, patient: Patient | None, despite: str, mailer: Mailer | None
) -> None:
    """Write down the attempt, then send; a clear refusal takes it back, an unclear end does not.

    So two clicks send one mail, and nobody writes a second time because they could not see the first.
    """
    reason = why_not_by_mail(patient)
    if reason or patient is None:
        raise BadForm(reason)
    subject, text = request.field("subject"), request.field("text")
    if not subject or not text:
        raise BadForm("The mail needs a subject and a text.")
    if len(subject) > MAX_SUBJECT or len(text) > MAX_NOTE:
        raise BadForm(f"The subject may have {MAX_SUBJECT} characters, and the text {MAX_NOTE:,}. Please shorten them.")
    attempt = Outreach(request.now, staff.user_id, staff.name, Channel.EMAIL, Result.WROTE, text, despite)
    written = reach_out(case, attempt)
    if not cases.write(written, case):
        raise Changed
    tags = {
        "survey_id": case.survey_id,
        "message_id": f"{case.survey_id}-outreach",
        "recipient": address_key(hash_key(), patient.email),
    }
    try:
        (mailer or _mailer()).send(outreach(practice(), staff, patient, subject, text, tags))
    except MailNotSent as refusal:
        cases.write(replace(case, version=written.version + 1), written)
        log("outreach_not_sent", survey_id=case.survey_id, reason=refusal.reason)
        raise BadForm(f"The mail was not sent. {_NOT_SENT[refusal.reason]}") from None
    except MailOutcomeUnknown:
        log("outreach_unknown", survey_id=case.survey_id)
        raise Unclear(
            "We do not know whether the mail left: the line to Amazon SES broke. It is written down as sent. "
            "Please do not write again; call instead."
        ) from None


@cache
def _mailer() -> SesMailer:
    return SesMailer()

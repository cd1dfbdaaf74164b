"""Mail to the staff: what they are told of an answer, and sending it so that a failure is noticed."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from zoneinfo import ZoneInfo

from shared.domain.delivery import staff_key
from shared.domain.patient import Patient
from shared.domain.survey import AcceptedAnswer, Survey
from shared.mail.mailer import (
    Mail,
    Mailer,
    MailNotSent,
    MailOutcomeUnknown,
    MailOutOfReach,
    MailRefused,
    MailThrottled,
    RecipientNotVerified,
)
from shared.mail.staff_letters import AlertFacts
from shared.observability import count, warn

WAITS = (0.2, 0.4, 0.8, 1.6)
"""Seconds between tries of what is sent too fast, for all addresses of a mail together."""

_FOR_GOOD = (MailRefused, RecipientNotVerified)


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


def tell_staff(mailer: Mailer, mail: Mail, sleep: Callable[[float], None] = time.sleep) -> None:
    """Send one mail to each address, so that a bad one hides no other; throttling is waited out for some seconds.

    An address that SES will never take is counted in the metric AlertsNotSent; as long as another was told that is all.
    Anything else that could not be sent is raised once all were tried, so that it stays owed: rather twice than never.
    """
    waits, told, failures = iter(WAITS), 0, list[Exception]()
    for address in dict.fromkeys(mail.to):
        own = replace(mail, to=(address,), tags={**mail.tags, "recipient": staff_key(address)})
        try:
            _send_patiently(mailer, own, waits, sleep)
            told += 1
        except (MailNotSent, MailOutcomeUnknown) as failure:
            failures.append(failure)
    if not mail.to:
        failures.append(NobodyToTell())
    if any(not isinstance(failure, MailOutcomeUnknown) for failure in failures):
        count("AlertsNotSent")
        warn("staff_not_told", count=len(failures), sent=told)
    owed = [failure for failure in failures if not (told and isinstance(failure, _FOR_GOOD))]
    if owed:
        raise owed[0]


def _send_patiently(mailer: Mailer, mail: Mail, waits: Iterator[float], sleep: Callable[[float], None]) -> None:
    """A throttled mail has not left, so it may be tried again at once: patients' mail may use the whole rate."""
    while True:
        try:
            mailer.send(mail)
            return
        except MailOutOfReach:
            raise
        except MailThrottled:
            if (wait := next(waits, None)) is None:
                raise
            sleep(wait)

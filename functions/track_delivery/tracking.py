"""What one delivery event means for the address, the message, the survey and the patient."""

from shared.domain.delivery import DeliveryEvent, Kind
from shared.domain.message import MessageKind
from shared.domain.self_test import is_canary
from shared.observability import count, log, warn
from shared.storage import activity, addresses, messages, outcomes, patients, sending_health, surveys
from shared.storage.messages import Recorded


def track(event: DeliveryEvent) -> bool:
    """Mark the address at once, then settle the message; False if the event is of no message that is there.

    Each step is done again when the event comes again, so that a crash in between loses none, but for the counts by
    which sending stops itself: those may miss one.
    """
    sending_health.heard()
    _mark_address(event)
    if event.is_to_staff:
        log("staff_mail", kind=event.kind, message_id=event.message_id)
        return False
    recorded = messages.record_delivery(event) if event.message_id else None
    if recorded:
        message = outcomes.settle(recorded.message)
        _count(event, recorded)
        if message.kind is not MessageKind.REVIEW and event.kind in (Kind.DELIVERED, Kind.COMPLAINED):
            surveys.mark_delivered(message.survey_id, event.at)
    if event.kind is Kind.COMPLAINED:
        _end_all_mail(event, recorded.message.patient_id if recorded else "")
    log("mail_tracked", kind=event.kind, message_id=event.message_id, survey_id=event.survey_id)
    return recorded is not None


def _count(event: DeliveryEvent, recorded: Recorded) -> None:
    """What became of a mail, on the day it was sent: whoever let sending go on has looked into those before."""
    if not recorded.is_first or event.kind not in (Kind.BOUNCED, Kind.COMPLAINED):
        return
    if is_canary(recorded.message.clinic_id):
        return
    resumed = sending_health.state().resumed
    if resumed is None or event.sent_at >= resumed.at:
        sending_health.count(
            event.sent_at,
            bounced=int(event.kind is Kind.BOUNCED),
            complained=int(event.kind is Kind.COMPLAINED),
        )


def _mark_address(event: DeliveryEvent) -> None:
    """The tag names the address, so nothing need be looked up and the sender need not have finished."""
    if not event.recipient:
        return
    if event.is_bad_address:
        addresses.mark_bounced(event.recipient, event.at)
    if event.kind is Kind.COMPLAINED:
        addresses.mark_complained(event.recipient, event.at)
    if event.is_to_staff and event.kind is Kind.DELIVERED:
        addresses.mark_reached(event.recipient, event.at)
    if event.is_to_staff and event.kind in (Kind.BOUNCED, Kind.COMPLAINED, Kind.REJECTED):
        count("StaffAddressFails")
        warn("staff_address_fails", kind=event.kind, message_id=event.message_id)


def _end_all_mail(event: DeliveryEvent, patient_id: str) -> None:
    """A complaint is about the practice, not about one address of the patient's."""
    if not patient_id and event.survey_id:
        survey = surveys.get(event.survey_id)
        patient_id = survey.patient_id if survey else ""
    if patient_id:
        patients.opt_out(patient_id)
        activity.note(patient_id, "complained", event.at, event.message_id, survey_id=event.survey_id)

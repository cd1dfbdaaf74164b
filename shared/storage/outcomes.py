"""What follows once it is known what became of a message: by the sender's own word or by an event of the provider."""

from dataclasses import replace
from datetime import datetime

from shared.domain.delivery import Kind
from shared.domain.identity import message_id
from shared.domain.message import STEPS, Message, MessageKind, MessageState
from shared.storage import activity, messages, surveys
from shared.storage.settings import practice

_CONFIRMABLE = {state for state, ends in STEPS.items() if MessageState.SENT in ends}
_REJECTABLE = {MessageState.CALLING, MessageState.SENT, MessageState.UNKNOWN}


def write_down(message: Message, sent_at: datetime) -> None:
    """Note on the survey and for the patient that the message left, and make its reminder; twice is as good as once."""
    if message.kind is MessageKind.SURVEY:
        surveys.mark_sent(message.survey_id, sent_at)
        if wait := practice().reminder_after:
            remind_at = sent_at + wait
            messages.create(
                Message(
                    message_id=message_id(message.survey_id, MessageKind.REMINDER),
                    kind=MessageKind.REMINDER,
                    patient_id=message.patient_id,
                    survey_id=message.survey_id,
                    clinic_id=message.clinic_id,
                    touchpoint=message.touchpoint,
                    occurred_at=remind_at,
                    due_at=remind_at,
                )
            )
    elif message.kind is MessageKind.REVIEW:
        surveys.mark_invited(message.survey_id, sent_at)
    activity.note(
        message.patient_id,
        f"{message.kind}_sent",
        sent_at,
        message.message_id,
        survey_id=message.survey_id,
        message_id=message.message_id,
        detail=message.touchpoint,
    )


def settle(message: Message, *, sender_is_gone: bool = False) -> Message:
    """Let what the provider's events say of a message decide its state; the message as it is then.

    A message in `calling` is left to its sender unless that is known to be gone. The last write is the state, so that
    whoever dies before it leaves all of this to be done again.
    """
    while message.delivery and (message.state is not MessageState.CALLING or sender_is_gone):
        is_rejected = message.delivery is Kind.REJECTED
        if message.state not in (_REJECTABLE if is_rejected else _CONFIRMABLE):
            break
        if not is_rejected:
            write_down(message, message.sent_at or message.due_at)
            messages.confirm(message)
        else:
            if message.kind is MessageKind.SURVEY:
                surveys.mark_rejected(message.survey_id)
            messages.reject(message)
        message = messages.get(message.message_id) or replace(message, delivery=None)
    return message

"""Patient mail, from due to settled. Every step names the state it starts from."""

import hashlib
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.exceptions import PutError, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.models import Model
from pynamodb.transactions import TransactWrite

from shared.domain.delivery import DeliveryEvent, Kind, outranks
from shared.domain.message import SHARDS, STEPS, WITHDRAWN, Message, MessageKind, MessageState, shard_of
from shared.domain.patient import Address, Patient
from shared.storage.conditions import condition_failed, is_not, transaction_refused
from shared.storage.models import AddressItem, MessageItem, PatientItem, SurveyItem, connection
from shared.storage.patients import NOT_MERGED, pause_began_before


@dataclass(frozen=True, slots=True)
class DueMessage:
    """What the index of due messages tells without reading the message."""

    message_id: str
    kind: MessageKind
    patient_id: str
    survey_id: str
    clinic_id: str
    touchpoint: str
    occurred_at: datetime
    due_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """What a claim reserves beside the message itself, as it was read just before."""

    message: Message
    survey_version: int  # the answer that the decision rested on
    patient: Patient
    address: Address
    token_hash: str
    expires_at: datetime
    as_of: datetime
    now: datetime
    lease: timedelta
    pause: timedelta
    address_rest: timedelta
    review_pause: timedelta


def create(message: Message) -> bool:
    """Put the message once; False if it exists in whatever state."""
    item = MessageItem(
        message.message_id,
        kind=message.kind,
        patient_id=message.patient_id,
        survey_id=message.survey_id,
        clinic_id=message.clinic_id,
        touchpoint=message.touchpoint,
        occurred_at=message.occurred_at,
        due=shard_of(message.patient_id),
        due_at=message.due_at,
        state=message.state,
    )
    try:
        item.save(condition=MessageItem.message_id.does_not_exist())
    except PutError as error:
        if condition_failed(error):
            return False
        raise
    return True


def get(message_id: str) -> Message | None:
    """The message as last written, or None."""
    return get_many([message_id]).get(message_id)


def get_many(message_ids: Iterable[str]) -> dict[str, Message]:
    """The messages among these ids that exist, as last written, by id."""
    found = MessageItem.batch_get(sorted(set(message_ids)), consistent_read=True)
    return {item.message_id: _to_message(item) for item in found}


def due_until(moment: datetime, shards: Iterable[str] = SHARDS) -> Iterator[DueMessage]:
    """Everything not settled yet and due by then, earliest first, in one paged pass over the sparse index."""
    due = (MessageItem.due_index.query(shard, MessageItem.due_at <= moment) for shard in shards)
    for item in heapq.merge(*due, key=lambda item: item.due_at):
        yield DueMessage(
            item.message_id,
            MessageKind(item.kind),
            item.patient_id,
            item.survey_id,
            item.clinic_id,
            item.touchpoint,
            item.occurred_at,
            item.due_at,
        )


def reschedule(message: Message) -> bool:
    """Move a message that is still due to where and when its changed visit puts it; False if it is due no longer."""
    item = MessageItem
    return _update(
        message.message_id,
        [
            item.due_at.set(message.due_at),
            item.occurred_at.set(message.occurred_at),
            item.clinic_id.set(message.clinic_id),
        ],
        item.state == MessageState.DUE,
    )


def revive(message: Message) -> bool:
    """`skipped → due` for a withdrawn message whose touchpoint is back; False if it was not withdrawn."""
    item = MessageItem
    changes: list[Action] = [
        item.state.set(MessageState.DUE),
        item.due.set(shard_of(message.patient_id)),
        item.due_at.set(message.due_at),
        item.occurred_at.set(message.occurred_at),
        item.clinic_id.set(message.clinic_id),
        item.reason.remove(),
    ]
    if _update(message.message_id, changes, (item.state == MessageState.SKIPPED) & (item.reason == WITHDRAWN)):
        return True
    stored = get(message.message_id)  # as in _step: our own write, retried, has succeeded
    return stored is not None and stored.state is MessageState.DUE


def give_to(message_ids: Iterable[str], patient_id: str) -> None:
    """Make the messages among these ids that exist the patient's, in whatever state they are; steps go on as ever.

    What waits moves to the patient's shard, beside whatever else of theirs waits: its sender sees both.
    """
    item = MessageItem
    for message in get_many(message_ids).values():
        if message.patient_id == patient_id:
            continue
        changes: list[Action] = [item.patient_id.set(patient_id)]
        waiting = [*changes, item.due.set(shard_of(patient_id))]
        # It may be settled between the two, and leave the index; then it must not come back into it.
        if not _update(message.message_id, waiting, item.due.exists()):
            _update(message.message_id, changes, item.message_id.exists() & item.due.does_not_exist())


def claim(claim: Claim) -> bool:
    """Reserve message, patient, address and survey link in one transaction; False if any of them refuses.

    The reason of a refusal is found by reading again: the rules stand once, in the domain.
    """
    message = claim.message
    # The same token on a retry that the network swallowed makes DynamoDB answer as it did the first time.
    request = hashlib.sha256(f"{message.message_id} {message.attempt} {claim.token_hash}".encode()).hexdigest()[:36]
    try:
        with TransactWrite(connection=connection(), client_request_token=request) as transaction:
            transaction.update(
                MessageItem(message.message_id),
                actions=[
                    MessageItem.state.set(MessageState.CLAIMED),
                    MessageItem.attempt.set(message.attempt + 1),
                    MessageItem.lease_until.set(claim.now + claim.lease),
                    # What was rejected before is another mail's fate than that of the one which leaves now.
                    MessageItem.delivery.remove(),
                    MessageItem.delivery_at.remove(),
                    MessageItem.delivery_status.remove(),
                    MessageItem.delivery_events.remove(),
                ],
                condition=(MessageItem.attempt == message.attempt) & _claimable(claim.now),
            )
            _reserve_patient(transaction, claim)
            _reserve_address(transaction, claim)
            transaction.update(
                SurveyItem(message.survey_id),
                actions=[
                    SurveyItem.token_hashes.add({claim.token_hash}),
                    SurveyItem.expires_at.set(claim.expires_at),
                    SurveyItem.language.set(claim.patient.language),
                ],
                condition=_answer_unchanged(claim.survey_version),
            )
    except TransactWriteError as error:
        if transaction_refused(error):
            return False
        raise
    return True


def _claimable(now: datetime) -> Condition:
    """Nobody is sending it, and no event says that it left already."""
    left_behind = (MessageItem.state == MessageState.CLAIMED) & (MessageItem.lease_until < now)
    untold: Condition = MessageItem.delivery.does_not_exist() | (MessageItem.delivery == Kind.REJECTED)
    claimable: Condition = ((MessageItem.state == MessageState.DUE) | left_behind) & untold
    return claimable


def _answer_unchanged(version: int) -> Condition:
    """No reminder to someone who has just answered, no review request to someone who has just changed 9 to 3."""
    unanswered: Condition = SurveyItem.survey_id.exists() & SurveyItem.version.does_not_exist()
    return SurveyItem.version == version if version else unanswered


def _reserve_patient(transaction: TransactWrite, claim: Claim) -> None:
    item, message = PatientItem, claim.message
    mailable: Condition = (
        (item.email == claim.patient.email)
        & is_not(item.opted_out)
        & is_not(item.hold)
        & is_not(item.deceased)
        & NOT_MERGED
    )
    key = item(claim.patient.patient_id)
    match message.kind:
        case MessageKind.SURVEY:
            transaction.update(
                key,
                actions=[
                    item.surveyed_at.set(claim.as_of),
                    item.surveyed_by.set(message.message_id),
                    item.surveyed_for.set(message.occurred_at),
                ],
                condition=mailable & pause_began_before(claim.as_of - claim.pause, message.message_id),
            )
        case MessageKind.REVIEW:
            rested: Condition = item.review_requested_at.does_not_exist() | (
                item.review_requested_at <= claim.as_of - claim.review_pause
            )
            transaction.update(
                key,
                actions=[
                    item.review_requested_at.set(claim.as_of),
                    item.review_requested_by.set(message.message_id),
                ],
                condition=mailable & (rested | (item.review_requested_by == message.message_id)),
            )
        case MessageKind.REMINDER:
            transaction.condition_check(item, claim.patient.patient_id, condition=mailable)


def _reserve_address(transaction: TransactWrite, claim: Claim) -> None:
    item = AddressItem
    good: Condition = is_not(item.bounced) & is_not(item.complained)
    if claim.message.kind is not MessageKind.SURVEY:
        transaction.condition_check(item, claim.address.address_key, condition=good)
        return
    rested: Condition = item.last_contact_at.does_not_exist() | (
        item.last_contact_at <= claim.as_of - claim.address_rest
    )
    transaction.update(
        item(claim.address.address_key),
        actions=[
            item.last_contact_at.set(claim.as_of),
            item.last_patient_id.set(claim.patient.patient_id),
            item.last_message_id.set(claim.message.message_id),
        ],
        condition=good & (rested | (item.last_patient_id == claim.patient.patient_id)),
    )


def begin_call(message_id: str, attempt: int) -> bool:
    """`claimed → calling`, written just before the provider is called; False if the claim is no longer ours."""
    return _step(message_id, attempt, MessageState.CLAIMED, MessageState.CALLING, [])


def finish_call(message_id: str, attempt: int, ses_id: str, sent_at: datetime) -> bool:
    """`calling → sent`: settled for good."""
    changes = [MessageItem.ses_id.set(ses_id), MessageItem.sent_at.set(sent_at), *_settled()]
    return _step(message_id, attempt, MessageState.CALLING, MessageState.SENT, changes)


def release(message_id: str, attempt: int) -> bool:
    """`calling → due`: the provider refused for now and nothing left."""
    return _step(message_id, attempt, MessageState.CALLING, MessageState.DUE, [MessageItem.lease_until.remove()])


def give_back(claim: Claim) -> None:
    """Undo what a claim reserved of patient and address: nothing left, so no pause has begun.

    Nothing is undone that another message, or a later run for this one, has reserved meanwhile.
    """
    message, patient, address = claim.message, claim.patient, claim.address
    if message.kind is MessageKind.SURVEY:
        person = [
            _put_back(PatientItem.surveyed_at, patient.surveyed_at),
            _put_back(PatientItem.surveyed_by, patient.surveyed_by),
            _put_back(PatientItem.surveyed_for, patient.surveyed_for),
        ]
        used = [
            _put_back(AddressItem.last_contact_at, address.last_contact_at),
            _put_back(AddressItem.last_patient_id, address.last_patient_id),
            _put_back(AddressItem.last_message_id, address.last_message_id),
        ]
        is_ours = (PatientItem.surveyed_by == message.message_id) & (PatientItem.surveyed_at == claim.as_of)
        _update_item(PatientItem(patient.patient_id), person, is_ours)
        is_ours = (AddressItem.last_message_id == message.message_id) & (AddressItem.last_contact_at == claim.as_of)
        _update_item(AddressItem(address.address_key), used, is_ours)
    elif message.kind is MessageKind.REVIEW:
        asked = [
            _put_back(PatientItem.review_requested_at, patient.review_requested_at),
            _put_back(PatientItem.review_requested_by, patient.review_requested_by),
        ]
        is_ours = (PatientItem.review_requested_by == message.message_id) & (
            PatientItem.review_requested_at == claim.as_of
        )
        _update_item(PatientItem(patient.patient_id), asked, is_ours)


def _put_back(attribute: Attribute[Any], former: object) -> Action:
    return attribute.set(former) if former else attribute.remove()


def fail(message_id: str, attempt: int, reason: str) -> bool:
    """`calling → failed`: the provider will never take this mail."""
    return _step(
        message_id,
        attempt,
        MessageState.CALLING,
        MessageState.FAILED,
        [MessageItem.reason.set(reason), *_settled()],
    )


def give_up(message_id: str, attempt: int) -> bool:
    """`calling → unknown`: it may have left, so it is never sent again; False too if an event says more."""
    untold: Condition = MessageItem.delivery.does_not_exist()
    return _step(message_id, attempt, MessageState.CALLING, MessageState.UNKNOWN, _settled(), untold)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A message after an event of it was recorded, and whether it is the first of its kind for this message."""

    message: Message
    is_first: bool


def record_delivery(event: DeliveryEvent) -> Recorded | None:
    """Note what became of a message, in whatever state it is and in whatever order events come; None if it is gone.

    The state stays: that is for `settle`. An event that comes again is not the first. That a sent message was sent is
    no news and costs no write; nor is it news that SES rejected another mail than the one which left. An unknown
    message goes back into the index of due ones, so that the sender's next run settles it should whoever heard the
    event die before that.
    """
    item = MessageItem
    while (known := get(event.message_id)) is not None:
        is_no_news = event.kind is Kind.SENT and known.state is MessageState.SENT
        is_anothers = event.kind is Kind.REJECTED and known.ses_id not in ("", event.ses_id)
        if event.kind in known.delivery_events or is_no_news or is_anothers:
            return Recorded(known, False)
        changes: list[Action] = [item.delivery_events.add({event.kind})]
        if event.proves_it_left:
            changes.append(item.ses_id.set(item.ses_id | event.ses_id))  # if there is none
            changes.append(item.sent_at.set(item.sent_at | event.sent_at))
        if outranks(event.kind, known.delivery):
            changes.append(item.delivery.set(event.kind))
            changes.append(item.delivery_at.set(event.at))
            changes.append(item.delivery_status.set(event.status) if event.status else item.delivery_status.remove())
        if known.state is MessageState.UNKNOWN:
            changes.append(item.due.set(shard_of(known.patient_id)))
        unchanged: Condition = (item.state == known.state) & (
            item.delivery == known.delivery if known.delivery else item.delivery.does_not_exist()
        )
        stored = MessageItem(event.message_id)
        # Refused where another event or the sender came first: a message has few kinds and steps left, so this ends.
        if _update_item(stored, changes, unchanged & ~item.delivery_events.contains(event.kind)):
            return Recorded(_to_message(stored), True)
    return None


def confirm(message: Message) -> bool:
    """To `sent` by the word of an event, from the state in which the message was read."""
    changes = [MessageItem.reason.remove(), *_settled()]
    return _step(message.message_id, message.attempt, message.state, MessageState.SENT, changes)


def reject(message: Message) -> bool:
    """To `failed` by the word of an event, from the state in which the message was read."""
    changes = [MessageItem.reason.set("refused"), *_settled()]
    return _step(message.message_id, message.attempt, message.state, MessageState.FAILED, changes)


def skip(message_id: str, attempt: int, reason: str, now: datetime) -> bool:
    """Settle a message that must not be sent, unless someone is sending it."""
    changes = [MessageItem.state.set(MessageState.SKIPPED), MessageItem.reason.set(reason), *_settled()]
    if _update(message_id, changes, (MessageItem.attempt == attempt) & _claimable(now)):
        return True
    stored = get(message_id)  # as in _step: our own write, retried, has succeeded
    return stored is not None and stored.state is MessageState.SKIPPED and stored.reason == reason


def _settled() -> list[Action]:
    return [MessageItem.due.remove(), MessageItem.lease_until.remove()]


def _step(
    message_id: str,
    attempt: int,
    start: MessageState,
    end: MessageState,
    changes: list[Action],
    besides: Condition | None = None,
) -> bool:
    if end not in STEPS[start]:
        raise ValueError(f"a message never goes from {start} to {end}")
    condition = (MessageItem.state == start) & (MessageItem.attempt == attempt)
    if besides is not None:
        condition &= besides
    if _update(message_id, [MessageItem.state.set(end), *changes], condition):
        return True
    # Our own write, retried by the SDK after its answer was lost, fails its condition: it did succeed.
    stored = get(message_id)
    return stored is not None and stored.state is end and stored.attempt == attempt


def _update(message_id: str, actions: list[Action], condition: Condition) -> bool:
    return _update_item(MessageItem(message_id), actions, condition)


def _update_item(item: Model, actions: list[Action], condition: Condition) -> bool:
    try:
        item.update(actions, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def _to_message(item: MessageItem) -> Message:
    return Message(
        message_id=item.message_id,
        kind=MessageKind(item.kind),
        patient_id=item.patient_id,
        survey_id=item.survey_id,
        clinic_id=item.clinic_id,
        touchpoint=item.touchpoint,
        occurred_at=item.occurred_at,
        due_at=item.due_at,
        state=MessageState(item.state),
        attempt=int(item.attempt),
        lease_until=item.lease_until,
        ses_id=item.ses_id or "",
        sent_at=item.sent_at,
        reason=item.reason or "",
        delivery=Kind(item.delivery) if item.delivery else None,
        delivery_at=item.delivery_at,
        delivery_status=item.delivery_status or "",
        delivery_events=frozenset(item.delivery_events or ()),
    )

"""A claim holds only for what was read: whatever changed in between refuses it, and then nothing is reserved."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.eligibility import ADDRESS_REST, REVIEW_PAUSE
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.patient import Address
from shared.storage import messages, patients, surveys
from shared.storage.models import AddressItem, MessageItem, PatientItem, SurveyItem
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey

pytestmark = pytest.mark.usefixtures("aws")
NOW = MONDAY_NOON + timedelta(hours=3)
PAUSE, LEASE = timedelta(days=10), timedelta(minutes=10)
SURVEY = "a" * 26


def a_claim(message: Message, **differences: Any) -> messages.Claim:
    return messages.Claim(
        **{
            "message": message,
            "survey_version": 1 if message.kind is MessageKind.REVIEW else 0,
            "patient": a_patient(),
            "address": Address("key"),
            "token_hash": "hash",
            "expires_at": NOW + timedelta(days=30),
            "as_of": NOW,
            "now": NOW,
            "lease": LEASE,
            "pause": PAUSE,
            "address_rest": ADDRESS_REST,
            "review_pause": REVIEW_PAUSE,
            **differences,
        }
    )


def claim(message: Message) -> bool:
    return messages.claim(a_claim(message))


def prepared(kind: MessageKind = MessageKind.SURVEY) -> Message:
    patients.put_record(a_patient(), None)
    surveys.create(a_survey())
    if kind is MessageKind.REVIEW:
        SurveyItem(SURVEY).update([SurveyItem.version.set(1)])
    message = a_message(kind=kind)
    messages.create(message)
    return message


def tables() -> list[Any]:
    return [
        [item.attribute_values for item in model.scan()]
        for model in (MessageItem, PatientItem, AddressItem, SurveyItem)
    ]


def patient(**changes: Any) -> None:
    PatientItem("p1").update([getattr(PatientItem, name).set(value) for name, value in changes.items()])


def address(**changes: Any) -> None:
    AddressItem("key").update([getattr(AddressItem, name).set(value) for name, value in changes.items()])


def message_item(kind: MessageKind = MessageKind.SURVEY, **changes: Any) -> None:
    item = MessageItem(f"{SURVEY}-{kind}")
    item.update([getattr(MessageItem, name).set(value) for name, value in changes.items()])


def survey(**changes: Any) -> None:
    SurveyItem(SURVEY).update([getattr(SurveyItem, name).set(value) for name, value in changes.items()])


EVERY_KIND = {
    "opted out": lambda: patient(opted_out=True),
    "on hold": lambda: patient(hold=True),
    "died": lambda: patient(deceased=True),
    "turned out to be another": lambda: patient(merged_into="p2"),
    "has another address": lambda: patient(email="new@example.com"),
    "address bounced": lambda: address(bounced=True),
    "address complained": lambda: address(complained=True),
}


@pytest.mark.parametrize("kind", MessageKind)
@pytest.mark.parametrize("change", EVERY_KIND.values(), ids=EVERY_KIND)
def test_nobody_is_mailed_who_since_the_reading(kind, change):
    message = prepared(kind)
    change()
    before = tables()
    assert not claim(message)
    assert tables() == before


SURVEYS_ONLY = {
    "the pause began": lambda: patient(surveyed_at=NOW - PAUSE + timedelta(seconds=1), surveyed_by="another"),
    "the address was used": lambda: address(last_contact_at=NOW - timedelta(hours=23), last_patient_id="spouse"),
    "the patient answered": lambda: survey(version=1),
    "another sender claimed": lambda: message_item(state=MessageState.CLAIMED, lease_until=NOW),
    "another attempt was made": lambda: message_item(attempt=1),
    "it was sent": lambda: message_item(state=MessageState.SENT),
    "it was skipped": lambda: message_item(state=MessageState.SKIPPED),
}


@pytest.mark.parametrize("change", SURVEYS_ONLY.values(), ids=SURVEYS_ONLY)
def test_a_survey_is_not_claimed_once(change):
    message = prepared()
    change()
    before = tables()
    assert not claim(message)
    assert tables() == before


def test_a_review_is_not_requested_once_the_answer_has_changed():
    message = prepared(MessageKind.REVIEW)
    survey(version=2)
    before = tables()
    assert not claim(message)
    assert tables() == before


@pytest.mark.parametrize("kind", MessageKind)
def test_what_a_claim_reserved_is_given_back_as_it_was(kind):
    message = prepared(kind)
    long_ago = NOW - timedelta(days=400)
    former: dict[str, Any] = {"surveyed_at": long_ago, "surveyed_by": "older", "surveyed_for": long_ago}
    patient(**former, review_requested_at=long_ago, review_requested_by="older")
    address(last_contact_at=long_ago, last_patient_id="spouse", last_message_id="older")
    before = [tables()[1], tables()[2]]
    wanted = a_claim(
        message,
        patient=a_patient(**former, review_requested_at=long_ago, review_requested_by="older"),
        address=Address("key", long_ago, "spouse", "older"),
    )
    assert messages.claim(wanted)
    messages.give_back(wanted)
    assert [tables()[1], tables()[2]] == before


def test_nothing_is_given_back_that_another_message_reserved_since():
    wanted = a_claim(prepared())
    assert messages.claim(wanted)
    patient(surveyed_by="another")
    address(last_message_id="another")
    before = tables()
    messages.give_back(wanted)
    assert tables() == before


def test_a_survey_that_does_not_exist_is_not_claimed():
    patients.put_record(a_patient(), None)
    messages.create(a_message())
    assert not claim(a_message())


def test_no_second_review_request_in_a_year():
    message = prepared(MessageKind.REVIEW)
    patient(review_requested_at=NOW - REVIEW_PAUSE + timedelta(seconds=1), review_requested_by="another")
    assert not claim(message)
    patient(review_requested_at=NOW - REVIEW_PAUSE)
    assert claim(message)


def test_a_claim_reserves_message_patient_address_and_link_together():
    assert claim(prepared())
    [message], [person] = MessageItem.scan(), PatientItem.scan()
    [used], [asked] = AddressItem.scan(), SurveyItem.scan()
    assert (message.state, message.attempt, message.lease_until) == (MessageState.CLAIMED, 1, NOW + LEASE)
    assert (person.surveyed_at, person.surveyed_by, person.surveyed_for) == (NOW, message.message_id, MONDAY_NOON)
    assert (used.last_contact_at, used.last_patient_id) == (NOW, "p1")
    assert asked.token_hashes == {"hash"}
    assert asked.expires_at == NOW + timedelta(days=30)


def test_a_claim_whose_lease_ran_out_is_taken_over():
    message = prepared()
    assert claim(message)
    message_item(lease_until=NOW - timedelta(seconds=1))
    stored = messages.get(message.message_id)
    assert stored
    assert claim(stored)


def test_reminders_and_reviews_leave_the_pause_alone():
    for kind in (MessageKind.REMINDER, MessageKind.REVIEW):
        message = prepared(kind)
        patient(surveyed_at=NOW, surveyed_by="another")
        address(last_contact_at=NOW, last_patient_id="spouse")
        assert claim(message)

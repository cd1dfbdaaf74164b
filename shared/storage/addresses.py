"""What is known of email addresses, under keyed hashes of them."""

from collections.abc import Iterable
from datetime import datetime

from pynamodb.attributes import BooleanAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.domain.delivery import STAFF
from shared.domain.patient import Address
from shared.storage.conditions import condition_failed, is_not
from shared.storage.models import AddressItem, InstantAttribute

_STAFF_LIST = "staff"


def get_many(address_keys: Iterable[str]) -> dict[str, Address]:
    """The addresses among these keys that anything is known of, by key."""
    found = AddressItem.batch_get(sorted(set(address_keys)), consistent_read=True)
    return {
        item.address_key: Address(
            item.address_key,
            item.last_contact_at,
            item.last_patient_id or "",
            item.last_message_id or "",
            bool(item.bounced),
            bool(item.complained),
        )
        for item in found
    }


def failing_staff() -> frozenset[str]:
    """The keys of the staff's addresses that bounced or complained and that nothing has reached since."""
    for item in AddressItem.batch_get([_STAFF_LIST]):
        return frozenset(item.failing or ())
    return frozenset()


def mark_bounced(address_key: str, at: datetime) -> None:
    """No mail to this address arrives, known before or not; the latest moment counts."""
    _mark(address_key, AddressItem.bounced, AddressItem.bounced_at, at)


def mark_complained(address_key: str, at: datetime) -> None:
    """Whoever reads this address called a mail spam; the latest moment counts."""
    _mark(address_key, AddressItem.complained, AddressItem.complained_at, at)


def mark_reached(address_key: str, at: datetime) -> None:
    """Mail to this address of the staff's arrives, as it did not before."""
    flags = (AddressItem.bounced, AddressItem.bounced_at, AddressItem.complained, AddressItem.complained_at)
    earlier: Condition = (AddressItem.bounced_at <= at) | (AddressItem.complained_at <= at)
    later: Condition = (AddressItem.bounced_at > at) | (AddressItem.complained_at > at)
    if _update(address_key, [flag.remove() for flag in flags], earlier & ~later):
        _update(_STAFF_LIST, [AddressItem.failing.delete({address_key})], AddressItem.failing.contains(address_key))


def _mark(address_key: str, flag: BooleanAttribute, moment: InstantAttribute, at: datetime) -> None:
    _update(address_key, [flag.set(True), moment.set(at)], is_not(flag) | (moment < at))
    if address_key.startswith(STAFF):
        AddressItem(_STAFF_LIST).update([AddressItem.failing.add({address_key})])


def _update(address_key: str, actions: list[Action], condition: Condition) -> bool:
    try:
        AddressItem(address_key).update(actions, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True

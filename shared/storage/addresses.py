"""What is known of email addresses, under keyed hashes of them."""

from collections.abc import Iterable
from datetime import datetime

from pynamodb.attributes import BooleanAttribute
from pynamodb.exceptions import UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from shared.domain.patient import Address
from shared.storage.conditions import condition_failed, is_not
from shared.storage.models import AddressItem


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


def mark_bounced(address_key: str, at: datetime) -> bool:
    """No mail to this address arrives, known before or not; False if that was said before."""
    return _mark(address_key, AddressItem.bounced, [AddressItem.bounced_at.set(at)])


def mark_complained(address_key: str, at: datetime) -> bool:
    """Whoever reads this address called a mail spam; False if that was said before."""
    return _mark(address_key, AddressItem.complained, [AddressItem.complained_at.set(at)])


def mark_reached(address_key: str) -> bool:
    """Mail to this address arrives again; False if nothing said it did not."""
    cleared: list[Action] = [AddressItem.bounced.remove(), AddressItem.bounced_at.remove()]
    return _update(address_key, cleared, AddressItem.bounced == True)  # noqa: E712 (an expression)


def _mark(address_key: str, flag: BooleanAttribute, changes: list[Action]) -> bool:
    return _update(address_key, [flag.set(True), *changes], is_not(flag))


def _update(address_key: str, actions: list[Action], condition: Condition) -> bool:
    try:
        AddressItem(address_key).update(actions, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True

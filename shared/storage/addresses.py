"""What is known of email addresses, under keyed hashes of them."""

from collections.abc import Iterable

from shared.domain.patient import Address
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

"""Which of the staff our mail does not reach, in words for whoever can correct an address."""

from collections.abc import Iterable

from shared.domain.delivery import staff_key
from shared.storage import addresses, settings
from shared.storage.settings import practice


def unreached(emails: Iterable[str]) -> dict[str, str]:
    """What keeps alerts from each of these addresses; those that nothing is known of are left out."""
    keys = {staff_key(email): email for email in emails}
    failing = addresses.failing_staff() & keys.keys() if keys else frozenset()
    known = sorted(addresses.get_many(failing).items())
    return {keys[key]: _in_words(keys[key], complained=address.complained) for key, address in known}


def whom_no_alert_reaches() -> dict[str, str]:
    """The same for everybody whom the practice or a clinic wants told; the clinics are read only if somebody fails."""
    if not addresses.failing_staff():
        return {}
    return unreached(sorted(practice().alerted.union(*(clinic.admins for clinic in settings.clinics()))))


def _in_words(email: str, *, complained: bool) -> str:
    if complained:
        return (
            f"{email} marked our mail as spam, so Amazon SES sends none there: alerts do not reach this address. Name "
            "another one, or have whoever looks after AWS take it off the suppression list of Amazon SES."
        )
    return (
        f"Mail to {email} comes back: alerts do not reach this address. Correct it; if it is right, have whoever looks "
        "after AWS take it off the suppression list of Amazon SES."
    )

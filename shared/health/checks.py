"""Every check there is, in the order in which people read them."""

from shared.health import keeping, mail, running, wiring
from shared.health.findings import Check, Facts, Finding

CHECKS: tuple[Check, ...] = (*mail.CHECKS, *running.CHECKS, *wiring.CHECKS, *keeping.CHECKS)


def diagnose(facts: Facts) -> list[Finding]:
    """What all checks say whose facts somebody set out to read."""
    return [finding for check in CHECKS if _is_asked(check, facts) for finding in check.find(facts)]


def not_asked(facts: Facts) -> list[Check]:
    """The checks for which nobody set out to read the facts."""
    return [check for check in CHECKS if not _is_asked(check, facts)]


def _is_asked(check: Check, facts: Facts) -> bool:
    return all(need in facts for need in check.needs)

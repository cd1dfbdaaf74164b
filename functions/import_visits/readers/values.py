"""Single values of a record. Each function returns what the text means or raises ValueError with the reason.

Reasons never repeat the value: they travel further than the file does.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import TypeVar
from zoneinfo import ZoneInfo

from shared.domain.settings import is_email

MAX_LENGTH = 200  # characters; ids become DynamoDB keys, which end at 1,024 bytes
YEARS = range(1900, 2200)

Choice = TypeVar("Choice", bound=StrEnum)

_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d(?:\.\d+)?)?) ?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII)
_SHORTENED = re.compile(r"\d([.,]\d+)?E\+\d+", re.ASCII | re.IGNORECASE)
_FLAGS = {"true": True, "yes": True, "y": True, "1": True, "false": False, "no": False, "n": False, "0": False}
_DIRECTION_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def identifier(text: str) -> str:
    """An id as the records have it."""
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("holds a line break or another control character")
    return _short(text)


def cell_identifier(text: str) -> str:
    """An id as a table has it; what a spreadsheet made of a long one may be the id of several."""
    if _SHORTENED.fullmatch(text):
        raise ValueError("looks like a number that a spreadsheet has shortened; export the column as text")
    return identifier(text)


def visit_identifier(text: str) -> str:
    """A visit's id in a table, which may not begin as the keys do under which cases lie among the visits."""
    if text.startswith("case#"):
        raise ValueError("begins with case#, which Careloop keeps for itself")
    return cell_identifier(text)


def words(text: str) -> str:
    """A name or other words on one line: mail headers take no control characters, and pages no turned direction."""
    visible = (" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text if c not in _DIRECTION_MARKS)
    return _short(" ".join("".join(visible).split()))


def email(text: str) -> str:
    """One address that can be mailed."""
    if not is_email(text):
        raise ValueError("is not an email address; leave it empty if there is none")
    return text


def flag(text: str) -> bool:
    """`true`, `yes`, `y`, `1` or `false`, `no`, `n`, `0`."""
    if text.lower() not in _FLAGS:
        raise ValueError("is neither true nor false")
    return _FLAGS[text.lower()]


def tags(text: str) -> tuple[str, ...]:
    """Words separated by `;`."""
    if len(text) > 10 * MAX_LENGTH:
        raise ValueError(f"is longer than {10 * MAX_LENGTH} characters")
    return tuple(dict.fromkeys(filter(None, map(words, text.split(";")))))


def choice_of(choices: type[Choice]) -> Callable[[str], Choice]:
    """One of a few words; case does not matter, and `No Show` is `no_show`."""

    def parse(text: str) -> Choice:
        try:
            return choices(re.sub(r"[\s-]+", "_", text.lower()))
        except ValueError:
            raise ValueError(f"is none of: {', '.join(choices)}") from None

    return parse


def moment_in(zone: ZoneInfo) -> Callable[[str], datetime]:
    """A time in ISO form; without an offset it is the clinic's, and a date alone is the start of that day there.

    A time that a clock change left out is shifted forward; one that happened twice is the earlier. Whole seconds.
    """

    def parse(text: str) -> datetime:
        match = _MOMENT.fullmatch(text.upper())
        if not match:
            raise ValueError("is not a time such as 2026-03-02T15:00 or 2026-03-02T15:00:00-05:00")
        day, clock, offset = match.groups()
        try:
            moment = datetime.fromisoformat(f"{day}T{clock or time.min}{offset or ''}").replace(microsecond=0)
        except ValueError:
            raise ValueError("is a time that does not exist") from None
        if moment.year not in YEARS:
            raise ValueError(f"is before {YEARS.start} or after {YEARS.stop - 1}")
        local = moment if moment.tzinfo else moment.replace(tzinfo=zone, fold=0)
        return local.astimezone(UTC)

    return parse


def _short(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    return text

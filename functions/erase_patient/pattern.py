"""What a patient's rows look like in a file, whatever its format: their number, address, telephone or name."""

import re
from collections.abc import Iterator

from shared.domain.erasure import Traces

LONGEST = 1024  # bytes: no match is longer
_ENCODINGS = ("utf-8", "cp1252", "utf-16-le", "utf-16-be")
_BETWEEN = rb"[\s\S]{0,80}?"  # between a first and a last name, in whatever a format puts there
_LETTER = rb"0-9A-Za-z\x80-\xff"


def pattern_of(traces: Traces) -> re.Pattern[bytes]:
    """Matches wherever the patient may be meant: a file too many is removed rather than one too few."""
    words = [*traces.patient_ids, *traces.emails]
    found = {each for word in words for each in _spelled(word)}
    found |= {each for phone in traces.phones for each in _dialled(phone)}
    found |= {each for first, last in traces.names if first for each in _named(first, last)}
    return re.compile(b"|".join(sorted(found)), re.IGNORECASE)


def _spelled(word: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        try:
            literal = re.escape(word.encode(encoding))
        except UnicodeEncodeError:
            continue
        is_wide = encoding.startswith("utf-16")
        yield literal if is_wide else rb"(?<![%b])%b(?![%b])" % (_LETTER, literal, _LETTER)


def _dialled(phone: str) -> Iterator[bytes]:
    digits = re.sub(r"\D", "", phone)[-10:]
    if len(digits) >= 7:
        yield rb"[^0-9]{0,6}".join(digit.encode() for digit in digits)


def _named(first: str, last: str) -> Iterator[bytes]:
    for one, other in zip(_spelled(first), _spelled(last), strict=False):
        yield one + _BETWEEN + other
        yield other + _BETWEEN + one

"""Names of things that give nothing away: keyed ids, link tokens and their hashes."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

_ID_LENGTH = 26  # 128 bits in lower-case base32: survives being typed, wrapped or re-cased less readily than base64
_TOKEN = re.compile(r"[a-z2-7]{52}")


class Token(NamedTuple):
    """What a mailed link carries: which survey, and the secret of that one mail."""

    survey_id: str
    secret_hash: str


def survey_id(key: bytes, patient_id: str, episode: str, touchpoint: str) -> str:
    """The id of the one survey for a touchpoint: the same wherever the touchpoint comes from, and unguessable."""
    return _keyed(key, "survey", patient_id, episode, touchpoint)


def address_key(key: bytes, email: str) -> str:
    """The id of an email address; upper and lower case are one address."""
    return _keyed(key, "address", email.strip().lower())


def erased_reference(key: bytes, patient_id: str) -> str:
    """What stands for a patient who was erased: it recognises the number, and does not tell it."""
    return _keyed(key, "erased", patient_id)


def message_id(survey: str, kind: str) -> str:
    """The id of the one message of that kind for a survey."""
    return f"{survey}-{kind}"


def new_token(survey: str) -> tuple[str, str]:
    """A fresh link token for the survey and the hash to store: 128 random bits, kept nowhere else."""
    secret = _base32(secrets.token_bytes(16))
    return survey + secret, hash_secret(secret)


def parse_token(text: str) -> Token | None:
    """The survey and secret hash of a link token, or None for anything that cannot be one."""
    if not _TOKEN.fullmatch(text):
        return None
    return Token(text[:_ID_LENGTH], hash_secret(text[_ID_LENGTH:]))


def hash_secret(secret: str) -> str:
    """SHA-256 of a link's secret, hexadecimal: all that is stored of it."""
    return hashlib.sha256(secret.encode()).hexdigest()


NO_TOKEN = Token("0" * _ID_LENGTH, hash_secret(""))
"""What to look for when a text is no token, so that finding nothing takes as long: there is no 0 in base32."""


def _keyed(key: bytes, *parts: str) -> str:
    # Each part goes in with its length, so that ("ab", "c") and ("a", "bc") differ.
    text = "".join(f"{len(part)}:{part}" for part in parts)
    return _base32(hmac.digest(key, text.encode(), "sha256")[:16])


def _base32(raw: bytes) -> str:
    return base64.b32encode(raw).decode().rstrip("=").lower()

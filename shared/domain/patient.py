"""A patient as far as mail is concerned: how to reach them, and whether one may."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Language(StrEnum):
    """The languages patients are addressed in."""

    ENGLISH = "en"
    SPANISH = "es"


def parse_language(text: str) -> Language:
    """`es`, `es-MX`, `spa`, `Spanish`, `español` are Spanish; empty or any other language is answered in English."""
    return Language.SPANISH if text.strip().lower().startswith(("es", "spa")) else Language.ENGLISH


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; no diagnosis, no notes, no insurance data ever comes in here."""

    patient_id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    phone: str = ""
    language: Language = Language.ENGLISH
    clinic_id: str = ""
    tags: tuple[str, ...] = ()
    opted_out: bool = False
    hold: bool = False
    deceased: bool = False
    archived: bool = False
    updated_at: datetime | None = None  # as the records say
    uploaded_at: datetime | None = None  # when the file came
    surveyed_at: datetime | None = None  # as-of of the last claimed survey: the pause counts from here
    surveyed_by: str = ""  # the message that claimed it
    surveyed_for: datetime | None = None  # when its touchpoint occurred
    review_requested_at: datetime | None = None
    review_requested_by: str = ""
    merged_into: str = ""  # the patient whom this one turned out to be; nobody is mailed under this id again
    merged_from: frozenset[str] = frozenset()  # ids that turned out to be this patient's


@dataclass(frozen=True, slots=True)
class Address:
    """What is known of an email address, under a keyed hash of it."""

    address_key: str
    last_contact_at: datetime | None = None
    last_patient_id: str = ""
    last_message_id: str = ""
    bounced: bool = False
    complained: bool = False

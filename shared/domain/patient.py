"""A patient as far as mail is concerned: how to reach them, and whether one may."""

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum


class Language(StrEnum):
    """The languages patients are addressed in, by their two-letter codes; docs/languages.md says how one is added."""

    ENGLISH = "en"
    SPANISH = "es"


# How records begin the longer codes and names of each language but English.
_BEGINNINGS = {
    Language.SPANISH: ("spa", "esp"),
}
_WORD = re.compile(r"[^\W\d_]+")


def parse_language(text: str) -> Language:
    """`es`, `es-MX`, `spa`, `Spanish`, `español` are Spanish; empty or any other language is answered in English."""
    if word := _WORD.match(text.strip().lower()):
        for language, beginnings in _BEGINNINGS.items():
            if word[0] == language or word[0].startswith(beginnings):
                return language
    return Language.ENGLISH


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
    behind: tuple[tuple[str, str], ...] = ()  # fields whose word is older than the rest, and when; "" if there is none
    updated_at: datetime | None = None  # as the records say
    uploaded_at: datetime | None = None  # when the file came
    surveyed_at: datetime | None = None  # as-of of the last claimed survey: the pause counts from here
    surveyed_by: str = ""  # the message that claimed it
    surveyed_for: datetime | None = None  # when its touchpoint occurred
    review_requested_at: datetime | None = None
    review_requested_by: str = ""
    corrected: tuple[tuple[str, str], ...] = ()  # what the staff corrected: the field, and the records' word then
    merged_into: str = ""  # the patient whom this one turned out to be; nobody is mailed under this id again
    merged_from: frozenset[str] = frozenset()  # ids that turned out to be this patient's


CORRECTABLE = ("email", "phone", "language")
"""What the staff may correct; names and numbers are the records' business."""


def corrected(patient: Patient, field: str, value: str) -> Patient:
    """The patient with what the staff say in place of the records' word, which is remembered."""
    was = dict(patient.corrected).get(field, str(getattr(patient, field)))
    others = tuple((name, word) for name, word in patient.corrected if name != field)
    parsed = parse_language(value) if field == "language" else value
    return replace(patient, corrected=others if was == str(parsed) else (*others, (field, was)), **{field: parsed})  # type: ignore[arg-type]


def keep_corrections(said: Patient, stored: Patient, absent: frozenset[str] = frozenset()) -> Patient:
    """The records' new word, but with the staff's corrections as long as the records repeat what was corrected.

    Of what is `absent` from the records' new word, they say nothing.
    """
    still = tuple(
        (field, was) for field, was in stored.corrected if field in absent or str(getattr(said, field)) == was
    )
    kept = {field: getattr(stored, field) for field, _ in still}
    return replace(said, corrected=still, **kept)


TAKEN_OVER = "0001-01-01T00:00:00Z"
"""In `behind`: the word is from another record of the same person, and any word of this one's own is later."""

_FILLED = ("first_name", "last_name", "email", "phone", "language", "clinic_id")


def filled_from(retired: Patient, survivor: Patient) -> Patient:
    """Of two who turned out to be one: the survivor, with what only the other's records or corrections tell.

    What the survivor's records say stays, an email that they say is none as well; so do corrections.
    """
    fields = [
        name
        for name in _FILLED
        if getattr(retired, name) and _is_stated(name, retired) and not _is_stated(name, survivor)
    ]
    behind = {**dict(survivor.behind), **dict.fromkeys(fields, TAKEN_OVER)}
    corrections = [(name, was) for name, was in retired.corrected if name in fields]
    return replace(
        survivor,
        behind=tuple(sorted(behind.items())),
        corrected=(*survivor.corrected, *corrections),
        **{name: getattr(retired, name) for name in fields},
    )


def _is_stated(name: str, patient: Patient) -> bool:
    if name in dict(patient.corrected):
        return True
    return bool(dict(patient.behind).get(name, patient.uploaded_at))


def search_name(last_name: str, first_name: str) -> str:
    """What a patient is found under: last name first, without case, accents and signs."""
    letters = unicodedata.normalize("NFKD", f"{last_name} {first_name}").casefold()
    kept = "".join(letter if letter.isalnum() else " " for letter in letters if not unicodedata.combining(letter))
    return " ".join(kept.split())


@dataclass(frozen=True, slots=True)
class Address:
    """What is known of an email address, under a keyed hash of it."""

    address_key: str
    last_contact_at: datetime | None = None
    last_patient_id: str = ""
    last_message_id: str = ""
    bounced: bool = False
    complained: bool = False

"""Erasing a patient on request: why, what finds everything of theirs, and when it is certain that nothing is left."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.patient import Patient

ERASED = "erased on request"
"""The reason for which an import refuses a row."""

LONGEST_RUN = timedelta(minutes=16)
"""No function lives longer: whatever read of a patient before this has been written, and can be found."""


class StillBeingErased(Exception):
    """Who is being erased cannot be let in again: what is left of them would stay. The message says when they can."""

    def __init__(self) -> None:
        super().__init__(
            "The patient is still being erased. Settings → Erased patients shows when it has ended: let them in then."
        )


class Why(StrEnum):
    """Why a patient is erased; never words of people, which may name somebody."""

    PATIENT = "patient"
    REPRESENTATIVE = "representative"
    MISTAKE = "mistake"
    TEST = "test"


WHYS = {
    Why.PATIENT: "The patient asked for it",
    Why.REPRESENTATIVE: "A parent, guardian or representative asked for it",
    Why.MISTAKE: "The record came here by mistake",
    Why.TEST: "It is a test record",
}


@dataclass(frozen=True, slots=True)
class Traces:
    """What finds everything that is held about a patient; kept only until nothing is left to find."""

    patient_ids: tuple[str, ...]  # whom they were known as, the present id last
    survey_ids: frozenset[str] = frozenset()
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()  # first and last


def traces_of(known_as: list[Patient]) -> Traces:
    """The traces of somebody known as these; the last is who they are now."""
    corrected = [dict(patient.corrected) for patient in known_as]
    return Traces(
        tuple(patient.patient_id for patient in known_as),
        emails=_each([*(patient.email for patient in known_as), *(was.get("email", "") for was in corrected)]),
        phones=_each([*(patient.phone for patient in known_as), *(was.get("phone", "") for was in corrected)]),
        names=tuple(dict.fromkeys((one.first_name, one.last_name) for one in known_as if one.last_name)),
    )


def _each(words: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, words)))


@dataclass(frozen=True, slots=True)
class Erasure:
    """One erasing, under a keyed hash of the patient's number; `removed` counts by place, at the least."""

    reference: str
    requested_at: datetime
    by: str
    why: Why
    opted_out: bool = False
    traces: Traces | None = None  # None once nothing is left
    removed: Mapping[str, int] = field(default_factory=dict)
    found_at: datetime | None = None  # when something was last found
    waiting: int = 0  # files of the intake that are to be taken in before they can be removed
    searched: str = ""  # the object up to which the intake bucket was searched, if there was no time for all
    finished_at: datetime | None = None

    def is_certain(self, began_at: datetime) -> bool:
        """Whether a look that began then and found nothing is the last: all that ran beside a find has ended."""
        return began_at - (self.found_at or self.requested_at) >= LONGEST_RUN

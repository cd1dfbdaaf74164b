"""One patient, out of every table and of every object of the intake bucket."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from functions.erase_patient.intake_objects import Bucket
from functions.erase_patient.pattern import pattern_of
from shared.domain.clock import format_instant
from shared.domain.erasure import Erasure, Traces, Why, traces_of
from shared.domain.identity import address_key
from shared.domain.intake import folder_of
from shared.hash_key import hash_key
from shared.storage import erasures, patients, removal, surveys

RESTORED = "a backup was restored"


@dataclass(frozen=True, slots=True)
class Invocation:
    """What one run of the function has to work with."""

    s3: Any
    bucket: str
    now: Callable[[], datetime]
    has_time: Callable[[], bool]

    @property
    def intake(self) -> Bucket:
        """The intake bucket."""
        return Bucket(self.s3, self.bucket)


def erase(reference: str, invocation: Invocation) -> str:
    """Remove whatever is found of the patient; `erased` once a look, begun when all else had ended, found nothing.

    Marks that keep the patient from coming back are made before anything is removed. Every step can be repeated.
    """
    erasure = erasures.find(reference)
    if erasure is None or erasure.traces is None:
        return "erased"
    began_at = invocation.now()
    _mark(erasure, erasure.traces, invocation)
    _remove_rows(erasure, erasure.traces, invocation)
    is_searched = _remove_objects(erasure, erasure.traces, invocation)
    after = erasures.find(reference) or erasure
    is_found = after.removed != erasure.removed
    if not is_searched or is_found or after.waiting or not after.is_certain(began_at):
        return "in_progress"
    finished = replace(after, finished_at=invocation.now())
    invocation.intake.put_mark(reference, _proof(finished))
    erasures.finish(finished, invocation.now())
    return "erased"


def ask_again(invocation: Invocation) -> list[str]:
    """Ask for the erasing of every erased patient who is in the tables; returns what is to be gone on with."""
    marks = invocation.intake.marks()
    for reference in marks:
        erasures.put_mark(reference, invocation.now())
    for patient_id in sorted(removal.all_patient_ids()):
        if said := marks.get(erasures.reference(patient_id)):
            stored = patients.get_exactly(patient_id)
            traces = traces_of([stored]) if stored else Traces((patient_id,))
            opted_out = said["opted_out"] or (stored is not None and stored.opted_out)
            erasures.request(traces, Why(said["why"]), RESTORED, invocation.now(), opted_out=opted_out)
    return list(erasures.references())


def _mark(erasure: Erasure, traces: Traces, invocation: Invocation) -> None:
    for patient_id in traces.patient_ids:
        reference = erasures.reference(patient_id)
        invocation.intake.put_mark(reference, _proof(replace(erasure, reference=reference)))
        erasures.put_mark(reference, erasure.requested_at)


def _remove_rows(erasure: Erasure, traces: Traces, invocation: Invocation) -> None:
    for place, number in _steps(erasure, traces):
        if number:
            erasures.note_removed(erasure.reference, place, number, invocation.now())


def _steps(erasure: Erasure, traces: Traces) -> Iterator[tuple[str, int]]:
    """Remove row by row, and tell what was where; what leads to other things comes after them."""
    ids = traces.patient_ids
    asked = traces.survey_ids.union(*(surveys.ids_of_patient(patient_id) for patient_id in ids))
    erasures.remember_surveys(erasure.reference, asked - traces.survey_ids)
    yield "messages", removal.letters(asked)  # first of all, so that nothing more is sent
    for patient_id in ids:  # whom others were merged into comes last: they are found through the others
        yield "patients", removal.patient(patient_id)
    yield "cases", removal.cases(asked)
    for survey_id in sorted(asked):
        yield "surveys", removal.survey(survey_id)
    for patient_id in ids:
        yield "visits", removal.care(patient_id)
    yield "addresses", removal.addresses(ids, {address_key(hash_key(), email) for email in traces.emails})
    for patient_id in ids:
        yield "activity", removal.activity(patient_id)


def _remove_objects(erasure: Erasure, traces: Traces, invocation: Invocation) -> bool:
    """Whether the whole bucket was searched; what is not taken in yet waits for its import."""
    waiting = erasure.waiting if erasure.searched else 0
    pattern = pattern_of(traces)
    for key, found in invocation.intake.search(pattern, after=erasure.searched):
        if found.removed:
            place = f"objects_{folder_of(key)}"
            erasures.note_removed(erasure.reference, place, found.removed, invocation.now())
        waiting += found.waiting
        if not invocation.has_time():
            erasures.note_search(erasure.reference, key, waiting)
            return False
    erasures.note_search(erasure.reference, "", waiting)
    return True


def _proof(erasure: Erasure) -> bytes:
    """What the mark says: nothing of the patient but the reference."""
    said = {
        "reference": erasure.reference,
        "requested_at": format_instant(erasure.requested_at),
        "by": erasure.by,
        "why": erasure.why,
        "opted_out": erasure.opted_out,
        "removed": dict(sorted(erasure.removed.items())),
        "finished_at": format_instant(erasure.finished_at) if erasure.finished_at else "",
    }
    return json.dumps(said, indent=1).encode()

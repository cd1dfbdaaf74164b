"""Patients. Whoever turned out to be somebody else is found under either id: as the one they are now."""

from collections.abc import Callable, Iterable
from datetime import datetime
from itertools import islice
from typing import Any

from pynamodb.attributes import Attribute
from pynamodb.exceptions import DoesNotExist, TransactWriteError, UpdateError
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from shared.domain.patient import CORRECTABLE, Language, Patient, filled_from, search_name
from shared.storage import erasures
from shared.storage.conditions import condition_failed, is_not, transaction_refused
from shared.storage.models import PatientItem, connection

MAX_SEARCHED = 500  # names looked through for one search
NOT_MERGED: Condition = PatientItem.merged_into.does_not_exist()
NOT_THERE: Condition = PatientItem.patient_id.does_not_exist()
_FLAGS = ("opted_out", "hold", "deceased")  # of either of two patients who turn out to be one, they hold for both


def get(patient_id: str) -> Patient | None:
    """The patient as last written, or None; has another id if the two were merged."""
    patient = get_exactly(patient_id)
    while patient and patient.merged_into:
        patient = get_exactly(patient.merged_into)
    return patient


def get_exactly(patient_id: str) -> Patient | None:
    """The item of this very id, also if the patient turned out to be another."""
    if patient_id.startswith(erasures.PREFIX):
        return None
    try:
        return to_patient(PatientItem.get(patient_id, consistent_read=True))
    except DoesNotExist:
        return None


def get_many(patient_ids: Iterable[str], *, consistent: bool = False) -> dict[str, Patient]:
    """The patients among these ids that exist, by the id asked for, whatever id they have since a merge."""
    wanted = set(patient_ids)
    found: dict[str, Patient] = {}
    asked, missing = set[str](), wanted
    while missing:
        items = PatientItem.batch_get(sorted(missing), consistent_read=consistent)
        found |= {item.patient_id: to_patient(item) for item in items}
        asked |= missing
        missing = {patient.merged_into for patient in found.values() if patient.merged_into} - asked
    people = {patient_id: _now(found[patient_id], found) for patient_id in wanted & found.keys()}
    return {patient_id: patient for patient_id, patient in people.items() if patient}


def _now(patient: Patient, found: dict[str, Patient]) -> Patient | None:
    """Who they are now; None if that one is just being erased, and this one with them."""
    now: Patient | None = patient
    while now and now.merged_into:
        now = found.get(now.merged_into)
    return now


def put_record(patient: Patient, seen: Patient | None) -> bool:
    """Write what the practice's records say of a patient, unless the record changed since it was `seen`.

    Mailing history and holds are left as they are; an opt-out is set, never cleared. False if someone else was faster.
    """
    item = PatientItem
    changes = [
        *_said_of(patient),
        item.tags.set(list(patient.tags)),
        item.deceased.set(patient.deceased),
        item.archived.set(patient.archived),
    ]
    if patient.opted_out:
        changes.append(item.opted_out.set(True))
    for attribute, moment in ((item.updated_at, patient.updated_at), (item.uploaded_at, patient.uploaded_at)):
        changes.append(attribute.set(moment) if moment else attribute.remove())
    return _update(patient.patient_id, changes, _unchanged(seen))


def correct(patient: Patient, seen: Patient) -> bool:
    """Write what the staff corrected, unless the patient changed since; False if so. The next export may differ."""
    item = PatientItem
    changes: list[Action] = [getattr(item, field).set(str(getattr(patient, field))) for field in CORRECTABLE]
    changes.append(item.corrected.set(dict(patient.corrected)) if patient.corrected else item.corrected.remove())
    return _update(patient.patient_id, changes, _unchanged(seen))


def hold(patient_id: str, *, on: bool) -> None:
    """Keep surveys from a patient for as long as the staff want, or no longer."""
    _update(patient_id, [PatientItem.hold.set(on)], PatientItem.patient_id.exists())


def note_death(patient_id: str) -> None:
    """Never mail somebody again who has died, whatever id the word of it came under."""
    _update(patient_id, [PatientItem.deceased.set(True)], PatientItem.patient_id.exists())


def opt_in(patient_id: str) -> None:
    """Take back an opt-out, at the patient's own wish."""
    _update(patient_id, [PatientItem.opted_out.set(False)], PatientItem.patient_id.exists())


def search(name: str, limit: int, at: Callable[[str], bool] = lambda clinic_id: True) -> list[Patient]:
    """Patients of the clinics `at` which one may look, whose last name begins so, or last and first name in any order.

    At most `limit`, by name.
    """
    words = search_name(name, "")
    first, _, last = words.partition(" ")
    found = [*_begins(words, "", limit, at), *(_begins(last, first, limit, at) if last else ())]
    people = {patient.patient_id: patient for patient in get_many(found).values()}
    ordered = sorted(people.values(), key=lambda patient: search_name(patient.last_name, patient.first_name))
    return ordered[:limit]


def _begins(last: str, other: str, limit: int, at: Callable[[str], bool]) -> list[str]:
    if not last:
        return []
    items = PatientItem.by_name.query(last[0], PatientItem.search_name.startswith(last), limit=MAX_SEARCHED)
    here = (item for item in items if at(item.clinic_id))
    wanted = (item for item in here if any(word.startswith(other) for word in item.search_name.split()))
    return [item.patient_id for item in islice(wanted, limit)]


def _said_of(patient: Patient) -> list[Action]:
    """Who they are and how to reach them, whose word that is, and what they are found under."""
    item = PatientItem
    return [
        item.first_name.set(patient.first_name),
        item.last_name.set(patient.last_name),
        item.email.set(patient.email),
        item.phone.set(patient.phone),
        item.language.set(patient.language),
        item.clinic_id.set(patient.clinic_id),
        item.corrected.set(dict(patient.corrected)) if patient.corrected else item.corrected.remove(),
        item.behind.set(dict(patient.behind)) if patient.behind else item.behind.remove(),
        *_found_under(patient),
    ]


def _found_under(patient: Patient) -> list[Action]:
    name = search_name(patient.last_name, patient.first_name)
    if not name:
        return [PatientItem.name_initial.remove(), PatientItem.search_name.remove()]
    return [PatientItem.name_initial.set(name[0]), PatientItem.search_name.set(name)]


def opt_out(patient_id: str) -> bool:
    """Never mail this patient again, known or not; False if that was said before."""
    if _update(patient_id, [PatientItem.opted_out.set(True)], is_not(PatientItem.opted_out) & NOT_MERGED):
        return True
    patient = get(patient_id)
    return patient is not None and patient.patient_id != patient_id and opt_out(patient.patient_id)


def merge(retired: Patient, survivor: Patient) -> bool:
    """Make one patient of two, all at once: the survivor takes over every reason not to be mailed, or not yet.

    An address, a name and the like that only the retired one's records tell are the survivor's as well. False if either
    was changed, mailed, opted out, merged or erased since they were read.
    """
    taken_over: list[Action] = [PatientItem.merged_from.add({retired.patient_id, *retired.merged_from})]
    filled = filled_from(retired, survivor)
    if filled != survivor:
        taken_over += _said_of(filled)
    taken_over += [getattr(PatientItem, flag).set(True) for flag in _FLAGS if getattr(retired, flag)]
    if retired.surveyed_at and (survivor.surveyed_at is None or survivor.surveyed_at < retired.surveyed_at):
        taken_over += _set_all(retired, "surveyed_at", "surveyed_by", "surveyed_for")
    asked_at = survivor.review_requested_at
    if retired.review_requested_at and (asked_at is None or asked_at < retired.review_requested_at):
        taken_over += _set_all(retired, "review_requested_at", "review_requested_by")
    try:
        with TransactWrite(connection=connection()) as transaction:
            transaction.update(
                PatientItem(survivor.patient_id),
                actions=taken_over,
                condition=_same_history(survivor) & _unchanged(survivor),
            )
            transaction.update(
                PatientItem(retired.patient_id),
                actions=[
                    PatientItem.merged_into.set(survivor.patient_id),
                    PatientItem.archived.set(True),
                    PatientItem.name_initial.remove(),
                    PatientItem.search_name.remove(),
                ],
                condition=_same_history(retired) & _unchanged(retired),
            )
            for patient in (retired, survivor):
                transaction.condition_check(PatientItem, erasures.key_of(patient.patient_id), condition=NOT_THERE)
    except TransactWriteError as error:
        if transaction_refused(error):
            return False
        raise
    return True


def _set_all(patient: Patient, *names: str) -> list[Action]:
    return [getattr(PatientItem, name).set(value) for name in names if (value := getattr(patient, name))]


def _same_history(seen: Patient) -> Condition:
    """Whether nobody was mailed, opted out or put on hold since."""
    condition: Condition = _same(PatientItem.surveyed_at, seen.surveyed_at)
    condition &= _same(PatientItem.review_requested_at, seen.review_requested_at)
    for flag in _FLAGS:
        if not getattr(seen, flag):
            condition &= is_not(getattr(PatientItem, flag))
    return condition


def _same(attribute: Attribute[Any], value: object) -> Condition:
    same: Condition = attribute == value
    return same if value else attribute.does_not_exist()


def _unchanged(seen: Patient | None) -> Condition:
    """Whether the records, the staff or a merge said nothing new since."""
    known = seen or Patient("")  # an opt-out or a merge may come before any file that names the patient
    unchanged: Condition = _same(PatientItem.uploaded_at, known.uploaded_at) & NOT_MERGED
    if known.updated_at:
        unchanged &= PatientItem.updated_at == known.updated_at
    unchanged &= _same(PatientItem.corrected, dict(known.corrected)) & _same(PatientItem.behind, dict(known.behind))
    return unchanged


def _update(patient_id: str, changes: list[Action], condition: Condition) -> bool:
    try:
        PatientItem(patient_id).update(changes, condition=condition)
    except UpdateError as error:
        if condition_failed(error):
            return False
        raise
    return True


def to_patient(item: PatientItem) -> Patient:
    """The stored item as the domain knows it."""
    return Patient(
        patient_id=item.patient_id,
        first_name=item.first_name,
        last_name=item.last_name,
        email=item.email,
        phone=item.phone,
        language=Language(item.language),
        clinic_id=item.clinic_id,
        tags=tuple(item.tags),
        opted_out=item.opted_out,
        hold=item.hold,
        deceased=item.deceased,
        archived=item.archived,
        behind=tuple((item.behind or {}).items()),
        updated_at=item.updated_at,
        uploaded_at=item.uploaded_at,
        surveyed_at=item.surveyed_at,
        surveyed_by=item.surveyed_by or "",
        surveyed_for=item.surveyed_for,
        review_requested_at=item.review_requested_at,
        review_requested_by=item.review_requested_by or "",
        corrected=tuple((item.corrected or {}).items()),
        merged_into=item.merged_into or "",
        merged_from=frozenset(item.merged_from or ()),
    )


def pause_began_before(cutoff: datetime, message_id: str) -> Condition:
    """Condition: the patient was not surveyed after the cutoff, except by this same message."""
    item = PatientItem
    free: Condition = (
        item.surveyed_at.does_not_exist() | (item.surveyed_at <= cutoff) | (item.surveyed_by == message_id)
    )
    return free

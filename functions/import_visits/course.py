"""One patient and their course of care: what a file's rows make of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar

from functions.import_visits.erased import stop_if_erased
from functions.import_visits.follow_up import FollowUp, SurveyChange
from functions.import_visits.merge import ATTEMPTS, Contended, Outcome, grouped, is_older, merge_all, newest
from functions.import_visits.merging import keep
from functions.import_visits.records import CaseRecord, PatientRecord, VisitRecord
from shared.domain.episode import Case, Visit
from shared.domain.patient import Patient, keep_corrections
from shared.storage import names, patients, visits
from shared.storage.visits import History

Staged = tuple[int, PatientRecord | VisitRecord | CaseRecord]
"""A record and the line it stands on; a patient's come in the order of their file."""

Outcomes = list[tuple[int, Outcome]]
"""What each record did, in their order."""

_OURS = (
    *("hold", "surveyed_at", "surveyed_by", "surveyed_for", "review_requested_at", "review_requested_by"),
    *("merged_into", "merged_from"),
)

Person = tuple[int, PatientRecord]
Care = tuple[int, VisitRecord | CaseRecord]
"""A record and its place among the rows of the patient."""

T = TypeVar("T", Visit, Case)


@dataclass(frozen=True, slots=True)
class Course:
    """What a file's rows would make of a patient."""

    patient: Patient | None
    visits: dict[str, Visit] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=list)
    surveys: list[SurveyChange] = field(default_factory=list)


def look(
    patient_id: str, rows: Sequence[Staged], uploaded_at: datetime, follow_up: FollowUp, known: Patient | None
) -> Course:
    """What `store` would make of the same rows; reads, never writes."""
    people, care = _parted(rows)
    patient, outcomes = _merge_patient(patient_id, known, people, uploaded_at)
    surveys = follow_up.look_at_unsent(patient_id) if _has_left_unknown(known, patient) else []
    if not care:
        return Course(patient, outcomes=_in_order(rows, outcomes), surveys=surveys)
    owner = known.patient_id if known else patient_id
    stored = visits.of_patient(owner)
    merged, more = _merge_care(owner, stored, care, uploaded_at)
    surveys = surveys or follow_up.look(owner, patient, merged, stored)
    return Course(patient, merged.visits, merged.cases, _in_order(rows, outcomes | more), surveys)


def store(
    patient_id: str, rows: Sequence[Staged], uploaded_at: datetime, follow_up: FollowUp, known: Patient | None
) -> Outcomes:
    """Store the rows of one patient, the newest word on each thing; `known` is the patient as read just before.

    An opt-out is set, never cleared. Rows about somebody who was merged into another are the other's: their visits and
    cases are stored there, and of the person only an opt-out is heard.
    """
    people, care = _parted(rows)
    patient, outcomes = _store_patient(patient_id, known, people, uploaded_at, follow_up)
    if care:
        outcomes |= _store_care(patient.patient_id if patient else patient_id, patient, care, uploaded_at, follow_up)
    return _in_order(rows, outcomes)


def _parted(rows: Sequence[Staged]) -> tuple[list[Person], list[Care]]:
    people, care = list[Person](), list[Care]()
    for place, (_, record) in enumerate(rows):
        if isinstance(record, PatientRecord):
            people.append((place, record))
        else:
            care.append((place, record))
    return people, care


def _in_order(rows: Sequence[Staged], outcomes: dict[int, Outcome]) -> Outcomes:
    return [(line, outcomes[place]) for place, (line, _) in enumerate(rows)]


def _store_patient(
    patient_id: str, known: Patient | None, rows: Sequence[Person], uploaded_at: datetime, follow_up: FollowUp
) -> tuple[Patient | None, dict[int, Outcome]]:
    """Store what the rows say of the person; visits may have come before them, and led to surveys of one who left."""
    for _ in range(ATTEMPTS):
        merged, outcomes = _merge_patient(patient_id, known, rows, uploaded_at)
        if merged is None or merged == known:
            return merged, outcomes
        if merged.patient_id != patient_id:
            if merged.opted_out:
                patients.opt_out(merged.patient_id)
            if merged.deceased:
                patients.note_death(merged.patient_id)
            return merged, outcomes
        if _has_left_unknown(known, merged):
            follow_up.forget(patient_id)
        if patients.put_record(merged, known):
            return merged, outcomes
        stop_if_erased(patient_id)
        known = patients.get(patient_id)
    raise Contended


def _merge_patient(
    patient_id: str, known: Patient | None, rows: Sequence[Person], uploaded_at: datetime
) -> tuple[Patient | None, dict[int, Outcome]]:
    """The patient as the rows leave them, and what each row did."""

    def merge(stored: Patient | None, record: PatientRecord) -> Patient:
        said = replace(record.patient, uploaded_at=uploaded_at)
        if stored is None:
            return newest(None, said, record.absent)
        opted_out = stored.opted_out or said.opted_out
        if stored.patient_id != patient_id:
            return replace(stored, opted_out=opted_out, deceased=stored.deceased or said.deceased)
        ours = {name: getattr(stored, name) for name in _OURS}
        merged = replace(newest(stored, said, record.absent), opted_out=opted_out, **ours)
        return merged if is_older(said, stored) else keep_corrections(merged, stored, record.absent)

    merged, outcomes = merge_all(known, [record for _, record in rows], merge)
    return merged, dict(zip((place for place, _ in rows), outcomes, strict=True))


def _has_left_unknown(known: Patient | None, merged: Patient | None) -> bool:
    """Whether the first that is heard of a patient is that they left."""
    return merged is not None and merged.archived and (known is None or known.uploaded_at is None)


def _store_care(
    owner: str, patient: Patient | None, rows: Sequence[Care], uploaded_at: datetime, follow_up: FollowUp
) -> dict[int, Outcome]:
    first: list[dict[int, Outcome]] = []

    def change(stored: History) -> History:
        merged, outcomes = _merge_care(owner, stored, rows, uploaded_at)
        first.append(outcomes)
        return merged

    keep(owner, patient, change, follow_up)
    _put_names((record.visit for _, record in rows if isinstance(record, VisitRecord)), uploaded_at)
    return first[0]


def _merge_care(
    owner: str, stored: History, rows: Sequence[Care], uploaded_at: datetime
) -> tuple[History, dict[int, Outcome]]:
    """The visits and cases as the rows leave them, and what each row did."""

    def merge(known: T | None, said: T, absent: frozenset[str]) -> T:
        return newest(known, replace(said, patient_id=owner, uploaded_at=uploaded_at), absent)

    merged, outcomes = History(dict(stored.visits), dict(stored.cases)), dict[int, Outcome]()
    visit_rows = [(place, record) for place, record in rows if isinstance(record, VisitRecord)]
    for visit_id, its_rows in grouped(visit_rows, lambda row: row[1].visit.visit_id).items():
        visit, found = merge_all(
            stored.visits.get(visit_id), its_rows, lambda known, row: merge(known, row[1].visit, row[1].absent)
        )
        if visit:
            merged.visits[visit_id] = visit
        outcomes.update(zip((place for place, _ in its_rows), found, strict=True))
    case_rows = [(place, record) for place, record in rows if isinstance(record, CaseRecord)]
    for case_id, their_rows in grouped(case_rows, lambda row: row[1].case.case_id).items():
        case, found = merge_all(
            stored.cases.get(case_id), their_rows, lambda known, row: merge(known, row[1].case, row[1].absent)
        )
        if case:
            merged.cases[case_id] = case
        outcomes.update(zip((place for place, _ in their_rows), found, strict=True))
    return merged, outcomes


def _put_names(said: Iterable[Visit], uploaded_at: datetime) -> None:
    for visit in said:
        said_at = min(visit.started_at, uploaded_at)
        if visit.therapist_id and visit.therapist_name:
            names.put_names("therapist", [visit.therapist_id], visit.therapist_name, said_at, visit.clinic_id)
        if visit.clinic_name:
            names.put_names("clinic", [visit.clinic_id], visit.clinic_name, said_at)

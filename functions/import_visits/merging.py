"""Two patients who turned out to be one: the survivor has everything, and nobody is asked anything twice."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from functions.import_visits import history
from functions.import_visits.erased import stop_if_erased
from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import ATTEMPTS, Contended, Outcome, is_older
from shared.domain.identity import message_id
from shared.domain.message import MessageKind
from shared.domain.patient import Patient
from shared.storage import messages, patients, surveys, visits
from shared.storage.visits import History


def merge_patients(retired_id: str, patient_id: str, follow_up: FollowUp) -> Outcome:
    """Give everything of the retired patient to the other; whoever neither is known yet is remembered.

    First of all the two become one person who may not be mailed, or not yet, for the reasons of either. From then on
    whoever asks for the retired patient finds the survivor. Surveys, messages, visits and cases follow, each step such
    that the same call finishes what a killed one began. Their activity stays under the id under which it happened.
    """
    if retired_id == patient_id:
        raise ValueError("a patient cannot be merged with themselves")
    is_news = _join(retired_id, patient_id)
    survivor = patients.get(retired_id)
    if survivor is None or survivor.patient_id == retired_id:  # the other one was merged into this one before
        return Outcome.UNCHANGED
    has_moved = _move(retired_id, survivor, follow_up)
    return Outcome.UPDATED if is_news or has_moved else Outcome.UNCHANGED


def keep(
    patient_id: str,
    patient: Patient | None,
    change: Callable[[History], History],
    follow_up: FollowUp,
    recent: Iterable[str] = (),
) -> None:
    """Change what is stored of a patient's care; if the patient was merged meanwhile, it follows them."""
    now = history.keep(patient_id, patient, change, follow_up, recent)
    if now and now.patient_id != patient_id:
        merge_patients(patient_id, now.patient_id, follow_up)


def _join(retired_id: str, patient_id: str) -> bool:
    for _ in range(ATTEMPTS):
        stop_if_erased(retired_id, patient_id)
        retired = patients.get_exactly(retired_id) or Patient(retired_id)
        survivor = patients.get(patient_id) or Patient(patient_id)
        if retired.merged_into or survivor.patient_id == retired_id:
            return False
        if patients.merge(retired, survivor):
            return True
    raise Contended


def _move(retired_id: str, survivor: Patient, follow_up: FollowUp) -> bool:
    """Move everything, visits and cases last, until nothing is left: another import may still be adding some."""
    for attempt in range(ATTEMPTS):
        care = visits.of_patient(retired_id)
        asked = {survey.survey_id: survey for survey in surveys.of_patient(retired_id)}
        asked |= surveys.get_many(follow_up.survey_ids(retired_id, care) - asked.keys())
        left = [survey for survey in asked.values() if survey.patient_id == retired_id]
        if not care and not left:
            return attempt > 0
        # Messages before their surveys: what a kill leaves is found by the surveys.
        messages.give_to(
            (message_id(survey.survey_id, kind) for survey in left for kind in MessageKind), survivor.patient_id
        )
        follow_up.remind_once(left, surveys.of_patient(survivor.patient_id))
        for survey in left:
            surveys.give_to(survey, survivor.patient_id)
        keep(survivor.patient_id, survivor, _joined_with(care, survivor.patient_id), follow_up, asked)
        for one in care:
            visits.delete(one)
    raise Contended


def _joined_with(care: History, patient_id: str) -> Callable[[History], History]:
    """Add this care to the patient's; of a visit or case that both have, the newest word counts."""

    def join(stored: History) -> History:
        joined = History(dict(stored.visits), dict(stored.cases))
        for visit_id, visit in care.visits.items():
            moved, known = replace(visit, patient_id=patient_id), stored.visits.get(visit_id)
            if known is None or is_older(known, moved):
                joined.visits[visit_id] = moved
        for case_id, case in care.cases.items():
            told, there = replace(case, patient_id=patient_id), stored.cases.get(case_id)
            if there is None or is_older(there, told):
                joined.cases[case_id] = told
        return joined

    return join

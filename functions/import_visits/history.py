"""A patient's visits and cases: stored only when the surveys they lead to are there, so that a kill leaves no gap."""

from collections.abc import Callable, Iterable

from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import ATTEMPTS, Contended
from shared.domain.patient import Patient
from shared.storage import patients, visits
from shared.storage.visits import History


def keep(
    patient_id: str,
    patient: Patient | None,
    change: Callable[[History], History],
    follow_up: FollowUp,
    recent: Iterable[str] = (),
) -> Patient | None:
    """Change what is stored of a patient's care: surveys first, visits and cases last; `recent` as for `settle`.

    Then look again, since another import may have written about this patient, or merged them into another: returns the
    patient as they are now. What changes nothing is followed up as well: the import that stored it may have died.
    """
    seen: list[History] = []
    for _ in range(ATTEMPTS):
        stored = visits.of_patient(patient_id)
        if seen and stored == seen[-1]:
            return patient
        seen.append(stored)
        wanted = change(stored)
        follow_up.settle(patient_id, patient, wanted, seen, recent)
        if wanted == stored:
            return patient
        for one in wanted:
            if one != stored.find(one):
                visits.put(one, stored.find(one))
        seen.append(wanted)
        patient = patients.get(patient_id)
        if patient and patient.patient_id != patient_id:
            return patient
    raise Contended

"""Patients in the table: found by name, corrected against what was seen, put on hold and taken off it."""

from datetime import timedelta

import pytest

from shared.domain.patient import Patient, corrected
from shared.storage import patients
from tests.builders import MONDAY_NOON, a_patient

pytestmark = pytest.mark.usefixtures("aws")


def add(patient_id: str, first_name: str, last_name: str) -> None:
    assert patients.put_record(
        a_patient(patient_id, first_name=first_name, last_name=last_name, uploaded_at=MONDAY_NOON), None
    )


def stored(patient_id: str = "p1") -> Patient:
    patient = patients.get(patient_id)
    assert patient
    return patient


def found(name: str, limit: int = 20) -> list[str]:
    return [patient.patient_id for patient in patients.search(name, limit)]


def test_a_patient_is_found_by_the_beginning_of_the_name_in_either_order():
    add("p1", "Ada", "Okafor")
    add("p2", "José", "Núñez")
    add("p3", "Adam", "Okada")
    for typed in ("okafor", "OKAF", "Okafor, Ada", "ada okafor", "Ada Oka"):
        assert "p1" in found(typed), typed
    assert found("nunez") == found("Núñez") == ["p2"]
    assert found("ok") == ["p3", "p1"]
    assert found("ok", 1) == ["p3"]
    assert found("") == found("!") == found("zzz") == []


def test_a_new_name_replaces_the_old_one():
    add("p1", "Ada", "Okafor")
    patients.put_record(a_patient(last_name="Reyes", uploaded_at=MONDAY_NOON + timedelta(days=1)), stored())
    assert (found("okafor"), found("reyes")) == ([], ["p1"])
    patients.put_record(a_patient(first_name="", last_name="", uploaded_at=MONDAY_NOON), stored())
    assert found("reyes") == []


def test_whoever_turned_out_to_be_another_is_found_once():
    add("p1", "Ada", "Okafor")
    add("p2", "Ada", "Okafor")
    assert patients.merge(stored("p2"), stored("p1"))
    assert found("okafor") == ["p1"]


def test_a_correction_is_not_written_over_what_changed_meanwhile():
    add("p1", "Ada", "Okafor")
    seen = stored()
    better = corrected(seen, "email", "right@example.com")
    assert patients.correct(better, seen)
    assert stored() == better
    assert not patients.correct(corrected(seen, "phone", "1"), seen)
    later = a_patient(first_name="Adah", uploaded_at=MONDAY_NOON + timedelta(days=1))
    assert not patients.put_record(later, seen)
    assert stored() == better


def test_a_hold_and_an_opt_out_can_be_taken_back_by_the_staff():
    add("p1", "Ada", "Okafor")
    patients.hold("p1", on=True)
    patients.opt_out("p1")
    assert (stored().hold, stored().opted_out) == (True, True)
    patients.hold("p1", on=False)
    patients.opt_in("p1")
    assert (stored().hold, stored().opted_out) == (False, False)
    patients.hold("nobody", on=True)
    assert patients.get("nobody") is None


def test_an_import_that_read_the_patient_before_an_opt_out_does_not_undo_it():
    add("p1", "Ada", "Okafor")
    seen = stored()
    assert patients.opt_out("p1")
    assert patients.put_record(a_patient(first_name="Adah", uploaded_at=MONDAY_NOON + timedelta(days=1)), seen)
    assert (stored().first_name, stored().opted_out) == ("Adah", True)

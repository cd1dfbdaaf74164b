"""Patients: found by their names however they are typed, and corrected until the records know better."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.patient import Language, Patient, corrected, keep_corrections, search_name
from tests.builders import a_patient

WRONG, RIGHT = "ada@exmaple.com", "ada@example.com"


def as_exported(**differences: str) -> Patient:
    return a_patient(**{"email": WRONG, "phone": "555-0100", **differences})


def test_a_correction_stands_while_the_records_repeat_their_mistake():
    stored = corrected(as_exported(), "email", RIGHT)
    assert stored.email == RIGHT
    assert keep_corrections(as_exported(first_name="Adah"), stored).email == RIGHT
    assert keep_corrections(as_exported(first_name="Adah"), stored).first_name == "Adah"


def test_a_new_word_of_the_records_ends_a_correction():
    stored = corrected(as_exported(), "email", RIGHT)
    moved = keep_corrections(as_exported(email="ada@new.example.com"), stored)
    assert (moved.email, moved.corrected) == ("ada@new.example.com", ())


def test_corrections_of_several_fields_stand_and_end_by_themselves():
    stored = corrected(corrected(as_exported(), "email", RIGHT), "phone", "555-0199")
    said = keep_corrections(as_exported(phone="555-0111"), stored)
    assert (said.email, said.phone, said.corrected) == (RIGHT, "555-0111", (("email", WRONG),))


def test_records_that_say_nothing_of_a_field_leave_its_correction():
    stored = corrected(as_exported(), "email", RIGHT)
    assert keep_corrections(stored, stored, frozenset({"email"})) == stored


def test_correcting_again_remembers_what_the_records_said_not_the_first_correction():
    stored = corrected(corrected(as_exported(), "email", "typo@example.com"), "email", RIGHT)
    assert stored.corrected == (("email", WRONG),)


def test_correcting_back_to_the_records_word_is_no_correction():
    assert corrected(corrected(as_exported(), "email", RIGHT), "email", WRONG) == as_exported()


def test_a_language_is_corrected_as_a_language():
    stored = corrected(as_exported(), "language", "es")
    assert stored.language is Language.SPANISH
    assert keep_corrections(as_exported(), stored).language is Language.SPANISH


@pytest.mark.parametrize(
    ("last", "first", "found"),
    [
        ("Okafor", "Ada", "okafor ada"),
        ("Núñez-O’Brien", "José María", "nunez o brien jose maria"),
        ("", "Ada", "ada"),
        ("DE LA CRUZ", " Ana ", "de la cruz ana"),
        ("Straße", "", "strasse"),
        ("O'Kon634", "Bo", "o kon634 bo"),
        ("!!", "??", ""),
    ],
)
def test_case_accents_and_signs_do_not_hide_a_name(last, first, found):
    assert search_name(last, first) == found


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_search_name_searched_again_is_itself(last, first):
    name = search_name(last, first)
    assert search_name(name, "") == name

"""Of several records on one visit the newest word on each field counts, in whatever order they come."""

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.merge import newest
from shared.domain.episode import Visit, VisitStatus
from tests.builders import MONDAY_NOON, a_visit

FIELDS = ("therapist_id", "clinic_id", "status", "removed", "ended_at")
UPLOADED = MONDAY_NOON + timedelta(days=9)

Word = tuple[Visit, frozenset[str]]


def a_word(number: int, absent: frozenset[str]) -> Word:
    """The n-th record of a visit, which says something else of each field than all others."""
    visit = a_visit(
        therapist_id=f"t{number}",
        clinic_id=f"c{number}",
        status=list(VisitStatus)[number % 4],
        removed=number % 2 == 1,
        ended_at=MONDAY_NOON + timedelta(hours=number),
        updated_at=MONDAY_NOON + timedelta(minutes=number),
        uploaded_at=UPLOADED,
    )
    return visit, absent


def heard(words: list[Word]) -> Visit:
    stored = None
    for said, absent in words:
        stored = newest(stored, said, absent)
    assert stored
    return stored


@given(st.lists(st.frozensets(st.sampled_from(FIELDS)), min_size=1, max_size=4))
def test_the_order_of_arrival_does_not_matter(absences):
    words = [a_word(number, absent) for number, absent in enumerate(absences)]
    in_order = heard(words)
    for name in FIELDS:
        stated = [visit for visit, absent in words if name not in absent]
        if stated:
            assert getattr(in_order, name) == getattr(stated[-1], name)
    for shuffled in permutations(words):
        found = heard(list(shuffled))
        told = {name for name in FIELDS if any(name not in absent for _, absent in words)}
        assert {name: getattr(found, name) for name in told} == {name: getattr(in_order, name) for name in told}
        assert (found.updated_at, found.behind) == (in_order.updated_at, in_order.behind)


@given(st.lists(st.frozensets(st.sampled_from(FIELDS)), min_size=1, max_size=4), st.data())
def test_hearing_anything_again_changes_nothing(absences, data):
    words = [a_word(number, absent) for number, absent in enumerate(absences)]
    stored = heard(words)
    said, absent = data.draw(st.sampled_from(words))
    assert newest(stored, said, absent) == stored


def test_an_arrival_that_comes_after_its_own_amendment_still_counts():
    arrival = a_visit(status=VisitStatus.COMPLETED, updated_at=MONDAY_NOON, uploaded_at=UPLOADED)
    amended = replace(
        arrival, status=VisitStatus.SCHEDULED, therapist_id="t9", updated_at=MONDAY_NOON + timedelta(seconds=5)
    )
    stored = heard([(amended, frozenset({"status"})), (arrival, frozenset())])
    assert (stored.status, stored.therapist_id) == (VisitStatus.COMPLETED, "t9")

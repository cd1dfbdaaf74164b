"""The sample practice's staff take only steps that a case allows, and none of them in the future."""

import random
from datetime import timedelta

from local.sample_cases import steps
from shared.domain.recovery import CaseState
from tests.builders import MONDAY_NOON, a_case


def test_most_cases_are_closed_in_the_end_and_a_few_are_left_lying():
    ends = [
        [case for _, _, case in steps(a_case(), random.Random(seed), MONDAY_NOON + timedelta(days=60))]
        for seed in range(200)
    ]
    assert 5 < sum(not end for end in ends) < 40
    assert {end[-1].state for end in ends if end} == {CaseState.CLOSED}


def test_what_has_not_happened_yet_is_not_written_down():
    for seed in range(50):
        taken = list(steps(a_case(), random.Random(seed), MONDAY_NOON + timedelta(hours=6)))
        assert all(moment <= MONDAY_NOON + timedelta(hours=6) for _, moment, _ in taken)
        assert [case.version for _, _, case in taken] == list(range(2, 2 + len(taken)))

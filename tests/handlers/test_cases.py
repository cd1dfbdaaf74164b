"""Cases in the table: one a survey, listed while open, and never overwritten by somebody who looked earlier."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.recovery import Channel, Outcome, Outreach, Result, claim, close, reach_out
from shared.storage import cases
from tests.builders import MONDAY_NOON, a_case

pytestmark = pytest.mark.usefixtures("aws")


def test_a_case_comes_back_as_it_was_written():
    attempt = Outreach(MONDAY_NOON, "u1", "Maria", Channel.TELEPHONE, Result.VOICEMAIL, "will call again", "asked to")
    full = replace(
        close(reach_out(a_case(safety=True), attempt), "u1", Outcome.RESOLVED, "waiting", "all well", MONDAY_NOON),
        replied_at=MONDAY_NOON,
        escalated_at=MONDAY_NOON,
    )
    for case in (a_case(), full):
        assert cases.create(replace(case, survey_id=f"{case.state}"))
        assert cases.get(f"{case.state}") == replace(case, survey_id=f"{case.state}")
    assert cases.get("none") is None


def test_one_survey_has_one_case_however_often_its_alert_repeats():
    assert cases.create(a_case())
    taken = claim(a_case(), "u1", "Maria", MONDAY_NOON)
    assert cases.write(taken, a_case())
    assert not cases.create(a_case())
    assert cases.get(taken.survey_id) == taken


def test_of_two_who_looked_at_the_same_moment_only_one_writes():
    cases.create(a_case())
    assert cases.write(claim(a_case(), "u1", "Maria", MONDAY_NOON), a_case())
    assert not cases.write(claim(a_case(), "u2", "Ben", MONDAY_NOON), a_case())
    stored = cases.get(a_case().survey_id)
    assert stored
    assert stored.owner == "u1"


def test_open_cases_are_listed_by_deadline_and_closed_ones_by_month():
    late = a_case("b" * 26, deadline=MONDAY_NOON + timedelta(days=2))
    soon = a_case("c" * 26, deadline=MONDAY_NOON + timedelta(days=1), clinic_id="south")
    for case in (late, soon):
        cases.create(case)
    assert list(cases.open_ones()) == [(soon.survey_id, "south"), (late.survey_id, "north")]
    assert list(cases.open_ones(MONDAY_NOON + timedelta(days=1))) == [(soon.survey_id, "south")]
    cases.write(close(soon, "u1", Outcome.NO_ACTION, "", "", MONDAY_NOON), soon)
    assert list(cases.open_ones()) == [(late.survey_id, "north")]
    assert list(cases.closed_in("2026-03")) == [(soon.survey_id, "south")]
    assert list(cases.closed_in("2026-02")) == []

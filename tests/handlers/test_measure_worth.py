"""measure_worth: what the tables hold becomes figures of each clinic, once a week."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.measure_worth import measuring
from functions.measure_worth.handler import handler
from shared.domain.clock import format_instant
from shared.domain.episode import Case, VisitKind, VisitStatus
from shared.domain.recovery import Channel, Outreach, Result, reach_out
from shared.domain.settings import ClinicSettings
from shared.domain.worth import Sample, Worth
from shared.observability import HandlerFailed
from shared.storage import cases, settings, visits, worth
from tests.builders import a_case, a_visit
from tests.fakes import FakeContext
from tests.handlers.answering import ANSWERED_AT, answer, sent, survey_id

pytestmark = pytest.mark.usefixtures("aws")
RUN_AT = ANSWERED_AT + timedelta(days=100)


def run(moment: datetime = RUN_AT, request_id: str = "run-1", **event: Any) -> int:
    clock = datetime(2026, 6, 15, tzinfo=UTC)
    done = handler({"time": format_instant(moment), **event}, FakeContext(request_id), now=lambda: clock)
    return int(done["clinics"])


def figures(clinic_id: str = "") -> Worth:
    found = worth.latest(clinic_id)
    assert found
    return found.worth


def put(visit_id: str, days_after: float, **differences: Any) -> None:
    visits.put(a_visit(visit_id, started_at=ANSWERED_AT + timedelta(days=days_after), **differences), None)


def test_visit_days_after_the_answer_become_figures_of_clinic_and_practice() -> None:
    answer(sent(survey_id(1)), 10)
    answer(sent(survey_id(2), patient_id="p2", clinic_id="south"), 2)
    put("v1", 3)
    put("v2", 3.1)
    put("v3", 9)
    put("v4", 12, status=VisitStatus.NO_SHOW)
    put("v5", 13, removed=True)
    put("w1", 5, patient_id="p2", clinic_id="south", case_id="c2")
    assert run() == 2
    assert figures("north").promoter == Sample(1, 2, 4)
    assert figures("south").detractor == Sample(1, 1, 1)
    assert figures() == figures("north") + figures("south")
    assert worth.latest("west") is None


def test_an_attempt_tells_who_was_reached() -> None:
    for number, patient in enumerate(("p1", "p2", "p3")):
        answer(sent(survey_id(number), patient_id=patient), 0)
        cases.create(a_case(survey_id(number), patient_id=patient))
    attempt = Outreach(ANSWERED_AT, "u1", "Maria", Channel.TELEPHONE, Result.VOICEMAIL)
    cases.write(reach_out(a_case(survey_id(0)), attempt), a_case(survey_id(0)))
    run()
    assert (figures().reached.n, figures().unreached.n) == (1, 2)


def test_a_closing_of_the_records_is_a_discharge_unless_it_was_taken_back() -> None:
    for patient in ("p1", "p2", "p3"):
        put(f"v-{patient}", 2, patient_id=patient, kind=VisitKind.TREATMENT)
    closed_at = ANSWERED_AT + timedelta(days=4)
    visits.put(Case("p1", "c1", closed_at=closed_at), None)
    visits.put(Case("p2", "c1", closed_at=closed_at, removed=True), None)
    visits.put(Case("p3", "c1"), None)
    run()
    assert (figures().ended, figures().unheard) == (3, 2)


def test_days_are_the_clinics_own() -> None:
    settings.put_clinic(ClinicSettings("west", time_zone="Pacific/Honolulu"))
    evening = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)  # March 3 at both clinics
    answer(sent(survey_id(1)), 10, at=evening)
    answer(sent(survey_id(2), patient_id="p2", clinic_id="west"), 10, at=evening)
    late = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)  # March 4 in New York, still March 3 in Honolulu
    visits.put(a_visit("v1", started_at=late), None)
    visits.put(a_visit("v2", started_at=late, patient_id="p2", clinic_id="west"), None)
    run()
    assert figures("north").promoter == Sample(1, 1, 1)
    assert figures("west").promoter == Sample(1, 0, 0)


def test_a_visit_without_a_time_counts_on_its_day_though_the_clinic_turned_out_to_be_in_the_next_zone() -> None:
    settings.put_clinic(ClinicSettings("north", time_zone="America/Chicago"))
    answer(sent(survey_id(1)), 10)  # on March 3
    midnight_in_new_york = datetime(2026, 3, 4, 5, 0, tzinfo=UTC)
    visits.put(a_visit("v1", started_at=midnight_in_new_york, has_time=False), None)
    run()
    assert figures().promoter == Sample(1, 1, 1)


def test_it_is_measured_once_a_week_and_a_failed_night_is_made_up_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(sent(survey_id(1)), 10)

    def fail(today: Any) -> Any:
        raise OSError

    with monkeypatch.context() as patched:
        patched.setattr("functions.measure_worth.handler.measure", fail)
        with pytest.raises(HandlerFailed):
            run()
    assert run(RUN_AT + timedelta(days=1)) == 1
    assert [run(RUN_AT + timedelta(days=days)) for days in (2, 7, 8)] == [0, 0, 1]
    assert run(RUN_AT + timedelta(days=9), always=True) == 1


def test_the_same_day_again_changes_nothing_and_the_latest_is_shown() -> None:
    answer(sent(survey_id(1)), 10)
    run()
    before = figures()
    run(always=True)
    assert figures() == before
    put("v1", 3)
    run(RUN_AT + timedelta(days=7))
    assert figures().promoter == Sample(1, 1, 1)


def test_while_another_run_is_at_it_nothing_is_measured() -> None:
    settings.acquire_run("measure_worth", "other", RUN_AT, RUN_AT + timedelta(days=1000))
    assert run() == 0
    assert worth.latest() is None


def test_the_log_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(measuring, "PROGRESS", 2)
    for number in range(5):
        put(f"v{number}", number)
    run()
    lines = map(json.loads, capsys.readouterr().out.splitlines())
    assert [line["rows"] for line in lines if line["message"] == "measuring" and "rows" in line] == [2, 4]

"""A course of care in the tables: what its visits and cases lead to, and what later words change about it."""

from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.import_visits.merge import Outcome
from shared.domain.episode import VisitKind, VisitStatus
from shared.domain.message import MessageState
from shared.storage import kept, messages, names, patients, surveys, visits
from shared.storage.models import PatientItem, VisitItem
from tests.builders import MONDAY_NOON, a_visit
from tests.fakes import FakeMailer
from tests.handlers.care import (
    DAY,
    FIRST_UPLOAD,
    HOUR,
    Said,
    a_case,
    a_person,
    all_due,
    asked_in,
    day_by_day,
    discharge,
    evaluation,
    letter_of,
    looked,
    merged,
    on,
    person,
    sender,
    told,
)
from tests.handlers.exports import Killed, at_writes, dump, dying_at, restore

pytestmark = pytest.mark.usefixtures("aws")
NEW, CHANGED, SAME = Outcome.CREATED, Outcome.UPDATED, Outcome.UNCHANGED


# Episodes.


def test_a_new_evaluation_after_a_discharge_is_asked_about_anew_in_the_same_case():
    told(a_person(), evaluation(0), discharge(5), evaluation(30), on(31), discharge(40))
    assert all_due() == [
        ("p1", "evaluation", "v0"),
        ("p1", "discharge", "v5"),
        ("p1", "evaluation", "v30"),
        ("p1", "discharge", "v40"),
    ]


def test_a_new_evaluation_after_the_closing_of_the_case_is_asked_about_anew():
    told(a_case(9), evaluation(0), on(5), evaluation(30))
    assert all_due() == [("p1", "evaluation", "v0"), ("p1", "discharge", "v5"), ("p1", "evaluation", "v30")]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_cases_and_visits_may_come_in_either_order(order):
    said: list[list[Said]] = [[a_case(9)], [evaluation(0), on(5)]]
    for part in order:
        told(*said[part])
    assert all_due() == [("p1", "evaluation", "v0"), ("p1", "discharge", "v5")]


def test_a_discharge_is_asked_about_after_the_closing_but_is_as_old_as_the_care():
    told(a_case(9), on(5))
    (survey,) = surveys.of_patient("p1")
    assert (survey.occurred_at, survey.due_at) == (MONDAY_NOON + 5 * DAY + HOUR, MONDAY_NOON + 9 * DAY + 9 * HOUR)


def test_closing_stale_cases_asks_nobody():
    told(a_person(), a_case(200), on(5))
    assert sender(MONDAY_NOON + 201 * DAY)[0]["skipped"] == {"expired": 1}


def test_a_reopened_case_takes_its_unsent_discharge_back_and_a_new_closing_asks_again():
    told(on(5), a_case(9))
    told(a_case(None), uploaded=1)
    assert all_due() == []
    (survey,) = surveys.of_patient("p1")
    assert survey.unsent_reason == "withdrawn"
    told(a_case(12), uploaded=2)
    assert all_due() == [("p1", "discharge", "v5")]
    (survey,) = surveys.of_patient("p1")
    assert survey.due_at == MONDAY_NOON + 12 * DAY + 9 * HOUR


def test_a_reopened_case_asks_again_only_after_a_new_evaluation():
    told(a_person(), evaluation(0), on(5), a_case(5))
    assert len(day_by_day(5, 5)) == 1
    told(a_case(None), on(9), uploaded=1)
    assert all_due() == []
    told(evaluation(30), *(on(day) for day in range(31, 36)), uploaded=2)
    assert all_due() == [("p1", "evaluation", "v30"), ("p1", "visit:6", "v35")]
    told(a_case(40), uploaded=3)
    assert all_due()[-1] == ("p1", "discharge", "v35")


def test_a_discharge_before_the_last_visit_stays_where_it_is():
    told(evaluation(0), discharge(5), on(8), discharge(9))
    assert all_due()[-1] == ("p1", "discharge", "v5")


def test_without_a_discharge_nothing_is_asked_about_one():
    told(evaluation(0), on(5))
    assert all_due() == [("p1", "evaluation", "v0")]


def test_the_appointment_and_the_charge_of_a_visit_are_one_visit():
    charges = [
        a_visit(f"charge-{day}", started_at=MONDAY_NOON + day * DAY - 12 * HOUR, has_time=False) for day in range(6)
    ]
    told(evaluation(0), *(on(day) for day in range(1, 5)))
    told(*charges[:5], uploaded=1)
    assert all_due() == [("p1", "evaluation", "v0")]
    told(charges[5], uploaded=2)
    assert all_due()[-1] == ("p1", "visit:6", "charge-5")
    told(on(5), uploaded=3)
    assert all_due()[-1] == ("p1", "visit:6", "v5")  # due when it is over, now that its time is known


def test_a_visit_asked_about_without_its_time_is_not_asked_about_again_with_it():
    told(
        a_person(),
        a_visit("charge", started_at=MONDAY_NOON - 12 * HOUR, has_time=False, ended_at=None, kind=VisitKind.EVALUATION),
    )
    assert len(day_by_day(0, 0)) == 1
    told(evaluation(0, "appointment"), uploaded=1)
    assert all_due() == []


@pytest.mark.parametrize("status", [VisitStatus.CANCELLED, VisitStatus.NO_SHOW, VisitStatus.SCHEDULED])
def test_visits_that_did_not_take_place_neither_count_nor_end_an_episode(status):
    told(evaluation(0), *(on(day) for day in range(1, 5)), on(5, status=status), discharge(6, status=status))
    assert all_due() == [("p1", "evaluation", "v0")]


def test_a_visit_that_is_removed_takes_its_unsent_survey_back():
    told(evaluation(0))
    told(evaluation(0, removed=True), uploaded=1)
    assert all_due() == []


def test_a_visit_removed_after_its_survey_was_sent_takes_nothing_back_and_is_not_asked_about_again():
    told(a_person(), evaluation(0))
    [mail] = day_by_day(0, 0)
    told(evaluation(0, removed=True), uploaded=1)
    assert asked_in(mail).sent_at
    told(evaluation(0), uploaded=2)
    assert all_due() == []


def test_nobody_is_asked_again_when_the_evaluation_turns_out_to_be_another_visit():
    told(a_person(), on(3, kind=VisitKind.UNSTATED))
    assert len(day_by_day(3, 3)) == 1
    told(on(1, kind=VisitKind.UNSTATED), uploaded=1)
    assert all_due() == []


def test_a_sender_that_is_faster_than_a_change_asks_once(monkeypatch):
    told(a_person(), evaluation(0))
    skip = messages.skip

    def send_and_skip(*arguments: Any) -> bool:
        monkeypatch.undo()
        assert sender(MONDAY_NOON + 4 * HOUR)[0]["sent"] == 1
        return skip(*arguments)

    monkeypatch.setattr(messages, "skip", send_and_skip)
    told(evaluation(0, case_id="c2"), uploaded=1)
    assert all_due() == []
    assert len(surveys.of_patient("p1")) == 1


def test_the_dead_get_no_new_survey_and_what_waits_is_never_sent():
    told(a_person(), evaluation(0))
    told(a_person(deceased=True), discharge(1), uploaded=1)
    assert all_due() == [("p1", "evaluation", "v0")]
    assert sender(MONDAY_NOON + 4 * HOUR)[0]["skipped"] == {"deceased": 1}


VISITS: list[Said] = [evaluation(0), on(3), discharge(5), evaluation(30), on(31), on(31, "again"), discharge(40)]
CASES: list[Said] = [a_case(50, "c2"), on(45, case_id="c2", kind=VisitKind.UNSTATED), a_case(None)]


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(VISITS + CASES), st.integers(1, 9))
def test_visits_and_cases_may_come_in_any_order_and_in_two_files(said, cut):
    restore({name: [] for name in dump()})
    told(*VISITS, *CASES)
    together = all_due(), dump()["Visits"]
    restore({name: [] for name in dump()})
    told(*said[:cut])
    told(*said[cut:])
    assert (all_due(), dump()["Visits"]) == together


# What is stored, and what each row did.


def test_each_record_tells_what_it_did_in_the_order_of_the_rows():
    said: list[Said] = [evaluation(0), a_person(), a_case(9), evaluation(0), a_case(10)]
    assert told(*said) == [NEW, NEW, NEW, SAME, CHANGED]
    before = dump()
    assert told(*said, uploaded=1) == [SAME] * 5
    assert dump() == before


def test_a_case_is_stored_beside_the_visits_under_a_key_of_its_own():
    told(a_case(9), on(5))
    [case, visit] = VisitItem.query("p1")
    assert (case.visit_id, case.kind, case.closed_at) == ("case#c1", "case", MONDAY_NOON + 9 * DAY + 6 * HOUR)
    assert visit.visit_id == "v5"


def test_an_older_word_on_a_case_changes_nothing():
    told(a_case(9), on(5), uploaded=1)
    before = dump()
    assert told(a_case(None)) == [SAME]
    newest = FIRST_UPLOAD + 9 * DAY
    told(a_case(8, updated_at=newest), uploaded=2)
    assert told(a_case(None, updated_at=newest - HOUR), uploaded=3) == [SAME]
    told(a_case(9, updated_at=newest + HOUR), uploaded=4)
    assert [item for item in dump()["Visits"] if item["kind"]["S"] == "visit"] == [
        item for item in before["Visits"] if item["kind"]["S"] == "visit"
    ]


def test_whether_a_visit_has_a_time_is_kept():
    told(on(0, has_time=False, kind=VisitKind.UNSTATED), on(1))
    stored = visits.of_patient("p1").visits
    assert [stored[visit_id].has_time for visit_id in ("v0", "v1")] == [False, True]
    assert stored["v0"].kind is VisitKind.UNSTATED


FILES: dict[str, list[Said]] = {
    "visits": [evaluation(0), *(on(day) for day in range(1, 6))],
    "closing": [a_case(9), on(5, status=VisitStatus.CANCELLED)],
    "reopened": [a_case(None), on(5), evaluation(30)],
    "left": [a_person(archived=True), discharge(40), a_case(50)],
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("last", FILES)
def test_a_course_killed_at_any_write_is_completed_by_telling_it_again(last, moment):
    names_ = list(FILES)
    for number, name in enumerate(names_[: names_.index(last)]):
        told(*FILES[name], uploaded=number)
    start, number = dump(), names_.index(last)
    told(*FILES[last], uploaded=number)
    uninterrupted = dump()
    for write in range(1, 100):
        restore(start)
        try:
            with at_writes(dying_at(write, moment)):
                told(*FILES[last], uploaded=number)
        except Killed:
            told(*FILES[last], uploaded=number)
            assert dump() == uninterrupted, f"killed {moment} write {write}"
        else:
            break
    assert 2 <= write < 99


# A look beforehand.


def test_a_look_tells_what_would_come_of_the_surveys_and_writes_nothing():
    told(evaluation(0), discharge(5))
    before = dump()
    writes: list[int] = []
    with at_writes(lambda number, _: writes.append(number)):
        found = looked(
            evaluation(1, "v0"), discharge(5, removed=True), a_person(), evaluation(30, case_id="c2"), uploaded=1
        )
    assert (dump(), writes) == (before, [])
    told_of = {(survey.visit_id, survey.touchpoint): what for survey, what in found.surveys}
    assert told_of == {
        ("v0", "evaluation"): "moved",
        ("v5", "discharge"): "withdrawn",
        ("v30", "evaluation"): "new",
    }
    assert [outcome for _, outcome in found.outcomes] == [CHANGED, CHANGED, NEW, NEW]
    assert found.patient
    assert set(found.visits) == {"v0", "v5", "v30"}


@pytest.mark.parametrize("last", FILES)
def test_a_look_foretells_what_is_stored_and_a_second_one_finds_nothing(last):
    names_ = list(FILES)
    for number, name in enumerate(names_[: names_.index(last)]):
        told(*FILES[name], uploaded=number)
    foretold = looked(*FILES[last], uploaded=names_.index(last))
    waiting = {(touchpoint, visit_id) for _, touchpoint, visit_id in all_due()}
    assert [outcome for _, outcome in foretold.outcomes] == told(*FILES[last], uploaded=names_.index(last))
    for survey, what in foretold.surveys:
        (waiting.discard if what == "withdrawn" else waiting.add)((survey.touchpoint, survey.visit_id))
    moved = {survey.touchpoint for survey, what in foretold.surveys if what == "moved"}
    found = {(touchpoint, visit_id) for _, touchpoint, visit_id in all_due()}
    assert {entry for entry in found if entry[0] not in moved} <= waiting
    assert looked(*FILES[last], uploaded=names_.index(last)).surveys == []


def test_a_look_foretells_that_an_archived_patient_s_surveys_are_withdrawn():
    told(evaluation(0))
    found = looked(a_person(archived=True), discharge(9))
    assert [(survey.touchpoint, what) for survey, what in found.surveys] == [("evaluation", "withdrawn")]


# What it costs.


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each table was asked for what."""
    real, found = BaseClient._make_api_call, Counter[str]()

    def call(client: Any, operation: str, request: Any) -> Any:
        table = request.get("TableName") or next(iter(request.get("RequestItems", [""])))
        found[f"{operation} {table}"] += 1
        return real(client, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return found


def test_no_survey_is_looked_for_where_nothing_was_stored_and_nothing_is_asked(calls):
    told(on(0), on(1, status=VisitStatus.SCHEDULED))
    assert not {operation for operation in calls if operation.endswith(("Surveys", "Messages"))}


def test_an_unchanged_visit_costs_one_query_of_the_history_and_no_write(calls):
    told(on(0))
    calls.clear()
    told(on(0), uploaded=1)
    assert calls["Query Visits"] == 1
    assert not {operation for operation in calls if operation.startswith(("Put", "Update", "Transact"))}


def test_names_are_read_once_and_written_when_they_change(calls):
    def file(name: str) -> list[Any]:
        return [
            on(day, therapist_id=f"t{day % 5}", therapist_name=f"{name} {day % 5}", clinic_name="North")
            for day in range(50)
        ]

    told(*file("Anna"))
    assert (calls["GetItem Settings"], calls["PutItem Settings"]) == (6, 6)
    told(*file("Anna"), uploaded=1)
    assert (calls["GetItem Settings"], calls["PutItem Settings"]) == (6, 6)
    assert (names.name_of("therapist", "t3"), names.name_of("clinic", "north")) == ("Anna 3", "North")


def test_the_latest_visit_says_what_a_therapist_is_called_whichever_comes_first():
    told(on(9, therapist_name="Anna Smith"), on(3, therapist_name="Anna Lee"))
    before = dump()["Settings"]
    kept.forget()
    told(on(3, therapist_name="Anna Lee"), on(9, therapist_name="Anna Smith"), uploaded=1)
    assert dump()["Settings"] == before
    assert names.name_of("therapist", "t1") == "Anna Smith"
    assert names.name_of("therapist", "unheard of") == "unheard of"


# Between the claim and the mail.

CHANGES = {
    "has another address": lambda: PatientItem("p1").update([PatientItem.email.set("new@example.com")]),
    "opted out": lambda: patients.opt_out("p1"),
    "is held": lambda: PatientItem("p1").update([PatientItem.hold.set(True)]),
    "died": lambda: PatientItem("p1").update([PatientItem.deceased.set(True)]),
    "turned out to be another": lambda: merged("p1", "p2"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_nobody_is_mailed_who_changed_between_the_claim_and_the_mail(change, monkeypatch):
    told(a_person(), evaluation(0))
    begin_call = messages.begin_call

    def change_and_begin(*arguments: Any) -> bool:
        change()
        return begin_call(*arguments)

    monkeypatch.setattr(messages, "begin_call", change_and_begin)
    summary, mails = sender(MONDAY_NOON + 4 * HOUR)
    assert (summary["deferred"], mails) == ({"patient_changed": 1}, [])
    (survey,) = [survey for survey in surveys.of_patient(person().patient_id) if not survey.unsent_reason]
    assert letter_of(survey).state is MessageState.DUE
    assert [item.surveyed_at for item in PatientItem.scan() if item.patient_id == "p1"] == [None]


def test_after_a_change_of_address_the_mail_goes_to_the_new_one(monkeypatch):
    told(a_person(), evaluation(0))
    begin_call = messages.begin_call

    def change_and_begin(*arguments: Any) -> bool:
        told(a_person(email="new@example.com"), uploaded=1)
        return begin_call(*arguments)

    monkeypatch.setattr(messages, "begin_call", change_and_begin)
    assert sender(MONDAY_NOON + 4 * HOUR)[1] == []
    monkeypatch.undo()
    _, [mail] = sender(MONDAY_NOON + 4 * HOUR + timedelta(minutes=10), FakeMailer())
    assert mail.to == ("new@example.com",)


def test_an_older_opt_out_is_heard_all_the_same():
    told(a_person(updated_at=MONDAY_NOON + DAY))
    told(a_person(updated_at=MONDAY_NOON, opted_out=True))
    stored = patients.get("p1")
    assert stored
    assert stored.opted_out
    assert stored.updated_at == MONDAY_NOON + DAY

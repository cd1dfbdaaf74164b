"""The moments at which the practice asks."""

from collections.abc import Iterable
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import identity
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus, episodes
from shared.domain.touchpoint import Touchpoint, derive, parse_touchpoints
from tests.builders import MONDAY_NOON, a_visit
from tests.unit.test_episodes import ZONES, closed, closings, day_alone, histories, on

DELAY = timedelta(hours=3)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ALL_RULES = "evaluation,visit:2,visit:6,discharge,days_after_evaluation:7,days_after_discharge:30,lapsed:14"


def touchpoints(
    visits: Iterable[Visit], rules: str = "evaluation,visit:6,discharge", cases: Iterable[Case] = ()
) -> dict[str, Touchpoint]:
    derived = derive(episodes(visits, ZONES.__getitem__, cases), parse_touchpoints(rules), DELAY)
    return {f"{touchpoint.episode} {touchpoint.name}": touchpoint for touchpoint in derived}


@given(histories, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_touchpoints_and_survey_ids(history, random):
    def survey_ids(visits: list[Visit]) -> list[str]:
        found = touchpoints(visits, ALL_RULES).values()
        return sorted(identity.survey_id(b"key", "p1", touchpoint.episode, touchpoint.name) for touchpoint in found)

    shuffled = random.sample(history, len(history))
    assert touchpoints(shuffled, ALL_RULES) == touchpoints(history, ALL_RULES)
    assert survey_ids(shuffled) == survey_ids(history)


@given(histories, closings)
def test_an_episode_reaches_each_touchpoint_at_most_once(history, cases):
    derived = derive(episodes(history, ZONES.__getitem__, cases), parse_touchpoints(ALL_RULES), DELAY)
    named = [(touchpoint.episode, touchpoint.name) for touchpoint in derived]
    assert len(named) == len(set(named))


@given(histories, closings)
def test_no_touchpoint_lies_before_its_visit(history, cases):
    visits = {visit.visit_id: visit for visit in history}
    for touchpoint in touchpoints(history, ALL_RULES, cases).values():
        visit = visits[touchpoint.visit_id]
        assert (visit.ended_at or visit.started_at) <= touchpoint.occurred_at <= touchpoint.due_at


@given(histories)
def test_a_touchpoint_has_the_clinic_and_therapist_of_the_visit_that_made_it(history):
    visits = {visit.visit_id: visit for visit in history}
    for touchpoint in touchpoints(history, ALL_RULES).values():
        visit = visits[touchpoint.visit_id]
        assert visit.counts
        assert (touchpoint.clinic_id, touchpoint.therapist_id) == (visit.clinic_id, visit.therapist_id)


@given(histories, st.sampled_from([VisitStatus.CANCELLED, VisitStatus.NO_SHOW, VisitStatus.SCHEDULED]))
def test_visits_that_did_not_take_place_change_nothing(history, status):
    extra = a_visit("extra", kind=VisitKind.DISCHARGE, status=status)
    assert touchpoints([*history, extra], ALL_RULES) == touchpoints(history, ALL_RULES)


def test_the_evaluation_is_visit_one():
    course = [on(0, kind=VisitKind.EVALUATION), *(on(day) for day in range(1, 7))]
    found = touchpoints(course)
    assert list(found) == ["case:c1 evaluation", "case:c1 visit:6"]
    assert found["case:c1 visit:6"].visit_id == "v5"


def test_two_visits_on_one_day_are_one_visit():
    course = [on(day) for day in range(5)] + [a_visit("twice", started_at=MONDAY_NOON + HOUR)]
    assert touchpoints(course) == {}


def test_a_touchpoint_is_due_after_the_end_of_the_visit_or_else_its_start():
    (ended,) = touchpoints([on(0, kind=VisitKind.EVALUATION)]).values()
    (open_ended,) = touchpoints([on(0, kind=VisitKind.EVALUATION, ended_at=None)]).values()
    assert (ended.occurred_at, ended.due_at) == (MONDAY_NOON + HOUR, MONDAY_NOON + HOUR + DELAY)
    assert (open_ended.occurred_at, open_ended.due_at) == (MONDAY_NOON, MONDAY_NOON + DELAY)


def test_only_the_first_discharge_is_asked_about_until_a_new_evaluation():
    course = [
        on(0, kind=VisitKind.EVALUATION),
        on(5, kind=VisitKind.DISCHARGE),
        on(6, kind=VisitKind.DISCHARGE),
        on(30, kind=VisitKind.EVALUATION),
        on(40, kind=VisitKind.DISCHARGE),
    ]
    found = touchpoints(course, "discharge")
    assert {name: touchpoint.visit_id for name, touchpoint in found.items()} == {
        "case:c1 discharge": "v5",
        "from:2026-04-01:c1 discharge": "v40",
    }


def test_the_count_begins_again_with_a_new_episode():
    first = [on(day) for day in range(3)] + [on(3, kind=VisitKind.DISCHARGE)]
    second = [on(30, kind=VisitKind.EVALUATION), on(31)]
    assert touchpoints([*first, *second], "visit:2")["from:2026-04-01:c1 visit:2"].visit_id == "v31"


def test_days_after_a_visit_are_counted_from_its_end():
    course = [on(0, kind=VisitKind.EVALUATION), on(10, kind=VisitKind.DISCHARGE)]
    found = touchpoints(course, "days_after_evaluation:7,days_after_discharge:30")
    assert [touchpoint.due_at for touchpoint in found.values()] == [
        MONDAY_NOON + HOUR + 7 * DAY,
        MONDAY_NOON + HOUR + 40 * DAY,
    ]


def test_a_later_touchpoint_occurs_when_its_days_are_over_so_that_it_does_not_expire_before():
    (found,) = touchpoints([on(0, kind=VisitKind.DISCHARGE)], "days_after_discharge:90").values()
    assert found.occurred_at == found.due_at


def test_each_visit_moves_the_lapse_on_and_a_discharge_ends_it():
    (first,) = touchpoints([on(0)], "lapsed:14").values()
    (moved,) = touchpoints([on(0), on(3)], "lapsed:14").values()
    assert (moved.episode, moved.name, moved.due_at - first.due_at) == (first.episode, first.name, 3 * DAY)
    assert touchpoints([on(0), on(3), on(9, kind=VisitKind.DISCHARGE)], "lapsed:14") == {}


@pytest.mark.parametrize("text", ["", "visit", "visit:0", "visit:-1", "visit:06", "discharge:2", "VISIT:6"])
def test_an_unknown_touchpoint_is_an_error_that_quotes_it(text):
    with pytest.raises(ValueError, match="not a touchpoint"):
        parse_touchpoints(text)


def test_a_touchpoint_chosen_twice_is_chosen_once():
    assert [str(rule) for rule in parse_touchpoints("discharge; visit:6 discharge")] == ["discharge", "visit:6"]


def test_a_visit_near_midnight_of_a_clock_change_is_counted_where_it_took_place():
    evening = MONDAY_NOON.replace(day=8, hour=4, minute=30)  # 23:30 on Saturday 7 March, before the change
    morning = evening + timedelta(hours=1)  # 00:30 on Sunday
    course = [a_visit("sat", started_at=evening), a_visit("sun", started_at=morning)]
    assert touchpoints(course, "visit:2")["case:c1 visit:2"].visit_id == "sun"
    assert evening.astimezone(ZoneInfo("America/New_York")).day == 7


def test_a_discharge_by_closing_is_due_after_the_closing_and_as_old_as_the_care():
    visits = [on(0, kind=VisitKind.EVALUATION), on(5)]
    (same_day,) = touchpoints(visits, "discharge", [closed(5)]).values()
    assert (same_day.occurred_at, same_day.due_at) == (
        MONDAY_NOON + 5 * DAY + HOUR,
        MONDAY_NOON + 5 * DAY + HOUR + DELAY,
    )
    closing = closed(200, 10)
    assert closing.closed_at
    (later,) = touchpoints(visits, "discharge", [closing]).values()
    assert (later.visit_id, later.occurred_at, later.due_at) == ("v5", same_day.occurred_at, closing.closed_at + DELAY)


def test_days_after_a_discharge_by_closing_are_counted_from_the_care():
    (found,) = touchpoints([on(0)], "days_after_discharge:30", [closed(10)]).values()
    assert found.occurred_at == found.due_at == MONDAY_NOON + HOUR + 30 * DAY


def test_a_closing_ends_the_wait_for_a_lapsed_patient():
    assert touchpoints([on(0)], "lapsed:14", [closed(3)]) == {}
    assert touchpoints([on(0)], "lapsed:14", [Case("p1", "c1")])


def test_a_record_without_a_time_lends_its_kind_to_the_one_with_a_time():
    appointment = on(0, "appointment", therapist_id="t2")
    charge = day_alone(on(0, "charge", kind=VisitKind.EVALUATION))
    (found,) = touchpoints([appointment, charge], "evaluation").values()
    assert (found.visit_id, found.therapist_id, found.occurred_at) == ("appointment", "t2", MONDAY_NOON + HOUR)

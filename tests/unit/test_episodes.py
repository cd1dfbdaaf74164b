"""Which visits belong together, and how they are counted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.episode import Case, Discharge, Episode, Visit, VisitKind, VisitStatus, episodes
from tests.builders import MONDAY_NOON, a_visit

NEW_YORK, PHOENIX = ZoneInfo("America/New_York"), ZoneInfo("America/Phoenix")
ZONES = {"north": NEW_YORK, "west": PHOENIX}

STATED = [VisitKind.EVALUATION, VisitKind.TREATMENT, VisitKind.DISCHARGE]


def midnight(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(hour=0, minute=0).astimezone(UTC)


def day_alone(visit: Visit, **differences: Any) -> Visit:
    """The same visit in records that give its day alone."""
    start = midnight(visit.started_at, ZONES[visit.clinic_id])
    return replace(visit, started_at=start, ended_at=None, has_time=False, **differences)


histories = st.lists(
    st.builds(
        lambda number, case, hours, kind, status, clinic, removed: a_visit(
            f"v{number}",
            case_id=case,
            started_at=MONDAY_NOON + timedelta(hours=hours),
            kind=kind,
            status=status,
            clinic_id=clinic,
            removed=removed,
        ),
        st.integers(1, 99),
        st.sampled_from(["c1", "c2"]),
        st.integers(0, 24 * 20),
        st.sampled_from([*STATED, *VisitKind]),
        st.sampled_from([VisitStatus.COMPLETED] * 3 + list(VisitStatus)),
        st.sampled_from(list(ZONES)),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
    unique_by=lambda visit: visit.visit_id,
).map(lambda visits: [day_alone(visit) if int(visit.visit_id[1:]) % 4 == 0 else visit for visit in visits])

closings = st.lists(
    st.builds(
        lambda case, hours, has_time, removed: Case(
            "p1",
            case,
            closed_at=MONDAY_NOON + timedelta(hours=hours) if has_time else midnight_after(hours),
            has_time=has_time,
            removed=removed,
        ),
        st.sampled_from(["c1", "c2"]),
        st.integers(-48, 24 * 22),
        st.booleans(),
        st.sampled_from([False, False, True]),
    ),
    max_size=2,
    unique_by=lambda case: case.case_id,
)


def midnight_after(hours: int) -> datetime:
    return midnight(MONDAY_NOON + timedelta(hours=hours), NEW_YORK)


def of(*visits: Visit, cases: Iterable[Case] = (), told: Mapping[str, Sequence[datetime]] = {}) -> list[Episode]:
    return episodes(visits, ZONES.__getitem__, cases, told)


def closed(day: int, hour: int | None = None, **differences: Any) -> Case:
    """Case c1, closed some days after Monday: on that day as such, or at an hour of it in New York."""
    start = midnight(MONDAY_NOON + timedelta(days=day), NEW_YORK)
    return Case("p1", "c1", closed_at=start + timedelta(hours=hour or 0), has_time=hour is not None, **differences)


def on(day: int, visit_id: str = "", **differences: object) -> Visit:
    return a_visit(visit_id or f"v{day}", started_at=MONDAY_NOON + timedelta(days=day), **differences)


@given(histories, closings, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(history, cases, random):
    shuffled = random.sample(history, len(history))
    assert of(*shuffled, cases=cases[::-1]) == of(*history, cases=cases)


@given(histories)
def test_every_completed_visit_is_in_exactly_one_episode_and_no_other_is(history):
    found = sorted(visit.visit_id for episode in of(*history) for day in episode.days for visit in day.entries)
    assert found == sorted(visit.visit_id for visit in history if visit.counts)


@given(histories, closings)
def test_no_two_episodes_share_a_name(history, cases):
    names = [episode.name for episode in of(*history, cases=cases)]
    assert len(names) == len(set(names))


@given(histories)
def test_a_visit_is_counted_once_for_each_clinic_local_date(history):
    for episode in of(*history):
        visits = [visit for day in episode.days for visit in day.entries]
        dates = {visit.started_at.astimezone(ZONES[visit.clinic_id]).date() for visit in visits}
        assert [day.date for day in episode.days] == sorted(dates)


@given(histories)
def test_an_episode_never_holds_an_evaluation_after_its_discharge(history):
    for episode in of(*history):
        discharges = [day.date for day in episode.days if day.of(VisitKind.DISCHARGE)]
        evaluations = [day.date for day in episode.days if day.of(VisitKind.EVALUATION)]
        assert not discharges or not evaluations or max(evaluations) <= min(discharges)


def test_cancelled_missed_scheduled_and_removed_visits_do_not_count():
    others = [on(number, status=status) for number, status in enumerate(list(VisitStatus)[1:])]
    assert of(*others, on(9, removed=True)) == []


def test_the_clinic_s_midnight_parts_the_days():
    late = a_visit("late", started_at=datetime(2026, 3, 3, 4, 59, tzinfo=UTC))  # 23:59 in New York, still Monday
    early = a_visit("early", started_at=datetime(2026, 3, 3, 5, 0, tzinfo=UTC))  # 00:00 on Tuesday
    (episode,) = of(on(0), late, early)
    assert [day.visit.visit_id for day in episode.days] == ["v0", "early"]


def test_each_clinic_counts_by_its_own_calendar():
    moment = datetime(2026, 3, 3, 6, 30, tzinfo=UTC)  # Tuesday in New York, Monday in Phoenix
    (episode,) = of(on(0), a_visit("west", clinic_id="west", started_at=moment))
    assert len(episode.days) == 1
    (episode,) = of(on(0), a_visit("north", clinic_id="north", started_at=moment))
    assert len(episode.days) == 2


def test_the_days_of_a_clock_change_count_as_one_day_each():
    def at_local(visit_id: str, text: str) -> Visit:
        return a_visit(visit_id, started_at=datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC))

    spring = [at_local("s1", "2026-03-08T00:30"), at_local("s2", "2026-03-08T23:30")]  # a day of 23 hours
    autumn = [at_local("a1", "2026-11-01T00:10"), at_local("a2", "2026-11-01T23:50")]  # a day of 25 hours
    (episode,) = of(*spring, *autumn)
    assert [day.visit.visit_id for day in episode.days] == ["s1", "a1"]


def test_an_evaluation_after_a_discharge_begins_a_new_episode_named_by_its_day():
    evaluation, discharge = on(0, kind=VisitKind.EVALUATION), on(5, kind=VisitKind.DISCHARGE)
    again = on(30, "again", kind=VisitKind.EVALUATION)
    first, second = of(evaluation, discharge, again, on(31))
    assert (first.name, second.name) == ("case:c1", "from:2026-04-01:c1")
    assert [day.visit.visit_id for day in second.days] == ["again", "v31"]
    assert second.evaluation == again


def test_a_second_evaluation_without_discharge_stays_in_the_episode():
    (episode,) = of(on(0, kind=VisitKind.EVALUATION), on(9, kind=VisitKind.EVALUATION))
    assert episode.evaluation == on(0, kind=VisitKind.EVALUATION)


def test_visits_after_a_discharge_stay_in_the_episode_and_its_first_discharge_counts():
    (episode,) = of(on(0), on(5, kind=VisitKind.DISCHARGE), on(6), on(8, kind=VisitKind.DISCHARGE))
    assert episode.discharge == Discharge(on(5, kind=VisitKind.DISCHARGE))
    assert episode.last_visit.visit_id == "v8"


def test_an_evaluation_that_arrives_late_does_not_rename_the_episode():
    (before,) = of(on(1), on(2))
    (after,) = of(on(1), on(2), on(0, kind=VisitKind.EVALUATION))
    assert before.name == after.name


def test_two_cases_are_two_episodes():
    assert [episode.name for episode in of(on(0), on(1, case_id="c2"))] == ["case:c1", "case:c2"]


# Several records of one visit, and records without a time.


def shape(episodes_: list[Episode]) -> list[Any]:
    """What is counted and named, apart from which record stands for a day."""
    return [
        (
            episode.name,
            [day.date for day in episode.days],
            episode.evaluation is not None,
            episode.discharge is not None,
        )
        for episode in episodes_
    ]


@given(histories, closings)
def test_a_second_record_of_each_visit_without_its_time_changes_nothing(history, cases):
    timed = [visit for visit in history if visit.has_time]
    charges = [day_alone(visit, visit_id=f"charge-{visit.visit_id}", kind=VisitKind.UNSTATED) for visit in timed]
    stated = [visit for visit in timed if visit.kind is not VisitKind.UNSTATED]
    charges_of_stated = [charge for charge, visit in zip(charges, timed, strict=True) if visit in stated]
    assert shape(of(*stated, *charges_of_stated, cases=cases)) == shape(of(*stated, cases=cases))
    for episode in of(*stated, *charges_of_stated, cases=cases):
        assert all(day.visit in stated for day in episode.days)


@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from(STATED)), max_size=8, unique_by=lambda pair: pair[0]))
def test_an_episode_has_one_name_whichever_record_of_its_visits_comes_first(course):
    appointments = [on(day, f"appointment-{day}", kind=kind) for day, kind in course]
    charges = [day_alone(visit, visit_id=visit.visit_id.replace("appointment", "charge")) for visit in appointments]
    assert shape(of(*appointments)) == shape(of(*charges)) == shape(of(*appointments, *charges))


def test_the_earliest_record_with_a_time_stands_for_the_day():
    charge = day_alone(on(0, "charge", therapist_id="t9"))
    later, earlier = on(0, "later"), a_visit("earlier", started_at=MONDAY_NOON - timedelta(hours=1), therapist_id="t2")
    (episode,) = of(charge, later, earlier)
    assert [day.visit for day in episode.days] == [earlier]
    (episode,) = of(charge)
    assert [day.visit for day in episode.days] == [charge]


def test_a_day_without_a_time_is_the_same_date_when_the_clinic_turns_out_to_be_in_the_next_zone():
    in_new_york = replace(day_alone(on(0)), clinic_id="west")  # midnight in New York is Sunday evening in Phoenix
    (episode,) = of(in_new_york)
    assert [day.date for day in episode.days] == [MONDAY_NOON.date()]


# Records that do not say what a visit was for.


def test_the_first_visit_is_the_evaluation_where_the_records_do_not_say():
    (episode,) = of(on(3, kind=VisitKind.UNSTATED), on(1, kind=VisitKind.UNSTATED))
    assert episode.evaluation == on(1, kind=VisitKind.UNSTATED)


def test_a_stated_evaluation_counts_before_an_unstated_first_visit():
    (episode,) = of(on(1, kind=VisitKind.UNSTATED), on(3, kind=VisitKind.EVALUATION))
    assert episode.evaluation == on(3, kind=VisitKind.EVALUATION)


def test_a_first_visit_that_is_stated_to_be_a_treatment_is_no_evaluation():
    (episode,) = of(on(1), on(2, kind=VisitKind.UNSTATED))
    assert episode.evaluation is None
    (episode,) = of(on(1), day_alone(on(1, "charge", kind=VisitKind.UNSTATED)))
    assert episode.evaluation is None


def test_an_unstated_visit_after_a_discharge_begins_no_episode():
    assert len(of(on(0), on(1, kind=VisitKind.DISCHARGE), on(9, kind=VisitKind.UNSTATED))) == 1


# The closing of a case.


def test_a_closing_on_the_day_of_a_visit_is_its_discharge():
    for closing in (closed(5), closed(5, 18)):
        (episode,) = of(on(0), on(5), cases=[closing])
        assert episode.discharge == Discharge(on(5))


def test_a_closing_on_another_day_is_the_discharge_of_the_last_visit_before_it():
    (episode,) = of(on(0), on(5), on(20), cases=[closed(9)])
    assert episode.discharge == Discharge(on(5), closed(9).closed_at)
    assert episode.last_visit == on(20)


def test_a_closing_before_every_visit_is_none():
    (episode,) = of(on(5), on(6, kind=VisitKind.EVALUATION), cases=[closed(1)])
    assert episode.discharge is None


def test_a_visit_that_was_a_discharge_counts_before_the_closing():
    (episode,) = of(on(0), on(5, kind=VisitKind.DISCHARGE), on(8), cases=[closed(9)])
    assert episode.discharge == Discharge(on(5, kind=VisitKind.DISCHARGE))


def test_a_case_that_is_open_again_or_was_removed_discharges_nobody():
    for case in (Case("p1", "c1"), closed(9, removed=True)):
        (episode,) = of(on(0), cases=[case])
        assert episode.discharge is None


def test_the_closing_of_one_case_is_not_that_of_another():
    first, second = of(on(0), on(1, case_id="c2"), cases=[closed(9)])
    assert first.discharge
    assert second.discharge is None


def test_an_evaluation_after_the_closing_begins_a_new_episode():
    first, second = of(on(0), on(30, kind=VisitKind.EVALUATION), on(31), cases=[closed(9)])
    assert (first.name, second.name) == ("case:c1", "from:2026-04-01:c1")
    assert first.discharge == Discharge(on(0), closed(9).closed_at)
    assert second.discharge is None


def test_visits_after_the_closing_without_an_evaluation_go_on_in_the_episode():
    (episode,) = of(on(0), on(30), on(31), cases=[closed(9)])
    assert episode.discharge == Discharge(on(0), closed(9).closed_at)


def test_a_closing_ends_the_later_episode_if_it_comes_after_it():
    course = [on(0), on(5, kind=VisitKind.DISCHARGE), on(30, kind=VisitKind.EVALUATION), on(31)]
    first, second = of(*course, cases=[closed(40)])
    assert first.discharge == Discharge(on(5, kind=VisitKind.DISCHARGE))
    assert second.discharge == Discharge(on(31), closed(40).closed_at)


def test_an_end_that_a_patient_was_asked_about_stands_once_an_evaluation_follows_though_the_case_is_open_again():
    told, reopened = {"c1": [MONDAY_NOON + timedelta(days=5, hours=1)]}, [Case("p1", "c1")]
    (episode,) = of(on(0), on(5), on(9), cases=reopened, told=told)
    assert episode.discharge is None
    first, second = of(on(0), on(5), on(30, kind=VisitKind.EVALUATION), cases=reopened, told=told)
    assert first.discharge == Discharge(on(5))
    assert (second.name, second.discharge) == ("from:2026-04-01:c1", None)


# An evaluation and an end on one day.

EARLY, LATE = MONDAY_NOON + timedelta(days=9, hours=-2), MONDAY_NOON + timedelta(days=9, hours=2)


def evaluation(**differences: Any) -> Visit:
    return a_visit("e", kind=VisitKind.EVALUATION, **{"started_at": EARLY, **differences})


def discharge(**differences: Any) -> Visit:
    return a_visit("d", kind=VisitKind.DISCHARGE, **{"started_at": LATE, **differences})


def test_times_tell_which_came_first():
    before = on(0, kind=VisitKind.EVALUATION)
    (one,) = of(before, evaluation(), discharge())
    assert one.discharge == Discharge(one.days[1].visit)
    first, second = of(before, evaluation(started_at=LATE), discharge(started_at=EARLY))
    assert first.discharge == Discharge(discharge(started_at=EARLY))
    assert (second.evaluation, second.discharge) == (evaluation(started_at=LATE), None)
    again = [before, on(3, kind=VisitKind.DISCHARGE)]  # a course of one visit after an earlier discharge
    assert [bool(episode.discharge) for episode in of(*again, evaluation(), discharge())] == [True, True]
    assert [bool(e.discharge) for e in of(*again, evaluation(started_at=LATE), discharge(started_at=EARLY))] == [
        True,
        False,
    ]


def test_without_times_an_episode_is_evaluated_before_it_ends_and_an_evaluated_one_ends_before_the_next():
    both = day_alone(evaluation()), day_alone(discharge())
    (one,) = of(on(0), *both)
    assert one.evaluation
    assert one.discharge
    first, second = of(on(0, kind=VisitKind.EVALUATION), *both)
    assert first.discharge
    assert second.evaluation == both[0]
    assert second.discharge is None


def test_a_closing_on_the_day_of_an_evaluation_counts_as_a_discharge_does():
    before = on(0, kind=VisitKind.EVALUATION)
    (one,) = of(evaluation(), cases=[closed(9)])
    assert one.discharge == Discharge(evaluation())
    first, second = of(before, evaluation(), cases=[closed(9)])
    assert first.discharge == Discharge(before, closed(9).closed_at)
    assert second.discharge is None
    (one,) = of(before, evaluation(), cases=[closed(9, 18)])
    assert one.discharge == Discharge(evaluation())
    first, second = of(before, evaluation(), cases=[closed(9, 8)])
    assert (first.discharge, second.discharge) == (Discharge(before, closed(9, 8).closed_at), None)

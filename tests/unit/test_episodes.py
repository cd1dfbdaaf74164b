"""Which visits belong together, and how they are counted."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.episode import Discharge, Episode, Visit, VisitKind, VisitStatus, episodes
from tests.builders import MONDAY_NOON, a_visit

NEW_YORK, PHOENIX = ZoneInfo("America/New_York"), ZoneInfo("America/Phoenix")
ZONES = {"north": NEW_YORK, "west": PHOENIX}

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
        st.sampled_from(VisitKind),
        st.sampled_from([VisitStatus.COMPLETED] * 3 + list(VisitStatus)),
        st.sampled_from(list(ZONES)),
        st.sampled_from([False, False, False, True]),
    ),
    max_size=12,
    unique_by=lambda visit: visit.visit_id,
)


def of(*visits: Visit) -> list[Episode]:
    return episodes(visits, ZONES.__getitem__)


def on(day: int, visit_id: str = "", **differences: object) -> Visit:
    return a_visit(visit_id or f"v{day}", started_at=MONDAY_NOON + timedelta(days=day), **differences)


@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(history, random):
    shuffled = random.sample(history, len(history))
    assert of(*shuffled) == of(*history)


@given(histories)
def test_every_completed_visit_is_in_exactly_one_episode_and_no_other_is(history):
    found = sorted(visit.visit_id for episode in of(*history) for day in episode.days for visit in day.entries)
    assert found == sorted(visit.visit_id for visit in history if visit.counts)


@given(histories)
def test_no_two_episodes_share_a_name(history):
    names = [episode.name for episode in of(*history)]
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

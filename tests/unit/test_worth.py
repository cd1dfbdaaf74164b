"""What the loop is worth: the arithmetic, and a recount by another way."""

import statistics
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.episode import Case, Visit, VisitKind, episodes
from shared.domain.score import Category
from shared.domain.worth import (
    Answered,
    Measurement,
    Sample,
    Worth,
    difference,
    mean_of,
    of_counts,
    revenue_at_risk,
    t_95,
    to_counts,
)
from tests.builders import a_visit

TODAY = date(2026, 6, 1)
COUNTS = st.lists(st.integers(0, 40), min_size=10, max_size=60)


def sample(values: Iterable[int]) -> Sample:
    return sum((Sample(1, value, value**2) for value in values), Sample())


def an_answer(survey_id: str = "s1", day: date = TODAY - timedelta(days=91), **differences) -> Answered:
    return Answered(
        **{
            "survey_id": survey_id,
            "patient_id": "p1",
            "course": "case:c1",
            "clinic_id": "north",
            "group": Category.DETRACTOR,
            "day": day,
            **differences,
        }
    )


def measured(
    answers: Iterable[Answered] = (), reached: Iterable[str] = (), visits: Iterable[date] = (), patient_id: str = "p1"
) -> Worth:
    measurement = Measurement.of(TODAY, answers, frozenset(reached))
    for day in visits:
        measurement.take_visit(patient_id, "c1", "north", day, VisitKind.TREATMENT)
    return measurement.by_clinic().get("north", Worth())


def before(days: int) -> date:
    return TODAY - timedelta(days=days)


@pytest.mark.parametrize(
    ("freedom", "quantile"), [(9, 2.2622), (14, 2.1448), (29, 2.0452), (60, 2.0003), (120, 1.9799), (1e9, 1.9600)]
)
def test_students_quantiles_are_those_of_the_tables(freedom: float, quantile: float) -> None:
    assert t_95(freedom) == pytest.approx(quantile, abs=5e-4)


@given(COUNTS)
def test_sums_tell_mean_and_variance(values: list[int]) -> None:
    assert sample(values).mean == pytest.approx(statistics.mean(values))
    assert sample(values).variance == pytest.approx(statistics.variance(values), abs=1e-9)


@given(COUNTS, COUNTS)
def test_a_difference_has_welchs_interval(first: list[int], second: list[int]) -> None:
    found = difference(sample(first), sample(second))
    assert found
    a, b = statistics.variance(first) / len(first), statistics.variance(second) / len(second)
    assert found.value == pytest.approx(statistics.mean(first) - statistics.mean(second), abs=1e-9)
    if a + b > 0:
        freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
        assert found.high - found.low == pytest.approx(2 * t_95(freedom) * (a + b) ** 0.5)
    assert found.low <= found.value <= found.high


def test_a_difference_as_worked_out_by_hand() -> None:
    # Variances 9.1667 / 10 and 2.2667 / 10; 13.19 degrees of freedom; t = 2.157.
    found = difference(sample(range(1, 11)), sample([1, 1, 2, 2, 2, 3, 3, 4, 4, 6]))
    assert found
    assert (found.value, found.low, found.high) == pytest.approx((2.7, 0.39, 5.01), abs=0.01)
    assert not found.may_be_nought


def test_nothing_is_said_of_fewer_than_ten_patients() -> None:
    assert mean_of(sample([3] * 9)) is None
    assert difference(sample([3] * 9), sample(range(20))) is None
    assert difference(sample(range(20)), sample([3] * 9)) is None
    assert mean_of(sample(range(10))) is not None


def test_a_mean_cannot_be_negative() -> None:
    found = mean_of(sample([0] * 9 + [9]))
    assert found
    assert found.low == 0


def test_what_is_kept_reads_as_it_was() -> None:
    worth = Worth(sample([1, 2]), sample([3]), sample([4, 4]), sample([4]), sample([4]), 12, 5, 3)
    assert of_counts(to_counts(worth)) == worth
    assert of_counts({}) == Worth()
    assert all(type(number) is int for number in to_counts(worth).values())


def test_revenue_at_risk_is_patients_times_missing_visits_times_value() -> None:
    worth = Worth(promoter=sample([8, 10] * 20), detractor=sample([4, 6] * 20), at_risk=7)
    risk, fewer = revenue_at_risk(worth, Decimal("95.50")), difference(worth.promoter, worth.detractor)
    assert risk
    assert fewer
    assert risk.value == pytest.approx(7 * 4 * 95.5)
    assert (risk.low, risk.high) == pytest.approx((7 * fewer.low * 95.5, 7 * fewer.high * 95.5))
    assert revenue_at_risk(Worth(at_risk=7), Decimal(95)) is None


def test_visit_days_of_the_90_days_after_an_answer_count() -> None:
    answered = before(91)
    visits = [answered, answered + timedelta(days=1), answered + timedelta(days=1), answered + timedelta(days=90)]
    worth = measured([an_answer()], visits=[*visits, answered + timedelta(days=91), answered - timedelta(days=3)])
    assert worth.detractor == Sample(1, 2, 4)


def test_an_answer_counts_once_its_90_days_are_over() -> None:
    assert measured([an_answer(day=before(90))]).detractor == Sample()
    assert measured([an_answer(day=before(91))]).detractor == Sample(1, 0, 0)


def test_the_first_answer_of_a_course_counts_alone() -> None:
    first = an_answer("s1", before(200), group=Category.PROMOTER)
    later = an_answer("s2", before(150), group=Category.DETRACTOR)
    other = an_answer("s3", before(100), group=Category.PASSIVE, course="from:2026-02-01:c1")
    for answers in ([first, later, other], [other, later, first]):
        worth = measured(answers)
        assert (worth.promoter.n, worth.detractor.n, worth.passive.n) == (1, 0, 1)


def test_detractors_somebody_reached_out_to_are_told_from_the_others() -> None:
    answers = [an_answer("s1"), an_answer("s2", patient_id="p2"), an_answer("s3", patient_id="p3")]
    worth = measured(answers, reached=["s2"], visits=[before(60)], patient_id="p2")
    assert (worth.reached, worth.unreached) == (Sample(1, 1, 1), Sample(2, 0, 0))
    assert worth.detractor == worth.reached + worth.unreached


def test_promoters_are_nobodys_to_reach() -> None:
    worth = measured([an_answer("s1", group=Category.PROMOTER)], reached=["s1"])
    assert (worth.reached.n, worth.unreached.n) == (0, 0)


def test_at_risk_is_a_detractor_of_the_last_90_days_nobody_reached_out_to() -> None:
    assert measured([an_answer(day=before(90))]).at_risk == 1
    assert measured([an_answer(day=before(91))]).at_risk == 0
    assert measured([an_answer(day=before(5), group=Category.PASSIVE)]).at_risk == 0
    assert measured([an_answer(day=before(5))], reached=["s1"]).at_risk == 0
    twice = [an_answer("s1", before(5)), an_answer("s2", before(40), course="case:c2")]
    assert measured(twice).at_risk == 1
    assert measured(twice, reached=["s2"]).at_risk == 0


@pytest.mark.parametrize(("days_ago", "ended"), [(29, 0), (30, 1), (365, 1), (366, 0)])
def test_care_has_ended_a_month_to_a_year_after_the_last_visit(days_ago: int, ended: int) -> None:
    worth = measured(visits=[before(days_ago + 7), before(days_ago)])
    assert (worth.ended, worth.unheard) == (ended, ended)


def test_whoever_ever_answered_was_heard() -> None:
    worth = measured([an_answer(day=before(700))], visits=[before(100)])
    assert (worth.ended, worth.unheard) == (1, 0)


@pytest.mark.parametrize(
    ("happened", "unheard"),
    [
        ([("evaluation", 200), ("discharge", 100)], 0),
        ([("evaluation", 200), ("treatment", 100), ("closing", 60)], 0),
        ([("evaluation", 200), ("discharge", 150), ("evaluation", 120), ("treatment", 100)], 1),
        ([("evaluation", 200), ("discharge", 150), ("treatment", 100)], 0),
        ([("closing", 300), ("unstated", 200), ("unstated", 100)], 1),
    ],
)
def test_an_end_counts_unless_a_new_evaluation_follows(happened: list[tuple[str, int]], unheard: int) -> None:
    measurement = Measurement.of(TODAY, [], ())
    for kind, days_ago in reversed(happened):
        if kind == "closing":
            measurement.take_closing("p1", "c1", before(days_ago))
        else:
            measurement.take_visit("p1", "c1", "north", before(days_ago), VisitKind(kind))
    assert measurement.by_clinic()["north"] == Worth(ended=1, unheard=unheard)


def test_a_discharge_from_another_case_ends_nothing() -> None:
    measurement = Measurement.of(TODAY, [], ())
    measurement.take_visit("p1", "knee", "north", before(200), VisitKind.DISCHARGE)
    measurement.take_visit("p1", "back", "south", before(100), VisitKind.TREATMENT)
    assert measurement.by_clinic() == {"south": Worth(ended=1, unheard=1)}


def test_a_case_without_visits_is_no_care() -> None:
    measurement = Measurement.of(TODAY, [], ())
    measurement.take_closing("p1", "c1", before(100))
    assert measurement.by_clinic() == {}


PEOPLE, CASES, CLINICS = ("p1", "p2", "p3"), ("c1", "c2"), ("north", "south")
VISITS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(CASES),
        st.sampled_from(CLINICS),
        st.sampled_from([VisitKind.EVALUATION, VisitKind.TREATMENT, VisitKind.DISCHARGE]),
        st.integers(1, 500),
    ),
    max_size=40,
    unique_by=lambda visit: (visit[0], visit[4]),  # ends and evaluations of one day are told apart by the hour
)
CLOSINGS = st.dictionaries(st.tuples(st.sampled_from(PEOPLE), st.sampled_from(CASES)), st.integers(1, 500), max_size=4)
ANSWERS = st.lists(
    st.tuples(
        st.sampled_from(PEOPLE),
        st.sampled_from(["case:c1", "case:c2", "from:2026-01-01:c1"]),
        st.sampled_from(CLINICS),
        st.sampled_from(Category),
        st.integers(0, 400),
        st.booleans(),
    ),
    max_size=20,
)


@given(VISITS, CLOSINGS, ANSWERS, st.randoms(use_true_random=False))
def test_another_way_of_counting_comes_to_the_same(visits, closings, answers, random) -> None:
    taken = {(patient, days) for patient, _, _, _, days in visits}
    closings = {key: days for key, days in closings.items() if (key[0], days) not in taken}
    asked = [
        an_answer(f"s{n:02d}", before(days), patient_id=patient, course=course, clinic_id=clinic, group=group)
        for n, (patient, course, clinic, group, days, _) in enumerate(answers)
    ]
    reached = {f"s{n:02d}" for n, answer in enumerate(answers) if answer[5]}
    measurement = Measurement.of(TODAY, random.sample(asked, len(asked)), reached)
    steps: list[tuple] = [
        (measurement.take_visit, (p, c, where, before(days), kind)) for p, c, where, kind, days in visits
    ]
    steps += [(measurement.take_closing, (p, c, before(days))) for (p, c), days in closings.items()]
    for take, arguments in random.sample(steps, len(steps)):
        take(*arguments)
    found = sum(measurement.by_clinic().values(), Worth())
    assert found == recounted(visits, closings, asked, reached)


def recounted(visits, closings, asked: list[Answered], reached: set[str]) -> Worth:
    """The same figures patient by patient, from whole lists and the episodes that the surveys go by."""
    samples: dict[str, list[int]] = {name: [] for name in ("promoter", "passive", "detractor", "reached", "unreached")}
    ended = unheard = at_risk = 0
    for patient in PEOPLE:
        days = sorted(before(ago) for who, _, _, _, ago in visits if who == patient)
        theirs = sorted((each for each in asked if each.patient_id == patient), key=lambda a: (a.day, a.survey_id))
        for course in {answer.course for answer in theirs}:
            first = next(answer for answer in theirs if answer.course == course)
            if first.day >= before(90):
                continue
            number = len({day for day in days if first.day < day <= first.day + timedelta(days=90)})
            samples[first.group].append(number)
            if first.group is Category.DETRACTOR:
                samples["reached" if first.survey_id in reached else "unreached"].append(number)
        lately = [a.survey_id for a in theirs if a.group is Category.DETRACTOR and a.day >= before(90)]
        at_risk += bool(lately) and not set(lately) & reached
        if days and before(365) <= days[-1] <= before(30):
            ended += 1
            unheard += not theirs and not is_discharged(patient, visits, closings)
    return Worth(
        **{name: sample(values) for name, values in samples.items()}, ended=ended, unheard=unheard, at_risk=at_risk
    )


def is_discharged(patient: str, visits, closings) -> bool:
    def noon(days: int) -> datetime:
        return datetime.combine(before(days), datetime.min.time(), UTC) + timedelta(hours=17)

    theirs: list[Visit] = [
        a_visit(f"v{days}", patient_id=patient, case_id=case, kind=kind, started_at=noon(days))
        for who, case, _, kind, days in visits
        if who == patient
    ]
    closed = [Case(patient, case, noon(days)) for (who, case), days in closings.items() if who == patient]
    of_care = episodes(theirs, lambda _: ZoneInfo("America/New_York"), closed)
    return max(of_care, key=lambda episode: episode.last_visit.started_at).discharge is not None

"""The report that others may see: what it shows, and what nobody can work out from it."""

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.period import (
    Period,
    Span,
    month_of,
    parse_period,
    quarter_of,
    twelve_months_to,
    week_of,
    year_of,
)
from shared.domain.recovery import Channel, Outreach, Result, reach_out
from shared.domain.report import (
    CaseCounts,
    Cohort,
    Figures,
    Place,
    cohort_days,
    report_of,
    was_late,
    widest_interval,
)
from shared.domain.score import nps
from shared.domain.statistics import Groups, groups_of, interval
from tests.builders import MONDAY_NOON, a_case

DAYS = st.dates(date(2020, 1, 1), date(2035, 12, 31))
MARCH = month_of(date(2026, 3, 9))
QUARTER = quarter_of(date(2026, 3, 9))


def a_place(name: str, promoters: int, passives: int, detractors: int) -> Place:
    return Place(name.lower(), name, (0, 0, detractors, 0, 0, 0, 0, passives, 0, 0, promoters))


def figures(*places: Place, **differences) -> Figures:
    whole = [place.groups for place in places]
    together = Groups(*(sum(getattr(each, name) for each in whole) for name in ("promoters", "passives", "detractors")))
    return Figures(
        **{
            "period": QUARTER,
            "places": places,
            "latest": together,
            "before": Groups(),
            "histogram_before": (0,) * 11,
            "cohort": Cohort(date(2026, 3, 1), date(2026, 3, 16), 200, 60),
            "cases": CaseCounts(),
            "themes": {},
            **differences,
        }
    )


@given(DAYS, st.sampled_from([week_of, month_of, quarter_of, year_of, twelve_months_to]))
def test_a_period_has_its_day_is_read_from_its_key_and_follows_the_previous(day: date, period_of) -> None:
    period = period_of(day)
    assert period.first <= day <= period.last
    assert parse_period(period.key) == period
    assert period.previous.last + timedelta(days=1) == period.first
    assert period.previous.span is period.span
    assert parse_period(period.previous.key) == period.previous


@pytest.mark.parametrize(
    ("key", "first", "last", "name"),
    [
        ("2026-W10", date(2026, 3, 2), date(2026, 3, 8), "March 2 to 8, 2026"),
        ("2026-W01", date(2025, 12, 29), date(2026, 1, 4), "December 29, 2025 to January 4, 2026"),
        ("2026-02", date(2026, 2, 1), date(2026, 2, 28), "February 2026"),
        ("2026-Q4", date(2026, 10, 1), date(2026, 12, 31), "October to December 2026"),
        ("2028", date(2028, 1, 1), date(2028, 12, 31), "2028"),
        ("12-months-to-2026-03", date(2025, 4, 1), date(2026, 3, 31), "April 2025 to March 2026"),
    ],
)
def test_periods_have_keys_and_names(key: str, first: date, last: date, name: str) -> None:
    period = parse_period(key)
    assert (period.first, period.last, period.name) == (first, last, name)


@pytest.mark.parametrize(
    "key", ["", "2026-13", "2026-00", "2026-Q5", "2026-W54", "12-months-to-2026", "1999", "2026-3", "２０２６"]
)
def test_what_is_no_period_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not a period"):
        parse_period(key)


def test_the_previous_of_twelve_months_are_the_twelve_before() -> None:
    assert parse_period("12-months-to-2026-03").previous.key == "12-months-to-2025-03"


def test_the_response_rate_is_of_surveys_that_had_their_14_days() -> None:
    assert cohort_days(MARCH, date(2026, 3, 31)) == (date(2026, 3, 1), date(2026, 3, 16))
    assert cohort_days(MARCH, date(2026, 5, 1)) == (MARCH.first, MARCH.last)
    week = week_of(date(2026, 3, 9))
    assert cohort_days(week, date(2026, 3, 16)) == (date(2026, 2, 23), date(2026, 3, 1))


def test_a_large_place_is_shown_whole() -> None:
    report = report_of(figures(a_place("North", 60, 20, 12), a_place("South", 70, 25, 15)))
    assert report.total.answers == 202
    assert report.total.groups == Groups(130, 45, 27)
    assert report.total.score == 51
    assert report.total.interval == interval(Groups(130, 45, 27))
    assert [line.answers for line in report.lines] == [92, 110]
    assert not report.total.is_low


@pytest.mark.parametrize("key", ["2026-W10", "2026-03", "2026", "12-months-to-2026-03"])
def test_what_overlaps_a_quarter_tells_no_groups_themes_or_cases(key: str) -> None:
    places = a_place("North", 60, 20, 12), a_place("South", 70, 25, 15)
    themes = {"billing": Groups(20, 20, 20)}
    report = report_of(figures(*places, period=parse_period(key), themes=themes, cases=CaseCounts(27, 20, 12)))
    assert [line.groups for line in (report.total, *report.lines)] == [None] * 3
    assert (report.themes, report.opened, report.closed, report.late) == ((), None, None, None)
    assert (report.total.answers, report.total.score, report.rate) == (202, 51, 0.3)
    assert report.total.interval == widest_interval(Groups(130, 45, 27))


def test_few_answers_have_no_score() -> None:
    report = report_of(figures(a_place("North", 9, 0, 0)))
    assert (report.total.answers, report.total.score, report.total.interval) == (None, None, None)
    assert report.lines == ()


def test_a_small_place_is_hidden_with_a_second_that_would_give_it_away() -> None:
    places = (a_place("East", 3, 1, 1), a_place("North", 60, 20, 12), a_place("South", 170, 25, 15))
    report = report_of(figures(*places))
    assert [line.answers for line in report.lines] == [None, None, 210]
    assert [line.score for line in report.lines] == [None, None, 74]
    assert report.total.answers == 307


def test_a_score_whose_groups_are_hidden_has_an_interval_that_does_not_tell_them() -> None:
    report = report_of(figures(a_place("North", 30, 6, 4)))
    assert report.total.groups is None
    assert report.total.score == 65
    assert report.total.interval == widest_interval(Groups(30, 6, 4))
    assert report.total.interval == widest_interval(Groups(28, 10, 2))  # as many answers with the same score


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_the_widest_interval_holds_the_exact_one(promoters: int, passives: int, detractors: int) -> None:
    groups = Groups(promoters, passives, detractors)
    exact, widest = interval(groups), widest_interval(groups)
    assert widest.centre == pytest.approx(exact.centre)
    assert widest.half_width >= exact.half_width - 1e-9


@given(st.lists(st.tuples(*[st.integers(0, 25)] * 3), min_size=1, max_size=4))
def test_no_shown_count_is_small(counts: list[tuple[int, int, int]]) -> None:
    report = report_of(figures(*(a_place(f"Clinic {n}", *each) for n, each in enumerate(counts))))
    for line in (report.total, *report.lines):
        assert line.answers is None or line.answers >= 10
        if line.groups:
            assert min(line.groups.promoters, line.groups.passives, line.groups.detractors) >= 10
        if line.score is not None:
            assert line.answers is not None


@given(st.tuples(*[st.integers(0, 14)] * 3))
def test_what_is_hidden_of_one_place_could_be_something_else(counts: tuple[int, int, int]) -> None:
    """Of one place, by trying: at least two sets of counts make the very same report."""
    report = report_of(figures(a_place("North", *counts)))
    if report.total.groups or report.total.answers is None:
        return
    size = sum(counts)
    others = [
        other
        for other in product(range(size + 1), repeat=3)
        if sum(other) == size and other != counts and _total(other) == report.total
    ]
    assert others


def _total(counts: tuple[int, ...]):
    return report_of(figures(a_place("North", *counts))).total


def test_a_change_is_told_if_both_periods_have_enough_answers() -> None:
    place = a_place("North", 88, 8, 4)
    before = a_place("North", 50, 30, 20)
    report = report_of(figures(place, before=before.groups, histogram_before=before.histogram))
    assert report.score_before == nps(before.histogram) == 30
    assert report.change
    assert report.change.is_significant
    few = a_place("North", 5, 2, 2)
    assert report_of(figures(place, before=few.groups, histogram_before=few.histogram)).change is None
    assert report_of(figures(place, before=few.groups, histogram_before=few.histogram)).score_before is None


def test_no_change_is_told_where_the_score_would_give_the_groups_away() -> None:
    place, before = a_place("North", 12, 1, 0), a_place("North", 40, 40, 20)
    report = report_of(figures(place, before=before.groups, histogram_before=before.histogram))
    assert (report.total.answers, report.total.score) == (13, None)
    assert (report.change, report.score_before) == (None, None)


def test_small_numbers_of_cases_and_answers_are_hidden() -> None:
    large = [a_place("North", 60, 20, 12), a_place("South", 70, 25, 15)]
    report = report_of(figures(*large, cases=CaseCounts(27, 20, 9)))
    assert (report.opened, report.closed, report.late) == (27, 20, None)
    hidden = report_of(figures(a_place("North", 60, 20, 9), cases=CaseCounts(12, 11, 10)))
    assert (hidden.opened, hidden.closed, hidden.late) == (None, None, None)
    cohort = Cohort(MARCH.first, MARCH.last, 200, 60)
    assert report_of(figures(*large, cohort=cohort)).rate == 0.3
    for sent, answered in ((200, 9), (65, 60)):
        assert report_of(figures(*large, cohort=Cohort(MARCH.first, MARCH.last, sent, answered))).rate is None


def test_the_top_themes_come_without_small_counts() -> None:
    themes = {
        "billing": Groups(1, 2, 30),
        "waiting": Groups(12, 0, 10),
        "facility": Groups(3, 2, 4),
        "therapist": Groups(90, 3, 0),
    }
    report = report_of(figures(a_place("North", 200, 50, 50), themes=themes))
    assert [(theme.name, theme.mentions, theme.from_detractors) for theme in report.themes] == [
        ("therapist", 93, None),
        ("billing", 33, None),
        ("waiting", 22, 10),
    ]
    assert report.themes_left_out
    assert not report_of(figures(a_place("North", 200, 50, 50), themes={"billing": Groups(20, 0, 0)})).themes_left_out


def test_a_case_is_late_unless_somebody_did_something_by_the_deadline() -> None:
    case = a_case()
    early, late = case.deadline - timedelta(hours=1), case.deadline + timedelta(hours=1)

    def attempt(at: datetime) -> Outreach:
        return Outreach(at, "u1", "Maria", Channel.TELEPHONE, Result.SPOKE)

    assert was_late(case, late)
    assert not was_late(case, early)
    assert not was_late(reach_out(case, attempt(early)), late)
    assert was_late(reach_out(case, attempt(late)), late)
    assert not was_late(a_case(closed_at=early), late)
    assert MONDAY_NOON.tzinfo is UTC


def test_a_week_is_no_month() -> None:
    assert Period(Span.WEEK, date(2026, 3, 2), date(2026, 3, 8)).months is None
    assert MARCH.months == ("2026-03", "2026-03")
    assert groups_of(a_place("North", 1, 2, 3).histogram) == Groups(1, 2, 3)

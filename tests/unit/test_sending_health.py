"""When sending stops itself, which mails count for it, and from when on news are missing."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.sending_health import (
    Fates,
    Resumed,
    StopReason,
    days_that_count,
    is_silent,
    recent,
    why_stop,
)

TODAY = date(2026, 3, 20)
NOON = datetime(2026, 3, 20, 12, tzinfo=UTC)
SOME = st.integers(0, 5000)
FATES = st.builds(Fates, SOME, SOME, SOME)


@pytest.mark.parametrize(
    ("sent", "bounced", "stops"),
    [(500, 10, True), (501, 10, False), (100, 9, False), (9, 9, False), (10, 10, True), (550, 11, True), (0, 10, True)],
)
def test_two_percent_and_at_least_ten_bounces_stop_sending(sent, bounced, stops):
    assert why_stop(Fates(sent, bounced)) is (StopReason.BOUNCES if stops else None)


@pytest.mark.parametrize(
    ("sent", "complained", "stops"),
    [(6000, 3, True), (6001, 3, False), (100, 2, False), (10, 3, True), (8000, 4, True), (8001, 4, False)],
)
def test_one_complaint_in_two_thousand_and_at_least_three_stop_sending(sent, complained, stops):
    assert why_stop(Fates(sent, 0, complained)) is (StopReason.COMPLAINTS if stops else None)


def test_complaints_are_told_before_bounces():
    assert why_stop(Fates(100, 10, 3)) is StopReason.COMPLAINTS


@given(FATES)
def test_careloop_stops_before_ses_would_review_the_account(fates):
    bounced_too_much = fates.bounced >= 10 and fates.bounced > 0.05 * fates.sent
    drew_too_many_complaints = fates.complained >= 3 and fates.complained > 0.001 * fates.sent
    assert why_stop(fates) or not (bounced_too_much or drew_too_many_complaints)


@given(FATES)
def test_more_mails_that_arrive_never_stop_sending(fates):
    if why_stop(fates) is None:
        assert why_stop(fates + Fates(sent=1)) is None


def test_the_last_fourteen_days_count_and_no_day_more():
    by_day = {TODAY - timedelta(days=ago): Fates(sent=10**ago) for ago in (0, 1, 13, 14)}
    assert recent(by_day, TODAY, None).sent == 1 + 10 + 10**13
    assert len(days_that_count(TODAY, None)) == 14


def test_after_resuming_nothing_from_before_counts():
    resumed = Resumed(NOON, before=Fates(sent=400, bounced=12))
    by_day = {TODAY: Fates(sent=450, bounced=13), TODAY - timedelta(days=1): Fates(sent=9, bounced=9)}
    assert recent(by_day, TODAY, resumed) == Fates(sent=50, bounced=1)
    tomorrow = {**by_day, TODAY + timedelta(days=1): Fates(sent=5)}
    assert recent(tomorrow, TODAY + timedelta(days=1), resumed) == Fates(sent=55, bounced=1)


def test_a_resumption_that_is_weeks_old_takes_nothing_away():
    resumed = Resumed(NOON - timedelta(days=14), before=Fates(sent=400, bounced=12))
    assert recent({TODAY: Fates(sent=7)}, TODAY, resumed) == Fates(sent=7)


def test_the_day_of_a_resumption_is_that_of_utc():
    resumed = Resumed(datetime(2026, 3, 21, 0, 30, tzinfo=UTC), Fates(sent=1))
    assert days_that_count(date(2026, 3, 21), resumed) == [date(2026, 3, 21)]


@pytest.mark.parametrize(("seconds", "silent"), [(899, False), (900, True)])
def test_news_are_missing_after_a_quarter_of_an_hour(seconds, silent):
    assert is_silent(NOON, NOON + timedelta(seconds=seconds)) is silent


def test_news_are_not_missing_where_none_are_expected():
    assert not is_silent(None, NOON)

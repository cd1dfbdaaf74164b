"""What a score is worth, against worked figures, simulation and exhaustive search."""

import random
from collections.abc import Iterator
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.statistics import (
    Confidence,
    Groups,
    Shown,
    answers_to_settle,
    compare,
    confidence,
    control_chart,
    groups_of,
    interval,
    probability_above,
    score_may_be_shown,
    standing,
    suppress,
)

groups = st.builds(Groups, st.integers(0, 400), st.integers(0, 400), st.integers(0, 400))


def test_a_histogram_falls_into_three_groups() -> None:
    assert groups_of([1, 0, 0, 0, 0, 0, 2, 3, 4, 5, 6]) == Groups(11, 7, 3)


@pytest.mark.parametrize(
    ("counts", "centre", "half_width"),
    [
        ((10, 0, 0), 76.9, 29.4),
        ((18, 1, 1), 73.9, 24.0),
        ((26, 3, 1), 75.8, 18.4),
        ((88, 8, 4), 81.6, 9.5),
        ((440, 40, 20), 83.5, 4.1),
    ],
)
def test_the_interval_is_the_adjusted_wald(counts: tuple[int, int, int], centre: float, half_width: float) -> None:
    found = interval(Groups(*counts))
    assert (round(found.centre, 1), round(found.half_width, 1)) == (centre, half_width)


@given(groups)
def test_no_interval_leaves_the_scale(counted: Groups) -> None:
    found = interval(counted)
    assert -100 <= found.low <= found.centre <= found.high <= 100


def test_six_points_less_among_a_hundred_answers_may_be_chance() -> None:
    change = compare(Groups(88, 8, 4), Groups(78, 12, 10))
    assert (round(change.z, 2), round(change.p, 3)) == (-1.92, 0.055)
    assert not change.is_significant
    assert compare(Groups(176, 16, 8), Groups(156, 24, 20)).is_significant


@given(groups, groups)
def test_a_change_back_is_the_same_change_with_the_other_sign(before: Groups, after: Groups) -> None:
    there, back = compare(before, after), compare(after, before)
    assert there.p == back.p
    assert there.points == -back.points


@pytest.mark.parametrize(
    ("answers", "expected"),
    [(0, Confidence.NONE), (9, Confidence.NONE), (10, Confidence.LOW), (29, Confidence.LOW), (30, Confidence.FULL)],
)
def test_scores_appear_from_ten_answers_and_are_sure_from_thirty(answers: int, expected: Confidence) -> None:
    assert confidence(answers) is expected


@pytest.mark.parametrize("counts", [(10, 0, 0), (26, 3, 1), (88, 8, 4), (440, 40, 20), (0, 0, 0), (4, 9, 30)])
def test_the_probability_of_a_band_agrees_with_two_hundred_thousand_draws(counts: tuple[int, int, int]) -> None:
    draw, draws = random.Random(84), 200_000
    scores = []
    for _ in range(draws):
        p, passive, d = (
            draw.gammavariate(count + prior, 1) for count, prior in zip(counts, (0.75, 1.5, 0.75), strict=True)
        )
        scores.append((p - d) / (p + passive + d))
    for limit in (0.75, 0.84, 0.9, -0.5):
        drawn = sum(score > limit for score in scores) / draws
        # Four standard errors of the draws.
        assert probability_above(Groups(*counts), limit) == pytest.approx(drawn, abs=4 * (0.25 / draws) ** 0.5)


def test_with_three_pseudo_answers_alone_the_probability_is_that_of_the_prior() -> None:
    assert probability_above(Groups(), 0.0) == pytest.approx(0.5, abs=1e-5)


@given(groups)
def test_the_four_bands_are_all_there_is(counted: Groups) -> None:
    bands = standing(counted)
    assert min(bands.bottom_tenth, bands.below_average, bands.above_average, bands.top_tenth) >= -1e-6
    assert bands.bottom_tenth + bands.below_average + bands.above_average + bands.top_tenth == pytest.approx(1)


def test_a_hundred_thousand_answers_leave_no_doubt() -> None:
    assert standing(Groups(90_000, 7_000, 3_000)).above_average == pytest.approx(1)


@pytest.mark.parametrize("counts", [(19, 1, 0), (28, 1, 1), (45, 3, 2), (90, 30, 10)])
def test_the_further_answers_named_settle_it_and_half_as_many_do_not(counts: tuple[int, int, int]) -> None:
    answers, more = sum(counts), answers_to_settle(Groups(*counts), 84)
    assert more is not None

    def doubt_after(further: float) -> float:
        above = probability_above(Groups(*(count * (1 + further / answers) for count in counts)), 0.84)  # type: ignore[arg-type]
        return min(above, 1 - above)

    assert doubt_after(more) < 0.07
    assert more == 0 or doubt_after(more / 2) > 0.05


def test_a_score_right_at_the_limit_is_never_settled() -> None:
    assert answers_to_settle(Groups(88, 8, 4), 84) is None
    assert answers_to_settle(Groups(), 84) is None


STEADY = [(f"2026-{month:02}", Groups(85, 10, 5)) for month in range(1, 8)]


def signals_after(*added: Groups) -> list[tuple[str, ...]]:
    series = [*STEADY, *((f"later {number}", counts) for number, counts in enumerate(added))]
    return [point.signals for point in control_chart(series).points]


def test_months_that_are_alike_are_steady() -> None:
    chart = control_chart(STEADY)
    assert chart.is_steady
    assert chart.centre == pytest.approx(80)


def test_the_limits_are_three_standard_errors_of_that_months_answers() -> None:
    chart = control_chart([("May", Groups(15, 3, 2)), ("June", Groups(120, 24, 16)), ("July", Groups())])
    may, june = chart.points
    spread = (0.75 + 0.1 - 0.65**2) ** 0.5
    assert chart.centre == pytest.approx(65)
    assert june.high - 65 == pytest.approx(300 * spread / 160**0.5)
    assert may.high == 100
    assert may.low - 65 == pytest.approx(-300 * spread / 20**0.5)


def test_a_point_outside_the_limits_is_a_signal() -> None:
    assert signals_after(Groups(60, 10, 30))[-1][0] == "outside the limits"


def test_two_of_three_far_points_are_a_signal_and_one_is_none() -> None:
    far = Groups(77, 10, 13)
    assert signals_after(far)[-1] == ()
    assert signals_after(far, Groups(85, 10, 5), far)[-1] == ("two of three points far on the same side",)
    assert signals_after(far, Groups(95, 3, 2))[-1] == ()


def test_four_of_five_points_off_the_middle_are_a_signal() -> None:
    off = Groups(78, 12, 10)
    assert "four of five points on the same side, away from the middle" in signals_after(off, off, off, off)[-1]


def test_eight_in_a_row_on_one_side_are_a_signal() -> None:
    series = [(str(number), Groups(80, 10, 10)) for number in range(8)]
    series += [(str(number + 8), Groups(81, 10, 9)) for number in range(8)]
    points = control_chart(series).points
    assert points[7].signals == points[15].signals == ("eight points in a row on the same side",)
    assert points[14].signals == ()


def test_a_chart_without_answers_has_no_points() -> None:
    assert control_chart([("May", Groups())]).points == ()


def test_only_promoters_make_limits_without_width() -> None:
    chart = control_chart([("May", Groups(5)), ("June", Groups(7))])
    assert chart.is_steady
    assert chart.points[0].low == chart.points[0].high == 100


def test_a_line_with_a_small_group_shows_how_many_answers_and_no_more() -> None:
    shown = suppress([Groups(60, 20, 12), Groups(50, 12, 9), Groups(70, 30, 20)])
    # The second line alone would follow from the totals: the next smallest goes with it.
    assert shown.groups == (None, None, Groups(70, 30, 20))
    assert shown.answers == (92, 71, 120)
    assert shown.total_groups == Groups(180, 62, 41)


def test_a_small_number_of_answers_takes_another_with_it() -> None:
    assert suppress([Groups(4, 1, 1), Groups(60, 20, 12), Groups(90, 20, 12)]).answers == (None, None, 122)


def test_when_everything_is_small_nothing_is_shown() -> None:
    assert suppress([Groups(4, 1, 0), Groups(2, 0, 1)]) == Shown((None, None), (None, None), None, None)


def test_large_cells_are_all_shown() -> None:
    lines = [Groups(60, 20, 12), Groups(50, 12, 10)]
    assert suppress(lines) == Shown((92, 72), tuple(lines), 164, Groups(110, 32, 22))


def tables_that_would_be_published_alike(lines: list[Groups], shown: Shown, most: int) -> Iterator[list[Groups]]:
    """Every table of counts up to `most` that agrees with all that is shown."""
    cells = [Groups(*counts) for counts in product(range(most + 1), repeat=3)]
    for table in product(
        *(
            [
                cell
                for cell in cells
                if (groups is None or cell == groups) and (answers is None or cell.answers == answers)
            ]
            for groups, answers in zip(shown.groups, shown.answers, strict=True)
        )
    ):
        whole = Groups(*(sum(getattr(line, name) for line in table) for name in NAMES))
        if shown.total_answers in (None, whole.answers) and shown.total_groups in (None, whole):
            yield list(table)


NAMES = ("promoters", "passives", "detractors")
small = st.integers(0, 4)


@settings(max_examples=60)
@given(st.lists(st.builds(Groups, small, small, small), min_size=2, max_size=2))
def test_no_hidden_cell_can_be_worked_out_from_what_is_shown(lines: list[Groups]) -> None:
    shown = suppress(lines, smallest=2)
    most = 2 * 4 if shown.total_answers is None else 4 + 2
    possible = list(tables_that_would_be_published_alike(lines, shown, most))
    assert lines in possible
    for number, line in enumerate(lines):
        for name in NAMES:
            seen = {getattr(table[number], name) for table in possible}
            assert len(seen) > 1 or shown.groups[number] == line


@given(st.lists(groups, min_size=1, max_size=8))
def test_nothing_under_ten_is_ever_shown(lines: list[Groups]) -> None:
    shown = suppress(lines)
    counts = [*shown.answers, shown.total_answers]
    counts += [getattr(line, name) for line in (*shown.groups, shown.total_groups) if line for name in NAMES]
    assert all(count >= 10 for count in counts if count is not None)


@given(st.lists(groups, min_size=1, max_size=8))
def test_what_the_totals_tell_of_hidden_lines_is_no_small_count(lines: list[Groups]) -> None:
    shown = suppress(lines)
    hidden = [line for line, seen in zip(lines, shown.groups, strict=True) if seen is None]
    if shown.total_groups and hidden:
        assert len(hidden) > 1
        assert min(sum(getattr(line, name) for line in hidden) for name in NAMES) >= 10
    few = [line.answers for line, seen in zip(lines, shown.answers, strict=True) if seen is None]
    if shown.total_answers and few:
        assert len(few) > 1
        assert sum(few) >= 10


@pytest.mark.parametrize(
    ("whole", "expected"),
    [
        (Groups(30, 0, 0), False),  # a score of 100 says that there was no detractor
        (Groups(29, 1, 0), False),
        (Groups(0, 0, 30), False),
        (Groups(27, 2, 1), True),
        (Groups(6, 2, 1), False),
    ],
)
def test_a_score_that_gives_hidden_groups_away_is_hidden_too(whole: Groups, expected: bool) -> None:
    assert score_may_be_shown(whole, None) is expected


def test_a_score_of_shown_groups_tells_nothing_new() -> None:
    assert score_may_be_shown(Groups(30, 12, 10), Groups(30, 12, 10))

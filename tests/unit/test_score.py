"""Scores: eleven whole numbers, three groups, one figure computed from counts."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.score import SCORES, Category, classify, nps, parse_score

histograms = st.lists(st.integers(0, 500), min_size=11, max_size=11)


def answers(promoters: int, passives: int, detractors: int) -> list[int]:
    return [detractors, 0, 0, 0, 0, 0, 0, passives, 0, promoters, 0]


@pytest.mark.parametrize("score", range(11))
def test_every_score_has_its_group(score: int) -> None:
    group = "detractor" if score <= 6 else "passive" if score <= 8 else "promoter"
    assert classify(score) is Category(group)


@pytest.mark.parametrize("score", [-1, 11, 100])
def test_no_other_number_has_a_group(score: int) -> None:
    with pytest.raises(ValueError, match="whole number from 0 to 10"):
        classify(score)


@pytest.mark.parametrize("score", range(11))
def test_a_score_is_read_as_the_form_sends_it(score: int) -> None:
    assert parse_score(str(score)) == score
    assert parse_score(f" {score} ") == score


@pytest.mark.parametrize("text", ["", "11", "-1", "6.5", "ten", "+5", "05", "1e1", "٧", "7\n", "0x7", "1 0", "¹", "7٠"])
def test_anything_else_is_no_score(text: str) -> None:
    assert parse_score(text) is None


@given(st.text())
def test_reading_a_score_never_fails_and_never_invents_one(text: str) -> None:
    score = parse_score(text)
    assert score is None or text.strip(" ") == str(score)


@pytest.mark.parametrize(
    ("promoters", "passives", "detractors", "expected"),
    [
        (10, 0, 0, 100),
        (18, 1, 1, 85),
        (26, 3, 1, 83),  # 83.3
        (88, 8, 4, 84),
        (440, 40, 20, 84),
        (78, 12, 10, 68),
        (0, 0, 3, -100),
        (1, 0, 1, 0),
        (1, 7, 0, 13),  # 12.5: half away from zero, where Python's round gives 12
        (0, 7, 1, -13),
        (0, 199, 1, -1),  # -0.5
        (2, 0, 1, 33),
    ],
)
def test_nps_is_rounded_once_half_away_from_zero(promoters: int, passives: int, detractors: int, expected: int) -> None:
    assert nps(answers(promoters, passives, detractors)) == expected


def test_there_is_no_nps_without_answers() -> None:
    assert nps([0] * 11) is None


@given(histograms.filter(any))
def test_nps_equals_the_exact_fraction_rounded(histogram: list[int]) -> None:
    groups = {
        category: sum(histogram[score] for score in SCORES if classify(score) is category) for category in Category
    }
    exact = Fraction(100 * (groups[Category.PROMOTER] - groups[Category.DETRACTOR]), sum(histogram))
    rounded = floor(abs(exact) + Fraction(1, 2))
    assert nps(histogram) == (rounded if exact >= 0 else -rounded)


@given(histograms.filter(any))
def test_nps_stays_in_its_range_and_turns_round_with_its_groups(histogram: list[int]) -> None:
    score = nps(histogram)
    assert score is not None
    assert -100 <= score <= 100
    mirrored = nps(answers(sum(histogram[:7]), sum(histogram[7:9]), sum(histogram[9:])))
    assert mirrored == -score


@given(histograms.filter(any), st.integers(2, 50))
def test_nps_depends_on_shares_only(histogram: list[int], factor: int) -> None:
    assert nps([factor * count for count in histogram]) == nps(histogram)


@given(histograms.filter(any))
def test_one_more_promoter_never_lowers_nps(histogram: list[int]) -> None:
    before, after = nps(histogram), nps([*histogram[:10], histogram[10] + 1])
    assert before is not None
    assert after is not None
    assert after >= before

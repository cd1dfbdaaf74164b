"""Charts: well-formed, within their frame, and told in words."""

from itertools import pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from functions.serve_dashboard import charts
from shared.domain.statistics import Groups, control_chart

counts = st.builds(Groups, st.integers(0, 90), st.integers(0, 90), st.integers(1, 90))
months = st.lists(counts, min_size=1, max_size=24)


def parsed(drawn: Markup) -> ElementTree.Element:
    return ElementTree.fromstring(str(drawn))


def control(groups: list[Groups], goal: int | None = None, width: int = 340) -> ElementTree.Element:
    series = [(f"2026-{number:02d}", one) for number, one in enumerate(groups, start=1)]
    return parsed(charts.control(control_chart(series), [name for name, _ in series], goal, name="wide", width=width))


@given(months, st.none() | st.integers(-100, 100), st.sampled_from([340, 1080]))
def test_every_point_lies_within_the_frame(groups: list[Groups], goal: int | None, width: int) -> None:
    drawn = control(groups, goal, width)
    circles = [(float(mark.get("cx", "0")), float(mark.get("cy", "0"))) for mark in drawn.iter("circle")]
    lines = [(float(line.get("x2", "0")), float(line.get("y1", "0"))) for line in drawn.iter("line")]
    assert all(0 < x <= width and 0 < y < 300 for x, y in circles + lines)


@given(months)
def test_every_month_has_a_mark_and_signals_have_another_shape(groups: list[Groups]) -> None:
    drawn = control(groups)
    signals = [path for path in drawn.iter("path") if path.get("class") == "signal"]
    assert len(list(drawn.iter("circle"))) + len(signals) == len(groups)


def test_a_chart_has_a_title_and_says_what_it_shows() -> None:
    drawn = control([Groups(85, 10, 5)] * 6 + [Groups(50, 20, 30)])
    assert drawn.get("role") == "img"
    assert drawn.get("aria-labelledby") == "title-wide told-wide"
    told = drawn.findtext("desc")
    assert told
    assert told.startswith("7 months, from 2026-01 to 2026-07; all together 71.")
    assert "Diamonds mark months" in told
    steady = control([Groups(85, 10, 5)] * 6).findtext("desc")
    assert steady
    assert "Nothing but chance shows." in steady


def test_nothing_but_promoters_can_be_drawn() -> None:
    assert list(control([Groups(12, 0, 0)]).iter("circle"))


def test_labels_never_crowd_and_the_last_month_has_one() -> None:
    texts = [text for text in control([Groups(9, 1, 1)] * 24).iter("text") if text.get("text-anchor") == "middle"]
    assert texts[-1].text == "2026-24"
    places = [float(text.get("x", "0")) for text in texts]
    assert min(right - left for left, right in pairwise(places)) >= 48


def test_a_bar_tells_its_parts_in_words_and_leaves_empty_ones_out() -> None:
    drawn = parsed(charts.groups_bar(Groups(30, 0, 10)))
    assert drawn.get("aria-label") == "Answers by group. 30 promoters, 0 passives, 10 detractors"
    assert [rect.get("class") for rect in drawn] == ["promoter", "detractor"]


def test_names_cannot_break_out_of_a_chart() -> None:
    drawn = charts.bands_bar('"><script>', [("promoter", "<b>", 1.0)])
    assert "<script>" not in drawn
    assert parsed(drawn).get("aria-label") == '"><script>. <b>: 100%'


@pytest.mark.parametrize(("score", "written"), [(84.4, "84"), (-0.2, "0"), (-12.6, "−13")])
def test_a_negative_score_has_a_true_minus_sign(score: float, written: str) -> None:
    assert charts.signed(score) == written

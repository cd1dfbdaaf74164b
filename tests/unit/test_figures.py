"""Figures of the benchmarks: what is judged, by which line, and that a document can be made of what was stored."""

import json
from pathlib import Path

import pytest

from bench.figure import Figure
from bench.timing import side_by_side


def a_figure(**differences: object) -> Figure:
    return Figure(**{"name": "a", "what": "b", "measured": 3.0, "unit": "ms", "kind": "absolute", **differences})  # type: ignore[arg-type]


def test_a_ratio_is_judged_beside_its_floor_and_everything_else_as_it_is() -> None:
    assert a_figure(kind="ratio", floor=2.0, ratio=1.5).judged == 1.5
    assert a_figure(kind="count", floor=2.0).judged == 3.0
    with pytest.raises(ValueError, match="needs its floor"):
        _ = a_figure(kind="ratio").judged


def test_between_target_and_too_much_is_missed_and_acceptable() -> None:
    missed = a_figure(target=2.0, too_much=4.0)
    assert (missed.passed, missed.acceptable) == (False, True)
    assert not a_figure(target=2.0, too_much=2.5).acceptable
    assert not a_figure(target=2.0).acceptable, "without a second line the target is the line"
    assert a_figure().passed
    assert a_figure().acceptable


def test_more_is_better_where_it_says_so() -> None:
    assert a_figure(target=2.5, at_least=True).passed
    assert not a_figure(target=3.5, too_much=3.2, at_least=True).acceptable


def test_subject_and_floor_run_in_turn_and_are_judged_pair_by_pair() -> None:
    order: list[str] = []
    speeds = iter((1, 1, 2, 2, 4, 4, 8, 8))  # the machine slows down: pairs agree, medians would not

    def run(name: str, seconds: float) -> float:
        order.append(name)
        return seconds * next(speeds)

    found = side_by_side(lambda: run("subject", 3.0), lambda: run("floor", 2.0), pairs=3)
    assert order == ["subject", "floor", "subject", "floor", "floor", "subject", "subject", "floor"]
    assert (found.ratio, found.low, found.high) == (1.5, 1.5, 1.5)


def test_every_stored_result_can_be_read_again_and_names_no_machine() -> None:
    for path in (Path(__file__).parents[2] / "bench" / "results").glob("*.json"):
        stored = json.loads(path.read_text())
        assert stored["name"] == path.stem
        assert all(Figure(**figure).name for figure in stored["figures"])
        assert "/" not in stored["machine"]

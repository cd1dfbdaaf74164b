"""Rows as text: what an archive holds is what was stored."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.tables import Digest, Item, as_text, from_text, saying

texts = st.text(max_size=8)
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str)
simple = st.one_of(
    st.fixed_dictionaries({"S": texts}),
    st.fixed_dictionaries({"N": numbers}),
    st.fixed_dictionaries({"B": st.binary(max_size=8)}),
    st.fixed_dictionaries({"BOOL": st.booleans()}),
    st.just({"NULL": True}),
    st.fixed_dictionaries({"SS": st.lists(texts, min_size=1, max_size=3, unique=True).map(sorted)}),
    st.fixed_dictionaries({"NS": st.lists(numbers, min_size=1, max_size=3, unique=True).map(sorted)}),
)
values = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"L": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"M": st.dictionaries(texts, inner, max_size=3)}),
    ),
    max_leaves=6,
)
items = st.dictionaries(texts, values, max_size=4)


@given(items)
@settings(max_examples=60)
def test_a_row_is_one_line_and_comes_back_as_it_was(item):
    line = as_text(item)
    assert "\n" not in line
    assert from_text(line) == item


def test_sets_are_the_same_in_whatever_order_they_were_read():
    assert as_text({"a": {"SS": ["x", "b"]}}) == as_text({"a": {"SS": ["b", "x"]}})
    assert from_text(as_text({"a": {"BS": [b"\xff", b"a"]}})) == {"a": {"BS": [b"a", b"\xff"]}}


def test_what_is_no_row_is_refused():
    with pytest.raises(ValueError, match="not an item"):
        from_text("[1]")


def test_who_waits_hears_how_far_it_is(monkeypatch):
    monkeypatch.setattr("local.tables.SAY_EVERY", 3)
    said = list[str]()
    pages: list[list[Item]] = [[{}, {}], [{}, {}], [{}]]
    assert list(saying("Visits", pages, said.append)) == pages
    assert said == ["  Visits: 4 rows so far"]


@given(st.lists(items, max_size=4), st.randoms())
@settings(max_examples=30)
def test_a_digest_knows_the_same_rows_in_any_order_and_no_others(rows, dice):
    def of(some) -> Digest:
        found = Digest()
        for row in some:
            found.add(row)
        return found

    shuffled = list(rows)
    dice.shuffle(shuffled)
    assert of(rows) == of(shuffled)
    assert of([*rows, {"more": {"S": ""}}]) != of(rows)

"""CSV files: what a spreadsheet reads is what was written, and never a formula."""

import csv
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.serve_dashboard.csv_file import csv_file

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\x00")) | st.builds(
    str.__add__, st.sampled_from(["=", "+", "-", "@", "\t", "\r", '"', "\n"]), st.text(st.characters(codec="utf-8"))
)


def read(file: str) -> list[list[str]]:
    return list(csv.reader(StringIO(file.removeprefix("\ufeff"), newline=""), strict=True))


@given(st.lists(st.tuples(TEXT, st.integers(-5, 5)), max_size=5))
def test_every_cell_comes_back_and_none_is_a_formula(rows: list[tuple[str, int]]) -> None:
    found = read(csv_file(["a", "b"], rows))[1:]
    assert len(found) == len(rows)
    for (text, number), (cell, digits) in zip(rows, found, strict=True):
        assert cell in (text, f"'{text}")
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert int(digits) == number


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_what_would_be_a_formula_gets_an_apostrophe(start: str) -> None:
    assert read(csv_file(["a"], [[f"{start}cmd|'/c calc'!A1"]]))[1] == [f"'{start}cmd|'/c calc'!A1"]


def test_the_file_is_what_excel_takes_for_utf_8() -> None:
    assert csv_file(["name", "n"], [["Muñoz, Ada", -3], ["she said “no”\nand left", 2]]) == (
        '\ufeffname,n\r\n"Muñoz, Ada",-3\r\n"she said “no”\nand left",2\r\n'
    )

"""What is searched for in files: a number, an address, a telephone or a name, in whatever a format makes of them."""

import pytest

from functions.erase_patient.pattern import pattern_of
from shared.domain.erasure import Traces

PATTERN = pattern_of(
    Traces(("A-17", "4711"), emails=("ada@example.com",), phones=("+15185550123",), names=(("Ada", "Muñoz"),))
)


@pytest.mark.parametrize(
    "text",
    [
        "A-17,x",
        "PID|1||4711^^^^MR",
        '{"id": "4711"}',
        "ADA@EXAMPLE.COM",
        "(518) 555-0123",
        "518.555.0123",
        ",Ada,Muñoz,",
        "Muñoz^Ada",
        '"family": "Muñoz",\n  "given": [\n   "Ada"',
        "MUÑOZ, ADA".replace("Ñ", "ñ"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_whoever_is_meant_is_found(text: str, encoding: str) -> None:
    assert PATTERN.search(text.encode(encoding))


@pytest.mark.parametrize("text", ["4711", "ada@example.com"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_number_and_address_are_found_in_wide_characters_as_well(text: str, encoding: str) -> None:
    assert PATTERN.search(f"x,{text},y".encode(encoding))


@pytest.mark.parametrize(
    "text",
    ["A-175", "14711", "47110", "BA-17", "ada@example.community", "Adam Muñozes", "Ada and later Okafor", "5185550124"],
)
def test_others_are_not(text: str) -> None:
    assert not PATTERN.search(text.encode())

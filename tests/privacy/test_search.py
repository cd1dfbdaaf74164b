"""The search itself: a word that leaked is found, however it was written down."""

import base64
import hashlib
import json
from urllib.parse import quote

import pytest

from shared.observability import HandlerFailed, entry_point
from tests.privacy import canary
from tests.privacy.canary import has_none_of, leaks
from tests.privacy.outside import FAILURES, watched

WORDS = canary.WORDS


def found(text: str) -> set[str]:
    return {leak.what for leak in leaks([("somewhere", text)], WORDS)}


@pytest.mark.parametrize(("what", "word"), WORDS.items())
def test_every_word_is_found_in_every_writing(what, word):
    for written in (
        word,
        f"x{word.upper()}y",
        json.dumps({"message": word}),
        json.dumps(json.dumps({"message": word})),
        quote(word),
        word.encode().hex(),
        hashlib.sha256(word.encode()).hexdigest(),
        repr({"S": word}),
        str(word.encode()),
        f"{word[:3]}{word[3:]}",
        *(base64.b64encode(b"." * start + f"{word} and more".encode()).decode() for start in range(3)),
        base64.urlsafe_b64encode(f"??>{word} and more".encode()).decode(),
    ):
        assert what in found(written), written


def test_a_telephone_number_is_found_however_it_is_set():
    for written in ("(518) 555-0177", "518.555.0177", "+1 518 555 0177", "+15185550177"):
        assert found(f"call {written} now") == {"telephone"}


def test_what_is_meant_to_be_there_is_not_taken_for_a_leak():
    ordinary = '{"survey_id":"bcdefghijklmnopqrstuvwxyz2","message":"run_finished","timestamp":"2026-03-03T15:00:00"}'
    assert found(ordinary) == set()


def test_a_link_that_was_mailed_is_a_word_from_then_on():
    words = canary.Words()
    token = "a" * 26 + "bcdefghijklmnopqrstuvwxyz2"
    words.add_links([f"https://care.example.com/s/{token}?score=9"])
    for leaked in (token, token[26:]):
        with pytest.raises(AssertionError, match=r"in the log: "):
            has_none_of(words.words, [("the log", f"opened {leaked}")])


def test_a_planted_leak_fails_wherever_it_is(capsys):
    """Each way out is planted with a leak, and each is found."""

    def leaky() -> None:
        print(f"sent to {canary.EMAIL}")  # noqa: T201
        import logging

        logging.getLogger("botocore").warning("retrying %s", canary.PATIENT_ID)
        raise ValueError(canary.COMMENT)

    with watched(lambda: "".join(capsys.readouterr())) as outside:
        outside.run("leaky", leaky)
    assert {(leak.what, leak.where) for leak in leaks(outside.seen, WORDS)} == {
        ("address", "leaky: printed"),
        ("record number", "leaky: log of botocore"),
        ("comment", "leaky: exception"),
    }


def test_a_handler_that_repeats_an_error_s_words_would_be_found(capsys):
    def repeats(event: object, context: object) -> None:
        raise FAILURES["server fault"]("PutItem")

    with watched(lambda: "".join(capsys.readouterr())) as outside:
        outside.run("bare", lambda: repeats({}, None))
        outside.run("guarded", lambda: entry_point(repeats)({}, None))
    where = {leak.where for leak in leaks(outside.seen, WORDS)}
    assert where == {"bare: exception"}
    with pytest.raises(HandlerFailed):
        entry_point(repeats)({}, None)

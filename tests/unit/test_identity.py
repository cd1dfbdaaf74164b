"""Ids that are stable and give nothing away; links that only their holder can make."""

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.identity import address_key, hash_secret, new_token, parse_token, survey_id

KEY = b"k" * 32
PARTS = st.tuples(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))


@given(PARTS, PARTS)
def test_a_touchpoint_has_one_id_and_no_two_share_it(one, other):
    assert (survey_id(KEY, *one) == survey_id(KEY, *other)) == (one == other)


def test_another_key_makes_other_ids():
    assert survey_id(KEY, "p", "e", "t") != survey_id(b"x" * 32, "p", "e", "t")


def test_case_and_spaces_do_not_make_another_address():
    assert address_key(KEY, " Ada@Example.COM ") == address_key(KEY, "ada@example.com")
    assert address_key(KEY, "ada@example.com") != address_key(KEY, "bob@example.com")


def test_a_token_names_its_survey_and_only_the_hash_is_kept():
    survey = survey_id(KEY, "p", "e", "t")
    token, stored = new_token(survey)
    parsed = parse_token(token)
    assert parsed is not None
    assert parsed.survey_id == survey
    assert parsed.secret_hash == stored == hash_secret(token[26:])
    assert token[26:] not in stored


def test_two_mails_of_a_survey_carry_different_secrets():
    assert new_token("a" * 26)[0] != new_token("a" * 26)[0]


@given(st.text(max_size=60))
def test_what_is_not_a_token_is_none(text):
    parsed = parse_token(text)
    assert (parsed is not None) == (
        len(text) == 52 and all(letter in "abcdefghijklmnopqrstuvwxyz234567" for letter in text)
    )

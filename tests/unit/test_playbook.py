"""The playbook: drafts that are complete whatever is known of the patient, and checked before they are kept."""

import pytest

from shared.domain.patient import Language
from shared.domain.playbook import MAX_DRAFT, PLACEHOLDERS, Draft, check, fill
from shared.domain.score import Category
from shared.locale.playbook import standard

VALUES = {
    "first_name": "Ada",
    "practice": "Riverside",
    "clinic": "North",
    "phone": "555-0100",
    "staff": "Maria Lopez",
}


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("category", Category)
def test_every_group_and_language_has_a_draft_that_fills_completely(category, language):
    draft = standard().draft(category, language)
    check(draft)
    for text in (fill(draft.subject, VALUES), fill(draft.body, VALUES)):
        assert "{" not in text
    assert "Ada" in fill(draft.body, VALUES)
    assert "Maria Lopez" in fill(draft.body, VALUES)


def test_what_is_not_known_leaves_no_gap():
    filled = fill(
        standard().draft(Category.DETRACTOR, Language.ENGLISH).body, {**VALUES, "phone": "", "first_name": ""}
    )
    assert "reach us at" not in filled
    assert "Dear" not in filled
    assert filled.startswith("Thank you")


def test_braces_that_mean_nothing_stay():
    assert fill("{other} {staff}", VALUES) == "{other} Maria Lopez"


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again():
    assert fill("{first_name}", {**VALUES, "first_name": "{staff}"}) == "{staff}"


@pytest.mark.parametrize(
    ("draft", "complaint"),
    [
        (Draft(" ", "text"), "needs a subject"),
        (Draft("subject", "\n"), "needs a subject and a text"),
        (Draft("a\nb", "text"), "one line"),
        (Draft("x" * 201, "text"), "200 characters"),
        (Draft("subject", "x" * (MAX_DRAFT + 1)), "4,000 characters"),
        (Draft("subject", "Dear {name}"), "There is no {name}"),
    ],
)
def test_a_draft_that_would_not_work_is_refused_with_the_reason(draft, complaint):
    with pytest.raises(ValueError, match=complaint):
        check(draft)


def test_the_refusal_names_what_can_be_filled_in():
    with pytest.raises(ValueError, match=", ".join("{" + name + "}" for name in PLACEHOLDERS)):
        check(Draft("{oops}", "text"))

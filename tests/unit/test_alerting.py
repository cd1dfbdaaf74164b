"""Which answers the staff hear of at once."""

from datetime import timedelta
from itertools import product

import pytest

from shared.config import read_practice
from shared.domain.alerting import alerts_owed
from shared.domain.score import Category
from shared.domain.settings import Practice
from shared.domain.survey import PENDING_REACTIONS, AcceptedAnswer, after_alert, reactions_to, rest_of
from tests.builders import MONDAY_NOON
from tests.environment import ENVIRONMENT


def owed(*given: tuple[int, str], passives: bool = False) -> list[list[int]]:
    answers = [
        AcceptedAnswer(number, score, comment, MONDAY_NOON + timedelta(minutes=number))
        for number, (score, comment) in enumerate(given, start=1)
    ]
    return [[answer.version for answer in alert] for alert in alerts_owed(answers, passives=passives)]


@pytest.mark.parametrize("score", range(11))
def test_a_detractor_is_alerted_and_a_passive_only_on_request(score: int) -> None:
    assert owed((score, "")) == ([[1]] if score <= 6 else [])
    assert owed((score, ""), passives=True) == ([[1]] if score <= 8 else [])


def test_a_new_score_with_the_same_comment_is_told_by_the_alert_before_it() -> None:
    assert owed((3, "wait"), (5, "wait")) == [[2, 1]]


def test_a_new_comment_is_told_by_no_alert_before_it() -> None:
    assert owed((3, ""), (3, "wait"), (0, "wait")) == [[3, 2]]
    assert owed((3, "wait"), (3, ""), (3, "wait")) == [[3]]


def test_a_detractor_taken_back_is_alerted_and_one_who_returns_is_alerted_again() -> None:
    assert owed((3, ""), (9, "")) == [[1]]
    assert owed((3, ""), (9, ""), (3, "")) == [[1], [3]]


def test_a_passive_counts_only_while_it_is_the_answer() -> None:
    assert owed((7, ""), (9, ""), passives=True) == []
    assert owed((3, ""), (7, ""), passives=True) == [[1], [2]]


def test_no_answer_owes_nothing() -> None:
    assert owed() == []


SCORE_OF = {Category.DETRACTOR: 3, Category.PASSIVE: 7, Category.PROMOTER: 10}


def practices() -> list[Practice]:
    choices = product(("promoters", "everyone", "off"), ("digest", "immediate", "off"))
    return [
        read_practice({**ENVIRONMENT, "REVIEW_INVITATIONS": review, "PASSIVE_ALERTS": passive})
        for review, passive in choices
    ]


@pytest.mark.parametrize("category", Category)
def test_every_reaction_leads_to_one_that_some_function_takes_up(category: Category) -> None:
    for practice in practices():
        for concerns_safety in (False, True):
            pending = reactions_to(category, practice, concerns_safety=concerns_safety)
            answer = AcceptedAnswer(1, SCORE_OF[category], "", MONDAY_NOON, concerns_safety)
            for following in (pending, after_alert(answer, practice)):
                while following:
                    assert following in PENDING_REACTIONS
                    following = rest_of(following)


@pytest.mark.parametrize("category", Category)
def test_words_that_may_concern_safety_alert_first_whatever_the_score(category: Category) -> None:
    for practice in practices():
        pending = reactions_to(category, practice, concerns_safety=True)
        assert pending.startswith("alert")
        assert ("review" in pending) == ("review" in reactions_to(category, practice))
        assert "digest" not in pending  # the alert has told it


def owed_for_safety(*given: tuple[int, str]) -> list[list[int]]:
    answers = [
        AcceptedAnswer(number, score, comment, MONDAY_NOON, "fell" in comment)
        for number, (score, comment) in enumerate(given, start=1)
    ]
    return [[answer.version for answer in alert] for alert in alerts_owed(answers, passives=False)]


def test_a_promoter_who_fell_is_told_once_for_the_same_words() -> None:
    assert owed_for_safety((10, "I fell")) == [[1]]
    assert owed_for_safety((10, "I fell"), (9, "I fell")) == [[2, 1]]
    assert owed_for_safety((3, "I fell"), (9, "I fell")) == [[1]]
    assert owed_for_safety((10, "I fell"), (10, "I fell twice")) == [[2]]


def test_words_of_safety_are_told_also_when_they_were_replaced() -> None:
    assert owed_for_safety((10, "I fell"), (10, "All fine")) == [[1]]
    assert owed_for_safety((3, "I fell"), (2, "Bad")) == [[1], [2]]
    assert owed_for_safety((2, "Bad"), (3, "I fell")) == [[2]]

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


def practices() -> list[Practice]:
    choices = product(("promoters", "everyone", "off"), ("digest", "immediate", "off"))
    return [
        read_practice({**ENVIRONMENT, "REVIEW_INVITATIONS": review, "PASSIVE_ALERTS": passive})
        for review, passive in choices
    ]


@pytest.mark.parametrize("category", Category)
def test_every_reaction_leads_to_one_that_some_function_takes_up(category: Category) -> None:
    for practice in practices():
        pending = reactions_to(category, practice)
        for following in (pending, after_alert(category, practice)):
            while following:
                assert following in PENDING_REACTIONS
                following = rest_of(following)

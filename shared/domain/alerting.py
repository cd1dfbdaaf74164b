"""Which of a survey's answers the staff must hear of at once."""

from collections.abc import Sequence
from itertools import groupby, takewhile

from shared.domain.score import Category
from shared.domain.survey import AcceptedAnswer


def alerts_owed(answers: Sequence[AcceptedAnswer], *, passives: bool) -> list[list[AcceptedAnswer]]:
    """One entry for each alert that these answers call for: the versions of which any one tells it, the newest first.

    The staff hear when an answer becomes a detractor's and when a detractor's comment changes; a new score with the
    same group and comment tells them nothing. Answers that a patient replaced before anyone was told count too, so
    that no detractor is missed, but of several in a row the newest speaks for all. With `passives`, likewise for a
    passive, as long as that is the answer that counts.
    """
    owed = []
    stretches = [list(stretch) for _, stretch in groupby(answers, key=lambda answer: answer.category)]
    for stretch in stretches:
        group, is_current = stretch[-1].category, stretch is stretches[-1]
        if group is Category.DETRACTOR or (passives and is_current and group is Category.PASSIVE):
            owed.append(_saying_the_same(stretch))
    return owed


def _saying_the_same(stretch: Sequence[AcceptedAnswer]) -> list[AcceptedAnswer]:
    comment = stretch[-1].comment
    return [*takewhile(lambda answer: answer.comment == comment, reversed(stretch))]

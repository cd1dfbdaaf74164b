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
    passive, as long as that is the answer that counts. Words that may concern safety are told whatever the score.
    """
    owed = []
    before = ""
    stretches = [list(stretch) for _, stretch in groupby(answers, key=lambda answer: answer.category)]
    for stretch in stretches:
        group, is_current = stretch[-1].category, stretch is stretches[-1]
        is_told = group is Category.DETRACTOR or (passives and is_current and group is Category.PASSIVE)
        worrying = [number for number, answer in enumerate(stretch) if answer.concerns_safety]
        said = stretch[worrying[-1]].comment if worrying else ""
        # The same words may have been told with the group before, or are told with this one's newest answer.
        if worrying and said != before and not (is_told and said == stretch[-1].comment):
            owed.append(_saying_the_same(stretch[: worrying[-1] + 1]))
        if is_told:
            owed.append(_saying_the_same(stretch))
        before = stretch[-1].comment
    return owed


def _saying_the_same(stretch: Sequence[AcceptedAnswer]) -> list[AcceptedAnswer]:
    comment = stretch[-1].comment
    return [*takewhile(lambda answer: answer.comment == comment, reversed(stretch))]

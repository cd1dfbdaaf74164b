"""The Net Promoter question: scores, groups, and the score computed from counts."""

import re
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from enum import StrEnum

SCORES = range(11)
_WHOLE_NUMBER = re.compile(r"(10|[0-9])")


class Category(StrEnum):
    """The three groups of the Net Promoter System (Reichheld 2003)."""

    PROMOTER = "promoter"
    PASSIVE = "passive"
    DETRACTOR = "detractor"


def classify(score: int) -> Category:
    """9-10 promoter, 7-8 passive, 0-6 detractor; any other number is a ValueError."""
    if score not in SCORES:
        raise ValueError(f"a score is a whole number from 0 to 10, not {score}")
    if score >= 9:
        return Category.PROMOTER
    return Category.PASSIVE if score >= 7 else Category.DETRACTOR


def parse_score(text: str) -> int | None:
    """The score a form field or link holds, or None: no sign, no fraction, no leading zero, ASCII digits only."""
    return int(text) if _WHOLE_NUMBER.fullmatch(text.strip(" ")) else None


def nps(histogram: Sequence[int]) -> int | None:
    """100 (P - D) / n from the eleven counts, rounded once, half away from zero; None without answers."""
    answers = sum(histogram)
    if answers == 0:
        return None
    difference = sum(histogram[9:]) - sum(histogram[:7])
    return int((Decimal(100 * difference) / answers).quantize(Decimal(1), ROUND_HALF_UP))

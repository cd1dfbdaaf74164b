"""CHANGELOG.md keeps the form of Keep a Changelog, and its newest release is the one in VERSION."""

import re
from datetime import date

from local.template import ROOT
from tests.documents.markdown import document

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
PAGE = document("CHANGELOG.md")
RELEASES = re.findall(r"^## \[(\d+)\.(\d+)\.(\d+)\] - (\S+)$", PAGE.text, re.MULTILINE)


def test_the_newest_release_is_the_one_that_is_built() -> None:
    assert ".".join(RELEASES[0][:3]) == (ROOT / "VERSION").read_text().strip()


def test_what_is_not_released_yet_stands_first() -> None:
    second_rank = [words for rank, words in PAGE.headings() if rank == 2]
    assert second_rank[0] == "[Unreleased]"
    assert len(second_rank) == 1 + len(RELEASES)


def test_releases_stand_newest_first_with_their_days() -> None:
    numbers = [tuple(map(int, release[:3])) for release in RELEASES]
    days = [date.fromisoformat(release[3]) for release in RELEASES]
    assert numbers == sorted(set(numbers), reverse=True)
    assert days == sorted(days, reverse=True)


def test_changes_are_of_the_usual_kinds() -> None:
    assert {words for rank, words in PAGE.headings() if rank == 3} <= KINDS

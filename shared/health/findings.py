"""What a look at a stack finds, and how a check says it. Everything here is pure."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """How something stands, the gravest first; `unknown` is what could not be looked at, and never passes for `ok`."""

    BROKEN = "broken"
    ATTENTION = "attention"
    UNKNOWN = "unknown"
    OK = "ok"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was seen (`says`), what that means for the practice and what to do; both empty where all is well."""

    about: str
    check: str
    state: State
    says: str
    means: str = ""
    do: str = ""


@dataclass(frozen=True, slots=True)
class Unread:
    """In place of a fact that could not be read: why, and what lets it be read."""

    why: str
    do: str


@dataclass(frozen=True, slots=True)
class Gone:
    """In place of a fact about a part of the stack that AWS does not know any more; `do` where REPAIR would harm."""

    what: str
    do: str = ""


Facts = Mapping[str, Any]
"""By name; what nobody set out to read is missing."""
Said = tuple[State, str, str, str]
"""A finding's state, what it says, what it means, what to do."""


@dataclass(frozen=True, slots=True)
class Check:
    """One question: the facts that it needs, and its judge, which takes them in this order and may say several things.

    `at_stake` is what may be wrong if a fact could not be read, or if what it is about is gone.
    """

    about: str
    title: str
    needs: tuple[str, ...]
    at_stake: str
    judge: Callable[..., Iterator[Said]]

    def find(self, facts: Facts) -> Iterator[Finding]:
        """What the facts say; unknown if one of them could not be read, broken if what it is about is gone."""
        for said in self._say([facts[need] for need in self.needs]):
            yield Finding(self.about, self.title, *said)

    def _say(self, given: list[Any]) -> Iterator[Said]:
        missing = [fact for fact in given if isinstance(fact, Gone)]
        unread = [fact for fact in given if isinstance(fact, Unread)]
        if missing:
            yield broken(f"{missing[0].what} is not there any more.", self.at_stake, missing[0].do or REPAIR)
        elif unread:
            means = f"Nobody knows by this whether all is well. If it is not: {_begin_small(self.at_stake)}"
            yield unknown(f"Could not be looked at: {unread[0].why}.", means, unread[0].do)
        else:
            yield from self.judge(*given)


REPAIR = (
    "Whoever looks after AWS finds out who took it away (AWS CloudTrail keeps 90 days) and puts it back by hand, as "
    "infra/template.yaml describes it: `sam deploy` changes only what differs from the last deployment. Detecting "
    "drift in AWS CloudFormation shows what else differs."
)
RESTORE = "Deploy nothing. Restore first: docs/backup.md."


def ok(says: str) -> Said:
    """All is well."""
    return State.OK, says, "", ""


def attention(says: str, means: str, do: str) -> Said:
    """It works, and somebody should look at it."""
    return State.ATTENTION, says, means, do


def broken(says: str, means: str, do: str) -> Said:
    """Something that the practice relies on does not work."""
    return State.BROKEN, says, means, do


def unknown(says: str, means: str, do: str) -> Said:
    """It could not be looked at."""
    return State.UNKNOWN, says, means, do


def exit_code(findings: list[Finding]) -> int:
    """0 if all is well, 1 if something needs attention or is not known, 2 if anything is broken."""
    states = {finding.state for finding in findings}
    return 2 if State.BROKEN in states else 1 if states - {State.OK} else 0


def gravest_first(findings: list[Finding]) -> list[Finding]:
    """By state, else in the order of the checks."""
    return sorted(findings, key=lambda finding: list(State).index(finding.state))


def summary(findings: list[Finding]) -> str:
    """All in one line: `2 broken, 1 needs attention, 30 well`."""
    numbers = {state: sum(finding.state is state for finding in findings) for state in State}
    words = {
        State.BROKEN: "broken",
        State.ATTENTION: "needs attention" if numbers[State.ATTENTION] == 1 else "need attention",
        State.UNKNOWN: "not known",
        State.OK: "well",
    }
    return ", ".join(f"{number} {words[state]}" for state, number in numbers.items() if number)


def day_of(moment: date) -> str:
    """`March 4, 2026`."""
    return f"{moment:%B} {moment.day}, {moment.year}"


def _begin_small(text: str) -> str:
    return text[:1].lower() + text[1:]

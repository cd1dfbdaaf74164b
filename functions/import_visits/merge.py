"""What a file's records change in what is stored: the newest word on a patient, visit, case or clinic counts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import IntEnum
from typing import Protocol, TypeVar

from shared.domain.clock import format_instant
from shared.domain.episode import Case, Visit
from shared.domain.patient import Patient
from shared.domain.settings import ClinicSettings

ATTEMPTS = 5  # when two imports write the same patient at once, each reads again and merges into what it finds

T = TypeVar("T", Patient, Visit, Case, ClinicSettings)
S = TypeVar("S", Patient, Visit, Case)
R = TypeVar("R")


class Outcome(IntEnum):
    """What a record did; a row with several records did the greatest of them."""

    UNCHANGED = 0
    UPDATED = 1
    CREATED = 2


class Contended(Exception):
    """Others kept changing the same record; importing the file again is safe and goes on where this stopped."""


class Dated(Protocol):
    """Something that the practice's records and our uploads both date."""

    @property
    def updated_at(self) -> datetime | None: ...
    @property
    def uploaded_at(self) -> datetime | None: ...


def is_older(row: Dated, stored: Dated) -> bool:
    """Whether the stored state is a later word: by the records' own `updated_at`, else by the time of upload."""
    if row.updated_at and stored.updated_at and row.updated_at != stored.updated_at:
        return row.updated_at < stored.updated_at
    return bool(row.uploaded_at and stored.uploaded_at and row.uploaded_at < stored.uploaded_at)


def newest(stored: S | None, said: S, absent: frozenset[str]) -> S:
    """The newest word on each field of a thing, whatever the order in which its records come.

    Messages often say less than those before them, and arrive before them as well: neither may take the other's word.
    """
    if stored is None:
        return replace(said, behind=tuple((name, "") for name in sorted(absent)))
    behind = dict(stored.behind)
    if is_older(said, stored):
        news = {name for name, when in behind.items() if name not in absent and when < _said_at(said)}
        behind.update(dict.fromkeys(news, _said_at(said)))
        return replace(stored, behind=_pairs(behind), **{name: getattr(said, name) for name in news})
    kept = {name: behind.get(name, _said_at(stored)) for name in absent}
    return replace(said, behind=_pairs(kept), **{name: getattr(stored, name) for name in absent})


def _said_at(one: Dated) -> str:
    moment = one.updated_at or one.uploaded_at
    return format_instant(moment) if moment else ""


def _pairs(behind: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(behind.items()))


def merge_all(stored: T | None, rows: Sequence[R], merge: Callable[[T | None, R], T]) -> tuple[T | None, list[Outcome]]:
    """Merge a file's rows about one thing in their order; also tell what each row did.

    What says nothing new leaves the stored state as it is, its time of upload too. Rows that end where they began (the
    same contradictory file, again) are all `UNCHANGED`.
    """
    current, outcomes = stored, list[Outcome]()
    for row in rows:
        merged = merge(current, row)
        if current is not None and _say_the_same(merged, current):
            outcomes.append(Outcome.UNCHANGED)
        else:
            outcomes.append(Outcome.UPDATED if current else Outcome.CREATED)
            current = merged
    if stored is not None and current is not None and _say_the_same(current, stored):
        return stored, [Outcome.UNCHANGED] * len(rows)
    return current, outcomes


def _say_the_same(one: T, other: T) -> bool:
    return replace(one, uploaded_at=other.uploaded_at) == other


def grouped(rows: Iterable[R], key: Callable[[R], str]) -> dict[str, list[R]]:
    """The rows by key, in their order."""
    groups: dict[str, list[R]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups

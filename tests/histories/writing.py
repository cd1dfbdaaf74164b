"""What the writers have in common: a format is a way to say a story in rows, and rows in bytes."""

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Any

from shared.domain.intake import IntakeRules, RuleChange, rules_of
from tests.histories.history import Clinic, Course, Note, Practice, Story, Therapist, Told

Said = tuple[str, Any]
"""One row, and the table that it stands in."""


@dataclass(frozen=True)
class File(Told):
    """A file as the EMR sends it."""

    name: str
    content: bytes

    def __repr__(self) -> str:
        return f"\n--- {self.name}\n{self.content.decode()}"


@dataclass(frozen=True)
class Format(Told):
    """How an EMR says what happened. `manner` decides what real exports differ in, never what they say."""

    name: str
    tables: tuple[str, ...]  # the one with the visits first
    of_practice: Callable[[Sequence[Clinic], Sequence[Therapist], Random], Iterator[Said]]
    of_story: Callable[[Story, Random], Iterator[Said]]
    encode: Callable[[str, Iterable[Any], Random], Iterator[bytes]]
    sayable: Callable[[Practice], Practice]  # the truth as far as this format can say it
    choices: tuple[RuleChange, ...] = ()  # what the practice sets so that its exports are understood
    extension: str = "csv"
    one_by_one: bool = False  # a row may come in a file of its own

    @property
    def rules(self) -> IntakeRules:
        """How the practice's exports are read."""
        return rules_of(self.choices)

    def __repr__(self) -> str:
        return self.name

    def files(self, practice: Practice, manner: Random) -> list[File]:
        """The practice's export: a table in one file or several; rows and files in any order."""
        tables: dict[str, list[Any]] = {}
        for table, row in self._said(practice.stories, practice.clinics, practice.therapists, manner):
            tables.setdefault(table, []).append(row)
        found = []
        for table, rows in tables.items():
            manner.shuffle(rows)
            size = manner.choice((len(rows), len(rows), len(rows) // 2 + 1, 1 if self.one_by_one else len(rows)))
            for number, first in enumerate(range(0, len(rows), size)):
                content = b"".join(self.encode(table, rows[first : first + size], manner))
                found.append(File(f"{table}-{number}.{self.extension}", content))
        manner.shuffle(found)
        return found

    def stream(
        self,
        table: str,
        stories: Iterable[Story],
        clinics: Sequence[Clinic],
        therapists: Sequence[Therapist],
        manner: Random,
    ) -> Iterator[bytes]:
        """One table of a practice of any size (or "all" in one file), in the memory of one patient."""
        rows = (row for found, row in self._said(stories, clinics, therapists, manner) if table in (found, "all"))
        return self.encode(table, rows, manner)

    def _said(
        self, stories: Iterable[Story], clinics: Sequence[Clinic], therapists: Sequence[Therapist], manner: Random
    ) -> Iterator[Said]:
        yield from self.of_practice(clinics, therapists, manner)
        for story in stories:
            yield from self.of_story(story, manner)


def counted(file: File) -> int:
    """The records, resources or messages of a file, as a program that knows nothing of Careloop counts them."""
    text = file.content.decode("utf-8-sig")
    match Path(file.name).suffix:
        case ".csv":
            return sum(1 for _ in csv.DictReader(io.StringIO(text, newline="")))
        case ".json":
            return len(json.loads(text)["entry"])
        case ".hl7":
            return len(re.findall("^MSH", text.replace("\r", "\n"), re.MULTILINE))
        case _:
            return len(text.splitlines())


def csv_of(rows: Iterable[dict[str, str]], columns: Sequence[str], manner: Random) -> Iterator[bytes]:
    """A CSV file: columns in any order, line ends and quotation marks as the writing program has them."""
    names = manner.sample(columns, len(columns))
    line_end = manner.choice(("\n", "\r\n"))
    dialect = manner.choice((csv.excel, csv.unix_dialect))  # with quotation marks where needed, or everywhere
    mark = manner.choice((b"", b"\xef\xbb\xbf"))

    def line(cells: Iterable[str]) -> bytes:
        text = io.StringIO()
        csv.writer(text, dialect, lineterminator=line_end).writerow(cells)
        return text.getvalue().encode()

    yield mark + line(names)
    for row in rows:
        yield line(row[name] for name in names)


def at_any_offset(moment: datetime, manner: Random) -> datetime:
    """The same instant on another clock."""
    if manner.random() < 0.5:
        return moment
    return moment.astimezone(
        manner.choice((UTC, timezone(timedelta(hours=-5)), timezone(timedelta(hours=5, minutes=30))))
    )


def changed(practice: Practice, change: Callable[[Story, Course], Course]) -> Practice:
    """The practice with each case changed."""
    return replace(
        practice,
        stories=tuple(
            replace(story, courses=tuple(change(story, course) for course in story.courses))
            for story in practice.stories
        ),
    )


def without_notes(practice: Practice, first_note: Note) -> Practice:
    """What is left where nothing says what a visit was for, but that the first of a case counts as this."""

    def forget(_: Story, course: Course) -> Course:
        happened = [a for a in course.appointments if a.happened]
        first = min(happened, key=lambda a: (a.start, a.visit_id), default=None)
        return replace(
            course,
            appointments=tuple(
                replace(a, note=first_note if a is first else Note.TREATMENT) for a in course.appointments
            ),
        )

    return changed(practice, forget)


def with_days_of_closing(practice: Practice) -> Practice:
    """What is left where a case's closing has a date only."""

    def forget(_: Story, course: Course) -> Course:
        if course.closing is None:
            return course
        midnight = course.closing.moment.replace(hour=0, minute=0)
        return replace(course, closing=replace(course.closing, moment=midnight, has_time=False))

    return changed(practice, forget)


def with_days_of_visits(practice: Practice) -> Practice:
    """What is left where visits have a date only: each is known as the start of its day."""

    def forget(_: Story, course: Course) -> Course:
        return replace(
            course,
            appointments=tuple(
                replace(visit, start=visit.start.replace(hour=0, minute=0), minutes=0) for visit in course.appointments
            ),
        )

    return changed(practice, forget)

"""Who is to be asked about what: reckoned from what truly happened, without Careloop's own rules."""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from tests.histories.history import Appointment, Closing, Course, Note, Practice

DELAY = timedelta(hours=3)

Visits = list[Appointment]
"""Those of one clinic-local date; the earliest stands for the day."""


@dataclass(frozen=True, order=True)
class Asked:
    """One question to one patient; `episode` counts the episodes of a case from 1."""

    patient_id: str
    case_id: str
    episode: int
    touchpoint: str
    clinic_id: str
    therapist_id: str
    due_at: datetime

    def __repr__(self) -> str:
        return (
            f"<{self.patient_id} case {self.case_id} episode {self.episode}: {self.touchpoint} due"
            f" {self.due_at:%Y-%m-%d %H:%M}Z, {self.therapist_id} at {self.clinic_id}>"
        )


class Question(Protocol):
    """A survey of Careloop, as far as the truth knows of such things; an episode has a name there, and no number."""

    @property
    def patient_id(self) -> str: ...
    @property
    def case_id(self) -> str: ...
    @property
    def episode(self) -> str: ...
    @property
    def touchpoint(self) -> str: ...
    @property
    def clinic_id(self) -> str: ...
    @property
    def therapist_id(self) -> str: ...
    @property
    def occurred_at(self) -> datetime: ...
    @property
    def due_at(self) -> datetime: ...


def numbered(questions: Iterable[Question]) -> set[Asked]:
    """The questions with the episodes of each case counted in their order."""
    episodes: dict[tuple[str, str], list[str]] = {}
    found = set()
    for one in sorted(questions, key=lambda one: one.occurred_at):
        names = episodes.setdefault((one.patient_id, one.case_id), [])
        if one.episode not in names:
            names.append(one.episode)
        number = names.index(one.episode) + 1
        found.add(
            Asked(one.patient_id, one.case_id, number, one.touchpoint, one.clinic_id, one.therapist_id, one.due_at)
        )
    return found


def asked(practice: Practice, visit_numbers: tuple[int, ...] = (2, 6)) -> set[Asked]:
    """Every question about an evaluation, a discharge and the visits with these numbers.

    A patient who was merged is asked as the one that remains.
    """
    return {
        question
        for story in practice.stories
        for course in story.courses
        for question in _of_course(story.person.patient_id, course, visit_numbers)
    }


def _of_course(patient_id: str, course: Course, visit_numbers: tuple[int, ...]) -> Iterator[Asked]:
    episodes = _episodes(course)
    for number, days in enumerate(episodes, start=1):
        moments: dict[str, tuple[Visits, datetime]] = {}
        if evaluated := [day for day in days if _says(day, Note.EVALUATION)]:
            moments["evaluation"] = evaluated[0], evaluated[0][0].end
        for n in visit_numbers:
            if len(days) >= n:
                moments[f"visit:{n}"] = days[n - 1], days[n - 1][0].end
        if discharged := [day for day in days if _says(day, Note.DISCHARGE)]:
            moments["discharge"] = discharged[0], discharged[0][0].end
        elif course.closed and _is_by(days[0], course.closed) and not _is_by_next(episodes[number:], course.closed):
            last = [day for day in days if _is_by(day, course.closed)][-1]
            is_same_day = last[0].day == _day_of(course.closed, last)
            moments["discharge"] = last, last[0].end if is_same_day else max(last[0].end, course.closed.moment)
        for touchpoint, (day, moment) in moments.items():
            where, who = day[0].clinic.clinic_id, day[0].therapist.therapist_id
            due_at = moment.astimezone(UTC) + DELAY
            yield Asked(patient_id, course.case_id, number, touchpoint, where, who, due_at)


def _episodes(course: Course) -> list[list[Visits]]:
    """The case's visit days, cut wherever an evaluation follows a discharge or the closing of the case."""
    happened = sorted((a for a in course.appointments if a.happened), key=lambda a: (a.start, a.visit_id))
    days = [list(visits) for _, visits in itertools.groupby(happened, key=lambda visit: visit.day)]
    episodes: list[list[Visits]] = []
    for day in days:
        if not episodes or (_says(day, Note.EVALUATION) and _is_over(episodes[-1], day, course)):
            episodes.append([])
        episodes[-1].append(day)
    return episodes


def _is_over(episode: list[Visits], next_day: Visits, course: Course) -> bool:
    if any(_says(day, Note.DISCHARGE) for day in episode):
        return True
    closed = course.closed
    return bool(closed and _is_by(episode[0], closed) and not _is_by(next_day, closed))


def _is_by_next(later: list[list[Visits]], closing: Closing) -> bool:
    return bool(later and _is_by(later[0][0], closing))


def _is_by(day: Visits, closing: Closing) -> bool:
    """Whether the case was closed on that day or later."""
    return day[0].day <= _day_of(closing, day)


def _day_of(closing: Closing, day: Visits) -> date:
    """When the case was closed by the calendar of the clinic where the visits were."""
    moment = closing.moment
    return moment.astimezone(day[0].clinic.zone).date() if closing.has_time else moment.date()


def _says(day: Visits, note: Note) -> bool:
    return any(visit.note is note for visit in day)

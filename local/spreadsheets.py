"""What people read of the tables: which files, lines and columns, and what each says."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from local.carried import ERASED
from local.tables import Item
from shared.domain.self_test import is_canary

Cell = str | int
Line = dict[str, Any]
"""A row without its kinds: text, whole numbers, true or false, lists and objects."""


@dataclass(frozen=True)
class Column:
    """One column; it has the name of the attribute that it shows."""

    name: str
    about: str


@dataclass(frozen=True, eq=False)
class Sheet:
    """One file; `rows` says which lines an item of the table makes, none if it is not about this."""

    name: str
    table: str
    about: str
    columns: tuple[Column, ...]
    rows: Callable[[Line], Iterator[Line]]

    @property
    def head(self) -> list[str]:
        """The first line."""
        return [column.name for column in self.columns]

    def lines(self, item: Item) -> Iterator[list[Cell]]:
        """The lines that the item makes; the nightly self-test's made-up patient makes none."""
        line = {name: plain(value) for name, value in item.items()}
        if is_canary(line.get("clinic_id", "")) or is_canary(line.get("patient_id", "")):
            return
        for row in self.rows(line):
            yield [_cell(row.get(column.name)) for column in self.columns]


def plain(typed: Item) -> Any:
    """A value without its kind."""
    [(kind, value)] = typed.items()
    if kind == "L":
        return [plain(one) for one in value]
    if kind == "M":
        return {name: plain(one) for name, one in value.items()}
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else value
    return None if kind == "NULL" else sorted(value) if kind == "SS" else value


def _cell(value: Any) -> Cell:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "; ".join(value)
    return value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False)


def _as_it_is(line: Line) -> Iterator[Line]:
    yield line


def _people(line: Line) -> Iterator[Line]:
    if not line["patient_id"].startswith(ERASED):
        yield line


def _visits(line: Line) -> Iterator[Line]:
    if not line["visit_id"].startswith("case#"):
        yield line


def _courses(line: Line) -> Iterator[Line]:
    if line["visit_id"].startswith("case#"):
        yield line


def _answers(line: Line) -> Iterator[Line]:
    for number, answer in enumerate(line.get("answers") or (), start=1):
        yield {**answer, "survey_id": line["survey_id"], "version": number}


def _outreach(line: Line) -> Iterator[Line]:
    for attempt in line.get("outreach") or ():
        yield {**attempt, "survey_id": line["survey_id"], "patient_id": line["patient_id"]}


def _clinics(line: Line) -> Iterator[Line]:
    kind, _, clinic_id = line["scope"].partition("#")
    if kind == "clinic":
        yield {**line, "clinic_id": clinic_id}


def _settings(line: Line) -> Iterator[Line]:
    if not line["scope"].startswith(("clinic#", "run#", "mail#")):
        for name, value in sorted(line.items()):
            if name != "scope":
                yield {"scope": line["scope"], "setting": name, "value": value}


def _counts(line: Line) -> Iterator[Line]:
    kind, _, clinic_id = line["scope"].partition("#")
    if kind in ("practice", "clinic", "therapist", "touchpoint") and not is_canary(clinic_id):
        for name, number in sorted(line.items()):
            if isinstance(number, int):
                yield {"scope": line["scope"], "day": line["day"], "count": name, "number": number}


def _columns(**about: str) -> tuple[Column, ...]:
    return tuple(Column(name, text) for name, text in about.items())


_PATIENT = "the patient's number in your records system"
_SURVEY = "the survey's id"

SHEETS = (
    Sheet(
        "patients",
        "Patients",
        "one line a patient",
        _columns(
            patient_id=_PATIENT,
            first_name="first name",
            last_name="last name",
            email="email address",
            phone="telephone",
            language="in which language the patient is written to",
            clinic_id="the patient's clinic",
            opted_out="yes: wants no more surveys",
            hold="yes: the staff put mail on hold",
            deceased="yes: the records say so",
            archived="yes: not active in your records",
            surveyed_at="when a survey was last sent",
            review_requested_at="when a public review was last asked for",
            merged_into="the number under which the patient is found now, if two records were one patient",
        ),
        _people,
    ),
    Sheet(
        "visits",
        "Visits",
        "one line a visit",
        _columns(
            patient_id=_PATIENT,
            visit_id="the visit's number in your records system",
            case_id="the course of care it belongs to",
            clinic_id="where",
            therapist_id="with whom",
            therapist_name="their name, if the export said it",
            started_at="when it began",
            ended_at="when it ended",
            kind="evaluation, treatment or discharge",
            status="whether it took place",
            removed="yes: your records took it back",
        ),
        _visits,
    ),
    Sheet(
        "courses_of_care",
        "Visits",
        "one line a course of care, as your records have it",
        _columns(
            patient_id=_PATIENT,
            case_id="the course's number in your records system",
            clinic_id="where",
            started_at="when it began",
            closed_at="when it was closed",
            removed="yes: your records took it back",
        ),
        _courses,
    ),
    Sheet(
        "surveys",
        "Surveys",
        "one line a survey, with the answer that counts",
        _columns(
            survey_id=_SURVEY,
            patient_id=_PATIENT,
            case_id="the course of care it is about",
            visit_id="the visit it is about",
            clinic_id="where that was",
            therapist_id="with whom",
            touchpoint="when in the course of care: evaluation, visit:6, discharge …",
            language="in which language it was asked",
            occurred_at="when that happened",
            due_at="when the survey was due",
            sent_at="when it was sent",
            delivered_at="when it was delivered",
            unsent_reason="why it was not sent",
            score="0 to 10",
            category="promoter (9, 10), passive (7, 8) or detractor (0 to 6)",
            comment="what the patient wrote",
            first_answered_at="when it was first answered",
            answered_at="when the answer that counts was given",
            version="how often it was answered",
            review_invited_at="when a public review was asked for",
        ),
        _as_it_is,
    ),
    Sheet(
        "answers",
        "Surveys",
        "one line for each time a survey was answered, the changed ones too",
        _columns(
            survey_id=_SURVEY,
            version="1 is the first answer",
            at="when",
            score="0 to 10",
            comment="what the patient wrote; empty keeps what was written before",
            concerns_safety="yes: it may concern somebody's safety",
            onsite="yes: from a clinic's own network",
        ),
        _answers,
    ),
    Sheet(
        "mails",
        "Messages",
        "one line a mail to a patient; the text of a mail is not kept",
        _columns(
            message_id="the mail's id",
            kind="survey, reminder or review (the request for a public one)",
            patient_id=_PATIENT,
            survey_id=_SURVEY,
            due_at="when it was due",
            state="due, sent, skipped, failed, or unknown: it may have been sent",
            reason="why it was not sent",
            sent_at="when it was sent",
            delivery="what became of it: delivered, bounced, complained …",
            delivery_at="when that was heard",
        ),
        _as_it_is,
    ),
    Sheet(
        "cases",
        "Cases",
        "one line for each unhappy answer that the staff followed up",
        _columns(
            survey_id="the survey with the answer",
            patient_id=_PATIENT,
            clinic_id="which clinic",
            therapist_id="which therapist",
            state="open, claimed, reached_out or closed",
            opened_at="when it was opened",
            deadline="until when somebody should have reached out",
            owner_name="who took it",
            replied_at="when the patient replied",
            outcome="how it ended",
            reason="what it was about",
            closing_note="what was written down at the end",
            closed_at="when it was closed",
            safety="yes: it may concern somebody's safety",
        ),
        _as_it_is,
    ),
    Sheet(
        "outreach",
        "Cases",
        "one line for each time somebody reached out",
        _columns(
            survey_id="the case's survey",
            patient_id=_PATIENT,
            at="when",
            by_name="who",
            channel="email, telephone or in_person",
            result="wrote, spoke, voicemail or no_answer",
            note="what was written down",
            despite="why again, although an earlier attempt got no reply",
        ),
        _outreach,
    ),
    Sheet(
        "activity",
        "Activity",
        "everything that was sent, said, done, changed or read, with when and by whom",
        _columns(
            patient_id="the patient's number; `practice` for settings and files, `erased` for erasures",
            at="when",
            kind="what happened",
            survey_id=_SURVEY,
            score="the score, of an answer",
            detail="what else there is to say, for instance who did it",
        ),
        _as_it_is,
    ),
    Sheet(
        "clinics",
        "Settings",
        "one line for each clinic that something is set for",
        _columns(
            clinic_id="the clinic's id in your records system",
            name="its name",
            time_zone="its time zone",
            phone="its telephone",
            admins="who is alerted",
            review_links="its public review pages",
            send_from="no mail to patients before",
            send_until="no mail to patients after",
            send_days="days on which mail goes out",
        ),
        _clinics,
    ),
    Sheet(
        "settings",
        "Settings",
        "one line for each choice of the practice, and for what clinics and therapists are called",
        _columns(scope="what it is about", setting="which setting", value="what was chosen"),
        _settings,
    ),
    Sheet(
        "counts",
        "Scores",
        "the nightly counts, from which every figure is made",
        _columns(
            scope="the practice, a clinic, a therapist or a touchpoint",
            day="the day of the answer, or of sending for what is not an answer",
            count="s0 to s10: answers with that score; else how far surveys got",
            number="how many",
        ),
        _counts,
    ),
)
"""In the order in which README.txt explains them."""

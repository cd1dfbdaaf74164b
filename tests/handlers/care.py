"""One patient's care as an import hears of it, and the sender that asks about it: all on moto, without files."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from functions.import_visits import course
from functions.import_visits.course import Course
from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import Outcome
from functions.import_visits.merging import merge_patients
from functions.import_visits.records import CaseRecord, PatientRecord, VisitRecord
from functions.send_survey.handler import handler
from functions.send_survey.pace import Limits
from shared.domain.clock import format_instant
from shared.domain.episode import Case, Visit, VisitKind
from shared.domain.identity import Token, parse_token
from shared.domain.message import Message, MessageKind
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.domain.touchpoint import parse_touchpoints
from shared.mail.mailer import Mail
from shared.storage import messages, patients, surveys
from tests.builders import MONDAY_NOON, a_patient, a_visit
from tests.fakes import FakeContext, FakeMailer

NEW_YORK = ZoneInfo("America/New_York")
WALL = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST_UPLOAD = MONDAY_NOON + 60 * DAY
_requests = itertools.count()

Said = Visit | Case | Patient


def follow_up(touchpoints: str = "evaluation,visit:6,discharge") -> FollowUp:
    return FollowUp(b"key", parse_touchpoints(touchpoints), 3 * HOUR, lambda _: NEW_YORK, WALL)


def on(day: int, visit_id: str = "", kind: VisitKind = VisitKind.TREATMENT, **differences: Any) -> Visit:
    """A visit some days after Monday noon."""
    return a_visit(visit_id or f"v{day}", started_at=MONDAY_NOON + day * DAY, kind=kind, **differences)


def evaluation(day: int, visit_id: str = "", **differences: Any) -> Visit:
    return on(day, visit_id, VisitKind.EVALUATION, **differences)


def discharge(day: int, visit_id: str = "", **differences: Any) -> Visit:
    return on(day, visit_id, VisitKind.DISCHARGE, **differences)


def a_case(closed_on: int | None = None, case_id: str = "c1", patient_id: str = "p1", **differences: Any) -> Case:
    """A case, open or closed in the evening some days after Monday."""
    closed_at = None if closed_on is None else MONDAY_NOON + closed_on * DAY + 6 * HOUR
    return Case(patient_id, case_id, closed_at=closed_at, **differences)


def rows_of(said: Sequence[Said]) -> list[course.Staged]:
    def record(one: Said) -> PatientRecord | VisitRecord | CaseRecord:
        if isinstance(one, Patient):
            return PatientRecord(one)
        return VisitRecord(one) if isinstance(one, Visit) else CaseRecord(one)

    return [(line, record(one)) for line, one in enumerate(said, start=2)]


def told(*said: Said, uploaded: int = 0, patient_id: str = "", touchpoints: str = "") -> list[Outcome]:
    """Import what is said of one patient, in a file uploaded some days after the first; says what each row did."""
    who, rules = patient_id or said[0].patient_id, follow_up(touchpoints) if touchpoints else follow_up()
    outcomes = course.store(who, rows_of(said), FIRST_UPLOAD + uploaded * DAY, rules, patients.get(who))
    assert [line for line, _ in outcomes] == [line for line, _ in rows_of(said)]
    return [outcome for _, outcome in outcomes]


def looked(*said: Said, uploaded: int = 0) -> Course:
    """What importing this would do."""
    who = said[0].patient_id
    return course.look(who, rows_of(said), FIRST_UPLOAD + uploaded * DAY, follow_up(), patients.get(who))


def merged(retired_id: str, patient_id: str) -> Outcome:
    return merge_patients(retired_id, patient_id, follow_up())


def a_person(patient_id: str = "p1", **differences: Any) -> Patient:
    return a_patient(patient_id, **differences)


def person(patient_id: str = "p1") -> Patient:
    found = patients.get(patient_id)
    assert found
    return found


def sender(as_of: datetime, mailer: FakeMailer | None = None, now: datetime = WALL) -> tuple[Any, list[Mail]]:
    """One run of the sender: its summary, and what left."""
    mailer = mailer or FakeMailer()
    before = len(mailer.sent)
    summary = handler(
        {"time": format_instant(as_of)},
        FakeContext(f"run-{next(_requests)}"),
        mailer=mailer,
        limits=lambda: Limits(rate=4, allowance=None),
        now=lambda: now,
    )
    return summary, mailer.sent[before:]


def day_by_day(first: int, last: int) -> list[Mail]:
    """Everything that leaves if the sender runs at 16:00 on each of these days."""
    return [mail for day in range(first, last + 1) for mail in sender(MONDAY_NOON + day * DAY + 4 * HOUR)[1]]


def token_of(mail: Mail) -> Token:
    token = parse_token(mail.text.split("https://care.example.com/s/")[1][:52])
    assert token
    return token


def asked_in(mail: Mail) -> Survey:
    """The survey that a mail asks for."""
    survey = surveys.get(token_of(mail).survey_id)
    assert survey
    return survey


def all_due() -> list[tuple[str, str, str]]:
    """Patient, touchpoint and visit of every survey that waits to be sent, earliest first."""
    waiting = [due for due in messages.due_until(MONDAY_NOON + 9999 * DAY) if due.kind is MessageKind.SURVEY]
    about = surveys.get_many(due.survey_id for due in waiting)
    return [(due.patient_id, due.touchpoint, about[due.survey_id].visit_id) for due in waiting]


def letter_of(survey: Survey, kind: MessageKind = MessageKind.SURVEY) -> Message:
    found = messages.get(f"{survey.survey_id}-{kind}")
    assert found
    return found

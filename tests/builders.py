"""Patients, visits, surveys and messages that are ordinary except for what a test says about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.episode import Visit, VisitKind, VisitStatus
from shared.domain.message import Message, MessageKind
from shared.domain.patient import Patient
from shared.domain.recovery import RecoveryCase
from shared.domain.score import Category
from shared.domain.survey import Survey

MONDAY_NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)  # noon in New York


def a_patient(patient_id: str = "p1", **differences: Any) -> Patient:
    """Someone who may be mailed."""
    return Patient(
        **{
            "patient_id": patient_id,
            "first_name": "Ada",
            "last_name": "Okafor",
            "email": f"{patient_id}@example.com",
            "clinic_id": "north",
            **differences,
        }
    )


def a_visit(visit_id: str = "v1", **differences: Any) -> Visit:
    """A completed treatment of an hour, Monday at noon in New York."""
    started_at = differences.get("started_at", MONDAY_NOON)
    return Visit(
        **{
            "patient_id": "p1",
            "visit_id": visit_id,
            "case_id": "c1",
            "clinic_id": "north",
            "started_at": started_at,
            "ended_at": started_at + timedelta(hours=1),
            "kind": VisitKind.TREATMENT,
            "status": VisitStatus.COMPLETED,
            "therapist_id": "t1",
            **differences,
        }
    )


def a_survey(survey_id: str = "a" * 26, **differences: Any) -> Survey:
    """A survey about an evaluation, not sent yet."""
    return Survey(
        **{
            "survey_id": survey_id,
            "patient_id": "p1",
            "case_id": "c1",
            "episode": "case:c1",
            "visit_id": "v1",
            "clinic_id": "north",
            "therapist_id": "t1",
            "touchpoint": "evaluation",
            "occurred_at": MONDAY_NOON,
            "due_at": MONDAY_NOON + timedelta(hours=3),
            **differences,
        }
    )


def a_message(survey_id: str = "a" * 26, kind: MessageKind = MessageKind.SURVEY, **differences: Any) -> Message:
    """A message that is due three hours after Monday noon."""
    return Message(
        **{
            "message_id": f"{survey_id}-{kind}",
            "kind": kind,
            "patient_id": "p1",
            "survey_id": survey_id,
            "clinic_id": "north",
            "touchpoint": "evaluation",
            "occurred_at": MONDAY_NOON,
            "due_at": MONDAY_NOON + timedelta(hours=3),
            **differences,
        }
    )


def a_case(survey_id: str = "a" * 26, **differences: Any) -> RecoveryCase:
    """The case of a detractor that nobody has taken, due a day after Monday noon."""
    return RecoveryCase(
        **{
            "survey_id": survey_id,
            "patient_id": "p1",
            "clinic_id": "north",
            "therapist_id": "t1",
            "category": Category.DETRACTOR,
            "opened_at": MONDAY_NOON,
            "deadline": MONDAY_NOON + timedelta(hours=24),
            **differences,
        }
    )

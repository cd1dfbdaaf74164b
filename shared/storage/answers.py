"""The patient's side of a survey: one read for the page, one conditional write for the answer.

Plain DynamoDB calls: a refusal must bring the stored item along, and the page must open from a cold start without
loading PynamoDB.
"""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.identity import Token
from shared.domain.score import classify
from shared.domain.survey import MAX_VERSIONS, Answer
from shared.storage.dynamodb import client

CONFLICT_WAITS = (0.05, 0.1, 0.2, 0.4)  # seconds


@dataclass(frozen=True, slots=True)
class OpenSurvey:
    """What the patient's page needs to know of a survey. The comment is not in it: addresses are shared."""

    survey_id: str
    patient_id: str
    clinic_id: str
    language: str
    score: int | None
    first_answered_at: datetime | None
    version: int  # how many answers were accepted

    def changeable_until(self, edit_window: timedelta) -> datetime | None:
        """When the answer becomes final; None before there is one."""
        return self.first_answered_at + edit_window if self.first_answered_at else None

    def is_closed(self, now: datetime, edit_window: timedelta) -> bool:
        """Whether the answer can be changed no longer."""
        until = self.changeable_until(edit_window)
        # In whole seconds, as the write compares: the page must not refuse what the form would still take.
        return until is not None and (now.replace(microsecond=0) > until or self.version >= MAX_VERSIONS)


class Outcome(Enum):
    """What became of an answer."""

    RECORDED = auto()
    UNCHANGED = auto()
    CLOSED = auto()
    UNKNOWN = auto()


def find(token: Token, now: datetime | None) -> OpenSurvey | None:
    """The survey that the link opens, or None; `now` None disregards expiry (unsubscribe links never expire)."""
    found = client().get_item(
        TableName=setting("SURVEYS_TABLE"), Key={"survey_id": {"S": token.survey_id}}, ConsistentRead=True
    )
    return _opened(found.get("Item"), token, now)


def record(
    token: Token, answer: Answer, pending_reaction: str, now: datetime, edit_window: timedelta
) -> tuple[Outcome, OpenSurvey | None]:
    """Store the answer in one conditional write that also notes what must follow.

    The last accepted answer counts; an empty comment leaves an earlier one, which the page does not show, as it is.
    An identical resubmission changes nothing. Refused: a secret the survey does not hold, an expired link, an answer
    older than the edit window, or the twentieth change.
    """
    write = _write(token, answer, pending_reaction, now, edit_window)
    try:
        stored = _update(write)
    except client().exceptions.ConditionalCheckFailedException as refusal:
        return _refused(refusal.response.get("Item"), token, answer, now)
    return Outcome.RECORDED, _to_open(stored["Attributes"])


def _update(write: dict[str, Any]) -> Any:
    """One call, tried again while a claim or the nightly count holds the item: botocore does not retry that."""
    for wait in CONFLICT_WAITS:
        try:
            return client().update_item(**write)
        except client().exceptions.TransactionConflictException:
            time.sleep(wait)
    return client().update_item(**write)


def _write(
    token: Token, answer: Answer, pending_reaction: str, now: datetime, edit_window: timedelta
) -> dict[str, Any]:
    moment = format_instant(now)
    version: dict[str, Any] = {
        "score": {"N": str(answer.score)},
        "comment": {"S": answer.comment},
        "at": {"S": moment},
        **({"concerns_safety": {"BOOL": True}} if answer.concerns_safety else {}),
        **({"onsite": {"BOOL": True}} if answer.onsite else {}),
    }
    comment, changed = ":comment", "(score <> :score OR #comment <> :comment)"
    if not answer.comment:
        comment, changed = "if_not_exists(#comment, :comment)", "score <> :score"
    # A reaction still owed to an earlier answer is never taken away: whoever handles it looks at all versions.
    pending = ", pending_reaction = :pending" if pending_reaction else ""
    values = {
        ":secret": {"S": token.secret_hash},
        ":now": {"S": moment},
        ":editable": {"S": format_instant(now - edit_window)},
        ":score": {"N": str(answer.score)},
        ":comment": {"S": answer.comment},
        ":category": {"S": classify(answer.score)},
        ":answer": {"L": [{"M": version}]},
        ":none": {"L": []},
        ":one": {"N": "1"},
        ":most": {"N": str(MAX_VERSIONS)},
        ":yes": {"S": "yes"},
        **({":pending": {"S": pending_reaction}} if pending_reaction else {}),
    }
    return {
        "TableName": setting("SURVEYS_TABLE"),
        "Key": {"survey_id": {"S": token.survey_id}},
        "UpdateExpression": (
            f"SET score = :score, #comment = {comment}, category = :category, answered_at = :now,"
            " first_answered_at = if_not_exists(first_answered_at, :now),"
            f" answers = list_append(if_not_exists(answers, :none), :answer), uncounted = :yes{pending}"
            " ADD version :one, revision :one"
        ),
        "ConditionExpression": (
            "contains(token_hashes, :secret) AND expires_at > :now AND (attribute_not_exists(version)"
            f" OR (first_answered_at >= :editable AND version < :most AND {changed}))"
        ),
        "ExpressionAttributeNames": {"#comment": "comment"},
        "ExpressionAttributeValues": values,
        "ReturnValues": "ALL_NEW",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _refused(
    item: dict[str, Any] | None, token: Token, answer: Answer, now: datetime
) -> tuple[Outcome, OpenSurvey | None]:
    survey = _opened(item, token, now)
    if survey is None or item is None:
        return Outcome.UNKNOWN, None
    # The patient's own second tap, or our own write retried after its answer was lost.
    if survey.score == answer.score and answer.comment in ("", item.get("comment", {}).get("S")):
        return Outcome.UNCHANGED, survey
    return Outcome.CLOSED, survey


def _opened(item: dict[str, Any] | None, token: Token, now: datetime | None) -> OpenSurvey | None:
    if item is None or token.secret_hash not in item.get("token_hashes", {}).get("SS", ()):
        return None
    if now is not None and parse_instant(item["expires_at"]["S"]) <= now:
        return None
    return _to_open(item)


def _to_open(item: dict[str, Any]) -> OpenSurvey:
    first = item.get("first_answered_at")
    return OpenSurvey(
        survey_id=item["survey_id"]["S"],
        patient_id=item["patient_id"]["S"],
        clinic_id=item["clinic_id"]["S"],
        language=item.get("language", {"S": "en"})["S"],
        score=int(item["score"]["N"]) if "score" in item else None,
        first_answered_at=parse_instant(first["S"]) if first else None,
        version=int(item["version"]["N"]) if "version" in item else 0,
    )

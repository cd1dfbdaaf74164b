"""Answers faster than a stack can take them: every one it accepts is stored once, every one it refuses is told so.

Patients post at fixed moments, whether earlier ones have been answered or not, each on a connection of their own; every
tenth taps twice. Reactions to the answers run meanwhile, as they would.
"""

import base64
import hashlib
import http.client
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any
from urllib.parse import urlencode, urlsplit

from local.stack import Stack

SCORES = (10, 9, 10, 8, 9, 10, 3, 9, 10, 7)  # few are unhappy
NO_ANSWER = 0
PATIENCE = 60.0  # seconds until a patient gives up
BATCH = 25


@dataclass(frozen=True, slots=True)
class Tap:
    """One post and what came back: a status, or `NO_ANSWER`."""

    patient: int
    status: int
    seconds: float
    is_friendly: bool


@dataclass
class Flood:
    """What came of all taps; `violations` says in words what must not be, and is empty."""

    rate: float
    taps: list[Tap] = field(default_factory=list)
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    @property
    def statuses(self) -> Counter[int]:
        """How often each status came back."""
        return Counter(tap.status for tap in self.taps)

    @property
    def accepted(self) -> int:
        """Taps after which a page said thanks."""
        return self.statuses[200]

    def latency(self, percent: int) -> float:
        """Seconds until so many of a hundred accepted taps were answered."""
        times = [tap.seconds for tap in self.taps if tap.status == 200]
        return quantiles(times, n=100)[percent - 1] if len(times) > 1 else 0.0


def make_surveys(stack: Stack, name: str, number: int) -> list[str]:
    """Write so many surveys that were sent and not answered; the tokens of their links."""
    client = stack.client("dynamodb")
    ids = [_text(f"{name} survey {each}") for each in range(number)]
    secrets = [_text(f"{name} secret {each}") for each in range(number)]

    def item(each: int) -> dict[str, Any]:
        values = {
            "survey_id": ids[each],
            "patient_id": f"{name}-{each}",
            "case_id": "c",
            "episode": "case:c",
            "visit_id": "v",
            "clinic_id": "flood",
            "therapist_id": "t",
            "touchpoint": "evaluation",
            "occurred_at": "2026-03-02T17:00:00Z",
            "due_at": "2026-03-02T20:00:00Z",
            "language": "en",
            "sent_at": "2026-03-02T20:00:00Z",
            "expires_at": "2999-01-01T00:00:00Z",
        }
        hashes = {"token_hashes": {"SS": [hashlib.sha256(secrets[each].encode()).hexdigest()]}}
        return {**{key: {"S": value} for key, value in values.items()}, **hashes}

    def write(first: int) -> None:
        puts = [{"PutRequest": {"Item": item(each)}} for each in range(first, min(first + BATCH, number))]
        client.batch_write_item(RequestItems={stack.tables["SurveysTable"]: puts})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(0, number, BATCH)))
    return [survey + secret for survey, secret in zip(ids, secrets, strict=True)]


def _text(seed: str) -> str:
    return base64.b32encode(hashlib.sha256(seed.encode()).digest()[:16]).decode().rstrip("=").lower()


def rate_it_can_take(stack: Stack, tokens: Sequence[str], threads: int = 4) -> float:
    """Answers a second when as many patients as that wait for one another."""
    with ThreadPoolExecutor(threads) as pool:
        began = time.monotonic()
        list(pool.map(lambda each: _tap(stack, each, tokens[each]), range(len(tokens))))
    return len(tokens) / (time.monotonic() - began)


def flood(stack: Stack, tokens: Sequence[str], rate: float, threads: int = 400) -> Flood:
    """Post an answer to each of these links at this rate, and look at what was stored."""
    result, began = Flood(rate), time.monotonic()

    def tap(each: int) -> list[Tap]:
        wait = began + each / rate - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        return [_tap(stack, each, tokens[each]) for _ in range(2 if each % 10 == 0 else 1)]

    with ThreadPoolExecutor(threads) as pool:
        result.taps = [tap for taps in pool.map(tap, range(len(tokens))) for tap in taps]
    result.seconds = time.monotonic() - began
    result.violations = list(_violations(stack, tokens, result))
    return result


def _said(patient: int) -> tuple[int, str]:
    return SCORES[patient % len(SCORES)], f"Answer {patient}"


def _tap(stack: Stack, patient: int, token: str) -> Tap:
    score, comment = _said(patient)
    address = urlsplit(stack.public_url)
    connection = http.client.HTTPConnection(address.netloc, timeout=PATIENCE)
    began = time.monotonic()
    try:
        connection.request(
            "POST",
            f"{address.path}/s/{token}",
            body=urlencode({"score": score, "comment": comment}),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = connection.getresponse()
        status, page = answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException):
        status, page = NO_ANSWER, ""
    finally:
        connection.close()
    # Whoever reads it can tell what to do, and it is a page of ours: in two languages when the function did not answer.
    is_friendly = status == 200 or ("<h1" in page and ("again" in page or "de nuevo" in page))
    return Tap(patient, status, time.monotonic() - began, is_friendly)


def _violations(stack: Stack, tokens: Sequence[str], result: Flood) -> Iterator[str]:
    stored = _stored(stack, tokens)
    by_patient: dict[int, list[Tap]] = {}
    for tap in result.taps:
        by_patient.setdefault(tap.patient, []).append(tap)
    wrong = Counter[str]()
    for patient, taps in by_patient.items():
        survey = stored.get(tokens[patient][:26], {})
        score, comment = _said(patient)
        answers = survey.get("answers", {"L": []})["L"]
        is_there = [survey.get("score"), survey.get("comment")] == [{"N": str(score)}, {"S": comment}]
        if any(tap.status == 200 for tap in taps) and not is_there:
            wrong["accepted answers are not stored as they were given"] += 1
        if len(answers) > 1:
            wrong["patients' answers were stored more than once"] += 1
        if answers and not is_there:
            wrong["answers were stored otherwise than given"] += 1
    wrong["refusals did not tell the patient"] += sum(not tap.is_friendly for tap in result.taps)
    yield from (f"{number} {what}" for what, number in wrong.items() if number)


def _stored(stack: Stack, tokens: Sequence[str]) -> dict[str, dict[str, Any]]:
    client, table = stack.client("dynamodb"), stack.tables["SurveysTable"]
    found: dict[str, dict[str, Any]] = {}
    for first in range(0, len(tokens), 100):
        keys = [{"survey_id": {"S": token[:26]}} for token in tokens[first : first + 100]]
        answer = client.batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
        found |= {item["survey_id"]["S"]: item for item in answer["Responses"][table]}
    return found


def backlog(stack: Stack) -> int:
    """How many answers still wait for what has to follow at once."""
    client, table = stack.client("dynamodb"), stack.tables["SurveysTable"]
    return sum(
        client.query(
            TableName=table,
            IndexName="owed_reactions",
            KeyConditionExpression="pending_reaction = :owed",
            ExpressionAttributeValues={":owed": {"S": owed}},
            Select="COUNT",
        )["Count"]
        for owed in ("alert", "alert review", "review", "review digest", "alert digest")
    )

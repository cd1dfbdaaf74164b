"""The patient's answer, warm.

CPU time of this process for accepted answers, posted one after the other to the handler with a table that answers at
once from a process of its own; the floor is the same conditional write by a bare boto3 client, in turn with it.
Calls are counted at the client.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3

from bench.cold_start import SURVEY, TOKEN
from bench.figure import Figure
from bench.stub import environment, table_stub
from bench.timing import Pairs, cpu_seconds, side_by_side
from tests.environment import ENVIRONMENT

ANSWERS = 100  # a sample: long enough for the clock of CPU time
COMMENT = "Everybody was kind and explained each exercise. The wait was short, and my knee is much better now."
ANSWERED = {**SURVEY, "score": {"N": "9"}, "first_answered_at": {"S": "2999-01-01T00:00:00Z"}, "version": {"N": "1"}}


def measure() -> list[Figure]:
    """An answer with a comment and one without, and the page before them."""
    replies = {"GetItem Surveys": {"Item": SURVEY}, "UpdateItem Surveys": {"Attributes": ANSWERED}}
    with table_stub(replies) as endpoint, Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        os.environ.update({**ENVIRONMENT, **environment(endpoint), "PYTHONTZPATH": ""})
        return [
            _figure(
                "answer with a comment",
                f"POST of a score and {len(COMMENT)} characters: read, judged, stored, logged, and the page of thanks.",
                _in_turn(lambda: _post(COMMENT), _bare_update(COMMENT)),
                limits=(1.5, 2.0),
            ),
            _figure(
                "answer without a comment",
                "POST of a score alone.",
                _in_turn(lambda: _post(""), _bare_update("")),
                limits=(1.5, 2.0),
            ),
            _figure("page", "GET of the question, against a bare GetItem.", _in_turn(_show, _bare_get())),
            *_calls(),
        ]


def _in_turn(subject: Callable[[], object], floor: Callable[[], object]) -> Pairs:
    def sample(work: Callable[[], object]) -> float:
        return cpu_seconds(lambda: [work() for _ in range(ANSWERS)]) / ANSWERS

    return side_by_side(lambda: sample(subject), lambda: sample(floor))


def _figure(name: str, what: str, pairs: Pairs, limits: tuple[float, float] | None = None) -> Figure:
    target, too_much = limits or (None, None)
    return Figure(
        name=f"{name}: CPU",
        what=what,
        measured=pairs.measured * 1e6,
        unit="µs",
        kind="ratio",
        target=target,
        too_much=too_much,
        floor=pairs.floor * 1e6,
        ratio=pairs.ratio,
    )


def _calls() -> list[Figure]:
    from shared.storage.kept import forget

    def figure(name: str, what: str, called: list[str], target: float | None, too_much: float | None = None) -> Figure:
        return Figure(name, what, len(called), "calls", "count", target, too_much, note=", ".join(called))

    with _called() as answer:
        _post(COMMENT)
    with _called() as page:
        _show()
    forget()
    with _called() as cold_page:
        _show()
    return [
        figure("DynamoDB calls of an accepted answer", "In a warm function.", answer, 1, 2),
        figure("DynamoDB calls of a page", "In a warm function.", page, 1, 2),
        figure("DynamoDB calls of a cold function's first page", "With the settings.", cold_page, 2, 3),
    ]


@contextmanager
def _called() -> Iterator[list[str]]:
    from shared.storage.dynamodb import client

    called: list[str] = []

    def note(model: Any, **_: Any) -> None:
        called.append(model.name)

    client().meta.events.register("before-call.dynamodb", note)
    try:
        yield called
    finally:
        client().meta.events.unregister("before-call.dynamodb", note)


def _post(comment: str) -> None:
    from functions.record_response.handler import handler

    _expect(handler({**_request("POST"), "body": _form(comment)}, None))


@cache
def _form(comment: str) -> str:
    return urlencode({"score": 9, "comment": comment})


def _show() -> None:
    from functions.record_response.handler import handler

    _expect(handler({**_request("GET"), "queryStringParameters": {"score": "9"}}, None))


def _expect(answer: dict[str, Any]) -> None:
    if answer["statusCode"] != 200:
        raise RuntimeError(f"the page answered {answer['statusCode']}")


def _request(method: str) -> dict[str, Any]:
    identity = {"sourceIp": "198.51.100.7"}
    return {
        "httpMethod": method,
        "pathParameters": {"token": TOKEN},
        "headers": {"Accept-Language": "en-US,en;q=0.9"},
        "requestContext": {"identity": identity},
    }


def _bare_update(comment: str) -> Callable[[], object]:
    """The very write that the handler makes, by a client of boto3 that does nothing else."""
    from shared.storage.dynamodb import client

    written: dict[str, Any] = {}

    def note(params: dict[str, Any], **_: Any) -> None:
        written.update(params)

    client().meta.events.register("provide-client-params.dynamodb.UpdateItem", note)
    _post(comment)
    client().meta.events.unregister("provide-client-params.dynamodb.UpdateItem", note)
    bare = boto3.client("dynamodb")
    return lambda: bare.update_item(**written)


def _bare_get() -> Callable[[], object]:
    bare = boto3.client("dynamodb")
    return lambda: bare.get_item(TableName="Surveys", Key={"survey_id": {"S": TOKEN[:26]}}, ConsistentRead=True)

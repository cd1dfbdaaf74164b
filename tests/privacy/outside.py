"""What leaves a function other than to the tables, the intake bucket and the mailboxes, and AWS calls that fail."""

import itertools
import json
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from tests.privacy import canary

EVERY_WORD = " ".join([*canary.WORDS.values(), canary.THERAPIST])
"""What an error's own words may repeat of a request."""

MOST_CALLS = 300
HOLD_PATIENTS = {"dynamodb", "s3", "secretsmanager"}
ReadsNothing = Callable[[], str]
Failure = Callable[[str], Exception]


def _refused(code: str, status: int = 400) -> Failure:
    said = {"Error": {"Code": code, "Message": EVERY_WORD}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return lambda operation: ClientError(said | {"Item": {"email": {"S": canary.EMAIL}}}, operation)


def _cancelled(operation: str) -> Exception:
    reasons = [{"Code": "ValidationError", "Message": EVERY_WORD, "Item": {"comment": {"S": canary.COMMENT}}}]
    said = {"Error": {"Code": "TransactionCanceledException", "Message": f"[{EVERY_WORD}]"}}
    return ClientError({**said, "CancellationReasons": reasons}, operation)


FAILURES: dict[str, Failure] = {
    "server fault": _refused("InternalServerError", 500),
    "validation": _refused("ValidationException"),
    "forbidden": _refused("AccessDeniedException"),
    "throttled": _refused("ThrottlingException"),
    "key": _refused("KMSAccessDeniedException"),
    "cancelled": _cancelled,
    "condition": _refused("ConditionalCheckFailedException"),
    "time-out": lambda operation: ReadTimeoutError(endpoint_url=f"https://aws.example/{EVERY_WORD}"),
    "no connection": lambda operation: EndpointConnectionError(endpoint_url=f"https://aws.example/{EVERY_WORD}"),
    "bug": lambda operation: KeyError(EVERY_WORD),
    "bad value": lambda operation: ValueError(EVERY_WORD),
}

SES_FAILURES: dict[str, Failure] = {
    **FAILURES,
    "rejected": _refused("MessageRejected"),
    "bad address": _refused("BadRequestException"),
    "too fast": _refused("TooManyRequestsException", 429),
    "paused": _refused("SendingPausedException"),
    "suspended": _refused("AccountSuspendedException"),
    "limit": _refused("LimitExceededException"),
}


@dataclass
class Outside:
    """Collects everything that leaves, each piece with where it was seen."""

    read: ReadsNothing  # what was printed since it was last read
    seen: list[tuple[str, str]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    failing: dict[int, Failure] = field(default_factory=dict)  # by the number of the call since the last run
    ses: Failure | None = None
    broken: dict[str, Failure] = field(default_factory=dict)  # by service: every call of it fails
    where: str = ""

    def run(self, where: str, act: Callable[[], Any]) -> Any:
        """Run something and keep what it printed and how it ended."""
        self.calls, self.where = 0, where
        try:
            return act()
        except Exception as error:  # noqa: BLE001 (it is what is looked at)
            trace = _without_source("".join(traceback.format_exception(error)))
            self.seen.append((f"{where}: exception", f"{error!r} {error} {trace}"))
            return None
        finally:
            self.seen.append((f"{where}: printed", self.read()))

    def at_every_call(self, where: str, act: Callable[[], Any]) -> int:
        """Run it once for each of its AWS calls, which fails, one failure after the other; returns how many it made."""
        kinds = itertools.cycle(FAILURES.items())
        number = 1
        while True:
            (kind, failure), self.failing = next(kinds), {}
            self.failing = {number: failure}
            self.run(f"{where}, call {number} fails ({kind})", act)
            if self.calls < number:
                break
            assert number < MOST_CALLS, f"{where} makes no end of calls"
            number += 1
        self.failing = {}
        return number - 1

    def call(self, real: Callable[[], Any], service: str, operation: str, request: dict[str, Any]) -> Any:
        """One AWS call of whatever runs."""
        self.calls += 1
        if failure := self.failing.get(self.calls) or self.broken.get(service):
            raise failure(operation)
        if service == "sesv2":
            return self._ses(operation, request)
        if service == "s3" and operation.startswith(("Put", "Delete")):
            self.seen.append((f"{self.where}: object's name", request.get("Key", "")))
        if service in HOLD_PATIENTS:
            return real()
        self.seen.append((f"{self.where}: {service} {operation}", json.dumps(request, default=str)))
        return {"Payload": None, "StatusCode": 202}

    def _ses(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation == "GetAccount":
            return {"SendingEnabled": True, "SendQuota": {"MaxSendRate": 50, "Max24HourSend": -1, "SentLast24Hours": 0}}
        tags = {name: request.get(name) for name in ("EmailTags", "ConfigurationSetName")}
        self.seen.append((f"{self.where}: tags of a mail", json.dumps(tags)))
        if self.ses:
            raise self.ses(operation)
        self.mails.append(request)
        return {"MessageId": f"ses-{len(self.mails)}"}

    def texts(self) -> list[str]:
        """The plain text of every mail."""
        return [mail["Content"]["Simple"]["Body"]["Text"]["Data"] for mail in self.mails]

    def staff_mails(self) -> list[tuple[str, str]]:
        """Everything of each mail that did not go to the patient."""
        own = {canary.EMAIL, canary.OLD_EMAIL}
        return [
            ("mail to the staff", json.dumps(mail, ensure_ascii=False))
            for mail in self.mails
            if not own & set(mail["Destination"]["ToAddresses"])
        ]


class NoTime:
    """Waiting takes none."""

    def __init__(self) -> None:
        self._passed = 0.0

    def monotonic(self) -> float:
        """Seconds: each look at the clock takes some, so that nobody waits for a moment that never comes."""
        self._passed += 0.05
        return self._passed

    def sleep(self, seconds: float) -> None:
        """Nobody waits."""
        self._passed += seconds


def _without_source(trace: str) -> str:
    """A trace as Lambda tells it has lines of our own source, which name no patient unless a test wrote them."""
    return "\n".join(line for line in trace.splitlines() if "tests/" not in line)


@contextmanager
def watched(read: ReadsNothing) -> Iterator[Outside]:
    """Watch everything inside; libraries' own log records from warnings on count as printed, as on Lambda."""
    outside, real = Outside(read), BaseClient._make_api_call

    def call(client: Any, operation: str, request: Any) -> Any:
        service = client.meta.service_model.service_name
        return outside.call(lambda: real(client, operation, request), service, operation, request)

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            outside.seen.append((f"{outside.where}: log of {record.name}", self.format(record)))

    keep = Keep(logging.WARNING)
    logging.getLogger().addHandler(keep)
    try:
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(BaseClient, "_make_api_call", call)
            patched.setattr("time.sleep", lambda seconds: None)
            patched.setattr("functions.send_survey.handler.time", NoTime())
            patched.setattr("shared.mail.staff.WAITS", (0.0, 0.0))
            yield outside
    finally:
        logging.getLogger().removeHandler(keep)

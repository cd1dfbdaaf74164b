"""A practice on moto whose every AWS call passes one gate, where it is counted, refused, killed or made to wait.

Mail is taken at the gate as SES gets it. Patients answer through the pages' own handlers. What the practice knows of
people is kept beside, as plain facts, so that the tables can be judged by it.
"""

import itertools
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from boto3.dynamodb.types import TypeDeserializer
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from functions.aggregate_scores.handler import handler as aggregate_scores
from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.alerts.escalate_cases.handler import handler as escalate_cases
from functions.alerts.request_review.handler import handler as request_review
from functions.alerts.send_digest.handler import handler as send_digest
from functions.erase_patient.handler import handler as erase_patient
from functions.record_response.handler import handler as record_response
from functions.send_survey import run
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import account_limits
from functions.track_delivery.handler import handler as track_delivery
from functions.unsubscribe.handler import handler as unsubscribe
from shared.domain.clock import format_instant
from shared.domain.erasure import Why, traces_of
from shared.domain.identity import address_key
from shared.domain.patient import Patient
from shared.hash_key import hash_key
from shared.mail.mailer import SesMailer, ses_client
from shared.observability import HandlerFailed
from shared.storage import erasures, kept, messages, patients, surveys
from shared.storage.dynamodb import client
from shared.storage.models import AddressItem
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.environment import TABLES
from tests.fakes import FakeContext
from tests.faults.invariants import Accepted, Claim, Evidence, Sent
from tests.handlers.answering import survey_id

AFTERNOON = MONDAY_NOON + timedelta(hours=3)  # the surveys of Monday noon are due
LAST_NAME, COMMENT = "Zyzzyva", "Quagga"  # found nowhere by chance
WRITES = {"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems", "BatchWriteItem", "SendEmail"}
_from_dynamodb = TypeDeserializer().deserialize
_requests = itertools.count(1)

Request = dict[str, Any]
Hook = Callable[[str, Request], None]
"""Sees an operation and its request; may raise instead of letting it through."""


class Killed(BaseException):
    """The process ends here: nothing after it runs, not even what handles errors."""


@dataclass
class Gate:
    """Where every AWS call of the process passes."""

    before: list[Hook] = field(default_factory=list)
    after: list[Hook] = field(default_factory=list)
    accept: Callable[[Request], str] = lambda request: ""
    witness: Hook = lambda operation, request: None  # sees what took effect, whoever did it
    quota: dict[str, float] = field(
        default_factory=lambda: {"Max24HourSend": -1.0, "MaxSendRate": 1250.0, "SentLast24Hours": 0.0}
    )
    sending_enabled: bool = True
    repeats: bool = False  # every write is made twice, as the SDK does when the first answer was lost

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Take over all calls of botocore, by whatever library."""
        real, inside = BaseClient._make_api_call, threading.local()

        def run_all(hooks: Sequence[Hook], operation: str, request: Request) -> None:
            if getattr(inside, "hook", False):  # what a hook does happens undisturbed
                return
            inside.hook = True
            try:
                for hook in hooks:
                    hook(operation, request)
            finally:
                inside.hook = False

        def call(client: Any, operation: str, request: Request) -> Any:
            run_all(self.before, operation, request)
            answer = self._answer(real, client, operation, request)
            if operation == "TransactWriteItems":
                self.witness(operation, request)
            run_all(self.after, operation, request)
            return answer

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(BaseClient, "_make_api_call", call)
            yield

    def _answer(self, real: Any, client: Any, operation: str, request: Request) -> Any:
        if operation == "GetAccount":
            return {"SendingEnabled": self.sending_enabled, "SendQuota": self.quota}
        if operation == "SendEmail":
            return {"MessageId": self.accept(request)}
        if self.repeats and operation in WRITES - {"TransactWriteItems"}:  # those carry a token, and are answered again
            real(client, operation, request)
        return real(client, operation, request)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Look at the tables undisturbed."""
        before, after, self.before, self.after = self.before, self.after, [], []
        try:
            yield
        finally:
            self.before, self.after = before, after

    @contextmanager
    def hooked(self, before: Hook | None = None, after: Hook | None = None) -> Iterator[None]:
        """Have something happen before or after each call."""
        if before:
            self.before.append(before)
        if after:
            self.after.append(after)
        try:
            yield
        finally:
            if before:
                self.before.remove(before)
            if after:
                self.after.remove(after)

    @contextmanager
    def dying(self, write: int) -> Iterator[list[str]]:
        """Kill the process before its n-th write or mail; dead is dead. Yields what it attempted."""
        made: list[str] = []

        def die(operation: str, request: Request) -> None:
            if operation in WRITES:
                made.append(operation)
            if len(made) >= write:
                raise Killed

        with self.hooked(before=die):
            yield made


def refusing(error: Exception, *operations: str, times: int = sys.maxsize) -> Hook:
    """Let the first so many of these operations fail."""
    left = itertools.repeat(None, times)

    def refuse(operation: str, request: Request) -> None:
        if operation in operations and next(left, "over") is None:
            raise error

    return refuse


def aws_error(code: str, status: int = 400, operation: str = "SendEmail") -> ClientError:
    """What AWS answers."""
    told = {"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(told, operation)


class InOneThread(Executor):
    """Does at once what it is given: moto's writes are not atomic between threads."""

    def __init__(self, threads: int = 1) -> None:
        """The number of threads is the real one's business."""

    def submit(self, call: Callable[..., Any], /, *arguments: Any, **named: Any) -> "Future[Any]":
        """The result, or what was raised; a death is everybody's."""
        future: Future[Any] = Future()
        try:
            future.set_result(call(*arguments, **named))
        except Exception as error:  # noqa: BLE001 (kept for whoever asks for the result)
            future.set_exception(error)
        return future


@cache
def ses() -> Any:
    """One client: making them is what takes time."""
    return ses_client()


@dataclass
class Practice:
    """The practice, its clock, and what it knows of people."""

    gate: Gate
    hear: Callable[[], str]  # what was written to the log since it was last asked
    told: str = ""
    clock: datetime = AFTERNOON
    mails: list[Sent] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    accepted: dict[str, list[Accepted]] = field(default_factory=dict)
    words: set[str] = field(default_factory=lambda: {LAST_NAME, COMMENT})
    against: dict[str, set[str]] = field(default_factory=dict)  # by patient or address: why not to mail
    as_of: dict[int, datetime] = field(default_factory=dict)  # of the run in each thread

    @classmethod
    @contextmanager
    def open(cls, hear: Callable[[], str]) -> "Iterator[Practice]":
        """An empty practice on the tables as they are."""
        practice = cls(Gate(), hear)
        practice.gate.accept = practice._take_mail
        practice.gate.witness = practice._note_claim
        with pytest.MonkeyPatch.context() as patched, practice.gate.installed():
            patched.setattr(run, "ThreadPoolExecutor", InOneThread)
            yield practice

    def start_over(self) -> None:
        """Forget everything."""
        with self.gate.aside():
            for table in TABLES:
                for item in client().scan(TableName=table)["Items"]:
                    client().delete_item(TableName=table, Key={key: item[key] for key in _keys(table)})
        kept.forget()
        self.clock = AFTERNOON
        self.hear()
        self.told = ""
        for facts in (self.mails, self.claims, self.accepted, self.against):
            facts.clear()

    # ---- What happens -----------------------------------------------------------------------------

    def later(self, **by: float) -> datetime:
        """Let time pass."""
        self.clock += timedelta(**by)
        return self.clock

    def asked(self, number: int = 0, *, patient: Patient | None = None, **differences: Any) -> str:
        """A patient, a survey and its message that is due; returns the survey's id."""
        person = patient or a_patient(f"p{number}", last_name=LAST_NAME)
        if patients.get(person.patient_id) is None:
            patients.put_record(person, None)
        self.words |= {person.email, person.last_name}
        survey = survey_id(number)
        surveys.create(a_survey(survey, patient_id=person.patient_id, **differences))
        messages.create(a_message(survey, patient_id=person.patient_id, **differences))
        return survey

    def send(
        self,
        as_of: datetime | None = None,
        *,
        now: datetime | None = None,
        skew: timedelta = timedelta(0),
        seconds_left: float = 300,
    ) -> Any:
        """One scheduled run, as of the clock unless told otherwise, on a host whose own clock may be off."""
        as_of = as_of or self.clock
        self.as_of[threading.get_ident()] = as_of
        context = FakeContext(f"run-{next(_requests)}", seconds_left)
        return send_survey(
            {"time": format_instant(as_of)},
            context,
            mailer=SesMailer(ses()),
            limits=lambda: account_limits(ses()),
            now=lambda: now or self.clock + skew,
            most_at_once=1,
        )

    def alert(self, event: Any = None) -> Any:
        """The sweep for owed alerts, or a batch of the stream."""
        return alert_staff(event or {"time": format_instant(self.clock)}, None, mailer=SesMailer(ses()))

    def request_reviews(self, event: Any = None) -> Any:
        """The sweep for owed review requests, or a batch of the stream."""
        return request_review(event or {"time": format_instant(self.clock)}, None)

    def digest(self) -> Any:
        """The morning's digest."""
        event, context = {"time": format_instant(self.clock)}, FakeContext(f"run-{next(_requests)}")
        return send_digest(event, context, mailer=SesMailer(ses()), now=lambda: self.clock)

    def escalate(self) -> Any:
        """The sweep for cases that nobody took in time."""
        event, context = {"time": format_instant(self.clock)}, FakeContext(f"run-{next(_requests)}")
        return escalate_cases(event, context, mailer=SesMailer(ses()), now=lambda: self.clock)

    def count(self) -> Any:
        """The nightly count."""
        return aggregate_scores({"time": format_instant(self.clock)}, FakeContext())

    def rest(self) -> None:
        """The next scheduled runs, until every lease has run out and everything owed is done."""
        self.later(minutes=11)
        self.send()
        for _ in range(2):  # one may hand over to the other
            self.alert()
            self.request_reviews()
        self.digest()
        self.count()

    # ---- What patients do -------------------------------------------------------------------------

    def mail(self, survey: str, kind: str = "survey") -> Sent:
        """The one mail of a kind about a survey."""
        [mail] = [mail for mail in self.mails if (mail.survey_id, mail.kind) == (survey, kind)]
        return mail

    def answer(self, mail: Sent, score: int, comment: str = "") -> int:
        """Answer from a mail; returns the page's status, and keeps what was accepted."""
        answer = self.post(token_of(mail), {"score": str(score), "comment": comment})
        if answer["statusCode"] == 200:
            self.accepted.setdefault(mail.survey_id, []).append(Accepted(score, comment, self.clock))
        return int(answer["statusCode"])

    def post(self, token: str, form: dict[str, str]) -> Any:
        """Send the form of the survey's page."""
        return record_response(_request("POST", token, form), None, now=lambda: self.clock)

    def get(self, token: str) -> Any:
        """Open the survey's page."""
        return record_response(_request("GET", token), None, now=lambda: self.clock)

    def opt_out(self, mail: Sent) -> None:
        """Unsubscribe from a mail."""
        answer = unsubscribe(_request("POST", token_of(mail), {}), None, now=lambda: self.clock)
        assert answer["statusCode"] == 200
        survey = surveys.get(mail.survey_id)
        assert survey
        self.against.setdefault(survey.patient_id, set()).add("opted_out")

    def opts_out(self, patient_id: str) -> None:
        """Somebody says on the telephone that they want no more mail."""
        patients.opt_out(patient_id)
        self.against.setdefault(patient_id, set()).add("opted_out")

    def hear_of(self, mail: Sent, kind: str, **facts: str) -> Any:
        """Amazon SES tells of a mail: `Send`, `Delivery`, `DeliveryDelay`, `Bounce`, `Complaint` or `Reject`."""
        moment = format_instant(self.clock)
        ids = {"message_id": mail.message_id, "survey_id": mail.survey_id, "recipient": mail.recipient}
        event = {"type": kind, "at": moment, "sent_at": format_instant(mail.at), "ses_id": mail.ses_id, **ids, **facts}
        return track_delivery(event, None, now=lambda: self.clock)

    def bounces(self, mail: Sent) -> None:
        """There is no such address."""
        self.hear_of(mail, "Bounce", bounce_type="Permanent", bounce_subtype="General", bounce_status="5.1.1")
        self.against.setdefault(mail.to, set()).add("bounced")

    def complains(self, mail: Sent) -> None:
        """The patient calls a mail spam."""
        self.hear_of(mail, "Complaint")
        self.against.setdefault(mail.to, set()).add("complained")

    # ---- What becomes known -----------------------------------------------------------------------

    def hold(self, patient_id: str, *, on: bool = True) -> None:
        """The staff put somebody on hold, or no longer."""
        patients.hold(patient_id, on=on)
        reasons = self.against.setdefault(patient_id, set())
        reasons.add("on_hold") if on else reasons.discard("on_hold")

    def dies(self, patient_id: str) -> None:
        """The records say that somebody has died."""
        patients.note_death(patient_id)
        self.against.setdefault(patient_id, set()).add("deceased")

    def erases(self, patient_id: str) -> None:
        """Somebody wants to be forgotten, and the first look removes what it finds."""
        person = patients.get_exactly(patient_id)
        assert person
        why = Why.PATIENT
        reference = erasures.request(traces_of([person]), why, "the owner", self.clock, opted_out=person.opted_out)
        erase_patient({"erase": reference}, FakeContext(seconds_left=900), now=lambda: self.clock)
        self.against.setdefault(patient_id, set()).add("erased")

    def suppress(self, email: str, why: str) -> None:
        """An address has `bounced` or `complained`."""
        AddressItem(address_key(hash_key(), email)).update([getattr(AddressItem, why).set(True)])
        self.against.setdefault(email, set()).add(why)

    # ---- What can be seen -------------------------------------------------------------------------

    def evidence(self, *tables: str) -> Evidence:
        """Everything, as it is now; of the tables only these, if some are named."""
        self.told += self.hear()
        with self.gate.aside():
            found = dump(tables or TABLES)
        return Evidence(found, self.mails, self.told, self.claims, self.accepted, self.words)

    def state(self, survey: str, kind: str = "survey") -> str:
        """Where a message stands."""
        found = messages.get(f"{survey}-{kind}")
        return found.state if found else ""

    def _take_mail(self, request: Request) -> str:
        [to] = request["Destination"]["ToAddresses"]
        tags = {tag["Name"]: tag["Value"] for tag in request["EmailTags"]}
        body = request["Content"]["Simple"]["Body"]["Text"]["Data"]
        message = tags.get("message_id", "")
        kind = message.rpartition("-")[2] if message else "staff"
        at, ses_id = self.as_of.get(threading.get_ident(), self.clock), f"ses-{len(self.mails) + 1}"
        recipient = tags.get("recipient", "")
        self.mails.append(Sent(to, kind, at, body, tags.get("survey_id", ""), message, ses_id, recipient))
        return ses_id

    def _note_claim(self, operation: str, request: Request) -> None:
        """Beside each claim that took effect, keep what was known against it."""
        first = request["TransactItems"][0].get("Update", {})
        if first.get("TableName") != "Messages":
            return
        name = first["Key"]["message_id"]["S"]
        with self.gate.aside():
            message = messages.get(name)
            person = patients.get(message.patient_id) if message else None
        assert person
        reasons = {*self.against.get(person.patient_id, ()), *self.against.get(person.email, ())}
        self.claims.append(Claim(name, frozenset(reasons)))


def token_of(mail: Sent) -> str:
    """What the mail's links carry."""
    return mail.text.partition("/u/")[2][:52]


def dump(names: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Whole tables."""
    return {
        table: [
            {name: _from_dynamodb(value) for name, value in item.items()}
            for item in client().scan(TableName=table)["Items"]
        ]
        for table in names
    }


@cache
def _keys(table: str) -> list[str]:
    schema = client().describe_table(TableName=table)["Table"]["KeySchema"]
    return [key["AttributeName"] for key in schema]


@contextmanager
def failing(practice: Practice) -> Iterator[None]:
    """What is expected to fail; how it says so is kept with everything else that is told."""
    try:
        yield
    except HandlerFailed as failure:
        practice.told += repr(failure)
    else:
        raise AssertionError("it did not fail")


def _request(method: str, token: str, form: dict[str, str] | None = None) -> dict[str, Any]:
    body = urlencode(form) if form is not None else None
    return {"httpMethod": method, "pathParameters": {"token": token}, "headers": {}, "body": body}

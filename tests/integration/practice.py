"""A practice seen from outside: its exports go in, its patients and staff get mail, its patients answer.

Only the public contract is used: AWS calls, HTTP on the public address and the mailbox. Tables are read, hardly ever
written, and then a test says so. Every patient is new, so that tests share one stack; a run concerns everything that
is due, so claims are about one's own patients.
"""

import csv
import html
import http.client
import io
import itertools
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from boto3.dynamodb.types import TypeDeserializer

from local.stack import Stack

T = TypeVar("T")
Item = dict[str, Any]

NEW_YORK = ZoneInfo("America/New_York")
ADMIN = "admin@riverside.example"  # the preset's
LIMIT = 20.0  # seconds until a poll gives up

_numbers = itertools.count(1)
_from_dynamodb = TypeDeserializer().deserialize


def eventually(look: Callable[[], T], what: str, seconds: float = LIMIT) -> T:
    """The first true thing that `look` finds; AssertionError after so many seconds."""
    limit = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < limit, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.02)
    return found


def at(day: str, clock: str = "12:00", zone: ZoneInfo = NEW_YORK) -> datetime:
    """A moment as the clock on a clinic's wall shows it."""
    return datetime.combine(date.fromisoformat(day), datetime.strptime(clock, "%H:%M").time(), zone)  # noqa: DTZ007


def instant(moment: datetime) -> str:
    """As events and tables write it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Person:
    """A patient of whom nobody has heard before."""

    patient_id: str
    first_name: str
    email: str
    row: dict[str, str]

    @property
    def case(self) -> str:
        """The person's first case."""
        return f"{self.patient_id}-case"


def someone(first_name: str = "Ada", **columns: str) -> Person:
    """A new patient of clinic `main`, which has the stack's defaults; `columns` are those of the patients file."""
    number = next(_numbers)
    patient_id = f"P{number:04d}"
    row = {
        "patient_id": patient_id,
        "first_name": first_name,
        "last_name": f"Okafor{number}",
        "email": f"{patient_id.lower()}@patients.example",
        "clinic_id": "main",
        **columns,
    }
    return Person(patient_id, first_name, row["email"], row)


def boss(clinic_id: str) -> str:
    """Who is alerted at a clinic that a test made."""
    return f"boss@{clinic_id}.example"


def visit(
    person: Person, moment: datetime, kind: str = "treatment", status: str = "completed", **columns: str
) -> dict[str, str]:
    """A row of the visits file: half an hour that begins at `moment`."""
    return {
        "visit_id": f"V{next(_numbers):05d}",
        "patient_id": person.patient_id,
        "case_id": person.case,
        "clinic_id": person.row["clinic_id"],
        "started_at": moment.isoformat(),
        "kind": kind,
        "status": status,
        "ended_at": (moment + timedelta(minutes=30)).isoformat(),
        "therapist_id": "T1",
        **columns,
    }


def evaluation(person: Person, moment: datetime, **columns: str) -> dict[str, str]:
    """A completed evaluation."""
    return visit(person, moment, "evaluation", **columns)


def table(rows: Iterable[Mapping[str, str]]) -> str:
    """CSV of rows that may have different columns."""
    listed = list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(listed)
    return text.getvalue()


@dataclass(frozen=True)
class Page:
    """What a browser got."""

    status: int
    headers: dict[str, str]
    body: str

    @property
    def text(self) -> str:
        """What can be read, without the markup."""
        visible = re.sub(r"<(style|script)\b.*?</\1>", " ", self.body, flags=re.DOTALL)
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", visible)).split())

    @property
    def heading(self) -> str:
        """What the page is about."""
        found = re.search(r"<h1[^>]*>(.*?)</h1>", self.body, re.DOTALL)
        assert found, f"no heading: {self.body[:200]}"
        return html.unescape(re.sub(r"<[^>]+>", "", found[1])).strip()

    @property
    def chosen(self) -> list[int]:
        """The scores that are selected."""
        return [int(score) for score in re.findall(r'<input[^>]*value="(\d+)"[^>]*\bchecked', self.body)]

    @property
    def typed(self) -> str:
        """What stands in the text field."""
        found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", self.body, re.DOTALL)
        assert found, "no text field"
        return html.unescape(found[1])


@dataclass(frozen=True)
class Mail:
    """One mail in the mailbox."""

    to: list[str]
    sender: str
    subject: str
    text: str
    html: str

    @property
    def kind(self) -> str:
        """What a person would call it."""
        if re.search(r"/s/[a-z2-7]+\?score=10\b", self.text):
            return "reminder" if re.search(r"reminder|recordatorio", self.text, re.IGNORECASE) else "survey"
        return "review" if "/u/" in self.text else "staff"

    @property
    def token(self) -> str:
        """What its survey link carries."""
        return self._found(r"/s/([a-z2-7]+)\?score=0\b")

    @property
    def unsubscribe_path(self) -> str:
        """Where its unsubscribe link leads."""
        return self._found(r"(/u/[a-z2-7]+)")

    def score_path(self, score: int) -> str:
        """Where tapping a number leads."""
        return self._found(rf"(/s/[a-z2-7]+\?score={score})\b")

    def _found(self, pattern: str) -> str:
        found = re.search(pattern, self.text)
        assert found, f"no {pattern} in: {self.text}"
        return found[1]


@dataclass
class Practice:
    """The driver; every method is something an outsider can do."""

    stack: Stack
    _clients: dict[str, Any] = field(default_factory=dict)
    _stuck: set[str] = field(default_factory=set)

    def client(self, service: str) -> Any:
        """One client a service."""
        if service not in self._clients:
            self._clients[service] = self.stack.client(service)
        return self._clients[service]

    # ---- What the practice does -------------------------------------------------------------------

    @property
    def bucket(self) -> str:
        """Where exports go."""
        return self.stack.outputs["IntakeBucketName"]

    def put(self, content: str | bytes, name: str | None = None, folder: str = "incoming/") -> str:
        """Upload a file; returns the name under which its report will stand."""
        name = name or f"export-{next(_numbers)}.csv"
        body = content.encode() if isinstance(content, str) else content
        self.client("s3").put_object(Bucket=self.bucket, Key=folder + name, Body=body)
        return name if folder == "incoming/" else folder + name

    def upload(self, content: str | bytes, name: str | None = None, folder: str = "incoming/") -> dict[str, Any]:
        """Upload a file and wait for its report."""
        if name:  # an earlier report of this name is not the one we wait for
            reported = name if folder == "incoming/" else folder + name
            self.client("s3").delete_object(Bucket=self.bucket, Key=f"reports/{reported}.json")
        return self.report(self.put(content, name, folder))

    def report(self, name: str) -> dict[str, Any]:
        """The report on a file, once it is there."""
        found = eventually(lambda: self.stored(f"reports/{name}.json"), f"a report on {name}")
        report: dict[str, Any] = json.loads(found or b"")
        return report

    def stored(self, key: str) -> bytes | None:
        """An object of the intake bucket, if it is there."""
        s3 = self.client("s3")
        try:
            content: bytes = s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except s3.exceptions.NoSuchKey:
            return None
        return content

    def export(self, people: Iterable[Person] = (), visits: Iterable[Mapping[str, str]] = ()) -> None:
        """Upload patients and visits, every row of which must be accepted."""
        for rows in ([person.row for person in people], list(visits)):
            if rows:
                report = self.upload(table(rows))
                assert report["status"] == "accepted", report

    def new_clinic(self, **columns: str) -> str:
        """A clinic of which nobody has heard before; `boss@<its id>.example` is its admin."""
        clinic_id = f"clinic{next(_numbers)}"
        row = {"clinic_id": clinic_id, "name": f"Clinic {clinic_id}", "admin_emails": boss(clinic_id), **columns}
        report = self.upload(table([row]), f"{clinic_id}.csv", "settings/")
        assert report["status"] == "accepted", report
        return clinic_id

    def run(self, function: str, as_of: datetime) -> Any:
        """What a schedule does."""
        return self.stack.invoke(function, {"time": instant(as_of)})

    def send(self, as_of: datetime) -> dict[str, Any]:
        """One send run; what it says must add up."""
        result: dict[str, Any] = self.run("SendSurveyFunction", as_of)
        assert set(result) == {"due", "sent", "skipped", "deferred", "unknown", "failed"}
        settled = result["sent"] + result["unknown"] + result["failed"]
        assert result["due"] == settled + sum(result["skipped"].values()) + sum(result["deferred"].values())
        return result

    def count_scores(self) -> dict[str, int]:
        """The nightly job."""
        counted: dict[str, int] = self.run("AggregateScoresFunction", datetime.now(UTC))
        return counted

    def forget_bounces(self) -> None:
        """Let sending go on as if nothing had ever bounced: the stack is shared, what stops it is one test's affair."""
        for item in self.items("SettingsTable"):
            if item["scope"].startswith("mail#"):
                self.client("dynamodb").delete_item(
                    TableName=self.stack.tables["SettingsTable"], Key={"scope": {"S": item["scope"]}}
                )

    # ---- What people get --------------------------------------------------------------------------

    def mails(self, address: str) -> list[Mail]:
        """What an address received, oldest first."""
        return [mail for mail in self.mailbox() if address in mail.to]

    def mailbox(self) -> list[Mail]:
        """Every mail, oldest first."""
        return [
            Mail(mail["to"], mail["from"], mail["subject"], mail["text"], mail["html"]) for mail in self.stack.mails()
        ]

    def kinds(self, person: Person) -> list[str]:
        """What a patient received, oldest first."""
        return [mail.kind for mail in self.mails(person.email)]

    def mail(self, person: Person) -> Mail:
        """The one mail that a patient received."""
        [mail] = self.mails(person.email)
        return mail

    def asked(self, *people: Person, day: str = "2026-03-02") -> list[Mail]:
        """Have all these people evaluated at noon, and return the surveys they got that afternoon."""
        self.export(people, [evaluation(person, at(day)) for person in people])
        self.send(at(day, "16:00"))
        received = {address: mail for mail in self.mailbox() for address in mail.to}
        return [received[person.email] for person in people]

    def rest(self) -> None:
        """Wait until every answer has had its reaction: what has not happened then will not happen.

        A survey for which one test has waited in vain holds up no other.
        """
        try:
            eventually(lambda: not self._owed(), "nothing is owed but the digest")
        except AssertionError:
            self._stuck |= self._owed()
            raise

    def _owed(self) -> set[str]:
        return {
            survey["survey_id"]
            for survey in self.items("SurveysTable")
            if survey.get("pending_reaction", "") not in ("", "digest")
        } - self._stuck

    # ---- What patients do -------------------------------------------------------------------------

    def request(self, method: str, path: str, form: Mapping[str, str] | bytes | None = None, **headers: str) -> Page:
        """What a browser does with a link or a form."""
        connection = http.client.HTTPConnection(urlsplit(self.stack.public_url).netloc, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        body = form if isinstance(form, bytes) or form is None else urlencode(form).encode()
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            content = answer.read().decode()
        finally:
            connection.close()
        return Page(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)

    def get(self, path: str, **headers: str) -> Page:
        """Open a link."""
        return self.request("GET", path, None, **headers)

    def post(self, path: str, form: Mapping[str, str] | bytes, **headers: str) -> Page:
        """Send a form."""
        return self.request("POST", path, form, **headers)

    def answer(self, mail: Mail, score: object, comment: str = "") -> Page:
        """Answer a survey mail."""
        return self.post(f"/s/{mail.token}", {"score": str(score), "comment": comment})

    # ---- What is written down ---------------------------------------------------------------------

    def items(self, table: str) -> list[Item]:
        """Every item of a table, by logical id."""
        pages = (
            self.client("dynamodb")
            .get_paginator("scan")
            .paginate(TableName=self.stack.tables[table], ConsistentRead=True)
        )
        return [_plain(item) for page in pages for item in page["Items"]]

    def survey(self, mail: Mail) -> Item:
        """The survey that a mail asks for."""
        found = self.client("dynamodb").get_item(
            TableName=self.stack.tables["SurveysTable"],
            Key={"survey_id": {"S": mail.token[:26]}},
            ConsistentRead=True,
        )
        return _plain(found["Item"])

    def surveys_of(self, person: Person) -> list[Item]:
        """All surveys of a patient."""
        return [survey for survey in self.items("SurveysTable") if survey["patient_id"] == person.patient_id]

    def messages_of(self, person: Person) -> dict[str, str]:
        """The state of each of a patient's messages, by kind and touchpoint."""
        return {
            f"{message['kind']} {message['touchpoint']}": message["state"]
            for message in self.items("MessagesTable")
            if message["patient_id"] == person.patient_id
        }

    def dump(self) -> dict[str, list[str]]:
        """Everything in every table, once the answers of earlier tests have had their reactions."""
        self.rest()
        return {
            name: sorted(json.dumps(item, sort_keys=True, default=_comparable) for item in self.items(name))
            for name in self.stack.tables
        }


def at_once(*calls: Callable[[], T]) -> list[T]:
    """Make all these calls at the same time."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: _from_dynamodb(value) for name, value in item.items()}


def _comparable(value: object) -> object:
    if isinstance(value, Decimal):
        return float(value)
    assert isinstance(value, set)
    return sorted(value)

"""A practice whose every free text is somebody's: taken in, mailed, answered, counted, shown and exported."""

import csv
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import quote, urlencode

import boto3

from functions.aggregate_scores.handler import handler as count_scores
from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.alerts.escalate_cases.handler import handler as escalate
from functions.alerts.request_review.handler import handler as request_review
from functions.alerts.send_digest.handler import handler as send_digest
from functions.send_report.handler import handler as send_report
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.serve_dashboard import session
from functions.serve_dashboard.web import Request
from shared.domain.clock import format_instant
from shared.domain.report import Every, ReportChoice
from shared.domain.staff import Role, Staff
from shared.mail.mailer import Mail
from shared.storage import kept, reports
from tests.fakes import FakeContext, FakeMailer
from tests.handlers import exports
from tests.handlers.dashboard import SITE
from tests.hostile import gateway
from tests.hostile.gateway import PATIENTS, STAFF, Answer

MONDAY = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)  # noon in New York
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ANSWERED = MONDAY + 5 * HOUR
LATER = MONDAY + 2 * DAY
CLINICS = 3
_runs = itertools.count()


@dataclass
class Desk:
    """Somebody of the staff at the dashboard; `staff` None is nobody."""

    staff: Staff | None
    now: datetime = LATER
    mailer: FakeMailer = field(default_factory=FakeMailer)
    cookie: str = ""

    def __post_init__(self) -> None:
        if self.staff:
            self.cookie = session.begin(Request("GET", "/", SITE, self.now), self.staff).partition(";")[0]

    def get(self, address: str, **headers: str) -> Answer:
        """Open a page."""
        return self._ask("GET", address, None, headers)

    def post(self, address: str, form: dict[str, Any] | None = None, **headers: str) -> Answer:
        """Send a form from a page of the dashboard."""
        own = {"Origin": SITE.origin, "Content-Type": "application/x-www-form-urlencoded"}
        return self._ask("POST", address, urlencode(form or {}, doseq=True), {**own, **headers})

    def _ask(self, method: str, address: str, body: str | None, headers: dict[str, str]) -> Answer:
        sent = {**headers, **({"Cookie": self.cookie} if self.cookie else {})}
        return gateway.ask(method, STAFF + address, sent, body, now=self.now, mailer=self.mailer)


def somebody(role: Role, *clinics: str, name: str = "Robin Reyes", therapist_id: str = "") -> Desk:
    """Somebody who is signed in."""
    return Desk(Staff(f"user-{role}", name, "robin@example.com", role, frozenset(clinics), therapist_id))


@dataclass
class Practice:
    """What has become of the texts: pages by address, mails by kind, files by name."""

    pages: dict[str, Answer] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    mailer: FakeMailer = field(default_factory=FakeMailer)
    links: dict[str, str] = field(default_factory=dict)  # patient -> survey token
    unsubscribe: dict[str, str] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def mails(self) -> list[Mail]:
        """Everything that was mailed, in order."""
        return self.mailer.sent

    def survey_of(self, patient_id: str) -> str:
        """The survey's id."""
        return self.links[patient_id][:26]


def of(texts: Sequence[str]) -> Practice:
    """The loop with these texts in the place of every name, comment, note and draft; each patient has eight."""
    practice, text = Practice(), itertools.cycle(texts)
    people = [(f"p{number}", [next(text) for _ in range(8)]) for number in range(-(-len(texts) // 8))]
    bucket = exports.Bucket()
    _take_in(practice, bucket, people, text)
    _send(practice, MONDAY + 4 * HOUR)
    _read_links(practice)
    assert practice.links.keys() == dict(people).keys(), (practice.runs, dict(people).keys() - practice.links.keys())
    for number, (patient_id, own) in enumerate(people):
        _answer(practice, number, patient_id, own[3])
    _react(practice)
    _count(ANSWERED + 12 * HOUR)
    _work(practice, people)
    _send(practice, MONDAY + 30 * HOUR)
    _late(practice)
    _count(LATER)
    for key in bucket.listed():
        practice.files[key] = bucket.read(key)
    return practice


def look(practice: Practice, desk: Desk, patients: Sequence[str], prefix: str = "") -> None:
    """Open every page that shows somebody's words."""
    addresses = ["/", "/comments", "/cases", "/cases?closed=2026-03", "/worth", "/share", "/patients?name=p"]
    addresses += ["/settings", "/settings/clinics", "/settings/staff", "/settings/playbook", "/settings/themes"]
    addresses += [f"/settings/clinics/c{number}" for number in range(CLINICS)]
    addresses += [f"/settings/wording/{language}" for language in ("en", "es")]
    addresses += [f"/settings/practice/{section}" for section in ("asking", "reviews", "alerts", "cases", "goals")]
    addresses += ["/export/answers.csv", "/export/scores.csv", "/api/v1/cases", "/api/v1/figures"]
    addresses += ["/api/v1/scores?from=2026-03-01&to=2026-03-31"]
    for patient_id in patients:
        addresses += [f"/patient?id={patient_id}", f"/cases/{practice.survey_of(patient_id)}"]
    for address in addresses:
        practice.pages[prefix + address] = desk.get(address)


def _take_in(
    practice: Practice, bucket: exports.Bucket, people: list[tuple[str, list[str]]], text: "itertools.cycle[str]"
) -> None:
    clinics = [(f"c{n}", next(text)[:100], next(text)[:100], "https://g.page/r/x/review") for n in range(CLINICS)]
    reports_ = [
        _upload(bucket, "settings/clinics.csv", ("clinic_id", "name", "phone", "review_links"), clinics),
        _upload(
            bucket,
            "incoming/patients.csv",
            ("patient_id", "first_name", "last_name", "phone", "tags", "email", "clinic_id", "language"),
            [
                (
                    *(patient_id, own[0], own[1], own[2], own[7].replace(";", "")[:150], f"{patient_id}@example.com"),
                    *(f"c{number % CLINICS}", ("en", "es")[number % 2]),
                )
                for number, (patient_id, own) in enumerate(people)
            ],
        ),
        _upload(
            bucket,
            "incoming/visits.csv",
            (
                *("visit_id", "patient_id", "case_id", "clinic_id", "clinic_name", "therapist_id", "therapist_name"),
                *("started_at", "kind", "status"),
            ),
            [
                (
                    *(f"v{number}", patient_id, f"case{number}", f"c{number % CLINICS}", own[4], f"t{number % 7}"),
                    *(own[5], "2026-03-02T12:00", "evaluation", "completed"),
                )
                for number, (patient_id, own) in enumerate(people)
            ],
        ),
    ]
    assert [report["status"] for report in reports_] == ["accepted"] * 3, reports_


def _upload(bucket: exports.Bucket, key: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    file = StringIO()
    writer = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow(head)
    writer.writerows(rows)
    exports.upload(bucket, key, file.getvalue().replace("\0", ""), MONDAY)  # rows with one are refused
    return exports.run(bucket, key)


def _send(practice: Practice, as_of: datetime) -> None:
    kept.forget()
    practice.runs.append(
        send_survey(
            {"time": format_instant(as_of)},
            FakeContext(f"run-{next(_runs)}"),
            mailer=practice.mailer,
            limits=lambda: Limits(rate=10_000, allowance=None),
            now=lambda: as_of,
        )
    )


def _read_links(practice: Practice) -> None:
    for mail in practice.mails:
        patient_id = mail.to[0].partition("@")[0]
        practice.links[patient_id] = mail.text.split(f"{PATIENTS}/s/")[1][:52]
        practice.unsubscribe[patient_id] = mail.text.split(f"{PATIENTS}/u/")[1][:52]


def _answer(practice: Practice, number: int, patient_id: str, comment: str) -> None:
    address, form = f"{PATIENTS}/s/{practice.links[patient_id]}", urlencode({"score": "eleven", "comment": comment})
    asked = gateway.ask("GET", address, {}, now=ANSWERED)
    refused = gateway.ask("POST", address, {}, form, now=ANSWERED)
    form = urlencode({"score": (2, 10, 8)[number % 3], "comment": comment})
    thanked = gateway.ask("POST", address, {}, form, now=ANSWERED)
    closed = gateway.ask("GET", address, {}, now=ANSWERED + 8 * DAY)
    assert (asked.status, refused.status, thanked.status, closed.status) == (200, 400, 200, 200)
    practice.pages |= {
        f"asked {patient_id}": asked,
        f"refused {patient_id}": refused,
        f"thanked {patient_id}": thanked,
        f"closed {patient_id}": closed,
    }


def _react(practice: Practice) -> None:
    sweep = {"time": format_instant(ANSWERED + HOUR)}
    alert_staff(sweep, FakeContext(), mailer=practice.mailer)
    request_review(sweep, FakeContext())
    moment = ANSWERED + 16 * HOUR
    send_digest({"time": format_instant(moment)}, FakeContext(), mailer=practice.mailer, now=lambda: moment)


def _work(practice: Practice, people: list[tuple[str, list[str]]]) -> None:
    """What the staff do, in words of others."""
    named = itertools.cycle(own[6] for _, own in people)
    for number, (patient_id, own) in enumerate(people):
        survey = practice.survey_of(patient_id)
        desk = somebody(Role.OWNER, name=next(named) or "-")
        desk.mailer = practice.mailer
        if number % 5 == 4:
            continue  # nobody finds the time, and the owner hears of it
        if number % 3 == 1:
            desk.post(f"/comments/{survey}/praise", {"version": 1})
        desk.post(f"/cases/{survey}/open")
        desk.post(f"/cases/{survey}/claim")
        note = {"note": own[4], "channel": "telephone", "result": "voicemail", "despite": "-", "version": 2}
        desk.post(f"/cases/{survey}/call", note)
        mail = {"subject": own[5] or "-", "text": own[6] or "-", "despite": own[7], "version": 3}
        practice.pages[f"written {patient_id}"] = desk.post(f"/cases/{survey}/write", mail)
        desk.post("/patient/correct", {"id": patient_id, "phone": own[2], "email": "x@example.com", "language": "en"})
        if number % 4 == 0:
            form = {"outcome": "resolved", "reason": "waiting", "closing_note": own[6], "version": 4}
            desk.post(f"/cases/{survey}/close", form)


def _late(practice: Practice) -> None:
    moment = MONDAY + 7 * DAY
    escalate({"time": format_instant(moment)}, FakeContext(), mailer=practice.mailer, now=lambda: moment)
    owner = Staff("user-1", "Olive Owens", "owner@riverside.example.com", Role.OWNER)
    assert reports.put_choice(ReportChoice(Every.WEEK, ("owner@riverside.example.com",)), owner, moment)
    send_report({"time": format_instant(moment)}, FakeContext(), mailer=practice.mailer, now=lambda: moment)


def _count(moment: datetime) -> None:
    count_scores({"time": format_instant(moment)}, FakeContext())


def tables() -> dict[str, list[Any]]:
    """Every item of every table."""
    client = boto3.client("dynamodb")
    names = client.list_tables()["TableNames"]
    return {name: sorted(client.scan(TableName=name)["Items"], key=repr) for name in names}


def quoted(text: str) -> str:
    """A text as a part of an address."""
    return quote(text, safe="", errors="replace")


Twin = Callable[[str], str]

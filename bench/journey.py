"""A survey's way, in calls and units

Every step that a survey takes through the functions, metered for twenty patients at once and divided by them. What a
file, a sending run and a night cost however little they find is told apart and taken off: it is paid by the clock and
not by the survey.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any
from urllib.parse import urlencode

import boto3

from bench import in_process
from bench.figure import Figure
from bench.units import Meter
from functions.aggregate_scores.handler import handler as aggregate_scores
from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.alerts.request_review.handler import handler as request_review
from functions.import_visits.handler import handler as import_visits
from functions.record_response.handler import handler as record_response
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.track_delivery.handler import handler as track_delivery
from shared.config import setting
from shared.domain.clock import format_instant
from shared.domain.identity import message_id
from shared.domain.message import MessageKind
from shared.mail.mailer import Mail
from shared.storage import messages
from tests.fakes import FakeContext, FakeMailer

PATIENTS = 20
VISIT = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)  # Monday, nine in the morning in New York
UPLOADED = datetime(2026, 3, 3, 2, 0, tzinfo=UTC)
SENT = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
OPENED = SENT + timedelta(hours=2)
INVITED = OPENED + timedelta(days=1, hours=1)
NIGHT = datetime(2026, 3, 4, 8, 15, tzinfo=UTC)
REMINDED = SENT + timedelta(days=3, hours=1)
DETRACTORS, PROMOTERS = (0, 1), range(2, 16)
_invocations = count()


@dataclass(frozen=True, slots=True)
class Step:
    """What one step took of the tables and of the mailer, for each of `times`, beside what its run costs anyhow."""

    name: str
    what: str
    times: int
    calls: float
    wru: float
    rru: float
    mails: float
    written: Mapping[str, float]  # WRU by request: "PutItem Messages"
    cpu: float  # seconds of this process, without the stand-in's; right only where nobody meters


def steps(meter: Meter) -> Iterator[Step]:
    """Walk twenty surveys from their file to the nightly counts; the tables must be empty."""
    mailer = FakeMailer()

    def step(name: str, what: str, times: int, work: Callable[[], object], run: Step | None = None) -> Step:
        meter.clear()
        before, began, away = len(mailer.sent), time.process_time(), in_process.seconds_away()
        work()
        cpu = time.process_time() - began - in_process.seconds_away() + away
        written: dict[str, float] = defaultdict(float)
        for request in meter.requests:
            written[request.name] += request.write / times
        return Step(
            name, what, times,
            calls=(meter.calls - (run.calls if run else 0)) / times,
            wru=(meter.wru - (run.wru if run else 0)) / times,
            rru=(meter.rru - (run.rru if run else 0)) / times,
            mails=(len(mailer.sent) - before) / times,
            written=written,
            cpu=(cpu - (run.cpu if run else 0)) / times,
        )  # fmt: skip

    people = [f"p{number},Ada,Okafor,p{number}@example.com,north" for number in range(PATIENTS)]
    visits = [
        f"v{number},p{number},c{number},north,2026-03-02T09:00,evaluation,completed" for number in range(PATIENTS)
    ]
    others = [f"w{number},p{number},c{number},north,2026-02-26T09:00,treatment,completed" for number in range(PATIENTS)]

    def imported(name: str, header: str, rows: list[str]) -> Callable[[], object]:
        return lambda: _import(name, "\n".join([header, *rows]))

    def at(moment: datetime) -> Callable[[], object]:
        return lambda: send(moment, mailer)

    columns = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status"
    yield (file := step("a file", "An export without a row.", 1, imported("empty.csv", columns, [])))
    send(SENT - timedelta(hours=13))  # from now on a warm function has read the settings
    yield (run := step("a sending run without work", "What every ten minutes cost.", 1, at(SENT - timedelta(hours=12))))
    count_night()  # the first one looks for what an earlier release has counted
    yield (night := step("a night without work", "What every night costs.", 1, count_night))
    yield step(
        "a patient", "A row of a patient whom nobody knows yet.", PATIENTS,
        imported("patients.csv", "patient_id,first_name,last_name,email,clinic_id", people), file,
    )  # fmt: skip
    yield step(
        "a visit", "A visit that nobody is asked about.", PATIENTS, imported("others.csv", columns, others), file
    )
    yield step("a touchpoint", "A visit with its survey and mail.", PATIENTS, imported("v.csv", columns, visits), file)
    yield step("a survey is sent", "Claimed, called, written down; its reminder made.", PATIENTS, at(SENT), run)
    left = list(enumerate(mailer.sent, start=1))
    for kind, what in (("Send", "SES took the mail."), ("Delivery", "The recipient's server took it.")):
        name = f"a {kind} event" if kind == "Send" else "a Delivery event of a survey"
        yield step(name, what, PATIENTS, partial(_each, _tell, [(kind, number, mail) for number, mail in left]))
    links = [mail.text.split("/s/")[1][:52].split()[0] for mail in mailer.sent]
    _show(links[-1])  # a warm function has read the settings
    yield step("a page is opened", "By a patient or by a scanner.", PATIENTS, lambda: _each(_show, zip(links)))
    scores = [3 if number in DETRACTORS else 10 for number in range(len(PROMOTERS) + len(DETRACTORS))]
    _answer(links[len(scores)], 9)
    kept_answers = list(zip(links, scores, strict=False))
    yield step(
        "an answer", "Score and comment, with what must follow.", len(scores),
        lambda: _each(_answer, kept_answers),
    )  # fmt: skip
    yield step(
        "an alert", "A detractor: case opened, staff told.", len(DETRACTORS),
        lambda: _react(alert_staff, ("alert", "alert review"), links, mailer=mailer),
    )  # fmt: skip
    yield step(
        "a review request is made", "A promoter: its mail is due a day later.", len(PROMOTERS) + 1,
        lambda: _react(request_review, ("review", "review digest"), links),
    )  # fmt: skip
    yield step(
        "a survey is counted", "The nightly run, after sending and answer.", PATIENTS, count_night, night,
    )  # fmt: skip
    yield step(
        "a review request is sent", "Like a survey.", len(PROMOTERS) + 1, at(OPENED + timedelta(days=1, hours=1))
    )
    answered = len(scores) + 1
    for link in links[answered:]:  # apart from the others, so that each of the two is metered by itself
        reminder = messages.get(message_id(link[:26], MessageKind.REMINDER))
        assert reminder
        messages.reschedule(replace(reminder, due_at=reminder.due_at + timedelta(days=1)))
    yield step("a reminder is settled", "Who has answered is not reminded.", answered, at(REMINDED), run)
    yield step("a reminder is sent", "Like a survey.", PATIENTS - answered, at(REMINDED + timedelta(days=1)), run)


def walk() -> dict[str, Step]:
    """Every step by name: metered once, and once more for its CPU time, since a meter takes some."""
    with in_process.stack() as meter:
        metered = list(steps(meter))
    with in_process.stack(is_metered=False) as meter:
        timed = {step.name: step.cpu for step in steps(meter)}
    return {step.name: replace(step, cpu=timed[step.name]) for step in metered}


def measure() -> list[Figure]:
    """Each step's calls and units, and those that have a target."""
    taken = walk()
    figures = [
        Figure(
            "an accepted answer: calls", "DynamoDB calls of one POST by a warm function.", taken["an answer"].calls,
            "calls", "count", target=1, too_much=2,
        ),
        Figure(
            "an accepted answer: WRU", "With the entries in the indexes of changed and of owed surveys.",
            taken["an answer"].wru, "WRU", "count", target=3, too_much=5,
        ),
        Figure(
            "one survey from intake to sent: WRU",
            "Survey and message made, claimed, sent and written down. Its visit is stored whether or not anybody is"
            " asked (1 WRU), its reminder's message is the reminder's (2 WRU), and the locks are the run's.",
            intake_to_sent(taken), "WRU", "count", target=18, too_much=24,
        ),
    ]  # fmt: skip
    for step in taken.values():
        mails = f", {step.mails:.2g} mails" if step.mails else ""
        note = f"{step.calls:.3g} calls, {step.rru:.3g} RRU, {step.cpu * 1000:.2g} ms of CPU{mails}."
        figures.append(Figure(step.name, step.what, step.wru, "WRU", "count", note=note))
    return figures


def intake_to_sent(taken: Mapping[str, Step]) -> float:
    """The WRU of one survey from its touchpoint until it is sent."""
    intake, sending = taken["a touchpoint"].written, taken["a survey is sent"].written
    others = {"PutItem Visits", "PutItem Messages"}  # of the visit, and of the reminder
    own = (wru for written in (intake, sending) for name, wru in written.items() if name not in others | _OF_THE_RUN)
    return round(intake["PutItem Messages"] + sum(own), 3)


_OF_THE_RUN = {"UpdateItem Settings", "DeleteItem Settings"}


def _import(name: str, content: str) -> None:
    s3, bucket, key = boto3.client("s3"), setting("INTAKE_BUCKET"), f"incoming/{name}"
    s3.put_object(Bucket=bucket, Key=key, Body=content.encode())
    created = {"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]}
    import_visits(created, FakeContext(f"import-{next(_invocations)}"), s3=s3, now=lambda: UPLOADED, workers=1)


def send(moment: datetime, mailer: FakeMailer | None = None) -> None:
    """One run of the sender."""
    send_survey(
        {"time": format_instant(moment)},
        FakeContext(f"run-{next(_invocations)}"),
        mailer=mailer or FakeMailer(),
        limits=lambda: Limits(rate=4000, allowance=None),
        now=lambda: moment,
    )


def count_night() -> None:
    """One nightly run."""
    aggregate_scores({"time": format_instant(NIGHT)}, FakeContext())


def _each(work: Callable[..., object], arguments: Iterable[tuple[Any, ...]]) -> None:
    for of_one in arguments:
        work(*of_one)


def _tell(kind: str, number: int, mail: Mail) -> None:
    """One event of SES, as the template's rule hands it on."""
    moment = format_instant(SENT + timedelta(minutes=1))
    tags = {name: mail.tags.get(name, "") for name in ("message_id", "survey_id", "recipient")}
    told = track_delivery(
        {"type": kind, "at": moment, "sent_at": moment, "ses_id": f"ses-{number}", **tags}, FakeContext()
    )
    assert told["known"]


def _show(link: str) -> None:
    event = {"httpMethod": "GET", "pathParameters": {"token": link}, "headers": {}, "body": None}
    shown = record_response({**event, "queryStringParameters": {"score": "9"}}, FakeContext(), now=lambda: OPENED)
    assert shown["statusCode"] == 200


def _answer(link: str, score: int) -> None:
    body = urlencode({"score": score, "comment": "She explained every exercise, and I can lift my son again."})
    event = {"httpMethod": "POST", "pathParameters": {"token": link}, "headers": {}, "body": body}
    assert record_response(event, FakeContext(), now=lambda: OPENED)["statusCode"] == 200


def _react(handler: Callable[..., Any], owed: tuple[str, ...], links: list[str], **collaborators: Any) -> None:
    """Hand the stream's records of those who are owed this to the function."""
    items = boto3.client("dynamodb").scan(TableName=setting("SURVEYS_TABLE"))["Items"]
    keys = [item["survey_id"] for item in items if item.get("pending_reaction", {"S": ""})["S"] in owed]
    records = [
        {"dynamodb": {"Keys": {"survey_id": key}, "SequenceNumber": str(number)}} for number, key in enumerate(keys)
    ]
    assert not handler({"Records": records}, FakeContext(), **collaborators)["batchItemFailures"]

"""Canary patients go through every path and every failure of it, and nothing that leaves says anything of them.

Allowed places: the tables, the intake bucket's objects, the mails to the patient and, where the practice chose so, the
alerts with full detail. Whatever else leaves is searched: what is printed (logs and metrics), what libraries log,
exceptions, tags of mails, payloads between functions, names of objects, reports, and mails to the staff.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import boto3
import pytest

from functions.aggregate_scores.handler import handler as aggregate_scores
from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.alerts.escalate_cases.handler import handler as escalate_cases
from functions.alerts.request_review.handler import handler as request_review
from functions.alerts.send_digest.handler import handler as send_digest
from functions.erase_patient.handler import handler as erase_patient
from functions.import_visits.handler import handler as import_visits
from functions.measure_worth.handler import handler as measure_worth
from functions.record_response.handler import handler as record_response
from functions.send_report.handler import handler as send_report
from functions.send_survey.handler import handler as send_survey
from functions.serve_dashboard.handler import handler as serve_dashboard
from functions.track_delivery.handler import handler as track_delivery
from functions.unsubscribe.handler import handler as unsubscribe
from local.template import load_template
from shared import hash_key
from shared.domain.clock import format_instant
from shared.domain.erasure import LONGEST_RUN
from shared.domain.staff import Role
from shared.storage import kept, patients, surveys
from tests.fakes import FakeContext
from tests.handlers.dashboard import signed_in
from tests.handlers.exports import Bucket, event
from tests.privacy import canary, life
from tests.privacy.canary import COMMENT, EMAIL, PATIENT_ID, THERAPIST, WORDS, has_none_of
from tests.privacy.outside import FAILURES, SES_FAILURES, Outside, watched

pytestmark = pytest.mark.usefixtures("aws")
VISITED = datetime(2026, 3, 2, 14, 0, tzinfo=UTC)  # Monday, nine in the morning in New York
DUE = VISITED + timedelta(hours=4)
TUESDAY = datetime(2026, 3, 3, 15, 0, tzinfo=UTC)
LOGS = {**WORDS, "therapist": THERAPIST}


@pytest.fixture
def outside(aws: None, capsys: pytest.CaptureFixture[str]) -> Iterator[Outside]:
    """Everything is watched, and at the end of each test it must have been clean."""
    wall.moment = DUE
    hash_key.hash_key()  # read when a process starts; what its failure says is a test of its own
    words = canary.Words({**WORDS, "therapist": THERAPIST})
    with watched(lambda: "".join(capsys.readouterr())) as outside:
        yield outside
    words.add_links(outside.texts())
    has_none_of(words.words, outside.seen)


class Wall:
    """The clock on the wall: every run is later than the locks of the one before."""

    def __init__(self) -> None:
        self.moment = DUE

    def now(self) -> datetime:
        return self.moment

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


wall = Wall()


def at(moment: datetime) -> dict[str, str]:
    return {"time": format_instant(moment)}


class Context(FakeContext):
    """A context that knows which function it is of."""

    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:this"


def context() -> Context:
    wall.sleep(17 * 60)
    return Context(f"request-{os.urandom(4).hex()}", seconds_left=900)


def upload(name: str, content: str) -> dict[str, Any]:
    s3 = boto3.client("s3")
    s3.put_object(Bucket=os.environ["INTAKE_BUCKET"], Key=name, Body=content.encode())
    return event(name)


def imported(happened: dict[str, Any]) -> Any:
    return import_visits(happened, context(), now=wall.now, sleep=wall.sleep, workers=1)


def put_in(outside: Outside, name: str, content: str) -> None:
    happened = upload(f"incoming/{name}", content)
    outside.run(name, lambda: imported(happened))


def sending(moment: datetime) -> Any:
    return send_survey(at(moment), context(), now=wall.now, most_at_once=1)


def asked(outside: Outside) -> str:
    """Import a visit, have its survey sent, and return the token of its link."""
    put_in(outside, "patients.csv", CSV_PATIENTS)
    put_in(outside, "visits.csv", CSV_VISITS)
    outside.run("send", lambda: sending(DUE))
    (token,) = {text.split("/s/")[1][:52] for text in outside.texts() if "/s/" in text}
    return token


def page(handler: Callable[..., Any], method: str, token: str, body: str | None = None, **query: str) -> Any:
    happened = {
        "httpMethod": method,
        "pathParameters": {"token": token},
        "headers": {"User-Agent": "Mozilla/5.0", "Referer": f"https://mail.example/?to={EMAIL}"},
        "queryStringParameters": query or None,
        "body": body,
    }
    return handler(happened, context(), now=lambda: TUESDAY)


def answered(outside: Outside, score: int = 2) -> str:
    token = asked(outside)
    outside.run("answer", lambda: page(record_response, "POST", token, f"score={score}&comment={COMMENT}"))
    survey = surveys.get(token[:26])
    assert survey
    assert survey.score == score
    return token


# ---- Intake

NAME = f"{canary.FIRST},{canary.LAST}"
CSV_PATIENTS = (
    "patient_id,first_name,last_name,email,phone,clinic_id,email_opt_out\n"
    f"{PATIENT_ID},{NAME},{EMAIL},{canary.PHONE},north,no\n"
    f"{PATIENT_ID}-2,{NAME},{EMAIL} or at home,{canary.PHONE},north,no\n"
    f"{PATIENT_ID}-3,{NAME},{EMAIL},{canary.PHONE},north,{COMMENT}\n"
    f",{NAME},{EMAIL},,north,no\n"
    f"{PATIENT_ID},{NAME}\n"
)
CSV_VISITS = (
    "visit_id,patient_id,case_id,clinic_id,started_at,kind,status,therapist_id,therapist_name\n"
    f"{canary.VISIT_ID}-1,{PATIENT_ID},{canary.CASE_ID},north,2026-03-02T09:00,evaluation,completed,t1,{THERAPIST}\n"
    f"{canary.VISIT_ID}-2,{PATIENT_ID},{canary.CASE_ID},north,{COMMENT},evaluation,completed,t1,{THERAPIST}\n"
    f"{canary.VISIT_ID}-3,{PATIENT_ID},{canary.CASE_ID},north,2026-03-02T09:00,{COMMENT},{EMAIL},t1,{THERAPIST}\n"
)
WEBPT_PATIENTS = (
    "PatientID,FirstName,LastName,Email,Cell Phone,ClinicID,Status,Export_Flag\n"
    f"{PATIENT_ID},{NAME},{EMAIL},{canary.PHONE},1,Active,1\n"
    f"{PATIENT_ID},{NAME},{EMAIL}!,{canary.PHONE},1,{COMMENT},{EMAIL}\n"
)
HL7 = (
    "MSH|^~\\&|EMR|North|CL|P|20260302090000||ADT^A04|1|P|2.5\r"
    f"EVN|A04|20260302090000\rPID|1||{PATIENT_ID}^^^^MR||{canary.LAST}^{canary.FIRST}|||||||"
    f"^NET^Internet^{EMAIL}~{canary.PHONE}\rPV1|1|O|^^^North||||t1^{THERAPIST}||||||||||||V1|||||||||||||||||||||||||"
    "20260302090000\r"
    "MSH|^~\\&|EMR|North|CL|P|20260302090000||ADT^A04|2|P|2.5\r"
    f"EVN|A04|{COMMENT}\rPID|1||||{canary.LAST}^{canary.FIRST}||{COMMENT}|||||^NET^Internet^{EMAIL} x\r"
    f"PV1|1|O|^^^North||||||||||||||||{canary.VISIT_ID}|||||||||||||||||||||||||{COMMENT}\r"
    f"MSH|^~\\&|EMR|North|CL|P|x||ADT^A40|3|P|2.5\rPID|1||{PATIENT_ID}\rMRG|{canary.RETIRED_ID}\r"
)
_PERSON = {
    "resourceType": "Patient",
    "id": PATIENT_ID,
    "name": [{"family": canary.LAST, "given": [canary.FIRST]}],
    "telecom": [{"system": "email", "value": EMAIL}, {"system": "phone", "value": canary.PHONE}],
}
_VISIT = {"resourceType": "Encounter", "id": canary.VISIT_ID}
_REPLACES = {"type": "replaces", "other": {"reference": f"Patient/{canary.RETIRED_ID}"}}
FHIR = "\n".join(
    [
        json.dumps(_PERSON),
        json.dumps({**_PERSON, "telecom": [{"system": "email", "value": f"{EMAIL} {COMMENT}"}]}),
        json.dumps({**_PERSON, "deceasedBoolean": COMMENT, "id": {"value": PATIENT_ID}}),
        json.dumps(
            {"resourceType": "Encounter", "id": canary.VISIT_ID, "status": COMMENT, "subject": {"reference": EMAIL}}
        ),
        json.dumps({**_PERSON, "link": [{"type": "replaces", "other": {"reference": f"Patient/{canary.RETIRED_ID}"}}]}),
        json.dumps({"resourceType": COMMENT, "id": EMAIL}),
        json.dumps(_PERSON)[:-9],
    ]
)
FILES = {
    "patients.csv": CSV_PATIENTS,
    "visits.csv": CSV_VISITS,
    "webpt.csv": WEBPT_PATIENTS,
    "adt.hl7": HL7,
    "fhir.ndjson": FHIR,
    "unknown.csv": f"{EMAIL},{COMMENT}\n{PATIENT_ID},{NAME}\n",
    "words.txt": f"{COMMENT} {EMAIL} {PATIENT_ID}\n",
    "broken.json": json.dumps(_PERSON)[:40],
}


@pytest.mark.parametrize("name", FILES)
def test_intake_says_nothing_of_whom_a_file_tells_whatever_is_refused(outside, name):
    happened = upload(f"incoming/{name}", FILES[name])
    outside.run(name, lambda: imported(happened))
    reports = [(where, text) for where, text in canary.objects() if where.startswith("object reports/")]
    assert len(reports) == 1
    has_none_of(LOGS, reports)


def test_intake_refused_rows_for_want_of_every_field(outside):
    """The files above do what they are for: each has rows that are refused."""
    for name, content in FILES.items():
        put_in(outside, name, content)
        report = json.loads(Bucket().read(f"reports/{name}.json"))
        assert report["errors"], name
    stored = patients.get(PATIENT_ID)
    assert stored
    assert stored.email == EMAIL


@pytest.mark.parametrize("name", ["patients.csv", "visits.csv", "adt.hl7", "fhir.ndjson"])
def test_intake_says_nothing_when_any_of_its_calls_fails(outside, name):
    happened = upload(f"incoming/{name}", FILES[name])
    assert outside.at_every_call(name, lambda: imported(happened)) > 5


def test_a_preview_and_an_import_in_parts_say_nothing(outside):
    happened = upload("preview/visits.csv", CSV_VISITS)
    outside.run("preview", lambda: imported(happened))
    short = context()
    short.seconds_left = 1
    happened = upload("incoming/visits.csv", CSV_VISITS)
    outside.run("in parts", lambda: import_visits(happened, short, now=wall.now, sleep=wall.sleep, workers=1))
    outside.run("sweep", lambda: imported(at(VISITED)))


# ---- Sending


@pytest.mark.parametrize("kind", SES_FAILURES)
def test_sending_says_nothing_when_the_provider_repeats_the_mail(outside, kind):
    put_in(outside, "patients.csv", CSV_PATIENTS)
    put_in(outside, "visits.csv", CSV_VISITS)
    outside.ses = SES_FAILURES[kind]
    outside.run(kind, lambda: sending(DUE))
    assert any("tags of a mail" in where for where, _ in outside.seen)
    outside.ses = None
    outside.run("again", lambda: sending(DUE + timedelta(minutes=10)))


def test_sending_says_nothing_when_any_of_its_calls_fails(outside):
    put_in(outside, "patients.csv", CSV_PATIENTS)
    put_in(outside, "visits.csv", CSV_VISITS)
    assert outside.at_every_call("send", lambda: sending(DUE)) > 5
    outside.run("remind", lambda: sending(DUE + timedelta(days=4)))


# ---- Answering


def test_the_patient_s_pages_say_nothing_whatever_is_sent(outside):
    token = asked(outside)
    for body in (f"score=4&comment={COMMENT}", f"score=11&comment={COMMENT}", f"comment={EMAIL}", EMAIL, "%ff" + EMAIL):
        for method in ("GET", "POST"):
            outside.run(
                f"{method} {len(body)}", lambda m=method, b=body: page(record_response, m, token, b, score=EMAIL)
            )
    for handler in (record_response, unsubscribe):
        for link in (token, token.upper(), token[:-1], EMAIL, PATIENT_ID):
            for method in ("GET", "POST"):
                outside.run("pages", lambda h=handler, m=method, link=link: page(h, m, link, COMMENT))
    patient = patients.get(PATIENT_ID)
    assert patient
    assert patient.opted_out


def test_the_patient_s_pages_say_nothing_when_any_of_their_calls_fails(outside):
    token = asked(outside)
    form = f"score=4&comment={COMMENT}"
    for handler, body in ((record_response, form), (unsubscribe, "")):
        assert outside.at_every_call("show", lambda h=handler: page(h, "GET", token)) > 0
        assert outside.at_every_call("post", lambda h=handler, b=body: page(h, "POST", token, b)) > 0


# ---- What the staff are told


def staff_runs() -> dict[str, Callable[[], Any]]:
    evening, morning = TUESDAY + timedelta(hours=1), TUESDAY + timedelta(days=1)
    late, monday = TUESDAY + timedelta(days=6), datetime(2026, 4, 1, 15, 0, tzinfo=UTC)
    return {
        "alert": lambda: alert_staff(at(evening), context()),
        "request a review": lambda: request_review(at(evening), context()),
        "send the review request": lambda: sending(TUESDAY + timedelta(days=2)),
        "digest": lambda: send_digest(at(morning), context(), now=wall.now),
        "count": lambda: aggregate_scores(at(morning), context()),
        "escalate": lambda: escalate_cases(at(late), context(), now=wall.now),
        "worth": lambda: measure_worth({**at(late), "always": True}, context(), now=wall.now),
        "report": lambda: send_report(at(monday), context(), now=wall.now),
    }


@pytest.mark.parametrize("score", [2, 8, 10])
def test_minimal_mail_to_the_staff_names_nobody_and_repeats_nothing(outside, choose, score):
    choose(PASSIVE_ALERTS="immediate", CASES_FOR_PASSIVES="true")
    answered(outside, score)
    for name, run in staff_runs().items():
        outside.run(name, run)
    assert bool(outside.staff_mails()) is (score < 9)
    has_none_of(LOGS, outside.staff_mails())


def test_full_mail_to_the_staff_says_who_and_what_and_the_logs_do_not(outside, choose):
    choose(ALERT_DETAIL="full")
    answered(outside)
    outside.run("alert", staff_runs()["alert"])
    told = json.dumps(outside.staff_mails(), ensure_ascii=False)
    assert COMMENT in told
    assert canary.LAST in told


@pytest.mark.parametrize("kind", SES_FAILURES)
def test_an_alert_that_cannot_be_sent_says_nothing(outside, choose, kind):
    choose(ALERT_DETAIL="full")
    answered(outside)
    outside.ses = SES_FAILURES[kind]
    for name in ("alert", "digest", "escalate"):
        outside.run(f"{name} ({kind})", staff_runs()[name])


@pytest.mark.parametrize("score", [2, 10])
def test_reactions_say_nothing_when_any_of_their_calls_fails(outside, choose, score):
    choose(ALERT_DETAIL="full", PASSIVE_ALERTS="immediate")
    answered(outside, score)
    for name in ("alert", "request a review", "digest", "count", "escalate"):
        outside.at_every_call(name, staff_runs()[name])


def test_a_stream_s_record_with_the_answer_in_it_is_not_repeated(outside):
    token = answered(outside)
    image = {"survey_id": {"S": token[:26]}, "comment": {"S": COMMENT}, "patient_id": {"S": PATIENT_ID}}
    record = {"dynamodb": {"Keys": {"survey_id": image["survey_id"]}, "NewImage": image, "SequenceNumber": "1"}}
    poison = {"dynamodb": {"Keys": {"survey_id": {"N": EMAIL}}, "NewImage": image}}
    for handler in (alert_staff, request_review):
        for records in ([record], [record, poison], [poison]):
            outside.run("stream", lambda h=handler, r=records: h({"Records": r}, context()))


# ---- What the mail provider tells

RULE = load_template()["Resources"]["MailEventsRule"]["Properties"]["Targets"][0]["InputTransformer"]


def ses_event(kind: str, token: str) -> dict[str, Any]:
    """An event as SES makes it: with the recipient, the subject and every header of the mail."""
    survey = token[:26]
    recipients = [{"emailAddress": EMAIL, "status": "5.1.1", "diagnosticCode": f"smtp; 550 <{EMAIL}> unknown"}]
    mail = {
        "timestamp": "2026-03-02T18:00:00.000Z",
        "messageId": "ses-1",
        "destination": [EMAIL],
        "headers": [{"name": "List-Unsubscribe", "value": f"<https://care.example.com/u/{token}>"}],
        "commonHeaders": {"to": [f"{canary.FIRST} {canary.LAST} <{EMAIL}>"], "subject": COMMENT},
        "tags": {"message_id": [f"{survey}-survey"], "survey_id": [survey], "recipient": ["a" * 26]},
    }
    detail = {
        "eventType": kind,
        "mail": mail,
        "bounce": {"bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": recipients},
        "complaint": {"complainedRecipients": recipients, "complaintFeedbackType": "abuse"},
        "delivery": {"recipients": [EMAIL], "smtpResponse": f"250 {EMAIL}"},
        "failure": {"errorMessage": EMAIL},
    }
    return {"time": "2026-03-02T18:00:05Z", "source": "aws.ses", "detail": detail}


def passed_on(happened: dict[str, Any]) -> dict[str, Any]:
    """What the template's rule makes of it."""
    text = RULE["InputTemplate"]
    for name, path in RULE["InputPathsMap"].items():
        value: Any = happened
        for step in path.removeprefix("$.").replace("[0]", ".0").split("."):
            value = value[int(step)] if step.isdigit() else value.get(step, {})
        text = text.replace(f"<{name}>", value if isinstance(value, str) else "")
    passed: dict[str, Any] = json.loads(text)
    return passed


KINDS = ("Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject", "Rendering Failure")


@pytest.mark.parametrize("kind", KINDS)
def test_of_the_provider_s_events_only_ids_are_passed_on_and_nothing_is_said_of_any(outside, kind):
    token = asked(outside)
    full = ses_event(kind, token)
    kept_of_it = passed_on(full)
    assert kept_of_it["message_id"] == f"{token[:26]}-survey"
    outside.seen.append(("the rule's output", json.dumps(kept_of_it)))
    outside.run(kind, lambda: track_delivery(kept_of_it, context(), now=lambda: TUESDAY))
    outside.at_every_call(kind, lambda: track_delivery(kept_of_it, context(), now=lambda: TUESDAY))
    for wrong in (full, full["detail"], {**kept_of_it, "at": EMAIL}, {**kept_of_it, "type": COMMENT, "ses_id": EMAIL}):
        outside.run(f"{kind}, not as the rule makes it", lambda w=wrong: track_delivery(w, context()))


# ---- The dashboard


def dashboard_requests(token: str) -> list[tuple[str, str, dict[str, str] | None]]:
    survey, patient = token[:26], f"/patient?id={PATIENT_ID}"
    words = {"id": PATIENT_ID, "email": EMAIL, "phone": canary.PHONE, "language": "en", "note": COMMENT}
    steps = ("hold", "release", "correct", "opt-out", "opt-in", "erase", EMAIL)
    case_steps = ("claim", "write", "call", "reply", "close", COMMENT)
    unknown = (f"/patient?id={EMAIL}", f"/{EMAIL}", f"/cases/{EMAIL}?x={COMMENT}")
    return [
        *(("GET", address, None) for address in ("/", "/comments", "/cases", "/worth", "/share", "/settings")),
        *(("GET", f"/patients?name={typed}", None) for typed in (canary.FIRST, canary.LAST, PATIENT_ID, EMAIL)),
        *(("GET", address, None) for address in (patient, f"{patient}&readings=yes", f"/cases/{survey}")),
        *(("GET", address, None) for address in ("/export/answers.csv", "/export/scores.csv", "/api/v1/cases")),
        *(("GET", f"/patient/{step}?id={PATIENT_ID}", None) for step in ("export", "erase")),
        *(("GET", address, None) for address in unknown),
        *(("POST", f"/patient/{step}", words) for step in steps),
        *(("POST", f"/cases/{survey}/{step}", words) for step in case_steps),
        ("POST", f"/comments/{survey}/praise", words),
    ]


def test_the_dashboard_says_nothing_of_what_its_pages_show_whatever_is_asked(outside):
    token = answered(outside)
    for name in ("alert", "count"):
        outside.run(name, staff_runs()[name])
    for client in (signed_in(Role.OWNER, now=TUESDAY), signed_in(Role.CLINIC_ADMIN, "south", now=TUESDAY)):
        for method, address, form in dashboard_requests(token):
            act = partial(client.get, address) if method == "GET" else partial(client.post, address, form)
            outside.run(f"{method} {address[:9]}", act)


def test_the_dashboard_says_nothing_when_any_of_its_calls_fails(outside):
    token = answered(outside)
    for name in ("alert", "count"):
        outside.run(name, staff_runs()[name])
    olive = signed_in(Role.OWNER, now=TUESDAY)
    for address in (f"/patient?id={PATIENT_ID}", f"/patients?name={canary.LAST}", f"/cases/{token[:26]}", "/comments"):
        assert outside.at_every_call(address[:8], lambda a=address: olive.get(a)) > 2
    form = {"id": PATIENT_ID, "email": EMAIL, "phone": "", "language": "en", "number": PATIENT_ID, "why": "patient"}
    for step in ("hold", "correct", "erase"):
        assert outside.at_every_call(step, lambda s=step: olive.post(f"/patient/{s}", form)) > 2


def test_an_event_that_is_none_of_the_gateway_s_is_not_repeated(outside):
    for handler in (serve_dashboard, record_response, unsubscribe, import_visits, erase_patient, track_delivery):
        for happened in ({"body": EMAIL}, {"Records": [{"s3": EMAIL}]}, {"time": EMAIL}, {"erase": PATIENT_ID}):
            outside.run("what is that", lambda h=handler, e=happened: h(e, context()))
    for handler in (
        send_survey,
        alert_staff,
        request_review,
        send_digest,
        aggregate_scores,
        measure_worth,
        send_report,
    ):
        outside.run("what is that", lambda h=handler: h({"time": EMAIL, "note": COMMENT}, context()))


# ---- Erasing


def test_erasing_says_nothing_of_whom_it_erases_whatever_fails(outside):
    answered(outside)
    boto3.client("s3").put_bucket_versioning(
        Bucket=os.environ["INTAKE_BUCKET"], VersioningConfiguration={"Status": "Enabled"}
    )
    olive = signed_in(Role.OWNER, now=TUESDAY)
    form = {"id": PATIENT_ID, "number": PATIENT_ID, "why": "patient"}
    outside.run("ask", lambda: olive.post("/patient/erase", form))
    assert any("lambda Invoke" in where for where, _ in outside.seen)
    calls = outside.at_every_call("erase", lambda: erase_patient(at(TUESDAY), context(), now=lambda: TUESDAY))
    assert calls > 10
    later = TUESDAY + LONGEST_RUN
    outside.run("last look", lambda: erase_patient(at(later), context(), now=lambda: later))
    outside.run("again", lambda: erase_patient({"again": True}, context(), now=lambda: later))
    happened = upload("incoming/again.csv", CSV_PATIENTS)
    outside.run("import", lambda: imported(happened))
    has_none_of(life.IDS_OF_PATIENT, [each for each in canary.tables() if PATIENT_ID + "-" not in each[1]])


# ---- What a process needs to start


@pytest.mark.parametrize("missing", ["PRACTICE_NAME", "HASH_KEY_SECRET", "PATIENTS_TABLE", "SEND_FROM", "PUBLIC_URL"])
def test_a_missing_or_malformed_setting_names_itself_and_nobody(outside, monkeypatch, choose, missing):
    token = answered(outside)
    for act in (lambda: monkeypatch.delenv(missing), lambda: monkeypatch.setenv(missing, "quite wrong")):
        act()
        choose()
        kept.forget()
        hash_key.hash_key.cache_clear()
        for name, run in staff_runs().items():
            outside.run(f"{name} without {missing}", run)
        outside.run("answer", lambda: page(record_response, "POST", token, f"score=3&comment={COMMENT}"))


@pytest.mark.parametrize("kind", FAILURES)
def test_secrets_keys_and_tables_that_cannot_be_had_are_told_without_words(outside, kind):
    token = asked(outside)
    for service in ("secretsmanager", "dynamodb"):
        hash_key.hash_key.cache_clear()
        kept.forget()
        outside.broken = {service: FAILURES[kind]}
        outside.run("send", lambda: sending(DUE + timedelta(days=4)))
        outside.run("answer", lambda: page(record_response, "POST", token, f"score=3&comment={COMMENT}"))
        outside.run("alert", staff_runs()["alert"])
    outside.broken = {}

"""A canary patient on the deployed stack: no log and no queue says anything of them, and erased they are gone."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.mail_events import configuration_set, ses_event, tell
from local.template import ROOT
from shared.domain.clock import format_instant
from shared.domain.staff import Role
from tests.integration.practice import Mail, Person, Practice, at, evaluation, eventually, table
from tests.integration.staff import HttpBrowser, somebody
from tests.privacy import canary
from tests.privacy.canary import COMMENT, EMAIL, PATIENT_ID, WORDS, has_none_of

FUNCTIONS = (
    *("AlertStaffFunction", "RequestReviewFunction", "SendDigestFunction", "EscalateCasesFunction"),
    *("AggregateScoresFunction", "MeasureWorthFunction", "SendReportFunction", "ErasePatientFunction"),
)
ROW = {
    "patient_id": PATIENT_ID,
    "first_name": canary.FIRST,
    "last_name": canary.LAST,
    "email": EMAIL,
    "phone": canary.PHONE,
    "clinic_id": "north",
}
PERSON = Person(PATIENT_ID, canary.FIRST, EMAIL, ROW)
VISIT = {"visit_id": f"{canary.VISIT_ID}-1", "case_id": canary.CASE_ID, "therapist_name": canary.THERAPIST}


@pytest.fixture(scope="module")
def owner(practice: Practice) -> HttpBrowser:
    browser = HttpBrowser(practice.stack)
    browser.sign_in(somebody(practice.stack, Role.OWNER))
    return browser


@pytest.fixture(scope="module")
def mail(practice: Practice, owner: HttpBrowser) -> Mail:
    """Everything happens to the patient, well and badly."""
    practice.export([PERSON])
    for name, rows in (
        ("bad.csv", [{**ROW, "email": f"{EMAIL} {COMMENT}"}, {**ROW, "patient_id": ""}]),
        ("bad-visits.csv", [{**evaluation(PERSON, at("2026-03-02")), **VISIT, "started_at": COMMENT}]),
    ):
        assert practice.upload(table(rows), name)["refused"] == len(rows)
    practice.put(f"{EMAIL},{COMMENT}\n{PATIENT_ID},{canary.LAST}\n", "unknown.csv")
    practice.export([], [{**evaluation(PERSON, at("2026-03-02")), **VISIT}])
    practice.send(at("2026-03-02", "16:00"))
    mail = practice.mail(PERSON)
    for path in (f"/s/{EMAIL}", f"/s/{mail.token}?score={EMAIL}", f"/u/{mail.token}", f"/s/{mail.token[:-1]}"):
        practice.get(path)
    for form in ({"score": COMMENT, "comment": EMAIL}, {"score": "3", "comment": COMMENT}):
        practice.post(f"/s/{mail.token}", form)
    practice.rest()
    _tell_of_it(practice, mail)
    for function in FUNCTIONS:
        practice.run(function, datetime.now(UTC) + timedelta(days=1))
    for function in FUNCTIONS:  # what is not an event of theirs
        practice.client("lambda").invoke(
            FunctionName=practice.stack.functions[function], Payload=json.dumps({"time": EMAIL, "note": COMMENT})
        )
    survey = mail.token[:26]
    for address in (f"/patient?id={PATIENT_ID}", f"/patients?name={canary.FIRST}", f"/cases/{survey}", f"/{EMAIL}"):
        owner.get(address)
    owner.post(f"/cases/{survey}/claim", {})
    owner.post(f"/cases/{survey}/write", {"note": canary.NOTE, "subject": COMMENT, "body": EMAIL})
    practice.post(f"/u/{mail.token}", {"confirm": "yes"})
    return mail


def _tell_of_it(practice: Practice, mail: Mail) -> None:
    """The mail provider's events, as they are with everything in them."""
    survey = mail.token[:26]
    [message] = [item for item in practice.items("MessagesTable") if item["message_id"] == f"{survey}-survey"]
    tags = {"message_id": message["message_id"], "survey_id": survey, "recipient": "a" * 26}
    now, name = datetime.now(UTC), configuration_set(practice.stack)
    for kind in ("Delivery", "Bounce", "Complaint"):
        event = ses_event(kind, tags, at=now, to=EMAIL, ses_id=message["ses_id"], configuration_set=name)
        tell(practice.stack, event, now)
    eventually(lambda: sum("mail_tracked" in text for _, text in logged(practice)) >= 3, "the events are tracked")


def logged(practice: Practice) -> Iterator[tuple[str, str]]:
    logs = practice.client("logs")
    for groups in logs.get_paginator("describe_log_groups").paginate():
        for group in groups["logGroups"]:
            name = group["logGroupName"]
            for found in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                yield from ((name, f"{event['logStreamName']} {event['message']}") for event in found["events"])


def queued(practice: Practice) -> Iterator[tuple[str, str]]:
    queues = practice.client("sqs")
    for url in queues.list_queues().get("QueueUrls", ()):
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 60}
        while found := queues.receive_message(**asked).get("Messages"):
            yield from ((url, json.dumps(message)) for message in found)


def words_of(mail: Mail) -> dict[str, str]:
    words = canary.Words({**WORDS, "therapist": canary.THERAPIST})
    words.add_links([mail.text])
    return words.words


def test_no_log_group_and_no_queue_says_anything_of_the_patient(practice: Practice, mail: Mail) -> None:
    told = list(logged(practice))
    assert any("staff_alerted" in text for _, text in told)
    assert any("handler_failed" in text for _, text in told)
    has_none_of(words_of(mail), told)
    has_none_of(words_of(mail), queued(practice))


def test_the_command_takes_everything_along(practice: Practice, mail: Mail, tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps(asdict(practice.stack)))
    run = "import sys; from pathlib import Path; from local import patient; patient.STATE = Path(sys.argv.pop(1));"
    command = [sys.executable, "-c", f"{run} sys.exit(patient.main())", str(tmp_path), PATIENT_ID]
    made = subprocess.run([*command, "--export", str(tmp_path / "all.json")], cwd=ROOT, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "all.json").read_text()
    wanted = {EMAIL, COMMENT, canary.LAST, f"{canary.VISIT_ID}-1"}
    assert {word for word in wanted if word not in text} == set()


def test_erased_the_patient_is_nowhere_and_does_not_come_back(
    practice: Practice, mail: Mail, owner: HttpBrowser
) -> None:
    assert COMMENT in owner.get(f"/patient/export?id={PATIENT_ID}").body
    answer = owner.post("/patient/erase", {"id": PATIENT_ID, "number": PATIENT_ID, "why": "patient"})
    assert answer.status == 303, answer.body
    reference = answer.location.rpartition("/")[2]
    eventually(lambda: "Visits and courses of care" in owner.get(answer.location).body, "the erasing has begun")
    eventually(lambda: not _in_tables(practice, EMAIL), "the rows are gone")
    practice.run("ErasePatientFunction", datetime.now(UTC))
    _let_time_pass(practice, reference)
    last = practice.run("ErasePatientFunction", datetime.now(UTC))
    page = owner.get(answer.location).body
    assert (last["erased"], last["failed"]) == (1, 0), page  # another test's patient may be on the way
    assert "Nothing is left of the patient" in page
    words = {**WORDS, "survey": mail.token[:26]}
    has_none_of(words, _rows(practice))
    has_none_of(words, _objects(practice))
    report = practice.upload(table([ROW]), "back.csv")
    assert (report["refused"], report["errors"][0]["reason"]) == (1, "erased on request")
    has_none_of(words, _rows(practice))
    assert practice.get(f"/s/{mail.token}").status == 404
    has_none_of(words_of(mail), logged(practice))
    has_none_of(words_of(mail), queued(practice))


def _let_time_pass(practice: Practice, reference: str) -> None:
    """Written into the table, since nobody waits for the last look here."""
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["PatientsTable"],
        Key={"patient_id": {"S": f"erased#{reference}"}},
        UpdateExpression="SET found_at = :before",
        ExpressionAttributeValues={":before": {"S": format_instant(datetime.now(UTC) - timedelta(hours=1))}},
    )


def _rows(practice: Practice) -> list[tuple[str, str]]:
    return [(name, row) for name, rows in practice.dump().items() for row in rows]


def _in_tables(practice: Practice, word: str) -> bool:
    return any(word in row for name, row in _rows(practice) if '"traces"' not in row)


def _objects(practice: Practice) -> list[tuple[str, str]]:
    s3, found = practice.client("s3"), list[tuple[str, str]]()
    versions: list[Any] = s3.list_object_versions(Bucket=practice.bucket).get("Versions", [])
    for version in versions:
        body = s3.get_object(Bucket=practice.bucket, Key=version["Key"], VersionId=version["VersionId"])["Body"].read()
        found.append((version["Key"], version["Key"] + " " + body.decode("utf-8", "replace")))
    return found

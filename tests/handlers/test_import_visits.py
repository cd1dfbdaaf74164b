"""Files in, patients, visits, surveys and messages out: each row once, whatever happens on the way."""

import itertools
import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus

import boto3
import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.import_visits import importing
from functions.import_visits.handler import handler
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.observability import HandlerFailed
from shared.storage import messages, models, patients, surveys, visits
from shared.storage import settings as stored_settings

pytestmark = pytest.mark.usefixtures("aws")

FIRST_UPLOAD = datetime(2026, 3, 20, 3, 0, tzinfo=UTC)
PATIENTS = "patient_id,first_name,last_name,email,clinic_id"
VISITS = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status"
WRITES = {"PutItem", "UpdateItem", "TransactWriteItems", "BatchWriteItem", "PutObject"}


class Bucket:
    """The intake bucket on moto, except that a test says when each object was uploaded."""

    def __init__(self) -> None:
        self.s3 = boto3.client("s3")
        self.exceptions = self.s3.exceptions
        self.uploaded: dict[str, datetime] = {}

    def get_object(self, **request: Any) -> Any:
        found = self.s3.get_object(**request)
        return {**found, "LastModified": self.uploaded[request["Key"]]}

    def put_object(self, **request: Any) -> Any:
        return self.s3.put_object(**request)

    def delete_object(self, **request: Any) -> Any:
        return self.s3.delete_object(**request)

    def read(self, key: str) -> bytes:
        found: bytes = self.s3.get_object(Bucket=os.environ["INTAKE_BUCKET"], Key=key)["Body"].read()
        return found

    def keys(self) -> list[str]:
        listed = self.s3.list_objects_v2(Bucket=os.environ["INTAKE_BUCKET"])
        return [item["Key"] for item in listed.get("Contents", ())]


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


def event(key: str) -> dict[str, Any]:
    return {"Records": [{"s3": {"bucket": {"name": os.environ["INTAKE_BUCKET"]}, "object": {"key": quote_plus(key)}}}]}


def upload(bucket: Bucket, key: str, content: str | bytes, at: datetime = FIRST_UPLOAD) -> None:
    bucket.uploaded[key] = at
    body = content.encode() if isinstance(content, str) else content
    bucket.s3.put_object(Bucket=os.environ["INTAKE_BUCKET"], Key=key, Body=body)


def run(bucket: Bucket, key: str) -> dict[str, Any]:
    """Deliver the event of the object, and return the report."""
    summary = handler(event(key), None, s3=bucket, now=lambda: FIRST_UPLOAD, workers=1)["files"]
    assert len(summary) == 1
    report: dict[str, Any] = json.loads(bucket.read(f"reports/{key.removeprefix('incoming/')}.json"))
    assert summary[0] == {name: report[name] for name in summary[0]}
    assert report["rows"] == sum(report[name] for name in ("created", "updated", "unchanged", "refused"))
    return report


def send(bucket: Bucket, content: str | bytes, name: str = "file.csv", days: int = 0) -> dict[str, Any]:
    """Upload a file some days after the first, and import it."""
    upload(bucket, f"incoming/{name}", content, FIRST_UPLOAD + timedelta(days=days))
    return run(bucket, f"incoming/{name}")


def counts(report: dict[str, Any]) -> tuple[int, int, int, int]:
    return report["created"], report["updated"], report["unchanged"], report["refused"]


def visit(number: int, day: int, kind: str = "treatment", status: str = "completed", case: str = "c1") -> str:
    return f"v{number},p1,{case},north,2026-03-{day:02}T09:00,{kind},{status}"


def file_of(*rows: str, header: str = VISITS) -> str:
    return "\n".join([header, *rows]) + "\n"


COURSE = file_of(
    visit(1, 2, "evaluation"), *(visit(number, number + 1) for number in range(2, 8)), visit(8, 12, "discharge")
)


def dump() -> dict[str, list[Any]]:
    """Every table, whole."""
    tables = boto3.client("dynamodb")
    names = [model.Meta.table_name for model in (models.PatientItem, models.VisitItem, models.SurveyItem)]
    names += [model.Meta.table_name for model in (models.MessageItem, models.SettingsItem)]
    return {name: sorted(tables.scan(TableName=name)["Items"], key=json.dumps) for name in names}


def surveys_of(patient_id: str = "p1") -> dict[str, Survey]:
    return {survey.touchpoint: survey for survey in surveys.of_patient(patient_id)}


def message_of(survey: Survey) -> Message:
    found = messages.get(f"{survey.survey_id}-{MessageKind.SURVEY}")
    assert found is not None
    return found


def due(patient_id: str = "p1") -> dict[str, datetime]:
    """What the patient is still to be asked, and when."""
    waiting = messages.due_until(datetime(2100, 1, 1, tzinfo=UTC))
    return {message.touchpoint: message.due_at for message in waiting if message.patient_id == patient_id}


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 3, day, hour, tzinfo=UTC)


# What a file leads to.


def test_a_course_of_care_leads_to_a_survey_and_a_message_for_each_touchpoint(bucket):
    report = send(bucket, COURSE)
    assert (report["status"], report["kind"], report["rows"], counts(report)) == ("accepted", "visits", 8, (8, 0, 0, 0))
    assert report["errors"] == []
    # Visits are at 9 in New York; the surveys are due three hours after they start. Clocks change on 8 March.
    assert due() == {"evaluation": at(2, 17), "visit:6": at(7, 17), "discharge": at(12, 16)}
    assert {name: survey.visit_id for name, survey in surveys_of().items()} == {
        "evaluation": "v1",
        "visit:6": "v6",
        "discharge": "v8",
    }
    for survey in surveys_of().values():
        message = message_of(survey)
        assert (message.state, message.occurred_at, message.due_at) == ("due", survey.occurred_at, survey.due_at)


def test_survey_ids_give_no_record_number_away_and_do_not_depend_on_the_file(bucket):
    send(bucket, COURSE, "a.csv")
    ids = {survey.survey_id for survey in surveys_of().values()}
    send(bucket, COURSE, "b.csv", days=1)
    assert ids == {survey.survey_id for survey in surveys_of().values()}
    assert all(len(survey_id) == 26 and "p1" not in survey_id for survey_id in ids)


def test_patients_are_stored_as_the_records_have_them(bucket):
    header = f"{PATIENTS},phone,language,status,email_opt_out,tags,updated_at"
    report = send(bucket, file_of("p1,Ada,Okafor,a@x.org,north,555,es,active,no,knee;vip,2026-03-01", header=header))
    assert (report["kind"], counts(report)) == ("patients", (1, 0, 0, 0))
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.first_name, stored.email, stored.language, stored.tags) == ("Ada", "a@x.org", "es", ("knee", "vip"))


def test_a_survey_made_before_its_patient_is_known_is_the_same_survey(bucket):
    send(bucket, COURSE)
    before = dump()
    send(bucket, file_of("p1,Ada,Okafor,a@x.org,north", header=PATIENTS), "patients.csv")
    after = dump()
    assert len(after.pop("Patients")) == 1
    assert {**after, "Patients": []} == before


def test_the_practice_chooses_the_touchpoints(bucket, choose):
    choose(TOUCHPOINTS="visit:2,days_after_discharge:7,lapsed:30", SURVEY_DELAY_HOURS="0")
    send(bucket, COURSE)
    assert due() == {"visit:2": at(3, 14), "days_after_discharge:7": at(19, 13)}


def test_clinics_are_stored_and_used(bucket):
    upload(bucket, "settings/clinics.csv", "clinic_id,name,time_zone\nnorth,North,America/Phoenix\n")
    report = run(bucket, "settings/clinics.csv")
    assert (report["kind"], counts(report)) == ("clinics", (1, 0, 0, 0))
    send(bucket, file_of(visit(1, 2, "evaluation")))
    assert due() == {"evaluation": at(2, 19)}  # 9 in Phoenix is 16 UTC


def test_what_is_set_for_a_clinic_is_not_rolled_back_by_an_older_file(bucket):
    upload(bucket, "settings/old.csv", "clinic_id,name\nnorth,Old\n")
    upload(bucket, "settings/new.csv", "clinic_id,name\nnorth,New\n", FIRST_UPLOAD + timedelta(days=1))
    assert counts(run(bucket, "settings/new.csv")) == (1, 0, 0, 0)
    assert counts(run(bucket, "settings/old.csv")) == (0, 0, 1, 0)
    assert counts(run(bucket, "settings/new.csv")) == (0, 0, 1, 0)
    assert stored_settings.load_clinic("north").name == "New"


# The same again, and older.


@pytest.mark.parametrize("days", [0, 1])
def test_the_same_file_again_changes_nothing(bucket, days):
    people = file_of("p1,Ada,Okafor,a@x.org,north", "p2,Bo,Lee,,north", header=PATIENTS)
    send(bucket, people, "patients.csv")
    send(bucket, COURSE, "visits.csv")
    before = dump()
    assert counts(send(bucket, people, "patients.csv", days)) == (0, 0, 2, 0)
    assert counts(send(bucket, COURSE, "visits.csv", days)) == (0, 0, 8, 0)
    assert dump() == before


def test_an_older_file_last_changes_nothing(bucket):
    send(bucket, file_of(visit(1, 2, "evaluation", "scheduled")), "old.csv")
    send(bucket, file_of("p1,Old,Name,old@x.org,north", header=PATIENTS), "old-patients.csv")
    send(bucket, file_of(visit(1, 3, "evaluation")), "new.csv", days=1)
    send(bucket, file_of("p1,New,Name,new@x.org,north", header=PATIENTS), "new-patients.csv", days=1)
    before = dump()
    assert counts(run(bucket, "incoming/old.csv")) == (0, 0, 1, 0)
    assert counts(run(bucket, "incoming/old-patients.csv")) == (0, 0, 1, 0)
    assert dump() == before


def test_the_records_own_time_counts_before_the_time_of_upload(bucket):
    header = f"{PATIENTS},updated_at"
    send(bucket, file_of("p1,New,Name,,north,2026-03-05T10:00", header=header), "new.csv")
    assert counts(send(bucket, file_of("p1,Old,Name,,north,2026-03-04T10:00", header=header), "old.csv", days=1)) == (
        0,
        0,
        1,
        0,
    )
    stored = patients.get("p1")
    assert stored is not None
    assert stored.first_name == "New"


def test_rows_twice_in_a_file_are_each_counted_and_the_last_wins(bucket):
    content = file_of("p1,A,B,,north", "p1,A,B,,north", "p1,A,C,,north", header=PATIENTS)
    assert counts(send(bucket, content)) == (1, 1, 1, 0)
    stored = patients.get("p1")
    assert stored is not None
    assert stored.last_name == "C"
    before = dump()
    assert counts(send(bucket, content, days=1)) == (0, 0, 3, 0)
    assert dump() == before


def test_batches_are_one_file(bucket, monkeypatch):
    monkeypatch.setattr(importing, "BATCH_ROWS", 3)
    assert counts(send(bucket, COURSE)) == (8, 0, 0, 0)
    assert set(due()) == {"evaluation", "visit:6", "discharge"}


# What the records may change, and what they may not.


def test_an_opt_out_is_set_and_never_cleared(bucket):
    header = f"{PATIENTS},email_opt_out"
    send(bucket, file_of("p1,A,B,a@x.org,north,yes", header=header))
    send(bucket, file_of("p1,A,B,b@x.org,north,no", header=header), days=1)
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.opted_out, stored.email) == (True, "b@x.org")


def test_an_opt_out_in_a_refused_row_is_heard(bucket):
    send(bucket, file_of("p1,A,B,a@x.org,north", header=PATIENTS))
    header = f"{PATIENTS},email_opt_out"
    assert counts(send(bucket, file_of("p1,A,B,declined,north,yes", header=header), days=1)) == (0, 0, 0, 1)
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.opted_out, stored.email) == (True, "a@x.org")


def test_what_only_careloop_knows_of_a_patient_stays(bucket):
    patients.put_record(Patient("p1", email="a@x.org", uploaded_at=FIRST_UPLOAD), None)
    models.PatientItem("p1").update(
        [models.PatientItem.hold.set(True), models.PatientItem.surveyed_at.set(FIRST_UPLOAD)]
    )
    send(bucket, file_of("p1,A,B,b@x.org,north", header=PATIENTS), days=1)
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.email, stored.hold, stored.surveyed_at) == ("b@x.org", True, FIRST_UPLOAD)


def test_a_file_without_a_column_leaves_what_is_known(bucket):
    send(bucket, file_of("p1,A,B,,north,deceased,555", header=f"{PATIENTS},status,phone"))
    assert counts(send(bucket, file_of("p1,A,C,,north", header=PATIENTS), days=1)) == (0, 1, 0, 0)
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.last_name, stored.deceased, stored.phone) == ("C", True, "555")


@pytest.mark.parametrize("status", ["archived", "deceased"])
def test_a_patient_who_left_gets_no_new_touchpoint_but_keeps_the_one_that_is_due(bucket, status):
    send(bucket, file_of("p1,A,B,,north", header=PATIENTS), "patients.csv")
    send(bucket, file_of(visit(1, 2, "evaluation")))
    send(bucket, file_of(f"p1,A,B,,north,{status}", header=f"{PATIENTS},status"), "patients.csv", days=1)
    send(bucket, COURSE, days=1)
    assert set(due()) == {"evaluation"}


def test_a_changed_visit_moves_what_is_unsent(bucket):
    send(bucket, file_of(visit(1, 2, "evaluation")))
    before = surveys_of()["evaluation"]
    assert counts(send(bucket, file_of("v1,p1,c1,west,2026-03-05T10:00,evaluation,completed"), days=1)) == (0, 1, 0, 0)
    after = surveys_of()["evaluation"]
    assert (after.survey_id, after.clinic_id) == (before.survey_id, "west")
    assert due() == {"evaluation": at(5, 18)}
    assert message_of(after).clinic_id == "west"


@pytest.mark.parametrize(
    "change",
    [
        file_of(visit(1, 2, "evaluation", "cancelled")),
        file_of(visit(1, 2, "treatment")),
        file_of(visit(1, 2, "evaluation") + ",true", header=f"{VISITS},removed"),
    ],
)
def test_a_touchpoint_that_is_no_longer_there_is_withdrawn_and_comes_back_with_its_visit(bucket, change):
    send(bucket, file_of(visit(1, 2, "evaluation")))
    once = due()
    send(bucket, change, days=1)
    survey = surveys_of()["evaluation"]
    assert due() == {}
    assert (message_of(survey).state, message_of(survey).reason) == (MessageState.SKIPPED, "withdrawn")
    assert survey.unsent_reason == "withdrawn"
    again = file_of(visit(1, 2, "evaluation") + ",no", header=f"{VISITS},removed")
    send(bucket, again, days=2)
    assert due() == once
    assert surveys_of()["evaluation"].unsent_reason == ""


def test_a_removed_visit_is_not_brought_back_by_an_older_file(bucket):
    send(bucket, file_of(visit(1, 2, "evaluation") + ",yes", header=f"{VISITS},removed"), "removed.csv", days=1)
    assert counts(send(bucket, file_of(visit(1, 2, "evaluation")), "old.csv")) == (0, 0, 1, 0)
    assert due() == {}


def test_what_was_sent_is_never_touched(bucket):
    send(bucket, file_of(visit(1, 2, "evaluation")))
    survey = surveys_of()["evaluation"]
    item = models.MessageItem(message_of(survey).message_id)
    item.update([models.MessageItem.state.set("sent"), models.MessageItem.due.remove()])
    surveys.mark_sent(survey.survey_id, FIRST_UPLOAD)
    before = dump()
    send(bucket, file_of(visit(1, 9, "evaluation", "cancelled")), days=1)
    after = dump()
    assert (after["Surveys"], after["Messages"]) == (before["Surveys"], before["Messages"])


@pytest.mark.parametrize("state", ["claimed", "calling", "unknown", "failed"])
def test_what_is_being_sent_or_may_have_been_is_never_touched(bucket, state):
    send(bucket, file_of(visit(1, 2, "evaluation")))
    item = models.MessageItem(message_of(surveys_of()["evaluation"]).message_id)
    lease = FIRST_UPLOAD + timedelta(minutes=10)
    item.update([models.MessageItem.state.set(state), models.MessageItem.lease_until.set(lease)])
    before = dump()
    send(bucket, file_of(visit(1, 9, "evaluation", "cancelled")), days=1)
    after = dump()
    assert (after["Surveys"], after["Messages"]) == (before["Surveys"], before["Messages"])


def test_nobody_is_asked_twice_about_a_visit_that_was_moved_to_another_case_or_episode(bucket):
    send(bucket, file_of(visit(5, 20, "evaluation")))
    asked = surveys_of()["evaluation"]
    models.MessageItem(message_of(asked).message_id).update([models.MessageItem.state.set("sent")])
    surveys.mark_sent(asked.survey_id, FIRST_UPLOAD)
    earlier = file_of(visit(1, 2, "evaluation"), visit(2, 10, "discharge"))
    send(bucket, earlier, "earlier.csv", days=1)  # the visit that was asked about now begins the second episode
    send(bucket, file_of(visit(5, 20, "evaluation", case="c2")), "recoded.csv", days=2)
    assert [survey.survey_id for survey in surveys.of_patient("p1") if survey.visit_id == "v5"] == [asked.survey_id]


# Rows and files that are refused.


def test_refused_rows_are_reported_and_given_back_as_they_came(bucket):
    rows = [b"p1,A,B,,north", b'p2,"A,B,,north', "p3,Jos\xe9,B,nope,north".encode("cp1252"), b'p4,"A\r\nB",C,x,north']
    content = b"\r\n".join([PATIENTS.encode(), *rows, b""])
    report = send(bucket, content, "2026/front desk+é.csv")
    assert (report["status"], counts(report)) == ("partial", (1, 0, 0, 3))
    assert [(error["line"], error["column"]) for error in report["errors"]] == [(3, ""), (4, "email"), (5, "email")]
    header, *given_back = bucket.read("rejected/2026/front desk+é.csv").split(b'"\r\n')
    assert header.startswith(PATIENTS.encode() + b",reason\r\n" + rows[1] + b',"cannot be read')
    assert given_back[0].startswith(rows[2] + b',"email: is not an email address')
    assert given_back[1].startswith(rows[3] + b',"email: is not')


def test_refused_rows_can_be_corrected_and_sent_again_as_they_were_given_back(bucket):
    send(bucket, file_of("p1,A,B,nope,north", header=PATIENTS))
    corrected = bucket.read("rejected/file.csv").replace(b"nope", b"a@x.org")
    assert counts(send(bucket, corrected, "corrected.csv")) == (1, 0, 0, 0)


def test_a_file_of_refused_rows_only_is_refused(bucket):
    report = send(bucket, file_of("p1,A,B,nope,north", header=PATIENTS))
    assert (report["status"], counts(report)) == ("refused", (0, 0, 0, 1))


def test_the_report_lists_a_thousand_errors_and_says_how_many_more_there_are(bucket):
    report = send(bucket, file_of(*(f",A,B,,row {number}" for number in range(1003)), header=PATIENTS))
    assert (len(report["errors"]), report["errors_left_out"], report["refused"]) == (1000, 3, 1003)
    assert bucket.read("rejected/file.csv").count(b"is empty") == 1003


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "empty"), (b"PK\x03\x04" + b"\0" * 500, "ZIP"), (b"\x89PNG\r\n", "picture"), (b"a,b\n1,2\n", "patient_id")],
)
def test_an_unknown_file_is_refused_whole_and_the_report_says_what_was_looked_for(bucket, content, words):
    report = send(bucket, content)
    assert (report["status"], report["kind"], report["rows"]) == ("refused", "unknown", 0)
    assert words in report["errors"][0]["reason"]


def test_a_header_alone_is_accepted(bucket):
    report = send(bucket, PATIENTS)
    assert (report["status"], report["rows"], report["errors"]) == ("accepted", 0, [])
    assert bucket.keys() == ["incoming/file.csv", "reports/file.csv.json"]


def test_clinics_are_accepted_under_settings_only_and_nothing_else_is(bucket):
    report = send(bucket, "clinic_id,name\nnorth,North\n")
    assert (report["status"], report["kind"]) == ("refused", "clinics")
    assert "settings/" in report["errors"][0]["reason"]
    upload(bucket, "settings/visits.csv", COURSE)
    report = run(bucket, "settings/visits.csv")
    assert (report["status"], report["kind"]) == ("refused", "visits")
    assert not any(dump().values())


@pytest.mark.parametrize(
    "column", ["time_zone", "admin_emails", "review_links", "send_from", "send_until", "send_days"]
)
def test_a_clinic_s_bad_setting_is_refused_with_its_column(bucket, column):
    upload(bucket, "settings/clinics.csv", f"clinic_id,name,{column}\nnorth,North,http://nowhere at all\n")
    report = run(bucket, "settings/clinics.csv")
    assert [(error["line"], error["column"]) for error in report["errors"]] == [(2, column)]


@pytest.mark.parametrize(("column", "hours"), [("send_from", "21:00"), ("send_until", "07:00"), ("send_from", "20:00")])
def test_hours_that_leave_no_time_beside_the_practices_own_are_refused(bucket, column, hours):
    upload(bucket, "settings/clinics.csv", f"clinic_id,name,{column}\nnight,Night,{hours}\n")
    [error] = run(bucket, "settings/clinics.csv")["errors"]
    assert (error["column"], "no time for sending" in error["reason"]) == (column, True)


def test_a_patient_who_turns_out_to_be_archived_is_not_asked_about_visits_that_came_first(bucket):
    send(bucket, COURSE, "visits.csv")
    assert due()
    send(bucket, file_of("p1,Ann,Lee,ann@example.com,north,archived", header=f"{PATIENTS},status"), "patients.csv")
    assert due() == {}


def test_refused_rows_of_an_earlier_upload_are_gone_once_they_are_corrected(bucket):
    send(bucket, file_of("p1,Ann,Lee,nonsense,north", header=PATIENTS))
    assert "rejected/file.csv" in set(bucket.keys())
    send(bucket, file_of("p1,Ann,Lee,ann@example.com,north", header=PATIENTS), days=1)
    assert "rejected/file.csv" not in set(bucket.keys())


def test_a_file_that_is_too_large_is_refused_without_being_read(bucket, monkeypatch):
    monkeypatch.setattr(importing, "MAX_FILE_BYTES", 100)
    report = send(bucket, COURSE)
    assert report["status"] == "refused"
    assert "Send it in parts" in report["errors"][0]["reason"]


@pytest.mark.parametrize("key", ["incoming/", "incoming/2026/", "reports/file.csv.json", "elsewhere.csv"])
def test_folder_marks_and_other_places_are_left_alone(bucket, key):
    upload(bucket, key, COURSE)
    assert handler(event(key), None, s3=bucket) == {"files": []}
    assert bucket.keys() == [key]


def test_an_object_that_was_deleted_meanwhile_is_no_error(bucket):
    assert handler(event("incoming/gone.csv"), None, s3=bucket) == {"files": []}


def test_s3_s_test_event_is_no_error(bucket):
    assert handler({"Service": "Amazon S3", "Event": "s3:TestEvent"}, None, s3=bucket) == {"files": []}


def test_logs_hold_no_patient_s_data_and_no_file_name(bucket, capsys):
    canary = file_of("zebra,zebra,zebra,zebra at x,north", "zebra2,zebra,zebra,z@zebra.org,north", header=PATIENTS)
    send(bucket, canary, "zebra.csv")
    output = capsys.readouterr()
    assert "IntakeRefused" in output.out
    assert "zebra" not in output.out + output.err


# Imports that die, meet, or come in any order.


class Killed(BaseException):
    """The function's end, at a write."""


@pytest.fixture
def at_writes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Callable[[int, str], None] | None], None]]:
    """Set what happens before (`"before"`) and after the n-th write from now on."""
    real = BaseClient._make_api_call
    hook: list[Callable[[int, str], None] | None] = [None]
    writes = itertools.count(1)

    def call(client: Any, operation: str, request: Any) -> Any:
        act = hook[0]
        if operation not in WRITES or act is None:
            return real(client, operation, request)
        number = next(writes)
        act(number, "before")
        answer = real(client, operation, request)
        act(number, "after")
        return answer

    def set_hook(act: Callable[[int, str], None] | None) -> None:
        nonlocal writes
        hook[0], writes = act, itertools.count(1)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    yield set_hook
    hook[0] = None


def restore(state: dict[str, list[Any]]) -> None:
    """Make the tables hold exactly this again."""
    tables = boto3.client("dynamodb")
    for name, items in state.items():
        keys = [key["AttributeName"] for key in tables.describe_table(TableName=name)["Table"]["KeySchema"]]
        for item in tables.scan(TableName=name)["Items"]:
            tables.delete_item(TableName=name, Key={key: item[key] for key in keys})
        for item in items:
            tables.put_item(TableName=name, Item=item)


FIRST = file_of(visit(1, 2, "evaluation"), *(visit(number, number + 1) for number in range(2, 7)))
THEN = file_of(
    visit(1, 3, "evaluation"),  # moves
    visit(3, 4, "treatment", "cancelled"),  # takes the sixth visit away
    visit(8, 12, "discharge"),  # adds
    "v9,p2,c9,west,2026-03-12T10:00,evaluation,completed",
)
BACK = file_of(visit(3, 4), visit(8, 12, "discharge", "no_show"))  # brings one back and takes one away
PEOPLE = file_of(
    "p1,Ada,B,a@x.org,north,", "p2,Bo,C,b@x.org,west,no", "p3,Cy,D,none,west,yes", header=f"{PATIENTS},email_opt_out"
)
FILES = {"first": FIRST, "then": THEN, "back": BACK, "people": PEOPLE}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("last", FILES)
def test_an_import_killed_at_any_write_is_completed_by_importing_the_file_again(bucket, at_writes, last, moment):
    for number, (name, content) in enumerate(FILES.items()):
        upload(bucket, f"incoming/{name}", content, FIRST_UPLOAD + timedelta(days=number))
    for name in itertools.takewhile(lambda name: name != last, FILES):
        run(bucket, f"incoming/{name}")
    start = dump()
    run(bucket, f"incoming/{last}")
    uninterrupted = dump()
    assert uninterrupted != start

    def die_at(write: int) -> Callable[[int, str], None]:
        def act(number: int, phase: str) -> None:
            if number > write or (number == write and phase == moment):
                raise Killed  # dead is dead: nothing that this run writes later takes effect

        return act

    for write in itertools.count(1):
        restore(start)
        at_writes(die_at(write))
        try:
            run(bucket, f"incoming/{last}")
        except Killed:
            at_writes(None)
            run(bucket, f"incoming/{last}")
            assert dump() == uninterrupted, f"killed {moment} write {write}"
        else:
            break
    assert write > 4


def unsent() -> dict[str, Any]:
    """What all imports together come to: everything but the marks of what was withdrawn on the way."""
    state = dump()
    waiting = [item for item in state["Messages"] if item["state"]["S"] == "due"]
    ids = {item["survey_id"]["S"] for item in waiting}
    made = [item for item in state["Surveys"] if item["survey_id"]["S"] in ids]
    for item in made:
        item.pop("revision", None)
        item.pop("uncounted", None)
    return {"Visits": state["Visits"], "Messages": waiting, "Surveys": made}


def test_two_imports_that_meet_at_any_write_come_to_the_same_as_one_after_the_other(bucket, at_writes):
    upload(bucket, "incoming/a", file_of(visit(1, 2, "evaluation"), *(visit(n, n + 1) for n in range(2, 5))))
    upload(bucket, "incoming/b", file_of(*(visit(n, n + 1) for n in range(5, 8)), visit(1, 2, "evaluation")))
    empty = dump()
    run(bucket, "incoming/a")
    run(bucket, "incoming/b")
    one_after_the_other = unsent()
    assert {item["touchpoint"]["S"] for item in one_after_the_other["Messages"]} == {"evaluation", "visit:6"}

    for write in itertools.count(1):
        met = False

        def meet(number: int, phase: str, write: int = write) -> None:
            nonlocal met
            if number == write and phase == "before":
                met = True
                at_writes(None)
                run(bucket, "incoming/b")

        restore(empty)
        at_writes(meet)
        run(bucket, "incoming/a")
        if not met:
            break
        assert unsent() == one_after_the_other, f"met before write {write}"
    assert write > 5


HISTORY = [
    visit(1, 2, "evaluation"),
    *(visit(number, number + 1) for number in range(2, 7)),
    visit(7, 10, "discharge"),
    visit(8, 11, "discharge"),
    visit(9, 15, "evaluation"),
    visit(10, 16, "treatment", "no_show"),
    visit(11, 18, "discharge"),
    visit(12, 19, "evaluation", case="c2"),
]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.permutations(HISTORY), st.sets(st.integers(1, len(HISTORY) - 1), max_size=3))
def test_visits_may_come_in_any_order_and_in_any_number_of_files(bucket, rows, cuts):
    restore({name: [] for name in dump()})
    send(bucket, file_of(*HISTORY))
    together = unsent()
    restore({name: [] for name in dump()})
    bounds = [0, *sorted(cuts), len(rows)]
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
        send(bucket, file_of(*rows[start:end]), f"{number}.csv")
    assert unsent() == together


def test_many_patients_are_stored_side_by_side(bucket):
    rows = [f"v{number},p{number},c1,north,2026-03-02T09:00,evaluation,completed" for number in range(100)]
    upload(bucket, "incoming/many.csv", file_of(*rows))
    (summary,) = handler(event("incoming/many.csv"), None, s3=bucket)["files"]
    assert summary["created"] == 100
    assert len(dump()["Messages"]) == len(dump()["Visits"]) == 100


def test_an_unexpected_failure_ends_the_invocation_without_its_words(bucket, monkeypatch, capsys):
    def fail(*_: Any) -> None:
        raise RuntimeError("zebra")

    monkeypatch.setattr(visits, "put", fail)
    upload(bucket, "incoming/file.csv", COURSE)
    with pytest.raises(HandlerFailed) as failure:
        handler(event("incoming/file.csv"), None, s3=bucket)
    output = capsys.readouterr()
    assert "zebra" not in str(failure.value) + output.out + output.err
    assert bucket.keys() == ["incoming/file.csv"]

"""A file under preview/: everything that an import of it would do is told, and nothing is done."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest

from functions.import_visits import importing, preview, staging
from functions.import_visits.records import MergeRecord, Reading, Row
from shared.storage import models, patients
from tests.builders import a_patient
from tests.handlers.exports import (
    COURSE,
    FIRST_UPLOAD,
    PATIENTS,
    Bucket,
    Clock,
    Function,
    at_writes,
    counts,
    due,
    dump,
    event,
    file_of,
    send,
    upload,
    visit,
)

pytestmark = pytest.mark.usefixtures("aws")

NEW_YORK = ZoneInfo("America/New_York")


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


def local(day: int, clock: str = "12:00") -> datetime:
    return datetime.fromisoformat(f"2026-03-{day:02}T{clock}").replace(tzinfo=NEW_YORK)


def tables() -> dict[str, Any]:
    """Every table, whole, those of addresses, scores and activity too."""
    others = (models.AddressItem, models.ScoresItem, models.ActivityItem)
    names = [model.Meta.table_name for model in others]
    return dump() | {name: boto3.client("dynamodb").scan(TableName=name)["Items"] for name in names}


def look(bucket: Bucket, content: str | bytes, now: datetime = FIRST_UPLOAD, days: int = 0) -> dict[str, Any]:
    """Upload a file to be looked at and return the report; the tables must stay as they are."""
    before = tables()
    upload(bucket, "preview/file.csv", content, FIRST_UPLOAD + timedelta(days=days))
    (summary,) = Function(bucket, Clock(now))(event("preview/file.csv"))
    assert tables() == before
    report = bucket.report("preview/file.csv")
    assert summary == {name: report[name] for name in summary}
    return report


def mails(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Touchpoint and when it would be asked about, or why not."""
    return [(mail["touchpoint"], mail.get("when") or mail["why_not"]) for mail in report["mails"]["list"]]


PERSON = file_of("p1,Ada,Okafor,a@x.org,north", header=PATIENTS)


def test_a_preview_has_everything_that_an_import_would_report_and_whom_it_would_mail_when(bucket):
    send(bucket, PERSON, "patients.csv")
    report = look(bucket, COURSE + "v9,p9,c,north,never,evaluation,completed\n", now=local(2, "13:00"))
    assert report["status"] == "partial"
    assert (report["kind"], report["rows"], report["refused"]) == ("visits", 9, 1)
    assert report["patients"] == {"new": 0, "changed": 0, "unchanged": 0}
    assert report["visits"] == {"new": 8, "changed": 0, "unchanged": 0}
    assert report["touchpoints"] == {"new": 3, "moved": 0, "withdrawn": 0}
    assert [(error["line"], error["column"]) for error in report["errors"]] == [(10, "started_at")]
    assert mails(report) == [
        ("evaluation", "2026-03-02T13:00-05:00"),
        ("discharge", "2026-03-12T13:00-04:00"),
        ("visit:6", "superseded"),  # it waits out the pause until discharge takes its place
    ]
    assert report["mails"]["by_day"] == {"2026-03-02": 1, "2026-03-12": 1}
    assert report["mails"]["not_mailed"] == {"superseded": 1}
    assert report["mails"]["list"][0] == {
        "patient_id": "p1",
        "touchpoint": "evaluation",
        "clinic_id": "north",
        "when": "2026-03-02T13:00-05:00",
    }
    assert bucket.listed() == [
        "incoming/patients.csv",
        "preview/file.csv",
        "reports/patients.csv.json",
        "reports/preview/file.csv.json",
    ]


def test_nothing_at_all_is_written_but_a_note_that_it_has_begun_and_the_report(bucket, monkeypatch):
    put, put_object, writes = list[str](), bucket.put_object, list[int]()

    def noted(**request: Any) -> Any:
        put.append(request["Key"])
        return put_object(**request)

    monkeypatch.setattr(bucket, "put_object", noted)
    upload(bucket, "preview/file.csv", COURSE)
    with at_writes(lambda number, phase: writes.append(number)):
        Function(bucket)(event("preview/file.csv"))
    assert put == ["unfinished/preview/file.csv.json", "reports/preview/file.csv.json"]
    assert max(writes) == 6  # the lock, its proof and its end, these two, and the end of the first


def test_a_first_import_of_old_history_would_mail_nobody(bucket):
    send(bucket, PERSON, "patients.csv")
    report = look(bucket, COURSE, now=local(31))
    assert report["mails"]["by_day"] == {}
    assert report["mails"]["not_mailed"] == {"superseded": 2, "expired": 1}


def test_a_preview_of_patients_counts_who_is_new_and_who_changed(bucket):
    send(bucket, file_of("p1,A,B,,north", "p2,A,B,,north", header=PATIENTS))
    again = file_of("p1,A,B,,north", "p2,A,C,,north", "p2,A,D,,north", "p3,A,B,,north", header=PATIENTS)
    report = look(bucket, again, days=1)
    assert report["patients"] == {"new": 1, "changed": 1, "unchanged": 1}
    assert report["rows"] == 4
    assert report["mails"]["list"] == []


def test_what_would_be_withdrawn_moved_or_kept_is_told(bucket):
    send(bucket, PERSON, "patients.csv")
    send(bucket, file_of(visit(1, 2, "evaluation"), visit(2, 9, "discharge")))
    changed = file_of(visit(1, 3, "evaluation"), visit(2, 9, "discharge", "cancelled"))
    report = look(bucket, changed, now=local(3, "13:00"), days=1)
    assert report["visits"] == {"new": 0, "changed": 2, "unchanged": 0}
    assert report["touchpoints"] == {"new": 0, "moved": 1, "withdrawn": 1}
    assert mails(report) == [("evaluation", "2026-03-03T13:00-05:00")]
    assert set(due()) == {"evaluation", "discharge"}


def test_what_waits_already_replaces_what_the_file_brings(bucket):
    send(bucket, PERSON, "patients.csv")
    send(bucket, file_of(visit(2, 3, "discharge")))
    report = look(bucket, file_of(visit(1, 2, "evaluation")), now=local(3, "13:00"), days=1)
    assert mails(report) == [("evaluation", "superseded")]


def test_whom_a_mail_would_not_reach_is_told_with_the_reason(bucket):
    header = f"{PATIENTS},email_opt_out"
    people = file_of("p1,A,B,,north,no", "p2,A,B,b@x.org,north,yes", "p3,A,B,c@x.org,north,no", header=header)
    send(bucket, people, "patients.csv")
    models.PatientItem("p3").update([models.PatientItem.hold.set(True)])
    rows = [visit(1, 2, "evaluation").replace("p1", patient) for patient in ("p1", "p2", "p3", "p4")]
    report = look(bucket, file_of(*rows), now=local(2, "13:00"))
    assert report["mails"]["not_mailed"] == {"no_address": 2, "opted_out": 1, "on_hold": 1}
    assert [(mail["patient_id"], mail["why_not"]) for mail in report["mails"]["list"]] == [
        ("p1", "no_address"),
        ("p2", "opted_out"),
        ("p3", "on_hold"),
        ("p4", "no_address"),
    ]


def test_those_who_would_be_mailed_are_listed_before_others_and_a_thousand_at_most(bucket, monkeypatch):
    monkeypatch.setattr(preview, "MAX_LISTED", 3)
    people = [f"p{number},A,B,{'a@x.org' if number > 3 else ''},north" for number in range(1, 8)]
    send(bucket, file_of(*people, header=PATIENTS), "patients.csv")
    rows = [visit(1, 2, "evaluation").replace("p1", f"p{number}") for number in range(1, 8)]
    report = look(bucket, file_of(*rows), now=local(2, "13:00"))
    assert [mail["patient_id"] for mail in report["mails"]["list"]] == ["p4", "p5", "p6"]
    assert (report["mails"]["by_day"], report["mails"]["not_mailed"]) == ({"2026-03-02": 4}, {"no_address": 3})


def test_who_shares_an_address_with_somebody_mailed_before_may_be_mailed_later(bucket):
    emails = {"p1": "home@x.org", "p2": "Home@x.org", "p3": "c@x.org", "p4": "home@x.org"}
    send(bucket, file_of(*(f"{who},A,B,{email},north" for who, email in emails.items()), header=PATIENTS), "patients")
    days = {"p1": 3, "p2": 2, "p3": 2, "p4": 3}
    rows = [visit(1, day, "evaluation").replace("p1", who) for who, day in days.items()]
    report = look(bucket, file_of(*rows), now=local(2, "13:00"))
    listed = report["mails"]["list"]
    assert [(mail["patient_id"], "may_be_later" in mail) for mail in listed] == [
        ("p2", False),
        ("p3", False),
        ("p1", True),
        ("p4", True),
    ]
    assert "x.org" not in str(report)
    assert set(listed[0]) == {"patient_id", "touchpoint", "clinic_id", "when"}


CLINICS = "clinic_id,name\nnorth,North\n,Nameless\n"
CHOICES = "source,setting,value\nhl7,case_field,PV1-19\n"


@pytest.mark.parametrize("settings_file", [CLINICS, CHOICES])
def test_a_settings_file_can_be_looked_at_as_well_and_is_told_where_it_belongs(bucket, settings_file):
    report = look(bucket, settings_file)
    assert report["rows"] == settings_file.count("\n") - 1
    assert report["refused"] == settings_file.count("Nameless")
    assert "settings/" in report["note"]
    assert report["visits"] == {"new": 0, "changed": 0, "unchanged": 0}


def test_a_file_that_nobody_knows_is_refused_as_an_import_would(bucket):
    report = look(bucket, b"PK\x03\x04 and more")
    assert (report["status"], report["rows"]) == ("refused", 0)
    assert "ZIP" in report["errors"][0]["reason"]


def test_merges_are_counted_and_not_made(bucket, monkeypatch):
    patients.put_record(a_patient("p1", uploaded_at=FIRST_UPLOAD), None)
    patients.put_record(a_patient("p2", uploaded_at=FIRST_UPLOAD), None)
    rows = [Row(1, b"A40", (MergeRecord("p1", "p2"),))]
    monkeypatch.setattr(importing, "recognise", lambda file, context: Reading("messages", iter(rows)))
    assert look(bucket, "anything")["merges"] == 1


def test_a_preview_that_takes_several_invocations_says_the_same(bucket, monkeypatch):
    monkeypatch.setattr(staging, "CHUNK_ROWS", 1)
    people = [f"p{number},A,B,p{number}@x.org,north" for number in range(1, 5)]
    send(bucket, file_of(*people, header=PATIENTS), "patients.csv")
    rows = [visit(1, 2, "evaluation").replace("p1", f"p{number}") for number in range(1, 7)]
    at_once = look(bucket, file_of(*rows), now=local(2, "13:00"))
    function = Function(bucket, Clock(local(2, "13:00")), seconds_left=0)
    assert function.to_the_end(event("preview/file.csv")) == 6
    assert bucket.report("preview/file.csv") == at_once
    assert at_once["mails"]["by_day"] == {"2026-03-02": 4}


def test_what_a_preview_foretold_is_what_the_import_does(bucket):
    header = f"{PATIENTS},email_opt_out"
    send(bucket, file_of("p1,A,B,a@x.org,north,no", "p2,A,B,b@x.org,north,yes", header=header), "patients.csv")
    send(bucket, file_of(visit(1, 2, "evaluation")))
    content = file_of(visit(1, 3, "evaluation"), *(visit(n, n + 4) for n in range(2, 8)), visit(9, 12, "discharge"))
    content += visit(1, 2, "evaluation").replace("p1", "p2") + "\n"
    report = look(bucket, content, days=1)
    imported = send(bucket, content, "then.csv", days=1)
    assert counts(imported) == (report["visits"]["new"], report["visits"]["changed"], report["visits"]["unchanged"], 0)
    assert len(due()) + len(due("p2")) == 4
    assert report["touchpoints"] == {"new": 3, "moved": 1, "withdrawn": 0}

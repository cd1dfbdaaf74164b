"""The sweep finds files that nobody told the function of, and files that lie where none is read."""

import os
from datetime import datetime, timedelta

import pytest

from shared.storage import patients
from tests.handlers.exports import FIRST_UPLOAD, PATIENTS, Bucket, Clock, Function, event, file_of, upload

PERSON = file_of("p1,Pat,One,pat@example.com,north", header=PATIENTS)
CLINIC = "clinic_id,name\na,A\n"
LATER = FIRST_UPLOAD + timedelta(hours=1, minutes=1)


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


def sweep(bucket: Bucket, at: datetime = LATER) -> list[str]:
    """Sweep, and do what was asked for; returns the keys."""
    function = Function(bucket, Clock(at))
    function({"time": "2026-03-20T03:15:00Z"})
    asked = list(function.asked_again)
    for each in asked:
        function(each)
    return [key for key in bucket.uploaded if event(key) in asked]


def reported(bucket: Bucket, key: str, at: datetime) -> None:
    """The import of the file ends at this moment."""
    Function(bucket)(event(key))
    bucket.uploaded[f"reports/{key.removeprefix('incoming/')}.json"] = at


def wakes_somebody(capsys: pytest.CaptureFixture[str]) -> int:
    return capsys.readouterr().out.count('"IntakeRefused":1')


def test_a_file_of_which_nobody_told_is_imported_after_an_hour(bucket):
    for key, content in (("incoming/a.csv", PERSON), ("settings/c.csv", CLINIC), ("preview/p.csv", PERSON)):
        upload(bucket, key, content)
    assert sweep(bucket, FIRST_UPLOAD + timedelta(hours=1)) == []  # S3 may still tell of them
    assert sweep(bucket) == ["incoming/a.csv", "settings/c.csv", "preview/p.csv"]
    assert patients.get("p1")
    for key in ("incoming/a.csv", "settings/c.csv", "preview/p.csv"):
        assert bucket.report(key)["status"] == "accepted"


def test_what_was_reported_on_is_left_alone_until_it_is_uploaded_again(bucket):
    upload(bucket, "incoming/a.csv", PERSON)
    reported(bucket, "incoming/a.csv", FIRST_UPLOAD)
    assert sweep(bucket) == []
    upload(bucket, "incoming/a.csv", PERSON, at=FIRST_UPLOAD + timedelta(minutes=1))
    assert sweep(bucket, LATER + timedelta(minutes=1)) == ["incoming/a.csv"]


def test_a_file_whose_report_has_expired_is_not_imported_again(bucket):
    upload(bucket, "incoming/a.csv", PERSON)
    assert sweep(bucket, FIRST_UPLOAD + timedelta(days=29)) == []


def test_a_file_whose_import_has_begun_is_asked_for_once(bucket):
    upload(bucket, "incoming/a.csv", PERSON)
    note = b'{"key": "incoming/a.csv", "version": "another", "attempts": 1, "began_at": "2026-03-20T03:00:00Z", '
    note += b'"phase": 5, "part": "", "rows": 0, "refused": 0, "state": {}}'
    bucket.s3.put_object(Bucket=os.environ["INTAKE_BUCKET"], Key="unfinished/a.csv.json", Body=note)
    function = Function(bucket, Clock(LATER))
    function({"time": "2026-03-20T03:15:00Z"})
    assert function.asked_again == [event("incoming/a.csv")]


def test_a_folder_s_mark_is_no_file(bucket):
    upload(bucket, "incoming/2026/", b"")
    upload(bucket, "Incoming/2026/", b"")
    assert sweep(bucket) == []
    assert not [key for key in bucket.listed() if key.startswith("reports/")]


def test_one_sweep_asks_for_a_hundred_at_the_most(bucket):
    for number in range(101):
        upload(bucket, f"incoming/{number}.csv", PERSON)
    function = Function(bucket, Clock(LATER))
    function({"time": "2026-03-20T03:15:00Z"})
    assert len(function.asked_again) == 100


@pytest.mark.parametrize("key", ["x.csv", "Incoming/x.csv", "backup/2026/x.csv", "elsewhere/x.csv"])
def test_a_file_where_none_belongs_is_reported_on_once_and_wakes_somebody_once(bucket, capsys, key):
    upload(bucket, key, PERSON)
    assert sweep(bucket) == []
    report = bucket.report(f"elsewhere/{key}")
    assert (report["status"], report["rows"]) == ("refused", 0)
    assert "under incoming/" in report["errors"][0]["reason"]
    assert wakes_somebody(capsys) == 1
    bucket.uploaded[f"reports/elsewhere/{key}.json"] = LATER
    sweep(bucket)
    assert wakes_somebody(capsys) == 0
    assert patients.get("p1") is None


def test_its_report_takes_the_place_of_no_other(bucket, capsys):
    for key in ("incoming/x.csv", "incoming/elsewhere/x.csv"):
        upload(bucket, key, PERSON)
        Function(bucket)(event(key))
    before = {key: bucket.read(key) for key in bucket.listed() if key.startswith("reports/")}
    assert len(before) == 2
    upload(bucket, "x.csv", PERSON)
    sweep(bucket, FIRST_UPLOAD)
    assert {key: bucket.read(key) for key in before} == before
    assert wakes_somebody(capsys) == 1


def test_our_own_folders_are_no_place_where_none_belongs(bucket, capsys):
    for folder in ("reports", "rejected", "erased"):
        bucket.s3.put_object(Bucket=os.environ["INTAKE_BUCKET"], Key=f"{folder}/x", Body=b"x")
    sweep(bucket)
    assert wakes_somebody(capsys) == 0

"""One import in many invocations: killed, out of time, replaced, deleted, doubled; and looked at before it is done."""

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest

from functions.import_visits import importing, staging
from functions.import_visits.checkpoint import MAX_ATTEMPTS
from functions.import_visits.records import (
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Reading,
    Refusal,
    Row,
    VisitRecord,
)
from functions.import_visits.upload import Upload
from shared.domain.clock import parse_instant
from shared.observability import HandlerFailed
from shared.storage import patients
from tests.builders import a_patient, a_visit
from tests.fakes import FakeContext
from tests.handlers.exports import (
    COURSE,
    FIRST_UPLOAD,
    VISITS,
    Bucket,
    Clock,
    Function,
    Killed,
    at_writes,
    counts,
    due,
    dump,
    dying_at,
    event,
    file_of,
    renew_locks,
    restore,
    run,
    send,
    upload,
    visit,
)

pytestmark = pytest.mark.usefixtures("aws")

CONTRACT = {"status", "kind", "rows", "created", "updated", "unchanged", "refused", "errors"}
MANY = file_of(
    *(f"v{patient},p{patient},c,north,2026-03-02T09:00,evaluation,completed" for patient in range(5)),
    "v9,p9,c,north,never,evaluation,completed",
    "v1,p1,c,north,2026-03-03T09:00,evaluation,completed",
)
DONE = (5, 1, 0, 1)


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


@pytest.fixture
def function(bucket: Bucket) -> Function:
    return Function(bucket)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """One patient a chunk, and a look at the clock after each row."""
    monkeypatch.setattr(staging, "CHUNK_ROWS", 1)
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 1)


def read_as(monkeypatch: pytest.MonkeyPatch, *rows: Row | Refusal, header: bytes | None = None) -> None:
    """Have the next file be read as these rows."""
    monkeypatch.setattr(importing, "recognise", lambda file, context: Reading("messages", iter(rows), header))


def row(line: int, *records: Any) -> Row:
    return Row(line, b"row %d" % line, records)


def person(patient_id: str, **differences: Any) -> PatientRecord:
    return PatientRecord(a_patient(patient_id, **differences))


def of_patient(patient_id: str, visit_id: str) -> VisitRecord:
    return VisitRecord(a_visit(visit_id, patient_id=patient_id))


# Every row once.


def test_a_row_is_counted_once_by_the_most_that_any_of_its_records_did(bucket, monkeypatch):
    patients.put_record(a_patient("p1", uploaded_at=FIRST_UPLOAD - timedelta(days=1)), None)
    ann = NameRecord(Named.THERAPIST, ("t1",), "Ann Lee")
    read_as(
        monkeypatch,
        row(1, person("p1"), of_patient("p1", "v1")),  # known, new
        row(2, person("p1", last_name="New"), person("p2", last_name="Two")),  # changed, new
        row(3, person("p1", last_name="New"), ann),  # known, and a name that is new
        row(4, ann),
        row(5, person("p1", last_name="New")),
        Refusal(6, b"row 6", "", "is of no use"),
    )
    assert counts(send(bucket, "anything")) == (3, 0, 2, 1)


def test_a_row_about_two_patients_or_with_a_merge_waits_for_its_last_part_across_invocations(
    bucket, function, monkeypatch
):
    rows = [
        row(1, person("p1"), person("p3")),
        row(2, person("p2"), person("p3")),
        row(3, person("p4"), MergeRecord("p3", "p4")),
        row(4, MergeRecord("p3", "p4")),
    ]
    empty = dump()
    read_as(monkeypatch, *rows)
    at_once = send(bucket, "anything")
    together = dump()
    restore(empty)
    function.seconds_left = 0
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 100)
    monkeypatch.setattr(importing, "recognise", lambda file, context: Reading("messages", iter(rows), None))
    assert function.to_the_end(event("incoming/file.csv")) == 6
    assert bucket.report("incoming/file.csv") == at_once
    assert dump() == together
    assert at_once["created"] == 3


def test_a_merge_that_closes_a_circle_changes_nothing(bucket, monkeypatch):
    read_as(monkeypatch, row(1, person("p1"), MergeRecord("p1", "p2")))
    assert counts(send(bucket, "anything")) == (1, 0, 0, 0)
    before = dump()
    read_as(monkeypatch, row(1, person("p2"), MergeRecord("p2", "p1")), row(2, MergeRecord("p1", "p2")))
    assert counts(send(bucket, "anything", days=1)) == (0, 0, 2, 0)
    assert dump() == before


def test_the_finished_report_has_the_keys_of_the_contract_and_no_others(bucket):
    assert set(send(bucket, MANY)) == CONTRACT


# Killed, or out of time.


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_import_killed_at_any_write_is_finished_by_the_sweep(bucket, moment):
    empty = dump()
    upload(bucket, "incoming/file.csv", MANY)
    uninterrupted_report = run(bucket, "incoming/file.csv")
    uninterrupted = dump()
    for write in itertools.count(1):
        restore(empty)
        function = Function(bucket)
        try:
            with at_writes(dying_at(write, moment)):
                function(event("incoming/file.csv"))
        except Killed:
            has_begun = write > 2 or (write, moment) == (2, "after")  # the lock, then the note that it has begun
            function({"time": "2026-03-20T03:15:00Z"})
            assert len(function.asked_again) == has_begun or dump() == uninterrupted
            function.to_the_end(function.asked_again.pop() if function.asked_again else event("incoming/file.csv"))
            report = bucket.report("incoming/file.csv")
            assert dump() == uninterrupted, f"killed {moment} write {write}"
            assert (report["rows"], report["refused"]) == (7, 1)
            assert sum(counts(report)) == 7
            assert report["errors"] == uninterrupted_report["errors"]
            assert set(report) == CONTRACT
            assert not [key for key in bucket.listed() if key.startswith("unfinished/")]
        else:
            break
    assert write > 20


@pytest.mark.parametrize("chunks", range(1, 6))
def test_an_import_that_runs_out_of_time_after_any_chunk_ends_as_if_it_had_not(bucket, monkeypatch, chunks):
    empty = dump()
    upload(bucket, "incoming/file.csv", MANY)
    at_once = run(bucket, "incoming/file.csv")
    assert counts(at_once) == DONE
    uninterrupted = dump()
    restore(empty)
    function = Function(bucket)
    looks = itertools.count()
    rows = 7  # looked at while they are read
    monkeypatch.setattr(
        FakeContext,
        "get_remaining_time_in_millis",
        lambda self: 0 if next(looks) % (rows + chunks) == rows + chunks - 1 else 900_000,
    )
    assert function.to_the_end(event("incoming/file.csv")) == -(-5 // chunks)
    assert bucket.report("incoming/file.csv") == at_once
    assert dump() == uninterrupted


def test_an_invocation_that_gets_nothing_done_fails_instead_of_going_on_for_ever(bucket, function):
    upload(bucket, "incoming/file.csv", MANY)
    function.seconds_left = 0
    with pytest.raises(HandlerFailed, match="NoProgress"):
        function(event("incoming/file.csv"))
    assert function.asked_again == []


def fails_again_and_again(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every attempt fail at the same place, as often as it is tried."""

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(patients, "get_many", fail)
        for _ in range(MAX_ATTEMPTS):
            with pytest.raises(HandlerFailed, match="RuntimeError"):
                function(event("incoming/file.csv"))


def test_what_fails_again_and_again_at_the_same_place_is_given_up_by_the_sweep_with_a_report_and_an_alarm(
    bucket, function, monkeypatch, capsys
):
    upload(bucket, "incoming/file.csv", MANY)
    fails_again_and_again(function, monkeypatch)
    capsys.readouterr()
    function({"time": "2026-03-20T03:15:00Z"})
    (summary,) = function(function.asked_again.pop())
    report = bucket.report("incoming/file.csv")
    assert (summary["status"], report["status"], report["rows"], set(report)) == ("refused", "refused", 0, CONTRACT)
    [error] = report["errors"]
    assert (error["line"], error["column"]) == (0, "")
    assert "after 8 attempts" in error["reason"]
    assert "IntakeRefused" in capsys.readouterr().out
    function({"time": "2026-03-20T03:30:00Z"})
    assert function.asked_again == []
    assert bucket.listed() == ["incoming/file.csv", "reports/file.csv.json"]
    assert counts(send(bucket, MANY, days=1)) == DONE


def test_what_is_given_up_tells_what_was_stored_before(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    function.asked_again.clear()
    fails_again_and_again(function, monkeypatch)
    function(event("incoming/file.csv"))
    report = bucket.report("incoming/file.csv")
    assert (report["status"], report["kind"], counts(report)) == ("partial", "visits", (1, 0, 0, 0))
    assert "What was stored stays" in report["errors"][0]["reason"]


def test_attempts_count_only_as_long_as_nothing_gets_done(bucket, function, monkeypatch):
    upload(
        bucket,
        "incoming/file.csv",
        file_of(*(visit(number, 2).replace("p1", f"p{number}") for number in range(2 * MAX_ATTEMPTS))),
    )
    function.seconds_left = 0
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 100)
    assert function.to_the_end(event("incoming/file.csv")) == 2 * MAX_ATTEMPTS


# Replaced, deleted, doubled.


def stopped_after_a_chunk(bucket: Bucket, content: str, monkeypatch: pytest.MonkeyPatch) -> Function:
    """An import of this file that has got as far as its first patient."""
    upload(bucket, "incoming/file.csv", content)
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 100)
    function = Function(bucket, seconds_left=0)
    function(event("incoming/file.csv"))
    assert bucket.listed() == ["incoming/file.csv", "unfinished/file.csv.json"]
    function.seconds_left = 900
    return function


def test_a_file_that_was_replaced_meanwhile_is_imported_from_its_start(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    upload(bucket, "incoming/file.csv", COURSE, FIRST_UPLOAD + timedelta(days=1))
    function(function.asked_again.pop())
    assert counts(bucket.report("incoming/file.csv")) == (8, 0, 0, 0)
    assert due()


def test_a_file_that_is_replaced_while_it_is_imported_is_imported_again(bucket, function):
    upload(bucket, "incoming/file.csv", MANY)

    def replace_it(number: int, phase: str) -> None:
        if (number, phase) == (10, "before"):
            upload(bucket, "incoming/file.csv", COURSE, FIRST_UPLOAD + timedelta(days=1))
            assert Function(bucket, Clock(meanwhile=renew_locks))(event("incoming/file.csv")) == []

    with at_writes(replace_it):
        (summary,) = function(event("incoming/file.csv"))
    assert summary["status"] == "in_progress"
    assert not [key for key in bucket.listed() if key.startswith("reports/")]
    function(function.asked_again.pop())
    assert bucket.report("incoming/file.csv")["created"] > 0
    assert set(due()) == {"evaluation", "visit:6", "discharge"}


def test_a_file_that_is_deleted_meanwhile_ends_its_import_with_a_report_of_what_was_stored(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    bucket.delete_object(Bucket="intake", Key="incoming/file.csv")
    (summary,) = function(function.asked_again.pop())
    report = bucket.report("incoming/file.csv")
    assert (summary["status"], report["status"], counts(report)) == ("partial", "partial", (1, 0, 0, 0))
    assert "deleted" in report["errors"][0]["reason"]
    assert bucket.listed() == ["reports/file.csv.json"]


def test_a_file_that_reads_differently_than_before_is_imported_from_its_start(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    read_as(monkeypatch, row(1, person("p1")), row(2, person("p2")))
    function(function.asked_again.pop())
    assert counts(bucket.report("incoming/file.csv")) == (2, 0, 0, 0)


def test_of_two_invocations_for_one_file_one_does_it(bucket):
    upload(bucket, "incoming/file.csv", MANY)
    met = []

    def meet(number: int, phase: str) -> None:
        if (number, phase) == (8, "before"):
            met.append(Function(bucket, Clock(meanwhile=renew_locks))(event("incoming/file.csv")))

    with at_writes(meet):
        (summary,) = Function(bucket)(event("incoming/file.csv"))
    assert met == [[]]
    assert counts(summary) == DONE


def test_whoever_waited_for_an_import_that_has_ended_does_not_do_it_again(bucket):
    upload(bucket, "incoming/file.csv", MANY)
    met = []

    def meet(number: int, phase: str) -> None:
        if (number, phase) == (8, "before"):
            met.append(Function(bucket, Clock(meanwhile=lambda: restore({"Settings": []})))(event("incoming/file.csv")))

    with at_writes(meet):
        Function(bucket)(event("incoming/file.csv"))
    assert met == [[]]
    assert counts(bucket.report("incoming/file.csv")) == DONE


def test_whoever_finds_a_file_taken_by_the_dead_waits_a_minute_and_goes_on(bucket):
    upload(bucket, "incoming/file.csv", MANY)
    with at_writes(dying_at(8, "before")), pytest.raises(Killed):
        Function(bucket)(event("incoming/file.csv"))
    successor = Function(bucket)
    assert len(successor(event("incoming/file.csv"))) == 1
    assert 60 <= successor.clock.slept <= 70


def test_an_import_of_which_nothing_was_heard_for_a_minute_leaves_the_file_to_its_successor(bucket):
    upload(bucket, "incoming/file.csv", MANY)
    successors = dict[str, Any]()

    def take_over(number: int, phase: str) -> None:
        if (number, phase) == (8, "before"):
            (lock,) = dump()["Settings"]
            successors.update(lock, holder={"S": "successor"}, held_until={"S": "2026-03-21T00:00:00Z"})
            restore({"Settings": [successors]})

    function = Function(bucket, Clock(step=timedelta(seconds=16)))
    with at_writes(take_over):
        assert function(event("incoming/file.csv")) == []
    assert function.asked_again == []
    assert dump()["Settings"] == [successors]
    assert [report["status"] for report in [bucket.report("incoming/file.csv")]] == ["in_progress"]


@pytest.mark.parametrize("write", [4, 8, 12, 16])
def test_an_import_that_finds_its_turn_taken_writes_no_report(bucket, write):
    upload(bucket, "incoming/file.csv", MANY)

    def take_over(number: int, phase: str) -> None:
        if (number, phase) == (write, "before"):
            (lock,) = dump()["Settings"]
            successors = lock | {"holder": {"S": "successor"}, "held_until": {"S": "2026-03-21T00:00:00Z"}}
            restore({"Settings": [successors]})

    with at_writes(take_over):
        assert Function(bucket)(event("incoming/file.csv")) == []
    assert bucket.listed() == ["incoming/file.csv", "unfinished/file.csv.json"]


def test_merges_keep_the_turn_while_they_are_made_however_long_they_take(bucket, monkeypatch):
    monkeypatch.setattr(staging, "CHUNK_ROWS", 500)
    read_as(monkeypatch, *(row(line, MergeRecord(f"p{line}", f"q{line}")) for line in range(25)))
    upload(bucket, "incoming/file.csv", "anything")
    function, left = Function(bucket), list[timedelta]()

    def be_slow(number: int, phase: str) -> None:
        function.clock.moment += timedelta(seconds=5)
        left.extend(parse_instant(lock["held_until"]["S"]) - function.clock.moment for lock in dump()["Settings"])

    with at_writes(be_slow):
        function(event("incoming/file.csv"))
    assert function.clock.moment - FIRST_UPLOAD > timedelta(minutes=3)
    assert min(left) > timedelta(0)
    assert bucket.report("incoming/file.csv")["updated"] == 25


def test_an_import_leaves_no_lock_behind(bucket):
    send(bucket, MANY)
    assert dump()["Settings"] == []


# How far it is.


def reports_written(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Every report that is written from now on."""
    written: list[dict[str, Any]] = []
    put_object = bucket.put_object

    def put(**request: Any) -> Any:
        if request["Key"].startswith("reports/"):
            written.append(json.loads(request["Body"]))
        return put_object(**request)

    monkeypatch.setattr(bucket, "put_object", put)
    return written


def test_an_import_that_is_done_within_20_seconds_writes_its_report_once(bucket, monkeypatch):
    written = reports_written(bucket, monkeypatch)
    upload(bucket, "incoming/file.csv", MANY)
    Function(bucket, Clock(step=timedelta(milliseconds=500)))(event("incoming/file.csv"))
    assert [report["status"] for report in written] == ["partial"]


def test_an_import_that_takes_longer_shows_how_far_it_is_every_ten_seconds(bucket, monkeypatch):
    written = reports_written(bucket, monkeypatch)
    upload(bucket, "incoming/file.csv", MANY)
    Function(bucket, Clock(step=timedelta(seconds=2)))(event("incoming/file.csv"))
    *shown, finished = written
    assert {report["status"] for report in shown} == {"in_progress"}
    assert 2 <= len(shown) <= 8
    assert [set(report) for report in shown] == [CONTRACT | {"rows_read"}] * len(shown)
    assert [report["rows_read"] for report in shown] == sorted(report["rows_read"] for report in shown)
    assert all(report["rows"] == sum(counts(report)) <= report["rows_read"] <= 7 for report in shown)
    assert shown[-1]["rows"] > shown[0]["rows"]
    assert (finished["status"], set(finished), counts(finished)) == ("partial", CONTRACT, DONE)


def test_another_invocation_goes_on_showing_at_once(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    written = reports_written(bucket, monkeypatch)
    function.clock.moment += timedelta(minutes=2)
    function(function.asked_again.pop())
    assert [(report["status"], report["rows"]) for report in written] == [("in_progress", 4), ("partial", 7)]


def test_what_is_shown_never_goes_back(bucket, monkeypatch):
    function = stopped_after_a_chunk(bucket, MANY, monkeypatch)
    written = reports_written(bucket, monkeypatch)
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 1)
    function.clock.step = timedelta(seconds=10)
    function(function.asked_again.pop())
    rows = [report["rows"] for report in written]
    assert rows == sorted(rows)
    assert rows[0] == 1


# What is given back of a file that is no table.


def test_refused_messages_are_given_back_as_they_came_with_the_reasons_beside_them(bucket, monkeypatch):
    read_as(
        monkeypatch,
        Refusal(1, b"MSH|1\rPID|1\r", "PID-3", 'has no "MR" number'),
        row(3, person("p1")),
        Refusal(5, b'{"resourceType": "Condition"}', "", "is of type Condition"),
        Refusal(6, b"MSH|\xff\r\n", "", "cannot be read"),
    )
    report = send(bucket, "anything", "adt.hl7")
    assert (report["status"], counts(report)) == ("partial", (1, 0, 0, 3))
    assert bucket.read("rejected/adt.hl7") == b'MSH|1\rPID|1\r{"resourceType": "Condition"}\nMSH|\xff\r\n'
    assert bucket.read("rejected/adt.hl7.reasons.csv").decode().splitlines() == [
        "line,column,reason",
        '1,"PID-3","has no ""MR"" number"',
        '5,"","is of type Condition"',
        '6,"","cannot be read"',
    ]
    read_as(monkeypatch, row(1, person("p1")))
    send(bucket, "anything", "adt.hl7", days=1)
    assert bucket.listed() == ["incoming/adt.hl7", "reports/adt.hl7.json"]


# Where it stands.


def test_no_two_files_share_a_report():
    names = {
        "incoming/visits.csv": "visits.csv",
        "incoming/2026/visits.csv": "2026/visits.csv",
        "settings/clinics.csv": "settings/clinics.csv",
        "incoming/settings/clinics.csv": "incoming/settings/clinics.csv",
        "preview/visits.csv": "preview/visits.csv",
        "incoming/preview/visits.csv": "incoming/preview/visits.csv",
        "incoming/incoming/settings/clinics.csv": "incoming/incoming/settings/clinics.csv",
    }
    assert {key: Upload(None, "intake", key).name for key in names} == names


# The sweep.


def test_the_sweep_takes_up_every_unfinished_file_and_nothing_else(bucket, function, monkeypatch):
    monkeypatch.setattr(importing, "ROWS_BETWEEN_LOOKS", 100)
    function.seconds_left = 0
    for key in ("incoming/a b.csv", "incoming/2026/é+.csv", "preview/c.csv", "settings/clinics.csv"):
        upload(bucket, key, "clinic_id,name\na,A\nb,B\n" if "settings" in key else MANY)
        function(event(key))
    upload(bucket, "incoming/untouched.csv", MANY)
    function.seconds_left = 900
    function.asked_again.clear()
    assert function({"time": "2026-03-20T03:15:00Z"}) == []
    assert len(function.asked_again) == 4
    for asked in list(function.asked_again):
        function(asked)
    assert [key for key in bucket.listed() if key.startswith(("unfinished/", "reports/"))] == [
        "reports/2026/é+.csv.json",
        "reports/a b.csv.json",
        "reports/preview/c.csv.json",
        "reports/settings/clinics.csv.json",
    ]


def test_a_file_with_too_many_rows_is_refused_before_any_is_stored(bucket, monkeypatch):
    monkeypatch.setattr(staging, "MAX_ROWS", 5)
    report = send(bucket, MANY)
    assert (report["status"], "more than 5 rows" in report["errors"][-1]["reason"]) == ("refused", True)
    assert not any(dump().values())


def test_rows_beyond_a_patient_s_share_are_refused_and_the_rest_is_stored(bucket, monkeypatch):
    monkeypatch.setattr(staging, "MAX_PATIENT_ROWS", 6)
    report = send(bucket, COURSE)
    assert (report["status"], counts(report)) == ("partial", (6, 0, 0, 2))
    assert [error["line"] for error in report["errors"]] == [8, 9]
    assert bucket.read("rejected/file.csv").startswith(f"{VISITS},reason\nv7,p1,".encode())

"""Files in, patients, visits, surveys and messages out: each row once, whatever happens on the way."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.import_visits import upload as uploads
from functions.import_visits.handler import handler
from shared.config import setting
from shared.domain.message import MessageState
from shared.domain.patient import Patient
from shared.observability import HandlerFailed
from shared.storage import kept, models, patients, surveys, visits
from shared.storage import settings as stored_settings
from shared.storage.dynamodb import client
from tests.fakes import FakeContext
from tests.handlers.exports import (
    COURSE,
    FIRST_UPLOAD,
    PATIENTS,
    VISITS,
    Bucket,
    Killed,
    at_writes,
    counts,
    due,
    dump,
    dying_at,
    event,
    file_of,
    message_of,
    restore,
    run,
    send,
    surveys_of,
    upload,
    visit,
)

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture
def bucket(aws: None) -> Bucket:
    return Bucket()


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
    assert bucket.listed() == ["incoming/file.csv", "reports/file.csv.json"]


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
    assert "rejected/file.csv" in set(bucket.listed())
    send(bucket, file_of("p1,Ann,Lee,ann@example.com,north", header=PATIENTS), days=1)
    assert "rejected/file.csv" not in set(bucket.listed())


def test_a_file_that_is_too_large_is_refused_without_being_read(bucket, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_FILE_BYTES", 100)
    report = send(bucket, COURSE)
    assert report["status"] == "refused"
    assert "Send it in parts" in report["errors"][0]["reason"]


@pytest.mark.parametrize("key", ["incoming/", "incoming/2026/", "reports/file.csv.json", "elsewhere.csv"])
def test_folder_marks_and_other_places_are_left_alone(bucket, key):
    upload(bucket, key, COURSE)
    assert handler(event(key), FakeContext(), s3=bucket) == {"files": []}
    assert bucket.listed() == [key]


def test_an_object_that_was_deleted_meanwhile_is_no_error(bucket):
    assert handler(event("incoming/gone.csv"), FakeContext(), s3=bucket) == {"files": []}


def test_s3_s_test_event_is_no_error(bucket):
    assert handler({"Service": "Amazon S3", "Event": "s3:TestEvent"}, FakeContext(), s3=bucket) == {"files": []}


def test_logs_hold_no_patient_s_data_and_no_file_name(bucket, capsys):
    canary = file_of("zebra,zebra,zebra,zebra at x,north", "zebra2,zebra,zebra,z@zebra.org,north", header=PATIENTS)
    send(bucket, canary, "zebra.csv")
    output = capsys.readouterr()
    assert "IntakeRefused" in output.out
    assert "zebra" not in output.out + output.err


# Imports that die, meet, or come in any order.


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
def test_an_import_killed_at_any_write_is_completed_by_importing_the_file_again(bucket, last, moment):
    for number, (name, content) in enumerate(FILES.items()):
        upload(bucket, f"incoming/{name}", content, FIRST_UPLOAD + timedelta(days=number))
    for name in itertools.takewhile(lambda name: name != last, FILES):
        run(bucket, f"incoming/{name}")
    start = dump()
    undisturbed = run(bucket, f"incoming/{last}")
    uninterrupted = dump()
    assert uninterrupted != start

    for write in itertools.count(1):
        restore(start)
        try:
            with at_writes(dying_at(write, moment)):
                run(bucket, f"incoming/{last}")
        except Killed:
            report = run(bucket, f"incoming/{last}")
            assert (report["rows"], report["refused"]) == (undisturbed["rows"], undisturbed["refused"])
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


def test_two_imports_that_meet_at_any_write_come_to_the_same_as_one_after_the_other(bucket):
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
                run(bucket, "incoming/b")

        restore(empty)
        with at_writes(meet):
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
    (summary,) = handler(event("incoming/many.csv"), FakeContext(), s3=bucket)["files"]
    assert summary["created"] == 100
    assert len(dump()["Messages"]) == len(dump()["Visits"]) == 100


def test_an_unexpected_failure_ends_the_invocation_without_its_words(bucket, monkeypatch, capsys):
    def fail(*_: Any) -> None:
        raise RuntimeError("zebra")

    monkeypatch.setattr(visits, "put", fail)
    upload(bucket, "incoming/file.csv", COURSE)
    with pytest.raises(HandlerFailed) as failure:
        handler(event("incoming/file.csv"), FakeContext(), s3=bucket)
    output = capsys.readouterr()
    assert "zebra" not in str(failure.value) + output.out + output.err
    assert bucket.listed() == ["incoming/file.csv", "unfinished/file.csv.json"]


def test_a_clinic_s_hours_are_judged_beside_those_that_the_dashboard_chose(bucket):
    clinics = "clinic_id,name,send_from\nnight,Night,19:00\n"
    upload(bucket, "settings/clinics.csv", clinics)
    assert run(bucket, "settings/clinics.csv")["created"] == 1
    client().put_item(
        TableName=setting("SETTINGS_TABLE"), Item={"scope": {"S": "practice"}, "SEND_UNTIL": {"S": "18:00"}}
    )
    kept.forget()
    upload(bucket, "settings/clinics.csv", clinics, at=FIRST_UPLOAD + timedelta(days=1))
    [error] = run(bucket, "settings/clinics.csv")["errors"]
    assert "leaves no time for sending" in error["reason"]

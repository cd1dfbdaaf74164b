"""A row that is refused for its address: what else it says is heard, and nobody is mailed who must not be."""

import itertools
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.send_survey.handler import handler as send_surveys
from functions.send_survey.pace import Limits
from shared.domain.clock import format_instant
from shared.storage import patients, visits
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.exports import (
    FIRST_UPLOAD,
    PATIENTS,
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
    restore,
    run,
    send,
    upload,
    visit,
)

pytestmark = pytest.mark.usefixtures("aws")

NOON = datetime(2026, 3, 2, 20, tzinfo=UTC)  # some hours after the evaluation at 9 in New York
_requests = itertools.count()


@pytest.fixture
def bucket(aws: None) -> Bucket:
    """Ada has an address and a survey that is due."""
    found = Bucket()
    send(found, file_of("p1,Ada,Okafor,ada@example.com,north", header=PATIENTS), "patients.csv")
    send(found, file_of(visit(1, 2, "evaluation")), "visits.csv")
    return found


def mailed() -> list[str]:
    """To whom the sender sends what is due."""
    mailer = FakeMailer()
    send_surveys(
        {"time": format_instant(NOON)},
        FakeContext(f"heard-{next(_requests)}"),
        mailer=mailer,
        limits=lambda: Limits(rate=4, allowance=None),
        now=lambda: NOON,
    )
    return [address for mail in mailer.sent for address in mail.to]


def hl7(event: str, *segments: str) -> str:
    return "\r".join([f"MSH|^~\\&|EMR|NORTH|||20260319100000-0500||ADT^{event}|1|P|2.5", *segments]) + "\r"


def fhir(**members: Any) -> str:
    telecom = [{"system": "email", "value": "none"}]
    return json.dumps({"resourceType": "Patient", "id": "p1", "telecom": telecom, **members}) + "\n"


WEBPT = "patient_id,first_name,last_name,email,export_flag,patient_status"
PID = "PID|||p1^^^EMR^MR||Okafor^Ada|||||||||"
DECLINED = f"{PID[:-1]}^NET^Internet^declined"

DEATHS = {
    "csv": file_of("p1,Ada,Okafor,n/a,north,deceased", header=f"{PATIENTS},status"),
    "webpt": file_of("p1,Ada,Okafor,declined,2,Deceased", header=WEBPT),
    "webpt, removed": file_of("p1,Ada,Okafor,declined,3,Deceased", header=WEBPT),
    "fhir": fhir(deceasedBoolean=True),
    "hl7": hl7("A08", "PID|||p1^^^EMR^MR||Okafor^Ada||||||||^NET^Internet^NONE|||||||||||||||||Y"),
}


def test_without_bad_news_the_survey_leaves(bucket):
    assert mailed() == ["ada@example.com"]


@pytest.mark.parametrize("format_", DEATHS)
def test_the_dead_are_not_mailed_though_the_row_that_says_so_has_no_address(bucket, format_):
    report = send(bucket, DEATHS[format_], "news", days=1)
    is_refused = format_ != "webpt, removed"
    assert counts(report) == ((0, 0, 0, 1) if is_refused else (0, 1, 0, 0))
    assert mailed() == []
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.deceased, stored.email, stored.last_name) == (True, "ada@example.com", "Okafor")


def test_of_a_removed_patient_the_address_is_not_even_read(bucket):
    report = send(bucket, file_of("p1,Ada,Okafor,declined,3,", header=WEBPT), "news.csv", days=1)
    assert counts(report) == (0, 1, 0, 0)
    stored = patients.get("p1")
    assert stored is not None
    assert (stored.archived, stored.email) == (True, "ada@example.com")


ARCHIVINGS = {
    "csv": file_of("p2,Bo,Lee,n/a,north,archived", header=f"{PATIENTS},status"),
    "webpt": file_of("p2,Bo,Lee,n/a,2,Inactive", header=WEBPT),
    "fhir": fhir(id="p2", active=False),
    "hl7": hl7("A29", DECLINED.replace("p1", "p2")),
}


@pytest.mark.parametrize("format_", ARCHIVINGS)
def test_who_is_archived_in_a_refused_row_gets_no_new_survey(bucket, format_):
    assert counts(send(bucket, ARCHIVINGS[format_], "news", days=1)) == (0, 0, 0, 1)
    send(bucket, file_of(visit(2, 2, "evaluation").replace("p1", "p2")), "later.csv", days=2)
    assert due("p2") == {}


MERGES = {
    "hl7": hl7("A40", DECLINED, "MRG|p9^^^EMR^MR"),
    "fhir": fhir(link=[{"type": "replaces", "other": {"reference": "Patient/p9"}}]),
}


@pytest.mark.parametrize("format_", MERGES)
def test_two_who_are_one_are_mailed_once_though_the_word_of_it_has_no_address(bucket, format_):
    send(bucket, file_of("p9,Ada,Okafor,ada.o@example.com,north", header=PATIENTS), "patients.csv", days=1)
    send(bucket, file_of(visit(9, 2, "evaluation").replace("p1", "p9")), "visits.csv", days=1)
    assert counts(send(bucket, MERGES[format_], "news", days=2)) == (0, 0, 0, 1)
    assert mailed() == ["ada@example.com"]


def test_the_visit_of_a_message_with_a_bad_address_is_not_lost(bucket):
    arrived = "PV1||O|PT^^^NORTH||||T7^Lee^Sam||||||||||||V7|||||||||||||||||||||||||20260318090000-0500"
    report = send(bucket, hl7("A04", DECLINED, arrived), "news.hl7", days=1)
    assert counts(report) == (0, 0, 0, 1)
    (error,) = report["errors"]
    assert (error["column"], error["reason"]) == (
        "PID-13",
        "is not an address that can be mailed; everything else was taken in",
    )
    assert "visit:V7" in visits.of_patient("p1").visits
    assert mailed() == ["ada@example.com"]


def test_what_is_heard_is_no_newer_than_its_row(bucket):
    header = f"{PATIENTS},status,updated_at"
    send(bucket, file_of("p1,Ada,Okafor,ada@example.com,north,active,2026-03-10", header=header), "new.csv", days=1)
    send(bucket, file_of("p1,Ada,Okafor,n/a,north,deceased,2026-03-09", header=header), "old.csv", days=2)
    assert mailed() == ["ada@example.com"]


def test_a_death_that_comes_before_anything_else_of_the_patient_is_remembered(bucket):
    send(bucket, DEATHS["csv"].replace("p1", "p2"), "news.csv", days=1)
    without_status = file_of("p2,Bo,Lee,bo@example.com,north", header=PATIENTS)
    assert counts(send(bucket, without_status, "patients.csv", days=2)) == (0, 1, 0, 0)
    send(bucket, file_of(visit(2, 2, "evaluation").replace("p1", "p2")), "later.csv", days=2)
    assert mailed() == ["ada@example.com"]


def test_a_preview_looks_at_what_would_be_heard(bucket):
    upload(bucket, "preview/news.csv", DEATHS["csv"], FIRST_UPLOAD)
    before = dump()
    Function(bucket)(event("preview/news.csv"))
    report = bucket.report("preview/news.csv")
    assert (report["rows"], report["refused"]) == (1, 1)
    assert report["patients"] == {"new": 0, "changed": 1, "unchanged": 0}
    assert dump() == before


def test_a_preview_counts_every_merge_that_would_be_heard(bucket):
    links = [{"type": "replaces", "other": {"reference": f"Patient/{retired}"}} for retired in ("p8", "p9")]
    upload(bucket, "preview/news.json", fhir(link=links) + fhir(deceasedBoolean=True), FIRST_UPLOAD)
    Function(bucket)(event("preview/news.json"))
    assert bucket.report("preview/news.json")["merges"] == 2


@pytest.mark.parametrize("moment", ["before", "after"])
def test_an_import_killed_at_any_write_hears_all_that_an_uninterrupted_one_does(bucket, moment):
    at_first = dump()
    news = MERGES["hl7"] + DEATHS["hl7"]
    uninterrupted_report = send(bucket, news, "news.hl7", days=1)
    uninterrupted = dump()
    for write in itertools.count(1):
        restore(at_first)
        try:
            with at_writes(dying_at(write, moment)):
                run(bucket, "incoming/news.hl7")
        except Killed:
            later = Clock(FIRST_UPLOAD.replace(day=28))
            Function(bucket, later)(event("incoming/news.hl7"))
            assert dump() == uninterrupted, f"killed {moment} write {write}"
            assert counts(bucket.report("incoming/news.hl7"))[3] == counts(uninterrupted_report)[3]
        else:
            break
    assert write > 5

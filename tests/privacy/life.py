"""Everything that can be held about a patient, put there the way it comes, and the erasing of it."""

import json
import os
from datetime import UTC, datetime
from typing import Any

import boto3

from functions.aggregate_scores.handler import handler as aggregate_scores
from functions.erase_patient.handler import handler as erase_patient
from shared.domain.clock import format_instant
from shared.domain.erasure import LONGEST_RUN, Why, traces_of
from shared.domain.identity import address_key
from shared.domain.message import MessageKind
from shared.domain.recovery import Channel, Outreach, Result
from shared.hash_key import hash_key
from shared.storage import activity, cases, erasures, messages, patients, praise
from shared.storage.models import AddressItem
from shared.storage.praise import Praise
from tests.builders import a_case, a_message, a_patient
from tests.fakes import FakeContext
from tests.handlers.answering import ANSWERED_AT, answer, sent, survey_id
from tests.handlers.exports import Bucket, Function, event, file_of, send, upload
from tests.privacy import canary

NOW = datetime(2026, 3, 25, 15, 0, tzinfo=UTC)
SURVEY, ANOTHER = survey_id(1), survey_id(2)
PATIENTS = "patient_id,first_name,last_name,email,phone,clinic_id"
PERSON = f"{canary.PATIENT_ID},{canary.FIRST},{canary.LAST},{canary.EMAIL},{canary.PHONE},north"
VISITS = "visit_id,patient_id,case_id,clinic_id,started_at,kind,status,therapist_id,therapist_name"
VISIT = f"{canary.VISIT_ID}-1,{canary.PATIENT_ID},{canary.CASE_ID},north,2026-03-20T09:00,evaluation,completed,t1,"
WRONG = f"{canary.VISIT_ID}-2,{canary.PATIENT_ID},{canary.CASE_ID},north,never,evaluation,completed,t1,"


def live(bucket: Bucket) -> None:
    """Files, a merge, mails, an answer that is counted, another patient's likewise, a case and who read of it."""
    boto3.client("s3").put_bucket_versioning(
        Bucket=os.environ["INTAKE_BUCKET"], VersioningConfiguration={"Status": "Enabled"}
    )
    send(bucket, file_of("n1,Nia,Neighbour,nia@example.com,,north", header=PATIENTS), "neighbours.csv")
    for _ in range(2):  # each upload of a name leaves a version
        send(bucket, file_of(PERSON, header=PATIENTS), "patients.csv")
    upload(bucket, "preview/looked-at.csv", file_of(VISIT, header=VISITS))
    Function(bucket)(event("preview/looked-at.csv"))
    send(bucket, file_of(VISIT, WRONG, header=VISITS), "visits.csv")
    _be_merged()
    for one, patient_id, score in ((SURVEY, canary.PATIENT_ID, 3), (ANOTHER, "n1", 9)):
        sent(one, patient_id=patient_id, case_id=canary.CASE_ID if one == SURVEY else "c9")
        messages.create(a_message(one, MessageKind.SURVEY, patient_id=patient_id))
        messages.create(a_message(one, MessageKind.REMINDER, patient_id=patient_id))
        answer(one, score, canary.COMMENT if one == SURVEY else "thank you")
        praise.pass_on("t1", Praise(one, 1, NOW, "Robin"))
        activity.note(patient_id, "answered", ANSWERED_AT, one, survey_id=one, score=score)
    activity.note(canary.RETIRED_ID, "opted_out", NOW, "old")
    called = Outreach(NOW, "user-1", "Robin", Channel.TELEPHONE, Result.SPOKE, note=canary.NOTE)
    cases.create(a_case(SURVEY, patient_id=canary.PATIENT_ID, outreach=(called,), closing_note=canary.NOTE))
    cases.create(a_case(ANOTHER, patient_id="n1"))
    for email, last, is_bad in (
        (canary.EMAIL, canary.PATIENT_ID, None),
        (canary.OLD_EMAIL, canary.RETIRED_ID, True),
        ("before@example.com", canary.PATIENT_ID, None),
        ("nia@example.com", "n1", None),
    ):
        AddressItem(address_key(hash_key(), email), last_contact_at=NOW, last_patient_id=last, bounced=is_bad).save()
    count()


def _be_merged() -> None:
    """An older record of the patient turns out to be theirs."""
    older = a_patient(
        canary.RETIRED_ID, first_name=canary.FIRST, last_name=canary.LAST, email=canary.OLD_EMAIL, uploaded_at=NOW
    )
    assert patients.put_record(older, None)
    patient = patients.get(canary.PATIENT_ID)
    assert patient
    assert patients.merge(older, patient)


def count() -> None:
    """The night passes."""
    aggregate_scores({"time": format_instant(NOW)}, FakeContext())


def ask(patient_id: str = canary.PATIENT_ID, at: datetime = NOW) -> str:
    """An owner asks for the erasing, as the dashboard writes it down."""
    patient = patients.get(patient_id)
    assert patient
    known_as = [one for each in sorted(patient.merged_from) if (one := patients.get_exactly(each))]
    return erasures.request(traces_of([*known_as, patient]), Why.PATIENT, "Robin Reyes", at, opted_out=True)


def look(at: datetime = NOW, **event: Any) -> dict[str, int]:
    """One run of the function: the schedule's, or for `erase=reference` or `again=True`."""
    happened = event or {"time": format_instant(at)}
    counted: dict[str, int] = erase_patient(happened, FakeContext(seconds_left=900), now=lambda: at)
    return counted


def erase(patient_id: str = canary.PATIENT_ID) -> str:
    """Ask, and look until nothing is left; returns the reference."""
    reference = ask(patient_id)
    assert look(erase=reference)["in_progress"] == 1
    assert look(NOW + LONGEST_RUN)["erased"] == 1
    return reference


def scores() -> dict[str, str]:
    """The rows of counts: by day, by month."""
    names = ("practice", "clinic#", "therapist#", "touchpoint#", "month#")
    rows = boto3.client("dynamodb").scan(TableName=os.environ["SCORES_TABLE"])["Items"]
    return {
        f"{row['scope']['S']} {row['day']['S']}": json.dumps(row, sort_keys=True)
        for row in rows
        if row["scope"]["S"].startswith(names)
    }


def everything_of(word: str) -> list[tuple[str, str]]:
    """What stands in the tables and the bucket and has this in it."""
    return [(where, text) for where, text in (*canary.tables(), *canary.objects()) if word in text]


def whole(names: list[str]) -> dict[str, list[Any]]:
    """A backup of these tables."""
    tables = boto3.client("dynamodb")
    found = {os.environ[f"{name.upper()}_TABLE"]: name for name in names}
    return {table: tables.scan(TableName=table)["Items"] for table in found}


IDS_OF_PATIENT = {name: canary.WORDS[name] for name in ("record number", "address", "comment", "telephone")}

"""One file, from the bucket to the tables and back as a report."""

import shutil
from collections.abc import Iterator
from concurrent.futures import Executor
from datetime import datetime
from functools import lru_cache
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any
from zoneinfo import ZoneInfo

from functions.import_visits.follow_up import FollowUp
from functions.import_visits.readers import recognise
from functions.import_visits.records import (
    ClinicRecord,
    Context,
    FileRefused,
    PatientRecord,
    Reading,
    Refusal,
    Row,
    VisitRecord,
    ZoneOf,
)
from functions.import_visits.report import Report
from functions.import_visits.store_clinics import store_clinics
from functions.import_visits.store_patients import store_patients
from functions.import_visits.store_visits import store_visits
from shared.hash_key import hash_key
from shared.storage import patients, settings
from shared.storage.settings import practice

INCOMING, SETTINGS = "incoming/", "settings/"
BATCH_ROWS = 10_000  # about 20 MB; the more rows of a patient come together, the fewer reads
MAX_FILE_BYTES = 200 * 1024 * 1024  # file and refused records share the function's 512 MB of disk


def import_object(s3: Any, bucket: str, key: str, now: datetime, workers: Executor) -> dict[str, Any] | None:
    """Store what the object holds, every row once, and write the report; None if there is nothing to import.

    Importing the same object again changes nothing, and finishes what an import that was killed left undone.
    """
    name = key.removeprefix(INCOMING)
    if key.endswith("/") or not key.startswith((INCOMING, SETTINGS)):
        return None
    with TemporaryFile() as file, Report() as report:
        try:
            uploaded_at = _fetch(s3, bucket, key, file)
            if uploaded_at is None:
                return None
            zone_of = _zones()
            reading = _open(file, key, zone_of)
            report.begin(reading.kind, reading.header or b"")
            choices = practice()
            follow_up = FollowUp(hash_key(), choices.touchpoints, choices.survey_delay, zone_of, now)
            for batch in _batches(reading.rows):
                _store(batch, uploaded_at, report, follow_up, workers)
        except FileRefused as refused:
            report.refuse_file(refused)
        if report.has_rejected:
            report.rejected.seek(0)
            s3.put_object(Bucket=bucket, Key=f"rejected/{name}", Body=report.rejected, ContentType="text/csv")
        else:  # what an earlier upload of the same name had refused is corrected
            s3.delete_object(Bucket=bucket, Key=f"rejected/{name}")
        s3.put_object(Bucket=bucket, Key=f"reports/{name}.json", Body=report.to_json(), ContentType="application/json")
        return report.summary()


def _fetch(s3: Any, bucket: str, key: str, file: IO[bytes]) -> datetime | None:
    """Copy the object to disk (S3 drops connections that are read slowly); None if it is gone."""
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None
    if found["ContentLength"] > MAX_FILE_BYTES:
        found["Body"].close()
        raise FileRefused(f"The file is larger than {MAX_FILE_BYTES // 1024**2} MB. Send it in parts.")
    shutil.copyfileobj(found["Body"], file)
    file.seek(0)
    uploaded_at: datetime = found["LastModified"]
    return uploaded_at.replace(microsecond=0)


def _open(file: IO[bytes], key: str, zone_of: ZoneOf) -> Reading:
    reading = recognise(file, Context(zone_of))
    if (reading.kind == "clinics") != key.startswith(SETTINGS):
        place = "Clinics are" if reading.kind == "clinics" else "Only clinics are"
        raise FileRefused(f"{place} accepted under {SETTINGS}; patients and visits go to {INCOMING}.", reading.kind)
    return reading


def _store(
    batch: list[Row | Refusal], uploaded_at: datetime, report: Report, follow_up: FollowUp, workers: Executor
) -> None:
    for refusal in batch:
        if isinstance(refusal, Refusal):
            report.refuse(refusal)
            if refusal.opted_out:
                patients.opt_out(refusal.opted_out)
    records = [record for row in batch if isinstance(row, Row) for record in row.records]
    people = [record for record in records if isinstance(record, PatientRecord)]
    visits = [record for record in records if isinstance(record, VisitRecord)]
    clinics = [record for record in records if isinstance(record, ClinicRecord)]
    report.add(store_patients(people, uploaded_at, follow_up))
    report.add(store_visits(visits, uploaded_at, follow_up, workers))
    report.add(store_clinics(clinics, uploaded_at))


def _batches(rows: Iterator[Row | Refusal]) -> Iterator[list[Row | Refusal]]:
    """Each batch is stored whole before the next is read: an import could go on after the last one's last line."""
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _zones() -> ZoneOf:
    """The clinics' time zones as they stand now, each read once."""

    @lru_cache(maxsize=1024)
    def zone_of(clinic_id: str) -> ZoneInfo:
        return settings.load_clinic(clinic_id).zone

    return zone_of

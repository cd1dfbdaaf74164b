"""What nobody told the function of: files whose event was lost, and files where none belong."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from functions.import_visits.checkpoint import unfinished
from functions.import_visits.records import FileRefused
from functions.import_visits.report import Report
from functions.import_visits.upload import Upload
from shared.domain.intake import FOLDERS, INCOMING, PREVIEW, READ, REPORTS, SETTINGS, name_of
from shared.observability import count

OVERDUE = timedelta(hours=1)  # S3 has told of every upload by then, and AWS has tried it three times
FORGOTTEN = timedelta(days=29)  # a day later the report expires, sometimes before the file
MOST_OVERDUE = 100  # a sweep: where many files wait in the queue, they are not asked for many times over
MISPLACED = (
    f"The file was not read: files in this place never are. Upload it again, patients and visits under {INCOMING}, "
    f"clinics and the choices for intake under {SETTINGS}, and what is only to be looked at under {PREVIEW}. This one "
    "is deleted after 30 days."
)


def left_lying(s3: Any, bucket: str, now: datetime) -> list[str]:
    """The keys of files that are to be imported: those whose import has not ended, and those where none began."""
    begun = dict.fromkeys(unfinished(s3, bucket))
    never_begun = (key for key in _without_report(s3, bucket, now) if key not in begun)
    return [*begun, *islice(never_begun, MOST_OVERDUE)]


def report_misplaced(s3: Any, bucket: str) -> None:
    """Report once on each file outside the folders, and raise the alarm of refused files."""
    reports = dict(_listed(s3, bucket, REPORTS))
    for key, uploaded_at in _misplaced(s3, bucket):
        upload = Upload(s3, bucket, key)
        if not _is_reported(upload.key, uploaded_at, reports):
            with Report() as report:
                report.refuse_file(FileRefused(MISPLACED, line=0))
                upload.put_report(report.to_json())
            count("IntakeRefused")


def _without_report(s3: Any, bucket: str, now: datetime) -> Iterator[str]:
    reports = dict(_listed(s3, bucket, REPORTS))
    for folder in READ:
        for key, uploaded_at in _listed(s3, bucket, folder):
            is_due = OVERDUE < now - uploaded_at < FORGOTTEN
            if is_due and not _is_reported(key, uploaded_at, reports):
                yield key


def _misplaced(s3: Any, bucket: str) -> Iterator[tuple[str, datetime]]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Delimiter="/"):
        yield from ((item["Key"], item["LastModified"]) for item in page.get("Contents", ()))
        for folder in (each["Prefix"] for each in page.get("CommonPrefixes", ())):
            if folder not in FOLDERS:
                yield from _listed(s3, bucket, folder)


def _listed(s3: Any, bucket: str, folder: str) -> Iterator[tuple[str, datetime]]:
    """Files and when they were put there, but not the marks that consoles put for folders."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):
                yield item["Key"], item["LastModified"]


def _is_reported(key: str, uploaded_at: datetime, reports: dict[str, datetime]) -> bool:
    reported_at = reports.get(f"{REPORTS}{name_of(key)}.json")
    return reported_at is not None and reported_at >= uploaded_at

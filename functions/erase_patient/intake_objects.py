"""The intake bucket: every version of every object that may hold rows of a patient, and the marks of the erased."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from functions.erase_patient.pattern import LONGEST
from shared.domain.intake import ERASED, FOLDERS, READ, REPORTS, UNFINISHED, name_of

KEPT = timedelta(days=30)  # as long as the bucket keeps what lies in its folders
_READ = 8 * 1024 * 1024
_CANNOT_BE_READ = (b"PK\x03\x04", b"\x1f\x8b", b"\xd0\xcf\x11\xe0")  # zip and spreadsheets, gzip, old spreadsheets


@dataclass(frozen=True, slots=True)
class Found:
    """What became of an object: how many versions were removed, and how many wait until they are taken in."""

    removed: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Bucket:
    """The intake bucket, with all versions of what is in it."""

    s3: Any
    name: str

    def search(self, pattern: re.Pattern[bytes], after: str = "") -> Iterator[tuple[str, Found]]:
        """Remove every version that matches, wherever it lies, object by object in the order of their keys."""
        start = {"KeyMarker": after} if after else {}
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.name, **start)
        listed = (version for page in pages for version in page.get("Versions", ()))
        for key, versions in groupby(listed, key=lambda version: str(version["Key"])):
            if not key.startswith(ERASED):
                yield key, self._treat(key, list(versions), pattern)

    def remove_misplaced(self, now: datetime) -> int:
        """Remove what has lain for 30 days where no file belongs: no rule of S3's can leave out the marks."""
        old = [version for version in self._misplaced() if now - version["LastModified"] > KEPT]
        for version in old:
            self.s3.delete_object(Bucket=self.name, Key=version["Key"], VersionId=version["VersionId"])
        return len(old)

    def put_mark(self, reference: str, proof: bytes) -> None:
        """Let no restored backup bring back who has this reference."""
        self.s3.put_object(Bucket=self.name, Key=ERASED + reference, Body=proof, ContentType="application/json")

    def marks(self) -> dict[str, dict[str, Any]]:
        """What the marks say, by reference."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.name, Prefix=ERASED)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {
            key.removeprefix(ERASED): json.loads(self.s3.get_object(Bucket=self.name, Key=key)["Body"].read())
            for key in keys
        }

    def _misplaced(self) -> Iterator[dict[str, Any]]:
        """Every version outside the folders."""
        lists = self.s3.get_paginator("list_object_versions")
        for top in lists.paginate(Bucket=self.name, Delimiter="/"):
            yield from top.get("Versions", ())
            for folder in (each["Prefix"] for each in top.get("CommonPrefixes", ())):
                if folder not in FOLDERS:
                    for page in lists.paginate(Bucket=self.name, Prefix=folder):
                        yield from page.get("Versions", ())

    def _treat(self, key: str, versions: list[dict[str, Any]], pattern: re.Pattern[bytes]) -> Found:
        removed = waiting = 0
        for version in versions:
            if not self._matches(key, version["VersionId"], pattern):
                continue
            if version["IsLatest"] and self._is_wanted(key, version):
                waiting += 1
                continue
            self.s3.delete_object(Bucket=self.name, Key=key, VersionId=version["VersionId"])
            removed += 1
        return Found(removed, waiting)

    def _matches(self, key: str, version_id: str, pattern: re.Pattern[bytes]) -> bool:
        try:
            body = self.s3.get_object(Bucket=self.name, Key=key, VersionId=version_id)["Body"]
        except self.s3.exceptions.NoSuchKey:
            return False  # gone since it was listed
        before = b""
        while chunk := body.read(_READ):
            if pattern.search(before + chunk) or (not before and chunk.startswith(_CANNOT_BE_READ)):
                body.close()
                return True
            before = chunk[-LONGEST:]
        return False

    def _is_wanted(self, key: str, version: dict[str, Any]) -> bool:
        """Whether an import still needs it: what has no report yet was not taken in."""
        if key.startswith(UNFINISHED):
            return True
        if not key.startswith(READ) or key.endswith("/"):
            return False
        try:
            report = self.s3.get_object(Bucket=self.name, Key=f"{REPORTS}{name_of(key)}.json")
        except self.s3.exceptions.NoSuchKey:
            return True
        is_over = json.loads(report["Body"].read())["status"] != "in_progress"
        # In whole seconds, as one of the two calls tells it.
        return not is_over or report["LastModified"] < version["LastModified"].replace(microsecond=0)

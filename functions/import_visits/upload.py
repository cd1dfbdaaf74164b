"""An object of the intake bucket, and what is written beside it."""

import hashlib
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from functions.import_visits.records import FileRefused
from shared.domain.intake import ERASED, PREVIEW, READ, REJECTED, REPORTS, UNFINISHED, name_of

MAX_FILE_BYTES = 1024**3  # the file, its rows laid out and those refused share the function's 4 GB of disk


@dataclass(frozen=True, slots=True)
class Found:
    """What was found under the key at one moment."""

    version: str  # equal only for the same upload of the same object
    uploaded_at: datetime
    size: int
    body: Any

    def copy_to(self, file: IO[bytes]) -> None:
        """Copy the object to disk: S3 drops connections that are read slowly."""
        if self.size > MAX_FILE_BYTES:
            self.body.close()
            raise FileRefused(f"The file is larger than {MAX_FILE_BYTES // 1024**2:,} MB. Send it in parts.")
        shutil.copyfileobj(self.body, file)
        file.seek(0)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that the practice uploaded, by its place."""

    s3: Any
    bucket: str
    key: str

    @property
    def is_file(self) -> bool:
        """Whether it is ours to read: neither a folder's mark nor one of our own reports."""
        return self.key.startswith(READ) and not self.key.endswith("/")

    @property
    def is_preview(self) -> bool:
        """Whether it is to be looked at only."""
        return self.key.startswith(PREVIEW)

    @property
    def name(self) -> str:
        """The name under which reports stand; no two files have the same."""
        return name_of(self.key)

    @property
    def hashed_name(self) -> str:
        """What logs and locks call it: a file may be named after a patient."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:16]

    def find(self) -> Found | None:
        """What is there now, None if it is gone; its body waits to be read or closed."""
        answer = self._get(self.key)
        if answer is None:
            return None
        uploaded_at: datetime = answer["LastModified"]
        version = f"{answer.get('VersionId', '')} {answer['ETag']} {uploaded_at.isoformat()}"
        return Found(version, uploaded_at.replace(microsecond=0), answer["ContentLength"], answer["Body"])

    def is_still(self, version: str) -> bool:
        """Whether no other version has taken this one's place; one that was deleted has no successor."""
        found = self.find()
        if found is None:
            return True
        found.body.close()
        return found.version == version

    def put_report(self, report: bytes) -> None:
        """Write the report on it."""
        self._put(f"{REPORTS}{self.name}.json", report, "application/json")

    def put_rejected(self, rows: IO[bytes] | None, reasons: IO[bytes] | None) -> None:
        """Give refused rows back, and reasons if they do not stand in the rows; take away what is corrected."""
        rejected = f"{REJECTED}{self.name}"
        for key, content in ((rejected, rows), (f"{rejected}.reasons.csv", reasons)):
            if content:
                content.seek(0)
                self._put(key, content, "text/csv" if content is reasons or not reasons else "application/octet-stream")
            else:
                self._delete(key)

    def read_unfinished(self) -> bytes | None:
        """The note of an import that has begun and not ended, if there is one."""
        found = self._get(f"{UNFINISHED}{self.name}.json")
        content: bytes | None = found["Body"].read() if found else None
        return content

    def put_unfinished(self, note: bytes) -> None:
        """Note that the import has begun, and how far it is."""
        self._put(f"{UNFINISHED}{self.name}.json", note, "application/json")

    def forget_unfinished(self) -> None:
        """Note that the import has ended."""
        self._delete(f"{UNFINISHED}{self.name}.json")

    def erased(self) -> frozenset[str]:
        """The references of all patients who were erased: no table's restore takes them back."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=ERASED)
        return frozenset(item["Key"].removeprefix(ERASED) for page in pages for item in page.get("Contents", ()))

    def _put(self, key: str, content: bytes | IO[bytes], kind: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=kind)

    def _delete(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def _get(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self.s3.get_object(Bucket=self.bucket, Key=key)
        except self.s3.exceptions.NoSuchKey:
            return None
        return found

"""How far the import of a file has come, noted beside the file until it ends: a killed one is found and goes on."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from functions.import_visits.staging import START, Phase, Place
from functions.import_visits.upload import Upload
from shared.domain.clock import format_instant, parse_instant
from shared.domain.intake import UNFINISHED

MAX_ATTEMPTS = 8  # at the most two hours of sweeps: whatever stops the import then needs somebody to look


@dataclass(slots=True)
class Checkpoint:
    """The last part done and what was counted until then, for one version of the file."""

    version: str
    began_at: datetime
    attempts: int = 0  # since the last part that was done
    done: Place = START
    read: tuple[int, int] = (0, 0)  # rows laid out and refused: another reading of the file begins anew
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def last(cls, upload: Upload) -> Self | None:
        """Where the last import of this file stopped, whatever its version; None if none has begun and not ended."""
        noted = json.loads(upload.read_unfinished() or b"{}")
        if noted.get("key") != upload.key:
            return None
        return cls(
            noted["version"],
            parse_instant(noted["began_at"]),
            noted["attempts"],
            Place(Phase(noted["phase"]), noted["part"]),
            (noted["rows"], noted["refused"]),
            noted["state"],
        )

    @classmethod
    def of(cls, upload: Upload, version: str, now: datetime) -> Self:
        """Where the last import of this version of the file stopped; the start if there was none."""
        last = cls.last(upload)
        return last if last and last.version == version else cls(version, now)

    def goes_on(self, rows: int, refused: int) -> bool:
        """Whether something was done before; it is forgotten if the file was read differently then."""
        if self.read != (rows, refused):
            self.done, self.read, self.state = START, (rows, refused), {}
        return bool(self.state)

    def advance(self, done: Place, state: dict[str, Any]) -> None:
        """Note that everything up to this part is done."""
        self.done, self.state, self.attempts = done, state, 0

    def write(self, upload: Upload) -> None:
        """Note it beside the file."""
        rows, refused = self.read
        noted = {
            "key": upload.key,
            "version": self.version,
            "began_at": format_instant(self.began_at),
            "attempts": self.attempts,
            "phase": self.done.phase,
            "part": self.done.key,
            "rows": rows,
            "refused": refused,
            "state": self.state,
        }
        upload.put_unfinished(json.dumps(noted).encode())


def unfinished(s3: Any, bucket: str) -> Iterator[str]:
    """The keys of all files whose import has begun and not ended."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=UNFINISHED)
    for item in (item for page in pages for item in page.get("Contents", ())):
        yield json.loads(s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read())["key"]

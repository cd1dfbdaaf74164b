"""What became of a file, for the practice: counts, reasons, and the refused records to correct and send again."""

import json
from collections import Counter
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from functions.import_visits.records import FileRefused, Refusal

MAX_ERRORS = 1000  # listed in the report; the file of refused records has them all


class Report:
    """Counts every row once. Refused records wait in a temporary file, so that memory stays flat."""

    def __init__(self) -> None:
        self.kind = "unknown"
        self.rejected: IO[bytes] = TemporaryFile()  # noqa: SIM115 (closed with the report)
        self._counts = Counter[str]()
        self._errors: list[dict[str, Any]] = []
        self._is_refused_whole = False
        self._line_end = b"\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rejected.close()

    def begin(self, kind: str, header: bytes) -> None:
        """Note what the file holds and the header that goes before refused records."""
        self.kind = kind
        self._line_end = b"\r\n" if header.endswith(b"\r\n") else b"\n"
        self._write(header, "reason")

    def add(self, outcomes: Counter[str]) -> None:
        """Count rows as created, updated or unchanged."""
        self._counts += outcomes

    def refuse(self, refusal: Refusal) -> None:
        """Count a refused row, and keep it as it came, with the reason in a last column."""
        self._counts["refused"] += 1
        if len(self._errors) < MAX_ERRORS:
            self._errors.append({"line": refusal.line, "column": refusal.column, "reason": refusal.reason})
        reason = f"{refusal.column}: {refusal.reason}" if refusal.column else refusal.reason
        self._write(refusal.raw, f'"{reason.replace(chr(34), chr(34) * 2)}"')

    def refuse_file(self, refused: FileRefused) -> None:
        """Note that the file was not taken in at all."""
        self.kind, self._is_refused_whole = refused.kind, True
        self._errors.append({"line": refused.line, "column": "", "reason": refused.reason})

    @property
    def has_rejected(self) -> bool:
        """Whether there are refused records to give back."""
        return self._counts["refused"] > 0

    def summary(self) -> dict[str, Any]:
        """Status, kind and counts: nothing of any patient."""
        counts = {name: self._counts[name] for name in ("created", "updated", "unchanged", "refused")}
        return {"status": self._status(), "kind": self.kind, "rows": sum(counts.values()), **counts}

    def to_json(self) -> bytes:
        """The whole report; `errors_left_out` says how many more errors there were than are listed."""
        left_out = self._counts["refused"] - MAX_ERRORS
        more = {"errors_left_out": left_out} if left_out > 0 else {}
        return json.dumps({**self.summary(), "errors": self._errors, **more}, indent=1, ensure_ascii=False).encode()

    def _status(self) -> str:
        taken = self._counts.total() - self._counts["refused"]
        if self._is_refused_whole or (self.has_rejected and not taken):
            return "refused"
        return "partial" if self.has_rejected else "accepted"

    def _write(self, raw: bytes, last_cell: str) -> None:
        self.rejected.write(raw.rstrip(b"\r\n") + b"," + last_cell.encode() + self._line_end)

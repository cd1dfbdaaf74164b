"""What became of a file, for the practice: counts, reasons, and the refused records to correct and send again."""

import json
from collections import Counter
from collections.abc import Container, Iterable
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Any, Self

from functions.import_visits.merge import Outcome
from functions.import_visits.records import FileRefused, Reading, Refusal

MAX_ERRORS = 1000  # listed in the report; the files of refused records have them all


class Report:
    """Counts every row once. Refused records wait in temporary files, so that memory stays flat.

    A preview counts rows as well, but says nothing of what they did: it did nothing.
    """

    def __init__(self, *, is_preview: bool = False) -> None:
        self.kind = "unknown"
        self._is_preview = is_preview
        self.refused = 0
        self._left_out = 0  # of the refused rows: nothing of them is kept
        self.rejected: IO[bytes] = TemporaryFile()  # noqa: SIM115 (closed with the report)
        self.reasons: IO[bytes] = TemporaryFile()  # noqa: SIM115 (closed with the report)
        self.is_table = True
        self._taken = Counter[str]()
        self._waiting: dict[int, Outcome] = {}  # what rows have changed that say more in a later part
        self._errors: list[dict[str, Any]] = []
        self._is_cut_short = False
        self._line_end = b"\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.rejected.close()
        self.reasons.close()

    def begin(self, reading: Reading) -> None:
        """Note what the file holds and, of a table, the header that goes before refused records."""
        self.kind, self.is_table = reading.kind, reading.header is not None
        if reading.header is not None:
            self._line_end = b"\r\n" if reading.header.endswith(b"\r\n") else b"\n"
            self.rejected.write(self._row(reading.header, "reason"))
        else:
            self.reasons.write(b"line,column,reason\n")

    def count(self, outcomes: Iterable[tuple[int, Outcome]], ends: Container[int]) -> None:
        """Count the rows that end here by the most that any record of theirs did; other rows wait for their end."""
        most: dict[int, Outcome] = {}
        for line, outcome in outcomes:
            most[line] = max(outcome, most.get(line, Outcome.UNCHANGED))
        for line, outcome in most.items():
            outcome = max(outcome, self._waiting.pop(line, Outcome.UNCHANGED))
            if line in ends:
                self._taken[outcome.name.lower()] += 1
            elif outcome is not Outcome.UNCHANGED:
                self._waiting[line] = outcome

    def refuse(self, refusal: Refusal) -> None:
        """Count a refused row, and keep it as it came: in a table with the reason in a last column."""
        self.refused += 1
        self._list(refusal)
        if self.is_table:
            reason = f"{refusal.column}: {refusal.reason}" if refusal.column else refusal.reason
            self.rejected.write(self._row(refusal.raw, _quoted(reason)))
        else:
            self.rejected.write(refusal.raw if refusal.raw.endswith((b"\r", b"\n")) else refusal.raw + b"\n")
            self.reasons.write(f"{refusal.line},{_quoted(refusal.column)},{_quoted(refusal.reason)}\n".encode())

    def leave_out(self, refusal: Refusal) -> None:
        """Count a refused row of which nothing may be kept."""
        self.refused += 1
        self._left_out += 1
        self._list(refusal)

    def refuse_file(self, refused: FileRefused) -> None:
        """Note that the file was not taken in, or no further."""
        if refused.kind != "unknown":
            self.kind = refused.kind
        self._is_cut_short = True
        self._errors.append({"line": refused.line, "column": "", "reason": refused.reason})

    @property
    def kept(self) -> int:
        """The refused rows that are given back."""
        return self.refused - self._left_out

    @property
    def has_reasons(self) -> bool:
        """Whether the reasons stand in a file of their own."""
        return self.kept > 0 and not self.is_table

    @property
    def wants_somebody(self) -> bool:
        """Whether there is something to correct: whom the practice had erased is refused as it should be."""
        return self._is_cut_short or self.kept > 0

    @property
    def taken(self) -> int:
        """The rows counted so far, other than those refused."""
        return self._taken.total()

    def state(self) -> dict[str, Any]:
        """What was counted, for another invocation to go on from; it reads again what is refused."""
        waiting = {str(line): outcome.name for line, outcome in self._waiting.items()}
        return {"kind": self.kind, "taken": dict(self._taken), "waiting": waiting}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from this state; an empty one is the start."""
        self.kind = state.get("kind", self.kind)
        self._taken = Counter(state.get("taken", {}))
        self._waiting = {int(line): Outcome[name] for line, name in state.get("waiting", {}).items()}

    def summary(self) -> dict[str, Any]:
        """Status, kind and counts: nothing of any patient."""
        outcomes = () if self._is_preview else ("created", "updated", "unchanged")
        return {
            "status": self._status(),
            "kind": self.kind,
            "rows": self.taken + self.refused,
            **{name: self._taken[name] for name in outcomes},
            "refused": self.refused,
        }

    def to_json(self, **further: object) -> bytes:
        """The whole report; `errors_left_out` says how many more errors there were than are listed."""
        left_out = {"errors_left_out": self.refused - MAX_ERRORS} if self.refused > MAX_ERRORS else {}
        whole = {**self.summary(), "errors": self._errors, **left_out, **further}
        return json.dumps(whole, indent=1, ensure_ascii=False).encode()

    def _list(self, refusal: Refusal) -> None:
        if len(self._errors) < MAX_ERRORS:
            self._errors.append({"line": refusal.line, "column": refusal.column, "reason": refusal.reason})

    def _status(self) -> str:
        if not self.taken and (self._is_cut_short or self.refused):
            return "refused"
        return "partial" if self._is_cut_short or self.refused else "accepted"

    def _row(self, raw: bytes, last_cell: str) -> bytes:
        return raw.rstrip(b"\r\n") + b"," + last_cell.encode() + self._line_end


def _quoted(text: str) -> str:
    return f'"{text.replace(chr(34), chr(34) * 2)}"'

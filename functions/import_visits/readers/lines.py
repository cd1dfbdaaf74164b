"""Physical lines, which can be handed back: what the readers have in common."""

import codecs
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

MAX_LINE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Line:
    """One physical line with its end, if it has one; `raw` is cut at 64 KB."""

    number: int  # from 1
    raw: bytes
    is_whole: bool = True

    @property
    def text(self) -> str:
        """The line as UTF-8 without byte order mark, else as Windows-1252: real exports mix the two.

        The five bytes that Windows-1252 leaves undefined become control characters, as in browsers.
        """
        raw = self.raw.removeprefix(codecs.BOM_UTF8) if self.number == 1 else self.raw
        for encoding in ("utf-8", "cp1252"):
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        return raw.decode("latin-1")


class Lines:
    """The lines of a file in order, one at a time; at most 64 KB of each is ever in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._number = 0
        self._returned: deque[Line] = deque()

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        if self._returned:
            return self._returned.popleft()
        raw = self._file.readline(MAX_LINE_BYTES)
        if not raw:
            raise StopIteration
        self._number += 1
        if len(raw) < MAX_LINE_BYTES or raw.endswith(b"\n"):
            return Line(self._number, raw)
        rest = raw
        while rest and not rest.endswith(b"\n"):
            rest = self._file.readline(MAX_LINE_BYTES)
        return Line(self._number, raw, is_whole=False)

    def push_back(self, lines: Sequence[Line]) -> None:
        """Hand back the last lines taken, in their order; they come next."""
        self._returned.extendleft(reversed(lines))

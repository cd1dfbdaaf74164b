"""What a warm function keeps of the Settings table: a change there is effective within a minute."""

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

KEEP_SECONDS = 60.0
_kept: dict[str, tuple[float, Any]] = {}


def kept(key: str, load: Callable[[], T]) -> T:
    """What stands under the key as `load` found it, at most a minute ago."""
    entry = _kept.get(key)
    if entry and entry[0] > time.monotonic():
        found: T = entry[1]
        return found
    return keep(key, load())


def is_kept(key: str) -> bool:
    """Whether something stands under the key that was read at most a minute ago."""
    entry = _kept.get(key)
    return entry is not None and entry[0] > time.monotonic()


def keep(key: str, value: T) -> T:
    """Keep what was just read or written."""
    _kept[key] = (time.monotonic() + KEEP_SECONDS, value)
    return value


def forget(key: str = "") -> None:
    """Read it again when next asked for; without a key, everything."""
    if key:
        _kept.pop(key, None)
    else:
        _kept.clear()

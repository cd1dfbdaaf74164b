"""ministack, run by its own interpreter, with one thing that AWS has and it lacks.

The event bus of AWS follows array indices (`$.detail.mail.tags.message_id[0]`) where a rule transforms an event;
ministack finds nothing there, and every delivery event would lose its ids.
"""

import re
import sys
from types import SimpleNamespace
from typing import Any

from ministack.app import main
from ministack.services import eventbridge

_apply = eventbridge._apply_input_transformer


class Indexed(list[Any]):
    """A list whose parts are also found under their number as text, as the emulator looks them up."""

    def __getitem__(self, key: Any) -> Any:
        """The part; anything that is no number is a KeyError, which the emulator takes for "not there"."""
        if not isinstance(key, str):
            return super().__getitem__(key)
        if not key.isdigit():
            raise KeyError(key)
        return super().__getitem__(int(key))


def indexed(value: Any) -> Any:
    """The same, with such lists in place of all others."""
    if isinstance(value, dict):
        return {name: indexed(part) for name, part in value.items()}
    return Indexed(indexed(part) for part in value) if isinstance(value, list) else value


def apply_input_transformer(transformer: dict[str, Any], rule: Any, view: Any) -> Any:
    """As the emulator's own, but each `[0]` of a path is a step like any other."""
    paths = {name: re.sub(r"\[(\d+)\]", r".\1", path) for name, path in transformer.get("InputPathsMap", {}).items()}
    whole = SimpleNamespace(event_with_detail=lambda: indexed(view.event_with_detail()), envelope=view.envelope)
    return _apply({**transformer, "InputPathsMap": paths}, rule, whole)


if __name__ == "__main__":
    eventbridge._apply_input_transformer = apply_input_transformer
    sys.argv = ["ministack"]  # it has no option for being recognised; the state folder comes as the last argument
    main()

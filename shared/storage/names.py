"""What therapists and clinics are called, as the practice's exports have it: `therapist#id` and `place#id` in Settings.

Not to be confused with the settings of a clinic, which the practice itself writes.
"""

import threading
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from shared.config import setting
from shared.domain.clock import format_instant
from shared.storage.dynamodb import client
from shared.storage.kept import keep, kept

_SCOPES = {"therapist": "therapist#", "clinic": "place#"}
_reading = threading.Lock()  # so that workers who meet the same name at once read it once


class _Entry(NamedTuple):
    said_at: str = ""
    name: str = ""


def put_names(named: str, ids: Iterable[str], name: str, said_at: datetime, clinic_id: str = "") -> bool:
    """Note how a `therapist` or `clinic` is called, under each of these ids; True if that was news.

    The latest word counts, whatever the order in which words come. Reads each id once a minute at most and writes only
    what has changed, so that every row of a file may say it.
    """
    said = _Entry(format_instant(said_at), name)
    return True in [_put(_SCOPES[named] + id_, said, clinic_id) for id_ in ids]


def name_of(named: str, id_: str) -> str:
    """How the `therapist` or `clinic` is called; its id if nobody has said."""
    return _known(_SCOPES[named] + id_).name or id_


def _put(scope: str, said: _Entry, clinic_id: str) -> bool:
    known = _known(scope)
    if known >= said:
        return False
    if known.name != said.name:
        item = {"scope": {"S": scope}, "name": {"S": said.name}, "said_at": {"S": said.said_at}}
        client().put_item(
            TableName=setting("SETTINGS_TABLE"), Item={**item, "clinic_id": {"S": clinic_id}} if clinic_id else item
        )
    keep(scope, said)
    return known.name != said.name


def _known(scope: str) -> _Entry:
    with _reading:
        return kept(scope, lambda: _read(scope))


def _read(scope: str) -> _Entry:
    found = client().get_item(TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": scope}})
    item = {name: value["S"] for name, value in found.get("Item", {}).items()}
    return _Entry(item.get("said_at", ""), item.get("name", ""))

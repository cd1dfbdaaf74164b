"""What people change in the settings: every change is written together with who made it, both or neither.

The notes stand in Activity under the patient id `practice`; the old and the new text are kept whole, so that a slip
can be taken back by hand.
"""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Staff
from shared.storage import settings
from shared.storage.conditions import REFUSED_CODES
from shared.storage.dynamodb import client
from shared.storage.kept import forget

WHERE = "practice"
KIND = "setting_changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One setting and its text before and after, as people read it; `scope` is the row or the place it belongs to."""

    scope: str
    setting: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Noted:
    """A change that was made, when and by whom."""

    change: Change
    at: datetime
    by: str


def write(
    scope: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    changes: Sequence[Change],
    staff: Staff,
    at: datetime,
) -> bool:
    """Change these attributes of a row of Settings, None being absent, and note it; False if `before` is no more so."""
    names = sorted({*before, *after})
    placeholders = {name: f"#n{number}" for number, name in enumerate(names)}
    values: dict[str, Any] = {}

    def value(kind: str, name: str, attribute: Any) -> str:
        values[f":{kind}{placeholders[name][2:]}"] = attribute
        return f":{kind}{placeholders[name][2:]}"

    conditions = [
        f"attribute_not_exists({placeholders[name]})"
        if before.get(name) is None
        else f"{placeholders[name]} = {value('old', name, before[name])}"
        for name in names
    ]
    sets = [f"{placeholders[name]} = {value('new', name, new)}" for name, new in after.items() if new is not None]
    removed = [placeholders[name] for name, new in after.items() if new is None]
    expression = " ".join(
        part for part in (sets and f"SET {', '.join(sets)}", removed and f"REMOVE {', '.join(removed)}") if part
    )
    update = {
        "TableName": setting("SETTINGS_TABLE"),
        "Key": {"scope": {"S": scope}},
        "UpdateExpression": expression,
        "ConditionExpression": " AND ".join(conditions),
        "ExpressionAttributeNames": {placeholder: name for name, placeholder in placeholders.items()},
        **({"ExpressionAttributeValues": values} if values else {}),
    }
    try:
        client().transact_write_items(
            TransactItems=[{"Update": update}, *({"Put": put} for put in _puts(changes, staff, at))]
        )
    except client().exceptions.TransactionCanceledException as error:
        codes = {reason["Code"] for reason in error.response["CancellationReasons"]} - {"None"}
        if not codes or not codes <= REFUSED_CODES:
            raise
        return False
    finally:
        forget(scope)
    return True


def write_texts(
    scope: str,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    changes: Sequence[Change],
    staff: Staff,
    at: datetime,
) -> bool:
    """Change texts of a row, None being the default; False if somebody else did in the meantime."""
    return write(scope, _strings(before), _strings(after), changes, staff, at)


def write_clinic(
    before: ClinicSettings, after: ClinicSettings, changes: Sequence[Change], staff: Staff, at: datetime
) -> bool:
    """Change what is set for a clinic; False if somebody else, or an upload, did in the meantime."""
    scope = f"clinic#{after.clinic_id}"
    key = {"scope": {"S": scope}}
    stored = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=key, ConsistentRead=True).get("Item", key)
    if settings.to_clinic(stored) != before:
        return False
    former, wanted = settings.clinic_values(before), settings.clinic_values(after)
    changed = [name for name in wanted if wanted[name] != former[name]]
    forget(settings.CLINICS)
    return write(
        scope,
        {name: stored.get(name) for name in changed},
        {name: wanted[name] for name in changed},
        changes,
        staff,
        at,
    )


def note(changes: Sequence[Change], staff: Staff, at: datetime) -> None:
    """Note what was changed elsewhere than in the tables."""
    for put in _puts(changes, staff, at):
        client().put_item(**put)


def latest(limit: int, scopes: Collection[str] | None = None) -> list[Noted]:
    """The last changes, newest first: all of them, or among the last five hundred those of these scopes."""
    answer = client().query(
        TableName=setting("ACTIVITY_TABLE"),
        KeyConditionExpression="patient_id = :practice",
        ExpressionAttributeValues={":practice": {"S": WHERE}},
        ScanIndexForward=False,
        Limit=limit if scopes is None else 500,
    )
    found = [_noted(item) for item in answer["Items"] if item["kind"]["S"] == KIND]
    return [noted for noted in found if scopes is None or noted.change.scope in scopes][:limit]


def _strings(texts: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: None if text is None else {"S": text} for name, text in texts.items()}


def _puts(changes: Sequence[Change], staff: Staff, at: datetime) -> list[dict[str, Any]]:
    moment = format_instant(at)
    return [
        {
            "TableName": setting("ACTIVITY_TABLE"),
            "Item": {
                "patient_id": {"S": WHERE},
                # The same setting may change twice in a second.
                "entry": {"S": f"{moment}#{KIND}#{os.urandom(4).hex()}"},
                "kind": {"S": KIND},
                "at": {"S": moment},
                "detail": {
                    "S": json.dumps(
                        {
                            "by": staff.name,
                            "user_id": staff.user_id,
                            "scope": change.scope,
                            "setting": change.setting,
                            "old": change.old,
                            "new": change.new,
                        },
                        ensure_ascii=False,
                    )
                },
            },
        }
        for change in changes
    ]


def _noted(item: dict[str, Any]) -> Noted:
    detail = json.loads(item["detail"]["S"])
    change = Change(detail["scope"], detail["setting"], detail["old"], detail["new"])
    return Noted(change, parse_instant(item["at"]["S"]), detail["by"])

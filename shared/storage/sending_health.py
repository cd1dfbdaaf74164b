"""How sending to patients fares, in the Settings table: a row of counts for each UTC day, and one for the state.

All moments are the wall clock's. A write that the network swallowed and the SDK repeats may count a mail twice.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any

from shared.config import setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.sending_health import (
    Fates,
    Paused,
    Refusal,
    Refused,
    Resumed,
    SendingState,
    Stopped,
    StopReason,
    days_that_count,
    recent,
)
from shared.domain.staff import Staff
from shared.storage import changes
from shared.storage.changes import Change
from shared.storage.dynamodb import client

STATE = "mail#state"
_SETTING = "Sending to patients"
_COUNTS = ("sent", "bounced", "complained")


def count(now: datetime, *, sent: int = 0, bounced: int = 0, complained: int = 0) -> None:
    """Add to what became of mails to patients; a mail is counted as bounced, or as complained of, once at most.

    Mails are counted as sent before they leave; a negative number takes back those that did not.
    """
    added = {"sent": sent, "bounced": bounced, "complained": complained}
    added = {name: number for name, number in added.items() if number}
    if added:
        client().update_item(
            TableName=setting("SETTINGS_TABLE"),
            Key={"scope": {"S": _day(now.astimezone(UTC).date())}},
            UpdateExpression="ADD " + ", ".join(f"{name} :{name}" for name in added),
            ExpressionAttributeValues={f":{name}": {"N": str(number)} for name, number in added.items()},
        )


def state() -> SendingState:
    """The state as it stands in the table now."""
    return _to_state(_get(STATE))


def recent_fates(now: datetime, resumed: Resumed | None) -> Fates:
    """What became of the last weeks' mails, without those from before sending was resumed."""
    today = now.astimezone(UTC).date()
    days = {_day(day): day for day in days_that_count(today, resumed)}
    return recent({days[item["scope"]["S"]]: _fates(item) for item in _get_many(days)}, today, resumed)


def sent_on(now: datetime) -> int:
    """How many mails to patients have left on the UTC day or are about to; none that left is missing."""
    return _fates(_get(_day(now.astimezone(UTC).date()))).sent


def stop(reason: StopReason, fates: Fates, resumed: Resumed | None, now: datetime) -> bool:
    """Note that sending has stopped; False if it had before, or was resumed since the counts were read."""
    unchanged, values = "attribute_not_exists(resumed_at)", {}
    if resumed:
        unchanged, values = "resumed_at = :resumed", {":resumed": {"S": format_instant(resumed.at)}}
    return _update(
        "SET stopped_at = :now, reason = :reason, fates = :fates",
        f"attribute_not_exists(stopped_at) AND {unchanged}",
        {":now": {"S": format_instant(now)}, ":reason": {"S": reason}, ":fates": _map(fates), **values},
    )


def resume(stopped: Stopped, staff: Staff, now: datetime) -> bool:
    """Let sending go on, noted like a change of the settings, and count anew; False if it is not so stopped any more.

    What is counted between the look at the day and this write counts as after it.
    """
    before = _get(STATE)
    if _to_state(before).stopped != stopped:
        return False
    names = ("stopped_at", "reason", "fates", "resumed_at", "before")
    seen_today = _fates(_get(_day(now.astimezone(UTC).date())))
    return changes.write(
        STATE,
        {name: before.get(name) for name in names},
        {
            **dict.fromkeys(names),
            "resumed_at": {"S": format_instant(now)},
            "before": _map(seen_today),
        },
        [Change(STATE, _SETTING, f"stopped: {stopped.reason.replace('_', ' ')}", "goes on")],
        staff,
        now,
    )


def pause(staff: Staff, now: datetime) -> bool:
    """Switch sending off, noted like a change of the settings; False if somebody had done so already."""
    after = {"paused_at": {"S": format_instant(now)}, "paused_by": {"S": staff.name}}
    return changes.write(
        STATE, dict.fromkeys(after), after, [Change(STATE, _SETTING, "on", "switched off")], staff, now
    )


def end_pause(paused: Paused, staff: Staff, now: datetime) -> bool:
    """Switch sending on again, noted like a change of the settings; False if it is not so switched off any more."""
    before = {"paused_at": {"S": format_instant(paused.since)}, "paused_by": {"S": paused.by}}
    return changes.write(
        STATE, before, dict.fromkeys(before), [Change(STATE, _SETTING, "switched off", "on")], staff, now
    )


def note_refusal(reason: Refusal, now: datetime) -> None:
    """Note that Amazon SES takes no mail; the first moment of the same reason stays."""
    _update(
        "SET refused_since = :now, refused_reason = :reason",
        "attribute_not_exists(refused_reason) OR refused_reason <> :reason",
        {":now": {"S": format_instant(now)}, ":reason": {"S": reason}},
    )


def forget_refusal(reason: Refusal) -> None:
    """Amazon SES does take mail; nothing if it was refused for another reason."""
    _update("REMOVE refused_since, refused_reason", "refused_reason = :reason", {":reason": {"S": reason}})


def expect_news(now: datetime) -> bool:
    """Note, before mail leaves, that something should be heard of it; False if that was expected already."""
    return _update(
        "SET silent_since = :now", "attribute_not_exists(silent_since)", {":now": {"S": format_instant(now)}}
    )


def expect_none(since: datetime) -> None:
    """Nothing left after all; nothing is changed if news came in, or were expected from another moment on."""
    _update("REMOVE silent_since", "silent_since = :since", {":since": {"S": format_instant(since)}})


def heard() -> None:
    """Some event about some mail came in. Reads first: most events find nothing to write."""
    if "silent_since" in _get(STATE):
        _update("REMOVE silent_since", "attribute_exists(silent_since)", {})


def _update(expression: str, condition: str, values: dict[str, Any]) -> bool:
    try:
        client().update_item(
            TableName=setting("SETTINGS_TABLE"),
            Key={"scope": {"S": STATE}},
            UpdateExpression=expression,
            ConditionExpression=condition,
            **({"ExpressionAttributeValues": values} if values else {}),
        )
    except client().exceptions.ConditionalCheckFailedException:
        return False
    return True


def _get(scope: str) -> dict[str, Any]:
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": scope}}, ConsistentRead=True)
    item: dict[str, Any] = answer.get("Item", {})
    return item


def _get_many(scopes: Iterable[str]) -> list[dict[str, Any]]:
    table = setting("SETTINGS_TABLE")
    found: list[dict[str, Any]] = []
    keys = [{"scope": {"S": scope}} for scope in scopes]
    wanted = {table: {"Keys": keys, "ConsistentRead": True}} if keys else {}
    while wanted:
        answer = client().batch_get_item(RequestItems=wanted)
        found += answer["Responses"].get(table, [])
        wanted = answer["UnprocessedKeys"]
    return found


def _day(day: date) -> str:
    return f"mail#{day.isoformat()}"


def _to_state(item: dict[str, Any]) -> SendingState:
    def moment(name: str) -> datetime:
        return parse_instant(item[name]["S"])

    return SendingState(
        stopped=Stopped(moment("stopped_at"), StopReason(item["reason"]["S"]), _fates(item["fates"]["M"]))
        if "stopped_at" in item
        else None,
        paused=Paused(moment("paused_at"), item["paused_by"]["S"]) if "paused_at" in item else None,
        resumed=Resumed(moment("resumed_at"), _fates(item["before"]["M"])) if "resumed_at" in item else None,
        refused=Refused(moment("refused_since"), Refusal(item["refused_reason"]["S"]))
        if "refused_since" in item
        else None,
        silent_since=moment("silent_since") if "silent_since" in item else None,
    )


def _fates(item: dict[str, Any]) -> Fates:
    return Fates(**{name: int(item[name]["N"]) for name in _COUNTS if name in item})


def _map(fates: Fates) -> dict[str, Any]:
    return {"M": {name: {"N": str(getattr(fates, name))} for name in _COUNTS}}

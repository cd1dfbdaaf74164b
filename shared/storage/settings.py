"""Settings: the practice's choices, each clinic's, and the locks that keep a scheduled job to one run at a time."""

import os
from dataclasses import fields
from datetime import datetime
from typing import Any, Literal

from shared.config import parameters, read_practice, setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.intake import IntakeRules, RuleChange, rules_of
from shared.domain.settings import Clinic, ClinicSettings, Practice, ReviewLink, clinic_of
from shared.storage.dynamodb import client
from shared.storage.kept import forget, kept

_PRACTICE = {"scope": {"S": "practice"}}


def practice() -> Practice:
    """The practice's choices: the stack's parameters below what was chosen on the dashboard; kept for a minute."""
    return kept("practice", _load_practice)


def _load_practice() -> Practice:
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=_PRACTICE)
    chosen = answer.get("Item", {}).get("choices", {}).get("M", {})
    if not chosen:
        return parameters()
    return read_practice({**os.environ, **{name: text["S"] for name, text in chosen.items()}})


def clinic(clinic_id: str) -> Clinic:
    """The clinic with the practice's choices below its own; kept for a minute in a warm function."""
    return kept(f"clinic#{clinic_id}", lambda: load_clinic(clinic_id))


def load_clinic(clinic_id: str) -> Clinic:
    """The clinic as it stands in the table now."""
    found = read_clinic(clinic_id)
    return clinic_of(found, practice()) if found else practice().clinic(clinic_id)


def read_clinic(clinic_id: str) -> ClinicSettings | None:
    """What is set for the clinic, or None."""
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": f"clinic#{clinic_id}"}})
    return _to_clinic(answer["Item"]) if "Item" in answer else None


def put_clinic(settings: ClinicSettings) -> None:
    """Write what is set for a clinic; the last write wins."""
    item: dict[str, Any] = {"scope": {"S": f"clinic#{settings.clinic_id}"}}
    for name in _TEXTS:
        if value := getattr(settings, name):
            item[name] = {"S": value}
    if settings.uploaded_at:
        item["uploaded_at"] = {"S": format_instant(settings.uploaded_at)}
    item["admins"] = {"L": [{"S": address} for address in settings.admins]}
    item["review_links"] = {
        "L": [{"M": {"label": {"S": link.label}, "url": {"S": link.url}}} for link in settings.review_links]
    }
    client().put_item(TableName=setting("SETTINGS_TABLE"), Item=item)
    forget(f"clinic#{settings.clinic_id}")


_TEXTS = tuple(
    field.name
    for field in fields(ClinicSettings)
    if field.name not in ("clinic_id", "admins", "review_links", "uploaded_at")
)


def _to_clinic(item: dict[str, Any]) -> ClinicSettings:
    return ClinicSettings(
        clinic_id=item["scope"]["S"].removeprefix("clinic#"),
        admins=tuple(entry["S"] for entry in item.get("admins", {}).get("L", ())),
        review_links=tuple(
            ReviewLink(entry["M"]["label"]["S"], entry["M"]["url"]["S"])
            for entry in item.get("review_links", {}).get("L", ())
        ),
        uploaded_at=parse_instant(item["uploaded_at"]["S"]) if "uploaded_at" in item else None,
        **{name: item[name]["S"] for name in _TEXTS if name in item},
    )


_INTAKE = {"scope": {"S": "intake"}}


class RulesContended(Exception):
    """Others kept changing the rules of intake; importing the file again is safe."""


def read_intake_rules() -> IntakeRules:
    """How the practice's exports are read, as it stands in the table now."""
    changes = []
    for place, said in _chosen().items():
        source, _, name = place.partition(",")
        changes.append(RuleChange(source, name, said["M"]["value"]["S"]))
    return rules_of(changes)


def put_intake_rule(change: RuleChange, uploaded_at: datetime) -> Literal["created", "updated", "unchanged"]:
    """Write one choice of how exports are read, unless a later upload has made it; an empty one is the default's."""
    place, said = f"{change.source},{change.setting}", format_instant(uploaded_at)
    for _ in range(5):
        chosen = _chosen()
        former = chosen.get(place, {"M": {"value": {"S": ""}, "uploaded_at": {"S": said}}})["M"]
        if former["value"]["S"] == change.value or former["uploaded_at"]["S"] > said:
            return "unchanged"
        choices = {**chosen, place: {"M": {"value": {"S": change.value}, "uploaded_at": {"S": said}}}}
        try:
            client().put_item(
                TableName=setting("SETTINGS_TABLE"),
                Item={**_INTAKE, "choices": {"M": choices}},
                ConditionExpression="attribute_not_exists(choices) OR choices = :before",
                ExpressionAttributeValues={":before": {"M": chosen}},
            )
        except client().exceptions.ConditionalCheckFailedException:
            continue
        return "updated" if place in chosen else "created"
    raise RulesContended


def _chosen() -> dict[str, Any]:
    """Each choice with its upload, under `source,setting`."""
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=_INTAKE, ConsistentRead=True)
    choices: dict[str, Any] = answer.get("Item", {}).get("choices", {}).get("M", {})
    return choices


def acquire_run(name: str, holder: str, now: datetime, until: datetime) -> bool:
    """Take or renew the lock of a scheduled job; False while another holder's has not run out."""
    try:
        client().update_item(
            TableName=setting("SETTINGS_TABLE"),
            Key={"scope": {"S": f"run#{name}"}},
            UpdateExpression="SET holder = :holder, held_until = :until",
            ConditionExpression="attribute_not_exists(holder) OR holder = :holder OR held_until < :now",
            ExpressionAttributeValues={
                ":holder": {"S": holder},
                ":until": {"S": format_instant(until)},
                ":now": {"S": format_instant(now)},
            },
        )
    except client().exceptions.ConditionalCheckFailedException:
        return False
    return True


def release_run(name: str, holder: str) -> None:
    """Give the lock back; nothing if it is no longer ours."""
    try:
        client().update_item(
            TableName=setting("SETTINGS_TABLE"),
            Key={"scope": {"S": f"run#{name}"}},
            UpdateExpression="REMOVE holder, held_until",
            ConditionExpression="holder = :holder",
            ExpressionAttributeValues={":holder": {"S": holder}},
        )
    except client().exceptions.ConditionalCheckFailedException:
        return


def end_run(name: str, holder: str) -> None:
    """Give back the lock of something that is done once, and leave no trace; nothing if it is no longer ours."""
    try:
        client().delete_item(
            TableName=setting("SETTINGS_TABLE"),
            Key={"scope": {"S": f"run#{name}"}},
            ConditionExpression="holder = :holder",
            ExpressionAttributeValues={":holder": {"S": holder}},
        )
    except client().exceptions.ConditionalCheckFailedException:
        return


def held_until(name: str) -> datetime | None:
    """When a lock runs out unless its holder renews it; None if nobody holds it."""
    answer = client().get_item(
        TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": f"run#{name}"}}, ConsistentRead=True
    )
    held = answer.get("Item", {}).get("held_until")
    return parse_instant(held["S"]) if held else None


def last_done(name: str) -> str:
    """What a scheduled job noted when it last ended well; empty if it never did."""
    answer = client().get_item(
        TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": f"run#{name}"}}, ConsistentRead=True
    )
    return str(answer.get("Item", {}).get("done", {}).get("S", ""))


def mark_done(name: str, done: str) -> None:
    """Note that a scheduled job ended well, for instance on which day."""
    client().update_item(
        TableName=setting("SETTINGS_TABLE"),
        Key={"scope": {"S": f"run#{name}"}},
        UpdateExpression="SET done = :done",
        ExpressionAttributeValues={":done": {"S": done}},
    )

"""Settings: the practice's choices, each clinic's, and the locks that keep a scheduled job to one run at a time.

The row `practice` holds what the dashboard chose: choices under the name of the parameter they stand for (`SEND_FROM`)
and the practice's own words under `wording.<language>.<slot>`, so that the patient's page needs one call for both.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from shared.config import parameters, read_practice, setting
from shared.domain.clock import format_instant, parse_instant
from shared.domain.patient import Language
from shared.domain.self_test import CLINIC as CANARY_CLINIC
from shared.domain.self_test import is_canary
from shared.domain.settings import Clinic, ClinicSettings, Practice, ReviewLink, clinic_of
from shared.domain.wording import SLOTS, Wording
from shared.storage.dynamodb import client
from shared.storage.kept import forget, is_kept, keep, kept
from shared.storage.lexicon import LEXICON, text_in

if TYPE_CHECKING:  # the patient's page needs the settings and nothing of intake
    from shared.domain.intake import IntakeRules, RuleChange

PRACTICE, CLINICS = "practice", "clinics"
NETWORKS = "networks."  # and a clinic's id: its networks, where the patient's page reads them with everything else


def read_ahead(clinic_id: str = "") -> None:
    """Read in one call what the patient's page needs and nothing keeps: choices, lexicon and, once known, the clinic.

    What the table does not give at once is left to be read by whoever needs it.
    """
    scopes = [PRACTICE, LEXICON, *([f"clinic#{clinic_id}"] if clinic_id else [])]
    missing = [scope for scope in scopes if not is_kept(scope)]
    if len(missing) < 2:
        return
    table = setting("SETTINGS_TABLE")
    keys = [{"scope": {"S": scope}} for scope in missing]
    answer = client().batch_get_item(RequestItems={table: {"Keys": keys, "ConsistentRead": True}})
    found = {item["scope"]["S"]: item for item in answer.get("Responses", {}).get(table, ())}
    unread = [key["scope"]["S"] for key in answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", ())]
    for scope in set(missing).difference(unread):
        keep(scope, _kept_of(scope, found.get(scope, {})))


def _kept_of(scope: str, item: Mapping[str, Any]) -> Any:
    if scope == PRACTICE:
        return _practice_of(_texts_in(item))
    if scope == LEXICON:
        return text_in(item)
    return to_clinic(item) if item else None


def practice() -> Practice:
    """The practice's choices: the stack's parameters below what was chosen on the dashboard; kept for a minute."""
    return _chosen_practice()[0]


def wording(language: str) -> Wording:
    """The practice's own words in this language; kept for a minute."""
    return _chosen_practice()[1][language]


def networks() -> tuple[str, ...]:
    """The networks of all clinics, in CIDR notation; kept for a minute."""
    return _chosen_practice()[2]


def _chosen_practice() -> tuple[Practice, Mapping[str, Wording], tuple[str, ...]]:
    return kept(PRACTICE, lambda: _practice_of(texts_of(PRACTICE)))


def _practice_of(chosen: Mapping[str, str]) -> tuple[Practice, Mapping[str, Wording], tuple[str, ...]]:
    words = {
        language.value: Wording(
            {slot.name: text for slot in SLOTS if (text := chosen.get(wording_name(language, slot.name)))}
        )
        for language in Language
    }
    here = [network for name, text in chosen.items() if name.startswith(NETWORKS) for network in text.split(";")]
    return (practice_with(chosen) if chosen else parameters()), words, tuple(here)


def practice_with(chosen: Mapping[str, str]) -> Practice:
    """The practice if this were chosen over the stack's parameters; BadSetting names what is malformed."""
    return read_practice({**os.environ, **{name: text for name, text in chosen.items() if name in CHOSEN}})


CHOSEN = (
    *("TOUCHPOINTS", "SURVEY_DELAY_HOURS", "SEND_FROM", "SEND_UNTIL", "SEND_DAYS", "PAUSE_DAYS", "REMINDER_AFTER_DAYS"),
    "MAX_SENDS_PER_DAY",
    *("REVIEW_INVITATIONS", "REVIEW_DELAY_HOURS", "REVIEW_LINKS"),
    *("ADMIN_ADDRESSES", "PASSIVE_ALERTS", "ALERT_DETAIL", "PROMISE_CONTACT"),
    *("BUSINESS_FROM", "BUSINESS_UNTIL", "BUSINESS_DAYS", "RESPONSE_HOURS", "CASES_FOR_PASSIVES"),
    *("ESCALATE_TO", "CLINICAL_LEADS", "GOAL", "VISIT_VALUE", "BENCHMARK"),
    "RESTORED_AT",  # written by `make restore`
)
"""What the dashboard may choose; zone, name and sender belong to the deployment."""


def wording_name(language: str, slot: str) -> str:
    """Under which name of the row `practice` a text stands."""
    return f"wording.{language}.{slot}"


def put_networks(clinic_id: str, found: Iterable[str]) -> None:
    """Note a clinic's networks where the patient's page finds them; the last write wins."""
    text = ";".join(found)
    client().update_item(
        TableName=setting("SETTINGS_TABLE"),
        Key={"scope": {"S": PRACTICE}},
        UpdateExpression="SET #networks = :networks" if text else "REMOVE #networks",
        ExpressionAttributeNames={"#networks": NETWORKS + clinic_id},
        **({"ExpressionAttributeValues": {":networks": {"S": text}}} if text else {}),
    )
    forget(PRACTICE)


def chosen_texts() -> dict[str, str]:
    """Everything that the dashboard chose for the practice, as it stands in the table now."""
    return texts_of(PRACTICE, consistent=True)


def texts_of(scope: str, *, consistent: bool = False) -> dict[str, str]:
    """The texts of a row of Settings; none if there is no such row."""
    answer = client().get_item(
        TableName=setting("SETTINGS_TABLE"), Key={"scope": {"S": scope}}, ConsistentRead=consistent
    )
    return _texts_in(answer.get("Item", {}))


def _texts_in(item: Mapping[str, Any]) -> dict[str, str]:
    return {name: text["S"] for name, text in item.items() if name != "scope"}


def clinic(clinic_id: str) -> Clinic:
    """The clinic with the practice's choices below its own; what stands in the table is kept for a minute."""
    return _clinic_of(clinic_id, kept(f"clinic#{clinic_id}", lambda: read_clinic(clinic_id)))


def load_clinic(clinic_id: str) -> Clinic:
    """The clinic as it stands in the table now."""
    return _clinic_of(clinic_id, read_clinic(clinic_id))


def _clinic_of(clinic_id: str, own: ClinicSettings | None) -> Clinic:
    own = CANARY_CLINIC if is_canary(clinic_id) else own
    return clinic_of(own, practice()) if own else practice().clinic(clinic_id)


def read_clinic(clinic_id: str) -> ClinicSettings | None:
    """What is set for the clinic as it stands in the table now, or None."""
    key = {"scope": {"S": f"clinic#{clinic_id}"}}
    answer = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=key, ConsistentRead=True)
    return to_clinic(answer["Item"]) if "Item" in answer else None


def put_clinic(settings: ClinicSettings) -> None:
    """Write what is set for a clinic; the last write wins."""
    item = {name: value for name, value in clinic_values(settings).items() if value is not None}
    client().put_item(
        TableName=setting("SETTINGS_TABLE"), Item={"scope": {"S": f"clinic#{settings.clinic_id}"}, **item}
    )
    forget(f"clinic#{settings.clinic_id}")
    forget(CLINICS)


def clinics() -> list[ClinicSettings]:
    """Every clinic that anything is set for or that the practice's exports name, by id; kept for a minute.

    Scans the table: it holds a few rows for each clinic and therapist, and no page of patients is read for it.
    """
    return kept(CLINICS, _load_clinics)


def _load_clinics() -> list[ClinicSettings]:
    pages = (
        client()
        .get_paginator("scan")
        .paginate(
            TableName=setting("SETTINGS_TABLE"),
            FilterExpression="begins_with(#scope, :clinic) OR begins_with(#scope, :place)",
            ExpressionAttributeNames={"#scope": "scope"},
            ExpressionAttributeValues={":clinic": {"S": "clinic#"}, ":place": {"S": "place#"}},
        )
    )
    found: dict[str, ClinicSettings] = {}
    for item in (item for page in pages for item in page["Items"]):
        kind, _, clinic_id = item["scope"]["S"].partition("#")
        if kind == "clinic":
            found[clinic_id] = to_clinic(item)
        else:
            found.setdefault(clinic_id, ClinicSettings(clinic_id))
    return sorted(found.values(), key=lambda clinic: clinic.clinic_id)


def clinic_values(settings: ClinicSettings) -> dict[str, Any]:
    """The attributes of a clinic's row; None is one that is absent."""
    links = [{"M": {"label": {"S": link.label}, "url": {"S": link.url}}} for link in settings.review_links]
    return {
        **{name: {"S": value} if (value := getattr(settings, name)) else None for name in _TEXTS},
        "uploaded_at": {"S": format_instant(settings.uploaded_at)} if settings.uploaded_at else None,
        "admins": {"L": [{"S": address} for address in settings.admins]} if settings.admins else None,
        "review_links": {"L": links} if links else None,
        "networks": {"L": [{"S": network} for network in settings.networks]} if settings.networks else None,
    }


_TEXTS = tuple(
    field.name
    for field in fields(ClinicSettings)
    if field.name not in ("clinic_id", "admins", "review_links", "uploaded_at", "networks")
)


def to_clinic(item: Mapping[str, Any]) -> ClinicSettings:
    """What a row of Settings says of a clinic."""
    return ClinicSettings(
        clinic_id=item["scope"]["S"].removeprefix("clinic#"),
        admins=tuple(entry["S"] for entry in item.get("admins", {}).get("L", ())),
        review_links=tuple(
            ReviewLink(entry["M"]["label"]["S"], entry["M"]["url"]["S"])
            for entry in item.get("review_links", {}).get("L", ())
        ),
        uploaded_at=parse_instant(item["uploaded_at"]["S"]) if "uploaded_at" in item else None,
        networks=tuple(entry["S"] for entry in item.get("networks", {}).get("L", ())),
        **{name: item[name]["S"] for name in _TEXTS if name in item},
    )


_INTAKE = {"scope": {"S": "intake"}}


class RulesContended(Exception):
    """Others kept changing the rules of intake; importing the file again is safe."""


def read_intake_rules() -> IntakeRules:
    """How the practice's exports are read, as it stands in the table now."""
    from shared.domain.intake import RuleChange, rules_of

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

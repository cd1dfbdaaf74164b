"""Whole tables: read a page at a time, written item by item, and compared without being held in memory.

An item is as DynamoDB writes it, `{"score": {"N": "9"}}`, so that nothing is lost on the way.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]

NAMES = ("Patients", "Visits", "Messages", "Addresses", "Scores", "Activity", "Settings", "Cases", "Surveys")
"""Every table that is kept for good. Surveys come last: its stream wakes functions that read the others."""

KEYS = dict[str, tuple[str, ...]](
    Patients=("patient_id",),
    Visits=("patient_id", "visit_id"),
    Messages=("message_id",),
    Addresses=("address_key",),
    Scores=("scope", "day"),
    Activity=("patient_id", "entry"),
    Settings=("scope",),
    Cases=("survey_id",),
    Surveys=("survey_id",),
)
"""What a row of each stands under: texts."""

SESSIONS = "Sessions"
"""The staff's sign-ins: nobody takes them along."""

AT_ONCE = 32
SAY_EVERY = 20_000
_SETS = ("SS", "NS", "BS")
_HELD_AS: dict[str, type] = {
    **dict.fromkeys(("S", "N", "B"), str),
    **dict.fromkeys(("BOOL", "NULL"), bool),
    **dict.fromkeys(("L", *_SETS), list),
    "M": dict,
}
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Table:
    """One table of a stack."""

    dynamodb: Any
    name: str
    keys: tuple[str, ...]

    @classmethod
    def of(cls, dynamodb: Any, name: str) -> "Table":
        """The table with this name in AWS."""
        schema = dynamodb.describe_table(TableName=name)["Table"]["KeySchema"]
        return cls(dynamodb, name, tuple(key["AttributeName"] for key in schema))

    def key(self, item: Item) -> Item:
        """What the item stands under."""
        return {name: item[name] for name in self.keys}

    def pages(self) -> Iterator[list[Item]]:
        """Everything, a page at a time."""
        for page in self.dynamodb.get_paginator("scan").paginate(TableName=self.name, ConsistentRead=True):
            yield page["Items"]

    def find(self, items: Sequence[Item]) -> dict[str, Item]:
        """What stands here under the keys of these items, by `as_text` of the key."""
        found: dict[str, Item] = {}
        for start in range(0, len(items), 100):
            keys: Any = [self.key(item) for item in items[start : start + 100]]
            while keys:
                asked = {self.name: {"Keys": keys, "ConsistentRead": True}}
                answer = self.dynamodb.batch_get_item(RequestItems=asked)
                found |= {as_text(self.key(item)): item for item in answer["Responses"].get(self.name, ())}
                keys = answer.get("UnprocessedKeys", {}).get(self.name, {}).get("Keys")
        return found

    def partition(self, key: str) -> list[Item]:
        """All items whose first key this is, in the order of the second."""
        asked = {"ExpressionAttributeNames": {"#key": self.keys[0]}, "ExpressionAttributeValues": {":key": {"S": key}}}
        pages = self.dynamodb.get_paginator("query").paginate(
            TableName=self.name, KeyConditionExpression="#key = :key", ConsistentRead=True, **asked
        )
        return [item for page in pages for item in page["Items"]]

    def put_new(self, items: Iterable[Item]) -> None:
        """Write the items, many at once; what stands there already stays as it is."""
        with ThreadPoolExecutor(AT_ONCE) as threads:
            for done in [threads.submit(self._put, item) for item in items]:
                done.result()

    def change(self, key: Item, facts: Item, only_if: str = "", **values: Item) -> bool:
        """Set attributes of one item, which is made if it is missing.

        False, and nothing is changed, if the condition does not hold or somebody is just writing the item.
        """
        try:
            self.dynamodb.update_item(
                TableName=self.name,
                Key=self.key(key),
                UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in facts),
                ExpressionAttributeNames={f"#{name}": name for name in facts},
                ExpressionAttributeValues={f":{name}": value for name, value in (facts | values).items()},
                **({"ConditionExpression": only_if} if only_if else {}),
            )
        except (
            self.dynamodb.exceptions.ConditionalCheckFailedException,
            self.dynamodb.exceptions.TransactionConflictException,
        ):
            return False
        return True

    def _put(self, item: Item) -> None:
        try:
            self.dynamodb.put_item(
                TableName=self.name,
                Item=item,
                ConditionExpression="attribute_not_exists(#key)",
                ExpressionAttributeNames={"#key": self.keys[0]},
            )
        except self.dynamodb.exceptions.ConditionalCheckFailedException:
            return


def saying(name: str, pages: Iterable[list[Item]], show: Callable[[str], None]) -> Iterator[list[Item]]:
    """The same pages, telling now and then how far they are."""
    rows = said = 0
    for page in pages:
        yield page
        rows += len(page)
        if rows - said >= SAY_EVERY:
            show(f"  {name}: {rows:,} rows so far")
            said = rows


@dataclass
class Digest:
    """How many items there are and what they hold, whatever their order: equal only for the same items."""

    items: int = 0
    sum: int = 0

    def add(self, item: Item) -> None:
        """Take one more item in."""
        self.items += 1
        self.sum = (self.sum + int.from_bytes(hashlib.sha256(as_text(item).encode()).digest())) % 2**256


def digest(table: Table, take: Callable[[Item], Item | None]) -> Digest:
    """Of a whole table; `take` says what of an item counts, and None if it does not count at all."""
    found = Digest()
    for page in table.pages():
        for item in page:
            if (counts := take(item)) is not None:
                found.add(counts)
    return found


def as_text(item: Item) -> str:
    """The item on one line, the same for the same item: names and sets in order, bytes as base64."""
    return json.dumps(_written(item), sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def from_text(line: str) -> Item:
    """The item again; ValueError if the line is none."""
    item = json.loads(line)
    if not isinstance(item, dict):
        raise ValueError("not an item")
    return {name: _read(value) for name, value in item.items()}


def row_of(name: str, line: str) -> Item:
    """A row of this table; ValueError if the line is none."""
    item = from_text(line)
    if not all(item.get(key, {}).get("S") for key in KEYS[name]):
        raise ValueError("a row without its key")
    return item


def _written(item: Item) -> Item:
    return {name: _write(value) for name, value in item.items()}


def _write(typed: Item) -> Item:
    [(kind, value)] = typed.items()
    if kind in _SETS:
        return {kind: [_base64(one) if kind == "BS" else one for one in sorted(value)]}
    if kind == "B":
        return {kind: _base64(value)}
    if kind == "L":
        return {kind: [_write(one) for one in value]}
    return {kind: _written(value)} if kind == "M" else typed


def _read(typed: Any) -> Item:
    """A value again; ValueError if it is none that DynamoDB could hold."""
    if not isinstance(typed, dict) or len(typed) != 1:
        raise ValueError("not a value")
    [(kind, value)] = typed.items()
    if not _is_held_as(kind, value):
        raise ValueError("not a value of its kind")
    if kind in _SETS:
        if not value or len({str(one) for one in value}) < len(value):
            raise ValueError("not a set")
        return {kind: [_read({kind[0]: one})[kind[0]] for one in value]}
    match kind:
        case "B":
            return {kind: base64.b64decode(value, validate=True)}
        case "L":
            return {kind: [_read(one) for one in value]}
        case "M":
            return {kind: {name: _read(one) for name, one in value.items()}}
        case "N" if not _NUMBER.fullmatch(value):
            raise ValueError("not a number")
    return typed


def _is_held_as(kind: str, value: object) -> bool:
    return type(value) is _HELD_AS.get(kind)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()

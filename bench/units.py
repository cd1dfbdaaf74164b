"""What DynamoDB bills for: write and read request units of every request, from the items it met.

The stand-ins do not report them truly. `Meter` listens to a client's events and looks at each item before and after,
through a client of its own, so it works on any endpoint. The rules are AWS's developer guide ("DynamoDB read and write
operations", "DynamoDB item sizes and formats", "Using global secondary indexes") and, where that is silent, what has
been observed on AWS itself: a condition check in a transaction costs 2 WRU for each KB it looked at; an index write
costs the same inside a transaction as outside; a replayed transaction is billed as a read.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from math import ceil
from typing import Any

Item = Mapping[str, Mapping[str, Any]]

WRITES = {"PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"}
READS = {"GetItem", "BatchGetItem", "TransactGetItems", "Query", "Scan"}
BILLED_REFUSALS = {"ConditionalCheckFailedException", "TransactionCanceledException"}


@dataclass(frozen=True, slots=True)
class Index:
    """A secondary index: an item is in it if it has all of the keys."""

    keys: tuple[str, ...]
    projected: frozenset[str] | None  # None: everything

    def entry(self, item: Item | None) -> Item | None:
        """What of this item the index holds, or None."""
        if item is None or not all(key in item for key in self.keys):
            return None
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}


@dataclass(frozen=True, slots=True)
class Table:
    """Keys and indexes of a table."""

    keys: tuple[str, ...]
    indexes: Mapping[str, Index]


@dataclass(frozen=True, slots=True)
class Request:
    """One call and what it costs."""

    operation: str
    tables: tuple[str, ...]
    write: float = 0
    read: float = 0
    failed: bool = False

    @property
    def name(self) -> str:
        """Operation and tables, as they are counted."""
        return f"{self.operation} {' '.join(sorted(self.tables))}"


def item_size(item: Item) -> int:
    """Bytes that count for an item: names and values."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def write_units(before: Item | None, after: Item | None, table: Table, *, transaction: bool = False) -> int:
    """One write: the larger of the two images for each KB, twice in a transaction, and what the indexes take."""
    own = _kilobytes(before, after) * (2 if transaction else 1)
    return own + sum(_index_units(index, before, after) for index in table.indexes.values())


def read_units(sizes: Iterable[int], *, consistent: bool = False, transaction: bool = False) -> float:
    """Items read one by one (get, batch, transaction): each for every 4 KB; a missing one as a small one."""
    factor = 2 if transaction else 1 if consistent else 0.5
    return sum(max(1, ceil(size / 4096)) for size in sizes) * factor


def page_units(sizes: Iterable[int], *, consistent: bool = False) -> float:
    """One page of a query or scan: all items it looked at together, for every 4 KB."""
    return max(1, ceil(sum(sizes) / 4096)) * (1 if consistent else 0.5)


@dataclass
class Meter:
    """A list of what the attached clients asked DynamoDB, with units. `shadow` is a client nobody listens to."""

    shadow: Any
    requests: list[Request] = field(default_factory=list)
    _tables: dict[str, Table] = field(default_factory=dict)
    _replays: set[str] = field(default_factory=set)

    def attach(self, client: Any) -> None:
        """Listen to this botocore client from now on; once, however often it is told to."""
        for event, handler in self._events():
            client.meta.events.register(event, handler, unique_id=f"{id(self)} {event}")

    def detach(self, client: Any) -> None:
        """Listen no longer."""
        for event, handler in self._events():
            client.meta.events.unregister(event, handler, unique_id=f"{id(self)} {event}")

    def _events(self) -> tuple[tuple[str, Any], ...]:
        return ("provide-client-params.dynamodb", self._before), ("after-call.dynamodb", self._after)

    @property
    def calls(self) -> int:
        """How many requests were made."""
        return len(self.requests)

    @property
    def wru(self) -> float:
        """All write request units."""
        return sum(request.write for request in self.requests)

    @property
    def rru(self) -> float:
        """All read request units."""
        return sum(request.read for request in self.requests)

    def by_operation(self) -> Counter[str]:
        """How many requests of each kind to which tables."""
        return Counter(request.name for request in self.requests)

    def clear(self) -> None:
        """Start again from nothing."""
        self.requests.clear()

    def _before(self, params: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        context["asked"] = params
        if model.name in WRITES:
            context["before"] = [self._item(*target) for target in self._targets(model.name, params)]

    def _after(self, parsed: dict[str, Any], model: Any, context: dict[str, Any], **_: Any) -> None:
        params = context.get("asked")
        if params is None:
            return
        if model.name in WRITES:
            self.requests.append(self._write(model.name, params, parsed, context["before"]))
        elif model.name in READS and "Error" not in parsed:
            self.requests.append(self._read(model.name, params, parsed))

    def _write(
        self, operation: str, params: dict[str, Any], parsed: dict[str, Any], before: Sequence[Item | None]
    ) -> Request:
        targets = self._targets(operation, params)
        tables = tuple(dict.fromkeys(name for name, _ in targets))
        transaction = operation == "TransactWriteItems"
        failed = "Error" in parsed
        if failed and parsed["Error"]["Code"] not in {
            "ConditionalCheckFailedException",
            "TransactionCanceledException",
        }:
            return Request(operation, tables, failed=True)  # throttled, refused or in conflict: nothing is billed
        if transaction and self._is_replay(params, failed):
            return Request(operation, tables, read=sum(2 * max(1, ceil(_size(old) / 4096)) for old in before))
        after = before if failed else [self._item(*target) for target in targets]
        units = 0
        for (name, _), old, new in zip(targets, before, after, strict=True):
            units += write_units(old, new, self.table(name), transaction=transaction)
        return Request(operation, tables, write=units, failed=failed)

    def _is_replay(self, params: dict[str, Any], failed: bool) -> bool:
        token = params.get("ClientRequestToken")
        if token in self._replays:
            return True
        if token and not failed:
            self._replays.add(token)
        return False

    def _read(self, operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> Request:
        match operation:
            case "GetItem":
                units = self._got(params["TableName"], [params["Key"]], params.get("ConsistentRead", False))
                return Request(operation, (params["TableName"],), read=units)
            case "BatchGetItem":
                asked = params["RequestItems"]
                units = sum(self._got(name, of["Keys"], of.get("ConsistentRead", False)) for name, of in asked.items())
                return Request(operation, tuple(asked), read=units)
            case "TransactGetItems":
                gets = [part["Get"] for part in params["TransactItems"]]
                sizes = [_size(self._item(get["TableName"], get["Key"])) for get in gets]
                names = tuple(dict.fromkeys(get["TableName"] for get in gets))
                return Request(operation, names, read=read_units(sizes, transaction=True))
            case _:
                name = params["TableName"]
                units = page_units(
                    map(item_size, self._looked_at(operation, params, parsed)),
                    consistent=params.get("ConsistentRead", False),
                )
                index = params.get("IndexName")
                return Request(operation, (f"{name}.{index}" if index else name,), read=units)

    def _got(self, table: str, keys: Iterable[Item], consistent: bool) -> float:
        return read_units((_size(self._item(table, key)) for key in keys), consistent=consistent)

    def _looked_at(self, operation: str, params: dict[str, Any], parsed: dict[str, Any]) -> Iterable[Item]:
        """The items of the page before they were filtered and cut: as the index, or the table, holds them."""
        index = self.table(params["TableName"]).indexes.get(params.get("IndexName", ""))
        items: Iterable[Item] = parsed.get("Items", ())
        hides = {"FilterExpression", "ProjectionExpression", "Select"} & params.keys()
        if hides:
            whole = {name: value for name, value in params.items() if name not in hides}
            whole["ExpressionAttributeNames"] = _used(params.get("ExpressionAttributeNames"), whole)
            whole["ExpressionAttributeValues"] = _used(params.get("ExpressionAttributeValues"), whole)
            whole = {name: value for name, value in whole.items() if value != {}}
            call = self.shadow.query if operation == "Query" else self.shadow.scan
            items = call(**whole)["Items"]
        return (index.entry(item) or item for item in items) if index else items

    def _item(self, table: str, key: Item) -> Item | None:
        found: Item | None = self.shadow.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        return found

    def _targets(self, operation: str, params: dict[str, Any]) -> list[tuple[str, Item]]:
        """Table and key of everything that the request writes, in its order."""
        if operation == "TransactWriteItems":
            parts = [next(iter(part.values())) for part in params["TransactItems"]]
        elif operation == "BatchWriteItem":
            parts = [
                {"TableName": name, **next(iter(write.values()))}
                for name, writes in params["RequestItems"].items()
                for write in writes
            ]
        else:
            parts = [params]
        return [(part["TableName"], part.get("Key") or self._key(part["TableName"], part["Item"])) for part in parts]

    def _key(self, table: str, item: Item) -> Item:
        return {name: item[name] for name in self.table(table).keys}

    def table(self, name: str) -> Table:
        """Keys and indexes of this table."""
        if name not in self._tables:
            self._tables[name] = described(self.shadow.describe_table(TableName=name)["Table"])
        return self._tables[name]


def described(description: Mapping[str, Any]) -> Table:
    """A table from what DescribeTable, or CreateTable, says of it."""
    keys = tuple(key["AttributeName"] for key in description["KeySchema"])
    indexes = {}
    for index in description.get("GlobalSecondaryIndexes", ()):
        own = tuple(key["AttributeName"] for key in index["KeySchema"])
        projection = index["Projection"]
        names = frozenset((*keys, *own, *projection.get("NonKeyAttributes", ())))
        indexes[index["IndexName"]] = Index(own, None if projection["ProjectionType"] == "ALL" else names)
    return Table(keys, indexes)


def _index_units(index: Index, before: Item | None, after: Item | None) -> int:
    old, new = index.entry(before), index.entry(after)
    if old == new:
        return 0
    if old is None or new is None or all(old[key] == new[key] for key in index.keys):
        return _kilobytes(old, new)
    return _kilobytes(old) + _kilobytes(new)  # the entry moves: one write takes it away, one puts it elsewhere


def _kilobytes(*images: Item | None) -> int:
    return max(1, *(ceil(_size(image) / 1024) for image in images))


def _size(item: Item | None) -> int:
    return item_size(item) if item else 0


def _value_size(value: Mapping[str, Any]) -> int:
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return _number_size(content)
        case "B":
            return len(content)
        case "BOOL" | "NULL":
            return 1
        case "M":
            return 3 + item_size(content) + len(content)
        case "L":
            return 3 + sum(1 + _value_size(one) for one in content)
        case _:  # sets: SS, NS, BS
            return sum(_value_size({kind[0]: one}) for one in content)


def _number_size(text: str) -> int:
    """About one byte for two digits that count, one byte besides, and one for a minus."""
    sign, digits, _ = Decimal(text).as_tuple()
    significant = "".join(map(str, digits)).strip("0")
    return ceil(len(significant) / 2) + 1 + sign


def _used(names: Mapping[str, Any] | None, params: Mapping[str, Any]) -> dict[str, Any]:
    """The placeholders that the remaining expression still names: DynamoDB refuses any other."""
    expression = params.get("KeyConditionExpression", "")
    words = set(expression.replace("(", " ").replace(")", " ").replace(",", " ").split())
    return {name: value for name, value in (names or {}).items() if name in words}

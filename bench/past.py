"""A practice's past of any size: kept in SQLite by key and index, brought into moto when a request comes upon it.

moto keeps items as objects and walks through all of them at each query; a million would neither fit nor tell anything
about the code under test. Here every table and index has its order on disk, as in DynamoDB, and moto sees the items
that a request names and the page that a query reads.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from moto.dynamodb import models as moto_models
from moto.dynamodb.models import dynamodb_backends

from bench.units import WRITES, Meter
from shared.domain.aggregate import MONTHLY, Count, contribution, mark_latest
from shared.domain.patient import search_name
from shared.domain.survey import Counted
from tests import filling

ACCOUNT, REGION = "123456789012", "us-east-1"
UNTIL, DAYS = date(2026, 3, 2), 800
SAMPLE = 12_000  # answers that are really counted; more of them give the same rows on more days
MORE_THAN_A_PAGE = 1_200_000  # bytes
AHEAD = 40  # entries read beyond a query's limit, in case some have left the index meanwhile
SYLLABLES = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "ri",
    "so",
    "tu",
    "va",
    "we",
    "xi",
    "yo",
    "zu",
]
Row = tuple[str, dict[str, Any]]
"""Table and item."""


class Past:
    """Items on disk, and which of them moto has by now."""

    def __init__(self, path: Path, meter: Meter) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False)
        self._db.executescript(
            """PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -100000;
            CREATE TABLE items (tab TEXT, h TEXT, r TEXT, body TEXT, PRIMARY KEY (tab, h, r)) WITHOUT ROWID;
            CREATE TABLE entries (tab TEXT, ih TEXT, ir TEXT, h TEXT, r TEXT,
                                  PRIMARY KEY (tab, ih, ir, h, r)) WITHOUT ROWID;"""
        )
        self._shape = meter.table
        self._met: set[tuple[str, str, str]] = set()
        self.stored: dict[str, int] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def store(self, rows: Iterable[Row]) -> None:
        """Keep the rows, with their entries in every index that has all of its keys."""
        items, entries = list[tuple[str, ...]](), list[tuple[str, ...]]()

        def flush() -> None:
            self._db.executemany("INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?)", items)
            self._db.executemany("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", entries)
            items.clear()
            entries.clear()

        for table, item in rows:
            shape = self._shape(table)
            key = _key(shape.keys, item)
            items.append((table, *key, json.dumps(item, ensure_ascii=False, separators=(",", ":"))))
            for name, index in shape.indexes.items():
                if all(attribute in item for attribute in index.keys):
                    entries.append((f"{table}.{name}", *_key(index.keys, item), *key))
            self.stored[table] = self.stored.get(table, 0) + 1
            if len(items) >= 20_000:
                flush()
        flush()
        self._db.commit()

    def serve(self, client: Any) -> None:
        """Bring what this client asks for into moto just before it asks."""
        client.meta.events.register("provide-client-params.dynamodb", self._before)

    def _before(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        if model.name == "Query":
            self._bring_page(params)
            return
        for table, keys in _named(model.name, params, self._shape):
            for key in keys:
                self._bring(table, *_key(self._shape(table).keys, key))

    def _bring_page(self, params: dict[str, Any]) -> None:
        table, index = params["TableName"], params.get("IndexName")
        shape = self._shape(table)
        keys = shape.indexes[index].keys if index else shape.keys
        wanted, values = _condition(params, keys)
        columns = ("ih", "ir", "h", "r") if index else ("h", "r")
        if start := params.get("ExclusiveStartKey"):
            position = (*_key(keys, start)[1:], *(_key(shape.keys, start) if index else ()))
            comparison = ">" if params.get("ScanIndexForward", True) else "<"
            wanted.append(f"({', '.join(columns[1:])}) {comparison} ({', '.join('?' * len(position))})")
            values += position
        order = " ".join(f"{name} {'ASC' if params.get('ScanIndexForward', True) else 'DESC'}," for name in columns)
        found = self._db.execute(
            f"SELECT h, r FROM {'entries' if index else 'items'} "
            f"WHERE tab = ? AND {' AND '.join(wanted)} ORDER BY {order.rstrip(',')} LIMIT ?",
            (f"{table}.{index}" if index else table, *values, params.get("Limit", 100_000) + AHEAD),
        )
        size = 0
        for key in found:
            size += self._bring(table, *key)
            if size > MORE_THAN_A_PAGE:
                break
        found.close()

    def _bring(self, table: str, h: str, r: str) -> int:
        """Put the item into moto's table unless it has been there; what was changed there since is what holds."""
        found = self._db.execute("SELECT body FROM items WHERE tab = ? AND h = ? AND r = ?", (table, h, r)).fetchone()
        if not found:
            return 0
        if (table, h, r) not in self._met:
            self._met.add((table, h, r))
            backend = dynamodb_backends[ACCOUNT][REGION]
            backend.tables[table].put_item(json.loads(found[0]), overwrite=True)
        return len(found[0])


def spare_moto_its_backups() -> None:
    """Without a copy of all tables before each transaction; none is refused here, so nothing has to be put back."""

    class NoCopy:
        deepcopy = staticmethod(lambda whole: whole)

    moto_models.copy = NoCopy  # type: ignore[attr-defined, assignment]


def rows(answers: int) -> Iterator[Row]:
    """Patients, surveys, settled messages, activity, closed cases, counts and comments of so many answers."""
    people = max(1, int(answers * filling.NEW_PATIENT))
    for number in range(people):
        yield "Patients", _patient(number)
    made = list(filling.facts(min(answers, SAMPLE) // 3, UNTIL, DAYS, 11))
    answered = [(facts, said) for _, _, facts, said in made if facts.score is not None]
    began = datetime(UNTIL.year, UNTIL.month, UNTIL.day, tzinfo=UTC) - timedelta(days=DAYS)
    for number in range(answers):
        facts, said = answered[number % len(answered)]
        at = began + timedelta(seconds=int(number / answers * DAYS * 86_400))
        yield from _answered(number, number % people, facts, said, _instant(at))
    yield from _counted_rows(answers)


def survey_of(number: int) -> str:
    """The id of the past's n-th survey, as long as a real one."""
    return f"{number:026d}".translate(str.maketrans("0189", "abcd"))


def _patient(number: int) -> dict[str, Any]:
    last = "".join(SYLLABLES[number // 20**place % 20] for place in range(5)).capitalize()
    first = ("Ada", "Ben", "Cleo", "Dan")[number % 4]
    found_under = search_name(last, first)
    return {
        "patient_id": {"S": f"p{number:07d}"}, "first_name": {"S": first}, "last_name": {"S": last},
        "email": {"S": f"{first}.{last}{number}@example.com"}, "phone": {"S": "+15185550123"},
        "language": {"S": "en"}, "clinic_id": {"S": filling.CLINICS[number % 6]}, "tags": {"L": []},
        "search_name": {"S": found_under}, "name_initial": {"S": found_under[0]},
        "opted_out": {"BOOL": False}, "hold": {"BOOL": False}, "deceased": {"BOOL": False}, "archived": {"BOOL": False},
    }  # fmt: skip


def _answered(number: int, patient: int, facts: Counted, said: str, at: str) -> Iterator[Row]:
    survey, who = {"S": survey_of(number)}, {"S": f"p{patient:07d}"}
    clinic, moment, score = {"S": facts.clinic_id}, {"S": at}, {"N": str(facts.score)}
    touchpoint, category = {"S": facts.touchpoint}, _category(facts.score or 0)
    memory = {
        "score": facts.score, "answer_day": at[:10], "cohort_day": at[:10], "funnel": facts.funnel,
        "clinic_id": facts.clinic_id, "therapist_id": facts.therapist_id, "touchpoint": facts.touchpoint,
        "language": "en", "answered_at": at, "latest_in": ["practice", "clinic", "therapist"],
        "latest_in_month": ["practice", "clinic", "therapist"], "themes": facts.themes,
    }  # fmt: skip
    yield "Surveys", {
        "survey_id": survey, "patient_id": who, "case_id": {"S": "c"}, "episode": {"S": "case:c"},
        "visit_id": {"S": "v"}, "clinic_id": clinic, "therapist_id": {"S": facts.therapist_id},
        "touchpoint": touchpoint, "language": {"S": "en"}, "occurred_at": moment, "due_at": moment, "sent_at": moment,
        "expires_at": moment, "token_hashes": {"SS": ["h" * 64]}, "answered_at": moment, "first_answered_at": moment,
        "counted_answer_at": moment, "score": score, "category": {"S": category}, "version": {"N": "1"},
        "revision": {"N": "3"}, "comment": {"S": said}, "counted": {"S": json.dumps(memory)},
        "answers": {"L": [{"M": {"score": score, "comment": {"S": said}, "at": moment}}]},
    }  # fmt: skip
    yield "Messages", {
        "message_id": {"S": f"{survey['S']}-survey"}, "kind": {"S": "survey"}, "patient_id": who, "survey_id": survey,
        "clinic_id": clinic, "touchpoint": touchpoint, "occurred_at": moment, "due_at": moment,
        "state": {"S": "sent"}, "attempt": {"N": "1"}, "sent_at": moment, "ses_id": {"S": "0" * 60},
    }  # fmt: skip
    yield "Activity", {
        "patient_id": who, "entry": {"S": f"{at}#answered#{survey['S']}-v1"}, "kind": {"S": "answered"},
        "at": moment, "survey_id": survey, "version": {"N": "1"}, "score": score,
    }  # fmt: skip
    if said:
        about = {
            "score": facts.score, "touchpoint": facts.touchpoint, "language": "en", "therapist": facts.therapist_id,
            "themes": facts.themes, "concerns": facts.concerns,
        }  # fmt: skip
        key = {"scope": {"S": f"comments#{facts.clinic_id}"}, "day": {"S": f"{at}#{survey['S']}"}}
        yield "Scores", {**key, "about": {"S": json.dumps(about)}}
    if category == "detractor":
        yield "Cases", {
            "survey_id": survey, "listed_under": {"S": f"closed#{at[:7]}"}, "listed_at": moment, "patient_id": who,
            "clinic_id": clinic, "category": {"S": category}, "state": {"S": "closed"}, "opened_at": moment,
            "deadline": moment, "closed_at": moment, "version": {"N": "4"}, "outreach": {"L": []},
            "outcome": {"S": "resolved"}, "owner": {"S": "user-owner"},
        }  # fmt: skip


def _counted_rows(answers: int) -> Iterator[Row]:
    """The rows of counts: of a span of days as dense as the whole, on every day of the past."""
    sample = min(answers, SAMPLE)
    span = max(1, round(DAYS * sample / answers))
    counts: dict[tuple[str, str], dict[str, int]] = {}
    made = list(filling.facts(sample, UNTIL, span, 11))
    for found in mark_latest({survey: facts for survey, _, facts, _ in made}).values():
        _add(counts, contribution(found))
    for (scope, day), fields in counts.items():
        if scope.startswith(MONTHLY):
            continue
        for back in range(0, DAYS, span):
            yield "Scores", _row(scope, (date.fromisoformat(day) - timedelta(days=back)).isoformat(), fields, 1)
    months = {scope: fields for (scope, _), fields in counts.items() if scope.startswith(MONTHLY)}
    for scope, fields in months.items():
        for back in range(0, DAYS, 31):
            month = (UNTIL - timedelta(days=back)).isoformat()[:7]
            yield "Scores", _row(scope, month, fields, max(1, answers // sample // (DAYS // 31)))
    yield from (
        ("Scores", {"scope": {"S": "directory"}, "day": {"S": f"clinic#{clinic}"}}) for clinic in filling.CLINICS
    )
    for number, name in enumerate(filling.THERAPISTS):
        key = {"scope": {"S": "directory"}, "day": {"S": f"therapist#t{number}"}}
        yield "Scores", {**key, "name": {"S": name}, "clinics": {"SS": [filling.CLINICS[number // 3]]}}
    at = {"S": _instant(datetime(UNTIL.year, UNTIL.month, UNTIL.day, 8, 15, tzinfo=UTC))}
    yield "Scores", {"scope": {"S": "directory"}, "day": {"S": "counted"}, "at": at}


def _add(counts: dict[tuple[str, str], dict[str, int]], found: dict[Count, int]) -> None:
    for (scope, day, name), number in found.items():
        fields = counts.setdefault((scope, day), {})
        fields[name] = fields.get(name, 0) + number


def _row(scope: str, day: str, fields: dict[str, int], times: int) -> dict[str, Any]:
    numbers = {name: {"N": str(number * times)} for name, number in fields.items()}
    return {"scope": {"S": scope}, "day": {"S": day}, **numbers}


def _category(score: int) -> str:
    return "promoter" if score > 8 else "passive" if score > 6 else "detractor"


def _instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _key(names: tuple[str, ...], item: dict[str, Any]) -> tuple[str, str]:
    hash_value, *range_value = (item[name]["S"] for name in names)
    return hash_value, *(range_value or [""])


def _named(operation: str, params: dict[str, Any], shape: Any) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The items that a request names, by table."""
    if operation == "BatchGetItem":
        yield from ((table, asked["Keys"]) for table, asked in params["RequestItems"].items())
    elif operation == "TransactWriteItems":
        for part in params["TransactItems"]:
            (of,) = part.values()
            yield of["TableName"], [of.get("Key") or of["Item"]]
    elif operation in WRITES | {"GetItem"} and "TableName" in params:
        yield params["TableName"], [params.get("Key") or params["Item"]]


def _condition(params: dict[str, Any], keys: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """A query's key condition in SQL: `wanted` and its values."""
    text = params["KeyConditionExpression"]
    names, given = params.get("ExpressionAttributeNames", {}), params["ExpressionAttributeValues"]
    text = re.sub(r"#\w+", lambda found: names[found[0]], text)
    h, r = ("ih", "ir") if "IndexName" in params else ("h", "r")
    wanted, values = list[str](), list[str]()
    for name, column in zip(keys, (h, r), strict=False):
        if found := re.search(rf"\b{name} BETWEEN (:\w+) AND (:\w+)", text):
            wanted.append(f"{column} BETWEEN ? AND ?")
            values += [given[found[1]]["S"], given[found[2]]["S"]]
        elif found := re.search(rf"begins_with ?\({name}, ?(:\w+)\)", text):
            begin = given[found[1]]["S"]
            wanted.append(f"{column} >= ? AND {column} < ?")
            values += [begin, begin + "\U0010ffff"]
        elif found := re.search(rf"\b{name} ?(=|<=|<|>=|>) ?(:\w+)", text):
            wanted.append(f"{column} {found[1]} ?")
            values.append(given[found[2]]["S"])
    return wanted, values

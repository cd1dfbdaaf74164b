"""Intake: an export of any size in flat memory

Visits in the practice's own CSV, seven a patient and in the order of their days, so that every patient's are
spread over the whole file. The memory of an import is that of reading, laying out and reporting: storing a patient
is left out there, since it holds one patient at a time and would take an hour for a million rows. The throughput is
that of the whole import, its tables answering at once.
"""

import io
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import UTC, date, datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from bench import stub
from bench.figure import Figure
from tests.environment import TABLES, set_environment

SIZES = (1_000, 100_000, 1_000_000)
STORED = 2_000  # visits of the import that really stores
VISITS_A_PATIENT = 7
ANSWERS: stub.Answers = {
    "BatchGetItem ": {"Responses": {table: [] for table in TABLES}, "UnprocessedKeys": {}},
    "GetSecretValue ": {"SecretString": "0" * 64},
    **{f"UpdateItem {table}": {"Attributes": {}} for table in TABLES},
    **{f"Query {table}": {"Items": [], "Count": 0, "ScannedCount": 0} for table in TABLES},
}


def measure() -> list[Figure]:
    """Peak memory at each size, and the CPU time of a row."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, stub.table_stub(ANSWERS) as endpoint:
        file = Path(folder) / "visits.csv"
        memory, seconds = list[float](), list[float]()
        for size in SIZES:
            _write(file, size)
            peak, taken = _in_a_process(file, endpoint, stores=False)
            memory.append(peak)
            seconds.append(taken)
            print(f"  {size:,} visits: {peak:.0f} MB, {taken:.1f} s", flush=True)
        _write(file, STORED)
        _, whole = _in_a_process(file, endpoint, stores=True)
    return [
        Figure(
            "import of 100,000 visits: peak memory", "The whole process; 1,000,000 visits are in the plot.",
            memory[1], "MB", "absolute", target=200, too_much=300, along="visits in the file",
            points=tuple(zip(SIZES, memory, strict=True)),
        ),
        Figure(
            "memory of 1,000,000 visits beside 100,000", "Flat: a file is never held in memory.",
            memory[2], "MB", "ratio", floor=memory[1], ratio=memory[2] / memory[1], target=1.2, too_much=1.5,
        ),
        Figure(
            "reading and laying out 100,000 visits", "Before the first patient is stored.",
            seconds[1], "s of CPU", "absolute", along="visits in the file",
            points=tuple(zip(SIZES, seconds, strict=True)),
        ),
        Figure(
            "a visit of a new patient, stored", f"{STORED:,} visits, with their surveys and messages.",
            whole / STORED * 1000, "ms of CPU", "absolute",
        ),
    ]  # fmt: skip


def _write(file: Path, visits: int) -> None:
    patients = max(1, visits // VISITS_A_PATIENT)
    with file.open("w") as out:
        out.write("visit_id,patient_id,case_id,clinic_id,started_at,kind,status\n")
        for number in range(visits):
            day = date(2025, 12, 1) + timedelta(days=number * 90 // visits)
            kind = "evaluation" if number < patients else "treatment"
            who = number % patients
            out.write(f"v{number:07d},p{who:06d},c{who:06d},north,{day}T09:00,{kind},completed\n")


def _in_a_process(file: Path, endpoint: str, *, stores: bool) -> tuple[float, float]:
    """Peak memory in MB and CPU seconds of an import in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_import, args=(file, endpoint, stores, theirs))
    process.start()
    theirs.close()
    found: tuple[float, float] = ours.recv()
    process.join()
    return found


def _import(file: Path, endpoint: str, stores: bool, pipe: Connection) -> None:
    set_environment()
    os.environ.update(stub.environment(endpoint))
    from functions.import_visits import course
    from functions.import_visits.handler import handler
    from functions.import_visits.merge import Outcome
    from shared.storage import visits
    from shared.storage.visits import History
    from tests.fakes import FakeContext

    ask, put, remembered = visits.of_patient, visits.put, dict[str, History]()

    def of_patient(patient_id: str) -> History:
        ask(patient_id)  # the stub has forgotten, and the import looks again at what it wrote
        found = remembered.get(patient_id, History())
        return History(dict(found.visits), dict(found.cases))

    def put_and_remember(one: Any, seen: Any) -> bool:
        remembered.setdefault(one.patient_id, History()).visits[one.visit_id] = one
        return put(one, seen)

    def outcomes(_: str, rows: Sequence[Any], *rest: Any) -> list[tuple[int, Outcome]]:
        return [(line, Outcome.CREATED) for line, _ in rows]

    if stores:
        visits.of_patient, visits.put = of_patient, put_and_remember
    else:
        course.store = outcomes  # type: ignore[assignment]
    created = {"Records": [{"s3": {"bucket": {"name": "intake"}, "object": {"key": "incoming/visits.csv"}}}]}
    began = time.process_time()
    with redirect_stdout(io.StringIO()):
        done = handler(created, FakeContext(), s3=_Bucket(file), now=lambda: datetime(2026, 3, 2, 3, tzinfo=UTC))
    (summary,) = done["files"]
    assert summary["status"] == "accepted", summary
    kilobytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "darwin" else 1)
    pipe.send((kilobytes / 1024, time.process_time() - began))


class _Bucket:
    """One file on disk as an object, and notes beside it."""

    class exceptions:  # noqa: N801 (as the client calls it)
        class NoSuchKey(Exception):
            """There is no such object."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._notes: dict[str, bytes] = {}

    def get_object(self, *, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803 (S3's own names)
        about = {"ETag": "1", "LastModified": datetime(2026, 3, 2, 3, tzinfo=UTC)}
        if Key.startswith("incoming/"):
            return {**about, "ContentLength": self._file.stat().st_size, "Body": self._file.open("rb")}
        if Key not in self._notes:
            raise self.exceptions.NoSuchKey
        return {**about, "ContentLength": len(self._notes[Key]), "Body": io.BytesIO(self._notes[Key])}

    def put_object(self, *, Key: str, Body: Any, **_: Any) -> None:  # noqa: N803
        self._notes[Key] = Body if isinstance(Body, bytes) else Body.read()

    def delete_object(self, *, Key: str, **_: Any) -> None:  # noqa: N803
        self._notes.pop(Key, None)

    def get_paginator(self, _: str) -> "_Bucket":
        return self

    def paginate(self, **_: Any) -> list[dict[str, Any]]:
        return [{}]

"""What `make intake` says of a report, and how it waits for one."""

import io
import itertools
import json
from pathlib import Path
from typing import Any

import pytest

from local.intake import Intake, IntakeFailed, import_in_words, preview_in_words

PREVIEW: dict[str, Any] = {
    "status": "partial",
    "kind": "visits",
    "rows": 1412,
    "refused": 21,
    "errors": [{"line": line, "column": "email", "reason": "is not an email address"} for line in range(5, 26)],
    "patients": {"new": 0, "changed": 0, "unchanged": 0},
    "visits": {"new": 1380, "changed": 3, "unchanged": 28},
    "touchpoints": {"new": 14, "moved": 2, "withdrawn": 1},
    "merges": 0,
    "mails": {
        "by_day": {"2026-03-02": 9, "2026-03-03": 16},
        "not_mailed": {"no_address": 1200, "expired": 3},
        "list": [
            *(
                {"patient_id": f"P{n}", "touchpoint": "visit:6", "clinic_id": "north", "when": "2026-03-02T15:00-05:00"}
                for n in range(25)
            ),
            {"patient_id": "P99", "touchpoint": "visit:6", "clinic_id": "north", "why_not": "expired"},
        ],
    },
}
IMPORT = {"status": "accepted", "kind": "visits", "rows": 2, "created": 1, "updated": 0, "unchanged": 1, "refused": 0}


def test_a_preview_is_told_as_counts_refusals_and_the_first_mails():
    words = list(preview_in_words(PREVIEW))
    assert words[0] == "partial: visits, 1,412 rows"
    assert "  line 5   email  is not an email address" in words
    assert "  and 1 more; the report lists 1,000, and rejected/ all of an import" in words
    assert "visits             1,380           3          28" in words
    assert "touchpoints           14           2           1" in words
    assert "  2026-03-03       16" in words
    assert [word for word in words if "P" in word and "north" in word] == [
        f"  2026-03-02 15:00-05:00  {f'P{n}':<3}  visit:6  north" for n in range(20)
    ]
    assert words[-1] == "\nSurveys that would not go out: 1,200 no address, 3 expired"


def test_a_refused_file_is_told_with_its_reason_and_no_tables():
    refused = {
        **PREVIEW,
        "status": "refused",
        "refused": 0,
        "errors": [{"line": 1, "column": "", "reason": "is empty"}],
    }
    assert list(preview_in_words(refused))[1:] == ["\nRefused:", "  line 1  -  is empty"]


def test_an_import_is_told_as_its_counts():
    assert list(import_in_words({**IMPORT, "errors": []})) == [
        "accepted: visits, 2 rows",
        "1 created, 0 updated, 1 unchanged, 0 refused",
    ]


class FakeBucket:
    """Answers with one report after the other."""

    class exceptions:  # noqa: N801 (botocore's name)
        class NoSuchKey(Exception):
            pass

    def __init__(self, *reports: dict[str, Any] | None) -> None:
        self.reports = list(reports)
        self.calls: list[tuple[str, str]] = []

    def delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        self.calls.append(("delete", Key))

    def put_object(self, Bucket: str, Key: str, Body: Any) -> None:  # noqa: N803
        self.calls.append(("put", Key))

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        report = self.reports.pop(0) if len(self.reports) > 1 else self.reports[0]
        if report is None:
            raise self.exceptions.NoSuchKey
        return {"Body": io.BytesIO(json.dumps(report).encode())}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "visits.csv"
    path.write_text("x")
    return path


def intake_of(bucket: FakeBucket) -> Intake:
    """With a clock that every look moves on by a minute."""
    moments = itertools.count(0, 60)
    return Intake(bucket, "b", lambda: next(moments), lambda seconds: None)


def test_an_earlier_report_is_deleted_and_progress_is_shown_until_the_new_one_is_there(file):
    shown = list[str]()
    going = {**IMPORT, "status": "in_progress", "rows_read": 5000}
    bucket = FakeBucket(None, going, going, {**going, "rows": 7}, IMPORT)
    assert intake_of(bucket).report_on(file, "incoming/", shown.append) == IMPORT
    assert shown == ["  5,000 rows read, 2 done", "  5,000 rows read, 7 done"]
    assert bucket.calls == [("delete", "reports/visits.csv.json"), ("put", "incoming/visits.csv")]


def test_a_report_that_never_comes_ends_the_waiting(file):
    with pytest.raises(IntakeFailed, match="20 minutes"):
        intake_of(FakeBucket(None)).report_on(file, "preview/", print)

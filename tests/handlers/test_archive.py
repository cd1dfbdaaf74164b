"""`make archive` and `make unarchive`: everything as files, and from the files everything again."""

import csv
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.parameters import clear_caches

from local import archive as archives
from local import tables
from local.archive import CannotArchive, archive
from local.spreadsheets import SHEETS
from local.tables import NAMES, Table, as_text
from local.unarchive import Damaged, unarchive
from local.whole import CannotRestore, Whole
from shared.domain.identity import erased_reference
from shared.domain.self_test import CLINIC_ID
from shared.hash_key import hash_key
from shared.storage import kept, messages, patients, surveys
from tests.faults.practice import InOneThread
from tests.faults.restoring import Erasing
from tests.handlers.conftest import empty_account
from tests.upgrade import last_release

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_REST = {"SendingPaused": "true", "SchedulesEnabled": "false"}
KEY = "k" * 64
ERASED = {"why": "patient", "opted_out": False}
LEFT = last_release.LEFT


@dataclass
class Place:
    """The stack on moto, how it was deployed, and what the commands said."""

    parameters: dict[str, str] = field(default_factory=lambda: dict(AT_REST))
    said: list[str] = field(default_factory=list)

    @property
    def stack(self) -> Whole:
        clients: dict[str, Any] = {name: boto3.client(name) for name in ("dynamodb", "s3", "secretsmanager")}
        clients |= {"cloudformation": self, "clock": lambda: NOW}
        names = {f"{name}Table": name for name in NAMES} | {"HashKey": "hash-key", "IntakeBucket": "intake"}
        return Whole("careloop", Erasing(clients.__getitem__, names))

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 (boto3's)
        listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Parameters": listed}]}

    def archive(self, folder: Path) -> Path:
        archive(self.stack, folder, "olive", lambda: NOW, self.said.append)
        return folder

    def unarchive(self, folder: Path) -> bool:
        kept.forget()
        return unarchive(folder, self.stack, lambda: NOW, self.said.append)


@pytest.fixture
def fresh_key() -> Iterator[None]:
    """The functions of this stack have kept no other stack's key, and those of others do not keep this one's."""
    for forget in (hash_key.cache_clear, clear_caches):
        forget()
    yield
    for forget in (hash_key.cache_clear, clear_caches):
        forget()


@pytest.fixture
def place(aws: None, fresh_key: None, monkeypatch: pytest.MonkeyPatch) -> Place:
    """What the last release left behind, in the tables of today."""
    monkeypatch.setattr(tables, "ThreadPoolExecutor", InOneThread)
    client = boto3.client("dynamodb")
    for name in NAMES:
        puts = [{"PutRequest": {"Item": item}} for item in LEFT["tables"][f"{name}Table"]]
        for start in range(0, len(puts), 25):
            client.batch_write_item(RequestItems={name: puts[start : start + 25]})
    client.put_item(TableName="Sessions", Item=LEFT["tables"]["SessionsTable"][0])
    boto3.client("secretsmanager").put_secret_value(SecretId="hash-key", SecretString=KEY)
    boto3.client("s3").put_object(Bucket="intake", Key="erased/ref", Body=json.dumps(ERASED).encode())
    client.put_item(TableName="Patients", Item={"patient_id": {"S": "erased#ref"}, "why": {"S": "patient"}})
    return Place()


def dump() -> dict[str, list[str]]:
    """Every row of every table but the sign-ins and the locks of runs."""
    client = boto3.client("dynamodb")
    found = {name: [item for page in Table.of(client, name).pages() for item in page] for name in NAMES}
    found["Settings"] = [each for each in found["Settings"] if not each["scope"]["S"].startswith(("run#", "restore"))]
    return {name: sorted(map(as_text, items)) for name, items in found.items()}


def sheet(folder: Path, name: str) -> list[dict[str, str]]:
    text = (folder / "spreadsheets" / f"{name}.csv").read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


def test_what_is_archived_comes_back_as_it_was(place, tmp_path):
    place.archive(tmp_path / "all")
    before = dump()
    empty_account()
    assert place.unarchive(tmp_path / "all")
    assert dump() == before
    assert boto3.client("secretsmanager").get_secret_value(SecretId="hash-key")["SecretString"] == KEY
    assert json.load(boto3.client("s3").get_object(Bucket="intake", Key="erased/ref")["Body"]) == ERASED


def test_who_took_everything_along_is_written_down_there_and_in_the_files(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    taken = "olive: everything (make archive)"
    assert [row["at"] for row in sheet(folder, "activity") if row["detail"] == taken] == ["2026-11-22T12:00:00Z"]
    assert sum(taken in row for row in dump()["Activity"]) == 1


def test_nobody_but_its_owner_may_read_it(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    assert {path.stat().st_mode & 0o777 for path in folder.rglob("*") if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()] if path.is_dir()} == {0o700}


def test_the_manifest_is_true_of_every_file(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    told = json.loads((folder / "manifest.json").read_text())["files"]
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    assert told.keys() == found.keys() - {"manifest.json"}
    for name, path in found.items():
        assert name == "manifest.json" or told[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["tables/Patients.ndjson"]["rows"] == len(LEFT["tables"]["PatientsTable"]) + 1  # a mark


def test_the_readme_explains_every_file_and_every_column(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    readme = (folder / "README.txt").read_text()
    for path in (folder / "spreadsheets").iterdir():
        _, _, about = readme.partition(f"spreadsheets/{path.name}: ")
        lines = about.partition("\n\n")[0].splitlines()[1:]
        head = next(csv.reader([path.read_text("utf-8-sig").splitlines()[0]]))
        assert [line.split()[0] for line in lines] == head
        assert all(len(line.split()) > 1 for line in lines)
    assert all(path.name in readme for path in folder.iterdir() if path.is_file() and path.name != "README.txt")


def test_the_spreadsheets_say_what_is_in_the_tables(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    [wavering] = [row for row in sheet(folder, "patients") if row["first_name"] == "Wavering"]
    answers = [row["score"] for row in sheet(folder, "answers") if row["survey_id"] == asked(folder, wavering)]
    assert answers == ["10", "8"]
    [leaving] = [row for row in sheet(folder, "patients") if row["first_name"] == "Leaving"]
    assert (leaving["opted_out"], leaving["clinic_id"]) == ("yes", "main")
    assert {row["clinic_id"]: row["admins"] for row in sheet(folder, "clinics")} == {"west": "admin@riverside.example"}
    assert ("GOAL", "80") in [(row["setting"], row["value"]) for row in sheet(folder, "settings")]
    assert all(sheet(folder, each.name) for each in SHEETS if each.name not in ("courses_of_care", "outreach"))


def asked(folder: Path, person: dict[str, str]) -> str:
    [found] = [row["survey_id"] for row in sheet(folder, "surveys") if row["patient_id"] == person["patient_id"]]
    return found


def test_no_cell_is_a_formula(place, tmp_path):
    key = {"patient_id": {"S": "P0001"}}
    boto3.client("dynamodb").update_item(
        TableName="Patients",
        Key=key,
        UpdateExpression="SET last_name = :name",
        ExpressionAttributeValues={":name": {"S": "=cmd()"}},
    )
    folder = place.archive(tmp_path / "all")
    assert [row["last_name"] for row in sheet(folder, "patients") if row["patient_id"] == "P0001"] == ["'=cmd()"]


def test_the_made_up_patient_of_the_self_test_is_in_no_spreadsheet(place, tmp_path):
    for name, row in (
        ("Patients", {"patient_id": {"S": CLINIC_ID}, "clinic_id": {"S": CLINIC_ID}}),
        ("Activity", {"patient_id": {"S": CLINIC_ID}, "entry": {"S": "x"}, "kind": {"S": "survey_sent"}}),
        ("Scores", {"scope": {"S": f"clinic#{CLINIC_ID}"}, "day": {"S": "2026-01-01"}, "s10": {"N": "1"}}),
    ):
        boto3.client("dynamodb").put_item(TableName=name, Item=row)
    folder = place.archive(tmp_path / "all")
    assert not [path for path in (folder / "spreadsheets").iterdir() if CLINIC_ID in path.read_text()]


def test_a_folder_that_is_there_is_left_alone(place, tmp_path):
    with pytest.raises(CannotArchive, match="is there already"):
        place.archive(tmp_path)


def test_what_fails_leaves_nothing_behind(place, tmp_path, monkeypatch):
    def full(*_: Any) -> str:
        raise OSError("No space left on device")

    monkeypatch.setattr("local.archive._readme", full)
    with pytest.raises(OSError, match="No space"):
        place.archive(tmp_path / "all")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_is_cleared_by_the_next(place, tmp_path):
    left = tmp_path / ".all-unfinished"
    (left / "tables").mkdir(parents=True)
    (left / "tables" / "Patients.ndjson").write_text("{}")
    place.archive(tmp_path / "all")
    assert [path.name for path in tmp_path.iterdir()] == ["all"]
    assert any("interrupted" in line for line in place.said)


def test_what_is_in_the_way_and_is_not_its_own_or_not_killed_is_left_alone(place, tmp_path):
    left = tmp_path / ".all-unfinished"
    left.mkdir()
    with_lock = archives._hold(left)
    with pytest.raises(CannotArchive, match="Another `make archive` is just writing"):
        place.archive(tmp_path / "all")
    os.close(with_lock)
    (left / "thesis.txt").touch()
    with pytest.raises(CannotArchive, match="holds something else"):
        place.archive(tmp_path / "all")
    assert [path.name for path in left.iterdir()] == ["thesis.txt"]


def cut(folder: Path) -> None:
    path = folder / "tables" / "Surveys.ndjson"
    path.write_bytes(path.read_bytes()[:-40])


def change(folder: Path) -> None:
    path = folder / "tables" / "Patients.ndjson"
    path.write_text(path.read_text().replace("Leaving", "Staying"))


def take_away(folder: Path) -> None:
    (folder / "tables" / "Visits.ndjson").unlink()


def garble(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def take_the_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def rewrite(**facts: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / "manifest.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **facts}))

    return edit


def say(name: str, text: str) -> Callable[[Path], None]:
    """Write another file, and let the manifest say that it was so from the beginning."""

    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(text)
        told = json.loads((folder / "manifest.json").read_text())
        rows = len(text.splitlines())
        told["files"][name] = {"rows": rows, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        rewrite(**told)(folder)

    return edit


def without(*names: str) -> Callable[[Path], None]:
    """Take files out, and what the manifest says of them."""

    def edit(folder: Path) -> None:
        told = json.loads((folder / "manifest.json").read_text())
        for name in names:
            (folder / name).unlink()
            del told["files"][name]
        rewrite(**told)(folder)

    return edit


def as_folder(folder: Path) -> None:
    (folder / "hash-key.txt").unlink()
    (folder / "hash-key.txt").mkdir()


NO_SENSE: tuple[tuple[str, Any], ...] = (
    *(("format", value) for value in (None, "1", True, 0)),
    *(("version", value) for value in (None, 1, "", "new")),
    *(("began_at", value) for value in (None, 5, "yesterday")),
    *(("still_sent", value) for value in (None, "no", 0)),
    ("files", None),
    ("files", []),
    ("files", {"x": []}),
    ("files", {"x": {"rows": 1}}),
    ("files", {"x": {"rows": "1", "sha256": "0" * 64}}),
    ("files", {"../x": {"rows": 1, "sha256": "0" * 64}}),
)
NO_ROWS = ("nothing", "[]", '"x"', "{}", '{"patient_id":{"N":"1"}}', '{"patient_id":"P1"}', "[" * 100_000)
NO_VALUES = ('{"N":"x"}', '{"S":1}', '{"BOOL":"yes"}', '{"SS":[]}', '{"SS":["a","a"]}', '{"B":"?"}', '{"X":"x"}', "{}")
ROWS = (*NO_ROWS, *(f'{{"patient_id":{{"S":"P1"}},"x":{{"L":[{value}]}}}}' for value in NO_VALUES))
NO_MARKS = (
    *("x", "[]", "{}", '{"reference":"ab","said":{"why":"patient"}}'),
    '{"reference":"a/b","said":{"why":"patient","opted_out":true}}',
    '{"reference":"ab","said":{"why":"x","opted_out":true}}',
)
DAMAGES = (
    *((rewrite(**{name: value}), f"what it says of {name} is missing or makes no sense") for name, value in NO_SENSE),
    (without("hash-key.txt"), "lacks hash-key.txt"),
    (without("erased.ndjson"), "lacks erased.ndjson"),
    (say("hash-key.txt", ""), "hash-key.txt cannot be brought in"),
    (as_folder, "hash-key.txt cannot be read"),
    (cut, "tables/Surveys.ndjson is damaged"),
    (change, "tables/Patients.ndjson is damaged"),
    (take_away, "tables/Visits.ndjson is missing"),
    (garble, "manifest.json is damaged"),
    (take_the_manifest, "this is no archive"),
    (rewrite(version="99.0.0"), "update first"),
    (rewrite(format=2), "in format 2, and this release reads none after 1"),
    (rewrite(files={}), "lacks erased.ndjson, hash-key.txt, tables/Activity.ndjson"),
)


def test_a_damaged_archive_is_refused_before_anything_is_written(place, tmp_path):
    whole = place.archive(tmp_path / "all")
    empty_account()
    for number, (damage, says) in enumerate(DAMAGES):
        damaged = tmp_path / str(number)
        shutil.copytree(whole, damaged)
        damage(damaged)
        with pytest.raises(Damaged, match=says):
            place.unarchive(damaged)
    assert not any(dump().values())


@pytest.mark.parametrize(
    ("name", "lines"), [("tables/Patients.ndjson", ROWS), ("erased.ndjson", NO_MARKS)], ids=["rows", "marks"]
)
def test_a_line_that_makes_no_sense_is_refused_though_the_manifest_agrees(place, tmp_path, name, lines):
    folder = place.archive(tmp_path / "all")
    empty_account()
    before = (folder / name).read_text()
    for line in lines:
        say(name, f"{before}{line}\n")(folder)
        with pytest.raises(Damaged, match=f"{name} cannot be brought in: line {len(before.splitlines()) + 1} "):
            place.unarchive(folder)
    assert not any(dump().values())


def test_what_a_row_stands_under_is_as_the_tables_have_it(aws):
    assert {name: Table.of(boto3.client("dynamodb"), name).keys for name in NAMES} == tables.KEYS


def test_who_was_erased_while_the_archive_was_written_is_erased_again(place, tmp_path):
    [gone, *_] = [item["patient_id"]["S"] for item in LEFT["tables"]["PatientsTable"]]
    reference = erased_reference(KEY.encode(), gone)
    boto3.client("s3").put_object(Bucket="intake", Key=f"erased/{reference}", Body=json.dumps(ERASED).encode())
    folder = place.archive(tmp_path / "all")
    empty_account()
    assert place.unarchive(folder)
    assert patients.get_exactly(gone) is None
    assert surveys.of_patient(gone) == []
    assert any(line.startswith("Erased patients do not come back") for line in place.said)


def test_what_was_interrupted_once_all_was_there_does_not_miss_who_is_erased_again(place, tmp_path, monkeypatch):
    reference = erased_reference(KEY.encode(), LEFT["tables"]["PatientsTable"][0]["patient_id"]["S"])
    boto3.client("s3").put_object(Bucket="intake", Key=f"erased/{reference}", Body=json.dumps(ERASED).encode())
    folder = place.archive(tmp_path / "all")
    empty_account()
    with monkeypatch.context() as broken:
        broken.setattr("local.unarchive._what_next", None)
        with pytest.raises(TypeError):
            place.unarchive(folder)
    boto3.client("dynamodb").update_item(
        TableName="Settings", Key={"scope": {"S": "restore"}}, UpdateExpression="REMOVE finished_at"
    )
    assert place.unarchive(folder)


@pytest.mark.parametrize("is_off", [True, False])
def test_the_last_words_say_if_sending_is_to_be_switched_on(place, tmp_path, is_off):
    if is_off:
        state = {"scope": {"S": "mail#state"}, "paused_at": {"S": "2026-11-22T11:00:00Z"}}
        boto3.client("dynamodb").put_item(TableName="Settings", Item=state)
    folder = place.archive(tmp_path / "all")
    empty_account()
    assert place.unarchive(folder)
    assert ("Settings, Sending" in place.said[-1]) == is_off


def test_an_archive_of_an_older_release_is_taken(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    empty_account()
    rewrite(version="0.1.0+abc")(folder)
    assert place.unarchive(folder)


def test_a_stack_that_is_not_at_rest_is_refused(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    empty_account()
    for parameter in AT_REST:
        place.parameters = {name: value for name, value in AT_REST.items() if name != parameter}
        with pytest.raises(CannotRestore, match="not at rest"):
            place.unarchive(folder)


def test_a_stack_that_is_in_use_is_refused_and_so_is_a_second_time(place, tmp_path):
    folder = place.archive(tmp_path / "all")
    with pytest.raises(CannotRestore, match="is not empty"):
        place.unarchive(folder)
    empty_account()
    place.unarchive(folder)
    with pytest.raises(CannotRestore, match="filled already"):
        place.unarchive(folder)


def test_what_was_interrupted_goes_on(place, tmp_path, monkeypatch):
    folder = place.archive(tmp_path / "all")
    before = dump()
    empty_account()
    with monkeypatch.context() as broken:
        broken.setattr("local.unarchive.CARRIED", ("Messages", "Nowhere"))
        with pytest.raises(KeyError):
            place.unarchive(folder)
    assert place.unarchive(folder)
    assert dump() == before


def test_what_stands_in_a_table_is_never_written_over(place):
    patients_table = Table.of(boto3.client("dynamodb"), "Patients")
    patients_table.put_new([{"patient_id": {"S": "P0001"}}, {"patient_id": {"S": "P9999"}}])
    found = patients_table.find([{"patient_id": {"S": "P0001"}}, {"patient_id": {"S": "P9999"}}])
    assert [len(item) > 1 for item in found.values()].count(True) == 1


def test_if_the_stack_went_on_sending_whatever_was_due_by_now_counts_as_sent(place, tmp_path):
    place.parameters["SendingPaused"] = "false"
    folder = place.archive(tmp_path / "all")
    empty_account()
    place.parameters["SendingPaused"] = "true"
    assert place.unarchive(folder)
    waiting = LEFT["patients"]["waiting"]
    [survey] = surveys.of_patient(waiting)
    message, patient = messages.get(f"{survey.survey_id}-survey"), patients.get(waiting)
    assert message
    assert patient
    assert (message.state, survey.unsent_reason, patient.surveyed_at) == ("unknown", "unknown", NOW)

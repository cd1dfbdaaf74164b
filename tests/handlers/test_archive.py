"""`make archive` and `make unarchive`: everything as files, and from the files everything again."""

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from local import tables
from local.archive import CannotArchive, archive
from local.deployed import Deployed
from local.spreadsheets import SHEETS
from local.tables import NAMES, Table, as_text
from local.unarchive import Damaged, unarchive
from local.whole import CannotRestore, Whole
from shared.domain.self_test import CLINIC_ID
from shared.storage import kept, messages, patients, surveys
from tests.faults.practice import InOneThread
from tests.handlers.conftest import empty_account
from tests.upgrade import last_release

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
AT_REST = {"SendingPaused": "true", "SchedulesEnabled": "false"}
KEY = "k" * 64
LEFT = last_release.LEFT


@dataclass
class Place:
    """The stack on moto, how it was deployed, and what the commands said."""

    parameters: dict[str, str] = field(default_factory=lambda: dict(AT_REST))
    said: list[str] = field(default_factory=list)

    @property
    def stack(self) -> Whole:
        clients: dict[str, Any] = {name: boto3.client(name) for name in ("dynamodb", "s3", "secretsmanager")}
        clients["cloudformation"] = self
        names = {f"{name}Table": name for name in NAMES} | {"HashKey": "hash-key", "IntakeBucket": "intake"}
        return Whole("careloop", Deployed(clients.__getitem__, names))

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
def place(aws: None, monkeypatch: pytest.MonkeyPatch) -> Place:
    """What the last release left behind, in the tables of today."""
    monkeypatch.setattr(tables, "ThreadPoolExecutor", InOneThread)
    client = boto3.client("dynamodb")
    for name in NAMES:
        puts = [{"PutRequest": {"Item": item}} for item in LEFT["tables"][f"{name}Table"]]
        for start in range(0, len(puts), 25):
            client.batch_write_item(RequestItems={name: puts[start : start + 25]})
    client.put_item(TableName="Sessions", Item=LEFT["tables"]["SessionsTable"][0])
    boto3.client("secretsmanager").put_secret_value(SecretId="hash-key", SecretString=KEY)
    boto3.client("s3").put_object(Bucket="intake", Key="erased/ref", Body=b'{"why": "patient"}')
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
    assert json.load(boto3.client("s3").get_object(Bucket="intake", Key="erased/ref")["Body"]) == {"why": "patient"}


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
    assert told["tables/Patients.ndjson"]["rows"] == len(LEFT["tables"]["PatientsTable"])


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


DAMAGES = (
    (cut, "tables/Surveys.ndjson is damaged"),
    (change, "tables/Patients.ndjson is damaged"),
    (take_away, "tables/Visits.ndjson is missing"),
    (garble, "manifest.json is damaged"),
    (take_the_manifest, "this is no archive"),
    (rewrite(version="99.0.0"), "update first"),
    (rewrite(format=2), "update first"),
    (rewrite(files={}), "lacks tables/Activity.ndjson"),
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

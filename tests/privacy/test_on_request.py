"""On a patient's request: what an owner does on the dashboard, and whoever looks after Careloop at the command line."""

import io
import json
import os
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from functions.erase_patient.handler import handler as erase_patient
from local import patient as command
from shared.domain.erasure import LONGEST_RUN, Why
from shared.domain.staff import Role
from shared.storage import activity, erasures, patients
from tests.fakes import FakeContext
from tests.handlers.dashboard import Client, signed_in
from tests.handlers.exports import Bucket, file_of, send, upload
from tests.privacy import canary, life
from tests.privacy.life import NOW, PATIENTS, PERSON, look


@pytest.fixture
def bucket(aws: None) -> Bucket:
    bucket = Bucket()
    life.live(bucket)
    return bucket


@pytest.fixture
def olive(bucket: Bucket) -> Client:
    return signed_in(Role.OWNER, now=NOW)


def erased(client: Client, **differences: str) -> Any:
    form = {"id": canary.PATIENT_ID, "number": canary.PATIENT_ID, "why": "patient", **differences}
    return client.post("/patient/erase", form)


# In one file.


def test_the_file_holds_everything_and_says_who_took_it(olive):
    answer = olive.get(f"/patient/export?id={canary.PATIENT_ID}")
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="patient.json"'
    assert [what for what, word in canary.WORDS.items() if word not in answer.body] == []
    held = json.loads(answer.body)
    assert held["patient"]["email"] == canary.EMAIL
    assert held["former_records"][0]["patient_id"] == canary.RETIRED_ID
    assert held["visits"][0]["visit_id"] == f"{canary.VISIT_ID}-1"
    assert [one["answers"][0]["comment"] for one in held["surveys"] if "answers" in one] == [canary.COMMENT]
    assert {one["kind"] for one in held["messages"]} == {"survey", "reminder"}
    assert held["cases"][0]["outreach"][0]["note"] == canary.NOTE
    assert held["addresses"][1] == {
        "email": canary.OLD_EMAIL,
        "last_contact_at": "2026-03-25T15:00:00Z",
        "bounced": True,
        "complained": False,
    }
    assert held["activity"][-1] == {"kind": "exported", "at": "2026-03-25T15:00:00Z", "detail": "Robin Reyes"}
    assert activity.of_patient(canary.PATIENT_ID, 1)[0].kind == "exported"


def test_it_holds_nothing_that_opens_a_survey(olive):
    assert "token" not in olive.get(f"/patient/export?id={canary.PATIENT_ID}").body


def test_a_clinic_s_admin_takes_what_their_page_shows(bucket):
    north, south = (signed_in(Role.CLINIC_ADMIN, clinic, now=NOW) for clinic in ("north", "south"))
    assert north.get(f"/patient/export?id={canary.PATIENT_ID}").status == 200
    assert south.get(f"/patient/export?id={canary.PATIENT_ID}").status == 404


# Erasing.


def test_only_an_owner_erases(bucket):
    robin = signed_in(Role.CLINIC_ADMIN, "north", now=NOW)
    assert "Erase" not in robin.get(f"/patient?id={canary.PATIENT_ID}").text
    assert robin.get(f"/patient/erase?id={canary.PATIENT_ID}").status == 404
    assert erased(robin).status == 404
    assert robin.get("/settings/erased").status == 404
    assert list(erasures.references()) == []


@pytest.mark.parametrize(("field", "value"), [("number", "CNRY"), ("number", ""), ("why", ""), ("why", "because")])
def test_it_wants_the_number_typed_and_a_reason(olive, field, value):
    answer = erased(olive, **{field: value})
    assert answer.status == 400
    assert "Nothing was erased" in answer.text
    assert list(erasures.references()) == []
    assert patients.get(canary.PATIENT_ID)


def test_the_owner_is_shown_how_far_it_is_and_in_the_end_the_proof(olive, capsys):
    assert "cannot be taken back" in olive.get(f"/patient/erase?id={canary.PATIENT_ID}").text
    answer = erased(olive)
    assert answer.status == 303
    assert "erasing_not_begun" in capsys.readouterr().out  # there is no such function here: the schedule begins it
    reference = answer.location.rpartition("/")[2]
    look(NOW)
    page = olive.get(f"/settings/erased/{reference}").text
    assert "A last look follows after Wed, Mar 25, 2026, 11:16 AM" in page
    look(NOW + LONGEST_RUN)
    page = olive.get(f"/settings/erased/{reference}").text
    assert "Nothing is left of the patient" in page
    assert "Records of the patient 2" in page
    assert "The patient asked for it" in page
    listed = olive.get("/settings/erased")
    assert reference in listed.text
    canary.has_none_of(canary.WORDS, [("page", page), ("list", listed.body)])
    assert olive.get(f"/patient?id={canary.PATIENT_ID}").status == 404
    assert olive.get("/settings/erased/nobody").status == 404


def test_before_and_after_the_owner_reads_what_stays_as_the_page_on_privacy_says(olive):
    before = olive.get(f"/patient/erase?id={canary.PATIENT_ID}").text
    patients.opt_out(canary.PATIENT_ID)
    reference = erased(olive).location.rpartition("/")[2]
    look(NOW)
    after = olive.get(f"/settings/erased/{reference}").text
    assert "that the patient had opted out, should they return" in after
    for page in (before, after):
        assert "score, day, clinic, therapist, touchpoint, language and themes" in page
        assert "counted yet is never counted" in page
        assert "opted out" in page
        assert "keyed hash" in page
        assert "on its own suppression list" in page
        assert "35 days" in page


def test_what_waits_for_an_import_is_shown(olive, bucket):
    upload(bucket, "incoming/late.csv", file_of(PERSON, header=PATIENTS))
    reference = erased(olive).location.rpartition("/")[2]
    look(NOW)
    assert "1 uploaded file that names the patient is still" in olive.get(f"/settings/erased/{reference}").text


# At the command line.


class Functions:
    """The stack's function, in this process."""

    def invoke(self, *, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803 (boto3's names)
        assert FunctionName == "erase"
        counted = erase_patient(json.loads(Payload), FakeContext(seconds_left=900), now=lambda: NOW)
        return {"Payload": io.BytesIO(json.dumps(counted).encode())}


@pytest.fixture
def place(bucket: Bucket) -> command.Place:
    names = {f"{name}Table": os.environ[f"{name.upper()}_TABLE"] for name in command.TABLES}
    resources = {**names, "HashKey": "hash-key", "IntakeBucket": "intake", command.ERASE: "erase"}
    place = command.Place(resources, boto3.client("s3"), Functions())
    place.enter()
    return place


def test_the_command_takes_everything_along_and_notes_it(place, tmp_path: Path):
    command.export(canary.PATIENT_ID, tmp_path / "all.json", "olive", NOW)
    text = (tmp_path / "all.json").read_text()
    assert [what for what, word in canary.WORDS.items() if word not in text] == []
    assert activity.of_patient(canary.PATIENT_ID, 1)[0].detail == "olive"
    with pytest.raises(command.NobodyThere):
        command.export("nobody", tmp_path / "none.json", "olive", NOW)


def test_the_commands_file_is_new_and_for_nobody_elses_eyes(place, tmp_path: Path):
    path = tmp_path / "patient.json"
    command.export(canary.PATIENT_ID, path, "olive", NOW)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_text()
    with pytest.raises(command.NotDone, match="is there already"):
        command.export(canary.PATIENT_ID, path, "olive", NOW)
    assert path.read_text() == before


class Typed(io.StringIO):
    """What somebody types at a terminal."""

    def isatty(self) -> bool:
        """A terminal it is."""
        return True


@pytest.fixture
def type_erase(place: command.Place, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the command to erase the canary where these words come in; what it returned."""

    def given(stdin: io.StringIO, *flags: str) -> int:
        monkeypatch.setattr(command, "here", lambda: place)
        monkeypatch.setattr("sys.stdin", stdin)
        monkeypatch.setattr("sys.argv", ["patient", canary.PATIENT_ID, "--erase", "patient", *flags])
        return command.main()

    return given


@pytest.mark.parametrize("typed", ["", "\n", "yes\n", "1\n"])
def test_on_a_terminal_the_command_shows_whom_and_what_and_erases_nobody_by_another_word(type_erase, typed, capsys):
    assert type_erase(Typed(typed)) == 1
    shown = capsys.readouterr()
    assert f"{canary.FIRST} {canary.LAST}, number {canary.PATIENT_ID}" in shown.out
    assert "Clinic: " in shown.out
    assert re.search(r"visits \([1-9]\d*\), surveys \([1-9]\d*\), messages \([1-9]\d*\), cases \([1-9]\d*\)", shown.out)
    assert "Nothing was erased" in shown.err
    assert list(erasures.references()) == []
    assert patients.get(canary.PATIENT_ID)


def test_with_the_number_typed_again_the_command_erases(type_erase):
    assert type_erase(Typed(f"{canary.PATIENT_ID}\n")) == 0
    assert len(list(erasures.references())) == 1


def test_where_nobody_can_be_asked_the_command_erases_only_whom_it_is_told_to_be_sure_of(type_erase, capsys):
    assert type_erase(io.StringIO(f"{canary.PATIENT_ID}\n")) == 1
    shown = capsys.readouterr()
    assert "SURE=yes" in shown.err
    assert canary.LAST not in shown.out + shown.err
    assert list(erasures.references()) == []
    assert type_erase(io.StringIO(), "--sure", "yes") == 0
    assert len(list(erasures.references())) == 1


def test_who_returns_is_let_in_again_on_purpose_with_their_opt_out(place, bucket):
    patients.opt_out(canary.PATIENT_ID)
    reference = command.erase(place, canary.PATIENT_ID, Why.PATIENT, "olive", NOW)
    look(NOW + LONGEST_RUN)
    assert send(bucket, file_of(PERSON, header=PATIENTS), "back.csv")["refused"] == 1
    command.let_in(place, canary.PATIENT_ID, "olive", NOW + LONGEST_RUN)
    assert send(bucket, file_of(PERSON, header=PATIENTS), "back.csv")["refused"] == 0
    back = patients.get(canary.PATIENT_ID)
    assert back
    assert (back.email, back.opted_out) == (canary.EMAIL, True)
    assert look(again=True)["in_progress"] == 0
    assert patients.get(canary.PATIENT_ID)
    assert reference in list(erasures.references())
    with pytest.raises(command.NobodyThere):
        command.let_in(place, "n1", "olive", NOW)


def test_nobody_is_let_in_while_something_of_them_may_be_left(place, monkeypatch, capsys):
    reference = command.erase(place, canary.PATIENT_ID, Why.PATIENT, "olive", NOW)
    monkeypatch.setattr(command, "here", lambda: place)
    monkeypatch.setattr("sys.argv", ["patient", canary.PATIENT_ID, "--returns"])
    assert command.main() == 1
    assert "The patient is still being erased." in capsys.readouterr().err
    erasure = erasures.find(reference)
    assert erasure
    assert erasure.traces
    assert boto3.client("s3").get_object(Bucket="intake", Key=f"erased/{reference}")
    assert look(NOW + LONGEST_RUN)["erased"] == 1
    assert command.main() == 0


def test_the_makefile_offers_it():
    text = (Path(__file__).parents[2] / "Makefile").read_text("utf-8")
    assert re.search(r"^patient:.*## ", text, re.MULTILINE)

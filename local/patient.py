"""`make patient`: what is held about somebody in one file, their erasing, and letting in again who returns.

Works on the stack that is up on this machine, or (STACK=name) on one in AWS with the shell's own credentials, which
need the tables, the hash key and, to let somebody in, the intake bucket.
"""

import argparse
import getpass
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local.stack import STATE, Stack, StackFailed, read_stack
from shared.domain.erasure import WHYS, StillBeingErased, Why, traces_of

ERASE = "ErasePatientFunction"
TABLES = (
    "Patients",
    "Visits",
    "Surveys",
    "Messages",
    "Addresses",
    "Scores",
    "Activity",
    "Settings",
    "Cases",
    "Sessions",
)


class NobodyThere(Exception):
    """There is no such patient; the message says so."""


class NotDone(Exception):
    """Nothing was done, since what was asked for might not be meant; the message says what to do."""


@dataclass(frozen=True)
class Place:
    """A running stack: the names of its resources, and clients for them."""

    resources: Mapping[str, str]  # by logical id
    s3: Any
    functions: Any

    def enter(self) -> None:
        """Make this process read and write the stack's tables; to be called before shared.storage is imported."""
        os.environ |= {f"{name.upper()}_TABLE": self.resources[f"{name}Table"] for name in TABLES}
        os.environ["HASH_KEY_SECRET"] = self.resources["HashKey"]

    def erase(self, event: dict[str, Any]) -> dict[str, int]:
        """Have the function of the stack work, and wait for it."""
        answer = self.functions.invoke(FunctionName=self.resources[ERASE], Payload=json.dumps(event))
        if "FunctionError" in answer:
            raise StackFailed("the function failed: its log says where")
        counted: dict[str, int] = json.loads(answer["Payload"].read())
        return counted


def here() -> Place:
    """The stack of this machine: `make up`'s, else the demo's."""
    for state in (STATE, STATE / "demo"):
        if (state / "stack.json").exists():
            return of_stack(read_stack(state))
    raise StackFailed("no stack is up: run `make up` or `make demo`")


def of_stack(stack: Stack) -> Place:
    """A stack of this machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        os.environ[name] = "test"
    os.environ |= {
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
    }
    names = _resources(stack.client("cloudformation"), stack.stack_name)
    return Place(names, stack.client("s3"), stack.client("lambda"))


def in_aws(name: str) -> Place:
    """A stack in AWS, with the shell's own credentials and region."""
    import boto3

    session = boto3.session.Session()
    os.environ["AWS_REGION"] = os.environ["AWS_DEFAULT_REGION"] = session.region_name
    return Place(_resources(session.client("cloudformation"), name), session.client("s3"), session.client("lambda"))


def export(number: str, path: Path, by: str, now: datetime) -> None:
    """Write everything that is held about the patient into a new file for nobody else's eyes, and note who took it."""
    from shared.storage import activity, dossier, patients

    patient = patients.get(number)
    if patient is None:
        raise NobodyThere(f"there is no patient with the number {number}")
    if path.exists():
        raise NotDone(f"{path} is there already: name a new file. Nothing was written.")
    activity.note(patient.patient_id, "exported", now, "command", detail=by)
    text = json.dumps(dossier.of_patient(patient, now), indent=1, ensure_ascii=False) + "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)


def make_sure(number: str, now: datetime) -> None:
    """Show on the terminal whom and what the erasing concerns, and have the number typed again; NotDone otherwise."""
    from shared.storage import dossier, patients, settings

    patient = patients.get(number)
    if patient is None:
        raise NobodyThere(f"there is no patient with the number {number}")
    if not sys.stdin.isatty():
        raise NotDone("Nothing was erased: nobody can be asked here. If it is meant, say so with SURE=yes.")
    clinic = settings.read_clinic(patient.clinic_id)
    held = dossier.of_patient(patient, now)
    counted = ", ".join(f"{what} ({len(held[what]):,})" for what in ("visits", "surveys", "messages", "cases"))
    print(f"{patient.first_name} {patient.last_name}, number {patient.patient_id}")
    print(f"Clinic: {(clinic and clinic.name) or patient.clinic_id}")
    print(f"To be removed for good: {counted}, everything else held about them,")
    print("and every uploaded file that names them. Later imports refuse their rows.")
    print("Type the number again to erase the patient: ", end="", flush=True)
    if sys.stdin.readline().strip() not in (number, patient.patient_id):
        raise NotDone("Nothing was erased: that was not the number.")


def erase(place: Place, number: str, why: Why, by: str, now: datetime) -> str:
    """Have the patient erased; returns the reference under which the dashboard shows how far it is."""
    from shared.storage import erasures, patients

    patient = patients.get(number)
    if patient is None:
        raise NobodyThere(f"there is no patient with the number {number}")
    known_as = [*(one for each in sorted(patient.merged_from) if (one := patients.get_exactly(each))), patient]
    opted_out = any(one.opted_out for one in known_as)
    reference = erasures.request(traces_of(known_as), why, by, now, opted_out=opted_out)
    place.erase({"erase": reference})
    return reference


def let_in(place: Place, number: str, by: str, now: datetime) -> None:
    """Let imports bring back a patient who returned, with the opt-out they had."""
    from shared.storage import erasures, patients

    erasure = erasures.lift(number, by, now)
    if erasure is None:
        raise NobodyThere(f"no patient with the number {number} was erased")
    bucket, key = place.resources["IntakeBucket"], f"erased/{erasure.reference}"
    for version in place.s3.list_object_versions(Bucket=bucket, Prefix=key).get("Versions", ()):
        place.s3.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])
    if erasure.opted_out:
        patients.opt_out(number)


def _resources(cloudformation: Any, stack: str) -> dict[str, str]:
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
    }


def main() -> int:
    """The command line; 1 with a message if it could not be done."""
    parser = argparse.ArgumentParser(description="A patient's data on request.")
    parser.add_argument("number", nargs="?", default="")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--export", type=Path, help="a file for everything that is held")
    what.add_argument("--erase", choices=[why.value for why in Why], help="why: " + "; ".join(WHYS.values()))
    what.add_argument("--returns", action="store_true", help="let imports bring them back")
    what.add_argument("--again", action="store_true", help="erase once more whoever a restored backup brought back")
    parser.add_argument("--sure", choices=["yes"], help="erase without asking, as where there is no terminal")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    by, now = f"{getpass.getuser()} (command line)", datetime.now(UTC)
    try:
        place = in_aws(arguments.stack) if arguments.stack else here()
        place.enter()
        if arguments.again:
            print(f"erasures: {place.erase({'again': True})}")
        elif not arguments.number:
            raise NobodyThere("which patient? NUMBER=…")
        elif arguments.export:
            export(arguments.number, arguments.export, by, now)
            print(f"Everything held about the patient is in {arguments.export}. That you took it is written down.")
        elif arguments.erase:
            if not arguments.sure:
                make_sure(arguments.number, now)
            reference = erase(place, arguments.number, Why(arguments.erase), by, now)
            print(f"What was found is removed; a last look follows within the hour. Reference {reference}")
        else:
            let_in(place, arguments.number, by, now)
            print("The next import brings the patient back.")
    except (NobodyThere, NotDone, StillBeingErased, StackFailed, OSError, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""`make demo`: the local stack with a sample practice in it, until Ctrl-C.

The practice's records come in as files, through the intake that a practice uses; its past is lived through by the
product's own code (local/history.py); its scores are counted by the nightly job. Lives in a state folder of its own,
beside that of `make up`, and ends everything that it started, however it ends.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn

from local.processes import NotReady, Processes, wait_until
from local.sample_practice import PATIENTS, SamplePractice, generate
from local.stack import STATE, Stack, StackFailed, down, up
from local.staff import Person
from local.template import ROOT
from shared.domain.clock import format_instant
from shared.domain.staff import Role

DEMO_STATE = STATE / "demo"
PARAMETERS = {
    "PracticeName": "Larkmere Physical Therapy",
    "SenderAddress": "hello@larkmere.example",
    "ReplyToAddress": "frontdesk@larkmere.example",
    "PostalAddress": "1 Larkmere Way, Old Mill, NY 12000",
    "AdminAddresses": "admin@larkmere.example",
    "ReviewLinks": "https://reviews.example/larkmere",
}
PEOPLE = (
    Person("Olive Owens", "owner@larkmere.example", "Larkmere-owner-1", Role.OWNER),
    Person("Adrian Marsh", "harbor@larkmere.example", "Larkmere-harbor-1", Role.CLINIC_ADMIN, ("harbor",)),
    Person("Maren Ashgrove", "maren@larkmere.example", "Larkmere-maren-1", Role.THERAPIST, therapist_id="T-01"),
)
_INTAKE_SECONDS = 180


class DemoFailed(Exception):
    """The demo cannot go on; the message says why."""


class Progress:
    """Tells what is being done, and the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def tell(self, text: str) -> None:
        """One line."""
        print(f"{time.monotonic() - self._start:6.1f} s  {text}", flush=True)


def start(state: Path, now: datetime, patients: int, progress: Progress) -> Stack:
    """Bring up the stack with the sample practice as it stands at this moment."""
    progress.tell("Deploying the template to this machine …")
    stack = up(state, PARAMETERS, people=PEOPLE)
    progress.tell(f"The stack is up: {len(stack.functions)} functions, {len(stack.tables)} tables.")
    sample = generate(now, patients)
    _import(stack, "settings/clinics.csv", sample.clinics_csv, progress)
    _import(stack, "incoming/patients.csv", sample.patients_csv, progress)
    _import(stack, "incoming/visits.csv", sample.visits_csv, progress)
    _hold(stack, sample)
    _live_through_history(stack, state, now, patients, progress)
    _import(stack, "incoming/patients-who-left.csv", sample.changes_csv, progress)
    counted = stack.invoke("AggregateScoresFunction", {"time": format_instant(now)})
    progress.tell(f"Nightly job: {counted['surveys']} surveys counted in {counted['rows']} rows.")
    measured = stack.invoke("MeasureWorthFunction", {"time": format_instant(now)})
    progress.tell(f"Weekly job: what the loop is worth, measured at {measured['clinics']} clinics.")
    return stack


def _import(stack: Stack, key: str, text: str, progress: Progress) -> None:
    """Upload a file to the intake bucket and wait for its report, which must accept every row."""
    bucket = stack.outputs["IntakeBucketName"]
    s3 = stack.client("s3")
    s3.put_object(Bucket=bucket, Key=key, Body=text.encode())
    name = f"reports/{key.removeprefix('incoming/')}.json"
    wait_until(
        lambda: bool(s3.list_objects_v2(Bucket=bucket, Prefix=name).get("KeyCount")),
        _INTAKE_SECONDS,
        f"no report on {key} came",
    )
    report = json.loads(s3.get_object(Bucket=bucket, Key=name)["Body"].read())
    if report["status"] != "accepted":
        raise DemoFailed(f"the intake refused rows of {key}: {report['errors'][:3]}")
    done = ", ".join(f"{report[what]} {what}" for what in ("created", "updated", "unchanged") if report[what])
    progress.tell(f"Import of {key.rpartition('/')[2]}: {report['rows']} rows, {done}.")


def _hold(stack: Stack, sample: SamplePractice) -> None:
    """Put the hold on patients that the staff would put on their pages."""
    for patient_id in sample.held:
        stack.client("dynamodb").update_item(
            TableName=stack.tables["PatientsTable"],
            Key={"patient_id": {"S": patient_id}},
            UpdateExpression="SET #hold = :yes",
            ExpressionAttributeNames={"#hold": "hold"},
            ExpressionAttributeValues={":yes": {"BOOL": True}},
        )


def _live_through_history(stack: Stack, state: Path, now: datetime, patients: int, progress: Progress) -> None:
    """Run local.history as if it were the deployed sender, and pass on what it says."""
    command = [sys.executable, "-m", "local.history", format_instant(now), str(patients)]
    with (state / "history.log").open("w") as log:
        history = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment_of(stack, "AlertStaffFunction", "SendSurveyFunction"),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is ours to hear
        )
        try:
            errors = _pass_on(history.stderr, progress)
            code = history.wait()
        except BaseException:
            history.kill()
            raise
        finally:
            if history.stderr:
                history.stderr.close()
            history.wait()
    if code:
        raise DemoFailed("the past could not be made:\n" + "".join(errors[-20:]))


def _pass_on(said: IO[str] | None, progress: Progress) -> list[str]:
    others: list[str] = []
    for line in said or ():
        if not line.startswith("{"):
            others.append(line)
            continue
        tally = json.loads(line)
        surveys, reminders, reviews, answered = (
            tally.get(what, 0) for what in ("survey", "reminder", "review", "answered")
        )
        sent = f"{surveys} surveys, {reminders} reminders and {reviews} review requests sent"
        progress.tell(f"The past up to {tally['day']}: {sent}, {answered} surveys answered.")
    return others


def environment_of(stack: Stack, *functions: str) -> dict[str, str]:
    """What the deployed functions see, on this machine; nothing of the caller's AWS settings."""
    deployed = [
        stack.client("lambda").get_function_configuration(FunctionName=stack.functions[function])
        for function in functions
    ]
    variables = {name: value for one in deployed for name, value in one["Environment"]["Variables"].items()}
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))}
    return {
        **{name: value for name, value in own.items() if not name.lower().endswith("_proxy")},
        **variables,
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


@contextmanager
def _alone(state: Path) -> Iterator[None]:
    """One demo in a folder at a time: the second would end the first."""
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"A demo of this checkout is running already{_where(state)}.") from None
        yield


def _where(state: Path) -> str:
    try:
        described: dict[str, Any] = json.loads((state / "stack.json").read_text())
    except FileNotFoundError:
        return ""
    return f": {described['public_url']}"


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signal.Signals(number).name)


def _wait_for_the_end(state: Path, parent: int) -> None:
    """Return when something that the demo needs has ended, or whoever started it: Ctrl-C would not come through."""
    processes = Processes(state)
    expected = set(processes.running())
    while set(processes.running()) == expected and os.getppid() == parent:
        time.sleep(0.5)


def run(state: Path, now: datetime, patients: int) -> int:
    """Start, say where, wait, and end everything."""
    progress, parent = Progress(), os.getppid()
    try:
        stack = start(state, now, patients, progress)
        progress.tell("Ready.")
        signed_in = "\n".join(f"    as {person['email']:<23} {person['password']}" for person in stack.staff)
        print(
            f"\n  Open this page      {stack.public_url}/\n"
            f"  Dashboard           {stack.dashboard_url}/ - sign in\n{signed_in}\n"
            f"  Mails as JSON       {stack.mailbox_url}/messages.json\n"
            f"  AWS endpoint        {stack.endpoint_url}\n\n"
            "Ctrl-C ends the demo and everything in it.",
            flush=True,
        )
        _wait_for_the_end(state, parent)
        raise DemoFailed(f"Something that the demo needs has ended: its logs are in {state}.")
    except KeyboardInterrupt:
        print("\nEnding the demo …", flush=True)
        return 0
    finally:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)  # once is enough: the end must not be cut short
        down(state)
        progress.tell("Nothing is left running.")


def main(state: Path = DEMO_STATE, patients: int = PATIENTS) -> int:
    """The command line; 1 and a message when the demo does not come up."""
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, _stop)
    try:
        with _alone(state):
            return run(state, datetime.now(UTC).replace(microsecond=0), patients)
    except (DemoFailed, NotReady, StackFailed) as failure:
        print(failure, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())

"""Faults that need real processes and atomic writes: runs at the same time, and processes that are killed outright.

The other faults, and the invariants by which these are judged too, are in tests/faults. The runs here are as of a day
long before that of the other tests, so that they concern nobody else.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from local.stack import Stack
from local.template import ROOT
from tests.faults.invariants import Accepted, Evidence, Item, Sent, i1, i2, i3, i8, recount
from tests.integration.practice import Person, Practice, at, at_once, evaluation, eventually, instant, someone

AS_OF = at("2025-06-02", "16:00")


@pytest.fixture
def clinic(practice: Practice) -> str:
    return practice.new_clinic()


@pytest.fixture
def processes() -> Iterator[list["subprocess.Popen[str]"]]:
    """Processes of this test; none outlives it."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def people(practice: Practice, clinic: str, number: int) -> list[Person]:
    """New patients who are due at AS_OF."""
    new = [someone(clinic_id=clinic) for _ in range(number)]
    practice.export(new, [evaluation(person, at("2025-06-02")) for person in new])
    return new


def sender(stack: Stack, *, minutes_ahead: int = 0, rate: float = 200) -> "subprocess.Popen[str]":
    """A send run in a process of its own."""
    configuration = stack.client("lambda").get_function_configuration(
        FunctionName=stack.functions["SendSurveyFunction"]
    )
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_REGION": stack.region,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        **configuration["Environment"]["Variables"],
    }
    command = [sys.executable, "-m", "tests.integration.sender", instant(AS_OF), str(minutes_ahead), str(rate)]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def result_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a run that went to its end returned."""
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    result: dict[str, Any] = json.loads(output.splitlines()[-1])["result"]
    return result


def workers(stack: Stack, function: str) -> list[int]:
    """The processes in which this stack's emulator runs a function."""
    wanted = {
        f"AWS_LAMBDA_FUNCTION_NAME={stack.functions[function]}".encode(),
        f"AWS_ENDPOINT_URL={stack.endpoint_url}".encode(),
    }
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if wanted <= set((process / "environ").read_bytes().split(b"\0")):
                found.append(int(process.name))
    return found


def kill(stack: Stack, function: str) -> int:
    """Kill a function's processes outright; how many there were."""
    found = workers(stack, function)
    for process in found:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    return len(found)


def evidence(practice: Practice, clinic: str, accepted: Any = None) -> Evidence:
    """What can be seen of a clinic from outside."""
    surveys = [survey for survey in practice.items("SurveysTable") if survey["clinic_id"] == clinic]
    emails = {f"{survey['patient_id'].lower()}@patients.example": survey["survey_id"] for survey in surveys}
    mails = [
        Sent(mail.to[0], mail.kind, AS_OF, mail.text, emails.get(mail.to[0], _told_of(mail.text, surveys)))
        for mail in practice.mailbox()
        if mail.to  # another test's mail may have nobody it is for
    ]
    ids = set(emails.values())
    messages = [message for message in practice.items("MessagesTable") if message["survey_id"] in ids]
    tables = {"Surveys": surveys, "Messages": messages, "Scores": practice.items("ScoresTable")}
    return Evidence(tables, mails, accepted=accepted or {})


def _told_of(text: str, surveys: Sequence[Item]) -> str:
    return next((survey["survey_id"] for survey in surveys if survey["survey_id"] in text), "")


def i4_of(found: Evidence, clinic: str) -> None:
    """The counts of the clinic are those of a full recount of its surveys."""
    scopes = (f"clinic#{clinic}", f"month#clinic#{clinic}")
    counted = {
        (row["scope"], row["day"]): {name: int(n) for name, n in row.items() if name not in ("scope", "day") and n}
        for row in found.tables["Scores"]
        if row["scope"] in scopes
    }
    expected = {row: counts for row, counts in recount(found.tables["Surveys"]).items() if row[0] in scopes}
    assert counted == expected


def states(practice: Practice, crowd: Sequence[Person]) -> list[str]:
    """Where each one's survey message stands."""
    ids = [person.patient_id for person in crowd]
    messages = practice.items("MessagesTable")
    return [each["state"] for each in messages if each["patient_id"] in ids and each["kind"] == "survey"]


def received(practice: Practice, crowd: Sequence[Person]) -> list[int]:
    """How many mails each one got."""
    addresses = [address for mail in practice.mailbox() for address in mail.to]
    return [addresses.count(person.email) for person in crowd]


def test_fault_01_two_processes_at_once_mail_everybody_once_without_the_lock_too(stack, practice, clinic, processes):
    """By the second one's clock the first one's lock has run out: only the claims are left."""
    crowd = people(practice, clinic, 60)
    processes += [sender(stack), sender(stack, minutes_ahead=2), sender(stack, minutes_ahead=4)]
    results = [result_of(process) for process in processes]
    assert sum(result["sent"] for result in results) == len(crowd)
    assert received(practice, crowd) == [1] * len(crowd)
    assert states(practice, crowd) == ["sent"] * len(crowd)
    i1(evidence(practice, clinic))
    i8(evidence(practice, clinic))


@pytest.mark.parametrize("mails", [1, 20])
def test_fault_08_a_run_that_is_killed_outright_is_gone_on_with(stack, practice, clinic, processes, mails):
    crowd = people(practice, clinic, 40)
    processes.append(sender(stack, rate=40))
    eventually(lambda: sum(received(practice, crowd)) >= mails, "the run has sent some")
    processes[0].kill()
    processes[0].wait()
    left = states(practice, crowd)
    assert "due" in left, "it had finished before it was killed"
    processes.append(sender(stack, minutes_ahead=11))  # lock and leases have run out
    result_of(processes[1])
    ended = states(practice, crowd)
    assert set(ended) <= {"sent", "unknown"}
    assert ended.count("unknown") == left.count("calling")
    assert max(received(practice, crowd)) == 1
    assert received(practice, crowd).count(0) <= ended.count("unknown")
    i1(evidence(practice, clinic))
    i8(evidence(practice, clinic))


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the emulator's processes in /proc")
def test_fault_08_a_deployed_function_that_is_killed_outright_is_gone_on_with(stack, practice, clinic, processes):
    crowd = people(practice, clinic, 150)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(practice.run, "SendSurveyFunction", AS_OF)
        eventually(lambda: sum(received(practice, crowd)) >= 3, "the run has sent some")
        assert kill(stack, "SendSurveyFunction")
        assert running.exception() is not None, "it had finished before it was killed"
    processes.append(sender(stack, minutes_ahead=11))
    result_of(processes[0])
    assert set(states(practice, crowd)) <= {"sent", "unknown"}
    assert max(received(practice, crowd)) == 1
    i1(evidence(practice, clinic))
    i8(evidence(practice, clinic))


def test_fault_15_two_submissions_at_once_are_both_kept_and_one_counts(stack, practice, clinic, processes):
    crowd = people(practice, clinic, 6)
    processes.append(sender(stack))
    result_of(processes[0])
    for person in crowd:
        mail = practice.mail(person)
        pages = at_once(partial(practice.answer, mail, 9, "one"), partial(practice.answer, mail, 2, "other"))
        assert [page.status for page in pages] == [200, 200]
        survey = practice.survey(mail)
        kept = [(int(answer["score"]), answer["comment"]) for answer in survey["answers"]]
        assert sorted(kept) == [(2, "other"), (9, "one")]
        given = [Accepted(score, comment, AS_OF) for score, comment in kept]
        i2(evidence(practice, clinic, {survey["survey_id"]: given}))
    practice.rest()
    practice.count_scores()
    i3(evidence(practice, clinic), once=True)
    i4_of(evidence(practice, clinic), clinic)


def _have_ended(calls: Sequence["Future[int]"], number: int) -> bool:
    return sum(call.done() for call in calls) >= number


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the emulator's processes in /proc")
def test_answers_and_alerts_survive_functions_that_are_killed_outright(stack, practice, clinic, processes):
    crowd = people(practice, clinic, 40)
    processes.append(sender(stack))
    result_of(processes[0])
    received_ = {address: mail for mail in practice.mailbox() for address in mail.to}
    mails = [received_[person.email] for person in crowd]

    def answer(number: int) -> int:
        with suppress(HTTPException, OSError):
            return practice.answer(mails[number], number % 7, f"number {number}").status
        return 0

    killed = 0
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(answer, number) for number in range(len(crowd))]
        for done in (5, 12, 20):
            eventually(partial(_have_ended, answers, done), "some have answered")
            killed += kill(stack, "RecordResponseFunction") + kill(stack, "AlertStaffFunction")
        statuses = [each.result() for each in answers]
    assert killed
    again = [number for number, status in enumerate(statuses) if status != 200]
    assert [answer(number) for number in again] == [200] * len(again)
    practice.rest()
    practice.run("AlertStaffFunction", datetime.now(AS_OF.tzinfo))
    practice.count_scores()
    accepted = {mail.token[:26]: [Accepted(n % 7, f"number {n}", AS_OF)] for n, mail in enumerate(mails)}
    found = evidence(practice, clinic, accepted)
    i1(found)
    i2(found)
    i3(found)
    i4_of(found, clinic)

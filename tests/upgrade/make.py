"""Makes last_release/: what a release deploys, and every table as a short life of a practice leaves it there.

To be run from a checkout of that release, which brings the stack, the driver and the code that writes:

    git worktree add /tmp/release COMMIT && cd /tmp/release && ln -s REPOSITORY/.venvs .venvs
    PYTHONPATH=. .venvs/dev/bin/python REPOSITORY/tests/upgrade/make.py REPOSITORY/tests/upgrade/last_release
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from local.stack import Stack, down, up
from local.template import TEMPLATE
from tests.integration.practice import ADMIN, Person, Practice, at, evaluation, someone, table, visit
from tests.integration.staff import HttpBrowser, somebody

DAY = "2026-03-02"  # a Monday


def main(folder: Path) -> None:
    """Live, and write down what is left."""
    state = Path(tempfile.mkdtemp())
    try:
        stack = up(state, {"Touchpoints": "evaluation,discharge", "ReviewInvitations": "promoters"})
        practice = Practice(stack)
        people = live(practice)
        folder.mkdir(exist_ok=True)
        shutil.copy(TEMPLATE, folder / "template.yaml")
        (folder / "left.json").write_text(one_row_a_line(left(practice, people)))
    finally:
        down(state)
        shutil.rmtree(state)


def live(practice: Practice) -> dict[str, Person]:
    """Two days of a practice; everybody by what they do."""
    clinic = practice.upload(
        table([{"clinic_id": "west", "name": "West Clinic", "time_zone": "America/Phoenix", "admin_emails": ADMIN}]),
        "clinics.csv",
        "settings/",
    )
    assert clinic["status"] == "accepted", clinic
    does = [*("happy", "unhappy", "content", "wavering", "silent", "leaving", "late"), *("returning", "waiting")]
    people = {each: someone(each.capitalize(), clinic_id="west" if each == "happy" else "main") for each in does}
    people["spanish"] = someone("Lucia", language="es")
    people["unreachable"] = someone("Nemo", email="")
    first = [each for name, each in people.items() if name != "waiting"]
    returning = people["returning"]
    visits = [evaluation(each, at(DAY)) for each in first]
    practice.export(list(people.values()), visits)
    practice.send(at(DAY, "16:00"))

    owner = HttpBrowser(practice.stack)
    owner.sign_in(somebody(practice.stack))
    form = {"GOAL": "80", "BENCHMARK": "", "VISIT_VALUE": "95"}
    assert owner.post("/settings/practice/goals", form).status == 303

    def answer(name: str, score: int, comment: str = "") -> None:
        assert practice.answer(practice.mails(people[name].email)[-1], score, comment).status == 200

    answer("happy", 9, "The front desk is wonderful")
    answer("unhappy", 3, "I waited an hour")
    answer("content", 7)
    answer("wavering", 10)
    answer("wavering", 8, "Parking was hard")
    answer("returning", 10)
    answer("spanish", 10, "Muchas gracias")
    practice.rest()
    leaving = practice.mails(people["leaving"].email)[-1]
    assert practice.post(leaving.unsubscribe_path, {"List-Unsubscribe": "One-Click"}).status == 200
    case = practice.survey(practice.mails(people["unhappy"].email)[-1])["survey_id"]
    assert owner.post(f"/cases/{case}/claim").status == 303
    practice.count_scores()

    # The second week: a further answer in the same quarter, and what no night has counted yet.
    practice.export([], [visit(returning, at("2026-03-13"), "discharge", discharge_date="2026-03-13")])
    practice.send(at("2026-03-16", "16:00"))
    answer("returning", 6, "The last weeks were hard")
    practice.rest()
    practice.count_scores()
    answer("late", 4)
    practice.rest()
    practice.export([], [evaluation(people["waiting"], at("2026-03-17", "15:00"))])
    return people


def left(practice: Practice, people: dict[str, Person]) -> dict[str, Any]:
    """Tables, the key of all hashes, and what lies in the patients' mailboxes."""
    stack = practice.stack
    return {
        "made_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "hash_key": hash_key(stack),
        "patients": {name: person.patient_id for name, person in people.items()},
        "mails": {
            name: [{"kind": mail.kind, "token": mail.token, "unsubscribe": mail.unsubscribe_path} for mail in mails]
            for name, person in people.items()
            if (mails := [mail for mail in practice.mails(person.email) if mail.kind in ("survey", "reminder")])
        },
        "tables": {name: list(rows(stack, name)) for name in sorted(stack.tables)},
    }


def hash_key(stack: Stack) -> str:
    """The secret under which ids and addresses are hashed."""
    listed = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
    [secret] = [each["PhysicalResourceId"] for each in listed if each["LogicalResourceId"] == "HashKey"]
    value: str = stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"]
    return value


def rows(stack: Stack, name: str) -> Iterator[dict[str, Any]]:
    """A table's items as DynamoDB writes them, in a steady order."""
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName=stack.tables[name])
    yield from sorted((item for page in pages for item in page["Items"]), key=lambda item: json.dumps(item))


def one_row_a_line(found: dict[str, Any]) -> str:
    """JSON in which a change of one row is a change of one line."""
    tables = [
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row, sort_keys=True) for row in rows) + "\n]"
        for name, rows in found["tables"].items()
    ]
    rest = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in found.items() if name != "tables"]
    return "{" + ",\n".join([*rest, '"tables": {\n' + ",\n".join(tables) + "}"]) + "}\n"


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())

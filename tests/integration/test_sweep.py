"""What streams lose and dead senders leave behind is found in the tables, by the one command and with nothing else."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.deployed import on_this_machine
from local.sweep import SWEEPS, sweep
from tests.integration.practice import Mail, Person, Practice, boss, evaluation, instant, someone

LINKS = "Google=https://g.page/r/riverside/review"
REACTIONS = ("AlertStaffFunction", "RequestReviewFunction")


@pytest.fixture
def clinic(practice: Practice) -> str:
    """A clinic that is open day and night, since the command sweeps as of now."""
    return practice.new_clinic(review_links=LINKS, send_from="00:00", send_until="24:00", send_days="Mon-Sun")


@pytest.fixture
def lost_stream(practice: Practice) -> Iterator[None]:
    """The stream of answers wakes nobody, and what was ever told of failures is gone."""
    functions = practice.client("lambda")
    mappings = [
        mapping["UUID"]
        for name in REACTIONS
        for mapping in functions.list_event_source_mappings(FunctionName=practice.stack.functions[name])[
            "EventSourceMappings"
        ]
    ]
    for mapping in mappings:
        functions.update_event_source_mapping(UUID=mapping, Enabled=False)
    yield
    for mapping in mappings:
        functions.update_event_source_mapping(UUID=mapping, Enabled=True)


def swept(practice: Practice) -> dict[str, list[str]]:
    """Run the command as of now; what it said of each part."""
    said: dict[str, list[str]] = {}

    def hear(line: str) -> None:
        if line.startswith("  "):
            said[list(said)[-1]].append(line.strip())
        else:
            said[line.strip()] = []

    assert sweep(on_this_machine(practice.stack), datetime.now(UTC), hear)
    return said


def owe(practice: Practice, mail: Mail, pending: str) -> None:
    """Write down that this is still owed."""
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["SurveysTable"],
        Key={"survey_id": {"S": mail.token[:26]}},
        UpdateExpression="SET pending_reaction = :pending",
        ExpressionAttributeValues={":pending": {"S": pending}},
    )


def told(practice: Practice, clinic: str, mail: Mail) -> int:
    """How many mails at once to the clinic's admin are about this survey."""
    return sum(mail.token[:26] in alert.text for alert in practice.mails(boss(clinic)))


def cases(practice: Practice) -> set[str]:
    return {case["survey_id"] for case in practice.items("CasesTable")}


def test_reactions_of_every_kind_that_the_stream_lost_are_done_once(practice, clinic, lost_stream):
    people = [someone(clinic_id=clinic) for _ in range(5)]
    unhappy, happy, afraid, neutral, mixed = practice.asked(*people)
    practice.answer(unhappy, 2, "Nobody called me back")
    practice.answer(happy, 10, "Wonderful")
    practice.answer(afraid, 10, "I fell off the table")
    practice.answer(neutral, 7)
    practice.answer(mixed, 8)
    owe(practice, mixed, "review digest")
    pending = {mail.token[:26]: practice.survey(mail)["pending_reaction"] for mail in (unhappy, happy, afraid, neutral)}
    assert list(pending.values()) == ["alert", "review", "alert review", "digest"]
    practice.client("sqs").purge_queue(QueueUrl=on_this_machine(practice.stack).names["FailedEvents"])
    assert not told(practice, clinic, unhappy)

    said = swept(practice)
    assert said["Alerts"][0].startswith("2 answers")
    # The safety alert left a review owed, which the next sweep of the same command finds.
    assert said["Review requests"][0].startswith("3 answers")
    assert [told(practice, clinic, mail) for mail in (unhappy, happy, afraid)] == [1, 0, 1]
    assert {unhappy.token[:26], afraid.token[:26]} <= cases(practice)
    requested = [message["survey_id"] for message in practice.items("MessagesTable") if message["kind"] == "review"]
    assert {happy.token[:26], afraid.token[:26]} <= set(requested)
    assert neutral.token[:26] not in requested
    owed = {practice.survey(mail).get("pending_reaction", "") for mail in (unhappy, happy, afraid, neutral, mixed)}
    assert owed <= {"", "digest"}  # the digest waits for seven in the morning

    before = len(practice.mailbox())
    again = swept(practice)
    assert again["Alerts"] == again["Review requests"] == ["nothing was left behind"]
    assert len(practice.mailbox()) == before


def left_behind(practice: Practice, person: Person, state: str, **attributes: str) -> None:
    """Leave a person's message as a sender that died an hour ago would have."""
    values = {"state": state, "lease_until": instant(datetime.now(UTC) - timedelta(hours=1)), **attributes}
    [message] = [each for each in practice.items("MessagesTable") if each["patient_id"] == person.patient_id]
    practice.client("dynamodb").update_item(
        TableName=practice.stack.tables["MessagesTable"],
        Key={"message_id": {"S": message["message_id"]}},
        UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in values) + ", attempt = :one",
        ExpressionAttributeNames={f"#{name}": name for name in values},
        ExpressionAttributeValues={
            **{f":{name}": {"S": value} for name, value in values.items()},
            ":one": {"N": "1"},
        },
    )


def test_messages_that_a_dead_sender_had_claimed_are_settled(practice, clinic):
    claimed, calling, delivered = people = [someone(clinic_id=clinic) for _ in range(3)]
    practice.export(people, [evaluation(person, datetime.now(UTC) - timedelta(hours=5)) for person in people])
    left_behind(practice, claimed, "claimed")
    left_behind(practice, calling, "calling")
    left_behind(practice, delivered, "calling", delivery="delivered", delivery_at=instant(datetime.now(UTC)))

    said = swept(practice)["Mail to patients"]
    assert practice.messages_of(claimed)["survey evaluation"] == "sent"
    assert practice.kinds(claimed) == ["survey"]
    assert practice.messages_of(calling)["survey evaluation"] == "unknown"
    assert practice.messages_of(delivered)["survey evaluation"] == "sent"
    assert practice.kinds(calling) + practice.kinds(delivered) == []
    assert "1 may or may not have left, and are never sent again" in said

    swept(practice)
    assert [practice.kinds(person) for person in people] == [["survey"], [], []]


def test_an_unfinished_import_is_taken_up(practice):
    noted: dict[str, Any] = {"key": "incoming/left-behind.csv", "version": "gone"}
    mark = "unfinished/incoming/left-behind.csv"
    practice.client("s3").put_object(Bucket=practice.bucket, Key=mark, Body=json.dumps(noted).encode())
    try:
        assert swept(practice)["Imports"] == ["1 unfinished import, taken up where they were left"]
    finally:
        practice.client("s3").delete_object(Bucket=practice.bucket, Key=mark)


def test_the_command_says_what_each_part_found(practice):
    assert [title for title in swept(practice) if "queue of failed" not in title][: len(SWEEPS)] == [
        each.title for each in SWEEPS
    ]

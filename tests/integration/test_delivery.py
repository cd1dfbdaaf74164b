"""What SES tells of mails, from the event bus to the tables, with the functions' roles enforced."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import mail_events
from local.mail_events import configuration_set, ses_event, tags_of, tell
from shared.domain.delivery import EVENT_TYPES, staff_key
from tests.integration.practice import ADMIN, Item, Mail, Person, Practice, at, boss, eventually, someone

DAY = "2026-03-02"
WEEK_LATER = at("2026-03-09", "16:00")
_numbers = itertools.count(1)


def message_of(mail: Mail) -> str:
    return f"{mail.token[:26]}-survey"


def hear(practice: Practice, type_: str, mail: Mail, **differences: Any) -> None:
    """Have SES tell of a patient's mail."""
    tags, to = tags_of(practice.stack, message_of(mail))
    told(practice, type_, tags, to=to, **differences)


def told(practice: Practice, type_: str, tags: dict[str, str], **differences: Any) -> None:
    moment = differences.pop("at", datetime.now(UTC))
    own = {"configuration_set": configuration_set(practice.stack), **differences}
    tell(practice.stack, ses_event(type_, tags, at=moment, **own), moment)


def message(practice: Practice, mail: Mail) -> Item:
    (found,) = (item for item in practice.items("MessagesTable") if item["message_id"] == message_of(mail))
    return found


def patient(practice: Practice, person: Person) -> Item:
    (found,) = (item for item in practice.items("PatientsTable") if item["patient_id"] == person.patient_id)
    return found


def address(practice: Practice, key: str) -> Item:
    return next((item for item in practice.items("AddressesTable") if item["address_key"] == key), {})


def test_a_delivery_is_noted_on_message_and_survey(practice):
    [mail] = practice.asked(someone())
    hear(practice, "Delivery", mail)
    eventually(lambda: "delivered_at" in practice.survey(mail), "the survey is known to be delivered")
    assert message(practice, mail)["delivery"] == "delivered"


def test_a_bounce_is_settled_by_its_status_and_ends_mail_to_the_address(practice):
    gone, full = someone(), someone()
    [to_gone, to_full] = practice.asked(gone, full)
    hear(practice, "Bounce", to_gone, status="5.1.1", label=("Transient", "General"))
    hear(practice, "Bounce", to_full, status="5.2.2", label=("Permanent", "General"))
    eventually(lambda: "delivery" in message(practice, to_gone), "the bounce is noted")
    eventually(lambda: "delivery" in message(practice, to_full), "the other as well")
    assert [message(practice, mail)["delivery_status"] for mail in (to_gone, to_full)] == ["5.1.1", "5.2.2"]
    practice.send(WEEK_LATER)
    assert practice.kinds(gone) == ["survey"]
    assert practice.kinds(full) == ["survey", "reminder"]


def test_a_complaint_ends_all_mail_to_the_patient(practice):
    person = someone()
    [mail] = practice.asked(person)
    hear(practice, "Complaint", mail)
    eventually(lambda: patient(practice, person).get("opted_out"), "the patient is opted out")
    practice.send(WEEK_LATER)
    assert practice.kinds(person) == ["survey"]


def test_a_send_of_unknown_outcome_is_settled_with_all_that_follows(practice):
    person = someone()
    [mail] = practice.asked(person)
    _forget_the_outcome(practice, mail)
    hear(practice, "Send", mail, at=at(DAY, "16:00"))
    eventually(lambda: message(practice, mail)["state"] == "sent", "the event settles it")
    survey = practice.survey(mail)
    assert survey["sent_at"] == "2026-03-02T21:00:00Z"
    assert "unsent_reason" not in survey
    practice.send(WEEK_LATER)
    assert practice.kinds(person) == ["survey", "reminder"]


def _forget_the_outcome(practice: Practice, mail: Mail) -> None:
    """Write the tables as a sender leaves them whose line broke: this cannot be brought about from outside."""
    database, tables, survey = practice.client("dynamodb"), practice.stack.tables, mail.token[:26]
    database.update_item(
        TableName=tables["MessagesTable"],
        Key={"message_id": {"S": f"{survey}-survey"}},
        UpdateExpression="SET #state = :unknown REMOVE ses_id, sent_at",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={":unknown": {"S": "unknown"}},
    )
    database.delete_item(TableName=tables["MessagesTable"], Key={"message_id": {"S": f"{survey}-reminder"}})
    database.update_item(
        TableName=tables["SurveysTable"],
        Key={"survey_id": {"S": survey}},
        UpdateExpression="SET unsent_reason = :unknown REMOVE sent_at",
        ExpressionAttributeValues={":unknown": {"S": "unknown"}},
    )


def test_each_admin_is_mailed_apart_and_one_who_bounces_is_marked(practice):
    clinic = f"apart{next(_numbers)}"
    both = f"{boss(clinic)};deputy@{clinic}.example"
    clinic_id = practice.new_clinic(admin_emails=both)
    [mail] = practice.asked(someone(clinic_id=clinic_id))
    practice.answer(mail, 2)
    eventually(lambda: practice.mails(f"deputy@{clinic}.example"), "the deputy is told")
    assert [one.to for one in practice.mails(boss(clinic))] == [[boss(clinic)]]
    key = staff_key(boss(clinic))
    told(practice, "Bounce", {"survey_id": mail.token[:26], "recipient": key}, to=boss(clinic))
    eventually(lambda: address(practice, key).get("bounced"), "the address is marked")
    assert key in address(practice, "staff")["failing"]


def test_mail_under_another_set_is_not_ours(practice):
    [mail] = practice.asked(someone())
    hear(practice, "Bounce", mail, configuration_set="somebody-elses")
    hear(practice, "DeliveryDelay", mail)
    eventually(lambda: "delivery" in message(practice, mail), "our own event is noted")
    assert message(practice, mail)["delivery_events"] == {"delayed"}


def test_an_event_of_a_mail_that_nobody_knows_is_heard_and_changes_nothing(practice):
    before = [practice.items(name) for name in ("MessagesTable", "SurveysTable", "PatientsTable")]
    key = staff_key(f"last{next(_numbers)}@example.com")
    told(practice, "Delivery", {"message_id": f"{'z' * 26}-survey", "survey_id": "z" * 26, "recipient": "y" * 26})
    told(practice, "Bounce", {"recipient": key})
    eventually(lambda: address(practice, key), "the second event is heard")
    assert [practice.items(name) for name in ("MessagesTable", "SurveysTable", "PatientsTable")] == before


@pytest.fixture
def overheard(practice: Practice) -> Iterator[str]:
    """A queue beside the function that gets what the deployed rule hands on."""
    events, queues = practice.client("events"), practice.client("sqs")
    found = practice.client("cloudformation").describe_stack_resource(
        StackName=practice.stack.stack_name, LogicalResourceId="MailEventsRule"
    )["StackResourceDetail"]["PhysicalResourceId"]
    rule = found.rpartition("/")[2]
    url = queues.create_queue(QueueName="overheard")["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    (target,) = events.list_targets_by_rule(Rule=rule)["Targets"]
    events.put_targets(
        Rule=rule, Targets=[{"Id": "Overheard", "Arn": arn, "InputTransformer": target["InputTransformer"]}]
    )
    yield url
    events.remove_targets(Rule=rule, Ids=["Overheard"])
    queues.delete_queue(QueueUrl=url)


def test_nothing_of_subject_recipient_or_headers_passes_the_rule(practice, overheard):
    person = someone("Xanthippe")
    [mail] = practice.asked(person)
    for type_ in EVENT_TYPES:
        hear(practice, type_, mail)
    bodies: list[str] = []

    def all_came() -> bool:
        answer = practice.client("sqs").receive_message(QueueUrl=overheard, MaxNumberOfMessages=10)
        bodies.extend(message["Body"] for message in answer.get("Messages", []))
        return len(bodies) >= len(EVENT_TYPES)

    eventually(all_came, "every type of event passes")
    heard = [json.loads(body) for body in bodies]
    assert {one["type"] for one in heard} == set(EVENT_TYPES)
    assert {one["message_id"] for one in heard} == {message_of(mail)}
    assert {one["bounce_status"] for one in heard} == {"", "5.1.1"}
    for word in (person.email, "Riverside", "visit?", "secret-token", "smtp", "mta.example.com"):
        assert not [body for body in bodies if word in body]


def test_a_delivery_takes_the_mark_of_an_admin_back(practice):
    moment = datetime.now(UTC)
    told(practice, "Bounce", {"recipient": staff_key(ADMIN)}, to=ADMIN, at=moment)
    eventually(lambda: address(practice, staff_key(ADMIN)).get("bounced"), "the address is marked")
    told(practice, "Delivery", {"recipient": staff_key(ADMIN)}, to=ADMIN, at=moment + timedelta(seconds=5))
    eventually(lambda: not address(practice, staff_key(ADMIN)).get("bounced"), "a delivery takes it back")


def test_one_command_tells_of_a_patients_mail_or_of_the_staffs(practice, monkeypatch, capsys):
    monkeypatch.setattr(mail_events, "read_stack", lambda: practice.stack)
    [mail] = practice.asked(someone())
    admin = f"command{next(_numbers)}@example.com"

    def command(*words: str) -> int:
        monkeypatch.setattr("sys.argv", ["mail_events", *words])
        return mail_events.main()

    assert command("bounced", message_of(mail), "--status", "5.2.2", "--label", "Transient/MailboxFull") == 0
    assert command("complained", admin) == 0
    eventually(lambda: "delivery" in message(practice, mail), "the bounce is noted")
    assert message(practice, mail)["delivery_status"] == "5.2.2"
    eventually(lambda: address(practice, staff_key(admin)).get("complained"), "the complaint is noted")
    assert command("delivered", "nothing-survey") == 1
    assert "there is no message nothing-survey" in capsys.readouterr().err

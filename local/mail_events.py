"""What Amazon SES would tell of a mail, told to the local event bus: the emulator sends mail and tells nothing of it.

    python -m local.mail_events bounced MESSAGE_ID --status 5.2.2
    python -m local.mail_events bounced admin@riverside.example

The first is about a patient's mail, the second about one to the staff. The events have all that SES's have, subject,
recipient and headers too, so that what the rule lets through can be seen.
"""

import argparse
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from local.stack import Stack, StackFailed, read_stack
from shared.domain.clock import format_instant
from shared.domain.delivery import staff_key
from shared.domain.identity import address_key

SOURCE = "careloop.rehearsal"  # let through by the rule of the template, beside SES's own
TYPES = {
    "sent": "Send",
    "delivered": "Delivery",
    "delayed": "DeliveryDelay",
    "bounced": "Bounce",
    "complained": "Complaint",
    "rejected": "Reject",
}


def ses_event(
    type_: str,
    tags: dict[str, str],
    *,
    at: datetime,
    sent_at: datetime | None = None,
    to: str = "patient@example.com",
    configuration_set: str = "mail-events",
    ses_id: str = "0100018f-0000-4000-8000-000000000001-000000",
    status: str = "5.1.1",
    label: tuple[str, str] = ("Permanent", "General"),
    feedback: str = "abuse",
) -> dict[str, Any]:
    """The `detail` of one of SES's events, as its developer guide describes it ("Contents of event data").

    `status` and `label` are of bounces, an empty status is left out as SES does; `feedback` is of complaints.
    """
    moment, sent = (each.astimezone(UTC).isoformat(timespec="milliseconds") for each in (at, sent_at or at))
    subject, sender = "How was your visit?", "Riverside Physical Therapy <surveys@riverside.example>"
    unsubscribe = "<https://care.example/u/secret-token>"
    recipient = {"emailAddress": to}
    bounced = {**recipient, "action": "failed", "diagnosticCode": f"smtp; 550 {status} <{to}> refused"}
    if status:
        bounced["status"] = status
    facts: dict[str, dict[str, Any]] = {
        "Send": {},
        "Delivery": {
            "timestamp": moment,
            "processingTimeMillis": 812,
            "recipients": [to],
            "smtpResponse": f"250 2.6.0 Message accepted for {to}",
            "reportingMTA": "mta.example.com",
        },
        "DeliveryDelay": {
            "timestamp": moment,
            "delayType": "TransientCommunicationFailure",
            "expirationTime": moment,
            "delayedRecipients": [
                {**recipient, "status": "4.4.1", "diagnosticCode": f"smtp; 421 4.4.1 {to} no answer"}
            ],
        },
        "Bounce": {
            "bounceType": label[0],
            "bounceSubType": label[1],
            "bouncedRecipients": [bounced],
            "timestamp": moment,
            "feedbackId": "0100018f-feedback",
            "reportingMTA": "dsn; mta.example.com",
        },
        "Complaint": {
            "complainedRecipients": [recipient],
            "timestamp": moment,
            "feedbackId": "0100018f-feedback",
            "userAgent": "Yahoo!-Mail-Feedback/2.0",
            "complaintFeedbackType": feedback,
        },
        "Reject": {"reason": "Bad content"},
        "Rendering Failure": {"errorMessage": "Attribute is not present", "templateName": "survey"},
    }
    names = {"DeliveryDelay": "deliveryDelay", "Rendering Failure": "failure"}
    return {
        "eventType": type_,
        "mail": {
            "timestamp": sent,
            "messageId": ses_id,
            "source": sender,
            "sendingAccountId": "000000000000",
            "destination": [to],
            "headersTruncated": False,
            "headers": [
                {"name": "From", "value": sender},
                {"name": "To", "value": to},
                {"name": "Subject", "value": subject},
                {"name": "List-Unsubscribe", "value": unsubscribe},
            ],
            "commonHeaders": {"from": [sender], "to": [to], "messageId": ses_id, "subject": subject},
            "tags": {
                "ses:configuration-set": [configuration_set],
                "ses:from-domain": ["riverside.example"],
                **{name: [value] for name, value in tags.items()},
            },
        },
        names.get(type_, type_.lower()): facts[type_],
    }


def tell(stack: Stack, detail: dict[str, Any], at: datetime) -> None:
    """Put an event on the stack's bus, as if SES had."""
    entry = {"Source": SOURCE, "DetailType": f"Email {detail['eventType']}", "Detail": json.dumps(detail), "Time": at}
    answer = stack.client("events").put_events(Entries=[entry])
    if answer["FailedEntryCount"]:
        raise StackFailed(f"the event bus refuses the event: {answer['Entries']}")


def configuration_set(stack: Stack) -> str:
    """The set under which the stack sends its mail."""
    found = stack.client("cloudformation").describe_stack_resource(
        StackName=stack.stack_name, LogicalResourceId="MailEvents"
    )
    return str(found["StackResourceDetail"]["PhysicalResourceId"])


def tags_of(stack: Stack, message_id: str) -> tuple[dict[str, str], str]:
    """The tags of a patient's mail, and whom it went to."""
    database = stack.client("dynamodb")
    message = database.get_item(TableName=stack.tables["MessagesTable"], Key={"message_id": {"S": message_id}})
    if "Item" not in message:
        raise StackFailed(f"there is no message {message_id}")
    item = {name: next(iter(value.values())) for name, value in message["Item"].items()}
    patient = database.get_item(TableName=stack.tables["PatientsTable"], Key={"patient_id": {"S": item["patient_id"]}})
    to = str(patient["Item"]["email"]["S"])
    variables = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["SendSurveyFunction"])
    secret = variables["Environment"]["Variables"]["HASH_KEY_SECRET"]
    key = stack.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"].encode()
    tags = {"message_id": message_id, "survey_id": str(item["survey_id"]), "recipient": address_key(key, to)}
    return tags, to


def main() -> int:
    """Tell one event of one mail."""
    parser = argparse.ArgumentParser(prog="python -m local.mail_events", description=__doc__)
    parser.add_argument("kind", choices=TYPES)
    parser.add_argument("mail", help="a message id, or the address of somebody of the staff")
    parser.add_argument("--status", default="5.1.1", help="of a bounce; empty for none")
    parser.add_argument("--label", default="Permanent/General", help="of a bounce: its type and subtype")
    parser.add_argument("--feedback", default="abuse", help="of a complaint: its type")
    parser.add_argument("--at", type=datetime.fromisoformat, default=datetime.now(UTC), help="when; now if not given")
    wanted = parser.parse_args()
    try:
        stack = read_stack()
        to_staff = "@" in wanted.mail
        tags, to = ({"recipient": staff_key(wanted.mail)}, wanted.mail) if to_staff else tags_of(stack, wanted.mail)
        kind, _, subtype = wanted.label.partition("/")
        detail = ses_event(
            TYPES[wanted.kind],
            tags,
            at=wanted.at,
            sent_at=wanted.at - timedelta(seconds=5),
            to=to,
            configuration_set=configuration_set(stack),
            status=wanted.status,
            label=(kind, subtype),
            feedback=wanted.feedback,
        )
        tell(stack, detail, wanted.at)
    except StackFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"told at {format_instant(wanted.at)}: the mail was {wanted.kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

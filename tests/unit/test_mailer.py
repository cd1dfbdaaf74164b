"""What SES is asked for, and how each of its refusals is understood."""

from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError, ReadTimeoutError

from shared.mail.mailer import (
    Mail,
    MailOutcomeUnknown,
    MailRefused,
    MailThrottled,
    RecipientNotVerified,
    SendingStopped,
    SesMailer,
    ses_client,
)

NOT_VERIFIED = "Email address is not verified. The following identities failed the check in region US-EAST-1:"
MAIL = Mail(
    sender="Riverside <care@riverside.example.com>",
    to=("ada@example.com",),
    reply_to="desk@riverside.example.com",
    subject="One question",
    text="text",
    html="<p>html</p>",
    headers={
        "List-Unsubscribe": "<https://care.example.com/u/t>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    },
    tags={"survey_id": "abc"},
)


class FakeSes:
    """An SES client that keeps its call, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.calls: list[dict[str, Any]] = []

    def send_email(self, **call: Any) -> dict[str, str]:
        self.calls.append(call)
        if self.error:
            raise self.error
        return {"MessageId": "ses-1"}


def refusal(code: str, status: int = 400, message: str = "") -> ClientError:
    return ClientError(
        {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}, "SendEmail"
    )


def test_headers_tags_and_both_bodies_reach_ses():
    ses = FakeSes()
    assert SesMailer(ses).send(MAIL) == "ses-1"
    [call] = ses.calls
    simple = call["Content"]["Simple"]
    assert {header["Name"]: header["Value"] for header in simple["Headers"]} == MAIL.headers
    assert call["EmailTags"] == [{"Name": "survey_id", "Value": "abc"}]
    assert (simple["Body"]["Text"]["Data"], simple["Body"]["Html"]["Data"]) == ("text", "<p>html</p>")
    assert call["ReplyToAddresses"] == ["desk@riverside.example.com"]
    assert call["Destination"] == {"ToAddresses": ["ada@example.com"]}


def test_every_mail_goes_out_under_the_set_whose_events_tell_what_became_of_it():
    ses = FakeSes()
    SesMailer(ses).send(MAIL)
    assert ses.calls[0]["ConfigurationSetName"] == "mail-events"


def test_ses_is_called_once_and_never_retried():
    config = ses_client().meta.config
    assert config.retries["total_max_attempts"] == 1


@pytest.mark.parametrize(
    ("error", "meaning"),
    [
        (refusal("TooManyRequestsException", 429), MailThrottled),
        (refusal("LimitExceededException"), MailThrottled),
        (refusal("SendingPausedException"), SendingStopped),
        (refusal("AccountSuspendedException"), SendingStopped),
        (refusal("MailFromDomainNotVerifiedException"), SendingStopped),
        (refusal("AccessDeniedException", 403), SendingStopped),
        (refusal("MessageRejected", message="Email address is not verified."), SendingStopped),
        (refusal("MessageRejected", message=f"{NOT_VERIFIED} care@riverside.example.com"), SendingStopped),
        (refusal("MessageRejected", message=f"{NOT_VERIFIED} Ada@example.com"), RecipientNotVerified),
        (
            refusal("MessageRejected", message=f"{NOT_VERIFIED} ada@example.com, care@riverside.example.com"),
            SendingStopped,
        ),
        (refusal("MessageRejected", message="Address blacklisted."), MailRefused),
        (refusal("BadRequestException"), MailRefused),
        (refusal("InternalFailure", 500), MailOutcomeUnknown),
        (refusal("", 503), MailOutcomeUnknown),
        (ReadTimeoutError(endpoint_url="https://ses"), MailOutcomeUnknown),
        (ConnectTimeoutError(endpoint_url="https://ses"), MailThrottled),
        (EndpointConnectionError(endpoint_url="https://ses"), MailThrottled),
    ],
)
def test_each_failure_is_known_for_what_it_is(error, meaning):
    with pytest.raises(meaning):
        SesMailer(FakeSes(error)).send(MAIL)

"""Sending one mail, and the ways in which it can fail."""

from dataclasses import dataclass, field
from email.utils import parseaddr
from typing import Any, Protocol

from shared.config import setting


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail as its reader sees it; `tags` name message, survey and address by ids for delivery events."""

    sender: str
    to: tuple[str, ...]
    reply_to: str
    subject: str
    text: str
    html: str
    headers: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


class Mailer(Protocol):
    """Hands one mail over, once: no retry of its own."""

    def send(self, mail: Mail) -> str:
        """Send and return the provider's message id, or raise one of the errors below."""


class MailNotSent(Exception):
    """The mail was refused for certain: nothing left. `reason` is what a run counts it under."""

    reason = "refused"


class MailThrottled(MailNotSent):
    """Too fast: the same mail may be sent in a moment."""

    reason = "throttled"


class QuotaReached(MailNotSent):
    """The account's quota of 24 hours is used up: the same mail may be sent when some of them have passed."""

    reason = "quota"


class MailOutOfReach(MailThrottled):
    """SES did not even take up the connection: the same mail may be sent later."""


class RecipientNotVerified(MailNotSent):
    """The account is in the SES sandbox, which mails verified addresses only: this one may be sent after it."""

    reason = "sandbox"


class MailRefused(MailNotSent):
    """This mail will never be accepted (its address or content)."""


class SendingStopped(MailNotSent):
    """Nothing at all can be sent: account paused, sender not verified, permission missing."""

    reason = "sending_stopped"


class MailOutcomeUnknown(Exception):
    """The connection broke or timed out: the mail may have left."""


_THROTTLED = {"TooManyRequestsException", "LimitExceededException", "Throttling", "ThrottlingException"}
_STOPPED = {
    "AccountSuspendedException",
    "SendingPausedException",
    "MailFromDomainNotVerifiedException",
    "NotFoundException",
    "AccessDenied",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "ExpiredTokenException",
    "ExpiredToken",
    "SignatureDoesNotMatch",
}
_REFUSED = {"MessageRejected", "BadRequestException", "ValidationException", "InvalidParameterValue"}
CONNECTIONS = 192  # kept open; a run has no more threads


class SesMailer:
    """Amazon SES: one call a mail, retries off, so that no mail leaves twice."""

    def __init__(self, client: Any = None) -> None:
        """Connections are fresh: a mailer lives for one run. Whatever it sends, events tell what became of it."""
        self._events = setting("CONFIGURATION_SET")
        self._client = client or ses_client()

    def send(self, mail: Mail) -> str:
        """Send one mail; a server fault or a broken connection is `MailOutcomeUnknown`."""
        from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, EndpointConnectionError

        try:
            answer = self._client.send_email(
                FromEmailAddress=mail.sender,
                Destination={"ToAddresses": list(mail.to)},
                ReplyToAddresses=[mail.reply_to],
                Content={
                    "Simple": {
                        "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
                        "Body": {
                            "Text": {"Data": mail.text, "Charset": "UTF-8"},
                            "Html": {"Data": mail.html, "Charset": "UTF-8"},
                        },
                        "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
                    }
                },
                EmailTags=[{"Name": name, "Value": value} for name, value in mail.tags.items()],
                ConfigurationSetName=self._events,
            )
        except ClientError as error:
            raise _translate(error, mail) from error
        except (EndpointConnectionError, ConnectTimeoutError) as error:
            raise MailOutOfReach("SES could not be reached") from error
        except BotoCoreError as error:
            raise MailOutcomeUnknown(type(error).__name__) from error
        return str(answer["MessageId"])


def ses_client() -> Any:
    """A client with connections of its own and no retries."""
    import boto3
    from botocore.config import Config

    config = Config(
        retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, max_pool_connections=CONNECTIONS
    )
    return boto3.session.Session().client("sesv2", config=config)


def _translate(error: Any, mail: Mail) -> Exception:
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    text = error.response.get("Error", {}).get("Message", "")
    if code in _THROTTLED or status == 429:
        # One code for both; SES's text is "Maximum sending rate exceeded" or "Daily message quota exceeded".
        return QuotaReached(code) if "daily" in text.lower() else MailThrottled(code)
    if code == "MessageRejected" and "not verified" in text:
        return _unverified(text, mail)
    if code in _STOPPED:
        return SendingStopped(code)
    if code in _REFUSED or 400 <= status < 500:
        return MailRefused(code)
    return MailOutcomeUnknown(code or str(status))


def _unverified(text: str, mail: Mail) -> Exception:
    """SES has one code for an unverified sender and, in its sandbox, an unverified recipient: its text names which."""
    _, sender = parseaddr(mail.sender)
    recipient_is_named = any(address.lower() in text.lower() for address in mail.to)
    if recipient_is_named and sender.lower() not in text.lower():
        return RecipientNotVerified("sandbox")
    return SendingStopped("sender not verified")

"""A mail as Amazon SES would write it, and what a mail program reads in it."""

from email import message_from_bytes, policy
from email.headerregistry import Address
from email.message import EmailMessage

from shared.mail.mailer import Mail

_BY_SES = {"MIME-Version", "Content-Type"}
_UNFOLDED = policy.SMTP.clone(max_line_length=998)  # where a line may be folded is for SES to say


def written(mail: Mail) -> bytes:
    """The mail on its way. A value with a line break in it is an error, as it is at SES."""
    message = EmailMessage(policy=_UNFOLDED)
    message["From"] = mail.sender
    message["To"] = ", ".join(mail.to)
    message["Reply-To"] = mail.reply_to
    message["Subject"] = mail.subject
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message.as_bytes()


def read(mail: Mail) -> EmailMessage:
    """What arrives; every header that we did not write is an error, and so is an address that we did not mean."""
    arrived = message_from_bytes(written(mail), policy=policy.default)
    assert isinstance(arrived, EmailMessage)
    expected = {"From", "To", "Reply-To", "Subject", *mail.headers, *_BY_SES}
    assert set(arrived.keys()) == expected
    assert len(arrived.keys()) == len(expected)
    assert addresses(arrived, "To") == list(mail.to)
    assert len(addresses(arrived, "From")) == 1
    assert len(addresses(arrived, "Reply-To")) == 1
    assert not arrived.defects
    for name in arrived:
        assert not arrived[name].defects, (name, arrived[name].defects)
    assert arrived["Subject"] == mail.subject
    return arrived


def addresses(message: EmailMessage, name: str) -> list[str]:
    """Whom a header names."""
    found: tuple[Address, ...] = message[name].addresses
    return [address.addr_spec for address in found]

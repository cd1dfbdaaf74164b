"""A mail as Amazon SES would write it, and what a mail program reads in it."""

from email import message_from_bytes, policy
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage

from shared.mail.mailer import Mail

_BY_SES = {"MIME-Version", "Content-Type"}


def written(mail: Mail) -> bytes:
    """The mail on its way: addresses and headers as we gave them, the subject encoded, and the two texts."""
    head = {
        "From": mail.sender,
        "To": ", ".join(mail.to),
        "Reply-To": mail.reply_to,
        "Subject": mail.subject if mail.subject.isascii() else Header(mail.subject, "utf-8").encode(linesep=""),
        **mail.headers,
    }
    body = EmailMessage(policy=policy.SMTP)
    body.set_content(mail.text)
    body.add_alternative(mail.html, subtype="html")
    # Line by line: Python's own writer takes encoded names apart, and loses their quotation marks.
    return "".join(f"{name}: {value}\r\n" for name, value in head.items()).encode("ascii") + body.as_bytes()


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

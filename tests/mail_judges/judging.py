"""What the judges from outside say of a mail: SpamAssassin, html-validate, caniemail."""

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import Any

from local.judges import HOME, node
from shared.mail.mailer import Mail

HERE = Path(__file__).parent
CLIENTS = ("gmail.*", "apple-mail.*", "outlook.*", "yahoo.*", "aol.*", "samsung-email.*")
"""What patients and staff of a practice in the US read mail with, as far as caniemail has tried everything on it."""


def as_delivered(mail: Mail) -> bytes:
    """The mail as SES makes and signs it off: our headers and parts, its own Date, Message-ID and Received lines."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = mail.sender, ", ".join(mail.to), mail.subject
    message["Reply-To"] = mail.reply_to
    message["Date"] = format_datetime(datetime(2026, 3, 9, 12, tzinfo=UTC))
    message["Message-ID"] = "<0100018e1234abcd-5f0c-4d6e-9a53-000000@email.amazonses.com>"
    for name, value in mail.headers.items():
        message[name] = value
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    received = (
        "Received: from a8-31.smtp-out.amazonses.com (a8-31.smtp-out.amazonses.com [54.240.8.31])\r\n"
        f"\tby mx.example.com with ESMTPS for <{parseaddr(mail.to[0])[1]}>; Mon, 9 Mar 2026 12:00:01 +0000\r\n"
    )
    return received.encode() + message.as_bytes()


def spamassassin() -> str | None:
    """Where SpamAssassin is, if it is here."""
    return shutil.which("spamassassin")


def spam_points(mails: dict[str, Mail]) -> dict[str, tuple[float, str]]:
    """SpamAssassin's points for each by its local rules, and the rules that gave them."""
    separator = b"From careloop@example.com Mon Mar  9 12:00:00 2026\n"
    mbox = b"".join(separator + _quoted(as_delivered(mail)) + b"\n" for mail in mails.values())
    command = [spamassassin() or "spamassassin", "--local", "--test-mode", "--mbox"]
    judged = subprocess.run(command, input=mbox, capture_output=True, check=True).stdout.decode(errors="replace")
    found = re.findall(r"^X-Spam-Status: \w+, score=(-?[\d.]+).*?tests=(.*?)\s+autolearn", judged, re.DOTALL | re.M)
    assert len(found) == len(mails), judged[:2000]
    return {name: (float(points), " ".join(rules.split())) for name, (points, rules) in zip(mails, found, strict=True)}


def _quoted(mail: bytes) -> bytes:
    return re.sub(rb"^(>*From )", rb">\1", mail.replace(b"\r\n", b"\n"), flags=re.M)


def complaints_about_html(pages: dict[str, str]) -> list[str]:
    """What html-validate finds in whole documents, by name."""
    script = """
        import {HtmlValidate, StaticConfigLoader} from "html-validate";
        const {config, pages} = JSON.parse(await new Response(process.stdin).text());
        const judge = new HtmlValidate(new StaticConfigLoader(config));
        const found = [];
        for (const [name, html] of Object.entries(pages))
          for (const result of (await judge.validateString(html, name)).results)
            for (const each of result.messages)
              found.push(`${name}:${each.line}:${each.column} ${each.ruleId}: ${each.message}`);
        process.stdout.write(JSON.stringify(found));
    """
    config = json.loads((HERE / "htmlvalidate.json").read_text())
    found: list[str] = _node(script, {"config": config, "pages": pages})
    return found


def unsupported(mails: dict[str, str]) -> dict[str, list[str]]:
    """What caniemail says the usual mail programs do not support, by feature: the mails and programs concerned."""
    script = """
        import {caniemail} from "caniemail";
        const {clients, mails} = JSON.parse(await new Response(process.stdin).text());
        const found = [];
        for (const [name, html] of Object.entries(mails)) {
          const {issues} = caniemail({clients, html});
          for (const [client, each] of issues.errors)
            for (const {title} of each) found.push([title, `${name} in ${client}`]);
        }
        process.stdout.write(JSON.stringify(found));
    """
    by_feature: dict[str, list[str]] = {}
    for feature, where in _node(script, {"clients": CLIENTS, "mails": mails}):
        by_feature.setdefault(feature, []).append(where)
    return by_feature


def _node(script: str, question: object) -> Any:
    command = [str(node()), "--input-type=module", "--eval", script]
    answer = subprocess.run(command, cwd=HOME, input=json.dumps(question), capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)

"""What a browser sees of the local stack: a landing page, the mailbox, and the patients' pages.

`/s/…` and `/u/…` go to the deployed API and come back unchanged: status, headers and body. Everything is read from the
emulator at each request, so nothing here can be out of date. Started by local/stack.py; standard library only.
"""

import http.client
import json
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_STYLE = """<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .4rem .8rem .4rem 0 }
tr { border-bottom: 1px solid #d7dee6 } dt { font-weight: 600; float: left; width: 5rem } dd { margin: 0 0 0 5rem }
iframe { width: 100%; height: 46rem; border: 1px solid #d7dee6 } pre { white-space: pre-wrap }
</style>"""
# Headers of one connection only (RFC 9110), and those that this server writes itself.
_NOT_FORWARDED = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"} | {
    "date",
    "server",
    "content-length",
}


class Front(ThreadingHTTPServer):
    """One local stack's front: knows the emulator's address, and the API's once the stack is deployed."""

    daemon_threads = True

    def __init__(self, endpoint: str, state: Path) -> None:
        """Listens on a free port of 127.0.0.1."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.emulator = endpoint.removeprefix("http://")
        self._state = state

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    def api_path(self) -> str | None:
        """The deployed API's path at the emulator; None while the stack is still being deployed."""
        try:
            stack = json.loads((self._state / "stack.json").read_text())
        except FileNotFoundError:
            return None
        return str(stack["patient_api_url"]).removeprefix(f"http://{self.emulator}")

    def mails(self) -> list[dict[str, Any]]:
        """Every mail since the start, oldest first."""
        connection = http.client.HTTPConnection(self.emulator, timeout=30)
        try:
            connection.request("GET", "/_ministack/ses/messages")
            sent = json.loads(connection.getresponse().read())["messages"]
        finally:
            connection.close()
        mails = [mail for account in sent.values() for mail in account]
        return [
            {
                "to": mail["To"],
                "from": mail["Source"],
                "subject": mail["Subject"],
                "text": mail["BodyText"],
                "html": mail["BodyHtml"] or "",
                "sent_at": datetime.fromtimestamp(mail["Timestamp"], UTC).isoformat(timespec="milliseconds"),
            }
            for mail in sorted(mails, key=lambda mail: mail["Timestamp"])
        ]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Pages of our own, or the API's."""
        path = self.path.partition("?")[0]
        if path.startswith(("/s/", "/u/")):
            self._forward()
        elif path == "/":
            self._page("Careloop on this machine", _landing(self.server.mails()))
        elif path in ("/mailbox", "/mailbox/"):
            self._page("Mailbox", _mailbox(self.server.mails()))
        elif path == "/mailbox/messages.json":
            self._answer(200, "application/json", json.dumps(self.server.mails()))
        elif path.startswith("/mailbox/"):
            self._mail(path.removeprefix("/mailbox/"))
        else:
            self._page("Not here", "<p>There is no such page.</p>", status=404)

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_POST(self) -> None:
        """Only the API takes forms."""
        if self.path.startswith(("/s/", "/u/")):
            self._forward()
        else:
            self._page("Not here", "<p>There is no such page.</p>", status=404)

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api = self.server.api_path()
        if api is None:
            self._page("Starting", "<p>The stack is being deployed.</p>", status=503)
            return
        kept = {name: value for name, value in self.headers.items() if name.lower() not in (*_NOT_FORWARDED, "host")}
        connection = http.client.HTTPConnection(self.server.emulator, timeout=60)
        try:
            connection.request(self.command, api + self.path, body=body or None, headers=kept)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _mail(self, rest: str) -> None:
        number, _, part = rest.partition("/")
        mails = self.server.mails()
        if not number.isdecimal() or not 1 <= int(number) <= len(mails) or part not in ("", "html", "text"):
            self._page("Not here", "<p>There is no such mail.</p>", status=404)
            return
        mail = mails[int(number) - 1]
        if part == "html":
            # As in a mail program, a link opens outside the frame that shows the mail.
            self._answer(200, "text/html", '<base target="_top">' + mail["html"])
        elif part == "text":
            self._answer(200, "text/plain", mail["text"])
        else:
            self._page(mail["subject"], _opened(number, mail))

    def _page(self, title: str, body: str, status: int = 200) -> None:
        head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        page = f'<!doctype html><html lang="en"><head>{head}<title>{escape(title)}</title>{_STYLE}</head>'
        self._answer(status, "text/html", f"{page}<body><main><h1>{escape(title)}</h1>{body}</main></body></html>")

    def _answer(self, status: int, kind: str, text: str) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the paths are links that open surveys."""


def _landing(mails: list[dict[str, Any]]) -> str:
    return f'<p><a href="/mailbox">Mailbox</a>: {len(mails)} mails.</p>'


def _mailbox(mails: list[dict[str, Any]]) -> str:
    if not mails:
        return "<p>No mail yet.</p>"
    rows = [
        f'<tr><td><a href="/mailbox/{number}">{escape(mail["subject"])}</a></td>'
        f"<td>{escape(', '.join(mail['to']))}</td><td>{_time(mail)}</td></tr>"
        for number, mail in enumerate(mails, start=1)
    ]
    return f"<table><tr><th>Subject</th><th>To</th><th>Sent</th></tr>{''.join(reversed(rows))}</table>"


def _opened(number: str, mail: dict[str, Any]) -> str:
    heads = {"From": mail["from"], "To": ", ".join(mail["to"]), "Sent": _time(mail)}
    shown = "".join(f"<dt>{name}</dt><dd>{escape(value)}</dd>" for name, value in heads.items())
    if mail["html"]:
        body = f'<iframe title="The mail" src="/mailbox/{number}/html"></iframe>'
        body += f'<p><a href="/mailbox/{number}/text">As plain text</a></p>'
    else:
        body = f"<pre>{escape(mail['text'])}</pre>"
    return f'<dl>{shown}</dl>{body}<p><a href="/mailbox">All mails</a></p>'


def _time(mail: dict[str, Any]) -> str:
    return format_datetime(datetime.fromisoformat(mail["sent_at"]))


def main() -> None:
    """`front.py ENDPOINT STATE`: say the address, then serve until ended."""
    endpoint, state = sys.argv[1:]
    front = Front(endpoint, Path(state))
    print(front.address, flush=True)
    front.serve_forever()


if __name__ == "__main__":
    main()

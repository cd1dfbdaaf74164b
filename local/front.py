"""What a browser sees of the local stack: a landing page, the mailbox, the patients' pages and the staff's.

`/s/…` and `/u/…` go to the deployed API and come back unchanged: status, headers and body; so does everything that is
asked of the second port, which is the staff's dashboard. Everything is read from the
emulator at each request, so nothing here can be out of date. The buttons' forms are taken from this server's own pages
only, so that no other site can press them. Started by local/stack.py.
"""

import http.client
import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import BoundedSemaphore, Thread
from typing import Any
from urllib.parse import parse_qs

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parent.parent)  # started by its path, so that nothing else is on it

from local import landing
from local.desk import Desk
from local.stack import StackFailed, read_stack
from local.template import load_template

_MAX_FORM = 1024
_AT_ONCE = 8  # the emulator starts a process for each request at the same time, and has no limit of its own
_LONGEST_WAIT = 20.0  # seconds, for one of those places
# What a page of this server may do: show its own style and frames, and send forms to itself. A mail may only be looked
# at, and its links opened.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
_MAIL_HEADERS = {
    "Content-Security-Policy": "sandbox allow-top-navigation-by-user-activation; default-src 'none';"
    " style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'",
}
# Headers of one connection only (RFC 9110), and those that this server writes itself.
_NOT_FORWARDED = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"} | {
    "date",
    "server",
    "content-length",
}


class Front(ThreadingHTTPServer):
    """One local stack's front: knows the emulator's address, and the APIs' once the stack is deployed."""

    daemon_threads = True
    request_queue_size = 128  # socketserver's five reset the connections of patients who answer at the same moment

    def __init__(self, endpoint: str, state: Path, handler: type[BaseHTTPRequestHandler]) -> None:
        """Listens on a free port of 127.0.0.1."""
        super().__init__(("127.0.0.1", 0), handler)
        self.emulator = endpoint.removeprefix("http://")
        self.places = BoundedSemaphore(_AT_ONCE)
        self._state = state

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"

    @cached_property
    def desk(self) -> Desk:
        """The deployed stack's desk; StackFailed while there is none."""
        return Desk(read_stack(self._state), self.mails)

    def zone(self) -> tzinfo:
        """The practice's time zone, once the stack is deployed."""
        return self.desk.zone if self.api_path() else UTC

    def api_path(self, api: str = "patient_api_url") -> str | None:
        """A deployed API's path at the emulator; None while the stack is still being deployed."""
        try:
            stack = json.loads((self._state / "stack.json").read_text())
        except FileNotFoundError:
            return None
        return str(stack[api]).removeprefix(f"http://{self.emulator}")

    @cached_property
    def busy_pages(self) -> dict[str, str]:
        """What each API's gateway answers with for a function that does not."""
        pages = load_template()["Mappings"]
        return {
            "patient_api_url": pages["GatewayPage"]["Busy"]["Html"],
            "staff_api_url": pages["StaffGatewayPage"]["Busy"]["Html"],
        }

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
    """One request to the patients' side."""

    server: Front
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Pages of our own, or the API's."""
        path = self.path.partition("?")[0]
        if path.startswith(("/s/", "/u/")):
            self._forward()
        elif path == "/":
            self._landing()
        elif path in ("/mailbox", "/mailbox/"):
            self._html(200, landing.mailbox(self.server.mails(), self.server.zone()))
        elif path == "/mailbox/messages.json":
            self._answer(200, "application/json", json.dumps(self.server.mails()))
        elif path.startswith("/mailbox/"):
            self._mail(path.removeprefix("/mailbox/"))
        else:
            self._message(404, "Not here", "There is no such page.")

    def do_HEAD(self) -> None:
        """As GET, without the body."""
        self.do_GET()

    def do_POST(self) -> None:
        """The API's forms, and the landing page's buttons."""
        if self.path.startswith(("/s/", "/u/")):
            self._forward()
        elif self.path.startswith("/do/"):
            self._act(self.path.removeprefix("/do/"))
        else:
            self._message(404, "Not here", "There is no such page.")

    def _landing(self) -> None:
        if self.server.api_path() is None:
            self._message(503, "Starting", "The stack is being deployed. Please come back in a few seconds.")
            return
        desk = self.server.desk
        self._html(200, landing.landing(desk.stack, desk.overview(), self.server.mails(), desk.last))

    def _act(self, action: str) -> None:
        """Do what a button says, then show the landing page; nothing for a form that another site sent."""
        length = self.headers.get("Content-Length", "")
        if not self._is_own_form() or not length.isdecimal() or int(length) > _MAX_FORM:
            self.close_connection = True  # what it wants to send is not read
            self._message(403, "Refused", "This form did not come from a page of this server.")
            return
        number = parse_qs(self.rfile.read(int(length)).decode("ascii", "replace")).get("number", ["1"])[0]
        if self.server.api_path() is None or not re.fullmatch("[1-9][0-9]?", number):
            self._message(400, "Not possible", "The stack is not up yet, or the form holds no number from 1 to 99.")
            return
        try:
            known = self.server.desk.act(action, int(number))
        except StackFailed as failure:
            self._message(502, "It did not work", str(failure))
            return
        if known:
            self._answer(303, "text/plain", "", {"Location": "/#done"})
        else:
            self._message(404, "Not here", "There is no such button.")

    def _is_own_form(self) -> bool:
        host = self.headers.get("Host", "")
        own = {f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")}
        return host in own and self.headers.get("Origin", f"http://{host}") == f"http://{host}"

    def _forward(self, to: str = "patient_api_url") -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        api = self.server.api_path(to)
        if api is None:
            self._message(503, "Starting", "The stack is being deployed. Please come back in a few seconds.")
            return
        if not self.server.places.acquire(timeout=_LONGEST_WAIT):
            self._busy(429, to)
            return
        kept = {name: value for name, value in self.headers.items() if name.lower() not in (*_NOT_FORWARDED, "host")}
        connection = http.client.HTTPConnection(self.server.emulator, timeout=60)
        try:
            connection.request(self.command, api + self.path, body=body or None, headers=kept)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self._busy(504, to)
            return
        finally:
            connection.close()
            self.server.places.release()
        if answer.status >= 500 and not answer.getheader("Content-Type", "").startswith("text/html"):
            self._busy(answer.status, to)
            return
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _busy(self, status: int, api: str) -> None:
        """What API Gateway answers with when a function does not; the emulator leaves its pages out."""
        self._answer(status, "text/html", self.server.busy_pages[api])

    def _mail(self, rest: str) -> None:
        number, _, part = rest.partition("/")
        mails = self.server.mails()
        if not number.isdecimal() or not 1 <= int(number) <= len(mails) or part not in ("", "html", "text"):
            self._message(404, "Not here", "There is no such mail.")
            return
        mail = mails[int(number) - 1]
        if part == "html":
            # As in a mail program, a link opens outside the frame that shows the mail.
            self._answer(200, "text/html", '<base target="_top">' + mail["html"], _MAIL_HEADERS)
        elif part == "text":
            self._answer(200, "text/plain", mail["text"])
        else:
            self._html(200, landing.opened(number, mail, self.server.zone()))

    def _message(self, status: int, title: str, text: str) -> None:
        self._html(status, landing.message(title, text))

    def _html(self, status: int, page: str) -> None:
        self._answer(status, "text/html", page, _HEADERS)

    def _answer(self, status: int, kind: str, text: str, headers: Mapping[str, str] = _HEADERS) -> None:
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the paths are links that open surveys."""


class StaffHandler(Handler):
    """One request to the staff's side: an origin of its own, as on AWS."""

    def do_GET(self) -> None:
        """The dashboard's."""
        self._forward("staff_api_url")

    def do_POST(self) -> None:
        """The dashboard's."""
        self._forward("staff_api_url")


def main() -> None:
    """`front.py ENDPOINT STATE`: say both addresses, then serve until ended."""
    endpoint, state = sys.argv[1:]
    patients, staff = (Front(endpoint, Path(state), handler) for handler in (Handler, StaffHandler))
    print(patients.address, staff.address, flush=True)
    Thread(target=staff.serve_forever, daemon=True).start()
    patients.serve_forever()


if __name__ == "__main__":
    main()

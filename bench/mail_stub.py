"""A mail provider that takes its time and remembers who was mailed, whatever becomes of the sender."""

import http.client
import json
import socketserver
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Lock
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class MailStub:
    """Where it listens, and what it has taken so far."""

    url: str

    @property
    def mails(self) -> int:
        """How many mails it has taken."""
        return int(self._ask("/mails"))

    @property
    def received(self) -> Counter[str]:
        """How many mails each address got."""
        return Counter(self._ask("/received"))

    def _ask(self, path: str) -> Any:
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=60)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def mail_stub(rate: float, seconds_a_mail: float) -> Iterator[MailStub]:
    """An Amazon SES of this rate without a daily quota, in a process of its own."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(rate, seconds_a_mail, theirs), daemon=True)
    process.start()
    try:
        yield MailStub(f"http://127.0.0.1:{ours.recv()}")
    finally:
        process.terminate()
        process.join()


def _serve(rate: float, seconds_a_mail: float, parent: Connection) -> None:
    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 256

        def handle_error(self, request: object, client_address: object) -> None:
            """Nothing: senders are killed in the middle of a request."""

    with Server(("127.0.0.1", 0), _handler(rate, seconds_a_mail)) as server:
        parent.send(server.server_address[1])
        server.serve_forever()


def _handler(rate: float, seconds_a_mail: float) -> type[BaseHTTPRequestHandler]:
    received, lock = Counter[str](), Lock()
    account = {"SendingEnabled": True, "SendQuota": {"Max24HourSend": -1, "MaxSendRate": rate, "SentLast24Hours": 0}}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would meet the delayed acknowledgement
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            with lock:
                found = {
                    "/v2/email/account": account,
                    "/mails": received.total(),
                    "/received": received,
                }[self.path]
                body = json.dumps(found).encode()
            self._answer(body)

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:  # taken before it is answered: whoever dies in between has sent it
                received.update(request["Destination"]["ToAddresses"])
            time.sleep(seconds_a_mail)
            self._answer(b'{"MessageId": "0100018e-stub"}')

        def _answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: it would take time."""

    return Handler

"""A DynamoDB that answers at once: what a caller spends is then its own, and not a table's."""

import json
import socketserver
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

Answers = dict[str, dict[str, Any]]
"""What comes back for `UpdateItem Surveys`: an operation, and the table where there is one."""


@contextmanager
def table_stub(answers: Answers) -> Iterator[str]:
    """Its address, while it runs in a process of its own; a request that it has no answer for gets an empty one."""
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(answers, theirs), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


def environment(endpoint: str) -> dict[str, str]:
    """What sends every AWS call of a process there."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def _serve(answers: Answers, parent: Connection) -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _handler(answers)) as server:
        server.daemon_threads = True
        parent.send(server.server_address[1])
        server.serve_forever()


def _handler(answers: Answers) -> type[BaseHTTPRequestHandler]:
    ready = {name: json.dumps(answer).encode() for name, answer in answers.items()}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would meet the delayed acknowledgement
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            target = self.headers["X-Amz-Target"]
            operation = target.partition(".")[2] if target else self.path  # Amazon SES names what is asked by the path
            body = ready.get(f"{operation} {request.get('TableName', '')}", b"{}")
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: it would take time."""

    return Handler

"""A user pool's token endpoint that behaves: a code works once, for its own verifier and address."""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.handlers.dashboard import NOW


@dataclass
class UserPool:
    """Stands where the deployed pool would: on this machine, over plain HTTP."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)  # what a test wants to be different in the token
    broken: bool = False
    asked: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def sign_in(self, authorize: str) -> str:
        """Somebody gives their password on the page at this address; the query of the way back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(authorize).query).items()}
        assert (asked["response_type"], asked["code_challenge_method"], asked["prompt"]) == ("code", "S256", "login")
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return f"code={code}&state={asked['state']}"

    def exchange(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """The token endpoint."""
        self.asked += 1
        if self.broken:
            return 503, {}
        asked = self._codes.get(form["code"])
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        given = (form["client_id"], form["redirect_uri"], challenge.rstrip("="))
        if asked is None or given != (asked["client_id"], asked["redirect_uri"], asked["code_challenge"]):
            return 400, {"error": "invalid_grant"}
        del self._codes[form["code"]]
        return 200, {"id_token": self.token(asked), "access_token": "x", "refresh_token": "x"}

    def token(self, asked: dict[str, str]) -> str:
        """An ID token of somebody who gave their password a moment ago."""
        moment = int(NOW.timestamp())
        claims = {
            "sub": "user-1",
            "iss": "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_Staff",
            "aud": asked["client_id"],
            "token_use": "id",
            "nonce": asked["nonce"],
            "auth_time": moment - 5,
            "exp": moment + 3600,
            "email": "robin@example.com",
            "name": "Robin Reyes",
            "cognito:groups": ["clinic_admin"],
            "custom:clinics": "north; south",
            **self.claims,
        }
        parts = ({"alg": "RS256"}, {name: value for name, value in claims.items() if value is not None})
        packed = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
        return ".".join([*packed, "signature"])


@contextmanager
def running_user_pool() -> Iterator[UserPool]:
    """A pool that answers on a free port."""
    pool = UserPool()

    class Endpoint(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            status, answer = pool.exchange({name: values[0] for name, values in parse_qs(body).items()})
            content = json.dumps(answer).encode()
            self.send_response(status if self.path == "/oauth2/token" else 404)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    pool.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield pool
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

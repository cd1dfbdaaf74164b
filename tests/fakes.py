"""Stand-ins that behave: a mailer that keeps what it was given and fails when told to."""

from collections.abc import Callable
from threading import Lock

from shared.mail.mailer import Mail


class FakeMailer:
    """Keeps every mail; `fails` may raise instead, seeing the mail."""

    def __init__(self, fails: Callable[[Mail], None] | None = None) -> None:
        self.sent: list[Mail] = []
        self.fails = fails
        self._lock = Lock()

    def send(self, mail: Mail) -> str:
        """Keep the mail and name it."""
        if self.fails:
            self.fails(mail)
        with self._lock:
            self.sent.append(mail)
            return f"ses-{len(self.sent)}"

    def to(self, address: str) -> list[Mail]:
        """What this address received."""
        return [mail for mail in self.sent if address in mail.to]


class FakeContext:
    """A Lambda context with time left."""

    def __init__(self, request_id: str = "run-1", seconds_left: float = 300) -> None:
        self.aws_request_id = request_id
        self.seconds_left = seconds_left

    def get_remaining_time_in_millis(self) -> int:
        """What Lambda would say."""
        return int(self.seconds_left * 1000)

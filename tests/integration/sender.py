"""One send run in a process of its own, which a test may kill: `python -m tests.integration.sender TIME MINUTES RATE`.

TIME is the as-of, MINUTES how far this host's clock is ahead, RATE the mails a second. The environment is that of the
deployed function.
"""

import json
import os
import sys
from datetime import UTC, datetime, timedelta

from functions.send_survey.handler import handler
from functions.send_survey.pace import Limits
from tests.fakes import FakeContext


def main(as_of: str, minutes: str, rate: str) -> None:
    """Run, and print what the run returns."""
    ahead = timedelta(minutes=int(minutes))
    result = handler(
        {"time": as_of},
        FakeContext(f"process-{os.getpid()}"),
        limits=lambda: Limits(float(rate), None),
        now=lambda: datetime.now(UTC) + ahead,
    )
    sys.stdout.write(json.dumps({"result": result}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`make resume`: say why patients get no mail, and let sending go on if Careloop had stopped it.

Does what the button on the dashboard's first page does, on the stack of this machine or (STACK=name) on one in AWS
with the shell's own credentials.
"""

import argparse
import getpass
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from local.deployed import Deployed, find
from local.stack import StackFailed
from shared.domain.clock import format_instant
from shared.domain.sending_health import SendingState, is_silent
from shared.domain.staff import Role, Staff
from shared.storage import sending_health


def resume(stack: Deployed, now: datetime) -> Iterator[str]:
    """Let sending go on, noted in the settings' changes under the name of who asked for it; what was done, in words."""
    if stack.access:
        os.environ.pop("AWS_PROFILE", None)
    os.environ.update(stack.access)
    os.environ.update({"SETTINGS_TABLE": stack.names["SettingsTable"], "ACTIVITY_TABLE": stack.names["ActivityTable"]})
    state = sending_health.state()
    if state.stopped is None:
        yield "Sending was not stopped by Careloop: nothing was changed."
    else:
        fates = state.stopped.fates
        yield (
            f"Sending had been stopped since {format_instant(state.stopped.since)}: "
            f"{state.stopped.reason.replace('_', ' ')} ({fates.sent:,} sent, {fates.bounced:,} bounced, "
            f"{fates.complained:,} marked as spam)."
        )
        somebody = Staff("", f"{getpass.getuser()} (make resume)", "", Role.OWNER)
        if sending_health.resume(state.stopped, somebody, now):
            yield "It goes on with the next run, within ten minutes and in sending hours. Counting starts anew."
        else:
            yield "Somebody else changed that a moment ago: please look again."
    yield from _what_else(state, now)


def _what_else(state: SendingState, now: datetime) -> Iterator[str]:
    if state.paused:
        yield (
            f"{state.paused.by} switched sending off on {format_instant(state.paused.since)}: an owner switches it on "
            "again on the dashboard, under Settings: Sending."
        )
    if state.refused:
        yield (
            f"Amazon SES has taken no mail since {format_instant(state.refused.since)}: "
            f"{state.refused.reason.replace('_', ' ')}. Its console says what it wants; sending then goes on by itself."
        )
    if state.silent_since and is_silent(state.silent_since, now):
        yield f"No delivery event has come in of mail that left since {format_instant(state.silent_since)}."


def main() -> int:
    """The command line; 1 when there is no stack."""
    parser = argparse.ArgumentParser(description="Let sending to patients go on.")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    try:
        for line in resume(find(arguments.stack), datetime.now(UTC)):
            print(line)
    except (StackFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

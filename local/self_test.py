"""`make self-test`: take all of the nightly self-test now, and see each step: survey, answer, alert, case, figures.

For right after deploying, on the stack of this machine or (STACK=name) on one in AWS with the shell's own credentials.
A made-up patient at the mailbox simulator of Amazon SES is asked and answers; nobody at the practice hears of it, and
nothing of it is left. Sender and count run as their schedules would run them by now: what is due to patients leaves.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from botocore.exceptions import BotoCoreError, ClientError

from functions.self_test.promises import PromiseBroken, StaffNotAlerted, SurveyNotSent
from local.deployed import Deployed, FunctionFailed, find
from local.stack import StackFailed
from shared.domain.clock import format_instant
from shared.domain.self_test import SURVEY_ID
from shared.domain.survey import Reaction

TRIES, PAUSE = 40, 3.0  # seconds: a sender may be at work already, and the stream of answers takes a moment
PROMISES = {promise.__name__: str(promise.__doc__) for promise in PromiseBroken.__subclasses__()}
NOT_TRIED = {
    "sending_is_switched_off": "Sending to patients is switched off, so nothing can be tried. Switch it on first.",
    "sending_stopped_itself": "Sending has stopped itself. The dashboard's first page says why, and lets it go on.",
    "daily_cap_reached": "As many mails have left today as the practice allows in a day. Try again tomorrow (UTC).",
    "not_begun": "Another self-test took this one's place, maybe tonight's own. Try again in an hour.",
}

Show = Callable[[str], None]


class NotPassed(Exception):
    """Something is broken, or nothing could be tried; the message says what, in plain words."""


def self_test(
    stack: Deployed,
    show: Show,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Take every step, in order; NotPassed ends it, and leaves what there is to be looked at until the next."""

    def run(function: str, **step: str) -> str:
        """Run a function now; the name of the promise that it found broken, if it did."""
        try:
            result = stack.run(function, {"time": format_instant(now()), **step})
        except ClientError as error:
            raise NotPassed(_in_words(function, error.response["Error"]["Code"])) from None
        except FunctionFailed as failure:
            promise = str(failure).partition(" ")[0]
            if promise not in PROMISES:
                raise NotPassed(f"{function} failed: {failure}. Its log says more.") from None
            return promise
        if reason := result.get("not_tried"):
            raise NotPassed(NOT_TRIED[reason])
        return ""

    def is_alert_owed() -> bool:
        key = {"survey_id": {"S": SURVEY_ID}}
        row = stack.client("dynamodb").get_item(TableName=stack.names["SurveysTable"], Key=key, ConsistentRead=True)
        return str(row.get("Item", {}).get("pending_reaction", {}).get("S", "")).startswith(Reaction.ALERT)

    _expect(run("SelfTestFunction", step="begin"))
    show("A survey to a made-up patient is due.")
    for _ in range(TRIES):
        run("SendSurveyFunction")
        broken = run("SelfTestFunction", step="answer")
        if broken != SurveyNotSent.__name__:
            break
        sleep(PAUSE)
    _expect(broken)
    show("It was mailed, opened at the public address, and answered there.")
    for _ in range(TRIES):
        if not is_alert_owed():
            break
        sleep(PAUSE)
    else:
        raise NotPassed(str(StaffNotAlerted.__doc__))
    show("The answer was heard of by itself.")
    run("AggregateScoresFunction")
    _expect(run("SelfTestFunction", step="check"))
    show("The alert was mailed, a case opened, and the answer counted once. Nothing of all this is left.")


def _in_words(function: str, code: str) -> str:
    """Why AWS did not start a function."""
    if code == "TooManyRequestsException":
        return (
            f"AWS held {function} back: too much runs in this account at the moment, or somebody gave the function no "
            "room at all (a reserved concurrency of 0). `make doctor` says whether it may run. See "
            "docs/runbook.md#throttles, then try again."
        )
    if code == "ResourceNotFoundException":
        return f"{function} is not there any more. `make doctor` says what that means and what to do."
    if code in ("AccessDeniedException", "AccessDenied"):
        return f"These AWS credentials may not start {function} (lambda:InvokeFunction). Try again as somebody who may."
    return (
        f"AWS could not start {function} ({code}). Try again in a minute; else see docs/runbook.md, A function fails."
    )


def _expect(broken: str) -> None:
    if broken:
        raise NotPassed(PROMISES[broken])


def main() -> int:
    """The command line; 1 when there is no stack, or when the test did not pass."""
    parser = argparse.ArgumentParser(description="Take the nightly self-test now.")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    arguments = parser.parse_args()
    try:
        self_test(find(arguments.stack), lambda line: print(line, flush=True))
    except (NotPassed, StackFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    print("Passed.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Checks of whether the parts of the stack still lead to each other, and as often as they should."""

from collections.abc import Iterator
from collections.abc import Mapping as Table

from shared.health.facts import Mapping, Schedule, Uninvited
from shared.health.findings import Check, Said, broken, ok

JOINED = "Parts lead to each other"
_STARTS = {
    "s3.amazonaws.com": "Uploaded files are read an hour late, by the sweep.",
    "events.amazonaws.com": "Bounces and spam complaints go unnoticed: the same bad addresses are mailed again.",
    "apigateway.amazonaws.com": "Its pages open with an error: answers, opt-outs or the dashboard do not work.",
}


def invitations(found: tuple[Uninvited, ...]) -> Iterator[Said]:
    """Whether each function may be started by what starts it."""
    for each in found:
        yield broken(
            f"{each.service} may not start {each.function} any more.",
            _STARTS[each.service],
            f"Whoever looks after AWS opens {each.function} in AWS Lambda, Configuration, Permissions, and lets "
            f"{each.service} invoke it again, as infra/template.yaml and AWS SAM describe it (`aws lambda "
            "add-permission`). Deploying again does not mend it.",
        )
    if not found:
        yield ok("Every function may be started by what starts it.")


def times(found: tuple[Schedule, ...], wanted: Table[str, str]) -> Iterator[Said]:
    """Whether each schedule starts its own function, as often as the release wants it."""
    well = True
    for each in found:
        if each.is_on is None:
            continue  # a finding of its own
        name, want = f"The schedule {each.name} of {each.function}", wanted.get(f"{each.function}{each.name}")
        if not each.leads:
            well = False
            yield broken(
                f"{name} starts something else.",
                f"{each.function} does not run by itself, and what is late or left over is not caught up.",
                f"Whoever looks after AWS opens it in Amazon EventBridge, Schedules, and makes {each.function} its "
                "target.",
            )
        if want is not None and each.expression != want:
            well = False
            yield broken(
                f"{name} comes at {each.expression}, and should at {want}.",
                f"{each.function} runs at other times than the rest of Careloop counts on: too seldom is too late, "
                "too often costs.",
                f"Whoever looks after AWS opens it in Amazon EventBridge, Schedules, and sets {want}, UTC. If the "
                "finding Version says that this folder is of another release, look with the one that is deployed.",
            )
    if well:
        yield ok("Every schedule starts its own function, as often as it should.")


def stream(arn: str, found: tuple[Mapping, ...]) -> Iterator[Said]:
    """Whether a changed survey is told of, to those who listen."""
    deaf = [each.function for each in found if each.state and each.stream != arn]
    means = "What follows an answer, alerts above all, comes a quarter of an hour to an hour late, by the sweep."
    if not arn:
        yield broken(
            "The stream of the table of surveys is switched off.",
            means,
            "Whoever looks after AWS turns it on (Amazon DynamoDB, the table, Exports and streams, New image). It is a "
            "new stream then: look with the doctor once more, and do what it says.",
        )
    elif deaf:
        yield broken(
            f"What wakes {' and '.join(deaf)} hears a stream that the table of surveys does not write any more.",
            means,
            "Whoever looks after AWS opens each in AWS Lambda, Triggers, adds the table of surveys with the filter and "
            "the numbers of the old trigger, and deletes the old one.",
        )
    else:
        yield ok("A survey that changes is told of to who reacts to it.")


CHECKS = (
    Check(JOINED, "Permission to start", ("uninvited",), "Files, news of mail or pages may lead nowhere.", invitations),
    Check(JOINED, "Times and targets", ("schedules", "times_here"), "What runs by itself may come too seldom.", times),
    Check(JOINED, "Stream of answers", ("stream", "mappings"), "Staff may hear late of unhappy patients.", stream),
)

"""Sending: the pace, and what a mail takes of the processor

The pace is simulated: the sender's own run loop, delivery and pace on a clock of their own, between tables and a mail
provider with latencies, long tails, stalls and lost answers, drawn from a fixed seed. The provider takes so many mails
in any one second and refuses the rest. `Sustained` begins two seconds after the last sender, when each has found out
how many messages to have in hand, and ends when the first has hardly any left.

CPU time is measured, of this process, with tables and a provider that answer at once from a process of their own; the
floor is boto3's SendEmail of the same mail.
"""

import itertools
import os
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from bench.figure import Figure
from bench.stub import environment, table_stub
from bench.timing import Pairs, cpu_seconds, side_by_side
from tests.environment import ENVIRONMENT

RUNS = ((14, 1, 60), (200, 1, 20), (1000, 1, 10), (1000, 8, 10), (10_000, 16, 5))  # limit, senders, seconds
MAILS = 60  # a sample: long enough for the clock of CPU time
SURVEY_ID = "a" * 26
SENT = {"/v2/email/outbound-emails ": {"MessageId": "0100018e5f7a1c1b-0d6c1c1e-4c1b-4c0e-9d1c-1c1e4c1b4c0e-000000"}}


def measure() -> list[Figure]:
    """The pace at several limits, and CPU time of one mail without and with the tables' part of its sending."""
    os.environ.update(ENVIRONMENT)
    with table_stub({**SENT, **_rows()}) as endpoint, Path(os.devnull).open("w") as nothing, redirect_stdout(nothing):
        os.environ.update(environment(endpoint))
        return [*itertools.chain.from_iterable(_pace(*run) for run in RUNS), *_processor()]


def _pace(limit: int, senders: int, seconds: float) -> list[Figure]:
    from bench.simulated_sending import simulate

    outcome = simulate(limit, seconds, senders=senders)
    by = "one sender" if senders == 1 else f"{senders} senders"
    mails = f"{len(outcome.provider.arrivals):,} mails by {by}, {len(outcome.provider.refused)} refused as too many."
    return [
        Figure(
            f"sustained of {limit:,} a second, {by}",
            mails,
            outcome.sustained / limit,
            "× the limit",
            "count",
            target=0.95,
            too_much=0.85,
            at_least=True,
        ),
        Figure(
            f"most in any one second, of {limit:,}, {by}",
            "In any window of a second, wherever it begins, as the mails arrive.",
            outcome.most_in_a_second,
            "mails",
            "count",
            target=limit,
        ),
    ]


def _processor() -> list[Figure]:
    from bench.simulated_sending import MONDAY_NOON, a_situation
    from functions.send_survey import delivery
    from functions.send_survey.pace import Pace
    from shared.domain.patient import Patient
    from shared.mail.mailer import SesMailer, ses_client

    no_wait = Pace(1000, itertools.count().__next__, lambda _: None)
    mailer, key = SesMailer(), b"k" * 64
    sender = delivery.Sender(MONDAY_NOON, lambda: MONDAY_NOON, mailer, no_wait, "https://care.example.com", key)
    person = Patient("p", email="p@example.com", first_name="Ada", clinic_id="north")
    situation = a_situation(SURVEY_ID, person)

    def letter() -> Any:
        return delivery._letter(situation, person, "a" * 52, sender.public_url, sender.key)

    def deliver() -> None:
        result = delivery.deliver(situation, sender)
        if result.outcome != "sent":
            raise RuntimeError(str(result))

    bare = _bare_send(ses_client(), letter())
    return [
        _figure(
            "a mail: CPU",
            "Its text and HTML made from the templates, and handed to Amazon SES; against a bare SendEmail.",
            _in_turn(lambda: mailer.send(letter()), bare),
            (1.5, 2.5),
        ),
        _figure(
            "a mail with its claim and all writes: CPU",
            "One transaction, four updates, two puts and a read of the tables beside it; against a bare SendEmail.",
            _in_turn(deliver, bare),
            (None, None),
        ),
    ]


def _in_turn(subject: Callable[[], object], floor: Callable[[], object]) -> Pairs:
    def sample(work: Callable[[], object]) -> float:
        return cpu_seconds(lambda: [work() for _ in range(MAILS)]) / MAILS

    return side_by_side(lambda: sample(subject), lambda: sample(floor))


def _figure(name: str, what: str, pairs: Pairs, limits: tuple[float | None, float | None]) -> Figure:
    return Figure(
        name,
        what,
        pairs.measured * 1e6,
        "µs",
        "ratio",
        *limits,
        floor=pairs.floor * 1e6,
        ratio=pairs.ratio,
    )


def _bare_send(client: Any, mail: Any) -> Callable[[], object]:
    simple = {
        "Subject": {"Data": mail.subject, "Charset": "UTF-8"},
        "Body": {"Text": {"Data": mail.text, "Charset": "UTF-8"}, "Html": {"Data": mail.html, "Charset": "UTF-8"}},
        "Headers": [{"Name": name, "Value": value} for name, value in mail.headers.items()],
    }
    return lambda: client.send_email(
        FromEmailAddress=mail.sender,
        Destination={"ToAddresses": list(mail.to)},
        ReplyToAddresses=[mail.reply_to],
        Content={"Simple": simple},
        EmailTags=[{"Name": name, "Value": value} for name, value in mail.tags.items()],
        ConfigurationSetName="mail-events",
    )


def _rows() -> dict[str, dict[str, Any]]:
    """What the tables answer with: the items as they are after each step."""
    at = "2026-03-02T16:00:00Z"
    common = {"survey_id": SURVEY_ID, "patient_id": "p", "clinic_id": "north", "touchpoint": "evaluation"}
    moments = {"occurred_at": at, "due_at": at}
    message = {"message_id": f"{SURVEY_ID}-survey", "kind": "survey", "state": "calling", "lease_until": at, "due": "x"}
    survey = {"case_id": "c", "episode": "case:c", "visit_id": "v", "therapist_id": "t", "language": "en"}

    def item(**values: str) -> dict[str, Any]:
        return {name: {"S": value} for name, value in values.items()}

    return {
        "GetItem Patients": {"Item": item(patient_id="p", email="p@example.com", clinic_id="north")},
        "UpdateItem Messages": {"Attributes": {**item(**common, **moments, **message), "attempt": {"N": "1"}}},
        "UpdateItem Surveys": {"Attributes": item(**common, **moments, **survey)},
    }

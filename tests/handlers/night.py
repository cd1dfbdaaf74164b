"""One night of the self-test on moto: its own steps, and what runs between them."""

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import boto3

from functions.aggregate_scores.handler import handler as aggregate_scores
from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.self_test.browser import Page
from functions.self_test.handler import handler
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.track_delivery.handler import handler as track_delivery
from shared.domain.clock import format_instant
from shared.domain.self_test import EMAIL, SURVEY_ID
from shared.storage import kept
from tests.fakes import FakeContext, FakeMailer
from tests.hostile import gateway
from tests.ses_events import an_event

BEGUN = datetime(2026, 3, 5, 7, 30, tzinfo=UTC)
_runs = itertools.count()

Open = Callable[[str, dict[str, str] | None], Page]


@dataclass
class Night:
    """What happens in it, each at its time; `ask` is how the public address is reached."""

    begun: datetime = BEGUN
    mailer: FakeMailer = field(default_factory=FakeMailer)

    def begin(self) -> dict[str, str]:
        """07:30."""
        return self.step("begin", self.begun)

    def send(self, **limits: Any) -> Any:
        """The sender's next run, and what SES tells of the mail."""
        as_of, before = self.begun + timedelta(minutes=3), len(self.mailer.to(EMAIL))
        summary = send_survey(
            {"time": format_instant(as_of)},
            FakeContext(f"night-{next(_runs)}"),
            mailer=self.mailer,
            limits=lambda: Limits(rate=100, allowance=None, **limits),
            now=lambda: as_of,
            most_at_once=1,
        )
        for mail in self.mailer.to(EMAIL)[before:]:
            track_delivery(an_event("Delivery", dict(mail.tags), as_of), FakeContext(), now=lambda: as_of)
        return summary

    def answer(self, ask: Open | None = None) -> dict[str, str]:
        """07:58."""
        return self.step("answer", self.begun + timedelta(minutes=28), ask=ask)

    def alert(self) -> None:
        """The sweep of alerts; the stream would come sooner."""
        alert_staff({"time": format_instant(self.begun + timedelta(minutes=30))}, FakeContext(), mailer=self.mailer)

    def count(self) -> None:
        """08:15."""
        aggregate_scores({"time": format_instant(self.begun + timedelta(minutes=45))}, FakeContext())

    def check(self) -> dict[str, str]:
        """08:50."""
        return self.step("check", self.begun + timedelta(minutes=80))

    @property
    def stages(self) -> Iterable[Callable[[], object]]:
        """All of it, in order."""
        return (self.begin, self.send, self.answer, self.alert, self.count, self.check)

    def through(self) -> dict[str, str]:
        """The whole night; what the check says."""
        *before, last = self.stages
        for stage in before:
            stage()
        said: Any = last()
        return dict(said)

    def step(self, name: str, at: datetime, ask: Open | None = None) -> dict[str, str]:
        """One step, as a function that has just started."""
        kept.forget()
        told: dict[str, str] = handler(
            {"time": format_instant(at), "step": name}, FakeContext(), ask=ask or self.open, now=lambda: at
        )
        return told

    def open(self, url: str, form: dict[str, str] | None = None) -> Page:
        """The patients' pages, without a network."""
        method, body = ("GET", None) if form is None else ("POST", urlencode(form))
        answer = gateway.ask(method, url, {}, body, now=self.begun + timedelta(minutes=28))
        return Page(answer.status, answer.body)


def left() -> list[str]:
    """Where anything of the canary's stands."""
    tables = boto3.client("dynamodb")
    words = ("careloop-self-test", SURVEY_ID, "simulator.amazonses.com")
    return [
        name
        for name in tables.list_tables()["TableNames"]
        for item in tables.scan(TableName=name)["Items"]
        if any(word in repr(item) for word in words)
    ]

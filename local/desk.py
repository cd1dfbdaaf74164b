"""What the landing page shows of a running stack, and what its buttons do: everything through the stack's own doors."""

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit
from zoneinfo import ZoneInfo

from local.mail_events import configuration_set, ses_event, tell
from local.sample_answers import an_answer
from local.stack import Stack
from shared.domain.aggregate import FUNNEL, histogram
from shared.domain.clock import format_instant
from shared.domain.message import SHARDS, MessageKind
from shared.domain.patient import Language
from shared.domain.score import classify

SHOWN = timedelta(days=90)
MOST_ANSWERS = 50
_HAPPINESS = (0.68, 0.17)  # a little unhappier than the sample practice, so that an alert is seen soon
_REACTION_SECONDS = 5.0
_SURVEY_LINK = re.compile(r"https?://\S+?/s/([a-z2-7]{26})[a-z2-7]{26}")

Mail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers of the practice or of one clinic in the last ninety days, as the nightly job counted them."""

    name: str
    histogram: list[int]


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything that the landing page says of the stack."""

    practice: Scores
    clinics: list[Scores]
    funnel: dict[str, int]
    due: Counter[str]
    clock: datetime


@dataclass(frozen=True, slots=True)
class Done:
    """What a button did: the functions that ran, with what they returned."""

    title: str
    facts: list[str]
    returned: dict[str, Any] = field(default_factory=dict)


class Desk:
    """One running stack. The demo's clock starts as the machine's; letting a day pass moves it on."""

    def __init__(self, stack: Stack, mails: Callable[[], list[dict[str, Any]]]) -> None:
        self.stack = stack
        self.last: Done | None = None
        self._mails = mails
        self._ahead = timedelta()
        self._chance = random.Random(2026)
        self._one_at_a_time = threading.Lock()
        self._dynamodb = stack.client("dynamodb")
        deployed = stack.client("lambda").get_function_configuration(FunctionName=stack.functions["SendSurveyFunction"])
        self.zone = ZoneInfo(deployed["Environment"]["Variables"]["PRACTICE_TIME_ZONE"])

    def overview(self) -> Overview:
        """The state as the tables have it now."""
        names = self._clinic_names()
        by_scope = self._scores()
        scopes = {f"clinic#{clinic_id}": name for clinic_id, name in names.items()}
        scopes |= {scope: scope.partition("#")[2] for scope in by_scope if scope.startswith("clinic#")} | scopes
        whole = by_scope.get("practice", Counter())
        return Overview(
            practice=Scores("All clinics", histogram(whole)),
            clinics=[Scores(name, histogram(by_scope.get(scope, {}))) for scope, name in sorted(scopes.items())],
            funnel={stage: whole.get(stage, 0) for stage in FUNNEL},
            due=self._due(),
            clock=self.clock(),
        )

    def clock(self) -> datetime:
        """The moment that the scheduled functions are told, in the practice's zone."""
        return datetime.now(self.zone) + self._ahead

    def act(self, action: str, number: int) -> bool:
        """Do what a button says, one at a time, and keep what came of it for the page; False for no such button."""
        actions: dict[str, Callable[[], Done]] = {
            "send": self._send,
            "night": self._night,
            "answer": lambda: self._answer(min(number, MOST_ANSWERS)),
            "later": lambda: self._later(number),
        }
        if action not in actions:
            return False
        with self._one_at_a_time:
            self.last = actions[action]()
        return True

    def _send(self) -> Done:
        result = self._run_sender()
        return Done("What was due was sent", _told(result), {"SendSurveyFunction": result})

    def _night(self) -> Done:
        result = self._run("AggregateScoresFunction")
        changed = _count(result["surveys"], "survey")
        facts = [f"{changed} counted, {_count(result['rows'], 'row')} of scores written"]
        return Done("The nightly job ran", facts, {"AggregateScoresFunction": result})

    def _later(self, days: int) -> Done:
        self._ahead += timedelta(days=days)
        sent = self._run_sender()
        digest = self._run("SendDigestFunction")
        facts = [*_told(sent), f"digests to the staff of {_count(digest['clinics'], 'clinic')}"]
        title = "A day has passed" if days == 1 else f"{days} days have passed"
        return Done(title, facts, {"SendSurveyFunction": sent, "SendDigestFunction": digest})

    def _answer(self, number: int) -> Done:
        """Let patients open the link in their mail and send the form, as they would."""
        groups = Counter[str]()
        for link, language in self._unanswered():
            if groups.total() == number:
                break
            score, comment = an_answer(self._chance, _HAPPINESS, language)
            if _post(link, {"score": str(score), "comment": comment}) == 200:
                groups[classify(score)] += 1
        self._wait_for_reactions()
        title = f"{_count(groups.total(), 'patient')} answered"
        if not groups:
            return Done(title, ["every survey in the mailbox is answered: let a day pass, or send what is due"])
        facts = [_count(groups[group], group) for group in ("promoter", "passive", "detractor") if groups[group]]
        return Done(title, [*facts, "the scores above count them after the nightly job"], {"answers": dict(groups)})

    def _unanswered(self) -> Iterator[tuple[str, Language]]:
        """The survey links in the mailbox that nobody answered yet, the latest mail first."""
        seen = set[str]()
        for mail in reversed(self._mails()):
            match = _SURVEY_LINK.search(mail["text"])
            if match and match[1] not in seen:
                seen.add(match[1])
                if not self._is_answered(match[1]):
                    yield match[0], Language.SPANISH if 'lang="es"' in mail["html"][:200] else Language.ENGLISH

    def _is_answered(self, survey_id: str) -> bool:
        found = self._dynamodb.get_item(
            TableName=self.stack.tables["SurveysTable"],
            Key={"survey_id": {"S": survey_id}},
            ProjectionExpression="version",
        )
        return "version" in found.get("Item", {})

    def _wait_for_reactions(self) -> None:
        """Give the stream a moment, so that the page shows the alerts; they come anyway."""
        limit = time.monotonic() + _REACTION_SECONDS
        while time.monotonic() < limit and any(map(self._owed, ("alert", "alert review", "review"))):
            time.sleep(0.1)

    def _owed(self, reaction: str) -> int:
        found = self._dynamodb.query(
            TableName=self.stack.tables["SurveysTable"],
            IndexName="owed_reactions",
            KeyConditionExpression="pending_reaction = :reaction",
            ExpressionAttributeValues={":reaction": {"S": reaction}},
            Select="COUNT",
        )
        return int(found["Count"])

    def _run(self, function: str) -> Any:
        return self.stack.invoke(function, {"time": format_instant(self.clock())})

    def _run_sender(self) -> Any:
        """Send, and then tell of each survey what Amazon SES would, and the emulator does not: that it arrived."""
        before = len(self._mails())
        result = self._run("SendSurveyFunction")
        now, known_as = datetime.now(UTC), configuration_set(self.stack)
        for mail in self._mails()[before:]:
            if match := _SURVEY_LINK.search(mail["text"]):
                tags = {"message_id": f"{match[1]}-{MessageKind.SURVEY}", "survey_id": match[1]}
                arrived = ses_event("Delivery", tags, at=now, to=mail["to"][0], configuration_set=known_as)
                tell(self.stack, arrived, now)
        return result

    def _clinic_names(self) -> dict[str, str]:
        found = self._scan("SettingsTable", "begins_with(#scope, :clinic)", {":clinic": {"S": "clinic#"}}, "#scope")
        names = {item["scope"]["S"].removeprefix("clinic#"): item.get("name", {}).get("S", "") for item in found}
        return {clinic_id: name or clinic_id for clinic_id, name in names.items()}

    def _scores(self) -> dict[str, Counter[str]]:
        """The counts of the practice and of each clinic, added up."""
        values = {
            ":first": {"S": (datetime.now(UTC) - SHOWN).date().isoformat()},
            ":practice": {"S": "practice"},
            ":clinic": {"S": "clinic#"},
        }
        wanted = "#day >= :first AND (#scope = :practice OR begins_with(#scope, :clinic))"
        found: dict[str, Counter[str]] = {}
        for item in self._scan("ScoresTable", wanted, values, "#scope", "#day"):
            counts = {name: int(value["N"]) for name, value in item.items() if "N" in value}
            found.setdefault(item["scope"]["S"], Counter()).update(counts)
        return found

    def _scan(self, table: str, wanted: str, values: dict[str, Any], *names: str) -> Iterator[dict[str, Any]]:
        pages = self._dynamodb.get_paginator("scan").paginate(
            TableName=self.stack.tables[table],
            FilterExpression=wanted,
            ExpressionAttributeNames={name: name.removeprefix("#") for name in names},
            ExpressionAttributeValues=values,
        )
        return (item for page in pages for item in page["Items"])

    def _due(self) -> Counter[str]:
        found = Counter[str]()
        for shard in SHARDS:
            pages = self._dynamodb.get_paginator("query").paginate(
                TableName=self.stack.tables["MessagesTable"],
                IndexName="due",
                KeyConditionExpression="due = :due AND due_at <= :now",
                ExpressionAttributeValues={":due": {"S": shard}, ":now": {"S": format_instant(self.clock())}},
            )
            found.update(item["kind"]["S"] for page in pages for item in page["Items"])
        return found


def _told(result: Mapping[str, Any]) -> list[str]:
    """A run of the sender in words."""
    facts = [f"{_count(result['sent'], 'mail')} sent"]
    for reason, number in sorted(result["deferred"].items(), key=lambda reason: -reason[1]):
        facts.append(f"{number} waiting: {_REASONS.get(reason, reason)}")
    for reason, number in sorted(result["skipped"].items(), key=lambda reason: -reason[1]):
        facts.append(f"{number} never: {_REASONS.get(reason, reason)}")
    return facts


_REASONS = {
    "address_rest": "somebody else at that address was written to today",
    "answered": "answered already",
    "asked_before": "asked for a review before",
    "deceased": "deceased",
    "expired": "too old",
    "no_address": "no email address",
    "on_hold": "on hold",
    "opted_out": "opted out",
    "pause": "asked within the last ten days",
    "superseded": "a newer visit replaced it",
    "too_many_bounces": "sending has stopped: too many mails bounced, see the dashboard",
    "too_many_complaints": "sending has stopped: too many mails were marked as spam, see the dashboard",
    "withdrawn": "no longer a promoter, or the visit was withdrawn",
}


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _post(link: str, form: Mapping[str, str]) -> int:
    """Send a form as a browser does; the status of the answer."""
    parts = urlsplit(link)
    connection = http.client.HTTPConnection(parts.netloc, timeout=60)
    try:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", parts.path, body=urlencode(form), headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def kinds_due(due: Mapping[str, int]) -> list[tuple[str, int]]:
    """What is due, by kind, in words."""
    names = {MessageKind.SURVEY: "surveys", MessageKind.REMINDER: "reminders", MessageKind.REVIEW: "review requests"}
    return [(name, due.get(kind, 0)) for kind, name in names.items()]


def to_json(returned: Mapping[str, Any]) -> str:
    """What the functions returned, as it came."""
    return json.dumps(returned, indent=2)

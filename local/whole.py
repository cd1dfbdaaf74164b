"""A stack as a whole, for what moves everything from one to another: tables, key, and whether it is at rest."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.carried import Carrying
from local.deployed import Deployed
from local.tables import NAMES, Digest, Item, Table, digest
from shared.domain.clock import format_instant
from shared.domain.identity import message_id
from shared.domain.message import MessageKind

CARRIED = ("Messages", *(name for name in NAMES if name not in ("Messages", "Surveys")), "Surveys")
"""In this order: a patient's pause follows from messages, and what became of a survey as well."""
JOURNAL = {"scope": {"S": "restore"}}
"""The row of Settings that says what is being brought in, or was."""
RESTORED_AT = "RESTORED_AT"
LAST_RUN = timedelta(minutes=10)  # as long as a run may last that began just before sending was switched off


class CannotRestore(Exception):
    """Nothing was changed, or it can be gone on with; the message says which, and what to do."""


@dataclass(frozen=True)
class Whole:
    """Its name as people know it, and its parts."""

    name: str
    parts: Deployed

    def client(self, service: str) -> Any:
        """A client of one AWS service."""
        return self.parts.client(service)

    def table(self, name: str) -> Table:
        """One of its tables."""
        return Table.of(self.client("dynamodb"), self.parts.names[f"{name}Table"])

    def parameter(self, name: str) -> str:
        """A parameter as it was deployed."""
        [told] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        return next((each["ParameterValue"] for each in told["Parameters"] if each["ParameterKey"] == name), "")

    def sends(self, now: datetime) -> bool:
        """Whether mail to patients may leave: neither the stack's parameter nor, long enough ago, an owner ended it."""
        [told] = self.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"]
        if told["StackStatus"] == "DELETE_COMPLETE" or self.parameter("SendingPaused") == "true":
            return False
        state = self.table("Settings").find([{"scope": {"S": "mail#state"}}])
        ended = format_instant(now - LAST_RUN)
        return not any("paused_at" in row and row["paused_at"]["S"] <= ended for row in state.values())

    def switched_off(self) -> str:
        """What is left to do if the switch of sending came along and is off; empty if it is on."""
        state = self.table("Settings").find([{"scope": {"S": "mail#state"}}])
        if not any({"paused_at", "stopped_at"} & row.keys() for row in state.values()):
            return ""
        return (
            "LAST OF ALL: sending is switched off there, as it was before, and no deployment changes that. Once it is "
            f"to send, switch it on in the dashboard of {self.name}: Settings, Sending."
        )

    def must_be_at_rest(self) -> None:
        """CannotRestore unless nothing leaves and nothing runs by itself here."""
        if self.parameter("SendingPaused") != "true" or self.parameter("SchedulesEnabled") != "false":
            raise CannotRestore(
                f"{self.name} is not at rest, so it might mail patients from half a backup. Deploy it with "
                "SendingPaused=true and SchedulesEnabled=false. Nothing was changed."
            )

    def must_be_empty(self) -> None:
        """CannotRestore if anything is kept here."""
        for name in NAMES:
            if any(not is_lock(item) for page in self.table(name).pages() for item in page):
                raise CannotRestore(f"{self.name} is not empty: its {name} hold something. Nothing was changed.")

    def journal(self) -> Item | None:
        """The row that says what is being brought in here, or was."""
        return next(iter(self.table("Settings").find([JOURNAL]).values()), None)

    def note(self, facts: Item) -> Item:
        """Write more into that row; returns what was added."""
        self.client("dynamodb").update_item(
            TableName=self.parts.names["SettingsTable"],
            Key=JOURNAL,
            UpdateExpression="SET " + ", ".join(f"#{name} = :{name}" for name in facts),
            ExpressionAttributeNames={f"#{name}": name for name in facts},
            ExpressionAttributeValues={f":{name}": value for name, value in facts.items()},
        )
        return facts

    def close_the_past(self, moment: str) -> None:
        """Let no survey leave that was due until then: another stack may have sent it."""
        self.client("dynamodb").update_item(
            TableName=self.parts.names["SettingsTable"],
            Key={"scope": {"S": "practice"}},
            UpdateExpression="SET #name = :moment",
            ExpressionAttributeNames={"#name": RESTORED_AT},
            ExpressionAttributeValues={":moment": {"S": moment}},
        )

    def put_secret(self, secret: str) -> None:
        """Make ids here as they were made elsewhere: with another key every touchpoint would look new."""
        if secret != self.secret():
            name = self.parts.names["HashKey"]
            self.client("secretsmanager").put_secret_value(SecretId=name, SecretString=secret)

    def erase_again(self) -> str:
        """Remove whoever was erased before, and say how far that is."""
        counted = self.parts.run("ErasePatientFunction", {"again": True})
        return f"Erased patients do not come back: {counted['erased']:,} done, {counted['in_progress']:,} under way."

    def carried(self, name: str, pairs: list[tuple[Item | None, Item | None]], carrying: Carrying) -> list[Item]:
        """What rows are to be here, each as it was and as it stands today; those of messages are here already."""
        found = list[Item | None]()
        letters = self._letters([then or live or {} for then, live in pairs]) if name == "Surveys" else {}
        for then, live in pairs:
            survey = (then or live or {}).get("survey_id", {}).get("S", "")
            found.append(carrying.row(name, then, live, letters.get(survey)))
        return [row for row in found if row is not None]

    def _letters(self, surveys: list[Item]) -> dict[str, Item]:
        """The survey mails of these surveys, by survey."""
        wanted = [{"message_id": {"S": message_id(item["survey_id"]["S"], MessageKind.SURVEY)}} for item in surveys]
        return {item["survey_id"]["S"]: item for item in self.table("Messages").find(wanted).values()}

    def put_rows(self, name: str, pages: Iterable[list[Item]]) -> bool:
        """Write rows that are not there yet; whether everything is as it should be then, read again and compared."""
        table, expected = self.table(name), Digest()
        for rows in pages:
            table.put_new(rows)
            for row in rows:
                if (counts := _to_compare(name, row)) is not None:
                    expected.add(counts)
        return digest(table, lambda item: _to_compare(name, item)) == expected

    def secret(self) -> str:
        """What ids are hashed with."""
        told: str = self.client("secretsmanager").get_secret_value(SecretId=self.parts.names["HashKey"])["SecretString"]
        return told


def is_lock(item: Item) -> bool:
    """Whether it is the lock of a scheduled run: those come and go."""
    return str(item.get("scope", {}).get("S", "")).startswith("run#")


def _to_compare(name: str, item: Item) -> Item | None:
    """What of a row must arrive as it was written: reactions to a survey may begin at once."""
    if name == "Surveys":
        return {attribute: value for attribute, value in item.items() if attribute != "pending_reaction"}
    if name == "Settings" and (is_lock(item) or item["scope"] == JOURNAL["scope"]):
        return None
    counts = {attribute: value for attribute, value in item.items() if attribute != RESTORED_AT}
    return None if counts == {"scope": {"S": "practice"}} else counts

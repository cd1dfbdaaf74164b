"""`make restore`: everything as it was at one moment, in another stack, without mailing anybody twice.

AWS keeps every table's past of 35 days. This has each table of the stack FROM restored beside it, as of AT, copies it
into the empty tables of the stack TO, carries forward what must not be forgotten (local/carried.py), compares item by
item, and removes what it made on the way. TO was deployed at rest and stays so: no mail leaves by itself. Whatever is
interrupted goes on with the same command, and once it is done the same command brings what has come into FROM since
(local/since.py). docs/backup.md leads through it, and says which rights it takes.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from functions.serve_dashboard import user_pool
from local.carried import ERASED, Carrying
from local.deployed import FunctionFailed, in_aws
from local.since import bring, let_in_again
from local.tables import NAMES, Item, Table, as_text, saying
from local.whole import CARRIED, CannotRestore, Whole
from shared.domain import intake
from shared.domain.clock import format_instant, parse_instant
from shared.domain.identity import erased_reference

Show = Callable[[str], None]
MOST_HOURS, LOOK_SECONDS = 8, 20
UNDER_WAY = timedelta(hours=1)  # an import


@dataclass(frozen=True)
class Wish:
    """What was asked for. `at` may be `latest`."""

    at: str
    sent_is_unknown: bool = False
    is_rehearsal: bool = False
    invite: bool = False


@dataclass(frozen=True)
class Restore:
    """One restore, from its first step or from wherever it was interrupted."""

    source: Whole
    target: Whole
    wish: Wish
    show: Show
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> bool:
        """Do all that is left to do; False if not everything arrived as it should."""
        self._check_stacks()
        found = self.target.journal()
        if found and "finished_at" in found:
            return self._bring_since(found)
        self.target.must_be_at_rest()
        journal = self._journal(found)
        at, began_at = journal["at"]["S"], journal["began_at"]["S"]
        self.show(f"Restoring {self.source.name} as it was at {at} into {self.target.name}.")
        made = self._beside(began_at)
        if "copied_at" not in journal:
            self.target.put_secret(self.source.secret())
            self._copy_files(intake.ERASED)
            copied = self._copy_tables(made, at, began_at)
            if copied is None:
                return False
            journal |= copied
        if journal["sent_is_unknown"]["BOOL"]:
            self.target.close_the_past(began_at)
        self.show(self.target.erase_again())
        self._copy_files(intake.REPORTS, intake.REJECTED)
        if not self.wish.is_rehearsal:
            self._take_in_again(parse_instant(at))
        self._staff()
        self._remove(made)
        self.target.note({"finished_at": {"S": format_instant(self.now())}})
        for line in self._what_next(journal):
            self.show(line)
        return True

    def _bring_since(self, journal: Item) -> bool:
        """Bring what has come into the former stack since then, however often, also while the new one is in use."""
        if (_said(journal, "from"), _said(journal, "wanted")) != (self.source.name, self.wish.at):
            raise CannotRestore(
                f"{self.target.name} was filled already, at {journal['finished_at']['S']}, and from another stack or "
                "moment. With the same FROM and AT, what has come there since is brought. Nothing was changed."
            )
        if journal["rehearsal"]["BOOL"]:
            raise CannotRestore(f"{self.target.name} was a rehearsal: nothing is brought to it. Nothing was changed.")
        last = _said(journal, "brought_at") or _said(journal, "copied_at")
        self.show(f"{self.target.name} was restored already. Of what has come into {self.source.name} since {last}:")
        began_at = format_instant(self.now())
        if not bring(self.source, self.target, self.show):
            self.show("NOT ALL OF IT: some was just being changed. Run the same command again.")
            return False
        self.target.note({"brought_at": {"S": began_at}})
        self.show(_AGAIN.format(former=self.source.name))
        if left := self.target.switched_off():
            self.show(left)
        return True

    # ---- Before anything is written ---------------------------------------------------------------------

    def _check_stacks(self) -> None:
        if self.source.parts.names["PatientsTable"] == self.target.parts.names["PatientsTable"]:
            raise CannotRestore("FROM and TO are the same stack: deploy an empty one first (docs/backup.md, step 2).")
        if self.source.sends(self.now()) and not self.wish.is_rehearsal:
            raise CannotRestore(
                f"{self.source.name} still sends. What it sends from now on the restored stack would send again. "
                "Switch its sending off (dashboard: Settings, Sending) and wait ten minutes for what is under way; or, "
                "to rehearse only, add REHEARSAL=yes. Nothing was changed."
            )

    def _journal(self, found: Item | None) -> Item:
        """The row that says what is under way: this restore's, or a new one if the target is empty."""
        if found and "wanted" not in found:
            raise CannotRestore(f"An archive is being brought into {self.target.name}. Nothing was changed.")
        if found:
            wanted = (self.source.name, self.wish.at, self.wish.is_rehearsal, self.wish.sent_is_unknown)
            begun = (found["from"]["S"], found["wanted"]["S"], found["rehearsal"]["BOOL"], found["unknown"]["BOOL"])
            if wanted != begun:
                raise CannotRestore(
                    f"Another restore was begun in {self.target.name}: FROM={begun[0]} AT={begun[1]}. Go on with that "
                    "one, with the same options, or deploy a further empty stack. Nothing was changed."
                )
            self.show("Going on with the restore that was begun.")
            return found
        self.target.must_be_empty()
        return self.target.note(
            {
                "from": {"S": self.source.name},
                "wanted": {"S": self.wish.at},
                "rehearsal": {"BOOL": self.wish.is_rehearsal},
                "unknown": {"BOOL": self.wish.sent_is_unknown},
                "at": {"S": self._moment()},
                "began_at": {"S": format_instant(self.now())},
            }
        )

    def _moment(self) -> str:
        """The moment that was asked for; CannotRestore if any table's past does not reach it."""
        first, last = list[datetime](), list[datetime]()
        for name in NAMES:
            table = self.source.parts.names[f"{name}Table"]
            told = self.source.client("dynamodb").describe_continuous_backups(TableName=table)
            past = told["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
            if past.get("PointInTimeRecoveryStatus") != "ENABLED":
                raise CannotRestore(
                    f"AWS keeps no past of {table}: point-in-time recovery is off. Nothing was changed."
                )
            first.append(past["EarliestRestorableDateTime"].astimezone(UTC))
            last.append(past["LatestRestorableDateTime"].astimezone(UTC))
        if self.wish.at == "latest":
            return format_instant(min(last))
        at = parse_instant(self.wish.at)
        if not max(first) <= at <= min(last):
            span = f"{format_instant(max(first))} to {format_instant(min(last))}"
            raise CannotRestore(f"AT is not within what AWS keeps: {span}. Nothing was changed.")
        return format_instant(at)

    # ---- Tables -----------------------------------------------------------------------------------------

    def _beside(self, began_at: str) -> dict[str, Table]:
        """The tables that AWS restores into, which are there only for as long as this takes."""
        stamp = parse_instant(began_at).strftime("%Y%m%d%H%M%S")
        return {
            name: replace(self.target.table(name), name=f"{self.target.name}-restore-{name}-{stamp}") for name in NAMES
        }

    def _copy_tables(self, made: dict[str, Table], at: str, began_at: str) -> Item | None:
        """What to note once all tables are copied and compared; None if any did not arrive as it should."""
        for name, restored in made.items():
            self._begin(name, restored, at)
        self._wait_for(made)
        is_unknown, let_in = self._sent_is_unknown(made["Messages"]), frozenset(let_in_again(self.source))
        carrying = Carrying(began_at, is_unknown, self.wish.is_rehearsal, let_in=let_in)
        wrong = [name for name in CARRIED if not self._copy(name, made[name], carrying)]
        if wrong:
            self.show(f"NOT AS IT SHOULD BE: {', '.join(wrong)}. Nothing is mailed. Run the same command again.")
            return None
        return self.target.note(
            {
                "copied_at": {"S": format_instant(self.now())},
                "sent_is_unknown": {"BOOL": carrying.sent_is_unknown},
                "mails_unknown": {"N": str(carrying.unknown)},
            }
        )

    def _begin(self, name: str, restored: Table, at: str) -> None:
        """Have AWS restore a table; nothing if an interrupted run did so."""
        described = restored.dynamodb.describe_table(TableName=self.target.parts.names[f"{name}Table"])["Table"]
        key = described.get("SSEDescription", {}).get("KMSMasterKeyArn")
        encryption = {"Enabled": True, "SSEType": "KMS", "KMSMasterKeyId": key}
        with suppress(restored.dynamodb.exceptions.TableAlreadyExistsException):
            restored.dynamodb.restore_table_to_point_in_time(
                SourceTableName=self.source.parts.names[f"{name}Table"],
                TargetTableName=restored.name,
                RestoreDateTime=parse_instant(at),
                BillingModeOverride="PAY_PER_REQUEST",
                **({"GlobalSecondaryIndexOverride": []} if "GlobalSecondaryIndexes" in described else {}),
                **({"SSESpecificationOverride": encryption} if key else {}),
            )

    def _wait_for(self, made: dict[str, Table]) -> None:
        began, said = self.now(), -1
        while True:
            ready = sum(_is_there(table) for table in made.values())
            if ready != said:
                self.show(f"AWS has restored {ready} of {len(made)} tables; this takes minutes to hours.")
                said = ready
            if ready == len(made):
                return
            if self.now() - began > timedelta(hours=MOST_HOURS):
                raise CannotRestore(
                    f"AWS is not done after {MOST_HOURS} hours. Run the same command again: it goes on."
                )
            self.sleep(LOOK_SECONDS)

    def _remove(self, made: dict[str, Table]) -> None:
        for table in made.values():
            with suppress(table.dynamodb.exceptions.ResourceNotFoundException):
                if table.dynamodb.describe_table(TableName=table.name)["Table"].get("DeletionProtectionEnabled"):
                    table.dynamodb.update_table(TableName=table.name, DeletionProtectionEnabled=False)
                table.dynamodb.delete_table(TableName=table.name)
        self.show("The tables that were made on the way are removed.")

    def _sent_is_unknown(self, restored: Table) -> bool:
        """Whether mails since then are unknown: by what was asked, or since the former table lost rows itself."""
        if self.wish.sent_is_unknown:
            return True
        key, live, patients = (
            self.source.secret().encode(),
            self.source.table("Messages"),
            self.source.table("Patients"),
        )
        lost = 0
        for page in restored.pages():
            stands = live.find(page)
            gone = [item for item in page if as_text(live.key(item)) not in stands]
            marks = [{"patient_id": {"S": ERASED + erased_reference(key, item["patient_id"]["S"])}} for item in gone]
            erased = patients.find(list({as_text(mark): mark for mark in marks}.values()))
            lost += sum(as_text(mark) not in erased for mark in marks)
        if lost:
            self.show(f"{lost:,} mails are missing in {self.source.name}: what was sent since cannot be known from it.")
        return lost > 0

    def _copy(self, name: str, restored: Table, carrying: Carrying) -> bool:
        """Whether the table's rows are there, as they are to be."""
        rows = self._rows(name, restored, self.source.table(name), carrying)
        is_right = self.target.put_rows(name, saying(name, rows, self.show))
        self.show(f"  {name}: {'as it should be' if is_right else 'WITH DIFFERENCES'}")
        return is_right

    def _rows(self, name: str, restored: Table, live: Table, carrying: Carrying) -> Iterator[list[Item]]:
        for page in restored.pages():
            stands = live.find(page)
            yield self.target.carried(name, [(item, stands.get(as_text(live.key(item)))) for item in page], carrying)
        for page in live.pages():
            stood = restored.find(page)
            new = [item for item in page if as_text(live.key(item)) not in stood]
            yield self.target.carried(name, [(None, item) for item in new], carrying)

    # ---- What else there is -----------------------------------------------------------------------------

    def _copy_files(self, *folders: str) -> None:
        for folder in folders:
            copied = [self._copy_file(item["Key"]) for item in self._files(folder)]
            if copied:
                self.show(f"{len(copied):,} files of {folder} are copied.")

    def _take_in_again(self, at: datetime) -> None:
        """Put the files that came since then where the new stack reads them, oldest first; twice changes nothing.

        Those of the hour before as well: their import may have been under way.
        """
        found = [item for folder in (intake.INCOMING, intake.SETTINGS) for item in self._files(folder)]
        since = sorted(
            (item for item in found if item["LastModified"] >= at - UNDER_WAY), key=lambda item: item["LastModified"]
        )
        for item in since:
            self._copy_file(item["Key"])
        self.show(f"{len(since):,} files that came since then are being taken in again.")

    def _files(self, folder: str) -> Iterator[Any]:
        bucket = self.source.parts.names["IntakeBucket"]
        for page in self.source.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder):
            yield from page.get("Contents", ())

    def _copy_file(self, key: str) -> str:
        place = {"Bucket": self.source.parts.names["IntakeBucket"], "Key": key}
        self.target.client("s3").copy_object(Bucket=self.target.parts.names["IntakeBucket"], Key=key, CopySource=place)
        return key

    def _staff(self) -> None:
        """Passwords and authenticator apps cannot be taken along: everybody is invited anew."""
        os.environ["USER_POOL_ID"] = self.source.parts.names["StaffPool"]
        wanted = [person for person in user_pool.people() if person.role and person.is_enabled]
        os.environ["USER_POOL_ID"] = self.target.parts.names["StaffPool"]
        there = {person.email for person in user_pool.people()}
        missing = [person for person in wanted if person.email not in there]
        for person in missing:
            scope = f" of {', '.join(person.clinics)}" if person.clinics else ""
            if self.wish.invite:
                user_pool.invite(person)
            done = "was invited" if self.wish.invite else "is to be invited"
            self.show(f"  {person.name}, {person.email}, {person.role}{scope}, {done}")

    def _what_next(self, journal: Item) -> Iterator[str]:
        yield f"\n{self.target.name} is restored, and at rest: nothing is mailed."
        if unknown := int(journal["mails_unknown"]["N"]):
            yield f"{unknown:,} mails were due and may have left since: they are never sent."
        if journal["sent_is_unknown"]["BOOL"]:
            yield f"No survey that was due before {journal['began_at']['S']} will be sent: it may have been."
        if self.wish.is_rehearsal:
            yield "This was a rehearsal: look at its dashboard, then delete it (docs/backup.md, Rehearse)."
            return
        yield "What is left to do stands in docs/backup.md, from step 4 on: look, invite, move the names, let it send."
        yield _AGAIN.format(former=self.source.name)
        if left := self.target.switched_off():
            yield left


_AGAIN = (
    "RUN THE SAME COMMAND AGAIN right before it sends, and then each day for as long as mailed links lead to {former}: "
    "it brings the opt-outs, complaints, erasures and answers that have come there since."
)


def _said(journal: Item, name: str) -> str:
    return str(journal.get(name, {}).get("S", ""))


def _is_there(table: Table) -> bool:
    told = table.dynamodb.describe_table(TableName=table.name)["Table"]
    return bool(told["TableStatus"] == "ACTIVE" and not told.get("RestoreSummary", {}).get("RestoreInProgress"))


def _is_moment(text: str) -> bool:
    try:
        return text == "latest" or bool(parse_instant(text))
    except ValueError:
        return False


def main() -> int:
    """The command line; 1 with a message if it could not be done."""
    parser = argparse.ArgumentParser(description="Restore a stack, as it was at a moment, into an empty one.")
    parser.add_argument("source", help="the stack to restore")
    parser.add_argument("target", help="the empty stack, deployed at rest")
    parser.add_argument("at", help="a moment such as 2026-11-21T10:00:00Z, or latest")
    parser.add_argument(
        "--sent-unknown", action="store_true", help="what the former stack sent cannot be known from it"
    )
    parser.add_argument("--rehearsal", action="store_true", help="the former stack goes on: the new one never sends")
    parser.add_argument("--invite", action="store_true", help="mail everybody of the staff an invitation")
    arguments = parser.parse_args()
    if not (arguments.source and arguments.target and arguments.at):
        print("Which stack, into which, as of when? FROM=… TO=… AT=2026-11-21T10:00:00Z", file=sys.stderr)
        return 1
    if not _is_moment(arguments.at):
        print(f"AT is no moment such as 2026-11-21T10:00:00Z (UTC): {arguments.at}", file=sys.stderr)
        return 1
    wish = Wish(arguments.at, arguments.sent_unknown, arguments.rehearsal, arguments.invite)
    try:
        source, target = (Whole(name, in_aws(name)) for name in (arguments.source, arguments.target))
        is_well = Restore(source, target, wish, lambda line: print(line, flush=True)).run()
    except (CannotRestore, FunctionFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())

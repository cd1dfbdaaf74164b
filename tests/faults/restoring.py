"""Two stacks on moto, the former one with a past: what `make restore` works on.

No stand-in for DynamoDB keeps a past, so what AWS would restore is what was written down at that moment.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import boto3

from functions.erase_patient.handler import handler as erase_patient
from local.backup import Restore, Wish
from local.deployed import Deployed
from local.tables import NAMES, SESSIONS, Table
from local.whole import Whole
from shared.domain.clock import format_instant
from shared.storage import kept
from tests.fakes import FakeContext
from tests.faults.practice import Practice
from tests.handlers.staff_pool import FakeUserPool

AT_REST = {"SendingPaused": "true", "SchedulesEnabled": "false"}
KEY = "0" * 64


class Past:
    """DynamoDB with a past: what stood in the tables at one moment."""

    def __init__(self, practice: Practice) -> None:
        self.real, self.practice = boto3.client("dynamodb"), practice
        self.stood: dict[str, list[Any]] = {}
        self.restored: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def keep(self) -> datetime:
        """From now on, this moment can be restored."""
        self.stood = {name: list(items(name)) for name in NAMES}
        return self.practice.clock

    def describe_continuous_backups(self, **_: Any) -> Any:
        """As AWS, of every table."""
        now = self.practice.clock
        span = {"EarliestRestorableDateTime": now - timedelta(days=35), "LatestRestorableDateTime": now}
        past = {"PointInTimeRecoveryStatus": "ENABLED", **span}
        return {"ContinuousBackupsDescription": {"PointInTimeRecoveryDescription": past}}

    def restore_table_to_point_in_time(self, SourceTableName: str, TargetTableName: str, **_: Any) -> None:  # noqa: N803
        """As AWS, but at once."""
        if TargetTableName in self.real.list_tables()["TableNames"]:
            raise self.exceptions.TableAlreadyExistsException({}, "RestoreTableToPointInTime")
        self.restored.append(TargetTableName)
        with self.practice.gate.aside():
            make_table(SourceTableName, TargetTableName)
            for item in self.stood[SourceTableName.removeprefix("Old-")]:
                self.real.put_item(TableName=TargetTableName, Item=item)


class Parameters:
    """CloudFormation, as far as it is asked how a stack was deployed."""

    def __init__(self, **parameters: str) -> None:
        self.parameters = parameters

    def describe_stacks(self, StackName: str) -> Any:  # noqa: N803 (boto3's)
        """As AWS."""
        listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in self.parameters.items()]
        return {"Stacks": [{"StackStatus": "CREATE_COMPLETE", "Parameters": listed}]}


class Account:
    """Two stacks: the practice's tables become those of the former one, and it goes on in new, empty ones."""

    def __init__(self, practice: Practice) -> None:
        self.practice = practice
        self.past = Past(practice)
        self.pools = {"old": FakeUserPool(), "new": FakeUserPool()}
        self.said = list[str]()
        self.target_parameters = dict(AT_REST)

    def move(self) -> None:
        """The former stack is what was there; sending is off in it. The new one is empty, with a key of its own."""
        for name in (*NAMES, SESSIONS):
            make_table(name, f"Old-{name}")
            for item in items(name):
                self.past.real.put_item(TableName=f"Old-{name}", Item=item)
                self.past.real.delete_item(TableName=name, Key=Table.of(self.past.real, name).key(item))
        secrets, s3 = boto3.client("secretsmanager"), boto3.client("s3")
        secrets.create_secret(Name="old-hash-key", SecretString=KEY)
        secrets.put_secret_value(SecretId="hash-key", SecretString="9" * 64)
        s3.create_bucket(Bucket="old-intake")
        for item in s3.list_objects_v2(Bucket="intake").get("Contents", ()):
            s3.copy_object(Bucket="old-intake", Key=item["Key"], CopySource={"Bucket": "intake", "Key": item["Key"]})
            s3.delete_object(Bucket="intake", Key=item["Key"])
        kept.forget()

    @contextmanager
    def in_the_former(self) -> Iterator[None]:
        """Until the end of it, the practice's functions work in the former stack."""
        self._exchange()
        yield
        self._exchange()

    def _exchange(self) -> None:
        for name in NAMES:
            rows, former = list(items(name)), list(items(f"Old-{name}"))
            for place, theirs, ours in ((name, rows, former), (f"Old-{name}", former, rows)):
                for item in theirs:
                    self.past.real.delete_item(TableName=place, Key=Table.of(self.past.real, name).key(item))
                for item in ours:
                    self.past.real.put_item(TableName=place, Item=item)
        s3, found = boto3.client("s3"), {bucket: files(bucket) for bucket in ("intake", "old-intake")}
        for bucket, other in (("intake", "old-intake"), ("old-intake", "intake")):
            for key in found[bucket]:
                s3.delete_object(Bucket=bucket, Key=key)
            for key, body in found[other].items():
                s3.put_object(Bucket=bucket, Key=key, Body=body)
        kept.forget()

    def lose(self, *names: str) -> None:
        """Somebody empties these tables of the former stack."""
        for table in (Table.of(self.past.real, f"Old-{name}") for name in names):
            for item in items(table.name):
                self.past.real.delete_item(TableName=table.name, Key=table.key(item))

    def stack(self, name: str, prefix: str, parameters: dict[str, str]) -> Whole:
        """One of the two, as the command knows it."""
        names = {f"{table}Table": f"{prefix}{table}" for table in (*NAMES, SESSIONS)}
        lower = prefix.lower()
        names |= {"HashKey": f"{lower}hash-key", "IntakeBucket": f"{lower}intake", "StaffPool": name}
        clients = {
            "dynamodb": self.past,
            "cloudformation": Parameters(**parameters),
            "s3": boto3.client("s3"),
            "secretsmanager": boto3.client("secretsmanager"),
            "clock": lambda: self.practice.clock,
        }
        return Whole(name, Erasing(clients.__getitem__, names))

    def restore(self, at: datetime, **options: Any) -> bool:
        """`make restore`, as of now."""
        former = self.stack("old", "Old-", {"SendingPaused": options.pop("paused", "true")})
        new = self.stack("new", "", self.target_parameters)
        wish = Wish(format_instant(at), **options)
        done = Restore(former, new, wish, self.said.append, lambda: self.practice.clock, lambda _: None).run()
        kept.forget()
        return done


class Erasing(Deployed):
    """A stack of which one function is run: the one that erases."""

    def run(self, function: str, event: object) -> Any:
        """Run it in this process."""
        assert function == "ErasePatientFunction"
        return erase_patient(event, FakeContext(seconds_left=900), now=self.client("clock"))


def items(name: str) -> Iterator[Any]:
    """A table as it is."""
    yield from boto3.client("dynamodb").scan(TableName=name)["Items"]


def files(bucket: str) -> dict[str, bytes]:
    """What lies in a bucket."""
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", ())
    return {item["Key"]: s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}


def make_table(like: str, name: str) -> None:
    """An empty table with the same key."""
    client = boto3.client("dynamodb")
    schema = client.describe_table(TableName=like)["Table"]["KeySchema"]
    named = [{"AttributeName": key["AttributeName"], "AttributeType": "S"} for key in schema]
    client.create_table(TableName=name, KeySchema=schema, AttributeDefinitions=named, BillingMode="PAY_PER_REQUEST")

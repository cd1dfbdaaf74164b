"""Reads how what the practice knows is kept."""

import json

from shared.health import facts
from shared.health.findings import Gone
from shared.health.place import Place, known

NEVER_A_NEW_KEY = (
    "First stop all sending: dashboard, Settings, Sending; if that does not open, whoever looks after AWS disables the "
    "schedule of SendSurveyFunction (Amazon EventBridge, Schedules). Deploy nothing, and never make a new key: with "
    "one, patients are asked a second time about the same visits. Bring back the same key: it stands in hash-key.txt "
    "of an archive, and in the secret of a stack that was restored from this one (docs/backup.md). docs/runbook.md, "
    "Replace a secret, says how."
)


def tables(place: Place) -> tuple[facts.Table, ...]:
    """Every table of the stack."""
    return tuple(_table(place, logical, name) for logical, name in place.of_kind("AWS::DynamoDB::Table").items())


def _table(place: Place, logical: str, name: str) -> facts.Table:
    backups = known(place, "dynamodb", "describe_continuous_backups", TableName=name)
    described = known(place, "dynamodb", "describe_table", TableName=name)
    if backups is None or described is None:
        return facts.Table(logical.removesuffix("Table"), None, None)
    table, kept = described["Table"], backups["ContinuousBackupsDescription"]
    recovery = kept.get("PointInTimeRecoveryDescription", {}).get("PointInTimeRecoveryStatus")
    return facts.Table(
        logical.removesuffix("Table"), recovery == "ENABLED", table.get("DeletionProtectionEnabled", False)
    )


def versioning(place: Place) -> str:
    """Whether the intake bucket keeps earlier versions."""
    return str(place.client("s3").get_bucket_versioning(Bucket=place.name("IntakeBucket")).get("Status", ""))


def bucket(place: Place) -> facts.Bucket:
    """Whether the intake bucket can be opened to the public, and takes what comes in plain."""
    name = place.name("IntakeBucket")
    blocked = known(place, "s3", "get_public_access_block", Bucket=name) or {}
    switches = blocked.get("PublicAccessBlockConfiguration", {})
    policy = known(place, "s3", "get_bucket_policy", Bucket=name)
    only_tls = policy is not None and any(
        each["Effect"] == "Deny" and "aws:SecureTransport" in json.dumps(each.get("Condition", {}))
        for each in json.loads(policy["Policy"])["Statement"]
    )
    # The stand-in for AWS attaches no policy to a bucket.
    return facts.Bucket(len(switches) == 4 and all(switches.values()), None if place.is_local else only_tls)


def key(place: Place) -> str:
    """The state of the key that encrypts everything: the stack's, or the practice's own."""
    named = place.parameters.get("KmsKeyArn") or place.name("DataKey")
    return str(place.client("kms").describe_key(KeyId=named)["KeyMetadata"]["KeyState"])


def secret(place: Place) -> bool | Gone:
    """Whether the hash key waits to be deleted."""
    told = known(place, "secretsmanager", "describe_secret", SecretId=place.name("HashKey"))
    return Gone("The secret of the hash key", NEVER_A_NEW_KEY) if told is None else "DeletedDate" in told


def logs(place: Place) -> tuple[facts.Log, ...]:
    """Every log of the stack."""
    return tuple(_log(place, logical, name) for logical, name in place.of_kind("AWS::Logs::LogGroup").items())


def _log(place: Place, logical: str, name: str) -> facts.Log:
    listed = place.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    there = [each for each in listed if each["logGroupName"] == name]
    return facts.Log(logical, bool(there), there[0].get("retentionInDays") if there else None)

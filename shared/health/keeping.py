"""Checks of whether what the practice knows is safe: backups, keys, and how long logs are kept."""

from collections.abc import Iterator

from shared.health.facts import Bucket, Log, Table
from shared.health.findings import REPAIR, RESTORE, Check, Said, attention, broken, ok

SAFE = "Data is safe"


def backups(tables: tuple[Table, ...]) -> Iterator[Said]:
    """Whether every table can be brought back as it was at any minute of the last weeks."""
    gone = [table.name for table in tables if table.has_recovery is None]
    bare = [table.name for table in tables if table.has_recovery is False]
    if gone:
        yield broken(
            f"Not there any more: {', '.join(gone)}.",
            "What they held is not at hand: patients cannot be asked or answer.",
            RESTORE,
        )
    if bare:
        yield broken(
            f"No backup is kept of {', '.join(bare)} (point-in-time recovery is off).",
            "What is deleted or damaged there by mistake is lost for good.",
            "Whoever looks after AWS opens each in Amazon DynamoDB, Backups, and turns point-in-time recovery on.",
        )
    if not gone and not bare:
        yield ok(f"All {len(tables)} tables can be brought back as they were at any minute (point-in-time recovery).")


def protection(tables: tuple[Table, ...]) -> Iterator[Said]:
    """Whether a table cannot be deleted by a slip."""
    bare = [table.name for table in tables if table.is_protected is False]
    if bare:
        yield attention(
            f"Not protected from deletion: {', '.join(bare)}.",
            "One slip in the console removes them.",
            "Whoever looks after AWS opens each in Amazon DynamoDB, Additional settings, Deletion protection.",
        )
    else:
        yield ok("No table can be deleted by a slip.")


def versions(status: str) -> Iterator[Said]:
    """Whether an uploaded file that is overwritten or deleted can be brought back."""
    if status == "Enabled":
        yield ok("Files that are overwritten or deleted can be brought back for a day.")
    else:
        yield attention(
            f"The bucket of uploaded files keeps no earlier versions ({status.lower() or 'off'}).",
            "A file that is overwritten before it was read is lost.",
            "Whoever looks after AWS opens the bucket in Amazon S3, Properties, and enables versioning.",
        )


def bucket(found: Bucket) -> Iterator[Said]:
    """Whether uploaded files, which name patients, stay with the practice."""
    if not found.is_private:
        yield broken(
            "Nothing keeps the bucket of uploaded files from being opened to the public.",
            "One slip in the console, and anybody can read patients' names and visits.",
            "At once: whoever looks after AWS opens the bucket in Amazon S3, Permissions, Block public access, and "
            "switches all four on; AWS CloudTrail tells who switched them off.",
        )
    if found.only_tls is False:
        yield attention(
            "The bucket of uploaded files takes and gives files over connections that are not encrypted.",
            "A sender that is set up wrongly sends patients' names in the clear, and nothing refuses it.",
            "Whoever looks after AWS opens the bucket in Amazon S3, Permissions, Bucket policy, and enters the "
            "statement OnlyOverTls of IntakeBucketPolicy in infra/template.yaml.",
        )
    if found.is_private and found.only_tls is not False:
        yield ok("The bucket of uploaded files cannot be opened to the public by a slip.")


def key(state: str) -> Iterator[Said]:
    """Whether data can be read at all."""
    if state == "Enabled":
        yield ok("The key that the data is encrypted with is in use.")
    elif state == "PendingDeletion":
        yield broken(
            "The key that all data is encrypted with is waiting to be deleted.",
            "Nothing can be read or written now, and after the waiting time never again.",
            "At once: whoever looks after AWS opens AWS KMS, cancels the deletion and enables the key.",
        )
    else:
        yield broken(
            f"The key that all data is encrypted with is not in use ({state.lower()}).",
            "Nothing can be read or written: no surveys, no answers, no dashboard.",
            "Whoever looks after AWS opens AWS KMS and enables the key.",
        )


def secret(is_deleted: bool) -> Iterator[Said]:
    """Whether touchpoints and addresses are still recognised."""
    if is_deleted:
        yield broken(
            "The secret of the hash key is waiting to be deleted.",
            "With it, every touchpoint would look new and patients would be asked again.",
            "At once: whoever looks after AWS opens AWS Secrets Manager and cancels the deletion.",
        )
    else:
        yield ok("The hash key is there.")


def logs(found: tuple[Log, ...]) -> Iterator[Said]:
    """Whether logs are there and end some day."""
    gone = [log.name for log in found if not log.is_there]
    endless = [log.name for log in found if log.is_there and log.days is None]
    if gone:
        yield attention(f"Not there any more: {', '.join(gone)}.", "Nobody can see why a function failed.", REPAIR)
    if endless:
        yield attention(
            f"Kept for ever: {', '.join(endless)}.",
            "It costs more each month, and what is not kept cannot leak.",
            "Whoever looks after AWS opens each in Amazon CloudWatch, Log groups, and sets its retention to 90 days.",
        )
    if not gone and not endless:
        days = sorted({log.days for log in found if log.days})
        span = f"{days[0]} to {days[-1]}" if len(days) > 1 else "".join(map(str, days))
        yield ok(f"All {len(found)} logs are removed after {span} days.")


def settings(problem: str) -> Iterator[Said]:
    """Whether the practice's choices can be read."""
    if problem:
        yield broken(
            f"The practice's settings cannot be read: {problem}.",
            "Functions stop when they come to it: no surveys, no alerts.",
            "Correct it where it was changed: a parameter of the stack, or the row practice of the Settings table.",
        )
    else:
        yield ok("The practice's settings can be read.")


CHECKS = (
    Check(SAFE, "Settings", ("settings",), "Functions may stop.", settings),
    Check(SAFE, "Backups", ("tables",), "What is deleted by mistake may be lost.", backups),
    Check(SAFE, "Protection from deletion", ("tables",), "One slip may remove a table.", protection),
    Check(SAFE, "Earlier versions of files", ("versioning",), "An overwritten file may be lost.", versions),
    Check(SAFE, "Guard of files", ("bucket",), "Patients' names may be open to others.", bucket),
    Check(SAFE, "Key of the data", ("key",), "Nothing may be readable.", key),
    Check(SAFE, "Hash key", ("secret",), "Patients may be asked again about the same visits.", secret),
    Check(SAFE, "Logs", ("logs",), "Logs may be kept for ever, or be gone.", logs),
)

"""One file, from the bucket to the tables and back as a report, in as many invocations as it takes."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from tempfile import TemporaryFile
from typing import IO, Any, Protocol
from zoneinfo import ZoneInfo

from functions.import_visits import reserved
from functions.import_visits.checkpoint import MAX_ATTEMPTS, Checkpoint
from functions.import_visits.erased import Erased
from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import Outcome
from functions.import_visits.preview import Looking
from functions.import_visits.readers import recognise
from functions.import_visits.records import Context, ErasedMeanwhile, FileRefused, Reading, Refusal
from functions.import_visits.report import Report
from functions.import_visits.staging import Part, Staging
from functions.import_visits.storing import Storing
from functions.import_visits.turn import Turn, TurnLost
from functions.import_visits.upload import Found, Upload
from shared.domain.episode import ZoneOf
from shared.domain.intake import INCOMING, SETTINGS
from shared.hash_key import hash_key
from shared.observability import count, log
from shared.storage import settings
from shared.storage.settings import practice

KINDS_OF_SETTINGS = ("clinics", "intake")
SHOW_AFTER, SHOW_EVERY = timedelta(seconds=20), timedelta(seconds=10)
ROWS_BETWEEN_LOOKS = 500  # at the clock, while a file is read
STOPPED = (
    f"The import was stopped after {MAX_ATTEMPTS} attempts that got no further. What was stored stays. Upload the file "
    "again, or in parts, and tell whoever looks after Careloop."
)


class NoProgress(Exception):
    """Nothing got done in the invocation: going on at once would be for nothing."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """What one run of the function has to work with."""

    now: Callable[[], datetime]
    sleep: Callable[[float], None]
    has_time: Callable[[], bool]
    workers: Executor


class Job(Protocol):
    """What is done with the parts of a file: they are stored, or looked at."""

    def do(self, parts: Sequence[Part]) -> Iterable[Sequence[tuple[int, Outcome]]]:
        """Do parts of one phase, and say of each what its rows did."""

    def state(self) -> dict[str, Any]:
        """What was found so far, for another invocation to go on from."""

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from this state."""

    def findings(self) -> dict[str, Any]:
        """What the report says beside its counts."""


def import_object(upload: Upload, invocation: Invocation) -> dict[str, Any] | None:
    """Store what the object holds, every row once, and write the report; None if there is nothing to do.

    Status `in_progress` asks for another invocation, which goes on where this one stopped. Importing an object again
    changes nothing, and finishes what an import that was killed left undone.
    """
    if not upload.is_file:
        return None
    erased = Erased(upload.erased())
    while True:
        try:
            return _import_without(erased, upload, invocation)
        except ErasedMeanwhile as found:
            erased = Erased(erased.references | found.references)


def _import_without(erased: Erased, upload: Upload, invocation: Invocation) -> dict[str, Any] | None:
    """The same, refusing what the file says of those who were erased."""
    turn = Turn(upload.hashed_name, invocation.now, invocation.sleep)
    if not turn.take():
        log("already_running", object=upload.hashed_name)
        return None
    with Report(is_preview=upload.is_preview) as report:
        try:
            found = upload.find()
            if found is None:
                return _end_without(upload, report)
            findings = _work(upload, found, erased, report, turn, invocation)
            turn.prove()
        except TurnLost:
            log("turn_lost", object=upload.hashed_name)
            return None
        finally:
            turn.give_back()
        # Looked up once the turn is free: who uploads another version from now on finds it so.
        if findings is None or not upload.is_still(found.version):
            return report.summary() | {"status": "in_progress"}
        _publish(upload, report, findings)
        return report.summary()


def _work(
    upload: Upload, found: Found, erased: Erased, report: Report, turn: Turn, invocation: Invocation
) -> dict[str, Any] | None:
    """Do what is left of the file and say what was found; None if time ran out before the end."""
    progress = Checkpoint.of(upload, found.version, invocation.now())
    report.restore(progress.state.get("report", {}))
    if progress.attempts >= MAX_ATTEMPTS:
        found.body.close()
        report.refuse_file(FileRefused(STOPPED, line=0))
        return {}
    progress.attempts += 1
    progress.write(upload)
    tick = _ticker(upload, report, turn, progress, invocation)
    zone_of = _zones()
    job = _job(upload, found, zone_of, invocation)
    try:
        with TemporaryFile() as file, Staging() as staging:
            found.copy_to(file)
            _lay_out(_open(file, upload, zone_of), erased, staging, report, tick, invocation)
            rows = staging.rows + report.refused
            if progress.goes_on(staging.rows, report.refused):
                job.restore(progress.state["job"])
            else:
                report.restore({})
            for chunk, is_last in staging.chunks(progress.done):
                for part, outcomes in zip(chunk, job.do(chunk), strict=True):
                    report.count(outcomes, part.ends)
                    tick(rows)
                if is_last:
                    break
                progress.advance(chunk[-1].place, {"report": report.state(), "job": job.state()})
                progress.write(upload)
                if not invocation.has_time():
                    return None
    except FileRefused as refused:
        report.refuse_file(refused)
    return job.findings()


def _job(upload: Upload, found: Found, zone_of: ZoneOf, invocation: Invocation) -> Job:
    now, choices = invocation.now(), practice()
    follow_up = FollowUp(hash_key(), choices.touchpoints, choices.survey_delay, zone_of, now)
    if upload.is_preview:
        return Looking(found.uploaded_at, follow_up, invocation.workers)
    return Storing(found.uploaded_at, follow_up, invocation.workers)


def _open(file: IO[bytes], upload: Upload, zone_of: ZoneOf) -> Reading:
    reading = recognise(file, Context(zone_of, settings.read_intake_rules(), practice))
    is_setting = reading.kind in KINDS_OF_SETTINGS
    if is_setting != upload.key.startswith(SETTINGS) and not upload.is_preview:
        place = "This is accepted" if is_setting else "Clinics and the choices for intake alone are accepted"
        raise FileRefused(f"{place} under {SETTINGS}; patients and visits go to {INCOMING}.", reading.kind)
    return reading


def _lay_out(
    reading: Reading,
    erased: Erased,
    staging: Staging,
    report: Report,
    tick: Callable[[int], None],
    invocation: Invocation,
) -> None:
    report.begin(reading)
    for number, row in enumerate(reading.rows, start=1):
        if of_erased := erased.refuse(row):
            report.leave_out(of_erased)
        elif of_ours := reserved.refuse(row):
            report.refuse(of_ours)
        elif refusal := row if isinstance(row, Refusal) else staging.add(row):
            report.refuse(staging.hear(refusal))
        if number % ROWS_BETWEEN_LOOKS == 0:
            tick(number)
            if not invocation.has_time():
                raise NoProgress
    staging.close()


def _ticker(
    upload: Upload, report: Report, turn: Turn, progress: Checkpoint, invocation: Invocation
) -> Callable[[int], None]:
    """What is to be done every few seconds: keep the turn and, once it has taken a while, show how far it is."""
    shown_at = progress.began_at + SHOW_AFTER - SHOW_EVERY

    def tick(rows_read: int) -> None:
        nonlocal shown_at
        turn.keep()
        now = invocation.now()
        if now - shown_at >= SHOW_EVERY:
            upload.put_report(report.to_json(status="in_progress", rows_read=rows_read))
            shown_at = now

    return tick


def _end_without(upload: Upload, report: Report) -> dict[str, Any] | None:
    """The object was deleted: say so if the import had begun."""
    progress = Checkpoint.last(upload)
    if progress is None:
        return None
    report.restore(progress.state.get("report", {}))
    report.refuse_file(FileRefused("The file was deleted before all of it was taken in."))
    _publish(upload, report, {})
    return report.summary()


def _publish(upload: Upload, report: Report, findings: dict[str, Any]) -> None:
    """Write the report, and the refused rows beside it; what an earlier upload of the name had refused is corrected."""
    if not upload.is_preview:
        upload.put_rejected(report.rejected if report.kept else None, report.reasons if report.has_reasons else None)
        if report.wants_somebody:
            count("IntakeRefused")
    upload.put_report(report.to_json(**findings))
    upload.forget_unfinished()


def _zones() -> ZoneOf:
    """The clinics' time zones as they stand now, each read once."""

    @lru_cache(maxsize=1024)
    def zone_of(clinic_id: str) -> ZoneInfo:
        return settings.load_clinic(clinic_id).zone

    return zone_of

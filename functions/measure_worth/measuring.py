"""What the tables hold, as the measurement takes it in: days by each clinic's clock."""

from collections.abc import Callable
from datetime import date, timedelta
from functools import cache
from zoneinfo import ZoneInfo

from shared.domain.clock import parse_instant
from shared.domain.episode import VisitKind, VisitStatus
from shared.domain.score import Category
from shared.domain.worth import Answered, Measurement, Worth
from shared.observability import log
from shared.storage import settings, sweeps
from shared.storage.sweeps import Row

PROGRESS = 100_000  # rows between two lines in the log


def measure(today: date) -> dict[str, Worth]:
    """The figures of each clinic as of a practice-local day."""
    zone_of = _zones()
    answers = list[Answered]()
    sweeps.answers(lambda row: answers.append(_answered(row, zone_of)))
    reached = set[str]()
    sweeps.outreach(lambda row: reached.add(row["survey_id"]))
    measurement = Measurement.of(today, answers, reached)
    log("measuring", surveys=len(answers))
    rows = 0

    def take(row: Row) -> None:
        nonlocal rows
        rows += 1
        _take(measurement, row, zone_of)
        if rows % PROGRESS == 0:
            log("measuring", rows=rows)

    sweeps.care(take)
    return measurement.by_clinic()


def _zones() -> Callable[[str], ZoneInfo]:
    """Each clinic's zone, read once a run."""
    return cache(lambda clinic_id: settings.clinic(clinic_id).zone)


def _answered(row: Row, zone_of: Callable[[str], ZoneInfo]) -> Answered:
    return Answered(
        survey_id=row["survey_id"],
        patient_id=row["patient_id"],
        course=row["episode"],
        clinic_id=row["clinic_id"],
        group=Category(row["category"]),
        day=_day(row["answered_at"], zone_of(row["clinic_id"])),
    )


def _take(measurement: Measurement, row: Row, zone_of: Callable[[str], ZoneInfo]) -> None:
    """A case of care carries its closing, a visit everything else; what was removed or did not happen is nothing."""
    if row.get("removed"):
        return
    has_time = row.get("has_time", True)
    if "started_at" not in row:
        if "closed_at" in row:
            day = _day(row["closed_at"], settings.practice().zone, has_time=has_time)
            measurement.take_closing(row["patient_id"], row["case_id"], day)
    elif row["status"] == VisitStatus.COMPLETED:
        day = _day(row["started_at"], zone_of(row["clinic_id"]), has_time=has_time)
        kind = VisitKind(row["kind"])
        measurement.take_visit(row["patient_id"], row["case_id"], row["clinic_id"], day, kind)


def _day(instant: str, zone: ZoneInfo, *, has_time: bool = True) -> date:
    """The date there; of a day without a time, that of its noon, which is the same date in a neighbour's zone."""
    moment = parse_instant(instant)
    return (moment if has_time else moment + timedelta(hours=12)).astimezone(zone).date()

"""Which period and which clinics a page, a file or an answer for programs is about, as its address says."""

from dataclasses import dataclass
from datetime import date

from functions.serve_dashboard.web import NotFound, Request
from shared.domain.period import Period, month_of, parse_period, quarter_of, twelve_months_to, week_of, year_of
from shared.domain.staff import Role, Staff
from shared.storage import directory
from shared.storage.reports import clinic_name
from shared.storage.settings import practice


@dataclass(frozen=True, slots=True)
class Scope:
    """A period and the clinics that this person may see of those asked for."""

    period: Period
    clinic_id: str  # the one that was asked for; empty for all that are theirs
    choices: tuple[tuple[str, str], ...]  # id and name of each of theirs, by name
    is_whole: bool  # the practice itself, not a part of it

    @property
    def clinic_ids(self) -> tuple[str, ...]:
        """The clinics that are meant."""
        return (self.clinic_id,) if self.clinic_id else tuple(clinic_id for clinic_id, _ in self.choices)

    @property
    def only(self) -> tuple[str, ...] | None:
        """The same for reading figures: None is the whole practice."""
        return None if self.is_whole else self.clinic_ids


def scope_of(request: Request, staff: Staff) -> Scope:
    """What `period` and `clinic` of the address mean to this person; NotFound for what is no period or not theirs."""
    try:
        period = parse_period(request.query("period") or quarter_of(today(request)).key)
    except ValueError:
        raise NotFound from None
    clinic_id, choices = request.query("clinic"), clinics_of(staff)
    if clinic_id and clinic_id not in dict(choices):
        raise NotFound
    return Scope(period, clinic_id, choices, is_whole=staff.role is Role.OWNER and not clinic_id)


def clinics_of(staff: Staff) -> tuple[tuple[str, str], ...]:
    """Id and name of each clinic whose figures are theirs to see, by name."""
    theirs = directory.read().clinics if staff.role is Role.OWNER else staff.clinics
    return tuple(sorted(((each, clinic_name(each)) for each in theirs), key=lambda choice: (choice[1], choice[0])))


def today(request: Request) -> date:
    """The practice's date."""
    return request.now.astimezone(practice().zone).date()


def periods_to_choose(request: Request, chosen: Period) -> list[tuple[str, str]]:
    """Keys and names of the periods that people ask for most, and of the one that is chosen."""
    day = today(request)
    week, month, quarter, year = week_of(day), month_of(day), quarter_of(day), year_of(day)
    offered = [quarter, quarter.previous, month, month.previous, month.previous.previous, week.previous]
    offered += [twelve_months_to(day), year, year.previous]
    if chosen not in offered:
        offered.append(chosen)
    return [(period.key, period.name) for period in offered]

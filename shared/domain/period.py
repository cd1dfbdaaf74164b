"""The spans of time that figures are of: whole weeks, months, quarters and years, by the practice's calendar."""

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

# fmt: off
_MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"]
# fmt: on


class Span(StrEnum):
    """How long a period is."""

    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"
    TWELVE_MONTHS = "12-months"


_LENGTHS = {Span.MONTH: 1, Span.QUARTER: 3, Span.YEAR: 12, Span.TWELVE_MONTHS: 12}


@dataclass(frozen=True, slots=True)
class Period:
    """The days from `first` to `last`, both included."""

    span: Span
    first: date
    last: date

    @property
    def key(self) -> str:
        """What addresses and rows call it: `2026-W10`, `2026-03`, `2026-Q1`, `2026`, `12-months-to-2026-03`."""
        match self.span:
            case Span.WEEK:
                year, week, _ = self.first.isocalendar()
                return f"{year}-W{week:02d}"
            case Span.MONTH:
                return f"{self.first:%Y-%m}"
            case Span.QUARTER:
                return f"{self.first.year}-Q{(self.first.month + 2) // 3}"
            case Span.YEAR:
                return f"{self.first.year}"
            case Span.TWELVE_MONTHS:
                return f"12-months-to-{self.last:%Y-%m}"

    @property
    def name(self) -> str:
        """As people say it, in English."""
        match self.span:
            case Span.WEEK:
                return days_in_words(self.first, self.last)
            case Span.MONTH:
                return f"{_MONTHS[self.first.month - 1]} {self.first.year}"
            case Span.QUARTER:
                return f"{_MONTHS[self.first.month - 1]} to {_MONTHS[self.last.month - 1]} {self.first.year}"
            case Span.YEAR:
                return f"{self.first.year}"
            case Span.TWELVE_MONTHS:
                return f"{_month(self.first)} to {_month(self.last)}"

    @property
    def months(self) -> tuple[str, str] | None:
        """The first and the last month, such as 2026-03, if it is made of whole ones."""
        return None if self.span is Span.WEEK else (f"{self.first:%Y-%m}", f"{self.last:%Y-%m}")

    @property
    def previous(self) -> "Period":
        """The one of the same length that ends where this begins."""
        end = self.first - timedelta(days=1)
        if self.span is Span.WEEK:
            return Period(self.span, self.first - timedelta(days=7), end)
        return Period(self.span, _months_before(end, _LENGTHS[self.span] - 1), end)


def week_of(day: date) -> Period:
    """Monday to Sunday."""
    monday = day - timedelta(days=day.weekday())
    return Period(Span.WEEK, monday, monday + timedelta(days=6))


def month_of(day: date) -> Period:
    """The calendar month."""
    return Period(Span.MONTH, day.replace(day=1), _end_of_month(day))


def quarter_of(day: date) -> Period:
    """The calendar quarter."""
    first = date(day.year, (day.month - 1) // 3 * 3 + 1, 1)
    return Period(Span.QUARTER, first, _end_of_month(first.replace(month=first.month + 2)))


def year_of(day: date) -> Period:
    """The calendar year."""
    return Period(Span.YEAR, date(day.year, 1, 1), date(day.year, 12, 31))


def twelve_months_to(day: date) -> Period:
    """The month of this day and the eleven before."""
    return Period(Span.TWELVE_MONTHS, _months_before(day, 11), _end_of_month(day))


def parse_period(key: str) -> Period:
    """The period of this key; a ValueError that quotes anything else."""
    match = re.fullmatch(r"(12-months-to-)?(20\d\d)(?:-(?:W(\d\d)|Q([1-4])|(\d\d)))?", key, re.ASCII)
    if not match:
        raise ValueError(f"not a period such as 2026-Q1: {key!r}")
    twelve, year, week, quarter, month = match[1], int(match[2]), match[3], match[4], match[5]
    try:
        if twelve:
            return twelve_months_to(date(year, int(month or 0), 1))
        if week:
            return week_of(date.fromisocalendar(year, int(week), 1))
        if quarter:
            return quarter_of(date(year, 3 * int(quarter), 1))
        return month_of(date(year, int(month), 1)) if month else year_of(date(year, 1, 1))
    except ValueError:
        raise ValueError(f"not a period such as 2026-Q1: {key!r}") from None


def days_in_words(first: date, last: date) -> str:
    """`March 2 to 8, 2026`."""
    if first.year != last.year:
        return f"{_day(first)}, {first.year} to {_day(last)}, {last.year}"
    end = str(last.day) if first.month == last.month else _day(last)
    return f"{_day(first)} to {end}, {last.year}"


def _day(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.day}"


def _month(day: date) -> str:
    return f"{_MONTHS[day.month - 1]} {day.year}"


def _end_of_month(day: date) -> date:
    return (day.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)


def _months_before(day: date, months: int) -> date:
    """The first day of the month that lies so many months before the day's."""
    years, month = divmod(day.month - 1 - months, 12)
    return date(day.year + years, month + 1, 1)

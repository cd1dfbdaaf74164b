"""What somebody chose to look at: period, clinic, therapist, touchpoint and language, out of what is theirs to see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from functions.serve_dashboard.web import NotFound, Request
from shared.domain.patient import Language
from shared.domain.period import Period, month_of, parse_period, quarter_of, twelve_months_to, year_of
from shared.domain.staff import Role, Staff
from shared.storage import settings
from shared.storage.directory import Directory
from shared.storage.settings import practice

LANGUAGES = {language.value: language.name.capitalize() for language in Language}


@dataclass(frozen=True, slots=True)
class Option:
    """One value of a filter, and how people call it."""

    value: str
    name: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen, everything of it within what the person may see; empty means all."""

    clinics: tuple[str, ...]  # all that are theirs to see, or the one chosen
    everything: bool  # whether these are all clinics of the practice
    clinic_id: str
    therapist_id: str
    touchpoint: str
    language: str
    period: Period | None

    def covers(self, clinic_id: str) -> bool:
        """Whether the clinic is among those chosen, also one that no night has counted yet."""
        return self.everything or clinic_id in self.clinics

    def query(self) -> dict[str, str]:
        """The choice as the parameters of an address."""
        return {
            "period": self.period.key if self.period else "",
            "clinic": self.clinic_id,
            "therapist": self.therapist_id,
            "touchpoint": self.touchpoint,
            "language": self.language,
        }


@dataclass(frozen=True, slots=True)
class Filters:
    """What can be chosen, with names."""

    periods: tuple[Option, ...]
    clinics: tuple[Option, ...]
    therapists: tuple[Option, ...]
    touchpoints: tuple[Option, ...]
    languages: tuple[Option, ...]


def read_choice(request: Request, staff: Staff, known: Directory, *, default: Period | None) -> Choice:
    """What the address asks for; NotFound for what does not exist or is not theirs to see."""
    theirs = sorted(known.clinics if staff.role is Role.OWNER else staff.clinics)
    clinic, therapist = request.query("clinic"), request.query("therapist")
    touchpoint, language = request.query("touchpoint"), request.query("language")
    if clinic and (clinic not in theirs or not staff.may_see(clinic)):
        raise NotFound
    if therapist and not known.clinics_of.get(therapist, set()) & set(theirs):
        raise NotFound
    if (touchpoint and touchpoint not in _touchpoint_names()) or (language and language not in LANGUAGES):
        raise NotFound
    clinics = (clinic,) if clinic else tuple(theirs)
    return Choice(
        clinics=clinics,
        everything=staff.role is Role.OWNER and not clinic,
        clinic_id=clinic,
        therapist_id=therapist,
        touchpoint=touchpoint,
        language=language,
        period=_period(request.query("period")) or default,
    )


def filters_of(staff: Staff, known: Directory, today: date, chosen: Period | None) -> Filters:
    """What this person can choose from."""
    theirs = sorted(known.clinics if staff.role is Role.OWNER else staff.clinics)
    therapists = {
        therapist: name for therapist, name in known.therapists.items() if known.clinics_of[therapist] & set(theirs)
    }
    periods = _periods(today)
    if chosen and chosen not in periods:
        periods.append(chosen)
    return Filters(
        periods=tuple(Option(period.key, period.name) for period in periods),
        clinics=tuple(sorted((Option(id_, clinic_name(id_)) for id_ in theirs), key=lambda option: option.name)),
        therapists=tuple(sorted((Option(*one) for one in therapists.items()), key=lambda option: option.name)),
        touchpoints=tuple(Option(name, touchpoint_name(name)) for name in _touchpoint_names()),
        languages=tuple(Option(*language) for language in LANGUAGES.items()),
    )


def clinic_name(clinic_id: str) -> str:
    """What the clinic is called; its id if only the practice has a name."""
    name = settings.clinic(clinic_id).name
    return clinic_id if name == practice().name and clinic_id else name


def touchpoint_name(name: str) -> str:
    """`Visit 6` for `visit:6`."""
    return name.replace("_", " ").replace(":", " ").capitalize()


def _touchpoint_names() -> Sequence[str]:
    return [str(rule) for rule in practice().touchpoints]


def _periods(today: date) -> list[Period]:
    quarters, months = [quarter_of(today)], [month_of(today)]
    quarters += [quarter_of(today - timedelta(days=91 * back)) for back in (1, 2, 3, 4)]
    for _ in range(5):
        months.append(months[-1].previous)
    years = [twelve_months_to(today), year_of(today), year_of(today).previous]
    return list(dict.fromkeys([*quarters, *years, *months]))


def _period(key: str) -> Period | None:
    if not key:
        return None
    try:
        period = parse_period(key)
    except ValueError:
        raise NotFound from None
    if period.months is None:  # weeks are not counted apart
        raise NotFound
    return period

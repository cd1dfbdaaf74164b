"""A made-up practice for the demo: three clinics, twelve therapists, and patients in every state of their care.

The same moment and seed give the same practice. Nobody in it exists: family names are made of places that are none,
addresses end in `.example`, and the telephone numbers are among those reserved for fiction.
"""

import csv
import io
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

SEED = 2026
PATIENTS = 400
HISTORY = timedelta(days=90)
PRACTICE_ZONE = ZoneInfo("America/New_York")
RUN_HOURS = (9, 13, 17)  # practice-local: when the sender ran in these ninety days
UNSENT = timedelta(hours=17)  # no run since: longer than any night between two runs, so that something is due now
DELAY = timedelta(hours=3)  # the stack's own default between a visit and its survey
REMINDER = timedelta(days=3)  # likewise
OPENING, CLOSING = 7, 19
LENGTH = timedelta(minutes=45)


class State(StrEnum):
    """Where a patient's care stands."""

    SCHEDULED = "scheduled"
    EVALUATED = "evaluated"
    IN_TREATMENT = "in_treatment"
    SIXTH_VISIT = "sixth_visit"
    DISCHARGED = "discharged"
    LAPSED = "lapsed"
    REOPENED = "reopened"


SHARES = {
    State.SCHEDULED: 0.03,
    State.EVALUATED: 0.11,
    State.IN_TREATMENT: 0.15,
    State.SIXTH_VISIT: 0.17,
    State.DISCHARGED: 0.37,
    State.LAPSED: 0.11,
    State.REOPENED: 0.06,
}


@dataclass(frozen=True, slots=True)
class SampleClinic:
    """One clinic; `happiness` are the shares of promoters and passives among its answers."""

    clinic_id: str
    name: str
    zone: ZoneInfo
    area: str
    happiness: tuple[float, float]
    therapists: tuple[tuple[str, str], ...]


CLINICS = (
    SampleClinic(
        "old-mill",
        "Larkmere Old Mill",
        PRACTICE_ZONE,
        "518",
        (0.83, 0.11),
        (
            ("T-01", "Maren Ashgrove"),
            ("T-02", "Theo Birchwick"),
            ("T-03", "Ines Montelago"),
            ("T-04", "Owen Fernridge"),
        ),
    ),
    SampleClinic(
        "harbor",
        "Larkmere Harbor",
        PRACTICE_ZONE,
        "516",
        (0.77, 0.13),
        (
            ("T-05", "Priya Larchmere"),
            ("T-06", "Caleb Thornvale"),
            ("T-07", "Hana Elmstead"),
            ("T-08", "Luis Campoluz"),
        ),
    ),
    SampleClinic(
        "prairie",
        "Larkmere Prairie",
        ZoneInfo("America/Chicago"),
        "630",
        (0.74, 0.16),
        (
            ("T-09", "Nora Hazelwick"),
            ("T-10", "Sam Cedarholt"),
            ("T-11", "Vera Rowanfield"),
            ("T-12", "Elio Fuentalba"),
        ),
    ),
)
CLINIC_BY_ID = {clinic.clinic_id: clinic for clinic in CLINICS}
THERAPISTS = {therapist_id: name for clinic in CLINICS for therapist_id, name in clinic.therapists}


def _words(text: str) -> list[str]:
    return text.split()


_FIRST_ENGLISH = _words(
    "Alice Amir Anna Arthur Beth Brian Carol Chen Clara Daniel Dawn Deepa Edith Ellen Ethan Faye Frank George Grace"
    " Hugh Ida Irene Jack Jamal Jean June Keiko Kofi Laura Leah Leon Lydia Mabel Marcus Mina Nadia Noah Olive Oscar"
    " Paula Peter Quinn Rosa Ruth Simon Stella Tara Tom Uma Victor Wendy Yara Zoe"
)
_FIRST_SPANISH = _words(
    "Alma Andrés Beatriz Blanca Camila Carmen Diego Elena Emilio Esteban Gloria Ignacio Iván Jimena José Julia Lucía"
    " Manuel Marta Mateo Nieves Pablo Pilar Rafael Ramón Rocío Sofía Tomás Úrsula Ximena"
)
_PLACES_ENGLISH = (
    _words("Alder Ash Birch Briar Cedar Clover Elm Fern Hazel Heather Juniper Larch Linden Maple Moss Rowan Willow"),
    _words("brook croft dale fen grove haven holt mead mere ridge stead vale wick"),
)
_PLACES_SPANISH = (
    _words("Agua Alta Campo Fuente Monte Peña Prado Río Sierra Valde"),
    _words("alba clara flores lago luz mar nieve sol verde"),
)


@dataclass(frozen=True, slots=True)
class SamplePatient:
    """One row of the patients' file; every field is a column."""

    patient_id: str
    first_name: str
    last_name: str
    email: str
    clinic_id: str
    phone: str
    language: str
    status: str = "active"
    email_opt_out: str = ""


@dataclass(frozen=True, slots=True)
class SampleVisit:
    """One row of the visits' file; every field is a column, and times are the clinic's, without an offset."""

    visit_id: str
    patient_id: str
    case_id: str
    clinic_id: str
    clinic_name: str
    therapist_id: str
    therapist_name: str
    started_at: str
    ended_at: str
    kind: str
    status: str


@dataclass(frozen=True, slots=True)
class SamplePractice:
    """The practice as its records have it, and what only people know."""

    patients: tuple[SamplePatient, ...]  # as they first came
    visits: tuple[SampleVisit, ...]
    changes: tuple[SamplePatient, ...]  # the rows of those who have left since: archived, deceased, opted out
    held: tuple[str, ...]  # patients the staff do not want to be mailed for now
    silent: frozenset[str]  # patients who never answer
    states: dict[str, State]
    couples: tuple[tuple[str, str], ...]

    @property
    def clinics_csv(self) -> str:
        """The clinics' settings, with windows that are never closed: the demo works at any hour of any day."""
        rows = [
            {
                "clinic_id": clinic.clinic_id,
                "name": clinic.name,
                "time_zone": clinic.zone.key,
                "phone": f"({clinic.area}) 555-0100",
                "admin_emails": f"{clinic.clinic_id}@larkmere.example",
                "review_links": f"Google=https://reviews.example/larkmere-{clinic.clinic_id}",
                "send_from": "00:00",
                "send_until": "24:00",
                "send_days": "Mon-Sun",
            }
            for clinic in CLINICS
        ]
        return _to_csv(rows[0], rows)

    @property
    def patients_csv(self) -> str:
        """Every patient, as they first came."""
        return _rows_csv(SamplePatient, self.patients)

    @property
    def changes_csv(self) -> str:
        """The patients who have left since."""
        return _rows_csv(SamplePatient, self.changes)

    @property
    def visits_csv(self) -> str:
        """Every visit of the last three months, and those that are planned."""
        return _rows_csv(SampleVisit, self.visits)


def past_runs(now: datetime) -> list[datetime]:
    """When the sender ran: three times a day for ninety days, and not since `UNSENT` before now."""
    first = (now - HISTORY).astimezone(PRACTICE_ZONE).date()
    days = [first + timedelta(days=number) for number in range(HISTORY.days + 2)]
    moments = [datetime.combine(day, time(hour), PRACTICE_ZONE).astimezone(UTC) for day in days for hour in RUN_HOURS]
    return [moment for moment in moments if now - HISTORY <= moment <= now - UNSENT]


def generate(now: datetime, patients: int = PATIENTS, seed: int = SEED) -> SamplePractice:
    """The practice as it stands at this moment, with so many patients."""
    return _Generator(now, patients, random.Random(seed)).practice()


class _Generator:
    """Draws everything from one stream of chance, in one order."""

    def __init__(self, now: datetime, patients: int, chance: random.Random) -> None:
        self._now = now
        self._chance = chance
        self._states = _states(patients, chance)
        self._visits: list[SampleVisit] = []
        runs = past_runs(now)
        # Touchpoints after the last run are due now, and so are reminders of those before this one.
        self._asked_now = (runs[-1] - DELAY, now - DELAY - timedelta(minutes=10))
        reminded = next(number for number, run in enumerate(runs) if run + REMINDER > runs[-1])
        self._reminded_now = (runs[reminded - 1] - DELAY, runs[reminded] - DELAY)

    def practice(self) -> SamplePractice:
        people = [self._patient(number) for number in range(1, len(self._states) + 1)]
        couples = self._pair_up(people)
        states = {person.patient_id: state for person, state in zip(people, self._states, strict=True)}
        just_seen, silent = self._choose_recent(people, states)
        for person in people:
            window = self._asked_now if person.patient_id in just_seen else self._reminded_now
            recent = window if person.patient_id in just_seen | silent else None
            self._care_for(person, states[person.patient_id], recent)
        return SamplePractice(
            patients=tuple(people),
            visits=tuple(self._visits),
            changes=tuple(self._leavers(people, states, just_seen | silent)),
            held=self._held(people, states, just_seen | silent),
            silent=frozenset(silent),
            states=states,
            couples=couples,
        )

    def _patient(self, number: int) -> SamplePatient:
        chance = self._chance
        clinic = chance.choices(CLINICS, (0.4, 0.34, 0.26))[0]
        spanish = chance.random() < 0.16
        first = chance.choice(_FIRST_SPANISH if spanish else _FIRST_ENGLISH)
        start, end = _PLACES_SPANISH if spanish else _PLACES_ENGLISH
        last = chance.choice(start) + chance.choice(end)
        email = "" if chance.random() < 0.06 else f"{_ascii(first)}.{_ascii(last)}{number}@mail.example"
        return SamplePatient(
            patient_id=f"P-{number:04}",
            first_name=first,
            last_name=last,
            email=email,
            clinic_id=clinic.clinic_id,
            phone=f"({clinic.area}) 555-01{chance.randrange(100):02}",
            language="Spanish" if spanish else chance.choice(("English", "en-US", "")),
            email_opt_out="yes" if chance.random() < 0.015 else "",
        )

    def _pair_up(self, people: list[SamplePatient]) -> tuple[tuple[str, str], ...]:
        """Let couples share clinic, family name and address."""
        couples = []
        for number in range(0, len(people) - 1, 30):
            one, other = people[number], people[number + 1]
            email = f"the.{_ascii(one.last_name)}s{number}@mail.example"
            people[number] = replace(one, email=email, email_opt_out="")
            people[number + 1] = replace(
                other,
                last_name=one.last_name,
                email=email,
                clinic_id=one.clinic_id,
                phone=one.phone,
                language=one.language,
                email_opt_out="",
            )
            couples.append((one.patient_id, other.patient_id))
        return tuple(couples)

    def _choose_recent(self, people: list[SamplePatient], states: dict[str, State]) -> tuple[set[str], set[str]]:
        """Whose touchpoint was in the last hours, and whose unanswered one was three days ago."""
        just_seen, silent = set[str](), set[str]()
        few = max(1, len(people) // 100)
        reachable = [person.patient_id for person in people if person.email and not person.email_opt_out]
        for state in (State.EVALUATED, State.SIXTH_VISIT, State.DISCHARGED):
            members = [patient_id for patient_id in reachable if states[patient_id] is state]
            just_seen.update(members[:few])
            silent.update(members[few : 2 * few])
        return just_seen, silent

    def _care_for(self, person: SamplePatient, state: State, recent: tuple[datetime, datetime] | None) -> None:
        """Write down the visits that bring a patient into this state."""
        chance, clinic = self._chance, CLINIC_BY_ID[person.clinic_id]
        therapist_id, _ = chance.choice(clinic.therapists)
        case = _Case(person, clinic, therapist_id, f"{person.patient_id}-C1")

        def last(youngest: float, oldest: float) -> datetime:
            if recent:
                return _within(chance, *recent, clinic.zone)
            return self._workday(clinic.zone, chance.uniform(youngest, oldest))

        match state:
            case State.SCHEDULED:
                pass
            case State.EVALUATED:
                self._course(case, 1, last(0.3, 12))
            case State.IN_TREATMENT:
                self._course(case, chance.randint(2, 5), last(0.3, 6))
            case State.SIXTH_VISIT:
                self._course(case, 6 if recent else chance.randint(6, 11), last(0.3, 8))
            case State.DISCHARGED:
                self._course(case, chance.randint(5, 11), last(0.5, 70), discharged=True)
            case State.LAPSED:
                self._course(case, chance.randint(2, 7), last(31, 75))
            case State.REOPENED:
                self._course(case, chance.randint(4, 8), self._workday(clinic.zone, chance.uniform(40, 62)), True)
                self._course(case, chance.randint(2, 5), last(0.3, 8))
        if state in (State.SCHEDULED, State.EVALUATED, State.IN_TREATMENT, State.SIXTH_VISIT, State.REOPENED):
            coming = self._workday(clinic.zone, -chance.uniform(1, 6))
            kind = "evaluation" if state is State.SCHEDULED else "treatment"
            self._write(case, coming, kind, "scheduled")

    def _course(self, case: "_Case", completed: int, last: datetime, discharged: bool = False) -> None:
        """So many completed visits up to the last one, two to four days apart, with the missed ones between them."""
        chance, moments = self._chance, [last]
        while len(moments) < completed:
            moments.insert(0, self._earlier(moments[0], case.clinic.zone))
        for number, moment in enumerate(moments, start=1):
            kind = "evaluation" if number == 1 else "discharge" if discharged and number == completed else "treatment"
            if number > 1 and chance.random() < 0.12:
                missed = moment - timedelta(days=1)
                if missed.astimezone(case.clinic.zone).weekday() < 6:
                    self._write(case, missed, "treatment", chance.choice(("no_show", "cancelled", "cancelled")))
            self._write(case, moment, kind, "completed")

    def _earlier(self, moment: datetime, zone: ZoneInfo) -> datetime:
        day = moment.astimezone(zone).date() - timedelta(days=self._chance.choice((2, 2, 3, 3, 4)))
        return self._at_work(day, zone)

    def _workday(self, zone: ZoneInfo, days_ago: float) -> datetime:
        """The end of a visit about so many days ago (or ahead, if negative), in working hours and not on a Sunday."""
        moment = self._at_work((self._now - timedelta(days=days_ago)).astimezone(zone).date(), zone)
        while days_ago > 0 and moment > self._now - DELAY:
            moment -= timedelta(days=1)
        return moment

    def _at_work(self, day: date, zone: ZoneInfo) -> datetime:
        if day.weekday() == 6:
            day -= timedelta(days=1)
        start = time(self._chance.randrange(OPENING, CLOSING - 1), self._chance.choice((0, 15, 30, 45)))
        return (datetime.combine(day, start, zone) + LENGTH).astimezone(UTC)

    def _write(self, case: "_Case", end: datetime, kind: str, status: str) -> None:
        local = end.astimezone(case.clinic.zone).replace(tzinfo=None)
        took_place = status == "completed"
        self._visits.append(
            SampleVisit(
                visit_id=f"V-{len(self._visits) + 1:05}",
                patient_id=case.person.patient_id,
                case_id=case.case_id,
                clinic_id=case.clinic.clinic_id,
                clinic_name=case.clinic.name,
                therapist_id=case.therapist_id,
                therapist_name=THERAPISTS[case.therapist_id],
                started_at=(local - LENGTH).isoformat(timespec="minutes"),
                ended_at=local.isoformat(timespec="minutes") if took_place else "",
                kind=kind,
                status=status,
            )
        )

    def _leavers(
        self, people: list[SamplePatient], states: dict[str, State], kept: set[str]
    ) -> Iterator[SamplePatient]:
        gone = (State.DISCHARGED, State.LAPSED)
        leaving = [person for person in people if states[person.patient_id] in gone and person.patient_id not in kept]
        for number, person in enumerate(leaving):
            if number % 4 == 0:
                yield replace(person, status="archived")
            elif number % 50 == 1:
                yield replace(person, status="deceased")
            elif number % 25 == 2:
                yield replace(person, email_opt_out="yes")

    def _held(self, people: list[SamplePatient], states: dict[str, State], kept: set[str]) -> tuple[str, ...]:
        staying = [
            person.patient_id
            for person in people
            if person.email and states[person.patient_id] is State.SIXTH_VISIT and person.patient_id not in kept
        ]
        return tuple(staying[: max(1, len(people) // 100)])


@dataclass(frozen=True, slots=True)
class _Case:
    person: SamplePatient
    clinic: SampleClinic
    therapist_id: str
    case_id: str


def _states(patients: int, chance: random.Random) -> list[State]:
    """Every state in its share, and each at least twice; the rest are discharged."""
    states = [state for state, share in SHARES.items() for _ in range(max(2, int(share * patients)))]
    states += [State.DISCHARGED] * (patients - len(states))
    chance.shuffle(states)
    return states


def _within(chance: random.Random, start: datetime, end: datetime, zone: ZoneInfo) -> datetime:
    """The end of a visit between two moments, within the clinic's working hours."""

    def is_open(moment: datetime) -> bool:
        return (moment - LENGTH).astimezone(zone).hour >= OPENING and moment.astimezone(zone).hour < CLOSING

    minutes = int((end - start).total_seconds() // 60)
    candidates = [start + timedelta(minutes=minute) for minute in range(5, minutes, 5)]
    return chance.choice([moment for moment in candidates if is_open(moment)] or candidates)


def _ascii(name: str) -> str:
    return name.lower().translate(str.maketrans("áéíóúñ", "aeioun"))


def _rows_csv(kind: Callable[..., object], rows: Iterable[object]) -> str:
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    return _to_csv(names, ({name: getattr(row, name) for name in names} for row in rows))


def _to_csv(names: Iterable[str], rows: Iterable[dict[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(names))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()

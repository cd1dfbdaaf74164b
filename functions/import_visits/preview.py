"""What an import of a file would do, and whom it would mail when: everything is looked up, nothing is written."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.import_visits import course
from functions.import_visits.course import Course
from functions.import_visits.follow_up import FollowUp, message_of
from functions.import_visits.merge import Outcome
from functions.import_visits.records import PatientRecord, VisitRecord
from functions.import_visits.staging import Part, Phase
from shared.domain.eligibility import Expectation, Situation, expected
from shared.domain.identity import address_key
from shared.domain.message import Message, MessageState
from shared.domain.patient import Address, Patient
from shared.domain.survey import Survey
from shared.storage import addresses, messages, patients, settings, surveys
from shared.storage.settings import practice

MAX_LISTED = 1000
_ABOUT_SETTINGS = "These are settings: put the file under settings/. Here it was read and nothing was looked up."
_SHARED = "another patient in this file has the same address, and no two are mailed within a day"
_WORDS = {Outcome.CREATED: "new", Outcome.UPDATED: "changed", Outcome.UNCHANGED: "unchanged"}


@dataclass(frozen=True, slots=True)
class _Look:
    """One patient as an import would leave them, and the surveys of theirs that would then wait to be sent."""

    part: Part
    course: Course
    changed: frozenset[str]  # the ids of messages that the import would make or move
    waiting: Sequence[tuple[Survey, Message]]


class Looking:
    """Looks at parts as an import would, and foretells by the sender's own rule whom it would mail, and when."""

    def __init__(self, uploaded_at: datetime, follow_up: FollowUp, workers: Executor) -> None:
        self._uploaded_at, self._follow_up, self._workers = uploaded_at, follow_up, workers
        self._counts = {name: Counter[str]() for name in ("patients", "visits", "touchpoints", "by_day", "not_mailed")}
        self._merges, self._note = 0, dict[str, str]()
        self._mails = list[dict[str, str]]()  # those that will go out, and
        self._others = list[dict[str, str]]()  # those that will not: listed as far as there is room

    def do(self, parts: Sequence[Part]) -> Iterable[Sequence[tuple[int, Outcome]]]:
        """Look at parts of one phase, several patients side by side; a preview counts rows and not what they did."""
        phase = parts[0].place.phase
        if phase is Phase.PATIENTS:
            known = patients.get_many((part.key for part in parts), consistent=True)
            self._add(list(self._workers.map(lambda part: self._look(part, known.get(part.key)), parts)))
        elif phase is Phase.MERGES:
            self._merges += sum(len(part.rows) for part in parts)
        elif phase in (Phase.RULES, Phase.CLINICS):
            self._note = {"note": _ABOUT_SETTINGS}
        return [[(line, Outcome.UNCHANGED) for line, _ in part.rows] for part in parts]

    def state(self) -> dict[str, Any]:
        """What was found so far."""
        return {
            "counts": self._counts,
            "merges": self._merges,
            "note": self._note,
            "mails": self._mails,
            "others": self._others,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from this state."""
        self._counts = {name: Counter(counts) for name, counts in state["counts"].items()}
        self._merges, self._note = state["merges"], state["note"]
        self._mails, self._others = state["mails"], state["others"]

    def findings(self) -> dict[str, Any]:
        """What the report says beside its counts; at most 1,000 touchpoints are listed, those to be mailed first."""
        new, changed = ("new", "changed", "unchanged"), ("new", "moved", "withdrawn")
        return {
            "patients": {what: self._counts["patients"][what] for what in new},
            "visits": {what: self._counts["visits"][what] for what in new},
            "touchpoints": {what: self._counts["touchpoints"][what] for what in changed},
            "merges": self._merges,
            **self._note,
            "mails": {
                "by_day": dict(sorted(self._counts["by_day"].items())),
                "not_mailed": dict(self._counts["not_mailed"].most_common()),
                "list": [*_marked(self._mails), *self._others][:MAX_LISTED],
            },
        }

    def _look(self, part: Part, known: Patient | None) -> _Look:
        found = course.look(part.key, part.rows, self._uploaded_at, self._follow_up, known)
        new = {survey.survey_id: survey for survey, what in found.surveys if what != "withdrawn"}
        if not new:
            return _Look(part, found, frozenset(), ())
        owner = known.patient_id if known else part.key
        gone = {survey.survey_id for survey, what in found.surveys if what == "withdrawn"}
        others = [survey for survey in surveys.of_patient(owner) if survey.survey_id not in gone and not survey.sent_at]
        letters = messages.get_many(message_of(survey).message_id for survey in others)
        waiting = {letter.survey_id: letter for letter in letters.values() if letter.state is MessageState.DUE}
        listed = [(survey, waiting[survey.survey_id]) for survey in others if survey.survey_id in waiting.keys() - new]
        listed += [(survey, message_of(survey)) for survey in new.values()]
        return _Look(part, found, frozenset(message_of(survey).message_id for survey in new.values()), listed)

    def _add(self, looks: Sequence[_Look]) -> None:
        keys = {look.part.key: self._address_key(look) for look in looks if look.waiting}
        known = addresses.get_many(key for key in keys.values() if key)
        for look in looks:
            self._counts["touchpoints"].update(what for _, what in look.course.surveys)
            self._count(look)
            key = keys.get(look.part.key, "")
            address = known.get(key)
            for expectation in expected(self._situations(look, address), self._follow_up.now):
                if expectation.message.message_id in look.changed:
                    self._tell(expectation, key)

    def _address_key(self, look: _Look) -> str:
        patient = look.course.patient
        return address_key(self._follow_up.key, patient.email) if patient and patient.email else ""

    def _situations(self, look: _Look, address: Address | None) -> Iterator[Situation]:
        for survey, message in look.waiting:
            clinic = settings.clinic(message.clinic_id)
            yield Situation(message, survey, look.course.patient, address, clinic, practice())

    def _count(self, look: _Look) -> None:
        """Each patient and visit of the file once, by the most that any of its rows would do."""
        most = dict[tuple[str, str], Outcome]()
        for (_, record), (_, outcome) in zip(look.part.rows, look.course.outcomes, strict=True):
            match record:
                case PatientRecord(patient):
                    key = ("patients", patient.patient_id)
                case VisitRecord(visit):
                    key = ("visits", visit.visit_id)
                case _:
                    continue
            most[key] = max(outcome, most.get(key, Outcome.UNCHANGED))
        for (table, _), outcome in most.items():
            self._counts[table][_WORDS[outcome]] += 1

    def _tell(self, expectation: Expectation, address: str) -> None:
        message = expectation.message
        mail = {"patient_id": message.patient_id, "touchpoint": message.touchpoint, "clinic_id": message.clinic_id}
        if expectation.at:
            local = expectation.at.astimezone(settings.clinic(message.clinic_id).zone)
            self._counts["by_day"][local.date().isoformat()] += 1
            listed, entry = self._mails, {"when": local.isoformat(timespec="minutes"), "address": address}
        else:
            self._counts["not_mailed"][expectation.reason] += 1
            listed, entry = self._others, {"why_not": expectation.reason}
        if len(listed) < MAX_LISTED:
            listed.append(mail | entry)


def _marked(mails: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """The mails by their time without their address; who comes after another patient of the address may wait."""
    marked, mailed = list[dict[str, str]](), dict[str, set[str]]()
    for mail in sorted(mails, key=lambda mail: datetime.fromisoformat(mail["when"])):
        told = {name: value for name, value in mail.items() if name != "address"}
        patients_there = mailed.setdefault(mail["address"], set())
        patients_there.add(mail["patient_id"])
        marked.append(told | {"may_be_later": _SHARED} if len(patients_there) > 1 else told)
    return marked

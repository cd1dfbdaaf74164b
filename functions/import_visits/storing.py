"""What an import does with each part of a file."""

from collections.abc import Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from functions.import_visits import course, merging
from functions.import_visits.erased import stop_if_erased
from functions.import_visits.follow_up import FollowUp
from functions.import_visits.merge import Outcome
from functions.import_visits.staging import Part, Phase
from functions.import_visits.store_clinics import store_clinic
from shared.domain.patient import Patient
from shared.storage import names, patients, settings

Outcomes = Sequence[tuple[int, Outcome]]


@dataclass(frozen=True, slots=True)
class Storing:
    """Stores parts; storing one again changes nothing."""

    uploaded_at: datetime
    follow_up: FollowUp
    workers: Executor

    def do(self, parts: Sequence[Part]) -> Iterable[Outcomes]:
        """Store parts of one phase and say of each what its rows did; patients and names side by side."""
        match parts[0].place.phase:
            case Phase.RULES:
                return map(self._rules, parts)
            case Phase.CLINICS:
                return (store_clinic(part.rows, self.uploaded_at) for part in parts)
            case Phase.NAMES:
                return self.workers.map(self._names, parts)
            case Phase.PATIENTS:
                stop_if_erased(*(part.key for part in parts))
                known = patients.get_many((part.key for part in parts), consistent=True)
                return self.workers.map(lambda part: self._patient(part, known.get(part.key)), parts)
            case Phase.MERGES:
                return map(self._merges, parts)

    def state(self) -> dict[str, Any]:
        """Everything found is in the tables."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Nothing to go on from."""

    def findings(self) -> dict[str, Any]:
        """The report's counts say it all."""
        return {}

    def _patient(self, part: Part, known: Patient | None) -> Outcomes:
        return course.store(part.key, part.rows, self.uploaded_at, self.follow_up, known)

    def _rules(self, part: Part) -> Outcomes:
        return [
            (line, Outcome[settings.put_intake_rule(record.change, self.uploaded_at).upper()])
            for line, record in part.rows
        ]

    def _names(self, part: Part) -> Outcomes:
        outcomes = []
        for line, record in part.rows:
            is_known = any(names.name_of(record.named, name_id) != name_id for name_id in record.ids)
            is_news = names.put_names(record.named, record.ids, record.name, self.uploaded_at)
            news = Outcome.UPDATED if is_known else Outcome.CREATED
            outcomes.append((line, news if is_news else Outcome.UNCHANGED))
        return outcomes

    def _merges(self, part: Part) -> Outcomes:
        return [
            (line, merging.merge_patients(record.retired_id, record.patient_id, self.follow_up))
            for line, record in part.rows
        ]

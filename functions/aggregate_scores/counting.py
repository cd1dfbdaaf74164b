"""Counting what changed: each survey's difference to what is counted of it already."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from zoneinfo import ZoneInfo

from shared.domain.aggregate import MONTHLY, change, facts_of, mark_latest
from shared.domain.survey import Counted, Survey
from shared.domain.themes import Lexicon
from shared.observability import count, log, warn
from shared.storage import comments, directory, scores, surveys
from shared.storage.scores import ROW_FIELDS, TRANSACTION_ITEMS, Row

BATCH = 500  # surveys read at once: the more, the more of them share rows and transactions
ATTEMPTS = 5

Changes = dict[Row, Counter[str]]


@dataclass
class Tally:
    """What a run has counted; `rows` are those by day."""

    surveys: int = 0
    rows: set[Row] = field(default_factory=set)
    is_complete: bool = True  # whether time was left for all that had changed
    left: int = 0  # those that kept changing while they were counted


@dataclass
class Bundle:
    """Surveys that are counted in one transaction, and what they add to the rows together."""

    counted: list[tuple[Survey, Counted | None]] = field(default_factory=list)
    changes: Changes = field(default_factory=dict)
    entries: int = 0  # of the list of comments

    def add(self, survey: Survey, facts: Counted | None) -> None:
        """Take a survey in, with the difference to what is counted of it."""
        self.counted.append((survey, facts))
        self.entries += len(comments.listing(survey.survey_id, survey.counted, facts))
        for (scope, day, name), number in change(survey.counted, facts).items():
            self.changes.setdefault((scope, day), Counter())[name] += number

    def has_room(self, other: "Bundle") -> bool:
        """Whether both fit into one transaction, and each row into one expression."""
        rows = self.changes.keys() | other.changes.keys()
        items = len(self.counted) + len(other.counted) + self.entries + other.entries + len(rows)
        return items <= TRANSACTION_ITEMS and all(
            len(self.changes.get(row, ())) + len(fields) <= ROW_FIELDS for row, fields in other.changes.items()
        )

    def join(self, other: "Bundle") -> None:
        """Take the other in; what both add to a row is added up."""
        self.counted.extend(other.counted)
        self.entries += other.entries
        for row, fields in other.changes.items():
            self.changes.setdefault(row, Counter()).update(fields)


def count_changes(
    changed: Iterator[str],
    names: directory.Directory,
    zone: ZoneInfo,
    lexicon: Lexicon,
    has_time: Callable[[], bool] = lambda: True,
) -> Tally:
    """Count the surveys of these ids, which changed since they were last counted, as long as there is time.

    Rows and surveys are written together, so that a crash at any point loses nothing and counts nothing twice. A
    survey that keeps changing while it is counted is left for the next night and counted in a metric.
    """
    tally, left = Tally(), 0
    begun = False
    while survey_ids := list(islice(changed, BATCH)):
        if begun and not has_time():
            tally.is_complete = False
            break
        begun = True
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(0.05 * 2**attempt)
            survey_ids = _count(survey_ids, zone, lexicon, names, tally)
            if not survey_ids:
                break
        left += len(survey_ids)
        log("counting", surveys=tally.surveys, rows=len(tally.rows))
    tally.left = left
    if left:
        count("SurveysNotCounted", left)
        warn("left_for_the_next_night", surveys=left)
    return tally


def _count(
    survey_ids: Iterable[str], zone: ZoneInfo, lexicon: Lexicon, names: directory.Directory, tally: Tally
) -> list[str]:
    """Count these surveys as they are now; returns those whose transaction was refused."""
    changed = surveys.get_many(survey_ids)
    directory.note(changed.values(), names)
    left = set(changed)
    for bundle in _bundles(_parts(list(changed.values()), zone, lexicon)):
        changes = {
            row: fields for row, all_ in bundle.changes.items() if (fields := {f: n for f, n in all_.items() if n})
        }
        if not scores.add(changes, bundle.counted):
            continue
        counted = left & {survey.survey_id for survey, _ in bundle.counted}
        tally.surveys += len(counted)
        tally.rows.update(row for row in changes if not row[0].startswith(MONTHLY))
        left -= counted
    return sorted(left)


def _parts(changed: list[Survey], zone: ZoneInfo, lexicon: Lexicon) -> Iterator[Bundle]:
    """What must be counted together, neighbours in place and time after each other, since they share rows.

    An answer may take from an earlier one that it was the patient's latest, or give it back. Those others go with a
    changed survey of the patient: as long as that one is uncounted, the next run looks at all of them again.
    """
    changed.sort(key=lambda survey: (survey.clinic_id, survey.due_at, survey.therapist_id))
    patients: dict[str, list[Survey]] = {}
    for survey in changed:
        patients.setdefault(survey.patient_id, []).append(survey)
    others = _others(patients)
    right: dict[str, Counted | None] = {}
    for survey in changed:
        part = Bundle()
        if theirs := patients.pop(survey.patient_id, None):
            facts = {other.survey_id: other.counted for other in others[survey.patient_id]}
            facts |= {one.survey_id: facts_of(one, zone, lexicon) for one in theirs}
            right |= mark_latest(facts)
            for other in others[survey.patient_id]:
                if right[other.survey_id] != other.counted:
                    part.add(other, right[other.survey_id])
        part.add(survey, right[survey.survey_id])
        yield part


def _others(changed: Mapping[str, Sequence[Survey]]) -> dict[str, list[Survey]]:
    """Each patient's surveys that have not changed, where any of them may gain or lose by those that have."""
    known = {survey.survey_id for theirs in changed.values() for survey in theirs}
    ids: set[str] = set()
    for patient_id, theirs in changed.items():
        if any(survey.score is not None or survey.counted for survey in theirs):
            ids.update(surveys.ids_of_patient(patient_id))
    others: dict[str, list[Survey]] = {patient_id: [] for patient_id in changed}
    for survey in surveys.get_many(ids - known).values():
        if survey.patient_id in others:  # the index may not know yet that it went to another patient
            others[survey.patient_id].append(survey)
    return others


def _bundles(parts: Iterable[Bundle]) -> Iterator[Bundle]:
    """Pack the parts into transactions."""
    bundle = Bundle()
    for part in parts:
        if bundle.counted and not bundle.has_room(part):
            yield bundle
            bundle = Bundle()
        bundle.join(part)
    if bundle.counted:
        yield bundle

"""Counting what changed: each survey's difference to what is counted of it already."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from zoneinfo import ZoneInfo

from shared.domain.aggregate import change, facts_of
from shared.domain.survey import Counted, Survey
from shared.observability import count, log, warn
from shared.storage import scores, surveys
from shared.storage.scores import TRANSACTION_ITEMS, Row

BATCH = 500  # surveys read at once: the more, the more of them share rows and transactions
ATTEMPTS = 5


@dataclass
class Tally:
    """What a run has counted."""

    surveys: int = 0
    rows: set[Row] = field(default_factory=set)


@dataclass
class Bundle:
    """Surveys that are counted in one transaction, and what they add to the rows together."""

    counted: list[tuple[Survey, Counted | None]] = field(default_factory=list)
    changes: dict[Row, Counter[str]] = field(default_factory=dict)

    def has_room(self, added: Mapping[Row, Counter[str]]) -> bool:
        """Whether one more survey and these rows fit into the transaction."""
        return len(self.counted) + 1 + len(self.changes.keys() | added.keys()) <= TRANSACTION_ITEMS

    def add(self, survey: Survey, facts: Counted | None, added: Mapping[Row, Counter[str]]) -> None:
        """Take the survey in; what it adds to a row is added to what others do."""
        self.counted.append((survey, facts))
        for row, fields in added.items():
            self.changes.setdefault(row, Counter()).update(fields)


def count_changes(zone: ZoneInfo) -> Tally:
    """Count every survey that changed since it was last counted.

    Rows and surveys are written together, so that a crash at any point loses nothing and counts nothing twice. A
    survey that keeps changing while it is counted is left for the next night and counted in a metric.
    """
    tally, left = Tally(), 0
    changed = surveys.uncounted()
    while survey_ids := list(islice(changed, BATCH)):
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(0.05 * 2**attempt)
            survey_ids = _count(survey_ids, zone, tally)
            if not survey_ids:
                break
        left += len(survey_ids)
        log("counting", surveys=tally.surveys, rows=len(tally.rows))
    if left:
        count("SurveysNotCounted", left)
        warn("left_for_the_next_night", surveys=left)
    return tally


def _count(survey_ids: Iterable[str], zone: ZoneInfo, tally: Tally) -> list[str]:
    """Count these surveys as they are now; returns those whose transaction was refused."""
    refused: list[str] = []
    for bundle in _bundles(surveys.get_many(survey_ids).values(), zone):
        changes = {
            row: fields for row, all_ in bundle.changes.items() if (fields := {f: n for f, n in all_.items() if n})
        }
        if scores.add(changes, bundle.counted):
            tally.surveys += len(bundle.counted)
            tally.rows.update(changes)
        else:
            refused.extend(survey.survey_id for survey, _ in bundle.counted)
    return refused


def _bundles(changed: Iterable[Survey], zone: ZoneInfo) -> Iterator[Bundle]:
    """Pack the surveys into transactions, neighbours in time and place together, since they share rows."""
    bundle = Bundle()
    for survey in sorted(changed, key=lambda survey: (survey.due_at, survey.clinic_id, survey.therapist_id)):
        facts = facts_of(survey, zone)
        added: dict[Row, Counter[str]] = {}
        for (scope, day, name), number in change(survey.counted, facts).items():
            added.setdefault((scope, day), Counter())[name] = number
        if not bundle.has_room(added):
            yield bundle
            bundle = Bundle()
        bundle.add(survey, facts, added)
    if bundle.counted:
        yield bundle

"""Visits and cases: what the practice's records have of a patient's care."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from pynamodb.exceptions import DeleteError, PutError
from pynamodb.expressions.condition import Condition

from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.storage.conditions import condition_failed
from shared.storage.models import VisitItem

CASE_PREFIX = "case#"
"""Begins the key of a case, and of no visit."""
_CASE = "case"


@dataclass(frozen=True, slots=True)
class History:
    """Everything that is stored of a patient's care, removed things too, by id."""

    visits: dict[str, Visit] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.visits or self.cases)

    def __iter__(self) -> Iterator[Visit | Case]:
        yield from self.visits.values()
        yield from self.cases.values()

    def find(self, one: Visit | Case) -> Visit | Case | None:
        """What is stored under the same id, or None."""
        return self.visits.get(one.visit_id) if isinstance(one, Visit) else self.cases.get(one.case_id)


def of_patient(patient_id: str) -> History:
    """The patient's history, in one query."""
    found = History()
    for item in VisitItem.query(patient_id, consistent_read=True):
        if item.kind == _CASE:
            found.cases[item.case_id] = _to_case(item)
        else:
            found.visits[item.visit_id] = _to_visit(item)
    return found


def put(one: Visit | Case, seen: Visit | Case | None) -> bool:
    """Write a visit or case unless it changed since it was `seen`; False if someone else was faster."""
    unchanged: Condition = _unchanged(seen) if seen else VisitItem.visit_id.does_not_exist()
    try:
        (_of_visit(one) if isinstance(one, Visit) else _of_case(one)).save(condition=unchanged)
    except PutError as error:
        if condition_failed(error):
            return False
        raise
    return True


def delete(seen: Visit | Case) -> bool:
    """Take away what now stands elsewhere, unless it changed since it was `seen`; False if someone was faster."""
    key = seen.visit_id if isinstance(seen, Visit) else CASE_PREFIX + seen.case_id
    try:
        VisitItem(seen.patient_id, key).delete(condition=_unchanged(seen))
    except DeleteError as error:
        if condition_failed(error):
            return False
        raise
    return True


def _unchanged(seen: Visit | Case) -> Condition:
    unchanged: Condition = VisitItem.visit_id.exists()
    if seen.uploaded_at:
        unchanged &= VisitItem.uploaded_at == seen.uploaded_at
    if seen.updated_at:
        unchanged &= VisitItem.updated_at == seen.updated_at
    # An older record may still say what the newer ones do not, and leaves their times as they are.
    unchanged &= VisitItem.behind == dict(seen.behind) if seen.behind else VisitItem.behind.does_not_exist()
    return unchanged


def _of_visit(visit: Visit) -> VisitItem:
    return VisitItem(
        patient_id=visit.patient_id,
        visit_id=visit.visit_id,
        kind=visit.kind,
        case_id=visit.case_id,
        clinic_id=visit.clinic_id,
        clinic_name=visit.clinic_name,
        therapist_id=visit.therapist_id,
        therapist_name=visit.therapist_name,
        started_at=visit.started_at,
        ended_at=visit.ended_at,
        has_time=visit.has_time,
        status=visit.status,
        removed=visit.removed,
        behind=dict(visit.behind) or None,
        updated_at=visit.updated_at,
        uploaded_at=visit.uploaded_at,
    )


def _of_case(case: Case) -> VisitItem:
    return VisitItem(
        patient_id=case.patient_id,
        visit_id=CASE_PREFIX + case.case_id,
        kind=_CASE,
        case_id=case.case_id,
        closed_at=case.closed_at,
        has_time=case.has_time,
        removed=case.removed,
        behind=dict(case.behind) or None,
        updated_at=case.updated_at,
        uploaded_at=case.uploaded_at,
    )


def _to_visit(item: VisitItem) -> Visit:
    return Visit(
        patient_id=item.patient_id,
        visit_id=item.visit_id,
        case_id=item.case_id,
        clinic_id=item.clinic_id,
        started_at=item.started_at,
        kind=VisitKind(item.kind),
        status=VisitStatus(item.status),
        ended_at=item.ended_at,
        therapist_id=item.therapist_id or "",
        therapist_name=item.therapist_name or "",
        clinic_name=item.clinic_name or "",
        removed=item.removed,
        has_time=item.has_time,
        behind=tuple((item.behind or {}).items()),
        updated_at=item.updated_at,
        uploaded_at=item.uploaded_at,
    )


def _to_case(item: VisitItem) -> Case:
    return Case(
        patient_id=item.patient_id,
        case_id=item.case_id,
        closed_at=item.closed_at,
        has_time=item.has_time,
        removed=item.removed,
        behind=tuple((item.behind or {}).items()),
        updated_at=item.updated_at,
        uploaded_at=item.uploaded_at,
    )

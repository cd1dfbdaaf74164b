"""Everything that is held about one patient, as one document that people and programs can read."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from shared.domain import identity
from shared.domain.clock import format_instant
from shared.domain.message import MessageKind
from shared.domain.patient import Patient
from shared.hash_key import hash_key
from shared.storage import activity, addresses, cases, messages, patients, surveys, visits

FORMAT = "careloop-patient-1"
_SECRETS = ("token_hashes", "revision", "counted")  # what opens the survey, and our own bookkeeping


def of_patient(
    patient: Patient, at: datetime, may_see: Callable[[str], bool] = lambda clinic_id: True
) -> dict[str, Any]:
    """The document, as of a moment; of surveys and visits those at clinics which one `may_see`.

    `patient` and `former_records`, `visits`, `courses_of_care`, `surveys` with every accepted answer and its comment,
    `messages`, `cases` with every outreach, `activity` (who read or did what, oldest first) and `addresses`, which says
    whether mail there bounced or drew a complaint.
    """
    known_as = [*sorted(patient.merged_from), patient.patient_id]
    asked = surveys.of_patient(patient.patient_id)
    visible = sorted((one for one in asked if may_see(one.clinic_id)), key=lambda one: (one.occurred_at, one.survey_id))
    ids = {survey.survey_id for survey in visible}
    hidden = {survey.survey_id for survey in asked} - ids
    care = visits.of_patient(patient.patient_id)
    seen = [visit for visit in care.visits.values() if may_see(visit.clinic_id)]
    former = [one for patient_id in known_as[:-1] if (one := patients.get_exactly(patient_id))]
    letters = messages.get_many(identity.message_id(survey_id, kind) for survey_id in ids for kind in MessageKind)
    entries = [entry for one_id in known_as for entry in activity.of_patient(one_id, None)]
    return {
        "format": FORMAT,
        "made_at": format_instant(at),
        "patient": _plain(patient),
        "former_records": [_plain(one) for one in former],
        "visits": [_plain(visit) for visit in sorted(seen, key=lambda visit: visit.started_at)],
        "courses_of_care": [_plain(case) for case in care.cases.values()],
        "surveys": [{name: value for name, value in _plain(one).items() if name not in _SECRETS} for one in visible],
        "messages": [_plain(letter) for letter in sorted(letters.values(), key=lambda letter: letter.due_at)],
        "cases": [_plain(case) for _, case in sorted(cases.get_many(ids).items())],
        "activity": [
            _plain(entry) for entry in sorted(entries, key=lambda entry: entry.at) if entry.survey_id not in hidden
        ],
        "addresses": [_address(email) for email in dict.fromkeys(one.email for one in (patient, *former) if one.email)],
    }


def _address(email: str) -> dict[str, Any]:
    key = identity.address_key(hash_key(), email)
    known = addresses.get_many([key]).get(key)
    return {
        "email": email,
        "last_contact_at": format_instant(known.last_contact_at) if known and known.last_contact_at else None,
        "bounced": bool(known and known.bounced),
        "complained": bool(known and known.complained),
    }


def _plain(value: Any) -> Any:
    """As JSON has it: moments as text, sets in order, and no field that says nothing."""
    if is_dataclass(value):
        plain = {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
        return {name: each for name, each in plain.items() if each not in (None, "", [], {})}
    if isinstance(value, datetime):
        return format_instant(value)
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return value

"""A patient's data on request: handed over in one file, or erased with a proof that it is."""

import json
from functools import cache
from typing import Any

from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.patients_page import patient_of
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, download, see_other
from shared.config import setting
from shared.domain.erasure import LONGEST_RUN, WHYS, Erasure, Why, traces_of
from shared.domain.patient import Patient
from shared.domain.staff import Staff
from shared.observability import log, warn
from shared.storage import activity, dossier, erasures, patients
from shared.storage.settings import practice

MOST_BYTES = 5_000_000  # a function's answer ends at 6 MB
MOST_LISTED = 100
PLACES = {
    "patients": "Records of the patient",
    "visits": "Visits and courses of care",
    "surveys": "Surveys with their answers",
    "messages": "Mails, sent and unsent",
    "cases": "Cases with what was written down there",
    "activity": "Entries of who did or read what",
    "addresses": "Addresses",
    "objects_incoming": "Uploaded files, all versions",
    "objects_preview": "Files that were looked at",
    "objects_rejected": "Files of refused rows",
    "objects_reports": "Reports on files",
    "objects_unfinished": "Notes of imports",
    "objects_settings": "Files of settings",
    "objects_elsewhere": "Files where none belong",
}


def export(request: Request, staff: Staff) -> Response:
    """Everything that is held about a patient and that this person may see, as one file. That it was taken is noted."""
    patient, _ = patient_of(request.query("id"), staff)
    # Noted first: what is handed over tells of its own handing over.
    activity.note(patient.patient_id, "exported", request.now, staff.user_id, detail=staff.name)
    file = json.dumps(dossier.of_patient(patient, request.now, staff.may_see), indent=1, ensure_ascii=False)
    if len(json.dumps(file)) > MOST_BYTES:
        raise BadForm("The file would be larger than can be sent here: whoever looks after Careloop can make it.")
    return download("patient.json", file, "application/json; charset=utf-8")


def ask(request: Request, staff: Staff) -> Response:
    """What erasing means, and a form that wants the patient's number typed."""
    patient, _ = patient_of(request.query("id"), staff)
    return _form(request, staff, patient)


def erase(request: Request, staff: Staff) -> Response:
    """Write down that the patient is to be erased, and begin; from then on no import brings them back."""
    patient, _ = patient_of(request.field("id"), staff)
    if request.field("number") != patient.patient_id:
        return _form(request, staff, patient, "This is not the patient's number. Nothing was erased.")
    if request.field("why") not in list(Why):
        return _form(request, staff, patient, "Please say why. Nothing was erased.")
    retired = [one for each in sorted(patient.merged_from) if (one := patients.get_exactly(each))]
    reference = erasures.request(
        traces_of([*retired, patient]),
        Why(request.field("why")),
        staff.name,
        request.now,
        opted_out=any(one.opted_out for one in (*retired, patient)),
    )
    _begin(reference)
    log("patient_step", kind="erased")
    return see_other(request.link(f"/settings/erased/{reference}"))


def overview(request: Request, staff: Staff) -> Response:
    """Whoever was erased, by reference, the latest first."""
    listed = [erasure for ref in erasures.references() if (erasure := erasures.find(ref))]
    return page(request, staff, "erased.html", title="Erased patients", listed=listed[:MOST_LISTED], whys=WHYS, at=_at)


def one(request: Request, staff: Staff) -> Response:
    """What was removed where, and whether it is certain that nothing is left."""
    erasure = erasures.find(request.params["reference"])
    if erasure is None:
        raise NotFound
    return page(
        request,
        staff,
        "erasure.html",
        title="Erased" if erasure.finished_at else "Being erased",
        erasure=erasure,
        why=WHYS[erasure.why],
        removed=_removed(erasure),
        certain_at=(erasure.found_at or erasure.requested_at) + LONGEST_RUN,
        at=_at,
    )


def _form(request: Request, staff: Staff, patient: Patient, problem: str = "") -> Response:
    return page(
        request,
        staff,
        "erase.html",
        status=400 if problem else 200,
        title="Erase this patient",
        patient=patient,
        whys=WHYS,
        problem=problem,
        typed=request.field,
    )


def _begin(reference: str) -> None:
    """Have it begin at once; if that fails, the schedule begins it within a quarter of an hour."""
    from botocore.exceptions import BotoCoreError, ClientError

    payload = json.dumps({"erase": reference})
    try:
        _lambda().invoke(FunctionName=setting("ERASE_PATIENT_FUNCTION"), InvocationType="Event", Payload=payload)
    except (BotoCoreError, ClientError) as error:
        warn("erasing_not_begun", error=type(error).__name__)


@cache
def _lambda() -> Any:
    import boto3

    return boto3.client("lambda")


def _removed(erasure: Erasure) -> list[tuple[str, int]]:
    return [(words, erasure.removed[place]) for place, words in PLACES.items() if place in erasure.removed]


def _at(moment: Any) -> str:
    return at(moment, practice().zone)

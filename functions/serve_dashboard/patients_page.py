"""Patients: found by name or number, and everything about one of them on a page that notes who read it."""

from collections.abc import Callable
from datetime import timedelta

from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.reaching_out import why_not_by_mail
from functions.serve_dashboard.timeline import events
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, see_other
from shared.domain import identity
from shared.domain.episode import episodes
from shared.domain.message import MessageKind
from shared.domain.patient import CORRECTABLE, Language, Patient, corrected
from shared.domain.settings import is_email
from shared.domain.staff import Staff
from shared.domain.survey import Survey
from shared.locale import telephone
from shared.observability import log
from shared.storage import activity, cases, messages, patients, surveys, visits
from shared.storage.settings import clinic

FOUND = 25  # patients on a page of results
ENTRIES = 300  # of the activity of a patient
READ_AGAIN = timedelta(minutes=5)  # reading the same page again within this is the same reading
DONE = {
    "hold": "No survey goes to this patient until you take the hold off.",
    "release": "Surveys go to this patient again.",
    "opt-out": "This patient gets no more surveys and no requests for reviews.",
    "opt-in": "The opt-out is taken back.",
    "correct": "Corrected. Please correct it in your records as well: their next change counts again.",
}


def search(request: Request, staff: Staff) -> Response:
    """Patients of one's clinics whose name begins so, or who have this number."""
    typed = request.query("name").strip()[:100]
    found = [*patients.search(typed, FOUND + 1, staff.may_see), *_by_number(typed)] if typed else []
    known = {patient.patient_id: patient for patient in found if staff.may_see(patient.clinic_id)}
    shown = list(known.values())[:FOUND]
    return page(
        request,
        staff,
        "patients.html",
        title="Patients",
        typed=typed,
        found=[(patient, clinic(patient.clinic_id).name) for patient in shown],
        are_all=len(known) <= FOUND,
    )


def by_survey(request: Request, staff: Staff) -> Response:
    """From a survey's reference to its patient."""
    survey = surveys.get(request.params["survey_id"])
    if survey is None or not staff.may_see(survey.clinic_id):
        raise NotFound
    return see_other(request.link("/patient", id=survey.patient_id))


def one(request: Request, staff: Staff) -> Response:
    """Everything about one patient; that it was read, and by whom, is written down."""
    patient, asked = patient_of(request.query("id"), staff)
    _note(request, staff, patient, "patient_viewed")
    return _show(request, staff, patient, asked)


def take_step(request: Request, staff: Staff) -> Response:
    """Hold, release, opt out, opt in or correct; what cannot be done is answered with the page as it stands."""
    patient, asked = patient_of(request.field("id"), staff)
    step = request.params["step"]
    if step not in _STEPS:
        raise NotFound
    change, kind = _STEPS[step]
    try:
        change(request, patient)
    except BadForm as refusal:
        return _show(request, staff, patient, asked, status=400, problem=str(refusal))
    _note(request, staff, patient, kind)
    log("patient_step", kind=kind)
    return see_other(request.link("/patient", id=patient.patient_id, done=step))


def _correct(request: Request, patient: Patient) -> None:
    email = request.field("email")
    if email and not is_email(email):
        raise BadForm("This is not an email address that can be mailed. Leave it empty if there is none.")
    if any(len(request.field(field)) > 254 for field in CORRECTABLE):
        raise BadForm("That is too long.")
    if request.field("language") not in tuple(Language):
        raise BadForm("Please choose a language.")
    better = patient
    for field in CORRECTABLE:
        better = corrected(better, field, request.field(field))
    if not patients.correct(better, patient):
        raise BadForm("The records changed a moment ago. Please look again: nothing was saved.")


_STEPS: dict[str, tuple[Callable[[Request, Patient], object], str]] = {
    "hold": (lambda request, patient: patients.hold(patient.patient_id, on=True), "held"),
    "release": (lambda request, patient: patients.hold(patient.patient_id, on=False), "released"),
    "opt-out": (lambda request, patient: patients.opt_out(patient.patient_id), "opted_out"),
    "opt-in": (lambda request, patient: patients.opt_in(patient.patient_id), "opted_in"),
    "correct": (_correct, "corrected"),
}


def patient_of(patient_id: str, staff: Staff) -> tuple[Patient, list[Survey]]:
    """The patient and their surveys, if they were ever at a clinic that is this person's to see."""
    patient = patients.get(patient_id) if patient_id else None
    if patient is None:
        raise NotFound
    asked = surveys.of_patient(patient.patient_id)
    if not any(staff.may_see(clinic_id) for clinic_id in {patient.clinic_id, *(s.clinic_id for s in asked)}):
        raise NotFound
    return patient, asked


def _by_number(typed: str) -> list[Patient]:
    patient = patients.get(typed)
    return [patient] if patient else []


def _note(request: Request, staff: Staff, patient: Patient, kind: str) -> None:
    moment = request.now
    if kind == "patient_viewed":
        moment -= timedelta(seconds=moment.timestamp() % READ_AGAIN.total_seconds())
    activity.note(patient.patient_id, kind, moment, staff.user_id, detail=staff.name)


def _show(
    request: Request, staff: Staff, patient: Patient, asked: list[Survey], *, status: int = 200, problem: str = ""
) -> Response:
    visible = [survey for survey in asked if staff.may_see(survey.clinic_id)]
    hidden = {survey.survey_id for survey in asked} - {survey.survey_id for survey in visible}
    ids = [identity.message_id(survey.survey_id, kind) for survey in visible for kind in MessageKind]
    of_each = [activity.of_patient(one_id, ENTRIES) for one_id in (patient.patient_id, *sorted(patient.merged_from))]
    told = events(
        visible,
        messages.get_many(ids).values(),
        cases.get_many(survey.survey_id for survey in visible).values(),
        [entry for entries in of_each for entry in entries if entry.survey_id not in hidden],
    )
    history = visits.of_patient(patient.patient_id)
    place = clinic(patient.clinic_id)
    with_readings = bool(request.query("readings"))
    return page(
        request,
        staff,
        "patient.html",
        languages=tuple(Language),
        status=status,
        title=f"{patient.first_name} {patient.last_name}".strip() or "A patient without a name on record",
        patient=patient,
        clinic=place,
        phone=telephone(patient.phone) if patient.phone else "",
        unreachable=why_not_by_mail(patient),
        told=[event for event in told if with_readings or not event.is_reading],
        readings=sum(event.is_reading for event in told),
        with_readings=with_readings,
        episodes=[
            episode
            for episode in episodes(history.visits.values(), lambda id_: clinic(id_).zone, history.cases.values())
            if any(staff.may_see(day.visit.clinic_id) for day in episode.days)
        ],
        problem=problem,
        done=DONE.get(request.query("done"), ""),
        typed=request.field,
        at=lambda moment: at(moment, place.zone),
    )

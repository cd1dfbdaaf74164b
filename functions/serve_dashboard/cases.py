"""Cases: who waits to be heard, who has taken it, what was done, and what came of it."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from functions.serve_dashboard import reaching_out
from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.reaching_out import Changed, Unclear
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, see_other
from shared.domain.patient import Patient
from shared.domain.playbook import Draft, fill
from shared.domain.recovery import (
    MAX_NOTE,
    MAX_REASON,
    Channel,
    NotPossible,
    Outcome,
    Outreach,
    RecoveryCase,
    Result,
    claim,
    close,
    deadline,
    hand_back,
    note_reply,
    reach_out,
    reopen,
    unanswered,
)
from shared.domain.staff import Role, Staff
from shared.domain.survey import Survey
from shared.locale import telephone
from shared.observability import log
from shared.storage import activity, cases, patients, surveys
from shared.storage.playbook import playbook
from shared.storage.settings import clinic, practice

SHOWN = 100  # cases on a page: more open ones than that are not read, but worked off
ATTEMPTS = 3

OUTCOMES = {
    Outcome.RESOLVED: "Put right",
    Outcome.FOLLOWING_UP: "Something was promised and is being done",
    Outcome.DECLINED: "The patient does not want to talk about it",
    Outcome.NO_REPLY: "The patient did not reply",
    Outcome.NOT_REACHABLE: "No address or number works",
    Outcome.NO_ACTION: "Nothing needed to be done",
}
RESULTS = {
    Result.SPOKE: "We spoke",
    Result.VOICEMAIL: "Left a message",
    Result.NO_ANSWER: "Nobody answered",
    Result.WROTE: "Wrote an email",
}
REASONS = {
    "waiting": "Waiting or running late",
    "scheduling": "Scheduling",
    "front_desk": "Front desk",
    "communication": "Communication",
    "therapist": "Therapist",
    "outcome": "Result of the treatment",
    "billing": "Billing or insurance",
    "facility": "Facility",
    "other": "Something else",
}
DONE = {
    "claim": "The case is yours.",
    "hand-back": "The case is open to everybody again.",
    "write": "Your mail is on its way, and it is written down here.",
    "call": "The call is written down.",
    "reply": "The reply is written down.",
    "close": "The case is closed.",
    "reopen": "The case is open again.",
    "open": "The case is open.",
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A case as the list shows it."""

    case: RecoveryCase
    survey: Survey | None
    patient: Patient | None
    clinic_name: str
    is_late: bool


def waiting(staff: Staff) -> int:
    """How many open cases there are for this person."""
    return sum(staff.may_see(clinic_id) for _, clinic_id in cases.open_ones())


def overview(request: Request, staff: Staff) -> Response:
    """The open cases, the nearest deadline first, or those closed in a month."""
    month = request.query("closed")
    if month and not _is_month(month):
        raise NotFound
    found = cases.closed_in(month) if month else cases.open_ones()
    visible = [survey_id for survey_id, clinic_id in found if staff.may_see(clinic_id)]
    return page(
        request,
        staff,
        "cases.html",
        title=f"Cases closed in {month}" if month else "Cases",
        month=month,
        this_month=f"{request.now:%Y-%m}",
        previous_month=_previous(month or f"{request.now:%Y-%m}"),
        listed=_listed(visible[:SHOWN], request.now),
        left_out=max(0, len(visible) - SHOWN),
        outcomes=OUTCOMES,
        at=lambda moment: at(moment, practice().zone),
    )


def one(request: Request, staff: Staff) -> Response:
    """One case: what the patient said, how to reach them, and what to do next. That it was opened is written down."""
    survey = _survey(request, staff)
    activity.note(
        survey.patient_id,
        "case_viewed",
        request.now,
        f"{survey.survey_id}-{staff.user_id}",
        survey_id=survey.survey_id,
        detail=staff.name,
    )
    return _show(request, staff, survey)


def take_step(request: Request, staff: Staff) -> Response:
    """Change a case as a form asks; what does not fit is answered with the case as it stands and what was typed."""
    survey, step = _survey(request, staff), request.params["step"]
    if step not in _STEPS:
        raise NotFound
    try:
        _STEPS[step](request, staff, survey)
    except (BadForm, NotPossible, Changed) as refusal:
        if not isinstance(refusal, Unclear) and _was_just_done(request, staff, survey):
            return see_other(request.link(f"/cases/{survey.survey_id}", done=step))
        if isinstance(refusal, BadForm | NotPossible):
            status = 400 if isinstance(refusal, BadForm) else 409
            return _show(request, staff, survey, status=status, problem=str(refusal))
        told = "Somebody else changed this case a moment ago. This is how it stands now; nothing of yours was saved."
        return _show(request, staff, survey, status=409, problem=told)
    activity.note(
        survey.patient_id,
        f"case_{step.replace('-', '_')}",
        request.now,
        f"{survey.survey_id}-{staff.user_id}",
        survey_id=survey.survey_id,
        detail=staff.name,
    )
    log("case_step", survey_id=survey.survey_id, kind=step)
    return see_other(request.link(f"/cases/{survey.survey_id}", done=step))


def _was_just_done(request: Request, staff: Staff, survey: Survey) -> bool:
    """Whether the form says again what its sender wrote down last: the second of two clicks."""
    case, said = cases.get(survey.survey_id), request.field("text") or request.field("note")
    if not said or case is None or not case.outreach or request.field("version") == str(case.version):
        return False
    last = case.outreach[-1]
    return (last.by, last.note) == (staff.user_id, said)


def _open(request: Request, staff: Staff, survey: Survey) -> None:
    if not survey.answers:
        raise NotPossible("The patient has not answered this survey.")
    cases.open_for(survey, survey.answers[-1], clinic(survey.clinic_id), practice())


def _claim(request: Request, staff: Staff, survey: Survey) -> None:
    _change(survey, lambda case: claim(case, staff.user_id, staff.name, request.now))


def _hand_back(request: Request, staff: Staff, survey: Survey) -> None:
    is_owner = staff.role is Role.OWNER
    _change(survey, lambda case: hand_back(case, staff.user_id, may_take_from_others=is_owner))


def _write(request: Request, staff: Staff, survey: Survey) -> None:
    case = _as_seen(request, survey)
    patient = patients.get(survey.patient_id)
    reaching_out.write(request, staff, case, patient, _why_again(request, survey), request.mailer)


_BY_VOICE = (Channel.TELEPHONE, Channel.IN_PERSON)
_HEARD = (Result.SPOKE, Result.VOICEMAIL, Result.NO_ANSWER)


def _call(request: Request, staff: Staff, survey: Survey) -> None:
    case = _as_seen(request, survey)
    channel, result = request.field("channel"), request.field("result")
    if channel not in _BY_VOICE or result not in _HEARD:
        raise BadForm("Please say how you tried, and what came of it.")
    note = _note(request)
    attempt = Outreach(
        request.now, staff.user_id, staff.name, Channel(channel), Result(result), note, _why_again(request, survey)
    )
    if not cases.write(reach_out(case, attempt), case):
        raise Changed


def _reply(request: Request, staff: Staff, survey: Survey) -> None:
    _change(survey, lambda case: note_reply(case, request.now))


def _close(request: Request, staff: Staff, survey: Survey) -> None:
    case, reason = _as_seen(request, survey), request.field("reason")
    try:
        outcome = Outcome(request.field("outcome"))
    except ValueError:
        raise BadForm("Please say what came of the case.") from None
    if reason not in REASONS:
        raise BadForm("Please say what it was about.")
    is_owner = staff.role is Role.OWNER
    note = _note(request, "closing_note")
    closed = close(case, staff.user_id, outcome, reason, note, request.now, may_take_from_others=is_owner)
    if not cases.write(closed, case):
        raise Changed


def _reopen(request: Request, staff: Staff, survey: Survey) -> None:
    place = clinic(survey.clinic_id)
    due = deadline(request.now, practice().response_hours, place.zone, practice().business)
    _change(survey, lambda case: reopen(case, due))


_STEPS: dict[str, Callable[[Request, Staff, Survey], None]] = {
    "open": _open,
    "claim": _claim,
    "hand-back": _hand_back,
    "write": _write,
    "call": _call,
    "reply": _reply,
    "close": _close,
    "reopen": _reopen,
}


def _change(survey: Survey, step: Callable[[RecoveryCase], RecoveryCase]) -> None:
    """Take a step from wherever the case stands now; of two at the same moment the second sees the first."""
    for _ in range(ATTEMPTS):
        case = _existing(survey)
        if cases.write(step(case), case):
            return
    raise Changed


def _as_seen(request: Request, survey: Survey) -> RecoveryCase:
    """The case, if it still stands as the page showed it: these steps must not be taken twice."""
    case = _existing(survey)
    if request.field("version") != str(case.version):
        raise Changed
    return case


def _existing(survey: Survey) -> RecoveryCase:
    case = cases.get(survey.survey_id)
    if case is None:
        raise NotPossible("There is no case about this answer.")
    return case


def _survey(request: Request, staff: Staff) -> Survey:
    survey = surveys.get(request.params["survey_id"])
    if survey is None or not staff.may_see(survey.clinic_id):
        raise NotFound
    return survey


def _why_again(request: Request, survey: Survey) -> str:
    """The reason for reaching out to a patient who left an earlier attempt unanswered; without one it is refused."""
    despite = request.field("despite")
    if len(despite) > MAX_REASON:
        raise BadForm(f"The reason is longer than {MAX_REASON} characters.")
    if not despite and unanswered(_cases_of(survey)):
        raise BadForm("An earlier attempt got no reply. Please say why you reach out again.")
    return despite


def _cases_of(survey: Survey) -> Iterable[RecoveryCase]:
    known = {other.survey_id for other in surveys.of_patient(survey.patient_id)} | {survey.survey_id}
    return cases.get_many(known).values()


def _note(request: Request, name: str = "note") -> str:
    note = request.field(name)
    if len(note) > MAX_NOTE:
        raise BadForm(f"The note is longer than {MAX_NOTE:,} characters. Please shorten it.")
    return note


def _show(request: Request, staff: Staff, survey: Survey, *, status: int = 200, problem: str = "") -> Response:
    case, patient, place = cases.get(survey.survey_id), patients.get(survey.patient_id), clinic(survey.clinic_id)
    return page(
        request,
        staff,
        "case.html",
        status=status,
        title=f"Case of {_name(patient)}",
        name=_name(patient),
        survey=survey,
        case=case,
        patient=patient,
        clinic=place,
        phone=telephone(patient.phone) if patient else "",
        at=lambda moment: at(moment, place.zone),
        touchpoint=survey.touchpoint.replace("_", " ").replace(":", " "),
        is_late=case is not None and _is_late(case, request.now),
        is_mine=case is not None and case.owner == staff.user_id,
        is_owner=staff.role is Role.OWNER,
        why_not_by_mail=reaching_out.why_not_by_mail(patient) if case and not case.is_closed else "",
        earlier=unanswered(_cases_of(survey)),
        draft=_draft(request, staff, survey, patient),
        talk_track=playbook().talk_track,
        outcomes=OUTCOMES,
        results=RESULTS,
        reasons=REASONS,
        problem=problem,
        done=DONE.get(request.query("done"), ""),
        typed=request.field,
    )


def _draft(request: Request, staff: Staff, survey: Survey, patient: Patient | None) -> Draft:
    """What was typed a moment ago, else the playbook's draft with what is known filled in."""
    place = clinic(survey.clinic_id)
    draft = playbook().draft(survey.answers[-1].category, survey.language) if survey.answers else Draft("", "")
    values = {
        "first_name": patient.first_name if patient else "",
        "practice": practice().name,
        "clinic": place.name,
        "phone": place.phone,
        "staff": staff.name,
    }
    return Draft(
        request.field("subject") or fill(draft.subject, values), request.field("text") or fill(draft.body, values)
    )


def _listed(survey_ids: list[str], now: datetime) -> list[Listed]:
    found = cases.get_many(survey_ids)
    asked = surveys.get_many(survey_ids)
    people = patients.get_many(case.patient_id for case in found.values())
    return [
        Listed(
            case,
            asked.get(survey_id),
            people.get(case.patient_id),
            clinic(case.clinic_id).name,
            _is_late(case, now),
        )
        for survey_id in survey_ids
        if (case := found.get(survey_id))
    ]


def _is_late(case: RecoveryCase, now: datetime) -> bool:
    return not case.is_closed and not case.outreach and now > case.deadline


def _name(patient: Patient | None) -> str:
    return f"{patient.first_name} {patient.last_name}".strip() if patient else "a patient without a name on record"


def _is_month(text: str) -> bool:
    return re.fullmatch(r"20[0-9]{2}-(0[1-9]|1[0-2])", text) is not None


def _previous(month: str) -> str:
    first = datetime.fromisoformat(f"{month}-01")
    return f"{first - timedelta(days=1):%Y-%m}"

"""Who may sign in, and what they may see. What is taken from somebody is gone with their next click."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

from functions.serve_dashboard import user_pool
from functions.serve_dashboard.clinics_page import all_ids, called
from functions.serve_dashboard.settings_forms import show
from functions.serve_dashboard.user_pool import NotTaken, Person
from functions.serve_dashboard.web import BadForm, NotFound, Request, Response, see_other
from shared.domain.settings import is_email
from shared.domain.staff import Role, Staff
from shared.storage import changes, sessions, settings
from shared.storage.changes import Change

SCOPE = "staff"
ROLES = {
    Role.OWNER: "Owner: everything, of every clinic",
    Role.CLINIC_ADMIN: "Clinic admin: patients, cases and figures of the clinics below",
    Role.THERAPIST: "Therapist: their own figures and praise",
}
MOST_SHOWN = 500
_MOST_CLINICS = 2_048  # characters that the pool keeps of the ids
_MOST_NAME, _MOST_THERAPIST = 100, 256
_LOCK = timedelta(seconds=30)
_DONE = {
    "invite": "The invitation is on its way. It holds for seven days.",
    "change": "Saved. They sign in again and find it so.",
    "disable": "They can no longer sign in, and are signed out everywhere.",
    "enable": "They can sign in again.",
    "invite-again": "The new invitation is on its way. It holds for seven days.",
}


def overview(request: Request, staff: Staff) -> Response:
    """Everybody of the staff, and a form that invites."""
    return _list(request, staff)


def invite(request: Request, staff: Staff) -> Response:
    """Invite somebody."""
    try:
        person = _typed(request, Person("", "", "", request.field("email"), None))
        if not is_email(person.email):
            raise BadForm("Please give an email address.")
        with _one_at_a_time(request):
            user_pool.invite(person)
            changes.note([Change(SCOPE, _called(person), "", _rights(person))], staff, request.now)
    except (BadForm, NotTaken) as refusal:
        return _list(request, staff, str(refusal), 400)
    return see_other(request.link("/settings/staff", done="invite"))


def one(request: Request, staff: Staff) -> Response:
    """Somebody of the staff."""
    return _one(request, staff, _find(request))


def take_step(request: Request, staff: Staff) -> Response:
    """Change somebody's rights, or take or give back their sign-in; nobody does that to themselves."""
    step = request.params["step"]
    if step not in _DONE or step == "invite":
        raise NotFound
    person = _find(request)
    try:
        with _one_at_a_time(request):
            _take(request, staff, step, person)
    except (BadForm, NotTaken) as refusal:
        return _one(request, staff, person, str(refusal), 400)
    if step == "invite-again":  # the sign-in is another one now
        return see_other(request.link("/settings/staff", done=step))
    return see_other(request.link(f"/settings/staff/{person.user_id}", done=step))


def _take(request: Request, staff: Staff, step: str, person: Person) -> None:
    wanted = _typed(request, person) if step == "change" else person
    loses_ownership = person.role is Role.OWNER and (step != "change" or wanted.role is not Role.OWNER)
    if person.user_id == staff.user_id and (step != "change" or wanted.role is not person.role):
        raise BadForm("Nobody can do this to themselves. Please ask another owner.")
    if loses_ownership and step != "enable" and not _other_owners(person):
        raise BadForm("This is the last owner. Please make somebody else an owner first.")
    if step == "invite-again" and not person.is_enabled:
        raise BadForm("They may not sign in. Please let them sign in again first.")
    try:
        match step:
            case "change":
                user_pool.change(person, wanted)
                noted = Change(SCOPE, _called(wanted), _rights(person), _rights(wanted))
            case "disable":
                user_pool.disable(person)
                noted = Change(SCOPE, _called(person), "may sign in", "may not sign in")
            case "enable":
                user_pool.enable(person)
                noted = Change(SCOPE, _called(person), "may not sign in", "may sign in")
            case _:
                user_pool.remove(person)
                user_pool.invite(person)
                noted = Change(SCOPE, _called(person), "", "invited again, as " + _rights(person))
        changes.note([noted], staff, request.now)
    finally:
        # Whatever came of it: who is signed in with rights of before must not keep them.
        if person.user_id != staff.user_id:
            sessions.end_all(person.user_id)


def _other_owners(person: Person) -> bool:
    return any(
        other.role is Role.OWNER and other.is_enabled and other.user_id != person.user_id
        for other in user_pool.people()
    )


@contextmanager
def _one_at_a_time(request: Request) -> Iterator[None]:
    """Two owners who demote each other at the same moment would leave none."""
    holder = os.urandom(8).hex()
    if not settings.acquire_run(SCOPE, holder, request.now, request.now + _LOCK):
        raise BadForm("Somebody else is changing the staff at this moment. Please try again in half a minute.")
    try:
        yield
    finally:
        settings.release_run(SCOPE, holder)


def _typed(request: Request, person: Person) -> Person:
    """The person as the form wants them; BadForm says what is missing."""
    name = request.field("name")
    if not name or len(name) > _MOST_NAME or not name.isprintable():
        raise BadForm(f"Please give a name of at most {_MOST_NAME} characters.")
    if request.field("role") not in list(Role):
        raise BadForm("Please choose a role.")
    role = Role(request.field("role"))
    clinics = tuple(sorted(set(request.form.get("clinics", [])))) if role is Role.CLINIC_ADMIN else ()
    if unknown := set(clinics) - set(_clinic_ids(person)):
        raise BadForm(f"There is no clinic {sorted(unknown)[0]}.")
    if role is Role.CLINIC_ADMIN and not clinics:
        raise BadForm("Please choose at least one clinic: a clinic admin without any would see nothing.")
    if len(";".join(clinics)) > _MOST_CLINICS:
        raise BadForm("These are more clinics than a sign-in can hold. An owner sees all of them.")
    therapist_id = request.field("therapist_id") if role is Role.THERAPIST else ""
    if role is Role.THERAPIST and not 0 < len(therapist_id) <= _MOST_THERAPIST:
        raise BadForm("Please give the therapist's id as the practice's records have it.")
    return replace(person, name=name, role=role, clinics=clinics, therapist_id=therapist_id)


def _clinic_ids(person: Person | None = None) -> list[str]:
    own = person.clinics if person else ()
    return sorted(all_ids() | set(own))


def _find(request: Request) -> Person:
    for person in user_pool.people():
        if person.user_id == request.params["user_id"]:
            return person
    raise NotFound


def _called(person: Person) -> str:
    return f"{person.name} ({person.email})"


def _rights(person: Person) -> str:
    match person.role:
        case Role.OWNER:
            return "owner"
        case Role.CLINIC_ADMIN:
            return f"clinic admin of {', '.join(person.clinics) or 'no clinic'}"
        case Role.THERAPIST:
            return f"therapist {person.therapist_id}"
        case _:
            return "no role"


def _list(request: Request, staff: Staff, problem: str = "", status: int = 200) -> Response:
    listed = user_pool.people()
    return show(
        request,
        staff,
        "settings_staff.html",
        scopes=(SCOPE,),
        problem=problem,
        status=status,
        done=_DONE.get(request.query("done"), ""),
        title="Staff",
        listed=[(person, _rights(person)) for person in listed[:MOST_SHOWN]],
        left_out=max(0, len(listed) - MOST_SHOWN),
        **_form(request, None),
    )


def _one(request: Request, staff: Staff, person: Person, problem: str = "", status: int = 200) -> Response:
    return show(
        request,
        staff,
        "settings_person.html",
        scopes=(SCOPE,),
        problem=problem,
        status=status,
        done=_DONE.get(request.query("done"), ""),
        title=person.name,
        person=person,
        rights=_rights(person),
        is_self=person.user_id == staff.user_id,
        **_form(request, person),
    )


def _form(request: Request, person: Person | None) -> dict[str, object]:
    """What the form of a person shows: what was typed a moment ago, else what is so."""
    typed = request.method == "POST" and "role" in request.form
    names = {clinic.clinic_id: called(clinic) for clinic in settings.clinics()}
    return {
        "roles": ROLES,
        "clinics": [(clinic_id, names.get(clinic_id, clinic_id)) for clinic_id in _clinic_ids(person)],
        "typed": {
            "name": request.field("name") if typed or not person else person.name,
            "email": request.field("email"),
            "role": request.field("role") if typed or not person else person.role,
            "clinics": request.form.get("clinics", []) if typed or not person else person.clinics,
            "therapist_id": request.field("therapist_id") if typed or not person else person.therapist_id,
        },
    }

"""The clinics: what each sets for itself over the practice's choices. A clinic admin changes their own clinics only."""

from collections.abc import Mapping
from dataclasses import replace

from functions.serve_dashboard.settings_forms import (
    CONTENDED,
    PLEASE_LOOK,
    Choice,
    Form,
    in_words,
    links_of,
    not_reached,
    show,
    too_long,
)
from functions.serve_dashboard.unreached import unreached
from functions.serve_dashboard.web import NotFound, Request, Response, see_other
from shared.domain.settings import (
    WEEKDAYS,
    ClinicSettings,
    Practice,
    clinic_of,
    parse_addresses,
    parse_days,
    parse_networks,
    parse_review_links,
    parse_time_of_day,
    parse_zone,
)
from shared.domain.staff import Role, Staff
from shared.storage import changes, directory, settings
from shared.storage.names import name_of

MOST_SHOWN = 200
_PARSERS = {
    "time_zone": parse_zone,
    "admins": parse_addresses,
    "review_links": parse_review_links,
    "send_from": parse_time_of_day,
    "send_until": parse_time_of_day,
    "send_days": parse_days,
    "networks": parse_networks,
}
_FOR_OWNERS = (
    Choice("name", "Name", "As patients read it in mails and on pages.", empty_is_default=True, longest=100),
    Choice(
        "time_zone",
        "Time zone",
        "Such as America/New_York, America/Chicago, America/Denver, America/Phoenix or America/Los_Angeles.",
        empty_is_default=True,
    ),
)
_FOR_ALL = (
    Choice("phone", "Telephone", "Patients are shown it for urgent matters.", empty_is_default=True, longest=40),
    Choice(
        "admins",
        "Who gets this clinic's alerts",
        "Email addresses, one a line.",
        "area",
        empty_is_default=True,
        lines=parse_addresses,
    ),
    Choice(
        "review_links",
        "Review pages",
        "Links that begin with https://, one a line; “Google=https://…” gives a page a name.",
        "area",
        empty_is_default=True,
        lines=links_of,
    ),
    Choice("send_from", "Send patients' mail from", "By the clinic's clock.", empty_is_default=True),
    Choice("send_until", "Send until", empty_is_default=True),
    Choice("send_days", "Send on", kind="days"),
    Choice(
        "networks",
        "The clinic's own network",
        "Internet addresses or ranges such as 203.0.113.0/28, one a line; whoever keeps your network knows them. "
        "Answers from there count as given on site, where people tend to be kinder.",
        "area",
        empty_is_default=True,
        lines=parse_networks,
    ),
)


def overview(request: Request, staff: Staff) -> Response:
    """The clinics that this person may change."""
    known = {clinic.clinic_id: clinic for clinic in settings.clinics()}
    ids = sorted(staff.clinics if staff.role is Role.CLINIC_ADMIN else all_ids())
    listed = [known.get(clinic_id, ClinicSettings(clinic_id)) for clinic_id in ids if staff.may_see(clinic_id)]
    shown = [clinic_of(clinic, settings.practice()) for clinic in listed[:MOST_SHOWN]]
    return show(
        request,
        staff,
        "settings_clinics.html",
        scopes=tuple(f"clinic#{clinic.clinic_id}" for clinic in listed),
        title="Clinics",
        listed=[(called(clinic), place) for clinic, place in zip(listed, shown, strict=False)],
        left_out=max(0, len(listed) - MOST_SHOWN),
        unreached=unreached(email for clinic in shown for email in clinic.admins),
    )


def one(request: Request, staff: Staff) -> Response:
    """One clinic with what counts for it at present."""
    clinic_id = _clinic_id(request, staff)
    return _show(request, staff, clinic_id, _form(staff, _stored(clinic_id)))


def change(request: Request, staff: Staff) -> Response:
    """Take over what the form has, all of it or, if anything is wrong, nothing."""
    clinic_id = _clinic_id(request, staff)
    stored = _stored(clinic_id)
    form = _form(staff, stored)
    if conflicts := form.conflicts(request):
        return _show(request, staff, clinic_id, form, conflicts, CONTENDED, 409)
    wanted = form.wanted(request)
    errors = too_long(form.choices, wanted) or _errors(wanted)
    after = stored if errors else _settings(stored, wanted)
    if not errors and not clinic_of(after, settings.practice()).window.ever_opens:
        errors = {"send_until": "The end must be later than the beginning."}
    if errors:
        return _show(request, staff, clinic_id, form, errors, PLEASE_LOOK, 400)
    changed = form.changed(wanted)
    if changed:
        after = replace(after, uploaded_at=max(request.now, stored.uploaded_at or request.now))
        if not changes.write_clinic(stored, after, form.notes(f"clinic#{clinic_id}", changed), staff, request.now):
            form = _form(staff, _stored(clinic_id))
            return _show(request, staff, clinic_id, form, form.conflicts(request), CONTENDED, 409)
        settings.put_networks(clinic_id, after.networks)
    return see_other(request.link(request.path, done="saved" if changed else "nothing"))


def all_ids() -> set[str]:
    """The practice's clinics: those that are set up or named, and those of which a night has counted surveys."""
    return {clinic.clinic_id for clinic in settings.clinics()} | directory.read().clinics


def _clinic_id(request: Request, staff: Staff) -> str:
    clinic_id = request.params["clinic_id"]
    known = staff.role is Role.CLINIC_ADMIN or clinic_id in all_ids()
    if not known or not staff.may_see(clinic_id):
        raise NotFound
    return clinic_id


def _stored(clinic_id: str) -> ClinicSettings:
    return settings.read_clinic(clinic_id) or ClinicSettings(clinic_id)


def called(clinic: ClinicSettings) -> str:
    """The clinic's own name; where it has none, what the practice's exports call it."""
    return clinic.name or name_of("clinic", clinic.clinic_id)


def _form(staff: Staff, stored: ClinicSettings) -> Form:
    choices = (*(_FOR_OWNERS if staff.role is Role.OWNER else ()), *_FOR_ALL)
    texts = {
        "name": stored.name,
        "time_zone": stored.time_zone,
        "phone": stored.phone,
        "admins": ";".join(stored.admins),
        "review_links": ";".join(f"{link.label}={link.url}" for link in stored.review_links),
        "send_from": stored.send_from,
        "send_until": stored.send_until,
        "send_days": stored.send_days,
        "networks": ";".join(stored.networks),
    }
    names = {choice.name for choice in choices}
    own = {name: text for name, text in texts.items() if text and name in names}
    return Form(choices, own, _defaults(settings.practice()))


def _defaults(practice: Practice) -> dict[str, str]:
    window = practice.window
    return {
        "name": practice.name,
        "time_zone": practice.zone.key,
        "admins": ";".join(practice.admins),
        "review_links": ";".join(f"{link.label}={link.url}" for link in practice.review_links),
        "send_from": f"{window.start:%H:%M}",
        "send_until": "24:00" if window.until.second else f"{window.until:%H:%M}",  # time.max: the end of the day
        "send_days": ",".join(WEEKDAYS[day] for day in sorted(window.days)),
    }


def _errors(wanted: Mapping[str, str | None]) -> dict[str, str]:
    errors = {}
    for name, text in wanted.items():
        try:
            if name == "send_days" and text == "":
                errors[name] = "Please choose at least one day."
            elif text and name in _PARSERS:
                _PARSERS[name](text)
            elif text and not text.isprintable():
                errors[name] = "There is a character that cannot be shown. Please type the text anew."
        except ValueError as error:
            errors[name] = in_words(error)
    return errors


def _settings(stored: ClinicSettings, wanted: Mapping[str, str | None]) -> ClinicSettings:
    lists = {"admins": parse_addresses, "review_links": parse_review_links, "networks": parse_networks}
    values = {name: lists[name](text or "") if name in lists else text for name, text in wanted.items()}
    return replace(stored, **values)  # type: ignore[arg-type]


def _show(
    request: Request,
    staff: Staff,
    clinic_id: str,
    form: Form,
    errors: Mapping[str, str] | None = None,
    problem: str = "",
    status: int = 200,
) -> Response:
    fields = form.fields(form.typed(request) if errors else None, errors)
    return show(
        request,
        staff,
        "settings_form.html",
        scopes=(f"clinic#{clinic_id}",),
        problem=problem,
        status=status,
        title=called(_stored(clinic_id)),
        lede="What this clinic sets for itself. A later file of clinics that names the clinic says it anew.",
        made_from=form.made_from,
        fields=fields,
        not_reached=not_reached(fields),
    )

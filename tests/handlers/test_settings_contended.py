"""Two people in the same settings: whoever saves second is told what the first stored, and undoes nothing unawares."""

import re
from html import unescape
from typing import Any

import pytest

from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.storage import changes, settings
from tests.handlers.dashboard import Answer, signed_in

BODY, SUBJECT = "detractor.en.body", "detractor.en.subject"
PAGES = [
    ("/settings/practice/asking", {"PAUSE_DAYS": "21"}, {"REMINDER_AFTER_DAYS": "5"}),
    ("/settings/practice/asking", {"REMINDER_AFTER_DAYS": "7"}, {"REMINDER_AFTER_DAYS": "5"}),
    ("/settings/clinics/north", {"phone": "555-0199"}, {"networks": "203.0.113.0/28"}),
    ("/settings/wording/en", {"survey_closing": "Many thanks."}, {"reminder_subject": "A last word for us?"}),
    ("/settings/playbook", {SUBJECT: "We hear you"}, {BODY: "Dear {first_name}, may I call you?"}),
    ("/settings/themes", {"text": "waiting: wait*"}, {"text": "parking: parking, garage"}),
]


@pytest.fixture(autouse=True)
def north(aws: object) -> None:
    settings.put_clinic(ClinicSettings("north", name="North Street"))


def form_of(page: Answer) -> dict[str, Any]:
    """The form as a browser sends it unchanged, what it does not show included."""
    inputs = re.findall(r'<input (?:id="[^"]*"|type="hidden") name="([^"]*)" value="([^"]*)"', page.body)
    areas = re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>\n([^<]*)</textarea>', page.body)
    ticked = re.findall(r'<input type="(?:radio|checkbox)" name="([^"]*)" value="([^"]*)" checked', page.body)
    form: dict[str, Any] = {}
    for name, value in [*inputs, *areas, *ticked]:
        form.setdefault(name, []).append(unescape(value))
    return {**form, "do": "save"}


@pytest.mark.parametrize(("address", "mine", "theirs"), PAGES)
def test_a_form_from_before_somebody_elses_change_undoes_nothing(address, mine, theirs):
    robin, sam = signed_in(Role.OWNER), signed_in(Role.OWNER, user_id="user-2", name="Sam Stone")
    stale = form_of(robin.get(address))
    assert sam.post(address, {**form_of(sam.get(address)), **theirs}).status == 303

    answered = robin.post(address, {**stale, **mine})
    assert answered.status == 409
    assert "Somebody else changed this" in answered.text
    told = re.findall(r'<p class="error"[^>]*>Stored by now: ([^<]*)</p>', answered.body)
    [their_text] = theirs.values()
    assert any(their_text in unescape(text) for text in told)
    [(name, my_text)] = mine.items()
    assert form_of(answered)[name] == [my_text]
    assert {noted.by for noted in changes.latest(10)} == {"Sam Stone"}

    assert robin.post(address, form_of(answered)).location.endswith("?done=saved")  # now they know


@pytest.mark.parametrize(("address", "mine", "theirs"), PAGES)
def test_a_form_that_was_opened_after_it_saves_beside_it(address, mine, theirs):
    robin, sam = signed_in(Role.OWNER), signed_in(Role.OWNER, user_id="user-2", name="Sam Stone")
    sam.post(address, {**form_of(sam.get(address)), **theirs})
    fresh = form_of(robin.get(address))
    assert robin.post(address, fresh).location.endswith("?done=nothing")
    assert robin.post(address, {**fresh, **mine}).location.endswith("?done=saved")
    by = {noted.by for noted in changes.latest(10)}
    assert by == {"Sam Stone", "Robin Reyes"}


def test_a_clinic_form_from_before_the_practices_change_does_not_hold_on_to_the_old_hours():
    owner = signed_in(Role.OWNER)
    stale = form_of(owner.get("/settings/clinics/north"))
    owner.post("/settings/practice/asking", {**form_of(owner.get("/settings/practice/asking")), "SEND_UNTIL": "18:00"})
    answered = owner.post("/settings/clinics/north", {**stale, "phone": "555-0199"})
    assert answered.status == 409
    assert "Stored by now: 18:00" in answered.text

"""Patients on the dashboard: found, read by whoever may, and everything that happened to them in one list."""

import re
from datetime import timedelta
from html import unescape

import pytest

from shared.domain.episode import VisitKind
from shared.domain.message import MessageState
from shared.domain.staff import Role
from shared.storage import activity, cases, messages, patients, visits
from shared.storage.models import ActivityItem, MessageItem
from tests.builders import MONDAY_NOON, a_case, a_message, a_patient, a_visit
from tests.handlers.answering import answer, sent, survey_id
from tests.handlers.dashboard import NOW, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
SURVEY = survey_id(1)


def add(patient_id: str = "p1", **differences: str) -> None:
    assert patients.put_record(a_patient(patient_id, uploaded_at=MONDAY_NOON, **differences), None)


@pytest.fixture
def robin() -> Client:
    add(phone="555-0100")
    return signed_in(Role.CLINIC_ADMIN, "north")


def kinds(patient_id: str = "p1") -> list[str]:
    return [item.kind for item in ActivityItem.query(patient_id)]


def test_a_patient_is_found_by_name_and_by_number(robin):
    for typed in ("okaf", "Ada+Okafor", "p1"):
        assert "Ada Okafor" in robin.get(f"/patients?name={typed}").text
    assert "Nobody of that name" in robin.get("/patients?name=zzz").text
    assert robin.get("/patients").status == 200


def test_patients_of_another_clinic_are_not_found_and_not_read(robin):
    add("p2", clinic_id="south", first_name="Bo")
    assert "Bo Okafor" not in robin.get("/patients?name=okafor").text
    assert robin.get("/patient?id=p2").status == 404
    assert robin.post("/patient/hold", {"id": "p2"}).status == 404
    assert kinds("p2") == []
    stored = patients.get("p2")
    assert stored
    assert not stored.hold
    for missing in ("/patient?id=nobody", "/patient", f"/patients/by-survey/{survey_id(8)}"):
        assert robin.get(missing).status == 404


def test_a_clinic_s_patients_are_found_however_many_others_have_the_name(robin):
    for number in range(30):
        add(f"s{number}", clinic_id="south", first_name="Aa")
    assert "Ada Okafor" in robin.get("/patients?name=okafor").text


def test_whoever_was_asked_at_a_clinic_can_be_read_there_but_only_what_concerns_it(robin):
    add("p2", clinic_id="south", first_name="Bo")
    here, there = sent(SURVEY, patient_id="p2"), sent(survey_id(2), patient_id="p2", visit_id="v2", clinic_id="south")
    answer(here, 9, "Said in the north.")
    answer(there, 2, "Said in the south.")
    page = robin.get("/patient?id=p2")
    assert "Said in the north." in page.text
    assert "Said in the south." not in page.text
    activity.note("p2", "alert", NOW, "k", survey_id=there)
    assert "The staff were alerted" not in robin.get("/patient?id=p2").text


def test_a_survey_reference_leads_to_its_patient(robin):
    sent(SURVEY)
    assert robin.get(f"/patients/by-survey/{SURVEY}").location.endswith("/patient?id=p1")
    sent(survey_id(2), clinic_id="south", visit_id="v2")
    assert robin.get(f"/patients/by-survey/{survey_id(2)}").status == 404


def test_everything_that_happened_is_in_one_list_the_latest_first(robin):
    visits.put(a_visit(kind=VisitKind.EVALUATION), None)
    answer(sent(SURVEY), 3, "I waited.")
    answer(SURVEY, 8, "Better now.", NOW - timedelta(hours=2))
    messages.create(a_message(SURVEY))
    MessageItem(f"{SURVEY}-survey").update(
        [MessageItem.state.set(MessageState.SENT.value), MessageItem.sent_at.set(MONDAY_NOON + timedelta(hours=3))]
    )
    activity.note("p1", "alert", NOW - timedelta(hours=3), "k", survey_id=SURVEY)
    cases.create(a_case(SURVEY, escalated_at=NOW - timedelta(hours=1)))
    text = robin.get("/patient?id=p1").text
    order = [
        "The owner was told",
        "Changed the answer to 8",
        "Better now.",
        "The staff were alerted",
        "Answered 3",
        "I waited.",
        "Survey sent after evaluation",
    ]
    places = [text.index(words) for words in order]
    assert places == sorted(places)
    assert "1 visit" in text


def test_what_was_not_sent_says_why(robin):
    sent(SURVEY)
    messages.create(a_message(SURVEY))
    messages.skip(f"{SURVEY}-survey", 0, "no_address", NOW)
    assert "Survey not sent after evaluation (there was no address)" in robin.get("/patient?id=p1").text


def test_reading_is_written_down_once_in_a_while_with_the_readers_name(robin):
    robin.get("/patient?id=p1")
    robin.get("/patient?id=p1")
    assert kinds() == ["patient_viewed"]
    robin.now = NOW + timedelta(minutes=6)
    assert "This page was read" not in robin.get("/patient?id=p1").text
    assert kinds() == ["patient_viewed"] * 2
    readings = robin.get("/patient?id=p1&readings=yes").text
    assert "This page was read · Robin Reyes" in readings


def test_the_history_of_a_merged_record_is_read_with_the_patients_own(robin):
    add("old", first_name="A.")
    activity.note("old", "alert", NOW - timedelta(days=3), "k")
    survivor, retired = patients.get("p1"), patients.get("old")
    assert survivor
    assert retired
    patients.merge(retired, survivor)
    assert "The staff were alerted" in robin.get("/patient?id=p1").text
    assert "Ada Okafor" in robin.get("/patient?id=old").text


def test_a_hold_and_an_opt_out_are_set_taken_back_and_written_down(robin):
    for step, kind, flag, value in (
        ("hold", "held", "hold", True),
        ("release", "released", "hold", False),
        ("opt-out", "opted_out", "opted_out", True),
        ("opt-in", "opted_in", "opted_out", False),
    ):
        robin.now += timedelta(minutes=1)
        assert robin.post(f"/patient/{step}", {"id": "p1"}).status == 303
        assert getattr(patients.get("p1"), flag) is value
        assert kinds()[-1] == kind


def test_contact_details_are_corrected_with_what_is_wrong_said_in_words(robin):
    form = {"id": "p1", "email": "new@example.com", "phone": "555-0199", "language": "es"}
    assert robin.post("/patient/correct", form).status == 303
    stored = patients.get("p1")
    assert stored
    assert (stored.email, stored.phone, stored.language) == ("new@example.com", "555-0199", "es")
    refused = robin.post("/patient/correct", {**form, "email": "declined"})
    assert refused.status == 400
    assert "not an email address" in refused.text
    assert 'value="declined"' in refused.body
    assert robin.post("/patient/correct", {**form, "language": "eo"}).status == 400
    assert robin.post("/patient/correct", {**form, "phone": "5" * 300}).status == 400
    assert kinds().count("corrected") == 1


def test_a_number_with_any_sign_in_it_opens_its_page(robin):
    add("MRN/4711 & <x>")
    found = robin.get("/patients?name=MRN%2F4711+%26+%3Cx%3E")
    assert unescape(re.findall(r"href=\"(/patient\?[^\"]*)", found.body)[0]) == "/patient?id=MRN%2F4711%20%26%20%3Cx%3E"
    assert robin.get("/patient?id=MRN%2F4711+%26+%3Cx%3E").status == 200


def test_therapists_read_no_patients(robin):
    therapist = signed_in(Role.THERAPIST, therapist_id="t1")
    for address in ("/patients?name=okafor", "/patient?id=p1"):
        assert therapist.get(address).status == 404


def test_names_are_shown_as_words(robin):
    add("p3", first_name="<img src=x onerror=alert(1)>")
    for address in ("/patients?name=okafor", "/patient?id=p3"):
        assert "<img" not in robin.get(address).body

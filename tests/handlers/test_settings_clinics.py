"""What a clinic sets for itself on the dashboard, and who may."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions.import_visits.records import ClinicRecord
from functions.import_visits.store_clinics import store_clinic
from shared.domain.settings import ClinicSettings, is_within, parse_review_links
from shared.domain.staff import Role
from shared.storage import changes, directory, kept, settings
from shared.storage.models import SettingsItem
from shared.storage.names import put_names
from tests.builders import a_survey
from tests.handlers.dashboard import NOW, Answer, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")

NORTH = ClinicSettings("north", name="North Street", phone="555-0100", uploaded_at=NOW - timedelta(days=3))
FORM = {
    "name": "North Street",
    "time_zone": "America/New_York",
    "phone": "555-0100",
    "admins": "admin@riverside.example.com",
    "review_links": "Google=https://g.page/r/riverside/review",
    "send_from": "08:00",
    "send_until": "20:00",
    "send_days": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
    "networks": "",
}


@pytest.fixture
def owner() -> Client:
    settings.put_clinic(NORTH)
    return signed_in(Role.OWNER)


def save(client: Client, clinic_id: str = "north", **differences: Any) -> Answer:
    return client.post(f"/settings/clinics/{clinic_id}", {**FORM, **differences})


def test_what_is_saved_is_the_clinics_own_and_the_rest_the_practices(owner):
    assert save(owner, phone="555-0199", admins="lead@example.com", send_until="18:00").status == 303
    clinic = settings.clinic("north")
    assert (clinic.phone, clinic.admins, clinic.window.until.hour) == ("555-0199", ("lead@example.com",), 18)
    stored = settings.read_clinic("north")
    assert stored
    assert (stored.send_from, stored.time_zone, stored.review_links) == (None, None, ())
    assert stored.name == "North Street"


def test_a_file_from_before_the_change_does_not_take_it_back(owner):
    save(owner, phone="555-0199")
    stored = settings.read_clinic("north")
    assert stored
    assert stored.uploaded_at == NOW


def test_the_networks_are_stored_as_ranges(owner):
    save(owner, networks="203.0.113.7\n198.51.100.0/28\n2001:db8:1::/48")
    networks = settings.clinic("north").networks
    assert networks == ("203.0.113.7/32", "198.51.100.0/28", "2001:db8:1::/48")
    assert is_within("198.51.100.9", networks)
    assert is_within("2001:db8:1::5", networks)
    assert not is_within("198.51.100.16", networks)
    assert not is_within("", networks)
    assert settings.networks() == networks
    save(owner)
    assert settings.clinic("north").networks == ()


def test_a_later_file_of_clinics_says_its_columns_anew_and_leaves_the_networks(owner):
    save(owner, networks="203.0.113.7", phone="555-0199")
    said = ClinicRecord(ClinicSettings("north", name="North Street", phone="555-0111"), frozenset())
    store_clinic([(2, said)], NOW + timedelta(hours=1))
    stored = settings.read_clinic("north")
    assert stored
    assert (stored.phone, stored.networks) == ("555-0111", ("203.0.113.7/32",))
    store_clinic([(2, replace_phone(said))], NOW - timedelta(hours=1))  # it waited in the bucket
    assert settings.read_clinic("north") == stored


def replace_phone(record: ClinicRecord) -> ClinicRecord:
    return replace(record, clinic=replace(record.clinic, phone="555-0222"))


@pytest.mark.parametrize(
    ("differences", "complaint"),
    [
        ({"time_zone": "Mars/Base"}, "Not an IANA time zone"),
        ({"admins": "lead"}, "Not an email address"),
        ({"review_links": "http://example.com"}, "Not an https review link"),
        ({"send_from": "late"}, "Not a time of day"),
        ({"send_until": "07:00"}, "The end must be later"),
        ({"send_days": []}, "at least one day"),
        ({"networks": "our router"}, "Not an address range"),
        ({"networks": "0.0.0.0/0"}, "Too wide"),
        ({"networks": "192.168.1.0/24"}, "An address inside the clinic"),
        ({"networks": " ".join(f"198.51.100.{n}" for n in range(21))}, "More than 20"),
        ({"name": "x" * 101}, "longer than 100"),
        ({"phone": "555\u202e0100"}, "cannot be shown"),
    ],
)
def test_a_malformed_value_changes_nothing_and_says_why(owner, differences, complaint):
    answered = save(owner, **{"phone": "555-0199", **differences})
    assert answered.status == 400
    assert complaint in answered.text
    assert settings.read_clinic("north") == NORTH
    assert changes.latest(5) == []


def test_every_change_is_written_down_under_its_clinic(owner):
    save(owner, phone="555-0199")
    (noted,) = changes.latest(5)
    assert (noted.by, noted.change.scope, noted.change.setting) == ("Robin Reyes", "clinic#north", "Telephone")
    assert (noted.change.old, noted.change.new) == ("555-0100", "555-0199")
    assert "Telephone" in owner.get("/settings/clinics/north").text
    assert "Telephone" in owner.get("/settings").text


def test_an_upload_in_between_is_not_written_over(owner, monkeypatch: pytest.MonkeyPatch):
    read = settings.read_clinic

    def read_then_upload(clinic_id: str) -> ClinicSettings | None:
        monkeypatch.setattr(settings, "read_clinic", read)
        stale = read(clinic_id)
        settings.put_clinic(ClinicSettings("north", name="Uptown"))
        return stale

    monkeypatch.setattr(settings, "read_clinic", read_then_upload)
    answered = save(owner, phone="555-0199")
    assert answered.status == 409
    stored = settings.read_clinic("north")
    assert stored
    assert (stored.name, stored.phone) == ("Uptown", None)


def test_a_row_from_before_there_were_networks_can_be_changed(owner):
    SettingsItem("clinic#west").save()
    kept.forget()
    assert save(owner, "west", name="West", phone="555-0111").status == 303
    assert settings.clinic("west").phone == "555-0111"


def test_a_clinic_admin_sees_and_changes_their_clinics_only(owner):
    settings.put_clinic(ClinicSettings("south", name="South Street"))
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    listed = admin.get("/settings/clinics").text
    assert "North Street" in listed
    assert "South Street" not in listed
    assert admin.get("/settings/clinics/south").status == 404
    assert save(admin, "south", phone="1").status == 404
    assert save(admin, phone="555-0199").status == 303
    assert settings.clinic("north").phone == "555-0199"
    assert settings.clinic("south").phone == ""
    assert signed_in(Role.THERAPIST, therapist_id="t1").get("/settings/clinics").status == 404


def test_a_clinic_admin_changes_neither_name_nor_zone(owner):
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    assert 'name="time_zone"' not in admin.get("/settings/clinics/north").body
    save(admin, name="Mine", time_zone="America/Phoenix")
    clinic = settings.clinic("north")
    assert (clinic.name, clinic.zone.key) == ("North Street", "America/New_York")


def test_a_clinic_admin_reads_of_changes_in_their_clinics_only(owner):
    settings.put_clinic(ClinicSettings("south", name="South Street"))
    save(owner, "south", name="South Street", phone="555-0777")
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    for address in ("/settings", "/settings/clinics", "/settings/clinics/north"):
        assert "555-0777" not in admin.get(address).body
    assert "555-0777" not in signed_in(Role.CLINIC_ADMIN).get("/settings").body
    assert "555-0777" not in signed_in(Role.CLINIC_ADMIN).get("/settings/clinics").body


def test_a_clinic_that_nobody_named_can_be_set_up_once_a_night_has_counted_it(owner):
    directory.note([a_survey(clinic_id="C1")], directory.Directory())
    assert "C1" in owner.get("/settings/clinics").text
    assert owner.get("/settings/clinics/C1").status == 200
    assert "C1" not in signed_in(Role.CLINIC_ADMIN, "north").get("/settings/clinics").text
    assert signed_in(Role.CLINIC_ADMIN, "north").get("/settings/clinics/C1").status == 404


def test_a_clinic_that_only_the_exports_name_can_be_set_up(owner):
    put_names("clinic", ["east"], "East Side", NOW)
    kept.forget()
    assert "East Side" in owner.get("/settings/clinics").text
    save(owner, "east", name="East Side", review_links="https://www.yelp.com/biz/east")
    assert settings.clinic("east").review_links == parse_review_links("https://www.yelp.com/biz/east")
    assert owner.get("/settings/clinics/nowhere").status == 404
    assert save(owner, "nowhere").status == 404

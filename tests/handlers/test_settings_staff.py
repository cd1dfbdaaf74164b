"""Staff on the dashboard: invited, changed, locked out at once; and never without an owner."""

from typing import Any

import pytest

from functions.serve_dashboard import user_pool
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.observability import HandlerFailed
from shared.storage import changes, settings
from tests.handlers.dashboard import Answer, Client, signed_in
from tests.handlers.staff_pool import FakeUserPool

pytestmark = pytest.mark.usefixtures("aws")
STAFF = "/settings/staff"
KIM = {"email": "kim@example.com", "name": "Kim Park", "role": "clinic_admin", "clinics": ["north"]}


@pytest.fixture
def pool(aws: None, monkeypatch: pytest.MonkeyPatch) -> FakeUserPool:
    """A pool with Robin, the owner who is signed in, and Sam, another one."""
    fake = FakeUserPool()
    monkeypatch.setattr(user_pool, "client", lambda: fake)
    for email, name in (("robin@example.com", "Robin Reyes"), ("sam@example.com", "Sam Stone")):
        fake.add(email, "owner", name=name)
    for clinic_id in ("north", "south"):
        settings.put_clinic(ClinicSettings(clinic_id, name=clinic_id.title()))
    return fake


ROBIN, SAM = "sub-1", "sub-2"


@pytest.fixture
def robin(pool: FakeUserPool) -> Client:
    return signed_in(Role.OWNER, user_id=ROBIN)


def add_kim(pool: FakeUserPool) -> str:
    return pool.add("kim@example.com", "clinic_admin", name="Kim Park", custom_clinics="north;south")


def step(client: Client, username: str, taken: str, /, **form: Any) -> Answer:
    return client.post(f"{STAFF}/{username}/{taken}", form)


def test_an_invitation_makes_a_sign_in_with_its_role_and_clinics(pool, robin):
    assert robin.post(STAFF, KIM).location.endswith("?done=invite")
    (username,) = pool.groups["clinic_admin"]
    assert pool.attribute(username, "email") == "kim@example.com"
    assert pool.attribute(username, "email_verified") == "true"
    assert pool.attribute(username, "custom:clinics") == "north"
    assert pool.attribute(username, "custom:therapist_id") == ""
    page = robin.get(STAFF).text
    assert "Kim Park Invited kim@example.com · clinic admin of north" in page
    (noted,) = changes.latest(5)
    assert (noted.by, noted.change.setting, noted.change.new) == (
        "Robin Reyes",
        "Kim Park (kim@example.com)",
        "clinic admin of north",
    )


@pytest.mark.parametrize(
    ("differences", "complaint"),
    [
        ({"email": "kim"}, "give an email address"),
        ({"email": "sam@example.com"}, "somebody with this address already"),
        ({"name": ""}, "give a name"),
        ({"name": "Kim\u202ePark"}, "give a name"),
        ({"name": "x" * 101}, "give a name"),
        ({"role": "king"}, "choose a role"),
        ({"clinics": []}, "at least one clinic"),
        ({"clinics": ["nowhere"]}, "There is no clinic nowhere"),
        ({"role": "therapist", "therapist_id": ""}, "therapist's id"),
    ],
)
def test_what_is_missing_is_said_and_what_was_typed_stays(pool, robin, differences, complaint):
    refused = robin.post(STAFF, {**KIM, **differences})
    assert refused.status == 400
    assert complaint in refused.body.replace("&#39;", "'")
    if "name" not in differences:
        assert 'value="Kim Park"' in refused.body
    assert len(pool.users) == 2
    assert changes.latest(5) == []


def test_changed_rights_count_with_the_next_click(pool, robin):
    kim = add_kim(pool)
    her = signed_in(Role.CLINIC_ADMIN, "north", "south", user_id=kim)
    assert her.get("/settings/clinics/south").status == 200
    assert step(robin, kim, "change", **{**KIM, "name": "Kim P."}).status == 303
    assert pool.attribute(kim, "custom:clinics") == "north"
    assert her.get("/settings/clinics/south").status == 303  # to the sign-in
    (noted,) = changes.latest(5)
    assert (noted.change.old, noted.change.new) == ("clinic admin of north, south", "clinic admin of north")


def test_another_role_takes_the_former_one_away_and_its_scope(pool, robin):
    kim = add_kim(pool)
    pool.groups["owner"].append(kim)  # somebody put her into two groups by hand
    step(robin, kim, "change", name="Kim Park", role="therapist", therapist_id="t7", clinics=["north"])
    assert pool.groups_of(kim) == {"therapist"}
    assert (pool.attribute(kim, "custom:clinics"), pool.attribute(kim, "custom:therapist_id")) == ("", "t7")


def test_whoever_is_locked_out_is_signed_out_everywhere_at_once(pool, robin):
    kim = add_kim(pool)
    browsers = [signed_in(Role.CLINIC_ADMIN, "north", user_id=kim) for _ in range(2)]
    assert [browser.get("/cases").status for browser in browsers] == [200, 200]
    assert step(robin, kim, "disable").status == 303
    assert not pool.users[kim]["Enabled"]
    assert "admin_user_global_sign_out" in pool.calls
    assert [browser.get("/cases").status for browser in browsers] == [303, 303]
    assert "May not sign in" in robin.get(STAFF).text
    step(robin, kim, "enable")
    assert pool.users[kim]["Enabled"]
    assert [noted.change.new for noted in changes.latest(2)] != []


def test_who_is_signed_in_is_signed_out_even_if_the_pool_breaks_off_half_way(pool, robin):
    kim = add_kim(pool)
    hers = signed_in(Role.CLINIC_ADMIN, "north", user_id=kim)
    pool.broken["admin_user_global_sign_out"] = "InternalErrorException"
    with pytest.raises(HandlerFailed):
        step(robin, kim, "disable")
    assert hers.get("/cases").status == 303
    pool.broken.clear()
    assert step(robin, kim, "disable").status == 303  # and nothing is locked meanwhile


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("disable", {}),
        ("invite-again", {}),
        ("change", {"name": "Robin Reyes", "role": "therapist", "therapist_id": "t1"}),
    ],
)
def test_nobody_locks_themselves_out(pool, robin, name, form):
    refused = step(robin, ROBIN, name, **form)
    assert refused.status == 400
    assert "Nobody can do this to themselves" in refused.text
    assert pool.groups_of(ROBIN) == {"owner"}
    assert pool.users[ROBIN]["Enabled"]
    assert robin.get(STAFF).status == 200


def test_one_may_change_ones_own_name(pool, robin):
    assert step(robin, ROBIN, "change", name="Robin R.", role="owner").status == 303
    assert pool.attribute(ROBIN, "name") == "Robin R."
    assert robin.get(STAFF).status == 200


@pytest.mark.parametrize(
    ("name", "form"), [("disable", {}), ("change", {"name": "Sam", "role": "clinic_admin", "clinics": ["north"]})]
)
def test_the_last_owner_stays(pool, robin, name, form):
    pool.users[ROBIN]["Enabled"] = False  # whose session is about to end
    refused = step(robin, SAM, name, **form)
    assert refused.status == 400
    assert "This is the last owner" in refused.text
    assert pool.groups_of(SAM) == {"owner"}
    assert pool.users[SAM]["Enabled"]


def test_two_owners_do_not_change_the_staff_at_the_same_moment(pool, robin):
    assert settings.acquire_run("staff", "another", robin.now, robin.now.replace(minute=1))
    refused = step(robin, SAM, "disable")
    assert "Somebody else is changing the staff" in refused.text
    assert pool.users[SAM]["Enabled"]


def test_a_lost_phone_means_a_new_sign_in_with_the_same_rights(pool, robin):
    kim = add_kim(pool)
    hers = signed_in(Role.CLINIC_ADMIN, "north", user_id=kim)
    assert step(robin, kim, "invite-again").location.endswith("?done=invite-again")
    (anew,) = pool.groups["clinic_admin"]
    assert anew != kim
    assert pool.attribute(anew, "custom:clinics") == "north;south"
    assert pool.users[anew]["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    assert hers.get("/cases").status == 303
    (noted,) = changes.latest(5)
    assert noted.change.new == "invited again, as clinic admin of north, south"


def test_a_new_sign_in_is_no_way_around_being_locked_out(pool, robin):
    kim = add_kim(pool)
    step(robin, kim, "disable")
    assert "They may not sign in" in step(robin, kim, "invite-again").text
    assert kim in pool.users


def test_the_staff_are_the_owners_matter_alone(pool, robin):
    kim = add_kim(pool)
    admin = signed_in(Role.CLINIC_ADMIN, "north", user_id=kim)
    assert admin.get(STAFF).status == 404
    assert admin.post(STAFF, KIM).status == 404
    assert step(admin, SAM, "disable").status == 404
    assert robin.get(f"{STAFF}/nobody").status == 404
    assert step(robin, SAM, "delete").status == 404
    assert robin.get(f"{STAFF}/{SAM}").status == 200
    assert len(pool.users) == 3


def test_a_form_from_elsewhere_changes_nobody(pool, robin):
    refused = robin.post(f"{STAFF}/{SAM}/disable", {}, Origin="https://evil.example.com")
    assert refused.status == 403
    assert pool.users[SAM]["Enabled"]

"""What the loop is worth, on the dashboard: the uncertainty first, and nothing of fewer than ten patients."""

import re
from collections.abc import Iterable
from typing import Any

import pytest

from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.domain.worth import Sample, Worth
from shared.storage import directory, settings, worth
from tests.builders import a_survey
from tests.handlers.dashboard import Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
DAY = "2026-03-02"


def sample(*values: int) -> Sample:
    return sum((Sample(1, value, value**2) for value in values), Sample())


MANY = Worth(
    promoter=sample(*[8, 10] * 20),
    passive=sample(*[6, 8] * 10),
    detractor=sample(*[4, 6] * 10),
    reached=sample(*[5, 6] * 5),
    unreached=sample(*[4, 4, 5, 6, 6] * 2),
    ended=200,
    unheard=50,
    at_risk=12,
)


@pytest.fixture
def owner() -> Client:
    return signed_in(Role.OWNER)


def measured(north: Worth, south: Worth = Worth()) -> None:  # noqa: B008 (it never changes)
    for clinic_id in ("north", "south"):
        settings.put_clinic(ClinicSettings(clinic_id, name=f"{clinic_id.title()} Clinic"))
    directory.note([a_survey(clinic_id=clinic_id, therapist_id="") for clinic_id in ("north", "south")], _known())
    worth.write(DAY, {"north": north, "south": south})


def _known() -> directory.Directory:
    return directory.Directory()


def section(client: Client, heading: str, address: str = "/worth") -> str:
    page = client.get(address)
    assert page.status == 200
    found = re.search(rf'<section[^>]*aria-labelledby="{heading}">(.*?)</section>', page.body, re.DOTALL)
    assert found
    return " ".join(re.sub(r"<[^>]+>", " ", found[1]).split())


def test_before_the_first_run_the_page_says_so(owner: Client) -> None:
    assert "Nothing was measured yet" in owner.get("/worth").text
    assert "Nothing was measured yet" in signed_in(Role.CLINIC_ADMIN, "north").get("/worth").text


def test_the_range_comes_before_the_best_guess(owner: Client) -> None:
    measured(MANY)
    assert "last on March 2, 2026" in owner.get("/worth").text
    visits = section(owner, "visits")
    assert "between 3.4 and 4.6 visits more than detractors" in visits
    assert visits.index("3.4") < visits.index("the best guess is 4.0")
    assert "Promoters (9–10) 40 8.7 and 9.3 9.0" in visits
    assert "Passives (7–8) 20" in visits


def test_what_may_be_chance_is_said_to_be(owner: Client) -> None:
    measured(MANY)
    reached = section(owner, "reached")
    assert "No difference can be told yet" in reached
    assert "This is not an experiment" in reached
    assert "Not an experiment" in owner.get("/worth").text


def test_nothing_is_shown_of_fewer_than_ten_patients(owner: Client) -> None:
    few = Worth(promoter=sample(*[8] * 9), detractor=sample(*[4] * 20), ended=9, unheard=7, at_risk=9)
    measured(few)
    assert "too few answers" in section(owner, "visits")
    assert "Promoters (9–10) fewer than 10 – –" in section(owner, "visits")
    assert section(owner, "left").endswith("Fewer than 10 patients’ care ended in the past year.")
    assert "too few to put a price on" in section(owner, "risk")


def test_those_who_left_unheard_are_a_share_of_all(owner: Client) -> None:
    measured(MANY)
    assert "50 of 200 patients (25 %)" in section(owner, "left")


def test_without_a_visits_value_there_is_no_price(owner: Client, choose: Any) -> None:
    measured(MANY)
    assert "say in the settings what a visit brings" in section(owner, "risk")
    assert "the owner has to say" in section(signed_in(Role.CLINIC_ADMIN, "north"), "risk")
    assert "$" not in section(owner, "risk")
    choose(VISIT_VALUE="95.50")
    risk = section(owner, "risk")  # 12 patients, 4.0 visits, and 3.4 to 4.6
    assert "Between $3,900 and $5,200 ; the best guess is $4,600." in risk


def test_a_price_that_may_be_nothing_says_that_first(owner: Client, choose: Any) -> None:
    choose(VISIT_VALUE="100")
    measured(Worth(promoter=sample(*range(20)), detractor=sample(*range(1, 19)), at_risk=20))
    assert "It may be nothing" in section(owner, "risk")
    measured(Worth(promoter=sample(*range(20)), detractor=sample(*range(1, 19))))
    assert "somebody reached out to every detractor" in section(owner, "risk")


def test_the_owner_sees_the_practice_and_each_clinic_and_admins_their_own(owner: Client) -> None:
    measured(Worth(ended=100, unheard=10), Worth(ended=300, unheard=30))
    assert "40 of 400" in section(owner, "left")
    assert "30 of 300" in section(owner, "left", "/worth?clinic=south")
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    assert "10 of 100" in section(admin, "left")
    assert admin.get("/worth?clinic=south").status == 404
    assert owner.get("/worth?clinic=nowhere").status == 404
    both = signed_in(Role.CLINIC_ADMIN, "north", "south", user_id="user-2")
    assert "40 of 400" in section(both, "left")


def test_clinics_are_added_up_as_of_one_run() -> None:
    measured(Worth(ended=100, unheard=10), Worth(ended=300, unheard=30))
    worth.write("2026-03-09", {"north": Worth(ended=50, unheard=5)})
    assert "5 of 50 patients" in section(signed_in(Role.CLINIC_ADMIN, "north", "south"), "left")


def test_the_drawing_has_its_numbers_beside_it(owner: Client) -> None:
    measured(MANY)
    drawings: Iterable[str] = re.findall(r'<svg viewBox="0 0 400 24"[^>]*>', owner.get("/worth").body)
    assert [('aria-hidden="true"' in drawing) for drawing in drawings] == [True] * 5

"""The dashboard's door: who comes in, for how long, and what nobody gets past it."""

import pytest

from shared.domain.staff import Role
from tests.handlers.dashboard import Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")


def test_somebody_who_is_signed_in_sees_their_page():
    answer = signed_in(Role.OWNER).get("/")
    assert answer.status == 200
    assert "Robin Reyes" in answer.body


def test_somebody_who_is_not_is_led_to_the_sign_in_and_back():
    answer = Client().get("/?clinic=north")
    assert (answer.status, answer.location) == (303, "/sign-in?return=%2F%3Fclinic%3Dnorth")

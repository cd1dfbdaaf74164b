"""Which Careloop it is stands below every page of the dashboard."""

import pytest

from infra.build import release
from shared.domain.staff import Role
from shared.version import version
from tests.handlers.dashboard import signed_in

pytestmark = pytest.mark.usefixtures("aws")


def test_every_page_ends_with_the_release():
    assert version() == release()
    footer = signed_in(Role.OWNER).get("/patients").body.partition("<footer")[2]
    assert f"Careloop {release()}</p>" in footer

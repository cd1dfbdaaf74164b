"""Long names, words, links and badges on a phone: they wrap, and no page scrolls sideways (WCAG 1.4.10)."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from shared.domain.staff import Role
from tests.integration.practice import boss, eventually, someone

LONG = "Keihanaikukauakahihuliheekahaunaele" * 2
_TOO_WIDE = """where => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("main *, header *, footer *")]
    .filter(element => element.getBoundingClientRect().right > width)
    .map(element => `${where}: ${element.tagName} ${element.className}`);
}"""


@pytest.fixture(scope="module")
def clinic(practice):
    return practice.new_clinic(name=f"Clinic {LONG}", review_links=f"Google=https://g.page/r/{LONG}/review")


@pytest.fixture(scope="module")
def survey_id(practice, clinic):
    """Of a patient with a long name who was not happy, in one long word."""
    person = someone(LONG, clinic_id=clinic, last_name=LONG, phone="518-555-0123")
    [mail] = practice.asked(person)
    practice.answer(mail, 2, LONG * 3)
    practice.rest()
    eventually(lambda: practice.mails(boss(clinic)), "an alert")
    [survey] = practice.surveys_of(person)
    return survey["survey_id"]


def test_without_a_script_there_is_no_button_that_does_nothing(practice, survey_id, open_browser, sign_in):
    page = open_browser(javascript=False)
    sign_in(page, Role.OWNER)
    for address, script in (("/share", "data-print"), (f"/cases/{survey_id}", "data-copy")):
        page.goto(practice.stack.dashboard_url + address)
        expect(page.locator(f"[{script}]").first).to_be_attached()
        assert [button for button in page.locator(f"[{script}]").all() if button.is_visible()] == []


def test_long_words_wrap_on_every_page_that_shows_them(practice, clinic, survey_id, open_browser, sign_in):
    page = open_browser()
    sign_in(page, Role.OWNER)
    page.goto(f"{practice.stack.dashboard_url}/cases/{survey_id}")
    page.get_by_role("button", name="I’ve got this").click()
    page.get_by_label("What came of it", exact=True).select_option("declined")
    page.get_by_label("What it was about").select_option("waiting")
    page.get_by_role("button", name="Close the case").click()
    expect(page.get_by_text("Closed: The patient does not want").first).to_be_visible()
    too_wide = []
    for address in (
        f"/cases/{survey_id}",
        f"/cases?closed={datetime.now(UTC):%Y-%m}",
        f"/patients/by-survey/{survey_id}",
        f"/patients?name={quote(LONG)}",
        "/comments",
        "/settings/clinics",
        f"/settings/clinics/{clinic}",
    ):
        page.goto(practice.stack.dashboard_url + address)
        for width in (320, 390):
            page.set_viewport_size({"width": width, "height": 800})
            too_wide += page.evaluate(_TOO_WIDE, f"{width} {address}")
    assert too_wide == []

"""The settings in a real browser: every page at every width, in light and dark, by keyboard and without a script."""

import pytest
from playwright.sync_api import expect

from shared.domain.staff import Role
from tests.e2e.test_patient import assert_accessible, assert_no_sideways_scrolling
from tests.integration.practice import someone

PAGES = (
    "/settings",
    "/settings/practice/asking",
    "/settings/practice/alerts",
    "/settings/practice/goals",
    "/settings/sending",
    "/settings/clinics",
    "/settings/wording/es",
    "/settings/playbook",
    "/settings/themes",
    "/settings/staff",
    "/settings/erased",
    "/settings/health",
)


@pytest.mark.parametrize(("width", "scheme"), [(320, "light"), (390, "dark"), (1280, "light")])
def test_every_page_of_settings_is_accessible_at_every_width(practice, open_browser, sign_in, width, scheme):
    page = open_browser(width)
    page.emulate_media(color_scheme=scheme)
    sign_in(page, Role.OWNER)
    person = someone()
    practice.asked(person)
    for address in (*PAGES, f"/patient/erase?id={person.patient_id}"):
        assert page.goto(practice.stack.dashboard_url + address).status == 200
        assert_no_sideways_scrolling(page)
        assert_accessible(page, "best-practice")


def test_a_setting_is_changed_and_taken_back_without_a_script(practice, open_browser, sign_in):
    page = open_browser(390, javascript=False)
    sign_in(page, Role.OWNER)
    page.get_by_role("link", name="Settings").click()
    page.get_by_role("link", name="Goal and worth").click()
    goal = page.get_by_label("The NPS you want to reach")
    goal.fill("a lot")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Nothing was changed")
    expect(goal).to_have_value("a lot")
    expect(goal).to_have_attribute("aria-invalid", "true")
    goal.fill("85")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved")
    expect(goal).to_have_value("85")
    page.get_by_label("Take the default: none").check()
    page.get_by_role("button", name="Save").click()
    expect(goal).to_have_value("")


def test_words_are_looked_at_before_they_are_saved(practice, open_browser, sign_in):
    page = open_browser(1280, javascript=False)
    sign_in(page, Role.OWNER)
    page.goto(practice.stack.dashboard_url + "/settings/wording/en")
    page.get_by_label("Subject of the survey").fill("How are we doing at {practice}?")
    page.get_by_role("button", name="Preview").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing is saved yet")
    expect(page.get_by_role("heading", level=3).first).to_contain_text("How are we doing at ")
    page.goto(practice.stack.dashboard_url + "/settings/wording/en")
    expect(page.get_by_label("Subject of the survey")).to_have_value("One short question from {practice}")

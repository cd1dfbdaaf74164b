"""The dashboard's frame in a real browser: cookies, policy and keyboard as Chromium sees them."""

import pytest
from playwright.sync_api import expect

from shared.domain.staff import Role
from tests.e2e.test_patient import assert_accessible, assert_no_sideways_scrolling


def test_somebody_signs_in_and_out_without_a_script(practice, open_browser, sign_in):
    page = open_browser(1280, javascript=False)
    person = sign_in(page, Role.OWNER)
    expect(page.get_by_role("banner").get_by_text(person.name)).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link", name="Overview")).to_have_attribute(
        "aria-current", "page"
    )
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("You are signed out")
    page.goto(practice.stack.dashboard_url + "/")
    expect(page.get_by_label("Password")).to_be_visible()


def test_no_script_can_read_the_session(practice, open_browser, sign_in):
    page = open_browser()
    sign_in(page)
    assert page.evaluate("document.cookie") == ""
    [session] = page.context.cookies(practice.stack.dashboard_url)
    assert (session["name"], session["httpOnly"], session["secure"], session["sameSite"], session["path"]) == (
        *("__Host-session", True, True),
        *("Lax", "/"),
    )


@pytest.mark.parametrize("width", [320, 390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_frame_is_accessible_at_every_width(practice, open_browser, sign_in, width, scheme):
    page = open_browser(width)
    page.emulate_media(color_scheme=scheme)
    sign_in(page)
    assert_no_sideways_scrolling(page)
    assert_accessible(page, "best-practice")
    page.goto(practice.stack.dashboard_url + "/no-such-page")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    assert_accessible(page, "best-practice")


def test_the_keyboard_reaches_the_content_first(open_browser, sign_in):
    page = open_browser(1280)
    sign_in(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()

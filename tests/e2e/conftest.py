"""A real browser, and a practice of its own to look at."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from local.browser import launch_options
from local.stack import running
from local.staff import Person
from shared.domain.staff import Role
from tests.integration.practice import Practice
from tests.integration.staff import somebody


@pytest.fixture(scope="session")
def practice() -> Iterator[Practice]:
    with running() as stack:
        yield Practice(stack)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(**launch_options())
        yield browser
        browser.close()


@pytest.fixture
def open_browser(browser: Browser) -> Iterator[Callable[..., Page]]:
    """`open_browser(width, javascript=…)`: a fresh profile with one tab. An error on a page of it fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def fresh(width: int = 390, *, javascript: bool = True, locale: str = "en-US") -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            java_script_enabled=javascript,
            locale=locale,
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog: {dialog.message}"))
        return page

    yield fresh
    for context in contexts:
        context.close()
    # Chromium reports answers such as 404 as console errors; those are asserted by status where they are meant.
    assert [error for error in errors if "Failed to load resource" not in error] == []


@pytest.fixture
def page(open_browser: Callable[..., Page]) -> Page:
    """A phone."""
    return open_browser()


@pytest.fixture
def sign_in(practice: Practice) -> Callable[..., Person]:
    """`sign_in(page, Role.CLINIC_ADMIN, "north", at="/comments")`: a new person of the staff, signed in on the tab."""

    def through_the_form(
        page: Page, role: Role = Role.OWNER, *clinics: str, therapist_id: str = "", at: str = "/"
    ) -> Person:
        person = somebody(practice.stack, role, *clinics, therapist_id=therapist_id)
        page.goto(practice.stack.dashboard_url + at)
        page.get_by_label("Username").fill(person.email)
        page.get_by_label("Password").fill(person.password)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(practice.stack.dashboard_url + at)
        return person

    return through_the_form

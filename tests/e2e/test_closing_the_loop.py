"""From an unhappy answer to a closed case, as the staff live it on their phones; and every page for everybody."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page, expect

from shared.domain.staff import Role
from tests.e2e.test_patient import assert_accessible, assert_no_sideways_scrolling
from tests.integration.practice import Mail, Person, Practice, boss, evaluation, eventually, someone

WORDS = "Nobody called me back, and I waited for <b>an hour</b>."
SCORES = (10, 10, 9, 9, 9, 10, 8, 7, 9, 10, 2)


@pytest.fixture(scope="module")
def clinic(practice: Practice) -> str:
    """A clinic with some answers, counted and measured; its last patient was not happy."""
    clinic_id = practice.new_clinic(phone="(518) 555-0100")
    people = [someone(f"Ada{number}", clinic_id=clinic_id, phone="518-555-0123") for number in range(len(SCORES))]
    now = datetime.now(UTC)
    practice.export(people, [evaluation(person, now, ended_at=now.isoformat()) for person in people])
    due = eventually(lambda: _sent(practice, people, now), "all surveys are sent")
    for mail, score in zip(due, SCORES, strict=True):
        practice.answer(mail, score, WORDS if score == 2 else "The therapists are kind.")
    practice.rest()
    practice.count_scores()
    practice.run("MeasureWorthFunction", now)
    return clinic_id


def _sent(practice: Practice, people: list[Person], now: datetime) -> list[Mail]:
    """The surveys, sent at an hour at which the clinic's window is open."""
    for hours in range(3, 80, 7):
        practice.send(datetime.fromtimestamp(now.timestamp() + hours * 3600, UTC))
        received = {address: mail for mail in practice.mailbox() for address in mail.to}
        if all(person.email in received for person in people):
            return [received[person.email] for person in people]
    return []


@pytest.fixture(scope="module")
def case_address(practice: Practice, clinic: str) -> str:
    """Where the alert mail leads."""
    [alert] = eventually(lambda: practice.mails(boss(clinic)), "an alert")
    found = re.search(r"https?://\S+/cases/\w+", alert.text)
    assert found
    return found[0].partition("/cases/")[1] + found[0].partition("/cases/")[2]


def test_an_unhappy_patient_is_heard_from_the_alert_to_the_closed_case(
    practice: Practice,
    clinic: str,
    case_address: str,
    open_browser: Callable[..., Page],
    sign_in: Callable[..., object],
) -> None:
    page = open_browser(390, javascript=False)
    sign_in(page, Role.CLINIC_ADMIN, clinic, at=case_address)
    expect(page.get_by_text(WORDS)).to_be_visible()
    page.get_by_role("button", name="I’ve got this").click()
    expect(page.get_by_text("The case is yours.")).to_be_visible()

    second = open_browser(1280)
    sign_in(second, Role.OWNER, at=case_address)
    expect(second.get_by_text(re.compile(".+ has this case")).first).to_be_visible()
    expect(second.get_by_role("button", name="Send the mail")).to_have_count(0)

    page.get_by_label("Your mail").fill("Dear Ada, may I call you tomorrow?")
    page.get_by_role("button", name="Send the mail").click()
    expect(page.get_by_text("Your mail is on its way")).to_be_visible()
    assert [mail.text.strip() for mail in practice.mailbox() if "may I call you" in mail.text] == [
        "Dear Ada, may I call you tomorrow?"
    ]
    expect(page.get_by_role("heading", name="Better not write again")).to_be_visible()
    page.get_by_role("button", name="The patient replied").click()
    page.get_by_label("What came of it", exact=True).select_option("resolved")
    page.get_by_label("What it was about").select_option("waiting")
    page.get_by_role("button", name="Close the case").click()
    expect(page.get_by_text("Closed: Put right").first).to_be_visible()
    page.get_by_role("link", name="Everything about this patient").click()
    for told in ("Answered 2", "The staff were alerted", "Wrote to the patient", "Closed the case"):
        expect(page.get_by_text(told).first).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_of_the_dashboard_is_accessible(
    practice: Practice,
    clinic: str,
    case_address: str,
    open_browser: Callable[..., Page],
    sign_in: Callable[..., object],
    width: int,
    scheme: str,
) -> None:
    page = open_browser(width)
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    sign_in(page, Role.OWNER)
    for address in (
        "/",
        f"/?clinic={clinic}",
        "/comments",
        "/cases",
        "/cases?closed=2026-01",
        case_address,
        "/patients?name=okafor",
        "/patients/by-survey/" + case_address.rpartition("/")[2],
        "/worth",
        "/share",
    ):
        page.goto(practice.stack.dashboard_url + address)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        page.evaluate("document.querySelectorAll('details').forEach(details => details.open = true)")
        assert_no_sideways_scrolling(page)
        assert_accessible(page, "best-practice")


def test_a_therapist_sees_their_figures_and_nobody_s_name(
    practice: Practice, clinic: str, open_browser: Callable[..., Page], sign_in: Callable[..., object]
) -> None:
    page = open_browser(390)
    sign_in(page, Role.THERAPIST, therapist_id="T1")
    assert_accessible(page, "best-practice")
    assert "Okafor" not in page.content()
    page.goto(practice.stack.dashboard_url + "/patients?name=okafor")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")

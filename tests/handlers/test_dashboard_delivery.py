"""What the pages say of mails that did not arrive: to patients, and to the staff themselves."""

from datetime import timedelta
from typing import Any

import pytest
from pynamodb.expressions.update import Action

from shared.domain.delivery import Kind, staff_key
from shared.domain.identity import address_key
from shared.domain.message import MessageState
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.hash_key import hash_key
from shared.storage import activity, addresses, messages, patients, settings, surveys
from shared.storage.models import MessageItem
from tests.builders import a_message, a_patient, a_survey
from tests.handlers.dashboard import NOW, signed_in

pytestmark = pytest.mark.usefixtures("aws")
SENT = NOW - timedelta(days=1)
ADMIN = "admin@riverside.example.com"  # gets the alerts of the practice


def a_mail_that(delivery: Kind | None, status: str = "", state: MessageState = MessageState.SENT) -> str:
    """What the patient's page says of a survey's mail that came to this."""
    patients.put_record(a_patient(), None)
    surveys.create(a_survey())
    messages.create(a_message())
    changes: list[Action] = [MessageItem.state.set(state), MessageItem.sent_at.set(SENT)]
    if delivery:
        changes += [MessageItem.delivery.set(delivery), MessageItem.delivery_at.set(NOW)]
    if status:
        changes.append(MessageItem.delivery_status.set(status))
    MessageItem(a_message().message_id).update(changes)
    return signed_in().get("/patient?id=p1").text


@pytest.mark.parametrize(
    ("delivery", "status", "words"),
    [
        (None, "", "Survey sent after evaluation"),
        (Kind.SENT, "", "Survey sent after evaluation"),
        (Kind.DELIVERED, "", "Survey delivered after evaluation"),
        (Kind.DELAYED, "", "Survey sent, and not delivered yet: the mail server does not answer"),
        (Kind.UNDELIVERED, "", "Survey sent, but it did not arrive"),
        (Kind.BOUNCED, "5.1.1", "Survey came back: there is no such mailbox"),
        (Kind.BOUNCED, "", "Survey came back: there is no such mailbox"),
        (Kind.BOUNCED, "5.2.2", "Survey came back: the mailbox is full"),
        (Kind.BOUNCED, "5.7.1", "Survey came back: the mail server there does not take our mail"),
        (Kind.BOUNCED, "5.3.4", "Survey came back: the mail server there refused it"),
        (Kind.COMPLAINED, "", "Survey delivered, and marked as spam by the patient"),
    ],
)
def test_the_patients_page_says_what_became_of_a_mail_in_plain_words(delivery, status, words):
    assert words in a_mail_that(delivery, status)


def test_a_mail_that_ses_threw_away_was_not_sent():
    page = a_mail_that(Kind.REJECTED, state=MessageState.FAILED)
    assert "Survey not sent: Amazon SES took it for harmful" in page


def test_beside_an_address_that_bounced_stands_what_to_do():
    patients.put_record(a_patient(), None)
    assert "Gets no mail" not in signed_in().get("/patient?id=p1").text
    addresses.mark_bounced(address_key(hash_key(), "p1@example.com"), NOW)
    page = signed_in().get("/patient?id=p1").text
    assert "Gets no mail The last mail to this address came back. Please ask for another address, or call." in page


def test_that_a_patient_complained_stands_in_the_history():
    patients.put_record(a_patient(), None)
    activity.note("p1", "complained", NOW, "m")
    assert "Marked a mail as spam" in signed_in().get("/patient?id=p1").text


def test_while_alerts_reach_everybody_no_page_speaks_of_it():
    for path in ("/", "/settings/practice/alerts", "/settings/clinics"):
        assert "lerts do not reach" not in signed_in().get(path).text


@pytest.mark.parametrize(
    ("mark", "words"),
    [
        (addresses.mark_bounced, f"Mail to {ADMIN} comes back: alerts do not reach this address."),
        (addresses.mark_complained, f"{ADMIN} marked our mail as spam, so Amazon SES sends none there"),
    ],
)
def test_an_owner_reads_on_the_first_page_and_beside_the_address_whom_no_alert_reaches(mark: Any, words: str):
    mark(staff_key(ADMIN), NOW)
    first = signed_in().get("/").text
    assert "Alerts do not reach everybody" in first
    assert words in first
    assert words in signed_in().get("/settings/practice/alerts").text


def test_the_owner_who_would_hear_of_late_cases_is_named_as_well(choose: Any):
    choose(OWNER_ADDRESS="o@example.com")
    addresses.mark_bounced(staff_key("o@example.com"), NOW)
    assert "Mail to o@example.com comes back" in signed_in().get("/").text


def test_a_clinics_own_admin_is_named_with_the_clinic():
    settings.put_clinic(ClinicSettings("north", name="North Clinic", admins=("n@example.com",)))
    settings.put_clinic(ClinicSettings("south", name="South Clinic", admins=("s@example.com",)))
    addresses.mark_bounced(staff_key("n@example.com"), NOW)
    for path in ("/", "/settings/clinics", "/settings/clinics/north"):
        assert "Mail to n@example.com comes back" in signed_in().get(path).text
    assert "comes back" not in signed_in().get("/settings/clinics/south").text
    assert signed_in().get("/settings/clinics").text.count("Alerts do not reach everybody") == 1


def test_nobody_is_told_of_an_address_that_was_replaced_or_reached_again():
    addresses.mark_bounced(staff_key("former@example.com"), NOW)
    addresses.mark_bounced(staff_key(ADMIN), NOW)
    addresses.mark_reached(staff_key(ADMIN), NOW + timedelta(seconds=1))
    assert "lerts do not reach" not in signed_in().get("/").text
    assert "comes back" not in signed_in().get("/settings/practice/alerts").text


def test_news_from_before_the_bounce_takes_nothing_back():
    addresses.mark_bounced(staff_key(ADMIN), NOW)
    addresses.mark_reached(staff_key(ADMIN), NOW - timedelta(seconds=1))
    assert addresses.failing_staff() == {staff_key(ADMIN)}


def test_a_clinic_admin_is_not_told_of_the_practices_addresses_on_the_first_page():
    addresses.mark_bounced(staff_key(ADMIN), NOW)
    page = signed_in(Role.CLINIC_ADMIN, "north").get("/").text
    assert "Alerts do not reach everybody" not in page

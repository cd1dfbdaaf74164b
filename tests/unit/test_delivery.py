"""How Amazon SES's events are read: what happened to the mail, and whether its address is any good."""

import json
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.delivery import EVENT_TYPES, DeliveryEvent, Kind, outranks, parse_event, staff_key
from tests.builders import MONDAY_NOON
from tests.ses_events import RULE, an_event

SURVEY = "a" * 26
LATER = MONDAY_NOON + timedelta(hours=1)
TAGS = {"message_id": f"{SURVEY}-survey", "survey_id": SURVEY, "recipient": "b" * 26}
PERMANENT, TRANSIENT, UNDETERMINED = (
    ("Permanent", "General"),
    ("Transient", "General"),
    ("Undetermined", "Undetermined"),
)


def read(type_: str, tags: dict[str, str] | None = None, **differences: Any) -> DeliveryEvent:
    return parse_event(an_event(type_, TAGS if tags is None else tags, MONDAY_NOON, **differences), LATER)


@pytest.mark.parametrize(
    ("type_", "kind"),
    [
        ("Send", Kind.SENT),
        ("Delivery", Kind.DELIVERED),
        ("DeliveryDelay", Kind.DELAYED),
        ("Bounce", Kind.BOUNCED),
        ("Complaint", Kind.COMPLAINED),
        ("Reject", Kind.REJECTED),
        ("Rendering Failure", Kind.REJECTED),
    ],
)
def test_each_type_of_event_says_what_happened_to_which_mail(type_, kind):
    event = read(type_, sent_at=MONDAY_NOON - timedelta(seconds=7), ses_id="0100-ses")
    assert event.kind is kind
    assert (event.message_id, event.survey_id, event.recipient) == (f"{SURVEY}-survey", SURVEY, "b" * 26)
    assert (event.at, event.sent_at, event.ses_id) == (MONDAY_NOON, MONDAY_NOON - timedelta(seconds=7), "0100-ses")
    assert event.proves_it_left is (kind is not Kind.REJECTED)


def test_all_types_that_the_rule_lets_through_can_be_read():
    assert sorted(RULE["EventPattern"]["detail"]["eventType"]) == sorted(EVENT_TYPES)


@pytest.mark.parametrize("type_", EVENT_TYPES)
def test_nothing_of_subject_recipient_headers_or_diagnosis_is_kept(type_):
    told = an_event(type_, TAGS, MONDAY_NOON, to="ada.unmistakable@example.com")
    assert not [
        word
        for word in ("ada", "unmistakable", "visit", "secret-token", "Riverside", "smtp", "refused", "250 2.6.0")
        if word in json.dumps(told)
    ]
    assert set(told) == set(RULE["Targets"][0]["InputTransformer"]["InputPathsMap"])


@pytest.mark.parametrize(
    ("status", "label", "kind", "is_bad_address"),
    [
        ("5.1.1", PERMANENT, Kind.BOUNCED, True),
        ("5.1.1", TRANSIENT, Kind.BOUNCED, True),  # the code settles it, not the label
        ("5.1.1", UNDETERMINED, Kind.BOUNCED, True),
        ("5.1.2", PERMANENT, Kind.BOUNCED, True),
        ("5.1.3", PERMANENT, Kind.BOUNCED, True),
        ("5.1.6", PERMANENT, Kind.BOUNCED, True),
        ("5.1.10", PERMANENT, Kind.BOUNCED, True),
        ("5.2.1", PERMANENT, Kind.BOUNCED, True),
        ("5.4.1", PERMANENT, Kind.BOUNCED, True),
        ("5.4.4", PERMANENT, Kind.BOUNCED, True),
        ("5.1.1 (no such user)", PERMANENT, Kind.BOUNCED, True),
        ("5.1.7", PERMANENT, Kind.BOUNCED, False),  # the sender's address
        ("5.1.8", PERMANENT, Kind.BOUNCED, False),
        ("5.2.2", PERMANENT, Kind.BOUNCED, False),  # mailbox full
        ("5.2.2", TRANSIENT, Kind.BOUNCED, False),
        ("5.3.4", PERMANENT, Kind.BOUNCED, False),  # too large
        ("5.7.1", PERMANENT, Kind.BOUNCED, False),  # policy
        ("5.7.26", PERMANENT, Kind.BOUNCED, False),
        ("4.4.7", PERMANENT, Kind.UNDELIVERED, False),
        ("4.2.2", TRANSIENT, Kind.UNDELIVERED, False),
        ("5.0.0", PERMANENT, Kind.BOUNCED, True),  # says nothing: the label does
        ("5.0.0", ("Permanent", "Undetermined"), Kind.BOUNCED, False),
        ("", PERMANENT, Kind.BOUNCED, True),
        ("", ("Permanent", "NoEmail"), Kind.BOUNCED, True),
        ("", ("Permanent", "UnsubscribedRecipient"), Kind.BOUNCED, False),
        ("", TRANSIENT, Kind.UNDELIVERED, False),
        ("", ("Transient", "MailboxFull"), Kind.UNDELIVERED, False),
        ("", UNDETERMINED, Kind.UNDELIVERED, False),
        ("soon", TRANSIENT, Kind.UNDELIVERED, False),
        ("5.7.1", ("Permanent", "Suppressed"), Kind.BOUNCED, True),  # on SES's list, or the account's
        ("", ("Permanent", "OnAccountSuppressionList"), Kind.BOUNCED, True),
    ],
)
def test_a_bounce_is_settled_by_its_status_code_and_by_its_label_only_without_one(status, label, kind, is_bad_address):
    event = read("Bounce", status=status, label=label)
    assert (event.kind, event.is_bad_address) == (kind, is_bad_address)
    assert event.status == (status[:6].strip(" (") if status[:1].isdigit() else "")


@pytest.mark.parametrize(
    ("feedback", "kind"),
    [
        ("abuse", Kind.COMPLAINED),
        ("fraud", Kind.COMPLAINED),
        ("other", Kind.COMPLAINED),
        ("", Kind.COMPLAINED),
        ("not-spam", Kind.DELIVERED),
        ("auth-failure", Kind.DELIVERED),
    ],
)
def test_only_a_complaint_of_the_reader_is_one(feedback, kind):
    assert read("Complaint", feedback=feedback).kind is kind


def test_a_mail_without_our_tags_has_no_ids():
    event = read("Delivery", {})
    assert (event.message_id, event.survey_id, event.recipient) == ("", "", "")


@pytest.mark.parametrize("name", ["message_id", "survey_id", "recipient"])
@pytest.mark.parametrize("value", ["", "a b", "x@example.com", "<message_id>", "é", "a" * 257, "a/b"])
def test_what_cannot_be_one_of_our_tags_counts_as_missing(name, value):
    assert getattr(read("Delivery", {**TAGS, name: value}), name) == ""


@pytest.mark.parametrize("broken", ["type", "at", "sent_at"])
@pytest.mark.parametrize("value", ["", "Open", "2026-03-02", None, 7])
def test_an_event_without_type_or_time_is_refused(broken, value):
    told = an_event("Delivery", TAGS, MONDAY_NOON)
    with pytest.raises(ValueError, match=r"SES event|not an instant"):
        parse_event({**told, broken: value}, LATER)


@pytest.mark.parametrize("type_", ["Bounce", "Complaint"])
@pytest.mark.parametrize("broken", ["at", "sent_at"])
def test_a_bounce_or_complaint_without_its_moment_counts_as_of_now(type_, broken):
    event = parse_event({**an_event(type_, TAGS, MONDAY_NOON), broken: "yesterday"}, LATER)
    assert getattr(event, broken) == LATER
    assert event.kind in (Kind.BOUNCED, Kind.COMPLAINED)


def test_what_says_more_outranks_what_says_less():
    assert outranks(Kind.SENT, None)
    for less, more in pairwise(Kind):
        assert outranks(more, less)
        assert not outranks(less, more)
        assert not outranks(less, less)


def test_a_delivery_outranks_a_machines_answer_and_a_bounce_the_delivery():
    answer = read("Bounce", status="", label=TRANSIENT)
    assert outranks(Kind.DELIVERED, answer.kind)
    assert outranks(read("Bounce").kind, Kind.DELIVERED)


@given(st.emails())
def test_an_address_of_the_staff_is_a_tag_that_ses_takes_and_names_nobody(email):
    key = staff_key(f" {email.upper()} ")
    assert key == staff_key(email.upper().lower())
    assert read("Bounce", {"recipient": key}).recipient == key
    assert read("Bounce", {"recipient": key}).is_to_staff
    assert email.lower() not in key

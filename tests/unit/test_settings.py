"""The practice's choices: read strictly, refused with a message that quotes what is wrong."""

from datetime import datetime, time, timedelta
from decimal import Decimal
from ipaddress import IPv4Address
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.config import BadSetting, read_practice
from shared.domain.settings import (
    OFFICE_HOURS,
    WEEKDAYS,
    ClinicSettings,
    Window,
    clinic_of,
    is_email,
    is_within,
    parse_addresses,
    parse_benchmark,
    parse_days,
    parse_networks,
    parse_number,
    parse_review_links,
    parse_time_of_day,
    parse_zone,
)
from tests.environment import ENVIRONMENT

PRACTICE = read_practice(ENVIRONMENT)


@pytest.mark.parametrize(
    ("text", "days"),
    [("Mon-Sat", "012345"), ("Fri-Mon", "4560"), ("mon, WED,Friday", "024"), ("Sun", "6"), ("Mon-Mon", "0")],
)
def test_days_are_ranges_and_lists(text, days):
    assert parse_days(text) == {int(day) for day in days}


@given(st.sets(st.sampled_from(WEEKDAYS), min_size=1))
def test_any_list_of_days_is_read_back(names):
    assert parse_days(",".join(names)) == {WEEKDAYS.index(name) for name in names}


@pytest.mark.parametrize("text", ["", "Mo", "Mon-", "Mon-Xyz", "1-5"])
def test_what_is_no_day_is_refused(text):
    with pytest.raises(ValueError, match="not a weekday"):
        parse_days(text)


def test_a_window_is_open_from_its_start_to_just_before_its_end():
    window = Window(time(8), time(20), parse_days("Mon-Sat"))
    monday = datetime(2026, 3, 2, 8, 0, tzinfo=ZoneInfo("UTC"))
    assert window.is_open(monday)
    assert not window.is_open(monday - timedelta(microseconds=1))
    assert not window.is_open(monday.replace(hour=20))
    assert not window.is_open(monday - timedelta(days=1))


def test_twenty_four_hours_is_the_end_of_the_day():
    assert parse_time_of_day("24:00") > time(23, 59, 59)
    assert parse_time_of_day("8:05") == time(8, 5)


@pytest.mark.parametrize("text", ["", "25:00", "24:01", "8", "08:60", "8pm"])
def test_what_is_no_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="not a time of day"):
        parse_time_of_day(text)


@pytest.mark.parametrize("text", ["", "Eastern", "../etc/passwd", "America/Atlantis", "\0"])
def test_what_is_no_zone_is_refused(text):
    with pytest.raises(ValueError, match="not an IANA time zone"):
        parse_zone(text)


def test_review_links_are_labelled_by_their_host_unless_the_practice_says_otherwise():
    links = parse_review_links(
        "https://g.page/r/a/review, Our Yelp=https://yelp.com/biz/x; https://other.example.org/?a=b,c"
    )
    assert [(link.label, link.url) for link in links] == [
        ("Google", "https://g.page/r/a/review"),
        ("Our Yelp", "https://yelp.com/biz/x"),
        ("other.example.org", "https://other.example.org/?a=b,c"),
    ]
    assert parse_review_links(" ") == ()


@pytest.mark.parametrize("text", ["http://g.page/r", "javascript:alert(1)", "https://", "https://localhost", "g.page"])
def test_only_https_hosts_are_review_links(text):
    with pytest.raises(ValueError, match="not an https review link"):
        parse_review_links(text)


def test_addresses_are_separated_as_people_separate_them():
    assert parse_addresses("a@x.org; b@x.org,c@x.org\na@x.org") == ("a@x.org", "b@x.org", "c@x.org")
    with pytest.raises(ValueError, match="not an email address: 'b'"):
        parse_addresses("a@x.org, b")


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a@b",
        "a@b.c",
        "a b@x.org",
        "a@x.org\nBcc: c@x.org",
        "a@@x.org",
        "é@x.org",
        "a@x..org",
        "<a@x.org>",
        "x" * 250 + "@x.org",
    ],
)
def test_what_mail_cannot_be_addressed_to_is_no_email(text):
    assert not is_email(text)


@pytest.mark.parametrize("text", ["a@x.org", "o'neil+pt@mail.example.co", "first.last@sub-domain.example.com"])
def test_what_people_really_have_is_an_email(text):
    assert is_email(text)


def test_a_clinic_takes_from_the_practice_what_it_does_not_set():
    assert clinic_of(ClinicSettings("north"), PRACTICE) == PRACTICE.clinic("north")
    west = clinic_of(
        ClinicSettings("west", name="West", time_zone="America/Phoenix", send_until="17:00", admins=("w@x.org",)),
        PRACTICE,
    )
    assert (west.name, west.zone.key, west.window.until) == ("West", "America/Phoenix", time(17))
    assert west.window.start == PRACTICE.window.start
    assert west.admins == ("w@x.org",)


NOT_OF_THE_PRACTICE = ("CONFIGURATION_SET", "ERASE_PATIENT_FUNCTION", "METRICS_NAMESPACE", "SENDERS")
NEWER = ("MAX_SENDS_PER_DAY", "SENDING_PAUSED")


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in ENVIRONMENT.keys() - {*NOT_OF_THE_PRACTICE, *NEWER}
        if not name.endswith(("_TABLE", "_SECRET", "_BUCKET", "_QUEUE", "_URL", "_ID"))
    ),
)
def test_a_missing_setting_names_itself(name):
    with pytest.raises(BadSetting, match=name):
        read_practice({key: value for key, value in ENVIRONMENT.items() if key != name})


def test_new_code_that_still_has_the_variables_of_the_release_before_works():
    practice = read_practice({key: value for key, value in ENVIRONMENT.items() if key not in NEWER})
    assert (practice.max_sends_per_day, practice.sending_paused) == (None, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PRACTICE_TIME_ZONE", "Mars/Base"),
        ("ADMIN_ADDRESSES", "nobody"),
        ("TOUCHPOINTS", "visit"),
        ("TOUCHPOINTS", "visit:0"),
        ("PAUSE_DAYS", "ten"),
        ("SEND_DAYS", "always"),
        ("PASSIVE_ALERTS", "loud"),
        ("PROMISE_CONTACT", "yes"),
    ],
)
def test_a_malformed_setting_names_itself(name, value):
    with pytest.raises(BadSetting, match=name):
        read_practice({**ENVIRONMENT, name: value})


@pytest.mark.parametrize("until", ["08:00", "07:59"])
def test_a_window_that_never_opens_is_refused(until):
    with pytest.raises(BadSetting, match="SEND_UNTIL"):
        read_practice({**ENVIRONMENT, "SEND_UNTIL": until})


def test_zero_reminder_days_is_no_reminder():
    assert read_practice({**ENVIRONMENT, "REMINDER_AFTER_DAYS": "0"}).reminder_after is None


def test_what_only_the_dashboard_chooses_has_a_default():
    assert (PRACTICE.business, PRACTICE.response_hours, PRACTICE.goal, PRACTICE.visit_value) == (
        OFFICE_HOURS,
        8,
        None,
        None,
    )
    assert (PRACTICE.cases_for_passives, PRACTICE.escalate_to, PRACTICE.clinical_leads) == (False, (), ())
    chosen = read_practice(
        {
            **ENVIRONMENT,
            "BUSINESS_FROM": "09:00",
            "BUSINESS_UNTIL": "17:30",
            "BUSINESS_DAYS": "Mon-Thu",
            "RESPONSE_HOURS": "4",
            "CASES_FOR_PASSIVES": "true",
            "ESCALATE_TO": "owner@example.com",
            "CLINICAL_LEADS": "lead@example.com;second@example.com",
            "GOAL": "85",
            "VISIT_VALUE": "$95.50",
        }
    )
    assert chosen.business == Window(time(9), time(17, 30), frozenset(range(4)))
    assert (chosen.response_hours, chosen.cases_for_passives, chosen.goal) == (4, True, 85)
    assert chosen.escalate_to == ("owner@example.com",)
    assert chosen.clinical_leads == ("lead@example.com", "second@example.com")
    assert chosen.visit_value == Decimal("95.50")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("BUSINESS_UNTIL", "07:00"),
        ("RESPONSE_HOURS", "0"),
        ("RESPONSE_HOURS", "²"),
        ("GOAL", "101"),
        ("GOAL", "8.5"),
        ("VISIT_VALUE", "-1"),
        ("VISIT_VALUE", "NaN"),
        ("VISIT_VALUE", "a lot"),
        ("VISIT_VALUE", "100000"),
        ("ESCALATE_TO", "owner"),
        ("CASES_FOR_PASSIVES", "yes"),
    ],
)
def test_a_malformed_choice_of_the_dashboard_names_itself(name, text):
    with pytest.raises(BadSetting, match=name):
        read_practice({**ENVIRONMENT, name: text})


@pytest.mark.parametrize("text", ["75, 84, 90", "75;84;90", " -20 0 40 "])
def test_a_benchmark_is_three_rising_scores(text):
    low, middle, high = parse_benchmark(text)
    assert -100 <= low < middle < high <= 100


@pytest.mark.parametrize("text", ["", "75", "75 84", "84 75 90", "75 75 90", "75 84 101", "a b c", "75 84 90 95"])
def test_anything_else_is_no_benchmark(text):
    with pytest.raises(ValueError, match=r"three scores|whole number"):
        parse_benchmark(text)


@given(st.integers(1, 2**32 - 1), st.integers(16, 32))
def test_a_network_holds_its_own_addresses_and_is_its_own_normal_form(number, bits):
    address = str(IPv4Address(number))
    assume(not IPv4Address(number).is_private)
    networks = parse_networks(f"{address}/{bits}")
    assert is_within(address, networks)
    assert parse_networks(";".join(networks)) == networks
    assert not is_within("not an address", networks)


@pytest.mark.parametrize(
    "text", ["0.0.0.0/0", "203.0.0.0/15", "::/0", "2001::/31", "10.0.0.1", "fe80::1", "router", "1.2.3"]
)
def test_what_is_no_network_of_one_clinic_is_refused(text):
    with pytest.raises(ValueError, match=r"address|too wide"):
        parse_networks(text)


@pytest.mark.parametrize(
    ("text", "least", "most"), [("²", 0, 9), ("10", 0, 9), ("-1", 0, 9), ("1.0", 0, 9), ("", 0, 9)]
)
def test_a_number_stays_within_its_bounds(text, least, most):
    with pytest.raises(ValueError, match="whole number from 0 to 9"):
        parse_number(text, least, most)

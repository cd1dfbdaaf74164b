"""The deployment's settings as the stack's parameters give them; a missing or malformed one names itself.

What the practice chose on the dashboard instead is in shared.storage.settings.
"""

import os
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import TypeVar

from shared.domain.clock import parse_instant
from shared.domain.settings import (
    OFFICE_HOURS,
    AlertDetail,
    PassiveAlerts,
    Practice,
    ReviewInvitations,
    Window,
    parse_addresses,
    parse_benchmark,
    parse_days,
    parse_dollars,
    parse_goal,
    parse_number,
    parse_review_links,
    parse_time_of_day,
    parse_zone,
)
from shared.domain.touchpoint import parse_touchpoints

T = TypeVar("T")


class BadSetting(Exception):
    """A setting is missing or cannot be read; the message names the variable."""


def setting(name: str, environment: Mapping[str, str] | None = None) -> str:
    """The environment variable, which must be there (it may be empty)."""
    value = (os.environ if environment is None else environment).get(name)
    if value is None:
        raise BadSetting(f"the setting {name} is missing")
    return value


@cache
def parameters() -> Practice:
    """The practice's choices as the stack's parameters give them, read once a process."""
    return read_practice(os.environ)


def read_practice(environment: Mapping[str, str]) -> Practice:
    """The practice's choices from variables of these names; BadSetting names the first that is missing or malformed.

    Some may be missing: those that only the dashboard's settings choose, and those that are new, since in an update's
    first moments new code still has the variables of the release before.
    """

    def read(name: str, parse: Callable[[str], T]) -> T:
        text = setting(name, environment)
        try:
            return parse(text)
        except ValueError as error:
            raise BadSetting(f"the setting {name} is malformed: {error}") from error

    def chosen(name: str, parse: Callable[[str], T], default: T) -> T:
        return read(name, parse) if environment.get(name) else default

    def days(least: int, most: int) -> Callable[[str], timedelta]:
        return lambda text: timedelta(days=parse_number(text, least, most))

    def hours(most: int) -> Callable[[str], timedelta]:
        return lambda text: timedelta(hours=parse_number(text, 0, most))

    window = Window(
        read("SEND_FROM", parse_time_of_day), read("SEND_UNTIL", parse_time_of_day), read("SEND_DAYS", parse_days)
    )
    if not window.ever_opens:
        raise BadSetting("the setting SEND_UNTIL is not later than SEND_FROM")
    business = Window(
        chosen("BUSINESS_FROM", parse_time_of_day, OFFICE_HOURS.start),
        chosen("BUSINESS_UNTIL", parse_time_of_day, OFFICE_HOURS.until),
        chosen("BUSINESS_DAYS", parse_days, OFFICE_HOURS.days),
    )
    if not business.ever_opens:
        raise BadSetting("the setting BUSINESS_UNTIL is not later than BUSINESS_FROM")
    return Practice(
        name=read("PRACTICE_NAME", str),
        zone=read("PRACTICE_TIME_ZONE", parse_zone),
        sender=read("SENDER_ADDRESS", str),
        reply_to=read("REPLY_TO_ADDRESS", str),
        postal_address=read("POSTAL_ADDRESS", str),
        admins=read("ADMIN_ADDRESSES", parse_addresses),
        review_links=read("REVIEW_LINKS", parse_review_links),
        touchpoints=read("TOUCHPOINTS", parse_touchpoints),
        window=window,
        survey_delay=read("SURVEY_DELAY_HOURS", hours(336)),
        pause=read("PAUSE_DAYS", days(0, 365)),
        reminder_after=read("REMINDER_AFTER_DAYS", days(0, 30)) or None,
        max_touchpoint_age=read("MAX_TOUCHPOINT_AGE_DAYS", days(1, 90)),
        link_lifetime=read("LINK_LIFETIME_DAYS", days(1, 365)),
        edit_window=read("EDIT_WINDOW_DAYS", days(0, 30)),
        review_invitations=read("REVIEW_INVITATIONS", ReviewInvitations),
        review_delay=read("REVIEW_DELAY_HOURS", hours(720)),
        passive_alerts=read("PASSIVE_ALERTS", PassiveAlerts),
        alert_detail=read("ALERT_DETAIL", AlertDetail),
        promise_contact=read("PROMISE_CONTACT", _parse_bool),
        max_sends_per_day=chosen("MAX_SENDS_PER_DAY", lambda text: parse_number(text, 0, 1_000_000), 0) or None,
        sending_paused=chosen("SENDING_PAUSED", _parse_bool, False),
        owner=chosen("OWNER_ADDRESS", parse_addresses, ()),
        restored_at=chosen("RESTORED_AT", parse_instant, None),
        business=business,
        response_hours=chosen("RESPONSE_HOURS", lambda text: parse_number(text, 1, 200), 8),
        cases_for_passives=chosen("CASES_FOR_PASSIVES", _parse_bool, False),
        escalate_to=chosen("ESCALATE_TO", parse_addresses, ()),
        clinical_leads=chosen("CLINICAL_LEADS", parse_addresses, ()),
        goal=chosen("GOAL", parse_goal, None),
        visit_value=chosen("VISIT_VALUE", parse_dollars, None),
        benchmark=chosen("BENCHMARK", parse_benchmark, None),
    )


def _parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"neither true nor false: {text!r}")
    return text == "true"

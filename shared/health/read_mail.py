"""Reads what concerns mail, the practice's own rows, and who signs in.

Whoever imports this has the environment of a function of the stack: the tables' names and the practice's choices.
"""

import json
from datetime import datetime, timedelta
from typing import Any

from shared.config import BadSetting
from shared.domain.delivery import staff_key
from shared.domain.sending_health import SendingState
from shared.domain.settings import Clinic, Practice, clinic_of
from shared.health import facts
from shared.health.findings import Gone
from shared.health.place import Place, known
from shared.storage import addresses, directory, scores, sending_health, settings

_LATELY = timedelta(days=14)


def account(place: Place) -> facts.MailAccount:
    """The account in Amazon SES."""
    told = place.client("sesv2").get_account()
    return facts.MailAccount(
        in_production=told["ProductionAccessEnabled"],
        sends=told["SendingEnabled"],
        enforcement=told["EnforcementStatus"],
        quota=int(told["SendQuota"]["Max24HourSend"]),
        sent=int(told["SendQuota"]["SentLast24Hours"]),
    )


def identities(place: Place) -> tuple[facts.Identity, ...]:
    """The sender's address and domain, as far as Amazon SES knows them."""
    sender = settings.practice().sender
    found = (_identity(place, name) for name in (sender, sender.rpartition("@")[2]))
    return tuple(each for each in found if each)


def _identity(place: Place, name: str) -> facts.Identity | None:
    told = known(place, "sesv2", "get_email_identity", EmailIdentity=name)
    if told is None:
        return None
    dkim, mail_from = told.get("DkimAttributes", {}), told.get("MailFromAttributes", {})
    return facts.Identity(
        name=name,
        is_verified=told["VerifiedForSendingStatus"],
        signs=dkim.get("SigningEnabled", False),
        dkim=dkim.get("Status", ""),
        mail_from=mail_from.get("MailFromDomain", ""),
        mail_from_status=mail_from.get("MailFromDomainStatus", ""),
    )


def configuration(place: Place) -> facts.ConfigurationSet | Gone:
    """The configuration set, and which events go to the bus."""
    mail, name = place.client("sesv2"), place.name("MailEvents")
    told = known(place, "sesv2", "get_configuration_set", ConfigurationSetName=name)
    if told is None:
        return Gone("The configuration set of Amazon SES")
    listed = mail.get_configuration_set_event_destinations(ConfigurationSetName=name)
    there = listed.get("EventDestinations", ())
    to_the_bus = [each for each in there if each["Enabled"] and each.get("EventBridgeDestination")]
    # A set without a choice of its own goes by the account's.
    chosen = told.get("SuppressionOptions") or mail.get_account().get("SuppressionAttributes", {})
    return facts.ConfigurationSet(
        sends=told.get("SendingOptions", {}).get("SendingEnabled", True),
        suppressed=frozenset(chosen.get("SuppressedReasons", ())),
        told=frozenset(kind for each in to_the_bus for kind in each["MatchingEventTypes"]),
    )


PATTERN = {
    "source": ["aws.ses", "careloop.rehearsal"],
    "detail": {
        "eventType": ["Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject", "Rendering Failure"],
        "mail": {"tags": {"ses:configuration-set": ["the stack's"]}},
    },
}
"""Which of all events the rule hands on."""


def rule(place: Place) -> facts.Rule | Gone:
    """How the rule stands for what becomes of mails."""
    name = place.name("MailEventsRule").rpartition("/")[2]
    told = known(place, "events", "describe_rule", Name=name)
    if told is None:
        return Gone("The rule that hands on what Amazon SES tells of mails")
    targets = place.client("events").list_targets_by_rule(Rule=name)["Targets"]
    function = place.name("TrackDeliveryFunction")
    pattern = told.get("EventPattern", "{}").replace(place.name("MailEvents"), "the stack's")
    return facts.Rule(
        is_on=told["State"].startswith("ENABLED"),
        leads=any(each["Arn"].endswith(f":{function}") for each in targets),
        lets_through=_without_order(json.loads(pattern)) == _without_order(PATTERN),
    )


def _without_order(pattern: Any) -> Any:
    if isinstance(pattern, dict):
        return {name: _without_order(inner) for name, inner in pattern.items()}
    return sorted(map(str, pattern)) if isinstance(pattern, list) else pattern


def dmarc(place: Place) -> tuple[str, ...]:
    """The DMARC records of the sender's domain, else of the nearest domain above it that has any."""
    labels = settings.practice().sender.rpartition("@")[2].split(".")
    for first in range(max(1, len(labels) - 1)):
        found = [text for text in place.texts(f"_dmarc.{'.'.join(labels[first:])}") if "dmarc1" in text.lower()]
        if found:
            return tuple(found)
    return ()


def suppressed_staff(place: Place) -> dict[str, str]:
    """Whom of those who get alerts Amazon SES holds mail back from, and why."""
    found = {}
    for address in sorted(_everybody()):
        told = known(place, "sesv2", "get_suppressed_destination", EmailAddress=address)
        if told:
            found[address] = told["SuppressedDestination"]["Reason"]
    return found


def practice(place: Place) -> Practice:
    """The practice's choices."""
    return settings.practice()


def choices(place: Place) -> str:
    """What is wrong with the practice's choices; normally nothing."""
    try:
        settings.practice()
    except BadSetting as error:
        return str(error)
    return ""


def sending(place: Place) -> SendingState:
    """What is known of sending to patients."""
    return sending_health.state()


def clinics(place: Place) -> tuple[Clinic, ...]:
    """Every clinic that ever mails patients, as it works; the practice where none is known."""
    practice = settings.practice()
    known = tuple(clinic_of(each, practice) for each in settings.clinics())
    return tuple(each for each in known if each.window.ever_opens) or (practice.clinic(""),)


def sent_today(place: Place) -> int:
    """Mails to patients on this UTC day."""
    return sending_health.sent_on(place.now)


def recipients(place: Place) -> facts.Recipients:
    """Who gets the alerts, and whom they do not reach."""
    keys = {staff_key(email): email for email in _everybody()}
    failing = addresses.get_many(addresses.failing_staff() & keys.keys())
    return facts.Recipients(
        settings.practice().admins,
        {clinic.clinic_id: clinic.admins for clinic in settings.clinics()},
        {keys[key]: "complained" if address.complained else "bounced" for key, address in failing.items()},
    )


def _everybody() -> frozenset[str]:
    return settings.practice().alerted.union(*(clinic.admins for clinic in settings.clinics()))


def counted_at(place: Place) -> datetime | None:
    """When the nightly count last ended."""
    return directory.read().counted_at


def lately(place: Place) -> facts.Lately:
    """The last two weeks, as far as they are counted."""
    today = place.now.astimezone(settings.practice().zone).date()
    days = scores.read_range("practice", (today - _LATELY).isoformat(), today.isoformat())
    answered = [day for day, counts in days.items() if any(counts.get(f"s{score}") for score in range(11))]
    last = max(answered, default=None)
    return facts.Lately(
        sent=sum(counts.get("sent", 0) for counts in days.values()),
        last_answer=datetime.fromisoformat(last).date() if last else None,
    )


def last_file(place: Place) -> datetime | None:
    """When the newest report on a file from the EMR was written; reports are kept for 30 days."""
    pages = place.client("s3").get_paginator("list_objects_v2")
    listed = pages.paginate(Bucket=place.name("IntakeBucket"), Prefix="reports/")
    moments = (each["LastModified"] for page in listed for each in page.get("Contents", ()))
    return max(moments, default=None)


def owners(place: Place) -> tuple[facts.Owner, ...]:
    """Everybody in the group of owners."""
    pages = place.client("cognito-idp").get_paginator("list_users_in_group")
    listed = pages.paginate(UserPoolId=place.name("StaffPool"), GroupName="owner")
    return tuple(
        facts.Owner(
            email=next((each["Value"] for each in user["Attributes"] if each["Name"] == "email"), ""),
            is_enabled=user["Enabled"],
            has_signed_in=user["UserStatus"] != "FORCE_CHANGE_PASSWORD",
        )
        for page in listed
        for user in page["Users"]
    )


def second_factor(place: Place) -> str:
    """ON, OPTIONAL or OFF."""
    told = place.client("cognito-idp").get_user_pool_mfa_config(UserPoolId=place.name("StaffPool"))
    return str(told.get("MfaConfiguration", "OFF"))

"""Checks of whether mail can leave, arrives, and reaches the people who should know."""

from collections.abc import Iterator
from datetime import datetime

from shared.domain.sending_health import SendingState, is_silent
from shared.domain.settings import Clinic, Practice
from shared.health.facts import ConfigurationSet, Identity, MailAccount, Owner, Recipients, Rule
from shared.health.findings import Check, Said, attention, broken, day_of, ok, unknown

LEAVES, ARRIVES, PEOPLE = "Mail leaves", "Mail arrives", "People"
FOR_PATIENTS = 0.8  # of Amazon SES's daily quota; the rest is kept for alerts
NEEDED = frozenset({"SEND", "DELIVERY", "BOUNCE", "COMPLAINT", "REJECT"})
_CONSOLE = "Whoever looks after AWS opens the account dashboard of Amazon SES"


def sandbox(account: MailAccount) -> Iterator[Said]:
    """Whether patients' addresses are taken at all."""
    if account.in_production:
        yield ok("Amazon SES has released the account: it takes mail to anybody.")
    else:
        yield broken(
            "The account is in the sandbox of Amazon SES.",
            "Mail reaches only addresses that were verified by hand. Surveys to patients stay due and then expire.",
            "Ask AWS for production access (docs/deploy.md, step 1); the answer usually takes a day.",
        )


def standing(account: MailAccount) -> Iterator[Said]:
    """Whether Amazon SES lets the account send."""
    if not account.sends or account.enforcement == "SHUTDOWN":
        yield broken(
            "Amazon SES has paused sending for this AWS account.",
            "No mail leaves, alerts to the staff included. What is due waits.",
            f"{_CONSOLE}: it says why, and how to ask for a review.",
        )
    elif account.enforcement != "HEALTHY":
        yield attention(
            f"Amazon SES is reviewing the account ({account.enforcement.lower()}).",
            "Mail still leaves. If bounces or complaints go on, AWS pauses the account.",
            f"{_CONSOLE} and answers what AWS asks there.",
        )
    else:
        yield ok("Amazon SES lets the account send, and finds nothing wrong with it.")


def quota(account: MailAccount, practice: Practice) -> Iterator[Said]:
    """Whether the day's quota suffices; a negative one is none."""
    if account.quota < 0:
        yield ok(f"Amazon SES sets the account no daily limit. {account.sent:,} mails have left in 24 hours.")
        return
    says = f"{account.sent:,} of {account.quota:,} mails that Amazon SES allows in 24 hours have left."
    most, room = practice.max_sends_per_day, int(account.quota * FOR_PATIENTS)
    if account.sent >= room:
        yield attention(
            says,
            "What is left is kept for alerts to the staff: surveys wait until older mails no longer count.",
            "If this happens often, ask AWS for a higher daily sending quota (Service Quotas, Amazon SES).",
        )
    elif account.in_production and most and most > room:
        yield attention(
            f"{says} The practice allows itself {most:,} a day.",
            f"Amazon SES allows fewer: {room:,} to patients, since a fifth is kept for alerts.",
            "Ask AWS for a higher daily sending quota, or choose fewer on the dashboard (Settings, When patients are "
            "asked).",
        )
    else:
        yield ok(says)


def identity(identities: tuple[Identity, ...], practice: Practice) -> Iterator[Said]:
    """Whether the sender may send."""
    verified = [each.name for each in identities if each.is_verified]
    if verified:
        yield ok(f"Amazon SES has verified {verified[0]}.")
        return
    yield broken(
        f"{identities[0].name} is known to Amazon SES, but not verified yet."
        if identities
        else f"Neither the sender {practice.sender} nor its domain is known to Amazon SES in this region.",
        "Amazon SES refuses all mail, alerts to the staff included.",
        "Verify the domain as docs/deploy.md says in step 1. If it is verified, look at the region.",
    )


def dkim(identities: tuple[Identity, ...]) -> Iterator[Said]:
    """Whether mail is signed."""
    signing = [each for each in identities if each.signs and each.dkim == "SUCCESS"]
    if signing:
        yield ok(f"Mail is signed as that of {signing[0].name} (DKIM).")
        return
    told = ", ".join(f"{each.name}: {each.dkim.lower().replace('_', ' ')}" for each in identities if each.dkim)
    yield attention(
        f"Mail is not signed by the practice's domain (DKIM{f', {told}' if told else ''}).",
        "Nothing proves that mail is yours: Gmail, Yahoo and others put it into spam or refuse it.",
        "Verify the domain itself in Amazon SES and set its three CNAME records (docs/deploy.md, step 1). If they are "
        "set, wait an hour, then compare them letter by letter.",
    )


def mail_from(identities: tuple[Identity, ...]) -> Iterator[Said]:
    """Whether bounces come back through a name of the practice's."""
    named = [each for each in identities if each.mail_from]
    working = [each for each in named if each.mail_from_status == "SUCCESS"]
    if working:
        yield ok(f"Bounces come back through {working[0].mail_from} (MAIL FROM).")
    elif named:
        yield attention(
            f"{named[0].mail_from} is not working as MAIL FROM ({named[0].mail_from_status.lower() or 'not set up'}).",
            "Mail leaves under a name of Amazon's meanwhile, which some receivers trust less.",
            "Set its MX and TXT records where the domain's DNS is kept (docs/deploy.md, step 1).",
        )
    else:
        yield attention(
            "Mail leaves under a name of Amazon's, not under one of the practice's (MAIL FROM).",
            "It arrives as a rule, but receivers that compare the names (SPF alignment) trust it less.",
            "Choose a name such as bounce.example.com in Amazon SES and set its two records (docs/deploy.md, step 1).",
        )


def dmarc(records: tuple[str, ...], practice: Practice) -> Iterator[Said]:
    """Whether the domain says what to do with forged mail."""
    domain = practice.sender.rpartition("@")[2]
    policies = [text for text in records if text.replace(" ", "").lower().startswith("v=dmarc1")]
    tags = dict(part.partition("=")[::2] for part in policies[0].replace(" ", "").split(";")) if policies else {}
    if len(policies) == 1 and tags.get("p") in ("none", "quarantine", "reject"):
        yield ok(f"{domain} says what to do with forged mail: p={tags['p']} (DMARC).")
        return
    if len(policies) > 1:
        says = f"{domain} has {len(policies)} DMARC records, and receivers then heed none."
    elif policies:
        says = f"The DMARC record of {domain} names no policy that receivers know: {policies[0]}"
    else:
        says = f"{domain} has no DMARC record."
    yield attention(
        says,
        "Gmail and Yahoo want one from whoever sends much mail; without it more of yours ends in spam.",
        f"Set one TXT record _dmarc.{domain} with v=DMARC1; p=none; rua=mailto:an address that somebody reads.",
    )


def events(configuration: ConfigurationSet) -> Iterator[Said]:
    """Whether mail leaves under the set, and anything is told of it."""
    if not configuration.sends:
        yield broken(
            "Sending is switched off in the configuration set of Amazon SES.",
            "No mail leaves, alerts to the staff included.",
            "Whoever looks after AWS opens the configuration sets of Amazon SES and switches sending on again.",
        )
    if lacking := sorted(NEEDED - configuration.told):
        kinds = ", ".join(kind.lower() for kind in lacking)
        yield broken(
            f"Amazon SES does not tell what becomes of mails ({kinds}).",
            "Bounces and complaints go unnoticed: the same bad addresses are mailed again, which costs the account.",
            "Whoever looks after AWS opens the configuration set in Amazon SES, Event destinations, and switches "
            "event-bus on with these kinds of events. If it is gone: Add destination, all kinds but opens, clicks and "
            "subscriptions, Amazon EventBridge, the name event-bus, as MailEventsToTheBus in infra/template.yaml has "
            "it. Deploying again does not bring it back.",
        )
    if configuration.sends and not lacking:
        yield ok("Mail leaves under the configuration set, and Amazon SES tells what becomes of it.")


def rule(found: Rule) -> Iterator[Said]:
    """Whether what SES tells comes in."""
    if found.is_on and found.leads and found.lets_through:
        yield ok("What Amazon SES tells of mails is handed on to Careloop.")
    elif found.is_on and found.leads:
        yield broken(
            "The rule that hands on what Amazon SES tells of mails has another event pattern than it should.",
            "Bounces or complaints may go unnoticed.",
            "Whoever looks after AWS opens the rules of Amazon EventBridge (default bus), MailEventsRule, Edit, Event "
            "pattern, and sets the one of infra/template.yaml with the name of the configuration set in it.",
        )
    else:
        yield broken(
            "The rule that hands on what Amazon SES tells of mails is switched off, or leads nowhere.",
            "Bounces and complaints go unnoticed.",
            "Whoever looks after AWS opens the rules of Amazon EventBridge (default bus) and enables MailEventsRule, "
            "whose target is TrackDeliveryFunction.",
        )


def suppression(configuration: ConfigurationSet) -> Iterator[Said]:
    """Whether Amazon SES keeps mail from addresses that failed."""
    lacking = sorted({"BOUNCE", "COMPLAINT"} - configuration.suppressed)
    if lacking:
        yield attention(
            f"Amazon SES does not hold back mail to addresses after a {' or a '.join(map(str.lower, lacking))}.",
            "Careloop itself mails none of them again, but the second safeguard is missing.",
            "Whoever looks after AWS opens the configuration set in Amazon SES, Suppression list options, and "
            "suppresses bounces and complaints.",
        )
    else:
        yield ok("Amazon SES holds back mail to addresses that bounced or complained.")


def suppressed_staff(found: dict[str, str]) -> Iterator[Said]:
    """Whether somebody who should hear of unhappy patients cannot."""
    if not found:
        yield ok("Nobody who gets alerts is on the suppression list of Amazon SES.")
    for address, reason in sorted(found.items()):
        yield broken(
            f"{address} is on the suppression list of Amazon SES, after a {reason.lower()}.",
            "No alert reaches this address.",
            "See that the mailbox takes mail, then have whoever looks after AWS take it off the suppression list "
            "(Amazon SES, Suppression list). Or name another address.",
        )


def sending(
    state: SendingState,
    practice: Practice,
    clinics: tuple[Clinic, ...],
    sent_today: int,
    now: datetime,
    is_local: bool,
) -> Iterator[Said]:
    """Whether anything keeps mail from patients at present."""
    found = list(_troubles(state, practice, sent_today, now, is_local))
    yield from found or [ok(f"Nothing holds mail to patients back. {sent_today:,} left today. {_hours(clinics, now)}")]


def _hours(clinics: tuple[Clinic, ...], now: datetime) -> str:
    """Where mail may leave now, else where and when it next does, by the clock of that clinic."""
    sending = [each for each in clinics if each.window.is_open(now.astimezone(each.zone))]
    if len(sending) == len(clinics):
        return "It is within the sending hours."
    if sending:
        return f"It is within the sending hours of {len(sending)} of {len(clinics)} clinics."
    opens, name = min((each.window.next_opening(now.astimezone(each.zone)), each.name) for each in clinics)
    at = f"{opens:%A} at {opens:%H:%M}"
    if len({(each.window, each.zone) for each in clinics}) == 1:
        return f"What is due waits for the sending hours: {at}."
    return f"What is due waits for the sending hours: {name} is the first, {at} by its clock."


def _troubles(
    state: SendingState, practice: Practice, sent_today: int, now: datetime, is_local: bool
) -> Iterator[Said]:
    waits = f"Nothing is lost: what is due waits, up to {practice.max_touchpoint_age.days} days after the visit."
    if practice.sending_paused:
        yield attention(
            "Mail to patients is switched off in AWS (the parameter SendingPaused).",
            waits,
            "When mail may go on, whoever looks after AWS sets it to false and deploys again.",
        )
    if state.paused:
        yield attention(
            f"{state.paused.by} switched mail to patients off on {day_of(state.paused.since)}.",
            waits,
            "When mail may go on, an owner switches it on again: dashboard, Settings, Sending.",
        )
    if state.stopped:
        reason = state.stopped.reason.replace("_", " ")
        yield broken(
            f"Sending stopped itself on {day_of(state.stopped.since)}: {reason}.",
            f"Patients get no mail. {waits}",
            "Find out where those addresses come from, then let it go on: on the dashboard's first page, or with "
            "`make resume STACK=name`.",
        )
    if state.refused:
        yield broken(
            f"Amazon SES has taken no mail since {day_of(state.refused.since)}: "
            f"{state.refused.reason.replace('_', ' ')}.",
            f"Patients get no mail, and the staff no alerts. {waits}",
            f"{_CONSOLE} and its identities: they say what is wanted. Mail then goes on by itself.",
        )
    if is_silent(state.silent_since, now) and is_local:
        yield unknown(
            "Nothing tells here whether mail arrived: the stand-in for Amazon SES on this machine tells no such news.",
            "In AWS, bounces and complaints come in within seconds.",
            "Nothing here. On a stack in AWS, this is looked at.",
        )
    elif is_silent(state.silent_since, now):
        yield broken(
            "Mail leaves, and Amazon SES has said of none for a quarter of an hour whether it arrived.",
            "Bounces and complaints would go unnoticed.",
            "Look at the findings about the configuration set and its rule; docs/runbook.md#no-delivery-events.",
        )
    if (most := practice.max_sends_per_day) and sent_today >= most:
        yield attention(
            f"{sent_today:,} mails have left today, and the practice allows {most:,} a day.",
            "The rest waits for tomorrow (world time, UTC).",
            "If that is too few, an owner raises it: dashboard, Settings, When patients are asked.",
        )


def recipients(who: Recipients) -> Iterator[Said]:
    """Whether somebody hears of unhappy patients of every clinic."""
    deaf = sorted(clinic for clinic, admins in who.clinics.items() if not (admins or who.admins))
    for clinic in deaf:
        yield broken(
            f"Nobody gets the alerts of the clinic {clinic}.",
            "Unhappy patients there are heard by nobody.",
            "Name somebody on the dashboard: Settings, Clinics; or Settings, Alerts, for the whole practice.",
        )
    for address, why in sorted(who.unreached.items()):
        yield broken(
            f"{address} {'marked our mail as spam' if why == 'complained' else 'sends our mail back'}.",
            "No alert reaches this address.",
            "Correct it or name another on the dashboard (Settings, Alerts and Cases; Clinics). If it is right, have "
            "whoever looks after AWS take it off the suppression list of Amazon SES.",
        )
    if not who.admins and not deaf:
        yield (attention if who.clinics else broken)(
            "The practice's own list of who gets alerts is empty.",
            "Unhappy patients of a clinic that has no addresses of its own, as a new one, are heard by nobody.",
            "Name somebody on the dashboard: Settings, Alerts.",
        )
    if who.admins and not deaf and not who.unreached:
        own = sum(bool(admins) for admins in who.clinics.values())
        people = "1 address" if len(who.admins) == 1 else f"{len(who.admins)} addresses"
        besides = f"; {own} of {len(who.clinics)} clinics have addresses of their own" if own else ""
        yield ok(f"Alerts go to {people}{besides}.")


def owners(found: tuple[Owner, ...]) -> Iterator[Said]:
    """Whether somebody can sign in as owner."""
    able = [owner for owner in found if owner.is_enabled]
    here = [owner for owner in able if owner.has_signed_in]
    if here:
        yield ok(f"{'1 person' if len(here) == 1 else f'{len(here)} people'} can sign in to the dashboard as owner.")
    elif able:
        yield attention(
            f"No owner has signed in yet: {', '.join(owner.email for owner in able)}.",
            "An invitation is good for seven days. Until somebody signs in, nobody sees answers or changes settings.",
            "Look for the invitation, in spam as well. If it is too old, whoever looks after AWS sends it again "
            "(Amazon Cognito, the user pool, Users).",
        )
    else:
        yield broken(
            "Nobody can sign in to the dashboard as owner.",
            "Nobody can let sending go on, change settings or invite staff.",
            "Whoever looks after AWS opens the user pool in Amazon Cognito, enables an owner whom it holds, or creates "
            "a user and adds it to the group owner. Deploying again with the same OwnerAddress brings nobody back.",
        )


def second_factor(setting: str, is_local: bool) -> Iterator[Said]:
    """Whether a stolen password is not enough."""
    if setting == "ON":
        yield ok("Everybody signs in with a second factor.")
    elif is_local:
        yield unknown(
            "The stand-in for AWS on this machine knows no second factor.",
            "In AWS, everybody who signs in is asked for one.",
            "Nothing here. On a stack in AWS, this is looked at.",
        )
    else:
        yield broken(
            f"The dashboard can be opened with a password alone (second factor: {setting.lower() or 'off'}).",
            "Whoever learns one password sees patients' names and words.",
            "Whoever looks after AWS requires MFA for the user pool, by authenticator apps (Amazon Cognito, Sign-in). "
            "Deploying again does not.",
        )


CHECKS = (
    Check(LEAVES, "Release by Amazon SES", ("account",), "Mail may reach no patient.", sandbox),
    Check(LEAVES, "Standing with Amazon SES", ("account",), "Mail may not leave.", standing),
    Check(LEAVES, "Daily quota", ("account", "practice"), "Part of the mail may wait.", quota),
    Check(LEAVES, "Sender", ("identities", "practice"), "Mail may not leave.", identity),
    Check(
        LEAVES,
        "Configuration set",
        ("configuration",),
        "Mail may not leave, or nothing be told of it.",
        events,
    ),
    Check(
        LEAVES,
        "Sending",
        ("sending", "practice", "clinics", "sent_today", "now", "is_local"),
        "Patients may get no mail.",
        sending,
    ),
    Check(ARRIVES, "Signed mail (DKIM)", ("identities",), "Mail may end in spam.", dkim),
    Check(ARRIVES, "Name for bounces (MAIL FROM)", ("identities",), "Mail may end in spam.", mail_from),
    Check(ARRIVES, "Forged mail (DMARC)", ("dmarc", "practice"), "Mail may end in spam.", dmarc),
    Check(ARRIVES, "News of mail", ("rule",), "Bounces and complaints may go unnoticed.", rule),
    Check(
        ARRIVES,
        "Suppression list",
        ("configuration",),
        "The same bad addresses may be mailed again.",
        suppression,
    ),
    Check(
        ARRIVES,
        "Alert addresses",
        ("suppressed_staff",),
        "Alerts may not reach everybody who should know.",
        suppressed_staff,
    ),
    Check(PEOPLE, "Alert recipients", ("recipients",), "Unhappy patients may be heard by nobody.", recipients),
    Check(PEOPLE, "Owners", ("owners",), "Nobody may be able to sign in as owner.", owners),
    Check(
        PEOPLE,
        "Second factor",
        ("second_factor", "is_local"),
        "A stolen password may be enough to sign in.",
        second_factor,
    ),
)

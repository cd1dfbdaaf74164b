"""Whether patients get their mail: what the first page says if they do not, and letting it go on."""

import os
from dataclasses import dataclass
from datetime import datetime

from functions.serve_dashboard.pages import at
from functions.serve_dashboard.unreached import whom_no_alert_reaches
from functions.serve_dashboard.web import BadForm, Request, Response, see_other
from shared.domain.clock import format_instant
from shared.domain.sending_health import WINDOW_DAYS, Paused, Refusal, Refused, Stopped, StopReason, is_silent
from shared.domain.staff import Role, Staff
from shared.storage import sending_health
from shared.storage.settings import practice

RESUMED = "resumed"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that keeps mail from patients: what happened, what to do first, and whether it goes on by itself.

    `stopped_at` is set where people let sending go on on the first page; `may_resume` says whether this person may.
    """

    heading: str
    happened: str
    first: str
    stopped_at: str = ""
    may_resume: bool = False


def troubles(request: Request, staff: Staff) -> list[Trouble]:
    """What is wrong with sending at present, the gravest first; normally nothing."""
    state = sending_health.state()
    found = []
    if practice().sending_paused:
        found.append(_of_the_parameter())
    if state.paused:
        found.append(_of_pause(state.paused))
    if state.stopped:
        found.append(_of_stop(state.stopped, staff))
    if state.refused:
        found.append(_of_refusal(state.refused))
    is_local = "AWS_ENDPOINT_URL" in os.environ  # where the stand-in for Amazon SES tells no such news
    if state.silent_since and is_silent(state.silent_since, request.now) and not is_local:
        found.append(_of_silence(state.silent_since))
    if (most := practice().max_sends_per_day) and sending_health.sent_on(request.now) >= most:
        found.append(_of_the_cap(most))
    if staff.role is Role.OWNER and (missed := whom_no_alert_reaches()):
        found.append(_of_staff(list(missed.values())))
    return found


def resume(request: Request, staff: Staff) -> Response:
    """Let sending go on, if it is still stopped as the form said and whoever sent it has looked into it."""
    stopped = sending_health.state().stopped
    if stopped is None or format_instant(stopped.since) != request.field("stopped_at"):
        raise BadForm("Somebody let sending go on in the meantime, or it was stopped anew. Please look at it again.")
    if request.field("confirmed") != "yes":
        raise BadForm("Please tick that you have looked into it: mail that bounces again may cost you the account.")
    if not sending_health.resume(stopped, staff, request.now):
        raise BadForm("Somebody else changed this a moment ago. Please look at it again.")
    return see_other(request.link("/", done=RESUMED))


def _of_the_parameter() -> Trouble:
    return Trouble(
        "Patients get no mail: sending is switched off in AWS",
        f"Whoever looks after AWS switched it off, with the parameter SendingPaused of the stack. {_waits()}",
        "When mail may go on, they set that parameter to false and deploy again.",
    )


def _of_pause(paused: Paused) -> Trouble:
    return Trouble(
        "Patients get no mail: sending is switched off",
        f"{paused.by} switched it off on {_local(paused.since)}. {_waits()}",
        "When mail may go on, an owner switches it on again under Settings: Sending.",
    )


def _of_the_cap(most: int) -> Trouble:
    return Trouble(
        "No more mail to patients today",
        f"{_count(most, 'mail')} have left, and no more may leave in one day. The day ends at midnight of world time "
        f"(UTC). {_waits()}",
        "If that is too few for the practice, an owner raises it under Settings: When patients are asked.",
    )


def _of_stop(stopped: Stopped, staff: Staff) -> Trouble:
    heading, happened, first = _STOPPED[stopped.reason]
    fates = stopped.fates
    return Trouble(
        heading,
        happened.format(
            when=_local(stopped.since),
            bounced=_count(fates.bounced, "mail"),
            complained=_count(fates.complained, "patient"),
            sent=f"{_count(fates.sent, 'mail')} {'was' if fates.sent == 1 else 'were'}",
            days=WINDOW_DAYS,
            waits=_waits(),
        ),
        first,
        format_instant(stopped.since),
        staff.role is Role.OWNER,
    )


_STOPPED: dict[StopReason, tuple[str, str, str]] = {
    StopReason.BOUNCES: (
        "Patients get no mail: too many bounced",
        "Careloop stopped on {when}: {bounced} could not be delivered while {sent} sent in the last {days} days, "
        "or since sending was last resumed. Two in a hundred are too many: Amazon SES pauses practices that go on, "
        "and then alerts to you stop as well. {waits}",
        "Find out where those addresses come from: an old list, a wrong column of the export, or typing at the front "
        "desk. An address that bounced gets no more mail until it is corrected.",
    ),
    StopReason.COMPLAINTS: (
        "Patients get no mail: too many marked it as spam",
        "Careloop stopped on {when}: {complained} marked a mail as spam while {sent} sent in the last {days} "
        "days, or since sending was last resumed. One in two thousand is too many: Amazon SES pauses practices that "
        "go on, and then alerts to you stop as well. {waits}",
        "Find out why patients did not expect it: do they hear at their first visit that you will ask, do they know "
        "the sender's name, do they get too many mails? Whoever complained gets no more.",
    ),
}


def _of_refusal(refused: Refused) -> Trouble:
    heading, happened, first = _REFUSED[refused.reason]
    told = happened.format(when=_local(refused.since), sender=practice().sender, waits=_waits())
    return Trouble(heading, told, first)


_REFUSED: dict[Refusal, tuple[str, str, str]] = {
    Refusal.ACCOUNT_PAUSED: (
        "Patients get no mail: Amazon SES has paused the account",
        "Since {when} Amazon SES has taken no mail from this AWS account, alerts to you included. {waits} It leaves by "
        "itself once SES takes mail again.",
        "Whoever looks after AWS opens the account dashboard of Amazon SES: it says why, and how to ask for a review.",
    ),
    Refusal.SENDER_REFUSED: (
        "Patients get no mail: Amazon SES refuses the sender",
        "Since {when} Amazon SES has refused mail from {sender}, alerts to you included. {waits} It leaves by itself "
        "once SES takes it.",
        "Whoever looks after AWS opens the identities of Amazon SES: that address, or its domain, must be verified "
        "there. If it is, the account may have been paused, or the right to send taken away.",
    ),
}


def _of_silence(since: datetime) -> Trouble:
    return Trouble(
        "Nobody knows whether mail arrives",
        f"Mail has been leaving since {_local(since)}, but Amazon SES has not said of any whether it arrived. Mail "
        "goes on; bounces and complaints would go unnoticed.",
        "Whoever looks after AWS checks that the configuration set of Amazon SES, its event destination and the rule "
        "in Amazon EventBridge are there and switched on.",
    )


def _of_staff(told: list[str]) -> Trouble:
    return Trouble(
        "Alerts do not reach everybody",
        " ".join(told),
        "Correct the addresses under Settings: Alerts and Cases for the practice, Clinics for each clinic.",
    )


def _waits() -> str:
    return f"Nothing is lost: what is due waits, up to {practice().max_touchpoint_age.days} days after the visit."


def _local(moment: datetime) -> str:
    return at(moment, practice().zone)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"

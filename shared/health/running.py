"""Checks of whether what runs by itself does run, and whether anything comes in and goes out."""

import math
from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Table
from datetime import UTC, date, datetime, timedelta

from shared.health.facts import Alarm, Certificate, Halted, Lately, Mapping, Page, Queue, Run, Schedule, Topic
from shared.health.findings import REPAIR, Check, Said, attention, broken, day_of, ok

RUNS, COMES_IN, ALARMS, REACHED = "Careloop runs", "Files and answers", "Alarms", "Pages and names"
LATE = timedelta(minutes=30)  # beyond two turns, since metrics come some minutes later
SELF_TEST_DUE = COUNT_DUE = timedelta(hours=26)
MOST_WORKING_DAYS_WITHOUT_A_FILE = 3
MAILS_THAT_CALL_FOR_AN_ANSWER, DAYS_WITHOUT_AN_ANSWER = 30, 7
CERTIFICATE_ENDS_SOON = timedelta(days=30)
_WORK = {
    "ImportVisitsFunction": "unfinished imports are not taken up",
    "SendSurveyFunction": "patients get no surveys",
    "AlertStaffFunction": "alerts that failed at once are not tried again",
    "RequestReviewFunction": "review requests that failed at once are not tried again",
    "SendDigestFunction": "the staff get no daily mail",
    "EscalateCasesFunction": "nobody is told of cases that nobody took",
    "SendReportFunction": "the weekly or monthly report is not mailed",
    "AggregateScoresFunction": "the figures stay those of an earlier night",
    "MeasureWorthFunction": "what closing the loop is worth is not measured anew",
    "ErasePatientFunction": "erasures that were interrupted are not finished",
    "SelfTestFunction": "the nightly rehearsal of the whole loop does not take place",
}
_STANDSTILL = _WORK | {
    "ImportVisitsFunction": "no file is read, so nobody is asked about new visits",
    "AlertStaffFunction": "no alert goes out at all: nobody hears of an unhappy patient, except on the dashboard",
    "RequestReviewFunction": "nobody is asked for a review",
    "TrackDeliveryFunction": "bounces and spam complaints are missed, so the same bad addresses are mailed again, and "
    "sending does not stop itself",
    "RecordResponseFunction": "patients cannot answer; what they tap or write is lost",
    "UnsubscribeFunction": "patients cannot opt out, which the law demands of every mail: stop sending until they can",
    "ErasePatientFunction": "nobody is erased who asks for it, and the law sets a date for that",
    "ServeDashboardFunction": "the staff cannot open the dashboard: no answers, no cases, no settings",
}


def deployment(status: str) -> Iterator[Said]:
    """Whether the last deployment came through."""
    if status in ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"):
        yield ok("The last deployment came through.")
        return
    says = f"The last deployment has not come through ({status.lower().replace('_', ' ')})."
    means = "What runs is what was there before, or part of it."
    do = "Read why: docs/runbook.md, A deployment failed."
    if status.endswith("_FAILED"):
        yield broken(says, means, do)
    elif status.endswith("_IN_PROGRESS"):
        yield attention("A deployment is going on.", "Some findings may be over in a minute.", "Look again then.")
    else:
        yield attention(says, means, do)


def schedules(found: tuple[Schedule, ...], wanted: bool) -> Iterator[Said]:
    """Whether everything that should run by itself is switched on."""
    gone = [each for each in found if each.is_on is None]
    off = [each for each in found if each.is_on is False]
    for each in gone:
        yield broken(
            f"The schedule {each.name} of {each.function} is not there any more.", _without(each.function), REPAIR
        )
    if not wanted and len(off) + len(gone) == len(found):
        yield attention(
            "All schedules are off, as the stack's parameter SchedulesEnabled says.",
            "Nothing runs by itself: no surveys, no daily mail, no figures.",
            "To begin, deploy with SchedulesEnabled=true.",
        )
        return
    if not wanted:
        on = ", ".join(f"{each.name} of {each.function}" for each in found if each.is_on)
        yield attention(
            f"The parameter SchedulesEnabled says that nothing runs by itself, but these do: {on}.",
            "Somebody switched them on by hand; the next deployment may switch them off.",
            "Deploy with the parameter as it should be.",
        )
        return
    for each in off:
        yield broken(
            f"The schedule {each.name} of {each.function} is switched off.",
            _without(each.function),
            "Whoever looks after AWS opens Amazon EventBridge, Schedules, and enables it.",
        )
    if not gone and not off:
        yield ok(f"All {len(found)} schedules are on.")


def runs(found: tuple[Schedule, ...], last: dict[str, Run], now: datetime) -> Iterator[Said]:
    """Whether each function whose schedule is on ran when it should have, and ended well."""
    on = {each.function: each for each in found if each.is_on}
    ran_already, well = on.keys() & last.keys(), True
    for function, each in on.items():
        ran = last.get(function)
        if _is_late(each, ran.last if ran else None, now):
            well = False
            yield broken(
                f"{function} should run every {in_words(each.every)} and last ran {_ago(ran.last, now)}."
                if ran
                else f"{function} should run every {in_words(each.every)} and has not run lately.",
                _without(function),
                "Look at its schedule (Amazon EventBridge, Schedules) and whether its role may start the function.",
            )
        elif ran and ran.last != ran.last_well:
            well = False
            since = f" It last ended well {_ago(ran.last_well, now)}." if ran.last_well else ""
            yield broken(
                f"{function} ran {_ago(ran.last, now)} and failed.{since}",
                _without(function),
                f"See docs/runbook.md#{kebab(function.removesuffix('Function'))}-errors.",
            )
    if on and well and not ran_already:
        yield ok("Nothing was due to run yet: the schedules are new, or were switched on just now.")
    elif on and well:
        waits = len(on) - len(ran_already)
        rest = f"; {waits} {'is' if waits == 1 else 'are'} not due yet" if waits else ""
        number = "1 function" if len(ran_already) == 1 else f"{len(ran_already)} functions"
        yield ok(f"What should have run by now has run and ended well: {number}{rest}.")


def _is_late(each: Schedule, ran: datetime | None, now: datetime) -> bool:
    since = max((moment for moment in (ran, each.changed_at) if moment), default=None)
    return since is None or now - since > 2 * each.every + LATE


def counted(at: datetime | None, now: datetime) -> Iterator[Said]:
    """Whether the figures are of today."""
    if at is None:
        yield ok("Nothing has been counted yet: the first count comes in the night after the first surveys.")
    elif now - at <= COUNT_DUE:
        yield ok(f"The figures were counted {_ago(at, now)}.")
    else:
        yield attention(
            f"The figures were last counted {_ago(at, now)}.",
            "The dashboard's figures are of that day; newer answers are on the Comments and Cases pages only.",
            "See docs/runbook.md#aggregate-scores-errors; `make sweep STACK=name` counts at once.",
        )


def self_test(passed: datetime | None, found: tuple[Schedule, ...], now: datetime) -> Iterator[Said]:
    """Whether the nightly rehearsal of the whole loop came through."""
    nightly = next((each for each in found if each.function == "SelfTestFunction"), None)
    if passed and now - passed <= SELF_TEST_DUE:
        yield ok(f"The rehearsal of the whole loop came through {_ago(passed, now)}.")
    elif nightly is None or not nightly.is_on or (passed is None and not _is_late(nightly, None, now)):
        yield ok("The rehearsal of the whole loop has not had its turn yet.")
    else:
        yield broken(
            f"The rehearsal of the whole loop last came through {_ago(passed, now)}."
            if passed
            else "The rehearsal of the whole loop has not come through.",
            "Something between a visit's file and the score does not work, though every part may seem to.",
            "See docs/runbook.md#self-test: it leads to the step that failed. A night on which no mail could leave is "
            "not tried.",
        )


def queue(failed: Queue) -> Iterator[Said]:
    """Whether anything could not be handled."""
    if not failed.waiting:
        yield ok("Nothing waits in the queue of failed events.")
        return
    aged = f", the oldest for {in_words(failed.oldest)}" if failed.oldest else ""
    yield broken(
        f"{failed.waiting:,} {'event waits' if failed.waiting == 1 else 'events wait'} in the queue of failed "
        f"events{aged}.",
        "A file, an answer's reaction or news of a mail could not be handled. After 14 days it is lost.",
        "`make sweep STACK=name` does what is owed. Then read the message for the cause and remove it: "
        "docs/runbook.md#failed-events.",
    )


def mappings(found: tuple[Mapping, ...]) -> Iterator[Said]:
    """Whether an answer wakes who reacts to it."""
    well = True
    for each in found:
        means = (
            "Unhappy answers reach the staff a quarter of an hour late, by the sweep, instead of at once."
            if each.function == "AlertStaffFunction"
            else "What follows an answer comes late, by the sweep, instead of at once."
        )
        if each.state not in ("Enabled", "Enabling", "Creating", "Updating"):
            well = False
            told = "is switched off" if each.state else "is not there any more"
            yield broken(
                f"What wakes {each.function} when a patient answers {told}.",
                means,
                f"Whoever looks after AWS opens {each.function} in AWS Lambda, Triggers, and enables the stream."
                if each.state
                else REPAIR,
            )
        elif each.last_result.startswith("PROBLEM"):
            well = False
            yield broken(
                f"{each.function} could not handle the last answers: {each.last_result}",
                means,
                "Its log says more; `make sweep STACK=name` does what is owed.",
            )
    if well:
        yield ok("Answers wake who reacts to them.")


def functions(halted: dict[str, Halted]) -> Iterator[Said]:
    """Whether each function may run."""
    for name, found in sorted(halted.items()):
        if found.is_gone:
            do = REPAIR
        elif found.is_held:
            do = "Whoever looks after AWS opens it in AWS Lambda, Configuration, Concurrency, and lifts the reserved 0."
        else:
            do = "Whoever looks after AWS opens it in AWS Lambda, which says why; docs/runbook.md, A function fails."
        yield broken(f"{name} {found.why}.", f"It does nothing: {_standstill(name)}.", do)
    if not halted:
        yield ok("Every function may run.")


def environments(found: dict[str, dict[str, str]], chosen: Table[str, str]) -> Iterator[Said]:
    """Whether every function has the stack's parameters and the tables' names, and all have the same."""
    holders = Counter(name for own in found.values() for name in own)
    shared = {name: _most_common(name, found) for name, number in holders.items() if 2 * number > len(found)}
    shared |= {name: value for name, value in ((_variable(each), chosen[each]) for each in chosen) if name in shared}
    well = True
    for function, own in sorted(found.items()):
        lacking = sorted(shared.keys() - own.keys())
        other = sorted(name for name in shared.keys() & own.keys() if own[name] != shared[name])
        if not own or lacking:
            well = False
            told = f"settings: {', '.join(lacking)}" if own else "its settings: it has no environment variables at all"
            yield broken(f"{function} has lost {told}.", f"It fails: {_standstill(function)}.", _ANEW)
        if other:
            well = False
            yield broken(
                f"{function} works with other settings than the stack's: {', '.join(other)}.",
                "Somebody changed them in this function alone. What it does no longer fits the rest of Careloop: mail "
                "may leave under another address, or rows go to another table.",
                _ANEW,
            )
    if well:
        yield ok(f"All {len(found)} functions work with the stack's settings.")


_ANEW = (
    "Whoever looks after AWS opens it in AWS Lambda, Configuration, Environment variables, and enters them as "
    "the other functions and the stack's parameters have them (infra/template.yaml: Globals, and the function's own). "
    "Deploying again changes them only if a parameter changes as well."
)


def _most_common(name: str, found: dict[str, dict[str, str]]) -> str:
    return Counter(own[name] for own in found.values() if name in own).most_common(1)[0][0]


def _variable(parameter: str) -> str:
    """`SENDER_ADDRESS` for `SenderAddress`."""
    return kebab(parameter).replace("-", "_").upper()


def _standstill(function: str) -> str:
    return _STANDSTILL.get(function, "its part of the loop stands still")


def triggers(lacking: tuple[str, ...]) -> Iterator[Said]:
    """Whether an uploaded file is read at once."""
    if lacking:
        yield broken(
            f"Files under {', '.join(lacking)} are not read when they arrive.",
            "They are found an hour late, by the sweep.",
            REPAIR,
        )
    else:
        yield ok("Files are read when they arrive.")


def last_file(at: datetime | None, now: datetime) -> Iterator[Said]:
    """Whether the EMR's exports still come in."""
    if at is None:
        yield attention(
            "No file has come in during the last 30 days.",
            "Nobody is asked of whose visits nothing is known.",
            "Connect the EMR: docs/connect.md. If it was connected, ask whoever set the export up.",
        )
        return
    missed = working_days_between(at.date(), now.date())
    if missed > MOST_WORKING_DAYS_WITHOUT_A_FILE:
        yield attention(
            f"The last file came in {_ago(at, now)}.",
            "Visits since then are not known, so nobody is asked about them; after 14 days it is too late.",
            "Ask whoever set the export up: an expired password or a renamed folder is the usual cause.",
        )
    else:
        yield ok(f"The last file came in {_ago(at, now)}.")


def last_answer(lately: Lately, now: datetime) -> Iterator[Said]:
    """Whether patients still answer."""
    quiet = (now.date() - lately.last_answer).days if lately.last_answer else None
    told = f"The last counted answer is of {day_of(lately.last_answer)}." if lately.last_answer else ""
    if lately.sent >= MAILS_THAT_CALL_FOR_AN_ANSWER and (quiet is None or quiet > DAYS_WITHOUT_AN_ANSWER):
        yield attention(
            f"{lately.sent:,} surveys left in the last two weeks, and nobody answered in the last "
            f"{DAYS_WITHOUT_AN_ANSWER} days. {told}".strip(),
            "Usually one in six or so answers. Mail may end in spam, or the link may not open.",
            "Open the link of a survey in your own mailbox; look at the findings about signed mail and pages.",
        )
    else:
        yield ok(told or "No answers yet, and not enough surveys have left to worry.")


def listeners(topic: Topic) -> Iterator[Said]:
    """Whether anybody hears of alarms."""
    for address in topic.pending:
        yield broken(
            f"{address} has not confirmed that it wants to hear of alarms.",
            "Amazon SNS mails no alarm to it until then.",
            'Find the mail "AWS Notification - Subscription Confirmation", in spam as well, and follow its link. '
            f"After three days it is void: {_subscribe(topic, address)}",
        )
    if topic.wanted and topic.wanted.lower() not in map(str.lower, (*topic.confirmed, *topic.pending)):
        yield broken(
            f"{topic.wanted} should hear of alarms (AlarmAddress) and is not subscribed any more.",
            "Alarms are raised, and nobody is told." if not topic.confirmed else "Alarms are told to others only.",
            f"Deploying again does not bring it back: {_subscribe(topic, topic.wanted)} Then follow the link in the "
            "mail that comes.",
        )
    elif topic.confirmed:
        yield ok(f"Alarms go to {'1 address' if len(topic.confirmed) == 1 else f'{len(topic.confirmed)} addresses'}.")
    elif not topic.pending:
        yield attention(
            "Nobody hears when something stops working.",
            "Alarms are raised and nobody is told.",
            "Deploy with AlarmAddress, which is empty so far, and confirm the mail that then comes.",
        )


def _subscribe(topic: Topic, address: str) -> str:
    command = f"`aws sns subscribe --topic-arn {topic.arn} --protocol email --notification-endpoint {address}`"
    return f"whoever looks after AWS subscribes the address to the topic again (Amazon SNS, or {command})."


def alarms(found: tuple[Alarm, ...]) -> Iterator[Said]:
    """Whether anything is wrong by AWS's own watch."""
    well = True
    for each in found:
        describes, _, entry = each.describes.partition("Runbook: ")
        if not each.state:
            well = False
            yield broken(f"{each.name} is not there any more.", "What it watches is watched by nobody.", REPAIR)
        elif each.state == "ALARM":
            well = False
            see = entry.strip() or f"docs/runbook.md#{kebab(each.name.removesuffix('Alarm'))}"
            yield broken(f"{each.name} is raised.", describes.strip(), f"See {see}.")
        elif not each.tells:
            well = False
            yield broken(
                f"{each.name} tells nobody: its actions are switched off.",
                describes.strip(),
                "Whoever looks after AWS opens it in Amazon CloudWatch, Alarms, and enables its actions.",
            )
    if well:
        yield ok(f"None of {len(found)} alarms is raised.")


def pages(patients: Page, staff: Page) -> Iterator[Said]:
    """Whether patients and staff can open theirs."""
    well = True
    for page, whose, expected in ((patients, "patients", (200, 404)), (staff, "the staff", (200,))):
        if page.status not in expected:
            well = False
            told = f"answers with {page.status}" if page.status else f"does not answer: {page.trouble}"
            yield broken(
                f"The page of {whose} {told} ({page.address}).",
                "Links in mails do not open, so nobody can answer or unsubscribe."
                if page is patients
                else "Nobody can sign in to the dashboard.",
                "If it is a name of your own, look at its DNS record and certificate (docs/deploy.md); else at the "
                "log of the function.",
            )
    if well:
        yield ok("The pages of patients and staff answer.")


def certificate(found: Certificate, now: datetime) -> Iterator[Said]:
    """Whether the practice's own names stay trusted."""
    ends = f"{day_of(found.ends)}" if found.ends else ""
    if found.status != "ISSUED" or (found.ends and found.ends <= now):
        yield broken(
            f"The certificate of your own names is not valid ({found.status.lower().replace('_', ' ')}).",
            "Browsers warn of the page, and nobody answers.",
            "Whoever looks after AWS opens AWS Certificate Manager; the validation records must still be in the DNS.",
        )
    elif found.ends and found.ends - now < CERTIFICATE_ENDS_SOON:
        yield attention(
            f"The certificate of your own names ends on {ends}.",
            "AWS should have renewed it by now. Afterwards browsers warn of the page.",
            "Whoever looks after AWS sees that its validation records are still in the DNS (AWS Certificate Manager).",
        )
    else:
        yield ok(f"The certificate of your own names is good until {ends}." if ends else "The certificate is valid.")


def version(deployed: str, here: str) -> Iterator[Said]:
    """Whether this checkout is what is deployed."""
    if deployed == here:
        yield ok(f"Deployed is what this folder holds: {deployed}.")
    else:
        yield attention(
            f"Deployed is {deployed}, and this folder holds {here}.",
            "What you read here may not be what runs there.",
            "To bring the stack up to date: `sam build`, `sam deploy`. CHANGELOG.md says what is new.",
        )


def working_days_between(earlier: date, later: date) -> int:
    """Mondays to Fridays after the first day, up to and with the second."""
    days = (earlier + timedelta(days=ago) for ago in range(1, (later - earlier).days + 1))
    return sum(day.weekday() < 5 for day in days)


def in_words(span: timedelta) -> str:
    """`10 minutes`, `3 hours`, `2 days`: the largest unit that says at least two of it, or one hour or day exactly."""
    minutes = math.floor(span.total_seconds() / 60)
    for unit, length in (("day", 1440), ("hour", 60), ("minute", 1)):
        number = minutes // length
        if number > 1 or (number == 1 and minutes == length):
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "a minute"


def kebab(name: str) -> str:
    """`failed-events` for `FailedEvents`."""
    return "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name).lstrip("-")


def _ago(moment: datetime, now: datetime) -> str:
    utc = moment.astimezone(UTC)
    return f"{in_words(max(now - moment, timedelta()))} ago ({utc:%B} {utc.day}, {utc:%H:%M} UTC)"


def _without(function: str) -> str:
    work = _WORK.get(function, "its part of the loop stands still")
    return f"{work[:1].upper()}{work[1:]}."


_LATE_AT = "What should run by itself may not."
CHECKS = (
    Check(RUNS, "Deployment", ("stack_status",), "The last deployment may not have come through.", deployment),
    Check(RUNS, "Schedules", ("schedules", "schedules_wanted"), "Nothing may run by itself.", schedules),
    Check(RUNS, "Functions", ("halted",), _LATE_AT, functions),
    Check(RUNS, "Settings of functions", ("environments", "parameters"), _LATE_AT, environments),
    Check(RUNS, "Last runs", ("schedules", "last_runs", "now"), _LATE_AT, runs),
    Check(RUNS, "Nightly count", ("counted_at", "now"), "The figures may be old.", counted),
    Check(RUNS, "Rehearsal", ("self_test", "schedules", "now"), "The loop as a whole may be broken.", self_test),
    Check(RUNS, "Failed events", ("queue",), "Events that fail may be lost.", queue),
    Check(RUNS, "Reactions to answers", ("mappings",), "Staff may hear late of unhappy patients.", mappings),
    Check(COMES_IN, "Notice of files", ("triggers",), "Files may be read late.", triggers),
    Check(COMES_IN, "Last file", ("last_file", "now"), "Visits may not come in.", last_file),
    Check(COMES_IN, "Last answer", ("lately", "now"), "Answers may not come in.", last_answer),
    Check(ALARMS, "Who hears of alarms", ("topic",), "Nobody may hear when something stops.", listeners),
    Check(ALARMS, "Alarms", ("alarms",), "Something may be wrong already.", alarms),
    Check(REACHED, "Pages", ("patients_page", "staff_page"), "Patients may not be able to answer.", pages),
    Check(REACHED, "Certificate", ("certificate", "now"), "Browsers may warn of the page.", certificate),
    Check(REACHED, "Version", ("version", "version_here"), "What runs may be older than this folder.", version),
)

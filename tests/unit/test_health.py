"""What each check says of each thing that can be wrong, what that means, and what to do."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from local.template import ROOT, events, functions, load_template
from shared.config import read_practice
from shared.domain.sending_health import Fates, Paused, Refusal, Refused, SendingState, Stopped, StopReason
from shared.health import facts
from shared.health.checks import CHECKS, diagnose, not_asked
from shared.health.findings import Finding, Gone, State, Unread, exit_code, gravest_first, summary
from shared.health.mail import NEEDED
from shared.health.running import in_words, kebab, working_days_between
from tests.environment import ENVIRONMENT

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)  # a Wednesday
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ACCOUNT = facts.MailAccount(in_production=True, sends=True, enforcement="HEALTHY", quota=50_000, sent=70)
DOMAIN = facts.Identity(
    "riverside.example.com",
    is_verified=True,
    signs=True,
    dkim="SUCCESS",
    mail_from="bounce.riverside.example.com",
    mail_from_status="SUCCESS",
)
SET = facts.ConfigurationSet(sends=True, suppressed=frozenset({"BOUNCE", "COMPLAINT"}), told=NEEDED)
PRACTICE = read_practice({**ENVIRONMENT, "MAX_SENDS_PER_DAY": "200"})
SENDS = facts.Schedule(
    "EveryTenMinutes", "SendSurveyFunction", True, timedelta(minutes=10), NOW - 9 * DAY, "rate(10 minutes)"
)
COUNTS = facts.Schedule("Nightly", "AggregateScoresFunction", True, DAY, NOW - 9 * DAY)
REHEARSES = facts.Schedule("Check", "SelfTestFunction", True, DAY, NOW - 9 * DAY)
SCHEDULES = (SENDS, COUNTS, REHEARSES)
RAN = facts.Run(NOW - HOUR / 6, NOW - HOUR / 6)
RUNS = {each.function: RAN for each in SCHEDULES}
VARIABLES = {"SENDER_ADDRESS": "care@riverside.example.com", "SETTINGS_TABLE": "Settings"}
OWN = {
    "SendSurveyFunction": {**VARIABLES, "SENDERS": "1"},
    "AlertStaffFunction": VARIABLES,
    "UnsubscribeFunction": VARIABLES,
}
HELD = facts.Halted("may not run at all", is_held=True)
WAKES = facts.Mapping("AlertStaffFunction", "Enabled", "OK", "arn:stream/1")
ALARM = facts.Alarm("FailedEventsAlarm", "OK", "An event waits. Runbook: docs/runbook.md#failed-events", tells=True)
LOG = facts.Log("SendSurveyLogs", is_there=True, days=90)
TABLE = facts.Table("Patients", has_recovery=True, is_protected=True)
OWNER = facts.Owner("olive@example.com", is_enabled=True, has_signed_in=True)
RECIPIENTS = facts.Recipients(("admin@example.com",), {"north": ()}, {})
PATIENTS_PAGE = facts.Page("https://care.example.com/s/none", 404)
STAFF_PAGE = facts.Page("https://staff.example.com/signed-out", 200)
CERTIFICATE = facts.Certificate("ISSUED", NOW + 200 * DAY)
STOPPED = Stopped(NOW - DAY, StopReason.BOUNCES, Fates(100, 12, 0))
WELL: dict[str, Any] = {
    "now": NOW,
    "is_local": False,
    "account": ACCOUNT,
    "practice": PRACTICE,
    "clinics": (PRACTICE.clinic("north"), PRACTICE.clinic("south")),
    "identities": (DOMAIN,),
    "configuration": SET,
    "sending": SendingState(),
    "sent_today": 12,
    "dmarc": ("v=DMARC1; p=none; rua=mailto:it@example.com",),
    "rule": facts.Rule(is_on=True, leads=True, lets_through=True),
    "uninvited": (),
    "times_here": {"SendSurveyFunctionEveryTenMinutes": "rate(10 minutes)"},
    "stream": "arn:stream/1",
    "bucket": facts.Bucket(is_private=True, only_tls=True),
    "suppressed_staff": {},
    "recipients": RECIPIENTS,
    "owners": (OWNER,),
    "second_factor": "ON",
    "schedules": SCHEDULES,
    "schedules_wanted": True,
    "halted": {},
    "environments": OWN,
    "parameters": {"SenderAddress": "care@riverside.example.com", "KmsKeyArn": ""},
    "last_runs": RUNS,
    "counted_at": NOW - 7 * HOUR,
    "self_test": NOW - 6 * HOUR,
    "queue": facts.Queue(0, None),
    "mappings": (WAKES,),
    "triggers": (),
    "last_file": NOW - 5 * HOUR,
    "lately": facts.Lately(sent=400, last_answer=date(2026, 3, 3)),
    "topic": facts.Topic(("it@example.com",), ()),
    "alarms": (ALARM,),
    "patients_page": PATIENTS_PAGE,
    "staff_page": STAFF_PAGE,
    "certificate": CERTIFICATE,
    "version": "1.0.0+abc",
    "version_here": "1.0.0+abc",
    "settings": "",
    "tables": (TABLE,),
    "versioning": "Enabled",
    "key": "Enabled",
    "secret": False,
    "logs": (LOG,),
    "stack_status": "UPDATE_COMPLETE",
}
SCHEDULED = [name for name, each in functions(load_template()).items() if events(each, "ScheduleV2")]
BROKEN, LOOK, UNKNOWN, OK = State.BROKEN, State.ATTENTION, State.UNKNOWN, State.OK
# What is otherwise, the check that says so, how it stands then, and words of what it says.
WRONG: list[tuple[dict[str, Any], str, State, str]] = [
    ({"account": replace(ACCOUNT, in_production=False)}, "Release by Amazon SES", BROKEN, "sandbox"),
    ({"account": replace(ACCOUNT, sends=False)}, "Standing with Amazon SES", BROKEN, "paused sending"),
    ({"account": replace(ACCOUNT, enforcement="SHUTDOWN")}, "Standing with Amazon SES", BROKEN, "paused sending"),
    ({"account": replace(ACCOUNT, enforcement="PROBATION")}, "Standing with Amazon SES", LOOK, "reviewing"),
    ({"account": replace(ACCOUNT, quota=200, sent=160)}, "Daily quota", LOOK, "160 of 200"),
    ({"account": replace(ACCOUNT, quota=200)}, "Daily quota", LOOK, "allows itself 200"),
    ({"identities": ()}, "Sender", BROKEN, "Neither the sender care@riverside.example.com"),
    ({"identities": (replace(DOMAIN, is_verified=False),)}, "Sender", BROKEN, "not verified yet"),
    ({"configuration": replace(SET, sends=False)}, "Configuration set", BROKEN, "switched off"),
    ({"configuration": replace(SET, told=NEEDED - {"BOUNCE"})}, "Configuration set", BROKEN, "(bounce)"),
    ({"configuration": Gone("The configuration set")}, "Configuration set", BROKEN, "not there any more"),
    ({"practice": replace(PRACTICE, sending_paused=True)}, "Sending", LOOK, "SendingPaused"),
    ({"sending": SendingState(paused=Paused(NOW, "Olive"))}, "Sending", LOOK, "Olive switched"),
    ({"sending": SendingState(stopped=STOPPED)}, "Sending", BROKEN, "too many bounces"),
    (
        {"sending": SendingState(refused=Refused(NOW, Refusal.SENDER_REFUSED))},
        *("Sending", BROKEN, "sender refused"),
    ),
    ({"sending": SendingState(silent_since=NOW - HOUR)}, "Sending", BROKEN, "quarter of an hour"),
    (
        {"sending": SendingState(silent_since=NOW - HOUR), "is_local": True, "second_factor": "ON"},
        *("Sending", UNKNOWN, "Nothing tells here whether mail arrived"),
    ),
    ({"sent_today": 200}, "Sending", LOOK, "200 mails have left"),
    ({"identities": (replace(DOMAIN, dkim="PENDING"),)}, "Signed mail (DKIM)", LOOK, "pending"),
    ({"identities": (replace(DOMAIN, signs=False),)}, "Signed mail (DKIM)", LOOK, "not signed"),
    ({"identities": (replace(DOMAIN, mail_from=""),)}, "Name for bounces (MAIL FROM)", LOOK, "a name of Amazon's"),
    (
        {"identities": (replace(DOMAIN, mail_from_status="FAILED"),)},
        *("Name for bounces (MAIL FROM)", LOOK, "bounce.riverside.example.com is not working"),
    ),
    ({"dmarc": ()}, "Forged mail (DMARC)", LOOK, "no DMARC record"),
    ({"dmarc": ("v=DMARC1; p=none", "v=DMARC1; p=reject")}, "Forged mail (DMARC)", LOOK, "2 DMARC records"),
    ({"dmarc": ("v=DMARC1; p=maybe",)}, "Forged mail (DMARC)", LOOK, "no policy"),
    ({"rule": facts.Rule(False, True, True)}, "News of mail", BROKEN, "switched off"),
    ({"rule": facts.Rule(True, False, True)}, "News of mail", BROKEN, "leads nowhere"),
    ({"rule": facts.Rule(True, True, False)}, "News of mail", BROKEN, "another event pattern"),
    (
        {"uninvited": (facts.Uninvited("TrackDeliveryFunction", "events.amazonaws.com"),)},
        *("Permission to start", BROKEN, "events.amazonaws.com may not start TrackDeliveryFunction"),
    ),
    ({"schedules": (replace(SENDS, leads=False),)}, "Times and targets", BROKEN, "starts something else"),
    (
        {"schedules": (replace(SENDS, expression="rate(1 day)"),)},
        *("Times and targets", BROKEN, "comes at rate(1 day), and should at rate(10 minutes)"),
    ),
    ({"stream": ""}, "Stream of answers", BROKEN, "switched off"),
    ({"stream": "arn:stream/2"}, "Stream of answers", BROKEN, "AlertStaffFunction hears a stream"),
    ({"bucket": facts.Bucket(False, True)}, "Guard of files", BROKEN, "opened to the public"),
    ({"bucket": facts.Bucket(True, False)}, "Guard of files", LOOK, "not encrypted"),
    ({"configuration": replace(SET, suppressed=frozenset())}, "Suppression list", LOOK, "bounce"),
    ({"suppressed_staff": {"a@b.example": "BOUNCE"}}, "Alert addresses", BROKEN, "a@b.example"),
    ({"recipients": replace(RECIPIENTS, admins=())}, "Alert recipients", BROKEN, "clinic north"),
    ({"recipients": facts.Recipients((), {}, {})}, "Alert recipients", BROKEN, "list of who gets alerts is empty"),
    (
        {"recipients": facts.Recipients((), {"north": ("n@example.com",)}, {})},
        *("Alert recipients", LOOK, "list of who gets alerts is empty"),
    ),
    (
        {"recipients": replace(RECIPIENTS, unreached={"admin@example.com": "bounced"})},
        *("Alert recipients", BROKEN, "admin@example.com sends our mail back"),
    ),
    (
        {"recipients": replace(RECIPIENTS, unreached={"admin@example.com": "complained"})},
        *("Alert recipients", BROKEN, "marked our mail as spam"),
    ),
    ({"owners": ()}, "Owners", BROKEN, "Nobody"),
    ({"owners": (replace(OWNER, is_enabled=False),)}, "Owners", BROKEN, "Nobody"),
    ({"owners": (replace(OWNER, has_signed_in=False),)}, "Owners", LOOK, "olive@example.com"),
    ({"second_factor": "OFF"}, "Second factor", BROKEN, "password alone"),
    ({"second_factor": "OPTIONAL"}, "Second factor", BROKEN, "optional"),
    ({"second_factor": "OFF", "is_local": True}, "Second factor", UNKNOWN, "this machine"),
    ({"schedules": (replace(SENDS, is_on=None), COUNTS)}, "Schedules", BROKEN, "not there any more"),
    ({"schedules": (replace(SENDS, is_on=False), COUNTS)}, "Schedules", BROKEN, "EveryTenMinutes of SendSurvey"),
    (
        {"schedules": tuple(replace(each, is_on=False) for each in SCHEDULES), "schedules_wanted": False},
        *("Schedules", LOOK, "All schedules are off"),
    ),
    ({"schedules_wanted": False}, "Schedules", LOOK, "these do"),
    ({"halted": {"SendSurveyFunction": HELD}}, "Functions", BROKEN, "may not run at all"),
    (
        {"environments": {**OWN, "AlertStaffFunction": {}}},
        *("Settings of functions", BROKEN, "AlertStaffFunction has lost its settings"),
    ),
    (
        {"environments": {**OWN, "SendSurveyFunction": {"SENDER_ADDRESS": "care@riverside.example.com"}}},
        *("Settings of functions", BROKEN, "SendSurveyFunction has lost settings: SETTINGS_TABLE"),
    ),
    (
        {"environments": {**OWN, "AlertStaffFunction": {**VARIABLES, "SENDER_ADDRESS": "other@example.com"}}},
        *("Settings of functions", BROKEN, "AlertStaffFunction works with other settings than the stack's: SENDER"),
    ),
    (
        {"environments": {**OWN, "AlertStaffFunction": {**VARIABLES, "SETTINGS_TABLE": "Visits"}}},
        *("Settings of functions", BROKEN, "AlertStaffFunction works with other settings than the stack's: SETTINGS"),
    ),
    (
        {"last_runs": {**RUNS, "SendSurveyFunction": facts.Run(NOW - HOUR, NOW - HOUR)}},
        *("Last runs", BROKEN, "last ran 1 hour ago (March 4, 14:00 UTC)"),
    ),
    (
        {"last_runs": {**RUNS, "SendSurveyFunction": replace(RAN, last_well=NOW - 2 * HOUR)}},
        *("Last runs", BROKEN, "ran 10 minutes ago (March 4, 14:50 UTC) and failed. It last ended well 2 hours ago"),
    ),
    ({"last_runs": {**RUNS, "SendSurveyFunction": replace(RAN, last_well=None)}}, "Last runs", BROKEN, "and failed."),
    ({"schedules": (SENDS,), "last_runs": {}}, "Last runs", BROKEN, "has not run lately"),
    ({"counted_at": NOW - 27 * HOUR}, "Nightly count", LOOK, "27 hours ago"),
    ({"self_test": NOW - 27 * HOUR}, "Rehearsal", BROKEN, "27 hours ago"),
    ({"self_test": None}, "Rehearsal", BROKEN, "has not come through"),
    ({"queue": facts.Queue(1, None)}, "Failed events", BROKEN, "1 event waits"),
    ({"queue": facts.Queue(3, 2 * DAY)}, "Failed events", BROKEN, "the oldest for 2 days"),
    ({"mappings": (replace(WAKES, state="Disabled"),)}, "Reactions to answers", BROKEN, "switched off"),
    ({"mappings": (replace(WAKES, state=""),)}, "Reactions to answers", BROKEN, "not there any more"),
    (
        {"mappings": (replace(WAKES, function="RequestReviewFunction", last_result="PROBLEM: Function call failed"),)},
        *("Reactions to answers", BROKEN, "Function call failed"),
    ),
    ({"triggers": ("incoming/",)}, "Notice of files", BROKEN, "incoming/"),
    ({"last_file": None}, "Last file", LOOK, "30 days"),
    ({"last_file": NOW - 6 * DAY}, "Last file", LOOK, "6 days ago"),
    ({"lately": facts.Lately(30, date(2026, 2, 24))}, "Last answer", LOOK, "30 surveys"),
    ({"lately": facts.Lately(30, None)}, "Last answer", LOOK, "nobody answered"),
    (
        {"topic": facts.Topic((), (), "arn:topic", "it@example.com")},
        *("Who hears of alarms", BROKEN, "it@example.com should hear of alarms"),
    ),
    ({"topic": facts.Topic((), ())}, "Who hears of alarms", LOOK, "Nobody hears"),
    ({"topic": facts.Topic((), ("it@example.com",))}, "Who hears of alarms", BROKEN, "not confirmed"),
    ({"alarms": (replace(ALARM, state="ALARM"),)}, "Alarms", BROKEN, "is raised"),
    ({"alarms": (replace(ALARM, state=""),)}, "Alarms", BROKEN, "not there any more"),
    ({"alarms": (replace(ALARM, tells=False),)}, "Alarms", BROKEN, "tells nobody"),
    ({"patients_page": replace(PATIENTS_PAGE, status=502)}, "Pages", BROKEN, "patients answers with 502"),
    (
        {"staff_page": facts.Page("https://staff.example.com", None, "no such name")},
        *("Pages", BROKEN, "the staff does not answer: no such name"),
    ),
    ({"certificate": replace(CERTIFICATE, ends=NOW + 20 * DAY)}, "Certificate", LOOK, "March 24, 2026"),
    ({"certificate": replace(CERTIFICATE, ends=NOW)}, "Certificate", BROKEN, "not valid"),
    ({"certificate": facts.Certificate("PENDING_VALIDATION", None)}, "Certificate", BROKEN, "pending validation"),
    ({"version": "0.9.0+abc"}, "Version", LOOK, "0.9.0+abc"),
    ({"settings": "the setting SEND_DAYS is malformed"}, "Settings", BROKEN, "SEND_DAYS"),
    ({"tables": (replace(TABLE, has_recovery=False),)}, "Backups", BROKEN, "No backup is kept of Patients"),
    ({"tables": (facts.Table("Patients", None, None),)}, "Backups", BROKEN, "Not there any more: Patients"),
    ({"tables": (replace(TABLE, is_protected=False),)}, "Protection from deletion", LOOK, "Patients"),
    ({"versioning": "Suspended"}, "Earlier versions of files", LOOK, "suspended"),
    ({"key": "PendingDeletion"}, "Key of the data", BROKEN, "waiting to be deleted"),
    ({"key": "Disabled"}, "Key of the data", BROKEN, "disabled"),
    ({"secret": True}, "Hash key", BROKEN, "waiting to be deleted"),
    ({"logs": (LOG, replace(LOG, name="AlertStaffLogs", days=None))}, "Logs", LOOK, "Kept for ever: AlertStaffLogs"),
    ({"logs": (replace(LOG, is_there=False, days=None),)}, "Logs", LOOK, "Not there any more: SendSurveyLogs"),
    ({"stack_status": "UPDATE_ROLLBACK_FAILED"}, "Deployment", BROKEN, "update rollback failed"),
    ({"stack_status": "UPDATE_ROLLBACK_COMPLETE"}, "Deployment", LOOK, "has not come through"),
    ({"stack_status": "UPDATE_IN_PROGRESS"}, "Deployment", LOOK, "going on"),
]


def found(**otherwise: Any) -> list[Finding]:
    return diagnose({**WELL, **otherwise})


def test_a_stack_that_is_as_it_should_be_gives_no_work():
    findings = found()
    assert [finding for finding in findings if finding.state is not State.OK] == []
    assert {finding.check for finding in findings} == {check.title for check in CHECKS}
    assert exit_code(findings) == 0
    assert not any(finding.means or finding.do for finding in findings)


@pytest.mark.parametrize(("otherwise", "check", "state", "words"), WRONG)
def test_what_is_wrong_is_said_with_what_it_means_and_what_to_do(otherwise, check, state, words):
    findings = [finding for finding in found(**otherwise) if finding.check == check]
    [said] = [finding for finding in findings if finding.state is not OK]
    assert said.state is state
    assert words in said.says
    assert said.means.endswith(".")
    assert said.do.endswith(".")
    assert [finding for finding in findings if finding.state is OK] == []


def test_the_document_names_every_check_by_its_subject():
    text = (ROOT / "docs" / "doctor.md").read_text()
    rows = dict(re.findall(r"^\| ([A-Z][^|]*) \| (.*) \|$", text, re.MULTILINE))
    for check in CHECKS:
        assert check.title in rows[check.about]


def test_every_entry_of_the_runbook_that_a_finding_leads_to_is_there():
    entries = set(re.findall(r"^### (\S+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE))
    said = [finding.do for otherwise, check, _, _ in WRONG for finding in found(**otherwise) if finding.check == check]
    failing = (
        found(schedules=(replace(SENDS, function=function),), last_runs={function: replace(RAN, last_well=None)})
        for function in SCHEDULED
    )
    said += [finding.do for findings in failing for finding in findings]
    led_to = set(re.findall(r"runbook\.md#([a-z-]+)", " ".join(said)))
    assert led_to
    assert led_to <= entries


def test_every_check_is_tried_with_something_wrong():
    assert {check for _, check, _, _ in WRONG} == {check.title for check in CHECKS}


@pytest.mark.parametrize("fact", sorted(WELL.keys() - {"now", "is_local", "version_here", "times_here"}))
def test_a_fact_that_cannot_be_read_is_never_taken_for_well(fact):
    findings = found(**{fact: Unread("not allowed to ask", "Ask as somebody who may.")})
    concerned = [check.title for check in CHECKS if fact in check.needs]
    assert concerned
    for title in concerned:
        [finding] = [each for each in findings if each.check == title]
        assert finding.state is UNKNOWN
        assert finding.says == "Could not be looked at: not allowed to ask."
        assert finding.means
        assert finding.do == "Ask as somebody who may."
    assert exit_code(findings) == 1


def test_what_nobody_set_out_to_read_is_not_judged():
    some = {name: WELL[name] for name in ("now", "is_local", "queue")}
    assert [finding.check for finding in diagnose(some)] == ["Failed events"]
    assert len(not_asked(some)) == len(CHECKS) - 1


def test_an_account_without_a_daily_limit_has_no_use_of_it_to_look_at():
    [said] = [each for each in found(account=replace(ACCOUNT, quota=-1)) if each.check == "Daily quota"]
    assert said.state is OK
    assert "no daily limit" in said.says


@pytest.mark.parametrize("record", ["v=DMARC1;p=none", "v=DMARC1; p = reject; sp=none", "v=DMARC1;p=quarantine;pct=50"])
def test_a_dmarc_record_is_read_however_it_is_spaced(record):
    [said] = [each for each in found(dmarc=(record,)) if each.check == "Forged mail (DMARC)"]
    assert said.state is OK


def test_outside_the_sending_hours_it_says_when_mail_leaves_again():
    [said] = [each for each in found(now=datetime(2026, 3, 7, 2, tzinfo=UTC)) if each.check == "Sending"]
    assert "waits for the sending hours: Saturday at 08:00." in said.says
    [said] = [each for each in found() if each.check == "Sending"]
    assert "It is within the sending hours." in said.says


@pytest.mark.parametrize(
    ("hour", "words"),
    [
        (8, "What is due waits for the sending hours: Hilo is the first, Tuesday at 01:00 by its clock."),
        (12, "It is within the sending hours of 1 of 2 clinics."),  # the practice's own are still to come
        (18, "It is within the sending hours."),
        (3, "It is within the sending hours of 1 of 2 clinics."),  # the practice's own are over
    ],
)
def test_the_sending_hours_are_those_of_the_clinics_each_by_its_own_clock(hour, words):
    window = replace(PRACTICE.window, start=time(1))
    hilo = replace(PRACTICE.clinic("hilo"), name="Hilo", zone=ZoneInfo("Pacific/Honolulu"), window=window)
    clinics = (PRACTICE.clinic("albany"), hilo)
    findings = found(clinics=clinics, now=datetime(2026, 3, 3, hour, tzinfo=UTC))
    [said] = [each for each in findings if each.check == "Sending"]
    assert said.says.endswith(f"left today. {words}")


def test_several_things_that_hold_mail_back_are_all_said():
    state = SendingState(stopped=STOPPED, silent_since=NOW - HOUR)
    said = [each.state for each in found(sending=state, sent_today=200) if each.check == "Sending"]
    assert said == [BROKEN, BROKEN, LOOK]


def test_what_has_not_had_its_turn_yet_is_not_late():
    young = tuple(replace(each, changed_at=NOW - each.every) for each in SCHEDULES)
    findings = found(schedules=young, last_runs={}, counted_at=None, self_test=None)
    assert exit_code(findings) == 0


def test_where_nothing_was_due_yet_nothing_is_said_to_have_run():
    young = tuple(replace(each, changed_at=NOW - each.every) for each in SCHEDULES)
    [said] = [each for each in found(schedules=young, last_runs={}) if each.check == "Last runs"]
    assert said.says == "Nothing was due to run yet: the schedules are new, or were switched on just now."
    ran = {"SendSurveyFunction": RAN}
    [said] = [each for each in found(schedules=young, last_runs=ran) if each.check == "Last runs"]
    assert said.says == "What should have run by now has run and ended well: 1 function; 2 are not due yet."


def test_a_subscription_that_is_gone_is_made_again_and_not_deployed():
    lost = facts.Topic(("other@example.com",), (), "arn:topic", "it@example.com")
    [said] = [each for each in found(topic=lost) if each.check == "Who hears of alarms"]
    assert said.state is BROKEN
    subscribe = "aws sns subscribe --topic-arn arn:topic --protocol email --notification-endpoint it@example.com"
    assert subscribe in said.do
    assert "told to others only" in said.means


def test_deploying_again_is_advised_only_where_it_would_change_something():
    for otherwise in (
        {"configuration": replace(SET, told=frozenset())},
        {"owners": ()},
        {"second_factor": "OFF"},
        {"topic": facts.Topic((), (), "arn:topic", "it@example.com")},
    ):
        for said in (each for each in found(**otherwise) if each.state is BROKEN):
            assert "deploys" not in said.do
            assert "Deploying again" in said.do


def test_what_is_switched_off_is_not_also_said_to_be_late():
    off = tuple(replace(each, is_on=False) for each in SCHEDULES)
    findings = found(schedules=off, schedules_wanted=False, last_runs={}, self_test=None)
    assert [finding.check for finding in findings if finding.state is not OK] == ["Schedules"]


def test_a_weekend_without_a_file_is_nothing_to_look_at():
    monday, friday = datetime(2026, 3, 9, 15, tzinfo=UTC), datetime(2026, 3, 6, 15, tzinfo=UTC)
    [said] = [each for each in found(now=monday, last_file=friday) if each.check == "Last file"]
    assert said.state is OK
    assert working_days_between(date(2026, 3, 6), date(2026, 3, 9)) == 1
    assert working_days_between(date(2026, 3, 4), date(2026, 3, 11)) == 5
    assert working_days_between(date(2026, 3, 7), date(2026, 3, 8)) == 0


def test_no_answers_to_a_few_surveys_are_nothing_to_look_at():
    [said] = [each for each in found(lately=facts.Lately(29, None)) if each.check == "Last answer"]
    assert said.state is OK


def test_the_exit_code_tells_broken_from_what_only_needs_a_look():
    assert exit_code(found(dmarc=())) == 1
    assert exit_code(found(dmarc=Unread("no answer", "Later."))) == 1
    assert exit_code(found(dmarc=(), rule=facts.Rule(False, True, True))) == 2


def test_the_gravest_comes_first_and_the_summary_counts():
    findings = gravest_first(
        found(dmarc=(), rule=facts.Rule(False, True, True), versioning=Unread("no answer", "Later."))
    )
    assert [finding.state for finding in findings[:4]] == [BROKEN, LOOK, UNKNOWN, OK]
    assert summary(findings) == f"1 broken, 1 needs attention, 1 not known, {len(findings) - 3} well"


@pytest.mark.parametrize(
    ("function", "means"),
    [
        ("AlertStaffFunction", "no alert goes out at all"),
        ("RequestReviewFunction", "nobody is asked for a review"),
        ("UnsubscribeFunction", "patients cannot opt out, which the law demands"),
        ("TrackDeliveryFunction", "bounces and spam complaints are missed"),
        ("RecordResponseFunction", "patients cannot answer; what they tap or write is lost"),
    ],
)
def test_a_function_that_stands_still_is_not_played_down(function, means):
    [said] = [each for each in found(halted={function: HELD}) if each.check == "Functions"]
    assert means in said.means


def test_every_function_that_stands_still_says_what_the_practice_is_without():
    for function in functions(load_template()):
        [said] = [each for each in found(halted={function: HELD}) if each.check == "Functions"]
        assert "its part of the loop" not in said.means


def test_a_function_that_is_gone_is_not_opened_to_lift_a_limit():
    gone, held, failed = (
        next(each for each in found(halted={"SendSurveyFunction": how}) if each.check == "Functions")
        for how in (facts.Halted("is not there any more", is_gone=True), HELD, facts.Halted("cannot start"))
    )
    assert "infra/template.yaml" in gone.do
    assert "Concurrency" not in gone.do + failed.do
    assert "Concurrency" in held.do


def test_settings_changed_in_every_function_alike_are_still_not_the_stack_s():
    changed = {name: {**own, "SENDER_ADDRESS": "other@example.com"} for name, own in OWN.items()}
    said = [each for each in found(environments=changed) if each.check == "Settings of functions"]
    assert [each.state for each in said] == [BROKEN] * len(OWN)
    assert "other@example.com" not in " ".join(each.says for each in said)


def test_a_raised_alarm_says_what_it_means_and_leads_to_its_page():
    [said] = [each for each in found(alarms=(replace(ALARM, state="ALARM"),)) if each.check == "Alarms"]
    assert said.means == "An event waits."
    assert said.do == "See docs/runbook.md#failed-events."


def test_an_alarm_without_a_page_of_its_own_leads_to_where_it_should_stand():
    bare = facts.Alarm("FailedEventsAlarm", "ALARM", "An event waits.", tells=True)
    [said] = [each for each in found(alarms=(bare,)) if each.check == "Alarms"]
    assert said.do == "See docs/runbook.md#failed-events."


@pytest.mark.parametrize(
    ("span", "words"),
    [
        (timedelta(seconds=30), "a minute"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=10), "10 minutes"),
        (HOUR, "1 hour"),
        (timedelta(minutes=90), "90 minutes"),
        (26 * HOUR, "26 hours"),
        (DAY, "1 day"),
        (9 * DAY, "9 days"),
    ],
)
def test_spans_are_said_as_people_say_them(span, words):
    assert in_words(span) == words


def test_the_runbook_s_entries_are_named_like_the_alarms():
    assert kebab("SendSurveySilent") == "send-survey-silent"

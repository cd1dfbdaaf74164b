"""The self-test's patient amid a practice: whatever the staff open, get, export or import, it is not there."""

from datetime import timedelta
from typing import Any

import boto3
import pytest

from functions.alerts.escalate_cases.handler import handler as escalate
from functions.alerts.send_digest.handler import handler as send_digest
from functions.import_visits.reserved import RESERVED
from functions.measure_worth.handler import handler as measure_worth
from functions.send_report.handler import handler as send_report
from functions.serve_dashboard.routes import ROUTES
from shared.domain.clock import format_instant
from shared.domain.report import Every, ReportChoice
from shared.domain.self_test import CLINIC_ID, PATIENT_ID, SCOPE, SURVEY_ID
from shared.domain.staff import Role, Staff
from shared.storage import kept, reports, sending_health
from tests.fakes import FakeContext, FakeMailer
from tests.handlers import exports
from tests.handlers.answering import answer, sent, survey_id
from tests.handlers.conftest import empty_account
from tests.handlers.night import BEGUN, Night, left
from tests.handlers.staff_pool import FakeUserPool
from tests.hostile import practice as made
from tests.hostile.practice import Practice, look, of, somebody, tables

NOW = BEGUN + timedelta(hours=2)
PEOPLE = ["p0", "p1"]
WORDS = [f"word{number}" for number in range(8 * len(PEOPLE))]
# No pages of figures and patients; and one that asks AWS how the stack fares, and is tested with it.
OTHERS = {"/sign-in", "/signed-in", "/signed-out", "/static/{name}", "/test-mail", "/settings/health"}

pytestmark = pytest.mark.usefixtures("aws")


def opened(practice: Practice, desk: made.Desk, addresses: list[str]) -> dict[str, tuple[int, str]]:
    """Every page and file of the dashboard, as it is now."""
    kept.forget()
    practice.pages = {}
    look(practice, desk, PEOPLE)
    pages = practice.pages | {address: desk.get(address) for address in addresses}
    return {address: (page.status, page.body) for address, page in pages.items()}


def further(practice: Practice, pool: FakeUserPool) -> list[str]:
    """What `look` leaves out; and whatever somebody may try who knows of the patient."""
    survey, (user, *_) = practice.survey_of("p0"), pool.users
    addresses = ["/settings/sending", "/settings/wording", "/settings/erased", "/settings/erased/none"]
    addresses += [f"/settings/staff/{user}", f"/patients/by-survey/{survey}", "/patient/export?id=p0"]
    addresses += ["/patient/erase?id=p0", "/?period=2026", "/comments?clinic=c0", "/share?period=2026-W09"]
    for scope in ("practice", "touchpoint:evaluation", f"clinic:{CLINIC_ID}"):
        addresses.append(f"/api/v1/scores?scope={scope}&from=2026-03-01&to=2026-03-31")
    for clinic in ("/", "/comments", "/worth", "/share", "/export/scores.csv", "/export/answers.csv"):
        addresses.append(f"{clinic}?clinic={CLINIC_ID}")
    for name in ("self", "Self-test Careloop", PATIENT_ID):
        addresses.append(f"/patients?name={made.quoted(name)}")
    addresses += [f"{page}?id={PATIENT_ID}" for page in ("/patient", "/patient/export", "/patient/erase")]
    addresses += [f"/cases/{SURVEY_ID}", f"/patients/by-survey/{SURVEY_ID}", f"/settings/clinics/{CLINIC_ID}"]
    return addresses


@pytest.fixture
def practice(pool: FakeUserPool, choose: Any) -> Practice:
    """Two patients, asked, answered, counted, taken care of; and SES has told of their mail."""
    choose(MAX_SENDS_PER_DAY="20")
    found = of(WORDS)
    sending_health.heard()
    return found


def test_at_no_stage_of_the_night_does_any_page_or_file_differ(practice: Practice, pool: FakeUserPool) -> None:
    night, desk, addresses = Night(), made.Desk(somebody(Role.OWNER).staff, NOW), further(practice, pool)
    night.count()
    for patient_id in PEOPLE:  # who looks is noted on the patient's page, once in five minutes
        for address in (f"/cases/{practice.survey_of(patient_id)}", f"/patient/export?id={patient_id}"):
            desk.get(address)
        desk.get(f"/patient?id={patient_id}")
    without, rows = opened(practice, desk, addresses), scores()
    assert {status for status, _ in without.values()} == {200, 303, 404}
    pages = {route.path for route in ROUTES if route.method == "GET" and "{" not in route.path} - OTHERS
    assert pages <= {address.partition("?")[0] for address in without}
    for stages in ((night.begin,), (night.send, night.answer, night.alert), (night.count,)):
        for stage in stages:
            stage()
        found = opened(practice, desk, addresses)
        assert {address for address, page in found.items() if page != without[address]} == set()
        assert {row: counts for row, counts in scores().items() if row[0] != SCOPE} == rows
    assert SCOPE in {scope for scope, _ in scores()}


def scores() -> dict[tuple[str, str], Any]:
    """All rows of figures, those of the comments and the directory among them."""
    rows = tables()["Scores"]
    for typed in (typed for row in rows for typed in row.values() if "SS" in typed):
        typed["SS"].sort()
    return {(row["scope"]["S"], row["day"]["S"]): row for row in rows}


def answered() -> None:
    """Unhappy, undecided and happy patients of two clinics, and one whom nobody takes care of."""
    for number, score in enumerate((2, 8, 10, 9, 1, 7)):
        patient_id, clinic_id = f"p{number}", ("north", "south")[number % 2]
        survey = sent(survey_id(number), patient_id=patient_id, clinic_id=clinic_id)
        answer(survey, score, "Waited too long.", BEGUN - timedelta(days=1))


def told() -> list[tuple[Any, ...]]:
    """What the staff get in the days to come, and the figures of the loop's worth."""
    mailer, context = FakeMailer(), FakeContext()
    morning = BEGUN.replace(hour=13)
    owner = Staff("user-1", "Olive Owens", "owner@riverside.example.com", Role.OWNER)
    reports.put_choice(ReportChoice(Every.WEEK, (owner.email,)), owner, morning)
    send_digest({"time": format_instant(morning)}, context, mailer=mailer, now=lambda: morning)
    later = morning + timedelta(days=5)
    assert escalate({"time": format_instant(later)}, context, mailer=mailer, now=lambda: later)["cases"] == 2
    assert send_report({"time": format_instant(later)}, context, mailer=mailer, now=lambda: later) == {"sent": 1}
    measure_worth({"time": format_instant(later)}, context, now=lambda: later)
    assert len(mailer.sent) == 3
    return [(mail.to, mail.subject, mail.text, mail.html) for mail in mailer.sent]


def test_neither_digest_nor_escalation_nor_report_nor_worth_knows_of_a_night_that_was_not_cleared() -> None:
    answered()
    night = Night()
    night.alert()
    night.count()
    without, figures = told(), scores()
    empty_account()
    answered()
    *stages, _ = night.stages
    for stage in stages:
        stage()
    assert told() == without
    found = scores()
    assert found.pop((SCOPE, "2026-03-05"))
    assert found == figures


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("patient_id,first_name,last_name,email,clinic_id", f"{PATIENT_ID},A,B,a@example.com,north"),
        ("patient_id,first_name,last_name,email,clinic_id", f"{PATIENT_ID.upper()}-2,A,B,a@example.com,north"),
        ("patient_id,first_name,last_name,email,clinic_id", f"p1,A,B,a@example.com,{CLINIC_ID}"),
        (exports.VISITS, f"v1,p1,c1,{CLINIC_ID},2026-03-02T09:00,evaluation,completed"),
        (exports.VISITS, f"v1,{PATIENT_ID},c1,north,2026-03-02T09:00,evaluation,completed"),
    ],
)
def test_an_export_that_uses_its_id_is_refused_in_words(head: str, row: str) -> None:
    bucket = exports.Bucket()
    report = exports.send(bucket, f"{head}\n{row}\n")
    assert exports.counts(report) == (0, 0, 0, 1)
    assert RESERVED in str(report)
    assert left() == []


def test_a_clinic_of_its_id_is_refused_in_words() -> None:
    bucket = exports.Bucket()
    exports.upload(bucket, "settings/clinics.csv", f"clinic_id,name\n{CLINIC_ID},Ours\nnorth,North\n")
    report = exports.run(bucket, "settings/clinics.csv")
    assert exports.counts(report) == (1, 0, 0, 1)
    assert RESERVED in str(report)
    assert not boto3.client("dynamodb").get_item(TableName="Settings", Key={"scope": {"S": SCOPE}}).get("Item")

"""escalate_cases: whoever answers for the practice hears once of each case that nobody took care of in time."""

from datetime import timedelta
from typing import Any

import pytest

from functions.alerts.escalate_cases import escalation
from functions.alerts.escalate_cases.handler import handler
from shared.domain.clock import format_instant
from shared.domain.recovery import Channel, Outcome, Outreach, Result, claim, close, reach_out
from shared.domain.settings import ClinicSettings
from shared.mail.mailer import Mail, SendingStopped
from shared.observability import HandlerFailed
from shared.storage import cases, settings
from shared.storage.models import CaseItem
from tests.builders import MONDAY_NOON, a_case
from tests.fakes import FakeContext, FakeMailer

pytestmark = pytest.mark.usefixtures("aws")
DEADLINE = MONDAY_NOON + timedelta(hours=24)
LATE = DEADLINE + timedelta(hours=1)


def run(mailer: FakeMailer, moment: Any = LATE, request_id: str = "run-1") -> int:
    told: dict[str, int] = handler({"time": format_instant(moment)}, FakeContext(request_id), mailer=mailer)
    return told["cases"]


def test_a_late_case_is_told_once(mailer: FakeMailer) -> None:
    cases.create(a_case())
    assert run(mailer, DEADLINE) == 0
    assert run(mailer) == 1
    assert run(mailer, LATE + timedelta(days=7)) == 0
    (mail,) = mailer.to("admin@riverside.example.com")
    assert mail.subject == "1 case is waiting for somebody to reach out"
    assert "Taken by: nobody" in mail.text
    assert "https://staff.example.com/cases" in mail.text
    assert "8 business hours" in mail.text


def test_the_owner_hears_and_not_again_the_admins_who_had_the_alert(choose: Any, mailer: FakeMailer) -> None:
    choose(OWNER_ADDRESS="owner@riverside.example.com")
    cases.create(a_case())
    run(mailer)
    assert [mail.to for mail in mailer.sent] == [("owner@riverside.example.com",)]


@pytest.mark.parametrize("parameter", [{}, {"OWNER_ADDRESS": ""}])
def test_without_an_owner_the_admins_hear(parameter: dict[str, str], choose: Any, mailer: FakeMailer) -> None:
    choose(**parameter)
    cases.create(a_case())
    run(mailer)
    assert [mail.to for mail in mailer.sent] == [("admin@riverside.example.com",)]


def test_whoever_is_chosen_hears_instead_of_the_owner(choose: Any, mailer: FakeMailer) -> None:
    choose(ESCALATE_TO="director@riverside.example.com", OWNER_ADDRESS="owner@riverside.example.com")
    cases.create(a_case())
    run(mailer)
    assert [mail.to for mail in mailer.sent] == [("director@riverside.example.com",)]


def test_a_case_in_which_somebody_reached_out_is_not_late(mailer: FakeMailer) -> None:
    attempt = Outreach(MONDAY_NOON, "u1", "Maria", Channel.TELEPHONE, Result.VOICEMAIL)
    cases.create(reach_out(a_case("b" * 26), attempt))
    cases.create(close(a_case("c" * 26), "u1", Outcome.NO_ACTION, "", "", MONDAY_NOON))
    assert run(mailer) == 0


def test_a_case_that_was_taken_and_left_lying_is_told_with_its_holder(mailer: FakeMailer) -> None:
    settings.put_clinic(ClinicSettings("north", name="North Clinic"))
    cases.create(claim(a_case(), "u1", "Maria Lopez", MONDAY_NOON))
    run(mailer)
    assert "Taken by: Maria Lopez" in mailer.sent[0].text
    assert "Clinic: North Clinic" in mailer.sent[0].text


def test_a_mail_that_could_not_be_sent_is_tried_again(mailer: FakeMailer) -> None:
    cases.create(a_case())

    def stopped(mail: Mail) -> None:
        raise SendingStopped("paused")

    with pytest.raises(HandlerFailed):
        run(FakeMailer(stopped))
    assert run(mailer) == 1


def test_a_case_that_is_taken_while_the_owner_is_told_is_not_told_again(mailer: FakeMailer) -> None:
    cases.create(a_case())

    def take(mail: Mail) -> None:
        cases.write(claim(a_case(), "u1", "Maria", LATE), a_case())

    assert run(FakeMailer(take)) == 1
    assert run(mailer) == 0
    stored = cases.get(a_case().survey_id)
    assert stored
    assert (stored.owner, stored.escalated_at) == ("u1", LATE)


def test_many_late_cases_come_hour_by_hour_the_longest_waiting_first(
    mailer: FakeMailer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(escalation, "MAX_CASES", 2)
    for number in range(3):
        cases.create(a_case(f"{number}" * 26, deadline=DEADLINE - timedelta(hours=number)))
    assert [run(mailer), run(mailer), run(mailer)] == [2, 1, 0]
    assert mailer.sent[0].text.index("2" * 26) < mailer.sent[0].text.index("1" * 26)


def test_two_runs_at_once_tell_once(mailer: FakeMailer) -> None:
    cases.create(a_case())

    def meanwhile(mail: Mail) -> None:
        assert run(mailer, request_id="run-2") == 0

    assert run(FakeMailer(meanwhile), request_id="run-1") == 1
    assert mailer.sent == []


def test_the_mail_names_no_patient(mailer: FakeMailer) -> None:
    cases.create(a_case(patient_id="MRN-4711"))
    run(mailer)
    assert "MRN-4711" not in mailer.sent[0].text + mailer.sent[0].html
    assert {item.survey_id for item in CaseItem.scan()} == {a_case().survey_id}

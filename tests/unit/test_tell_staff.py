"""Telling the staff: one mail an address, throttling waited out, and what was not told stays owed."""

from collections.abc import Callable

import pytest

from shared.domain.delivery import staff_key
from shared.mail.mailer import (
    Mail,
    MailOutcomeUnknown,
    MailOutOfReach,
    MailRefused,
    MailThrottled,
    RecipientNotVerified,
    SendingStopped,
)
from shared.mail.staff import WAITS, NobodyToTell, tell_staff
from tests.fakes import FakeMailer

ANN, BEN, CAT = "ann@example.com", "ben@example.com", "cat@example.com"
MAIL = Mail("care@example.com", (ANN, BEN, CAT), "desk@example.com", "s", "t", "h", tags={"survey_id": "abc"})


def failing(address: str, *failures: Exception) -> Callable[[Mail], None]:
    """Mails to this address fail so often, and then no more."""
    left = list(failures)

    def fails(mail: Mail) -> None:
        if address in mail.to and left:
            raise left.pop(0)

    return fails


def always_throttled(_: Mail) -> None:
    raise MailThrottled("fast")


def told(mailer: FakeMailer) -> list[str]:
    return [address for mail in mailer.sent for address in mail.to]


def test_each_address_gets_a_mail_of_its_own_with_a_tag_that_names_it_without_saying_it():
    mailer = FakeMailer()
    tell_staff(mailer, MAIL)
    assert [mail.to for mail in mailer.sent] == [(ANN,), (BEN,), (CAT,)]
    assert [mail.tags for mail in mailer.sent] == [
        {"survey_id": "abc", "recipient": staff_key(address)} for address in (ANN, BEN, CAT)
    ]


def test_an_address_that_is_there_twice_gets_one():
    mailer = FakeMailer()
    tell_staff(mailer, Mail("c@example.com", (ANN, ANN), "d@example.com", "s", "t", "h"))
    assert told(mailer) == [ANN]


@pytest.mark.parametrize("refusal", [MailRefused("bad address"), RecipientNotVerified("sandbox")])
def test_a_bad_address_hides_no_other_and_is_reported(refusal, capsys):
    mailer = FakeMailer(failing(ANN, refusal))
    tell_staff(mailer, MAIL)
    assert told(mailer) == [BEN, CAT]
    assert "AlertsNotSent" in capsys.readouterr().out


def test_when_nobody_can_be_told_it_stays_owed(capsys):
    mailer = FakeMailer(failing(ANN, MailRefused("bad address")))
    with pytest.raises(MailRefused):
        tell_staff(mailer, Mail("c@example.com", (ANN,), "d@example.com", "s", "t", "h"))
    assert "AlertsNotSent" in capsys.readouterr().out


def test_nobody_to_tell_is_a_failure(capsys):
    with pytest.raises(NobodyToTell):
        tell_staff(FakeMailer(), Mail("c@example.com", (), "d@example.com", "s", "t", "h"))
    assert "AlertsNotSent" in capsys.readouterr().out


@pytest.mark.parametrize("failure", [SendingStopped("paused"), MailOutcomeUnknown("broken"), MailOutOfReach("far")])
def test_what_may_yet_be_told_stays_owed_though_others_were_told(failure):
    mailer = FakeMailer(failing(BEN, failure))
    with pytest.raises(type(failure)):
        tell_staff(mailer, MAIL)
    assert told(mailer) == [ANN, CAT]


def test_throttling_is_waited_out_so_that_an_alert_leaves_beside_a_run_that_uses_the_whole_rate(capsys):
    waited: list[float] = []
    mailer = FakeMailer(failing(BEN, MailThrottled("fast"), MailThrottled("fast")))
    tell_staff(mailer, MAIL, waited.append)
    assert told(mailer) == [ANN, BEN, CAT]
    assert waited == list(WAITS[:2])
    assert "AlertsNotSent" not in capsys.readouterr().out


def test_the_waits_are_for_all_addresses_together_and_then_it_stays_owed(capsys):
    waited: list[float] = []
    mailer = FakeMailer(always_throttled)
    with pytest.raises(MailThrottled):
        tell_staff(mailer, MAIL, waited.append)
    assert waited == list(WAITS)
    assert "AlertsNotSent" in capsys.readouterr().out


def test_ses_out_of_reach_is_not_waited_for():
    waited: list[float] = []
    with pytest.raises(MailOutOfReach):
        tell_staff(FakeMailer(failing(ANN, MailOutOfReach("far"))), MAIL, waited.append)
    assert not waited

"""What the first page says when patients get no mail, and who may let sending go on."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.sending_health import Fates, Refusal, StopReason
from shared.domain.staff import Role
from shared.storage import changes, sending_health
from tests.handlers.dashboard import NOW, Answer, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
SINCE = NOW - timedelta(hours=2)
FORM = {"stopped_at": "2026-03-04T13:00:00Z", "confirmed": "yes"}


def stop(reason: StopReason = StopReason.BOUNCES, sent: int = 1040, bounced: int = 23, complained: int = 1) -> None:
    sending_health.stop(reason, Fates(sent, bounced, complained), None, SINCE)


def is_stopped() -> bool:
    return sending_health.state().stopped is not None


def resume(client: Client, **headers: str) -> Answer:
    return client.post("/sending/resume", FORM, **headers)


def test_while_all_is_well_the_page_says_nothing_of_sending():
    sending_health.expect_news(NOW - timedelta(minutes=14))
    page = signed_in().get("/")
    assert page.status == 200
    assert "mail" not in page.text.partition("Period")[0]


def test_too_many_bounces_are_told_in_plain_words_with_what_to_do_first():
    stop()
    told = signed_in().get("/").text
    assert "Patients get no mail: too many bounced" in told
    assert "Careloop stopped on Wed, Mar 4, 2026, 8:00 AM: 23 mails could not be delivered while 1,040 mails" in told
    assert "Nothing is lost: what is due waits, up to 14 days after the visit." in told
    assert "What to do first: Find out where those addresses come from" in told


def test_too_many_complaints_are_told_in_plain_words():
    stop(StopReason.COMPLAINTS, 900, 0, 3)
    told = signed_in().get("/").text
    assert "Patients get no mail: too many marked it as spam" in told
    assert "3 patients marked a mail as spam while 900 mails were sent in" in told


def test_one_mail_was_sent_and_two_were():
    stop(StopReason.BOUNCES, 1, 12, 0)
    assert "12 mails could not be delivered while 1 mail was sent in" in signed_in().get("/").text


def test_an_owner_lets_sending_go_on_and_that_is_written_down_like_a_setting():
    stop()
    sending_health.count(NOW, sent=40, bounced=23)
    owner = signed_in()
    assert 'name="confirmed"' in owner.get("/").body
    answer = resume(owner)
    assert (answer.status, answer.location) == (303, "/?done=resumed")
    state = sending_health.state()
    assert state.stopped is None
    assert state.resumed
    assert (state.resumed.at, state.resumed.before) == (NOW, Fates(40, 23))
    assert "Sending goes on" in owner.get("/?done=resumed").text
    [noted] = changes.latest(10)
    assert (noted.by, noted.at) == ("Robin Reyes", NOW)
    assert (noted.change.setting, noted.change.old, noted.change.new) == (
        "Sending to patients",
        "stopped: too many bounces",
        "goes on",
    )
    assert "stopped: too many bounces" in owner.get("/settings").text


def test_a_page_that_said_sending_goes_on_says_so_no_more_once_it_has_stopped_again():
    stop()
    assert "Sending goes on" not in signed_in().get("/?done=resumed").text


def test_a_clinic_admin_is_told_and_may_not_let_it_go_on():
    stop()
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    page = admin.get("/")
    assert "An owner can let sending go on, on this page." in page.text
    assert "confirmed" not in page.body
    assert resume(admin).status == 404
    assert is_stopped()


def test_a_therapist_is_not_told_and_may_not_let_it_go_on():
    stop()
    therapist = signed_in(Role.THERAPIST, therapist_id="t1")
    assert "Patients get no mail" not in therapist.get("/").text
    assert resume(therapist).status == 404
    assert is_stopped()


def test_who_is_not_signed_in_changes_nothing():
    stop()
    assert resume(Client()).status == 401
    assert is_stopped()


@pytest.mark.parametrize("headers", [{"Origin": "https://elsewhere.example"}, {"Sec_Fetch_Site": "cross-site"}])
def test_a_form_of_another_site_changes_nothing(headers):
    stop()
    assert resume(signed_in(), **headers).status == 403
    assert is_stopped()


def test_opening_the_address_changes_nothing():
    stop()
    assert signed_in().get("/sending/resume").status == 404
    assert is_stopped()


@pytest.mark.parametrize("differences", [{"confirmed": ""}, {"stopped_at": "2026-03-04T12:00:00Z"}, {"stopped_at": ""}])
def test_without_a_tick_or_for_another_stop_nothing_goes_on(differences: dict[str, Any]):
    stop()
    assert signed_in().post("/sending/resume", {**FORM, **differences}).status == 400
    assert is_stopped()


def test_what_is_not_stopped_is_not_resumed():
    assert resume(signed_in()).status == 400
    assert sending_health.state().resumed is None


def test_of_two_owners_who_press_the_button_one_is_noted():
    stop()
    assert [resume(signed_in()).status for _ in range(2)] == [303, 400]
    assert len(changes.latest(10)) == 1


def test_somebody_elses_change_between_reading_and_writing_is_not_undone(monkeypatch: pytest.MonkeyPatch):
    stop()
    stopped = sending_health.state().stopped
    assert stopped
    owner = signed_in()
    assert owner.staff
    write = changes.write

    def resumed_before(*arguments: Any) -> bool:
        monkeypatch.undo()
        assert owner.staff
        assert sending_health.resume(stopped, owner.staff, NOW - timedelta(minutes=1))
        return write(*arguments)

    monkeypatch.setattr(changes, "write", resumed_before)
    assert not sending_health.resume(stopped, owner.staff, NOW)
    assert len(changes.latest(10)) == 1


@pytest.mark.parametrize(
    ("reason", "heading"),
    [
        (Refusal.ACCOUNT_PAUSED, "Amazon SES has paused the account"),
        (Refusal.SENDER_REFUSED, "Amazon SES refuses the sender"),
    ],
)
def test_what_amazon_ses_refuses_is_told_without_a_button(reason: Refusal, heading: str):
    sending_health.note_refusal(reason, SINCE)
    page = signed_in().get("/")
    assert heading in page.text
    assert "Since Wed, Mar 4, 2026, 8:00 AM Amazon SES" in page.text
    assert "/sending/resume" not in page.body
    sending_health.forget_refusal(reason)
    assert heading not in signed_in().get("/").text


def test_missing_news_of_delivery_are_told():
    sending_health.expect_news(NOW - timedelta(minutes=15))
    told = signed_in().get("/").text
    assert "Nobody knows whether mail arrives" in told
    assert "Mail has been leaving since Wed, Mar 4, 2026, 9:45 AM" in told
    sending_health.heard()
    assert "Nobody knows" not in signed_in().get("/").text


# ---- The owner's switch --------------------------------------------------------------------------------

OFF = {"paused_at": "", "turn": "off"}


def turn(client: Client, form: dict[str, str]) -> Answer:
    return client.post("/settings/sending", form)


def test_on_this_machine_missing_news_are_no_trouble(monkeypatch: pytest.MonkeyPatch):
    sending_health.expect_news(NOW - timedelta(minutes=15))
    client = signed_in()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    assert "Nobody knows whether mail arrives" not in client.get("/").text


def test_an_owner_switches_sending_off_and_on_and_both_are_written_down():
    owner = signed_in()
    assert "Sending is switched on" in owner.get("/settings/sending").text
    answer = turn(owner, OFF)
    assert (answer.status, answer.location) == (303, "/settings/sending?done=off")
    page = owner.get("/settings/sending")
    assert "Robin Reyes switched it off on Wed, Mar 4, 2026, 10:00 AM." in page.text
    assert "Switch sending on" in page.text
    assert turn(owner, {"paused_at": "2026-03-04T15:00:00Z", "turn": "on"}).status == 303
    assert sending_health.state().paused is None
    # Both were made in the same second of the test.
    noted = {(each.by, each.change.old, each.change.new) for each in changes.latest(10)}
    assert noted == {("Robin Reyes", "on", "switched off"), ("Robin Reyes", "switched off", "on")}


def test_the_first_page_says_who_switched_sending_off():
    turn(signed_in(), OFF)
    for client in (signed_in(), signed_in(Role.CLINIC_ADMIN, "north")):
        told = client.get("/").text
        assert "Patients get no mail: sending is switched off" in told
        assert "Robin Reyes switched it off on Wed, Mar 4, 2026, 10:00 AM." in told
        assert "an owner switches it on again under Settings: Sending" in told


@pytest.mark.parametrize("form", [{**OFF, "paused_at": "2026-03-04T13:00:00Z"}, {**OFF, "turn": "on"}, {}])
def test_a_form_from_another_state_of_the_switch_turns_nothing(form: dict[str, str]):
    assert turn(signed_in(), form).status == 400
    assert sending_health.state().paused is None
    assert turn(signed_in(), OFF).status == 303
    assert turn(signed_in(), OFF).status == 400
    assert sending_health.state().paused


@pytest.mark.parametrize("role", [Role.CLINIC_ADMIN, Role.THERAPIST])
def test_only_owners_have_the_switch(role: Role):
    client = signed_in(role, "north") if role is Role.CLINIC_ADMIN else signed_in(role, therapist_id="t1")
    assert client.get("/settings/sending").status == 404
    assert turn(client, OFF).status == 404
    assert sending_health.state().paused is None


def test_what_aws_switched_off_is_told_and_no_switch_here_helps(choose: Any):
    choose(SENDING_PAUSED="true")
    owner = signed_in()
    assert "sending is switched off in AWS" in owner.get("/").text
    assert "nothing leaves until whoever looks after AWS sets it to false" in owner.get("/settings/sending").text


def test_a_day_whose_cap_is_reached_is_told_and_where_to_raise_it(choose: Any):
    choose(MAX_SENDS_PER_DAY="200")
    owner = signed_in()
    sending_health.count(NOW, sent=199)
    assert "No more mail to patients today" not in owner.get("/").text
    assert (
        "199 mails have left since midnight of world time (UTC), of at most 200." in owner.get("/settings/sending").text
    )
    sending_health.count(NOW, sent=1)
    told = owner.get("/").text
    assert "200 mails have left, and no more may leave in one day." in told
    assert "an owner raises it under Settings: When patients are asked" in told

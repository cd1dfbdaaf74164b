"""What becomes known of a mail: events in any order, twice, early, late, and of messages that are gone."""

import itertools
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pynamodb.expressions.update import Action

from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.track_delivery.handler import handler
from shared.domain.clock import format_instant
from shared.domain.delivery import Kind, outranks, parse_event, staff_key
from shared.domain.identity import address_key
from shared.domain.message import Message, MessageKind, MessageState
from shared.domain.survey import Answer, Survey
from shared.hash_key import hash_key
from shared.mail.mailer import Mail, MailOutcomeUnknown
from shared.observability import HandlerFailed
from shared.storage import activity, answers, messages, patients, surveys
from shared.storage.addresses import get_many
from shared.storage.models import ActivityItem, AddressItem, MessageItem, PatientItem, SurveyItem
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.fakes import FakeContext, FakeMailer
from tests.handlers.test_send_survey import token_of
from tests.ses_events import an_event

AS_OF = MONDAY_NOON + timedelta(hours=3)
LATER = AS_OF + timedelta(seconds=30)
SURVEY = "a" * 26
MESSAGE = f"{SURVEY}-survey"
TO = "p1@example.com"
_runs = itertools.count()

pytestmark = pytest.mark.usefixtures("aws")


@pytest.fixture(autouse=True)
def due(aws: None) -> None:
    """One survey that is due."""
    patients.put_record(a_patient(), None)
    surveys.create(a_survey())
    messages.create(a_message())


def run(as_of: datetime = AS_OF, mailer: Any = None, now: datetime | None = None) -> Any:
    return send_survey(
        {"time": format_instant(as_of)},
        FakeContext(f"run-{next(_runs)}"),
        mailer=mailer or FakeMailer(),
        limits=lambda: Limits(rate=4, allowance=None),
        now=lambda: now or as_of,
    )


def told(type_: str, at: datetime = LATER, message_id: str = MESSAGE, tags: Any = None, **differences: Any) -> Any:
    """Have the function hear of an event; SES took the mail half a minute before."""
    own = {"message_id": message_id, "survey_id": SURVEY, "recipient": address_key(hash_key(), TO)}
    sent_at, unreadable = differences.pop("sent_at", AS_OF), differences.pop("unreadable", "")
    event = an_event(type_, own if tags is None else tags, at, sent_at=sent_at, to=TO, **differences)
    return handler({**event, **({unreadable: "yesterday"} if unreadable else {})}, FakeContext())


def message(message_id: str = MESSAGE) -> Message:
    found = messages.get(message_id)
    assert found
    return found


def survey() -> Survey:
    found = surveys.get(SURVEY)
    assert found
    return found


def address(key: str = "") -> tuple[bool, bool]:
    key = key or address_key(hash_key(), TO)
    found = get_many([key]).get(key)
    return (found.bounced, found.complained) if found else (False, False)


def in_state(state: MessageState, **facts: Any) -> None:
    """Put the message where a sender left it."""
    changes: list[Action] = [MessageItem.state.set(state), MessageItem.attempt.set(1)]
    changes += [getattr(MessageItem, name).set(value) for name, value in facts.items()]
    if state not in (MessageState.DUE, MessageState.CLAIMED, MessageState.CALLING):
        changes.append(MessageItem.due.remove())
    MessageItem(MESSAGE).update(changes)


def break_line(_: Mail) -> None:
    raise MailOutcomeUnknown


class TestAMailThatWasSent:
    def test_a_delivery_is_noted_on_message_and_survey(self):
        run()
        assert told("Delivery") == {"kind": "delivered", "known": True}
        assert (message().delivery, message().delivery_at) == (Kind.DELIVERED, LATER)
        assert (message().state, message().ses_id, message().sent_at) == (MessageState.SENT, "ses-1", AS_OF)
        assert survey().delivered_at == LATER
        assert address() == (False, False)

    def test_the_last_word_is_the_weightiest_whatever_comes_last(self):
        run()
        told("Delivery", LATER + timedelta(seconds=1))
        told("DeliveryDelay", LATER)
        told("Send", LATER)
        assert (message().delivery, message().delivery_at) == (Kind.DELIVERED, LATER + timedelta(seconds=1))

    def test_that_a_sent_message_was_sent_is_no_news_and_writes_nothing(self):
        run()
        before = message()
        told("Send")
        assert message() == before

    def test_a_bounce_says_why_and_marks_the_address_so_that_nobody_is_mailed_there(self, mailer):
        run()
        told("Bounce", status="5.1.1")
        assert (message().delivery, message().delivery_status) == (Kind.BOUNCED, "5.1.1")
        assert address() == (True, False)
        assert run(AS_OF + timedelta(days=3), mailer)["deferred"] == {"bounced": 1}  # the reminder
        assert not mailer.sent

    @pytest.mark.parametrize("status", ["5.2.2", "5.7.1", "4.4.7"])
    def test_a_full_mailbox_or_a_policy_leaves_the_address_alone(self, status, mailer):
        run()
        told("Bounce", status=status)
        assert message().delivery in (Kind.BOUNCED, Kind.UNDELIVERED)
        assert address() == (False, False)
        run(AS_OF + timedelta(days=3), mailer)
        assert len(mailer.sent) == 1

    @pytest.mark.parametrize("name", ["at", "sent_at"])
    @pytest.mark.parametrize(("type_", "flags"), [("Bounce", (True, False)), ("Complaint", (False, True))])
    def test_an_address_is_spared_though_the_events_moment_cannot_be_read(self, name, type_, flags):
        run()
        told(type_, unreadable=name)
        assert address() == flags

    def test_a_complaint_ends_all_mail_to_the_patient_at_whatever_address(self, mailer):
        run()
        told("Complaint")
        assert message().delivery is Kind.COMPLAINED
        assert address() == (False, True)
        PatientItem("p1").update([PatientItem.email.set("other@example.com")])
        assert run(AS_OF + timedelta(days=3), mailer)["skipped"] == {"opted_out": 1}
        assert not mailer.sent
        assert [entry.kind for entry in ActivityItem.query("p1")].count("complained") == 1

    def test_whoever_complained_had_the_mail(self):
        run()
        told("Complaint")
        assert survey().delivered_at

    def test_taken_out_of_the_spam_folder_is_a_delivery_and_no_complaint(self):
        run()
        told("Complaint", feedback="not-spam")
        patient = patients.get("p1")
        assert patient
        assert not patient.opted_out
        assert message().delivery is Kind.DELIVERED
        assert address() == (False, False)

    def test_a_mail_that_ses_threw_away_failed_and_is_neither_counted_as_sent_nor_reminded_of(self, mailer):
        run()
        told("Reject", ses_id="ses-1")
        told("Send", ses_id="ses-1")  # SES tells both
        revision = survey().revision
        told("Reject", ses_id="ses-1")
        assert survey().revision == revision
        assert (message().state, message().reason, message().delivery) == (
            MessageState.FAILED,
            "refused",
            Kind.REJECTED,
        )
        assert (survey().sent_at, survey().unsent_reason) == (None, "refused")
        assert run(AS_OF + timedelta(days=3), mailer)["sent"] == 0

    def test_a_rejection_takes_nothing_from_an_answer(self):
        mailer = FakeMailer()
        run(mailer=mailer)
        answers.record(token_of(mailer.sent[0]), Answer(9, ""), "", LATER, timedelta(days=7))
        told("Reject")
        assert survey().sent_at == AS_OF

    def test_a_reminder_that_ses_threw_away_takes_nothing_from_the_survey(self):
        run()
        run(AS_OF + timedelta(days=3))
        told("Reject", message_id=f"{SURVEY}-reminder", ses_id="ses-1")
        assert message(f"{SURVEY}-reminder").state is MessageState.FAILED
        assert survey().sent_at == AS_OF

    def test_a_review_request_that_arrives_says_nothing_of_the_survey(self):
        messages.create(a_message(kind=MessageKind.REVIEW))
        told("Delivery", message_id=f"{SURVEY}-review")
        assert survey().delivered_at is None

    def test_a_reminder_that_arrives_delivers_the_survey(self):
        run()
        run(AS_OF + timedelta(days=3))
        told("Delivery", message_id=f"{SURVEY}-reminder")
        assert survey().delivered_at == LATER

    def test_the_nightly_count_looks_again_at_a_survey_that_was_delivered(self):
        run()
        before = survey().revision
        told("Delivery")
        assert survey().revision == before + 1
        told("Delivery")
        assert survey().revision == before + 1
        assert SURVEY in list(surveys.uncounted())


class TestAMailOfUnknownOutcome:
    @pytest.mark.parametrize("type_", ["Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint"])
    def test_any_event_but_a_rejection_proves_that_it_left(self, type_):
        assert run(mailer=FakeMailer(fails=break_line))["unknown"] == 1
        assert survey().unsent_reason == "unknown"
        told(type_, sent_at=AS_OF + timedelta(seconds=2), ses_id="0100-ses")
        sent = message()
        assert (sent.state, sent.ses_id, sent.sent_at) == (
            MessageState.SENT,
            "0100-ses",
            AS_OF + timedelta(seconds=2),
        )
        assert (survey().sent_at, survey().unsent_reason) == (AS_OF + timedelta(seconds=2), "")

    def test_all_follows_that_follows_a_mail_once(self, mailer):
        run(mailer=FakeMailer(fails=break_line))
        for type_ in ("Delivery", "Send", "Delivery"):
            told(type_)
        assert [entry.kind for entry in ActivityItem.query("p1")] == ["survey_sent"]
        assert run(AS_OF + timedelta(days=3), mailer)["sent"] == 1
        assert [mail.tags["message_id"] for mail in mailer.sent] == [f"{SURVEY}-reminder"]

    def test_a_practice_without_reminders_sends_none_after_an_event_either(self, choose):
        choose(REMINDER_AFTER_DAYS="0")
        run(mailer=FakeMailer(fails=break_line))
        told("Send")
        assert messages.get(f"{SURVEY}-reminder") is None

    def test_without_an_event_it_stays_unknown_and_is_never_sent_again(self, mailer):
        run(mailer=FakeMailer(fails=break_line))
        run(AS_OF + timedelta(days=1), mailer)
        run(AS_OF + timedelta(days=9), mailer)
        assert message().state is MessageState.UNKNOWN
        assert not mailer.sent

    def test_a_rejection_makes_it_failed(self):
        run(mailer=FakeMailer(fails=break_line))
        told("Reject")
        assert (message().state, survey().unsent_reason) == (MessageState.FAILED, "refused")
        assert (message().sent_at, message().ses_id) == (None, "")

    def test_a_review_request_that_left_counts_as_an_invitation(self):
        messages.create(a_message(kind=MessageKind.REVIEW))
        MessageItem(f"{SURVEY}-review").update([MessageItem.state.set(MessageState.UNKNOWN)])
        told("Send", message_id=f"{SURVEY}-review")
        assert survey().review_invited_at == AS_OF

    def test_dying_before_the_last_write_leaves_all_to_be_done_again(self, monkeypatch: pytest.MonkeyPatch):
        run(mailer=FakeMailer(fails=break_line))
        for step, owner in (("mark_sent", surveys), ("create", messages), ("note", activity)):
            with monkeypatch.context() as crash:
                crash.setattr(owner, step, _die)
                with pytest.raises(HandlerFailed):
                    told("Delivery")
            assert message().state is MessageState.UNKNOWN
        told("Delivery")
        assert message().state is MessageState.SENT
        assert messages.get(f"{SURVEY}-reminder")
        assert survey().delivered_at


def _die(*_: object, **__: object) -> None:
    raise ConnectionError


class TestAnEventThatComesEarly:
    def test_while_the_sender_calls_it_is_noted_and_the_sender_finishes_its_own_step(self):
        def send(mail: Mail) -> None:
            told("Send")
            told("Bounce", status="5.1.1")
            assert message().state is MessageState.CALLING

        assert run(mailer=FakeMailer(fails=send))["sent"] == 1
        sent = message()
        assert (sent.state, sent.delivery, sent.ses_id, sent.sent_at) == (
            MessageState.SENT,
            Kind.BOUNCED,
            "ses-1",
            AS_OF,
        )
        assert address() == (True, False)

    def test_an_address_is_marked_before_anything_else_is_known_of_it(self):
        told("Bounce", tags={"recipient": address_key(hash_key(), "new@example.com")})
        assert address(address_key(hash_key(), "new@example.com")) == (True, False)

    def test_a_sender_whose_line_broke_learns_from_the_event_that_came_first(self):
        def send(mail: Mail) -> None:
            told("Delivery")
            raise MailOutcomeUnknown

        assert run(mailer=FakeMailer(fails=send))["sent"] == 1
        assert message().state is MessageState.SENT
        assert survey().sent_at == AS_OF
        assert messages.get(f"{SURVEY}-reminder")

    def test_a_sender_whose_message_was_taken_over_leaves_it_to_whoever_has_it(self):
        def send(mail: Mail) -> None:
            told("Delivery")
            MessageItem(MESSAGE).update([MessageItem.attempt.set(2)])
            raise MailOutcomeUnknown

        assert run(mailer=FakeMailer(fails=send))["deferred"] == {"in_progress": 1}
        assert message().state is MessageState.CALLING

    def test_a_message_whose_sender_died_is_sent_if_an_event_says_so(self):
        in_state(MessageState.CALLING, lease_until=AS_OF)
        told("Delivery")
        assert message().state is MessageState.CALLING
        assert run(AS_OF + timedelta(hours=1))["sent"] == 1
        assert message().state is MessageState.SENT
        assert survey().sent_at == AS_OF

    def test_and_failed_if_it_says_the_opposite(self):
        in_state(MessageState.CALLING, lease_until=AS_OF)
        told("Reject")
        assert run(AS_OF + timedelta(hours=1))["failed"] == 1
        assert (message().state, survey().unsent_reason) == (MessageState.FAILED, "refused")

    def test_of_giving_up_and_an_event_at_the_same_moment_neither_is_lost(self, monkeypatch: pytest.MonkeyPatch):
        in_state(MessageState.CALLING, lease_until=AS_OF)
        give_up = messages.give_up

        def event_first(message_id: str, attempt: int) -> bool:
            told("Send")
            return give_up(message_id, attempt)

        monkeypatch.setattr(messages, "give_up", event_first)
        assert run(AS_OF + timedelta(hours=1))["sent"] == 1

    def test_nor_when_the_sender_gives_up_between_the_events_look_and_its_note(self, monkeypatch: pytest.MonkeyPatch):
        in_state(MessageState.CALLING)
        update = messages._update_item

        def give_up_first(*arguments: Any) -> bool:
            monkeypatch.setattr(messages, "_update_item", update)
            assert messages.give_up(MESSAGE, 1)
            return update(*arguments)

        monkeypatch.setattr(messages, "_update_item", give_up_first)
        told("Send")
        assert message().state is MessageState.SENT

    @pytest.mark.parametrize("state", [MessageState.DUE, MessageState.CLAIMED, MessageState.FAILED])
    def test_what_is_known_to_have_left_is_not_sent_again_whatever_was_thought_of_it(self, state, mailer):
        in_state(state, lease_until=AS_OF)
        told("Delivery")
        assert message().state is MessageState.SENT
        assert run(AS_OF + timedelta(hours=1), mailer)["due"] == 0
        assert not mailer.sent

    def test_two_events_at_the_same_moment_are_both_noted(self, monkeypatch: pytest.MonkeyPatch):
        run()
        update = messages._update_item

        def delivery_first(*arguments: Any) -> bool:
            monkeypatch.setattr(messages, "_update_item", update)
            told("Delivery")
            return update(*arguments)

        monkeypatch.setattr(messages, "_update_item", delivery_first)
        told("DeliveryDelay")
        assert message().delivery is Kind.DELIVERED
        assert message().delivery_events == {"delivered", "delayed"}

    def test_the_same_event_twice_at_the_same_moment_is_the_first_of_its_kind_once(
        self, monkeypatch: pytest.MonkeyPatch
    ):
        run()
        told("Complaint")
        bounce = parse_event(an_event("Bounce", {"message_id": MESSAGE}, LATER), LATER)
        update, firsts = messages._update_item, list[bool]()

        def note() -> None:
            recorded = messages.record_delivery(bounce)
            assert recorded
            firsts.append(recorded.is_first)

        def same_first(*arguments: Any) -> bool:
            monkeypatch.setattr(messages, "_update_item", update)
            note()
            return update(*arguments)

        monkeypatch.setattr(messages, "_update_item", same_first)
        note()
        assert firsts == [True, False]

    def test_what_has_not_been_handed_over_is_not_taken_back_by_a_rejection(self, mailer):
        told("Reject")
        assert message().state is MessageState.DUE
        assert run(mailer=mailer)["sent"] == 1

    @pytest.mark.parametrize("type_", ["Send", "Delivery"])
    def test_nor_does_an_earlier_rejection_unmake_the_mail_that_left_after_it(self, type_, mailer):
        told("Reject", ses_id="ses-0")
        run(mailer=mailer)
        told(type_)
        assert message().state is MessageState.SENT
        assert message().delivery is (None if type_ == "Send" else Kind.DELIVERED)

    def test_nor_one_of_another_mail_that_comes_late(self, mailer):
        run(mailer=mailer)
        told("Reject", ses_id="ses-0")
        told("Delivery")
        assert (message().state, message().delivery) == (MessageState.SENT, Kind.DELIVERED)
        assert survey().sent_at == AS_OF


class TestAnEventOfNothing:
    @pytest.mark.parametrize("type_", ["Send", "Delivery", "Bounce", "Reject"])
    def test_of_a_message_that_is_gone_it_makes_none(self, type_):
        assert told(type_, message_id=f"{'z' * 26}-survey")["known"] is False
        assert messages.get(f"{'z' * 26}-survey") is None

    def test_of_a_message_erased_between_look_and_note_it_makes_none(self, monkeypatch: pytest.MonkeyPatch):
        run()
        update = messages._update_item

        def erased_first(*arguments: Any) -> bool:
            MessageItem(MESSAGE).delete()
            return update(*arguments)

        monkeypatch.setattr(messages, "_update_item", erased_first)
        assert told("Delivery")["known"] is False
        assert messages.get(MESSAGE) is None

    def test_of_a_survey_that_is_gone_it_makes_none(self):
        run()
        SurveyItem(SURVEY).delete()
        told("Delivery")
        told("Reject")
        assert surveys.get(SURVEY) is None

    def test_a_complaint_about_a_personal_mail_ends_all_mail_by_its_survey(self):
        told("Complaint", message_id=f"{SURVEY}-outreach")
        patient = patients.get("p1")
        assert patient
        assert patient.opted_out

    def test_a_complaint_about_nobody_who_is_known_makes_no_patient(self):
        told("Complaint", tags={"message_id": f"{'z' * 26}-survey", "survey_id": "z" * 26})
        assert [item.patient_id for item in PatientItem.scan()] == ["p1"]

    def test_a_mail_of_somebody_elses_under_our_set_changes_nothing(self):
        assert told("Bounce", tags={})["known"] is False
        assert not list(AddressItem.scan())

    def test_an_event_that_cannot_be_read_is_an_error_so_that_it_is_kept(self):
        with pytest.raises(HandlerFailed, match="ValueError"):
            handler({"type": "Delivery", "at": "soon"}, FakeContext())


class TestMailToTheStaff:
    ADMIN = staff_key("admin@riverside.example.com")

    def told(self, type_: str, **differences: Any) -> Any:
        return told(type_, tags={"survey_id": SURVEY, "recipient": self.ADMIN}, **differences)

    @pytest.mark.parametrize(("type_", "marks"), [("Bounce", (True, False)), ("Complaint", (False, True))])
    def test_an_admins_address_that_fails_is_marked_and_reported(self, type_, marks, capsys):
        self.told(type_)
        assert address(self.ADMIN) == marks
        assert "StaffAddressFails" in capsys.readouterr().out

    def test_it_ends_no_mail_to_the_patient_the_alert_was_about(self):
        self.told("Complaint")
        patient = patients.get("p1")
        assert patient
        assert not patient.opted_out

    def test_news_from_before_its_latest_bounce_takes_no_mark_back(self):
        for minutes in (0, 10, 5):
            self.told("Bounce", at=LATER + timedelta(minutes=minutes))
        self.told("Delivery", at=LATER + timedelta(minutes=7))
        assert address(self.ADMIN) == (True, False)

    def test_news_from_before_its_complaint_takes_no_mark_back(self):
        self.told("Bounce")
        self.told("Complaint", at=LATER + timedelta(minutes=10))
        self.told("Delivery", at=LATER + timedelta(minutes=5))
        assert address(self.ADMIN) == (True, True)

    def test_a_full_mailbox_is_reported_though_the_address_is_good(self, capsys):
        self.told("Bounce", status="5.2.2")
        assert address(self.ADMIN) == (False, False)
        assert "StaffAddressFails" in capsys.readouterr().out

    def test_a_delivery_takes_the_mark_back_and_is_not_reported(self, capsys):
        self.told("Bounce")
        capsys.readouterr()
        self.told("Delivery", at=LATER + timedelta(hours=1))
        assert address(self.ADMIN) == (False, False)
        assert "StaffAddressFails" not in capsys.readouterr().out


EVENTS = ("Send", "DeliveryDelay", "Delivery", "Bounce", "Complaint")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(EVENTS), min_size=1, max_size=6), st.sampled_from(["sent", "unknown"]))
def test_events_in_any_order_and_number_come_to_the_same(history, outcome):
    for model in (MessageItem, AddressItem, ActivityItem, PatientItem):
        for item in model.scan():
            item.delete()
    patients.put_record(a_patient(), None)
    SurveyItem(SURVEY).delete()
    surveys.create(a_survey())
    messages.create(a_message())
    run(mailer=FakeMailer(fails=break_line if outcome == "unknown" else None))
    kinds = {told(type_)["kind"] for type_ in history}
    best: Kind | None = None
    for kind in map(Kind, kinds):
        best = kind if outranks(kind, best) else best
    expected = None if outcome == "sent" and best is Kind.SENT else best
    assert message().state is MessageState.SENT
    assert message().delivery is expected
    assert address() == ("bounced" in kinds, "complained" in kinds)
    assert survey().sent_at == AS_OF
    assert bool(survey().delivered_at) == bool(kinds & {"delivered", "complained"})
    assert [entry.kind for entry in ActivityItem.query("p1")].count("survey_sent") == 1

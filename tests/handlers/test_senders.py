"""Several senders side by side: every message is exactly one sender's, and no number of senders loses any."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from functions.send_survey.handler import handler
from functions.send_survey.pace import Limits
from functions.send_survey.senders import Part, share_out
from shared.domain.clock import format_instant
from shared.domain.message import SHARDS, MessageState, shard_of
from shared.mail.mailer import QuotaReached
from shared.storage import messages, patients, settings, surveys
from shared.storage.models import MessageItem
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey
from tests.fakes import FakeContext, FakeMailer

AS_OF = MONDAY_NOON + timedelta(hours=3)
_requests = itertools.count()


def send(event: dict[str, Any] | None = None, mailer: Any = None, limits: Any = None, **told: Any) -> Any:
    return handler(
        event or {"time": format_instant(AS_OF)},
        FakeContext(f"senders-{next(_requests)}"),
        mailer=mailer or FakeMailer(),
        limits=lambda: limits or Limits(rate=100, allowance=None),
        now=lambda: AS_OF,
        most_at_once=1,
        **told,
    )


def a_due_survey(patient_id: str, survey_id: str, **differences: Any) -> str:
    patients.put_record(a_patient(patient_id), patients.get(patient_id))
    surveys.create(a_survey(survey_id, patient_id=patient_id))
    messages.create(a_message(survey_id, patient_id=patient_id, **differences))
    return f"{survey_id}-survey"


def ids(number: int) -> list[str]:
    return [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" * 13 for n in range(number)]


@given(st.integers(1, 16), st.text())
def test_every_message_is_exactly_one_senders_however_many_there_are(senders, patient_id):
    parts = [Part(number, senders, None) for number in range(senders)]
    assert sum(shard_of(patient_id) in part.shards for part in parts) == 1
    assert sorted(shard for part in parts for shard in part.shards) == sorted(SHARDS)


def test_shards_get_even_shares_of_the_patients():
    counts = [0] * 16
    for number in range(16_000):
        counts[SHARDS.index(shard_of(f"MRN-{number}"))] += 1
    assert 900 < min(counts) <= max(counts) < 1100


@pytest.mark.usefixtures("aws")
class TestSideBySide:
    def test_all_senders_together_mail_everybody_once(self, choose, mailer):
        choose(SENDERS="4")
        for number, survey_id in enumerate(ids(24)):
            a_due_survey(f"p{number}", survey_id)
        started: list[dict[str, Any]] = []
        first = send(mailer=mailer, start=started.append)
        assert [event["sender"] for event in started] == [1, 2, 3]
        others = [send(event, mailer) for event in started]
        assert first["sent"] + sum(other["sent"] for other in others) == 24
        assert sorted(mail.to[0] for mail in mailer.sent) == sorted(f"p{n}@example.com" for n in range(24))
        assert min(first["sent"], *(other["sent"] for other in others)) < 24

    def test_whoever_is_started_starts_nobody(self, choose):
        choose(SENDERS="4")
        started: list[dict[str, Any]] = []
        send(start=started.append)
        for event in started.copy():
            send(event, start=started.append)
        assert len(started) == 3

    def test_each_has_its_part_of_rate_and_quota(self, choose):
        choose(SENDERS="3")
        started: list[dict[str, Any]] = []
        own = share_out({"time": "2026-03-02T20:00:00Z"}, Limits(14.0, 100), started.append)
        assert own == Part(0, 3, Limits(5, 34))
        assert [(event["rate"], event["allowance"], event["senders"]) for event in started] == [(5, 33, 3), (4, 33, 3)]
        assert {event["time"] for event in started} == {"2026-03-02T20:00:00Z"}

    @pytest.mark.parametrize(("limits", "senders"), [(Limits(1.0, None), 1), (Limits(14.0, 2), 2), (None, 1)])
    def test_nobody_is_started_who_could_send_nothing(self, choose, limits, senders):
        choose(SENDERS="16")
        started: list[dict[str, Any]] = []
        part = share_out({"time": ""}, limits, started.append)
        assert (part.senders, len(started)) == (senders, senders - 1)
        assert len(part.shards) == 16 // senders

    def test_who_cannot_be_started_is_told_and_their_mail_leaves_with_the_next_run(self, choose, mailer, capsys):
        choose(SENDERS="2")
        for number, survey_id in enumerate(ids(12)):
            a_due_survey(f"p{number}", survey_id)

        def refuse(_: dict[str, Any]) -> None:
            raise ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke")

        first = send(mailer=mailer, start=refuse)
        assert 0 < first["sent"] < 12
        assert '"SendersNotStarted"' in capsys.readouterr().out
        choose(SENDERS="1")
        assert first["sent"] + send(mailer=mailer)["sent"] == 12

    def test_each_sender_runs_once_at_a_time_beside_the_others(self, choose, mailer):
        choose(SENDERS="2")
        for number, survey_id in enumerate(ids(12)):
            a_due_survey(f"p{number}", survey_id)
        started: list[dict[str, Any]] = []
        first = send(mailer=mailer, start=started.append)
        settings.acquire_run("send_survey", "somebody", AS_OF, AS_OF + timedelta(minutes=1))
        assert send(mailer=mailer) == send({"time": format_instant(AS_OF)}, mailer)  # held: nothing is due to it
        second = send(started[0], mailer)
        assert first["sent"] + second["sent"] == 12
        settings.acquire_run("send_survey#1", "somebody", AS_OF, AS_OF + timedelta(minutes=1))
        assert send(started[0], mailer)["due"] == 0

    def test_changing_the_number_of_senders_loses_nothing(self, choose, mailer):
        total = 0
        for number, survey_id in enumerate(ids(30)):
            a_due_survey(f"p{number}", survey_id)
        for senders in (16, 3, 1):
            choose(SENDERS=str(senders))
            total += send(mailer=mailer, start=lambda _: None)["sent"]  # those started die at once
        assert total == len({mail.to for mail in mailer.sent}) == len(mailer.sent) == 30

    def test_a_newer_touchpoint_replaces_the_older_one_whoever_sends(self, choose, mailer):
        choose(SENDERS="16")
        first, second = ids(2)
        a_due_survey("p", first, occurred_at=MONDAY_NOON - timedelta(days=2))
        a_due_survey("p", second, touchpoint="visit:6")
        started: list[dict[str, Any]] = []
        done = [send(mailer=mailer, start=started.append), *(send(event, mailer) for event in started)]
        assert [summary["skipped"] for summary in done if summary["due"]] == [{"superseded": 1}]
        assert len(mailer.sent) == 1


@pytest.mark.usefixtures("aws")
class TestMerged:
    def test_what_waits_moves_to_the_survivors_shard(self):
        retired, survivor = two_of_different_shards()
        message_id = a_due_survey(retired, ids(1)[0])
        messages.give_to([message_id], survivor)
        assert [each.patient_id for each in messages.due_until(AS_OF, [shard_of(survivor)])] == [survivor]
        assert list(messages.due_until(AS_OF, [shard_of(retired)])) == []

    def test_so_that_the_newer_of_both_replaces_the_older_whoever_sends(self, choose, mailer):
        choose(SENDERS="16")
        retired, survivor = two_of_different_shards()
        first, second = ids(2)
        old = a_due_survey(retired, first, occurred_at=MONDAY_NOON - timedelta(days=2))
        a_due_survey(survivor, second, touchpoint="visit:6")
        messages.give_to([old], survivor)
        started: list[dict[str, Any]] = []
        done = [send(mailer=mailer, start=started.append), *(send(event, mailer) for event in started)]
        assert [summary["skipped"] for summary in done if summary["due"]] == [{"superseded": 1}]

    def test_what_is_settled_does_not_become_due_again(self, mailer):
        retired, survivor = two_of_different_shards()
        message_id = a_due_survey(retired, ids(1)[0])
        assert send(mailer=mailer)["sent"] == 1
        messages.give_to([message_id], survivor)
        assert message_id not in [each.message_id for each in messages.due_until(AS_OF + timedelta(days=99))]
        stored = messages.get(message_id)
        assert stored
        assert (stored.state, stored.patient_id) == (MessageState.SENT, survivor)

    def test_what_is_settled_meanwhile_does_not_become_due_again(self, monkeypatch):
        retired, survivor = two_of_different_shards()
        message_id = a_due_survey(retired, ids(1)[0])
        read = messages.get_many

        def read_and_settle(wanted: Any) -> Any:
            found = read(wanted)
            messages.skip(message_id, 0, "opted_out", AS_OF)
            return found

        monkeypatch.setattr(messages, "get_many", read_and_settle)
        messages.give_to([message_id], survivor)
        item = MessageItem.get(message_id)
        assert "due" not in item.serialize()
        assert item.patient_id == survivor


def two_of_different_shards() -> tuple[str, str]:
    survivor = next(f"q{n}" for n in itertools.count() if shard_of(f"q{n}") != shard_of("p"))
    return "p", survivor


@pytest.mark.usefixtures("aws")
def test_what_is_due_comes_earliest_first_from_all_shards():
    for number, survey_id in enumerate(ids(40)):
        a_due_survey(f"p{number}", survey_id, due_at=MONDAY_NOON + timedelta(minutes=(number * 17) % 40))
    due = [each.due_at for each in messages.due_until(AS_OF)]
    assert due == sorted(due)
    assert len(due) == 40


@pytest.mark.usefixtures("aws")
def test_the_days_quota_ends_the_run_and_says_so(mailer, capsys):
    for number, survey_id in enumerate(ids(6)):
        a_due_survey(f"p{number}", survey_id)
    calls = []

    def used_up(_: Any) -> None:
        calls.append(1)
        raise QuotaReached

    assert send(mailer=FakeMailer(used_up))["deferred"] == {"quota": 6}
    assert len(calls) == 1
    assert '"QuotaReached"' in capsys.readouterr().out
    assert send(mailer=mailer)["sent"] == 6


@pytest.mark.usefixtures("aws")
def test_what_a_stopped_run_leaves_is_counted_and_not_read(monkeypatch, mailer):
    for number, survey_id in enumerate(ids(4)):
        a_due_survey(f"p{number}", survey_id)
    monkeypatch.setattr("functions.send_survey.run.PAGE", 1)
    read: list[int] = []
    get_many = surveys.get_many

    def count_and_read(wanted: Any) -> Any:
        read.append(1)
        return get_many(wanted)

    monkeypatch.setattr(surveys, "get_many", count_and_read)
    assert send(mailer=mailer, limits=Limits(100, 1))["deferred"] == {"quota": 3}
    assert len(read) < 4

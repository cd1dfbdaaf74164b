"""`make restore`: a practice goes on after the moment that is restored, and loses data; nobody is mailed twice."""

import os
from contextlib import suppress
from datetime import datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.serve_dashboard import user_pool
from local import tables
from local.tables import NAMES, Table
from local.whole import CannotRestore
from shared.domain.clock import format_instant
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.storage import messages, patients, surveys
from tests.builders import a_message, a_patient, a_survey
from tests.faults.invariants import hold, i1
from tests.faults.practice import COMMENT, InOneThread, Killed, Practice, aws_error, refusing
from tests.faults.restoring import AT_REST, KEY, Account, items
from tests.handlers.answering import survey_id as survey


@pytest.fixture
def account(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> Account:
    """The practice as a stack that is to be restored into another."""
    account = Account(practice)
    monkeypatch.setattr(tables, "ThreadPoolExecutor", InOneThread)
    monkeypatch.setattr(user_pool, "client", lambda: account.pools[os.environ["USER_POOL_ID"]])
    monkeypatch.setenv("USER_POOL_ID", "old")
    return account


def live(practice: Practice, account: Account) -> datetime:
    """Life before and after the moment that is restored, which is returned.

    By number: 0 answers before, 1 after it; 2 is never heard of; 3 opts out after it, 4 is erased after it; 5 is asked
    after it, 6 comes after it, is asked and answers; 7 is due long after everything.
    """
    for number in range(4):
        practice.asked(number)
    practice.asked(4, due_at=practice.clock + timedelta(days=30))
    practice.asked(5, due_at=practice.clock + timedelta(hours=20))
    practice.asked(7, due_at=practice.clock + timedelta(days=3))
    practice.send()
    practice.answer(practice.mail(survey(0)), 9, COMMENT)
    practice.rest()
    at = account.past.keep()
    practice.later(days=1)
    practice.asked(6, due_at=practice.clock)
    practice.send()
    practice.answer(practice.mail(survey(1)), 2, COMMENT)
    practice.answer(practice.mail(survey(6)), 10)
    practice.opt_out(practice.mail(survey(3)))
    practice.erases("p4")
    practice.rest()
    account.move()
    return at


def quiet(practice: Practice, account: Account) -> datetime:
    """Nothing but one survey that is due."""
    practice.asked(0)
    at = account.past.keep()
    account.move()
    return at


def mailed(practice: Practice) -> list[tuple[str, str]]:
    """Every mail to a patient."""
    return [(mail.survey_id, mail.kind) for mail in practice.mails if mail.kind != "staff"]


def asked(number: int) -> Survey:
    """A survey that is there."""
    found = surveys.get(survey(number))
    assert found
    return found


def person(patient_id: str) -> Patient:
    """A patient who is there."""
    found = patients.get(patient_id)
    assert found
    return found


def go_on(practice: Practice) -> None:
    """Four days of the restored practice, in which it sends."""
    for _ in range(4):
        practice.later(days=1)
        practice.rest()


def test_what_happened_since_is_carried_forward_and_nobody_is_mailed_twice(practice, account):
    at = live(practice, account)
    account.lose("Visits", "Scores", "Settings")
    account.past.real.update_item(
        TableName="Old-Surveys",
        Key={"survey_id": {"S": survey(0)}},
        UpdateExpression="REMOVE answers, score, version",
    )
    before = mailed(practice)
    assert account.restore(at)
    assert mailed(practice) == before

    go_on(practice)
    assert len(set(mailed(practice))) == len(mailed(practice))
    assert (survey(7), "survey") in mailed(practice)  # what was not due yet is asked in the restored stack
    found = surveys.get_many(survey(number) for number in (0, 1, 6))
    assert [found[survey(number)].score for number in (0, 1, 6)] == [9, 2, 10]
    assert person("p3").opted_out
    assert patients.get_exactly("p4") is None
    assert surveys.get(survey(4)) is None
    hold(practice.evidence())


def test_the_staff_are_not_alerted_again_of_what_they_were_told_since(practice, account):
    at = live(practice, account)
    told = [mail for mail in practice.mails if mail.kind == "staff" and mail.survey_id == survey(1)]
    account.restore(at)
    practice.rest()
    assert told == [mail for mail in practice.mails if mail.kind == "staff" and mail.survey_id == survey(1)]
    assert [item["survey_id"]["S"] for item in items("Cases")] == [survey(1)]


@pytest.mark.parametrize("lost", [("Messages",), NAMES])
def test_where_the_former_table_lost_its_mails_whatever_was_due_since_counts_as_sent(practice, account, lost):
    at = live(practice, account)
    account.lose(*lost)
    assert account.restore(at)
    assert practice.state(survey(5)) == "unknown"
    assert asked(5).sent_at or asked(5).unsent_reason == "unknown"
    # The next export brings the one who came after that moment back, with a survey that was sent before.
    patients.put_record(a_patient("p6"), None)
    surveys.create(a_survey(survey(6), patient_id="p6"))
    messages.create(a_message(survey(6), patient_id="p6", due_at=at + timedelta(days=1)))
    go_on(practice)
    assert mailed(practice).count((survey(5), "survey")) == mailed(practice).count((survey(6), "survey")) == 1
    assert asked(6).unsent_reason in ("restored", "")
    assert (survey(7), "survey") in mailed(practice)
    i1(practice.evidence())


def test_who_may_have_been_asked_since_begins_their_pause_anew(practice, account):
    at = live(practice, account)
    account.lose("Messages", "Patients")
    account.restore(at)
    assert person("p5").surveyed_at == practice.clock


def test_it_can_be_told_that_what_was_sent_is_unknown(practice, account):
    at = live(practice, account)
    account.restore(at, sent_is_unknown=True)
    assert practice.state(survey(5)) == "sent"  # the former table says so
    assert "RESTORED_AT" in next(item for item in items("Settings") if item["scope"]["S"] == "practice")


def test_whatever_interrupts_it_the_same_command_goes_on(practice, account):
    at = live(practice, account)
    for write in range(1, 10_000, 61):
        with suppress(Killed), practice.gate.dying(write):
            account.restore(at)
            break
    assert "finished_at" in journal()
    go_on(practice)
    hold(practice.evidence())
    assert not set(account.past.restored) & set(account.past.real.list_tables()["TableNames"])


def test_what_was_copied_is_not_copied_again_over_what_has_been_done_since(practice, account):
    at = live(practice, account)
    busy = refusing(aws_error("ThrottlingException", operation="DeleteTable"), "DeleteTable", times=1)
    with practice.gate.hooked(before=busy), pytest.raises(ClientError):
        account.restore(at)
    assert account.restore(at)  # whoever was erased is gone by now, and not missed


def journal() -> dict[str, object]:
    return next(item for item in items("Settings") if item["scope"]["S"] == "restore")


def test_a_row_that_does_not_arrive_is_noticed_and_arrives_the_next_time(practice, account, monkeypatch):
    at = quiet(practice, account)
    with monkeypatch.context() as lossy:
        lossy.setattr(Table, "put_new", lambda self, rows: None)
        assert not account.restore(at)
    assert "  Patients: WITH DIFFERENCES" in account.said
    assert "finished_at" not in journal()
    assert account.restore(at)
    assert person("p0")


def test_the_key_that_ids_are_made_with_comes_along(practice, account):
    account.restore(quiet(practice, account))
    assert boto3.client("secretsmanager").get_secret_value(SecretId="hash-key")["SecretString"] == KEY


def test_files_that_came_since_are_taken_in_again_and_marks_of_the_erased_come_along(practice, account):
    at = quiet(practice, account)
    mark = b'{"why": "patient", "opted_out": false}'
    for key in ("incoming/visits.csv", "reports/visits.csv.json", "preview/patients.csv"):
        boto3.client("s3").put_object(Bucket="old-intake", Key=key, Body=b"")
    boto3.client("s3").put_object(Bucket="old-intake", Key="erased/reference", Body=mark)
    account.restore(at)
    found = {item["Key"] for item in boto3.client("s3").list_objects_v2(Bucket="intake")["Contents"]}
    assert found == {"incoming/visits.csv", "reports/visits.csv.json", "erased/reference"}


def test_files_that_came_before_are_not_taken_in_again(practice, account):
    practice.later(days=36_500)  # the bucket goes by the clock on the wall
    at = quiet(practice, account)
    boto3.client("s3").put_object(Bucket="old-intake", Key="incoming/visits.csv", Body=b"")
    account.restore(at)
    assert "Contents" not in boto3.client("s3").list_objects_v2(Bucket="intake")


def test_a_rehearsal_alerts_nobody_takes_no_file_in_and_leaves_the_former_stack_sending(practice, account):
    practice.asked(0)
    practice.send()
    practice.answer(practice.mail(survey(0)), 1)  # nobody has been alerted yet
    at = account.past.keep()
    account.move()
    boto3.client("s3").put_object(Bucket="old-intake", Key="incoming/visits.csv", Body=b"")
    assert account.restore(at, is_rehearsal=True, paused="false")
    assert asked(0).score == 1
    assert not asked(0).pending_reaction
    assert boto3.client("s3").list_objects_v2(Bucket="intake").get("Contents", ()) == ()


def test_who_signs_in_is_listed_and_on_request_invited(practice, account):
    at = quiet(practice, account)
    account.pools["old"].add("olive@example.com", "owner", name="Olive Owens")
    account.restore(at, invite=True)
    assert [person.email for person in invited(account)] == ["olive@example.com"]
    assert "  Olive Owens, olive@example.com, owner, was invited" in account.said


def invited(account: Account):
    os.environ["USER_POOL_ID"] = "new"
    return user_pool.people()


class TestRefuses:
    def test_a_stack_that_still_sends(self, practice, account):
        at = quiet(practice, account)
        with pytest.raises(CannotRestore, match="still sends"):
            account.restore(at, paused="false")

    def test_a_stack_whose_last_run_may_still_send(self, practice, account):
        at = quiet(practice, account)
        state = {"scope": {"S": "mail#state"}, "paused_at": {"S": format_instant(practice.clock)}}
        account.past.real.put_item(TableName="Old-Settings", Item=state)
        practice.later(minutes=9)
        with pytest.raises(CannotRestore, match="wait ten minutes"):
            account.restore(at, paused="false")
        practice.later(minutes=1)
        assert account.restore(at, paused="false")

    @pytest.mark.parametrize("parameter", AT_REST)
    def test_a_target_that_is_not_at_rest(self, practice, account, parameter):
        at = quiet(practice, account)
        del account.target_parameters[parameter]
        with pytest.raises(CannotRestore, match="not at rest"):
            account.restore(at)

    def test_a_target_that_is_in_use(self, practice, account):
        at = quiet(practice, account)
        practice.asked(9)
        with pytest.raises(CannotRestore, match="is not empty"):
            account.restore(at)

    def test_another_restore_in_the_middle_of_one(self, practice, account):
        at = quiet(practice, account)
        with pytest.raises(Killed), practice.gate.dying(4):
            account.restore(at)
        with pytest.raises(CannotRestore, match="Another restore was begun"):
            account.restore(at - timedelta(hours=1))

    def test_a_second_time(self, practice, account):
        at = quiet(practice, account)
        account.restore(at)
        with pytest.raises(CannotRestore, match="was restored already"):
            account.restore(at)

    def test_a_moment_of_which_nothing_is_kept(self, practice, account):
        at = quiet(practice, account)
        with pytest.raises(CannotRestore, match="not within what AWS keeps"):
            account.restore(at - timedelta(days=40))

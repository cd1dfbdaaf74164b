"""`make restore`: a practice goes on after the moment that is restored, and loses data; nobody is mailed twice."""

import os
from contextlib import suppress
from datetime import datetime, timedelta

import boto3
import pytest
from botocore.exceptions import ClientError

from functions.erase_patient.handler import handler as erase_patient
from functions.serve_dashboard import user_pool
from local import tables
from local.carried import answer_since
from local.tables import NAMES, Item, Table, as_text
from local.whole import CannotRestore
from shared.domain.clock import format_instant
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.storage import erasures, messages, patients, surveys
from tests.builders import a_message, a_patient, a_survey
from tests.fakes import FakeContext
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


def restored(practice: Practice, account: Account, people: int = 7) -> datetime:
    """Surveys that were mailed, and a restore that is done; the moment that was restored."""
    for number in range(people):
        practice.asked(number)
    practice.send()
    at = account.past.keep()
    account.move()
    assert account.restore(at)
    return at


def test_what_comes_into_the_former_stack_after_a_restore_is_brought_by_the_same_command(practice, account):
    at = restored(practice, account)
    with account.in_the_former():
        practice.opt_out(practice.mail(survey(0)))
        practice.complains(practice.mail(survey(1)))
        practice.answer(practice.mail(survey(2)), 2, COMMENT)
        practice.alert()
        practice.answer(practice.mail(survey(3)), 1)  # nobody has been alerted yet
        practice.opts_out("p4")
        practice.erases("p4")
        practice.hold("p5")
    assert account.restore(at)
    assert [line for line in account.said if line.startswith("  ")][-6:] == [
        "  3 patients who want no mail, are on hold or have died",
        "  1 addresses that bounced or complained",
        "  1 patients who were erased",
        "  5 entries of who did what",
        "  1 cases",
        "  2 answers",
    ]
    go_on(practice)
    reminded = [mail.survey_id for mail in practice.mails if mail.kind == "reminder"]
    assert reminded == [survey(6)]
    told = [mail.survey_id for mail in practice.mails if mail.kind == "staff"]
    assert [told.count(survey(number)) for number in (2, 3)] == [1, 1]
    assert [item["survey_id"]["S"] for item in items("Cases")] == [survey(2), survey(3)]
    assert (asked(2).score, asked(3).score, surveys.get(survey(4))) == (2, 1, None)
    assert sum(int(item.get("s2", {}).get("N", 0)) for item in items("Scores") if item["scope"]["S"] == "practice") == 1
    hold(practice.evidence())


def test_what_is_brought_once_more_takes_nothing_back(practice, account):
    practice.asked(7)
    practice.opts_out("p7")
    at = restored(practice, account)
    with account.in_the_former():
        practice.opt_out(practice.mail(survey(0)))
        practice.hold("p1")
        practice.erases("p2")
        practice.answer(practice.mail(survey(3)), 3)
    practice.later(hours=1)
    practice.answer(practice.mail(survey(3)), 9)  # in the restored stack
    assert account.restore(at)
    for patient_id in ("p0", "p7"):
        patients.opt_in(patient_id)
    patients.hold("p1", on=False)
    before = stands()
    assert account.restore(at)
    assert stands() == before
    assert (asked(3).score, asked(3).version) == (9, 1)


def stands() -> dict[str, list[str]]:
    """Everything but the notes of restores."""
    return {name: sorted(as_text(item) for item in items(name) if "finished_at" not in item) for name in NAMES}


def test_who_was_erased_or_let_in_here_stays_so_whatever_comes_from_there(practice, account):
    at = restored(practice, account)
    with account.in_the_former():
        practice.opts_out("p0")
        practice.erases("p0")
        practice.answer(practice.mail(survey(1)), 2)
        practice.alert()
        practice.opt_out(practice.mail(survey(1)))
    assert account.restore(at)
    forget("p0", practice)
    patients.put_record(a_patient("p0"), None)
    practice.erases("p1")
    account.said.clear()
    assert account.restore(at)
    assert [line.split()[0] for line in account.said if line.startswith("  ")] == ["0"] * 6
    assert person("p0")
    assert erasures.erased_among(["p0"]) == set()
    assert patients.get_exactly("p1") is None
    assert not any(item.get("patient_id") == {"S": "p1"} for name in NAMES for item in items(name))


def forget(patient_id: str, practice: Practice) -> None:
    """Let somebody in again, as `make patient RETURNS=yes` does."""
    practice.later(hours=1)
    erase_patient({"time": format_instant(practice.clock)}, FakeContext(seconds_left=900), now=lambda: practice.clock)
    erasure = erasures.lift(patient_id, "olive", practice.clock)
    assert erasure
    boto3.client("s3").delete_object(Bucket="intake", Key=f"erased/{erasure.reference}")


def test_who_was_merged_meanwhile_is_stopped_as_whoever_they_are_now(practice, account):
    at = restored(practice, account)
    with account.in_the_former():
        practice.opt_out(practice.mail(survey(0)))
        merge("p1", "p2")
        practice.opts_out("p2")
    merge("p0", "p3")
    assert account.restore(at)
    assert all(person(patient_id).opted_out for patient_id in ("p1", "p2", "p3"))


def merge(retired: str, survivor: str) -> None:
    assert patients.merge(person(retired), person(survivor))


def test_an_answer_changed_there_is_brought_and_a_survey_just_being_changed_here_waits(practice, account, monkeypatch):
    at = restored(practice, account)
    with account.in_the_former():
        practice.answer(practice.mail(survey(0)), 9)
    assert account.restore(at)
    with account.in_the_former():
        practice.later(hours=1)
        practice.answer(practice.mail(survey(0)), 2, COMMENT)
    with monkeypatch.context() as busy:
        busy.setattr("local.since.answer_since", meanwhile)
        assert not account.restore(at)
    assert asked(0).score == 9
    assert account.restore(at)
    assert (asked(0).score, asked(0).version) == (2, 2)


def meanwhile(live: Item, here: Item) -> Item:
    """The survey's mail is told to have arrived right after it was read."""
    facts = answer_since(live, here)
    if facts:
        surveys.mark_delivered(here["survey_id"]["S"], asked(0).due_at)
    return facts


def test_who_was_erased_before_and_let_in_again_since_is_not_kept_out(practice, account):
    practice.asked(0)
    practice.asked(1)
    practice.erases("p0")
    practice.erases("p1")
    at = account.past.keep()
    forget("p0", practice)
    account.move()
    assert account.restore(at)
    assert erasures.erased_among(["p0", "p1"]) == {erasures.reference("p1")}


def test_the_last_words_say_when_to_run_it_again_and_that_sending_is_to_be_switched_on(practice, account):
    practice.asked(0)
    at = account.past.keep()
    account.move()
    assert account.restore(at)
    assert account.said[-1].startswith("RUN THE SAME COMMAND AGAIN right before it sends")
    state = {"scope": {"S": "mail#state"}, "paused_at": {"S": format_instant(practice.clock)}}
    account.past.real.put_item(TableName="Settings", Item=state)
    assert account.restore(at)
    assert "switch it on in the dashboard of new: Settings, Sending" in account.said[-1]


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

    def test_to_bring_anything_from_a_stack_that_sends_or_into_what_was_filled_otherwise(self, practice, account):
        at = quiet(practice, account)
        account.restore(at)
        with pytest.raises(CannotRestore, match="still sends"):
            account.restore(at, paused="false")
        with pytest.raises(CannotRestore, match="was filled already"):
            account.restore(at - timedelta(hours=1))

    def test_to_bring_anything_into_a_rehearsal(self, practice, account):
        at = quiet(practice, account)
        account.restore(at, is_rehearsal=True)
        with pytest.raises(CannotRestore, match="was a rehearsal"):
            account.restore(at, is_rehearsal=True)

    def test_a_moment_of_which_nothing_is_kept(self, practice, account):
        at = quiet(practice, account)
        with pytest.raises(CannotRestore, match="not within what AWS keeps"):
            account.restore(at - timedelta(days=40))

"""Two patients who turn out to be one: everything is the survivor's, and nobody is asked anything twice."""

from datetime import datetime
from typing import Any

import pytest

from functions.alerts.alert_staff.handler import handler as alert_staff
from functions.import_visits import course
from functions.import_visits.merge import Outcome
from functions.import_visits.records import PatientRecord
from functions.unsubscribe.handler import handler as unsubscribe
from shared.domain.clock import format_instant
from shared.domain.message import MessageKind, MessageState
from shared.domain.patient import Language, Patient, corrected
from shared.mail.mailer import Mail, MailThrottled
from shared.storage import messages, patients, surveys, visits
from shared.storage.models import PatientItem, SurveyItem
from tests.builders import MONDAY_NOON
from tests.fakes import FakeMailer
from tests.handlers.answering import ANSWERED_AT, answer, open_link
from tests.handlers.care import (
    DAY,
    FIRST_UPLOAD,
    HOUR,
    WALL,
    a_case,
    a_person,
    all_due,
    asked_in,
    day_by_day,
    discharge,
    evaluation,
    follow_up,
    letter_of,
    merged,
    on,
    person,
    rows_of,
    sender,
    token_of,
    told,
)
from tests.handlers.exports import Bucket, Killed, at_writes, dump, dying_at, restore, send

pytestmark = pytest.mark.usefixtures("aws")
OTHER: dict[str, Any] = {"patient_id": "p2"}


def both(**differences: Any) -> None:
    """Two records of one person."""
    told(a_person("p1", email="old@example.com", **differences))
    told(a_person("p2", email="now@example.com"))


# What moves.


def test_the_survivor_has_the_visits_and_cases_of_both_and_is_asked_about_their_common_history():
    both()
    told(a_case(40), evaluation(0), *(on(day) for day in range(1, 4)))
    told(*(on(day, **OTHER) for day in range(4, 6)), a_case(None, "c2", "p2"))
    assert all_due() == [("p1", "evaluation", "v0"), ("p1", "discharge", "v3")]
    assert merged("p1", "p2") is Outcome.UPDATED
    history = visits.of_patient("p2")
    assert (set(history.visits), set(history.cases)) == ({f"v{day}" for day in range(6)}, {"c1", "c2"})
    assert not visits.of_patient("p1")
    assert all_due() == [("p2", "evaluation", "v0"), ("p2", "visit:6", "v5"), ("p2", "discharge", "v5")]


def test_the_retired_patient_is_found_as_the_survivor_and_knows_it():
    both()
    merged("p1", "p2")
    assert patients.get("p1") == patients.get("p2")
    assert patients.get_many(["p1", "p2"]) == {"p1": person("p2"), "p2": person("p2")}
    retired = patients.get_exactly("p1")
    assert retired
    assert (retired.merged_into, retired.archived) == ("p2", True)
    assert person("p2").merged_from == {"p1"}
    assert (person("p2").email, person("p2").archived) == ("now@example.com", False)


def test_of_a_visit_that_both_have_the_newest_word_counts():
    both()
    told(evaluation(0, "v1"), on(5, "v2"), uploaded=2)
    told(on(3, "v1", **OTHER), uploaded=1)
    told(on(6, "v2", **OTHER), uploaded=3)
    merged("p1", "p2")
    history = visits.of_patient("p2").visits
    assert history["v1"].started_at == MONDAY_NOON
    assert history["v2"].started_at == MONDAY_NOON + 6 * DAY


def test_merging_again_changes_nothing():
    both()
    told(evaluation(0))
    merged("p1", "p2")
    before = dump()
    assert merged("p1", "p2") is Outcome.UNCHANGED
    assert dump() == before


# What only the retired patient's records tell.


def bare(patient_id: str = "p2", *stated: str, uploaded: int = 1, **differences: Any) -> None:
    """An import of records that state only these fields; what they do not state is empty or the sender's default."""
    absent = frozenset(_FIELDS) - set(stated)
    said = {**_FIELDS, **differences}
    record = PatientRecord(a_person(patient_id, **said), absent)
    at = FIRST_UPLOAD + uploaded * DAY
    course.store(patient_id, [(2, record)], at, follow_up(), patients.get(patient_id))


_FIELDS: dict[str, Any] = {
    "first_name": "",
    "last_name": "",
    "email": "",
    "phone": "",
    "clinic_id": "FACILITY",
    "language": Language.ENGLISH,
}
SPANISH: dict[str, Any] = {"language": Language.SPANISH, "phone": "555-0100"}


def how_to_reach(patient: Patient) -> tuple[str, ...]:
    return patient.email, patient.phone, patient.language, patient.clinic_id, patient.first_name, patient.last_name


@pytest.mark.parametrize("known", [False, True])
def test_a_survivor_without_an_address_has_the_retired_one_s_and_is_asked_there(known):
    told(a_person("p1", **SPANISH), evaluation(0))
    if known:
        bare("p2", "first_name", "last_name", first_name="Ada", last_name="Okafor")
    merged("p1", "p2")
    assert how_to_reach(person("p2")) == ("p1@example.com", "555-0100", "es", "north", "Ada", "Okafor")
    assert [found.patient_id for found in patients.search("okafor", 10)] == ["p2"]
    assert [mail.to for mail in day_by_day(0, 0)] == [("p1@example.com",)]


def test_what_the_survivor_s_records_say_stays_also_that_there_is_no_address():
    told(a_person("p1", **SPANISH))
    bare("p2", "email", "first_name", "language", first_name="Adah")
    merged("p1", "p2")
    assert how_to_reach(person("p2")) == ("", "555-0100", "en", "north", "Adah", "Okafor")


def test_what_the_retired_s_records_never_told_is_not_taken():
    bare("p1", "email", email="p1@example.com")
    bare("p2", clinic_id="OTHER")
    merged("p1", "p2")
    assert (person("p2").email, person("p2").clinic_id) == ("p1@example.com", "OTHER")


BARE_A40 = (
    "MSH|^~\\&|EMR|FACILITY|CARELOOP||20260301120000||ADT^A40|1|P|2.5.1\r"
    "EVN|A40|20260301120000\rPID|1||p2^^^EMR^MR||OKAFOR^ADA\rMRG|p1^^^EMR^MR\r"
)


def test_a_message_that_merges_and_says_nothing_else_leaves_the_survey_its_address():
    told(a_person("p1"), evaluation(0))
    report = send(Bucket(), BARE_A40, "merge.hl7", days=90)
    assert report["refused"] == 0
    assert (person("p2").email, person("p2").clinic_id, person("p2").first_name) == ("p1@example.com", "north", "ADA")
    assert [mail.to for mail in day_by_day(0, 0)] == [("p1@example.com",)]


@pytest.mark.parametrize("uploaded", [-5, 0, 5])
def test_the_survivor_s_own_records_win_over_what_was_taken_over_however_old_they_are(uploaded):
    told(a_person("p1", **SPANISH))
    bare("p2", "last_name", last_name="Okafor")
    merged("p1", "p2")
    bare("p2", "email", uploaded=uploaded, email="own@example.com")
    assert how_to_reach(person("p2"))[:4] == ("own@example.com", "555-0100", "es", "north")
    bare("p2", "email", uploaded=9)
    assert person("p2").email == ""


def test_an_unknown_survivor_s_first_records_win_and_leave_what_they_do_not_say():
    told(a_person("p1", **SPANISH))
    merged("p1", "p2")
    bare("p2", "email", "last_name", email="own@example.com", last_name="Obi")
    assert how_to_reach(person("p2")) == ("own@example.com", "555-0100", "es", "north", "Ada", "Obi")
    assert [found.patient_id for found in patients.search("obi", 10)] == ["p2"]


def test_what_was_taken_over_is_handed_on_by_another_merge():
    told(a_person("p1", **SPANISH))
    bare("p2")
    bare("p3")
    merged("p1", "p2")
    merged("p2", "p3")
    assert how_to_reach(person("p3")) == ("p1@example.com", "555-0100", "es", "north", "Ada", "Okafor")


def test_what_the_staff_corrected_stays_or_is_handed_on():
    told(a_person("p1", email="wrong@example.com", phone="555-0100"))
    staff_say("p1", "email", "right@example.com")
    bare("p2")
    staff_say("p2", "phone", "555-0199")
    merged("p1", "p2")
    bare("p2", "email", "phone", uploaded=5, email="wrong@example.com")
    assert (person("p2").email, person("p2").phone) == ("right@example.com", "555-0199")


def staff_say(patient_id: str, field: str, value: str) -> None:
    seen = person(patient_id)
    assert patients.correct(corrected(seen, field, value), seen)


@pytest.mark.parametrize("known", [False, True])
def test_an_import_that_read_the_survivor_before_the_merge_keeps_what_was_taken_over(known, monkeypatch):
    told(a_person("p1"))
    if known:
        bare("p2", uploaded=1)
    put = patients.put_record

    def merge_and_put(*arguments: Any) -> bool:
        monkeypatch.undo()
        merged("p1", "p2")
        return put(*arguments)

    monkeypatch.setattr(patients, "put_record", merge_and_put)
    bare("p2", "last_name", uploaded=1, last_name="Obi")
    assert (person("p2").email, person("p2").last_name) == ("p1@example.com", "Obi")


@pytest.mark.parametrize("patient_id", ["p1", "p2"])
def test_an_address_that_comes_during_the_merge_is_neither_lost_nor_written_over(patient_id, monkeypatch):
    told(a_person("p1"))
    bare("p2")
    merge = patients.merge

    def tell_and_merge(*arguments: Any) -> bool:
        monkeypatch.undo()
        bare(patient_id, "email", uploaded=2, email="new@example.com")
        return merge(*arguments)

    monkeypatch.setattr(patients, "merge", tell_and_merge)
    merged("p1", "p2")
    assert person("p2").email == "new@example.com"


# Nobody is asked twice.


def test_what_either_was_asked_is_not_asked_again():
    both()
    told(evaluation(0), on(1))
    told(evaluation(20, **OTHER, case_id="c2"))
    assert len(day_by_day(0, 0)) == 1
    merged("p1", "p2")
    assert all_due() == [("p2", "evaluation", "v20")]
    asked = [asked_in(mail) for mail in day_by_day(1, 40)]
    assert [(survey.patient_id, survey.visit_id) for survey in asked] == [("p2", "v0"), ("p2", "v20"), ("p2", "v20")]


def test_the_same_episode_under_both_ids_is_asked_about_once():
    both()
    told(evaluation(0))
    told(evaluation(2, **OTHER))
    assert len(day_by_day(0, 0)) == 1
    merged("p1", "p2")
    assert all_due() == []


def test_an_episode_that_both_were_asked_about_is_not_asked_about_a_third_time():
    both()
    told(evaluation(0))
    told(evaluation(0, **OTHER))
    assert len(day_by_day(0, 0)) == 2
    merged("p1", "p2")
    told(evaluation(0, **OTHER), on(1, **OTHER), uploaded=1)
    assert all_due() == []
    assert {survey.patient_id for survey in surveys.of_patient("p2")} == {"p2"}
    assert len(surveys.of_patient("p2")) == 2


@pytest.mark.parametrize(("answered", "reminders"), [(None, 1), ("p1", 0), ("p2", 0)])
def test_who_was_asked_the_same_twice_is_reminded_once_and_not_of_what_they_answered(answered, reminders):
    both()
    told(evaluation(0))
    told(evaluation(0, **OTHER))
    day_by_day(0, 0)
    if answered:
        (survey,) = surveys.of_patient(answered)
        open_link(survey.survey_id)
        answer(survey.survey_id, 9)
    merged("p1", "p2")
    assert len(day_by_day(1, 30)) == reminders


def test_the_pause_of_either_holds_for_the_survivor():
    both()
    told(evaluation(0))
    day_by_day(0, 0)
    asked_at = person("p1").surveyed_at
    told(evaluation(4, **OTHER, case_id="c2"))
    merged("p1", "p2")
    survivor = person("p2")
    assert (survivor.surveyed_at, survivor.surveyed_for) == (asked_at, MONDAY_NOON + HOUR)
    assert sender(MONDAY_NOON + 5 * DAY)[0]["deferred"]["pause"] == 1


@pytest.mark.parametrize(("retired", "survivor", "left"), [(5, 3, 5), (3, 5, 5), (None, 3, 3), (3, None, 3)])
def test_the_later_survey_and_the_later_review_request_count(retired, survivor, left):
    both()
    for patient_id, day in (("p1", retired), ("p2", survivor)):
        if day:
            item, moment = PatientItem, MONDAY_NOON + day * DAY
            PatientItem(patient_id).update(
                [
                    item.surveyed_at.set(moment),
                    item.surveyed_by.set(f"message-{day}"),
                    item.surveyed_for.set(moment),
                    item.review_requested_at.set(moment),
                    item.review_requested_by.set(f"review-{day}"),
                ]
            )
    merged("p1", "p2")
    found, moment = person("p2"), MONDAY_NOON + left * DAY
    assert (found.surveyed_at, found.surveyed_by, found.surveyed_for) == (moment, f"message-{left}", moment)
    assert (found.review_requested_at, found.review_requested_by) == (moment, f"review-{left}")


@pytest.mark.parametrize("flag", ["opted_out", "hold", "deceased"])
def test_whoever_may_not_be_mailed_under_one_id_may_not_under_the_other(flag):
    both()
    PatientItem("p1").update([getattr(PatientItem, flag).set(True)])
    assert not getattr(person("p2"), flag)
    merged("p1", "p2")
    assert getattr(person("p2"), flag)


def mailed(patient_id: str, moment: datetime = MONDAY_NOON + 9 * DAY) -> None:
    item = PatientItem
    item(patient_id).update(
        [item.surveyed_at.set(moment), item.surveyed_by.set("message"), item.surveyed_for.set(moment)]
    )


LATER, EARLIER = MONDAY_NOON + 9 * DAY, MONDAY_NOON
RACES = {
    "the retired was mailed": (lambda: mailed("p1"), LATER),
    "the survivor was mailed": (lambda: mailed("p2"), LATER),
    "the retired opted out": (lambda: patients.opt_out("p1"), EARLIER),
    "the survivor was merged": (lambda: patients.merge(person("p2"), a_person("p3")), EARLIER),
}


@pytest.mark.parametrize(("change", "surveyed_at"), RACES.values(), ids=RACES)
def test_a_merge_that_rests_on_what_has_changed_is_begun_anew(change, surveyed_at, monkeypatch):
    both()
    mailed("p1", EARLIER)
    merge = patients.merge

    def change_and_merge(*arguments: Any) -> bool:
        monkeypatch.undo()
        change()
        return merge(*arguments)

    monkeypatch.setattr(patients, "merge", change_and_merge)
    merged("p1", "p2")
    survivor, retired = person("p1"), patients.get_exactly("p1")
    assert retired
    assert survivor == person("p2")
    assert "p1" in survivor.merged_from
    assert (survivor.opted_out, survivor.surveyed_at) == (retired.opted_out, surveyed_at)


# Links that were mailed before.


def test_an_answer_by_an_old_link_is_the_survivor_s_and_the_staff_hear_of_it_once():
    both()
    told(evaluation(0))
    survey = asked_in(day_by_day(0, 0)[0])
    open_link(survey.survey_id)
    answer(survey.survey_id, 2, "It hurt")
    mailer, sweep = FakeMailer(), {"time": format_instant(ANSWERED_AT + HOUR)}
    alert_staff(sweep, None, mailer=mailer)
    assert len(mailer.sent) == 1
    merged("p1", "p2")
    answer(survey.survey_id, 9, at=ANSWERED_AT + HOUR)
    SurveyItem(survey.survey_id).update([SurveyItem.pending_reaction.set("alert")])
    alert_staff({"time": format_instant(ANSWERED_AT + 2 * HOUR)}, None, mailer=mailer)
    assert len(mailer.sent) == 1
    found = surveys.get(survey.survey_id)
    assert found
    assert (found.patient_id, found.score, found.former_patient_ids) == ("p2", 9, frozenset({"p1"}))


def test_who_unsubscribes_by_an_old_link_gets_no_mail_as_the_survivor():
    both()
    told(evaluation(0))
    mail = day_by_day(0, 0)[0]
    merged("p1", "p2")
    token = mail.text.split("https://care.example.com/u/")[1][:52]
    unsubscribe({"httpMethod": "POST", "pathParameters": {"token": token}, "headers": {}, "body": ""}, None)
    assert person("p2").opted_out


def test_an_opt_out_that_still_names_the_retired_patient_reaches_the_survivor():
    both()
    merged("p1", "p2")
    assert patients.opt_out("p1")
    assert person("p2").opted_out
    assert not patients.opt_out("p1")


def test_a_reminder_goes_to_the_survivor():
    both()
    told(evaluation(0))
    day_by_day(0, 0)
    merged("p1", "p2")
    _, [reminder] = sender(MONDAY_NOON + 4 * DAY)
    assert reminder.to == ("now@example.com",)


# Mail that is on its way.


def merging_when_called(refusal: Exception | None = None) -> FakeMailer:
    def merge(_: Mail) -> None:
        merged("p1", "p2")
        if refusal:
            raise refusal

    return FakeMailer(merge)


def test_a_mail_on_its_way_during_the_merge_is_the_survivor_s_and_not_asked_again():
    both()
    told(evaluation(0))
    summary, [mail] = sender(MONDAY_NOON + 4 * HOUR, merging_when_called())
    assert summary["sent"] == 1
    survey = asked_in(mail)
    assert (survey.patient_id, letter_of(survey).state) == ("p2", MessageState.SENT)
    assert person("p2").surveyed_at == MONDAY_NOON + 4 * HOUR
    assert all_due() == []
    assert [mail.to for mail in day_by_day(1, 30)] == [("now@example.com",)]  # the reminder


def test_a_mail_refused_during_the_merge_leaves_once_later():
    both()
    told(evaluation(0))
    assert sender(MONDAY_NOON + 4 * HOUR, merging_when_called(MailThrottled()))[1] == []
    told(on(1, **OTHER))
    mails = day_by_day(1, 1)
    assert [(mail.to, asked_in(mail).visit_id) for mail in mails] == [(("now@example.com",), "v0")]
    assert all_due() == []


def test_what_waits_is_sent_under_the_link_it_has_even_if_the_survivor_is_archived():
    told(a_person("p1"), evaluation(0))
    told(a_person("p2", archived=True))
    (survey,) = surveys.of_patient("p1")
    merged("p1", "p2")
    assert [asked_in(mail).survey_id for mail in day_by_day(0, 0)] == [survey.survey_id]


def test_a_sender_that_died_before_the_merge_leaves_nothing_that_is_sent_twice(monkeypatch):
    both()
    told(evaluation(0))
    monkeypatch.setattr(messages, "begin_call", lambda *_: (_ for _ in ()).throw(Killed()))
    with pytest.raises(Killed):
        sender(MONDAY_NOON + 4 * HOUR)
    monkeypatch.undo()
    merged("p1", "p2")  # while the dead sender's claim still holds
    later = WALL + HOUR
    mails = sender(MONDAY_NOON + 5 * HOUR, now=later)[1] + sender(MONDAY_NOON + DAY, now=later)[1]
    assert [mail.to for mail in mails] == [("now@example.com",)]
    told(on(1, **OTHER))
    assert all_due() == []


def test_a_claim_of_the_retired_patient_is_refused(monkeypatch):
    both()
    told(evaluation(0))
    claim = messages.claim

    def merge_and_claim(wanted: messages.Claim) -> bool:
        merged("p1", "p2")
        return claim(wanted)

    monkeypatch.setattr(messages, "claim", merge_and_claim)
    assert sender(MONDAY_NOON + 4 * HOUR)[1] == []
    monkeypatch.undo()
    _, [mail] = sender(MONDAY_NOON + 5 * HOUR)
    assert mail.to == ("now@example.com",)


# What is said later.


def test_later_visits_and_cases_of_the_retired_patient_are_the_survivor_s():
    both()
    merged("p1", "p2")
    assert told(evaluation(0), a_case(5)) == [Outcome.CREATED, Outcome.CREATED]
    assert not visits.of_patient("p1")
    assert set(visits.of_patient("p2").visits) == {"v0"}
    assert all_due() == [("p2", "evaluation", "v0"), ("p2", "discharge", "v0")]


def test_later_rows_about_the_retired_patient_change_nothing_but_an_opt_out_or_a_death():
    both()
    merged("p1", "p2")
    before = dump()
    assert told(a_person("p1", email="else@example.com", archived=True), uploaded=1) == [Outcome.UNCHANGED]
    assert dump() == before
    assert told(a_person("p1", opted_out=True), a_person("p1"), uploaded=2) == [Outcome.UPDATED, Outcome.UNCHANGED]
    assert person("p2").opted_out
    assert told(a_person("p1", opted_out=True), uploaded=3) == [Outcome.UNCHANGED]
    assert told(a_person("p1", deceased=True), uploaded=4) == [Outcome.UPDATED]
    assert person("p2").deceased
    assert told(a_person("p1", deceased=True), uploaded=5) == [Outcome.UNCHANGED]


def test_an_import_that_knew_nothing_of_the_merge_gives_what_it_wrote_to_the_survivor(monkeypatch):
    both()
    put = visits.put

    def merge_and_put(*arguments: Any) -> bool:
        monkeypatch.undo()
        merged("p1", "p2")
        return put(*arguments)

    monkeypatch.setattr(visits, "put", merge_and_put)
    told(evaluation(0))
    assert not visits.of_patient("p1")
    assert all_due() == [("p2", "evaluation", "v0")]


def test_rows_read_before_the_merge_do_not_bring_the_retired_patient_back():
    both()
    known = person("p1")
    merged("p1", "p2")
    rows = rows_of([a_person("p1", email="else@example.com", opted_out=True), evaluation(0)])
    course.store("p1", rows, FIRST_UPLOAD, follow_up(), known)
    retired = patients.get_exactly("p1")
    assert retired
    assert retired.email == "old@example.com"
    assert (person("p2").email, person("p2").opted_out) == ("now@example.com", True)
    assert all_due() == [("p2", "evaluation", "v0")]


# Chains, strangers, and merges that contradict each other.


@pytest.mark.parametrize("order", [[("p1", "p2"), ("p2", "p3")], [("p2", "p3"), ("p1", "p2")]])
def test_a_chain_of_merges_ends_at_the_last(order):
    both()
    told(a_person("p3"))
    told(evaluation(0))
    told(on(1, **OTHER))
    told(on(2, patient_id="p3"))
    for retired, survivor in order:
        merged(retired, survivor)
    assert person("p1").patient_id == person("p2").patient_id == "p3"
    assert person("p3").merged_from == {"p1", "p2"}
    assert set(visits.of_patient("p3").visits) == {"v0", "v1", "v2"}
    assert all_due() == [("p3", "evaluation", "v0")]


def test_a_merge_of_unknown_patients_is_remembered():
    merged("p1", "p2")
    told(a_person("p1"), evaluation(0))
    assert all_due() == [("p2", "evaluation", "v0")]
    assert sender(MONDAY_NOON + 4 * HOUR)[0]["deferred"] == {"no_address": 1}
    told(a_person("p2"))
    _, [mail] = sender(MONDAY_NOON + 5 * HOUR)
    assert mail.to == ("p2@example.com",)


def test_an_unknown_survivor_has_the_opt_out_of_the_retired():
    told(a_person("p1", opted_out=True))
    merged("p1", "p2")
    told(a_person("p2"))
    assert person("p2").opted_out


def test_a_merge_back_does_no_harm():
    both()
    told(evaluation(0))
    merged("p1", "p2")
    before = dump()
    assert merged("p2", "p1") is Outcome.UNCHANGED
    assert dump() == before


def test_a_second_merge_of_the_same_patient_changes_nothing():
    both()
    told(evaluation(0))
    merged("p1", "p2")
    before = dump()
    assert merged("p1", "p3") is Outcome.UNCHANGED
    assert dump() == before


def test_nobody_is_merged_with_themselves():
    with pytest.raises(ValueError, match="themselves"):
        merged("p1", "p1")


# Merges that die, or meet an import.


def prepared() -> None:
    """Both were asked something, both wait for something, and one is owed a reminder."""
    both(opted_out=False)
    told(a_case(30), evaluation(0), *(on(day) for day in range(1, 5)))
    told(*(on(day, f"w{day}", **OTHER) for day in range(5, 7)), evaluation(3, "x", case_id="c2", **OTHER))
    day_by_day(0, 0)


def prepared_without_address() -> None:
    """Only the retired one's records tell an address, and one survey waits."""
    told(a_person("p1"), evaluation(0))
    bare("p2", "last_name", last_name="Okafor")


def facts() -> Any:
    """The tables apart from marks of what happened on the way."""
    state = dump()
    for item in state["Surveys"]:
        item.pop("revision", None)
    return state


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("prepare", [prepared, prepared_without_address])
def test_a_merge_killed_at_any_write_is_completed_by_merging_again(prepare, moment):
    prepare()
    start = dump()
    merged("p1", "p2")
    uninterrupted = facts()
    for write in range(1, 100):
        restore(start)
        try:
            with at_writes(dying_at(write, moment)):
                merged("p1", "p2")
        except Killed:
            assert mailed_in_between(start) <= 1
            merged("p1", "p2")
            assert facts() == uninterrupted, f"killed {moment} write {write}"
        else:
            break
    assert 5 < write < 99


def mailed_in_between(start: Any) -> int:
    """How many mails would leave if the sender ran now; afterwards everything is as it was."""
    now = dump()
    mails = sender(MONDAY_NOON + 2 * DAY)[1]
    restore(now)
    return len(mails)


@pytest.mark.parametrize("uploads", [["p1"], ["p2"], ["p1", "p2"]])
def test_imports_that_meet_a_merge_at_any_write_come_to_the_same(uploads):
    prepared()
    start = dump()

    def tell() -> None:
        for patient_id in uploads:
            told(discharge(9, f"d-{patient_id}", patient_id=patient_id, case_id="c2"), uploaded=5)

    def waiting() -> Any:
        return all_due(), sorted(visits.of_patient("p2").visits), bool(visits.of_patient("p1"))

    tell()
    merged("p1", "p2")
    one_after_the_other = waiting()
    for write in range(1, 100):
        restore(start)
        has_met = False

        def meet(number: int, phase: str, write: int = write) -> None:
            nonlocal has_met
            if number == write and phase == "before":
                has_met = True
                tell()

        with at_writes(meet):
            merged("p1", "p2")
        if not has_met:
            break
        assert waiting() == one_after_the_other, f"met before write {write}"
    assert 10 < write < 99


def test_nobody_is_mailed_too_early_by_a_merge_that_stopped_half_way():
    both()
    told(evaluation(0))
    day_by_day(0, 0)
    told(evaluation(2, case_id="c2", **OTHER))
    with pytest.raises(Killed), at_writes(dying_at(1, "after")):
        merged("p1", "p2")
    assert sender(MONDAY_NOON + 3 * DAY)[1] == []


def test_the_reminder_of_the_retired_is_not_lost_by_a_merge_that_stopped_half_way():
    both()
    told(evaluation(0))
    survey = asked_in(day_by_day(0, 0)[0])
    with pytest.raises(Killed), at_writes(dying_at(1, "after")):
        merged("p1", "p2")
    assert letter_of(survey, MessageKind.REMINDER).patient_id == "p1"
    _, [reminder] = sender(MONDAY_NOON + 4 * DAY)
    assert (reminder.to, token_of(reminder).survey_id) == (("now@example.com",), survey.survey_id)

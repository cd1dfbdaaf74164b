"""What a restored row becomes in the light of the table it came from: nothing that stops mail is forgotten."""

from typing import Any

import pytest

from local import carried
from local.carried import Carrying, answer_since, stops_since, suppressed_since
from shared.storage import erasures, surveys

NOW, BEFORE, LATER = "2026-03-04T12:00:00Z", "2026-03-03T12:00:00Z", "2026-03-05T12:00:00Z"


def item(**attributes: Any) -> dict[str, Any]:
    """A row as DynamoDB writes it."""
    kinds = {bool: "BOOL", int: "N", set: "SS", list: "L"}
    return {
        name: {
            kinds.get(type(value), "S"): str(value)
            if type(value) is int
            else sorted(value)
            if isinstance(value, set)
            else value
        }
        for name, value in attributes.items()
    }


def mail(state: str, **attributes: Any) -> dict[str, Any]:
    waits = {"due": "due#0"} if state in ("due", "claimed", "calling") else {}
    facts = {"kind": "survey", "patient_id": "p1", "occurred_at": BEFORE, "due_at": BEFORE, **waits, **attributes}
    return item(message_id="s1-survey", state=state, **facts)


def state_of(then: Any, live: Any, **known: Any) -> str:
    found = Carrying(NOW, **known).row("Messages", then, live)
    return str(found["state"]["S"]) if found else ""


@pytest.mark.parametrize(
    ("then", "live", "state"),
    [
        (mail("due"), mail("sent"), "sent"),
        (mail("due"), mail("skipped"), "skipped"),
        (mail("due"), mail("due"), "due"),  # it waited all the while, for the morning
        (mail("due"), None, "unknown"),
        (mail("claimed"), None, "unknown"),
        (mail("due", due_at=LATER), None, "due"),
        (mail("sent"), None, "sent"),
        (mail("sent"), mail("due"), "sent"),  # somebody wrote into the former table
        (mail("skipped"), mail("due"), "due"),  # its visit came back
        (mail("due"), mail("claimed", lease_until=LATER), "unknown"),  # it is just being sent
        (mail("due"), mail("claimed", lease_until=BEFORE), "claimed"),
        (None, mail("sent"), "sent"),
        (None, mail("due"), ""),  # the next export makes it again
        (None, mail("due", kind="reminder"), "due"),
    ],
)
def test_a_mail_that_may_have_left_is_never_due(then, live, state):
    assert state_of(then, live) == state


@pytest.mark.parametrize(
    ("then", "live", "state"),
    [
        (mail("due"), mail("due"), "unknown"),
        (mail("due"), mail("sent"), "sent"),
        (mail("due", due_at=LATER), mail("due", due_at=LATER), "due"),
        (None, mail("due", kind="reminder"), "unknown"),
    ],
)
def test_where_the_former_table_cannot_be_believed_nothing_that_was_due_is_due(then, live, state):
    assert state_of(then, live, sent_is_unknown=True) == state


def test_what_is_unknown_leaves_the_index_of_what_is_due_and_begins_a_pause():
    carrying = Carrying(NOW)
    found = carrying.row("Messages", mail("claimed", lease_until=BEFORE), None)
    assert found
    assert not {"due", "lease_until"} & found.keys()
    patient = carrying.row("Patients", item(patient_id="p1"), item(patient_id="p1"))
    assert patient == item(patient_id="p1", surveyed_at=NOW, surveyed_by="s1-survey", surveyed_for=BEFORE)
    assert carrying.unknown == 1


def patient(then: Any, live: Any) -> Any:
    return Carrying(NOW).row("Patients", then, live)


@pytest.mark.parametrize("stop", ["opted_out", "hold", "deceased"])
def test_what_stops_mail_to_a_patient_holds_from_either_side(stop):
    free, stopped = item(patient_id="p1", **{stop: False}), item(patient_id="p1", **{stop: True})
    assert patient(free, stopped) == {**stopped, **item(brought={stop})}
    assert patient(stopped, free) == patient(stopped, None) == stopped


def test_a_stop_is_told_once_so_that_whom_the_staff_let_off_again_stays_so():
    stopped, free = item(patient_id="p1", opted_out=True), item(patient_id="p1", opted_out=False)
    assert stops_since(stopped, free) == item(opted_out=True, brought={"opted_out"})
    assert stops_since(stopped, {**free, **item(brought={"opted_out"})}) == {}
    assert stops_since(free, stopped) == {}
    on_hold = {**stopped, **item(hold=True)}
    assert stops_since(on_hold, item(brought={"opted_out"})) == item(hold=True, brought={"hold", "opted_out"})


def test_what_a_stack_was_told_when_it_was_restored_itself_does_not_count_for_the_next():
    assert patient(item(patient_id="p1", brought={"hold"}), None) == item(patient_id="p1")


def test_who_was_let_in_again_since_is_kept_out_no_longer_unless_erased_once_more():
    mark = item(patient_id="erased#r", why="patient")
    carrying = Carrying(NOW, let_in=frozenset({"r"}))
    assert carrying.row("Patients", mark, None) is None
    assert carrying.row("Patients", mark, mark) == mark


def test_an_address_is_told_of_only_if_it_is_not_known_or_was_known_earlier():
    def bad(moment: str) -> Any:
        return item(address_key="k", bounced=True, bounced_at=moment)

    assert suppressed_since(bad(NOW), None) == item(bounced=True, bounced_at=NOW)
    assert suppressed_since(bad(NOW), bad(BEFORE)) == item(bounced=True, bounced_at=NOW)
    assert suppressed_since(bad(NOW), bad(NOW)) == suppressed_since(bad(NOW), bad(LATER)) == {}
    assert suppressed_since(item(address_key="k"), None) == {}


def test_an_answer_is_brought_to_be_counted_and_never_over_one_that_was_given_here():
    here = item(survey_id="s1", sent_at=BEFORE, revision=2)
    brought = answer_since(FIRST, here)
    assert {name for name in FIRST if FIRST[name] == brought.get(name)} == {
        *("score", "version", "answers", "pending_reaction")
    }
    assert brought | item(uncounted="yes", revision=3) == brought
    changed = {**FIRST, **item(score=9, version=2, answers=[1, 2])}
    assert answer_since(changed, FIRST)["score"] == {"N": "9"}
    assert answer_since(changed, {**FIRST, **item(answers=[7])}) == {}
    assert answer_since(FIRST, FIRST) == answer_since(FIRST, changed) == {}


def test_a_correction_made_since_is_not_taken_and_a_pause_is():
    then = item(patient_id="p1", email="old@example.com", surveyed_at=BEFORE, surveyed_by="a")
    live = item(patient_id="p1", email="new@example.com", surveyed_at=NOW, surveyed_by="b", surveyed_for=BEFORE)
    expected = item(patient_id="p1", email="old@example.com", surveyed_at=NOW, surveyed_by="b", surveyed_for=BEFORE)
    assert patient(then, live) == expected


def test_of_a_patient_who_came_since_only_what_stops_mail_is_kept():
    assert patient(None, item(patient_id="p2", first_name="Ada")) is None
    assert patient(None, item(patient_id="p2", first_name="Ada", opted_out=True)) == item(
        patient_id="p2", opted_out=True, brought={"opted_out"}
    )


def test_whoever_was_erased_is_known_to_be():
    mark = item(patient_id="erased#r", why="patient")
    assert patient(None, mark) == patient(mark, None) == mark


def survey(then: Any, live: Any, message: Any = None, **known: Any) -> Any:
    return Carrying(NOW, **known).row("Surveys", then, live, message)


ASKED = {"survey_id": "s1", "sent_at": BEFORE, "token_hashes": {"a"}, "expires_at": BEFORE, "revision": 2}
FIRST = item(**ASKED, score=3, version=1, answers=[1], pending_reaction="alert", counted="{}")


def test_a_newer_answer_comes_along_and_is_counted_anew():
    live = {**FIRST, **item(score=9, version=2, answers=[1, 2], pending_reaction="review", revision=5, counted="{9}")}
    found = survey(FIRST, live)
    assert found == {**live, **item(counted="{}", uncounted="yes", revision=6)}


def test_what_was_done_about_an_answer_since_is_not_done_again():
    done = {name: value for name, value in FIRST.items() if name != "pending_reaction"}
    assert survey(FIRST, done) == done
    assert survey(FIRST, None) == FIRST
    assert "pending_reaction" not in survey(FIRST, FIRST, is_rehearsal=True)


def test_a_damaged_answer_gives_way_to_the_one_before():
    assert survey(FIRST, item(**ASKED)) == FIRST


def test_links_that_were_mailed_since_open_their_survey():
    live = {**FIRST, **item(token_hashes={"a", "b"}, expires_at=LATER)}
    assert survey(FIRST, live) == live


def test_a_survey_made_since_comes_along_once_it_is_settled_and_is_counted_anew():
    assert survey(None, item(survey_id="s2")) is None
    made = item(survey_id="s2", sent_at=NOW, revision=1)
    expected = {**made, **item(uncounted="yes", revision=2)}
    assert survey(None, {**made, **item(counted="{}", counted_answer_at=NOW)}) == expected


@pytest.mark.parametrize(("state", "says"), [("unknown", {"unsent_reason": "unknown"}), ("sent", {"sent_at": NOW})])
def test_a_survey_says_what_became_of_its_mail(state, says):
    found = survey(item(survey_id="s1"), None, mail(state, sent_at=NOW))
    assert {**item(survey_id="s1"), **item(**says, uncounted="yes", revision=1)} == found


def test_a_review_is_not_asked_for_again_where_nobody_knows_whether_it_was():
    owed = item(**ASKED, version=1, pending_reaction="alert review")
    assert survey(owed, None, sent_is_unknown=True)["pending_reaction"] == {"S": "alert"}
    owed = item(**ASKED, version=1, pending_reaction="review")
    assert "pending_reaction" not in survey(owed, None, sent_is_unknown=True)


def test_an_address_that_bounced_or_complained_on_either_side_is_mailed_no_more():
    def address(then: Any, live: Any) -> Any:
        return Carrying(NOW).row("Addresses", then, live)

    good = item(address_key="k", last_contact_at=BEFORE, last_patient_id="p1")
    bad = item(address_key="k", last_contact_at=NOW, last_patient_id="p2", bounced=True, bounced_at=NOW)
    assert address(good, bad) == bad
    assert address(bad, good) == bad
    assert address(None, bad) == bad


def test_settings_are_those_of_then_locks_go_and_sending_fares_as_it_does_today():
    def setting(then: Any, live: Any) -> Any:
        return Carrying(NOW).row("Settings", then, live)

    old, new = item(scope="practice", GOAL="70"), item(scope="practice", GOAL="80")
    assert setting(old, new) == old
    assert setting(None, new) is None
    today = item(scope="mail#2026-03-04", sent=7)
    assert setting(None, today) == today
    switched_off = item(scope="mail#state", paused_at=BEFORE)
    assert setting(item(scope="mail#state"), {**switched_off, **item(silent_since=NOW)}) == switched_off
    assert setting(item(scope="run#send_survey", holder="x"), None) is None
    done = item(scope="run#send_report", done="2026-02")
    assert setting(item(scope="run#send_report", done="2026-01"), {**done, **item(holder="x")}) == done
    assert setting(item(scope="restore"), None) is None


def test_the_newer_state_of_a_case_stands():
    older, newer = item(survey_id="s", version=1), item(survey_id="s", version=2)
    cases = Carrying(NOW)
    assert cases.row("Cases", older, newer) == cases.row("Cases", newer, older) == newer
    assert cases.row("Cases", None, newer) == newer


def test_marks_are_called_as_the_functions_call_them():
    assert (carried.ERASED, carried.UNCOUNTED) == (erasures.PREFIX, surveys.UNCOUNTED)

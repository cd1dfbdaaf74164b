"""A crash before and after every write and mail of each protocol; then the next scheduled runs, then the invariants.

The steps are found by running: the process is killed before its first write, its second, and so on until a run passes
untouched, so that a step somebody adds is covered by itself. To die after one is to die before the next: nothing else
can be seen from outside.
"""

import itertools
from collections.abc import Callable, Iterator

import pytest

from tests.faults.invariants import Evidence, hold
from tests.faults.practice import COMMENT, Killed, Practice, Request, aws_error, refusing

Act = Callable[[Practice], object]
Protocol = tuple[Act, Act]
"""What goes before, and what is killed."""


def crashes(practice: Practice, before: Act, act: Act) -> Iterator[str]:
    """Go through the protocol killed at each write in turn; yields what it was that it died at, after each death."""
    for write in itertools.count(1):
        practice.start_over()
        before(practice)
        with practice.gate.dying(write) as made:
            try:
                act(practice)
            except Killed:
                pass
            else:
                assert write > 1, "it writes nothing"
                return
        yield f"write {write}: {made[write - 1]}"


def asked(practice: Practice) -> None:
    practice.asked()


def mailed(practice: Practice) -> None:
    practice.asked()
    practice.send()
    practice.later(hours=1)


def answered(score: int, comment: str = COMMENT) -> Act:
    def answer(practice: Practice) -> None:
        mailed(practice)
        practice.answer(practice.mails[0], score, comment)

    return answer


def changed(*scores: int) -> Act:
    def change(practice: Practice) -> None:
        answered(scores[0])(practice)
        practice.count()
        for score in scores[1:]:
            practice.later(minutes=1)
            practice.answer(practice.mails[0], score)

    return change


def review_due(practice: Practice) -> None:
    answered(10)(practice)
    practice.request_reviews()
    practice.later(days=1)


def reminder_due(practice: Practice) -> None:
    mailed(practice)
    practice.later(days=3)


def refused(code: str) -> Act:
    def send(practice: Practice) -> None:
        with practice.gate.hooked(before=refusing(aws_error(code), "SendEmail")):
            practice.send()

    return send


def timing_out(practice: Practice) -> None:
    with practice.gate.hooked(after=refusing(aws_error("InternalFailure", 500), "SendEmail")):
        practice.send()


def left_calling(practice: Practice) -> None:
    """The sender died after its call; the lease has run out."""
    practice.asked()

    def die(operation: str, request: Request) -> None:
        if operation == "SendEmail" or dead:
            dead.append(operation)
            raise Killed

    dead: list[str] = []
    with practice.gate.hooked(before=die, after=die), pytest.raises(Killed):
        practice.send()
    practice.later(minutes=11)


def told_while_calling(practice: Practice) -> None:
    """As before, and an event has come that knows better."""
    practice.asked()

    def die(operation: str, request: Request) -> None:
        if operation == "SendEmail" or dead:
            dead.append(operation)
            raise Killed

    dead: list[str] = []
    with practice.gate.hooked(before=lambda *_: die("", {}) if dead else None, after=die), pytest.raises(Killed):
        practice.send()
    practice.hear_of(practice.mails[0], "Delivery")
    practice.later(minutes=11)


def no_more_mail(practice: Practice) -> None:
    practice.asked()
    practice.opts_out("p0")


SENDING: dict[str, Protocol] = {
    "a survey": (asked, Practice.send),
    "a reminder": (reminder_due, Practice.send),
    "a review request": (review_due, Practice.send),
    "a refused mail": (asked, refused("MessageRejected")),
    "a throttled mail": (asked, refused("TooManyRequestsException")),
    "a stopped account": (asked, refused("SendingPausedException")),
    "a call that times out": (asked, timing_out),
    "a message left in the call": (left_calling, Practice.send),
    "one of which an event has told": (told_while_calling, Practice.send),
    "one that must not be sent": (no_more_mail, Practice.send),
}


@pytest.mark.parametrize("protocol", SENDING.values(), ids=SENDING)
def test_a_crash_at_any_step_of_sending_loses_nothing_and_doubles_nothing(
    practice: Practice, protocol: Protocol
) -> None:
    for death in crashes(practice, *protocol):
        practice.rest()
        found = practice.evidence()
        hold(found)
        waiting = [message["message_id"] for message in found.tables["Messages"] if "due" in message]
        assert [name for name in waiting if not name.endswith("-reminder")] == [], death


@pytest.mark.parametrize("score", [0, 7, 10])
def test_a_crash_at_any_step_of_answering_loses_no_answer_that_was_accepted(practice: Practice, score: int) -> None:
    """The patient whose page did not come sends the form again."""
    for _ in crashes(practice, mailed, lambda practice: practice.answer(practice.mails[0], score, COMMENT)):
        practice.later(minutes=1)
        assert practice.answer(practice.mails[0], score, COMMENT) == 200
        practice.rest()
        practice.rest()
        hold(practice.evidence())


def case_late(practice: Practice) -> None:
    answered(2)(practice)
    practice.alert()
    practice.later(days=2)


REACTING: dict[str, Protocol] = {
    "an alert": (answered(2), Practice.alert),
    "an alert about a changed answer": (changed(2, 9, 3), Practice.alert),
    "an alert that was taken back": (changed(2, 9), Practice.request_reviews),
    "a review request": (answered(10), Practice.request_reviews),
    "a digest": (answered(7), Practice.digest),
    "a digest with an alert owed": (changed(2, 7), Practice.digest),
    "an escalation": (case_late, Practice.escalate),
}


@pytest.mark.parametrize("protocol", REACTING.values(), ids=REACTING)
def test_a_crash_at_any_step_of_reacting_leaves_the_reaction_owed(practice: Practice, protocol: Protocol) -> None:
    for death in crashes(practice, *protocol):
        practice.rest()
        practice.later(days=1)  # the morning's digest was sent, as far as anybody knows
        practice.rest()
        found = practice.evidence()
        hold(found)
        practice.escalate()
        late = [case["survey_id"] for case in practice.evidence("Cases").tables["Cases"] if "escalated_at" not in case]
        assert late == [], death
        surveys = found.tables["Surveys"]
        assert [survey["survey_id"] for survey in surveys if "pending_reaction" in survey] == [], death


OTHERS: dict[str, Protocol] = {
    "the nightly count": (answered(2), Practice.count),
    "the count of a change": (changed(9, 2), Practice.count),
    "unsubscribing": (mailed, lambda practice: practice.opt_out(practice.mails[0])),
    "a delivery": (mailed, lambda practice: practice.hear_of(practice.mails[0], "Delivery")),
    "a bounce": (mailed, lambda practice: practice.bounces(practice.mails[0])),
    "a complaint": (mailed, lambda practice: practice.complains(practice.mails[0])),
    "a rejection": (mailed, lambda practice: practice.hear_of(practice.mails[0], "Reject")),
}


@pytest.mark.parametrize("protocol", OTHERS.values(), ids=OTHERS)
def test_a_crash_at_any_step_of_the_rest_is_made_up_for_when_it_is_tried_again(
    practice: Practice, protocol: Protocol
) -> None:
    before, act = protocol
    practice.start_over()
    before(practice)
    act(practice)
    practice.rest()
    undisturbed = facts(practice.evidence())
    for death in crashes(practice, before, act):
        act(practice)
        practice.rest()
        found = practice.evidence()
        hold(found)
        assert facts(found) == undisturbed, death


def facts(found: Evidence) -> dict[str, object]:
    """What is known of the survey, its messages, the patient and the address, and what is written down of them."""
    kept = {name: found.tables[name] for name in ("Surveys", "Messages", "Patients", "Addresses", "Activity")}
    changing = {"token_hashes", "revision"}
    return {
        name: sorted(str(sorted((k, str(v)) for k, v in item.items() if k not in changing)) for item in items)
        for name, items in kept.items()
    }

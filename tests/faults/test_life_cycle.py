"""The life of surveys, driven at random against plain facts.

Two senders are interleaved call by call with each other and with everything else that happens: answers, opt-outs,
holds, events of the mail provider, imports that change visits, crashes, refusals and jumps of the clock.
"""

from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import Any

from botocore.exceptions import ReadTimeoutError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.domain.survey import Survey
from shared.storage import messages, surveys
from shared.storage.models import PatientItem
from tests.faults.invariants import Sent, hold, i1, i2, i3, i5
from tests.faults.practice import COMMENT, LAST_NAME, Practice, Request, aws_error
from tests.faults.turns import Runner, Turns
from tests.handlers.exports import PATIENTS, VISITS, Bucket, file_of, run, upload

PEOPLE = {"p0": "both@example.com", "p1": "both@example.com", "p2": "p2@example.com"}
PAUSE, ADDRESS_REST = timedelta(days=10), timedelta(days=1)

senders = st.integers(0, 1)
anybody = st.sampled_from(sorted(PEOPLE))
numbers = st.integers(0, 5)
skews = st.sampled_from([0, 0, 2, -5, 11])


class LifeCycle(RuleBasedStateMachine):
    """What happens to three patients, two of whom share an address."""

    def __init__(self, practice: Practice, bucket: Bucket) -> None:
        super().__init__()
        practice.start_over()
        practice.gate.before.clear()
        practice.gate.after.clear()
        self.practice, self.bucket = practice, bucket
        self.practice.words |= set(PEOPLE.values())
        self.turns = Turns(practice.gate)
        self.running: dict[int, Runner] = {}
        self.refusals: list[Exception] = []
        self.losses: list[Exception] = []
        self.practice.gate.before.append(self._refuse)
        self.practice.gate.after.append(self._lose_the_answer)
        self.visits: dict[str, dict[str, str]] = {}
        self.owners: dict[str, str] = {}  # of surveys
        self.files = 0

    # ---- What the records say ---------------------------------------------------------------------

    @initialize()
    def everybody_is_known_and_two_were_evaluated(self) -> None:
        rows = (f"{name},Ada,{LAST_NAME},{email},north" for name, email in PEOPLE.items())
        self._import(file_of(*rows, header=PATIENTS))
        self._import_visits(*(self._visit(name, "evaluation") for name in ("p0", "p2")))
        self.practice.later(hours=2)

    @rule(
        name=anybody,
        kind=st.sampled_from(["evaluation", "treatment", "discharge"]),
        change=st.sampled_from(["new", "new", "cancelled", "completed", -30, -2, 2, 30]),
        number=numbers,
    )
    def the_records_change(self, name: str, kind: str, change: str | int, number: int) -> None:
        """Somebody comes, or a visit is cancelled, takes place after all, or is moved by some hours."""
        if change == "new":
            self._import_visits(self._visit(name, kind))
            return
        visit = list(self.visits.values())[number % len(self.visits)]
        if isinstance(change, int):
            moved = datetime.fromisoformat(visit["started_at"]) + timedelta(hours=change)
            self._import_visits({**visit, "started_at": moved.isoformat()})
        else:
            self._import_visits({**visit, "status": change})

    # ---- Two senders ------------------------------------------------------------------------------

    @rule(turns=st.lists(st.tuples(senders, st.sampled_from([1, 2, 4, 8, 16, 40])), min_size=1, max_size=5), skew=skews)
    def the_runs_go_on(self, turns: list[tuple[int, int]], skew: int) -> None:
        """Each in its turn for so many calls; one that does not run begins, on a host whose clock may be off."""
        for sender, calls in turns:
            if not self._is_running(sender):
                ahead = timedelta(minutes=skew)
                self.running[sender] = self.turns.start(partial(self.practice.send, skew=ahead))
            for _ in range(calls):
                if self._is_running(sender):
                    self.running[sender].step()

    @rule(
        happens=st.sampled_from(
            ["killed", "killed", "lost", "TooManyRequestsException", "MessageRejected", "SendingPausedException"]
        ),
        sender=senders,
    )
    def sending_fails(self, happens: str, sender: int) -> None:
        """A run is killed, or the next mail is refused, or leaves without an answer."""
        if happens == "killed":
            if self._is_running(sender):
                self.turns.kill(self.running[sender])
        elif happens == "lost":
            self.losses.append(ReadTimeoutError(endpoint_url="https://email.example"))
        else:
            self.refusals.append(aws_error(happens))

    # ---- What patients, staff and the provider do -------------------------------------------------

    @precondition(lambda self: self.practice.mails)
    @rule(number=numbers, score=st.sampled_from([10, 3, 8, 9, 0]), comment=st.sampled_from(["", COMMENT]))
    def somebody_answers(self, number: int, score: int, comment: str) -> None:
        if mail := self._mail(number):
            self.practice.answer(mail, score, comment)

    @rule(
        what=st.sampled_from(["unsubscribes", "held", "held", "let go", "another address", "first address"]),
        number=numbers,
        name=anybody,
    )
    def somebody_is_to_be_mailed_otherwise(self, what: str, number: int, name: str) -> None:
        """Not at all, not now, or elsewhere."""
        if what in ("held", "let go"):
            self.practice.hold(name, on=what == "held")
        elif what == "unsubscribes":
            if mail := self._mail(number):
                self.practice.opt_out(mail)
        else:
            email = PEOPLE[name] if what == "first address" else f"new-{name}@example.com"
            self.practice.words.add(email)
            PatientItem(name).update([PatientItem.email.set(email)])

    @precondition(lambda self: self.practice.mails)
    @rule(number=numbers, kind=st.sampled_from(["Send", "Delivery", "DeliveryDelay", "Bounce", "Complaint", "Reject"]))
    def an_event_comes(self, number: int, kind: str) -> None:
        """Of any mail, in any order, any number of times."""
        mail = self._mail(number)
        if mail is None:
            return
        if kind == "Bounce":
            self.practice.bounces(mail)
        elif kind == "Complaint":
            self.practice.complains(mail)
            self.practice.against.setdefault(self._survey(mail).patient_id, set()).add("opted_out")
        elif kind != "Reject" or not self._has_come_to_something(mail):
            self.practice.hear_of(mail, kind)

    @rule(what=st.sampled_from([Practice.alert, Practice.request_reviews, Practice.digest, Practice.count]))
    def a_schedule_comes_round(self, what: Any) -> None:
        what(self.practice)

    @rule(by=st.sampled_from([{"minutes": 1}, {"minutes": 11}, {"hours": 3}, {"days": 1}, {"days": 3}, {"days": 10}]))
    def time_passes(self, by: dict[str, float]) -> None:
        """To some moment at which patients may be mailed, mostly."""
        clock = self.practice.later(**by)
        if clock.hour < 14 or clock.hour > 22:
            self.practice.clock = clock.replace(hour=17)

    # ---- What must hold ---------------------------------------------------------------------------

    @invariant()
    def holds(self) -> None:
        evidence = self.practice.evidence("Surveys")
        i1(evidence)
        i2(evidence)
        i3(evidence, at_rest=False)
        i5(evidence)
        self.owners |= {survey["survey_id"]: survey["patient_id"] for survey in evidence.tables["Surveys"]}
        self._nobody_is_mailed_too_often(evidence.mails)
        assert [runner.failure for runner in self.running.values() if runner.failure] == []

    def teardown(self) -> None:
        """Everything ends, and the schedules come round until nothing changes any more."""
        try:
            for sender in self.running:
                while self._is_running(sender):
                    self.running[sender].step()
        finally:
            self.practice.gate.before.clear()
            self.practice.gate.after.clear()
        for days in (0, 1, 1, 3):
            self.practice.clock += timedelta(days=days)
            self.practice.clock = self.practice.clock.replace(hour=17)
            self.practice.rest()
        hold(self.practice.evidence())
        self._everybody_was_dealt_with()

    def _everybody_was_dealt_with(self) -> None:
        """What waits has a reason to; what was sent left once, and what was not did not."""
        mailed = [mail.message_id for mail in self.practice.mails]
        for message in self.practice.evidence("Messages").tables["Messages"]:
            name, left = message["message_id"], mailed.count(message["message_id"])
            allowed = {"sent": {1}, "unknown": {0, 1}, "failed": {0, 1}, "skipped": {0}, "due": {0}}
            assert left in allowed[message["state"]], f"{name} is {message['state']} and left {left} times"

    def _nobody_is_mailed_too_often(self, mails: Any) -> None:
        asked = [(mail.at, self.owners[mail.survey_id], mail.to) for mail in mails if mail.kind == "survey"]
        for name in PEOPLE:
            moments = sorted(at for at, owner, _ in asked if owner == name)
            assert all(later - earlier >= PAUSE for earlier, later in pairwise(moments)), f"{name}: {moments}"
        shared = sorted((at, owner) for at, owner, to in asked if to == "both@example.com")
        for (earlier, first), (later, second) in pairwise(shared):
            assert first == second or later - earlier >= ADDRESS_REST, f"{earlier}, {later}"

    # ---- Helpers ----------------------------------------------------------------------------------

    def _is_running(self, sender: int) -> bool:
        return sender in self.running and not self.running[sender].has_ended

    def _mail(self, number: int) -> Sent | None:
        sent = [mail for mail in self.practice.mails if mail.kind in ("survey", "reminder")]
        return sent[number % len(sent)] if sent else None

    def _survey(self, mail: Sent) -> Survey:
        with self.practice.gate.aside():
            found = surveys.get(mail.survey_id)
        assert found
        return found

    def _has_come_to_something(self, mail: Sent) -> bool:
        """SES rejects a mail before it does anything else with it, and nobody answers it."""
        with self.practice.gate.aside():
            found = messages.get(mail.message_id)
        return mail.survey_id in self.practice.accepted or bool(found and found.delivery)

    def _visit(self, name: str, kind: str) -> dict[str, str]:
        started = self.practice.clock - timedelta(hours=1)
        number = f"v{len(self.visits)}"
        self.visits[number] = {
            "visit_id": number,
            "patient_id": name,
            "case_id": f"{name}-case",
            "clinic_id": "north",
            "started_at": started.isoformat(),
            "kind": kind,
            "status": "completed",
        }
        return self.visits[number]

    def _import_visits(self, *visits: dict[str, str]) -> None:
        for visit in visits:
            self.visits[visit["visit_id"]] = visit
        self._import(file_of(*(",".join(visit[name] for name in VISITS.split(",")) for visit in visits)))

    def _import(self, content: str) -> None:
        self.files += 1
        upload(self.bucket, "incoming/file.csv", content, self.practice.clock + timedelta(seconds=self.files))
        run(self.bucket, "incoming/file.csv")

    def _refuse(self, operation: str, request: Request) -> None:
        if operation == "SendEmail" and self.refusals and "message_id" in str(request):
            raise self.refusals.pop()

    def _lose_the_answer(self, operation: str, request: Request) -> None:
        if operation == "SendEmail" and self.losses and "message_id" in str(request):
            raise self.losses.pop()


def test_whatever_happens_in_whatever_order(practice: Practice, choose: Any) -> None:
    choose(TOUCHPOINTS="evaluation,visit:2,discharge")
    bucket = Bucket()
    machine: Any = lambda: LifeCycle(practice, bucket)  # noqa: E731
    run_state_machine_as_test(machine, settings=settings(max_examples=10, stateful_step_count=40))

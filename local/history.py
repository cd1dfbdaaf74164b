"""Ninety days of the sample practice's past, lived through by the product's own code.

`python -m local.history NOW PATIENTS` runs in the environment of the deployed sender and alerter. The moments of the
past are handed to the send engine as as-of and wall clock, the answers and the reactions to them as well. Older mails
are dropped; the staff were told of every past detractor then, so nobody is told now.
"""

import heapq
import itertools
import json
import random
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from functions.alerts.alert_staff.alert import alert
from functions.alerts.request_review.review import request_review
from functions.alerts.send_digest.digest import send_digests
from functions.send_survey.delivery import Sender
from functions.send_survey.pace import Limits, Pace
from functions.send_survey.run import send_due
from functions.send_survey.senders import Part
from local.sample_answers import Reply, reply
from local.sample_cases import steps
from local.sample_practice import CLINIC_BY_ID, PRACTICE_ZONE, RUN_HOURS, SEED, SamplePractice, generate, past_runs
from shared.config import setting
from shared.domain.clock import parse_instant
from shared.domain.delivery import DeliveryEvent, Kind
from shared.domain.identity import Token, parse_token
from shared.domain.message import MessageKind
from shared.domain.score import classify
from shared.domain.survey import Answer, Reaction, Survey, reactions_to
from shared.domain.themes import default_lexicon
from shared.hash_key import hash_key
from shared.mail.mailer import Mail, SesMailer
from shared.storage import activity, answers, cases, messages, patients, surveys
from shared.storage.settings import practice

PATIENT_MAIL_KEPT = timedelta(days=3)  # mails of the last days go out for real, so that the mailbox is not empty
STAFF_MAIL_KEPT = timedelta(days=10)
EVENTS_KEPT = timedelta(days=14)  # of older mails only the funnel tells that they arrived
ARRIVES_AFTER = timedelta(seconds=2)
RATE = 16.0  # of an account that makes the engine use four threads; more only wait for each other on a small machine
DAYS_A_LINE = 10


@dataclass
class PastMailer:
    """Keeps the patients' mails of one run, so that they can be answered; sends what is recent."""

    forward: SesMailer
    keeps_patient_mail: bool = False
    keeps_staff_mail: bool = False
    kept: list[Mail] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, mail: Mail) -> str:
        """Hand over, or act as if."""
        is_for_patient = "message_id" in mail.tags
        if is_for_patient:
            with self._lock:
                self.kept.append(mail)
        keeps = self.keeps_patient_mail if is_for_patient else self.keeps_staff_mail
        return self.forward.send(mail) if keeps else "of-the-past"

    def take(self) -> list[Mail]:
        """The mails since the last time, in an order that does not depend on threads."""
        taken, self.kept = sorted(self.kept, key=lambda mail: mail.tags["message_id"]), []
        return taken


@dataclass(order=True, frozen=True)
class Planned:
    """What a patient is going to do with a mail."""

    at: datetime
    survey_id: str
    patient_id: str = field(compare=False)
    token: Token = field(compare=False)
    reply: Reply = field(compare=False)


class History:
    """Lives through the past, run by run."""

    def __init__(self, sample: SamplePractice, now: datetime) -> None:
        self._sample = sample
        self._now = now
        self._mailer = PastMailer(SesMailer())
        self._planned: list[Planned] = []
        self.tally = Counter[str]()

    def live(self) -> None:
        """Everything that happened up to now, in its order."""
        runs = past_runs(self._now)
        for number, moment in enumerate(runs):
            self._mailer.keeps_patient_mail = moment > self._now - PATIENT_MAIL_KEPT
            self._mailer.keeps_staff_mail = moment > self._now - STAFF_MAIL_KEPT
            self._answer_until(moment)
            if moment.astimezone(PRACTICE_ZONE).hour == RUN_HOURS[0]:
                send_digests(moment, self._mailer)
                if number // len(RUN_HOURS) % DAYS_A_LINE == 0:
                    self._say(moment)
            self._send(moment)
        self._answer_until(self._now)
        self._say(self._now)

    def _send(self, moment: datetime) -> None:
        sender = Sender(
            as_of=moment,
            now=lambda: moment,
            mailer=self._mailer,
            pace=Pace(RATE, itertools.count().__next__, lambda _: None),  # a second goes by with every look
            public_url=setting("PUBLIC_URL"),
            key=hash_key(),
        )
        send_due(sender, Part(0, 1, Limits(RATE, None)), lambda: True, lambda: True, lambda _: "")
        mails = self._mailer.take()
        asked = surveys.get_many(mail.tags["survey_id"] for mail in mails)
        for mail in mails:
            kind = mail.tags["message_id"].rpartition("-")[2]
            self.tally[kind] += 1
            if moment > self._now - EVENTS_KEPT:
                messages.record_delivery(_delivery(mail, moment))
            if kind != MessageKind.REVIEW:
                surveys.mark_delivered(mail.tags["survey_id"], moment)
                self._plan(mail, asked[mail.tags["survey_id"]], moment, is_reminder=kind == MessageKind.REMINDER)

    def _plan(self, mail: Mail, survey: Survey, moment: datetime, *, is_reminder: bool) -> None:
        if survey.patient_id in self._sample.silent:
            return
        # By what the survey is about, not by its id: that one is made with the stack's own secret.
        chance = random.Random(f"{SEED} {survey.patient_id} {survey.episode} {survey.touchpoint} {is_reminder}")
        doing = reply(chance, CLINIC_BY_ID[survey.clinic_id].happiness, survey.language, is_reminder=is_reminder)
        link = mail.text.partition("/s/")[2][:52]
        token = parse_token(link)
        if doing and token:
            heapq.heappush(
                self._planned, Planned(moment + doing.after, survey.survey_id, survey.patient_id, token, doing)
            )

    def _answer_until(self, moment: datetime) -> None:
        while self._planned and self._planned[0].at <= moment:
            self._act(heapq.heappop(self._planned))

    def _act(self, planned: Planned) -> None:
        score = planned.reply.score
        if score is None:
            patients.opt_out(planned.patient_id)
            activity.note(planned.patient_id, "opted_out", planned.at, planned.survey_id, survey_id=planned.survey_id)
            self.tally["opted_out"] += 1
            return
        comment = planned.reply.comment
        answer = Answer(score, comment, bool(default_lexicon().find(comment).concerns))
        owed = reactions_to(classify(score), practice(), concerns_safety=answer.concerns_safety)
        # What the stream would react to is done here instead; a digest is no matter of the stream.
        pending = owed if owed == Reaction.DIGEST else ""
        answers.record(planned.token, answer, pending, planned.at, practice().edit_window)
        survey = surveys.get(planned.survey_id)
        if survey is None:
            raise LookupError(f"the survey {planned.survey_id} is gone")
        self.tally["answered"] += 1
        self.tally[classify(score)] += 1
        if owed.startswith(Reaction.ALERT):
            alert(survey, self._mailer)
            self._look_after(survey)
        elif owed.startswith(Reaction.REVIEW):
            request_review(replace(survey, pending_reaction=owed))

    def _look_after(self, survey: Survey) -> None:
        """What the staff did about it later, written down as of then."""
        case = cases.get(survey.survey_id)
        if case is None or case.outreach:
            return
        chance = random.Random(f"{SEED} {survey.patient_id} {survey.episode} {survey.touchpoint}")
        for kind, moment, changed in steps(case, chance, self._now):
            cases.write(changed, case)
            activity.note(
                survey.patient_id,
                f"case_{kind}",
                moment,
                survey.survey_id,
                survey_id=survey.survey_id,
                detail=changed.outreach[-1].by_name if changed.outreach else changed.owner_name,
            )
            case = changed

    def _say(self, moment: datetime) -> None:
        day = moment.astimezone(PRACTICE_ZONE).date().isoformat()
        print(json.dumps({"day": day, **self.tally}), file=sys.stderr, flush=True)  # standard output is the log


def _delivery(mail: Mail, moment: datetime) -> DeliveryEvent:
    """What Amazon SES tells of a mail that arrives."""
    message_id = mail.tags["message_id"]
    return DeliveryEvent(Kind.DELIVERED, moment + ARRIVES_AFTER, moment, "of-the-past", message_id)


def live_through(now: datetime, patients: int) -> None:
    """Live through the past of the sample practice of that size; a line of counts every ten days."""
    History(generate(now, patients), now).live()


if __name__ == "__main__":
    live_through(parse_instant(sys.argv[1]), int(sys.argv[2]))

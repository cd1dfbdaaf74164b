"""What the sample practice's staff did about unhappy answers: most were heard in time, some wait, a few were missed."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.domain.recovery import (
    Channel,
    Outcome,
    Outreach,
    RecoveryCase,
    Result,
    claim,
    close,
    note_reply,
    reach_out,
)

STAFF = (("sample-owner", "Olive Owens"), ("sample-admin", "Adrian Marsh"))
_REASONS = ("waiting", "scheduling", "front_desk", "communication", "therapist", "outcome", "billing", "facility")
_LEFT_LYING = 0.1
_MAIL = "Thank you for telling us. I would like to hear more, and to put it right. When may I call you?"
_NOTES = {
    Result.SPOKE: ("Listened, apologized, and agreed on a new time with the same therapist.", "Explained the bill."),
    Result.VOICEMAIL: ("Left my name and number.",),
    Result.NO_ANSWER: ("",),
}

Step = tuple[str, datetime, RecoveryCase]
"""What was done, when, and the case after it."""


def steps(case: RecoveryCase, chance: random.Random, now: datetime) -> Iterator[Step]:
    """The case through the hands of the staff, as far as it got by now."""
    for kind, moment, changed in _all_steps(case, chance):
        if moment > now:
            return
        yield kind, moment, changed


def _all_steps(case: RecoveryCase, chance: random.Random) -> Iterator[Step]:
    if chance.random() < _LEFT_LYING:
        return
    user, name = chance.choice(STAFF)
    moment = case.opened_at + timedelta(minutes=chance.randint(20, 1500))
    case = claim(case, user, name, moment)
    yield "claim", moment, case
    moment += timedelta(minutes=chance.randint(5, 240))
    attempt = _attempt(chance, moment, user, name)
    case = reach_out(case, attempt)
    yield ("write" if attempt.channel is Channel.EMAIL else "call"), moment, case
    outcome = chance.choice((Outcome.RESOLVED, Outcome.RESOLVED, Outcome.FOLLOWING_UP, Outcome.DECLINED))
    if attempt.result is not Result.SPOKE:
        moment += timedelta(hours=chance.randint(3, 40))
        if chance.random() < 0.5:
            case = note_reply(case, moment)
            yield "reply", moment, case
        else:
            moment, outcome = moment + timedelta(days=5), Outcome.NO_REPLY
    moment += timedelta(minutes=chance.randint(5, 600))
    yield "close", moment, close(case, user, outcome, chance.choice(_REASONS), "", moment)


def _attempt(chance: random.Random, moment: datetime, user: str, name: str) -> Outreach:
    if chance.random() < 0.45:
        return Outreach(moment, user, name, Channel.EMAIL, Result.WROTE, _MAIL)
    result = chance.choices(list(_NOTES), (0.6, 0.3, 0.1))[0]
    return Outreach(moment, user, name, Channel.TELEPHONE, result, chance.choice(_NOTES[result]))

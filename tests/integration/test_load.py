"""More than the stack can take, and runs that are killed: what was accepted is kept, and nobody is mailed twice."""

import pytest

from bench.flood import Flood, flood, make_surveys, rate_it_can_take
from bench.killed_runs import Sent, make_due, send_all
from bench.mail_stub import mail_stub
from local.stack import Stack

MESSAGES, KILLS = 500, 4
SECONDS = 5


@pytest.fixture(scope="module")
def sent(stack: Stack) -> Sent:
    """Everybody due at once, two senders beside each other, and every run but the last killed."""
    with mail_stub(rate=200, seconds_a_mail=0.02) as mails:
        make_due(stack, MESSAGES)
        return send_all(stack, mails, MESSAGES, KILLS, senders=2)


def test_no_mail_is_lost_or_doubled_by_runs_that_are_killed(sent):
    assert sent.violations == []
    assert 2 <= sent.kills <= KILLS  # a fast machine is done before the last
    assert sent.states.total() == MESSAGES


def test_what_a_kill_leaves_in_doubt_is_what_was_in_hand_then(sent):
    assert sent.states["unknown"] <= sent.calling_at_kills < MESSAGES / 2
    assert sent.states["sent"] > MESSAGES / 2


@pytest.fixture(scope="module")
def rate(stack: Stack) -> float:
    """Answers a second that the stack can take, on a machine that does other things as well."""
    rate_it_can_take(stack, make_surveys(stack, "warm", 8))
    return min(30.0, rate_it_can_take(stack, make_surveys(stack, "take", 40)))


@pytest.mark.parametrize("times", [1, 2])
def test_every_accepted_answer_is_stored_once_and_every_refusal_is_told(stack, rate, times):
    tokens = make_surveys(stack, f"flood{times}", round(rate * times * SECONDS))
    result: Flood = flood(stack, tokens, rate * times)
    assert result.violations == []
    assert result.accepted > 0
    assert len(result.taps) == len(tokens) + -(-len(tokens) // 10)

"""The life of a message against its table of steps: what the table does not list, the storage refuses."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.message import STEPS, MessageState
from shared.storage import messages
from shared.storage.models import MessageItem
from tests.builders import MONDAY_NOON, a_message

pytestmark = pytest.mark.usefixtures("aws")
ID = a_message().message_id

OPERATIONS = {
    "begin_call": (MessageState.CALLING, lambda: messages.begin_call(ID, 1)),
    "finish_call": (MessageState.SENT, lambda: messages.finish_call(ID, 1, "ses", MONDAY_NOON)),
    "release": (MessageState.DUE, lambda: messages.release(ID, 1)),
    "fail": (MessageState.FAILED, lambda: messages.fail(ID, 1, "refused")),
    "give_up": (MessageState.UNKNOWN, lambda: messages.give_up(ID, 1)),
    "skip": (MessageState.SKIPPED, lambda: messages.skip(ID, 1, "expired", MONDAY_NOON)),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("start", MessageState)
def test_a_step_that_is_not_in_the_table_changes_nothing(start, operation):
    messages.create(a_message())
    lease = MONDAY_NOON - timedelta(seconds=1)
    MessageItem(ID).update(
        [MessageItem.state.set(start), MessageItem.attempt.set(1), MessageItem.lease_until.set(lease)]
    )
    end, act = OPERATIONS[operation]
    before = messages.get(ID)
    happened = act()
    after = messages.get(ID)
    assert after is not None
    if after.state is not start:
        assert end in STEPS[start]
        assert happened
    else:
        # Repeating a write whose answer was lost succeeds without changing anything.
        assert after == before
        assert happened == (start is end and operation != "skip")


@pytest.mark.parametrize("operation", ["begin_call", "finish_call", "release", "fail", "give_up", "skip"])
def test_nobody_acts_on_another_attempts_claim(operation):
    messages.create(a_message())
    start = MessageState.CLAIMED if operation in ("begin_call", "skip") else MessageState.CALLING
    MessageItem(ID).update([MessageItem.state.set(start), MessageItem.attempt.set(2)])
    assert not OPERATIONS[operation][1]()
    stored = messages.get(ID)
    assert stored is not None
    assert stored.state is start


@pytest.mark.parametrize("start", MessageState)
@pytest.mark.parametrize(
    ("act", "end"), [(messages.confirm, MessageState.SENT), (messages.reject, MessageState.FAILED)]
)
def test_the_word_of_an_event_changes_the_state_as_read_or_nothing(start, act, end):
    messages.create(a_message())
    MessageItem(ID).update([MessageItem.state.set(start), MessageItem.attempt.set(1)])
    read = messages.get(ID)
    assert read is not None
    if end not in STEPS[start]:
        with pytest.raises(ValueError, match="never goes"):
            act(read)
    else:
        assert not act(replace(read, attempt=0))
        assert act(read)
        assert act(read)  # again, as when the answer was lost
    stored = messages.get(ID)
    assert stored is not None
    assert stored.state is (end if end in STEPS[start] else start)

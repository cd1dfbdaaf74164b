"""Every fault of the list has its test, named by its number."""

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent
FAULTS = {
    1: "the schedule's event comes twice at the same time",
    2: "and again two hours later",
    3: "a sender dies before it announces its call",
    4: "or around the call itself",
    5: "the call times out, and the mail has left",
    6: "the provider throttles, or the day's quota is used up",
    7: "the account is paused, or the sender not verified",
    8: "a run is killed half-way",
    9: "a lease runs out while its holder lives",
    10: "a whole batch of the stream is delivered again",
    11: "one record of a batch cannot be handled",
    12: "none can",
    13: "a consumer is down for longer than the stream remembers",
    14: "records come out of order",
    15: "two answers from one link at the same time",
    16: "nine becomes three once a review request is made",
    17: "three becomes nine",
    18: "a write is repeated by the SDK, and fails its condition",
    19: "storms of cancelled transactions and refused writes",
    20: "a link that has expired, or whose survey is gone",
    21: "a bounce or complaint comes before the mail is noted as sent",
    22: "somebody opts out during a run",
    23: "a file's event twice, an older file last",
    24: "a damaged file, or none at all",
    25: "clocks change, are wrong, or are far away",
    26: "keys are throttled at the start, exceptions carry a patient's data",
}


def test_every_fault_has_its_test() -> None:
    files = [*(TESTS / "faults").glob("test_*.py"), TESTS / "integration" / "test_faults.py"]
    named = {int(number) for file in files for number in re.findall(r"def test_fault_(\d\d)_", file.read_text("utf-8"))}
    assert named == FAULTS.keys() == set(range(1, 27))

"""aggregate_scores: the counts equal a full recount, whatever happened on the way."""

from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.aggregate_scores.handler import handler
from shared.domain.aggregate import FUNNEL, histogram
from shared.domain.score import nps
from shared.observability import HandlerFailed
from shared.storage import scores, surveys
from shared.storage.models import SurveyItem
from tests.builders import MONDAY_NOON, a_survey
from tests.handlers.answering import ANSWERED_AT, answer, open_link, sent, stored, survey_id

pytestmark = pytest.mark.usefixtures("aws")
NIGHT = {"time": "2026-03-05T08:15:00Z"}
TUESDAY = "2026-03-03"
NEW_YORK = ZoneInfo("America/New_York")


def run() -> dict[str, int]:
    counted: dict[str, int] = handler(NIGHT, None)
    return counted


def rows() -> dict[tuple[str, str], dict[str, int]]:
    """Every row of the table, counts of nothing left out."""
    found = {}
    for item in boto3.client("dynamodb").scan(TableName="Scores")["Items"]:
        counts = {field: int(value["N"]) for field, value in item.items() if "N" in value and value["N"] != "0"}
        if counts:
            found[item["scope"]["S"], item["day"]["S"]] = counts
    return found


def test_an_answer_is_counted_for_practice_clinic_therapist_and_touchpoint() -> None:
    answer(sent(), 9, "Kind people")
    assert run() == {"surveys": 1, "rows": 8}
    for scope in ("practice", "clinic#north", "therapist#t1", "touchpoint#evaluation"):
        assert scores.read_range(scope, TUESDAY, TUESDAY) == {TUESDAY: {"s9": 1}}
        assert scores.read_range(scope, "2026-03-02", "2026-03-02") == {"2026-03-02": dict.fromkeys(FUNNEL, 1)}


def test_a_scopes_days_are_read_from_the_first_to_the_last() -> None:
    for number in range(4):
        answer(sent(survey_id(number)), 10, at=ANSWERED_AT + timedelta(days=number))
    run()
    days = scores.read_range("clinic#north", "2026-03-04", "2026-03-05")
    assert days == {"2026-03-04": {"s10": 1}, "2026-03-05": {"s10": 1}}


def test_a_second_run_finds_nothing_to_do() -> None:
    answer(sent(), 9)
    run()
    before = rows()
    assert run() == {"surveys": 0, "rows": 0}
    assert rows() == before


def test_a_changed_answer_moves_from_one_count_to_the_other() -> None:
    survey = sent()
    answer(survey, 9)
    run()
    answer(survey, 3, "Thinking of it again", ANSWERED_AT + timedelta(days=1))
    run()
    assert scores.read_range("practice", TUESDAY, "2026-03-04") == {"2026-03-04": {"s3": 1}}


def test_a_survey_that_changed_without_counting_differently_is_only_cleared() -> None:
    survey = sent()
    answer(survey, 9, "Good")
    run()
    answer(survey, 9, "Very good")
    assert run() == {"surveys": 1, "rows": 0}
    assert list(surveys.uncounted()) == []


def test_a_survey_moved_to_another_clinic_while_it_waits_counts_there() -> None:
    survey = a_survey()
    surveys.create(survey)
    surveys.move(a_survey(clinic_id="south", therapist_id="t2"))
    run()
    assert rows() == {}
    surveys.mark_sent(survey.survey_id, MONDAY_NOON)
    run()
    assert {scope for scope, _ in rows()} == {"practice", "clinic#south", "therapist#t2", "touchpoint#evaluation"}


def test_a_survey_that_stops_counting_is_taken_back_and_may_count_again() -> None:
    survey = a_survey().survey_id
    surveys.create(a_survey())
    surveys.mark_unsent(survey, "expired")
    run()
    surveys.mark_unsent(survey, "withdrawn")
    run()
    assert rows() == {}
    surveys.mark_sent(survey, MONDAY_NOON)
    run()
    assert scores.read_range("practice", "2026-03-02", "2026-03-02") == {"2026-03-02": dict.fromkeys(FUNNEL[:4], 1)}


def test_everything_is_counted_whatever_the_time_of_the_run() -> None:
    answer(sent(), 9)
    assert handler({"time": "2001-01-01T00:00:00Z"}, None)["surveys"] == 1


@pytest.mark.parametrize("event", [{}, {"time": "<aws.scheduler.scheduled-time>"}, {"time": "2026-03-05 08:15"}])
def test_a_run_without_a_real_time_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(HandlerFailed, match="ValueError"):
        handler(event, None)


def test_the_nps_of_the_day_comes_from_the_counts() -> None:
    for number, score in enumerate([10, 10, 9, 8, 3]):
        answer(sent(survey_id(number)), score)
    run()
    day = scores.read_range("practice", TUESDAY, TUESDAY)[TUESDAY]
    assert histogram(day) == [0, 0, 0, 1, 0, 0, 0, 0, 1, 1, 2]
    assert nps(histogram(day)) == 40


@contextmanager
def calls(before: Callable[[str, int], None] | None = None, after: Callable[[str, int], None] | None = None) -> Any:
    """Sees every call to DynamoDB, from whatever library; `before` and `after` may raise."""
    seen: list[str] = []
    original = BaseClient._make_api_call

    def make(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        seen.append(operation)
        number = len(seen)
        if before:
            before(operation, number)
        result = original(client, operation, arguments)
        if after:
            after(operation, number)
        return result

    BaseClient._make_api_call = make
    try:
        yield seen
    finally:
        BaseClient._make_api_call = original


class Crash(BaseException):
    """The function is killed: nothing of it runs any more."""


def crash_at(position: int) -> Callable[[str, int], None]:
    def crash(operation: str, number: int) -> None:
        if number == position:
            raise Crash

    return crash


def test_an_answer_that_changes_while_it_is_counted_is_counted_as_it_ends() -> None:
    survey = sent()
    answer(survey, 9)
    changed: list[int] = []

    def change_meanwhile(operation: str, number: int) -> None:
        if operation == "TransactWriteItems" and not changed:
            changed.append(number)
            answer(survey, 2)

    with calls(before=change_meanwhile):
        assert run() == {"surveys": 1, "rows": 8}
    assert scores.read_range("practice", TUESDAY, TUESDAY) == {TUESDAY: {"s2": 1}}


def test_two_runs_at_once_count_once() -> None:
    answer(sent(), 9)
    other: list[dict[str, int]] = []

    def run_meanwhile(operation: str, number: int) -> None:
        if operation == "TransactWriteItems" and not other:
            other.append({})
            other.append(run())

    with calls(before=run_meanwhile):
        run()
    assert other[1] == {"surveys": 1, "rows": 8}
    assert scores.read_range("practice", TUESDAY, TUESDAY) == {TUESDAY: {"s9": 1}}


def test_a_survey_that_never_rests_is_left_for_the_next_night(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    survey = sent()
    answer(survey, 9)

    def change_each_time(operation: str, number: int) -> None:
        if operation == "TransactWriteItems":
            SurveyItem(survey).update([SurveyItem.revision.add(1)])

    with calls(before=change_each_time):
        assert run() == {"surveys": 0, "rows": 0}
    assert "SurveysNotCounted" in capsys.readouterr().out
    assert run() == {"surveys": 1, "rows": 8}


def test_a_survey_erased_while_it_is_counted_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    erased, kept = sent(survey_id(0)), sent(survey_id(1))
    answer(erased, 9)
    answer(kept, 9)

    def erase(operation: str, number: int) -> None:
        if operation == "TransactWriteItems":
            SurveyItem(erased).delete()

    with calls(before=erase):
        assert run()["surveys"] == 1
    assert scores.read_range("practice", TUESDAY, TUESDAY) == {TUESDAY: {"s9": 1}}


def test_many_surveys_share_rows_and_transactions() -> None:
    for number in range(120):
        answer(sent(survey_id(number), therapist_id=f"t{number % 12}"), number % 11)
    with calls() as seen:
        assert run() == {"surveys": 120, "rows": 2 * (3 + 12)}
    assert Counter(seen) == {"Query": 1, "BatchGetItem": 2, "TransactWriteItems": 2}
    (day,) = scores.read_range("practice", TUESDAY, TUESDAY).values()
    assert sum(histogram(day)) == 120


def test_the_calls_of_a_night_follow_what_changed_not_the_history() -> None:
    def night(first: int) -> Counter[str]:
        for number in range(first, first + 5):
            answer(sent(survey_id(number)), 9)
        with calls() as seen:
            assert run()["surveys"] == 5
        return Counter(seen)

    fresh = night(0)
    for number in range(100, 160):
        sent(survey_id(number))
    run()
    assert night(1000) == fresh


CLINICS, THERAPISTS = ("north", "south"), ("t1", "t2", "")
Step = tuple[Any, ...]
numbers = st.integers(0, 2)
moments = st.integers(0, 6 * 24).map(lambda hours: ANSWERED_AT + timedelta(hours=hours))
steps = st.one_of(
    st.tuples(st.just("create"), numbers, st.sampled_from(CLINICS), st.sampled_from(THERAPISTS)),
    st.tuples(st.just("sent"), numbers),
    st.tuples(st.just("unsent"), numbers, st.sampled_from(["expired", "no_address", "on_hold", "withdrawn"])),
    st.tuples(st.just("answer"), numbers, st.integers(0, 10), st.sampled_from(["", "Good"]), moments),
    st.tuples(st.just("run")),
    st.tuples(st.just("crash"), st.integers(1, 4), st.booleans()),
    st.tuples(st.just("interrupted"), st.integers(2, 3), numbers, st.integers(0, 10)),
)


class Practice:
    """What ought to be counted, kept as plain facts; and the same things done to the tables."""

    def __init__(self) -> None:
        self.known: dict[int, dict[str, Any]] = {}

    def take(self, step: Step) -> None:
        kind, *values = step
        getattr(self, f"_{kind}")(*values)

    def _create(self, number: int, clinic: str, therapist: str) -> None:
        if number not in self.known:
            self.known[number] = {"clinic": clinic, "therapist": therapist, "stage": 0, "answer": None}
            surveys.create(a_survey(survey_id(number), clinic_id=clinic, therapist_id=therapist))
            open_link(survey_id(number))

    def _sent(self, number: int) -> None:
        if number in self.known:
            surveys.mark_sent(survey_id(number), MONDAY_NOON)
            self.known[number]["stage"] = 4

    def _unsent(self, number: int, reason: str) -> None:
        if number in self.known and self.known[number]["stage"] < 4:
            surveys.mark_unsent(survey_id(number), reason)
            self.known[number]["stage"] = {"expired": 3, "no_address": 1, "on_hold": 2, "withdrawn": 0}[reason]

    def _answer(self, number: int, score: int, comment: str, at: datetime) -> None:
        if number in self.known:
            outcome = answer(survey_id(number), score, comment, at)
            if outcome.name == "RECORDED":
                earlier = self.known[number]["answer"]
                kept = earlier[1] if earlier else ""  # no comment leaves the earlier one in force
                self.known[number]["answer"] = (score, comment or kept, at)

    def _run(self) -> None:
        run()

    def _crash(self, position: int, is_after: bool) -> None:
        crash = crash_at(position)
        with calls(**{"after" if is_after else "before": crash}), suppress(Crash):
            run()

    def _interrupted(self, position: int, number: int, score: int) -> None:
        def answer_meanwhile(operation: str, at: int) -> None:
            if at == position:
                self._answer(number, score, "", ANSWERED_AT)

        with calls(before=answer_meanwhile):
            run()

    def recount(self) -> dict[tuple[str, str], dict[str, int]]:
        """Everything counted from the start, without the code under test."""
        table: dict[tuple[str, str], dict[str, int]] = {}
        for facts in self.known.values():
            given = facts["answer"]
            stage = (6 if given[1] else 5) if given else facts["stage"]
            scopes = ["practice", f"clinic#{facts['clinic']}", "touchpoint#evaluation"]
            scopes += [f"therapist#{facts['therapist']}"] if facts["therapist"] else []
            for scope in scopes:
                fields = [("2026-03-02", name) for name in FUNNEL[:stage]]
                fields += [(given[2].astimezone(NEW_YORK).date().isoformat(), f"s{given[0]}")] if given else []
                for day, field in fields:
                    row = table.setdefault((scope, day), {})
                    row[field] = row.get(field, 0) + 1
        return table


@pytest.fixture
def empty() -> Callable[[], None]:
    client = boto3.client("dynamodb")

    def clear() -> None:
        for table, keys in (("Surveys", ("survey_id",)), ("Scores", ("scope", "day"))):
            for item in client.scan(TableName=table)["Items"]:
                client.delete_item(TableName=table, Key={key: item[key] for key in keys})

    return clear


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, min_size=8, max_size=30))
def test_the_counts_equal_a_full_recount_whatever_happened(empty: Callable[[], None], taken: list[Step]) -> None:
    empty()
    practice = Practice()
    for step in taken:
        practice.take(step)
    run()
    assert rows() == practice.recount()
    assert run() == {"surveys": 0, "rows": 0}


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("position", range(1, 7))
def test_a_crash_at_any_call_loses_nothing_and_counts_nothing_twice(position: int, is_after: bool) -> None:
    practice = Practice()
    for number in range(6):
        practice.take(("create", number, CLINICS[number % 2], "t1"))
        practice.take(("sent", number))
        practice.take(("answer", number, number + 4, "", ANSWERED_AT))
    practice.take(("run",))
    practice.take(("answer", 1, 10, "Good", ANSWERED_AT + timedelta(days=1)))
    practice.take(("crash", position, is_after))
    practice.take(("answer", 2, 0, "Bad", ANSWERED_AT + timedelta(days=1)))
    run()
    assert rows() == practice.recount()
    assert stored(survey_id(2)).counted

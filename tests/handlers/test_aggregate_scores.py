"""aggregate_scores: the counts equal a full recount, whatever happened on the way."""

import json
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from zoneinfo import ZoneInfo

import boto3
import pytest
from botocore.client import BaseClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from functions.aggregate_scores import counting
from functions.aggregate_scores.handler import handler
from shared.domain.aggregate import FUNNEL, histogram
from shared.domain.patient import Language
from shared.domain.score import nps
from shared.observability import HandlerFailed
from shared.storage import comments, directory, scores, surveys, visits
from shared.storage.comments import Listed
from shared.storage.models import SurveyItem
from tests.builders import MONDAY_NOON, a_survey, a_visit
from tests.fakes import FakeContext
from tests.handlers.answering import ANSWERED_AT, answer, open_link, sent, stored, survey_id

pytestmark = pytest.mark.usefixtures("aws")
NIGHT = {"time": "2026-03-05T08:15:00Z"}
TUESDAY = "2026-03-03"
NEW_YORK = ZoneInfo("America/New_York")


def run() -> dict[str, int]:
    counted: dict[str, int] = handler(NIGHT, None)
    return counted


def rows() -> dict[tuple[str, str], dict[str, int]]:
    """Every row of the table, by day and by month; counts of nothing left out."""
    found = {}
    for item in boto3.client("dynamodb").scan(TableName="Scores")["Items"]:
        counts = {field: int(value["N"]) for field, value in item.items() if "N" in value and value["N"] != "0"}
        if counts:
            found[item["scope"]["S"], item["day"]["S"]] = counts
    return found


def listed(*clinics: str) -> dict[str, Listed]:
    """The list of comments, by survey."""
    return {entry.survey_id: entry for clinic in clinics for entry in comments.newest(clinic, "0", "9")}


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
    days = {"practice", "clinic#south", "therapist#t2", "touchpoint#evaluation"}
    assert {scope for scope, _ in rows()} == {*days, "month#practice", "month#clinic#south"}


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
    # Twelve therapists are noted once; the three queries are of the directory, the changed and the patient.
    assert Counter(seen) - Counter(UpdateItem=14) == {
        "GetItem": 1,
        "Scan": 1,  # the first night looks for what a release before has counted
        "Query": 3 + 12,
        "BatchGetItem": 2,
        "TransactWriteItems": 2,
    }
    (day,) = scores.read_range("practice", TUESDAY, TUESDAY).values()
    assert sum(histogram(day)) == 120


def test_what_a_release_before_has_counted_is_looked_at_again_for_once() -> None:
    answer(sent(), 9, "Kind people")
    sent(survey_id(2), patient_id="p2")
    run()
    right = rows()
    as_the_release_before_left_it()
    assert rows() != right
    assert run() == {"surveys": 2, "rows": 4}
    assert rows() == right
    with calls() as seen:
        assert run() == {"surveys": 0, "rows": 0}
    assert "Scan" not in seen


def as_the_release_before_left_it() -> None:
    """Without the stage `delivered` in rows and memories, whose stages had their names written out."""
    client = boto3.client("dynamodb")
    for item in client.scan(TableName="Surveys")["Items"]:
        facts = json.loads(item["counted"]["S"])
        stages = {"e": "eligible", "a": "has_address", "n": "not_held", "s": "sent", "r": "answered", "c": "commented"}
        facts["funnel"] = [stages[letter] for letter in facts["funnel"] if letter in stages]
        client.put_item(TableName="Surveys", Item={**item, "counted": {"S": json.dumps(facts)}})
    for item in client.scan(TableName="Scores")["Items"]:
        counts = {name: value for name, value in item.items() if "delivered" not in name and name != "counts"}
        client.put_item(TableName="Scores", Item=counts)


def test_a_night_without_time_for_all_goes_on_in_further_invocations_and_counts_each_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "BATCH", 4)
    for number in range(10):
        answer(sent(survey_id(number), patient_id=f"p{number}"), 9)
    asked, counted = [NIGHT], list[int]()
    while asked:
        assert directory.read().counted_at is None, "the figures are not complete yet"
        counted.append(handler(asked.pop(), FakeContext(seconds_left=59), again=asked.append)["surveys"])
    assert counted == [4, 4, 2]
    assert scores.read_range("practice", TUESDAY, TUESDAY) == {TUESDAY: {"s9": 10}}
    assert directory.read().counted_at == datetime(2026, 3, 5, 8, 15, tzinfo=UTC)


def test_a_night_that_gets_nothing_done_fails_rather_than_going_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "BATCH", 1)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setattr(scores, "add", lambda changes, counted: False)
    for number in range(2):
        answer(sent(survey_id(number), patient_id=f"p{number}"), 9)
    asked: list[dict[str, Any]] = []
    with pytest.raises(HandlerFailed, match="NoProgress"):
        handler(NIGHT, FakeContext(seconds_left=59), again=asked.append)
    assert not asked


def test_the_calls_of_a_night_follow_what_changed_not_the_history() -> None:
    def night(first: int) -> Counter[str]:
        for number in range(first, first + 5):
            answer(sent(survey_id(number), patient_id=f"p{number}"), 9)
        with calls() as seen:
            assert run()["surveys"] == 5
        return Counter(seen)

    night(2000)  # clinic and therapist are known from now on
    fresh = night(0)
    for number in range(100, 160):
        sent(survey_id(number))
    run()
    assert night(1000) == fresh


CLINICS, THERAPISTS, PATIENTS = ("north", "south"), ("t1", "t2", ""), ("p1", "p2")
COMMENTS = ("", "Good", "The bill, the bill", "I fell while waiting")
THEMES = {"The bill, the bill": ["billing"], "I fell while waiting": ["waiting"]}
Step = tuple[Any, ...]
numbers = st.integers(0, 3)
moments = st.sampled_from([-40 * 24, -10 * 24, 0, 1, 30, 120, 28 * 24, 29 * 24]).map(
    lambda hours: ANSWERED_AT + timedelta(hours=hours)
)
steps = st.one_of(
    st.tuples(
        st.just("create"),
        numbers,
        st.sampled_from(CLINICS),
        st.sampled_from(THERAPISTS),
        st.sampled_from(PATIENTS),
        st.sampled_from(["en", "es"]),
    ),
    st.tuples(st.just("sent"), numbers),
    st.tuples(st.just("delivered"), numbers),
    st.tuples(st.just("unsent"), numbers, st.sampled_from(["expired", "no_address", "on_hold", "withdrawn"])),
    st.tuples(st.just("answer"), numbers, st.integers(0, 10), st.sampled_from(COMMENTS), moments),
    st.tuples(st.just("invited"), numbers),
    st.tuples(st.just("merged")),
    st.tuples(st.just("run")),
    st.tuples(st.just("crash"), st.integers(1, 9), st.booleans()),
    st.tuples(st.just("interrupted"), st.integers(2, 6), numbers, st.integers(0, 10)),
)


class Practice:
    """What ought to be counted, kept as plain facts; and the same things done to the tables."""

    def __init__(self) -> None:
        self.known: dict[int, dict[str, Any]] = {}

    def take(self, step: Step) -> None:
        kind, *values = step
        getattr(self, f"_{kind}")(*values)

    def _create(
        self, number: int, clinic: str, therapist: str, patient: str = "p1", language: Language = Language.ENGLISH
    ) -> None:
        if number not in self.known:
            self.known[number] = {
                "clinic": clinic,
                "therapist": therapist,
                "patient": patient,
                "language": str(language),
                "invited": False,
                "stage": 0,
                "answer": None,
            }
            surveys.create(
                a_survey(
                    survey_id(number),
                    clinic_id=clinic,
                    therapist_id=therapist,
                    patient_id=patient,
                    language=Language(language),
                    occurred_at=MONDAY_NOON - timedelta(days=60),  # before every answer
                )
            )
            open_link(survey_id(number))

    def _sent(self, number: int) -> None:
        if number in self.known:
            surveys.mark_sent(survey_id(number), MONDAY_NOON)
            self.known[number]["stage"] = max(4, self.known[number]["stage"])

    def _delivered(self, number: int) -> None:
        if number in self.known and self.known[number]["stage"] >= 4:
            surveys.mark_delivered(survey_id(number), MONDAY_NOON)
            self.known[number]["stage"] = 5

    def _unsent(self, number: int, reason: str) -> None:
        if number in self.known and self.known[number]["stage"] < 4:
            surveys.mark_unsent(survey_id(number), reason)
            self.known[number]["stage"] = {"expired": 3, "no_address": 1, "on_hold": 2, "withdrawn": 0}[reason]

    def _answer(self, number: int, score: int, comment: str, at: datetime) -> None:
        if number in self.known:
            open_link(survey_id(number))
            outcome = answer(survey_id(number), score, comment, at)
            if outcome.name == "RECORDED":
                earlier = self.known[number]["answer"]
                kept = earlier[1] if earlier else ""  # no comment leaves the earlier one in force
                self.known[number]["answer"] = (score, comment or kept, at)

    def _invited(self, number: int) -> None:
        if number in self.known:
            surveys.mark_invited(survey_id(number), ANSWERED_AT)
            self.known[number]["invited"] = True

    def _merged(self) -> None:
        """The second patient turns out to be the first."""
        for number, facts in self.known.items():
            surveys.give_to(stored(survey_id(number)), "p1")
            facts["patient"] = "p1"

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
        for number, facts in self.known.items():
            given = facts["answer"]
            stage = (7 if given[1] else 6) if given else facts["stage"]
            scopes = ["practice", f"clinic#{facts['clinic']}", "touchpoint#evaluation"]
            scopes += [f"therapist#{facts['therapist']}"] if facts["therapist"] else []
            day = day_of(given) if given else ""
            counts = [(scope, "2026-03-02", name) for name in FUNNEL[:stage] for scope in scopes]
            counts += [(scope, day, f"s{given[0]}") for scope in scopes if given]
            for scope in scopes[:2]:
                kind = f"evaluation|{facts['language']}|"
                counts += [(f"month#{scope}", "2026-03", kind + name) for name in FUNNEL[:stage]]
                if given:
                    counts += [(f"month#{scope}", day[:7], kind + name) for name in self._remarks(number)]
            if given:
                counts += self._latest(number)
                if facts["therapist"]:
                    counts.append((f"month#{scopes[1]}", day[:7], f"@{facts['therapist']}|s{given[0]}"))
            for scope, row_day, field in counts:
                row = table.setdefault((scope, row_day), {})
                row[field] = row.get(field, 0) + 1
        return table

    def _remarks(self, number: int) -> list[str]:
        score, comment, _ = self.known[number]["answer"]
        group = "promoter" if score > 8 else "passive" if score > 6 else "detractor"
        found = [f"s{score}", *(f"theme|{theme}|{group}" for theme in THEMES.get(comment, ()))]
        found += [f"comment|{group}"] if comment else []
        found += ["safety"] if "fell" in comment else []
        return found + ([f"review|{group}"] if self.known[number]["invited"] else [])

    def _latest(self, number: int) -> list[tuple[str, str, str]]:
        mine, counts = self.known[number], []
        month = day_of(mine["answer"])[:7]
        rivals = [
            (other["answer"][2], survey_id(name), other)
            for name, other in self.known.items()
            if other["answer"] and other["patient"] == mine["patient"]
        ]
        spans = {
            "u": [rival for rival in rivals if (day_of(rival[2]["answer"]) < "2026-04") == (month < "2026-04")],
            "m": [rival for rival in rivals if day_of(rival[2]["answer"])[:7] == month],
        }
        kind = f"evaluation|{mine['language']}|"
        places: list[tuple[tuple[str, ...], str, str]] = [
            (("patient",), "month#practice", kind),
            (("clinic",), f"month#clinic#{mine['clinic']}", kind),
        ]
        if mine["therapist"]:
            places.append((("clinic", "therapist"), f"month#clinic#{mine['clinic']}", f"@{mine['therapist']}|"))
        for (alike, scope, prefix), mark in product(places, spans):
            there = [rival[:2] for rival in spans[mark] if all(rival[2][name] == mine[name] for name in alike)]
            if max(there) == (mine["answer"][2], survey_id(number)):
                counts.append((scope, month, f"{prefix}{mark}{mine['answer'][0]}"))
        return counts

    def comments(self) -> dict[str, tuple[str, str, int, str]]:
        """The entries that the list of comments must have: moment, clinic, score and language."""
        return {
            survey_id(number): (f"{given[2]:%Y-%m-%dT%H:%M:%SZ}", facts["clinic"], given[0], facts["language"])
            for number, facts in self.known.items()
            if (given := facts["answer"]) and given[1]
        }


def day_of(given: tuple[int, str, datetime]) -> str:
    return given[2].astimezone(NEW_YORK).date().isoformat()


@pytest.fixture
def empty() -> Callable[[], None]:
    client = boto3.client("dynamodb")

    def clear() -> None:
        for table, keys in (("Surveys", ("survey_id",)), ("Scores", ("scope", "day"))):
            for item in client.scan(TableName=table)["Items"]:
                client.delete_item(TableName=table, Key={key: item[key] for key in keys})

    return clear


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(
    [  # one quarter, two months; counted in between
        ("create", 0, "north", "t1", "p1", "en"),
        ("create", 1, "north", "t1", "p1", "en"),
        ("answer", 0, 3, "", ANSWERED_AT - timedelta(days=10)),
        ("run",),
        ("answer", 1, 9, "", ANSWERED_AT),
    ]
)
@given(st.lists(steps, min_size=8, max_size=30))
def test_the_counts_equal_a_full_recount_whatever_happened(empty: Callable[[], None], taken: list[Step]) -> None:
    empty()
    practice = Practice()
    for step in taken:
        practice.take(step)
    run()
    assert rows() == practice.recount()
    found = listed(*CLINICS)
    assert {
        survey: (entry.key.split("#")[0], entry.clinic_id, entry.score, entry.language)
        for survey, entry in found.items()
    } == practice.comments()
    assert run() == {"surveys": 0, "rows": 0}


@pytest.mark.parametrize("is_after", [False, True])
@pytest.mark.parametrize("position", range(1, 9))
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


def test_the_comment_is_listed_with_what_it_is_about() -> None:
    answer(sent(), 4, "I fell, and the bill is wrong")
    run()
    assert listed("north")["a" * 26] == Listed(
        f"2026-03-03T15:00:00Z#{'a' * 26}", "north", 4, "evaluation", "en", "t1", ("billing",), ("fall",)
    )


def test_a_changed_comment_is_listed_once_where_it_now_belongs() -> None:
    survey = sent()
    answer(survey, 9, "Good")
    run()
    answer(survey, 2, "Bad", ANSWERED_AT + timedelta(hours=1))
    run()
    (entry,) = listed("north").values()
    assert (entry.key[:20], entry.score) == ("2026-03-03T16:00:00Z", 2)


def test_comments_are_read_newest_first_and_from_where_a_page_ended() -> None:
    for number in range(5):
        answer(sent(survey_id(number)), 9, "Good", ANSWERED_AT + timedelta(minutes=number))
    run()
    newest = [entry.survey_id for entry in comments.newest("north", "0", "9")]
    assert newest == [survey_id(number) for number in (4, 3, 2, 1, 0)]
    last = list(comments.newest("north", "0", "9"))[1]
    assert [entry.survey_id for entry in comments.newest("north", "0", last.key)] == newest[2:]
    assert [entry.survey_id for entry in comments.newest("north", "2026-03-03T15:03", "9")] == newest[:2]


def test_a_later_answer_of_the_quarter_takes_the_earlier_ones_place_at_once() -> None:
    answer(sent(survey_id(0)), 3)
    run()
    answer(sent(survey_id(1), therapist_id="t2"), 9, at=ANSWERED_AT + timedelta(days=2))
    assert run()["surveys"] == 1
    (month,) = scores.read_months("clinic#north", "2026-03", "2026-03").values()
    assert {name: number for name, number in month.items() if "|u" in name} == {
        "evaluation|en|u9": 1,
        "@t1|u3": 1,
        "@t2|u9": 1,
    }
    assert stored(survey_id(0)).counted


def test_a_memory_without_the_months_mark_gains_it_with_the_next_answer_of_the_patient() -> None:
    answer(sent(survey_id(0)), 3)
    run()
    memory = dict(SurveyItem.get(survey_id(0)).counted)
    del memory["latest_in_month"]
    SurveyItem(survey_id(0)).update([SurveyItem.counted.set(memory)])
    for scope in ("practice", "clinic#north"):
        marks = [name for name in scores.read_months(scope, "2026-03", "2026-03")["2026-03"] if "|m" in name]
        key = {"scope": {"S": f"month#{scope}"}, "day": {"S": "2026-03"}}
        names = {f"#{number}": name for number, name in enumerate(marks)}
        boto3.client("dynamodb").update_item(
            TableName="Scores", Key=key, UpdateExpression=f"REMOVE {', '.join(names)}", ExpressionAttributeNames=names
        )
    answer(sent(survey_id(1)), 9, at=datetime(2026, 2, 2, 17, 0, tzinfo=UTC))
    run()
    months = scores.read_months("clinic#north", "2026-02", "2026-03")
    assert {name: number for name, number in months["2026-03"].items() if name[-2:] in ("u3", "m3")} == {
        "evaluation|en|u3": 1, "evaluation|en|m3": 1, "@t1|u3": 1, "@t1|m3": 1,
    }  # fmt: skip
    assert {name for name in months["2026-02"] if name[-2:] in ("u9", "m9")} == {"evaluation|en|m9", "@t1|m9"}


def test_what_the_first_release_counted_is_taken_back_from_where_it_stands() -> None:
    survey = sent()
    answer(survey, 9, "Good")
    row = {"scope": {"S": "practice"}, "day": {"S": TUESDAY}, "s9": {"N": "1"}}
    boto3.client("dynamodb").put_item(TableName="Scores", Item=row)
    memory = {
        "score": 9,
        "answer_day": TUESDAY,
        "cohort_day": "2026-03-02",
        "funnel": list(FUNNEL),
        "clinic_id": "north",
        "therapist_id": "",
        "touchpoint": "evaluation",
    }
    SurveyItem(survey).update([SurveyItem.counted.set(memory), SurveyItem.uncounted.remove()])
    answer(survey, 3, at=ANSWERED_AT + timedelta(days=1))
    run()
    assert scores.read_range("practice", TUESDAY, "2026-03-04") == {"2026-03-04": {"s3": 1}}
    assert scores.read_months("practice", "2026-03", "2026-03")["2026-03"]["evaluation|en|s3"] == 1


def test_a_row_with_many_different_counts_takes_several_writes_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(counting, "ROW_FIELDS", 60)
    for number in range(30):
        answer(sent(survey_id(number), touchpoint=f"visit:{number}", patient_id=f"p{number}"), number % 11, "The bill")
    with calls() as seen:
        assert run()["surveys"] == 30
    assert Counter(seen)["TransactWriteItems"] > 4
    (month,) = scores.read_months("practice", "2026-03", "2026-03").values()
    assert sum(number for name, number in month.items() if name.endswith("|answered")) == 30


def test_the_largest_write_of_a_row_is_within_what_an_expression_may_hold() -> None:
    fields = {f"evaluation|en|theme|{number}|detractor": 1 for number in range(scores.ROW_FIELDS)}
    written: list[dict[str, Any]] = []
    original = BaseClient._make_api_call
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", lambda client, operation, arguments: written.append(arguments))
        scores.add({("month#practice", "2026-03"): fields}, [])
    assert BaseClient._make_api_call is original
    expression = written[0]["TransactItems"][0]["Update"]["UpdateExpression"]
    # DynamoDB: 4 KB, and 300 operators.
    assert len(expression) <= 4096
    assert expression.count(":") <= 300


def test_clinics_and_therapists_are_known_by_name_as_soon_as_they_are_counted() -> None:
    visits.put(a_visit(therapist_name="Grace Lee"), None)
    answer(sent(), 9)
    sent(survey_id(1), clinic_id="south", therapist_id="t2", patient_id="p2")
    run()
    known = directory.read()
    assert known.clinics == {"north", "south"}
    assert known.therapists == {"t1": "Grace Lee", "t2": "t2"}
    assert known.clinics_of == {"t1": {"north"}, "t2": {"south"}}
    assert known.counted_at == datetime(2026, 3, 5, 8, 15, tzinfo=UTC)

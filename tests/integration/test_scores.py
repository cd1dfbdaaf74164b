"""The nightly counts equal a recount of the surveys, whatever happened in between."""

import re
from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any

from tests.integration.practice import NEW_YORK, Practice, at, at_once, someone, visit

FUNNEL = ("sent", "delivered", "answered", "commented")


def scopes(survey: dict[str, Any]) -> list[str]:
    named = [("clinic", "clinic_id"), ("therapist", "therapist_id"), ("touchpoint", "touchpoint")]
    return ["practice", *(f"{scope}#{survey[name]}" for scope, name in named if survey.get(name))]


def recount(practice: Practice) -> Counter[tuple[str, str, str]]:
    """Each score by scope and the practice's day of the answer, from the surveys alone."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for survey in practice.items("SurveysTable"):
        if "score" in survey:
            answered = datetime.fromisoformat(survey["answered_at"].replace("Z", "+00:00"))
            day = answered.astimezone(NEW_YORK).date().isoformat()
            counted.update((scope, day, f"s{survey['score']}") for scope in scopes(survey))
    return counted


def stored(practice: Practice) -> Counter[tuple[str, str, str]]:
    """The same from the scores table; counts are whole and never negative."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in practice.items("ScoresTable"):
        for name, value in row.items():
            if re.fullmatch(r"s\d+", name):
                assert value == int(value)
                assert value >= 0
                counted[row["scope"], row["day"], name] += int(value)
    return +counted


def funnel_recount(practice: Practice) -> Counter[tuple[str, str]]:
    """How many surveys of each scope were sent, answered and commented, over all days."""
    counted: Counter[tuple[str, str]] = Counter()
    for survey in practice.items("SurveysTable"):
        reached = {
            "sent": "sent_at" in survey or "score" in survey,
            "delivered": ("sent_at" in survey and "delivered_at" in survey) or "score" in survey,
            "answered": "score" in survey,
            "commented": bool(survey.get("comment")),
        }
        counted.update((scope, stage) for scope in scopes(survey) for stage in FUNNEL if reached[stage])
    return counted


def funnel_stored(practice: Practice) -> Counter[tuple[str, str]]:
    counted: Counter[tuple[str, str]] = Counter()
    for row in practice.items("ScoresTable"):
        counted.update({(row["scope"], stage): int(row.get(stage, 0)) for stage in FUNNEL})
    return +counted


def months_recount(practice: Practice) -> Counter[tuple[str, str, str]]:
    """Each score by clinic, month, touchpoint and language; and the latest answer of each patient and quarter."""
    counted: Counter[tuple[str, str, str]] = Counter()
    latest: dict[tuple[str, str], dict[str, Any]] = {}
    for survey in practice.items("SurveysTable"):
        if "score" in survey:
            answered = datetime.fromisoformat(survey["answered_at"].replace("Z", "+00:00")).astimezone(NEW_YORK)
            month = f"{answered:%Y-%m}"
            kind = f"{survey['touchpoint']}|{survey.get('language', 'en')}|"
            counted[f"clinic#{survey['clinic_id']}", month, f"{kind}s{survey['score']}"] += 1
            place = (survey["patient_id"], f"{answered.year}-{(answered.month - 1) // 3}")
            rival = latest.get(place, {"key": ("", "")})
            if (key := (survey["answered_at"], survey["survey_id"])) > rival["key"]:
                latest[place] = {"key": key, "count": ("practice", month, f"{kind}u{survey['score']}")}
    counted.update(one["count"] for one in latest.values())
    return counted


def months_stored(practice: Practice) -> Counter[tuple[str, str, str]]:
    counted: Counter[tuple[str, str, str]] = Counter()
    for row in practice.items("ScoresTable"):
        scope = row["scope"].removeprefix("month#")
        wanted = r"[^@]+\|u\d+" if scope == "practice" else r"[^@]+\|s\d+"
        if scope != row["scope"]:
            counted.update({(scope, row["day"], name): int(row[name]) for name in row if re.fullmatch(wanted, name)})
    return +counted


def assert_counts_are_right(practice: Practice) -> None:
    assert stored(practice) == recount(practice)
    assert funnel_stored(practice) == funnel_recount(practice)
    assert months_stored(practice) == months_recount(practice)


def test_the_counts_equal_a_recount_on_every_night(practice):
    clinic = practice.new_clinic()
    people = [someone(clinic_id=clinic if number % 2 else "main") for number in range(22)]
    mails = practice.asked(*people)
    for number, mail in enumerate(mails[:-2]):
        practice.answer(mail, number % 11, "words" if number % 3 else "")
    practice.count_scores()
    assert_counts_are_right(practice)
    mine = {name: count for (scope, _, name), count in stored(practice).items() if scope == f"clinic#{clinic}"}
    assert sum(mine.values()) == 10

    for mail, score in zip(mails, (9, 3, 3, 10, 0, 5), strict=False):  # changed answers
        practice.answer(mail, score, "changed")
    practice.answer(mails[-2], 8)
    practice.export([], [visit(people[0], at("2026-03-16"), "discharge", therapist_id="T2")])
    practice.send(at("2026-03-16", "16:00"))
    practice.answer([mail for mail in practice.mails(people[0].email) if mail.kind == "survey"][-1], 1, "worse")
    practice.count_scores()
    assert_counts_are_right(practice)


def test_a_night_in_which_nothing_changed_changes_nothing(practice):
    [mail] = practice.asked(someone())
    practice.answer(mail, 6)
    practice.rest()
    practice.count_scores()
    before = everything(practice)
    assert practice.count_scores() == {"surveys": 0, "rows": 0}
    assert everything(practice) == before


def everything(practice: Practice) -> dict[str, list[str]]:
    """Everything in every table, except for the note of when the figures were counted."""
    return {
        name: [item for item in items if '"scope": "directory"' not in item or '"day": "counted"' not in item]
        for name, items in practice.dump().items()
    }


def test_an_answer_that_moves_to_and_fro_is_counted_once(practice):
    [mail] = practice.asked(someone())
    for score in (9, 3, 9, 3):
        practice.answer(mail, score)
        practice.count_scores()
    assert_counts_are_right(practice)


def test_runs_at_the_same_time_and_answers_between_count_once(practice):
    mails = practice.asked(*(someone() for _ in range(12)))
    answers = [partial(practice.answer, mail, score) for score, mail in enumerate(mails[:11])]
    at_once(*answers[:6], practice.count_scores, practice.count_scores, *answers[6:], practice.count_scores)
    practice.count_scores()
    assert_counts_are_right(practice)


def test_answers_given_after_the_runs_own_moment_count_too(practice):
    [mail] = practice.asked(someone())
    practice.answer(mail, 7)
    practice.run("AggregateScoresFunction", at("2026-03-03", "03:15"))
    assert_counts_are_right(practice)

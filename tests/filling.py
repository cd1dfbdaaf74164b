"""A practice's past, made up from a seed and written straight into the tables as the nightly count would leave it."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import boto3

from shared.domain.aggregate import FUNNEL, Count, contribution, mark_latest
from shared.domain.clock import format_instant
from shared.domain.survey import Counted
from shared.domain.themes import default_lexicon
from shared.storage import comments

CLINICS = ("north", "south", "harbor", "hill", "market", "station")
THERAPISTS = (
    "Grace Lee", "Marcus Bell", "Ana Ruiz", "Tom Okafor", "Priya Nair", "Dana Fox", "Luis Vega", "Kim Park",
    "Eve Stone", "Omar Haddad", "Jo Lindqvist", "Sam Reyes", "Nora Quinn", "Ivan Petrov", "Maya Cohen", "Ben Adeyemi",
    "Lucia Mora", "Will Hart",
)  # fmt: skip
SAID = {
    "promoter": (
        "", "", "", "Kind people, and my knee is so much better.",
        "She explained every exercise. I can lift my son again.", "Siempre me escuchan. Ya no tengo dolor.",
        "Best therapist I ever had!", "Never had to wait. Clean and friendly.",
        "Excellent, though the parking is a puzzle.",
    ),
    "passive": (
        "", "", "Good care, but it is hard to get an appointment after work.", "Fine. I would have liked more time.",
        "El trato es bueno, pero la espera es larga.",
    ),
    "detractor": (
        "I waited 40 minutes twice and nobody told me why.", "",
        "The bill was wrong again and the front desk was rude.",
        "I fell off the balance board and nobody was near.", "A different therapist every time. My pain is worse.",
        "Cancelaron mi cita sin avisar.",
    ),
}  # fmt: skip
NEW_PATIENT = 0.62  # of answers; the others come from somebody who has answered before


def facts(answers: int, until: date, days: int, seed: int) -> Iterator[tuple[str, str, Counted, str]]:
    """Survey id, patient, what is counted, and the comment, of so many answers; three surveys were sent for each."""
    dice, lexicon = Random(seed), default_lexicon()
    for number in range(answers * 3):
        clinic = dice.choices(range(6), (6, 5, 4, 3, 2, 1))[0]
        therapist = 3 * clinic + dice.choices(range(3), (5, 4, 2))[0]
        touchpoint = dice.choices(("evaluation", "visit:6", "discharge"), (5, 4, 2))[0]
        language = "es" if dice.random() < 0.18 else "en"
        sent = until - timedelta(days=int(days * dice.random()) + 1)
        row: dict[str, Any] = {
            "score": None, "answer_day": "", "cohort_day": sent.isoformat(), "touchpoint": touchpoint,
            "funnel": FUNNEL[: dice.choice((2, 4, 5, 5, 5))], "language": language,
            "clinic_id": CLINICS[clinic], "therapist_id": f"t{therapist}",
        }  # fmt: skip
        said = ""
        if number % 3 == 0:
            at = datetime(sent.year, sent.month, sent.day, 14, tzinfo=UTC) + timedelta(minutes=dice.randrange(4000))
            better = 0.03 * (5 - clinic) + (0.05 if (until - sent).days < 60 else 0.0)
            kind = dice.choices(("promoter", "passive", "detractor"), (0.8 + better, 0.13, 0.09 - better / 3))[0]
            score = {"promoter": (10, 10, 9), "passive": (8, 7), "detractor": (6, 5, 3, 1)}[kind]
            said = dice.choice(SAID[kind])
            found = lexicon.find(said)
            row |= {
                "score": dice.choice(score), "answer_day": at.date().isoformat(), "funnel": FUNNEL[: 7 if said else 6],
                "answered_at": format_instant(at), "themes": found.themes, "concerns": found.concerns,
                "is_quick": dice.random() < 0.01, "is_invited": kind == "promoter" and dice.random() < 0.6,
            }  # fmt: skip
        patient = f"p{number if dice.random() < NEW_PATIENT else dice.randrange(number + 1)}"
        yield f"{number:026d}".translate(str.maketrans("0189", "abcd")), patient, Counted(**row), said


def fill(answers: int, until: date, *, days: int = 800, seed: int = 11, words: int = 2000) -> None:
    """Write rows, directory and list of comments, and the surveys of the newest comments so that they can be read."""
    made = list(facts(answers, until, days, seed))
    patients: dict[str, dict[str, Counted | None]] = {}
    for survey, patient, counted, _ in made:
        patients.setdefault(patient, {})[survey] = counted
    marked = {survey: found for theirs in patients.values() for survey, found in mark_latest(theirs).items()}
    counts = Counter[Count]()
    for found in marked.values():
        counts.update(contribution(found))
    rows: dict[tuple[str, str], dict[str, int]] = {}
    for (scope, day, name), number in counts.items():
        rows.setdefault((scope, day), {})[name] = number
    items: list[dict[str, Any]] = [
        {"scope": {"S": scope}, "day": {"S": day}, **{name: {"N": str(number)} for name, number in names.items()}}
        for (scope, day), names in rows.items()
    ]
    items += [part["Put"]["Item"] for s, c in marked.items() for part in comments.listing(s, None, c)]
    items += [{"scope": {"S": "directory"}, "day": {"S": f"clinic#{clinic}"}} for clinic in CLINICS]
    items += [
        {
            "scope": {"S": "directory"}, "day": {"S": f"therapist#t{number}"}, "name": {"S": name},
            "clinics": {"SS": [CLINICS[number // 3]]},
        }
        for number, name in enumerate(THERAPISTS)
    ]  # fmt: skip
    at = datetime(until.year, until.month, until.day, 8, 15, tzinfo=UTC)
    items.append({"scope": {"S": "directory"}, "day": {"S": "counted"}, "at": {"S": format_instant(at)}})
    _write("Scores", items)
    said = [one for one in made if one[3]]
    said.sort(key=lambda one: one[2].answered_at, reverse=True)
    _write(
        "Surveys", [_survey(survey, patient, marked[survey] or c, text) for survey, patient, c, text in said[:words]]
    )


def _survey(survey: str, patient: str, counted: Counted, said: str) -> dict[str, Any]:
    answer = {"score": {"N": str(counted.score)}, "comment": {"S": said}, "at": {"S": counted.answered_at}}
    score = counted.score or 0
    memory = {name: getattr(counted, name) for name in Counted.__slots__}
    texts: dict[str, str] = {
        "survey_id": survey, "patient_id": patient, "case_id": "c", "episode": "case:c", "visit_id": "v",
        "clinic_id": counted.clinic_id, "therapist_id": counted.therapist_id, "touchpoint": counted.touchpoint,
        "language": counted.language, "occurred_at": counted.answered_at, "due_at": counted.answered_at,
        "sent_at": counted.answered_at, "answered_at": counted.answered_at, "first_answered_at": counted.answered_at,
        "comment": said, "category": "promoter" if score > 8 else "passive" if score > 6 else "detractor",
        "counted": json.dumps(memory),
    }  # fmt: skip
    return {
        **{name: {"S": text} for name, text in texts.items()},
        "score": {"N": str(score)}, "version": {"N": "1"}, "revision": {"N": "2"}, "answers": {"L": [{"M": answer}]},
    }  # fmt: skip


def _write(table: str, items: list[dict[str, Any]]) -> None:
    client = boto3.client("dynamodb")
    for start in range(0, len(items), 25):
        puts = [{"PutRequest": {"Item": item}} for item in items[start : start + 25]]
        client.batch_write_item(RequestItems={table: puts})

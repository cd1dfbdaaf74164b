"""The demo's sample practice: made up, the same each time, and in every state whatever the day and hour."""

import io
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from functions.import_visits.readers import recognise
from functions.import_visits.records import ClinicRecord, Context, PatientRecord, Record, Row, VisitRecord
from local.sample_answers import an_answer
from local.sample_practice import CLINICS, DELAY, REMINDER, SamplePractice, State, generate, past_runs
from shared.domain.clock import parse_instant
from shared.domain.episode import Episode, episodes
from shared.domain.patient import Language
from shared.domain.score import nps
from shared.domain.touchpoint import Touchpoint, derive, parse_touchpoints

NOW = parse_instant("2026-03-11T15:20:00Z")  # three days after the clocks went forward
ZONES = {clinic.clinic_id: clinic.zone for clinic in CLINICS}
RULES = parse_touchpoints("evaluation,visit:6,discharge")
A_WEEK = [parse_instant("2026-11-01T04:00:00Z") + timedelta(hours=hours) for hours in range(0, 168, 5)]


def zone_of(clinic_id: str) -> ZoneInfo:
    return ZONES.get(clinic_id, ZoneInfo("America/New_York"))


@pytest.fixture(scope="module")
def sample() -> SamplePractice:
    return generate(NOW)


def read(text: str) -> list[Record]:
    rows = recognise(io.BytesIO(text.encode()), Context(zone_of)).rows
    return [record for row in rows if isinstance(row, Row) for record in row.records]


def courses(sample: SamplePractice) -> dict[str, list[Episode]]:
    """Each patient's episodes, as the intake would find them."""
    visits: dict[str, list] = {patient.patient_id: [] for patient in sample.patients}
    for record in read(sample.visits_csv):
        assert isinstance(record, VisitRecord)
        visits[record.visit.patient_id].append(record.visit)
    return {patient_id: episodes(found, zone_of) for patient_id, found in visits.items()}


def touchpoints(sample: SamplePractice) -> dict[str, list[Touchpoint]]:
    return {patient_id: derive(found, RULES, DELAY) for patient_id, found in courses(sample).items()}


def test_the_same_moment_and_seed_give_the_same_practice(sample):
    assert generate(NOW) == sample
    assert generate(NOW, seed=7) != sample
    assert generate(NOW + timedelta(days=1)) != sample


def test_the_intake_reads_every_row(sample):
    for text, kind in (
        (sample.clinics_csv, ClinicRecord),
        (sample.patients_csv, PatientRecord),
        (sample.changes_csv, PatientRecord),
        (sample.visits_csv, VisitRecord),
    ):
        records = read(text)
        assert records
        assert {type(record) for record in records} == {kind}


def test_its_size_is_that_of_a_practice_with_three_clinics(sample):
    assert len(sample.patients) == 400
    assert 2_500 < len(sample.visits) < 3_500
    assert len({visit.therapist_id for visit in sample.visits}) == 12
    assert len(CLINICS) == 3
    assert len(set(ZONES.values())) == 2
    asked = sum(len(found) for found in touchpoints(sample).values())
    assert 650 < asked < 950


def test_every_patient_is_in_the_state_it_is_listed_under(sample):
    found = courses(sample)
    assert set(sample.states.values()) == set(State)
    for patient_id, state in sample.states.items():
        course = found[patient_id]
        days = [len(episode.days) for episode in course]
        discharged = [episode.discharge is not None for episode in course]
        idle = NOW - course[-1].last_visit.started_at if course else timedelta()
        assert {
            State.SCHEDULED: course == [],
            State.EVALUATED: days == [1],
            State.IN_TREATMENT: len(days) == 1 and 2 <= days[0] <= 5 and not any(discharged),
            State.SIXTH_VISIT: len(days) == 1 and days[0] >= 6 and not any(discharged),
            State.DISCHARGED: discharged == [True],
            State.LAPSED: discharged == [False] and idle > timedelta(days=30),
            State.REOPENED: sorted(discharged) == [False, True],
        }[state], (patient_id, state, days, discharged, idle)


def test_everything_that_makes_a_practice_difficult_is_in_it(sample):
    statuses = Counter(visit.status for visit in sample.visits)
    assert statuses["no_show"] > 20
    assert statuses["cancelled"] > 40
    assert statuses["scheduled"] > 100
    people = {patient.patient_id: patient for patient in sample.patients}
    assert 40 < sum(patient.language == "Spanish" for patient in sample.patients) < 100
    assert sum(not patient.email for patient in sample.patients) > 10
    assert any(patient.email_opt_out for patient in sample.patients)
    assert sample.held
    gone = Counter((patient.status, patient.email_opt_out) for patient in sample.changes)
    assert gone["archived", ""] > 10
    assert gone["deceased", ""] > 0
    assert gone["active", "yes"] > 0
    assert len(sample.couples) > 10
    for one, other in sample.couples:
        assert people[one].email == people[other].email != ""


def test_nobody_can_be_reached_by_mail_or_telephone(sample):
    for patient in sample.patients:
        assert patient.email == "" or patient.email.endswith("@mail.example")
        assert " 555-01" in patient.phone


def test_no_visit_has_taken_place_in_the_future(sample):
    ends = [episode.last_visit.ended_at for found in courses(sample).values() for episode in found]
    assert all(end is not None and end <= NOW for end in ends)


@pytest.mark.parametrize("now", A_WEEK, ids=lambda now: f"{now:%a-%H}")
def test_surveys_and_reminders_are_due_whatever_the_day_and_hour(now: datetime):
    sample = generate(now, patients=100)
    runs = past_runs(now)
    asked = touchpoints(sample)
    due = [point for points in asked.values() for point in points if runs[-1] < point.due_at <= now]
    assert len(due) >= 3
    reminded = [run for run in runs if runs[-1] < run + REMINDER <= now]
    before = runs[runs.index(reminded[0]) - 1]
    assert len(sample.silent) == 3
    for patient_id in sample.silent:
        assert any(before < point.due_at <= reminded[-1] for point in asked[patient_id])


def test_runs_are_in_the_past_and_cover_ninety_days():
    runs = past_runs(NOW)
    assert runs == sorted(runs)
    assert len(runs) in range(265, 272)
    assert NOW - timedelta(hours=34) < runs[-1] < NOW - timedelta(hours=16)
    assert all(run.tzinfo is UTC for run in runs)


def test_answers_are_those_of_good_clinics_that_differ():
    chance = random.Random(1)
    scores = {}
    for clinic in CLINICS:
        histogram = Counter(an_answer(chance, clinic.happiness, Language.ENGLISH)[0] for _ in range(5_000))
        scores[clinic.clinic_id] = nps([histogram[score] for score in range(11)]) or 0
    assert scores["old-mill"] > scores["harbor"] > scores["prairie"]
    assert all(score in range(60, 81) for score in scores.values())


def test_spanish_speakers_comment_in_spanish():
    chance = random.Random(1)
    english = {an_answer(chance, (0.6, 0.2), Language.ENGLISH)[1] for _ in range(500)} - {""}
    spanish = {an_answer(chance, (0.6, 0.2), Language.SPANISH)[1] for _ in range(500)} - {""}
    assert len(english) > 15
    assert len(spanish) > 8
    assert not english & spanish

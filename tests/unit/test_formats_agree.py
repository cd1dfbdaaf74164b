"""The same practice, whatever EMR wrote it down: the same people are asked about the same moments."""

import io
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.import_visits.merge import newest
from functions.import_visits.readers import recognise
from functions.import_visits.records import (
    CaseRecord,
    Context,
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.episode import Case, Visit, episodes
from shared.domain.patient import Patient
from shared.domain.survey import Survey
from shared.domain.touchpoint import derive, parse_touchpoints
from tests.histories import FORMATS
from tests.histories.asked import DELAY, Asked, asked, numbered
from tests.histories.history import Practice, practices
from tests.histories.writing import File, Format, counted

RULES = parse_touchpoints("evaluation,visit:2,visit:6,discharge")


def read(file: File, form: Format, practice: Practice) -> list[Row | Refusal]:
    return list(recognise(io.BytesIO(file.content), Context(practice.zone_of, form.rules)).rows)


def records(files: Iterable[File], form: Format, practice: Practice) -> list[Record]:
    rows = [row for file in files for row in read(file, form, practice)]
    assert not [row for row in rows if isinstance(row, Refusal)]
    return [record for row in rows if isinstance(row, Row) for record in row.records]


def found(said: Iterable[Record], practice: Practice) -> set[Asked]:
    """What the domain makes of the records."""
    visits: dict[tuple[str, str], Visit] = {}
    cases: dict[tuple[str, str], Case] = {}
    remaining: dict[str, str] = {}
    for record in said:
        match record:
            case VisitRecord(visit, absent):
                key = visit.patient_id, visit.visit_id
                visits[key] = newest(visits.get(key), visit, absent)
            case CaseRecord(case, absent):
                key = case.patient_id, case.case_id
                cases[key] = newest(cases.get(key), case, absent)
            case MergeRecord(patient_id, retired_id):
                remaining[retired_id] = patient_id
    people: dict[str, list[Visit]] = {}
    for visit in visits.values():
        people.setdefault(remaining.get(visit.patient_id, visit.patient_id), []).append(visit)
    closings: dict[str, list[Case]] = {}
    for case in cases.values():
        closings.setdefault(remaining.get(case.patient_id, case.patient_id), []).append(case)
    return numbered(
        Survey(
            survey_id="",
            patient_id=patient_id,
            case_id=touchpoint.case_id,
            episode=touchpoint.episode,
            visit_id=touchpoint.visit_id,
            clinic_id=touchpoint.clinic_id,
            therapist_id=touchpoint.therapist_id,
            touchpoint=touchpoint.name,
            occurred_at=touchpoint.occurred_at,
            due_at=touchpoint.due_at,
        )
        for patient_id, theirs in people.items()
        for touchpoint in derive(episodes(theirs, practice.zone_of, closings.get(patient_id, ())), RULES, DELAY)
    )


manners = st.integers(0, 10_000)


@pytest.mark.parametrize("form", FORMATS, ids=repr)
@settings(max_examples=120)
@given(practice=practices(), manner=manners)
def test_every_format_leads_to_the_questions_that_the_truth_calls_for(form, practice, manner):
    files = form.files(practice, Random(manner))
    assert found(records(files, form, practice), practice) == asked(form.sayable(practice))


@settings(max_examples=60)
@given(practices(), manners)
def test_formats_that_can_say_the_same_lead_to_the_same_questions(practice, manner):
    truth = asked(practice)
    able = [form for form in FORMATS if asked(form.sayable(practice)) == truth]
    assert {form.name for form in able} >= {"fhir", "hl7"} or _has_a_day_of_closing_elsewhere(practice)
    for form in able:
        assert found(records(form.files(practice, Random(manner)), form, practice), practice) == truth


def _has_a_day_of_closing_elsewhere(practice: Practice) -> bool:
    """FHIR's cases name no clinic, so that the day on which one is closed is the practice's."""
    return any(
        course.closing and not course.closing.has_time and course.closing.moment.tzinfo != practice.clinics[0].zone
        for story in practice.stories
        for course in story.courses
    )


@pytest.mark.parametrize("form", FORMATS, ids=repr)
@settings(max_examples=40)
@given(practice=practices(), manner=manners)
def test_every_format_knows_the_same_people(form, practice, manner):
    said = records(form.files(practice, Random(manner)), form, practice)
    people: dict[str, Patient] = {}
    opted_out = set()
    for record in said:
        if isinstance(record, PatientRecord):
            opted_out |= {record.patient.patient_id} if record.patient.opted_out else set()
            known = people.get(record.patient.patient_id)
            people[record.patient.patient_id] = newest(known, record.patient, record.absent)
    for person in (story.person for story in form.sayable(practice).stories):
        patient = people[person.patient_id]
        assert (patient.email, patient.language) == (person.email, person.language)
        assert (patient.deceased, patient.archived) == (person.deceased, person.archived)
        assert (patient.last_name, patient.first_name.split()[0]) == (person.family, person.given[0].split()[0])
        assert (person.patient_id in opted_out) == person.opted_out


@pytest.mark.parametrize("form", [form for form in FORMATS if not form.name.startswith("webpt")], ids=repr)
@settings(max_examples=40)
@given(practice=practices(), manner=manners)
def test_whoever_treated_and_wherever_is_known_by_name(form, practice, manner):
    """WebPT sends names in tables of their own, which no history writes."""
    said = records(form.files(practice, Random(manner)), form, practice)
    names = {
        (record.named, one): record.name for record in said if isinstance(record, NameRecord) for one in record.ids
    }
    for visit in (record.visit for record in said if isinstance(record, VisitRecord)):
        [therapist] = [one for one in practice.therapists if one.therapist_id == visit.therapist_id]
        told = visit.therapist_name or names[Named.THERAPIST, visit.therapist_id]
        assert told == f"{therapist.given} {therapist.family}"
        [clinic] = [one for one in practice.clinics if one.clinic_id == visit.clinic_id]
        assert (visit.clinic_name or names.get((Named.CLINIC, visit.clinic_id), clinic.name)) == clinic.name


@pytest.mark.parametrize("form", FORMATS, ids=repr)
@settings(max_examples=40)
@given(practice=practices(), manner=manners)
def test_every_row_is_counted_once(form, practice, manner):
    for file in form.files(practice, Random(manner)):
        assert len(read(file, form, practice)) == counted(file)

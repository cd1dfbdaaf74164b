"""The same practice imported from any EMR's files: the same surveys, in whichever order the files come, and once."""

import csv
import io
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.domain.message import MessageState
from shared.storage import kept, surveys
from tests.handlers.exports import Bucket, dump, message_of, restore, run, send, upload
from tests.histories import careloop_csv, fhir, hl7v2, webpt
from tests.histories.asked import Asked, asked, numbered
from tests.histories.history import Person, Practice, practices
from tests.histories.writing import File, Format, changed, counted

pytestmark = pytest.mark.usefixtures("aws")

a_few = settings(max_examples=4, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
manners = st.integers(0, 10_000)

ONE_OF_EACH = (careloop_csv.FORMAT, webpt.FORMAT, fhir.NDJSON, hl7v2.FORMAT)


@pytest.fixture
def bucket(aws: None, choose) -> Bucket:
    choose(TOUCHPOINTS="evaluation,visit:2,visit:6,discharge")
    return Bucket()


def set_up(bucket: Bucket, practice: Practice, *forms: Format) -> None:
    """An empty Careloop that knows the practice's clinics and how its exports are read."""
    restore({name: [] for name in dump()})
    kept.forget()
    clinics = [(clinic.clinic_id, clinic.name, clinic.zone.key) for clinic in practice.clinics]
    upload(bucket, "settings/clinics.csv", table(("clinic_id", "name", "time_zone"), clinics))
    run(bucket, "settings/clinics.csv")
    choices = [(choice.source, choice.setting, choice.value) for form in forms for choice in form.choices]
    upload(bucket, "settings/intake.csv", table(("source", "setting", "value"), choices))
    assert run(bucket, "settings/intake.csv")["refused"] == 0


def table(header, rows) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([header, *rows])
    return text.getvalue()


def waiting(practice: Practice) -> set[Asked]:
    """The questions that wait to be put to those who have not left."""
    here = [story.person.patient_id for story in practice.stories if not _has_left(story.person)]
    found = [survey for patient_id in here for survey in surveys.of_patient(patient_id)]
    return numbered(survey for survey in found if message_of(survey).state is MessageState.DUE)


def called_for(practice: Practice) -> set[Asked]:
    """What the truth calls for of those who have not left."""
    return asked(replace(practice, stories=tuple(story for story in practice.stories if not _has_left(story.person))))


def _has_left(person: Person) -> bool:
    return person.deceased or person.archived


def import_all(bucket: Bucket, files: list[File], days: int = 0) -> None:
    """Import each file, and hold the report to a count of its own."""
    for file in files:
        report = send(bucket, file.content, file.name, days)
        assert (report["status"], report["rows"]) == ("accepted", counted(file)), report["errors"]


@pytest.mark.parametrize("form", [*ONE_OF_EACH, hl7v2.WHOLE], ids=repr)
@a_few
@given(practice=practices(), manner=manners)
def test_every_format_leads_to_the_same_surveys_and_the_same_files_again_to_nothing(bucket, form, practice, manner):
    set_up(bucket, practice, form)
    files, known = form.files(practice, Random(manner)), form.sayable(practice)
    import_all(bucket, files)
    assert waiting(known) == called_for(known)
    before = dump()
    import_all(bucket, files)
    assert dump() == before


@a_few
@given(practices(), manners)
def test_a_practice_that_changes_its_emr_asks_nobody_twice(bucket, practice, manner):
    """Patients and cases keep their numbers. A case's closing, which our CSV cannot tell, is left out."""
    practice = changed(practice, lambda _, course: replace(course, closing=None))
    set_up(bucket, practice, *ONE_OF_EACH)
    for form in Random(manner).sample(ONE_OF_EACH, len(ONE_OF_EACH)):
        import_all(bucket, form.files(practice, Random(manner)))
        assert waiting(practice) == called_for(practice)

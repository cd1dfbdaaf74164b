"""The files in which a history is written down are what they claim to be, as libraries of others judge."""

import csv
import io
import json
from random import Random
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.histories import FORMATS, careloop_csv, fhir, hl7v2, webpt
from tests.histories.history import practices

manners = st.integers(0, 10_000)
a_few = settings(max_examples=15)
EXPORTS = [form for form in FORMATS if form.extension == "csv"]


@pytest.mark.parametrize("form", [careloop_csv.FORMAT, webpt.FORMAT], ids=lambda form: form.name)
@a_few
@given(practice=practices(), manner=manners)
def test_the_csv_module_reads_every_cell_back(form, practice, manner):
    said = [row for story in practice.stories for row in form.of_story(story, Random(manner))]
    for table, columns in careloop_csv.COLUMNS.items() if form is careloop_csv.FORMAT else webpt.COLUMNS.items():
        rows = [row for name, row in said if name == table]
        content = b"".join(form.encode(table, rows, Random(manner))).decode("utf-8-sig")
        assert list(csv.DictReader(io.StringIO(content, newline=""), strict=True)) == rows
        assert not rows or set(rows[0]) == set(columns)


@a_few
@given(practices(), manners)
def test_fhir_knows_every_resource(practice, manner):
    for table, content in _contents(fhir.NDJSON, practice, manner):
        for line in content.splitlines():
            resource = json.loads(line)
            assert resource["resourceType"] == table
            get_fhir_model_class(table).model_validate(resource)


@a_few
@given(practices(), manners)
def test_fhir_knows_every_bundle(practice, manner):
    for _, content in _contents(fhir.BUNDLES, practice, manner):
        bundle: Any = get_fhir_model_class("Bundle").model_validate_json(content)
        assert bundle.entry
        assert all(entry.resource.id in entry.fullUrl for entry in bundle.entry)


@settings(max_examples=6)  # a hundredth of a second for each message
@given(practices(), manners)
def test_hl7_knows_every_message(practice, manner):
    for story in practice.stories:
        for _, segments in hl7v2.of_story(story, Random(manner)):
            text = "\r".join(segments) + "\r"
            parse_message(text, validation_level=VALIDATION_LEVEL.STRICT).validate()


@a_few
@given(practices(), manners)
def test_hl7_finds_names_and_addresses_as_they_were_meant(practice, manner):
    for story in practice.stories:
        said = [segments for _, segments in hl7v2.of_story(story, Random(manner))]
        message: Any = parse_message("\r".join(said[-1]) + "\r", find_groups=False)
        assert message.pid.pid_3.pid_3_1.value == story.person.patient_id
        assert _unescaped(message.pid.pid_5.pid_5_1.value) == story.person.family
        addresses = [_unescaped(number.pid_13_4.value) for number in message.pid.pid_13]
        assert [address for address in addresses if address] == [story.person.email] * bool(story.person.email)


def _unescaped(text: str) -> str:
    for code, character in {"F": "|", "S": "^", "T": "&", "R": "~", "E": "\\"}.items():
        text = text.replace(f"\\{code}\\", character)
    return text


def _contents(form, practice, manner):
    return [(file.name.partition("-")[0], file.content) for file in form.files(practice, Random(manner))]

"""FHIR R4: every resource is read or refused by itself, in NDJSON as in Bundles; codes count, words never."""

import copy
import io
import itertools
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.readers import fhir, recognise
from functions.import_visits.records import (
    CaseRecord,
    Context,
    FileRefused,
    MergeRecord,
    Named,
    NameRecord,
    PatientRecord,
    Record,
    Refusal,
    Row,
    VisitRecord,
)
from shared.domain.episode import Case, Visit, VisitKind, VisitStatus
from shared.domain.intake import IntakeRules, Marks
from shared.domain.patient import Language, Patient

Resource = dict[str, Any]

ZONES = {"west": ZoneInfo("America/Phoenix")}
SNOMED, NPI = "http://snomed.info/sct", "http://hl7.org/fhir/sid/us-npi"
RULES = IntakeRules(fhir_types=Marks(frozenset({f"{SNOMED}|410155007", "IE"}), frozenset({"DC"})))


def a_patient(patient_id: str = "p1", **differences: Any) -> Resource:
    return made(
        "Patient",
        patient_id,
        {
            "active": True,
            "name": [{"use": "official", "family": "Okafor", "given": ["Ada"]}],
            "telecom": [{"system": "email", "value": "ada@example.com"}, {"system": "phone", "value": "518-555-0100"}],
            "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "en-US"}]}}],
        },
        differences,
    )


def an_encounter(encounter_id: str = "e1", **differences: Any) -> Resource:
    return made(
        "Encounter",
        encounter_id,
        {
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "subject": {"reference": "Patient/p1"},
            "episodeOfCare": [{"reference": "EpisodeOfCare/c1"}],
            "participant": [{"individual": {"reference": "Practitioner/t1", "display": "Dr. Irvin970 O'Kon634"}}],
            "location": [{"location": {"reference": "Location/north", "display": "North"}}],
            "period": {"start": "2026-03-02T09:00:00-05:00", "end": "2026-03-02T09:45:00-05:00"},
        },
        differences,
    )


def an_appointment(appointment_id: str = "a1", **differences: Any) -> Resource:
    actors = ("Patient/p1", "Practitioner/t1", "Location/north")
    return made(
        "Appointment",
        appointment_id,
        {
            "status": "booked",
            "start": "2026-03-02T09:00:00-05:00",
            "end": "2026-03-02T09:45:00-05:00",
            "participant": [{"actor": {"reference": actor}, "status": "accepted"} for actor in actors],
        },
        differences,
    )


def a_case(case_id: str = "c1", **differences: Any) -> Resource:
    ordinary = {"status": "active", "patient": {"reference": "Patient/p1"}, "period": {"start": "2026-03-01"}}
    return made("EpisodeOfCare", case_id, ordinary, differences)


def made(kind: str, resource_id: str, ordinary: Resource, differences: Resource) -> Resource:
    members = {"resourceType": kind, "id": resource_id, **ordinary, **differences}
    return {name: value for name, value in members.items() if value is not None}


def a_bundle(*resources: Resource, kind: str = "collection") -> Resource:
    entries = [one if "resource" in one or "request" in one else {"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": kind, "entry": entries}


def read(content: str | bytes | Resource, rules: IntakeRules = RULES) -> list[Row | Refusal]:
    if isinstance(content, dict):
        content = json.dumps(content)
    raw = content.encode() if isinstance(content, str) else content
    return list(recognise(io.BytesIO(raw), Context(zone_of, rules)).rows)


def zone_of(clinic_id: str) -> ZoneInfo:
    return ZONES.get(clinic_id, ZoneInfo("America/New_York"))


def valid(resource: Resource) -> Resource:
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return resource


def records(resource: Resource, rules: IntakeRules = RULES) -> tuple[Record, ...]:
    (row,) = read(valid(resource), rules)
    assert isinstance(row, Row), row
    return row.records


def patient(**differences: Any) -> Patient:
    (record,) = records(a_patient(**differences))
    assert isinstance(record, PatientRecord)
    return record.patient


def visit(resource: Resource, rules: IntakeRules = RULES) -> Visit:
    (record,) = records(resource, rules)
    assert isinstance(record, VisitRecord)
    return record.visit


def case(**differences: Any) -> Case:
    (record,) = records(a_case(**differences))
    assert isinstance(record, CaseRecord)
    return record.case


def refusal(resource: Resource) -> tuple[str, str]:
    (row,) = read(resource)
    assert isinstance(row, Refusal), row
    return row.column, row.reason


def lines(*resources: Resource | str) -> str:
    return "".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in resources)


def outline(rows: Iterable[Row | Refusal]) -> list[tuple[int, str]]:
    """Of each row its line, and the id of whom or what it is about, or `refused`."""
    return [(row.line, "refused" if isinstance(row, Refusal) else subject(row.records[0])) for row in rows]


def subject(record: Record) -> str:
    match record:
        case PatientRecord(patient):
            return patient.patient_id
        case VisitRecord(visit):
            return visit.visit_id
        case CaseRecord(case):
            return case.case_id
        case NameRecord():
            return record.ids[0]
    raise AssertionError(record)


def without_raw(rows: Iterable[Row | Refusal]) -> list[object]:
    return [row.records if isinstance(row, Row) else (row.column, row.reason) for row in rows]


# How resources are found in a file.

MANY = (a_patient(), an_encounter(), an_appointment(), a_case(), {"resourceType": "Observation", "id": "o1"})


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_ndjson_is_one_resource_a_line(line_end, mark):
    content = mark + line_end.join([json.dumps(MANY[0]), "", *map(json.dumps, MANY[1:])])
    rows = read(content)
    assert outline(rows) == [(1, "p1"), (3, "Encounter/e1"), (4, "Appointment/a1"), (5, "c1"), (6, "refused")]
    assert rows[2].raw == json.dumps(MANY[2]).encode() + line_end.encode()


@pytest.mark.parametrize("indent", [None, 0, 1, "\t"])
def test_a_bundle_says_what_its_resources_say_one_by_one(indent):
    bundled = read(json.dumps(a_bundle(*MANY), indent=indent))
    assert without_raw(bundled) == without_raw(read(lines(*MANY)))


def test_an_entry_s_line_is_the_one_on_which_it_starts():
    content = json.dumps(a_bundle(*MANY), indent=2)
    starts = [number for number, line in enumerate(content.split("\n"), 1) if line == "    {"]
    rows = read(content)
    assert [row.line for row in rows] == starts
    assert [json.loads(row.raw)["resource"] for row in rows] == list(MANY)


@pytest.mark.parametrize("between", ["", "\n", "\r\n\r\n", ",\n"])
def test_bundles_and_resources_may_follow_each_other(between):
    whole = json.dumps(a_bundle(a_patient("p1"), a_patient("p2")))
    rows = read(between.join([whole, json.dumps(a_patient("p3")), whole, json.dumps(a_patient("p4"), indent=2)]))
    assert [name for _, name in outline(rows)] == ["p1", "p2", "p3", "p1", "p2", "p4"]


def test_a_bundle_within_a_bundle_and_a_bare_list_are_taken_apart():
    inner = a_bundle(a_patient("p1"), a_patient("p2"), kind="searchset")
    assert [name for _, name in outline(read(a_bundle(inner, a_patient("p3"), kind="batch-response")))] == [
        "p1",
        "p2",
        "p3",
    ]
    assert [name for _, name in outline(read(json.dumps([a_patient("p1"), a_patient("p2")])))] == ["p1", "p2"]


def test_the_order_of_a_bundle_s_members_does_not_matter():
    whole = a_bundle(a_patient("p1"), a_patient("p2"))
    assert outline(read(json.dumps(whole, sort_keys=True))) == outline(read(whole)) == [(1, "p1"), (1, "p2")]


def test_an_empty_bundle_is_a_file_without_rows():
    assert read({"resourceType": "Bundle", "type": "searchset", "total": 0}) == []
    assert read({"resourceType": "Bundle", "type": "searchset", "entry": []}) == []


def test_refused_entries_can_be_corrected_and_sent_again_as_they_are():
    rows = read(json.dumps(a_bundle(a_patient("p1"), a_patient("")), indent=2))
    again = b"\n".join(row.raw.replace(b'"id": ""', b'"id": "p2"') for row in rows)
    assert [name for _, name in outline(read(again))] == ["p1", "p2"]


@pytest.mark.parametrize("kind", ["Condition", "Organization", "OperationOutcome", "Binary", "List"])
def test_other_types_are_refused_by_name(kind):
    assert refusal({"resourceType": kind, "id": "x", "entry": [{"item": {}}]}) == (
        "resourceType",
        f"is of type {kind}, which Careloop does not take in",
    )


@pytest.mark.parametrize("kind", [None, "", 5, ["Patient"], "canary 7", "patient/../x"])
def test_what_has_no_type_is_refused_and_not_repeated(kind):
    column, reason = refusal({"resourceType": kind, "id": "x"})
    assert column == "resourceType"
    assert "canary" not in reason


# Files that are not read at all.


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"patients": [{"id": 1}]}', "JSON, but not FHIR"),
        ("[1, 2, 3]", "JSON, but not FHIR"),
        ('{"patients": [{"id": 1', "JSON, but not FHIR"),
        ("{", "JSON, but not FHIR"),
        ('{"data": "' + "x" * 200_000 + '"}', "JSON, but not FHIR"),
        ('<?xml version="1.0"?><Patient xmlns="http://hl7.org/fhir"/>', "FHIR in XML"),
        ("{\\rtf1 resume}", "Looked for:"),
        ("[section]\nkey=value", "Looked for:"),
    ],
)
def test_other_files_are_refused_whole_in_plain_words(content, words):
    with pytest.raises(FileRefused) as refused:
        read(content)
    assert words in refused.value.reason


def test_a_resource_whose_type_comes_late_is_recognised():
    photo = a_patient(photo=[{"data": "QUJD" * 30_000}], resourceType=None) | {"resourceType": "Patient"}
    assert outline(read(photo)) == [(1, "p1")]


# Damage.


@pytest.mark.parametrize(
    "broken",
    [
        *(
            "garbage",
            "null",
            "5",
            '"text"',
            "}",
            "{",
            '{"resourceType":"Patient"',
            '{"resourceType":"Patient","name":[',
        ),
        *('{"resourceType":"Patient","id":"x}', '{"resourceType":"Patient","id":"x"}}', '{"id" "x"}', "{'id': 'x'}"),
        *("[" * 100_000, '{"a":' * 100_000, '{"id":' + "9" * 5_000 + "}"),
        *(
            '{"resourceType":"Patient","id":"' + "x" * 1_200_000 + '"}',
            '{"resourceType":"Patient","id":"' + "x" * 3_000_000,
        ),
    ],
    ids=lambda line: line[:30],
)
def test_a_broken_line_is_refused_alone(broken):
    rows = read(lines(a_patient("p1"), broken, a_patient("p3"), a_patient("p4")))
    assert outline(rows) == [(1, "p1"), (2, "refused"), (3, "p3"), (4, "p4")]
    assert rows[1].raw in f"{broken}\n".encode()
    assert len(rows[1].raw) <= 1024 * 1024


def test_a_broken_first_line_does_not_hide_the_format():
    assert outline(read('ceType":"Patient"}\n' + lines(a_patient("p2")))) == [(1, "refused"), (2, "p2")]


def test_a_line_of_almost_a_megabyte_is_read():
    long = a_patient("p1", text={"status": "generated", "div": "<div>" + "x" * 1_000_000 + "</div>"})
    assert outline(read(lines(long, a_patient("p2")))) == [(1, "p1"), (2, "p2")]


@pytest.mark.parametrize(
    "broken", ['{"resource": tru}', '{"resource": {"id": "x",}}', '{"a" "b"}', '{"a":' * 500 + "}" * 500]
)
def test_a_broken_entry_whose_end_can_be_told_is_refused_alone(broken):
    whole = json.dumps(a_bundle(a_patient("p1"), a_patient("p2"), a_patient("p3")))
    rows = read(whole.replace(json.dumps({"resource": a_patient("p2")}), broken))
    assert [name for _, name in outline(rows)] == ["p1", "refused", "p3"]


def test_an_entry_longer_than_a_megabyte_is_refused_alone():
    scan = {"resourceType": "Binary", "contentType": "application/pdf", "data": "QUJD" * 1_000_000}
    rows = read(json.dumps(a_bundle(a_patient("p1"), scan, a_patient("p3")), indent=1))
    assert [name for _, name in outline(rows)] == ["p1", "refused", "p3"]
    assert isinstance(rows[1], Refusal)
    assert rows[1].reason == "is longer than 1 MB"


@pytest.mark.parametrize("indent", [None, 2])
def test_a_bundle_cut_off_anywhere_keeps_the_entries_before_and_says_that_it_is_broken(indent):
    content = json.dumps(a_bundle(*(a_patient(f"p{number}") for number in range(3))), indent=indent)
    ends = [content.index(row.raw.decode()) + len(row.raw) for row in read(content)]
    for cut in range(content.index("resourceType") + len('resourceType"'), len(content)):
        names = [name for _, name in outline(read(content[:cut]))]
        assert names == [f"p{number}" for number, end in enumerate(ends) if end <= cut] + ["refused"]


def test_a_lost_quotation_mark_costs_the_rest_of_its_bundle_and_nothing_of_the_next():
    broken = json.dumps(a_bundle(a_patient("p1"), a_patient("p2"), a_patient("p3"))).replace('"p2"', '"p2')
    rows = read(lines(broken, a_bundle(a_patient("p4")), a_patient("p5")))
    assert outline(rows) == [(1, "p1"), (1, "refused"), (2, "p4"), (3, "p5")]


def test_a_bundle_broken_over_many_lines_names_the_line_where_it_broke():
    broken = json.dumps(a_bundle(a_patient("p1"), a_patient("p2")), indent=2).replace('"p2"', '"p2')
    where = next(number for number, line in enumerate(broken.split("\n"), 1) if '"p2' in line)
    rows = read(f"{broken}\n{json.dumps(a_patient('p4'))}\n")
    assert outline(rows) == [(5, "p1"), (where, "refused"), (broken.count("\n") + 2, "p4")]


@pytest.mark.parametrize("broken", ["tru", '{"resource": tru}}'])
def test_where_nobody_can_tell_how_a_bundle_goes_on_its_rest_is_refused_once(broken):
    whole = json.dumps(a_bundle(*(a_patient(f"p{number}") for number in (1, 2, 3, 4))))
    rows = read(whole.replace(json.dumps({"resource": a_patient("p2")}), broken))
    assert [name for _, name in outline(rows)] == ["p1", "refused"]


def test_a_bundle_cut_off_between_entries_takes_nothing_from_the_next_line():
    entry = json.dumps({"resource": a_patient("p1")})
    for end in ("", ","):
        cut_off = f'{{"resourceType": "Bundle", "type": "collection", "entry": [{entry}{end}'
        rows = read(lines(cut_off, a_bundle(a_patient("p2")), a_patient("p3"), a_patient("p4")))
        assert sorted(name for _, name in outline(rows)) == ["p1", "p2", "p3", "p4", "refused"]


def test_a_string_that_is_never_closed_ends_with_its_line_however_long():
    broken = json.dumps(a_bundle(a_patient("p1"), {"resourceType": "Binary", "data": "x" * 3_000_000}))[:-6]
    rows = read(lines(broken, a_patient("p2")))
    assert outline(rows) == [(1, "p1"), (1, "refused"), (2, "p2")]


@pytest.mark.parametrize("odd", ["", "x"])
def test_an_escaped_quotation_mark_never_ends_a_text_wherever_the_file_is_cut_for_reading(odd):
    scan = {"resourceType": "Binary", "data": odd + '"}]' * 1_000_000}
    rows = read(a_bundle(a_patient("p1"), scan, a_patient("p3")))
    assert [name for _, name in outline(rows)] == ["p1", "refused", "p3"]


LONG = {"status": "generated", "div": "<div>" + "x" * 600_000 + "</div>"}


def test_a_large_bundle_whose_type_comes_last_is_read_as_well():
    whole = a_bundle(*(a_patient(f"p{number}", text=LONG) for number in range(3)))
    assert [name for _, name in outline(read(json.dumps(whole, sort_keys=True)))] == ["p0", "p1", "p2"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_how_much_of_the_file_is_read_at_a_time_does_not_matter(size):
    whole = a_bundle(a_patient(name=[{"family": "Núñez", "given": ["José"]}]), *MANY) | {"total": 1234567}
    torn = json.dumps(whole, ensure_ascii=False)[:-300]
    content = f"{json.dumps(whole, ensure_ascii=False)}\n{torn}\n{json.dumps(whole, indent=1)}\ngarbage\n".encode()
    pieces = (content[place : place + size] for place in range(0, len(content), size))
    reading = fhir.read(_Generated(pieces, 1), content, Context(zone_of, RULES))
    assert reading
    assert list(reading.rows) == read(content)


def in_pieces(content: bytes, *ends: int) -> list[Row | Refusal]:
    pieces = (content[start:end] for start, end in itertools.pairwise((0, *ends, len(content))))
    reading = fhir.read(_Generated(pieces, 1), content, Context(zone_of, RULES))
    assert reading
    return list(reading.rows)


def test_where_the_file_is_cut_for_reading_does_not_matter():
    large = json.dumps(a_bundle(a_patient("p1", text=LONG), a_patient("p2", text=LONG)) | {"total": 123456}).encode()
    for end in range(len(large) - 20, len(large)):
        assert [name for _, name in outline(in_pieces(large, end))] == ["p1", "p2"]
    broken = (
        b'{"resourceType": "Patient",\n "id" "x", "gender": "female", "active": true,\n "birthDate": "1927-05-21"\n}\n'
    )
    content = broken + json.dumps(a_patient("p2")).encode()
    for end in range(1, len(content)):
        assert outline(in_pieces(content, end)) == [(1, "refused"), (5, "p2")]


def test_a_line_that_is_not_utf_8_is_windows_1252():
    content = lines(a_patient("p1", name=[{"family": "Núñez"}])).replace("\\u00fa", "ú").replace("\\u00f1", "ñ")
    for encoding in ("utf-8", "cp1252"):
        (row,) = read(content.encode(encoding))
        assert isinstance(row, Row)
        assert isinstance(row.records[0], PatientRecord)
        assert row.records[0].patient.last_name == "Núñez"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.just(10**400)
    | st.text(max_size=8)
    | st.just("\ud800"),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=8), inside, max_size=3),
    max_leaves=6,
)
WHOLE = (
    a_patient(
        meta={"lastUpdated": "2026-03-02T22:45:00-05:00", "tag": [{"code": "x"}]},
        identifier=[{"system": "s", "value": "1"}],
        deceasedBoolean=False,
        managingOrganization={"reference": "Organization/o1"},
        link=[{"type": "replaces", "other": {"reference": "Patient/p2"}}],
    ),
    an_encounter(
        type=[{"coding": [{"system": SNOMED, "code": "IE"}]}],
        subject={"reference": "Patient?identifier=s|1"},
        contained=[{"resourceType": "Practitioner", "id": "t", "identifier": [{"value": "9"}]}],
        participant=[{"type": [{"coding": [{"code": "PPRF"}]}], "individual": {"reference": "#t", "display": "T"}}],
        serviceProvider={"identifier": {"value": "o1"}},
    ),
    an_appointment(),
    a_case(status="finished", period={"end": "2026-03-09"}),
    {"resourceType": "Practitioner", "id": "t1", "name": [{"family": "F", "given": ["G"], "prefix": ["Dr."]}]},
    {"resourceType": "Location", "id": "l1", "identifier": [{"value": "north"}], "name": "North"},
)


def places(value: object) -> Iterator[tuple[str | int, ...]]:
    yield ()
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from ((name, *rest) for rest in places(child))


def put(value: Any, place: tuple[str | int, ...], other: object) -> Any:
    if not place:
        return other
    changed = copy.copy(value)
    changed[place[0]] = put(value[place[0]], place[1:], other)
    return changed


@given(st.data())
def test_whatever_stands_anywhere_in_a_resource_it_is_read_or_refused_and_its_neighbours_are_read(data):
    entry = {
        "fullUrl": "urn:uuid:1",
        "resource": data.draw(st.sampled_from(WHOLE)),
        "request": {"method": "PUT", "url": "Patient/1"},
        "response": {"lastModified": "2026-03-02T22:45:00Z"},
    }
    damaged = put(entry, data.draw(st.sampled_from(list(places(entry))[1:])), data.draw(anything))
    before = a_patient("before", identifier=[{"system": "s", "value": "1"}])
    kind = data.draw(st.sampled_from(["history", "collection"]))
    names = [name for _, name in outline(read(a_bundle(before, damaged, a_patient("after"), kind=kind)))]
    assert (names[0], names[-1]) == ("before", "after")
    assert len(names) == 3 or "entry" in json.dumps(damaged)


@given(st.binary(max_size=200), st.integers(0, 2_000))
def test_any_bytes_anywhere_are_read_or_refused_with_a_line_of_the_file(noise, place):
    whole = json.dumps(a_bundle(*MANY), indent=1).encode() + lines(*MANY).encode()
    content = whole[:place] + noise + whole[place:]
    try:
        rows = read(content)
    except FileRefused:
        return
    assert all(1 <= row.line <= content.count(b"\n") + 1 for row in rows)
    assert [row.line for row in rows] == sorted(row.line for row in rows)


# Patients.


def test_names_are_kept_as_they_are_digits_apostrophes_and_all():
    found = patient(name=[{"family": "O'Kon634", "given": ["Marine542", "Ai120"]}])
    assert (found.first_name, found.last_name) == ("Marine542", "O'Kon634")


@pytest.mark.parametrize(
    ("names", "last_name"),
    [
        (
            [{"use": "nickname", "family": "A"}, {"use": "usual", "family": "B"}, {"use": "official", "family": "C"}],
            "C",
        ),
        ([{"use": "maiden", "family": "A"}, {"family": "B"}, {"family": "C"}], "B"),
        ([{"use": "official", "family": "A", "period": {"end": "2020"}}, {"use": "usual", "family": "B"}], "B"),
        ([{"use": "official", "family": "A", "period": {"end": "2026"}}, {"use": "usual", "family": "B"}], "A"),
        ([{"use": "official", "family": "A", "period": {"start": "2026-04"}}, {"family": "B"}], "B"),
        ([{"use": "old", "family": "A"}], "A"),
        ([{"text": "Ada Okafor"}], "Ada Okafor"),
        ([{"use": "official"}, {"family": "B"}], "B"),
    ],
)
def test_the_official_name_comes_first_then_the_usual_and_former_ones_last(names, last_name):
    assert patient(meta={"lastUpdated": "2026-03-02T22:45:00-05:00"}, name=names).last_name == last_name


@pytest.mark.parametrize(
    ("emails", "chosen"),
    [
        ([{"value": "a@x.org"}, {"value": "b@x.org"}], "a@x.org"),
        ([{"value": "a@x.org"}, {"value": "b@x.org", "rank": 2}, {"value": "c@x.org", "rank": 1}], "c@x.org"),
        ([{"value": "a@x.org", "use": "old", "rank": 1}, {"value": "b@x.org", "use": "work"}], "b@x.org"),
        ([{"value": "a@x.org", "period": {"end": "2026-03-01"}}, {"value": "b@x.org"}], "b@x.org"),
        ([{"value": "a@x.org", "period": {"end": "2026-03"}}, {"value": "b@x.org"}], "a@x.org"),
        ([{"value": "a@x.org", "period": {"start": "2026-03-03"}}, {"value": "b@x.org"}], "b@x.org"),
        ([{"value": "declined"}, {"value": "b@x.org"}], "b@x.org"),
        ([{"value": "a@x.org", "use": "old"}], ""),
        ([], ""),
    ],
)
def test_the_email_is_current_and_of_the_lowest_rank(emails, chosen):
    telecom = [{"system": "email", **email} for email in emails] + [{"system": "url", "value": "z@x.org"}]
    assert patient(meta={"lastUpdated": "2026-03-02T22:45:00-05:00"}, telecom=telecom).email == chosen


def test_an_email_with_an_end_is_over_if_nothing_tells_what_day_it_is():
    ended = {"system": "email", "value": "a@x.org", "period": {"end": "2199-01-01"}}
    assert patient(telecom=[ended]).email == ""


def test_an_email_that_cannot_be_mailed_refuses_the_patient_without_repeating_it():
    telecom = [{"system": "phone", "value": "1"}, {"system": "email", "value": "canary at example"}]
    column, reason = refusal(a_patient(telecom=telecom))
    assert column == "Patient.telecom[1].value"
    assert "canary" not in reason


NO_ADDRESS: dict[str, Any] = {"telecom": [{"system": "email", "value": "none"}]}
REPLACED = {"type": "replaced-by", "other": {"reference": "Patient/p2"}}


@pytest.mark.parametrize(
    ("differences", "deceased", "archived"),
    [
        ({**NO_ADDRESS, "deceasedBoolean": True}, True, False),
        ({**NO_ADDRESS, "active": False}, False, True),
        ({"name": "Ada", "deceasedDateTime": "2026-03-01", "active": "no"}, True, False),
        ({"deceasedBoolean": "perhaps", "active": False, "meta": {"lastUpdated": "soon"}}, False, True),
    ],
)
def test_of_a_patient_who_is_refused_what_keeps_surveys_away_is_heard(differences, deceased, archived):
    (refused,) = read(a_patient(**differences))
    assert isinstance(refused, Refusal)
    (heard,) = refused.heard
    assert isinstance(heard, PatientRecord)
    assert heard.patient == Patient("p1", deceased=deceased, archived=archived)
    assert heard.absent >= {"first_name", "last_name", "email", "phone", "language", "clinic_id", "tags"}
    assert ("deceased" in heard.absent, "archived" in heard.absent) == (not deceased, not archived)


def test_a_patient_who_is_refused_may_still_be_somebody_else():
    (refused,) = read(a_patient(**NO_ADDRESS, link=[REPLACED]))
    assert isinstance(refused, Refusal)
    assert refused.heard == (MergeRecord("p2", "p1"),)


def test_of_a_patient_without_an_id_and_of_an_older_version_nothing_is_heard():
    dead = a_patient(**NO_ADDRESS, deceasedBoolean=True)
    for content in ({**dead, "id": ""}, a_bundle(a_patient(), dead, kind="history")):
        *_, refused = read(content)
        assert isinstance(refused, Refusal)
        assert refused.heard == ()


def test_a_mobile_phone_is_preferred():
    telecom = [{"system": "phone", "value": "1", "rank": 1}, {"system": "phone", "value": "2", "use": "mobile"}]
    assert patient(telecom=telecom).phone == "2"


@pytest.mark.parametrize(
    ("codes", "language"), [(["es"], "es"), (["es-MX"], "es"), (["en-US", "es"], "en"), (["eo"], "en")]
)
def test_the_language_is_the_first_one(codes, language):
    spoken = [{"language": {"coding": [{"code": code}]}} for code in codes]
    assert patient(communication=spoken).language == Language(language)


def test_the_preferred_language_comes_before_the_first():
    spoken = [{"language": {"coding": [{"code": code}]}, "preferred": code == "es"} for code in ("en", "es")]
    assert patient(communication=spoken).language is Language.SPANISH


@pytest.mark.parametrize(
    "said",
    [
        {"deceasedBoolean": True},
        {"deceasedDateTime": "1989-05-09T20:35:22-04:00"},
        {"_deceasedDateTime": {"extension": [{"url": "http://example.com/unknown", "valueCode": "unknown"}]}},
    ],
)
def test_the_deceased_are_known_by_either_element(said):
    assert patient(**said).deceased
    assert not patient(deceasedBoolean=False).deceased


def test_an_inactive_patient_is_archived():
    assert patient(active=False).archived
    assert not patient(active=True).archived


def test_a_resource_without_an_email_says_that_there_is_none_but_silence_revives_nobody():
    (record,) = records({"resourceType": "Patient", "id": "p1"})
    assert isinstance(record, PatientRecord)
    said_nothing_of = {"first_name", "last_name", "language", "archived", "deceased", "clinic_id", "tags"}
    assert record.absent == said_nothing_of
    (extract,) = records({"resourceType": "Patient", "id": "p1", "meta": {"tag": [{"code": "SUBSETTED"}]}})
    assert isinstance(extract, PatientRecord)
    assert extract.absent == said_nothing_of | {"email", "phone"}


def test_the_managing_organization_stands_for_the_clinic():
    (record,) = records(a_patient(managingOrganization={"reference": "Organization/o1"}))
    assert isinstance(record, PatientRecord)
    assert record.patient.clinic_id == "o1"
    assert "clinic_id" not in record.absent


def test_updated_at_is_when_the_resource_was_last_changed():
    updated_at = patient(meta={"lastUpdated": "2026-03-02T22:45:00.123-05:00"}).updated_at
    assert updated_at == datetime(2026, 3, 3, 3, 45, tzinfo=UTC)


@pytest.mark.parametrize(
    ("kind", "merge"), [("replaced-by", MergeRecord("p2", "p1")), ("replaces", MergeRecord("p1", "p2"))]
)
def test_linked_records_of_one_patient_are_merged(kind, merge):
    link = [
        {"type": kind, "other": {"reference": "Patient/p2"}},
        {"type": "seealso", "other": {"reference": "Patient/p3"}},
    ]
    (_, *merges) = records(a_patient(link=link))
    assert merges == [merge]
    assert len(records(a_patient(link=[{"type": kind, "other": {"reference": "Patient/p1"}}]))) == 1


# Visits.


def test_a_finished_encounter_is_a_completed_visit():
    assert visit(an_encounter()) == Visit(
        patient_id="p1",
        visit_id="Encounter/e1",
        case_id="c1",
        clinic_id="north",
        started_at=datetime(2026, 3, 2, 14, 0, tzinfo=UTC),
        kind=VisitKind.UNSTATED,
        status=VisitStatus.COMPLETED,
        ended_at=datetime(2026, 3, 2, 14, 45, tzinfo=UTC),
        therapist_id="t1",
        therapist_name="Dr. Irvin970 O'Kon634",
        clinic_name="North",
    )


@pytest.mark.parametrize("status", ["planned", "arrived", "triaged", "in-progress", "onleave", "cancelled", "unknown"])
def test_no_other_encounter_counts(status):
    assert not visit(an_encounter(status=status)).counts


def test_an_encounter_entered_in_error_is_removed():
    assert visit(an_encounter(status="entered-in-error")).removed


@pytest.mark.parametrize(
    ("codings", "kind"),
    [
        ([{"system": SNOMED, "code": "410155007"}], VisitKind.EVALUATION),
        ([{"system": "https://else.example.com", "code": "410155007"}], VisitKind.TREATMENT),
        ([{"code": "ie", "display": "follow-up"}], VisitKind.EVALUATION),
        ([{"code": "x"}, {"code": "DC"}], VisitKind.DISCHARGE),
        ([{"code": "x", "display": "IE"}], VisitKind.TREATMENT),
        ([], VisitKind.UNSTATED),
    ],
)
def test_what_a_visit_was_for_is_told_by_codes_never_by_words(codings, kind):
    kinds = [{"coding": codings, "text": "IE"}] if codings else [{"text": "IE"}]
    assert visit(an_encounter(type=kinds)).kind is kind


def test_without_chosen_codes_nothing_says_what_a_visit_was_for():
    coded = an_encounter(type=[{"coding": [{"code": "IE"}]}])
    assert visit(coded, IntakeRules()).kind is VisitKind.UNSTATED


def test_a_visit_of_no_case_never_opens_one_unless_its_code_says_so():
    assert visit(an_encounter(episodeOfCare=None)).case_id == ""
    assert visit(an_encounter(episodeOfCare=None)).kind is VisitKind.TREATMENT
    assert visit(an_encounter(episodeOfCare=None, type=[{"coding": [{"code": "IE"}]}])).kind is VisitKind.EVALUATION


@pytest.mark.parametrize("code", ["AMB", "VR", "HH", "IMP", "EMER"])
def test_a_visit_s_class_does_not_matter(code):
    assert visit(an_encounter() | {"class": {"code": code}}).counts


@pytest.mark.parametrize(
    ("start", "instant", "has_time"),
    [
        ("2026-03-02T09:00:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC), True),
        ("2026-03-02T09:00:00.25+05:30", datetime(2026, 3, 2, 3, 30, tzinfo=UTC), True),
        ("2026-03-02", datetime(2026, 3, 2, 7, tzinfo=UTC), False),  # the day's start in Phoenix
    ],
)
def test_times_have_offsets_and_a_date_alone_is_the_clinic_s_day(start, instant, has_time):
    west = [{"location": {"reference": "Location/west"}}]
    found = visit(an_encounter(location=west, period={"start": start, "end": "2026-03-02"}))
    assert (found.started_at, found.has_time, found.ended_at) == (instant, has_time, None)


@pytest.mark.parametrize(
    ("period", "column"),
    [
        (None, "Encounter.period.start"),
        ({"end": "2026-03-02"}, "Encounter.period.start"),
        ({"start": "2026-03"}, "Encounter.period.start"),
        ({"start": "2026"}, "Encounter.period.start"),
        ({"start": "yesterday"}, "Encounter.period.start"),
        ({"start": "2026-02-30"}, "Encounter.period.start"),
        ({"start": 20260302}, "Encounter.period.start"),
        ({"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T08:59:00Z"}, "Encounter.period.end"),
        ([], "Encounter.period"),
    ],
)
def test_a_visit_that_took_place_has_a_day(period, column):
    assert refusal(an_encounter(period=period))[0] == column


def test_a_cancelled_encounter_without_a_time_keeps_the_one_that_is_known():
    (record,) = records(an_encounter(status="cancelled", period=None))
    assert isinstance(record, VisitRecord)
    assert record.absent == {"started_at", "ended_at", "has_time"}


def test_of_several_participants_the_primary_performer_is_the_therapist():
    def participant(reference: str, *codes: str) -> Resource:
        return {"individual": {"reference": reference}, "type": [{"coding": [{"code": code} for code in codes]}]}

    others = [{}, participant("RelatedPerson/r"), participant("Practitioner/t1", "SPRF")]
    assert visit(an_encounter(participant=others)).therapist_id == "t1"
    attender = participant("Practitioner/t2", "ATND")
    assert visit(an_encounter(participant=[*others, attender])).therapist_id == "t2"
    primary = participant("PractitionerRole/t3", "SPRF", "PPRF")
    assert visit(an_encounter(participant=[*others, attender, primary])).therapist_id == "t3"


def test_what_a_reference_calls_somebody_never_refuses_a_visit():
    for display, name in (("Dr. " + "x" * 500, "Dr. " + "x" * 196), (5, ""), ("Dr.\nT", "Dr. T")):
        (row,) = read(an_encounter(participant=[{"individual": {"reference": "Practitioner/t1", "display": display}}]))
        assert isinstance(row, Row)
        assert isinstance(row.records[0], VisitRecord)
        assert row.records[0].visit.therapist_name == name


def test_without_a_location_the_service_provider_is_the_clinic():
    provider = {"reference": "Organization/o1", "display": "Riverside"}
    found = visit(an_encounter(location=None, serviceProvider=provider))
    assert (found.clinic_id, found.clinic_name) == ("o1", "Riverside")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, VisitStatus.SCHEDULED) for status in ("proposed", "pending", "booked", "arrived", "checked-in")),
        *((status, VisitStatus.SCHEDULED) for status in ("waitlist", "fulfilled")),
        ("cancelled", VisitStatus.CANCELLED),
        ("noshow", VisitStatus.NO_SHOW),
    ],
)
def test_an_appointment_never_counts_as_a_visit_by_itself(status, expected):
    found = visit(an_appointment(status=status))
    assert (found.status, found.counts) == (expected, False)
    assert (found.visit_id, found.patient_id, found.clinic_id, found.therapist_id) == (
        "Appointment/a1",
        "p1",
        "north",
        "t1",
    )


def test_an_appointment_of_a_group_is_one_for_each_patient():
    actors = [{"actor": {"reference": f"Patient/{name}"}, "status": "accepted"} for name in ("p1", "p2", "p1")]
    found = records(an_appointment(participant=actors))
    assert [record.visit.patient_id for record in found if isinstance(record, VisitRecord)] == ["p1", "p2"]


def test_an_appointment_and_an_encounter_of_the_same_id_are_two():
    rows = read(lines(an_encounter("1"), an_appointment("1")))
    assert [name for _, name in outline(rows)] == ["Encounter/1", "Appointment/1"]


# Cases and names.


@pytest.mark.parametrize("status", ["planned", "waitlist", "active", "onhold"])
def test_a_case_is_open_until_it_is_finished(status):
    assert case(status=status, period={"end": "2026-03-09"}).closed_at is None


@pytest.mark.parametrize("status", ["finished", "cancelled"])
def test_a_finished_or_cancelled_case_is_closed_when_its_period_ends(status):
    closed = case(status=status, period={"end": "2026-03-09T22:30:00-04:00"})
    assert (closed.closed_at, closed.has_time) == (datetime(2026, 3, 10, 2, 30, tzinfo=UTC), True)
    closed = case(status=status, period={"end": "2026-03-09"})
    assert (closed.closed_at, closed.has_time) == (datetime(2026, 3, 9, 4, tzinfo=UTC), False)


def test_a_closed_case_without_an_end_was_closed_when_it_was_last_changed():
    closed = case(status="finished", meta={"lastUpdated": "2026-03-09T23:15:00Z"})
    assert closed.closed_at == datetime(2026, 3, 9, 23, 15, tzinfo=UTC)
    assert refusal(a_case(status="finished"))[0] == "EpisodeOfCare.period.end"


def test_a_case_entered_in_error_is_removed():
    assert case(status="entered-in-error").removed


def test_names_stand_under_every_id():
    name = [{"family": "Emard19", "given": ["Irvin970"], "prefix": ["Dr."]}]
    identifiers = [{"system": NPI, "value": "999"}, {"system": "https://emr.example.com", "value": "t1"}]
    therapist = {"resourceType": "Practitioner", "id": "t1", "identifier": identifiers, "name": name}
    clinic = {"resourceType": "Location", "id": "north", "name": "North"}
    assert records(therapist) == (NameRecord(Named.THERAPIST, ("t1", "999"), "Dr. Irvin970 Emard19"),)
    assert records(clinic) == (NameRecord(Named.CLINIC, ("north",), "North"),)
    assert refusal({"resourceType": "Location", "id": "north"}) == ("Location.name", "is empty")


# References.


@pytest.mark.parametrize(
    "reference",
    [
        *("Patient/p1", "https://ehr.example.com/fhir/Patient/p1", "Patient/p1/_history/3"),
        *(
            "urn:uuid:0b98",
            "Patient?identifier=https://mrn|77",
            "Patient?identifier=https%3A%2F%2Fmrn%7C77",
            "Patient?identifier=77",
        ),
        "#p",
    ],
)
@pytest.mark.parametrize("is_before", [True, False])
def test_a_patient_of_the_same_bundle_is_found_however_referred_to(reference, is_before):
    mrn = {"system": "https://mrn", "value": "77"}
    whom = {"fullUrl": "urn:uuid:0b98", "resource": a_patient("p1", identifier=[mrn])}
    contained = [{"resourceType": "Patient", "id": "p", "identifier": [mrn]}]
    what = an_encounter(subject={"reference": reference}, contained=contained)
    rows = read(a_bundle(*((whom, what) if is_before else (what, whom))))
    found = [
        record.visit.patient_id
        for row in rows
        if isinstance(row, Row)
        for record in row.records
        if isinstance(record, VisitRecord)
    ]
    assert found == ["p1"]


@pytest.mark.parametrize(
    "subject",
    [
        *(
            "Patient?identifier=https://mrn|78",
            "urn:uuid:none",
            "#p9",
            "Group/g1",
            "Patient/",
            "p1",
            "Patient?name=Ada",
        ),
        *("Patient?identifier=both", "Group?identifier=77", "Patient?identifier="),
    ],
)
def test_a_patient_who_cannot_be_told_is_refused_rather_than_guessed(subject):
    two = [a_patient(name, identifier=[{"value": "both"}]) for name in ("p1", "p2")]
    *_, row = read(a_bundle(*two, an_encounter(subject={"reference": subject})))
    assert isinstance(row, Refusal)
    assert row.column == "Encounter.subject.reference"


def test_a_file_larger_than_memory_is_searched_for_the_patient_and_then_read_on():
    whom = {"fullUrl": "urn:uuid:0b98", "resource": a_patient("p1", text=LONG)}
    broken = {"fullUrl": "urn:uuid:0b97", "resource": a_patient("p0", text=LONG, identifier={"value": "77"})}
    what = an_encounter(subject={"reference": "urn:uuid:0b98"})
    others = (a_patient(f"p{number}", text=LONG) for number in (2, 3, 4))
    rows = read(a_bundle(what, broken, whom, *others, an_encounter("e2", subject={"reference": "urn:uuid:0b98"})))
    assert [name for _, name in outline(rows)] == ["Encounter/e1", "p0", "p1", "p2", "p3", "p4", "Encounter/e2"]


def test_a_name_in_a_bundle_means_nothing_in_another():
    def bundle(patient_id: str) -> Resource:
        whom = {"fullUrl": "urn:uuid:1", "resource": a_patient(patient_id)}
        return a_bundle(whom, an_encounter(f"e-{patient_id}", subject={"reference": "urn:uuid:1"}))

    rows = read(lines(bundle("p1"), bundle("p2")))
    visits = [
        record.visit
        for row in rows
        if isinstance(row, Row)
        for record in row.records
        if isinstance(record, VisitRecord)
    ]
    assert [(visit.visit_id, visit.patient_id) for visit in visits] == [
        ("Encounter/e-p1", "p1"),
        ("Encounter/e-p2", "p2"),
    ]


def test_a_new_resource_without_an_id_has_its_place_in_the_bundle_for_one():
    whom = {"fullUrl": "urn:uuid:0b98", "resource": a_patient("x") | {"id": None}}
    what = an_encounter(subject={"reference": "urn:uuid:0b98"})
    rows = read(a_bundle(whom, what, kind="transaction"))
    assert [name for _, name in outline(rows)] == ["0b98", "Encounter/e1"]
    assert isinstance(rows[1], Row)
    assert isinstance(rows[1].records[0], VisitRecord)
    assert rows[1].records[0].visit.patient_id == "0b98"


def test_therapists_clinics_and_cases_are_known_by_id_or_identifier():
    found = visit(
        an_encounter(
            participant=[{"individual": {"reference": f"Practitioner?identifier={NPI}|999", "display": "Dr. T"}}],
            location=[{"location": {"identifier": {"system": "https://places", "value": "north"}}}],
            episodeOfCare=[{"reference": "EpisodeOfCare?identifier=https://cases|c7"}],
        )
    )
    assert (found.therapist_id, found.therapist_name, found.clinic_id, found.case_id) == ("999", "Dr. T", "north", "c7")


def test_a_visit_whose_case_cannot_be_told_is_refused():
    assert refusal(an_encounter(episodeOfCare=[{"reference": "urn:uuid:none"}]))[0] == "Encounter.episodeOfCare"
    assert visit(an_encounter(episodeOfCare=[{"display": "Left knee"}])).case_id == ""


def test_a_case_referred_to_by_identifier_is_the_one_in_the_file():
    whole = a_case("c1", identifier=[{"system": "https://cases", "value": "c7"}])
    *_, row = read(
        a_bundle(whole, an_encounter(episodeOfCare=[{"reference": "EpisodeOfCare?identifier=https://cases|c7"}]))
    )
    assert isinstance(row, Row)
    assert isinstance(row.records[0], VisitRecord)
    assert row.records[0].visit.case_id == "c1"


# Deletions and histories.


def deletion(url: str, **members: Any) -> Resource:
    return {"request": {"method": "DELETE", "url": url}, **members}


def test_a_deleted_visit_or_case_is_removed_if_the_file_tells_whose_it_was():
    response = {"status": "204", "lastModified": "2026-03-04T08:00:00Z"}
    versions = (an_encounter("e1"), a_case("c1"))
    gone = (deletion("Encounter/e1", response=response), deletion("EpisodeOfCare/c1", response=response))
    rows = read(a_bundle(*gone, *versions, kind="history"))
    first, second = (row.records[0] for row in rows[:2] if isinstance(row, Row))
    assert isinstance(first, VisitRecord)
    assert isinstance(second, CaseRecord)
    assert (first.visit.patient_id, first.visit.visit_id, first.visit.removed) == ("p1", "Encounter/e1", True)
    assert first.visit.updated_at == datetime(2026, 3, 4, 8, tzinfo=UTC)
    assert {"started_at", "case_id", "clinic_id", "kind"} <= first.absent
    assert (second.case.patient_id, second.case.case_id, second.case.removed) == ("p1", "c1", True)


def test_a_deletion_that_brings_the_resource_along_removes_it():
    (row,) = read(a_bundle(deletion("Encounter/e1", resource=an_encounter("e1"))))
    assert isinstance(row, Row)
    assert isinstance(row.records[0], VisitRecord)
    assert row.records[0].visit.removed


@pytest.mark.parametrize(
    ("entry", "column"),
    [
        (deletion("Encounter/e9"), "request.url"),
        (deletion("Patient/p1"), "request.method"),
        (deletion("Patient/p1", resource=a_patient()), "request.method"),
        (deletion("Encounter?identifier=1"), "request.method"),
        ({"request": {"method": "GET", "url": "Patient/p1"}}, "resourceType"),
    ],
)
def test_other_requests_are_refused(entry, column):
    assert refusal(a_bundle(entry))[0] == column


def test_of_versions_without_a_date_the_first_in_a_history_counts():
    newest, oldest = an_encounter("e1", status="cancelled"), an_encounter("e1")
    rows = read(a_bundle(newest, an_encounter("e2"), oldest, kind="history"))
    assert [name for _, name in outline(rows)] == ["Encounter/e1", "Encounter/e2", "refused"]
    dated = [one | {"meta": {"lastUpdated": day}} for one, day in ((newest, "2026-03-03"), (oldest, "2026-03-02"))]
    assert [name for _, name in outline(read(a_bundle(*dated, kind="history")))] == ["Encounter/e1", "Encounter/e1"]


# Size.


class _Generated(io.BytesIO):
    """A file that is never in memory at once."""

    def __init__(self, pieces: Iterator[bytes], at_once: int) -> None:
        super().__init__()
        self._pieces, self._at_once = pieces, at_once

    def read(self, _size: int | None = -1) -> bytes:
        return b"".join(itertools.islice(self._pieces, self._at_once))


def memory_for(entries: Iterator[bytes], kind: str, count: int) -> tuple[int, int]:
    """What a Bundle of so many entries on one line takes: still held at the last entry, and at most."""
    first = b'{"resourceType":"Bundle","type":"%s","entry":[' % kind.encode() + next(entries)
    pieces = itertools.chain([first], (b"," + entry for entry in entries), [b"]}"])
    tracemalloc.start()
    reading = fhir.read(_Generated(pieces, 500), b'{"resourceType"', Context(zone_of))
    assert reading
    assert sum(isinstance(row, Row) for row in itertools.islice(reading.rows, count)) == count
    held, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not list(reading.rows)
    return held, most


def test_memory_does_not_grow_with_a_bundle_on_one_line():
    def peak(count: int) -> int:
        entry = json.dumps({"resource": an_encounter()}).encode()
        return memory_for(itertools.repeat(entry, count), "collection", count)[1]

    assert peak(6_000) < 1.2 * peak(3_000)


def test_memory_does_not_grow_with_a_history_without_dates():
    def held(count: int) -> int:
        ids = (f"e{number}" for number in range(count))
        return memory_for((json.dumps({"resource": an_encounter(one)}).encode() for one in ids), "history", count)[0]

    assert held(6_000) < 1.5 * held(3_000)

"""The intake's door: whatever a file holds, every record is stored or refused, and no reason repeats what it held."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.handlers import exports
from tests.handlers.exports import Bucket
from tests.hostile import strings
from tests.hostile.test_loop import FORMULA

pytestmark = pytest.mark.usefixtures("aws")
TEXTS = (*strings.ALL[::4], *strings.CONTROLS, *strings.FORMULAS, *strings.LONG, "x" * 5000)
HALVES = ("\ud800", "a\udfffb", "\udc00\ud800", "\ud83d")
"""Halves of a character, which JSON can write and nothing else can hold."""

PATIENT = {
    "patient_id": "p1",
    "first_name": "Ada",
    "last_name": "Okafor",
    "email": "ada@example.com",
    "clinic_id": "north",
    "phone": "5185550123",
    "language": "en",
    "status": "active",
    "email_opt_out": "",
    "tags": "knee",
    "updated_at": "2026-03-01T10:00:00Z",
}
VISIT = {
    "visit_id": "v1",
    "patient_id": "p1",
    "case_id": "c1",
    "clinic_id": "north",
    "clinic_name": "North",
    "therapist_id": "t1",
    "therapist_name": "Grace Lee",
    "started_at": "2026-03-02T12:00",
    "ended_at": "2026-03-02T13:00",
    "kind": "evaluation",
    "status": "completed",
    "removed": "",
    "updated_at": "2026-03-02T14:00:00Z",
}
CLINIC = {
    "clinic_id": "north",
    "name": "North",
    "time_zone": "America/New_York",
    "phone": "5185550123",
    "admin_emails": "boss@example.com",
    "review_links": "https://g.page/r/x",
    "send_from": "08:00",
    "send_until": "20:00",
    "send_days": "Mon-Sat",
}
CHARGE = {
    "record_id": "1",
    "patient_id": "p1",
    "case_id": "c1",
    "clinic_id": "north",
    "visit_date": "2026-03-02",
    "note_finalized_date": "2026-03-02",
    "note_type": "IE",
    "visit_id": "7",
    "therapist_id": "t1",
    "modified_date": "2026-03-02",
    "export_flag": "1",
}
FHIR_PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "id": "p1",
    "meta": {"lastUpdated": "2026-03-01T10:00:00Z"},
    "identifier": [{"system": "urn:mrn", "value": "p1"}],
    "active": True,
    "name": [{"use": "official", "family": "Okafor", "given": ["Ada"]}],
    "telecom": [{"system": "email", "value": "ada@example.com"}, {"system": "phone", "value": "5185550123"}],
    "communication": [{"language": {"coding": [{"code": "es"}]}, "preferred": True}],
    "managingOrganization": {"reference": "Organization/north", "display": "North"},
    "link": [{"other": {"reference": "Patient/p2"}, "type": "seealso"}],
}
FHIR_ENCOUNTER: dict[str, Any] = {
    "resourceType": "Encounter",
    "id": "e1",
    "status": "finished",
    "class": {"code": "AMB"},
    "type": [{"coding": [{"system": "urn:x", "code": "eval"}], "text": "Evaluation"}],
    "subject": {"reference": "Patient/p1"},
    "episodeOfCare": [{"reference": "EpisodeOfCare/c1"}],
    "participant": [{"individual": {"reference": "Practitioner/t1", "display": "Grace Lee"}}],
    "period": {"start": "2026-03-02T12:00:00Z", "end": "2026-03-02T13:00:00Z"},
    "location": [{"location": {"reference": "Location/north", "display": "North"}}],
    "serviceProvider": {"reference": "Organization/north"},
}
HL7 = (
    "MSH|^~\\&|EMR|NORTH|CARELOOP||20260302140000||ADT^A04|1|P|2.5.1",
    "EVN|A04|20260302140000",
    "PID|1||p1^^^NORTH^MR||Okafor^Ada||19700101|F|||||5185550123^NET^Internet^ada@example.com||es",
    "PV1|1|O|north^^^NORTH||||t1^Lee^Grace|||||||||||v1|||||||||||||||||||||||||20260302120000|20260302130000",
)


@dataclass
class Sent:
    """What came of a file."""

    report: dict[str, Any]
    rejected: bytes
    reasons: bytes
    log: str


def send(content: bytes, key: str = "incoming/file.csv") -> Sent:
    bucket, log = Bucket(), StringIO()
    exports.upload(bucket, key, content)
    with redirect_stdout(log), redirect_stderr(log):
        report = exports.run(bucket, key)
    name = key.removeprefix("incoming/")
    kept = {place: bucket.read(place) for place in bucket.listed()}
    return Sent(
        report, kept.get(f"rejected/{name}", b""), kept.get(f"rejected/{name}.reasons.csv", b""), log.getvalue()
    )


def is_told_of_nowhere(sent: Sent, texts: tuple[str, ...]) -> None:
    """Neither reasons nor logs say what a record held."""
    told = [json.dumps(sent.report, ensure_ascii=False), sent.reasons.decode(), sent.log]
    for text in texts:
        if len(text.strip()) > 7 and text.isprintable():
            assert not any(text in each or json.dumps(text)[1:-1] in each for each in told), text


def no_reason_is_a_formula(sent: Sent) -> None:
    for file in (sent.rejected, sent.reasons):
        if (file and sent.report["kind"] in ("patients", "visits", "clinics")) or file is sent.reasons:
            for row in csv.reader(StringIO(file.decode("utf-8", "replace").replace("\0", ""), newline="")):
                assert not row or not FORMULA.match(row[-1]), row[-1]


TABLES = {"patients": PATIENT, "visits": VISIT, "clinics": CLINIC, "charges": CHARGE}


@pytest.mark.parametrize("kind", TABLES)
def test_every_cell_may_hold_anything(kind: str) -> None:
    row, file = TABLES[kind], StringIO()
    writer = csv.DictWriter(file, list(row), lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writeheader()
    rows = [{**row, column: text} for column in row for text in TEXTS]
    writer.writerows(rows)
    folder = "settings" if kind == "clinics" else "incoming"
    sent = send(file.getvalue().encode(), f"{folder}/file.csv")
    assert sent.report["rows"] == len(rows)
    assert sent.report["refused"] > 0
    assert sent.report["status"] == "partial"
    if kind != "clinics":  # of which the practice is told what it wrote
        is_told_of_nowhere(sent, TEXTS)
    no_reason_is_a_formula(sent)


@pytest.mark.parametrize("resource", [FHIR_PATIENT, FHIR_ENCOUNTER], ids=["Patient", "Encounter"])
def test_every_value_of_a_resource_may_be_anything(resource: dict[str, Any]) -> None:
    odd: list[Any] = [*TEXTS[::3], *HALVES, None, [], {}, [[]], 0, -1, 1e308, True, {"value": []}, "p1"]
    lines = [
        json.dumps(changed) for place in places(resource) for text in odd for changed in [put(resource, place, text)]
    ]
    sent = send("\n".join(lines).encode(), "incoming/file.ndjson")
    assert sent.report["rows"] == len(lines)
    is_told_of_nowhere(sent, TEXTS)
    no_reason_is_a_formula(sent)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a nested value but the kind of the resource."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in pairs:
        if name != "resourceType":
            yield (*path, name)
            yield from places(inner, (*path, name))


def put(value: Any, path: tuple[Any, ...], what: Any) -> Any:
    if not path:
        return what
    name, *rest = path
    if isinstance(value, list):
        return [put(each, tuple(rest), what) if number == name else each for number, each in enumerate(value)]
    return {**value, name: put(value[name], tuple(rest), what)}


@pytest.mark.parametrize("segment", range(len(HL7)), ids=["MSH", "EVN", "PID", "PV1"])
def test_every_field_of_a_message_may_hold_anything(segment: int) -> None:
    messages = []
    for text in TEXTS[::2]:
        fields = HL7[segment].split("|")
        for number in range(2 if segment == 0 else 1, len(fields)):
            changed = "|".join([*fields[:number], text.replace("\r", " ").replace("\n", " "), *fields[number + 1 :]])
            messages.append("\r".join([*HL7[:segment], changed, *HL7[segment + 1 :]]))
    sent = send(("\r".join(messages) + "\r").encode(), "incoming/file.hl7")
    assert sent.report["kind"] == "hl7"
    assert sent.report["rows"] >= len(messages)
    is_told_of_nowhere(sent, TEXTS)
    no_reason_is_a_formula(sent)


@pytest.mark.parametrize(
    "encode",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-16-le"),
        lambda text: text.encode("utf-32"),
        lambda text: text.encode("utf-7"),
        lambda text: text.encode("cp037"),
        lambda text: text.encode("utf-8-sig"),
        lambda text: b"\xef\xbb\xbf\xef\xbb\xbf" + text.encode(),
        lambda text: text.encode("cp1252", "replace"),
        lambda text: text.encode().replace(b"Ada", b"\xff\xfe\xc3\x28"),
        lambda text: text.encode().replace(b"Ada", b"\xed\xa0\x80"),
        lambda text: text.encode()[:-9],
        lambda text: text.encode().replace(b"\n", b"\r"),
        lambda text: b"PK\x03\x04" + text.encode(),
        lambda text: text.encode().replace(b",", b"\x00,"),
        lambda text: text.encode() + b"\x1a" * 10,
        lambda text: text.encode().replace(b",", b";"),
        lambda text: b'"' + text.encode(),
    ],
)
def test_a_file_in_any_writing_gets_a_report(encode: Callable[[str], bytes]) -> None:
    text = "\n".join(
        [",".join(PATIENT), ",".join(PATIENT.values()), ",".join({**PATIENT, "patient_id": "p2"}.values())]
    )
    report = send(encode(text + "\n")).report
    assert report["status"] in ("accepted", "partial", "refused")
    assert report["status"] == "accepted" or report["errors"]


HEADS = (
    b"patient_id,first_name,last_name,email,clinic_id\n",
    b"visit_id,patient_id,case_id,clinic_id,started_at,kind,status\n",
    b'{"resourceType":"Patient",',
    b'{"resourceType":"Bundle","entry":[',
    b"MSH|^~\\&|",
    b"FHS|^~\\&|",
    b"record_id,patient_id,case_id,clinic_id,visit_date,note_finalized_date,note_type\n",
    b"",
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None)
@given(
    head=st.sampled_from(HEADS),
    rest=st.binary(max_size=400) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
@example(head=HEADS[2], rest=b'"id":"\\ud800"}')
@example(head=HEADS[3], rest=b"[" * 100_000)
@example(head=b"", rest=b"[" * 100_000)
@example(head=HEADS[2], rest=b'"id":' + b"9" * 10_000 + b"}")
def test_no_file_is_a_failure_of_ours(head: bytes, rest: bytes) -> None:
    report = send(head + rest).report
    assert report["status"] in ("accepted", "partial", "refused")
    assert report["status"] != "refused" or report["errors"]


NAMES = (
    *("a b+c%20d.csv", "\u00f1\u674e.csv", "<script>.csv", "=1+1.csv", "a;b&c=d?e#f.csv", "'\";--.csv", "%00.csv"),
    *("..%2f..%2fsettings/x.csv", "deep/er/file.csv", "reports/x.csv", "incoming/x.csv", "settings/x.csv", "x" * 900),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_any_name_gets_its_report_beside_it(name: str) -> None:
    text = "\n".join([",".join(PATIENT), ",".join(PATIENT.values()), "only one cell"])
    bucket, log = Bucket(), StringIO()
    exports.upload(bucket, f"incoming/{name}", text)
    with redirect_stdout(log):
        exports.Function(bucket)(exports.event(f"incoming/{name}"))
    written = set(bucket.listed()) - {f"incoming/{name}"}
    stem = f"incoming/{name}" if name.startswith(("incoming/", "settings/", "preview/")) else name
    assert written == {f"reports/{stem}.json", f"rejected/{stem}"}
    assert name not in log.getvalue()

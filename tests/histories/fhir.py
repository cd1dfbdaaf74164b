"""The practice's history as FHIR R4: NDJSON as of a bulk export, or Bundles.

It has no standard place for a wish for no mail, and resources of type Appointment name no case. Several versions of a
resource tell what was known when; `meta.lastUpdated` says which is the last. Therapists and clinics are referred to by
id or conditionally, by the same number.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from shared.domain.intake import RuleChange
from tests.histories.history import (
    Appointment,
    Clinic,
    Closing,
    Course,
    Fate,
    Note,
    Person,
    Practice,
    Story,
    Therapist,
)
from tests.histories.writing import Format, Said, at_any_offset, changed, with_days_of_visits, without_notes

VISIT_TYPES = "https://emr.riverside.example.com/visit-types"
CODES = {Note.EVALUATION: "IE", Note.TREATMENT: "FU", Note.DISCHARGE: "DC"}
NPI, PLACES = "http://hl7.org/fhir/sid/us-npi", "https://emr.riverside.example.com/places"
SERVER = "https://emr.riverside.example.com/fhir"
Resource = dict[str, Any]


def of_practice(clinics: Sequence[Clinic], therapists: Sequence[Therapist], _manner: Random) -> Iterator[Said]:
    """Locations and practitioners."""
    for clinic in clinics:
        yield (
            "Location",
            {
                "resourceType": "Location",
                "id": clinic.clinic_id,
                "identifier": [{"system": PLACES, "value": clinic.clinic_id}],
                "status": "active",
                "name": clinic.name,
            },
        )
    for therapist in therapists:
        yield (
            "Practitioner",
            {
                "resourceType": "Practitioner",
                "id": therapist.therapist_id,
                "identifier": [{"system": NPI, "value": therapist.therapist_id}],
                "active": True,
                "name": [{"family": therapist.family, "given": [therapist.given], "suffix": ["PT", "DPT"]}],
            },
        )


def of_story_by_days(story: Story, manner: Random) -> Iterator[Said]:
    """The same without appointments, and of encounters the day alone."""
    days = {visit.visit_id: visit.day.isoformat() for course in story.courses for visit in course.appointments}
    for table, resource in of_story(story, manner):
        if table == "Encounter":
            day = days[resource["id"]]
            yield table, {**resource, "period": {"start": day, "end": day}}
        elif table != "Appointment":
            yield table, resource


def of_story(story: Story, manner: Random) -> Iterator[Said]:
    """The patient, both if there were two, and every version of each case, encounter and appointment."""
    yield "Patient", _patient(story.person, story, manner)
    if story.retired:
        yield "Patient", _patient(story.retired, story, manner)
    for course in story.courses:
        patient = story.recorded_under(course)
        for case in _episode_of_care(course, patient, manner):
            yield "EpisodeOfCare", case
        for visit in course.appointments:
            for encounter in _encounter(visit, course, patient, manner):
                yield "Encounter", encounter
            yield "Appointment", _appointment(visit, patient, manner)


def _patient(person: Person, story: Story, manner: Random) -> Resource:
    is_retired = person is story.retired
    other = story.person if is_retired else story.retired
    names = [{"use": "official", "family": person.family, "given": list(person.given), "prefix": ["Mx."]}]
    if manner.random() < 0.5:
        names.append({"use": "maiden", "family": "Before", "given": list(person.given)})
    telecom: list[Resource] = [{"system": "phone", "value": "518-555-0100", "use": "mobile"}]
    if person.email:
        telecom += [
            {"system": "email", "value": person.email, "use": "home", "rank": 1},
            {"system": "email", "value": "second@example.net", "use": "work", "rank": 2},
            {"system": "email", "value": "former@example.net", "use": "old"},
            {"system": "email", "value": "lapsed@example.net", "rank": 1, "period": {"end": "2019-12-31"}},
        ]
    manner.shuffle(names)
    manner.shuffle(telecom)
    resource: Resource = {
        "resourceType": "Patient",
        "id": person.patient_id,
        "active": not (person.archived or is_retired),
        "name": names,
        "telecom": telecom,
        "communication": [{"language": {"coding": [_coding("urn:ietf:bcp:47", person.language)]}, "preferred": True}],
        "managingOrganization": {"reference": f"Organization/{person.clinic.clinic_id}"},
    }
    if person.deceased:
        resource |= manner.choice(({"deceasedBoolean": True}, {"deceasedDateTime": "2026-12-30"}))
    if other:
        kind = "replaced-by" if is_retired else "replaces"
        resource["link"] = [{"other": {"reference": f"Patient/{other.patient_id}"}, "type": kind}]
    return resource


def _episode_of_care(course: Course, patient: Person, manner: Random) -> Iterator[Resource]:
    resource: Resource = {
        "resourceType": "EpisodeOfCare",
        "id": course.case_id,
        "status": "active",
        "patient": _patient_reference(patient, manner),
        "period": {"start": _date_time(course.opened, manner)},
    }
    yield _version(resource, course.opened, manner)
    if closing := course.closing:
        period = resource["period"] | {"end": _closing_moment(closing, manner)}
        yield _version({**resource, "status": "finished", "period": period}, closing.recorded, manner)
        if closing.undone:
            yield _version(resource, closing.reopened, manner)


def _closing_moment(closing: Closing, manner: Random) -> str:
    return _date_time(closing.moment, manner) if closing.has_time else closing.moment.date().isoformat()


def _encounter(visit: Appointment, course: Course, patient: Person, manner: Random) -> Iterator[Resource]:
    resource: Resource = {
        "resourceType": "Encounter",
        "id": visit.visit_id,
        "class": _coding("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB"),
        "type": [{"coding": [_coding(VISIT_TYPES, CODES[visit.note])], "text": "Chemotherapy (a word, not a code)"}],
        "subject": _patient_reference(patient, manner),
        "episodeOfCare": [{"reference": f"EpisodeOfCare/{course.case_id}"}],
        "participant": [{"individual": _therapist(visit, manner)}],
        "location": [{"location": _place(visit, manner)}],
        "period": {"start": _date_time(visit.start, manner), "end": _date_time(visit.end, manner)},
    }
    yield _version({**resource, "status": "planned"}, visit.booked, manner)
    match visit.fate:
        case Fate.COMPLETED:
            yield _version({**resource, "status": "finished"}, visit.recorded, manner)
        case Fate.CANCELLED | Fate.NO_SHOW:
            yield _version({**resource, "status": "cancelled"}, visit.recorded, manner)
        case Fate.MISTAKEN:
            yield _version({**resource, "status": "finished"}, visit.recorded, manner)
            yield _version({**resource, "status": "entered-in-error"}, visit.corrected, manner)


_APPOINTMENT_STATUS = {
    Fate.COMPLETED: "fulfilled",
    Fate.CANCELLED: "cancelled",
    Fate.NO_SHOW: "noshow",
    Fate.SCHEDULED: "booked",
    Fate.MISTAKEN: "entered-in-error",
}


def _appointment(visit: Appointment, patient: Person, manner: Random) -> Resource:
    actors = (
        _patient_reference(patient, manner),
        _therapist(visit, manner),
        _place(visit, manner),
    )
    resource: Resource = {
        "resourceType": "Appointment",
        "id": f"a{visit.visit_id}",
        "status": _APPOINTMENT_STATUS[visit.fate],
        "start": _date_time(visit.start, manner),
        "end": _date_time(visit.end, manner),
        "participant": [{"actor": actor, "status": "accepted"} for actor in actors],
    }
    return _version(resource, visit.recorded, manner)


def _version(resource: Resource, known: datetime, manner: Random) -> Resource:
    return {**resource, "meta": {"lastUpdated": _date_time(known, manner)}}


def _date_time(moment: datetime, manner: Random) -> str:
    return at_any_offset(moment, manner).isoformat(timespec=manner.choice(("seconds", "milliseconds")))


def _therapist(visit: Appointment, manner: Random) -> Resource:
    therapist = visit.therapist
    name = f"{therapist.given} {therapist.family}"
    return _reference("Practitioner", NPI, therapist.therapist_id, name, manner)


def _place(visit: Appointment, manner: Random) -> Resource:
    return _reference("Location", PLACES, visit.clinic.clinic_id, visit.clinic.name, manner)


def _reference(kind: str, system: str, number: str, name: str, manner: Random) -> Resource:
    path = manner.choice((f"{kind}/{number}", f"{kind}?identifier={system}|{number}"))
    return {"reference": path, "display": name}


def _patient_reference(patient: Person, manner: Random) -> Resource:
    return {"reference": manner.choice(("", "", f"{SERVER}/")) + f"Patient/{patient.patient_id}"}


def _coding(system: str, code: str) -> Resource:
    return {"system": system, "code": code}


def sayable(practice: Practice) -> Practice:
    """The truth without who wishes no mail. A case names no clinic: the day of its closing is the practice's."""

    def at_the_practice(_: Story, course: Course) -> Course:
        if course.closing is None or course.closing.has_time:
            return course
        moment = course.closing.moment.replace(tzinfo=practice.clinics[0].zone)
        return replace(course, closing=replace(course.closing, moment=moment))

    stories = tuple(replace(story, person=replace(story.person, opted_out=False)) for story in practice.stories)
    return changed(replace(practice, stories=stories), at_the_practice)


def encode_lines(_table: str, rows: Iterable[Resource], manner: Random) -> Iterator[bytes]:
    """One resource a line."""
    line_end = manner.choice((b"\n", b"\r\n"))
    is_ascii = manner.random() < 0.5
    for resource in rows:
        yield json.dumps(resource, ensure_ascii=is_ascii).encode() + line_end


def encode_bundle(_table: str, rows: Iterable[Resource], manner: Random) -> Iterator[bytes]:
    """One Bundle, on one line or on many."""
    indent = manner.choice((None, 1, 2))
    opening, ending = ('{"resourceType": "Bundle", "type": "collection", "entry": [', "]}")
    yield opening.encode()
    for before, resource in zip(itertools.chain(("",), itertools.repeat(",")), rows, strict=False):
        address = f"{SERVER}/{resource['resourceType']}/{resource['id']}"
        entry = {"fullUrl": address, "resource": resource}
        yield f"{before}\n{json.dumps(entry, indent=indent)}".encode()
    yield f"\n{ending}\n".encode()


def sayable_by_days(practice: Practice) -> Practice:
    """The truth with visits by their day."""
    return with_days_of_visits(sayable(practice))


def sayable_unmapped(practice: Practice) -> Practice:
    """Without a word on what the types of encounters mean, the first of a case is its evaluation."""
    return without_notes(sayable(practice), Note.EVALUATION)


_TABLES = ("Encounter", "Patient", "EpisodeOfCare", "Appointment", "Practitioner", "Location")
_MAPPED = (
    RuleChange("fhir", "evaluation_types", f"{VISIT_TYPES}|{CODES[Note.EVALUATION]}"),
    RuleChange("fhir", "discharge_types", f"{VISIT_TYPES}|{CODES[Note.DISCHARGE]}"),
)

NDJSON = Format("fhir", _TABLES, of_practice, of_story, encode_lines, sayable, _MAPPED, "ndjson")
BUNDLES = replace(NDJSON, name="fhir-bundle", encode=encode_bundle, extension="json")
BY_DAYS = replace(NDJSON, name="fhir-days", of_story=of_story_by_days, sayable=sayable_by_days)
UNMAPPED = replace(NDJSON, name="fhir-unmapped", sayable=sayable_unmapped, choices=())

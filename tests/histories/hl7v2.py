"""The practice's history as HL7 v2.5.1 messages, batched or one a file.

Each thing is said when it happens: A28 a new patient, A31 a changed one, S12 a booking, S15 a cancellation, S26 a
no-show, A04 an arrival, A08 the end of the visit, A11 that it never happened (or the schedule says so: S14, S17, or
both do), A03 the closing of the case, A13 that it is open again, A40 that two records are one patient. There is no
standard place for an archived patient. The case is the account in PID-18.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from random import Random
from typing import Any

from shared.domain.intake import RuleChange
from tests.histories.history import Appointment, Clinic, Course, Fate, Note, Person, Practice, Story, Therapist
from tests.histories.writing import Format, Said, at_any_offset, without_notes

CODES = {Note.EVALUATION: "IE", Note.TREATMENT: "FU", Note.DISCHARGE: "DC"}
_ESCAPES = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_STRUCTURES = {
    "A03": "ADT_A03",
    "A04": "ADT_A01",
    "A08": "ADT_A01",
    "A11": "ADT_A09",
    "A13": "ADT_A01",
    "A28": "ADT_A05",
    "A31": "ADT_A05",
    "A40": "ADT_A39",
    "S12": "SIU_S12",
    "S14": "SIU_S12",
    "S15": "SIU_S12",
    "S17": "SIU_S12",
    "S26": "SIU_S12",
}
Segments = list[str]


def of_practice(_clinics: Sequence[Clinic], _therapists: Sequence[Therapist], _manner: Random) -> Iterator[Said]:
    """Nothing: the messages name clinics and therapists themselves."""
    return iter(())


def of_story_in_whole(story: Story, manner: Random) -> Iterator[Said]:
    """The same by a system that tells of an arrival when the visit is over, and so all of it in one message."""
    return of_story(story, manner, has_updates=False)


def of_story(story: Story, manner: Random, has_updates: bool = True) -> Iterator[Said]:
    """Every message about the patient, in the order in which they were sent."""
    sent = sorted(_sent(story, manner, has_updates), key=lambda one: one[0])
    for number, (_, trigger, segments) in enumerate(sent, start=1):
        kind = "SIU" if trigger.startswith("S") else "ADT"
        header = _segment(
            *("MSH", "^~\\&", "EMR", "RIVERSIDE", "CARELOOP", "", segments[0], ""),
            *(f"{kind}^{trigger}^{_STRUCTURES[trigger]}", f"{story.person.patient_id}-{number}", "P", "2.5.1"),
            *("", "", "", "", "", "UNICODE UTF-8"),
        )
        event = [_segment("EVN", manner.choice(("", trigger, "A01")), segments[0])] if kind == "ADT" else []
        yield "messages", [header, *event, *segments[1:]]


def _sent(story: Story, manner: Random, has_updates: bool) -> Iterator[tuple[datetime, str, Segments]]:
    for person in filter(None, (story.retired, story.person)):
        known = min(course.opened for course in story.courses)
        wish = [_numbered("PD1", {11: "01^No reminder, no recall^HL70215"})] if person.opted_out else []
        for moment, trigger, told in (
            (known, "A28", replace(person, email="")),
            (known.replace(minute=59), "A31", person),
        ):
            yield moment, trigger, [_at(moment), _pid(told, ""), *wish, _segment("PV1", "1", "N")]
    for course in story.courses:
        patient = story.recorded_under(course)
        for visit in course.appointments:
            yield from _of_visit(visit, course, patient, manner, has_updates)
        if closing := course.closing:
            last = replace(max(course.appointments, key=lambda visit: visit.start), clinic=story.person.clinic)
            closed = _moment(closing.moment, manner) if closing.has_time else f"{closing.moment:%Y%m%d}"
            pid = _pid(patient, course.case_id)
            yield closing.recorded, "A03", [_at(closing.recorded), pid, _pv1(last, ended=closed)]
            if closing.undone:
                yield closing.reopened, "A13", [_at(closing.reopened), pid, _pv1(last)]
    if story.retired:
        merge = _segment("MRG", _patient_id(story.retired))
        yield story.merged, "A40", [_at(story.merged), _pid(story.person, ""), merge]


def _of_visit(
    visit: Appointment, course: Course, patient: Person, manner: Random, has_updates: bool
) -> Iterator[tuple[datetime, str, Segments]]:
    pid = _pid(patient, course.case_id)
    arrived, left = [_moment(visit.start, manner)], [_moment(visit.start, manner), _moment(visit.end, manner)]
    yield visit.booked, "S12", [_at(visit.booked), *_schedule(visit, pid, "Booked", manner)]
    if visit.fate is Fate.CANCELLED:
        yield visit.recorded, "S15", [_at(visit.recorded), *_schedule(visit, pid, "Cancelled", manner)]
    if visit.fate is Fate.NO_SHOW:
        yield visit.recorded, "S26", [_at(visit.recorded), *_schedule(visit, pid, "Noshow", manner)]
    if visit.fate not in (Fate.COMPLETED, Fate.MISTAKEN):
        return
    by_registration, by_schedule = manner.choice(((True, False), (False, True), (True, True)))
    if by_registration:
        if has_updates:
            yield visit.start, "A04", [_at(visit.start), pid, _pv1(visit, visit.visit_id, *arrived)]
        trigger = "A08" if has_updates else "A04"
        yield visit.recorded, trigger, [_at(visit.recorded), pid, _pv1(visit, visit.visit_id, *left)]
        if visit.fate is Fate.MISTAKEN:
            yield visit.corrected, "A11", [_at(visit.corrected), pid, _pv1(visit, visit.visit_id, *left)]
    if by_schedule:
        yield visit.recorded, "S14", [_at(visit.recorded), *_schedule(visit, pid, "Complete", manner)]
        if visit.fate is Fate.MISTAKEN:
            yield (
                visit.corrected,
                "S17",
                [_at(visit.corrected), *_schedule(visit, pid, manner.choice(("Deleted", "")), manner)],
            )


def _schedule(visit: Appointment, pid: str, status: str, manner: Random) -> Segments:
    start = _moment(visit.start, manner)
    cells = {
        1: visit.visit_id,
        2: visit.visit_id,
        6: "OFFICE^Office visit",
        8: CODES[visit.note],
        9: visit.minutes,
        10: "min",
        11: f"^^{visit.minutes}^{start}^{_moment(visit.end, manner)}",
        16: _who(visit),
        20: "900^Desk^Front",
        25: status,
    }
    return [
        _numbered("SCH", cells),
        pid,
        _pv1(visit, visit.visit_id),
        _segment("RGS", "1", "A"),
        _segment("AIL", "1", "A", _where(visit), "", "", start, "", "", str(visit.minutes), "min"),
        _segment("AIP", "1", "A", _who(visit), "", "", start, "", "", str(visit.minutes), "min"),
    ]


def _pv1(visit: Appointment, number: str = "", started: str = "", ended: str = "") -> str:
    cells = {1: "1", 2: "O", 3: _where(visit), 7: _who(visit), 44: started, 45: ended}
    if number:
        cells |= {4: CODES[visit.note], 19: number}
    return _numbered("PV1", cells)


def _pid(person: Person, case_id: str) -> str:
    telecom = ["^PRN^PH^^1^518^5550100"]
    if person.email:
        telecom.append(f"^NET^Internet^{_text(person.email)}")
    cells = {
        1: "1",
        3: f"{_patient_id(person)}~900-12-3456^^^SSA^SS",
        5: f"{_text(person.family)}^{'^'.join(map(_text, person.given))}",
        11: "12 River Road@Mill^^Albany^NY^12207",
        13: "~".join(telecom),
        15: f"{person.language}^^HL70296",
        18: case_id,
        30: "Y" if person.deceased else "N",
    }
    return _numbered("PID", cells)


def _patient_id(person: Person) -> str:
    return f"{person.patient_id}^^^RIVERSIDE^MR"


def _where(visit: Appointment) -> str:
    return f"^^^{visit.clinic.clinic_id}^^^^^{_text(visit.clinic.name)}"


def _who(visit: Appointment) -> str:
    therapist = visit.therapist
    return f"{therapist.therapist_id}^{_text(therapist.family)}^{_text(therapist.given)}"


def _text(words: str) -> str:
    return words.translate(_ESCAPES)


def _at(moment: datetime) -> str:
    return f"{moment:%Y%m%d%H%M%S%z}"


def _moment(moment: datetime, manner: Random) -> str:
    if manner.random() < 0.5:
        return f"{moment:%Y%m%d%H%M}"  # on the clinic's clock
    return _at(at_any_offset(moment, manner))


def _numbered(name: str, cells: dict[int, Any]) -> str:
    return _segment(name, *(str(cells.get(place, "")) for place in range(1, max(cells) + 1)))


def _segment(*cells: str) -> str:
    return "|".join(cells).rstrip("|")


def sayable(practice: Practice) -> Practice:
    """All of the truth but who is archived."""
    stories = (replace(story, person=replace(story.person, archived=False)) for story in practice.stories)
    return replace(practice, stories=tuple(stories))


def encode(_table: str, rows: Iterable[Segments], manner: Random) -> Iterator[bytes]:
    """Messages after one another, with or without the envelope of a batch."""
    line_end = manner.choice(("\r", "\n", "\r\n"))
    mark = manner.choice((b"", b"\xef\xbb\xbf"))
    is_batch = manner.random() < 0.5
    sent = 0
    yield mark
    if is_batch:
        yield f"FHS|^~\\&|EMR|RIVERSIDE{line_end}BHS|^~\\&|EMR|RIVERSIDE{line_end}".encode()
    for sent, segments in enumerate(rows, start=1):  # noqa: B007 (the last number is the batch's count)
        yield "".join(f"{segment}{line_end}" for segment in segments).encode()
    if is_batch:
        yield f"BTS|{sent}{line_end}FTS|1{line_end}".encode()


def sayable_unmapped(practice: Practice) -> Practice:
    """Without a word on what the codes of visits mean, no visit is known as an evaluation or discharge."""
    return without_notes(sayable(practice), Note.TREATMENT)


_MAPPED = (
    RuleChange("hl7", "evaluation_types", CODES[Note.EVALUATION]),
    RuleChange("hl7", "discharge_types", CODES[Note.DISCHARGE]),
)

FORMAT = Format(*("hl7", ("messages",), of_practice, of_story, encode, sayable, _MAPPED, "hl7"), one_by_one=True)
WHOLE = replace(FORMAT, name="hl7-whole", of_story=of_story_in_whole)
UNMAPPED = replace(FORMAT, name="hl7-unmapped", sayable=sayable_unmapped, choices=())

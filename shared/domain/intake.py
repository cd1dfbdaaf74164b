"""The practice's choices of how its EMR's exports are read: which codes and columns mean what."""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from shared.domain.episode import VisitKind

MAX_CODES, MAX_CODES_LENGTH = 100, 4000
MAX_LENGTH = 200  # characters of a code or a column's name

INCOMING, SETTINGS, PREVIEW, UNFINISHED = "incoming/", "settings/", "preview/", "unfinished/"
"""Where exports, settings and files to look at are put, and where an import notes how far it is."""

REPORTS, REJECTED, ERASED = "reports/", "rejected/", "erased/"
"""Where reports and refused rows are put; and one object for each patient who must not come back."""


READ = (INCOMING, SETTINGS, PREVIEW)
FOLDERS = (*READ, UNFINISHED, REPORTS, REJECTED, ERASED)
"""What is read of the bucket, and all that it holds unless somebody puts a file where none belongs."""

ELSEWHERE = "elsewhere/"
"""Stands for every other place: whoever made it may have named it after a patient."""


def name_of(key: str) -> str:
    """The name under which the reports on an uploaded file stand; no two files have the same."""
    if not key.startswith(FOLDERS):
        return ELSEWHERE + key
    within = key.removeprefix(INCOMING)
    return key if within.startswith((*READ, ELSEWHERE)) else within


def folder_of(key: str) -> str:
    """The folder of the bucket, without its slash; `elsewhere` for all that are none of ours."""
    return next((folder for folder in FOLDERS if key.startswith(folder)), ELSEWHERE).rstrip("/")


@dataclass(frozen=True, slots=True)
class Marks:
    """Codes that mean an evaluation and codes that mean a discharge; compared without regard to case and commas."""

    evaluation: frozenset[str] = frozenset()
    discharge: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "evaluation", frozenset(map(_plain, self.evaluation)))
        object.__setattr__(self, "discharge", frozenset(map(_plain, self.discharge)))


def kind_of(codes: Iterable[str], marks: Marks) -> VisitKind:
    """What the codes of one visit say it was for, each compared whole and without regard to case.

    An evaluation wins over a discharge: it begins a course of care, and one that is missed joins two of them. Without
    any code, or as long as no code is known to mean an evaluation, the records do not say.
    """
    said = {_plain(code) for code in codes} - {""}
    if said & marks.evaluation:
        return VisitKind.EVALUATION
    if said & marks.discharge:
        return VisitKind.DISCHARGE
    return VisitKind.TREATMENT if said and marks.evaluation else VisitKind.UNSTATED


def _plain(code: str) -> str:
    return " ".join(code.replace(",", " ").split()).casefold()  # without commas, which nobody can choose


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What is not chosen has a default that fits most exports."""

    webpt_notes: Marks = Marks(frozenset({"ie"}), frozenset({"ds", "dq"}))
    webpt_cpt: Marks = Marks(frozenset({"97161", "97162", "97163", "97165", "97166", "97167"}))
    webpt_appointments: Marks = Marks(
        # The first is one of WebPT's standard types, which no clinic can rename; custom ones are the practice's own.
        frozenset({"initial examination", "initial evaluation", "initial exam", "ie"})
    )
    webpt_columns: Mapping[str, str] = field(default_factory=dict)  # `patients.email` → the column's name there
    fhir_types: Marks = Marks()  # Encounter.type, `code` or `system|code`
    hl7_types: Marks = Marks()  # visit type or appointment type
    hl7_case_field: str = "PID-18"
    hl7_patient_id_type: str = "MR"
    hl7_a03_ends: str = "course"  # or `visit`: some EMRs send an A03 whenever a patient leaves the clinic


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One choice as it is written in the settings file: source, setting, value; an empty value is the default's."""

    source: str
    setting: str
    value: str


WEBPT_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "appointments": (
        *("appointment_id", "patient_id", "case_id", "clinic_id", "start_date", "appointment_status", "end_date"),
        *("check_in_time", "check_out_time", "appointment_type", "reason", "therapist_id", "time_stamp", "export_flag"),
    ),
    "charges": (
        *("record_id", "visit_id", "patient_id", "case_id", "clinic_id", "visit_date", "note_finalized_date"),
        *("note_type", "cpt", "therapist_id", "modified_date", "export_flag"),
    ),
    "visits": (
        *("visit_id", "patient_id", "case_id", "clinic_id", "visit_date", "note_finalized_date", "check_in_time"),
        *("note_type", "therapist_id", "modified_date", "export_flag"),
    ),
    "cases": (
        *("case_id", "patient_id", "clinic_id", "closed_date", "discharge_date", "reopened_date", "case_status"),
        *("modified_date", "export_flag"),
    ),
    "patients": (
        *("patient_id", "first_name", "last_name", "email", "phone", "language", "clinic_id", "email_opt_out"),
        *("deceased", "status", "modified_date", "export_flag"),
    ),
    "therapists": ("therapist_id", "therapist_name", "first_name", "last_name", "export_flag"),
    "clinics": ("clinic_id", "clinic_name", "export_flag"),
}
"""The columns that are read of each table of WebPT's extract, under our names: no diagnosis, no notes, no insurance."""

_COLUMN = "column:"

_MARKS = {
    ("webpt", "evaluation_notes"): ("webpt_notes", "evaluation"),
    ("webpt", "discharge_notes"): ("webpt_notes", "discharge"),
    ("webpt", "evaluation_cpt"): ("webpt_cpt", "evaluation"),
    ("webpt", "discharge_cpt"): ("webpt_cpt", "discharge"),
    ("webpt", "evaluation_appointments"): ("webpt_appointments", "evaluation"),
    ("webpt", "discharge_appointments"): ("webpt_appointments", "discharge"),
    ("fhir", "evaluation_types"): ("fhir_types", "evaluation"),
    ("fhir", "discharge_types"): ("fhir_types", "discharge"),
    ("hl7", "evaluation_types"): ("hl7_types", "evaluation"),
    ("hl7", "discharge_types"): ("hl7_types", "discharge"),
}

_WORDS = {
    ("hl7", "case_field"): "hl7_case_field",
    ("hl7", "patient_id_type"): "hl7_patient_id_type",
    ("hl7", "a03_ends"): "hl7_a03_ends",
}

_SETTINGS = frozenset((*_MARKS, *_WORDS))
SOURCES = tuple(sorted({source for source, _ in _SETTINGS}))


def parse_source(text: str) -> str:
    """One of the kinds of export that have settings."""
    return _one_of(text.lower(), SOURCES)


def setting_of(source: str) -> Callable[[str], str]:
    """One of the settings of this source; `column:table.column` names a column of WebPT's extract."""

    def parse(text: str) -> str:
        name = text.lower()
        if source == "webpt" and name.startswith(_COLUMN):
            return _COLUMN + _webpt_column(name.removeprefix(_COLUMN).strip())
        known = sorted(setting for other, setting in _SETTINGS if other == source)
        return _one_of(name, [*known, "column:patients.email"] if source == "webpt" else known)

    return parse


def _webpt_column(text: str) -> str:
    table, dot, column = text.partition(".")
    if not dot:
        raise ValueError("names no table and column, as in column:patients.email")
    table = _one_of(table, tuple(WEBPT_COLUMNS), "the table ")
    return f"{table}.{_one_of(column, WEBPT_COLUMNS[table], f'the column of {table} ')}"


def _one_of(text: str, known: Collection[str], what: str = "") -> str:
    if text in known:
        return text
    near = get_close_matches(text, known, 1)
    raise ValueError(f"{what}is none of: {', '.join(known)}" + (f". Is {near[0]} meant?" if near else ""))


def value_of(source: str, setting: str) -> Callable[[str], str]:
    """What may be chosen for this setting of this source."""
    if (source, setting) in _MARKS:
        return _fhir_codes if source == "fhir" else _codes_without_systems
    if (source, setting) == ("hl7", "case_field"):
        return _hl7_field
    if (source, setting) == ("hl7", "patient_id_type"):
        return _hl7_id_type
    if (source, setting) == ("hl7", "a03_ends"):
        return _what_ends
    return _one_line


def _codes(text: str) -> list[str]:
    return list(dict.fromkeys(filter(None, (" ".join(code.split()) for code in text.split(";")))))


def _fhir_codes(text: str) -> str:
    return _codes_as_written(text, bars=1)  # `system|code`


def _codes_without_systems(text: str) -> str:
    return _codes_as_written(text, bars=0)


_SEPARATE = "separate codes by ; as in IE;EVAL"
_RANGE = re.compile(r"(\d{3,}) ?(?:-|–|to) ?(\d{3,})")


def _codes_as_written(text: str, bars: int) -> str:
    codes = _codes(text)
    if "," in text:
        raise ValueError(f"holds a comma: {_SEPARATE}. If a name has a comma in it, leave the comma out")
    if any(code.count("|") > bars for code in codes):
        raise ValueError(f"holds a vertical bar: {_SEPARATE}")
    for code in codes:
        span = _RANGE.fullmatch(code)
        if span and len(span[1]) == len(span[2]):
            raise ValueError(f"holds {code}, which looks like a range: name each code, and {_SEPARATE}")
    if not codes:
        raise ValueError("holds no code; leave it empty to go back to what is usual")
    if len(codes) > MAX_CODES:
        raise ValueError(f"holds more than {MAX_CODES} codes")
    if len(text) > MAX_CODES_LENGTH:
        raise ValueError(f"is longer than {MAX_CODES_LENGTH} characters")
    for code in codes:
        _one_line(code)
    return ";".join(codes)


_HL7_FIELDS = {  # of the segments that are read, how many fields each has at most
    "MSH": 28,
    "EVN": 7,
    "PID": 40,
    "PD1": 23,
    "PV1": 54,
    "PV2": 51,
    "MRG": 7,
    "SCH": 28,
    "RGS": 3,
    "TQ1": 14,
    "AIS": 12,
    "AIG": 14,
    "AIL": 12,
    "AIP": 12,
}


def _hl7_field(text: str) -> str:
    name = text.upper()
    found = re.fullmatch(r"([A-Z][A-Z0-9]{2})-([1-9][0-9]?)(\.[1-9][0-9]?)?", name)
    if not found:
        raise ValueError("is not a field of an HL7 segment such as PID-18 or PV1-19.1")
    segment, number = found[1], int(found[2])
    if segment.startswith("Z"):  # the EMR's own
        return name
    if segment not in _HL7_FIELDS:
        raise ValueError(f"is in no segment that is read: these are {', '.join(_HL7_FIELDS)} and those that begin in Z")
    if number > _HL7_FIELDS[segment]:
        raise ValueError(f"does not exist: {segment} has {_HL7_FIELDS[segment]} fields")
    return name


def _hl7_id_type(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", text):
        raise ValueError("is not an identifier type such as MR")
    return text.upper()


def _what_ends(text: str) -> str:
    return _one_of(text.lower(), ("course", "visit"))


def _one_line(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise ValueError("holds a line break or another control character")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    return text


_USUAL = IntakeRules()


def rules_of(changes: Iterable[RuleChange], former: IntakeRules = _USUAL) -> IntakeRules:
    """The rules with these choices made, in their order; what another version of Careloop has stored is left out."""
    rules, columns = former, dict(former.webpt_columns)
    for change in changes:
        place = (change.source, change.setting)
        if place in _MARKS:
            name, meaning = _MARKS[place]
            codes = frozenset(_codes(change.value)) or getattr(getattr(_USUAL, name), meaning)
            marks: dict[str, Any] = {meaning: codes}
            rules = _with(rules, name, replace(getattr(rules, name), **marks))
        elif place in _WORDS:
            rules = _with(rules, _WORDS[place], change.value or getattr(_USUAL, _WORDS[place]))
        elif change.source == "webpt" and change.setting.startswith(_COLUMN):
            columns[change.setting.removeprefix(_COLUMN)] = change.value
    return replace(rules, webpt_columns={column: name for column, name in columns.items() if name})


def column_of(change: RuleChange) -> tuple[str, str]:
    """Of a choice of a column's name, its table and the column; empty of another choice."""
    if not change.setting.startswith(_COLUMN):
        return "", ""
    table, _, column = change.setting.removeprefix(_COLUMN).partition(".")
    return table, column


def contradiction(change: RuleChange, rules: IntakeRules) -> str:
    """Why codes cannot mean this beside the other rules: some mean the opposite already. Empty if they can."""
    place = (change.source, change.setting)
    if place not in _MARKS:
        return ""
    name, meaning = _MARKS[place]
    marks: Marks = getattr(rules_of([change], rules), name)
    both = marks.evaluation & marks.discharge
    if not both:
        return ""
    written = [code for code in _codes(change.value) if _plain(code) in both] or sorted(both)
    other = "discharge" if meaning == "evaluation" else "evaluation"
    setting = next(setting for (_, setting), mark in _MARKS.items() if mark == (name, other))
    return (
        f"holds {', '.join(written)}, already chosen or usual in {setting}: "
        "one code cannot mean an evaluation and a discharge. Take it out of one of them"
    )


def _with(rules: IntakeRules, name: str, value: object) -> IntakeRules:
    changed: dict[str, Any] = {name: value}
    return replace(rules, **changed)

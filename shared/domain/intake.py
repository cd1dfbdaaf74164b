"""The practice's choices of how its EMR's exports are read: which codes and columns mean what."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Marks:
    """Codes that mean an evaluation and codes that mean a discharge; compared without regard to case."""

    evaluation: frozenset[str] = frozenset()
    discharge: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class IntakeRules:
    """What is not chosen has a default that fits most exports."""

    webpt_notes: Marks = Marks(frozenset({"ie"}), frozenset({"ds", "dq"}))
    webpt_cpt: Marks = Marks(frozenset({"97161", "97162", "97163", "97165", "97166", "97167"}))
    webpt_appointments: Marks = Marks()
    webpt_columns: Mapping[str, str] = field(default_factory=dict)  # `patients.email` → the column's name there
    fhir_types: Marks = Marks()  # Encounter.type, `code` or `system|code`
    hl7_types: Marks = Marks()  # visit type or appointment type
    hl7_case_field: str = "PID-18"
    hl7_patient_id_type: str = "MR"


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One choice as it is written in the settings file: source, setting, value; an empty value is the default's."""

    source: str
    setting: str
    value: str

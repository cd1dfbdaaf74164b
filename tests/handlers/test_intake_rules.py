"""The choices of how exports are read, kept in the settings table."""

from datetime import UTC, datetime

import pytest

from shared.domain.intake import IntakeRules, Marks, RuleChange
from shared.storage import settings

pytestmark = pytest.mark.usefixtures("aws")

MONDAY, TUESDAY = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 3, tzinfo=UTC)


def notes(codes: str) -> RuleChange:
    return RuleChange("webpt", "evaluation_notes", codes)


def evaluation_notes() -> frozenset[str]:
    return settings.read_intake_rules().webpt_notes.evaluation


def test_without_any_choice_the_defaults_hold():
    assert settings.read_intake_rules() == IntakeRules()


def test_a_choice_is_kept_beside_the_others():
    assert settings.put_intake_rule(notes("IE;EV"), MONDAY) == "created"
    assert settings.put_intake_rule(RuleChange("webpt", "column:patients.email", "Mail, private"), MONDAY) == "created"
    assert settings.put_intake_rule(RuleChange("hl7", "case_field", "PV1-50"), TUESDAY) == "created"
    rules = settings.read_intake_rules()
    assert rules.webpt_notes == Marks(frozenset({"ie", "ev"}), frozenset({"ds", "dq"}))
    assert rules.webpt_columns == {"patients.email": "Mail, private"}
    assert rules.hl7_case_field == "PV1-50"


def test_the_same_choice_again_changes_nothing_and_another_one_replaces_it():
    settings.put_intake_rule(notes("IE"), MONDAY)
    assert settings.put_intake_rule(notes("IE"), TUESDAY) == "unchanged"
    assert settings.put_intake_rule(notes("EV"), TUESDAY) == "updated"
    assert evaluation_notes() == {"ev"}


def test_an_older_file_that_comes_late_changes_nothing():
    settings.put_intake_rule(notes("EV"), TUESDAY)
    assert settings.put_intake_rule(notes("IE"), MONDAY) == "unchanged"
    assert evaluation_notes() == {"ev"}


def test_an_empty_value_takes_the_default_back_and_no_older_file_undoes_that():
    settings.put_intake_rule(notes("EV"), MONDAY)
    assert settings.put_intake_rule(notes(""), TUESDAY) == "updated"
    assert settings.put_intake_rule(notes("EV"), MONDAY) == "unchanged"
    assert evaluation_notes() == IntakeRules().webpt_notes.evaluation


def test_a_choice_that_another_import_made_meanwhile_is_kept(monkeypatch):
    read, others = settings._chosen, [notes("EV")]

    def read_while_another_writes():
        found = read()
        if others:
            settings.put_intake_rule(others.pop(), MONDAY)
        return found

    monkeypatch.setattr(settings, "_chosen", read_while_another_writes)
    settings.put_intake_rule(RuleChange("hl7", "case_field", "PV1-50"), MONDAY)
    rules = settings.read_intake_rules()
    assert rules.webpt_notes.evaluation == {"ev"}
    assert rules.hl7_case_field == "PV1-50"

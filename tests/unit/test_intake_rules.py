"""How exports are read: chosen by a practice manager, row by row, and refused in words that help."""

import io
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.import_visits.readers import recognise
from functions.import_visits.records import Context, FileRefused, Refusal, Row, RuleRecord
from shared.domain.episode import VisitKind
from shared.domain.intake import WEBPT_COLUMNS, IntakeRules, Marks, RuleChange, kind_of, rules_of

HEADER = "source,setting,value"


def read(content: str | bytes, *stored: RuleChange) -> list[RuleChange | Refusal]:
    raw = content.encode() if isinstance(content, str) else content
    reading = recognise(io.BytesIO(raw), Context(lambda _: ZoneInfo("America/New_York"), rules_of(stored)))
    assert reading.kind == "intake"
    found: list[RuleChange | Refusal] = []
    for row in reading.rows:
        if isinstance(row, Refusal):
            found.append(row)
            continue
        assert isinstance(row, Row)
        (record,) = row.records
        assert isinstance(record, RuleRecord)
        found.append(record.change)
    return found


def chosen(*rows: str) -> IntakeRules:
    changes = read("\n".join([HEADER, *rows]))
    assert all(isinstance(change, RuleChange) for change in changes), changes
    return rules_of(change for change in changes if isinstance(change, RuleChange))


def refusal(row: str) -> tuple[int, str, str]:
    (refused,) = read(f"{HEADER}\n{row}\n")
    assert isinstance(refused, Refusal), refused
    return refused.line, refused.column, refused.reason


# What codes mean.


def test_codes_are_compared_whole_and_without_regard_to_case():
    marks = Marks(frozenset({"IE", "Initial  Exam"}), frozenset({"ds"}))
    assert kind_of([" ie "], marks) is VisitKind.EVALUATION
    assert kind_of(["initial exam"], marks) is VisitKind.EVALUATION
    assert kind_of(["DS"], marks) is VisitKind.DISCHARGE
    assert kind_of(["ie2"], marks) is VisitKind.TREATMENT


def test_an_evaluation_wins_over_a_discharge_whatever_comes_first():
    marks = Marks(frozenset({"ie"}), frozenset({"ds"}))
    assert kind_of(["ds", "ie"], marks) is kind_of(["ie", "ds"], marks) is VisitKind.EVALUATION


def test_without_codes_or_without_a_code_for_evaluations_the_records_do_not_say():
    assert kind_of(["", " "], Marks(frozenset({"ie"}))) is VisitKind.UNSTATED
    assert kind_of(["dn"], Marks(discharge=frozenset({"ds"}))) is VisitKind.UNSTATED
    assert kind_of(["ds"], Marks(discharge=frozenset({"ds"}))) is VisitKind.DISCHARGE


# What can be chosen.


def test_lists_of_codes_are_chosen_one_by_one_and_the_others_stay():
    rules = chosen(
        "webpt,evaluation_notes,IE; EV ;ie", "webpt,discharge_cpt,99999", 'fhir,evaluation_types,"http://s|1"'
    )
    assert rules.webpt_notes == Marks(frozenset({"ie", "ev"}), frozenset({"ds", "dq"}))
    assert rules.webpt_cpt == Marks(IntakeRules().webpt_cpt.evaluation, frozenset({"99999"}))
    assert rules.fhir_types == Marks(frozenset({"http://s|1"}))
    assert rules.hl7_types == IntakeRules().hl7_types


def test_every_list_of_codes_has_its_setting():
    rules = chosen(
        "webpt,evaluation_notes,a",
        "webpt,discharge_notes,b",
        "webpt,evaluation_cpt,c",
        "webpt,discharge_cpt,d",
        "webpt,evaluation_appointments,e",
        "webpt,discharge_appointments,f",
        "fhir,evaluation_types,g",
        "fhir,discharge_types,h",
        "hl7,evaluation_types,i",
        "hl7,discharge_types,j",
    )
    marks = (rules.webpt_notes, rules.webpt_cpt, rules.webpt_appointments, rules.fhir_types, rules.hl7_types)
    assert [(*each.evaluation, *each.discharge) for each in marks] == [
        tuple(pair) for pair in ("ab", "cd", "ef", "gh", "ij")
    ]


def test_fields_of_hl7_and_columns_of_webpt_are_chosen():
    rules = chosen("hl7,case_field,pv1-50", "hl7,patient_id_type,pi", 'WebPT,Column:Patients.Email,"Mail, private"')
    assert (rules.hl7_case_field, rules.hl7_patient_id_type) == ("PV1-50", "PI")
    assert chosen("hl7,a03_ends,Visit").hl7_a03_ends == "visit"
    assert rules.webpt_columns == {"patients.email": "Mail, private"}


def test_an_empty_value_is_the_default_s():
    assert chosen("webpt,evaluation_notes,", "hl7,case_field, ", "webpt,column:cases.closed_date,") == IntakeRules()


def test_of_two_rows_about_the_same_thing_the_last_counts():
    assert chosen("hl7,case_field,PV1-50", "hl7,case_field,PV1-5").hl7_case_field == "PV1-5"


def test_what_another_version_has_stored_is_left_out():
    assert rules_of([RuleChange("webpt", "colour", "red"), RuleChange("epic", "case_field", "x")]) == IntakeRules()


def test_every_column_that_is_read_can_be_named():
    for table, columns in WEBPT_COLUMNS.items():
        for column in columns:
            assert chosen(f"webpt,column:{table}.{column},Ours").webpt_columns == {f"{table}.{column}": "Ours"}


# What is refused.


@pytest.mark.parametrize(
    ("row", "column", "words"),
    [
        ('webpt,evaluation_notes,"IE, EVAL"', "value", "separate codes by ;"),
        ('webpt,evaluation_appointments,"IE;First visit, long"', "value", "leave the comma out"),
        ("webpt,evaluation_notes,IE|EVAL", "value", "separate codes by ;"),
        ("hl7,evaluation_types,IE|EVAL", "value", "separate codes by ;"),
        ("fhir,evaluation_types,http://s|1|2", "value", "separate codes by ;"),
        ("webpt,evaluation_cpt,97161-97163", "value", "holds 97161-97163, which looks like a range"),
        ("webpt,evaluation_cpt,97167;97161 – 97163", "value", "range"),
        ("webpt,discharge_notes,DS;ie", "value", "holds ie, already chosen or usual in evaluation_notes"),
        ("webpt,discharge_cpt,97161", "value", "holds 97161, already chosen or usual in evaluation_cpt"),
        ("hl7,case_field,PID-99", "value", "PID has 40 fields"),
        ("hl7,case_field,XYZ-3", "value", "is in no segment that is read: these are MSH, EVN, PID"),
        (
            "webpt,column:patients.email,First Name",
            "value",
            "patients.first_name is read from as well as patients.email",
        ),
        ("webpt,column:patients.email,FName", "value", "patients.first_name"),
        (",evaluation_notes,IE", "source", "is empty"),
        ("webtp,evaluation_notes,IE", "source", "Is webpt meant?"),
        ("epic,evaluation_notes,IE", "source", "is none of: fhir, hl7, webpt"),
        ("webpt,,IE", "setting", "is empty"),
        ("webpt,evaluation_note,IE", "setting", "Is evaluation_notes meant?"),
        ("webpt,case_field,PID-18", "setting", "is none of"),
        ("fhir,column:patients.email,x", "setting", "is none of: discharge_types, evaluation_types"),
        ("webpt,column:patients,x", "setting", "as in column:patients.email"),
        ("webpt,column:patient.email,x", "setting", "Is patients meant?"),
        ("webpt,column:patients.e_mail,x", "setting", "Is email meant?"),
        ("webpt,column:patients.diagnosis,x", "setting", "the column of patients is none of"),
        ("webpt,evaluation_notes,;", "value", "holds no code"),
        ("webpt,evaluation_notes," + ";".join(map(str, range(101))), "value", "more than 100 codes"),
        ("webpt,evaluation_notes," + "x" * 201, "value", "longer than 200"),
        ("webpt,evaluation_notes," + ";".join("x" * 100 + str(n) for n in range(50)), "value", "longer than 4000"),
        ('webpt,column:patients.email,"two\nlines"', "value", "line break"),
        ("hl7,case_field,case", "value", "such as PID-18"),
        ("hl7,a03_ends,day", "value", "none of: course, visit"),
        ("hl7,case_field,PID-0", "value", "such as PID-18"),
        ("hl7,patient_id_type,M R", "value", "such as MR"),
        ("webpt,evaluation_notes", "", "has 2 columns where the header has 3"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_could_be(row, column, words):
    line, where, reason = refusal(row)
    assert (line, where) == (2, column)
    assert words in reason


def test_a_bad_row_leaves_the_others():
    first, second, third = read(f"{HEADER}\nhl7,case_field,PV1-5\nhl7,colour,red\nhl7,patient_id_type,PI\n")
    assert isinstance(first, RuleChange)
    assert isinstance(second, Refusal)
    assert isinstance(third, RuleChange)


def test_the_header_may_be_in_any_order_and_case_with_other_columns_but_names_none_twice():
    assert read("note,Value,SETTING,Source\nx,PV1-5,case_field,hl7\n") == [RuleChange("hl7", "case_field", "PV1-5")]
    with pytest.raises(FileRefused, match="twice: value"):
        read(f"{HEADER},value\n")


def test_what_only_looks_like_a_mistake_can_be_chosen():
    assert chosen("fhir,evaluation_types,IE|EVAL").fhir_types.evaluation == {"ie|eval"}
    assert chosen("fhir,evaluation_types,11488-4;97161-1").fhir_types.evaluation == {"11488-4", "97161-1"}
    assert chosen("hl7,case_field,ZZZ-3").hl7_case_field == "ZZZ-3"
    assert chosen("webpt,column:clinics.clinic_id,Clinic Name").webpt_columns == {"clinics.clinic_id": "Clinic Name"}


def test_a_name_with_a_comma_is_chosen_without_it():
    marks = chosen("webpt,evaluation_appointments,New patient long").webpt_appointments
    assert kind_of(["New Patient, long"], marks) is VisitKind.EVALUATION


def test_codes_are_judged_beside_the_other_rows_of_the_file_wherever_these_stand():
    swapped = ["webpt,discharge_notes,IE", "webpt,evaluation_notes,DS"]
    for rows in (swapped, swapped[::-1]):
        assert chosen(*rows).webpt_notes == Marks(frozenset({"ds"}), frozenset({"ie"}))
    for refused in read("\n".join([HEADER, "fhir,evaluation_types,a;x", "fhir,discharge_types,X"])):
        assert isinstance(refused, Refusal)
        assert "one code cannot mean" in refused.reason


def test_codes_and_columns_are_judged_beside_what_was_chosen_before():
    stored = (RuleChange("webpt", "evaluation_notes", "EV"), RuleChange("webpt", "discharge_notes", "IE"))
    (refused,) = read(f"{HEADER}\nwebpt,evaluation_notes,\n", *stored)
    assert isinstance(refused, Refusal)
    assert "holds ie, already chosen or usual in discharge_notes" in refused.reason
    assert all(isinstance(row, RuleChange) for row in read(f"{HEADER}\nwebpt,discharge_notes,DS\n", *stored))
    row = f"{HEADER}\nwebpt,column:patients.email,First Name\n"
    assert isinstance(read(row, RuleChange("webpt", "column:patients.first_name", "Given"))[0], RuleChange)
    (refused,) = read(row.replace("First Name", "e mail"), RuleChange("webpt", "column:patients.phone", "E-mail"))
    assert isinstance(refused, Refusal)
    assert "patients.phone" in refused.reason


def test_one_column_is_not_taken_back_to_its_name_while_another_is_read_from_there():
    stored = [RuleChange("webpt", f"column:patients.{name}", to) for name, to in (("email", "phone"), ("phone", "p"))]
    (refused,) = read(f"{HEADER}\nwebpt,column:patients.phone,\n", *stored)
    assert isinstance(refused, Refusal)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("source;setting;value\nhl7;case_field;PV1-50\n", "separated by ; rather than by commas"),
        ('\ufeff"source";"setting";"value"\r\n"hl7";"case_field";"PV1-50"\r\n', "separated by ; rather than"),
        ("Source\tSetting\tValue\n", "separated by tabs"),
        ("setting,value\ncase_field,PV1-50\n", "does not name the column source: it must be source,setting,value"),
        ("hl7,case_field,PV1-50\n", "does not name the columns: it must be source,setting,value"),
    ],
)
def test_what_looks_like_settings_is_told_what_is_wrong_with_it_and_no_more(content, words):
    with pytest.raises(FileRefused, match=r"^This looks like settings for intake, but the") as refused:
        read(content)
    assert words in refused.value.reason
    assert "Looked for" not in refused.value.reason


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(cells, cells, cells), max_size=5))
def test_any_rows_are_read_or_refused(rows):
    quoted = [",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in rows]
    for found in read("\n".join([HEADER, *quoted]).encode()):
        if isinstance(found, RuleChange):
            rules_of([found])


settings_known = st.sampled_from(
    [
        ("webpt", "evaluation_notes"),
        ("webpt", "column:patients.email"),
        ("hl7", "case_field"),
        ("hl7", "patient_id_type"),
    ]
)


@given(settings_known, cells)
def test_any_value_of_a_setting_is_read_or_refused(place, value):
    quoted = '"' + value.replace('"', '""') + '"'
    for found in read("\n".join([HEADER, ",".join((*place, quoted))]).encode()):
        assert isinstance(found, Refusal) or rules_of([found]) is not None

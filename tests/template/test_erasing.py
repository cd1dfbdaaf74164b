"""Who may erase: one function, and of Patients it writes nothing but the marks of the erased."""

from typing import Any

from local.template import load_template
from shared.domain.erasure import LONGEST_RUN
from shared.domain.intake import ERASED, FOLDERS
from shared.domain.self_test import PATIENT_ID as CANARY

RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
PATIENTS = {"Fn::GetAtt": ["PatientsTable", "Arn"]}
DELETES = {"dynamodb:DeleteItem", "s3:DeleteObject", "s3:DeleteObjectVersion"}


def statements(role: str) -> list[dict[str, Any]]:
    return [
        statement
        for policy in RESOURCES[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def test_the_dashboard_asks_for_it_and_can_delete_nothing_but_sign_ins() -> None:
    of_dashboard = statements("ServeDashboardRole")
    invoking = [each for each in of_dashboard if "lambda:InvokeFunction" in each["Action"]]
    assert [each["Resource"] for each in invoking] == [{"Fn::GetAtt": ["ErasePatientFunction", "Arn"]}]
    deleting = [each["Resource"] for each in of_dashboard if DELETES & set(each["Action"])]
    assert deleting == [{"Fn::GetAtt": ["SessionsTable", "Arn"]}]


def test_nothing_else_may_delete_a_patient_but_the_self_tests_own_or_versions_of_an_upload() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::IAM::Role" and name not in ("ErasePatientRole", "IntakeRole"):
            for statement in statements(name):
                assert "s3:DeleteObjectVersion" not in statement["Action"]
                is_the_canarys = name == "SelfTestRole" and CANARY in str(statement.get("Condition"))
                assert is_the_canarys or not (
                    "dynamodb:DeleteItem" in statement["Action"] and statement["Resource"] == PATIENTS
                )


def test_what_it_writes_is_marks_and_proofs_only() -> None:
    of_function = statements("ErasePatientRole")
    for statement in of_function:
        if {"dynamodb:PutItem", "dynamodb:UpdateItem"} & set(statement["Action"]):
            limited = statement.get("Condition", {})
            is_addresses = statement["Resource"] == {"Fn::GetAtt": ["AddressesTable", "Arn"]}
            assert is_addresses or "dynamodb:LeadingKeys" in str(limited), statement
        if "s3:PutObject" in statement["Action"]:
            assert statement["Resource"] == {"Fn::Sub": "${IntakeBucket.Arn}/erased/*"}
    assert not [each for each in of_function if "ses:SendEmail" in each["Action"]]


def test_the_marks_never_expire() -> None:
    rules = RESOURCES["IntakeBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    for rule in rules:
        if "ExpirationInDays" in rule:
            assert rule["Prefix"]
            assert not "erased/".startswith(rule["Prefix"])


def test_everything_else_that_the_bucket_has_a_folder_for_expires() -> None:
    rules = RESOURCES["IntakeBucket"]["Properties"]["LifecycleConfiguration"]["Rules"]
    expiring = {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule}
    assert expiring == set(FOLDERS) - {ERASED}
    others = [rule for rule in rules if rule.get("Prefix") not in expiring]
    assert [rule["Id"] for rule in others] == ["broken-uploads"]


def test_it_may_search_the_whole_bucket_and_delete_every_version_but_those_of_the_marks() -> None:
    of_versions = [each for each in statements("ErasePatientRole") if "s3:DeleteObjectVersion" in each["Action"]]
    assert [(each["Effect"], each["Resource"]["Fn::Sub"]) for each in of_versions] == [
        ("Allow", "${IntakeBucket.Arn}/*"),
        ("Deny", "${IntakeBucket.Arn}/erased/*"),
    ]
    assert "s3:GetObjectVersion" in of_versions[0]["Action"]


def test_no_function_outlives_the_wait_for_the_last_look() -> None:
    timeouts = [each["Properties"]["Timeout"] for each in RESOURCES.values() if "Timeout" in each.get("Properties", {})]
    assert LONGEST_RUN.total_seconds() > max(timeouts)

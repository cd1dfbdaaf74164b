"""What a practice may add to its stack by a parameter, and that without it the stack is what it was."""

import re
from typing import Any

import pytest

from local.template import functions, load_template
from tests.expanded import expanded

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
FUNCTIONS = functions(TEMPLATE)
ON_REQUEST = ["PatientDomainName", "DashboardDomainName", "CertificateArn", "KmsKeyArn", "WebAclArn"]


def conditions_on(parameter: str) -> set[str]:
    """The conditions that look at a parameter."""
    return {name for name, value in TEMPLATE["Conditions"].items() if f"'Ref': '{parameter}'" in str(value)}


def url(api: str, path: str = "") -> str:
    return f"https://${{{api}}}.execute-api.${{AWS::Region}}.${{AWS::URLSuffix}}/live{path}"


def own(kind: str, api: str, path: str = "") -> dict[str, Any]:
    """An address: whatever stands before the API, else the domain name, else the API's own."""
    base, domain = {"PatientApi": ("PublicBaseUrl", "Patient"), "StaffApi": ("DashboardBaseUrl", "Dashboard")}[api]
    before: dict[str, Any] = {"Fn::Sub": f"${{{base}}}{path}"} if path else {"Ref": base}
    named = {"Fn::Sub": f"https://${{{domain}DomainName}}{path}"}
    return {"Fn::If": [kind, before, {"Fn::If": [f"{domain}DomainWanted", named, {"Fn::Sub": url(api, path)}]}]}


@pytest.mark.parametrize("name", ON_REQUEST)
def test_nothing_is_added_unless_it_is_asked_for(name: str) -> None:
    assert TEMPLATE["Parameters"][name]["Default"] == ""


@pytest.mark.parametrize(("domain", "api"), [("Patient", "PatientApi"), ("Dashboard", "StaffApi")])
def test_a_domain_name_leads_to_its_api_over_a_certificate_of_the_same_region(domain: str, api: str) -> None:
    name, mapping = RESOURCES[f"{domain}Domain"], RESOURCES[f"{domain}DomainMapping"]
    assert name["Condition"] == mapping["Condition"] == f"{domain}DomainWanted"
    assert name["Properties"]["RegionalCertificateArn"] == {"Ref": "CertificateArn"}
    assert name["Properties"]["SecurityPolicy"] == "TLS_1_2"
    assert mapping["Properties"] == {
        "DomainName": {"Ref": f"{domain}Domain"},
        "RestApiId": {"Ref": api},
        "Stage": {"Ref": f"{api}.Stage"},
    }


def test_links_stand_under_the_practices_own_name() -> None:
    variables = FUNCTIONS["SendSurveyFunction"]["Environment"]["Variables"]
    assert variables["PUBLIC_URL"] == TEMPLATE["Outputs"]["PublicUrl"]["Value"] == own("OwnUrl", "PatientApi")


def test_the_staff_sign_in_under_the_practices_own_name() -> None:
    client = RESOURCES["StaffPoolClient"]["Properties"]
    assert client["CallbackURLs"] == [own("OwnDashboardUrl", "StaffApi", "/signed-in")]
    assert client["LogoutURLs"] == [own("OwnDashboardUrl", "StaffApi", "/signed-out")]
    assert RESOURCES["StaffApi"]["Properties"]["Variables"]["base_url"] == own("OwnDashboardUrl", "StaffApi")
    assert TEMPLATE["Outputs"]["DashboardUrl"]["Value"] == own("OwnDashboardUrl", "StaffApi")


def test_mails_to_the_staff_lead_to_the_dashboard_under_its_own_name() -> None:
    told = [each["Environment"]["Variables"] for each in FUNCTIONS.values() if "Environment" in each]
    leading = [each["DASHBOARD_URL"] for each in told if "DASHBOARD_URL" in each]
    assert leading == [own("OwnDashboardUrl", "StaffApi")] * 4


@pytest.mark.parametrize("domain", ["Patient", "Dashboard"])
def test_an_output_says_which_record_the_dns_needs(domain: str) -> None:
    output = TEMPLATE["Outputs"][f"{domain}DomainRecord"]
    assert output["Value"] == {"Fn::Sub": f"${{{domain}DomainName}} CNAME ${{{domain}Domain.RegionalDomainName}}"}
    assert output["Condition"] == f"{domain}DomainWanted"


def test_a_domain_name_without_a_certificate_is_refused_before_anything_is_changed() -> None:
    (rule,) = TEMPLATE["Rules"].values()
    names = [{"Fn::Not": [{"Fn::Equals": [{"Ref": f"{each}DomainName"}, ""]}]} for each in ("Patient", "Dashboard")]
    assert rule["RuleCondition"] == {"Fn::Or": names}
    assert rule["Assertions"][0]["Assert"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "CertificateArn"}, ""]}]}


def test_a_firewall_stands_before_both_apis_or_before_none() -> None:
    associations = {name: each for name, each in RESOURCES.items() if each["Type"] == "AWS::WAFv2::WebACLAssociation"}
    assert {each["Condition"] for each in associations.values()} == {"WebAclWanted"}
    stages = [each["Properties"]["ResourceArn"]["Fn::Sub"] for each in associations.values()]
    assert [re.findall(r"\$\{(\w+Api)", stage) for stage in stages] == [["PatientApi"] * 2, ["StaffApi"] * 2]


def test_the_firewall_refuses_no_answer_for_its_words_and_keeps_no_path() -> None:
    acl = RESOURCES["WebAcl"]["Properties"]
    rules = {rule["Name"]: rule for rule in acl["Rules"]}
    assert rules["not-too-often"]["Statement"]["RateBasedStatement"]["Limit"] >= 1000
    for name in ("common", "known-bad-inputs"):
        overrides = rules[name]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
        counted = {each["Name"] for each in overrides if each["ActionToUse"] == {"Count": {}}}
        assert {each for each in counted if each.endswith("_BODY")}
    common = rules["common"]["Statement"]["ManagedRuleGroupStatement"]["RuleActionOverrides"]
    assert {each["Name"] for each in common} >= {"SizeRestrictions_BODY", "CrossSiteScripting_BODY"}
    seen = [acl["VisibilityConfig"], *(rule["VisibilityConfig"] for rule in acl["Rules"])]
    assert {each["SampledRequestsEnabled"] for each in seen} == {False}


def test_the_practices_own_key_takes_the_place_of_the_stacks_everywhere() -> None:
    assert RESOURCES["DataKey"]["Condition"] == "StackKey"
    assert TEMPLATE["Conditions"]["StackKey"] == {"Fn::Equals": [{"Ref": "KmsKeyArn"}, ""]}
    text = str(RESOURCES)
    named = {"Fn::If": ["StackKey", {"Fn::GetAtt": ["DataKey", "Arn"]}, {"Ref": "KmsKeyArn"}]}
    assert text.count(str(named)) == text.count("'DataKey', 'Arn'") > 20


def test_answers_have_reserved_room_only_if_asked_for_since_a_new_account_has_none_to_reserve() -> None:
    assert TEMPLATE["Parameters"]["AnswerConcurrency"]["Default"] == 0
    reserved = {name for name, each in FUNCTIONS.items() if "ReservedConcurrentExecutions" in each}
    assert reserved == {"RecordResponseFunction"}
    assert conditions_on("AnswerConcurrency") == {"AnswersHaveRoom"}


# ---- A second environment beside the first -------------------------------------------------------------

NAMED = {
    "AWS::Cognito::UserPoolClient": {"ClientName"},  # within their pool
    "AWS::Cognito::UserPoolGroup": {"GroupName"},
    "AWS::Cognito::UserPoolUserToGroupAttachment": {"GroupName"},
    "AWS::ApiGateway::Stage": {"StageName"},  # within its API
}


def test_no_two_stacks_of_an_account_want_the_same_name() -> None:
    """A name that is fixed would make the second deployment fail, or take the first one's resource for its own."""
    fixed = [
        (name, key, value)
        for name, resource in expanded(TEMPLATE)["Resources"].items()
        for key, value in resource["Properties"].items()
        if (
            key in {"Name", "Domain", "Alias"}
            or re.fullmatch(
                r"(Bucket|Table|Topic|Queue|Role|User|Secret|Group|Rule|"
                r"Alarm|LogGroup|UserPool|Client|Stage|Function|Policy|ManagedPolicy|Schedule)Name",
                key,
            )
        )
        and key not in NAMED.get(resource["Type"], set())
        and "AWS::Stack" not in str(value)
        and not refers(value)
        and not (resource["Type"] == "AWS::IAM::Policy" and key == "PolicyName")  # within its role
    ]
    assert fixed == []


def refers(value: Any) -> bool:
    """Whether a name is that of another resource of the template."""
    return isinstance(value, dict) and (value.get("Ref") in RESOURCES or "Fn::GetAtt" in value)


def test_no_output_is_exported_under_a_name_of_the_whole_account() -> None:
    assert not [name for name, output in TEMPLATE["Outputs"].items() if "Export" in output]


def test_each_stack_counts_in_a_namespace_of_its_own_and_its_alarms_look_there() -> None:
    variables = TEMPLATE["Globals"]["Function"]["Environment"]["Variables"]
    assert variables["METRICS_NAMESPACE"] == {"Fn::Sub": "Careloop/${AWS::StackName}"}
    namespaces = [
        each["Properties"]["Namespace"] for each in RESOURCES.values() if each["Type"] == "AWS::CloudWatch::Alarm"
    ]
    own = [each for each in namespaces if not str(each).startswith("AWS/")]
    assert own
    assert all(each == variables["METRICS_NAMESPACE"] for each in own)


def test_a_stack_hears_of_no_other_stacks_mail() -> None:
    pattern = RESOURCES["MailEventsRule"]["Properties"]["EventPattern"]
    assert pattern["detail"]["mail"]["tags"] == {"ses:configuration-set": [{"Ref": "MailEvents"}]}

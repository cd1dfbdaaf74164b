"""Settings on the deployed stack: the roles, the tables and the user pool take what the pages send."""

import json
import urllib.request
from typing import Any

import pytest

from local.stack import Stack
from shared.domain.staff import Role
from tests.integration.staff import HttpBrowser, somebody


@pytest.fixture(scope="module")
def owner(stack: Stack) -> HttpBrowser:
    browser = HttpBrowser(stack)
    browser.sign_in(somebody(stack))
    return browser


def people(stack: Stack) -> dict[str, dict[str, Any]]:
    users = stack.client("cognito-idp").list_users(UserPoolId=stack.outputs["StaffPoolId"])["Users"]
    return {
        values["email"]: {**user, **values}
        for user in users
        for values in [{pair["Name"]: pair["Value"] for pair in user["Attributes"]}]
    }


def test_a_choice_is_saved_and_its_change_is_shown(owner):
    form = {"GOAL": "85", "BENCHMARK": "", "VISIT_VALUE": "95.50"}
    assert owner.post("/settings/practice/goals", form).status == 303
    page = owner.get("/settings/practice/goals").body
    assert 'value="85"' in page
    assert "from “none” to “95.50”" in page
    assert owner.post("/settings/practice/goals", {**form, "GOAL": "101"}).status == 400
    assert owner.post("/settings/practice/goals", {"GOAL": "", "BENCHMARK": "", "VISIT_VALUE": ""}).status == 303


def test_a_clinic_a_draft_and_the_lists_are_saved(stack, owner):
    table = stack.client("dynamodb")
    name = next(name for name in table.list_tables()["TableNames"] if "Settings" in name)
    table.put_item(TableName=name, Item={"scope": {"S": "clinic#set-up"}, "name": {"S": "Set Up"}})
    admin = HttpBrowser(stack)
    admin.sign_in(somebody(stack, Role.CLINIC_ADMIN, "set-up"))
    form = {"phone": "555-0100", "networks": "203.0.113.0/28", "send_days": "Mon"}
    assert admin.post("/settings/clinics/set-up", form).status == 303
    stored = table.get_item(TableName=name, Key={"scope": {"S": "clinic#set-up"}})["Item"]
    assert stored["networks"] == {"L": [{"S": "203.0.113.0/28"}]}
    assert stored["name"] == {"S": "Set Up"}
    assert owner.post("/settings/playbook", {"passive.en.subject": "Thank you"}).status == 303
    assert owner.post("/settings/playbook", {"passive.en.subject": ""}).status == 303
    assert owner.post("/settings/themes", {"text": "parking: garage"}).status == 303
    assert owner.post("/settings/themes", {"text": ""}).status == 303


def test_a_test_mail_comes_to_whoever_asked_for_it(stack, owner):
    sent = owner.post("/settings/wording/en", {"do": "test survey", "survey_subject": "May we ask?"})
    assert sent.status == 200, sent.body
    with urllib.request.urlopen(f"{stack.mailbox_url}/messages.json") as answer:
        mails = [mail for mail in json.load(answer) if mail["subject"] == "[Test] May we ask?"]
    assert len(mails) == 1
    link = mails[0]["text"].partition(stack.dashboard_url)[2].split()[0]
    assert "This was a test" in HttpBrowser(stack).get(link).body


def test_somebody_is_invited_changed_locked_out_and_invited_anew(stack, owner):
    form = {"email": "kim@staff.example", "name": "Kim Park", "role": "therapist", "therapist_id": "t7"}
    invited = owner.post("/settings/staff", form)
    assert invited.status == 303, invited.body
    kim = people(stack)["kim@staff.example"]
    assert (kim["custom:therapist_id"], kim["UserStatus"]) == ("t7", "FORCE_CHANGE_PASSWORD")
    at = f"/settings/staff/{kim['sub']}"
    assert owner.post(f"{at}/change", {"name": "Kim Park", "role": "owner"}).status == 303
    assert owner.post(f"{at}/disable").status == 303
    assert people(stack)["kim@staff.example"]["Enabled"] is False
    assert owner.post(f"{at}/enable").status == 303
    assert owner.post(f"{at}/invite-again").status == 303
    assert people(stack)["kim@staff.example"]["sub"] != kim["sub"]
    page = owner.get("/settings/staff").body
    assert "kim@staff.example · owner" in page
    assert "invited again, as owner" in page


def test_whoever_is_locked_out_is_out_with_their_next_click(stack, owner):
    person, browser = somebody(stack, Role.CLINIC_ADMIN, "north"), HttpBrowser(stack)
    assert browser.sign_in(person, at="/settings").status == 200
    assert owner.post(f"/settings/staff/{people(stack)[person.email]['sub']}/disable").status == 303
    assert browser.get("/settings").status == 303

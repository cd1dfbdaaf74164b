"""The practice's choices on the dashboard: checked, written down, and effective without a deployment."""

import re
from datetime import timedelta
from typing import Any

import pytest

from functions.record_response.handler import handler as record_response
from functions.send_survey.handler import handler as send_survey
from functions.send_survey.pace import Limits
from functions.serve_dashboard.practice_page import SECTIONS
from shared.config import BadSetting, parameters
from shared.domain.identity import new_token
from shared.domain.settings import ClinicSettings
from shared.domain.staff import Role
from shared.storage import changes, kept, messages, settings, surveys
from shared.storage.changes import Change
from shared.storage.dynamodb import client
from shared.storage.models import ActivityItem, SurveyItem
from tests.builders import a_message, a_survey
from tests.fakes import FakeContext
from tests.handlers.answering import add_patient, sent, survey_id
from tests.handlers.dashboard import NOW, Answer, Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")

LIMITS = lambda: Limits(rate=14, allowance=None)  # noqa: E731
ASKING = {
    "TOUCHPOINTS": ["evaluation", "discharge"],
    "TOUCHPOINTS.visit": "6",
    "SURVEY_DELAY_HOURS": "3",
    "SEND_FROM": "08:00",
    "SEND_UNTIL": "20:00",
    "SEND_DAYS": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat"],
    "PAUSE_DAYS": "10",
    "REMINDER_AFTER_DAYS": "3",
}
CASES = {
    "RESPONSE_HOURS": "8",
    "BUSINESS_FROM": "08:00",
    "BUSINESS_UNTIL": "18:00",
    "BUSINESS_DAYS": ["Mon", "Tue", "Wed", "Thu", "Fri"],
    "CASES_FOR_PASSIVES": "false",
    "ESCALATE_TO": "",
    "CLINICAL_LEADS": "",
}

OTHERWISE: dict[str, dict[str, Any]] = {
    "asking": {
        "TOUCHPOINTS": ["discharge"],
        "TOUCHPOINTS.visit": "12",
        "SURVEY_DELAY_HOURS": "5",
        "SEND_FROM": "09:30",
        "SEND_UNTIL": "19:30",
        "SEND_DAYS": ["Tue"],
        "PAUSE_DAYS": "21",
        "REMINDER_AFTER_DAYS": "5",
        "MAX_SENDS_PER_DAY": "100",
    },
    "reviews": {
        "REVIEW_INVITATIONS": "off",
        "REVIEW_DELAY_HOURS": "47",
        "REVIEW_LINKS": "Yelp=https://yelp.example.com/riverside",
    },
    "alerts": {
        "ADMIN_ADDRESSES": "another@riverside.example.com",
        "PASSIVE_ALERTS": "off",
        "ALERT_DETAIL": "full",
        "PROMISE_CONTACT": "false",
    },
    "cases": {
        "RESPONSE_HOURS": "16",
        "BUSINESS_FROM": "09:00",
        "BUSINESS_UNTIL": "17:00",
        "BUSINESS_DAYS": ["Mon", "Tue", "Wed"],
        "CASES_FOR_PASSIVES": "true",
        "ESCALATE_TO": "boss@riverside.example.com",
        "CLINICAL_LEADS": "lead@riverside.example.com",
    },
    "goals": {"GOAL": "80", "BENCHMARK": "70, 80, 90", "VISIT_VALUE": "95"},
}
"""Every field of every section, each other than the parameters say."""


@pytest.fixture
def owner() -> Client:
    return signed_in(Role.OWNER)


def save(client: Client, section: str = "asking", base: dict[str, Any] = ASKING, **differences: Any) -> Answer:
    return client.post(f"/settings/practice/{section}", {**base, **differences})


def errors_of(page: Answer) -> list[str]:
    return re.findall(r'<p class="error"[^>]*>([^<]*)</p>', page.body)


def test_what_is_saved_counts_and_the_rest_stays_the_parameters(owner):
    assert save(owner, PAUSE_DAYS="21", SEND_DAYS=["Mon", "Wed"]).status == 303
    chosen = settings.practice()
    assert (chosen.pause, chosen.window.days) == (timedelta(days=21), frozenset({0, 2}))
    assert chosen.reminder_after == timedelta(days=3)
    assert settings.chosen_texts() == {"PAUSE_DAYS": "21", "SEND_DAYS": "Mon,Wed"}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_that_is_saved_changes_what_the_functions_go_by(owner, section):
    assert save(owner, section, OTHERWISE[section]).status == 303
    saved = settings.chosen_texts()
    assert saved.keys() == {choice.name for choice in SECTIONS[section].choices}
    for name, text in saved.items():
        client().put_item(TableName="Settings", Item={"scope": {"S": "practice"}, name: {"S": text}})
        kept.forget(settings.PRACTICE)
        assert settings.practice() != parameters(), name


def test_a_warm_function_follows_within_a_minute(owner, monkeypatch: pytest.MonkeyPatch):
    clock = [1000.0]
    monkeypatch.setattr("shared.storage.kept.time.monotonic", lambda: clock[0])
    assert settings.practice().pause == timedelta(days=10)
    assert settings.clinic("north").window.start.hour == 8
    # Another process saves, so that this one's memory is not told.
    client().put_item(
        TableName="Settings", Item={"scope": {"S": "practice"}, "PAUSE_DAYS": {"S": "21"}, "SEND_FROM": {"S": "09:00"}}
    )
    clock[0] += 59
    assert settings.practice().pause == timedelta(days=10)
    clock[0] += 1
    assert settings.practice().pause == timedelta(days=21)
    assert settings.clinic("north").window.start.hour == 9


def test_the_answer_page_follows_a_choice_without_a_deployment(owner):
    assert "Someone from our team" in answered_page(survey_id(1))
    alerts = {"ADMIN_ADDRESSES": "admin@riverside.example.com", "PASSIVE_ALERTS": "digest", "ALERT_DETAIL": "minimal"}
    save(owner, "alerts", {**alerts, "PROMISE_CONTACT": "false"})
    assert "Someone from our team" not in answered_page(survey_id(2))


def answered_page(survey: str) -> str:
    """What an unhappy patient reads after answering."""
    sent(survey)
    link, secret_hash = new_token(survey)
    SurveyItem(survey).update([SurveyItem.token_hashes.add({secret_hash})])
    event = {"httpMethod": "POST", "pathParameters": {"token": link}, "headers": {}, "body": "score=1"}
    shown = record_response(event, FakeContext(), now=lambda: NOW)
    assert shown["statusCode"] == 200
    return str(shown["body"])


def test_the_sender_follows_a_choice_without_a_deployment(owner, mailer):
    add_patient()
    surveys.create(a_survey(survey_id(1)))
    messages.create(a_message(survey_id(1), due_at=NOW, occurred_at=NOW - timedelta(hours=3)))
    event = {"time": "2026-03-04T15:00:00Z"}
    save(owner, SEND_FROM="12:00")
    assert send_survey(event, FakeContext(), mailer=mailer, limits=LIMITS)["deferred"] == {"outside_window": 1}
    save(owner, SEND_FROM="09:00")
    assert send_survey(event, FakeContext(), mailer=mailer, limits=LIMITS)["sent"] == 1


@pytest.mark.parametrize(
    ("differences", "complaint"),
    [
        ({"PAUSE_DAYS": "ten"}, "Not a whole number from 0 to 365"),
        ({"PAUSE_DAYS": "-1"}, "Not a whole number from 0 to 365"),
        ({"PAUSE_DAYS": ""}, "Not a whole number"),
        ({"SURVEY_DELAY_HOURS": "337"}, "from 0 to 336"),
        ({"REMINDER_AFTER_DAYS": "31"}, "from 0 to 30"),
        ({"SEND_FROM": "8 am"}, "Not a time of day such as 08:00"),
        ({"SEND_DAYS": []}, "at least one day"),
        ({"SEND_UNTIL": "08:00"}, "The end must be later than the beginning"),
        ({"TOUCHPOINTS": [], "TOUCHPOINTS.visit": ""}, "at least one moment"),
        ({"TOUCHPOINTS.visit": "six"}, "whole numbers from 1 to 999"),
        ({"TOUCHPOINTS.lapsed": "0"}, "whole numbers from 1 to 999"),
        ({"SEND_FROM": "0" * 2001}, "longer than 2,000 characters"),
    ],
)
def test_a_malformed_value_changes_nothing_says_why_and_keeps_what_was_typed(owner, differences, complaint):
    answered = save(owner, **{"REMINDER_AFTER_DAYS": "5", **differences})
    assert answered.status == 400
    assert any(complaint in error for error in errors_of(answered))
    assert 'aria-invalid="true"' in answered.body or "choice" in answered.body
    if "REMINDER_AFTER_DAYS" not in differences:
        assert 'name="REMINDER_AFTER_DAYS" value="5"' in answered.body
    assert settings.chosen_texts() == {}
    assert list(ActivityItem.query("practice")) == []


@pytest.mark.parametrize(
    ("differences", "complaint"),
    [
        ({"BUSINESS_DAYS": []}, "at least one day"),
        ({"BUSINESS_FROM": "17:00", "BUSINESS_DAYS": ["Mon", "Tue", "Wed", "Thu"]}, "fewer than 5 business hours"),
        ({"BUSINESS_FROM": "17:59"}, "fewer than 5 business hours"),
    ],
)
def test_business_hours_that_put_deadlines_far_away_are_refused(owner, differences, complaint):
    answered = save(owner, "cases", CASES, **differences)
    assert answered.status == 400
    assert complaint in errors_of(answered)[0]
    assert settings.chosen_texts() == {}


def test_five_business_hours_a_week_are_enough(owner):
    save(owner, "cases", CASES, BUSINESS_FROM="19:00", BUSINESS_UNTIL="24:00", BUSINESS_DAYS=["Mon"])
    assert settings.practice().business.days == {0}


def test_hours_that_leave_a_clinic_without_any_are_refused(owner):
    settings.put_clinic(ClinicSettings("west", name="West", send_from="18:00"))
    answered = save(owner, SEND_UNTIL="17:00")
    assert answered.status == 400
    assert "West would never send" in answered.text
    assert settings.chosen_texts() == {}


def test_every_change_is_written_down_with_a_name_and_shown(owner):
    save(owner, PAUSE_DAYS="21", SEND_UNTIL="18:00")
    noted = {noted.change.setting: noted for noted in changes.latest(10)}
    assert len(noted) == 2
    pause = noted["Days between two surveys to the same patient"]
    assert (pause.by, pause.at, pause.change.old, pause.change.new) == ("Robin Reyes", NOW, "10", "21")
    for address in ("/settings", "/settings/practice/asking"):
        assert "Robin Reyes : Days between two surveys" in owner.get(address).text
    kinds = {(item.patient_id, item.kind) for item in ActivityItem.scan()}
    assert kinds == {("practice", "setting_changed")}


def test_saving_without_a_change_writes_nothing(owner):
    answered = save(owner)
    assert answered.location.endswith("?done=nothing")
    assert settings.chosen_texts() == {}
    assert changes.latest(10) == []


def test_the_default_can_be_taken_again(owner):
    save(owner, PAUSE_DAYS="21", SEND_UNTIL="18:00")
    page = owner.get("/settings/practice/asking")
    assert "Take the default: 10" in page.text
    save(owner, PAUSE_DAYS="21", SEND_UNTIL="18:00", default="PAUSE_DAYS")
    assert settings.chosen_texts() == {"SEND_UNTIL": "18:00"}
    save(owner, SEND_UNTIL="20:00")  # typing what the default says is the same
    assert settings.chosen_texts() == {}
    assert settings.practice() == parameters()


def test_of_two_owners_at_once_the_second_is_told(owner, monkeypatch: pytest.MonkeyPatch):
    read = settings.chosen_texts

    def read_then_let_another_save():
        monkeypatch.setattr(settings, "chosen_texts", read)
        stale = read()
        save(signed_in(Role.OWNER, user_id="user-2", name="Sam Stone"), PAUSE_DAYS="7")
        return stale

    monkeypatch.setattr(settings, "chosen_texts", read_then_let_another_save)
    answered = save(owner, REMINDER_AFTER_DAYS="5")
    assert answered.status == 409
    assert "Somebody else changed this" in answered.text
    assert settings.chosen_texts() == {"PAUSE_DAYS": "7"}
    assert [noted.by for noted in changes.latest(10)] == ["Sam Stone"]


def test_changed_touchpoints_say_what_follows(owner):
    moments: dict[str, Any] = {"TOUCHPOINTS": ["evaluation"], "TOUCHPOINTS.visit": "3, 12", "TOUCHPOINTS.lapsed": "90"}
    answered = save(owner, **moments)
    assert [str(rule) for rule in settings.practice().touchpoints] == ["evaluation", "visit:3", "visit:12", "lapsed:90"]
    page = owner.get(answered.location)
    assert "What was sent stays as it is" in page.text
    assert 'value="3, 12"' in page.body
    (noted,) = changes.latest(1)
    assert noted.change.old == "after the evaluation, after visit 6, after discharge"


def test_who_is_to_hear_of_what_is_chosen_a_line_each(owner):
    save(owner, "cases", CASES, ESCALATE_TO="owner@example.com\nsecond@example.com", RESPONSE_HOURS="4")
    chosen = settings.practice()
    assert chosen.escalate_to == ("owner@example.com", "second@example.com")
    assert chosen.response_hours == 4
    refused = save(owner, "cases", CASES, ESCALATE_TO="owner")
    assert "Not an email address" in errors_of(refused)[0]
    save(owner, "cases", CASES)
    assert settings.chosen_texts() == {}


def test_the_form_says_who_hears_of_late_cases_and_of_safety_by_default(owner, choose):
    assert "Without any: admin@riverside.example.com." in owner.get("/settings/practice/cases").text
    choose(OWNER_ADDRESS="owner@riverside.example.com")
    page = owner.get("/settings/practice/cases").text
    assert "Without any: owner@riverside.example.com." in page
    assert "without a clinical lead, they alone" in page
    save(owner, "cases", CASES, ESCALATE_TO="director@riverside.example.com")
    page = owner.get("/settings/practice/cases").text
    assert "Without any: owner@riverside.example.com." in page
    assert "Take the default: owner@riverside.example.com" in page


def test_somebody_must_hear_of_unhappy_patients(owner):
    alerts = {"PASSIVE_ALERTS": "digest", "ALERT_DETAIL": "minimal", "PROMISE_CONTACT": "true"}
    refused = save(owner, "alerts", alerts, ADMIN_ADDRESSES="")
    assert "Somebody must hear" in errors_of(refused)[0]


def test_goal_worth_and_a_benchmark_of_ones_own(owner):
    save(owner, "goals", {}, GOAL="85", VISIT_VALUE="95.50", BENCHMARK="60, 75, 88")
    chosen = settings.practice()
    assert (chosen.goal, str(chosen.visit_value), chosen.benchmark) == (85, "95.50", (60, 75, 88))
    for benchmark in ("60, 75", "75, 60, 88", "a, b, c"):
        assert save(owner, "goals", {}, GOAL="85", VISIT_VALUE="95.50", BENCHMARK=benchmark).status == 400
    save(owner, "goals", {}, GOAL="", VISIT_VALUE="", BENCHMARK="")
    assert settings.practice().benchmark is None


def test_review_links_are_https_only_and_come_back_as_they_were(owner):
    reviews = {"REVIEW_INVITATIONS": "everyone", "REVIEW_DELAY_HOURS": "24"}
    links = "Google=https://g.page/r/a\nYelp=https://www.yelp.com/biz/b?x=1,2"
    save(owner, "reviews", reviews, REVIEW_LINKS=links)
    assert [link.label for link in settings.practice().review_links] == ["Google", "Yelp"]
    assert "Yelp=https://www.yelp.com/biz/b?x=1,2" in owner.get("/settings/practice/reviews").body
    save(owner, "reviews", reviews, REVIEW_LINKS=links)
    assert len(changes.latest(10)) == 2
    refused = save(owner, "reviews", reviews, REVIEW_LINKS="http://example.com")
    assert "Not an https review link" in errors_of(refused)[0]
    refused = save(owner, "reviews", {**reviews, "REVIEW_INVITATIONS": "happy"}, REVIEW_LINKS=links)
    assert refused.status == 400


def test_no_public_review_page_at_all_is_a_choice_of_its_own(owner):
    reviews = {"REVIEW_INVITATIONS": "off", "REVIEW_DELAY_HOURS": "24"}
    save(owner, "reviews", reviews, REVIEW_LINKS="")
    assert parameters().review_links != ()
    assert settings.practice().review_links == ()
    assert "Take the default: Google=https://g.page" in owner.get("/settings/practice/reviews").text


def test_a_choice_that_somebody_broke_by_hand_names_itself_and_stops(owner):
    client().put_item(TableName="Settings", Item={"scope": {"S": "practice"}, "PAUSE_DAYS": {"S": "ten"}})
    kept.forget()
    with pytest.raises(BadSetting, match="the setting PAUSE_DAYS is malformed"):
        settings.practice()


def test_the_zone_and_the_sender_are_no_matter_of_the_dashboard(owner):
    item = {"scope": {"S": "practice"}, "PRACTICE_TIME_ZONE": {"S": "Europe/Berlin"}, "SENDER_ADDRESS": {"S": "x"}}
    client().put_item(TableName="Settings", Item=item)
    kept.forget()
    assert settings.practice() == parameters()


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_shows_what_is_chosen_and_saves_as_it_stands(owner, section):
    page = owner.get(f"/settings/practice/{section}")
    assert page.status == 200
    assert "This is the default." in page.text
    inputs = re.findall(r'<input id="[^"]*" name="([^"]*)" value="([^"]*)"', page.body)
    areas = re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>\n([^<]*)</textarea>', page.body)
    ticked = re.findall(r'<input type="(?:radio|checkbox)" name="([^"]*)" value="([^"]*)" checked', page.body)
    form: dict[str, list[str]] = {}
    for name, value in [*inputs, *areas, *ticked]:
        form.setdefault(name, []).append(value)
    assert owner.post(f"/settings/practice/{section}", form).location.endswith("?done=nothing")
    assert settings.chosen_texts() == {}


def test_the_practices_choices_are_the_owners_alone(owner):
    for client_ in (signed_in(Role.CLINIC_ADMIN, "north"), signed_in(Role.THERAPIST, therapist_id="t1")):
        assert client_.get("/settings/practice/asking").status == 404
        assert save(client_, PAUSE_DAYS="1").status == 404
    assert owner.get("/settings/practice/nothing").status == 404
    assert owner.get("/settings").status == 200
    assert settings.chosen_texts() == {}


def test_what_was_typed_is_shown_as_words(owner):
    answered = save(owner, SEND_FROM='"><script>alert(1)</script>')
    assert "<script>alert" not in answered.body


def test_a_change_and_its_note_are_one(owner):
    change = Change("practice", "Pause", "10", "21")
    person = owner.staff
    assert person
    assert not changes.write_texts("practice", {"PAUSE_DAYS": "9"}, {"PAUSE_DAYS": "21"}, [change], person, NOW)
    assert changes.latest(10) == []
    assert settings.chosen_texts() == {}

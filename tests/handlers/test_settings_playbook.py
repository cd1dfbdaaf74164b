"""The playbook and the lists of themes on the dashboard."""

import re
from typing import Any

import pytest

from shared.domain.staff import Role
from shared.domain.themes import default_lexicon, lexicon_text
from shared.storage import cases, changes, playbook, settings
from shared.storage.lexicon import lexicon
from tests.builders import a_case
from tests.handlers.answering import add_patient, answer, sent, survey_id
from tests.handlers.dashboard import Client, signed_in

pytestmark = pytest.mark.usefixtures("aws")
PLAYBOOK, THEMES = "/settings/playbook", "/settings/themes"
SUBJECT, BODY = "detractor.en.subject", "detractor.en.body"


@pytest.fixture
def owner() -> Client:
    return signed_in(Role.OWNER)


def test_the_case_page_begins_with_the_practices_own_draft(owner):
    add_patient()
    answer(sent(survey_id(1)), 3, "I waited.")
    cases.create(a_case(survey_id(1)))
    form = {SUBJECT: "We hear you", BODY: "Dear {first_name},\r\n\r\nI am {staff}.", "talk_track": "Breathe.\nCall."}
    assert owner.post(PLAYBOOK, form).status == 303
    page = owner.get(f"/cases/{survey_id(1)}").body
    assert "Dear Ada,\n\nI am Robin Reyes." in page
    assert 'value="We hear you"' in page
    assert "<li>Breathe.</li><li>Call.</li>" in page


def test_what_is_left_empty_is_as_careloop_has_it(owner):
    owner.post(PLAYBOOK, {SUBJECT: "We hear you"})
    standard = playbook.playbook_of({})
    book = playbook.playbook()
    assert {key for key, draft in book.drafts.items() if draft != standard.drafts[key]} == {("detractor", "en")}
    assert book.talk_track == standard.talk_track


@pytest.mark.parametrize(
    ("form", "complaint"),
    [
        ({BODY: "Dear {name}"}, "There is no {name}"),
        ({BODY: "x" * 4001}, "longer than 4,000"),
        ({SUBJECT: "x" * 201}, "longer than 200"),
        ({"talk_track": "x" * 4001}, "longer than 4,000"),
    ],
)
def test_a_draft_that_would_not_work_changes_nothing_and_says_why(owner, form, complaint):
    refused = owner.post(PLAYBOOK, {"passive.es.subject": "Hola", **form})
    assert refused.status == 400
    assert complaint in refused.text
    assert 'value="Hola"' in refused.body
    assert playbook.own_texts() == {}


def test_a_change_of_the_playbook_is_written_down(owner):
    owner.post(PLAYBOOK, {SUBJECT: "We hear you"})
    (noted,) = changes.latest(5)
    assert (noted.by, noted.change.setting) == ("Robin Reyes", "Subject to a patient who answered 0 to 6, in English")
    assert noted.change.new == "We hear you"


def typed(page: str) -> dict[str, Any]:
    """The form as a browser sends it unchanged, its line breaks included."""
    areas = re.findall(r'<textarea[^>]* name="([^"]*)"[^>]*>\n([^<]*)</textarea>', page)
    inputs = re.findall(r'<input id="[^"]*" name="([^"]*)" value="([^"]*)"', page)
    return {name: value.replace("\n", "\r\n").replace("&#39;", "'") for name, value in [*areas, *inputs]}


@pytest.mark.parametrize("address", [PLAYBOOK, THEMES])
def test_saving_as_it_stands_changes_nothing(owner, address):
    form = typed(owner.get(address).body)
    assert owner.post(address, form).location.endswith("?done=nothing")
    assert changes.latest(5) == []


def test_edited_lists_sort_the_comments_from_now_on(owner):
    text = "parking: parking, garage*\nbilling: bill*\nsafety fall: fell, tripped\n"
    assert owner.post(THEMES, {"text": text}).status == 303
    found = lexicon().find("The garage is full, I tripped, and it hurt me. I was late.")
    assert found.themes == ("parking",)
    assert found.concerns == ("fall", "injury")  # a safety list that was left out still stands
    (noted,) = changes.latest(5)
    assert (noted.change.scope, noted.change.setting) == ("lexicon", "Lists")
    assert "parking" in noted.change.new


def test_lists_that_cannot_be_read_change_nothing_and_say_where(owner):
    refused = owner.post(THEMES, {"text": "billing bill"})
    assert refused.status == 400
    assert "Line 1" in refused.text
    assert "billing bill</textarea>" in refused.body
    assert owner.post(THEMES, {"text": "billing: " + "x" * 20_001}).status == 400
    assert settings.texts_of("lexicon") == {}


def test_the_default_lists_can_be_taken_again(owner):
    owner.post(THEMES, {"text": "parking: parking"})
    owner.post(THEMES, {"text": "parking: parking", "default": "text"})
    assert settings.texts_of("lexicon") == {}
    assert lexicon_text(lexicon()) == lexicon_text(default_lexicon())


def test_playbook_and_lists_are_the_owners_alone(owner):
    admin = signed_in(Role.CLINIC_ADMIN, "north")
    for address, form in ((PLAYBOOK, {SUBJECT: "Mine"}), (THEMES, {"text": "a b: c"})):
        assert admin.get(address).status == 404
        assert admin.post(address, form).status == 404
    assert (playbook.own_texts(), settings.texts_of("lexicon")) == ({}, {})

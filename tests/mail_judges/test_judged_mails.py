"""Every mail, in every language, judged by those who decide whether and how it is read."""

import inspect
import os
from dataclasses import replace
from email import message_from_bytes, policy

import pytest

from local.judges import is_here
from shared.mail import letters, outreach, report_letter, staff_letters
from shared.mail.mailer import Mail
from tests.mail_judges.every_mail import every_mail
from tests.mail_judges.judging import as_delivered, complaints_about_html, spam_points, spamassassin, unsupported

MAILS = every_mail()
PATIENTS = {name: mail for name, mail in MAILS.items() if name.startswith(("survey", "reminder", "review"))}
MOST_POINTS = 1.0  # SpamAssassin's own limit is 5

# What some of the usual mail programs leave out, and what their readers get then.
DISPENSABLE = {
    "<body> element": "its colour stands on the table inside as well",
    "<style> element": "everything that matters is inline; the style element adds dark mode and room on wide screens",
    "Type selector": "as above: only in the style element",
    ":focus": "the program's own mark of the focus stays",
    "outline": "as above",
    "@media": "the layout for a phone, in light colours",
    "color-scheme meta tag": "light colours, or the program's own darkening, which the contrast survives",
    "display:none": "the preheader is read as a first line, which it is fit for",
    "max-height property": "as above",
    "overflow": "as above",
    "border-radius": "square corners",
    "border-spacing": "the cellspacing attribute says the same",
    "min-width property": "the width of the table's cells says the same",
    "height property": "the height attribute says the same",
    "white-space": "a comment's own line breaks are lost, its words are not",
    "overflow-wrap": "a very long word makes the mail wider than the screen",
    "word-break": "as above",
    "aria-label attribute": "a screen reader says the number and the ends of the scale, which stand in words",
    "role attribute": "a screen reader announces the layout's tables",
}


def test_no_kind_of_mail_is_left_out():
    written = {
        name
        for module in (letters, outreach, report_letter, staff_letters)
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__
        and inspect.signature(function).return_annotation is Mail
        and not name.startswith("_")
    }
    frames = {"staff_mail"}  # what the others are made with
    kinds = {
        "survey": "survey",
        "review": "review_request",
        "outreach": "outreach",
        "detractor": "detractor_alert",
        "passive": "passive_alert",
        "safety": "safety_alert",
        "digest": "digest",
        "escalation": "escalation",
        "report": "report",
    }
    assert {kinds[name] for name in {name.partition("-")[0] for name in MAILS} - {"reminder"}} == written - frames


def _needed(*, is_here: bool, judge: str) -> None:
    if not is_here and os.environ.get("EVERY_JUDGE") != "yes":
        pytest.skip(f"{judge} is not on this machine and could not be installed")


def _ask_spamassassin(mails: dict[str, Mail]) -> dict[str, tuple[float, str]]:
    _needed(is_here=bool(spamassassin()), judge="SpamAssassin")
    return spam_points(mails)


@pytest.fixture
def npm() -> None:
    _needed(is_here=is_here(), judge="html-validate or caniemail")


def test_no_mail_looks_like_spam():
    judged = _ask_spamassassin(MAILS)
    assert {name: said for name, said in judged.items() if said[0] > MOST_POINTS} == {}


def test_the_judge_of_spam_does_judge():
    [(points, _)] = _ask_spamassassin({"spam": replace(MAILS["survey-en-short"], text=_GTUBE)}).values()
    assert points > 900


_GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"  # the string all spam filters know


@pytest.mark.usefixtures("npm")
def test_every_mail_is_valid_html():
    assert complaints_about_html({name: mail.html for name, mail in MAILS.items()}) == []


@pytest.mark.usefixtures("npm")
def test_the_judge_of_html_does_judge():
    broken = MAILS["survey-en-short"].html.replace("</table>", "", 1)
    assert complaints_about_html({"broken": broken}) != []


@pytest.mark.usefixtures("npm")
def test_what_a_mail_program_does_not_support_is_dispensable():
    found = unsupported({name: mail.html for name, mail in MAILS.items()})
    assert found.keys() - DISPENSABLE.keys() == set(), {name: found[name][:3] for name in found.keys() - DISPENSABLE}
    assert DISPENSABLE.keys() - found.keys() == set(), "no longer needed"


@pytest.mark.parametrize("name", MAILS)
def test_a_mail_has_the_headers_that_its_reader_and_its_program_need(name: str):
    received = message_from_bytes(as_delivered(MAILS[name]), policy=policy.default)
    wanted = ["From", "To", "Reply-To", "Subject", "Date", "Message-ID", "MIME-Version"]
    if name in PATIENTS:
        wanted += ["List-Unsubscribe", "List-Unsubscribe-Post", "List-ID"]
    assert [header for header in wanted if len(received.get_all(header, [])) != 1] == []
    assert [part.get_content_type() for part in received.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert not received.defects

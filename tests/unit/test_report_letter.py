"""The report as a mail: the text says what the HTML says, and no name of a clinic can do harm."""

import re
from dataclasses import replace
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config import read_practice
from shared.domain.period import week_of, year_of
from shared.domain.report import CaseCounts, Figures, Place, Report, report_of
from shared.domain.settings import AlertDetail
from shared.domain.statistics import Groups
from shared.mail import report_letter
from shared.mail.mailer import Mail
from tests.environment import ENVIRONMENT
from tests.unit.test_report import MARCH, a_place, figures

PRACTICE = read_practice(ENVIRONMENT)
LINK = "https://staff.example.com/share?period=2026-03"
LARGE = (a_place("North", 60, 20, 12), a_place("South", 70, 25, 15))


def letter(shown: Report) -> Mail:
    return report_letter.report(PRACTICE, shown, to=["owner@example.com"], dashboard_link=LINK)


def report(*places: Place, **differences) -> Report:
    return report_of(figures(*(places or LARGE), **differences))


def words(mail: Mail) -> str:
    body = re.sub(r"<style>.*?</style>|<head>.*?</head>", "", mail.html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def test_everything_is_said_in_text_and_in_html() -> None:
    shown = report(
        cases=CaseCounts(27, 20, 3),
        themes={"front_desk": Groups(4, 3, 20)},
        before=Groups(40, 40, 20),
        histogram_before=a_place("", 40, 40, 20).histogram,
    )
    mail = letter(shown)
    for said in (
        "51, between 40 and 60 with 95 % confidence.",
        "20 the quarter before. Better, and by more than chance explains.",
        "202: 130 promoters (9–10), 45 passives (7–8), 27 detractors (0–6).",
        "30 % of 200 surveys sent March 1 to 16, 2026, all at least 14 days ago.",
        "Opened: 27. Closed: 20. Nobody reached out in time: fewer than 10.",
        "Most often about: front desk (27).",
        report_letter.NOTE,
    ):
        assert said in mail.text
        assert said in words(mail)
    assert "North: answers 92; score 52 (36 to 65)" in mail.text
    assert "North 92 52 (36 to 65)" in words(mail)
    assert (mail.to, mail.subject) == (("owner@example.com",), "How patients saw us: January to March 2026")
    assert LINK in mail.text
    assert f'href="{LINK}"' in mail.html


def test_a_change_for_the_worse_and_one_that_may_be_chance_are_told_apart() -> None:
    def before(promoters: int, passives: int, detractors: int) -> str:
        place = a_place("", promoters, passives, detractors)
        return dict(report_letter.facts_of(report(before=place.groups, histogram_before=place.histogram)))["Change"]

    assert before(90, 8, 2) == "88 the quarter before. Worse, and by more than chance explains."
    assert before(60, 25, 12) == "49 the quarter before. The difference may be chance."


def test_a_month_says_that_groups_are_told_of_quarters_and_a_year_what_the_change_is_judged_by() -> None:
    before = {"before": LARGE[0].groups, "histogram_before": LARGE[0].histogram}
    assert words(letter(report(period=MARCH))).count(f"202. {report_letter.QUARTERS_ONLY}") == 1
    assert dict(report_letter.facts_of(report(period=year_of(MARCH.first), **before)))["Change"] == (
        "52 the year before. The difference may be chance (by one answer a patient and quarter)."
    )


def test_what_is_hidden_is_said_to_be() -> None:
    facts = dict(report_letter.facts_of(report(a_place("North", 5, 1, 1), cases=CaseCounts(1, 1, 1))))
    assert facts == {
        "Net Promoter Score": "Not shown: fewer than 10 answers, or too few to keep them apart.",
        "Answers": "Fewer than 10.",
        "Response rate": "30 % of 200 surveys sent March 1 to 16, 2026, all at least 14 days ago.",
    }
    some = dict(report_letter.facts_of(report(a_place("North", 15, 3, 2))))
    assert some["Answers"] == "20. At least one group is small, so the groups are not shown."
    assert some["Net Promoter Score"].endswith("Few answers: take it as a hint.")


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_clinics_name_is_text_on_one_line(first: str, second: str) -> None:
    places = (replace(LARGE[0], name=first), replace(LARGE[1], name=f"<script>{second}"))
    mail = letter(report(*places))
    assert "<script" not in mail.html
    assert sum("; score" in line for line in mail.text.splitlines()) == 2


@pytest.mark.parametrize("detail", AlertDetail)
def test_the_week_before_is_called_that_whatever_the_alerts_show(detail: AlertDetail) -> None:
    week: Figures = figures(
        *LARGE, period=week_of(MARCH.first), before=LARGE[0].groups, histogram_before=LARGE[0].histogram
    )
    practice = replace(PRACTICE, alert_detail=detail)
    mail = report_letter.report(practice, report_of(week), to=["owner@example.com"], dashboard_link=LINK)
    assert "52 the week before." in mail.text

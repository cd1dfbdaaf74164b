"""A language that needs all the room there is still fits a small phone: what the limits in the catalogue are worth."""

import gettext
import re
from itertools import cycle, islice

import pytest

from local import gateway_pages
from local.catalogues import extract
from shared.locale import playbook, texts, wording
from tests.e2e.test_patient import assert_no_sideways_scrolling
from tests.patient_texts import all_pages, mails

LONG = "Donaudampfschifffahrtsgesellschaft mit großer Verspätung und Zuverlässigkeitsversprechen am Ufer der Donau "
LINES = """selector => [...document.querySelectorAll(selector)].filter(element => element.offsetParent).map(element => {
  const style = getComputedStyle(element);
  const inside = element.clientHeight - parseFloat(style.paddingTop) - parseFloat(style.paddingBottom);
  return Math.round(inside / parseFloat(style.lineHeight));
})"""


@pytest.fixture
def as_long_as_allowed(monkeypatch):
    """Spanish with every text stretched to its limit, or by half where it has none."""
    limits = {
        str(message.id): min(map(int, re.findall(r"At most (\d+)", " ".join(message.auto_comments))), default=0)
        for message in extract()
    }

    def stretched(_: object, english: str) -> str:
        braces = re.findall(r"\{\w+\}", english)
        room = limits[english] or len(english) * 3 // 2
        return " ".join(["".join(islice(cycle(LONG), room - len(braces))), *braces])

    caches = (texts, playbook.standard, wording.standard)
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setattr(gettext.GNUTranslations, "gettext", stretched)
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.usefixtures("as_long_as_allowed")
def test_the_longest_texts_allowed_fit_a_small_phone(browser):
    shown = {
        **{name: mail.html for name, mail in mails("es").items()},
        **{name: page for name, page in all_pages("es").items() if not name.startswith("gateway")},
        **{f"gateway: {name}": gateway_pages.html(name) for name in gateway_pages.words("es")},
    }
    context = browser.new_context(viewport={"width": 320, "height": 700})
    page = context.new_page()
    lines = {}
    for name, html in shown.items():
        page.set_content(html)
        assert_no_sideways_scrolling(page)
        lines[name] = (page.evaluate(LINES, "h1, h2"), page.evaluate(LINES, "button, a.button, td.button a"))
    context.close()
    assert {
        name: found for name, found in lines.items() if max(found[0], default=0) > 6 or max(found[1], default=0) > 2
    } == {}
    assert sum(len(buttons) for _, buttons in lines.values()) >= 10

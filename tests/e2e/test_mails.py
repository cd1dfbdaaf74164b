"""Every mail, opened in a browser as a mail program would show it: accessible, and as wide as a small phone."""

import pytest

from tests.e2e.test_patient import assert_accessible, assert_no_sideways_scrolling
from tests.mail_judges.every_mail import every_mail

MAILS = every_mail()


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("name", MAILS)
def test_every_mail_is_accessible_and_fits_a_small_phone(name, colours, browser):
    context = browser.new_context(viewport={"width": 320, "height": 700}, color_scheme=colours)
    page = context.new_page()
    page.set_content(MAILS[name].html)
    assert_accessible(page)
    assert_no_sideways_scrolling(page)
    context.close()

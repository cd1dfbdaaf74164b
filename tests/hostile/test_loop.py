"""Texts that break careless programs, through the whole loop: into files, mails, pages and exports, and out harmless.

The loop is run twice, with each text and with a harmless one of its length and line breaks in its place. Whatever
differs in the elements of a page or a mail was made by the text.
"""

import csv
import json
import re
import unicodedata
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import zip_longest

import pytest

from functions.serve_dashboard import user_pool
from shared import config
from shared.domain.staff import Role
from shared.mail.mailer import Mail
from shared.storage import kept
from tests.environment import ENVIRONMENT
from tests.handlers.conftest import empty_account
from tests.handlers.staff_pool import FakeUserPool
from tests.hostile import markup, mime, practice, strings
from tests.hostile.gateway import PATIENTS, STAFF, Answer
from tests.hostile.practice import Practice, somebody

OWN = (PATIENTS, STAFF, ENVIRONMENT["DASHBOARD_URL"], "https://g.page", "https://sign-in.example.com")
NAME, ADDRESS = 'Fox & Sons\' "<b>PT</b>" {clinic} =?utf-8?q?x?=, Inc.', "<1> River Road; {7*7}\r\nBcc: eve@e.x"
FINDS = "/patients?name=p"  # as many as have such a name
FORMULA = re.compile(r"[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


@dataclass
class Both:
    """The two loops, and what the first wrote to its log."""

    hostile: Practice
    harmless: Practice
    log: str


def tame(text: str) -> str:
    """A harmless text of the same shape: what is seen becomes an o, except in what may be a telephone number."""
    return "".join(
        "o" if unicodedata.category(letter)[0] in "LMPS" and letter not in "+-()." else letter for letter in text
    )


@pytest.fixture(scope="module")
def both(moto: None) -> Iterator[Both]:
    """Both loops, with mails that say everything and reviews at once."""
    fake = FakeUserPool()
    with pytest.MonkeyPatch.context() as patched:
        for name, value in {"ALERT_DETAIL": "full", "REVIEW_DELAY_HOURS": "0"}.items():
            patched.setenv(name, value)
        patched.setattr(user_pool, "client", lambda: fake)
        patched.setenv("PRACTICE_NAME", NAME)
        patched.setenv("POSTAL_ADDRESS", ADDRESS)
        log = StringIO()
        with redirect_stdout(log), redirect_stderr(log):
            hostile = the_loop(strings.ALL, fake)
        patched.setenv("PRACTICE_NAME", tame(NAME))
        patched.setenv("POSTAL_ADDRESS", tame(ADDRESS))
        yield Both(hostile, the_loop(tuple(map(tame, strings.ALL)), fake), log.getvalue())
    config.parameters.cache_clear()
    kept.forget()


def the_loop(texts: tuple[str, ...], pool: FakeUserPool) -> Practice:
    """One practice with these texts, looked at by everybody who may."""
    empty_account()
    pool.users.clear()
    pool.groups.clear()
    for number, name in enumerate(texts[:20]):
        pool.add(f"{number}@example.com", "owner" if number % 2 else "clinic_admin", name=name, custom_clinics=name)
    done = practice.of(texts)
    practice.look(done, somebody(Role.OWNER, name=texts[0]), list(done.links))
    practice.look(done, somebody(Role.CLINIC_ADMIN, "c0", "c1", name=texts[1]), [], "admin ")
    for number in range(7):
        done.pages[f"therapist {number}"] = somebody(Role.THERAPIST, therapist_id=f"t{number}").get("/")
    return done


def is_page(answer: Answer) -> bool:
    return answer.header("Content-Type").startswith("text/html")


def test_no_text_breaks_a_page(both: Both) -> None:
    assert {name: page.status for name, page in both.hostile.pages.items()} == {
        name: page.status for name, page in both.harmless.pages.items()
    }
    assert {page.status for page in both.hostile.pages.values()} <= {200, 303, 400, 404}


def test_no_text_makes_an_element_or_an_attribute_in_a_page(both: Both) -> None:
    for name, page in both.hostile.pages.items():
        if is_page(page):
            assert markup.foreign(page.body, *OWN) == [], name
            if name.removeprefix("admin ") != FINDS:
                same(markup.elements(page.body), markup.elements(both.harmless.pages[name].body), name)


def test_no_text_makes_an_element_or_an_attribute_in_a_mail(both: Both) -> None:
    for name, (mail, twin) in mails(both).items():
        assert markup.foreign(mail.html, *OWN) == [], name
        same(markup.elements(mail.html), markup.elements(twin.html), name)


def test_every_mail_has_our_headers_and_receivers_only(both: Both) -> None:
    for mail in both.hostile.mails:
        mime.read(mail)
        for header in (mail.sender, mail.reply_to, mail.subject, *mail.to, *mail.headers.values()):
            assert not any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in header)
        for name, value in mail.tags.items():
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,256}", name + value)


def test_no_text_is_taken_for_a_template(both: Both) -> None:
    for page in both.hostile.pages.values():
        assert "49" not in re.findall(r"[\s>](\d+)[\s<]", page.body)


def test_no_cell_of_an_export_is_a_formula(both: Both) -> None:
    exports = [page for name, page in both.hostile.pages.items() if ".csv" in name]
    assert len(exports) == 4
    for page in exports:
        rows = list(csv.reader(StringIO(page.body.removeprefix("\ufeff"), newline=""), strict=True))
        assert len(rows) > 1
        assert len({len(row) for row in rows}) == 1
        for cell in (cell for row in rows for cell in row):
            assert not FORMULA.match(cell), repr(cell)


def test_what_a_patient_wrote_is_exported_word_for_word(both: Both) -> None:
    page = both.hostile.pages["/export/answers.csv"]
    head, *rows = csv.reader(StringIO(page.body.removeprefix("\ufeff"), newline=""))
    found = {row[head.index("comment")].removeprefix("'") for row in rows}
    assert {"</textarea><script>alert(2)</script>", "../../../etc/passwd"} <= found


def test_no_text_leads_anywhere(both: Both) -> None:
    for name, page in both.hostile.pages.items():
        if location := page.header("Location"):
            assert location.startswith("/"), name
            assert not location.startswith(("//", "/\\")), name


def test_no_text_is_logged(both: Both) -> None:
    written = [text.strip() for text in strings.ALL if len(text.strip()) > 7]
    assert len(written) > 100
    assert both.log.count("\n") > 50
    for text in written:
        assert text not in both.log
        assert json.dumps(text)[1:-1] not in both.log


def mails(both: Both) -> dict[str, tuple[Mail, Mail]]:
    """Each mail with its twin, by what and whom it is for."""

    def by_receiver(found: Practice) -> dict[str, Mail]:
        named = sorted(found.mails, key=lambda mail: (mail.to, mail.tags.get("message_id", "")))
        return {f"{number} to {mail.to}": mail for number, mail in enumerate(named)}

    hostile, harmless = by_receiver(both.hostile), by_receiver(both.harmless)
    assert hostile.keys() == harmless.keys()
    return {name: (mail, harmless[name]) for name, mail in hostile.items()}


def same(found: list[markup.Element], expected: list[markup.Element], where: str) -> None:
    for one, other in zip_longest(found, expected):
        assert one == other, where

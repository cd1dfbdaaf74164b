"""What every mail is made of: templates, the sender, and values made harmless.

HTML values are escaped by `Markup.format`; header values lose line breaks and control characters first, so that no
name can add a header or stop a run.
"""

import re
import unicodedata
from email.header import Header
from email.utils import formataddr
from functools import cache
from pathlib import Path

from markupsafe import Markup

from shared.domain.settings import Practice

NOTHING = Markup("")
LINK_STYLE = "color:#0a5c63;white-space:nowrap"
_TEMPLATES = Path(__file__).parent / "templates"
_OVERRIDES = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # they turn the text around them
_CONTROLS = {"Cc", "Cs", "Zl", "Zp"}
_ENCODED_WORD = "=?"  # begins what mail programs decode (RFC 2047), and line breaks come out of it


def clean_header(text: str) -> str:
    """One harmless line: nothing that breaks it, turns it or is read as something else, whatever a record held."""
    kept = "".join(" " if unicodedata.category(letter) in _CONTROLS else letter for letter in text)
    return " ".join(_OVERRIDES.sub("", kept).replace(_ENCODED_WORD, "= ?").split())


def mailbox(practice: Practice, person: str = "") -> str:
    """The practice, or a person of it, as sender; beyond ASCII in RFC 2047 words, and nothing folds the line."""
    name = clean_header(f"{person}, {practice.name}" if person else practice.name)
    if name.isascii():
        return formataddr((name, practice.sender))
    return f"{Header(name, 'utf-8').encode(linesep='')} <{practice.sender}>"


def html_of(template: str, **values: object) -> Markup:
    """The HTML template with these values in it, escaped."""
    return Markup(_template(f"{template}.html")).format(**values)


def text_of(template: str, **values: object) -> str:
    """The text template with these values in it."""
    return _template(f"{template}.txt").format(**values)


def style() -> Markup:
    """What mail programs that read a style sheet use beside the inline styles."""
    return Markup(_template("mail.css"))


@cache
def _template(name: str) -> str:
    return (_TEMPLATES / name).read_text("utf-8")

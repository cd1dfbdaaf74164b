"""What readers see in their own language: texts, moments and phone numbers.

English is written in the code; `es/LC_MESSAGES/careloop.po` holds the Spanish and `careloop.mo` its compiled form,
which is what runs. After changing a text: `make catalogues`. A comment `At most … characters` above a text says how
long it may be in any language, what is filled in not counted. docs/languages.md says how a language is added.
"""

import re
from collections.abc import Callable
from datetime import datetime
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from shared.domain.patient import Language

_FOLDER = Path(__file__).parent
_EXTENSION = re.compile(r"\s*(?:ext|x|#)", re.IGNORECASE)
_NOT_DIALLED = re.compile(r"[^\d+]")


@cache
def texts(language: str) -> Callable[[str], str]:
    """Translates an English text; every language but English has a catalogue."""
    if language == Language.ENGLISH:
        return str
    from gettext import GNUTranslations  # pages in English do without it

    with (_FOLDER / Language(language) / "LC_MESSAGES" / "careloop.mo").open("rb") as catalogue:
        return GNUTranslations(catalogue).gettext


def moment(language: str, local: datetime) -> str:
    """A moment as people say it: `Monday, March 9, at 2:30 PM`; the caller has put it into the reader's zone."""
    _ = texts(language)
    weekdays = (
        _("Monday"),
        _("Tuesday"),
        _("Wednesday"),
        _("Thursday"),
        _("Friday"),
        _("Saturday"),
        _("Sunday"),
    )
    months = (
        _("January"),
        _("February"),
        _("March"),
        _("April"),
        _("May"),
        _("June"),
        _("July"),
        _("August"),
        _("September"),
        _("October"),
        _("November"),
        _("December"),
    )
    return _("{weekday}, {month} {day}, at {time}").format(
        weekday=weekdays[local.weekday()],
        month=months[local.month - 1],
        day=local.day,
        time=_("{hour}:{minute} {half}").format(
            hour=(local.hour + 11) % 12 + 1,
            minute=f"{local.minute:02}",
            half=_("AM") if local.hour < 12 else _("PM"),
        ),
    )


def telephone(number: str, style: str = "") -> Markup:
    """The number as a link that dials it without its extension, or as plain text when there is nothing to dial."""
    digits = _NOT_DIALLED.sub("", _EXTENSION.split(number)[0])
    if len(digits) < 3:
        return escape(number)
    look = Markup(' style="{}"').format(style) if style else ""
    return Markup('<a href="tel:{}"{}>{}</a>').format(digits, look, number)

"""The pages with which API Gateway itself answers patients, in every language one below the other.

The gateway does not know who asks, nor in which language. The template carries the pages as a mapping, which
`make catalogues` writes: letters beyond ASCII as references, because a gateway's answer names no charset of its own.
"""

import textwrap
from html import escape

from shared.domain.patient import Language
from shared.locale import texts

_BEFORE, _AFTER = "  GatewayPage:\n", "\n  StaffGatewayPage:\n"
_STYLE = "max-width:34rem;margin:0 auto;padding:2rem 1rem;font:125%/1.5 system-ui,sans-serif;overflow-wrap:anywhere"


def renewed(template: str) -> str:
    """The text of the template with the pages as the catalogues have them now."""
    before, start, rest = template.partition(_BEFORE)
    _, end, after = rest.partition(_AFTER)
    if not start or not end:
        raise ValueError("infra/template.yaml has no mapping GatewayPage followed by StaffGatewayPage")
    mapping = "".join(
        f"    {name}:\n      Html: >-\n{textwrap.indent(_folded(html(name)), ' ' * 8)}\n"
        for name in words(Language.ENGLISH)
    )
    return before + start + mapping + end + after


def words(language: str) -> dict[str, tuple[str, str]]:
    """Heading and text of each page."""
    _ = texts(language)
    return {
        "Refused": (
            # At most 45 characters: a heading.
            _("This page cannot be opened"),
            _("Please open our email again and tap one of the numbers there.")
            + " "
            + _("If that does not help, just reply to our email."),
        ),
        "TooLarge": (
            # At most 45 characters: a heading.
            _("Your comment is too long"),
            _("Your answer was not sent. Please go back, shorten your comment, and send it again."),
        ),
        "Busy": (
            # At most 45 characters: a heading.
            _("Please try again in a minute"),
            _(
                "We do not know whether your answer was saved. Please go back, wait a minute, and send it again: "
                "nothing is counted twice. The link in your email keeps working."
            ),
        ),
    }


def html(name: str) -> str:
    """The whole page: English first, as what the document's language says, the others below."""
    (heading, text), *others = (words(language)[name] for language in Language)
    title = " / ".join([heading, *(other for other, _text in others)])
    below = "".join(
        f'<div lang="{language}"><h2>{escape(other)}</h2><p>{escape(said)}</p></div>'
        for language, (other, said) in zip(list(Language)[1:], others, strict=True)
    )
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{escape(title)}</title></head>'
        f'<body style="{_STYLE}"><main><h1>{escape(heading)}</h1><p>{escape(text)}</p>{below}</main></body></html>'
    )
    return page.encode("ascii", "xmlcharrefreplace").decode()


def _folded(page: str) -> str:
    return "\n".join(textwrap.wrap(page, 88, break_long_words=False, break_on_hyphens=False))

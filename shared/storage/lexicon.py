"""The practice's lists of words for themes and safety, over the default ones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from shared.config import setting
from shared.storage.dynamodb import client
from shared.storage.kept import forget, kept

if TYPE_CHECKING:  # the patient's page opens without the lists: only a comment is looked through
    from shared.domain.themes import Lexicon

LEXICON = "lexicon"
_KEY = {"scope": {"S": LEXICON}}


def lexicon() -> Lexicon:
    """The lists as they stand; kept for a minute in a warm function."""
    return _parsed(kept(LEXICON, _load_text))


def load_lexicon() -> Lexicon:
    """The lists as they stand in the table now."""
    return _parsed(_load_text())


def _load_text() -> str:
    return text_in(client().get_item(TableName=setting("SETTINGS_TABLE"), Key=_KEY).get("Item", {}))


def text_in(item: Mapping[str, Any]) -> str:
    """The edited lists that the row holds; empty if nobody edited them."""
    return str(item.get("text", {}).get("S", ""))


@lru_cache(maxsize=2)
def _parsed(text: str) -> Lexicon:
    from shared.domain.themes import default_lexicon, parse_lexicon

    return parse_lexicon(text) if text else default_lexicon()


def put_lexicon(edited: Lexicon) -> None:
    """Write edited lists; the last write wins. Answers counted before keep the themes they have."""
    from shared.domain.themes import lexicon_text

    client().put_item(TableName=setting("SETTINGS_TABLE"), Item={**_KEY, "text": {"S": lexicon_text(edited)}})
    forget(LEXICON)

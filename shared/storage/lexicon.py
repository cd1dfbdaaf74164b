"""The practice's lists of words for themes and safety, over the default ones."""

from shared.config import setting
from shared.domain.themes import Lexicon, default_lexicon, lexicon_text, parse_lexicon
from shared.storage.dynamodb import client
from shared.storage.kept import forget, kept

_KEY = {"scope": {"S": "lexicon"}}


def lexicon() -> Lexicon:
    """The lists as they stand; kept for a minute in a warm function."""
    return kept("lexicon", load_lexicon)


def load_lexicon() -> Lexicon:
    """The lists as they stand in the table now."""
    item = client().get_item(TableName=setting("SETTINGS_TABLE"), Key=_KEY).get("Item", {})
    return parse_lexicon(item["text"]["S"]) if "text" in item else default_lexicon()


def put_lexicon(edited: Lexicon) -> None:
    """Write edited lists; the last write wins. Answers counted before keep the themes they have."""
    client().put_item(TableName=setting("SETTINGS_TABLE"), Item={**_KEY, "text": {"S": lexicon_text(edited)}})
    forget("lexicon")

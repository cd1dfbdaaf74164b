"""The practice's own playbook, over the one that Careloop brings."""

from collections.abc import Mapping

from shared.domain.playbook import Draft, Playbook
from shared.locale.playbook import standard
from shared.storage.kept import kept
from shared.storage.settings import texts_of

SCOPE = "playbook"


def playbook() -> Playbook:
    """What to write and say to a patient who was not happy; kept for a minute in a warm function."""
    return kept(SCOPE, lambda: playbook_of(texts_of(SCOPE)))


def own_texts() -> dict[str, str]:
    """The texts of the practice's own, as they stand in the table now."""
    return texts_of(SCOPE, consistent=True)


def playbook_of(texts: Mapping[str, str]) -> Playbook:
    """The playbook with these texts over Careloop's: `detractor.en.subject`, `detractor.en.body`, `talk_track`."""
    drafts = {
        (group, language): Draft(
            texts.get(f"{group}.{language}.subject", draft.subject), texts.get(f"{group}.{language}.body", draft.body)
        )
        for (group, language), draft in standard().drafts.items()
    }
    return Playbook(drafts, points_of(texts.get("talk_track", "")) or standard().talk_track)


def points_of(text: str) -> tuple[str, ...]:
    """A talk track as people write it: one point a line."""
    return tuple(filter(None, map(str.strip, text.splitlines())))

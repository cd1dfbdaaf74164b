"""The words of the practice's own in what patients read. The question itself is fixed: figures must stay comparable."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PLACEHOLDER = "{practice}"
_LINK = re.compile(r"://|\bwww\.|\b[\w-]+\.(?:com|org|net|info|health|care|us|io|co|mx|es)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"\S@\S")
_MARKUP = re.compile(r"<\s*[/!a-zA-Z]|&\w+;|&#")


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a mail or page that may be worded otherwise."""

    name: str
    longest: int  # characters


SUBJECT, PARAGRAPH = 90, 600

SLOTS = (
    Slot("survey_subject", SUBJECT),
    Slot("survey_opening", PARAGRAPH),
    Slot("survey_closing", PARAGRAPH),
    Slot("reminder_subject", SUBJECT),
    Slot("reminder_opening", PARAGRAPH),
    Slot("review_subject", SUBJECT),
    Slot("review_opening", PARAGRAPH),
    Slot("thanks_heading", SUBJECT),
    Slot("thanks_text", PARAGRAPH),
)


@dataclass(frozen=True, slots=True)
class Wording:
    """Words in one language, by slot; of a practice's own, what is missing reads as Careloop has it."""

    texts: Mapping[str, str] = field(default_factory=dict)

    def filled(self, slot: str, practice_name: str) -> str:
        """The text of a slot with the practice's name in it; empty if there is none."""
        return self.texts.get(slot, "").replace(PLACEHOLDER, practice_name)


STANDARD = Wording()


def tidy(text: str) -> str:
    """One line without spaces around it: a slot is a subject, a heading or a single paragraph."""
    return " ".join(text.split())


def check(slot: Slot, text: str) -> None:
    """A ValueError says what is wrong with the text of a slot, in words for whoever wrote it."""
    if len(text) > slot.longest:
        raise ValueError(f"This is {len(text)} characters long; there is room for {slot.longest}.")
    if any(not letter.isprintable() for letter in text):
        raise ValueError("There is a character that cannot be shown. Please type the text anew.")
    if _MARKUP.search(text):
        raise ValueError("Please write plain words: HTML would be shown as it stands.")
    if _LINK.search(text) or _ADDRESS.search(text):
        raise ValueError("Please leave out links and addresses: mail filters distrust them, and the mail has its own.")
    if re.search(r"[{}]", text.replace(PLACEHOLDER, "")):
        raise ValueError("Only {practice} can stand in braces; it becomes the practice's name.")

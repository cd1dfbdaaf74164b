"""The practice's playbook: what to write and what to say to a patient who was not happy.

No draft repeats what the patient wrote or names a treatment: families share mailboxes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.patient import Language
from shared.domain.score import Category

PLACEHOLDERS = ("first_name", "practice", "clinic", "phone", "staff")
MAX_DRAFT = 4000  # characters
_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Draft:
    """A personal mail to begin with; words in braces are filled in."""

    subject: str
    body: str


_TALK_TRACK = (
    "Say who you are and why you call: “I read the answer you sent us, and I would like to hear more.”",
    "Ask whether this is a good moment. If it is not, agree on another one and write it down.",
    "Listen first. Do not explain and do not defend: “Thank you for telling me. What happened then?”",
    "Ask what would have made it better, and what would put it right now.",
    "Promise only what you can keep: what, who, by when.",
    "If it is about an injury, a fall, or somebody's safety, give no advice: pass it to the clinical lead at once.",
    "Thank the patient, and write down what was said before you do anything else.",
)


@dataclass(frozen=True, slots=True)
class Playbook:
    """Drafts by group and language, and what to say on the telephone, point by point."""

    drafts: Mapping[tuple[Category, Language], Draft]
    talk_track: tuple[str, ...] = _TALK_TRACK

    def draft(self, category: Category, language: Language) -> Draft:
        """What to write to a patient of this group; a promoter gets what a passive gets."""
        group = Category.DETRACTOR if category is Category.DETRACTOR else Category.PASSIVE
        return self.drafts[group, language]


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with what is known in place of its placeholders; a line that needs something unknown is left out.

    What stands in braces and is no placeholder stays as it is.
    """
    lines = []
    for line in text.split("\n"):
        wanted = [name for name in _PLACEHOLDER.findall(line) if name in PLACEHOLDERS]
        if all(values.get(name) for name in wanted):
            lines.append(_PLACEHOLDER.sub(lambda match: values.get(match[1], match[0]), line))
    return "\n".join(lines).strip()


def check(draft: Draft) -> None:
    """A ValueError says what is wrong with a draft, in words for whoever wrote it."""
    if not draft.subject.strip() or not draft.body.strip():
        raise ValueError("A draft needs a subject and a text.")
    if "\n" in draft.subject or len(draft.subject) > 200:
        raise ValueError("The subject must be one line of at most 200 characters.")
    if len(draft.body) > MAX_DRAFT:
        raise ValueError(f"The text is longer than {MAX_DRAFT:,} characters.")
    unknown = set(_PLACEHOLDER.findall(draft.subject + draft.body)) - set(PLACEHOLDERS)
    if unknown:
        known = ", ".join("{" + name + "}" for name in PLACEHOLDERS)
        raise ValueError(f"There is no {{{sorted(unknown)[0]}}}. What can be filled in: {known}.")

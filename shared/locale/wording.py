"""What stands in the slots that a practice may word itself, in the reader's language."""

from functools import cache

from shared.domain.wording import Wording
from shared.locale import texts


@cache
def standard(language: str) -> Wording:
    """Careloop's own words; an empty slot is one that nothing stands in."""
    _ = texts(language)
    return Wording(
        {
            # At most 45 characters: a subject, which phones cut.
            "survey_subject": _("One short question from {practice}"),
            "survey_opening": _(
                "Thank you for choosing {practice}. May we ask you one question? It takes about a minute."
            ),
            "survey_closing": "",
            # At most 45 characters: a subject, which phones cut.
            "reminder_subject": _("A reminder: one short question from {practice}"),
            "reminder_opening": _(
                "Some days ago we asked you one question. Your answer would help us very much. "
                "This is the only reminder we will send."
            ),
            # At most 45 characters: a subject, which phones cut.
            "review_subject": _("Thank you from {practice}"),
            "review_opening": _("It helps us to care well for our patients."),
            # At most 60 characters: a heading.
            "thanks_heading": _("Thank you for your answer"),
            "thanks_text": "",
        }
    )


def say(language: str, wording: Wording, slot: str, practice_name: str) -> str:
    """What a reader finds in a slot: the practice's own words, else Careloop's."""
    return wording.filled(slot, practice_name) or standard(language).filled(slot, practice_name)

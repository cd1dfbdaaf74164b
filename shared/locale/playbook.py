"""The playbook that Careloop brings: drafts of personal mails in every language patients are addressed in."""

from functools import cache

from shared.domain.patient import Language
from shared.domain.playbook import Draft, Playbook
from shared.domain.score import Category
from shared.locale import texts


@cache
def standard() -> Playbook:
    """Careloop's own drafts and talk track."""
    drafts = {}
    for language in Language:
        _ = texts(language)
        drafts[Category.DETRACTOR, language] = Draft(
            # At most 45 characters: a subject.
            _("Your feedback to {practice}"),
            _(
                "Dear {first_name},\n"
                "\n"
                "Thank you for telling us how things went. I am sorry that we did not meet your expectations. "
                "I read your answer myself, and I would like to understand it and put it right.\n"
                "\n"
                "Would you reply to this email, or tell me when I may call you?\n"
                "You can also reach us at {phone}.\n"
                "\n"
                "Kind regards,\n"
                "{staff}\n"
                "{practice}"
            ),
        )
        drafts[Category.PASSIVE, language] = Draft(
            # At most 45 characters: a subject.
            _("Thank you for your feedback to {practice}"),
            _(
                "Dear {first_name},\n"
                "\n"
                "Thank you for your answer. We are glad that you come to us, "
                "and I would like to know what one thing would have made it better for you.\n"
                "\n"
                "A short reply to this email is all it takes.\n"
                "\n"
                "Kind regards,\n"
                "{staff}\n"
                "{practice}"
            ),
        )
    return Playbook(drafts)

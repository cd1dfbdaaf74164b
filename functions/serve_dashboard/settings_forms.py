"""What the settings pages share: fields, what was typed, and the list of last changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.web import Request, Response
from shared.domain.settings import WEEKDAYS
from shared.domain.staff import Staff
from shared.storage import changes
from shared.storage.settings import practice

LONGEST = 2_000  # characters of one field, unless it says otherwise
MOST_CHANGES = 12
CONTENDED = "Somebody else changed this while you were at it. Please look at it again and repeat what is still needed."


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form: how people read it, what it holds, and what is wrong with what was typed.

    `default` is what holds without a choice of one's own, in words; None if there is nothing to go back to.
    """

    name: str
    label: str
    hint: str = ""
    kind: str = "text"  # text, number, area, options, days, touchpoints
    value: str = ""
    default: str | None = None
    is_own: bool = False
    error: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    rows: int = 3
    longest: int = LONGEST


def show(
    request: Request,
    staff: Staff,
    template: str,
    *,
    scopes: tuple[str, ...],
    problem: str = "",
    status: int = 200,
    **values: object,
) -> Response:
    """A page of settings with the last changes of these scopes; `problem` says that nothing was changed, and why."""
    return page(
        request,
        staff,
        template,
        status=status,
        problem=problem,
        last_changes=changes.latest(MOST_CHANGES, scopes),
        at=lambda moment: at(moment, practice().zone),
        weekdays=WEEKDAYS,
        **values,
    )


def in_words(error: BaseException) -> str:
    """What a parser says, as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."

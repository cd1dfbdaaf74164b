"""What the settings pages share: forms over defaults, and the list of last changes.

Settings are texts by name, in the form that the stack's parameters have; a form shows them as people edit them.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from textwrap import shorten

from functions.serve_dashboard.pages import at, page
from functions.serve_dashboard.unreached import unreached
from functions.serve_dashboard.web import Request, Response
from shared.domain.settings import WEEKDAYS, parse_addresses, parse_days, parse_review_links
from shared.domain.staff import Staff
from shared.storage import changes
from shared.storage.changes import Change
from shared.storage.settings import practice

LONGEST = 2_000  # characters of one field, unless it says otherwise
MOST_CHANGES = 12
PLEASE_LOOK = "Please look at the fields that are marked."
CONTENDED = (
    "Somebody else changed this while you were at it. What you typed is still here; the marked fields say what is "
    "stored by now. Please look at them again before you save."
)
DONE = {"saved": "Saved. It counts everywhere within a minute.", "nothing": "There was nothing to change."}

MOMENTS = {
    "evaluation": "after the evaluation",
    "visit": "after visit {n}",
    "discharge": "after discharge",
    "days_after_evaluation": "{n} days after the evaluation",
    "days_after_discharge": "{n} days after discharge",
    "lapsed": "{n} days after the last visit of somebody who stays away",
}
"""Touchpoints in words."""
_NUMBERED = {
    "visit": "After visits number",
    "days_after_evaluation": "Days after the evaluation",
    "days_after_discharge": "Days after discharge",
    "lapsed": "Days after the last visit, if a patient stays away",
}
"""What the fields for their numbers are called."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One setting: how people read and write it. `lines` makes a line of each part of its text."""

    name: str
    label: str
    hint: str = ""
    kind: str = "text"  # text, number, area, options, days, touchpoints
    options: Mapping[str, str] = field(default_factory=dict)
    nothing: str = "none"  # how people read an empty one
    empty_is_default: bool = False
    lines: Callable[[str], Iterable[str]] | None = None
    rows: int = 3
    longest: int = LONGEST

    def say(self, text: str) -> str:
        """The setting as people read it."""
        if not text:
            return self.nothing
        if self.kind == "touchpoints":
            named = (part.partition(":") for part in self.editable(text).split(","))
            return ", ".join(MOMENTS.get(kind, kind).format(n=n) for kind, _, n in named)
        if self.kind == "days":
            return ", ".join(_days(text))
        if self.lines:
            return ", ".join(self.lines(text))
        return self.options.get(text, text)

    def editable(self, text: str) -> str:
        """The setting as people edit it, in its normal form; one that is malformed stays as it was typed."""
        if self.kind == "days":
            return ",".join(_days(text))
        if self.kind == "touchpoints":
            return ",".join(sorted(set(text.split(",")), key=_moment_order))
        try:
            return "\n".join(self.lines(text)) if self.lines else text.strip()
        except ValueError:
            return "\n".join(text.split(";"))

    def read(self, request: Request) -> str:
        """What the form has for it."""
        if self.kind == "days":
            return ",".join(request.form.get(self.name, []))
        if self.kind == "touchpoints":
            ticked = (kind for kind in ("evaluation", "discharge") if kind in request.form.get(self.name, []))
            numbered = (
                f"{kind}:{n}"
                for kind in MOMENTS
                for n in request.field(f"{self.name}.{kind}").replace(",", " ").replace(";", " ").split()
            )
            return ",".join([*ticked, *numbered])
        text = "\n".join(request.field(self.name).splitlines())
        return ";".join(filter(None, map(str.strip, text.split("\n")))) if self.lines else text


@dataclass(frozen=True, slots=True)
class Field:
    """One setting on a page: what it holds, its default in words, and what is wrong with what was typed."""

    choice: Choice
    value: str
    default: str
    is_own: bool
    error: str
    numbers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Form:
    """Settings that are shown and checked together: what is chosen, and what holds where nothing is."""

    choices: tuple[Choice, ...]
    chosen: Mapping[str, str]
    defaults: Mapping[str, str]

    def fields(self, typed: Mapping[str, str] | None = None, errors: Mapping[str, str] | None = None) -> list[Field]:
        """The fields with what was typed a moment ago, else with what counts at present."""
        present = {**self.defaults, **self.chosen, **(typed or {})}
        shown = [(choice, choice.editable(present.get(choice.name, ""))) for choice in self.choices]
        return [
            Field(
                choice,
                value,
                choice.say(self.defaults.get(choice.name, "")),
                choice.name in self.chosen,
                (errors or {}).get(choice.name, ""),
                _numbers(value) if choice.kind == "touchpoints" else {},
            )
            for choice, value in shown
        ]

    def typed(self, request: Request) -> dict[str, str]:
        """What was typed into each field."""
        return {choice.name: choice.read(request) for choice in self.choices}

    def wanted(self, request: Request) -> dict[str, str | None]:
        """What is to be stored: None where the default is meant, and what stands there if it means the same."""
        return {choice.name: self._wanted(choice, request) for choice in self.choices}

    def _wanted(self, choice: Choice, request: Request) -> str | None:
        text, present = choice.read(request), self.chosen.get(choice.name)
        is_default = choice.editable(text) == choice.editable(self.defaults.get(choice.name, ""))
        if choice.name in request.form.get("default", []) or is_default or (not text and choice.empty_is_default):
            return None
        return present if present is not None and choice.editable(text) == choice.editable(present) else text

    def changed(self, wanted: Mapping[str, str | None]) -> dict[str, str | None]:
        """What of it is not so already."""
        return {name: text for name, text in wanted.items() if text != self.chosen.get(name)}

    def before(self) -> dict[str, str | None]:
        """What a change takes for granted."""
        return {choice.name: self.chosen.get(choice.name) for choice in self.choices}

    @property
    def made_from(self) -> str:
        """Which texts the fields show, for the form to carry: it changes with any of them and tells none."""
        shown = [(choice.name, self.chosen.get(choice.name), self.defaults.get(choice.name)) for choice in self.choices]
        return hashlib.sha256(json.dumps(shown).encode()).hexdigest()

    def conflicts(self, request: Request) -> dict[str, str]:
        """What counts by now, by the name of each setting that a form from before somebody else's change would undo."""
        if request.field("made_from", self.made_from) == self.made_from:
            return {}
        present = {**self.defaults, **self.chosen}
        changed = self.changed(self.wanted(request))
        return {
            choice.name: f"Stored by now: {shorten(choice.say(present.get(choice.name, '')), 300, placeholder='…')}"
            for choice in self.choices
            if choice.name in changed
        }

    def notes(self, scope: str, changed: Mapping[str, str | None]) -> list[Change]:
        """The changes in words."""
        noted = []
        for choice in self.choices:
            if choice.name in changed:
                default, new = self.defaults.get(choice.name, ""), changed[choice.name]
                old = self.chosen.get(choice.name, default)
                noted.append(Change(scope, choice.label, choice.say(old), choice.say(default if new is None else new)))
        return noted


def too_long(choices: Iterable[Choice], wanted: Mapping[str, str | None]) -> dict[str, str]:
    """The texts that there is no room for."""
    return {
        choice.name: f"This is longer than {choice.longest:,} characters."
        for choice in choices
        if len(wanted[choice.name] or "") > choice.longest
    }


def show(
    request: Request,
    staff: Staff,
    template: str,
    *,
    scopes: tuple[str, ...] | None,
    problem: str = "",
    status: int = 200,
    done: str = "",
    **values: object,
) -> Response:
    """A page of settings with the last changes of these scopes, or all; `problem` says why nothing was changed."""
    return page(
        request,
        staff,
        template,
        status=status,
        problem=problem,
        done=done or DONE.get(request.query("done"), ""),
        last_changes=changes.latest(MOST_CHANGES, scopes),
        at=lambda moment: at(moment, practice().zone),
        weekdays=WEEKDAYS,
        moments=MOMENTS,
        numbered=_NUMBERED,
        **values,
    )


def not_reached(fields: Iterable[Field]) -> dict[str, list[str]]:
    """What keeps alerts from addresses that the fields hold, by the name of the choice."""
    of_staff = (each for each in fields if each.choice.lines is parse_addresses)
    return {each.choice.name: list(unreached(each.value.split()).values()) for each in of_staff}


def in_words(error: BaseException) -> str:
    """What a parser says, as a sentence."""
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."


def links_of(text: str) -> tuple[str, ...]:
    """Review links as people edit them."""
    return tuple(f"{link.label}={link.url}" for link in parse_review_links(text))


def _days(text: str) -> list[str]:
    try:
        return [WEEKDAYS[day] for day in sorted(parse_days(text))]
    except ValueError:
        return []


def _moment_order(text: str) -> tuple[int, int, str]:
    kind, _, n = text.partition(":")
    return (list(MOMENTS).index(kind) if kind in MOMENTS else len(MOMENTS), len(n), n)


def _numbers(text: str) -> dict[str, str]:
    """Touchpoints as the form has them: what is ticked, and the numbers that are typed."""
    typed: dict[str, list[str]] = {}
    for part in filter(None, text.split(",")):
        kind, _, n = part.partition(":")
        typed.setdefault(kind, []).append(n)
    return {kind: ", ".join(typed[kind]) or "on" if kind in typed else "" for kind in MOMENTS}

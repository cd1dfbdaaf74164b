"""What a restored row becomes in the light of the table it was restored from: nothing that stops mail is forgotten.

A backup knows nothing of what came after it. So whatever the former table still tells of mail that left, of people who
want none, of answers and of what the staff did is carried forward; everything else stands as it was at the moment that
was chosen. And what may have been sent counts as sent: an unsettled mail of which the former table says nothing any
more, once it was due, is never sent again.

`then` is the row as restored, `live` the same row as the former table has it today; either may be missing. Of what
comes into the former stack later still, the functions in …_since say what is brought to a row as it is `here` by then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from local.tables import Item
from shared.domain.survey import Reaction

# As shared.storage has them, which can only be imported among a function's variables.
ERASED, UNCOUNTED = "erased#", "yes"
STOPS, BROUGHT = ("opted_out", "hold", "deceased"), "brought"
"""What keeps mail from a patient; and where a patient's row says which of these the former stack has told of."""
LEFT, WAITING = ("calling", "sent", "unknown", "failed"), ("due", "claimed")
_ANSWER = ("score", "category", "comment", "version", "first_answered_at", "answered_at", "answers")
_HAPPENED = ("sent_at", "delivered_at", "review_invited_at")
_TURNS = {
    "surveyed_at": ("surveyed_at", "surveyed_by", "surveyed_for"),
    "review_requested_at": ("review_requested_at", "review_requested_by"),
}


@dataclass
class Carrying:
    """What is known while one restore goes on; moments are text, as the tables have them."""

    now: str
    sent_is_unknown: bool = False  # the former table of messages cannot be believed
    is_rehearsal: bool = False
    may_have_left: dict[str, Item] = field(default_factory=dict)  # by patient: whose pause begins anew
    unknown: int = 0  # mails that are not sent, since they may have been
    let_in: frozenset[str] = frozenset()  # references of those who were erased and have been let in again since

    def row(self, table: str, then: Item | None, live: Item | None, message: Item | None = None) -> Item | None:
        """What is to be written, if anything; of a survey also by what its message came to."""
        match table:
            case "Patients":
                return self._patient(then, live)
            case "Messages":
                return self._message(then, live)
            case "Surveys":
                return self._survey(then, live, message)
            case "Addresses":
                return _address(then, live)
            case "Activity":
                return then or live
            case "Settings":
                return _setting(then, live)
            case "Cases":
                return _case(then, live)
            case _:
                return then

    def _patient(self, then: Item | None, live: Item | None) -> Item | None:
        if (patient_id := _text(then or live, "patient_id")).startswith(ERASED):
            return live or (None if patient_id.removeprefix(ERASED) in self.let_in else then)
        stops = _stops(live)
        turns = [names for moment, names in _TURNS.items() if _text(live, moment) > _text(then, moment)]
        taken = {name: live[name] for names in turns for name in names if live and name in live}
        if then is None:  # came later: only what keeps mail away is kept, and the next export brings the rest
            return {"patient_id": live["patient_id"], **stops, **taken} if live and (stops or taken) else None
        asked = self.may_have_left.get(_text(then, "patient_id"))
        return {**_without(then, BROUGHT), **stops, **taken, **(asked or {})}

    def _message(self, then: Item | None, live: Item | None) -> Item | None:
        stood, stands = _text(then, "state"), _text(live, "state")
        if then is None and stands == "due" and _text(live, "kind") == "survey":
            return None  # nothing left, and the next export makes it again together with its survey
        if stood in LEFT and stands not in LEFT:
            return then
        is_in_hand = (
            stands == "claimed" and _text(live, "lease_until") >= self.now
        )  # the former stack is just sending it
        if live is not None and not is_in_hand and (stands != "due" or not self.sent_is_unknown):
            return live
        found = live or then
        if found is None or _text(found, "state") not in WAITING or _text(found, "due_at") > self.now:
            return found
        if _text(found, "kind") == "survey":
            turn = {"surveyed_at": {"S": self.now}, "surveyed_by": found["message_id"]}
            self.may_have_left[_text(found, "patient_id")] = {**turn, "surveyed_for": found["occurred_at"]}
        self.unknown += 1
        return {**_without(found, "due", "lease_until"), "state": {"S": "unknown"}}

    def _survey(self, then: Item | None, live: Item | None, message: Item | None) -> Item | None:
        if then is None:
            then = _as_newly_made(live)
        if then is None:
            return None
        found = dict(then)
        if live:
            if _number(live, "version") > _number(then, "version"):
                found = {**_without(found, *_ANSWER), **_only(live, _ANSWER)}
            if _number(live, "version") >= _number(then, "version"):
                found = {**_without(found, "pending_reaction"), **_only(live, ("pending_reaction",))}
            found |= {name: live[name] for name in _HAPPENED if name in live and name not in found}
            if hashes := {*_texts(then, "token_hashes"), *_texts(live, "token_hashes")}:
                found["token_hashes"] = {"SS": sorted(hashes)}
            if _text(live, "expires_at") > _text(then, "expires_at"):
                found["expires_at"] = live["expires_at"]
            if "unsent_reason" in live:
                found.setdefault("unsent_reason", live["unsent_reason"])
        found = _told_by(found, message)
        if self.is_rehearsal:
            found.pop("pending_reaction", None)  # nobody is alerted by a rehearsal
        elif live is None and self.sent_is_unknown:
            found = _without_review(found)
        return found if _counts(found) == _counts(then) and "uncounted" not in found else _to_be_counted(found, live)


def _as_newly_made(live: Item | None) -> Item | None:
    """A survey that was made later and is settled; one that still waits is made again by the next export."""
    if live is None or not {"sent_at", "version", "token_hashes", "unsent_reason"} & live.keys():
        return None
    return {**_without(live, "counted", "counted_answer_at"), "uncounted": {"S": UNCOUNTED}}


def _told_by(survey: Item, message: Item | None) -> Item:
    """A survey that does not say what became of it, though its message does."""
    if message is None or {"sent_at", "version", "unsent_reason"} & survey.keys():
        return survey
    state = _text(message, "state")
    if state == "sent" and "sent_at" in message:
        return {**survey, "sent_at": message["sent_at"]}
    if state in ("unknown", "skipped", "failed"):
        return {**survey, "unsent_reason": {"S": _text(message, "reason") or state}}
    return survey


def _without_review(survey: Item) -> Item:
    """It may have been asked for already, and nobody is asked twice; alerts are rather given twice."""
    owed = [each for each in _text(survey, "pending_reaction").split() if each != Reaction.REVIEW]
    return {**_without(survey, "pending_reaction"), **({"pending_reaction": {"S": " ".join(owed)}} if owed else {})}


def _to_be_counted(survey: Item, live: Item | None) -> Item:
    revision = max(_number(survey, "revision"), _number(live, "revision")) + 1
    return {**survey, "uncounted": {"S": UNCOUNTED}, "revision": {"N": str(revision)}}


def _counts(survey: Item) -> Item:
    return _only(survey, (*_ANSWER, *_HAPPENED, "unsent_reason"))


def _address(then: Item | None, live: Item | None) -> Item | None:
    if then is None or live is None:
        return then or live
    contact = live if _text(live, "last_contact_at") > _text(then, "last_contact_at") else then
    suppressed = [row for row in (then, live) for flag in ("bounced", "complained") if _is_so(row, flag)]
    found = {**then, **_only(contact, ("last_contact_at", "last_patient_id", "last_message_id"))}
    for row in suppressed:
        found |= _only(row, ("bounced", "bounced_at", "complained", "complained_at"))
    return {**found, **_only(live, ("failing",))}


def _setting(then: Item | None, live: Item | None) -> Item | None:
    """Choices as they were; how mail fares, as it is, a switch included; and no locks: they are another stack's."""
    scope = _text(then or live, "scope")
    if scope == "restore":
        return None  # how the former stack itself was once restored
    if scope.startswith("mail#"):  # no event of the other stack's mail will come here
        return _without(live or then or {}, "silent_since")
    if not scope.startswith("run#"):
        return then
    done = max(_text(then, "done"), _text(live, "done"))
    return {"scope": {"S": scope}, "done": {"S": done}} if done else None


def _case(then: Item | None, live: Item | None) -> Item | None:
    return live if _number(live, "version") > _number(then, "version") else then


def _stops(live: Item | None) -> Item:
    """What keeps mail away today, with a note that it was told: who takes it back here later is not overruled."""
    found = {name: live[name] for name in STOPS if live and _is_so(live, name)}
    return {**found, BROUGHT: {"SS": sorted(found)}} if found else {}


def stops_since(live: Item, here: Item | None) -> Item:
    """What is to be set of a patient's row: stops that the former stack had not told of before, and that it has now."""
    told = set(_texts(here or {}, BROUGHT))
    new = [name for name in STOPS if _is_so(live, name) and name not in told]
    return {**_only(live, new), BROUGHT: {"SS": sorted({*told, *new})}} if new else {}


def suppressed_since(live: Item, here: Item | None) -> Item:
    """What is to be set of an address's row: that it bounced or complained, if that is not known or is older."""
    found: Item = {}
    for flag, moment in (("bounced", "bounced_at"), ("complained", "complained_at")):
        is_known = here is not None and _is_so(here, flag) and _text(here, moment) >= _text(live, moment)
        if _is_so(live, flag) and not is_known:
            found |= _only(live, (flag, moment))
    return found


def answer_since(live: Item, here: Item) -> Item:
    """What is to be set of a survey's row: an answer that came since, to be counted, and what is still owed to it.

    Nothing if the patient has answered here as well: then this one counts.
    """
    known = _number(here, "version")
    if _number(live, "version") <= known or _list(live, "answers")[:known] != _list(here, "answers"):
        return {}
    return _to_be_counted({**_only(live, (*_ANSWER, "pending_reaction")), **_only(here, ("revision",))}, None)


def _list(item: Item, name: str) -> list[Item]:
    return list(item.get(name, {}).get("L", ()))


def _text(item: Item | None, name: str) -> str:
    return str((item or {}).get(name, {}).get("S", ""))


def _texts(item: Item, name: str) -> list[str]:
    return list(item.get(name, {}).get("SS", ()))


def _number(item: Item | None, name: str) -> int:
    return int((item or {}).get(name, {}).get("N", "0"))


def _is_so(item: Item, name: str) -> bool:
    return bool(item.get(name, {}).get("BOOL"))


def _only(item: Item, names: Iterable[str]) -> Item:
    return {name: item[name] for name in names if name in item}


def _without(item: Item, *names: str) -> Item:
    return {name: value for name, value in item.items() if name not in names}

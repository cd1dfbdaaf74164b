"""What must hold whatever fails, counted from outside: from the tables as they lie, the mail that left, what was told.

Nothing here asks the code under test. Each function names what it found; I1 to I8 are those of docs/decisions.md.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise
from typing import Any
from zoneinfo import ZoneInfo

Item = dict[str, Any]
NEW_YORK = ZoneInfo("America/New_York")
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Sent:
    """One mail that left: to whom, at which as-of, and what for (`survey`, `reminder`, `review` or `staff`)."""

    to: str
    kind: str
    at: datetime
    text: str
    survey_id: str = ""
    message_id: str = ""
    ses_id: str = ""
    recipient: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim that took effect, and why its patient or address must not be mailed, as was known at that moment."""

    message_id: str
    reasons: frozenset[str]


@dataclass(frozen=True)
class Accepted:
    """An answer to which the patient got the page that says it is recorded."""

    score: int
    comment: str
    at: datetime


@dataclass
class Evidence:
    """Everything there is to see from outside."""

    tables: Mapping[str, Sequence[Item]]
    mails: Sequence[Sent]
    told: str = ""  # every log line, metric, exception and on-failure record
    claims: Sequence[Claim] = ()
    accepted: Mapping[str, Sequence[Accepted]] = field(default_factory=dict)
    words: Iterable[str] = ()  # of patients, which nothing that is told may hold

    def by_id(self, table: str, key: str) -> dict[str, Item]:
        """A table's items by their key."""
        return {item[key]: item for item in self.tables[table]}


def i1(evidence: Evidence) -> None:
    """Nobody is surveyed twice for a touchpoint, reminded of it twice, or asked for two reviews in 12 months."""
    surveys = evidence.by_id("Surveys", "survey_id")
    asked, reviews = Counter[tuple[str, ...]](), dict[str, list[datetime]]()
    for mail in evidence.mails:
        survey = surveys.get(mail.survey_id)
        if mail.kind == "staff" or survey is None:
            continue
        if mail.kind == "review":
            reviews.setdefault(survey["patient_id"], []).append(mail.at)
        else:
            asked[survey["patient_id"], survey["episode"], survey["touchpoint"], mail.kind] += 1
    twice = [asking for asking, times in asked.items() if times > 1]
    assert not twice, f"I1: asked more than once: {twice}"
    for patient, moments in reviews.items():
        close = [pair for pair in pairwise(sorted(moments)) if pair[1] - pair[0] < YEAR]
        assert not close, f"I1: {patient} was asked for two reviews within a year: {close}"


def i2(evidence: Evidence) -> None:
    """Every accepted answer is among its survey's, in order and once, and the last one counts."""
    surveys = evidence.by_id("Surveys", "survey_id")
    for survey_id, given in evidence.accepted.items():
        survey, expected, comment = surveys[survey_id], list[tuple[int, str]](), ""
        for answer in given:
            comment = answer.comment or comment  # without words, the earlier ones stay
            if not expected or expected[-1] != (answer.score, comment):  # the same again is no new answer
                expected.append((answer.score, comment))
        kept, comment = list[tuple[int, str]](), ""
        for stored in survey.get("answers", ()):
            comment = stored["comment"] or comment
            kept.append((int(stored["score"]), comment))
        assert kept == expected, f"I2: {survey_id} keeps {kept}, accepted were {expected}"
        assert int(survey["version"]) == len(expected), f"I2: {survey_id} counts {survey['version']} answers"
        counts = (int(survey["score"]), survey["comment"])
        assert counts == expected[-1], f"I2: of {survey_id} {counts} counts, not {expected[-1]}"


def i3(evidence: Evidence, *, at_rest: bool = True, once: bool = False) -> None:
    """The staff are told of every detractor: a mail for each time an answer became one; before rest it may be owed."""
    told = Counter(mail.survey_id for mail in evidence.mails if mail.kind == "staff")
    for survey in evidence.tables["Surveys"]:
        groups = [int(answer["score"]) <= 6 for answer in survey.get("answers", ())]
        called_for = sum(is_detractor for is_detractor, _ in groupby(groups))
        told_of = told[survey["survey_id"]]
        is_owed = not at_rest and survey.get("pending_reaction")
        assert told_of >= called_for or is_owed, f"I3: {survey['survey_id']}: {called_for} detractors, told {told_of}"
        if once and called_for == 1:
            assert told_of <= len(groups), f"I3: {survey['survey_id']} was told {told_of} times"


def i4(evidence: Evidence) -> None:
    """The counts are those of a full recount of the surveys as they stand."""
    late = [survey["survey_id"] for survey in evidence.tables["Surveys"] if "uncounted" in survey]
    assert not late, f"I4: never counted: {late}"
    found = {
        (row["scope"], row["day"]): counts
        for row in evidence.tables["Scores"]
        if not row["scope"].startswith(("directory", "comment", "worth", "praise"))
        and (counts := {name: int(n) for name, n in row.items() if name not in ("scope", "day") and n != 0})
    }
    expected = recount(evidence.tables["Surveys"])
    rows = sorted(row for row in found.keys() | expected.keys() if found.get(row) != expected.get(row))
    assert not rows, f"I4: {[(row, found.get(row), expected.get(row)) for row in rows]}"


def i5(evidence: Evidence) -> None:
    """No mail rests on a claim at which a reason against it was known."""
    last = {claim.message_id: claim.reasons for claim in evidence.claims}
    for mail in evidence.mails:
        if mail.message_id and mail.message_id in last:
            assert not last[mail.message_id], f"I5: {mail.message_id} went out despite {sorted(last[mail.message_id])}"


def i6(evidence: Evidence) -> None:
    """Nothing that is told holds a patient's words, name, address or link."""
    secrets = {mail.text.partition("/s/")[2][26:52] for mail in evidence.mails if "/s/" in mail.text}
    leaked = [word for word in {*evidence.words, *secrets} if word in evidence.told]
    assert not leaked, f"I6: {leaked}"


def i7(report: Item, rows: int) -> None:
    """Every row that came in is stored or refused with a reason."""
    stored = report["created"] + report["updated"] + report["unchanged"]
    assert report["rows"] == rows == stored + report["refused"], f"I7: of {rows} rows, {report}"
    reasons = {error["line"] for error in report["errors"] if error["reason"]}
    assert len(reasons) >= min(report["refused"], 1), f"I7: refused without a reason: {report}"


def i8(evidence: Evidence) -> None:
    """Nothing drops out of sight: what is unsettled stands where the next run looks, what is settled says so."""
    surveys = evidence.by_id("Surveys", "survey_id")
    for message in evidence.tables["Messages"]:
        name, is_waiting = message["message_id"], message["state"] in ("due", "claimed", "calling")
        assert is_waiting == ("due" in message), f"I8: {name} is {message['state']}, and no run will look for it"
        survey = surveys.get(message["survey_id"])
        if survey and message["kind"] == "survey" and not is_waiting:
            told = survey.get("sent_at") or survey.get("unsent_reason")
            assert told, f"I8: {name} ended as {message['state']}, and its survey does not say so"
    for survey in surveys.values():
        if "pending_reaction" in survey:
            assert "answered_at" in survey, f"I8: what {survey['survey_id']} is owed will not be found"


def told(evidence: Evidence, metric: str) -> None:
    """I8: an alarm's metric was counted."""
    assert f'"{metric}"' in evidence.told, f"I8: nobody was told: no metric {metric}"


def hold(evidence: Evidence, *, at_rest: bool = True) -> None:
    """All that can be judged at any moment; at rest also what takes until then."""
    i1(evidence)
    i2(evidence)
    i3(evidence, at_rest=at_rest)
    i5(evidence)
    i6(evidence)
    if at_rest:
        i4(evidence)
        i8(evidence)


FUNNEL = ("eligible", "has_address", "not_held", "sent", "delivered", "answered", "commented")
_UNSENT = {
    **dict.fromkeys(("withdrawn", "superseded", "deceased"), 0),
    "no_address": 1,
    **dict.fromkeys(("expired", "refused", "unknown"), 3),
}


def recount(surveys: Iterable[Item]) -> dict[tuple[str, str], dict[str, int]]:
    """Every count from the start: by day for four scopes, by month for two, and the patients' latest answers.

    Comments that a lexicon finds something in are not what the fault tests are about: none may be given.
    """
    rows: dict[tuple[str, str], dict[str, int]] = {}

    def add(scope: str, day: str, name: str) -> None:
        row = rows.setdefault((scope, day), {})
        row[name] = row.get(name, 0) + 1

    rivals: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    counted = [survey for survey in surveys if _stage(survey)]
    for survey in counted:
        therapist, clinic = survey.get("therapist_id", ""), f"clinic#{survey['clinic_id']}"
        scopes = ["practice", clinic, f"touchpoint#{survey['touchpoint']}"]
        scopes += [f"therapist#{therapist}"] if therapist else []
        cohort = _day(survey.get("sent_at") or survey["due_at"])
        kind = f"{survey['touchpoint']}|{survey.get('language', 'en')}|"
        for stage in FUNNEL[: _stage(survey)]:
            for scope in scopes:
                add(scope, cohort, stage)
            add("month#practice", cohort[:7], kind + stage)
            add(f"month#{clinic}", cohort[:7], kind + stage)
        if "score" not in survey:
            continue
        day, score = _day(survey["answered_at"]), int(survey["score"])
        for scope in scopes:
            add(scope, day, f"s{score}")
        for name in [f"s{score}", *_remarks(survey)]:
            add("month#practice", day[:7], kind + name)
            add(f"month#{clinic}", day[:7], kind + name)
        if therapist:
            add(f"month#{clinic}", day[:7], f"@{therapist}|s{score}")
        for place, span in _places(survey, day):
            rivals.setdefault((*place, span), []).append((survey["answered_at"], survey["survey_id"]))
    for survey in counted:
        if "score" not in survey:
            continue
        day, clinic = _day(survey["answered_at"]), f"month#clinic#{survey['clinic_id']}"
        kind = f"{survey['touchpoint']}|{survey.get('language', 'en')}|"
        for place, span in _places(survey, day):
            if max(rivals[*place, span])[1] != survey["survey_id"]:
                continue
            scope = "month#practice" if place[0] == "practice" else clinic
            prefix = f"@{survey['therapist_id']}|" if place[0] == "therapist" else kind
            add(scope, day[:7], f"{prefix}{'u' if 'Q' in span else 'm'}{int(survey['score'])}")
    return rows


def _stage(survey: Item) -> int:
    """How many stages of the funnel the survey has reached; none while it waits."""
    if "score" in survey:
        return 7 if survey.get("comment", "").strip() else 6
    if survey.get("sent_at"):
        return 5 if survey.get("delivered_at") else 4
    reason = survey.get("unsent_reason")
    return _UNSENT.get(reason, 2) if reason else 0


def _remarks(survey: Item) -> Iterable[str]:
    score, quick = int(survey["score"]), timedelta(minutes=15)
    group = "promoter" if score > 8 else "passive" if score > 6 else "detractor"
    if survey.get("comment", "").strip():
        yield f"comment|{group}"
    if _moment(survey["answered_at"]) - _moment(survey["occurred_at"]) < quick:
        yield "quick"
    if "review_invited_at" in survey:
        yield f"review|{group}"


def _places(survey: Item, day: str) -> Iterable[tuple[tuple[str, ...], str]]:
    patient, clinic, therapist = survey["patient_id"], survey["clinic_id"], survey.get("therapist_id", "")
    places = [("practice", patient), ("clinic", patient, clinic)]
    places += [("therapist", patient, clinic, therapist)] if therapist else []
    for place in places:
        yield place, f"{day[:4]}Q{(date.fromisoformat(day).month + 2) // 3}"
        yield place, day[:7]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _day(text: str) -> str:
    return _moment(text).astimezone(NEW_YORK).date().isoformat()

"""The surveys and messages that a patient's visits lead to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import identity
from shared.domain.episode import ZoneOf, episodes
from shared.domain.message import WITHDRAWN, Message, MessageKind, MessageState
from shared.domain.patient import Language, Patient
from shared.domain.survey import Survey
from shared.domain.touchpoint import Touchpoint, TouchpointRule, derive
from shared.storage import messages, surveys
from shared.storage.visits import History

What = Literal["new", "moved", "withdrawn"]
SurveyChange = tuple[Survey, What]
"""A survey, and what is to become of it."""


@dataclass(frozen=True, slots=True)
class _Change:
    """A change of one survey, and what it rests on."""

    what: What
    survey: Survey  # as it is to be, or as it is if it is withdrawn
    stored: Survey | None
    letter: Message | None


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Keeps what is unsent in line with the visits; what was sent, or is being sent, stays as it is.

    Every step is a conditional write, and the order of steps lets the same call finish what a killed one began.
    """

    key: bytes
    rules: tuple[TouchpointRule, ...]
    delay: timedelta
    zone_of: ZoneOf
    now: datetime  # wall clock: whether a sender's lease on a message has run out

    def look(self, patient_id: str, patient: Patient | None, history: History, stored: History) -> list[SurveyChange]:
        """What would become of the patient's surveys if `stored` became `history`; writes nothing."""
        return [(change.survey, change.what) for change in self._changes(patient_id, patient, history, [stored], ())]

    def settle(
        self,
        patient_id: str,
        patient: Patient | None,
        history: History,
        former: Sequence[History],
        recent: Iterable[str] = (),
    ) -> None:
        """Make, move, withdraw or bring back the patient's surveys so that they are those of `history`.

        `former` are histories that surveys may have been made from a moment ago, and `recent` the ids of others that
        became the patient's a moment ago: the index of a patient's surveys may not show them yet.
        """
        being_sent = _Asked()
        for change in self._changes(patient_id, patient, history, former, recent):
            if change.what == "withdrawn":
                if not _withdraw(change, self.now):
                    being_sent.add(change.survey)
            elif not being_sent.covers(change.survey):
                _write(change)

    def look_at_unsent(self, patient_id: str) -> list[SurveyChange]:
        """What would become of the surveys of a patient who left; writes nothing."""
        return [(change.survey, change.what) for change in self._unsent(patient_id)]

    def forget(self, patient_id: str) -> None:
        """Withdraw whatever is unsent of a patient who turns out to have left before anything was known of them."""
        for change in self._unsent(patient_id):
            _withdraw(change, self.now)

    def remind_once(self, surveys_: Iterable[Survey], others: Iterable[Survey]) -> None:
        """Let whoever was asked the same twice, as two patients, be reminded of it once; of what they answered, never.

        What remains is the reminder of the `others`.
        """
        asked = _Asked()
        others_by_id = {other.survey_id: other for other in others if _went_out(other)}
        for other in others_by_id.values():
            asked.add(other)
        for survey in (survey for survey in surveys_ if _went_out(survey)):
            twins = [others_by_id[survey_id] for survey_id in asked.by_others_than(survey)]
            settled = [survey, *(twin for twin in twins if survey.version)] if twins else []
            reminders = messages.get_many(identity.message_id(one.survey_id, MessageKind.REMINDER) for one in settled)
            for reminder in reminders.values():
                messages.skip(reminder.message_id, reminder.attempt, "superseded", self.now)

    def survey_ids(self, patient_id: str, history: History) -> set[str]:
        """The ids of the surveys that this history leads to."""
        return set(self._surveys(patient_id, None, history, {}))

    def _unsent(self, patient_id: str) -> list[_Change]:
        known = surveys.of_patient(patient_id)
        letters = _letters(known)
        changes = (_Change("withdrawn", survey, survey, letters.get(survey.survey_id)) for survey in known)
        return [change for change in changes if _is_withdrawable(change.survey, change.letter, self.now)]

    def _changes(
        self,
        patient_id: str,
        patient: Patient | None,
        history: History,
        former: Sequence[History],
        recent: Iterable[str],
    ) -> list[_Change]:
        """What is to be done, withdrawals first.

        Nothing is read of a patient of whom nothing was stored and nobody is to be asked anything.
        """
        recent, wanted = set(recent), self._surveys(patient_id, patient, history, {})
        if not (wanted or recent or any(former)):
            return []
        known = {survey.survey_id: survey for survey in surveys.of_patient(patient_id)}
        looked_for = recent.union(wanted, *(self.survey_ids(patient_id, state) for state in former))
        known |= surveys.get_many(looked_for - known.keys())
        if told := _told(known.values()):
            wanted = self._surveys(patient_id, patient, history, told)
            known |= surveys.get_many(wanted.keys() - looked_for - known.keys())
        wanted = _with_surveys_taken_over(wanted, known)
        letters = _letters(known.values())

        asked = _Asked()
        for survey_id, survey in known.items():
            if _went_out(survey) or _is_in_hand(letters.get(survey_id), self.now):
                asked.add(survey)

        # A patient who left gets no new survey, and nobody is asked twice about one visit or at one touchpoint of an
        # episode, however visits and patients were regrouped.
        is_gone = patient is not None and (patient.archived or patient.deceased)
        wanted = {survey_id: survey for survey_id, survey in wanted.items() if not asked.covers(survey)}
        withdrawn = [
            _Change("withdrawn", survey, survey, letters.get(survey_id))
            for survey_id, survey in known.items()
            if survey_id not in wanted and _is_withdrawable(survey, letters.get(survey_id), self.now)
        ]
        rest = [
            _Change(what, survey, known.get(survey_id), letters.get(survey_id))
            for survey_id, survey in wanted.items()
            if (what := _what(known.get(survey_id), survey, letters.get(survey_id), is_gone))
        ]
        return [*withdrawn, *rest]

    def _surveys(
        self, patient_id: str, patient: Patient | None, history: History, told: Mapping[str, Sequence[datetime]]
    ) -> dict[str, Survey]:
        found = episodes(history.visits.values(), self.zone_of, history.cases.values(), told)
        made = (self._survey(patient_id, patient, touchpoint) for touchpoint in derive(found, self.rules, self.delay))
        return {survey.survey_id: survey for survey in made}

    def _survey(self, patient_id: str, patient: Patient | None, touchpoint: Touchpoint) -> Survey:
        return Survey(
            survey_id=identity.survey_id(self.key, patient_id, touchpoint.episode, touchpoint.name),
            patient_id=patient_id,
            case_id=touchpoint.case_id,
            episode=touchpoint.episode,
            visit_id=touchpoint.visit_id,
            clinic_id=touchpoint.clinic_id,
            therapist_id=touchpoint.therapist_id,
            touchpoint=touchpoint.name,
            occurred_at=touchpoint.occurred_at,
            due_at=touchpoint.due_at,
            language=patient.language if patient else Language.ENGLISH,
        )


def _with_surveys_taken_over(wanted: dict[str, Survey], known: Mapping[str, Survey]) -> dict[str, Survey]:
    """What is wanted, going on with a survey that was made before its patient turned out to be this one."""
    taken_over: dict[tuple[str, str], str] = {}
    for survey in sorted(known.values(), key=lambda survey: (bool(survey.unsent_reason), survey.survey_id)):
        if survey.former_patient_ids:
            taken_over.setdefault((survey.episode, survey.touchpoint), survey.survey_id)
    found = {}
    for survey_id, survey in wanted.items():
        if survey_id not in known:
            survey_id = taken_over.get((survey.episode, survey.touchpoint), survey_id)
        found[survey_id] = replace(survey, survey_id=survey_id)
    return found


def _told(known: Iterable[Survey]) -> dict[str, list[datetime]]:
    """The ends of which the patient was asked, by case."""
    told: dict[str, list[datetime]] = {}
    for survey in known:
        if survey.touchpoint == "discharge" and _went_out(survey):
            told.setdefault(survey.case_id, []).append(survey.occurred_at)
    return told


def _letters(known: Iterable[Survey]) -> dict[str, Message]:
    """The messages of the surveys that did not go out, by survey."""
    found = messages.get_many(_message_id(survey.survey_id) for survey in known if not _went_out(survey))
    return {letter.survey_id: letter for letter in found.values()}


def _withdraw(change: _Change, now: datetime) -> bool:
    """Whether the survey will not be sent; False if a sender was faster."""
    survey, letter = change.survey, change.letter
    if letter and not _is_withdrawn(letter) and not messages.skip(letter.message_id, letter.attempt, WITHDRAWN, now):
        return False
    if survey.unsent_reason != WITHDRAWN:
        surveys.mark_unsent(survey.survey_id, WITHDRAWN)
    return True


def _write(change: _Change) -> None:
    survey, letter, new = change.survey, change.letter, message_of(change.survey)
    if change.stored is None:
        surveys.create(survey)
        messages.create(new)
        return
    if letter is None:
        messages.create(new)
    elif letter.state is MessageState.DUE:
        if _when_and_where(letter) != _when_and_where(new) and not messages.reschedule(new):
            return
    elif not messages.revive(new):
        return
    if _moved(change.stored, survey) != change.stored:
        surveys.move(survey)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a patient was asked: about which visits, and at which touchpoints of which episodes."""

    by: dict[tuple[str, ...], set[str]] = field(default_factory=dict)

    def add(self, survey: Survey) -> None:
        for key in self._keys(survey):
            self.by.setdefault(key, set()).add(survey.survey_id)

    def by_others_than(self, survey: Survey) -> set[str]:
        """The ids of other surveys that have asked the same."""
        return {survey_id for key in self._keys(survey) for survey_id in self.by.get(key, ())} - {survey.survey_id}

    def covers(self, survey: Survey) -> bool:
        """Whether another survey has asked the same."""
        return bool(self.by_others_than(survey))

    @staticmethod
    def _keys(survey: Survey) -> tuple[tuple[str, ...], ...]:
        return ("visit", survey.visit_id, survey.touchpoint), ("episode", survey.episode, survey.touchpoint)


def _is_in_hand(letter: Message | None, now: datetime) -> bool:
    """Whether a sender has the message, or nobody will ever send it for what came of that."""
    if letter is None or letter.state in (MessageState.DUE, MessageState.SKIPPED):
        return False
    return letter.state is not MessageState.CLAIMED or letter.lease_until is None or letter.lease_until >= now


def _is_withdrawable(survey: Survey, letter: Message | None, now: datetime) -> bool:
    if _went_out(survey) or _is_in_hand(letter, now):
        return False
    if letter is None or _is_withdrawn(letter):
        return survey.unsent_reason != WITHDRAWN
    return letter.state is not MessageState.SKIPPED  # for another reason: settled


def _what(stored: Survey | None, wanted: Survey, letter: Message | None, is_gone: bool) -> What | None:
    """What has to become of a survey that the visits lead to; None if it is as it should be, or beyond change."""
    if stored is None:
        return None if is_gone else "new"
    if _went_out(stored):
        return None
    if letter is None:
        return None if is_gone and stored.unsent_reason else "new"
    if letter.state is MessageState.DUE:
        stays = _when_and_where(letter) == _when_and_where(message_of(wanted)) and _moved(stored, wanted) == stored
        return None if stays else "moved"
    return "new" if _is_withdrawn(letter) and not is_gone else None


def _message_id(survey_id: str) -> str:
    return identity.message_id(survey_id, MessageKind.SURVEY)


def message_of(survey: Survey) -> Message:
    return Message(
        message_id=_message_id(survey.survey_id),
        kind=MessageKind.SURVEY,
        patient_id=survey.patient_id,
        survey_id=survey.survey_id,
        clinic_id=survey.clinic_id,
        touchpoint=survey.touchpoint,
        occurred_at=survey.occurred_at,
        due_at=survey.due_at,
    )


def _went_out(survey: Survey) -> bool:
    return survey.sent_at is not None or survey.version > 0


def _is_withdrawn(letter: Message) -> bool:
    return letter.state is MessageState.SKIPPED and letter.reason == WITHDRAWN


def _when_and_where(letter: Message) -> tuple[datetime, datetime, str]:
    return letter.due_at, letter.occurred_at, letter.clinic_id


def _moved(stored: Survey, wanted: Survey) -> Survey:
    return replace(
        stored,
        case_id=wanted.case_id,
        episode=wanted.episode,
        visit_id=wanted.visit_id,
        clinic_id=wanted.clinic_id,
        therapist_id=wanted.therapist_id,
        occurred_at=wanted.occurred_at,
        due_at=wanted.due_at,
        unsent_reason="",
    )

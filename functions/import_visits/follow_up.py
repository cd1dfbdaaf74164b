"""The surveys and messages that a patient's visits lead to."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from functions.import_visits.records import ZoneOf
from shared.domain import identity
from shared.domain.episode import Visit, episodes
from shared.domain.message import WITHDRAWN, Message, MessageKind, MessageState
from shared.domain.patient import Language, Patient
from shared.domain.survey import Survey
from shared.domain.touchpoint import Touchpoint, TouchpointRule, derive
from shared.storage import messages, surveys


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

    def settle(
        self,
        patient_id: str,
        patient: Patient | None,
        visits: Iterable[Visit],
        former: Iterable[Iterable[Visit]],
    ) -> None:
        """Make, move, withdraw or bring back the patient's surveys so that they are those of `visits`.

        `former` are states of the visits that surveys may have been made from a moment ago, when the index of a
        patient's surveys does not show them yet.
        """
        wanted = self._surveys(patient_id, patient, visits)
        recent = {survey_id for state in former for survey_id in self._surveys(patient_id, patient, state)}
        known = {survey.survey_id: survey for survey in surveys.of_patient(patient_id)}
        known |= surveys.get_many((wanted.keys() | recent) - known.keys())
        letters = messages.get_many(_message_id(survey.survey_id) for survey in known.values() if not _went_out(survey))

        asked = set[tuple[str, str]]()
        for survey_id, survey in known.items():
            letter = letters.get(_message_id(survey_id))
            if _went_out(survey) or (letter and letter.state not in (MessageState.DUE, MessageState.SKIPPED)):
                asked.add((survey.visit_id, survey.touchpoint))
            if survey_id not in wanted and not _went_out(survey):
                self._withdraw(survey, letter)

        # A patient who left gets no new survey, and nobody is asked twice about one visit, however it was regrouped.
        is_gone = patient is not None and (patient.archived or patient.deceased)
        for survey_id, survey in wanted.items():
            if survey_id in known:
                self._adjust(known[survey_id], survey, letters.get(_message_id(survey_id)), is_gone)
            elif not is_gone and (survey.visit_id, survey.touchpoint) not in asked:
                surveys.create(survey)
                messages.create(_letter(survey))

    def forget(self, patient_id: str) -> None:
        """Withdraw whatever is unsent of a patient who turns out to have left before anything was known of them."""
        for survey in surveys.of_patient(patient_id):
            if not _went_out(survey):
                self._withdraw(survey, messages.get(_message_id(survey.survey_id)))

    def _surveys(self, patient_id: str, patient: Patient | None, visits: Iterable[Visit]) -> dict[str, Survey]:
        touchpoints = derive(episodes(visits, self.zone_of), self.rules, self.delay)
        made = (self._survey(patient_id, patient, touchpoint) for touchpoint in touchpoints)
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

    def _withdraw(self, survey: Survey, letter: Message | None) -> None:
        if letter and letter.state in (MessageState.DUE, MessageState.CLAIMED):
            if not messages.skip(letter.message_id, letter.attempt, WITHDRAWN, self.now):
                return
        elif letter and not _is_withdrawn(letter):
            return
        if survey.unsent_reason != WITHDRAWN:
            surveys.mark_unsent(survey.survey_id, WITHDRAWN)

    def _adjust(self, stored: Survey, wanted: Survey, letter: Message | None, is_gone: bool) -> None:
        if _went_out(stored):
            return
        new = _letter(wanted)
        if letter is None:
            if is_gone and stored.unsent_reason:
                return
            messages.create(new)
        elif letter.state is MessageState.DUE:
            if _when_and_where(letter) != _when_and_where(new) and not messages.reschedule(new):
                return
        elif not _is_withdrawn(letter) or is_gone or not messages.revive(new):
            return
        if _moved(stored, wanted) != stored:
            surveys.move(wanted)


def _message_id(survey_id: str) -> str:
    return identity.message_id(survey_id, MessageKind.SURVEY)


def _letter(survey: Survey) -> Message:
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

"""The daily digest: what each clinic's admins are told of their passives."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.config import setting
from shared.domain.aggregate import histogram
from shared.domain.score import Category, classify
from shared.domain.settings import AlertDetail, Clinic, PassiveAlerts
from shared.domain.survey import Reaction, Survey
from shared.mail import staff_letters
from shared.mail.mailer import Mailer
from shared.mail.staff import facts_of, tell_staff
from shared.mail.staff_letters import AlertFacts, ClinicDay
from shared.observability import warn
from shared.storage import cases, patients, reactions, scores, settings, surveys
from shared.storage.reactions import ReactionsFailed
from shared.storage.settings import practice


@dataclass(frozen=True, slots=True)
class Sent:
    """Of how many clinics and passives the staff were told."""

    clinics: int = 0
    passives: int = 0


def send_digests(as_of: datetime, mailer: Mailer) -> Sent:
    """Send each set of admins one mail about the passives of their clinics answered by then; nothing new, no mail.

    What fails stays owed and keeps nobody else waiting; raises at the end, so that the run is tried again.
    """
    news: dict[str, list[Survey]] = {}

    def collect(survey: Survey) -> None:
        if _is_news(survey):
            news.setdefault(survey.clinic_id, []).append(survey)

    failed = [id_ for id_ in surveys.owed(Reaction.DIGEST, as_of) if not reactions.attempt(collect, id_)]
    groups: dict[tuple[str, ...], list[Clinic]] = {}
    for clinic in map(settings.load_clinic, news):
        groups.setdefault(clinic.admins, []).append(clinic)
    for clinics in groups.values():
        passives = [survey for clinic in clinics for survey in news[clinic.clinic_id]]
        try:
            _send(clinics, news, as_of, mailer)
        except Exception as error:  # noqa: BLE001 (raised below, once the others have their mail)
            warn("digest_failed", error=type(error).__name__, surveys=len(passives))
            failed.extend(survey.survey_id for survey in passives)
    if failed:
        raise ReactionsFailed(f"{len(failed)} surveys are missing from the digest")
    return Sent(len(news), sum(map(len, news.values())))


def _is_news(survey: Survey) -> bool:
    """Whether the digest has something to say of the survey; what it need not say is settled."""
    if survey.pending_reaction != Reaction.DIGEST:  # changed since the index was read
        return False
    if reactions.unalerted(survey):  # a low score taken back before the staff heard of it
        surveys.settle_reaction(survey, Reaction.ALERT)
        return False
    is_wanted = survey.category is Category.PASSIVE and practice().passive_alerts is not PassiveAlerts.OFF
    if is_wanted and not reactions.was_told(survey, "digest", survey.answers[-1]):
        return True
    reactions.note_answers(survey)  # whoever told the staff may have died before noting it for the patient
    surveys.settle_reaction(survey, "")
    return False


def _send(clinics: list[Clinic], news: dict[str, list[Survey]], as_of: datetime, mailer: Mailer) -> None:
    yesterday = (as_of.astimezone(practice().zone).date() - timedelta(days=1)).isoformat()
    days = [
        ClinicDay(
            clinic.name,
            tuple(_facts(survey, clinic) for survey in news[clinic.clinic_id]),
            _figures(clinic, yesterday),
        )
        for clinic in clinics
    ]
    answered = sorted(
        survey.answers[-1].at.astimezone(clinic.zone).date() for clinic in clinics for survey in news[clinic.clinic_id]
    )
    first, last = (f"{day:%A, %B} {day.day}" for day in (answered[0], answered[-1]))
    day = first if first == last else f"{first} to {last}"
    link = f"{setting('DASHBOARD_URL')}/comments"
    tell_staff(mailer, staff_letters.digest(practice(), days, to=clinics[0].admins, day=day, dashboard_link=link))
    for place, survey in ((clinic, survey) for clinic in clinics for survey in news[clinic.clinic_id]):
        if practice().cases_for_passives:
            cases.open_for(survey, survey.answers[-1], place, practice())
        reactions.note_told(survey, "digest", survey.answers[-1])
        reactions.note_answers(survey)
        surveys.settle_reaction(survey, "")


def _figures(clinic: Clinic, day: str) -> Counter[Category]:
    counts = scores.read_range(f"clinic#{clinic.clinic_id}", day, day).get(day, {})
    figures = Counter[Category]()
    for score, answers in enumerate(histogram(counts)):
        figures[classify(score)] += answers
    return figures


def _facts(survey: Survey, clinic: Clinic) -> AlertFacts:
    patient = patients.get(survey.patient_id) if practice().alert_detail is AlertDetail.FULL else None
    return facts_of(survey, survey.answers[-1], clinic.zone, patient)

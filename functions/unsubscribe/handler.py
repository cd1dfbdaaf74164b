"""GET asks whether to stop the mails; POST stops them, from the page or from the mail program's own button."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.domain.identity import parse_token
from shared.observability import entry_point, log
from shared.storage import activity, answers, patients
from shared.storage.settings import practice
from shared.web import pages
from shared.web.requests import language_wanted, token_in
from shared.web.responses import page


@entry_point
def handler(
    event: dict[str, Any], context: Any, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Any]:
    """Opt the patient out on POST, for good and however often; GET writes nothing. These links never expire."""
    token = parse_token(token_in(event))
    survey = answers.find(token, now=None) if token else None
    if survey is None:
        language = language_wanted(event)
        return page(404, pages.unknown_link(language, practice().name), language)
    if event["httpMethod"] != "POST":
        patient = patients.get(survey.patient_id)
        answer = pages.unsubscribed if patient and patient.opted_out else pages.unsubscribe_question
        return page(200, answer(survey.language, practice()), survey.language)
    if patients.opt_out(survey.patient_id):
        activity.note(survey.patient_id, "opted_out", now(), survey.survey_id, survey_id=survey.survey_id)
        log("opted_out", survey_id=survey.survey_id)
    return page(200, pages.unsubscribed(survey.language, practice()), survey.language)

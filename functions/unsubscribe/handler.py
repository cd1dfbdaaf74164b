"""GET asks whether to stop the mails; POST stops them, from the page or from the mail program's own button."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from shared.domain.identity import NO_TOKEN, parse_token
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
    survey = answers.find(parse_token(token_in(event)) or NO_TOKEN, now=None)
    if survey is None:
        language = language_wanted(event)
        return page(404, pages.unknown_link(language, practice().name), language)
    patient = patients.get(survey.patient_id)
    is_out = patient is not None and patient.opted_out
    if event["httpMethod"] != "POST":
        answer = pages.unsubscribed if is_out else pages.unsubscribe_question
        return page(200, answer(survey.language, practice()), survey.language)
    if not is_out:
        # First, so that a crash leaves the wish on record; it was not granted yet, and is asked for again.
        activity.note(survey.patient_id, "opted_out", now(), survey.survey_id, survey_id=survey.survey_id)
        patients.opt_out(survey.patient_id)
        log("opted_out", survey_id=survey.survey_id)
    return page(200, pages.unsubscribed(survey.language, practice()), survey.language)

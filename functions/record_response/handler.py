"""The patient's survey page: GET shows it and writes nothing, POST records the answer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from functions.record_response.form import Form, read_form
from shared.domain.identity import NO_TOKEN, Token, parse_token
from shared.domain.score import classify, parse_score
from shared.domain.settings import is_within
from shared.domain.survey import Answer, reactions_to
from shared.locale import moment
from shared.observability import entry_point, log
from shared.storage import answers
from shared.storage.answers import OpenSurvey, Outcome
from shared.storage.lexicon import lexicon
from shared.storage.settings import clinic, networks, practice, read_ahead, wording
from shared.web import pages
from shared.web.pages import Problem
from shared.web.requests import address_of, language_wanted, query, token_in
from shared.web.responses import page


@entry_point
def handler(
    event: dict[str, Any], context: Any, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
) -> dict[str, Any]:
    """Show or record; an unknown, malformed or expired link gets the same page either way, after the same calls."""
    token = parse_token(token_in(event)) or NO_TOKEN
    if event["httpMethod"] == "POST":
        return _submit(event, token, now())
    return _show(event, token, now())


def _show(event: dict[str, Any], token: Token, now: datetime) -> dict[str, Any]:
    survey = answers.find(token, now)
    if survey is None:
        return _unknown(event)
    read_ahead(survey.clinic_id)
    if survey.is_closed(now, practice().edit_window):
        return _closed(200, survey)
    return _question(200, survey, parse_score(query(event, "score")))


def _submit(event: dict[str, Any], token: Token, now: datetime) -> dict[str, Any]:
    form = read_form(event)
    if form.answer is not None:
        return _record(event, token, form.answer, form.comment_cut, now)
    survey = answers.find(token, now)
    if survey is None:
        return _unknown(event)
    read_ahead(survey.clinic_id)
    return _closed(409, survey) if survey.is_closed(now, practice().edit_window) else _ask_again(survey, form)


def _record(event: dict[str, Any], token: Token, answer: Answer, comment_cut: bool, now: datetime) -> dict[str, Any]:
    read_ahead()
    concerns = bool(answer.comment and lexicon().find(answer.comment).concerns)
    answer = replace(answer, concerns_safety=concerns, onsite=is_within(address_of(event), networks()))
    reaction = reactions_to(classify(answer.score), practice(), concerns_safety=answer.concerns_safety)
    outcome, survey = answers.record(token, answer, reaction, now, practice().edit_window)
    if survey is None:
        return _unknown(event)
    log("answer", survey_id=survey.survey_id, state=outcome.name.lower(), version=survey.version)
    if outcome is Outcome.CLOSED:
        return _closed(409, survey)
    if outcome is Outcome.UNCHANGED and survey.is_closed(now, practice().edit_window):
        return _closed(200, survey)
    place = clinic(survey.clinic_id)
    thanks = pages.thanks(
        survey.language,
        practice(),
        place,
        score=answer.score,
        comment_cut=comment_cut,
        changeable_until=_changeable_until(survey),
        wording=wording(survey.language),
    )
    return page(200, thanks, survey.language)


def _question(
    status: int, survey: OpenSurvey, chosen: int | None, comment: str = "", problem: Problem | None = None
) -> dict[str, Any]:
    question = pages.question(
        survey.language,
        practice(),
        clinic(survey.clinic_id),
        chosen=survey.score if chosen is None and problem is None else chosen,
        comment=comment,
        recorded=survey.score,
        changeable_until=_changeable_until(survey) or None,
        problem=problem,
    )
    return page(status, question, survey.language)


def _ask_again(survey: OpenSurvey, form: Form) -> dict[str, Any]:
    status = 413 if form.problem is Problem.COMMENT_TOO_LARGE else 400
    return _question(status, survey, form.chosen, form.comment, form.problem)


def _closed(status: int, survey: OpenSurvey) -> dict[str, Any]:
    closed = pages.closed(survey.language, practice(), clinic(survey.clinic_id), score=survey.score or 0)
    return page(status, closed, survey.language)


def _unknown(event: dict[str, Any]) -> dict[str, Any]:
    language = language_wanted(event)
    return page(404, pages.unknown_link(language, practice().name), language)


def _changeable_until(survey: OpenSurvey) -> str:
    until = survey.changeable_until(practice().edit_window)
    return moment(survey.language, until.astimezone(clinic(survey.clinic_id).zone)) if until else ""

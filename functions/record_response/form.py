"""What a patient's form holds, or what is wrong with it."""

import base64
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from shared.domain.score import parse_score
from shared.domain.survey import MAX_COMMENT, Answer
from shared.web.pages import Problem

MAX_BODY = 64 * 1024  # bytes; 4,000 emoji are 48 KB form-encoded
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Form:
    """The answer if there is one; otherwise the problem, and what was typed."""

    answer: Answer | None
    problem: Problem | None
    chosen: int | None
    comment: str
    comment_cut: bool = False


def read_form(event: dict[str, Any]) -> Form:
    """Read the posted form; a comment longer than 4,000 characters is cut, and nothing else is changed quietly."""
    body = _body(event)
    fields = _fields(body[: 8 * MAX_BODY])
    if fields is None:
        return Form(None, Problem.FORM_UNREADABLE, None, "")
    comment, comment_cut = _comment(fields.get("comment", []))
    scores = {score.strip() for score in fields.get("score", []) if score.strip()}
    chosen = parse_score(scores.pop()) if len(scores) == 1 else None
    if len(body) > MAX_BODY:
        return Form(None, Problem.COMMENT_TOO_LARGE, chosen, comment)
    if chosen is None:
        was_given = any(score.strip() for score in fields.get("score", []))
        return Form(None, Problem.SCORE_INVALID if was_given else Problem.SCORE_MISSING, None, comment)
    return Form(Answer(chosen, comment), None, chosen, comment, comment_cut)


def _body(event: dict[str, Any]) -> bytes:
    body = event.get("body") or ""
    if event.get("isBase64Encoded"):
        try:
            return base64.b64decode(body)
        except ValueError:
            return b""
    return str(body).encode("utf-8", "replace")


def _fields(body: bytes) -> dict[str, list[str]] | None:
    try:
        return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    except ValueError:
        return None


def _comment(values: list[str]) -> tuple[str, bool]:
    text = "\n".join(values).replace("\r\n", "\n").replace("\r", "\n")
    text = _CONTROLS.sub("", text).strip()
    return text[:MAX_COMMENT], len(text) > MAX_COMMENT

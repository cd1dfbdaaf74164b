"""Amazon SES's events as the template's rule hands them on: what it keeps is read off the template itself.

The rules are those of the EventBridge user guide, "Input transformation": a path names fields and array indices, a
variable whose path is not there is not made, and a placeholder in quotes is replaced as it stands.
"""

import json
import re
from datetime import datetime
from typing import Any

from local.mail_events import ses_event
from local.template import load_template
from shared.domain.clock import format_instant

RULE = load_template()["Resources"]["MailEventsRule"]["Properties"]


def kept(detail: dict[str, Any], at: datetime) -> dict[str, Any]:
    """The event of the function for the `detail` of one of SES's."""
    event = {"source": "aws.ses", "time": format_instant(at), "detail": detail}
    transformer = RULE["Targets"][0]["InputTransformer"]
    found = {name: _look_up(event, path) for name, path in transformer["InputPathsMap"].items()}
    text = re.sub(r"<(\w+)>", lambda placeholder: found[placeholder[1]] or "", transformer["InputTemplate"])
    parsed: dict[str, Any] = json.loads(text)
    return parsed


def _look_up(event: Any, path: str) -> Any:
    for step in re.findall(r"\w+", path.removeprefix("$")):
        try:
            event = event[int(step) if isinstance(event, list) else step]
        except (KeyError, IndexError, ValueError):
            return None
    return event


def an_event(type_: str, tags: dict[str, str], at: datetime, **differences: Any) -> dict[str, Any]:
    """What the function gets of one of SES's events."""
    return kept(ses_event(type_, tags, at=at, **differences), at)

"""Whether Careloop is well, in plain words: what `make doctor` says, as far as the dashboard may look."""

import os
from collections.abc import Iterable
from functools import cache
from typing import Any, TypeVar

from functions.serve_dashboard.pages import page
from functions.serve_dashboard.web import Request, Response
from shared.domain.staff import Staff
from shared.health.checks import diagnose, not_asked
from shared.health.findings import Check, Finding, State, gravest_first, summary
from shared.health.place import Part, Place, gather
from shared.health.reading import BY_THE_DASHBOARD

SECONDS = 8
Says = TypeVar("Says", Check, Finding)
_PARTS = {
    "MailEvents": ("AWS::SES::ConfigurationSet", "CONFIGURATION_SET"),
    "StaffPool": ("AWS::Cognito::UserPool", "USER_POOL_ID"),
    "IntakeBucket": ("AWS::S3::Bucket", "INTAKE_BUCKET"),
    "FailedEvents": ("AWS::SQS::Queue", "FAILED_EVENTS_QUEUE"),
}
_TABLES = (
    *("Patients", "Visits", "Surveys", "Messages", "Addresses"),
    *("Scores", "Activity", "Settings", "Cases", "Sessions"),
)


def overview(request: Request, staff: Staff) -> Response:
    """What is broken, needs attention or is not known, with what to do; then what is well. Ends within ten seconds."""
    place = Place(clients=client, parts=_parts(), now=request.now, is_local="AWS_ENDPOINT_URL" in os.environ)
    facts = gather(BY_THE_DASHBOARD, place, seconds=SECONDS)
    findings = diagnose(facts)
    return page(
        request,
        staff,
        "settings_health.html",
        title="Health",
        summary=summary(findings),
        troubles=[finding for finding in gravest_first(findings) if finding.state is not State.OK],
        well=_by_subject(finding for finding in findings if finding.state is State.OK),
        by_command=_by_subject(not_asked(facts)),
        words={State.BROKEN: "Broken", State.ATTENTION: "Needs attention", State.UNKNOWN: "Not known"},
        colors={State.BROKEN: "bad", State.ATTENTION: "warn", State.UNKNOWN: ""},
    )


def _by_subject(said: Iterable[Says]) -> dict[str, list[Says]]:
    """In the order in which they come."""
    found: dict[str, list[Says]] = {}
    for each in said:
        found.setdefault(each.about, []).append(each)
    return found


def _parts() -> dict[str, Part]:
    own = {**_PARTS, **{f"{name}Table": ("AWS::DynamoDB::Table", f"{name.upper()}_TABLE") for name in _TABLES}}
    return {
        logical: Part(kind, os.environ[variable])
        for logical, (kind, variable) in own.items()
        if variable in os.environ  # new code may still have the variables of the release before
    }


@cache
def client(service: str) -> Any:
    """One client a process and service, which gives up soon: the page says so of what did not answer."""
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})
    return boto3.session.Session().client(service, config=config)

"""`make doctor`: look whether a deployed stack is as it should be, and say what to do where it is not.

On the stack of this machine or (STACK=name) on one in AWS, with the shell's own credentials and region. It changes
nothing. Ends with 0 if all is well, 1 if something needs attention or could not be looked at, 2 if anything is broken,
and 3 if there was nothing to look at.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby
from textwrap import fill
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from infra.build import release, source_version
from local.deployed import on_this_machine
from local.stack import STATE, Stack, StackFailed, read_stack
from local.template import events, functions, load_template
from shared.config import BadSetting
from shared.health.findings import Finding, State, exit_code, gravest_first, summary

NOTHING_TO_LOOK_AT = 3
MAILS = "SendSurveyFunction"
MEND = (
    "Whoever looks after AWS enters them again (AWS Lambda, Configuration, Environment variables), as the stack's "
    "parameters and infra/template.yaml have them."
)
WIDTH = 100  # characters of a line
RESERVED = (".example", ".test", ".invalid", ".localhost", ".example.com", ".example.org", ".example.net")  # RFC 2606
_SECONDS = 10
_MARKS = {
    State.BROKEN: ("BROKEN", "31"),
    State.ATTENTION: ("LOOK AT", "33"),
    State.UNKNOWN: ("NOT KNOWN", "36"),
    State.OK: ("well", "32"),
}


@dataclass(frozen=True)
class Seen:
    """A stack before it is looked at: how to ask for its parts, and how a process gets to it."""

    name: str
    region: str
    clients: Callable[[str], Any]
    access: dict[str, str]
    is_local: bool


def examine(seen: Seen, now: datetime, show: Callable[[int, int], object] = lambda done, of: None) -> list[Finding]:
    """Everything that there is to say of a stack; StackFailed if there is none of this name."""
    cloudformation = seen.clients("cloudformation")
    try:
        described = cloudformation.describe_stacks(StackName=seen.name)["Stacks"][0]
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code != "ValidationError":
            raise
        raise StackFailed(f"There is no stack {seen.name} in {seen.region}. The region: AWS_DEFAULT_REGION.") from error
    pages = cloudformation.get_paginator("list_stack_resources").paginate(StackName=seen.name)
    resources = [each for page in pages for each in page["StackResourceSummaries"]]
    _enter(seen, {each["LogicalResourceId"]: each.get("PhysicalResourceId", "") for each in resources})
    try:
        from shared.health import checks, place, reading  # they read the environment, which is the stack's only now
    except BadSetting as error:
        raise StackFailed(f"No function of the stack {seen.name} has its settings any more: {error}. {MEND}") from error

    parameters = {each["ParameterKey"]: each.get("ParameterValue", "") for each in described.get("Parameters", ())}
    looked_at = place.Place(
        clients=seen.clients,
        parts=place.parts_of(resources),
        now=now,
        parameters={**parameters, "AWS::StackName": seen.name},
        outputs={each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())},
        status=described["StackStatus"],
        is_local=seen.is_local,
        texts=texts_of,
        fetch=lambda address: fetch(address, is_local=seen.is_local),
    )
    found = place.gather(reading.by_the_command(looked_at), looked_at, show=show)
    found["version_here"] = f"{release()}+{source_version()}"
    found["times_here"] = times_here()
    return checks.diagnose(found)


def times_here() -> dict[str, str]:
    """When each schedule should come, by this folder's template."""
    return {
        f"{function}{name}": schedule["ScheduleExpression"]
        for function, properties in functions(load_template()).items()
        for name, schedule in events(properties, "ScheduleV2").items()
    }


def _enter(seen: Seen, names: dict[str, str]) -> None:
    """Give this process what functions of the stack have: their environment, and the way to the tables.

    That of the function that does the mailing goes before; what it has lost is taken from others.
    """
    if seen.is_local:
        os.environ.pop("AWS_PROFILE", None)
    os.environ.update({"AWS_REGION": seen.region, "AWS_DEFAULT_REGION": seen.region, **seen.access})
    lambdas, variables = seen.clients("lambda"), dict[str, str]()
    there = False
    for name in sorted((name for name in names if name.endswith("Function")), key=lambda name: (name != MAILS, name)):
        try:
            told = lambdas.get_function_configuration(FunctionName=names[name])
        except lambdas.exceptions.ResourceNotFoundException:
            continue  # a finding of its own, later
        there = True
        variables = {**told.get("Environment", {}).get("Variables", {}), **variables}
    if not there:
        raise StackFailed(f"The stack {seen.name} has no function any more. Is it Careloop, and wholly deployed?")
    os.environ.update({name: value for name, value in variables.items() if not name.startswith(("AWS_", "PYTHON"))})


def texts_of(name: str) -> tuple[str, ...]:
    """The TXT records of a name in the DNS; none if it has none."""
    import dns.exception
    import dns.resolver

    from shared.health.place import CannotTell

    domain = name.removeprefix("_dmarc.")
    if f".{domain}".endswith(RESERVED):
        raise CannotTell(f"{domain} is a name for examples, which no DNS knows", "Nothing, for a sample practice.")
    try:
        answer = dns.resolver.resolve(name, "TXT", lifetime=_SECONDS)
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return ()
    except dns.exception.DNSException as error:
        why = f"the DNS did not answer ({type(error).__name__})"
        raise CannotTell(why, f"Look with another tool: nslookup -type=TXT {name}") from error
    return tuple(b"".join(record.strings).decode("utf-8", "replace") for record in answer)


def fetch(address: str, *, is_local: bool = False) -> tuple[int, str]:
    """Status and text of a page; OSError if nothing answers. A proxy of the shell's is used for AWS only."""
    handlers = [urllib.request.ProxyHandler({})] if is_local else []
    try:
        with urllib.request.build_opener(*handlers).open(address, timeout=_SECONDS) as answer:
            return answer.status, answer.read(200_000).decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, ""


def report(findings: list[Finding], *, in_color: bool) -> Iterator[str]:
    """The findings as lines: what is not well first, each with what it means and what to do; then what is well."""
    trouble = [finding for finding in gravest_first(findings) if finding.state is not State.OK]
    for finding in trouble:
        yield ""
        yield f"{_mark(finding.state, in_color)}  {finding.about}: {finding.check}"
        for line in (finding.says, f"What it means: {finding.means}", f"What to do: {finding.do}"):
            yield _wrapped(line)
    for about, some in groupby((each for each in findings if each.state is State.OK), lambda each: each.about):
        yield ""
        yield f"{_mark(State.OK, in_color)}  {about}"
        for finding in some:
            yield _wrapped(f"{finding.check}: {finding.says}")
    yield ""
    yield f"{summary(findings)}."


def _wrapped(line: str) -> str:
    """With commands, addresses and names whole."""
    return fill(
        line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _mark(state: State, in_color: bool) -> str:
    word, color = _MARKS[state]
    return f"\033[1;{color}m{word}\033[0m" if in_color else word


def as_json(name: str, now: datetime, findings: list[Finding]) -> str:
    """The same for programs, the gravest first."""
    told = [asdict(finding) for finding in gravest_first(findings)]
    states = {state.value: sum(finding.state is state for finding in findings) for state in State}
    return json.dumps({"stack": name, "at": now.isoformat(timespec="seconds"), **states, "findings": told}, indent=2)


def here() -> Seen:
    """The stack of this machine: `make up`'s, else the demo's."""
    for state in (STATE, STATE / "demo"):
        if (state / "stack.json").exists():
            return of(read_stack(state))
    raise StackFailed("No stack is up: run `make up` or `make demo`, or name one in AWS: make doctor STACK=name")


def of(stack: Stack) -> Seen:
    """A stack that was started here."""
    return Seen(stack.stack_name, stack.region, stack.client, dict(on_this_machine(stack).access), is_local=True)


def in_aws(name: str) -> Seen:
    """A stack in AWS."""
    import boto3
    from botocore.config import Config

    session = boto3.session.Session()
    brief = Config(connect_timeout=5, read_timeout=_SECONDS, retries={"mode": "standard", "total_max_attempts": 4})
    if not session.region_name:
        raise StackFailed("Say where the stack is: export AWS_DEFAULT_REGION=us-east-1, or the region of yours")
    if session.get_credentials() is None:
        raise StackFailed("There are no AWS credentials in this shell: `aws sts get-caller-identity` says who you are.")
    return Seen(name, session.region_name, lambda service: session.client(service, config=brief), {}, is_local=False)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Look whether a deployed stack is as it should be.")
    parser.add_argument("--stack", help="the name of a stack in AWS")
    parser.add_argument("--json", action="store_true", help="for programs")
    arguments = parser.parse_args()
    now, shows = datetime.now(UTC), sys.stderr.isatty() and not arguments.json
    try:
        seen = in_aws(arguments.stack) if arguments.stack else here()
        if not arguments.json:
            print(f"Looking at the stack {seen.name} in {seen.region}{' on this machine' if seen.is_local else ''} …")
        findings = examine(seen, now, _progress if shows else lambda done, of: None)
    except (StackFailed, BotoCoreError, ClientError) as failure:
        print(failure, file=sys.stderr)
        return NOTHING_TO_LOOK_AT
    lines = [as_json(seen.name, now, findings)] if arguments.json else report(findings, in_color=sys.stdout.isatty())
    for line in lines:
        print(line)
    return exit_code(findings)


def _progress(done: int, of: int) -> None:
    print(f"\r{done} of {of} " if done < of else "\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())

"""A deployed stack as commands know it, on this machine or in AWS: its parts by their names in the template."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.stack import STATE, Stack, StackFailed, read_stack


class FunctionFailed(Exception):
    """A function ended with an error; its words are a type and a place."""


@dataclass(frozen=True)
class Deployed:
    """`names` are those that AWS gave to the template's parts; `access` is how a process of ours gets to them."""

    client: Callable[[str], Any]
    names: Mapping[str, str]
    access: Mapping[str, str] = field(default_factory=dict)

    def run(self, function: str, event: object) -> Any:
        """Run a function and wait for what it returns; never started twice by a retry."""
        answer = self.client("lambda").invoke(FunctionName=self.names[function], Payload=json.dumps(event))
        payload = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise FunctionFailed((payload or {}).get("errorMessage", answer["FunctionError"]))
        return payload


def find(name: str | None) -> Deployed:
    """The stack of this name in AWS, with the shell's own credentials and region; without a name, this machine's."""
    return in_aws(name) if name else on_this_machine(_running())


def on_this_machine(stack: Stack) -> Deployed:
    """A stack that was started here."""
    listed = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
    access = {
        "AWS_ENDPOINT_URL": stack.endpoint_url,
        "AWS_DEFAULT_REGION": stack.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    return Deployed(stack.client, {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in listed}, access)


def in_aws(name: str) -> Deployed:
    """A stack in AWS."""
    import boto3
    from botocore.config import Config

    pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    names = {
        each["LogicalResourceId"]: each.get("PhysicalResourceId", "")
        for page in pages
        for each in page["StackResourceSummaries"]
    }
    # A function may take a quarter of an hour, and is never started twice; what else is asked may be asked again.
    patient = Config(read_timeout=1000, retries={"total_max_attempts": 1})
    steady = Config(max_pool_connections=64, retries={"mode": "standard", "total_max_attempts": 10})
    return Deployed(lambda service: boto3.client(service, config=patient if service == "lambda" else steady), names)


def _running() -> Stack:
    """`make up`'s stack, else the demo's."""
    for state in (STATE, STATE / "demo"):
        if (state / "stack.json").exists():
            return read_stack(state)
    raise StackFailed("no stack is up: run `make up` or `make demo`, or name one in AWS: STACK=name")

"""A stand-in for the AWS CLI, as far as the documents use it: `python -m tests.documents.aws_cli s3 cp …`.

It asks whatever AWS_ENDPOINT_URL names.
"""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import boto3
import jmespath  # type: ignore[import-untyped]
from botocore import xform_name


def main() -> int:
    """The command line."""
    service, operation, *rest = sys.argv[1:]
    if service == "s3":
        return copy(*rest[:2])
    if operation == "wait":
        return wait(service.replace("s3api", "s3"), *rest)
    options = options_of(rest)
    query, output = options.pop("query", ""), options.pop("output", "json")
    client = boto3.client(service)
    shape = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation.replace("-", "_")])
    members = {xform_name(name, "-"): name for name in (shape.input_shape.members if shape.input_shape else ())}
    request = {members[name]: typed(shape.input_shape.members[members[name]], value) for name, value in options.items()}
    answer = getattr(client, operation.replace("-", "_"))(**request)
    answer.pop("ResponseMetadata")
    found = jmespath.search(query, answer) if query else answer
    text = "\t".join(map(str, found if isinstance(found, list) else [found]))
    sys.stdout.write(f"{text if output == 'text' else json.dumps(found, indent=4, default=str)}\n")
    return 0


def wait(service: str, until: str, *words: str) -> int:
    """Until AWS says so, asking more often than the CLI does."""
    request = {name.title().replace("-", ""): value for name, value in options_of(list(words)).items()}
    waiter = boto3.client(service).get_waiter(until.replace("-", "_"))
    waiter.wait(**request, WaiterConfig={"Delay": 0.1, "MaxAttempts": 300})
    return 0


def options_of(words: list[str]) -> dict[str, str]:
    """Each option with its value; one without a value is a switch."""
    options: dict[str, str] = {}
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            options[name] = ""
        else:
            options[name] = word
    return options


def typed(shape: Any, value: str) -> Any:
    """A value as the service's model wants it."""
    match shape.type_name:
        case "boolean":
            return True
        case "integer" | "long":
            return int(value)
        case "timestamp":
            return datetime.fromisoformat(value)
        case "list":
            return value.split(",")
        case _:
            return value


def copy(source: str, target: str) -> int:
    """Between a file, or the screen (-), and the bucket."""
    s3 = boto3.client("s3")
    bucket, _, key = next(each for each in (source, target) if each.startswith("s3://"))[5:].partition("/")
    if target.startswith("s3://"):
        key += Path(source).name if key.endswith("/") else ""
        s3.put_object(Bucket=bucket, Key=key, Body=Path(source).read_bytes())
        return 0
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    if target == "-":
        sys.stdout.buffer.write(body)
    else:
        Path(target).write_bytes(body)
    return 0


if __name__ == "__main__":
    sys.exit(main())

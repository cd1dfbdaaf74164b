"""The deployed template as plain Python: its short tags (!Ref, !Sub …) become the long form."""

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "infra" / "template.yaml"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's tags."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def load_template(path: Path = TEMPLATE) -> dict[str, Any]:
    """The template, parsed."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)
    return template


def functions(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Each function's properties by its logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }


def events(function: dict[str, Any], kind: str) -> dict[str, dict[str, Any]]:
    """A function's events of one kind (Api, DynamoDB, S3, ScheduleV2): their properties by name."""
    found = function.get("Events", {})
    return {name: event["Properties"] for name, event in found.items() if event["Type"] == kind}

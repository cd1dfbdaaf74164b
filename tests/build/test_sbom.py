"""The bill of materials against what `make build` makes, and against CycloneDX's own schema."""

import json
import re
import subprocess
from importlib.metadata import distributions
from pathlib import Path

import pytest

from infra import sbom
from infra.build import REQUIREMENTS, ROOT, for_lambda, release, stage_packages

VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read()) or "valid")
"""


@pytest.fixture(scope="module")
def artifact() -> Path:
    """The packages as they go into every function."""
    return stage_packages(for_lambda())


def test_the_bill_lists_what_is_deployed_and_nothing_else(artifact: Path) -> None:
    listed = {(component["name"], component["version"]) for component in sbom.bill_of(artifact)["components"]}
    deployed = {(re.sub(r"[-_.]+", "-", one.name).lower(), one.version) for one in distributions(path=[str(artifact)])}
    assert listed == deployed
    assert {"boto3", "markupsafe", "pynamodb"} <= {name for name, _ in listed}


def test_each_package_has_a_licence_and_the_hashes_that_its_pin_accepts(artifact: Path) -> None:
    bill = sbom.bill_of(artifact)
    assert [component["name"] for component in bill["components"] if not component["licenses"]] == []
    for component in bill["components"]:
        pin = f"{component['name']}=={component['version']}"
        [pinned] = re.findall(rf"^{re.escape(pin)} .*\n(?:    --hash.*\n)+", REQUIREMENTS.read_text(), re.MULTILINE)
        assert [one["content"] for one in component["hashes"]] == re.findall(r"sha256:(\w+)", pinned)
        assert component["hashes"]


def test_it_names_the_release(artifact: Path) -> None:
    assert sbom.bill_of(artifact)["metadata"]["component"]["version"] == release()


def test_the_same_packages_make_the_same_bill(artifact: Path) -> None:
    assert json.dumps(sbom.bill_of(artifact)) == json.dumps(sbom.bill_of(artifact))


def test_the_bill_is_cyclonedx(artifact: Path) -> None:
    bill = sbom.bill_of(artifact)
    assert _judged(bill) == "valid"
    assert _judged({**bill, "serialNumber": "7"}) != "valid"


def _judged(bill: dict[str, object]) -> str:
    command = [str(ROOT / ".venvs" / "audit" / "bin" / "python"), "-c", VALIDATE]
    done = subprocess.run(command, input=json.dumps(bill), capture_output=True, text=True, check=True)
    return done.stdout.strip()

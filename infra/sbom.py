"""The bill of materials of what is deployed, in CycloneDX: every runtime package with its version, licence and hashes.

`python -m infra.sbom [FILE]` writes it. Versions and licences are read from the packages as they are built for Lambda;
the hashes are those that the pins accept, one of which pip found. The same pins and version give the same bytes.
"""

import argparse
import json
import re
import sys
import uuid
from collections import defaultdict
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from infra.build import REQUIREMENTS, BuildFailed, for_lambda, release, stage_packages

_CLASSIFIER = "License :: "


def bill_of(packages: Path) -> dict[str, Any]:
    """The bill of materials of a folder of installed packages, all of which must be pinned."""
    hashes = _pinned_hashes()
    known = [HeaderParser().parsestr(file.read_text("utf-8")) for file in packages.glob("*.dist-info/METADATA")]
    components = [_component(package, hashes) for package in known]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "application", "bom-ref": "careloop", "name": "careloop", "version": release()}
        },
        "components": sorted(components, key=lambda component: str(component["bom-ref"])),
    }
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(bill))}"}


def _component(package: Message, hashes: dict[tuple[str, str], list[str]]) -> dict[str, Any]:
    name, version = _canonical(package["Name"]), package["Version"]
    reference = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": reference,
        "name": name,
        "version": version,
        "scope": "required",
        "hashes": [{"alg": "SHA-256", "content": content} for content in hashes[name, version]],
        "licenses": _licences(package),
        "purl": reference,
    }


def _licences(package: Message) -> list[dict[str, Any]]:
    """As the package itself says, in SPDX's terms if it uses them; empty if it says nothing."""
    if expression := package["License-Expression"]:
        return [{"expression": expression}]
    classified = [line for line in package.get_all("Classifier", []) if line.startswith(_CLASSIFIER)]
    names = [line.rpartition(" :: ")[2] for line in classified] or [package["License"] or ""]
    return [{"license": {"name": name}} for name in names if name]


def _pinned_hashes() -> dict[tuple[str, str], list[str]]:
    hashes = defaultdict(list)
    pin = ("", "")
    for line in REQUIREMENTS.read_text("utf-8").splitlines():
        if start := re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", line):
            pin = _canonical(start[1]), start[2]
        elif found := re.match(r"\s+--hash=sha256:([0-9a-f]{64})", line):
            hashes[pin].append(found[1])
    return dict(hashes)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main() -> int:
    """The command line; 1 and a message when the packages could not be built."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("file", type=Path, nargs="?", default=Path(".aws-sam/careloop.cdx.json"))
    file: Path = parser.parse_args().file
    try:
        bill = bill_of(stage_packages(for_lambda()))
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(bill, indent=1) + "\n", "utf-8")
    print(f"{len(bill['components'])} packages are listed in {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

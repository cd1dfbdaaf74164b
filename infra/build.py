"""Builds the one artifact that every function carries: functions/, shared/ and the pinned runtime packages.

`python infra/build.py DESTINATION` builds for Lambda (Python 3.13 on arm64) from wheels, on any machine and with
any Python that has pip. `--for INTERPRETER` builds for that interpreter on this machine (the local stack). Without a
destination it only says what the machine lacks (`sam build` shows nothing of what a build says).
The same inputs give the same bytes. Standard library only: `sam build` runs it before anything is installed.
"""

import argparse
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "requirements" / "runtime.txt"
STAGE = ROOT / ".aws-sam" / "stage"
# What the functions call. The other services' descriptions are half the artifact and slow every cold start.
SERVICES = frozenset({"cognito-idp", "dynamodb", "lambda", "s3", "secretsmanager", "sesv2", "sqs"})
LAMBDA_PYTHON = "3.13"
# pip takes these names literally; Amazon Linux 2023 has glibc 2.34.
LAMBDA_PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(34, 16, -1)] + ["manylinux2014_aarch64"]

_NO_BYTECODE = f"""
No Python {LAMBDA_PYTHON} on this machine: the artifact has no .pyc files, so every cold start compiles its modules
again (about three times the import time). Install Python {LAMBDA_PYTHON} and build again to avoid that."""


class BuildFailed(Exception):
    """The artifact could not be built; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """What the artifact runs on, and the interpreter of that version that compiles it, if there is one here."""

    name: str
    pip: tuple[str, ...]
    options: tuple[str, ...]
    compiler: str | None


def for_lambda() -> Target:
    """Python 3.13 on arm64, from wheels alone."""
    options = ["--python-version", LAMBDA_PYTHON, "--implementation", "cp"]
    for platform in LAMBDA_PLATFORMS:
        options += ["--platform", platform]
    return Target(
        name=f"lambda-{LAMBDA_PYTHON}-arm64",
        pip=(sys.executable, "-m", "pip"),
        options=tuple(options),
        compiler=find_interpreter(LAMBDA_PYTHON),
    )


def for_interpreter(interpreter: str) -> Target:
    """This machine and this interpreter, which must have pip."""
    query = "import sys, sysconfig; print(sys.implementation.cache_tag, sysconfig.get_platform())"
    name = "-".join(subprocess.check_output([interpreter, "-c", query], text=True).split())
    return Target(name=name, pip=(interpreter, "-m", "pip"), options=(), compiler=interpreter)


def find_interpreter(version: str) -> str | None:
    """A Python of this minor version that really runs (a pyenv shim may exist and fail), or None."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, f"python{version}", *sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))]
    query = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in candidates:
        try:
            answer = subprocess.run([candidate, "-c", query], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if answer.returncode == 0 and answer.stdout.strip() == version:
            return candidate
    return None


def build(destination: Path, target: Target) -> None:
    """Write the artifact to `destination`, which is emptied first."""
    packages = stage_packages(target)
    if destination.exists():
        shutil.rmtree(destination)
    shutil.copytree(packages, destination)
    for package in ("functions", "shared"):
        if (destination / package).exists():
            raise BuildFailed(f"a runtime package also brings a top-level {package}/")
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / package, destination / package, ignore=ignored)
        _compile(destination / package, destination, target)
    _compile_templates(destination, target)
    (destination / "VERSION").write_text(f"{release()}+{source_version()}\n")


def release() -> str:
    """The semantic version, as CHANGELOG.md explains it."""
    return (ROOT / "VERSION").read_text().strip()


def source_version() -> str:
    """Changes with the code, the templates and the pins: tells apart what was built from the same release."""
    digest = hashlib.sha256(REQUIREMENTS.read_bytes())
    for package in ("functions", "shared"):
        for path in sorted((ROOT / package).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:10]


def stage_packages(target: Target) -> Path:
    """The installed, cut down and compiled runtime packages; made once for each set of pins and target."""
    inputs = [target.name, str(target.compiler is not None), REQUIREMENTS.read_text(), Path(__file__).read_text()]
    digest = hashlib.sha256("\0".join(inputs).encode()).hexdigest()[:16]
    stage = STAGE / f"{target.name}-{digest}"
    if stage.exists():
        return stage
    STAGE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=STAGE) as temporary:
        packages = Path(temporary) / "packages"
        _install(packages, target)
        _cut(packages)
        _compile(packages, packages, target)
        try:
            packages.rename(stage)
        except OSError:
            if not stage.exists():  # else another build was faster, with the same result
                raise
    return stage


def _install(packages: Path, target: Target) -> None:
    command = [*target.pip, "install", "-qq", "--disable-pip-version-check", "--no-input", "--no-compile"]
    command += ["--no-deps", "--require-hashes", "--only-binary=:all:", *target.options]
    command += ["--target", str(packages), "-r", str(REQUIREMENTS)]
    if subprocess.run(command, check=False).returncode:
        raise BuildFailed(f"pip could not install {REQUIREMENTS.name} for {target.name}")


def _cut(packages: Path) -> None:
    """Remove what no function reads: other services, prose in the service descriptions, scripts, boto3 resources."""
    shutil.rmtree(packages / "bin", ignore_errors=True)
    shutil.rmtree(packages / "boto3" / "data")
    shutil.rmtree(packages / "boto3" / "examples", ignore_errors=True)
    data = packages / "botocore" / "data"
    missing = SERVICES - {entry.name for entry in data.iterdir()}
    if missing:
        raise BuildFailed(f"botocore does not know {', '.join(sorted(missing))}")
    for entry in list(data.iterdir()):
        if entry.is_dir() and entry.name not in SERVICES:
            shutil.rmtree(entry)
    for examples in data.rglob("examples-1.json*"):
        examples.unlink()
    for packed in list(data.rglob("*.json.gz")):
        description = json.loads(gzip.decompress(packed.read_bytes()))
        packed.with_suffix("").write_text(_compact(_without_prose(description)))
        packed.unlink()
    _cut_endpoints(data)


def _cut_endpoints(data: Path) -> None:
    """Leave the endpoints of the services in use: reading those of all takes a third of a client's making."""
    descriptions = (json.loads(path.read_text()) for path in data.rglob("service-2.json"))
    prefixes = {description["metadata"]["endpointPrefix"] for description in descriptions}
    file = data / "endpoints.json"
    endpoints = json.loads(file.read_text())
    for partition in endpoints["partitions"]:
        services = partition["services"].items()
        partition["services"] = {name: endpoint for name, endpoint in services if name in prefixes}
    file.write_text(_compact(endpoints))


def _compact(description: object) -> str:
    return json.dumps(description, separators=(",", ":"))


def _without_prose(node: object) -> object:
    """Empty the documentation; its keys stay, since botocore asks for some of them."""
    if isinstance(node, dict):
        return {
            key: "" if key == "documentation" and isinstance(value, str) else _without_prose(value)
            for key, value in node.items()
        }
    return [_without_prose(value) for value in node] if isinstance(node, list) else node


def _compile(folder: Path, root: Path, target: Target) -> None:
    """Add .pyc files that are never checked against their source: /var/task cannot be written to."""
    if target.compiler is None:
        return
    command = [target.compiler, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(root), "-p", "/var/task", str(folder)]
    if subprocess.run(command, check=False).returncode:
        raise BuildFailed(f"{target.compiler} could not compile {folder.name}")


def _compile_templates(destination: Path, target: Target) -> None:
    """Add the dashboard's templates as modules: Jinja2 would compile them again at every cold start."""
    if target.compiler is None:
        return
    compiled = destination / "functions" / "serve_dashboard" / "compiled"
    program = (
        f"import sys; sys.path.insert(0, {str(destination)!r});"
        "from functions.serve_dashboard.pages import environment;"
        f"environment().compile_templates({str(compiled)!r}, zip=None)"
    )
    if subprocess.run([target.compiler, "-I", "-S", "-B", "-c", program], check=False).returncode:
        raise BuildFailed(f"{target.compiler} could not compile the dashboard's templates")
    _compile(compiled, destination, target)


def main() -> int:
    """The command line; 1 and a message when the build fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("destination", type=Path, nargs="?")
    parser.add_argument("--for", dest="interpreter", help="build for this interpreter on this machine")
    arguments = parser.parse_args()
    target = for_interpreter(arguments.interpreter) if arguments.interpreter else for_lambda()
    if arguments.destination is None:
        if target.compiler is None:
            print(_NO_BYTECODE)
        return 0
    try:
        build(arguments.destination, target)
    except BuildFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

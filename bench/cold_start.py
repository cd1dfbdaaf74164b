"""Cold starts of the built artifact.

At a practice's size nearly every tap of a patient is a cold start. Each function is started in AWS's Runtime Interface
Emulator from what the build makes (for this machine's Python, bytecode included); "init" is what the emulator reports.
The floor is a function that does nothing but `boto3.client("dynamodb")`, with the whole boto3 of the same version,
compiled as well. The first page is init and the first request together, on a table that answers at once; its floor
reads one item. Lambda gives a starting function a whole processor and then the share that its memory buys, so the
client is made while the function starts.
"""

import json
import os
import platform
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.figure import Figure
from bench.stub import environment as pointing_to
from bench.stub import table_stub
from bench.timing import PAIRS
from infra.build import build, for_interpreter
from local.template import ROOT, functions, load_template
from shared.domain.identity import hash_secret
from tests.environment import ENVIRONMENT

TOKEN = "a" * 52
SURVEY = {
    "survey_id": {"S": TOKEN[:26]},
    "patient_id": {"S": "P1"},
    "clinic_id": {"S": "north"},
    "language": {"S": "en"},
    "expires_at": {"S": "2999-01-01T00:00:00Z"},
    "token_hashes": {"SS": [hash_secret(TOKEN[26:])]},
}
PAGE = {"httpMethod": "GET", "pathParameters": {"token": TOKEN}, "headers": {}, "queryStringParameters": {"score": "9"}}
FLOORS = {
    "empty": "def handler(event, context):\n    return {}\n",
    "boto3": (
        "import boto3\n\nclient = boto3.client('dynamodb')\n\n"
        "def handler(event, context):\n    return client.get_item(TableName='Surveys', Key={'survey_id': {'S': 'x'}})\n"
    ),
}
LIMITS = {"RecordResponseFunction": (1.0, 1.3), "SendSurveyFunction": (1.25, 1.6)}
OWN = "import functions.record_response.handler; from shared.storage.dynamodb import client; client()"
_INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
_INVOKE = re.compile(r"INVOKE RTDONE\(.*duration: ([\d.]+)ms\)")


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds of one cold start."""

    init: float
    first_request: float


def measure() -> list[Figure]:
    """Every function's init in turn with the floors, nine rounds; and what a plain process takes to import it."""
    handlers = {name: function["Handler"] for name, function in functions(load_template()).items()}
    answers = {"GetItem Surveys": {"Item": SURVEY}}
    with tempfile.TemporaryDirectory() as folder, table_stub(answers) as endpoint:
        artifact = Path(folder) / "artifact"
        build(artifact, for_interpreter(sys.executable))
        floors = {name: _floor(Path(folder) / name, source) for name, source in FLOORS.items()}
        variables = {**ENVIRONMENT, **pointing_to(endpoint), "PYTHONTZPATH": ""}
        rounds = [
            {
                **{name: start(path, "function.handler", variables) for name, path in floors.items()},
                **{name: start(artifact, handler, variables) for name, handler in handlers.items()},
            }
            for _ in range(PAIRS)
        ]
        plain = [_plain(artifact, variables) for _ in range(PAIRS)]
        counts = [_modules(artifact, variables), _size(artifact)]
    return [
        *(_init(name, rounds) for name in LIMITS),
        _first_page(rounds),
        _in_a_plain_process(plain),
        *counts,
        *(_init(name, rounds) for name in handlers if name not in LIMITS),
        Figure(
            name="init of a function that does nothing",
            what="The emulator and the runtime's interface client alone.",
            measured=median(starts["empty"].init for starts in rounds),
            unit="ms",
            kind="absolute",
        ),
    ]


def _init(name: str, rounds: list[dict[str, Start]]) -> Figure:
    target, too_much = LIMITS.get(name, (None, None))
    return Figure(
        name=f"init of {name}",
        what="Import of the handler and making of the DynamoDB client, in the emulator.",
        measured=median(starts[name].init for starts in rounds),
        unit="ms",
        kind="ratio",
        target=target,
        too_much=too_much,
        floor=median(starts["boto3"].init for starts in rounds),
        ratio=median(starts[name].init / starts["boto3"].init for starts in rounds),
    )


def _first_page(rounds: list[dict[str, Start]]) -> Figure:
    def total(start: Start) -> float:
        return start.init + start.first_request

    pages = [(total(starts["RecordResponseFunction"]), total(starts["boto3"])) for starts in rounds]
    return Figure(
        name="first page after a cold start",
        what="Init and the patient's first page, rendered, against init and one GetItem of the boto3 client.",
        measured=median(page for page, _ in pages),
        unit="ms",
        kind="ratio",
        target=1.0,
        too_much=1.3,
        floor=median(floor for _, floor in pages),
        ratio=median(page / floor for page, floor in pages),
    )


def _in_a_plain_process(rounds: list[tuple[float, float]]) -> Figure:
    return Figure(
        name="import of RecordResponseFunction in a plain process",
        what='`python -c "import …"` with its client, against `import boto3; boto3.client("dynamodb")`.',
        measured=median(own for own, _ in rounds),
        unit="ms",
        kind="ratio",
        target=1.0,
        too_much=1.3,
        floor=median(floor for _, floor in rounds),
        ratio=median(own / floor for own, floor in rounds),
    )


def _modules(artifact: Path, variables: Mapping[str, str]) -> Figure:
    command = [sys.executable, "-S", "-c", f"{OWN}; import sys; print(len(sys.modules))"]
    environment = {**variables, "PYTHONPATH": str(artifact)}
    loaded = int(subprocess.check_output(command, env=environment, cwd="/", text=True))
    return Figure("modules that RecordResponseFunction loads", "Before its first request.", loaded, "", "count", 400)


def _size(artifact: Path) -> Figure:
    size = sum(path.stat().st_size for path in artifact.rglob("*") if path.is_file()) / 1e6
    return Figure("artifact", "Unpacked, with bytecode; AWS allows 250 MB.", round(size, 1), "MB", "count", 24)


def _floor(folder: Path, source: str) -> Path:
    folder.mkdir()
    (folder / "function.py").write_text(source)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(folder)], check=True)
    return folder


def _plain(artifact: Path, variables: Mapping[str, str]) -> tuple[float, float]:
    def milliseconds(program: str, path: str) -> float:
        began = time.perf_counter()
        environment = {**variables, "PYTHONPATH": path}
        subprocess.run([sys.executable, "-c", program], env=environment, cwd="/", check=True)
        return (time.perf_counter() - began) * 1000

    return milliseconds(OWN, str(artifact)), milliseconds('import boto3; boto3.client("dynamodb")', "")


def start(folder: Path, handler: str, variables: Mapping[str, str]) -> Start:
    """Start a built function in the emulator and ask it for the patient's page."""
    with tempfile.TemporaryFile("w+") as output, _emulator(folder, handler, variables, output.fileno()) as address:
        request = urllib.request.Request(f"{address}/2015-03-31/functions/function/invocations")
        with urllib.request.urlopen(request, json.dumps(PAGE).encode(), timeout=60) as answer:
            answer.read()
        output.seek(0)
        told = output.read()
    return Start(float(_find(_INIT, told)), float(_find(_INVOKE, told)))


def _find(pattern: re.Pattern[str], told: str) -> str:
    match = pattern.search(told)
    if not match:
        raise RuntimeError(f"the emulator did not report {pattern.pattern}:\n{told}")
    return match[1]


@contextmanager
def _emulator(folder: Path, handler: str, variables: Mapping[str, str], output: int) -> Iterator[str]:
    front, back = _free_port(), _free_port()
    command = [str(emulator()), "--runtime-interface-emulator-address", f"127.0.0.1:{front}"]
    command += ["--runtime-api-address", f"127.0.0.1:{back}", sys.executable, "-m", "awslambdaric", handler]
    environment: dict[str, Any] = {"PATH": os.environ["PATH"], "LAMBDA_TASK_ROOT": str(folder), **variables}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=output)
    try:
        _wait_for(front)
        yield f"http://127.0.0.1:{front}"
    finally:
        process.terminate()
        process.wait()


def emulator() -> Path:
    """The Lambda Runtime Interface Emulator, which the SAM CLI brings."""
    name = f"aws-lambda-rie-{platform.machine().replace('aarch64', 'arm64')}"
    found = [*(ROOT / ".venvs" / "sam").glob(f"lib/python*/site-packages/samcli/local/rapid/{name}")]
    if not found or platform.system() != "Linux":
        raise SystemExit("the emulator runs on Linux and comes with the SAM CLI: make build installs it")
    return found[0]


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)

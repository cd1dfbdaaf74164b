"""The artifact: what `sam build` makes for Lambda, and that every handler can be imported from it alone."""

import inspect
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import botocore
import pytest

from bench.cold_start import SURVEY, TOKEN
from bench.stub import environment as pointing_to
from bench.stub import table_stub
from infra.build import LAMBDA_PYTHON, SERVICES, build, find_interpreter, for_interpreter, release, source_version
from local.template import ROOT, functions, load_template
from shared.health.reading import BY_THE_DASHBOARD
from tests.environment import AWS, ENVIRONMENT

HANDLERS = {name: function["Handler"] for name, function in functions(load_template()).items()}
SOURCES = [path for folder in ("functions", "shared") for path in (ROOT / folder).rglob("*.py")]
SEMANTIC = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
AARCH64 = 183  # the machine number in an ELF header


@pytest.fixture(scope="session")
def for_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built for the interpreter that runs the tests."""
    artifact = tmp_path_factory.mktemp("build") / "artifact"
    build(artifact, for_interpreter(sys.executable))
    return artifact


@pytest.fixture(scope="session")
def for_lambda(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by `sam build`, as for a deployment: one folder a function."""
    folder = tmp_path_factory.mktemp("sam")
    environment = {**os.environ, "SAM_CLI_TELEMETRY": "0"}
    command = [str(ROOT / ".venvs/sam/bin/sam"), "build", "--build-dir", str(folder)]
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True)
    return folder


def loaded_modules(artifact: Path, handler: str) -> set[str]:
    """Import a handler with nothing but the artifact and the standard library at hand; return what that loads."""
    module, _, function = handler.rpartition(".")
    script = f"""
import sys
sys.path.insert(0, {str(artifact)!r})
import importlib, json
assert callable(getattr(importlib.import_module({module!r}), {function!r}))
print(json.dumps(sorted(sys.modules)))
"""
    environment = {**ENVIRONMENT, "AWS_REGION": "us-east-1", "AWS_DEFAULT_REGION": "us-east-1"}
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", script]
    done = subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


@pytest.mark.parametrize("name", HANDLERS)
def test_every_handler_imports_from_the_artifact_alone(for_here: Path, name: str) -> None:
    modules = loaded_modules(for_here, HANDLERS[name])
    assert "shared" in modules


ANSWERING = f"""
import sys
from functions.record_response.handler import handler
tap = {{"httpMethod": "GET", "pathParameters": {{"token": "{TOKEN}"}}, "headers": {{}}}}
assert handler({{**tap, "queryStringParameters": {{"score": "9"}}}}, None)["statusCode"] == 200
answer = handler({{**tap, "httpMethod": "POST", "body": "score=9&comment=Very+kind."}}, None)
assert answer["statusCode"] == 200
print()
print(*sys.modules)
"""
HEAVY = ("aws_lambda_powertools", "aws_xray_sdk", "boto3", "jinja2", "pydantic", "pynamodb", "s3transfer")
MOST_MODULES = 400  # 373 when this was written: 223 of the standard library, 121 of botocore and what it needs, 29 ours
MOST_BYTES = 24_000_000  # of the artifact as it is unpacked; 20 MB when this was written


@pytest.fixture(scope="session")
def modules_of_an_answer(for_here: Path) -> set[str]:
    """What a cold start, the first page and the first answer load, in a process that has the artifact alone."""
    stored = {"GetItem Surveys": {"Item": SURVEY}, "UpdateItem Surveys": {"Attributes": SURVEY}}
    with table_stub(stored) as endpoint:
        variables = {**ENVIRONMENT, **pointing_to(endpoint), "PYTHONTZPATH": "", "AWS_LAMBDA_FUNCTION_NAME": "answers"}
        program = f"import sys; sys.path.insert(0, {str(for_here)!r})\n{ANSWERING}"
        command = [sys.executable, "-I", "-S", "-W", "error", "-c", program]
        done = subprocess.run(command, env=variables, cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_a_patients_answer_loads_nothing_heavy(modules_of_an_answer: set[str]) -> None:
    assert {"botocore.client", "functions.record_response.handler"} <= modules_of_an_answer
    assert not [module for module in modules_of_an_answer if module.startswith(HEAVY)]
    assert "shared.domain.intake" not in modules_of_an_answer


def test_a_patients_answer_loads_few_modules(modules_of_an_answer: set[str]) -> None:
    assert len(modules_of_an_answer) <= MOST_MODULES


def test_the_artifact_stays_small(for_here: Path) -> None:
    assert sum(path.stat().st_size for path in for_here.rglob("*") if path.is_file()) <= MOST_BYTES


def test_the_dashboard_s_templates_are_compiled(for_here: Path) -> None:
    program = f"""
import sys
sys.path.insert(0, {str(for_here)!r})
from pathlib import Path
import jinja2
from functions.serve_dashboard.pages import environment
def compile_again(*_, **__):
    raise AssertionError("compiled when used")
jinja2.Environment.compile = compile_again
templates = sorted(path.name for path in Path({str(for_here)!r}, "functions/serve_dashboard/templates").iterdir())
assert templates
for name in templates:
    environment().get_template(name)
"""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], cwd="/", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_module_of_the_artifact_is_compiled(for_here: Path) -> None:
    lacking = [
        source
        for source in for_here.rglob("*.py")
        if not (source.parent / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc").exists()
    ]
    assert not lacking


def test_the_same_inputs_give_the_same_bytes(for_here: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    build(again, for_interpreter(sys.executable))
    first = {path.relative_to(for_here): path.read_bytes() for path in for_here.rglob("*") if path.is_file()}
    second = {path.relative_to(again): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    assert first == second


def test_sam_builds_every_function_and_all_alike(for_lambda: Path) -> None:
    contents = {
        name: sorted(str(path.relative_to(for_lambda / name)) for path in (for_lambda / name).rglob("*"))
        for name in HANDLERS
    }
    assert all(contents.values())
    assert len({tuple(content) for content in contents.values()}) == 1


@pytest.mark.parametrize("name", HANDLERS)
def test_the_lambda_artifact_has_the_handler(for_lambda: Path, name: str) -> None:
    module = HANDLERS[name].rpartition(".")[0]
    assert (for_lambda / name / f"{module.replace('.', '/')}.py").is_file()


def test_templates_and_texts_travel_along(for_lambda: Path) -> None:
    artifact = for_lambda / "SendSurveyFunction"
    others = [
        path
        for folder in ("functions", "shared")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert {".html", ".css", ".mo"} <= {path.suffix for path in others}
    for path in others:
        assert (artifact / path.relative_to(ROOT)).read_bytes() == path.read_bytes()


def test_the_artifact_says_which_code_it_carries(for_lambda: Path) -> None:
    said = (for_lambda / "ServeDashboardFunction" / "VERSION").read_text().strip()
    assert said == f"{release()}+{source_version()}"
    assert SEMANTIC.fullmatch(said)
    assert SEMANTIC.fullmatch(release())


def test_compiled_parts_are_those_of_the_runtime(for_lambda: Path) -> None:
    compiled = list((for_lambda / "RecordResponseFunction").rglob("*.so"))
    assert compiled, "markupsafe brings one"
    tag = f"cpython-{LAMBDA_PYTHON.replace('.', '')}-aarch64-linux-gnu"
    for path in compiled:
        assert tag in path.name
        assert struct.unpack_from("<H", path.read_bytes(), 18) == (AARCH64,)


def test_nothing_of_this_machine_is_in_the_artifact(for_lambda: Path) -> None:
    artifact = for_lambda / "RecordResponseFunction"
    assert not (artifact / "bin").exists()
    here = str(ROOT).encode()
    assert not [path for path in artifact.rglob("*") if path.is_file() and here in path.read_bytes()]


def test_bytecode_is_shipped_and_never_checked_against_its_source(for_lambda: Path) -> None:
    """/var/task is read-only: without it every cold start compiles again. It takes the runtime's Python to make it."""
    artifact = for_lambda / "RecordResponseFunction"
    compiled = list(artifact.rglob("*.pyc"))
    if not compiled:  # the build may find an interpreter that this process does not, through pyenv's own variables
        assert find_interpreter(LAMBDA_PYTHON) is None
        return
    tag = f"cpython-{LAMBDA_PYTHON.replace('.', '')}"
    for source in artifact.rglob("*.py"):
        assert source.parent / "__pycache__" / f"{source.stem}.{tag}.pyc" in compiled
    for path in compiled:
        (flags,) = struct.unpack_from("<I", path.read_bytes(), 4)
        assert flags == 1, "unchecked hash"


def test_botocore_knows_the_services_that_are_called_and_no_others(for_lambda: Path) -> None:
    data = for_lambda / "RecordResponseFunction" / "botocore" / "data"
    assert {entry.name for entry in data.iterdir() if entry.is_dir()} == SERVICES
    texts = [path.read_text() for path in SOURCES if path.parent != ROOT / "shared" / "health"]
    texts += [inspect.getsource(read) for read in BY_THE_DASHBOARD.values()]  # the command has a botocore of its own
    called = {name for text in texts for name in re.findall(r'(?:client\(|known\(place, )"([a-z0-9-]+)"', text)}
    assert called | {"secretsmanager"} == SERVICES  # for which Powertools makes the client


REGIONS = ("us-east-1", "eu-central-1", "us-gov-west-1", "cn-north-1")


def endpoints(python_path: str) -> dict[str, str]:
    """Where botocore's clients of every service and region would call, with the botocore of this folder."""
    script = f"""
import sys
sys.path.insert(0, {python_path!r})
import json
from botocore.session import Session
session = Session()
print(json.dumps({{
    f"{{service}} {{region}}": session.create_client(service, region).meta.endpoint_url
    for service in {sorted(SERVICES)!r} for region in {REGIONS!r}
}}))
"""
    command = [sys.executable, "-I", "-S", "-c", script]
    done = subprocess.run(command, env=AWS, cwd="/", capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def test_every_service_is_found_where_the_whole_botocore_finds_it(for_here: Path) -> None:
    whole = str(Path(botocore.__file__).parent.parent)
    found = endpoints(str(for_here))
    assert len(found) == len(SERVICES) * len(REGIONS)
    assert found == endpoints(whole)


def test_no_pin_depends_on_the_machine_that_builds() -> None:
    """pip weighs a marker on the Python that runs it, not on the one it installs for."""
    pins = (ROOT / "requirements" / "runtime.txt").read_text()
    assert " ; " not in pins
    assert "--hash=sha256:" in pins


@pytest.mark.parametrize("file", sorted((ROOT / "requirements").glob("*.*")), ids=lambda path: path.name)
def test_no_requirements_file_names_a_registry(file: Path) -> None:
    text = file.read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


def test_the_locked_tools_of_node_name_no_registry() -> None:
    assert '"resolved"' not in (ROOT / "requirements" / "npm" / "package-lock.json").read_text()

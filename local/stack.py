"""`make up` and `make down`: the template that a practice deploys, deployed to this machine.

Everything listens on 127.0.0.1 on free ports and lives in one state folder (`.local`), so two checkouts can be up
at once. Nothing of the caller's AWS settings or proxies is used.
"""

import argparse
import http.client
import io
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.build import build, for_interpreter
from local.processes import NotReady, Processes, wait_until
from local.staff import Person, add_person
from local.template import ROOT, functions, load_template
from local.verify import missing_parts
from shared.domain.staff import Role

STATE = ROOT / ".local"
REGION = "us-east-1"
STACK_NAME = "careloop"
MINISTACK = ROOT / ".venvs" / "ministack" / "bin" / "python"
EMULATOR = ROOT / "local" / "emulator.py"
PRESET = {
    "PracticeName": "Riverside Physical Therapy",
    "PracticeTimeZone": "America/New_York",
    "SenderAddress": "surveys@riverside.example",
    "ReplyToAddress": "frontdesk@riverside.example",
    "PostalAddress": "1 River Street, Springfield, NY 10001",
    "AdminAddresses": "admin@riverside.example",
    "ReviewLinks": "https://reviews.example/riverside",
    "SchedulesEnabled": "false",
    "MaxSendsPerDay": "0",  # there is no mailbox behind it that a wrong file could fill
}
PEOPLE = (Person("Olive Owens", "owner@riverside.example", "Riverside-owner-1", Role.OWNER),)
_ARTIFACTS = "careloop-artifacts"
# It has no style of sign-in pages, invites nobody, and puts no firewall before an API.
_UNKNOWN_TO_THE_EMULATOR = {
    "AWS::Cognito::ManagedLoginBranding",
    "AWS::Cognito::UserPoolUser",
    "AWS::Cognito::UserPoolUserToGroupAttachment",
    "AWS::WAFv2::WebACLAssociation",
}


class StackFailed(Exception):
    """The stack is not up; the message says why."""


@dataclass(frozen=True)
class Stack:
    """A running stack, as `stack.json` describes it to tools."""

    endpoint_url: str
    region: str
    stack_name: str
    public_url: str
    mailbox_url: str
    dashboard_url: str
    outputs: dict[str, str]
    patient_api_url: str
    staff_api_url: str
    staff: list[dict[str, str]]  # who may sign in to the dashboard: name, role, email and password
    functions: dict[str, str] = field(default_factory=dict)
    tables: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        """A client of one AWS service of this stack."""
        return client(service, self.endpoint_url)

    def invoke(self, function: str, event: object) -> Any:
        """Run a function by its logical id and return its result; raise StackFailed if it failed."""
        answer = self.client("lambda").invoke(FunctionName=self.functions[function], Payload=json.dumps(event))
        payload = answer["Payload"].read()
        if "FunctionError" in answer:
            raise StackFailed(f"{function} failed: {payload.decode()}")
        return json.loads(payload) if payload else None

    def mails(self) -> list[dict[str, Any]]:
        """Every mail since the start, oldest first."""
        host = self.mailbox_url.removeprefix("http://").partition("/")[0]
        status, body = _get(host, "/mailbox/messages.json")
        if status != 200:
            raise StackFailed(f"the mailbox answers {status}")
        found: list[dict[str, Any]] = json.loads(body)
        return found


def up(
    state: Path = STATE,
    parameters: Mapping[str, str] | None = None,
    *,
    iam: bool = False,
    people: Sequence[Person] = PEOPLE,
    template: dict[str, Any] | None = None,
) -> Stack:
    """Start everything afresh and deploy the template; leave nothing running if that fails.

    `iam` makes the emulator refuse what the functions' roles do not allow. `people` may sign in to the dashboard.
    `template` is deployed in place of today's.
    """
    down(state)
    state.mkdir(parents=True, exist_ok=True)
    processes = Processes(state)
    try:
        endpoint = _start_ministack(processes, state, iam=iam)
        public_url, dashboard_url = _start_front(processes, state, endpoint)
        template = template or load_template()
        own = {"PublicBaseUrl": public_url, "DashboardBaseUrl": dashboard_url}
        preset = {name: value for name, value in PRESET.items() if name in template["Parameters"]}
        stack = deploy(endpoint, STACK_NAME, {**preset, **own, **(parameters or {})}, iam=iam, template=template)
        for person in people:
            add_person(stack.client("cognito-idp"), stack.outputs["StaffPoolId"], person)
            stack.staff.append({"name": person.name, "role": person.role.value, "email": person.email})
            stack.staff[-1]["password"] = person.password
    except BaseException:
        processes.end()
        raise
    _describe(stack, state)
    return stack


def update(state: Path, parameters: Mapping[str, str] | None = None) -> Stack:
    """Deploy today's template and code over the stack that is up, whichever release's template it was made of."""
    former = read_stack(state)
    own = {"PublicBaseUrl": former.public_url, "DashboardBaseUrl": former.dashboard_url}
    wanted = {**PRESET, **own, **(parameters or {})}
    stack = deploy(former.endpoint_url, former.stack_name, wanted, update=True)
    stack.staff.extend(former.staff)
    _describe(stack, state)
    return stack


def _describe(stack: Stack, state: Path) -> None:
    temporary = state / "stack.json.new"
    temporary.write_text(json.dumps(asdict(stack), indent=2) + "\n")
    temporary.rename(state / "stack.json")


def down(state: Path = STATE) -> bool:
    """End what `up` started in this folder; say whether anything was running."""
    if not state.exists():
        return False
    ended = Processes(state).end()
    (state / "stack.json").unlink(missing_ok=True)
    shutil.rmtree(state / "tmp", ignore_errors=True)  # a dying worker may still hold files there
    return bool(ended)


@contextmanager
def running(parameters: Mapping[str, str] | None = None, *, iam: bool = False) -> Iterator[Stack]:
    """A stack that is up for as long as the block lasts, and leaves no trace; `up` says what `iam` does."""
    with tempfile.TemporaryDirectory(prefix="careloop-", ignore_cleanup_errors=True) as folder:
        try:
            yield up(Path(folder), parameters, iam=iam)
        finally:
            down(Path(folder))


def read_stack(state: Path = STATE) -> Stack:
    """The stack that is up; StackFailed if none is."""
    try:
        return Stack(**json.loads((state / "stack.json").read_text()))
    except FileNotFoundError:
        raise StackFailed("no stack is up: run `make up`") from None


def client(service: str, endpoint_url: str) -> Any:
    """A client of the local endpoint, whatever AWS profile, credentials or proxy the caller's shell has."""
    unset = (None, None, None, None)
    nowhere = (None, None, os.devnull, None)
    session = botocore.session.Session(
        session_vars={"profile": unset, "config_file": nowhere, "credentials_file": nowhere}
    )
    return session.create_client(
        service,
        region_name=REGION,
        endpoint_url=endpoint_url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False, read_timeout=1000),
    )


def _start_ministack(processes: Processes, state: Path, *, iam: bool) -> str:
    if not MINISTACK.exists():
        raise StackFailed("ministack is not installed: run `make up`, which installs it")
    temporary = state / "tmp"
    temporary.mkdir(exist_ok=True)
    for _ in range(5):  # somebody else may take the free port first
        port = _free_port()
        environment = _environment(state) | {
            "AUTH": str(iam).lower(),
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(port),
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "MINISTACK_REGION": REGION,
            "TMPDIR": str(temporary),
        }
        process = processes.start("ministack", [str(MINISTACK), "-P", str(EMULATOR)], environment)
        host = f"127.0.0.1:{port}"

        def settled(process: "subprocess.Popen[str]" = process, host: str = host) -> bool:
            return process.poll() is not None or _answers(host, "/_ministack/ready")

        wait_until(settled, 60, f"ministack does not answer; see {state / 'ministack.log'}")
        if _left_alone(process):
            return f"http://{host}"
    raise StackFailed(f"ministack does not start; see {state / 'ministack.log'}")


def _start_front(processes: Processes, state: Path, endpoint: str) -> tuple[str, str]:
    """The front chooses its own ports and says them: the patients' address and the staff's."""
    command = [sys.executable, str(ROOT / "local" / "front.py"), endpoint]
    process = processes.start("front", command, _environment(state), heard=True)
    addresses = process.stdout.readline().split() if process.stdout else []
    if len(addresses) != 2 or not _left_alone(process):
        raise StackFailed(f"the front server does not start; see {state / 'front.log'}")
    return addresses[0], addresses[1]


def _left_alone(process: "subprocess.Popen[str]") -> bool:
    """Let a process go on without us; False if it has already ended."""
    alive = process.poll() is None
    if process.stdout:
        process.stdout.close()
    if alive:
        process.returncode = 0  # else Python warns that it still runs
    return alive


def _environment(state: Path) -> dict[str, str]:
    """What the processes may know: nothing of the caller's AWS settings, proxies or Python paths."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(state),
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONNOUSERSITE": "1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def deploy(
    endpoint: str,
    name: str,
    parameters: dict[str, str],
    *,
    iam: bool = False,
    template: dict[str, Any] | None = None,
    update: bool = False,
) -> Stack:
    """Deploy a template under a name, as `sam deploy` does: today's, or the one given; over what is there, or anew."""
    template = template or load_template()
    leave_out_what_the_emulator_cannot_ask(template, endpoint)
    if iam:
        _leave_out_what_the_emulator_cannot_judge(template)
    return _deploy(endpoint, name, template, parameters, update=update)


def leave_out_what_the_emulator_cannot_ask(template: dict[str, Any], endpoint: str) -> None:
    """Its sign-in pages are at its own address and know no second factor; some kinds of resources it knows not."""
    resources = template["Resources"]
    resources["StaffApi"]["Properties"]["Variables"]["sign_in_url"] = endpoint
    resources["StaffPool"]["Properties"]["MfaConfiguration"] = "OFF"
    for name in [name for name, resource in resources.items() if resource["Type"] in _UNKNOWN_TO_THE_EMULATOR]:
        del resources[name]


def _leave_out_what_the_emulator_cannot_judge(template: dict[str, Any]) -> None:
    """It knows neither identity nor sender of a mail, and speaks plain HTTP, which the bucket's policy refuses."""
    del template["Resources"]["IntakeBucketPolicy"]
    roles = (each for each in template["Resources"].values() if each["Type"] == "AWS::IAM::Role")
    for role in roles:
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                if statement["Action"] == ["ses:SendEmail"]:
                    statement["Resource"] = "*"
                    del statement["Condition"]


def _deploy(
    endpoint: str, stack_name: str, template: dict[str, Any], parameters: dict[str, str], *, update: bool
) -> Stack:
    _check_parameters(template, parameters)
    _verify(parameters["SenderAddress"], endpoint)
    key = _upload_artifact(endpoint)
    packaged = json.loads(json.dumps(template))
    packaged["Globals"]["Function"]["CodeUri"] = {"Bucket": _ARTIFACTS, "Key": key}
    for name in functions(packaged):
        packaged["Resources"][name].pop("Metadata")
    # As `sam deploy` does: the template is larger than what a call may carry.
    client("s3", endpoint).put_object(Bucket=_ARTIFACTS, Key="template.json", Body=json.dumps(packaged).encode())
    cloudformation = client("cloudformation", endpoint)
    try:
        (cloudformation.update_stack if update else cloudformation.create_stack)(
            StackName=stack_name,
            TemplateURL=f"{endpoint}/{_ARTIFACTS}/template.json",
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
    except ClientError as error:
        raise StackFailed(error.response["Error"]["Message"]) from error
    urls = parameters["PublicBaseUrl"], parameters["DashboardBaseUrl"]
    return _wait_for_stack(endpoint, stack_name, *urls, template)


def _verify(address: str, endpoint: str) -> None:
    """Let the address send mail, signed and under a name of its domain's, if it may not yet."""
    email = client("sesv2", endpoint)
    try:
        email.create_email_identity(EmailIdentity=address)
    except email.exceptions.AlreadyExistsException:
        return
    email.put_email_identity_dkim_attributes(EmailIdentity=address, SigningEnabled=True)
    name = f"bounce.{address.rpartition('@')[2]}"
    email.put_email_identity_mail_from_attributes(EmailIdentity=address, MailFromDomain=name)


def _check_parameters(template: dict[str, Any], parameters: Mapping[str, str]) -> None:
    unknown = parameters.keys() - template["Parameters"].keys()
    if unknown:
        known = ", ".join(template["Parameters"])
        raise StackFailed(f"no such parameter: {', '.join(sorted(unknown))}. There are: {known}")


def _upload_artifact(endpoint: str) -> str:
    """Build for the emulator's interpreter, on which it runs the functions, and upload."""
    folder = ROOT / ".aws-sam" / "local"
    folder.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(folder) as artifact:
        build(artifact, for_interpreter(str(MINISTACK)))
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", strict_timestamps=False) as archive:
            for path in sorted(artifact.rglob("*")):
                archive.write(path, path.relative_to(artifact))
    storage = client("s3", endpoint)
    storage.create_bucket(Bucket=_ARTIFACTS)
    storage.put_object(Bucket=_ARTIFACTS, Key="artifact.zip", Body=packed.getvalue())
    return "artifact.zip"


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    folder = parent / f"artifact-{os.getpid()}"
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # not there when the build failed early


def _wait_for_stack(
    endpoint: str, stack_name: str, public_url: str, dashboard_url: str, template: dict[str, Any]
) -> Stack:
    cloudformation = client("cloudformation", endpoint)

    def described() -> dict[str, Any]:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=stack_name)["Stacks"][0]
        return found

    wait_until(lambda: not described()["StackStatus"].endswith("_IN_PROGRESS"), 120, "the deployment does not end")
    stack = described()
    if stack["StackStatus"] not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
        told = cloudformation.describe_stack_events(StackName=stack_name)["StackEvents"]
        reasons = [
            f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}"
            for event in told
            if event["ResourceStatus"].endswith("FAILED")
        ]
        raise StackFailed("\n".join([f"the deployment ended as {stack['StackStatus']}", *reasons]))
    listed = cloudformation.describe_stack_resources(StackName=stack_name)["StackResources"]
    resources = {resource["LogicalResourceId"]: resource for resource in listed}
    check_everything_exists(endpoint, template, resources)
    _put_gateway_responses(endpoint, template, resources)
    _keep_backups(endpoint, resources)
    physical = {name: resource["PhysicalResourceId"] for name, resource in resources.items()}
    return Stack(
        endpoint_url=endpoint,
        region=REGION,
        stack_name=stack_name,
        public_url=public_url,
        mailbox_url=f"{public_url}/mailbox",
        dashboard_url=dashboard_url,
        outputs={output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        patient_api_url=f"{endpoint}/_aws/execute-api/{physical['PatientApi']}/live",
        staff=[],
        staff_api_url=f"{endpoint}/_aws/execute-api/{physical['StaffApi']}/live",
        functions={name: physical[name] for name in functions(template)},
        tables={name: physical[name] for name in template["Resources"] if name.endswith("Table")},
    )


def check_everything_exists(endpoint: str, template: dict[str, Any], resources: dict[str, dict[str, Any]]) -> None:
    """Raise StackFailed naming every part of the template that the emulator left out."""
    missing = missing_parts(partial(client, endpoint_url=endpoint), template, resources)
    if missing:
        raise StackFailed(f"deployed without: {', '.join(missing)}")


def _put_gateway_responses(endpoint: str, template: dict[str, Any], resources: dict[str, dict[str, Any]]) -> None:
    """Give each API the pages it answers with itself: the emulator does not read them from where SAM puts them."""
    for name in ("PatientApi", "StaffApi"):
        _put_gateway_responses_of(endpoint, template, name, resources[name]["PhysicalResourceId"])


def _keep_backups(endpoint: str, resources: dict[str, dict[str, Any]]) -> None:
    """The emulator leaves out that tables are to be recoverable."""
    dynamodb = client("dynamodb", endpoint)
    for resource in resources.values():
        if resource["ResourceType"] == "AWS::DynamoDB::Table":
            dynamodb.update_continuous_backups(
                TableName=resource["PhysicalResourceId"],
                PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
            )


def _put_gateway_responses_of(endpoint: str, template: dict[str, Any], name: str, api: str) -> None:
    apigateway = client("apigateway", endpoint)
    for kind, response in template["Resources"][name]["Properties"]["GatewayResponses"].items():
        status = {"statusCode": str(response["StatusCode"])} if "StatusCode" in response else {}
        headers = response["ResponseParameters"]["Headers"]
        templates = response["ResponseTemplates"]
        apigateway.put_gateway_response(
            restApiId=api,
            responseType=kind,
            responseParameters={f"gatewayresponse.header.{name}": value for name, value in headers.items()},
            responseTemplates={name: _mapped(template, value) for name, value in templates.items()},
            **status,
        )
    apigateway.create_deployment(restApiId=api, stageName="live")


def _mapped(template: dict[str, Any], value: dict[str, list[str]]) -> str:
    mapping, first, second = value["Fn::FindInMap"]
    text: str = template["Mappings"][mapping][first][second]
    return text


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(host: str, path: str) -> bool:
    try:
        return _get(host, path)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


def _get(host: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(host, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def parse_parameters(text: str, known: Mapping[str, object]) -> dict[str, str]:
    """`A=b C=d`: values may hold commas, and spaces if quoted (`C="d e"`) or if no word looks like a parameter.

    A word such as `Yelp=https://…` belongs to the value before it: review links have labels.
    """
    parameters: dict[str, str] = {}
    current = ""
    for word in shlex.split(text):
        name, equals, value = word.partition("=")
        if equals and name in known:
            current = name
            parameters[name] = value
        elif current and not (re.fullmatch(r"[A-Z][A-Za-z]+", name) and equals and "://" not in value):
            parameters[current] += f" {word}"
        else:
            raise StackFailed(f"no such parameter: {word}. There are: {', '.join(known)}")
    return parameters


def main() -> int:
    """The command line; 1 and a message when the stack does not come up."""
    parser = argparse.ArgumentParser(description="Start or end the local stack.")
    parser.add_argument("command", choices=["up", "down"])
    arguments = parser.parse_args()
    if arguments.command == "down":
        print("The local stack has ended." if down() else "No local stack is up.")
        return 0
    try:
        given = parse_parameters(os.environ.get("PARAMETERS", ""), load_template()["Parameters"])
        if Processes(STATE).running():
            print("The local stack is up already: starting it afresh.")
        stack = up(STATE, given)
    except (StackFailed, NotReady) as failure:
        print(failure, file=sys.stderr)
        return 1
    print(
        f"The local stack is up.\n  pages and mailbox  {stack.public_url}\n  dashboard          {stack.dashboard_url}"
    )
    for person in stack.staff:
        print(f"    sign in as       {person['email']}  {person['password']}")
    print(f"  AWS endpoint       {stack.endpoint_url}")
    print(f"  described in       {STATE.name}/stack.json\nEnd it with: make down")
    return 0


if __name__ == "__main__":
    sys.exit(main())

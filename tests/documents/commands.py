"""The commands of a block of shell, one by one, and who can say of each whether it would be understood."""

import ast
import importlib.util
import re
import shlex
import subprocess
import tomllib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import jmespath  # type: ignore[import-untyped]
import pytest
from botocore import xform_name

from local.template import ROOT, load_template

MAKEFILE = (ROOT / "Makefile").read_text()
VERBS = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"\$\(([A-Z]+)\)", MAKEFILE))
EVERYWHERE = {"query", "output", "region", "profile"}  # what every command of the AWS CLI takes
SAM = ROOT / ".venvs" / "sam" / "bin" / "python"


class NotUnderstood(Exception):
    """A command that would fail, or that nobody here can judge."""


def commands(script: str) -> Iterator[list[str]]:
    """The words of each command, those inside $(…) too; what stands behind << is left to whoever reads it."""
    script = re.sub(r"<<'?(\w+)'?(.*?)\n.*?^\1$", r"\2", script.replace("\\\n", " "), flags=re.MULTILINE | re.DOTALL)
    for line in script.splitlines():
        yield from _in_line(line)


def _in_line(line: str) -> Iterator[list[str]]:
    start = line.find("$(")
    if start >= 0:
        depth, end = 0, start + 1
        for end in range(start + 1, len(line)):
            depth += {"(": 1, ")": -1}.get(line[end], 0)
            if not depth:
                break
        yield from _in_line(line[start + 2 : end])
        yield from _in_line(line[:start] + "SOMETHING" + line[end + 1 :])
        return
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&;|")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in [*lexer, ";"]:
        if word in ("&&", ";", "||", "|"):
            while found and re.fullmatch(r"[A-Z_]+=.*", found[0], re.DOTALL):
                found = found[1:]
            if found:
                yield found
            found = []
        else:
            found.append(word)


def judge(words: list[str]) -> None:
    """Raise NotUnderstood unless the command and everything it is given exist."""
    judges: dict[str, Callable[[list[str]], None]] = {
        "make": of_make,
        "aws": of_aws,
        "sam": of_sam,
        "python": of_python,
        "python3": of_python,
    }
    if " ".join(words) in TAKEN_ON_TRUST or words[0] in TAKEN_ON_TRUST:
        return
    if words[0] not in judges:
        raise NotUnderstood(f"nobody here can judge `{words[0]}`")
    judges[words[0]](words)


TAKEN_ON_TRUST = {
    "git": "every reader has it, and it acts on the reader's own copy",
    "export": "the shell's own",
    "cat": "every reader has it",
    "date": "every reader has it",
    ".ci/run": "make check and make test, which the continuous integration runs through it",
    "uv": "installed by whoever changes pins; what it makes is checked by every pip install --require-hashes",
}
"""First words that are not judged, each with its reason."""


def of_make(words: list[str]) -> None:
    """Verbs and variables as the Makefile has them, and options as the verb's module takes them."""
    verbs = [word for word in words[1:] if "=" not in word]
    given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
    if unknown := set(verbs) - VERBS:
        raise NotUnderstood(f"make has no {unknown}")
    if unknown := set(given) - VARIABLES - {"PARAMETERS"}:
        raise NotUnderstood(f"the Makefile reads no {unknown}")
    if "PARAMETERS" in given:
        _check_parameters(shlex.split(given["PARAMETERS"]))
    shown = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    if shown.returncode:
        raise NotUnderstood(shown.stderr)
    if not given and len(verbs) == 1:
        return  # a sentence about the verb, which may need more to run
    for line in shown.stdout.replace("\\\n", " ").splitlines():
        if line.startswith(".venvs/dev/bin/python -m ") and " pytest" not in line:
            of_python(shlex.split(line))


def of_python(words: list[str]) -> None:
    """A module that exists, with arguments that its own parser takes."""
    if words[1:2] != ["-m"]:
        if words[1:2] == ["-"]:
            return  # the program stands in the block, see test_commands
        raise NotUnderstood(f"what does {words} run?")
    module, arguments = words[2], words[3:]
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise NotUnderstood(f"there is no module {module}")
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{module}.__main__")
    if spec and spec.origin and str(ROOT) in spec.origin and "ArgumentParser(" in Path(spec.origin).read_text():
        _parse(spec.name, arguments)


class _Understood(Exception):
    """The arguments were parsed."""


def _parse(module: str, arguments: list[str]) -> None:
    """Let the module's main parse the arguments, and do nothing of what it would do then."""
    main = importlib.import_module(module).main
    parse = ArgumentParser.parse_args

    def parse_only(parser: ArgumentParser, *_: object, **__: object) -> None:
        parse(parser, arguments)
        raise _Understood

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArgumentParser, "parse_args", parse_only)
        patch.setattr("sys.argv", [module, *arguments])
        try:
            main()
        except _Understood:
            return
        except SystemExit as refused:
            raise NotUnderstood(f"{module} refuses {arguments}") from refused
    raise NotUnderstood(f"{module} never looked at {arguments}")


def of_aws(words: list[str]) -> None:
    """A service, an operation and options of the AWS CLI, with values that the service's model allows."""
    _, service, operation, *rest = [*words, ""]
    options, plain = _options(rest[:-1])
    if "query" in options:
        jmespath.compile(options["query"])
    if service == "configure":
        return
    if service == "s3":
        if operation not in ("cp", "ls", "rm", "sync") or not any(word.startswith("s3://") for word in plain):
            raise NotUnderstood(f"aws s3 {operation} {plain}")
        return
    service = "s3" if service == "s3api" else service
    if service not in botocore.session.get_session().get_available_services():
        raise NotUnderstood(f"AWS has no service {service}")
    model = _model(service)
    if operation == "wait":
        operation = _waited_for(service, plain)
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in operations:
        raise NotUnderstood(f"{service} has no {operation}")
    shape = model.operation_model(operations[operation]).input_shape
    members = {xform_name(name, "-"): member for name, member in (shape.members if shape else {}).items()}
    for name, value in options.items():
        if name in EVERYWHERE:
            continue
        member = members.get(name) or members.get(name.removeprefix("no-"))
        if member is None:
            raise NotUnderstood(f"{service} {operation} has no --{name}")
        allowed = getattr(member, "enum", None)
        if allowed and value not in allowed and value != "SOMETHING":
            raise NotUnderstood(f"--{name} of {service} {operation} is one of {allowed}")
        if member.type_name in ("integer", "long") and not value.isdigit():
            raise NotUnderstood(f"--{name} of {service} {operation} is a number")
    given = {name.removeprefix("no-") for name in options} | set(options)
    if missing := {xform_name(name, "-") for name in (shape.required_members if shape else ())} - given:
        raise NotUnderstood(f"{service} {operation} needs {missing}")


def _waited_for(service: str, plain: list[str]) -> str:
    """The operation that is asked until what is waited for has come."""
    waiters = botocore.session.get_session().get_waiter_model(service)
    named = {xform_name(name, "-"): name for name in waiters.waiter_names}
    if len(plain) != 1 or plain[0] not in named:
        raise NotUnderstood(f"{service} cannot wait for {plain}")
    return str(xform_name(waiters.get_waiter(named[plain[0]]).operation, "-"))


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def _options(words: list[str]) -> tuple[dict[str, str], list[str]]:
    """Options with what follows each, and the words before the first."""
    options: dict[str, str] = {}
    plain: list[str] = []
    name = ""
    for word in words:
        if word.startswith("--"):
            name = word.removeprefix("--")
            options[name] = ""
        elif name:
            options[name] = f"{options[name]} {word}".strip()
        else:
            plain.append(word)
    return options, plain


def of_sam(words: list[str]) -> None:
    """A command of SAM's with options that it takes, and parameters of ours with values that they allow."""
    _, command, *rest = words
    options, _ = _options(rest)
    if unknown := {f"--{name}" for name in options} - _options_of_sam(command):
        raise NotUnderstood(f"sam {command} has no {unknown}")
    if environment := options.get("config-env"):
        configured = tomllib.loads((ROOT / "samconfig.toml").read_text())
        if environment not in configured:
            raise NotUnderstood(f"samconfig.toml has no {environment}")
    _check_parameters(shlex.split(options.get("parameter-overrides", "")))


@cache
def _options_of_sam(command: str) -> set[str]:
    ask = f"from samcli.commands.{command}.command import cli; print(*[o for p in cli.params for o in p.opts])"
    told = subprocess.run([SAM, "-c", ask], capture_output=True, text=True, check=False)
    if told.returncode:
        raise NotUnderstood(f"sam has no {command}")
    return set(told.stdout.split())


def _check_parameters(pairs: list[str]) -> None:
    parameters = load_template()["Parameters"]
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in parameters:
            raise NotUnderstood(f"the template has no parameter {name}")
        rule = parameters[name]
        if value not in [str(each) for each in rule.get("AllowedValues", [value])]:
            raise NotUnderstood(f"{name} is one of {rule['AllowedValues']}")
        if not re.search(rule.get("AllowedPattern", ""), value):
            raise NotUnderstood(f"{name} is not written as {value}")


def programs(script: str) -> list[str]:
    """What is handed to Python behind <<."""
    found = re.findall(r"^python3? - .*<<'(\w+)'\n(.*?)^\1$", script, re.MULTILINE | re.DOTALL)
    for _, program in found:
        ast.parse(program)
    return [program for _, program in found]

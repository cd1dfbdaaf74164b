"""What `make doctor` prints and with what it ends, without a stack."""

import json
import urllib.error
from datetime import UTC, datetime
from typing import Any

import dns.exception
import dns.resolver
import pytest
from botocore.exceptions import ClientError

from local import doctor
from local.stack import StackFailed
from shared.health.findings import Finding, State
from shared.health.place import CannotTell

NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
WELL = Finding("Data is safe", "Backups", State.OK, "All tables can be brought back.")
LOOK = Finding("People", "Owner", State.ATTENTION, "No owner has signed in.", "Nobody sees answers.", "Find the mail.")
UNKNOWN = Finding("Mail arrives", "DMARC", State.UNKNOWN, "Could not be looked at.", "Nobody knows.", "Ask again.")
BROKEN = Finding("Mail leaves", "Sandbox", State.BROKEN, "In the sandbox.", "No mail leaves.", "Ask AWS.")


def seen(clients: Any = None, *, is_local: bool = False) -> doctor.Seen:
    return doctor.Seen("careloop", "us-east-1", clients, {}, is_local)


@pytest.fixture
def run(monkeypatch, capsys):
    """`run(findings, "--json")`: the exit code, and what went to each stream."""

    def command(findings: list[Finding] | Exception, *arguments: str) -> tuple[int, str, str]:
        def examine(*_: Any) -> list[Finding]:
            if isinstance(findings, Exception):
                raise findings
            return findings

        monkeypatch.setattr(doctor, "here", seen)
        monkeypatch.setattr(doctor, "examine", examine)
        monkeypatch.setattr("sys.argv", ["doctor", *arguments])
        code = doctor.main()
        return code, *capsys.readouterr()

    return command


@pytest.mark.parametrize(
    ("findings", "code"), [([WELL], 0), ([WELL, LOOK], 1), ([WELL, UNKNOWN], 1), ([WELL, LOOK, BROKEN], 2)]
)
def test_automation_can_tell_how_it_stands_from_the_exit_code(run, findings, code):
    assert run(findings)[0] == code
    assert run(findings, "--json")[0] == code


def test_what_is_broken_stands_first_with_what_it_means_and_what_to_do(run):
    _, out, err = run([WELL, LOOK, UNKNOWN, BROKEN])
    heads = [line for line in out.splitlines() if line and not line.startswith(" ")]
    assert heads == [
        "Looking at the stack careloop in us-east-1 …",
        "BROKEN  Mail leaves: Sandbox",
        "LOOK AT  People: Owner",
        "NOT KNOWN  Mail arrives: DMARC",
        "well  Data is safe",
        "1 broken, 1 needs attention, 1 not known, 1 well.",
    ]
    assert "  What it means: No mail leaves.\n  What to do: Ask AWS.\n" in out
    assert "\033" not in out + err  # no terminal, no colors


def test_a_terminal_gets_colors():
    assert "\033[1;31mBROKEN\033[0m  Mail leaves: Sandbox" in list(doctor.report([BROKEN], in_color=True))


def test_programs_get_the_same_as_json_and_nothing_else(run):
    _, out, err = run([WELL, BROKEN], "--json")
    told = json.loads(out)
    assert (told["stack"], told["broken"], told["ok"]) == ("careloop", 1, 1)
    assert told["findings"][0] == {
        "about": "Mail leaves",
        "check": "Sandbox",
        "state": "broken",
        "says": "In the sandbox.",
        "means": "No mail leaves.",
        "do": "Ask AWS.",
    }
    assert err == ""


def test_without_a_stack_it_says_so_and_ends_differently(run):
    code, out, err = run(StackFailed("There is no stack careloop"), "--json")
    assert (code, out, err) == (3, "", "There is no stack careloop\n")


def test_a_stack_of_that_name_that_is_not_there_is_named_with_its_region():
    class NoStack:
        def describe_stacks(self, **_: str) -> Any:
            raise ClientError({"Error": {"Code": "ValidationError", "Message": "does not exist"}}, "DescribeStacks")

    with pytest.raises(StackFailed, match="no stack careloop in us-east-1"):
        doctor.examine(seen(lambda service: NoStack()), NOW)


class FakeFunctions:
    """Functions by name, each with its variables."""

    class exceptions:  # noqa: N801 (boto3's)
        ResourceNotFoundException = KeyError

    def __init__(self, variables: dict[str, dict[str, str]]) -> None:
        self.variables = variables

    def get_function_configuration(self, FunctionName: str) -> Any:  # noqa: N803 (boto3's)
        return {"Environment": {"Variables": self.variables[FunctionName]}} if self.variables[FunctionName] else {}


def entering(monkeypatch: pytest.MonkeyPatch, variables: dict[str, dict[str, str]]) -> dict[str, str]:
    """What the process gets of functions with these variables."""
    entered: dict[str, str] = {}
    monkeypatch.setattr("os.environ", entered)
    functions = FakeFunctions(variables)
    doctor._enter(seen(lambda service: functions), {**{name: name for name in variables}, "GoneFunction": "Gone"})
    return entered


def test_the_settings_are_those_of_the_function_that_mails(monkeypatch):
    other, mails = {"SENDER_ADDRESS": "other@example.com"}, {"SENDER_ADDRESS": "care@example.com", "AWS_REGION": "x"}
    entered = entering(monkeypatch, {"AlertStaffFunction": other, "SendSurveyFunction": mails})
    assert entered["SENDER_ADDRESS"] == "care@example.com"
    assert entered["AWS_REGION"] == "us-east-1"


def test_a_function_that_lost_its_settings_is_made_up_for_by_others(monkeypatch):
    whole = {"SENDER_ADDRESS": "care@example.com", "SETTINGS_TABLE": "Settings"}
    for variables in (
        {"AggregateScoresFunction": {}, "SendSurveyFunction": whole},
        {"AggregateScoresFunction": whole, "SendSurveyFunction": {}},
        {
            "AggregateScoresFunction": {"SETTINGS_TABLE": "Settings"},
            "SendSurveyFunction": {"SENDER_ADDRESS": "care@example.com"},
        },
    ):
        entered = entering(monkeypatch, variables)
        assert whole.items() <= entered.items()


def test_without_any_function_there_is_nothing_to_look_at(monkeypatch):
    with pytest.raises(StackFailed, match="no function any more"):
        entering(monkeypatch, {})


def test_without_credentials_it_says_whom_to_ask(monkeypatch):
    class NobodysSession:
        region_name: str | None = "us-east-1"

        def get_credentials(self) -> None:
            return None

    monkeypatch.setattr("boto3.session.Session", NobodysSession)
    with pytest.raises(StackFailed, match="no AWS credentials"):
        doctor.in_aws("careloop")
    NobodysSession.region_name = None
    with pytest.raises(StackFailed, match="AWS_DEFAULT_REGION"):
        doctor.in_aws("careloop")


class Record:
    strings = (b"v=DMARC1; ", b"p=none")


@pytest.mark.parametrize(
    ("answers", "texts"),
    [([Record()], ("v=DMARC1; p=none",)), (dns.resolver.NXDOMAIN(), ()), (dns.resolver.NoAnswer(), ())],
)
def test_the_dns_is_asked_and_a_name_without_records_has_none(monkeypatch, answers, texts):
    monkeypatch.setattr(dns.resolver, "resolve", answering(answers))
    assert doctor.texts_of("_dmarc.riverside-pt.com") == texts


def test_a_dns_that_does_not_answer_is_not_taken_for_no_record(monkeypatch):
    monkeypatch.setattr(dns.resolver, "resolve", answering(dns.exception.Timeout()))
    with pytest.raises(CannotTell, match="did not answer"):
        doctor.texts_of("_dmarc.riverside-pt.com")


def test_names_that_are_only_examples_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(dns.resolver, "resolve", answering(AssertionError("asked")))
    for domain in ("riverside.example", "example.com", "mail.example.com"):
        with pytest.raises(CannotTell, match="for examples"):
            doctor.texts_of(f"_dmarc.{domain}")


def answering(answers: Any) -> Any:
    def resolve(*_: Any, **__: Any) -> Any:
        if isinstance(answers, BaseException):
            raise answers
        return answers

    return resolve


def test_a_page_that_answers_with_an_error_has_a_status(monkeypatch):
    class Opener:
        def open(self, address: str, timeout: int) -> Any:
            raise urllib.error.HTTPError(address, 502, "Bad Gateway", {}, None)  # type: ignore[arg-type]

    monkeypatch.setattr("urllib.request.build_opener", lambda *_: Opener())
    assert doctor.fetch("https://care.example.com/s/none") == (502, "")

"""The local stack: deployed whole, driven from outside as the public contract says, and ended without a trace."""

import copy
import http.client
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from local.processes import Processes, wait_until
from local.stack import Stack, StackFailed, check_everything_exists, down, parse_parameters, read_stack, up
from local.template import load_template

PATIENTS = """patient_id,first_name,last_name,email,clinic_id
stack-1,Ada,Okafor,ada@patients.example,stack
"""
VISITS = """visit_id,patient_id,case_id,clinic_id,started_at,kind,status
stack-v1,stack-1,stack-c1,stack,2026-03-02T10:00,evaluation,completed
"""


def request(url: str, method: str, path: str, body: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """One request; the body of the answer is read already, as `.body`."""
    connection = http.client.HTTPConnection(url.removeprefix("http://").partition("/")[0], timeout=60)
    prefix = "/" + url.removeprefix("http://").partition("/")[2] if url.count("/") > 2 else ""
    connection.request(method, prefix + path, body=body, headers=headers)
    answer = connection.getresponse()
    answer.body = answer.read()  # type: ignore[attr-defined]
    connection.close()
    return answer


def upload(stack: Stack, name: str, text: str) -> dict[str, Any]:
    """Put a file into the intake bucket and wait for its report."""
    storage, bucket = stack.client("s3"), stack.outputs["IntakeBucketName"]
    storage.put_object(Bucket=bucket, Key=f"incoming/{name}", Body=text.encode())
    report = f"reports/{name}.json"

    def reported() -> bool:
        return any(found["Key"] == report for found in storage.list_objects_v2(Bucket=bucket).get("Contents", []))

    wait_until(reported, 30, f"no report about {name}")
    read: dict[str, Any] = json.loads(storage.get_object(Bucket=bucket, Key=report)["Body"].read())
    return read


def mails_to(stack: Stack, address: str) -> list[dict[str, Any]]:
    return [mail for mail in stack.mails() if address in mail["to"]]


def test_a_survey_travels_from_the_upload_to_the_staff_under_the_roles_of_the_template(stack: Stack) -> None:
    """Intake, sending, page, answer, alert, digest, scores: each function with nothing but its own permissions."""
    assert upload(stack, "stack/patients.csv", PATIENTS)["created"] == 1
    assert upload(stack, "stack/visits.csv", VISITS)["created"] == 1

    assert stack.invoke("SendSurveyFunction", {"time": "2026-03-02T20:00:00Z"})["sent"] == 1
    (mail,) = mails_to(stack, "ada@patients.example")
    link = re.search(rf"{stack.public_url}(/s/[a-z2-7]{{52}})", mail["text"])
    assert link

    page = request(stack.public_url, "GET", f"{link[1]}?score=2")
    assert page.status == 200
    form = urlencode({"score": "2", "comment": "The wait was long."})
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert request(stack.public_url, "POST", link[1], form, **kind).status == 200

    wait_until(lambda: bool(mails_to(stack, "admin@riverside.example")), 30, "no alert")
    counted = stack.invoke("AggregateScoresFunction", {"time": "2026-03-03T08:15:00Z"})
    assert counted["surveys"] >= 1
    stack.invoke("SendDigestFunction", {"time": "2026-03-03T15:00:00Z"})
    stack.invoke("AlertStaffFunction", {"time": "2026-03-03T15:00:00Z"})
    stack.invoke("RequestReviewFunction", {"time": "2026-03-03T15:00:00Z"})
    assert request(stack.public_url, "POST", link[1].replace("/s/", "/u/"), "List-Unsubscribe=One-Click").status == 200


def test_a_promoter_is_asked_for_a_review_under_the_roles_of_the_template(stack: Stack) -> None:
    upload(stack, "stack/patients-2.csv", PATIENTS.replace("stack-1", "stack-2").replace("ada@", "bea@"))
    upload(stack, "stack/visits-2.csv", VISITS.replace("stack-", "stack-2-").replace("stack-2-1", "stack-2"))
    stack.invoke("SendSurveyFunction", {"time": "2026-03-02T20:10:00Z"})
    (mail,) = mails_to(stack, "bea@patients.example")
    link = re.search(rf"{stack.public_url}(/s/[a-z2-7]{{52}})", mail["text"])
    assert link
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert request(stack.public_url, "POST", link[1], "score=10", **kind).status == 200

    def invited() -> bool:
        kinds = stack.client("dynamodb").scan(TableName=stack.tables["MessagesTable"], ProjectionExpression="kind")
        return any(item["kind"]["S"] == "review" for item in kinds["Items"])

    wait_until(invited, 30, "no review request")


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", [f"/s/{'a' * 52}?score=9", "/s/nonsense", f"/u/{'b' * 52}"])
def test_the_front_changes_nothing_of_what_the_api_answers(stack: Stack, method: str, path: str) -> None:
    body = "score=9&comment=" + "ü%20" * 400_000 if method == "POST" else None  # more than 1 MB
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept-Language": "es"}
    behind = request(stack.patient_api_url, method, path, body, **kind)
    before = request(stack.public_url, method, path, body, **kind)
    assert before.status == behind.status
    assert before.body == behind.body  # type: ignore[attr-defined]
    assert _telling(before) == _telling(behind)


def _telling(answer: http.client.HTTPResponse) -> dict[str, str]:
    """The headers without those that differ from one answer to the next."""
    own = {"date", "server", "connection", "transfer-encoding"}
    return {
        name.lower(): value
        for name, value in answer.getheaders()
        if name.lower() not in own and "request" not in name.lower() and "trace" not in name.lower()
    }


def test_a_link_that_is_cut_down_to_nothing_gets_a_page_in_both_languages(stack: Stack) -> None:
    answer = request(stack.public_url, "GET", "/s/")
    assert answer.status == 404
    assert b'lang="es"' in answer.body  # type: ignore[attr-defined]


def test_the_mailbox_shows_a_mail_as_its_reader_sees_it(stack: Stack) -> None:
    stack.client("sesv2").send_email(
        FromEmailAddress="surveys@riverside.example",
        Destination={"ToAddresses": ["cy@patients.example"]},
        Content={
            "Simple": {
                "Subject": {"Data": "Größe & <b>"},
                "Body": {"Text": {"Data": "Hola"}, "Html": {"Data": "<p>¡Hola!</p>"}},
            }
        },
    )
    mails = stack.mails()
    number = max(index for index, mail in enumerate(mails, start=1) if mail["to"] == ["cy@patients.example"])
    mail = mails[number - 1]
    assert set(mail) == {"to", "from", "subject", "text", "html", "sent_at"}
    assert (mail["from"], mail["subject"]) == ("surveys@riverside.example", "Größe & <b>")
    listed = request(stack.public_url, "GET", "/mailbox").body.decode()  # type: ignore[attr-defined]
    assert f'href="/mailbox/{number}"' in listed
    assert "Größe &amp; &lt;b&gt;" in listed
    shown = request(stack.public_url, "GET", f"/mailbox/{number}/html").body.decode()  # type: ignore[attr-defined]
    assert "<p>¡Hola!</p>" in shown
    assert request(stack.public_url, "GET", f"/mailbox/{number}/text").body == b"Hola"  # type: ignore[attr-defined]
    assert request(stack.public_url, "GET", f"/mailbox/{len(mails) + 1}").status == 404


def test_nothing_runs_by_itself(stack: Stack) -> None:
    scheduler = stack.client("scheduler")
    assert {schedule["State"] for schedule in scheduler.list_schedules()["Schedules"]} == {"DISABLED"}


def test_what_the_emulator_leaves_out_fails_the_start(stack: Stack) -> None:
    template = copy.deepcopy(load_template())
    resources = template["Resources"]
    resources["PatientApi2"] = {"Type": "AWS::ApiGateway::RestApi"}
    answer = resources["RecordResponseFunction"]["Properties"]["Events"]
    api = {"RestApiId": {"Ref": "PatientApi"}}
    answer["Delete"] = {"Type": "Api", "Properties": {**api, "Method": "delete", "Path": "/s/{token}"}}
    resources["StaffApi"]["Properties"]["Variables"]["colour"] = "blue"
    stream = resources["AlertStaffFunction"]["Properties"]["Events"]["Answer"]["Properties"]
    stream["FilterCriteria"]["Filters"][0]["Pattern"] = "{}"
    schedule = resources["SendSurveyFunction"]["Properties"]["Events"]["EveryTenMinutes"]["Properties"]
    schedule["ScheduleExpression"] = "rate(1 minute)"
    upload = resources["ImportVisitsFunction"]["Properties"]["Events"]["Export"]["Properties"]
    upload["Filter"]["S3Key"]["Rules"][0]["Value"] = "elsewhere/"
    listed = stack.client("cloudformation").describe_stack_resources(StackName=stack.stack_name)["StackResources"]
    with pytest.raises(StackFailed) as failed:
        check_everything_exists(
            stack.endpoint_url, template, {resource["LogicalResourceId"]: resource for resource in listed}
        )
    for missing in (
        "PatientApi2",
        "RecordResponseFunction DELETE /s/{token}",
        "AlertStaffFunction stream mapping",
        "StaffApi variable colour",
        "SendSurveyFunction schedule EveryTenMinutes",
        "ImportVisitsFunction upload trigger for elsewhere/",
    ):
        assert missing in str(failed.value)


def test_two_stacks_are_up_at_once_and_end_without_a_trace(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "someone-elses")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    second = up(tmp_path, {"Touchpoints": "evaluation,discharge", "PracticeName": "Second, Third & Co"})
    described = json.loads((tmp_path / "stack.json").read_text())
    contract = "endpoint_url region stack_name public_url mailbox_url dashboard_url outputs"
    assert set(contract.split()) <= set(described)
    assert read_stack(tmp_path) == second
    assert second.endpoint_url != stack.endpoint_url
    configuration = second.client("lambda").get_function_configuration(
        FunctionName=second.functions["SendSurveyFunction"]
    )
    environment = configuration["Environment"]["Variables"]
    assert environment["PRACTICE_NAME"] == "Second, Third & Co"
    assert environment["TOUCHPOINTS"] == "evaluation,discharge"
    assert environment["PUBLIC_URL"] == second.public_url == second.outputs["PublicUrl"]
    assert second.invoke("SendSurveyFunction", {"time": "2026-03-02T20:00:00Z"})["due"] == 0

    again = up(tmp_path)
    assert again.tables  # and it took the place of the second
    processes = Processes(tmp_path)
    assert set(processes.running()) == {"ministack", "front"}
    assert down(tmp_path)
    assert not processes.running()
    assert not down(tmp_path)
    assert not (tmp_path / "stack.json").exists()
    for url in (again.public_url, again.endpoint_url):
        with pytest.raises(ConnectionRefusedError):
            request(url, "GET", "/")
    assert request(stack.public_url, "GET", "/").status == 200


def test_a_wrong_parameter_fails_the_start_and_leaves_nothing_running(tmp_path: Path) -> None:
    with pytest.raises(StackFailed, match="SendFrom"):
        up(tmp_path, {"SendFrom": "8 o'clock"})
    assert not Processes(tmp_path).running()


def test_parameters_may_hold_commas_spaces_and_labelled_links() -> None:
    known = load_template()["Parameters"]
    text = "Touchpoints=evaluation,visit:2 PracticeName='River PT' ReviewLinks=Google=https://g.example Yelp=https://y.example"
    assert parse_parameters(text, known) == {
        "Touchpoints": "evaluation,visit:2",
        "PracticeName": "River PT",
        "ReviewLinks": "Google=https://g.example Yelp=https://y.example",
    }
    assert parse_parameters("PracticeName=River PT PauseDays=3", known)["PracticeName"] == "River PT"


@pytest.mark.parametrize("text", ["PauseDay=3", "PauseDays=3 SendUntill=20:00", "3"])
def test_a_misspelt_parameter_is_refused(text: str) -> None:
    with pytest.raises(StackFailed, match="no such parameter"):
        parse_parameters(text, load_template()["Parameters"])

"""Two records of one patient are merged on the deployed stack, with the rights that its functions have."""

from tests.integration.practice import Person, Practice, at, evaluation, eventually, someone, visit


def merge(practice: Practice, retired: Person, survivor: Person) -> None:
    """What an EMR sends when the front desk finds that two charts are one patient's."""
    person = survivor.row
    segments = (
        r"MSH|^~\&|EMR|RIVERSIDE|||20260401120000-0400||ADT^A40^ADT_A39|1|P|2.5.1",
        "EVN|A40|20260401120000-0400",
        f"PID|1||{survivor.patient_id}^^^EMR^MR||{person['last_name']}^{person['first_name']}||||||||^NET^Internet^{survivor.email}",
        f"MRG|{retired.patient_id}^^^EMR^MR",
    )
    report = practice.upload("\r".join(segments), f"merge-{retired.patient_id}.hl7")
    assert (report["status"], report["kind"]) == ("accepted", "hl7"), report


def test_the_survivor_has_everything_and_is_asked_nothing_twice(practice: Practice) -> None:
    retired, survivor = someone(), someone()
    asked_about = evaluation(retired, at("2026-03-02"))
    practice.export([retired, survivor], [asked_about, visit(survivor, at("2026-03-10"), case_id=retired.case)])
    practice.send(at("2026-03-02", "16:00"))
    mail = practice.mail(retired)
    merge(practice, retired, survivor)

    owners = {item["visit_id"]: item["patient_id"] for item in practice.items("VisitsTable")}
    assert owners[asked_about["visit_id"]] == survivor.patient_id
    assert [survey["touchpoint"] for survey in practice.surveys_of(survivor)] == ["evaluation"]
    practice.send(at("2026-03-12", "16:00"))
    assert practice.kinds(retired) == ["survey"]
    assert practice.kinds(survivor) == ["reminder"]

    practice.answer(mail, 2, "It hurt")
    practice.rest()
    assert practice.survey(mail)["patient_id"] == survivor.patient_id
    assert practice.post(mail.unsubscribe_path, {}).status == 200
    people = {item["patient_id"]: item for item in practice.items("PatientsTable")}
    assert people[survivor.patient_id]["opted_out"]
    assert people[retired.patient_id]["merged_into"] == survivor.patient_id


def test_what_is_said_later_of_the_retired_patient_is_the_survivor_s(practice: Practice) -> None:
    retired, survivor = someone(), someone()
    practice.export([retired, survivor])
    merge(practice, retired, survivor)
    practice.export([], [evaluation(retired, at("2026-03-02"))])
    practice.send(at("2026-03-02", "16:00"))
    eventually(lambda: practice.kinds(survivor) == ["survey"], "a survey of the survivor")
    assert practice.kinds(retired) == []

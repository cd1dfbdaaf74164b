"""A patient is erased: nothing of theirs is left anywhere, the figures stay, and nothing brings them back."""

import json
from datetime import timedelta

import pytest

from functions.erase_patient.handler import handler as erase_patient
from functions.erase_patient.intake_objects import Bucket as Intake
from functions.erase_patient.pattern import pattern_of
from functions.import_visits.records import ErasedMeanwhile
from shared.domain.aggregate import contribution
from shared.domain.erasure import LONGEST_RUN, Traces, Why
from shared.domain.identity import address_key
from shared.domain.message import MessageKind
from shared.hash_key import hash_key
from shared.storage import addresses, erasures, messages, patients, removal, surveys, visits
from tests.builders import MONDAY_NOON, a_message, a_patient, a_survey, a_visit
from tests.fakes import FakeContext
from tests.handlers.answering import answer, open_link, sent, survey_id
from tests.handlers.care import merged
from tests.handlers.exports import Bucket, Killed, at_writes, dying_at, file_of, restore, run, send, upload
from tests.privacy import canary, life
from tests.privacy.canary import has_none_of, objects, tables
from tests.privacy.life import NOW, PATIENTS, PERSON, SURVEY, VISIT, VISITS, ask, erase, look, scores

IDS = {"survey": SURVEY, **canary.WORDS}


@pytest.fixture
def bucket(aws: None) -> Bucket:
    bucket = Bucket()
    life.live(bucket)
    return bucket


def test_before_it_every_word_is_found_so_that_finding_none_means_something(bucket):
    held = [text for _, text in (*tables(), *objects())]
    assert [what for what, word in IDS.items() if not any(word in text for text in held)] == []


def test_nothing_is_left_in_any_table_or_any_version_of_any_object(bucket):
    erase()
    has_none_of(IDS, [*tables(), *objects()])


def test_nothing_of_anybody_else_is_touched(bucket):
    def neighbour() -> list[str]:
        return sorted(text for where, text in tables() if '"n1"' in text or life.ANOTHER in text)

    before = neighbour()
    assert len(before) > 8
    erase()
    assert neighbour() == before
    assert bucket.read("incoming/neighbours.csv")


def test_what_was_counted_stays_counted_and_a_recount_finds_it(bucket):
    before = scores()
    reference = erase()
    life.count()
    assert scores() == before
    (facts,) = removal.figures()
    assert (facts.score, facts.answered_at) == (3, "")
    counted = contribution(facts)
    assert counted["practice", "2026-03-03", "s3"] == 1
    assert reference not in str(facts)


def test_an_answer_that_no_night_had_counted_is_never_counted(bucket):
    answer(life.ANOTHER, 2)
    erase("n1")
    life.count()
    (row,) = (row for place, row in scores().items() if place == "practice 2026-03-03")
    assert '"s2"' not in row
    assert '"s9": {"N": "1"}' in row


def test_killed_at_any_write_it_is_finished_by_the_next_call(bucket):
    reference = ask()
    for write in range(1, 200):
        try:
            with at_writes(dying_at(write, "after" if write % 2 else "before")):
                look(erase=reference)
        except Killed:
            if patients.get(canary.PATIENT_ID) is None:  # marked before anything is removed
                assert bucket.read(f"erased/{reference}")
            continue
        break
    assert write > 10
    look(NOW + LONGEST_RUN)
    assert look(NOW + 2 * LONGEST_RUN)["erased"] == 1
    has_none_of(IDS, [*tables(), *objects()])


def test_asked_and_begun_twice_it_is_one(bucket):
    assert ask() == ask()
    assert list(erasures.references()) == [erase()]


def test_it_is_not_finished_before_all_that_ran_beside_it_has_ended(bucket):
    reference = ask()
    look(erase=reference)
    assert look(NOW + LONGEST_RUN - timedelta(seconds=1))["erased"] == 0
    found = erasures.find(reference)
    assert found
    assert found.traces
    # An import that read the patient before they were erased writes what it read.
    surveys.create(a_survey(survey_id(7), patient_id=canary.PATIENT_ID, case_id=canary.CASE_ID))
    visits.put(a_visit(f"{canary.VISIT_ID}-9", patient_id=canary.RETIRED_ID), None)
    patients.put_record(a_patient(canary.PATIENT_ID, email=canary.EMAIL), None)
    assert look(NOW + LONGEST_RUN)["erased"] == 0  # it found something: others may still be at it
    assert look(NOW + 2 * LONGEST_RUN)["erased"] == 1
    has_none_of(IDS, [*tables(), *objects()])


def test_what_is_written_late_under_a_survey_that_is_gone_is_found_too(bucket):
    reference = ask()
    look(erase=reference)
    messages.create(a_message(SURVEY, MessageKind.REVIEW, patient_id=canary.PATIENT_ID))
    look(NOW + LONGEST_RUN)
    look(NOW + 2 * LONGEST_RUN)
    has_none_of(IDS, [*tables(), *objects()])


def test_the_proof_tells_who_when_why_and_how_much_and_nothing_of_whom(bucket):
    reference = erase()
    found = erasures.find(reference)
    assert found
    assert (found.by, found.why, found.finished_at) == ("Robin Reyes", "patient", NOW + LONGEST_RUN)
    assert found.traces is None
    assert found.removed["patients"] == 2
    assert (found.removed["surveys"], found.removed["cases"], found.removed["messages"]) == (2, 1, 3)
    assert found.removed["visits"] == 1
    assert found.removed["objects_incoming"] >= 3
    assert set(found.removed) >= {"activity", "addresses", "objects_rejected", "objects_reports", "objects_preview"}


def test_that_an_address_bounced_is_kept_without_whose_it_was(bucket):
    key, other = (address_key(hash_key(), email) for email in (canary.OLD_EMAIL, canary.EMAIL))
    erase()
    known = addresses.get_many([key, other])
    assert known[key].bounced
    assert (known[key].last_patient_id, known[key].last_contact_at) == ("", None)
    assert other not in known


def test_a_file_that_is_not_taken_in_yet_waits_for_its_import(bucket):
    neighbour = "v77,n1,c9,north,2026-03-20T10:00,evaluation,completed,,"
    upload(bucket, "incoming/late.csv", file_of(VISIT, neighbour, header=VISITS))
    reference = ask()
    look(erase=reference)
    found = erasures.find(reference)
    assert found
    assert found.waiting == 1
    assert run(bucket, "incoming/late.csv")["created"] == 1  # the neighbour's
    look(NOW + LONGEST_RUN)
    assert look(NOW + 2 * LONGEST_RUN)["erased"] == 1
    has_none_of(IDS, [*tables(), *objects()])
    assert "v77" in visits.of_patient("n1").visits


def test_a_file_that_is_uploaded_again_waits_for_its_import_again(bucket):
    def search() -> tuple[int, int]:
        of_patient = pattern_of(Traces((canary.PATIENT_ID,)))
        found = dict(Intake(bucket, "intake").search(of_patient))["incoming/again.csv"]
        return found.removed, found.waiting

    send(bucket, file_of(PERSON, header=PATIENTS), "again.csv")
    at = bucket.uploaded["incoming/again.csv"] + timedelta(hours=1)
    bucket.uploaded["reports/again.csv.json"] = at
    upload(bucket, "incoming/again.csv", file_of(PERSON, header=PATIENTS), at + timedelta(seconds=1))
    assert search() == (1, 1)  # the version of which the report is
    assert bucket.read("incoming/again.csv")
    bucket.uploaded["reports/again.csv.json"] = at + timedelta(seconds=1)
    assert search() == (1, 0)


def test_a_patient_who_stands_where_two_parts_of_a_large_file_meet_is_found(bucket):
    part = 8 * 1024 * 1024
    first = canary.PATIENT_ID[:4].encode()
    body = b"\n" * (part - len(first)) + canary.PATIENT_ID.encode() + b"\n"
    assert body[:part].endswith(first)
    bucket.s3.put_object(Bucket="intake", Key="rejected/large.csv", Body=body)
    found = dict(Intake(bucket, "intake").search(pattern_of(Traces((canary.PATIENT_ID,)))))
    assert found["rejected/large.csv"].removed == 1


def test_asked_again_for_one_who_is_back_it_waits_again_for_all_that_runs_beside_it(bucket):
    reference = erase()
    back = NOW + timedelta(days=1)
    erasures.request(Traces((canary.PATIENT_ID,)), Why.PATIENT, "Robin Reyes", back, opted_out=True)
    found = erasures.find(reference)
    assert found
    assert found.finished_at is None
    assert look(back, erase=reference)["in_progress"] == 1  # though it found nothing
    assert look(back + LONGEST_RUN, erase=reference)["erased"] == 1


@pytest.mark.parametrize("was", ["made", "sent", "answered"])
def test_an_answer_that_is_counted_while_its_survey_is_removed_is_among_the_figures(bucket, was):
    survey = survey_id(3)
    if was == "made":
        surveys.create(a_survey(survey, patient_id="n1", case_id="c9"))
        open_link(survey)
    else:
        sent(survey, patient_id="n1", case_id="c9")
    if was == "answered":
        answer(survey, 9)
        life.count()

    def change_and_count(number: int, phase: str) -> None:
        if (number, phase) == (1, "before"):
            surveys.mark_sent(survey, MONDAY_NOON + timedelta(hours=3))
            answer(survey, 2)
            life.count()

    with at_writes(change_and_count):
        assert removal.survey(survey) == 1
    assert [facts.score for facts in removal.figures()] == [2]


def test_a_search_that_runs_out_of_time_goes_on_where_it_stopped(bucket):
    reference = ask()
    erase_patient({"erase": reference}, FakeContext(seconds_left=30), now=lambda: NOW)
    stopped = erasures.find(reference)
    assert stopped
    assert stopped.searched.startswith("incoming/")
    look(NOW)
    look(NOW + LONGEST_RUN)
    has_none_of(IDS, [*tables(), *objects()])


@pytest.mark.parametrize("key", ["x.csv", "Incoming/x.csv", f"{canary.LAST}/x.csv", "settings/x.csv", "zzz/x.csv"])
def test_wherever_in_the_bucket_a_file_lies_it_is_found(bucket, key):
    upload(bucket, key, file_of(PERSON, header=PATIENTS))
    if key.startswith("settings/"):
        run(bucket, key)
    reference = erase()
    has_none_of(IDS, [*tables(), *objects()])
    found = erasures.find(reference)
    assert found
    assert found.removed["objects_settings" if key.startswith("settings/") else "objects_elsewhere"] == 1
    has_none_of(IDS, [("proof", bucket.read(f"erased/{reference}").decode())])


def test_the_marks_themselves_are_never_searched(bucket):
    bucket.s3.put_object(Bucket="intake", Key="erased/another", Body=b'{"by": "%b"}' % canary.EMAIL.encode())
    erase()
    assert bucket.read("erased/another")


def test_what_lies_where_no_file_belongs_is_removed_after_thirty_days_and_nothing_else(bucket):
    ours = objects_of(bucket)
    for key in ("x.csv", "x.csv", "Incoming/x.csv"):
        upload(bucket, key, file_of(PERSON, header=PATIENTS))
    put_at = bucket.s3.head_object(Bucket="intake", Key="x.csv")["LastModified"]
    look(put_at + timedelta(days=29))
    assert objects_of(bucket) - ours == {"x.csv", "Incoming/x.csv"}
    look(put_at + timedelta(days=31))
    assert objects_of(bucket) == ours
    assert not [where for where, _ in objects() if where.endswith("x.csv")]


def objects_of(bucket: Bucket) -> set[str]:
    return set(bucket.listed())


# They do not come back.


def test_an_import_refuses_their_rows_and_keeps_nothing_of_them(bucket):
    erase()
    report = send(bucket, file_of(PERSON, "n2,Noa,New,noa@example.com,,north", header=PATIENTS), "again.csv")
    assert (report["created"], report["refused"], report["status"]) == (1, 1, "partial")
    assert report["errors"] == [{"line": 2, "column": "", "reason": "erased on request"}]
    report = send(bucket, file_of(VISIT, life.WRONG, header=VISITS), "again-visits.csv")
    assert report["refused"] == 2
    assert patients.get(canary.PATIENT_ID) is None
    assert not visits.of_patient(canary.PATIENT_ID)
    kept = [(where, text) for where, text in objects() if not where.startswith("object incoming/")]
    has_none_of(IDS, [*tables(), *(one for one in kept if "visits" not in one[0])])


def test_a_former_number_of_theirs_does_not_bring_them_back_either(bucket):
    erase()
    row = f"{canary.RETIRED_ID},{canary.FIRST},{canary.LAST},{canary.OLD_EMAIL},,north"
    assert send(bucket, file_of(row, header=PATIENTS), "old.csv")["refused"] == 1


def test_rows_that_are_refused_as_they_should_be_wake_nobody(bucket, capsys):
    erase()
    capsys.readouterr()
    send(bucket, file_of(PERSON, header=PATIENTS), "again.csv")
    assert "IntakeRefused" not in capsys.readouterr().out
    send(bucket, file_of(PERSON, "n3,N,N,not an address,,north", header=PATIENTS), "again.csv")
    assert "IntakeRefused" in capsys.readouterr().out


@pytest.mark.parametrize("write", range(1, 7))
def test_erased_in_the_middle_of_an_import_nothing_of_theirs_is_left(bucket, write):
    asked = []

    def ask_and_erase(number: int, phase: str) -> None:
        if (number, phase) == (write, "before"):
            asked.append(ask())
            look(erase=asked[0])

    with at_writes(ask_and_erase):
        report = send(bucket, file_of(VISIT.replace("north", "south"), header=VISITS), "meanwhile.csv")
    assert asked
    assert report["rows"] == 1
    for looks in (1, 2, 3):
        look(NOW + looks * LONGEST_RUN)
    has_none_of(IDS, [*tables(), *objects()])


@pytest.mark.parametrize("write", range(1, 7))
def test_their_own_record_is_not_there_after_an_import_whenever_they_were_erased(bucket, write):
    asked = []

    def ask_and_erase(number: int, phase: str) -> None:
        if (number, phase) == (write, "before"):
            asked.append(ask())
            look(erase=asked[0])

    with at_writes(ask_and_erase):
        send(bucket, file_of(PERSON.replace("north", "south"), header=PATIENTS), "meanwhile.csv")
    assert asked
    assert patients.get_exactly(canary.PATIENT_ID) is None


def test_neither_a_merge_into_them_nor_one_of_them_is_done(bucket):
    erase()
    for retired, survivor in ((canary.PATIENT_ID, "n1"), ("n1", canary.PATIENT_ID)):
        assert not patients.merge(a_patient(retired), patients.get_exactly(survivor) or a_patient(survivor))
    person = patients.get("n1")
    assert person
    assert person.merged_from == frozenset()


def test_a_restored_backup_is_erased_again(bucket):
    names = ["Patients", "Visits", "Surveys", "Messages", "Activity", "Cases", "Addresses", "Scores"]
    backup = life.whole(names)
    reference = erase()
    restore(backup)
    assert patients.get(canary.PATIENT_ID)
    assert erasures.find(reference) is None
    assert send(bucket, file_of(PERSON, header=PATIENTS), "again.csv")["refused"] == 1  # the bucket still knows
    look(again=True)
    look(NOW + LONGEST_RUN)
    look(NOW + 2 * LONGEST_RUN)
    has_none_of(IDS, [*tables(), *objects()])


PERSON_AS_FHIR = {
    "resourceType": "Patient",
    "id": canary.PATIENT_ID,
    "name": [{"family": canary.LAST, "given": [canary.FIRST]}],
    "telecom": [{"system": "email", "value": canary.EMAIL}],
}
REPLACED = {"type": "replaced-by", "other": {"reference": f"Patient/{canary.PATIENT_ID}"}}
MSH = "MSH|^~\\&|EMR|North|CL|P|20260320090000||ADT^{0}|1|P|2.5\rEVN|{0}|20260320090000\r"
WEBPT_VISITS = "Visit_ID,Patient_ID,Case_ID,Clinic_ID,Visit_Date,Note_Finalized_Date,Note_Type,Export_Flag"
IN_EVERY_FORMAT = {
    "a patient in CSV": ("p.csv", file_of(PERSON, header=PATIENTS)),
    "a visit in CSV": ("v.csv", file_of(VISIT, header=VISITS)),
    "a patient of WebPT's": (
        "w.csv",
        file_of(
            f"{canary.PATIENT_ID},{canary.FIRST},{canary.LAST},{canary.EMAIL},1",
            header="PatientID,FirstName,LastName,Email,Export_Flag",
        ),
    ),
    "a visit of WebPT's": (
        "wv.csv",
        file_of(f"V1,{canary.PATIENT_ID},{canary.CASE_ID},north,3/20/2026,3/20/2026,IE,1", header=WEBPT_VISITS),
    ),
    "a patient in FHIR": ("p.ndjson", json.dumps(PERSON_AS_FHIR)),
    "a merge into them in FHIR": ("m.ndjson", json.dumps({**PERSON_AS_FHIR, "id": "n1", "link": [REPLACED]})),
    "a message in HL7": (
        "a.hl7",
        MSH.format("A04") + f"PID|1||{canary.PATIENT_ID}^^^^MR||{canary.LAST}^{canary.FIRST}\rPV1|1|O|north\r",
    ),
    "a merge into them in HL7": ("i.hl7", MSH.format("A40") + f"PID|1||{canary.PATIENT_ID}^^^^MR\rMRG|n1^^^^MR\r"),
    "a merge of them in HL7": ("o.hl7", MSH.format("A40") + f"PID|1||n1^^^^MR\rMRG|{canary.PATIENT_ID}^^^^MR\r"),
}


@pytest.mark.parametrize("what", IN_EVERY_FORMAT)
def test_in_every_format_what_tells_of_them_is_refused_and_given_back_to_nobody(bucket, what):
    name, content = IN_EVERY_FORMAT[what]
    erase()
    report = send(bucket, content, name)
    assert (report["rows"], report["refused"]) == (1, 1), report
    assert report["errors"][0]["reason"] == "erased on request"
    assert not [where for where, _ in objects() if where.startswith("object rejected/")]
    neighbour = patients.get("n1")
    assert neighbour
    assert (neighbour.merged_into, neighbour.merged_from, neighbour.archived) == ("", frozenset(), False)
    has_none_of(IDS, tables())


def test_a_merge_that_was_read_before_they_were_erased_is_not_begun(bucket):
    erase()
    for retired, survivor in ((canary.PATIENT_ID, "n1"), ("n1", canary.RETIRED_ID)):
        with pytest.raises(ErasedMeanwhile):
            merged(retired, survivor)


def test_whoever_was_merged_into_one_who_is_just_being_erased_is_nobody(bucket):
    removal.patient(canary.PATIENT_ID)
    assert patients.get_many([canary.RETIRED_ID, "n1"]).keys() == {"n1"}
    assert patients.get(canary.RETIRED_ID) is None


def test_such_keys_are_nobody_s(bucket):
    reference = erase()
    assert patients.get(f"erased#{reference}") is None
    assert send(bucket, file_of(f"erased#{reference},A,B,a@example.com,,north", header=PATIENTS))["refused"] == 1

"""What has come into a former stack since it was restored into another, brought to that one, which may be in use.

Links in mailboxes go on leading to the former stack. Whoever opts out, complains, is erased or answers there must not
be mailed from the restored one. Nothing is taken back here: a stop is told once, so that whom the staff let off again
stays so; a newer answer, case or mark stands; whoever was erased here is not written of. Everything can be repeated.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from local.carried import ERASED, STOPS, answer_since, stops_since, suppressed_since
from local.tables import Item, Table, as_text
from local.whole import Whole
from shared.domain import intake
from shared.domain.delivery import STAFF
from shared.domain.identity import erased_reference
from shared.domain.self_test import PATIENT_ID

Show = Callable[[str], None]
AUDIT = "erased"
"""As shared.storage.erasures has it, which can only be imported among a function's variables."""


def bring(source: Whole, target: Whole, show: Show) -> bool:
    """Bring it, erase whoever was erased since, and say how much it was; False if something was just being changed."""
    # Answers are read first: what the former stack did about them then stands in what is read after them.
    answers = list(_answers(source.table("Surveys"), target.table("Surveys")))
    done = {
        "patients who want no mail, are on hold or have died": _stops(source, target),
        "addresses that bounced or complained": _suppressed(source.table("Addresses"), target.table("Addresses")),
        "patients who were erased": _marks(source, target),
        "entries of who did what": _new_rows("Activity", source, target),
        "cases": _new_rows("Cases", source, target),
        "answers": [_bring_answer(target.table("Surveys"), *each) for each in answers],
    }
    for what, tried in done.items():
        show(f"  {sum(tried):,} {what}")
    show(target.erase_again())
    return all(each for tried in done.values() for each in tried)


def let_in_again(stack: Whole) -> dict[str, str]:
    """When those who were erased were let in again, by reference; nobody who was erased once more after it."""
    last = dict[str, Item]()
    for entry in stack.table("Activity").partition(AUDIT):
        if entry["kind"]["S"] in ("erase_requested", "erasure_lifted"):
            last[entry["entry"]["S"].rpartition("#")[2]] = entry
    return {reference: entry["at"]["S"] for reference, entry in last.items() if entry["kind"]["S"] == "erasure_lifted"}


def _answers(former: Table, surveys: Table) -> Iterator[tuple[Item, Item]]:
    for page in former.pages():
        answered = [item for item in page if "version" in item]
        here = surveys.find(answered)
        for item in answered:
            stands = here.get(as_text(surveys.key(item)))
            if stands and (facts := answer_since(item, stands)):
                yield stands, facts


def _bring_answer(surveys: Table, stands: Item, facts: Item) -> bool:
    """Whether it was written: a survey that has changed since it was read stays as it is."""
    if "revision" in stands:
        return surveys.change(stands, facts, "#revision = :seen", seen=stands["revision"])
    return surveys.change(stands, facts, "attribute_exists(survey_id) AND attribute_not_exists(#revision)")


def _stops(source: Whole, target: Whole) -> list[bool]:
    """For each patient whom mail is kept from: whoever was merged with them is kept from it as well."""
    patients, tried = target.table("Patients"), list[bool]()
    for page in source.table("Patients").pages():
        rows = [row for row in page if _is_kept_from(row)]
        wanted = [(patient_id, row) for row in rows for patient_id in _known_as(row)]
        here = patients.find(_keys(patient_id for patient_id, _ in wanted))
        gone = _erased(target, (patient_id for patient_id, _ in wanted))
        for patient_id, row in wanted:
            stands = here.get(as_text(_key(patient_id)))
            is_another = patient_id != row["patient_id"]["S"]
            if patient_id in gone or (is_another and (stands is None or "merged_into" in stands)):
                continue
            if facts := stops_since(row, stands):
                tried.append(_stop(patients, patient_id, facts))
    return tried


def _is_kept_from(row: Item) -> bool:
    """Whether mail is kept from this patient; that of an erased one is in their mark."""
    is_patient = not row["patient_id"]["S"].startswith(ERASED)
    return is_patient and any(row.get(name, {}).get("BOOL") for name in STOPS)


def _stop(patients: Table, patient_id: str, facts: Item) -> bool:
    """Whether mail is kept from whoever the patient is by now; noted last, so that a repetition does what is left."""
    stops = {name: value for name, value in facts.items() if name in STOPS}
    now = patient_id
    while into := patients.find([_key(now)]).get(as_text(_key(now)), {}).get("merged_into"):
        now = into["S"]
    if now != patient_id and not patients.change(_key(now), stops, "attribute_not_exists(merged_into)"):
        return False
    return patients.change(_key(patient_id), facts, "" if now != patient_id else "attribute_not_exists(merged_into)")


def _suppressed(former: Table, addresses: Table) -> list[bool]:
    """For each address of patients; those of the staff are taken up again once mail reaches them."""
    tried = list[bool]()
    for page in former.pages():
        rows = [row for row in page if row["address_key"]["S"] != "staff" and not _is_of_staff(row)]
        here = addresses.find(rows)
        for row in rows:
            if facts := suppressed_since(row, here.get(as_text(addresses.key(row)))):
                moments = [name for name in facts if name.endswith("_at")]
                is_later = " AND ".join(f"(attribute_not_exists(#{name}) OR #{name} <= :{name})" for name in moments)
                tried.append(addresses.change(row, facts, is_later))
    return tried


def _is_of_staff(row: Item) -> bool:
    return str(row["address_key"]["S"]).startswith(STAFF)


def _marks(source: Whole, target: Whole) -> list[bool]:
    """For each mark that is not here, unless who was erased was let in here after it."""
    let_in, tried = let_in_again(target), list[bool]()
    patients = source.table("Patients")
    s3, bucket, former = target.client("s3"), target.parts.names["IntakeBucket"], source.parts.names["IntakeBucket"]
    here = set(_files(s3, bucket))
    for key in _files(source.client("s3"), former):
        if key in here:
            continue
        reference = key.removeprefix(intake.ERASED)
        said = json.loads(source.client("s3").get_object(Bucket=former, Key=key)["Body"].read())
        if reference in let_in and said["requested_at"] <= let_in[reference]:
            continue
        target.table("Patients").put_new(patients.find([_key(ERASED + reference)]).values())
        s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": former, "Key": key})
        tried.append(True)
    return tried


def _files(s3: Any, bucket: str) -> Iterator[str]:
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=intake.ERASED):
        yield from (item["Key"] for item in page.get("Contents", ()))


def _new_rows(name: str, source: Whole, target: Whole) -> list[bool]:
    """For each row that is not here; what stands here already is newer, or the same."""
    table, tried = target.table(name), list[bool]()
    for page in source.table(name).pages():
        here = table.find(page)
        new = [row for row in page if as_text(table.key(row)) not in here and _is_to_come(row)]
        gone = _erased(target, (row["patient_id"]["S"] for row in new))
        kept = [row for row in new if row["patient_id"]["S"] not in gone]
        table.put_new(kept)
        tried += [True] * len(kept)
    return tried


def _is_to_come(row: Item) -> bool:
    """Nothing of the self-test, and not that somebody was let in again there: here they were not."""
    return bool(row["patient_id"]["S"] != PATIENT_ID and row.get("kind", {}).get("S") != "erasure_lifted")


def _erased(target: Whole, patient_ids: Iterable[str]) -> set[str]:
    """Who of these was erased in the restored stack."""
    key = target.secret().encode()
    marks = {ERASED + erased_reference(key, patient_id): patient_id for patient_id in patient_ids}
    found = target.table("Patients").find(_keys(marks))
    return {marks[item["patient_id"]["S"]] for item in found.values()}


def _known_as(row: Item) -> Iterator[str]:
    if row["patient_id"]["S"] != PATIENT_ID:
        yield row["patient_id"]["S"]
        yield from row.get("merged_from", {}).get("SS", ())


def _key(patient_id: str) -> Item:
    return {"patient_id": {"S": patient_id}}


def _keys(patient_ids: Iterable[str]) -> list[Item]:
    return [_key(patient_id) for patient_id in dict.fromkeys(patient_ids)]

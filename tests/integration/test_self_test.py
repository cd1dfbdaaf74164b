"""The whole self-test where roles are enforced: mail, public address, stream and count as they are deployed."""

from local.deployed import on_this_machine
from local.self_test import self_test
from shared.domain.self_test import CLINIC, EMAIL, PATIENT_ID, SURVEY_ID
from tests.integration.practice import ADMIN, Practice


def test_a_made_up_patient_goes_all_the_way_and_nothing_of_it_is_left(practice: Practice) -> None:
    told, of_admin = list[str](), len(practice.mails(ADMIN))
    self_test(on_this_machine(practice.stack), told.append)
    assert len(told) == 4
    assert [len(practice.mails(address)) for address in (EMAIL, *CLINIC.admins)] == [1, 1]
    assert len(practice.mails(ADMIN)) == of_admin
    words = (PATIENT_ID, SURVEY_ID, "simulator.amazonses.com")
    rows = [(table, repr(row)) for table in practice.stack.tables for row in practice.items(table)]
    assert [table for table, row in rows if any(word in row for word in words)] == []

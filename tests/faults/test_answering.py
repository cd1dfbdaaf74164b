"""Faults 15, 19 and 20: what may happen to an answer."""

from datetime import timedelta
from typing import Any

import pytest

from shared.storage.models import SurveyItem
from tests.faults.invariants import hold, i2
from tests.faults.practice import Practice, Request, aws_error, failing, refusing, token_of


def mailed(practice: Practice, number: int = 0) -> Any:
    survey = practice.asked(number)
    practice.send()
    practice.later(hours=1)
    return practice.mail(survey)


@pytest.mark.parametrize(("first", "second"), [((9, "a"), (3, "b")), ((3, "a"), (9, "b")), ((3, "a"), (3, ""))])
def test_fault_15_of_two_submissions_at_once_the_last_counts_and_none_is_lost(
    practice: Practice, first: tuple[int, str], second: tuple[int, str]
) -> None:
    """The first is overtaken just before its write."""
    mail = mailed(practice)
    overtaken: list[int] = []

    def overtake(operation: str, request: Request) -> None:
        if operation == "UpdateItem" and not overtaken:
            overtaken.append(practice.answer(mail, *second))

    with practice.gate.hooked(before=overtake):
        assert practice.answer(mail, *first) == 200
    assert overtaken == [200]
    practice.rest()
    hold(practice.evidence())


CONFLICT = aws_error("TransactionConflictException", operation="UpdateItem")
BUSY = aws_error("ProvisionedThroughputExceededException", operation="UpdateItem")


def test_fault_19_an_answer_that_meets_a_transaction_is_written_after_it(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    mail = mailed(practice)
    with practice.gate.hooked(before=refusing(_modelled(CONFLICT), "UpdateItem", times=3)):
        assert practice.answer(mail, 2, "Quagga") == 200
    assert len(waits) == 3
    practice.rest()
    hold(practice.evidence())


@pytest.mark.parametrize("error", [CONFLICT, BUSY], ids=["conflict", "throughput"])
def test_fault_19_an_answer_that_is_not_stored_is_not_said_to_be(
    practice: Practice, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    mail = mailed(practice)
    practice.answer(mail, 9)
    with practice.gate.hooked(before=refusing(_modelled(error), "UpdateItem")), failing(practice):
        practice.answer(mail, 2, "Quagga")
    i2(practice.evidence())
    practice.answer(mail, 2, "Quagga")
    practice.rest()
    hold(practice.evidence())


def test_fault_19_a_count_whose_transactions_are_refused_is_made_up_for(
    practice: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for number, score in enumerate((1, 8, 10)):
        practice.answer(mailed(practice, number), score)
    refused = aws_error("TransactionCanceledException", operation="TransactWriteItems")
    refused.response["CancellationReasons"] = [{"Code": "TransactionConflict"}, {"Code": "ThrottlingError"}]
    with practice.gate.hooked(before=refusing(_modelled(refused), "TransactWriteItems")):
        assert practice.count() == {"surveys": 0, "rows": 0}
    assert '"SurveysNotCounted"' in practice.evidence().told
    with practice.gate.hooked(before=refusing(_modelled(refused), "TransactWriteItems", times=2)):
        practice.count()
    practice.rest()
    hold(practice.evidence())


def test_fault_19_a_claim_that_gives_way_is_made_by_the_next_run(practice: Practice) -> None:
    surveys = [practice.asked(number) for number in range(3)]
    refused = aws_error("TransactionCanceledException", operation="TransactWriteItems")
    refused.response["CancellationReasons"] = [{"Code": "None"}, {"Code": "TransactionConflict"}]
    with practice.gate.hooked(before=refusing(refused, "TransactWriteItems", times=2)):
        assert practice.send()["sent"] == 1
    assert sorted(practice.state(survey) for survey in surveys) == ["due", "due", "sent"]
    practice.rest()
    assert {practice.state(survey) for survey in surveys} == {"sent"}
    hold(practice.evidence())


def test_fault_20_every_link_that_opens_nothing_gets_the_same_page(practice: Practice) -> None:
    expired, gone, good = (mailed(practice, number) for number in range(3))
    SurveyItem(gone.survey_id).delete()
    SurveyItem(expired.survey_id).update([SurveyItem.expires_at.set(practice.clock)])
    links = [token_of(expired), token_of(gone), token_of(good)[:-1] + "z", "a" * 52, token_of(good)[:20], "%00"]
    pages = [practice.get(link) for link in links] + [practice.post(link, {"score": "3"}) for link in links]
    assert [page for page in pages if page != pages[0]] == []
    assert pages[0]["statusCode"] == 404
    assert practice.get(token_of(good))["statusCode"] == 200
    SurveyItem(expired.survey_id).update([SurveyItem.expires_at.set(practice.clock + timedelta(seconds=1))])
    assert practice.answer(expired, 5) == 200
    practice.rest()
    hold(practice.evidence())


def _modelled(error: Any) -> Any:
    """The error as the client of the answers raises it."""
    from shared.storage.dynamodb import client

    kind = getattr(client().exceptions, error.response["Error"]["Code"])
    return kind(error.response, error.operation_name)

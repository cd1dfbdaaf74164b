"""What DynamoDB bills, by the worked examples of its developer guide and by what was observed on AWS."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from bench.units import Index, Meter, Table, item_size, page_units, read_units, write_units

PLAIN = Table(("id",), {})
DUE = Table(("id",), {"due": Index(("due", "due_at"), frozenset({"id", "due", "due_at", "kind"}))})


def an_item(kilobytes: float = 0.1, **texts: str) -> dict[str, Any]:
    item: dict[str, Any] = {"id": {"S": "1"}, **{name: {"S": text} for name, text in texts.items()}}
    return item | {"x": {"S": "." * (int(kilobytes * 1024) - item_size(item) - 1)}}


def test_an_item_is_its_names_and_values():
    item: dict[str, Any] = {
        "id": {"S": "ñ"}, "n": {"N": "-27.50"}, "big": {"N": "100000"}, "yes": {"BOOL": True}, "none": {"NULL": True},
        "list": {"L": [{"S": "ab"}]}, "map": {"M": {"k": {"S": "v"}}}, "set": {"SS": ["ab", "c"]}, "raw": {"B": b"123"},
    }  # fmt: skip
    sizes = (2 + 2, 1 + 4, 3 + 2, 3 + 1, 4 + 1, 4 + 3 + 1 + 2, 3 + 3 + 1 + 2, 3 + 3, 3 + 3)
    assert item_size(item) == sum(sizes)


def test_a_write_costs_one_unit_for_each_kilobyte_of_the_larger_image():
    assert write_units(None, an_item(0.5), PLAIN) == 1
    assert write_units(None, an_item(1.5), PLAIN) == 2
    assert write_units(an_item(3.5), an_item(0.5), PLAIN) == 4
    assert write_units(an_item(2), None, PLAIN) == 2
    assert write_units(None, None, PLAIN) == 1


def test_a_transaction_doubles_the_table_and_not_its_indexes():
    item = an_item(0.3, due="due#0", due_at="2026")
    assert write_units(None, an_item(3), PLAIN, transaction=True) == 6
    assert write_units(None, item, DUE) == 2
    assert write_units(None, item, DUE, transaction=True) == 3


def test_an_index_costs_what_changes_in_it():
    there = an_item(0.3, due="due#0", due_at="2026", kind="survey")
    assert write_units(there, there | {"state": {"S": "sent"}}, DUE) == 1, "nothing that the index holds"
    assert write_units(there, there | {"kind": {"S": "reminder"}}, DUE) == 2, "an attribute that is copied"
    assert write_units(there, there | {"due_at": {"S": "2027"}}, DUE) == 3, "a key: out and in again"
    assert write_units(there, an_item(0.3), DUE) == 2, "a key taken away"


def test_reads_are_rounded_to_four_kilobytes_one_by_one_and_a_page_as_a_whole():
    assert read_units([3500], consistent=True) == 1
    assert read_units([10_000], consistent=True) == 3
    assert read_units([1536, 6656], consistent=True) == 3, "12 KB, not 8"
    assert read_units([3500]) == 0.5
    assert read_units([3500], transaction=True) == 2
    assert read_units([0]) == 0.5
    assert page_units([800] * 51, consistent=True) == 10
    assert page_units([]) == 0.5


@pytest.fixture
def meter(aws: None) -> tuple[Any, Meter]:
    client, shadow = boto3.client("dynamodb"), boto3.client("dynamodb")
    meter = Meter(shadow)
    meter.attach(client)
    return client, meter


def a_message(number: int, **others: Any) -> dict[str, Any]:
    return {
        "message_id": {"S": f"m{number}"}, "due": {"S": "due#0"}, "due_at": {"S": f"2026-03-02T15:00:0{number}Z"},
        **others,
    }  # fmt: skip


def test_the_meter_looks_at_items_before_and_after(meter: tuple[Any, Meter]):
    client, metered = meter
    client.put_item(TableName="Messages", Item=a_message(1))
    assert (metered.calls, metered.wru) == (1, 2), "the item and its entry in the index"
    client.update_item(
        TableName="Messages", Key={"message_id": {"S": "m1"}}, UpdateExpression="REMOVE due",
        ReturnValues="NONE",
    )  # fmt: skip
    assert metered.wru == 4
    client.delete_item(TableName="Messages", Key={"message_id": {"S": "unknown"}})
    assert (metered.calls, metered.wru, metered.rru) == (3, 5, 0)


def test_the_meter_bills_what_a_condition_refused(meter: tuple[Any, Meter]):
    client, metered = meter
    client.put_item(TableName="Messages", Item=a_message(1, x={"S": "." * 2000}))
    metered.clear()
    with pytest.raises(ClientError):
        client.put_item(TableName="Messages", Item=a_message(1), ConditionExpression="attribute_not_exists(message_id)")
    assert metered.wru == 3 - 1, "the size of the item that stood in the way; the index was not touched"


def test_the_meter_doubles_transactions_their_checks_and_reads_a_replay(meter: tuple[Any, Meter]):
    client, metered = meter
    client.put_item(TableName="Patients", Item={"patient_id": {"S": "p"}})
    metered.clear()
    whole = {
        "ClientRequestToken": "token",
        "TransactItems": [
            {"Put": {"TableName": "Messages", "Item": {"message_id": {"S": "m"}}}},
            {
                "ConditionCheck": {
                    "TableName": "Patients", "Key": {"patient_id": {"S": "p"}},
                    "ConditionExpression": "attribute_exists(patient_id)",
                }
            },
        ],
    }  # fmt: skip
    client.transact_write_items(**whole)
    assert (metered.wru, metered.rru) == (4, 0)
    client.transact_write_items(**whole)
    assert (metered.wru, metered.rru) == (4, 4)


def test_the_meter_sees_what_a_filter_and_a_projection_hide(meter: tuple[Any, Meter]):
    client, metered = meter
    for number in range(5):
        client.put_item(TableName="Messages", Item=a_message(number, kind={"S": "k" * 3000}, state={"S": "s" * 3000}))
    metered.clear()
    query: dict[str, Any] = {
        "TableName": "Messages", "IndexName": "due", "KeyConditionExpression": "due = :due",
        "ExpressionAttributeValues": {":due": {"S": "due#0"}},
    }  # fmt: skip
    client.query(**query)
    client.query(**query, Select="COUNT")
    query["ExpressionAttributeValues"] = {**query["ExpressionAttributeValues"], ":none": {"S": "none"}}
    client.query(**query, FilterExpression="kind = :none", ProjectionExpression="message_id")
    assert [request.read for request in metered.requests] == [2, 2, 2], "15 KB that the index holds, at half price"
    assert metered.by_operation() == {"Query Messages.due": 3}


def test_the_meter_reads_batches_item_by_item(meter: tuple[Any, Meter]):
    client, metered = meter
    client.put_item(TableName="Messages", Item=a_message(1, x={"S": "." * 5000}))
    metered.clear()
    keys = [{"message_id": {"S": "m1"}}, {"message_id": {"S": "none"}}]
    client.batch_get_item(RequestItems={"Messages": {"Keys": keys, "ConsistentRead": True}})
    client.get_item(TableName="Messages", Key=keys[0])
    assert [request.read for request in metered.requests] == [3, 1]

"""Each repair mends what it is named for, and nothing where it was not asked for."""

import json
from typing import Any

import pytest

from operators.records.contracts import ERASURES, EVENTS
from operators.records.dead_letter import Letter
from operators.records.record_repairs import ALL, Repairs
from tests.bad_records import good_event
from tests.builders import NOW_MS

OLDEST_MS = NOW_MS - 7 * 86_400_000
PLACE = f"{EVENTS}-0-5"


def letter(value: bytes | None, key: bytes | None = b"u1", topic: str = EVENTS) -> Letter:
    return Letter(1, topic, 0, 5, NOW_MS, "not_json", "", key, value)


def made(**fields: Any) -> bytes:
    return json.dumps(good_event(**fields)).encode()


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in good_event().items() if key != name}).encode()


GOOD = made()
CASES = [  # fix, value, what the event has then
    ("blanks", made(item_id="\ufeff i1 \n"), {"item_id": "i1"}),
    ("blanks", made(items=[" i1", "i\u00a0"]), {"items": ["i1", "i"]}),
    ("event-id", without("event_id"), {"event_id": PLACE}),
    ("event-id", made(event_id=None), {"event_id": PLACE}),
    ("event-id", made(event_id="x" * 129), {"event_id": PLACE}),
    ("time", made(event_time="yesterday"), {"event_time": NOW_MS}),
    ("time", made(event_time=NOW_MS + 1), {"event_time": NOW_MS}),
    ("time", made(event_time="2050-01-01"), {"event_time": NOW_MS}),
    ("time", made(event_time=86_400_000), {"event_time": NOW_MS}),
    ("time", made(event_time=10**400), {"event_time": NOW_MS}),
    ("time", without("event_time"), {"event_time": NOW_MS}),
    ("day-first", made(event_time="7.11.2026 17:05"), {"event_time": "2026-11-07T17:05"}),
    ("day-first", made(event_time="07/11/2026"), {"event_time": "2026-11-07"}),
    ("month-first", made(event_time="07/11/2026 5:30"), {"event_time": "2026-07-11T05:30"}),
    ("price", made(price="1,234"), {}),
    ("price", made(price=-3), {}),
    ("price", made(price=["3"]), {}),
    ("last-key", GOOD[:-1] + b',"item_id":"i2"}', {"item_id": "i2"}),
    ("last-key", GOOD[:-1] + b',"x":{"a":1,"a":2}}', {"x": {"a": 2}}),
    ("nan", GOOD[:-1] + b',"price":NaN,"quantity":1e999}', {"price": None, "quantity": None}),
    ("latin1", GOOD[:-1] + b',"query":"caf\xe9"}', {"query": "café"}),
    ("size", made(blob="x" * 20_000), {}),
]


@pytest.mark.parametrize(("fix", "value", "then"), CASES)
def test_a_repair_mends_what_it_is_named_for(fix: str, value: bytes, then: dict[str, Any]) -> None:
    found = Repairs(frozenset((fix,))).repaired(letter(value), OLDEST_MS)
    assert found is not None
    assert found.fixes == (fix,)
    fields = json.loads(found.value)
    assert {name: fields[name] for name in then} == then
    assert "blob" not in fields and (fix != "price" or "price" not in fields)
    others = Repairs(ALL - {fix}).repaired(letter(value), OLDEST_MS)
    assert others is None or fix not in others.fixes


def test_the_last_key_of_several_counts_in_the_users_own_id_too() -> None:
    found = Repairs(ALL).repaired(letter(GOOD[:-1] + b',"user_id":"u2"}'), OLDEST_MS)
    assert found is not None
    assert (found.key, set(found.fixes)) == (b"u2", {"last-key", "key"})


def test_the_key_follows_the_body() -> None:
    assert Repairs(frozenset(("key",))).repaired(letter(GOOD, b"u2"), OLDEST_MS).key == b"u1"
    assert Repairs().repaired(letter(GOOD, b"u2"), OLDEST_MS) is None
    spaced = letter(made(user_id=" u1"), b"u1 ")
    found = Repairs(frozenset(("blanks",))).repaired(spaced, OLDEST_MS)
    assert (found.key, json.loads(found.value)["user_id"]) == (b"u1", "u1")
    other = letter(made(user_id=" u1"), b"u2 ")
    assert Repairs(frozenset(("blanks",))).repaired(other, OLDEST_MS).key == b"u2 ", "that is another user's"


def test_fields_and_types_are_renamed_as_they_are_told() -> None:
    told = Repairs(renames={"product": "item_id", "none": "x"}, types={"product_view": "view"})
    value = json.dumps({"product": "i9", "event_type": "product_view", "user_id": "u1"}).encode()
    found = told.repaired(letter(value), OLDEST_MS)
    assert json.loads(found.value) == {"item_id": "i9", "event_type": "view", "user_id": "u1"}
    assert found.fixes == ("rename", "type")
    kept = json.loads(told.repaired(letter(made(product="i9", event_type="product_view")), OLDEST_MS).value)
    assert (kept["item_id"], kept["product"]) == ("i1", "i9"), "a field that is there is not replaced"


def test_a_time_that_counts_stays_as_it_is_written() -> None:
    value = made(event_time="2025-10-09 08:00:00", item_id=" i1")
    found = Repairs(frozenset(("time", "blanks"))).repaired(letter(value), OLDEST_MS)
    assert (json.loads(found.value)["event_time"], found.fixes) == ("2025-10-09 08:00:00", ("blanks",))


def test_an_erasure_gets_no_fields_of_an_event() -> None:
    found = Repairs(ALL).repaired(letter(b'{"user_id": " u1", "x": 1}', b"u1", ERASURES), OLDEST_MS)
    assert json.loads(found.value) == {"user_id": "u1", "x": 1}


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xef\xbb\xbf",
        b"[]",
        b'"u1"',
        b"{",
        b"[" * 100_000,
        b'{"a":' * 7000,
        b"\x81\x8d",
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_what_cannot_be_repaired_is_left(value: bytes | None) -> None:
    assert Repairs(ALL).repaired(letter(value), OLDEST_MS) is None

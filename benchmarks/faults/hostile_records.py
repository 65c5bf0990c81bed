"""Hostile records by kind: each may cause a dead letter and nothing else.

Some are valid, such as an id of emoji or a price of 1e308; these must cause a list.
"""

import json
import random
from collections.abc import Callable
from typing import Any

Hostile = Callable[[str, int, random.Random], tuple[bytes | None, bytes | None]]
"""(user, now as epoch ms, random generator) -> key and value of a record of the events topic."""

# ids that begin with a byte-order mark for Java's or Python's decoder, and ids with the end of a C string
POISONOUS_IDS = ("\ufeffu", "\ufffeu", "\ufffe\u00d8", "\ufeff", "\ufffe\uffff", "\u0000u", "u\u0000")
ODD_IDS = {
    "control characters": "\u0001\u0007\u007f",
    "escape codes": "\u001b[2J\u001b]0;x\u0007",
    "line ends": "a\r\nb\u2028c",
    "right to left": "\u202eabc\u2066",
    "joined emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "outside of the base plane": "\U0010ffff\U00020000",
    "no characters": "\ufdd0\uffff",
    "combining marks": "e" + "\u0301" * 100,
    "a path": "../../etc/passwd",
    "markup": "<script>[red]{{x}}</script>",
    "128 characters": "x" * 128,
    "129 characters": "x" * 129,
    "10,000 characters": "x" * 10_000,
    "an empty one": "",
    "a blank": " ",
}


def records(poisonous_ids: bool = True) -> dict[str, Hostile]:
    """Kind -> function that makes a record."""
    kinds = _values() | _fields() | _keys() | _sizes() | _ids(ODD_IDS)
    if poisonous_ids:
        kinds |= _ids({f"poison {id_!r}": id_ for id_ in POISONOUS_IDS})
        kinds |= {f"key {id_!r}, body another": _event_under_key(id_.encode()) for id_ in POISONOUS_IDS}
    return kinds


def _event(user: str, now_ms: int, rng: random.Random, **fields: Any) -> dict[str, Any]:
    number = rng.getrandbits(64)
    event = {
        "event_id": f"{user}-{number}",
        "event_type": "view",
        "event_time": now_ms,
        "user_id": user,
        "item_id": "i",
    }
    return event | fields


def _raw(value: bytes | None) -> Hostile:
    return lambda user, now_ms, rng: (user.encode(), value)


def _event_with(**fields: Any) -> Hostile:
    """A good event with these fields changed."""
    return lambda user, now_ms, rng: (
        user.encode(),
        json.dumps(_event(user, now_ms, rng, **fields)).encode(),
    )


def _event_ending_with(ending: bytes) -> Hostile:
    """A good event with this before its last brace."""

    def record(user: str, now_ms: int, rng: random.Random) -> tuple[bytes, bytes]:
        return user.encode(), json.dumps(_event(user, now_ms, rng)).encode()[:-1] + ending + b"}"

    return record


def _event_under_key(key: bytes | None) -> Hostile:
    """A good event under another key."""
    return lambda user, now_ms, rng: (key, json.dumps(_event(user, now_ms, rng)).encode())


def _event_without(name: str) -> Hostile:
    def record(user: str, now_ms: int, rng: random.Random) -> tuple[bytes, bytes]:
        event = _event(user, now_ms, rng)
        return user.encode(), json.dumps({key: value for key, value in event.items() if key != name}).encode()

    return record


def _damaged(user: str, now_ms: int, rng: random.Random) -> tuple[bytes, bytes]:
    """A good event with a few bytes changed."""
    value = bytearray(json.dumps(_event(user, now_ms, rng)).encode())
    for _ in range(rng.randint(1, 4)):
        value[rng.randrange(len(value))] = rng.randrange(256)
    return user.encode(), bytes(value)


def _values() -> dict[str, Hostile]:
    return {
        "null": _raw(None),
        "empty": _raw(b""),
        "blank": _raw(b" \n\t"),
        "not JSON": _raw(b"view,u1,i1"),
        "half an object": _raw(b'{"event_id":"x","event_ty'),
        "an array": _raw(b"[1,2]"),
        "bad UTF-8": _raw(b'{"event_id":"\xff\xfe"}'),
        "UTF-16": _raw('{"event_id":"x"}'.encode("utf-16")),
        "UTF-8 with a byte-order mark": _raw(b"\xef\xbb\xbf" + b'{"event_id":"x"}'),
        "a raw surrogate": _raw(b'{"event_id":"\xed\xa0\x80"}'),
        "5,000 levels": _raw(b"[" * 5_000),
        "7,000 levels in a field": _event_ending_with(b',"x":' + b"[" * 7_000 + b"]" * 7_000),
        "damaged": _damaged,
    }


def _fields() -> dict[str, Hostile]:
    missing_fields = {
        f"no {name}": _event_without(name) for name in ("event_id", "event_type", "event_time", "user_id", "item_id")
    }
    times = {
        "1970": 86_400_000,
        "2100": 4_102_444_800_000,
        "negative": -1,
        "2**63 - 1": 2**63 - 1,
        "2**64": 2**64,
        "in words": "yesterday",
        "true": True,
        "a fraction": 1.5,
    }
    return (
        missing_fields
        | {f"time {name}": _event_with(event_time=value) for name, value in times.items()}
        | {
            "a lone surrogate": _event_ending_with(b',"query":"\\ud800"'),
            "a key twice": _event_ending_with(b',"user_id":"x"'),
            "a key twice, once escaped": _event_ending_with(b',"user\\u005fid":"x"'),
            "a price of 5,000 digits": _event_ending_with(b',"price":' + b"9" * 5_000),
            "a price of 1e999": _event_ending_with(b',"price":1e999'),
            "a price that is not a number": _event_ending_with(b',"price":NaN'),
            "a price of 1e308": _event_ending_with(b',"price":1e308'),
            "a price in words": _event_with(price="cheap"),
            "a rate without a rating": _event_with(event_type="rate"),
            "a rating of 11": _event_with(event_type="rate", rating=11),
            "a price as text": _event_with(price="12,50 €"),
            "an item as a number": _event_with(item_id=456),
            "an item of nobody": _event_with(item_id="Undefined"),
            "another schema": _event_with(schema_version=2),
            "a consent that says nothing": _event_with(event_type="consent", context={"personalisation": "maybe"}),
            "a return": _event_with(event_type="purchase", price=-1.0),
            "an unknown type": _event_with(event_type="teleport"),
            "501 items": _event_with(event_type="purchase", items=["i"] * 501),
            "a context of objects": _event_with(context={"a": {"b": [None]}}),
            "10 KB of unknown fields": _event_with(**{f"field{n}": "x" * 90 for n in range(100)}),
            "a traceparent of 10 KB": _event_with(traceparent="00-" + "4" * 10_000),
        }
    )


def _keys() -> dict[str, Hostile]:
    return {
        "another user's key": _event_under_key(b"somebody else"),
        "a key that is not UTF-8": _event_under_key(b"\xff\xfe\x00u"),
        "no key": _event_under_key(None),
        "an empty key": _event_under_key(b""),
        "a key of 100 KB": _event_under_key(b"k" * 100_000),
    }


def _sizes() -> dict[str, Hostile]:
    return {f"{kb} KB": _event_ending_with(b',"query":"' + b"x" * kb * 1_000 + b'"') for kb in (17, 100, 900)}


def _ids(ids: dict[str, str]) -> dict[str, Hostile]:
    def of_user(id_: str) -> Hostile:
        return lambda user, now_ms, rng: (
            id_.encode(),
            json.dumps(_event(id_, now_ms, rng)).encode(),
        )

    def of_item(id_: str) -> Hostile:
        return lambda user, now_ms, rng: (
            user.encode(),
            json.dumps(_event(user, now_ms, rng, item_id=id_, event_id=f"{id_}{rng.getrandbits(64)}")).encode(),
        )

    users = {f"user id: {name}": of_user(id_) for name, id_ in ids.items()}
    return users | {f"item id: {name}": of_item(id_) for name, id_ in ids.items()}


def catalogue_record(rng: random.Random) -> tuple[str, bytes]:
    """An invalid or very large record of the catalogue topic: (kind, value)."""
    kinds = {
        "hostile: not JSON": b"{",
        "hostile: bad UTF-8": b'{"item_id":"\xff"}',
        "hostile: wrong types": b'{"item_id":"x","price":"cheap","in_stock":"yes"}',
        "hostile: a price that is not a number": b'{"item_id":"x","price":NaN}',
        "hostile: 5,000 levels": b"[" * 5_000,
        "hostile: 500 KB": json.dumps({"item_id": "x", "title": "x" * 500_000}).encode(),
        "hostile: another category each": json.dumps({"item_id": "x", "category": str(rng.getrandbits(64))}).encode(),
        "hostile: 1,000 levels of category": json.dumps({"item_id": "x", "category": ["c"] * 1_000}).encode(),
        "hostile: times": b'{"item_id":"x","available_from":-9223372036854775808,"available_until":9223372036854775807}',
        "hostile: times beyond 64 bits": b'{"item_id":"x","available_until":18446744073709551616}',
    }
    kind = rng.choice(sorted(kinds))
    return kind, kinds[kind]

"""Records made to hurt, by kind: each may cost a dead letter and nothing else.

Some of them are valid, such as an id of emoji or a price of 1e308: these must make a list.
"""

import json
import random
from collections.abc import Callable
from typing import Any

Hostile = Callable[[str, int, random.Random], tuple[bytes | None, bytes | None]]
"""(user, now as epoch ms, chance) -> key and value of a record of the events topic."""

# ids whose first character Java's or Python's decoder takes for a byte-order mark, and one that ends a C string
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
    """Kind -> how to make one."""
    kinds = _values() | _fields() | _keys() | _sizes() | _ids(ODD_IDS)
    if poisonous_ids:
        kinds |= _ids({f"poison {id_!r}": id_ for id_ in POISONOUS_IDS})
        kinds |= {f"key {id_!r}, body another": _keyed(id_.encode()) for id_ in POISONOUS_IDS}
    return kinds


def _event(user: str, now_ms: int, chance: random.Random, **fields: Any) -> dict[str, Any]:
    number = chance.getrandbits(64)
    event = {
        "event_id": f"{user}-{number}",
        "event_type": "view",
        "event_time": now_ms,
        "user_id": user,
        "item_id": "i",
    }
    return event | fields


def _raw(value: bytes | None) -> Hostile:
    return lambda user, now_ms, chance: (user.encode(), value)


def _with(**fields: Any) -> Hostile:
    """A good event but for these fields."""
    return lambda user, now_ms, chance: (
        user.encode(),
        json.dumps(_event(user, now_ms, chance, **fields)).encode(),
    )


def _ended(ending: bytes) -> Hostile:
    """A good event with this before its last brace."""

    def record(user: str, now_ms: int, chance: random.Random) -> tuple[bytes, bytes]:
        return user.encode(), json.dumps(_event(user, now_ms, chance)).encode()[:-1] + ending + b"}"

    return record


def _keyed(key: bytes | None) -> Hostile:
    """A good event under another key."""
    return lambda user, now_ms, chance: (key, json.dumps(_event(user, now_ms, chance)).encode())


def _without(name: str) -> Hostile:
    def record(user: str, now_ms: int, chance: random.Random) -> tuple[bytes, bytes]:
        event = _event(user, now_ms, chance)
        return user.encode(), json.dumps({key: value for key, value in event.items() if key != name}).encode()

    return record


def _damaged(user: str, now_ms: int, chance: random.Random) -> tuple[bytes, bytes]:
    """A good event with a few bytes that are others."""
    value = bytearray(json.dumps(_event(user, now_ms, chance)).encode())
    for _ in range(chance.randint(1, 4)):
        value[chance.randrange(len(value))] = chance.randrange(256)
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
        "7,000 levels in a field": _ended(b',"x":' + b"[" * 7_000 + b"]" * 7_000),
        "damaged": _damaged,
    }


def _fields() -> dict[str, Hostile]:
    missing = {f"no {name}": _without(name) for name in ("event_id", "event_type", "event_time", "user_id", "item_id")}
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
        missing
        | {f"time {name}": _with(event_time=value) for name, value in times.items()}
        | {
            "a lone surrogate": _ended(b',"query":"\\ud800"'),
            "a key twice": _ended(b',"user_id":"x"'),
            "a key twice, once escaped": _ended(b',"user\\u005fid":"x"'),
            "a price of 5,000 digits": _ended(b',"price":' + b"9" * 5_000),
            "a price of 1e999": _ended(b',"price":1e999'),
            "a price that is not a number": _ended(b',"price":NaN'),
            "a price of 1e308": _ended(b',"price":1e308'),
            "a price in words": _with(price="cheap"),
            "a rate without a rating": _with(event_type="rate"),
            "a rating of 11": _with(event_type="rate", rating=11),
            "a price as text": _with(price="12,50 €"),
            "an item as a number": _with(item_id=456),
            "an item of nobody": _with(item_id="Undefined"),
            "another schema": _with(schema_version=2),
            "a consent that says nothing": _with(event_type="consent", context={"personalisation": "maybe"}),
            "a return": _with(event_type="purchase", price=-1.0),
            "an unknown type": _with(event_type="teleport"),
            "501 items": _with(event_type="purchase", items=["i"] * 501),
            "a context of objects": _with(context={"a": {"b": [None]}}),
            "10 KB of unknown fields": _with(**{f"field{n}": "x" * 90 for n in range(100)}),
            "a traceparent of 10 KB": _with(traceparent="00-" + "4" * 10_000),
        }
    )


def _keys() -> dict[str, Hostile]:
    return {
        "another user's key": _keyed(b"somebody else"),
        "a key that is not UTF-8": _keyed(b"\xff\xfe\x00u"),
        "no key": _keyed(None),
        "an empty key": _keyed(b""),
        "a key of 100 KB": _keyed(b"k" * 100_000),
    }


def _sizes() -> dict[str, Hostile]:
    return {f"{kb} KB": _ended(b',"query":"' + b"x" * kb * 1_000 + b'"') for kb in (17, 100, 900)}


def _ids(ids: dict[str, str]) -> dict[str, Hostile]:
    def of_user(id_: str) -> Hostile:
        return lambda user, now_ms, chance: (
            id_.encode(),
            json.dumps(_event(id_, now_ms, chance)).encode(),
        )

    def of_item(id_: str) -> Hostile:
        return lambda user, now_ms, chance: (
            user.encode(),
            json.dumps(_event(user, now_ms, chance, item_id=id_, event_id=f"{id_}{chance.getrandbits(64)}")).encode(),
        )

    users = {f"user id: {name}": of_user(id_) for name, id_ in ids.items()}
    return users | {f"item id: {name}": of_item(id_) for name, id_ in ids.items()}


def catalogue_record(chance: random.Random) -> tuple[str, bytes]:
    """A record of the catalogue that is none, or a very large one: (kind, value)."""
    kinds = {
        "hostile: not JSON": b"{",
        "hostile: bad UTF-8": b'{"item_id":"\xff"}',
        "hostile: wrong types": b'{"item_id":"x","price":"cheap","in_stock":"yes"}',
        "hostile: a price that is not a number": b'{"item_id":"x","price":NaN}',
        "hostile: 5,000 levels": b"[" * 5_000,
        "hostile: 500 KB": json.dumps({"item_id": "x", "title": "x" * 500_000}).encode(),
        "hostile: another category each": json.dumps(
            {"item_id": "x", "category": str(chance.getrandbits(64))}
        ).encode(),
        "hostile: 1,000 levels of category": json.dumps({"item_id": "x", "category": ["c"] * 1_000}).encode(),
        "hostile: times": b'{"item_id":"x","available_from":-9223372036854775808,"available_until":9223372036854775807}',
        "hostile: times beyond 64 bits": b'{"item_id":"x","available_until":18446744073709551616}',
    }
    kind = chance.choice(sorted(kinds))
    return kind, kinds[kind]

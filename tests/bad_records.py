"""Every kind of bad event, for the decoder's test and for the test on the real stack."""

import json
from typing import Any

from tests.builders import NOW_MS


def good_event(now_ms: int = NOW_MS, **fields: Any) -> dict[str, Any]:
    """A valid event of user u1 as a dict."""
    event = {"event_id": "e1", "event_type": "view", "event_time": now_ms, "user_id": "u1", "item_id": "i1"}
    return event | fields


def bad_events(now_ms: int = NOW_MS) -> list[tuple[str, str, bytes | None, str]]:
    """(name, key, value, expected reason); times are relative to `now_ms`."""

    def made(**fields: Any) -> bytes:
        return json.dumps(good_event(now_ms, **fields)).encode()

    def without(name: str) -> bytes:
        return json.dumps({k: v for k, v in good_event(now_ms).items() if k != name}).encode()

    good = made()
    return [
        ("null value", "u1", None, "null_value"),
        ("empty", "u1", b"", "empty_value"),
        ("blank", "u1", b"  \n", "empty_value"),
        ("bad UTF-8", "u1", b'{"event_id":"\xff\xfe"}', "not_utf8"),
        ("bad UTF-8 in an unknown field, an escape beside", "u1", good[:-1] + b',"x":"\\n\xff"}', "not_utf8"),
        ("not JSON", "u1", b"view,u1,i1", "not_json"),
        ("half an object", "u1", good[:-5], "not_json"),
        ("JSON 100,000 levels deep", "u1", b"[" * 100_000, "too_large"),
        ("JSON 7,000 levels deep", "u1", good[:-1] + b',"x":' + b"[" * 7000 + b"]" * 7000 + b"}", "too_deep"),
        ("5,000-digit number", "u1", good[:-1] + b',"price":' + b"9" * 5000 + b"}", "not_json"),
        ("5,000-digit time", "u1", good.replace(str(now_ms).encode(), b"9" * 5000), "not_json"),
        ("NaN", "u1", good[:-1] + b',"price":NaN}', "not_json"),
        ("1e999", "u1", good[:-1] + b',"price":1e999}', "not_json"),
        ("lone surrogate", "u1", good.replace(b'"e1"', b'"\\ud800"'), "not_utf8"),
        ("duplicate keys", "u1", good[:-1] + b',"user_id":"u1"}', "duplicate_key"),
        ("duplicate keys, one escaped", "u1", good[:-1] + b',"user\\u005fid":"u2"}', "duplicate_key"),
        ("an array", "u1", b"[1,2]", "not_an_object"),
        ("a price in words", "u1", made(price="cheap"), "bad_amount"),
        ("a price that may be 1,234 or 1.234", "u1", made(price="1,234"), "bad_amount"),
        ("a price below 0 of a view", "u1", made(price=-3.5), "bad_amount"),
        ("a purchase of 0 pieces", "u1", made(event_type="purchase", quantity=0), "bad_amount"),
        ("a price that is a list", "u1", made(price=[1]), "wrong_type"),
        ("a type that is a list", "u1", made(event_type=[]), "wrong_type"),
        ("true as a time", "u1", made(event_time=True), "wrong_type"),
        ("5,000 digits as a position", "u1", made(position="1" * 5000), "wrong_type"),
        (
            "returned goods, their quantity an object",
            "u1",
            made(event_type="purchase", items=[{"id": "i1", "quantity": -1}], quantity={"value": 1}),
            "wrong_type",
        ),
        ("a list of 501 items", "u1", made(event_type="purchase", items=["i"] * 501), "wrong_type"),
        ("no event_id", "u1", without("event_id"), "missing_field"),
        ("no event_type", "u1", without("event_type"), "missing_field"),
        ("no event_time", "u1", without("event_time"), "missing_field"),
        ("key without body user", "u1", without("user_id"), "missing_field"),
        ("no item", "u1", without("item_id"), "missing_item"),
        ("a rating without its value", "u1", made(event_type="rate"), "missing_rating"),
        ("a rating beyond the scale", "u1", made(event_type="rate", rating=6), "bad_amount"),
        ("unknown event type", "u1", made(event_type="teleport"), "unknown_event_type"),
        ("id of 10,000 characters", "u1", made(item_id="x" * 10_000), "bad_id"),
        ("id that begins with U+FFFE", "\ufffe\u00d8", made(user_id="\ufffe\u00d8"), "bad_id"),
        ("id that begins with U+FEFF", "\ufeffu1", made(user_id="\ufeffu1"), "bad_id"),
        ("escaped byte-order mark", "\ufeffu1", good.replace(b'"u1"', b'"\\ufeffu1"'), "bad_id"),
        ("item after a byte-order mark", "u1", made(item_id="\ufeffi1"), "bad_id"),
        ("basket with a control character", "u1", made(event_type="purchase", items=["i1", "i\n2"]), "bad_id"),
        ("event_id with a NUL", "u1", made(event_id="e\0"), "bad_id"),
        ("a placement with an escape", "u1", made(placement="\x1b[2J"), "bad_id"),
        ("a placement that is an object", "u1", made(placement={"name": "home"}), "bad_id"),
        ("list's id with an escape", "u1", made(recommendation_id="\x1b[2J"), "bad_id"),
        ("lone surrogate in the user", "u1", good.replace(b'"u1"', b'"\\udcff"'), "not_utf8"),
        ("empty id", "u1", made(item_id=""), "bad_id"),
        ("a blank as an id", "u1", made(item_id=" "), "bad_id"),
        ("a fraction as an id", "u1", made(item_id=456.5), "bad_id"),
        ("a user with a blank", "u1 ", made(user_id="u1 "), "bad_id"),
        ("an item that is a placeholder", "u1", made(item_id="NaN"), "bad_id"),
        ("a user that a table has not", "N/A", made(user_id="N/A"), "bad_id"),
        ("a user that is a placeholder", "(not set)", made(user_id="(not set)"), "bad_id"),
        ("an empty id in a basket", "u1", made(event_type="purchase", items=["i1", ""]), "bad_id"),
        ("items in one text", "u1", made(event_type="purchase", items="i1,i2"), "wrong_type"),
        (
            "an order and a return",
            "u1",
            made(event_type="purchase", items=[{"id": "i1", "quantity": 1}, {"id": "i2", "quantity": -1}]),
            "bad_amount",
        ),
        ("an impression of nothing", "u1", made(event_type="impression", item_id=None, items=[]), "missing_item"),
        ("a purchase of nothing", "u1", made(event_type="purchase", item_id=None), "missing_item"),
        (
            "a consent in other words",
            "u1",
            made(event_type="consent", context={"personalisation": "maybe"}),
            "bad_consent",
        ),
        ("a consent without a word", "u1", made(event_type="consent"), "bad_consent"),
        ("another schema", "u1", made(schema_version=2), "unknown_schema_version"),
        ("time in 1970", "u1", made(event_time=86_400_000), "event_time_too_old"),
        ("time in 2100", "u1", made(event_time=4_102_444_800_000), "event_time_in_future"),
        ("negative time", "u1", made(event_time=-1), "event_time_too_old"),
        ("time that is none", "u1", made(event_time="yesterday"), "bad_event_time"),
        ("day and month not told apart", "u1", made(event_time="01/12/2010 08:26"), "bad_event_time"),
        ("a leap second", "u1", made(event_time="2016-12-31T23:59:60Z"), "bad_event_time"),
        ("no time", "u1", made(event_time=None), "bad_event_time"),
        ("key and body differ", "u2", good, "key_mismatch"),
        ("900 KB value", "u1", good[:-1] + b',"query":"' + b"x" * 900_000 + b'"}', "too_large"),
    ]


BAD_EVENTS = bad_events()

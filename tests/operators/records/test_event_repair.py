"""Events that were written otherwise than they should be, as the decoder gives them on."""

import json
from typing import Any

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.records.contracts import Event, encode_record
from operators.records.event_decode import EventDecoder, decode_erasure
from tests.bad_records import good_event
from tests.builders import NOW_MS


def read(*, key: str = "", **fields: Any) -> tuple[Event, dict[str, int]]:
    """The event, and the fields that were mended."""
    decoder = EventDecoder(EventSettings())
    return decoder.decode(key, json.dumps(good_event(**fields)).encode(), NOW_MS), dict(decoder.repaired)


@pytest.mark.parametrize(
    ("written", "meant", "mended"),
    [
        ({"item_id": 456}, {"item_id": "456"}, ["item_id"]),
        ({"item_id": 456.0, "event_id": 7}, {"item_id": "456", "event_id": "7"}, ["event_id", "item_id"]),
        ({"item_id": " i1\t"}, {"item_id": "i1"}, ["item_id"]),
        ({"session_id": "s "}, {"session_id": "s"}, ["session_id"]),
        ({"item_id": "a/b"}, {"item_id": "a/b"}, []),
        ({"item_id": "ÄÖ Ü 🛒"}, {"item_id": "ÄÖ Ü 🛒"}, []),
        ({"price": "12,50 €"}, {"price": 12.5, "currency": "EUR"}, ["price", "currency"]),
        ({"price": "12,50 €", "currency": "GBP"}, {"price": 12.5, "currency": "GBP"}, ["price"]),
        ({"price": "", "position": "3"}, {"price": None, "position": 3}, ["position"]),
        ({"rating": "4.5", "quantity": "2"}, {"rating": 4.5, "quantity": 2.0}, ["quantity", "rating"]),
        ({"event_time": NOW_MS // 1000}, {"event_time": NOW_MS}, ["event_time"]),
        ({"event_time": NOW_MS * 1000}, {"event_time": NOW_MS}, ["event_time"]),
        ({"event_time": NOW_MS / 1000 - 0.5}, {"event_time": NOW_MS - 500}, ["event_time"]),
        ({"event_time": "2025-10-09 08:53:20 UTC"}, {"event_time": NOW_MS}, ["event_time"]),
        ({"event_time": "2025-10-09T08:53:20Z"}, {"event_time": NOW_MS}, []),
        (
            {"session_id": "", "items": "", "context": "", "anonymous_id": "", "item_id": 1},
            {"item_id": "1"},
            ["item_id"],
        ),
        ({"event_type": "search", "item_id": ""}, {"item_id": None}, []),
        ({"schema_version": "1"}, {"schema_version": 1}, ["schema_version"]),
        ({"schema_version": None, "query": 4711}, {"schema_version": 1, "query": "4711"}, ["query"]),
    ],
)
def test_what_is_meant_is_read_and_counted(written: dict[str, Any], meant: dict[str, Any], mended: list[str]) -> None:
    event, repaired = read(**written)
    assert {name: getattr(event, name) for name in meant} == meant
    assert repaired == dict.fromkeys(mended, 1)


def test_a_number_as_the_user_must_be_the_key() -> None:
    assert read(key="123", user_id=123)[0].user_id == "123"


def test_a_byte_order_mark_is_no_reason_to_refuse() -> None:
    decoder = EventDecoder(EventSettings())
    assert decoder.decode("u1", b"\xef\xbb\xbf" + json.dumps(good_event()).encode() + b"\r", NOW_MS).item_id == "i1"


@pytest.mark.parametrize(
    ("written", "item", "items", "quantity"),
    [
        ({"items": [{"item_id": "i1", "quantity": 2, "price": 9.9}, {"id": 2}]}, None, ["i1", "2"], None),
        ({"items": '["i1", 2]'}, None, ["i1", "2"], None),
        ({"items": '[{"id": "i1", "quantity": -1}]'}, None, ["i1"], -1),
        ({"items": [1, 2]}, None, ["1", "2"], None),
        ({"item_id": "i1", "items": ["i1", " i2"]}, None, ["i1", "i2"], None),
        ({"item_id": "i3", "items": ["i1", "i1"]}, None, ["i3", "i1"], None),
        ({"item_id": "i1", "items": []}, "i1", [], None),
        ({"item_id": "i1", "quantity": -2}, "i1", None, -2),
        ({"item_id": "i1", "price": -3.5}, "i1", None, -1),
        ({"item_id": "i1", "price": "-3,50 €", "quantity": 2}, "i1", None, -2),
        ({"items": [{"id": "i1", "quantity": "-1"}, {"id": "i2", "price": -2}]}, None, ["i1", "i2"], -1),
    ],
)
def test_a_purchase_is_one_basket_or_a_return(
    written: dict[str, Any], item: str | None, items: list[str] | None, quantity: float | None
) -> None:
    event, _ = read(event_type="purchase", **({"item_id": None} | written))
    assert (event.item_id, event.items, event.quantity) == (item, items, quantity)
    assert event.price is None or event.price >= 0
    decoder = EventDecoder(EventSettings())
    again = decoder.decode("", encode_record(event), NOW_MS)
    assert (again.item_id, again.items, again.quantity) == (item, items, quantity), "a replay says the same"
    assert not decoder.repaired


def test_an_item_that_was_shown_alone_is_a_list_of_one() -> None:
    event, _ = read(event_type="impression")
    assert (event.item_id, event.items) == (None, ["i1"])


@pytest.mark.parametrize(
    ("value", "meant"), [("DENIED", "denied"), (False, "denied"), ("no", "denied"), (1, "granted")]
)
def test_a_consent_is_denied_or_granted(value: Any, meant: str) -> None:
    event, repaired = read(event_type="consent", item_id=None, context={"personalisation": value, "source": "banner"})
    assert event.context == {"personalisation": meant, "source": "banner"}
    assert repaired == {"context": 1}


def test_a_file_may_be_old_and_is_judged_by_the_clock() -> None:
    reader = EventDecoder(EventSettings(), any_age=True)
    old = json.dumps(good_event(event_time=978_300_760)).encode()
    assert reader.decode("", old, NOW_MS).event_time == 978_300_760_000
    for time, reason in (("2050-01-01", "event_time_in_future"), (86_400_000, "event_time_too_old")):
        with pytest.raises(Exception) as refused:
            reader.decode("", json.dumps(good_event(event_time=time)).encode(), NOW_MS)
        assert refused.value.reason == reason  # type: ignore[attr-defined]


def test_whose_events_have_a_number_as_the_user_can_be_erased() -> None:
    assert decode_erasure("123", b'{"user_id": 123, "erasure_id": 7}').user_id == "123"

"""What the answer to a good event warns of."""

import json
import time
from typing import Any

import pytest

from operators.configuration.shop_settings import EventSettings
from operators.records.event_decode import EventDecoder
from operators.records.field_effects import MAX_WARNINGS
from storefront.events.event_warnings import EventWarning, warnings_of
from storefront.http.batches import Entry
from tests.bad_records import good_event
from tests.storefront.conftest import RunningShop
from tests.storefront.http.test_batches import NOW_MS, now_event

GOOD_TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"


def warned(*events: dict[str, Any]) -> list[EventWarning]:
    entries = [Entry(json.dumps(event).encode(), index=number) for number, event in enumerate(events)]
    decoder = EventDecoder(EventSettings())
    return warnings_of(entries, [decoder.decode("", entry.value, NOW_MS) for entry in entries])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, {}),
        ({"itemid": "i1"}, {"itemid": "is item_id meant?"}),
        ({"itemId": "i1", "sessionID": "s"}, {"itemId": "is item_id meant?", "sessionID": "is session_id meant?"}),
        ({"ITEM-ID": "i1"}, {"ITEM-ID": "is item_id meant?"}),
        ({"utm_campaign": "x"}, {"utm_campaign": "no event has this field: it has no effect"}),
        ({"utm_campaign": None, "query": None}, {}),
        ({"position": 3}, {"position": "position has no effect with view"}),
        ({"event_type": "click", "position": 3, "placement": "home"}, {}),
        ({"query": "lamp"}, {"query": "query has no effect with view"}),
        ({"event_type": "identify"}, {"event_type": "identify does nothing yet", "item_id": "with identify"}),
        ({"traceparent": "rubbish"}, {"traceparent": "left out"}),
        ({"traceparent": GOOD_TRACE}, {}),
        ({"session_id": "s1", "price": 2.5, "currency": "GBP", "schema_version": 1}, {}),
    ],
)
def test_a_field_without_effect_is_named(fields: dict[str, Any], expected: dict[str, str]) -> None:
    texts = {warning.field: warning.text for warning in warned(good_event(NOW_MS, **fields))}
    assert texts.keys() == expected.keys()
    for field, text in expected.items():
        assert text in texts[field]


def test_each_is_said_once_with_the_first_event_that_has_it() -> None:
    events = [good_event(NOW_MS), good_event(NOW_MS, itemid="x"), good_event(NOW_MS, itemid="y", colour="red")]
    assert [(warning.field, warning.index) for warning in warned(*events)] == [("itemid", 1), ("colour", 2)]


def test_however_many_names_there_are_the_answer_is_short_and_soon() -> None:
    events = [good_event(NOW_MS, **{f"{event}-{n}" + "x" * 60: n for n in range(150)}) for event in range(100)]
    started_s = time.process_time()
    warnings = warned(*events)
    assert len(warnings) == MAX_WARNINGS
    assert time.process_time() - started_s < 1, "decoding included"
    long = warned(good_event(NOW_MS, **{"x" * 9000: 1, "\x1b[2J": 1}))
    assert all(len(warning.field) < 100 and warning.field.isprintable() for warning in long)


def test_over_http_the_event_is_taken_and_the_answer_warns(shop: RunningShop) -> None:
    events = [now_event(), now_event(event_type="add_to_cart", itemid="i2"), now_event(event_type="identify")]
    answer = shop.client.post("/v1/events", content="\r\n".join(map(json.dumps, events)))
    assert answer.status_code == 202
    assert answer.json()["taken"] == 3
    fields = [(warning["field"], warning["line"]) for warning in answer.json()["warnings"]]
    assert fields == [("itemid", 2), ("event_type", 3), ("item_id", 3)]
    assert json.loads(shop.sent[1][1])["itemid"] == "i2", "as it came"
    assert shop.client.post("/v1/events", json=now_event()).json() == {"taken": 1}
    warnings_of_one = shop.client.post("/v1/events", json=now_event(itemid="i")).json()["warnings"]
    assert warnings_of_one == [
        {"field": "itemid", "text": "no event has this field: it has no effect; is item_id meant?"}
    ]

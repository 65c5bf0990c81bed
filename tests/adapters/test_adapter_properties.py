"""Laws of all adapters: no record and no file makes one crash; what an event keeps survives the way through a format."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.adapters.event_names import EventNames
from operators.adapters.fields import Record
from operators.adapters.import_file import FileImport, ImportChoices
from operators.adapters.registry import FORMATS, NAMES, TableMap, format_of, guess
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord, EventsFileError

KEYS = [
    "type",
    "event",
    "messageId",
    "userId",
    "anonymousId",
    "timestamp",
    "properties",
    "products",
    "product_id",
    "query",
    "event_name",
    "event_timestamp",
    "event_params",
    "items",
    "item_id",
    "user_pseudo_id",
    "key",
    "value",
    "collector_tstamp",
    "derived_tstamp",
    "event_id",
    "unstruct_event",
    "contexts",
    "data",
    "schema",
    "eventType",
    "visitorId",
    "eventTime",
    "productDetails",
    "product",
    "id",
    "quantity",
    "price",
    "userInfo",
    "eventList",
    "sentAt",
    "itemId",
    "impression",
    "user_id",
    "item",
    "session",
    "specversion",
    "source",
    "time",
    "data_base64",
    "line",
    "number",
    "visitorid",
    "itemid",
    "event_time",
    "event_type",
]
WORDS = [
    "track",
    "identify",
    "view_item",
    "purchase",
    "refund",
    "search",
    "product_view",
    "transaction",
    "ranking",
    "interaction",
    "click",
    "1.0",
    "view",
    "iglu:a/b/c/1-0-0",
    "Order_Completed",
    "detail-page-view",
    "purchase-complete",
    "1767225600",
    "7+5+1+2+9",
    "1|2",
    "[1]",
    "{}",
]
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(WORDS) | st.text(max_size=9)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
records = st.dictionaries(st.sampled_from(KEYS), values, min_size=1, max_size=12)


def imported(content: bytes, source: str, **choices: Any) -> list[Record]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "source"
        file.write_bytes(content)
        return [
            json.loads(line) for line in FileImport(file, source, ImportChoices(**choices), EventSettings()).events()
        ]


@settings(max_examples=60, deadline=None)
@given(record=records, source=st.sampled_from(sorted(FORMATS.keys() - {"jd-micro"})))
def test_any_record_becomes_events_or_is_refused(record: Record, source: str) -> None:
    """But `jd-micro`, whose records are lines that the reader numbers."""
    guess(record)
    FORMATS[source].looks(record)
    try:
        events = FORMATS[source].events(record, EventNames({"x": "view"}))
    except BadRecord:
        return
    assert all(isinstance(event, dict) and "event_type" in event for event in events)


@settings(max_examples=100, deadline=None)
@given(record=records)
def test_any_row_of_a_table_becomes_an_event_or_is_refused(record: Record) -> None:
    table = format_of("csv", ("event_time", "user_id", "item_id", "items", "quantity"), TableMap({}, "return"))
    assert len(table.events(record, EventNames({}))) == 1


@settings(max_examples=150, deadline=None)
@given(
    content=st.binary(max_size=200)
    | st.lists(records, max_size=4).map(lambda rows: json.dumps(rows).encode())
    | st.lists(records, max_size=4).map(lambda rows: "\n".join(map(json.dumps, rows)).encode())
    | st.lists(st.lists(st.text(max_size=6), min_size=4, max_size=4), max_size=5).map(
        lambda rows: "\n".join(("event_time,user_id,item_id,event_type", *(",".join(row) for row in rows))).encode(
            "utf-8", "surrogatepass"
        )
    ),
    source=st.sampled_from(NAMES),
)
def test_any_bytes_become_events_or_are_refused(content: bytes, source: str) -> None:
    try:
        events = imported(content, source)
    except EventsFileError:
        return
    assert all({"event_id", "event_type", "event_time", "user_id"} <= event.keys() for event in events)


ids = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=9).filter(
    lambda text: text.lower() not in EventSettings().placeholders
)
shop_events = st.fixed_dictionaries(
    {
        "event_type": st.sampled_from(("view", "add_to_cart", "remove_from_cart", "purchase")),
        "event_time": st.integers(1_500_000_000, 1_700_000_000).map(lambda second: second * 1000),
        "user_id": ids.map("u".__add__),
        "item_id": ids.map("i".__add__),
    }
)
RETAIL = {
    "view": "detail-page-view",
    "add_to_cart": "add-to-cart",
    "remove_from_cart": "remove-from-cart",
    "purchase": "purchase-complete",
}


def as_cloudevents(events: list[Record]) -> bytes:
    return json.dumps(
        [
            {
                "specversion": "1.0",
                "id": str(number),
                "source": "/shop",
                "type": f"shop.{event['event_type']}",
                "data": event,
            }
            for number, event in enumerate(events)
        ]
    ).encode()


def as_personalize(events: list[Record]) -> bytes:
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"))
    table.writerows((e["user_id"], e["item_id"], e["event_time"] // 1000, e["event_type"]) for e in events)
    return text.getvalue().encode()


def as_retail(events: list[Record]) -> bytes:
    rows = [
        {
            "eventType": RETAIL[event["event_type"]],
            "visitorId": event["user_id"],
            "eventTime": event["event_time"],
            "productDetails": [{"product": {"id": event["item_id"]}}],
        }
        for event in events
    ]
    return "\n".join(map(json.dumps, rows)).encode()


@pytest.mark.parametrize(
    ("source", "written"),
    [("cloudevents", as_cloudevents), ("personalize", as_personalize), ("google-retail", as_retail)],
)
@settings(max_examples=40, deadline=None)
@given(events=st.lists(shop_events, min_size=1, max_size=8))
def test_events_come_back_from_a_format(source: str, written: Any, events: list[Record]) -> None:
    back = imported(written(events), source)
    assert [{name: event[name] for name in events[0]} for event in back] == events
    assert len({event["event_id"] for event in back}) == len(events)

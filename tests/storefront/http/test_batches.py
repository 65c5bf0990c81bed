"""Any bytes as the body of POST /v1/events: taken, or refused with a reason; never an error of the storefront's own."""

import asyncio
import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from starlette.requests import Request

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.records.contracts import DEAD_LETTER_REASONS
from operators.records.event_decode import EventDecoder
from operators.settings import Settings
from storefront.events.event_producer import BadEvent, EventProducer
from storefront.events.event_warnings import warnings_of
from storefront.http.batches import Entry, TooMuch, read_body, split_batch
from tests.bad_records import bad_events, good_event
from tests.storefront.conftest import RunningShop, Serve

BOM = b"\xef\xbb\xbf"
DEEP = b"[" * 50_000
NOW_MS = int(time.time() * 1000)
PRODUCER = EventProducer(Settings())


@pytest.mark.parametrize(
    ("body", "entries"),
    [
        (b'{"a":1}', [Entry(b'{"a":1}')]),
        (b'[{"a":1}, {"b":2}]', [Entry(b'{"a":1}', index=0), Entry(b'{"b":2}', index=1)]),
        (b'{"a":1}\n{"b":2}\n', [Entry(b'{"a":1}', line=1), Entry(b'{"b":2}', line=2)]),
        (b'{"a":1}\r\n\r\n{"b":2}\r\n', [Entry(b'{"a":1}', line=1), Entry(b'{"b":2}', line=3)]),
        (b'{\n "a": 1\n}', [Entry(b'{\n "a": 1\n}')]),
        (b'{\r\n "c": {"a": 1\r\n}\r\n}', [Entry(b'{\r\n "c": {"a": 1\r\n}\r\n}')]),
        (BOM + b'{"a":1}\n{"b":2}', [Entry(b'{"a":1}', line=1), Entry(b'{"b":2}', line=2)]),
        (BOM + b'[{"a":1}]', [Entry(b'{"a":1}', index=0)]),
        (b'\r\n\n{"a":1}\n{"b":2}', [Entry(b'{"a":1}', line=3), Entry(b'{"b":2}', line=4)]),
        (b"", [Entry(b"")]),
        (b" \r\n ", [Entry(b"")]),
        (b"[]", []),
    ],
)
def test_a_body_is_one_event_an_array_or_lines(body: bytes, entries: list[Entry]) -> None:
    assert split_batch(body, 2) == entries


@pytest.mark.parametrize(
    ("body", "reason"),
    [(DEEP, "too_deep"), (b"[1,", "not_json"), (b"[1]x", "not_json"), (b"[\xff]", "not_utf8"), (b"[NaN]", "not_json")],
)
def test_an_array_that_is_none_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(BadRecord) as refused:
        split_batch(body, 2)
    assert refused.value.reason == reason


@pytest.mark.parametrize("body", [b"[1,2,3]", b"1\n2\n3\n", b"{\n{\n{\n"])
def test_a_batch_has_at_most_so_many_events(body: bytes) -> None:
    with pytest.raises(TooMuch, match="at most 2 events; came 3 events") as refused:
        split_batch(body, 2)
    assert refused.value.reason == "too_many_events"


@pytest.mark.parametrize("body", [b"[" + b"0," * 500_000 + b"0]", b"0\n" * 500_000, b"\x0b\n" * 500_000])
def test_half_a_million_events_are_refused_before_each_is_looked_at(body: bytes) -> None:
    """A kilobyte of gzip becomes so many, and the event loop serves nobody else meanwhile."""
    started_s = time.process_time()
    with pytest.raises(TooMuch):
        split_batch(body, 1000)
    assert time.process_time() - started_s < 0.2


hostile_bytes = st.binary(max_size=200) | st.sampled_from(
    [value for _, _, value, _ in bad_events() if value is not None and len(value) < 20_000]
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=8,
)
events = st.builds(
    lambda fields: json.dumps(good_event(NOW_MS) | fields).encode(),
    st.dictionaries(st.sampled_from([*good_event(), "items", "price", "context", "traceparent"]), json_values),
)
entry = hostile_bytes | events | json_values.map(lambda value: json.dumps(value).encode())
bodies = (
    entry
    | st.lists(entry, max_size=4).map(lambda all_of: b"[" + b",".join(all_of) + b"]")
    | st.tuples(st.lists(entry, max_size=4), st.sampled_from([b"\n", b"\r\n", b"\r", b"\n\n"])).map(
        lambda pair: pair[1].join(pair[0])
    )
    | st.tuples(st.sampled_from([BOM, b"\xff\xfe", b"[", b" "]), entry).map(b"".join)
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@example(DEEP)
@example(DEEP + b"\n" + DEEP)
@example(b'{"a":' * 50_000)
@example(b"\n" * 100_000)
@example(json.dumps(good_event(NOW_MS)).encode()[:-1] + b',"\xff":1}')
@given(bodies)
def test_any_bytes_are_taken_or_refused_with_a_reason(body: bytes) -> None:
    outcome, named = outcome_of(body)
    assert outcome in ("taken", "too_many_events", *DEAD_LETTER_REASONS)
    if named is not None:
        with pytest.raises(BadRecord):
            EventDecoder(EventSettings()).decode("", named.value, NOW_MS)


def outcome_of(body: bytes) -> tuple[str, Entry | None]:
    """The reason, and the event that is named as the bad one."""
    try:
        entries = split_batch(body, 1000)
        warnings_of(entries, PRODUCER._checked(entries))
    except BadEvent as error:
        return error.reason, error.entry
    except (BadRecord, TooMuch) as error:
        return error.reason, None
    return "taken", None


def test_no_more_than_the_limit_is_held_whatever_the_length_says() -> None:
    async def read(declared: str | None, chunks: int) -> tuple[bytes | str, int]:
        given_out = 0

        async def receive() -> dict[str, Any]:
            nonlocal given_out
            given_out += 1
            return {"type": "http.request", "body": b"x" * 100, "more_body": given_out < chunks}

        headers = [] if declared is None else [(b"content-length", declared.encode())]
        try:
            return await read_body(Request({"type": "http", "headers": headers}, receive), 1000), given_out
        except TooMuch as error:
            return error.reason, given_out

    for declared in (None, "5", "lie"):
        assert asyncio.run(read(declared, 10)) == (b"x" * 1000, 10)
        assert asyncio.run(read(declared, 10_000)) == ("body_too_large", 11), "it stops where the limit is passed"
    assert asyncio.run(read("1001", 10_000)) == ("body_too_large", 0)
    assert asyncio.run(read("9" * 5000, 1)) == ("body_too_large", 0)


def now_event(**fields: Any) -> dict[str, Any]:
    return good_event(NOW_MS, **fields)


def test_one_bad_event_refuses_the_batch_and_its_place_is_named(shop: RunningShop) -> None:
    good, bad = now_event(), now_event(event_type="teleport")
    answer = shop.client.post("/v1/events", json=[good, good, bad])
    assert (answer.status_code, answer.json()["reason"], answer.json()["index"]) == (422, "unknown_event_type", 2)
    assert answer.json()["error"].startswith("event 2 of the array: expected one of view")
    lines = "\r\n".join(map(json.dumps, (good, bad, good)))
    answer = shop.client.post("/v1/events", content=lines)
    assert (answer.status_code, answer.json()["line"]) == (422, 2) and "index" not in answer.json()
    answer = shop.client.post("/v1/events", json=bad)
    assert answer.json().keys() == {"reason", "error"}
    assert shop.sent == []
    assert shop.client.post("/v1/events", json=[good, good]).json() == {"taken": 2}
    assert [key for key, _ in shop.sent] == [b"u1", b"u1"]
    assert shop.metric("events_total", outcome="refused") == 3


def test_lines_with_crlf_and_a_byte_order_mark_are_taken(shop: RunningShop) -> None:
    lines = [json.dumps(now_event(event_id=f"e{n}")).encode() for n in range(2)]
    answer = shop.client.post("/v1/events", content=BOM + b"\r\n".join([*lines, b"", b""]))
    assert (answer.status_code, answer.json()) == (202, {"taken": 2})
    assert [value for _, value in shop.sent] == lines


def test_hostile_bodies_over_http(serve: Serve) -> None:
    shop = serve(max_body_bytes=60_000, max_batch=3)
    for body, status, reason in (
        (DEEP, 422, "too_deep"),
        (b"{" * 50_000, 422, "too_large"),
        (b"", 422, "empty_value"),
        (b"x" * 60_001, 413, "body_too_large"),
        (b"[1,2,3,4]", 413, "too_many_events"),
        (b"\x00\xff\xfe", 422, "not_utf8"),
    ):
        answer = shop.client.post("/v1/events", content=body)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    endless = shop.client.post("/v1/events", content=(b"x" * 10_000 for _ in range(7)))
    assert (endless.status_code, endless.json()["reason"]) == (413, "body_too_large"), "chunks, without a length"


def two_lines() -> tuple[list[bytes], bytes]:
    lines = [json.dumps(now_event(event_id=f"e{n}")).encode() for n in range(2)]
    return lines, b"\n".join(lines)


@pytest.mark.parametrize(
    "headers",
    [{"content-encoding": "gzip"}, {"content-encoding": "GZIP , identity"}, {"content-encoding": "x-gzip"}, {}],
)
def test_a_packed_body_is_unpacked(shop: RunningShop, headers: dict[str, str]) -> None:
    lines, body = two_lines()
    packed = gzip.compress(body[:10]) + gzip.compress(body[10:])  # as two files one behind the other
    answer = shop.client.post("/v1/events", content=packed, headers=headers)
    assert (answer.status_code, answer.json()) == (202, {"taken": 2})
    assert [value for _, value in shop.sent] == lines


def test_what_cannot_be_unpacked_is_refused(shop: RunningShop) -> None:
    _, body = two_lines()
    packed = gzip.compress(body)
    for content, encoding, status, reason in (
        (body, "br", 415, "unknown_encoding"),
        (packed, "gzip, gzip", 415, "unknown_encoding"),
        (body, "gzip", 400, "bad_gzip"),
        (packed[:-1], "gzip", 400, "bad_gzip"),
        (packed[:-8] + b"x" * 8, "gzip", 400, "bad_gzip"),
        (packed + b"x", "gzip", 400, "bad_gzip"),
        (gzip.compress(packed), "gzip", 422, "not_utf8"),
    ):
        answer = shop.client.post("/v1/events", content=content, headers={"content-encoding": encoding})
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert shop.client.post("/v1/events", content=body, headers={"content-encoding": "identity"}).status_code == 202
    assert len(shop.sent) == 2


def test_a_bomb_is_not_held(serve: Serve) -> None:
    shop = serve(max_body_bytes=100_000)
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    tracemalloc.start()
    try:
        answer = shop.client.post("/v1/events", content=bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
    assert peak < 2_000_000

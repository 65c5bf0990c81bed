import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.configuration.shop_settings import EventSettings
from operators.records.event_decode import EventDecoder
from operators.records.trace_context import forwarded_traceparent, parse_traceparent, sampled_trace
from tests.bad_records import good_event
from tests.builders import NOW_MS

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED = f"00-{TRACE}-{SPAN}-01"


def test_a_sampled_trace() -> None:
    found = parse_traceparent(SAMPLED)
    assert found is not None and found == (TRACE, SPAN, True)
    assert sampled_trace(SAMPLED) == TRACE
    assert sampled_trace(f"00-{TRACE}-{SPAN}-00") is None


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "x",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0",
        f"{SAMPLED}-what-comes-later",
        f"{SAMPLED}\n",
        f"{SAMPLED}{'0' * 16_000}",
        f"cc-{TRACE}-{SPAN}-01x",
        f" {SAMPLED}",
    ],
)
def test_what_is_no_trace_costs_nothing(text: str | None) -> None:
    assert parse_traceparent(text) is None
    assert text is None or forwarded_traceparent(text) is None


def test_of_a_higher_version_the_parts_of_version_00_are_kept() -> None:
    assert forwarded_traceparent(f"cc-{TRACE}-{SPAN}-01") == SAMPLED
    assert forwarded_traceparent(f"cc-{TRACE}-{SPAN}-ff-and-{'more' * 4000}") == SAMPLED
    assert forwarded_traceparent(f"00-{TRACE}-{SPAN}-03") == f"00-{TRACE}-{SPAN}-03"


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?"))
def test_what_is_kept_is_a_trace_of_55_characters(text: str) -> None:
    kept = forwarded_traceparent(text)
    assert kept is None or (len(kept) == 55 and parse_traceparent(kept) == parse_traceparent(text))


@pytest.mark.parametrize(("given_text", "kept"), [(SAMPLED, SAMPLED), ("x" * 15_000, None), (f"{SAMPLED} x", None)])
def test_an_event_keeps_a_trace_and_nothing_else(given_text: str, kept: str | None) -> None:
    body = json.dumps(good_event(NOW_MS, traceparent=given_text)).encode()
    event = EventDecoder(EventSettings()).decode("u1", body, NOW_MS)
    assert event.traceparent == kept, "the event itself is good"

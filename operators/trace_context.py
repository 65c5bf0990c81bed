"""W3C trace context: the `traceparent` that an event carries to its list (https://www.w3.org/TR/trace-context/)."""

import re
from typing import NamedTuple

_FORM = re.compile(r"^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})")


class TraceParent(NamedTuple):
    """The trace and the span that an event belongs to, as lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(text: str | None) -> TraceParent | None:
    """None where there is none, or where it is not one: a bad trace must not cost an event."""
    found = _FORM.match(text) if text else None
    return TraceParent(found[1], found[2], bool(int(found[3], 16) & 1)) if found else None


def sampled_trace(text: str | None) -> str | None:
    """The id of a sampled trace, else None."""
    found = parse_traceparent(text)
    return found.trace_id if found and found.sampled else None

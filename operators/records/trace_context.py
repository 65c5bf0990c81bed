"""W3C trace context: the `traceparent` that an event carries to its list (https://www.w3.org/TR/trace-context/)."""

import re
from typing import NamedTuple

# version 00 is exactly this long; a higher one may append unknown parts after a dash
_FORM = re.compile(
    r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.DOTALL
)
_SAMPLED = 1


class TraceParent(NamedTuple):
    """The trace and the span that an event belongs to, as lower-case hex."""

    trace_id: str
    span_id: str
    sampled: bool


def parse_traceparent(text: str | None) -> TraceParent | None:
    """The parts of a traceparent; None if it is missing or invalid, because a bad trace must not cost an event."""
    match = _FORM.fullmatch(text) if text else None
    if match is None or (match[1] == "00" and match[5] is not None):
        return None
    return TraceParent(match[2], match[3], bool(int(match[4], 16) & _SAMPLED))


def forwarded_traceparent(text: str) -> str | None:
    """The 55 characters that the event and its list carry; None if the text is no traceparent.

    A higher version is cut to the parts of version 00, as the standard asks ("Versioning of traceparent").
    """
    parent = parse_traceparent(text)
    if parent is None or text.startswith("00-"):
        return text if parent else None
    return f"00-{parent.trace_id}-{parent.span_id}-{parent.sampled:02x}"


def sampled_trace(text: str | None) -> str | None:
    """The id of a sampled trace, else None."""
    parent = parse_traceparent(text)
    return parent.trace_id if parent and parent.sampled else None

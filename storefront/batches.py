"""The body of POST /v1/events: one event, an array, or JSON lines -> one body an event, each with its place."""

from typing import NamedTuple

import msgspec
from fastapi import Request

from operators.errors import BadRecord
from operators.json_objects import BOM, read_object

_SPACE = b" \t\r\n"
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode


class Entry(NamedTuple):
    """One event's bytes. `index` counts an array from 0, `line` a body of lines from 1; None in any other body."""

    value: bytes
    index: int | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        """For a message; empty where there is one event."""
        if self.index is not None:
            return f"event {self.index} of the array: "
        return "" if self.line is None else f"line {self.line}: "


class TooMuch(Exception):
    """More than one request may bring. `reason` is for programs."""

    def __init__(self, reason: str, expected: str, came: str) -> None:
        super().__init__(f"expected at most {expected}; came {came}. Next: send them in several requests.")
        self.reason = reason


async def read_body(request: Request, most: int) -> bytes:
    """At most so many bytes, whatever `Content-Length` says or does not say. Raises `TooMuch` before it holds more.

    Starlette has the same as `max_body_size`, whose answer is plain text and cannot be another.
    """
    declared = request.headers.get("content-length", "")[:18]
    if declared.isdecimal() and int(declared) > most:
        raise TooMuch("body_too_large", f"{most} bytes", f"{declared} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooMuch("body_too_large", f"{most} bytes", "more")
    return bytes(body)


def split_batch(body: bytes, most: int) -> list[Entry]:
    """The events of a body, of which none is looked into. Lines may end in CRLF; empty ones are left out.

    Raises `BadRecord` where the body is no array that can be taken apart, `TooMuch` above `most`.
    """
    text = body.removeprefix(BOM).strip(_SPACE)
    if text.startswith(b"["):
        try:
            entries = [Entry(bytes(raw), index=n) for n, raw in enumerate(_decode_array(text))]
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _bad_array(text, error) from None
    elif b"\n" not in text or _is_one_value(text):
        entries = [Entry(text)]
    else:
        lines = ((n, line.strip(_SPACE)) for n, line in enumerate(text.split(b"\n"), start=1))
        entries = [Entry(line, line=n) for n, line in lines if line]
    if len(entries) > most:
        raise TooMuch("too_many_events", f"{most} events", f"{len(entries)} events")
    return entries


def _is_one_value(text: bytes) -> bool:
    """One value over several lines is not a body of lines."""
    try:
        _decode_one(text)
    except (msgspec.MsgspecError, ValueError):
        return False
    except RecursionError:
        return True  # the decoder says what is wrong with it
    return True


def _bad_array(text: bytes, error: Exception) -> BadRecord:
    try:
        read_object(text)
    except BadRecord as bad:
        if bad.reason != "not_an_object":
            return bad
    return BadRecord("not_json", "an array of events", str(error))  # Python's parser takes what msgspec refuses

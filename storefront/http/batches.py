"""The body of POST /v1/events: one event, an array, or JSON lines, plain or gzip -> one body an event, with its place."""

import asyncio
import gzip
import io
import zlib
from dataclasses import dataclass

import msgspec
from fastapi import Request

from operators.errors import BadRecord
from operators.records.json_objects import BOM, read_object
from operators.telemetry.visible import visible

_SPACE = b" \t\r\n"
_GZIP = ("gzip", "x-gzip")
_GZIP_BEGIN = b"\x1f\x8b"  # no JSON begins so
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_one = msgspec.json.Decoder(msgspec.Raw).decode


@dataclass(frozen=True, slots=True)
class Entry:
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


class BodyRefused(Exception):
    """A body that is not looked into. `status` is HTTP's, `reason` is for programs."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status, self.reason = status, reason


class TooMuch(BodyRefused):
    """More than one request may bring."""

    def __init__(self, reason: str, expected: str, came: str) -> None:
        super().__init__(413, reason, f"expected at most {expected}; came {came}. Next: send them in several requests.")


async def read_body(request: Request, most: int) -> bytes:
    """At most so many bytes, as they come and unpacked, whatever `Content-Length` says or does not say. gzip is unpacked,
    with `Content-Encoding` or without. Raises `BodyRefused`, `TooMuch` before it holds more.

    Starlette has a limit as `max_body_size`, whose answer is plain text and cannot be another.
    """
    encodings = [name.strip().lower() for name in request.headers.get("content-encoding", "").split(",")]
    encodings = [name for name in encodings if name not in ("", "identity")]
    if encodings and (len(encodings) > 1 or encodings[0] not in _GZIP):
        came = visible(", ".join(encodings), 100)
        text = f"expected a body that is plain or gzip; came {came}. Next: send it plain."
        raise BodyRefused(415, "unknown_encoding", text)
    declared = request.headers.get("content-length", "")[:18]
    if declared.isdecimal() and int(declared) > most:
        raise TooMuch("body_too_large", f"{most} bytes", f"{declared} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise TooMuch("body_too_large", f"{most} bytes", "more")
    if encodings or body.startswith(_GZIP_BEGIN):
        return await asyncio.to_thread(_unpacked, bytes(body), most)
    return bytes(body)


def _unpacked(body: bytes, most: int) -> bytes:
    try:
        found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        text = f"expected gzip; came {error}. Next: pack the body anew, or send it plain without Content-Encoding."
        raise BodyRefused(400, "bad_gzip", text) from None
    if len(found) > most:
        raise TooMuch("body_too_large", f"{most} bytes", "more, unpacked")
    return found


def split_batch(body: bytes, most: int) -> list[Entry]:
    """The events of a body, of which none is looked into. Lines may end in CRLF; empty ones are left out.

    Raises `BadRecord` where the body is no array that can be taken apart, `TooMuch` above `most`.
    """
    plain = body.removeprefix(BOM)
    text = plain.strip(_SPACE)
    if text.startswith(b"["):
        try:
            array = _decode_array(text)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _bad_array(text, error) from None
        _refuse_more(len(array), most)
        return [Entry(bytes(raw), index=n) for n, raw in enumerate(array)]
    if b"\n" not in text or _is_one_value(text):
        return [Entry(text)]
    lines = plain.split(b"\n")
    _refuse_more(sum(bool(line.strip(_SPACE)) for line in lines), most)
    stripped = ((n, line.strip(_SPACE)) for n, line in enumerate(lines, start=1))
    return [Entry(line, line=n) for n, line in stripped if line]


def _refuse_more(came: int, most: int) -> None:
    """Before an entry is made of each: half a million fit into one body."""
    if came > most:
        raise TooMuch("too_many_events", f"{most} events", f"{came} events")


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

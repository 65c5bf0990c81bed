"""Splits the body of POST /v1/events (one event, an array, or JSON lines; plain or gzip) into entries, one an event."""

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
    """The bytes of one event and its position: `index` in an array (from 0) or `line` in JSON lines (from 1), else None."""

    value: bytes
    index: int | None = None
    line: int | None = None

    @property
    def position(self) -> str:
        """The position as the prefix of an error message; empty for a body of one event."""
        if self.index is not None:
            return f"event {self.index} of the array: "
        return "" if self.line is None else f"line {self.line}: "


class BodyRefused(Exception):
    """The body is refused before its events are decoded. `status`: the HTTP status; `reason`: a stable code for programs."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status, self.reason = status, reason


class TooMuch(BodyRefused):
    """The body has more bytes or events than one request may carry."""

    def __init__(self, reason: str, expected: str, actual: str) -> None:
        super().__init__(
            413, reason, f"expected at most {expected}; came {actual}. Next: send them in several requests."
        )


async def read_body(request: Request, limit: int) -> bytes:
    """Reads the body and unpacks gzip, with or without `Content-Encoding`. `limit`: in bytes, on the wire and
    unpacked; it does not trust `Content-Length`. Raises `TooMuch` before it holds more, `BodyRefused` for any other body.

    Starlette's own `max_body_size` always answers in plain text.
    """
    encodings = [name.strip().lower() for name in request.headers.get("content-encoding", "").split(",")]
    encodings = [name for name in encodings if name not in ("", "identity")]
    if encodings and (len(encodings) > 1 or encodings[0] not in _GZIP):
        encoding = visible(", ".join(encodings), 100)
        text = f"expected a body that is plain or gzip; came {encoding}. Next: send it plain."
        raise BodyRefused(415, "unknown_encoding", text)
    declared = request.headers.get("content-length", "")[:18]
    if declared.isdecimal() and int(declared) > limit:
        raise TooMuch("body_too_large", f"{limit} bytes", f"{declared} bytes")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooMuch("body_too_large", f"{limit} bytes", "more")
    if encodings or body.startswith(_GZIP_BEGIN):
        return await asyncio.to_thread(_unpacked, bytes(body), limit)
    return bytes(body)


def _unpacked(body: bytes, limit: int) -> bytes:
    try:
        unpacked = gzip.GzipFile(fileobj=io.BytesIO(body)).read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        text = f"expected gzip; came {error}. Next: pack the body anew, or send it plain without Content-Encoding."
        raise BodyRefused(400, "bad_gzip", text) from None
    if len(unpacked) > limit:
        raise TooMuch("body_too_large", f"{limit} bytes", "more, unpacked")
    return unpacked


def split_batch(body: bytes, limit: int) -> list[Entry]:
    """Splits a body into entries without decoding the events. Lines may end in CRLF; empty lines are skipped.

    Raises `BadRecord` for a malformed array, `TooMuch` above `limit` events.
    """
    plain = body.removeprefix(BOM)
    text = plain.strip(_SPACE)
    if text.startswith(b"["):
        try:
            array = _decode_array(text)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise _bad_array(text, error) from None
        _refuse_more(len(array), limit)
        return [Entry(bytes(raw), index=n) for n, raw in enumerate(array)]
    if b"\n" not in text or _is_one_value(text):
        return [Entry(text)]
    lines = plain.split(b"\n")
    _refuse_more(sum(bool(line.strip(_SPACE)) for line in lines), limit)
    stripped = ((n, line.strip(_SPACE)) for n, line in enumerate(lines, start=1))
    return [Entry(line, line=n) for n, line in stripped if line]


def _refuse_more(count: int, limit: int) -> None:
    """Runs before any `Entry` is built: half a million events fit into one body."""
    if count > limit:
        raise TooMuch("too_many_events", f"{limit} events", f"{count} events")


def _is_one_value(text: bytes) -> bool:
    """Whether the text is one JSON value, which may span several lines, and not JSON lines."""
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

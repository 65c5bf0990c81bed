"""What the operator and its scorer process say to each other: msgpack, length-prefixed, over a pair of Unix sockets.

The operator speaks first and the process answers each message with one of its own.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

LARGEST = 256 * 2**20  # bytes of a message: a micro-batch has some MB; a length beyond it is of a broken process
CHUNK_RECORDS, CHUNK_BYTES = 5_000, 4 * 2**20  # of the catalogue in a message; one record may be larger


class Handshake(msgspec.Struct, array_like=True):
    """First message: all that the process must know. `subtask`: its number, or "shared"; `journal`: the file of its crash
    journal."""

    settings: dict[str, Any]
    bundle: str
    subtask: str
    journal: str


class Ready(msgspec.Struct, array_like=True):
    """Answer to `Handshake`: where the model runs and why there; or why the bundle is `refused`; or, as expected, came and
    fix of a `StackError`, what the machine lacks."""

    provider: str = ""
    provider_reason: str = ""
    refused: str = ""
    lacks: tuple[str, str, str] | None = None


Asked = tuple[str, bytes, int, str | None, str | None]
"""Of a request: user, packed state, event time (ms), event id, traceparent."""

Listed = tuple[bytes, str, str, int, str | None]
"""Of a list: its JSON, source, arm, event time (ms), digest of the state."""


Changed = tuple[str, bytes | None]
"""Of an item: its name and its record, `DELISTED`, or `NO_RECORD` where the topic has none any more."""

DELISTED, NO_RECORD = None, b""


class Batch(msgspec.Struct, array_like=True):
    """A micro-batch, and what has changed in the catalogue since the last one."""

    requests: list[Asked]
    catalogue: list[Changed]


def chunks(records: Iterable[Changed]) -> Iterator[list[Changed]]:
    """Catalogue records in messages of a bounded size: a record may have a megabyte."""
    chunk: list[Changed] = []
    size = 0
    for key, value in records:
        chunk.append((key, value))
        size += len(value or b"")
        if len(chunk) >= CHUNK_RECORDS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


class BatchAnswer(msgspec.Struct, array_like=True):
    """A list or, as text, what went wrong, for each request; or what went wrong with all of them.

    `scored_at` (epoch s): when the model had answered.
    """

    scored_at: float
    lists: list[Listed | str]
    failed: str = ""


pack = msgspec.msgpack.Encoder().encode
begin_of = msgspec.msgpack.Decoder(Handshake).decode
ready_of = msgspec.msgpack.Decoder(Ready).decode
batch_of = msgspec.msgpack.Decoder(Batch).decode
answers_of = msgspec.msgpack.Decoder(BatchAnswer).decode

"""The bytes of a user's state: one numpy dtype, its offsets, the form in which the engine keeps it, and older layouts."""

import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from operators.errors import LiveshelfError

LAYOUT = 3
STORED = 4  # first byte of the stored form: most shoppers have few steps, and their records are mostly zeros
OLD_LAYOUT, OLD_STORED = 1, 2  # before the epoch
HISTORY = 50  # steps kept
EVENT_WINDOW = 24  # recent event ids kept, against duplicates
MAX_BOUGHT = 16
MAX_SHOWN = 15
# bits of `flags`; the last two say that a list of `version` is out, and that no better one
# will follow (exactly-once delivery alone sets them)
CONSENT_REFUSED, LISTED, SETTLED = 1, 2, 4

# `steps` and `seen` count all there ever were: the newest lies at (count - 1) % size of its ring.
# `bought_at` and `shown_at` are the next places of their rings. `bought` and `shown_item` hold the low 32 bits.
# `epoch_s` and `erased_s` with `erased_ms` are the broker's times at which the state began and of the last erasure.
STATE = np.dtype(
    [
        ("layout", "u1"),
        ("flags", "u1"),
        ("session_events", "<u2"),
        ("version", "<u4"),
        ("steps", "<u4"),
        ("seen", "<u4"),
        ("bought_at", "<u2"),
        ("shown_at", "<u2"),
        ("last_event_ms", "<i8"),
        ("session_start_s", "<u4"),
        ("epoch_s", "<u4"),
        ("erased_s", "<u4"),
        ("erased_ms", "<u2"),
        ("item", "<u8", HISTORY),
        ("second", "<u4", HISTORY),
        ("kind", "u1", HISTORY),
        ("event_hash", "<u8", EVENT_WINDOW),
        ("bought", "<u4", MAX_BOUGHT),
        ("shown_item", "<u4", MAX_SHOWN),
        ("shown", "u1", MAX_SHOWN),
    ]
)
SIZE = STATE.itemsize
HEADER = "<BBHIIIHHqII"


def _offset(name: str) -> int:
    assert STATE.fields is not None
    return int(STATE.fields[name][1])


ERASED_AT = _offset("erased_s")
ITEMS_AT = _offset("item")
FLAGS_AT = _offset("flags")
SECONDS_AT = _offset("second")
KINDS_AT = _offset("kind")
EVENTS_AT = _offset("event_hash")
BOUGHT_AT = _offset("bought")
SHOWN_ITEMS_AT = _offset("shown_item")
SHOWN_COUNTS_AT = _offset("shown")

EMPTY = bytes([LAYOUT]) + bytes(SIZE - 1)


# what the stored form shortens: all behind the header, whose bytes are the same in both forms but for the first
_ARRAYS = [(_offset(name), _offset(name) + STATE[name].itemsize) for name in list(STATE.names or ())[13:]]
_PARTS = [(ERASED_AT, ITEMS_AT), *_ARRAYS]
_HEADER_SIZE = _PARTS[0][0]
_LENGTHS = struct.Struct(f"<{len(_PARTS)}H")
_STORED_BYTE = bytes((STORED,))
_counts = struct.Struct("<II")  # steps, seen
_COUNTS_AT = _offset("steps")


def stored(state: bytes) -> bytes:
    """A state as the engine keeps it: header, the length of each part in bytes, and of the parts what is in use.

    `migrate` is its inverse; what reads the header alone reads both forms.
    """
    if state[0] != LAYOUT:
        return state
    steps, seen = _counts.unpack_from(state, _COUNTS_AT)
    steps, seen = min(steps, HISTORY), min(seen, EVENT_WINDOW)
    parts = (
        state[ERASED_AT:ITEMS_AT].rstrip(b"\0"),
        state[ITEMS_AT : ITEMS_AT + 8 * steps],
        state[SECONDS_AT : SECONDS_AT + 4 * steps],
        state[KINDS_AT : KINDS_AT + steps],
        state[EVENTS_AT : EVENTS_AT + 8 * seen],
        state[BOUGHT_AT:SHOWN_ITEMS_AT].rstrip(b"\0"),
        state[SHOWN_ITEMS_AT:SHOWN_COUNTS_AT].rstrip(b"\0"),
        state[SHOWN_COUNTS_AT:].rstrip(b"\0"),
    )
    return b"".join((_STORED_BYTE, state[1:_HEADER_SIZE], _LENGTHS.pack(*map(len, parts)), *parts))


def migrate(state: bytes) -> bytes:
    """The state as a record of dtype `STATE`; raises `LiveshelfError` for a layout or size that was never released."""
    if state[0] == LAYOUT and len(state) == SIZE:
        return state
    if state[0] == OLD_LAYOUT and len(state) == _OLD_SIZE:
        return _with_epoch(state, state[_HEADER_SIZE:])
    if state[0] == STORED and (record := _unpacked(state, _PARTS)) is not None:
        return record
    if state[0] == OLD_STORED and (record := _unpacked(state, _ARRAYS)) is not None:
        return _with_epoch(state, record[ITEMS_AT:])
    raise LiveshelfError(
        f"a user state of layout {LAYOUT} ({SIZE} bytes), {STORED}, or an older one",
        f"layout {state[0]}, {len(state)} bytes",
        "start the job with the Liveshelf version that wrote this state, or newer",
    )


def read_states(states: list[bytes]) -> npt.NDArray[Any]:
    """Packed states -> one structured array of dtype `STATE`, shape [len(states)], without a copy per field."""
    return np.frombuffer(b"".join(map(migrate, states)), dtype=STATE)


_OLD_SIZE = SIZE - (ITEMS_AT - ERASED_AT)
_EPOCH_AT = _offset("epoch_s")


def _with_epoch(state: bytes, arrays: bytes) -> bytes:
    """A record of the layout before: where the epoch is now it had the second of the erasure."""
    (erased_s,) = struct.unpack_from("<I", state, _EPOCH_AT)
    return bytes((LAYOUT,)) + state[1:_EPOCH_AT] + struct.pack("<IIH", 0, erased_s, 0) + arrays


def _unpacked(state: bytes, parts: list[tuple[int, int]]) -> bytes | None:
    """A record from a stored form with these parts; None where the lengths do not fit."""
    lengths_of = struct.Struct(f"<{len(parts)}H")
    at = _HEADER_SIZE + lengths_of.size
    if len(state) < at:
        return None
    lengths = lengths_of.unpack_from(state, _HEADER_SIZE)
    if at + sum(lengths) != len(state) or any(n > end - begin for n, (begin, end) in zip(lengths, parts, strict=True)):
        return None
    record = bytearray(EMPTY)
    record[1:_HEADER_SIZE] = state[1:_HEADER_SIZE]
    for length, (begin, _) in zip(lengths, parts, strict=True):
        record[begin : begin + length] = state[at : at + length]
        at += length
    return bytes(record)

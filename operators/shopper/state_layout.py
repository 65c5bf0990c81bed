"""The bytes of a user's state: one numpy dtype, from which all offsets and formats follow, the form in which the engine
keeps it, and older layouts."""

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from operators.errors import LiveshelfError

LAYOUT = 5
BEFORE_EPOCH = (1, 2)  # layouts
STORED = 6  # first byte of the stored form: most shoppers have few steps, and their records are mostly zeros
HISTORY = 50  # steps kept
EVENT_WINDOW = 24  # recent event ids kept, against duplicates
MAX_BOUGHT = 48  # a large order
MAX_DISLIKED = 8
MAX_SHOWN = 15
# bits of `flags`. LISTED: a list of `version` is out; SETTLED: no better one follows. Only exactly-once delivery sets
# these two
CONSENT_REFUSED, LISTED, SETTLED = 1, 2, 4

# `steps` and `seen` count all steps and events ever: the newest lies at (count - 1) % size of its ring; `shown_at` is the next
# place of its ring. `bought` and `disliked` begin with the newest. They, `shown_item` and `session`, the hash of the
# session's id (0: it has none), are the low 32 bits.
# `epoch_s` and `erased_s` with `erased_ms` are the broker's times at which the state began and of the last erasure.
STATE = np.dtype(
    [
        ("layout", "u1"),
        ("flags", "u1"),
        ("shown_at", "<u2"),
        ("version", "<u4"),
        ("steps", "<u4"),
        ("seen", "<u4"),
        ("session", "<u4"),
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
        ("disliked", "<u4", MAX_DISLIKED),
        ("shown_item", "<u4", MAX_SHOWN),
        ("shown", "u1", MAX_SHOWN),
    ]
)
SIZE = STATE.itemsize


class Header(NamedTuple):
    """The fields of `STATE` that every event reads and writes, in its order. `HEADER` packs and unpacks them."""

    layout: int
    flags: int
    shown_at: int
    version: int
    steps: int
    seen: int
    session: int
    last_event_ms: int
    session_start_s: int
    epoch_s: int


def _offset(name: str) -> int:
    assert STATE.fields is not None
    return int(STATE.fields[name][1])


_CODES = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i8": "q"}  # of numpy -> of struct


def struct_of(*names: str) -> struct.Struct:
    """Neighbouring fields of `STATE`, each with all its places."""
    fields = [STATE[name] for name in names]
    return struct.Struct("<" + "".join(f"{f.itemsize // f.base.itemsize}{_CODES[f.base.str[1:]]}" for f in fields))


def place_of(name: str) -> struct.Struct:
    """One place of a field of `STATE`."""
    return struct.Struct(f"<{_CODES[STATE[name].base.str[1:]]}")


def reader(name: str) -> Callable[[bytes | bytearray], int]:
    """A function that reads one field of the header of a state, as a record or as stored."""
    unpack, at = place_of(name).unpack_from, _offset(name)

    def read(state: bytes | bytearray) -> int:
        value: int
        (value,) = unpack(state, at)
        return value

    return read


HEADER = struct_of(*Header._fields)
ERASED_AT = _offset("erased_s")
ITEMS_AT = _offset("item")
FLAGS_AT = _offset("flags")
SECONDS_AT = _offset("second")
KINDS_AT = _offset("kind")
EVENTS_AT = _offset("event_hash")
BOUGHT_AT = _offset("bought")
DISLIKED_AT = _offset("disliked")
SHOWN_ITEMS_AT = _offset("shown_item")
SHOWN_COUNTS_AT = _offset("shown")

EMPTY = bytes([LAYOUT]) + bytes(SIZE - 1)


# the parts that the stored form shortens: all after the header. The header is equal in both forms except its first byte
_PARTS = [(ERASED_AT, ITEMS_AT)] + [
    (_offset(name), _offset(name) + STATE[name].itemsize)
    for name in ("item", "second", "kind", "event_hash", "bought", "disliked", "shown_item", "shown")
]
_HEADER_SIZE = ERASED_AT
_LENGTHS = {parts: struct.Struct(f"<{parts}H") for parts in range(7, 10)}  # by the number of parts
_STORED_BYTE, _LAYOUT_BYTE = bytes((STORED,)), bytes((LAYOUT,))
_counts, _COUNTS_AT = struct_of("steps", "seen"), _offset("steps")
_ITEM_SIZE, _SECOND_SIZE, _EVENT_SIZE = (place_of(name).size for name in ("item", "second", "event_hash"))


def stored(state: bytes) -> bytes:
    """The stored form of a state: header, the length of each part in bytes, and the used bytes of each part.

    `migrate` is its inverse. Code that reads only the header reads both forms.
    """
    if state[0] != LAYOUT:
        return state
    steps, seen = _counts.unpack_from(state, _COUNTS_AT)
    steps, seen = min(steps, HISTORY), min(seen, EVENT_WINDOW)
    parts = (
        state[ERASED_AT:ITEMS_AT].rstrip(b"\0"),
        state[ITEMS_AT : ITEMS_AT + _ITEM_SIZE * steps],
        state[SECONDS_AT : SECONDS_AT + _SECOND_SIZE * steps],
        state[KINDS_AT : KINDS_AT + steps],
        state[EVENTS_AT : EVENTS_AT + _EVENT_SIZE * seen],
        state[BOUGHT_AT:DISLIKED_AT].rstrip(b"\0"),
        state[DISLIKED_AT:SHOWN_ITEMS_AT].rstrip(b"\0"),
        state[SHOWN_ITEMS_AT:SHOWN_COUNTS_AT].rstrip(b"\0"),
        state[SHOWN_COUNTS_AT:].rstrip(b"\0"),
    )
    return b"".join((_STORED_BYTE, state[1:_HEADER_SIZE], _LENGTHS[9].pack(*map(len, parts)), *parts))


def migrate(state: bytes) -> bytes:
    """The state as a record of dtype `STATE`; raises `LiveshelfError` for a layout or size that was never released."""
    if state[0] == LAYOUT and len(state) == SIZE:
        return state
    record = _unpacked(state, _PARTS, SIZE) if state[0] == STORED else _older(state)
    if record is None:
        raise LiveshelfError(
            f"a user state of layout {LAYOUT} ({SIZE} bytes), {STORED}, or an older one",
            f"layout {state[0]}, {len(state)} bytes",
            "start the job with the Liveshelf version that wrote this state, or newer",
        )
    return record


def read_states(states: list[bytes]) -> npt.NDArray[Any]:
    """Packed states -> one structured array of dtype `STATE`, shape [len(states)], without a copy per field."""
    return np.frombuffer(b"".join(map(migrate, states)), dtype=STATE)


def forget(record: bytearray) -> None:
    """Clears a shopper's steps, session, and bought, disliked and shown items in a record.

    Version, times, epoch, erasure and the window against duplicates stay.
    """
    for begin, end in _OF_SHOPPER:
        record[begin:end] = bytes(end - begin)


_OF_SHOPPER = [
    *((_offset(name), _offset(name) + STATE[name].itemsize) for name in ("shown_at", "steps", "session")),
    (_offset("session_start_s"), _offset("epoch_s")),
    (ITEMS_AT, EVENTS_AT),
    (BOUGHT_AT, SIZE),
]


def _unpacked(state: bytes, parts: list[tuple[int, int]], size: int) -> bytes | None:
    """A record of `size` bytes from a stored form with these parts; None where the lengths do not fit."""
    lengths_of = _LENGTHS[len(parts)]
    at = _HEADER_SIZE + lengths_of.size
    if len(state) < at:
        return None
    filled = [_LAYOUT_BYTE, state[1:_HEADER_SIZE].ljust(parts[0][0] - 1, b"\0")]
    for length, (begin, end) in zip(lengths_of.unpack_from(state, _HEADER_SIZE), parts, strict=True):
        filled.append(state[at : at + length].ljust(end - begin, b"\0"))  # a part that is too long stays so
        at += length
    record = b"".join(filled)
    return record if at == len(state) and len(record) == size else None


# Layout 3 and its stored form 4, and before them 1 and 2, which had no epoch
_OLD_BOUGHT_AT, _OLD_SHOWN_AT, _OLD_SIZE = 884, 948, 1023
_OLD_PARTS = [*_PARTS[:5], (_OLD_BOUGHT_AT, _OLD_SHOWN_AT), (_OLD_SHOWN_AT, 1008), (1008, _OLD_SIZE)]


def _older(state: bytes) -> bytes | None:
    """The record of a state of an older layout; None for an unknown layout or size."""
    layout, size, record = state[0], len(state), None
    if layout == 3 and size == _OLD_SIZE:
        record = state
    elif layout == 4:
        record = _unpacked(state, _OLD_PARTS, _OLD_SIZE)
    elif layout == 1 and size == _OLD_SIZE - (ITEMS_AT - ERASED_AT):
        record = _with_epoch(state, state[_HEADER_SIZE:])
    elif layout == 2 and (unpacked := _unpacked(state, _OLD_PARTS[1:], _OLD_SIZE)) is not None:
        record = _with_epoch(state, unpacked[ITEMS_AT:])
    return None if record is None else _with_session(record)


def _with_epoch(state: bytes, arrays: bytes) -> bytes:
    """A record of layout 3 from one before: where the epoch is now it had the second of the erasure."""
    epoch_at = _offset("epoch_s")
    (erased_s,) = place_of("erased_s").unpack_from(state, epoch_at)
    return state[:epoch_at] + struct_of("epoch_s", "erased_s", "erased_ms").pack(0, erased_s, 0) + arrays


def _with_session(old: bytes) -> bytes:
    """A record from one of layout 3, which had no session id, `shown_at` at 18, 16 places for what was bought, and went
    on storing after a refusal of consent."""
    header = bytes((LAYOUT, old[1])) + old[18:20] + old[4:16] + bytes(4)
    record = bytearray(header + old[20:_OLD_BOUGHT_AT] + bytes(SIZE - BOUGHT_AT))
    record[BOUGHT_AT : BOUGHT_AT + _OLD_SHOWN_AT - _OLD_BOUGHT_AT] = old[_OLD_BOUGHT_AT:_OLD_SHOWN_AT]
    record[SHOWN_ITEMS_AT:] = old[_OLD_SHOWN_AT:]
    if record[FLAGS_AT] & CONSENT_REFUSED:
        forget(record)
    return bytes(record)

"""The packed state of one user, and `step`: what an event does to it.

The state is one fixed-width little-endian record, described by the numpy dtype `STATE`. The job edits it with
`struct` one event at a time; scorer and trainer read a whole micro-batch of records with `np.frombuffer`.
Item and event ids are kept as hashes (xxh64), so the state does not depend on any model's vocabulary.
"""

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xxhash

from operators.contracts import Event
from operators.state_layout import (
    BOUGHT_AT,
    CONSENT_REFUSED,
    EMPTY,
    EVENT_WINDOW,
    EVENTS_AT,
    FLAGS_AT,
    HEADER,
    HISTORY,
    ITEMS_AT,
    KINDS_AT,
    LISTED,
    MAX_BOUGHT,
    MAX_SHOWN,
    SECONDS_AT,
    SETTLED,
    SHOWN_COUNTS_AT,
    SHOWN_ITEMS_AT,
    migrate,
)

KINDS = {"view": 1, "click": 2, "add_to_cart": 3, "remove_from_cart": 4, "purchase": 5, "rate": 6}
IN_BASKET, TAKEN_OUT, BOUGHT = KINDS["add_to_cart"], KINDS["remove_from_cart"], KINDS["purchase"]
_RESETS_FATIGUE = frozenset(("click", "add_to_cart", "purchase"))
_LOW = 0xFFFFFFFF

_header = struct.Struct(HEADER)
_events = struct.Struct(f"<{EVENT_WINDOW}Q")
_items = struct.Struct(f"<{HISTORY}Q")
_bought = struct.Struct(f"<{MAX_BOUGHT}I")
_shown = struct.Struct(f"<{MAX_SHOWN}I")
_u64 = struct.Struct("<Q")
_u32 = struct.Struct("<I")

Outcome = Literal["applied", "duplicate", "erased"]


def id_hash(text: str) -> int:
    """xxh64 of an id's UTF-8 bytes; never 0, which marks an empty place."""
    return xxhash.xxh64_intdigest(text.encode()) or 1


@dataclass(slots=True)
class Step:
    """The outcome of one event: the new state and what to do. `version` is the list version after it."""

    state: bytes
    outcome: Outcome
    refresh: bool
    version: int


def step(state: bytes | None, event: Event, session_gap_ms: int = 30 * 60_000) -> Step:
    """Applies one valid event (`event_time` in epoch ms) to a user's state (None for a new user).

    Pure and deterministic. A duplicate (same event id within the user's last `EVENT_WINDOW` accepted events) and
    an event from before an erasure change nothing.
    """
    record = bytearray(migrate(state) if state else EMPTY)
    layout, flags, session_events, version, steps, seen, bought, shown, last_ms, session_s, erased_s = (
        _header.unpack_from(record)
    )
    time_ms = int(event.event_time)
    event_hash = id_hash(event.event_id)
    if event_hash in _events.unpack_from(record, EVENTS_AT):
        return Step(state or EMPTY, "duplicate", False, version)
    if erased_s and time_ms <= erased_s * 1000:
        return Step(state or EMPTY, "erased", False, version)
    _u64.pack_into(record, EVENTS_AT + 8 * (seen % EVENT_WINDOW), event_hash)
    seen += 1
    kind = event.event_type
    if kind == "impression":
        shown = _add_shown(record, shown, event.items or ())
    else:
        version += 1
        flags &= ~(LISTED | SETTLED)
        if time_ms - last_ms > session_gap_ms:
            session_s, session_events = _seconds(time_ms), 0
        session_events = min(session_events + 1, 0xFFFF)
        if kind == "purchase":
            steps, bought = _add_purchase(record, steps, bought, event, _seconds(time_ms))
        elif kind in KINDS and event.item_id is not None:
            steps = _add_step(record, steps, id_hash(event.item_id), _seconds(time_ms), KINDS[kind])
        elif kind == "consent":
            refused = (event.context or {}).get("personalisation") in ("denied", False)
            flags = flags | CONSENT_REFUSED if refused else flags & ~CONSENT_REFUSED
        if kind in _RESETS_FATIGUE and event.item_id is not None:
            _forget_shown(record, id_hash(event.item_id) & _LOW)
        last_ms = max(last_ms, time_ms)
    _header.pack_into(
        record, 0, layout, flags, session_events, version, steps, seen, bought, shown, last_ms, session_s, erased_s
    )
    return Step(bytes(record), "applied", kind != "impression", version)


def erase(state: bytes | None, requested_at_ms: int) -> bytes:
    """The state after an erasure: only its time, so that late events stay out, and the version, which never falls.

    Steps that are newer than the request stay: an old request that is read again must not clear what came since.
    """
    record = bytearray(migrate(state) if state else EMPTY)
    fields = list(_header.unpack_from(record))
    requested_s = -(-requested_at_ms // 1000)
    if fields[10] >= requested_s:
        return bytes(record)
    row = np.frombuffer(bytes(record), dtype=np.uint8)
    kept = bytearray(EMPTY)
    steps = 0
    for place in range(max(0, fields[4] - HISTORY), fields[4]):
        at = place % HISTORY
        second = _u32.unpack_from(record, SECONDS_AT + 4 * at)[0]
        if second > requested_s:
            item = _u64.unpack_from(record, ITEMS_AT + 8 * at)[0]
            steps = _add_step(kept, steps, item, second, int(row[KINDS_AT + at]))
    newer = fields[8] > requested_s * 1000
    _header.pack_into(kept, 0, fields[0], 0, 0, fields[3], steps, 0, 0, 0, fields[8] if newer else 0, 0, requested_s)
    return bytes(kept)


def version_of(state: bytes) -> int:
    """The list version in a packed state."""
    return int(_header.unpack_from(state)[3])


def last_event_ms(state: bytes) -> int:
    """The newest event time in a packed state, epoch ms."""
    return int(_header.unpack_from(state)[8])


def list_is_owed(state: bytes) -> bool:
    """Whether a list can be asked for: not of one who was erased and has done nothing since."""
    return last_event_ms(state) > 0


def listing(state: bytes) -> int:
    """How far the list of the newest version is: 0 owed, `LISTED` a fallback is out and the model will be asked again,
    `SETTLED` it is out. Only where lists are delivered exactly once does the state know."""
    return SETTLED if state[FLAGS_AT] & SETTLED else state[FLAGS_AT] & LISTED


def mark_listed(state: bytes, how: int) -> bytes:
    """The state after the list of its newest version went out; `how` as in `listing`."""
    record = bytearray(state)
    record[FLAGS_AT] |= how
    return bytes(record)


def session_start_s(state: bytes) -> int:
    """When the session in progress began, epoch s."""
    return int(_header.unpack_from(state)[9])


def digest(state: bytes) -> str:
    """A short fingerprint of a state, equal for equal states of any layout version; what was listed is left out."""
    record = bytearray(migrate(state))
    record[FLAGS_AT] &= ~(LISTED | SETTLED) & 0xFF
    return xxhash.xxh64_hexdigest(bytes(record))


def _seconds(time_ms: int) -> int:
    return time_ms // 1000


def _add_step(record: bytearray, steps: int, item: int, second: int, kind: int) -> int:
    at = steps % HISTORY
    _u64.pack_into(record, ITEMS_AT + 8 * at, item)
    _u32.pack_into(record, SECONDS_AT + 4 * at, second)
    record[KINDS_AT + at] = kind
    return steps + 1


def _add_purchase(record: bytearray, steps: int, bought: int, event: Event, second: int) -> tuple[int, int]:
    """Marks items as bought; those that the history does not hold yet (no cart event came) enter it."""
    named = [event.item_id] if event.item_id is not None else event.items or ()
    held = set(_items.unpack_from(record, ITEMS_AT))
    for item in map(id_hash, named):
        if item not in held:
            steps = _add_step(record, steps, item, second, BOUGHT)
        if item & _LOW not in _bought.unpack_from(record, BOUGHT_AT):
            _u32.pack_into(record, BOUGHT_AT + 4 * (bought % MAX_BOUGHT), item & _LOW)
            bought = (bought + 1) % MAX_BOUGHT
        _forget_shown(record, item & _LOW)
    return steps, bought


def _add_shown(record: bytearray, shown: int, items: list[str] | tuple[str, ...]) -> int:
    """Counts impressions; the top of the list is counted last, so it is what the ring keeps."""
    for item in reversed(items):
        low = id_hash(item) & _LOW
        held = _shown.unpack_from(record, SHOWN_ITEMS_AT)
        if low in held:
            at = SHOWN_COUNTS_AT + held.index(low)
            record[at] = min(record[at] + 1, 255)
        else:
            _u32.pack_into(record, SHOWN_ITEMS_AT + 4 * shown, low)
            record[SHOWN_COUNTS_AT + shown] = 1
            shown = (shown + 1) % MAX_SHOWN
    return shown


def _forget_shown(record: bytearray, low: int) -> None:
    held = _shown.unpack_from(record, SHOWN_ITEMS_AT)
    if low in held:
        record[SHOWN_COUNTS_AT + held.index(low)] = 0

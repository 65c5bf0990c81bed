"""The packed state of one user, and `step`: what an event does to it.

The state is one fixed-width little-endian record, described by the numpy dtype `STATE`. The job edits it with
`struct` one event at a time; scorer and trainer read a whole micro-batch of records with `np.frombuffer`.
Item and event ids are kept as hashes (xxh64), so the state does not depend on any model's vocabulary.
"""

import math
import struct
from dataclasses import dataclass
from typing import Literal

import xxhash

from operators.contracts import Event
from operators.listing import owed_again
from operators.state_layout import (
    BOUGHT_AT,
    CONSENT_REFUSED,
    EMPTY,
    ERASED_AT,
    EVENT_WINDOW,
    EVENTS_AT,
    HEADER,
    HISTORY,
    ITEMS_AT,
    KINDS_AT,
    LISTED,
    MAX_BOUGHT,
    MAX_SHOWN,
    OLD_LAYOUT,
    OLD_STORED,
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
_LAST_S = 0xFFFFFFFF  # in 2106
_LAST_MS = _LAST_S * 1000 + 999

_header = struct.Struct(HEADER)
_events = struct.Struct(f"<{EVENT_WINDOW}Q")
_items = struct.Struct(f"<{HISTORY}Q")
_bought = struct.Struct(f"<{MAX_BOUGHT}I")
_shown = struct.Struct(f"<{MAX_SHOWN}I")
_erased = struct.Struct("<IH")  # second, millisecond
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


def step(
    state: bytes | None,
    event: Event,
    session_gap_ms: int = 30 * 60_000,
    arrived_ms: int | None = None,
    time_to_live_ms: float = math.inf,
) -> Step:
    """Applies one valid event (`event_time` in epoch ms, not after its arrival) to a user's state (None for a new user).

    `arrived_ms`: the broker's time of the record (None: the event's own), of which a new state gets its epoch. A state
    without an event (but impressions) for `time_to_live_ms` is forgotten, and the user new: the engine drops it at
    some time after, and a replay at any pace must decide the same. Pure and deterministic. A duplicate (same event id within the user's last `EVENT_WINDOW` accepted events) and
    an event from before an erasure change nothing.
    """
    arrived_ms = int(event.event_time) if arrived_ms is None else arrived_ms
    record = bytearray(migrate(state) if state else EMPTY)
    if state is not None and 0 < last_touched_ms(record) < arrived_ms - time_to_live_ms:
        state, record = None, bytearray(EMPTY)
    layout, flags, session_events, version, steps, seen, bought, shown, last_ms, session_s, epoch_s = (
        _header.unpack_from(record)
    )
    time_ms = int(event.event_time)
    event_hash = id_hash(event.event_id)
    if event_hash in _events.unpack_from(record, EVENTS_AT):
        return Step(state or EMPTY, "duplicate", False, version)
    if time_ms <= erased_ms(record):
        return Step(state or EMPTY, "erased", False, version)
    if state is None:
        epoch_s = _seconds(arrived_ms)
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
        record, 0, layout, flags, session_events, version, steps, seen, bought, shown, last_ms, session_s, epoch_s
    )
    return Step(bytes(record), "applied", kind != "impression", version)


def erase(state: bytes | None, arrived_ms: int) -> bytes:
    """The state after an erasure that arrived at `arrived_ms` by the broker's clock.

    What arrived before is gone. There stay the moment, so that late events stay out, a refusal of consent, and the
    version in a new epoch: no list from before is as new as one from now on. Steps from after the erasure stay: its
    record may be read later than theirs. An erasure that the state knows already changes nothing.
    """
    record, arrived_ms = bytearray(migrate(state) if state else EMPTY), min(max(1, arrived_ms), _LAST_MS)
    if erased_ms(record) >= arrived_ms:
        return bytes(record)
    layout, flags, _, version, count, _, _, _, last_ms, _, epoch_s = _header.unpack_from(record)
    kept, steps = bytearray(EMPTY), 0
    for place in range(max(0, count - HISTORY), count):
        at = place % HISTORY
        second = _u32.unpack_from(record, SECONDS_AT + 4 * at)[0]
        if second * 1000 > arrived_ms:
            item = _u64.unpack_from(record, ITEMS_AT + 8 * at)[0]
            steps = _add_step(kept, steps, item, second, record[KINDS_AT + at])
    last_ms = last_ms if last_ms > arrived_ms else 0
    epoch_s = max(_seconds(arrived_ms), epoch_s + 1)
    _header.pack_into(kept, 0, layout, flags & CONSENT_REFUSED, 0, version, steps, 0, 0, 0, last_ms, 0, epoch_s)
    _erased.pack_into(kept, ERASED_AT, *divmod(arrived_ms, 1000))
    return bytes(kept)


def last_touched_ms(record: bytes | bytearray) -> int:
    """When a record of dtype `STATE` last had an event (but impressions) or an erasure, epoch ms; 0: it had none."""
    return last_event_ms(record) or erased_ms(record)


def erased_ms(record: bytes | bytearray) -> int:
    """The broker's time of the last erasure in a record of dtype `STATE`, epoch ms; 0: there was none."""
    second, millisecond = _erased.unpack_from(record, ERASED_AT)
    return int(second * 1000 + millisecond)


def holds_anything(state: bytes) -> bool:
    """Whether a state knows anything of its user besides that it was erased."""
    _, _, _, _, steps, seen, *_ = _header.unpack_from(state)
    return bool(steps or seen)


def order_of(state: bytes) -> tuple[int, int]:
    """(epoch, version) of a state: of two lists of a user the one with the greater is the newer."""
    header = _header.unpack_from(state)
    return (0 if state[0] in (OLD_LAYOUT, OLD_STORED) else int(header[10])), int(header[3])


def version_of(state: bytes) -> int:
    """The list version in a packed state."""
    return int(_header.unpack_from(state)[3])


def last_event_ms(state: bytes | bytearray) -> int:
    """The newest event time in a packed state, epoch ms."""
    return int(_header.unpack_from(state)[8])


def list_is_owed(state: bytes) -> bool:
    """Whether a list can be asked for: not of one who was erased and has done nothing since."""
    return last_event_ms(state) > 0


def session_start_s(state: bytes) -> int:
    """When the session in progress began, epoch s."""
    return int(_header.unpack_from(state)[9])


def digest(state: bytes) -> str:
    """A short fingerprint of a state, equal for equal states of any layout version; what was listed is left out."""
    return xxhash.xxh64_hexdigest(owed_again(state))


def _seconds(time_ms: int) -> int:
    return min(max(0, time_ms // 1000), _LAST_S)


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
